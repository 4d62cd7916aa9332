/*
 * Job control stops. A stop signal taken by one thread sets TW_STOP in all; each takes part when it gets there, the last
 * one completes the stop and tells the parent. SIGCONT undoes any stage. Source: signal(7), waitpid(2), do_signal_stop().
 */
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"
#include <sys/wait.h>

#define NS_PER_TICK 10000000ULL

/* SIGCHLD for a stop or a continuation, and a wake for wait(2). The child's own sighand is not held. */
void group_stop_notify_locked(struct tgroup *tg, int why, int signo)
{
    struct tgroup *parent = tg->parent;
    u64 ut, st;

    if (!parent || !tg->leader) return;
    struct ksiginfo info = { .signo = SIGCHLD, .code = why, .pid = pid_to_ns(tg->tgid, parent->pid_ns), .status = signo };
    lock(&tg->leader->lock);
    info.uid = tg->leader->cred->uid;
    unlock(&tg->leader->lock);
    task_account(tg->leader, &ut, &st);
    info.utime = (s64)(ut / NS_PER_TICK);
    info.stime = (s64)(st / NS_PER_TICK);
    struct sighand *ps = tgroup_lock_sighand(parent);
    const struct ksigaction *a = &ps->action[SIGCHLD];
    bool tell = a->handler != 1 && !(a->flags & SA_NOCLDSTOP);
    unlock(&ps->lock);
    if (tell) signal_send_group_locked(parent, &info);
    waitq_wake_all(&parent->child_wait, 0);
}

/* A thread has stopped or left; true when the stop is complete by that. */
static bool one_less_shlocked(struct tgroup *tg)
{
    if (!tg->group_stop_count || --tg->group_stop_count) return false;
    tg->group_stopped = true;
    return true;
}

void group_stop_completed_locked(struct tgroup *tg)
{
    tg->wait_stopped = true;
    tg->wait_continued = false;
    group_stop_notify_locked(tg, CLD_STOPPED, tg->group_stop_sig);
}

bool group_stop_leave_shlocked(struct task *t)
{
    if (!(atomic_load(&t->work) & TW_STOP)) return false;
    atomic_and(&t->work, ~(u32)TW_STOP);
    return one_less_shlocked(t->tg);
}

void group_stop_begin(int signo, u32 cont_gen)
{
    struct tgroup *tg = current->tg;
    struct task *t;

    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    /* A SIGCONT or a kill that came after the signal was taken makes the stop void; so does an orphaned group, but for SIGSTOP. */
    bool void_ = tg->cont_gen != cont_gen || tg->group_exit || tg->exec_in_progress ||
        (signo != SIGSTOP && tg->pgrp && pgrp_is_orphaned_locked(tg->pgrp));
    if (!void_ && !tg->group_stop_count) {
        tg->group_stop_sig = signo;
        TAILQ_FOREACH(t, &tg->tasks, tg_link) {
            if (t->exiting || t->stopped) continue;
            tg->group_stop_count++;
            task_set_work(t, TW_STOP);
        }
    }
    unlock(&s->lock);
    unlock(&kernel.tasklist);
    if (!void_) group_stop_participate();
}

void group_stop_participate(void)
{
    struct task *t = current;
    struct tgroup *tg = t->tg;

    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    if (!(atomic_load(&t->work) & TW_STOP)) {
        unlock(&s->lock);
        unlock(&kernel.tasklist);
        return;
    }
    atomic_and(&t->work, ~(u32)TW_STOP);
    t->stopped = true;
    atomic_store(&t->state, TASK_STOPPED);
    bool complete = one_less_shlocked(tg);
    int signo = tg->group_stop_sig;
    unlock(&s->lock);
    if (complete) group_stop_completed_locked(tg);
    unlock(&kernel.tasklist);

    /* A tracee that its tracer resumes runs, whatever the group does; one that was let go stays. */
    if (unlikely(t->ptrace) && ptrace_group_stop(signo) && t->ptrace) goto out;

    /* Signals do not end a stop; SIGCONT and SIGKILL do, by waking. A pause of the sandbox parks us inside the sleep. */
    for (;;) {
        s = tgroup_lock_sighand(tg);
        bool stopped = t->stopped;
        unlock(&s->lock);
        if (!stopped || (atomic_load(&t->work) & TW_FATAL)) break;
        if (atomic_load(&t->work) & TW_PTRACE) {
            ptrace_work();
            if (t->ptrace) break;
            atomic_store(&t->state, TASK_STOPPED);
            continue;
        }
        if (task_sleep_uninterruptible(KTIME_NEVER) == -EINTR) break;
    }
out:
    s = tgroup_lock_sighand(tg);
    t->stopped = false;
    atomic_store(&t->state, TASK_RUNNING);
    signal_recalc_locked(t);
    unlock(&s->lock);
}

void group_continue_locked(struct tgroup *tg)
{
    struct task *t;

    tg->cont_gen++;
    if (tg->group_stopped) tg->cont_notify = CLD_CONTINUED;
    else if (tg->group_stop_count) tg->cont_notify = CLD_STOPPED;   /* cut short: still told, as Linux does */
    tg->group_stopped = false;
    tg->group_stop_count = 0;
    TAILQ_FOREACH(t, &tg->tasks, tg_link) {
        atomic_and(&t->work, ~(u32)TW_STOP);
        if (unlikely(t->ptrace)) ptrace_continued_locked(t);
        if (!t->stopped) continue;
        t->stopped = false;
        task_wake(t);
    }
}

void group_continue_notify_locked(struct tgroup *tg)
{
    int why = tg->cont_notify;

    if (!why) return;
    tg->cont_notify = 0;
    tg->wait_stopped = false;
    if (why == CLD_CONTINUED) tg->wait_continued = true;
    group_stop_notify_locked(tg, why, why == CLD_CONTINUED ? SIGCONT : tg->group_stop_sig);
}
