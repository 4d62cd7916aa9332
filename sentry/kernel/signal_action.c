/* Dispositions: sigaction(2) and what execve(2) does to them. */
#include "sentry/kernel/internal.h"

int signal_action(int signo, const struct ksigaction *new_, struct ksigaction *old)
{
    struct task *t = current, *i;
    struct tgroup *tg = t->tg;

    if (signo < 1 || signo > KSIG_MAX || (new_ && sig_kernel_only(signo))) return -EINVAL;
    struct sighand *s = tgroup_lock_sighand(tg);
    if (old) *old = s->action[signo];
    if (new_) {
        s->action[signo] = *new_;
        ksigset_del(&s->action[signo].mask, SIGKILL);
        ksigset_del(&s->action[signo].mask, SIGSTOP);
        /* POSIX 2.4.3: setting an action that ignores discards what is pending, blocked or not. */
        if (signal_is_ignored_action(new_, signo)) {
            ksigset_t which = { { 0, 0 } };
            ksigset_add(&which, signo);
            sigpending_flush(&tg->shared_pending, &which);
            TAILQ_FOREACH(i, &tg->tasks, tg_link) sigpending_flush(&i->pending, &which);
            signal_recalc_locked(t);
        }
    }
    unlock(&s->lock);
    return 0;
}

void signal_flush_handlers(struct task *t, bool all)
{
    struct sighand *s = tgroup_lock_sighand(t->tg);

    for (int n = 1; n <= KSIG_MAX; n++) {
        struct ksigaction *a = &s->action[n];
        if (all || a->handler != 1) a->handler = 0;
        a->flags = 0;
        a->restorer = 0;
        ksigset_empty(&a->mask);
    }
    unlock(&s->lock);
}
