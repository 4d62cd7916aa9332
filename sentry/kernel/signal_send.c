/* Sending signals: who may, what is dropped, which thread gets it. Follows kernel/signal.c of Linux and signal(7). */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/landlock/landlock.h"
#include "sentry/kernel/pid_ns.h"
#include <linux/capability.h>

static const ksigset_t stop_signals = { { 1ULL << (SIGSTOP - 1) | 1ULL << (SIGTSTP - 1) | 1ULL << (SIGTTIN - 1) |
    1ULL << (SIGTTOU - 1), 0 } };
static const ksigset_t cont_signal = { { 1ULL << (SIGCONT - 1), 0 } };

bool signal_is_ignored_action(const struct ksigaction *a, int signo)
{
    enum sig_default d = signal_default(signo);

    return a->handler == 1 || (a->handler == 0 && (d == SIG_DFL_IGN || d == SIG_DFL_CONT));
}

static bool is_ignored(struct task *t, int signo, bool force)
{
    const struct ksigaction *a = &t->tg->sighand->action[signo];

    /* A blocked signal may get a handler before it is unblocked. */
    if (ksigset_has(&t->blocked, signo)) return false;
    if (t->tg->unkillable && a->handler == 0 && !(force && sig_kernel_only(signo))) return true;
    /* A tracer sees them first. */
    if (t->ptrace && signo != SIGKILL) return false;
    return signal_is_ignored_action(a, signo);
}

/* Side effects that happen whether or not the signal is kept. False: drop it. */
static bool prepare(struct task *t, int signo, bool force)
{
    struct tgroup *tg = t->tg;
    struct task *i;

    if (tg->group_exit) {
        /* Only what ends the writing of a core file still counts. */
        if (unlikely(tg->core) && signo == SIGKILL) tgroup_kill_shlocked(tg, SIGKILL);
        return false;
    }
    if (signal_default(signo) == SIG_DFL_STOP) {
        sigpending_flush(&tg->shared_pending, &cont_signal);
        TAILQ_FOREACH(i, &tg->tasks, tg_link) sigpending_flush(&i->pending, &cont_signal);
    } else if (signo == SIGCONT) {
        sigpending_flush(&tg->shared_pending, &stop_signals);
        TAILQ_FOREACH(i, &tg->tasks, tg_link) sigpending_flush(&i->pending, &stop_signals);
        group_continue_locked(tg);
    }
    return !is_ignored(t, signo, force);
}

static bool wants(struct task *t, int signo)
{
    if (ksigset_has(&t->blocked, signo) || t->exiting) return false;
    if (signo == SIGKILL) return true;
    if (t->stopped) return false;
    return t == current || !(atomic_load(&t->work) & TW_SIGNAL);
}

void tgroup_kill_shlocked(struct tgroup *tg, u32 wait_status)
{
    struct task *t;

    if (!tg->group_exit) {
        tg->group_exit = true;
        tg->group_exit_code = wait_status;
        tg->group_stop_count = 0;
        tg->group_stopped = false;
    }
    TAILQ_FOREACH(t, &tg->tasks, tg_link)
        if (!t->exiting) task_set_work(t, TW_KILL);
}

static void complete(struct task *t, const struct ksiginfo *info, bool group)
{
    struct tgroup *tg = t->tg;
    struct task *target = NULL, *i;
    int signo = info->signo;

    if (wants(t, signo)) {
        target = t;
    } else if (group) {
        TAILQ_FOREACH(i, &tg->tasks, tg_link)
            if (wants(i, signo)) {
                target = i;
                break;
            }
    }
    if (!target) return;   /* nobody wants it now: it stays pending until somebody unblocks it */

    /* Death needs no handler and no thread's cooperation. Core signals go the slow way, for the faulting thread's report. */
    if (tg->sighand->action[signo].handler == 0 && signal_default(signo) == SIG_DFL_TERM &&
        (signo == SIGKILL || !target->ptrace)) {
        if (!tg->fatal_info_set) {
            tg->fatal_info = *info;
            tg->fatal_info_set = true;
        }
        tgroup_kill_shlocked(tg, (u32)signo & 0x7f);
        return;
    }
    task_set_work(target, TW_SIGNAL);
}

static struct sigqueue_entry *entry_new(struct task *t, const struct ksiginfo *info)
{
    /* Ordinary signals that the kernel or kill(2) makes always find room; sigqueue(3)'s are limited (sigqueue_alloc()). */
    bool override = info->signo < KSIGRTMIN && info->code >= 0;
    lock(&t->lock);
    u32 uid = t->cred->uid;
    unlock(&t->lock);

