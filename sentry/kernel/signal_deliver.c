/* The receiving side: masks, taking signals, default actions, faults. Source: signal(7), get_signal() of Linux. */
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/trace/event.h"

bool signal_pending(struct task *t) { return atomic_load(&t->work) & TW_ANY_INTERRUPT; }

static bool has_deliverable(struct task *t)
{
    const u64 *b = t->blocked.w, *p = t->pending.set.w, *g = t->tg->shared_pending.set.w;

    return ((p[0] | g[0]) & ~b[0]) || ((p[1] | g[1]) & ~b[1]);
}

void signal_recalc_locked(struct task *t)
{
    if (has_deliverable(t)) {
        if (!(atomic_load(&t->work) & TW_SIGNAL)) task_set_work(t, TW_SIGNAL);
    } else {
        atomic_and(&t->work, ~(u32)TW_SIGNAL);
    }
}

/* Group signals that t was chosen for and now blocks, or will not see: wake others that can take them. */
void signal_retarget_shared_shlocked(struct task *t, const ksigset_t *which)
{
    struct tgroup *tg = t->tg;
    const u64 *g = tg->shared_pending.set.w;
    u64 w[2] = { g[0] & which->w[0], g[1] & which->w[1] };
    struct task *i;

    if (!w[0] && !w[1]) return;
    TAILQ_FOREACH(i, &tg->tasks, tg_link) {
        if (i == t || i->exiting) continue;
        u64 can0 = w[0] & ~i->blocked.w[0], can1 = w[1] & ~i->blocked.w[1];
        if (!can0 && !can1) continue;
        w[0] &= ~can0;
        w[1] &= ~can1;
        if (!(atomic_load(&i->work) & TW_SIGNAL)) task_set_work(i, TW_SIGNAL);
        if (!w[0] && !w[1]) return;
    }
}

static void set_blocked_shlocked(struct task *t, const ksigset_t *mask)
{
    ksigset_t newly = { { mask->w[0] & ~t->blocked.w[0], mask->w[1] & ~t->blocked.w[1] } };

    if ((atomic_load(&t->work) & TW_SIGNAL) && t->tg->nr_tasks > 1) signal_retarget_shared_shlocked(t, &newly);
    t->blocked = *mask;
    ksigset_del(&t->blocked, SIGKILL);
    ksigset_del(&t->blocked, SIGSTOP);
    signal_recalc_locked(t);
}

void signal_set_mask(const ksigset_t *mask)
{
    struct task *t = current;

    /* Programs set the same mask over and over; only this thread changes its own. */
    if (mask->w[0] == t->blocked.w[0] && mask->w[1] == t->blocked.w[1]) return;
    lock(&t->tg->sighand->lock);
    set_blocked_shlocked(t, mask);
    unlock(&t->tg->sighand->lock);
}

void signal_set_temp_mask(const ksigset_t *mask)
{
    struct task *t = current;

    t->saved_mask = t->blocked;
    t->has_saved_mask = true;
    signal_set_mask(mask);
}

void signal_restore_temp_mask(void)
{
    struct task *t = current;

    if (!t->has_saved_mask) return;
    t->has_saved_mask = false;
    signal_set_mask(&t->saved_mask);
}

void signal_delivered(int signo, const struct ksigaction *act)
{
    struct task *t = current;
    ksigset_t mask = t->blocked;

    /* The frame holds the mask from before a sigsuspend; what the handler runs with builds upon the temporary one. */
    t->has_saved_mask = false;
    for (int i = 0; i < 2; i++) mask.w[i] |= act->mask.w[i];
    if (!(act->flags & SA_NODEFER)) ksigset_add(&mask, signo);
    signal_set_mask(&mask);
}

int signal_take(const ksigset_t *set, struct ksiginfo *info)
{
    struct task *t = current;
    ksigset_t not_wanted = { { ~set->w[0], ~set->w[1] } };

    ksigset_add(&not_wanted, SIGKILL);
    ksigset_add(&not_wanted, SIGSTOP);
    lock(&t->tg->sighand->lock);
    int signo = signal_dequeue_shlocked(t, &not_wanted, info);
    if (signo) signal_recalc_locked(t);
    unlock(&t->tg->sighand->lock);
    return signo;
}

bool signal_dequeue_for_delivery(struct ksiginfo *info, struct ksigaction *act)
{
    struct task *t = current;
    struct sighand *s = t->tg->sighand;

    for (;;) {
        u32 work = atomic_load(&t->work);
        if (likely(!(work & (TW_SIGNAL | TW_KILL | TW_STOP | TW_EXIT_TASK)))) return false;
        if (work & TW_KILL) task_group_exit(t->tg->group_exit_code);
        if (work & TW_EXIT_TASK) task_exit(0);
        if (work & TW_STOP) group_stop_participate();

        lock(&s->lock);
        int signo = signal_dequeue_shlocked(t, &t->blocked, info);
        signal_recalc_locked(t);
        if (!signo) {
            unlock(&s->lock);
            if (atomic_load(&t->work) & (TW_KILL | TW_STOP | TW_EXIT_TASK)) continue;
            return false;
        }
        if (unlikely(t->ptrace) && signo != SIGKILL) {
            unlock(&s->lock);
            if (!(signo = ptrace_signal_stop(info))) continue;
            lock(&s->lock);
        }
        struct ksigaction *a = &s->action[signo];
        if (a->handler > 1) {
            *act = *a;
            if (a->flags & (unsigned)SA_RESETHAND) a->handler = 0;
            unlock(&s->lock);
            trace_signal(t, info);
            return true;
        }
        bool ignore = a->handler == 1;
        bool unkillable = t->tg->unkillable;
        u32 gen = t->tg->cont_gen;
        unlock(&s->lock);
        trace_signal(t, info);
        if (ignore) continue;
        switch (signal_default(signo)) {
        case SIG_DFL_IGN:
        case SIG_DFL_CONT:
            break;
        case SIG_DFL_STOP:
            /* SIGSTOP from inside was dropped when it was sent to init: this one comes from outside. */
            if (!unkillable || signo == SIGSTOP) group_stop_begin(signo, gen);
            break;
        case SIG_DFL_TERM:
        case SIG_DFL_CORE:
            /* Something blocked by init and unblocked later meets the same protection as when it is sent. */
            if (!unkillable) task_die(info);
            break;
        }
    }
}

void signal_from_exception(const struct platform_exit *e)
{
    struct ksiginfo info = { .signo = e->signo, .code = e->code, .addr = e->fault_addr, .trapno = e->trapno,
        .error_code = e->error_code };

    if (info.signo < 1 || info.signo > KSIG_MAX) info.signo = SIGILL;
    signal_force(current, &info);
}
