/* Signal sets, dispositions' storage, pending queues. Rules of kernel/signal.c of Linux; see signal(7). */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include <string.h>

enum sig_default signal_default(int signo)
{
    switch (signo) {
    case SIGCONT: return SIG_DFL_CONT;
    case SIGSTOP: case SIGTSTP: case SIGTTIN: case SIGTTOU: return SIG_DFL_STOP;
    case SIGCHLD: case SIGURG: case SIGWINCH: return SIG_DFL_IGN;
    case SIGQUIT: case SIGILL: case SIGTRAP: case SIGABRT: case SIGBUS: case SIGFPE: case SIGSEGV: case SIGXCPU:
    case SIGXFSZ: case SIGSYS: case KSIG_EMT: return SIG_DFL_CORE;
    case KSIG_LOST: return SIG_DFL_TERM;
    default:
        /* Signals that only other ABIs have (SIGWAITING, SIGLWP, SIGFREEZE, SIGTHAW, SIGCANCEL, ...) are ignored there. */
        return signo > KSIGRTMAX ? SIG_DFL_IGN : SIG_DFL_TERM;
    }
}

void sigpending_init(struct sigpending *p)
{
    ksigset_empty(&p->set);
    TAILQ_INIT(&p->queue);
}

void sigqueue_entry_free(struct sigqueue_entry *q)
{
    q->queued = false;
    if (q->charged) {
        q->charged = false;
        user_uncharge(q->charged_uid, USER_SIGPENDING);
    }
    if (!q->timer) free(q);
}

void sigpending_flush(struct sigpending *p, const ksigset_t *which)
{
    struct sigqueue_entry *q, *next;

    TAILQ_FOREACH_SAFE(q, &p->queue, link, next) {
        if (which && !ksigset_has(which, q->info.signo)) continue;
        TAILQ_REMOVE(&p->queue, q, link);
        sigqueue_entry_free(q);
    }
    for (int i = 0; i < 2; i++) p->set.w[i] &= which ? ~which->w[i] : 0;
}

/*
 * Takes the first entry of signo off p, which has it set. A bit without an entry (the queue limit was reached) gives what
 * Linux gives: SI_USER from nobody. Clears the bit with the last entry.
 */
struct sigqueue_entry *sigqueue_take(struct sigpending *p, int signo, struct ksiginfo *info)
{
    struct sigqueue_entry *q, *first = NULL;
    bool more = false;

    TAILQ_FOREACH(q, &p->queue, link) {
        if (q->info.signo != signo) continue;
        if (first) {
            more = true;
            break;
        }
        first = q;
    }
    if (!more) ksigset_del(&p->set, signo);
    if (!first) {
        *info = (struct ksiginfo){ .signo = signo, .code = SI_USER };
        return NULL;
    }
    TAILQ_REMOVE(&p->queue, first, link);
    *info = first->info;
    return first;
}

static int lowest(const u64 w[2])
{
    if (w[0]) return __builtin_ctzll(w[0]) + 1;
    if (w[1]) return __builtin_ctzll(w[1]) + 65;
    return 0;
}

/* The next signal of p outside `blocked`: synchronous faults first, then the lowest number. 0: none. */
int sigpending_next(const struct sigpending *p, const ksigset_t *blocked)
{
    static const u64 sync = 1ULL << (SIGSEGV - 1) | 1ULL << (SIGBUS - 1) | 1ULL << (SIGILL - 1) | 1ULL << (SIGTRAP - 1) |
        1ULL << (SIGFPE - 1) | 1ULL << (SIGSYS - 1);
    u64 w[2] = { p->set.w[0] & ~blocked->w[0], p->set.w[1] & ~blocked->w[1] };

    if (w[0] & sync) w[0] &= sync;
    return lowest(w);
}

static void take_from(struct sigpending *p, int signo, struct ksiginfo *info)
{
    struct sigqueue_entry *q = sigqueue_take(p, signo, info);

    if (!q) return;
    struct ptimer *timer = q->timer;
    sigqueue_entry_free(q);
    if (timer) ptimer_signal_taken(timer, info);
}

/* Private signals before those of the group. */
int signal_dequeue_shlocked(struct task *t, const ksigset_t *blocked, struct ksiginfo *info)
{
    struct sigpending *p = &t->pending;
    int signo = sigpending_next(p, blocked);

    if (!signo) {
        p = &t->tg->shared_pending;
        signo = sigpending_next(p, blocked);
    }
    if (signo) take_from(p, signo, info);
    return signo;
}

struct sighand *sighand_new(void)
{
    struct sighand *s = xnew(struct sighand);

    ref_init(&s->refs);
    lock_init(&s->lock, LC_SIGHAND);
    waitq_init(&s->signalfd_wait);
    return s;
}

struct sighand *sighand_copy(struct sighand *from)
{
    struct sighand *s = sighand_new();

    lock(&from->lock);
    memcpy(s->action, from->action, sizeof s->action);
    unlock(&from->lock);
    return s;
}

void sighand_get(struct sighand *s) { ref_get(&s->refs); }

void sighand_put(struct sighand *s)
{
    if (!s || !ref_put(&s->refs)) return;
    waitq_fini(&s->signalfd_wait);
    lock_fini(&s->lock);
    free(s);
}

/*
 * exec may give a group another sighand; the old one stays allocated as long as the group, so looking at it, locking it
 * and looking again is safe.
 */
struct sighand *tgroup_lock_sighand(struct tgroup *tg)
{
    for (;;) {
        struct sighand *s = atomic_load(&tg->sighand);
        lock(&s->lock);
        if (likely(s == atomic_load(&tg->sighand))) return s;
        unlock(&s->lock);
    }
}

void signal_get_pending(struct task *t, ksigset_t *own, ksigset_t *shared)
{
    struct sighand *s = tgroup_lock_sighand(t->tg);

    if (own) *own = t->pending.set;
    if (shared) *shared = t->tg->shared_pending.set;
    unlock(&s->lock);
}

void signal_get_actions(struct task *t, ksigset_t *ignored, ksigset_t *caught)
{
    struct sighand *s = tgroup_lock_sighand(t->tg);

    ksigset_empty(ignored);
    ksigset_empty(caught);
    for (int n = 1; n <= KSIG_MAX; n++) {
        gaddr_t h = s->action[n].handler;
        if (h == (gaddr_t)(uintptr_t)SIG_IGN) ksigset_add(ignored, n);
        else if (h != (gaddr_t)(uintptr_t)SIG_DFL) ksigset_add(caught, n);
    }
    unlock(&s->lock);
}