    if (!user_charge(uid, USER_SIGPENDING, override ? RLIM_INFINITY : task_rlimit(t, RLIMIT_SIGPENDING))) return NULL;
    struct sigqueue_entry *q = xnew(struct sigqueue_entry);
    q->charged = true;
    q->charged_uid = uid;
    q->info = *info;
    return q;
}

int signal_send_shlocked(struct task *t, const struct ksiginfo *info, bool group, bool force, struct sigqueue_entry *timer)
{
    struct sigpending *p = group ? &t->tg->shared_pending : &t->pending;
    int signo = info->signo;
    struct sigqueue_entry *q = timer;

    if ((t->exiting && !group) || !prepare(t, signo, force)) return 0;
    if (!sig_is_rt(signo) && !timer && ksigset_has(&p->set, signo)) return 0;
    if (signo != SIGKILL) {
        if (!q) q = entry_new(t, info);
        if (q) {
            q->queued = true;
            TAILQ_INSERT_TAIL(&p->queue, q, link);
        } else if (sig_is_rt(signo) && info->code != SI_USER) {
            return -EAGAIN;
        }
        waitq_wake(&t->tg->sighand->signalfd_wait, POLLIN);
        ksigset_add(&p->set, signo);
    }
    complete(t, info, group);
    return 0;
}

/* A sender that is no task (control socket, the first terminal) stands outside: SIGKILL and SIGSTOP reach even init. */
static bool from_outside(const struct ksiginfo *info) { return !current && info->code <= 0 && info->code != SI_TIMER; }

static bool valid(int signo) { return signo >= 1 && signo <= KSIG_MAX; }

/* The thread that the group's signals are first offered to: the leader, or when it has gone any other. */
static struct task *group_first_shlocked(struct tgroup *tg)
{
    struct task *t;

    TAILQ_FOREACH(t, &tg->tasks, tg_link)
        if (!t->exiting) return t;
    return NULL;
}

static int send(struct tgroup *tg, struct task *t, const struct ksiginfo *info, bool have_tasklist)
{
    int r = 0;
    struct ksiginfo theirs = *info;
    bool from_above = false;

    if (info->signo == 0) return 0;
    if (!valid(info->signo)) return -EINVAL;
    if (current && (tg->pid_ns || current->tg->pid_ns)) {
        /* The sender's number as the receiver sees it; from a namespace above process 1 may be killed and stopped. */
        s32 nr = pid_to_ns(current->tg->tgid, tg->pid_ns);
        from_above = !nr && sig_kernel_only(info->signo);
        if (info->code == SI_USER || info->code == SI_TKILL || (info->code < 0 && !nr)) theirs.pid = nr;
        info = &theirs;
    }
    bool take = !have_tasklist && info->signo == SIGCONT;   /* its effect on a stopped group is told to the parent */
    if (take) lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    struct task *to = t ? t : group_first_shlocked(tg);
    if (to) r = signal_send_shlocked(to, info, !t, from_outside(info) || from_above, NULL);
    unlock(&s->lock);
    if (info->signo == SIGCONT) group_continue_notify_locked(tg);
    if (take) unlock(&kernel.tasklist);
    return r;
}

int signal_send_task(struct task *t, const struct ksiginfo *info) { return send(t->tg, t, info, false); }
int signal_send_group(struct tgroup *tg, const struct ksiginfo *info) { return send(tg, NULL, info, false); }
int signal_send_group_locked(struct tgroup *tg, const struct ksiginfo *info) { return send(tg, NULL, info, true); }

int signal_send_pgrp_locked(struct pgrp *p, const struct ksiginfo *info, bool check)
{
    struct tgroup *tg;
    int r = -ESRCH;
    bool success = false;

    TAILQ_FOREACH(tg, &p->members, pgrp_link) {
        int e = check && tg->leader ? signal_may_send(tg->leader, info->signo) : 0;
        if (!e) e = signal_send_group_locked(tg, info);
        success |= !e;
        r = e;
    }
    return success ? 0 : r;
}

int signal_send_pgrp(s32 pgid, const struct ksiginfo *info, bool check)
{
    if (info->signo && !valid(info->signo)) return -EINVAL;
    lock(&kernel.tasklist);
    struct pgrp *p = pgrp_lookup_locked(pgid);
    int r = p ? signal_send_pgrp_locked(p, info, check) : -ESRCH;
    unlock(&kernel.tasklist);
    return r;
}

