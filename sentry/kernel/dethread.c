/* execve(2) in a process of several threads: the others go, and the one that execs becomes the leader. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"

/* Takes tid, place and name of the dead leader. tasklist and sighand held; the old leader goes to *old. */
static void take_leadership(struct task *t, struct task **old)
{
    struct tgroup *tg = t->tg;
    struct task *leader = tg->leader;

    HASH_DEL(kernel.tasks_by_tid, leader);
    HASH_DEL(kernel.tasks_by_tid, t);
    TAILQ_REMOVE(&tg->tasks, leader, tg_link);
    ptrace_reaped_locked(leader);
    kernel.nr_tasks--;
    lock(&leader->lock);
    bool charged = leader->nproc_charged;
    leader->nproc_charged = false;
    unlock(&leader->lock);
    if (charged) user_uncharge(leader->nproc_uid, USER_NPROC);
    atomic_store(&leader->state, TASK_DEAD);

    s32 own = t->tid;
    t->tid = tg->tgid;
    t->vtid = tg->vtgid;
    t->start_time = leader->start_time;
    t->exit_signal = tg->exit_signal;
    tg->leader = t;
    HASH_ADD(hh, kernel.tasks_by_tid, tid, sizeof t->tid, t);
    pid_ns_release_locked(own);
    *old = leader;
}

int exec_dethread(void)
{
    struct task *t = current, *i, *old_leader = NULL;
    struct tgroup *tg = t->tg;
    int r = 0;

    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    /* A kill, or another thread's exec, came first: the work bits end this thread at once. */
    if (tg->group_exit || tg->exec_in_progress) {
        r = -EAGAIN;
    } else if (tg->nr_tasks > 1) {
        tg->exec_in_progress = true;
        tg->exec_task = t;
        tg->group_stop_count = 0;
        TAILQ_FOREACH(i, &tg->tasks, tg_link)
            if (i != t && !i->exiting) task_set_work(i, TW_EXIT_TASK);
    }
    unlock(&s->lock);
    while (!r && tg->nr_tasks > 1) {
        unlock(&kernel.tasklist);
        r = task_sleep_uninterruptible(KTIME_NEVER);
        lock(&kernel.tasklist);
    }
    s = tgroup_lock_sighand(tg);
    if (!r && tg->leader != t) take_leadership(t, &old_leader);
    if (tg->exec_task == t) {
        tg->exec_task = NULL;
        tg->exec_in_progress = false;
    }
    unlock(&s->lock);
    /* Children of the other threads, and of this one under its old number, are now ours. */
    if (!r) {
        struct tgroup *c;
        LIST_FOREACH(c, &tg->children, sibling) c->parent_tid = t->tid;
    }
    unlock(&kernel.tasklist);
    if (old_leader) task_put(old_leader);
    if (r) return r;

    if (ref_read(&tg->sighand->refs) > 1) {
        struct sighand *fresh = sighand_copy(tg->sighand), *old = tg->sighand;
        lock(&kernel.tasklist);
        lock(&old->lock);
        tg->old_sighands = xrealloc(tg->old_sighands, (tg->nr_old_sighands + 1) * sizeof(void *));
        tg->old_sighands[tg->nr_old_sighands++] = old;
        atomic_store(&tg->sighand, fresh);
        unlock(&old->lock);
        unlock(&kernel.tasklist);
    }
    return 0;
}