int signal_send_all(const struct ksiginfo *info)
{
    struct task *t, *next;
    int r = 0, count = 0;

    if (info->signo && !valid(info->signo)) return -EINVAL;
    lock(&kernel.tasklist);
    HASH_ITER(hh, kernel.tasks_by_tid, t, next) {
        if (t->tg->leader != t || t->tg == kernel.init || (current && t->tg == current->tg)) continue;
        if (current && current->tg->pid_ns && (!pid_ns_contains(current->tg->pid_ns, t->tg->pid_ns) || t->tg == current->tg->pid_ns->init)) continue;
        int e = signal_may_send(t, info->signo);
        if (!e) e = signal_send_group_locked(t->tg, info);
        count++;
        if (e != -EPERM) r = e;
    }
    unlock(&kernel.tasklist);
    return count ? r : -ESRCH;
}

int signal_send_timer(struct sigqueue_entry *q, struct tgroup *tg, struct task *t)
{
    bool cont = q->info.signo == SIGCONT;
    int r = 0;

    if (cont) lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    struct task *to = t && !t->exiting ? t : group_first_shlocked(tg);

    if (q->queued) {
        q->info.overrun++;
        r = 1;
    } else if (to) {
        r = signal_send_shlocked(to, &q->info, !t, false, q);
    }
    unlock(&s->lock);
    if (cont) {
        group_continue_notify_locked(tg);
        unlock(&kernel.tasklist);
    }
    return r;
}

static bool cancel_from(struct sigpending *p, struct sigqueue_entry *q)
{
    struct sigqueue_entry *i;
    bool found = false, other = false;

    TAILQ_FOREACH(i, &p->queue, link) {
        if (i == q) found = true;
        else if (i->info.signo == q->info.signo) other = true;
    }
    if (!found) return false;
    TAILQ_REMOVE(&p->queue, q, link);
    if (!other) ksigset_del(&p->set, q->info.signo);
    q->queued = false;
    return true;
}

void signal_cancel_timer(struct sigqueue_entry *q, struct tgroup *tg)
{
    struct sighand *s = tgroup_lock_sighand(tg);
    struct task *t;

    if (q->queued && !cancel_from(&tg->shared_pending, q))
        TAILQ_FOREACH(t, &tg->tasks, tg_link)
            if (cancel_from(&t->pending, q)) break;
    unlock(&s->lock);
}

/* force_sig_info(): a fault cannot be put off or ignored; a blocked or ignored one kills. */
void signal_force(struct task *t, struct ksiginfo *info)
{
    struct sighand *s = tgroup_lock_sighand(t->tg);
    struct ksigaction *a = &s->action[info->signo];
    bool blocked = ksigset_has(&t->blocked, info->signo);

    if (blocked || a->handler == 1) {
        a->handler = 0;
        if (blocked) ksigset_del(&t->blocked, info->signo);
    }
    if (a->handler == 0) t->tg->unkillable = false;
    signal_send_shlocked(t, info, false, true, NULL);
    signal_recalc_locked(t);
    unlock(&s->lock);
}

int signal_may_send(struct task *target, int signo)
{
    if (!current || target->tg == current->tg) return 0;
    const struct cred *c = current->cred;
    int r = ll_signal(c->landlock, target);
    if (unlikely(r)) return r;
    lock(&target->lock);
    u32 suid = target->cred->suid, uid = target->cred->uid;
    unlock(&target->lock);
    if (c->euid == suid || c->euid == uid || c->uid == suid || c->uid == uid) return 0;
    if (cred_over_task(c, target, CAP_KILL)) return 0;
    if (signo == SIGCONT) {
        if (atomic_load(&current->tg->sid) == atomic_load(&target->tg->sid)) return 0;
    }
    return -EPERM;
}

void ksiginfo_user(struct ksiginfo *i, int signo, int code)
{
    *i = (struct ksiginfo){ .signo = signo, .code = code, .pid = current ? current->tg->tgid : 0,
        .uid = current ? current->cred->uid : 0 };
}

void tgroup_kill(struct tgroup *tg, u32 wait_status)
{
    struct sighand *s = tgroup_lock_sighand(tg);

    tgroup_kill_shlocked(tg, wait_status);
    unlock(&s->lock);
}
