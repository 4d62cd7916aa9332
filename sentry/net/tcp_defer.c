/*
 * TCP_DEFER_ACCEPT: a connection without data is held back from accept(2), for as long as Linux would go on repeating
 * its SYN-ACK: tcp(7), tcp_check_req() and reqsk_timer_handler(). The other end is connected meanwhile, as on Linux.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/timers.h"
#include "sentry/net/tcp.h"
#include <poll.h>

#define TIMEOUT_INIT 1        /* TCP_TIMEOUT_INIT, seconds */
#define RTO_MAX 120           /* TCP_RTO_MAX, seconds */
#define RETRANS_MAX 255

struct tcp_defer {
    struct ktimer timer;           /* for the first of q */
    struct socket *l;              /* (c) whose it is */
    TAILQ_HEAD(, socket) q;        /* under the lock of l, as n; counted. Each holds l by `listener`. */
    unsigned n;
};

int tcp_defer_round(int secs)
{
    int n = 1, period = TIMEOUT_INIT, timeout = TIMEOUT_INIT;

    if (secs <= 0) return 0;
    for (; secs > period && n < RETRANS_MAX; n++) {
        timeout = MIN(timeout * 2, RTO_MAX);
        period += timeout;
    }
    return period;
}

static ktime_t due(const struct socket *l, const struct socket *c)
{
    return c->in.deferred_at + (ktime_t)MAX(l->in.defer_accept, TIMEOUT_INIT) * NSEC_PER_SEC;
}

static void take_locked(struct tcp_defer *d, struct socket *c)
{
    TAILQ_REMOVE(&d->q, c, accept_link);
    d->n--;
    atomic_store(&c->in.deferred, false);
}

static void unlink_listener(struct socket *c)
{
    lock(&c->lock);
    struct socket *l = c->listener;
    c->listener = NULL;
    unlock(&c->lock);
    if (l) socket_put(l);
}

/* The time of the first is up: it can be accepted without data. The listener lives: its end cancels the timer. */
static void expired(struct ktimer *t)
{
    struct tcp_defer *d = container_of(t, struct tcp_defer, timer);
    struct socket *l = d->l, *c;

    for (;;) {
        lock(&l->lock);
        if ((c = TAILQ_FIRST(&d->q))) {
            ktime_t when = due(l, c);
            if (when > clock_mono()) {
                ktimer_set(t, when);
                c = NULL;
            } else {
                take_locked(d, c);
                TAILQ_INSERT_TAIL(&l->acceptq, c, accept_link);
                l->naccept++;
                socket_get(c);
            }
        }
        unlock(&l->lock);
        if (!c) return;
        waitq_wake(&l->wq, POLLIN | POLLRDNORM);
        unlink_listener(c);
        socket_put(c);
    }
}

int tcp_defer_set(struct socket *s, int secs)
{
    struct tcp_defer *d = NULL;
    int r;

    if (secs > 0) {
        if ((r = ktimer_service_start())) return r;
        d = xzalloc(sizeof *d);
        ktimer_init(&d->timer, KT_MONO, expired);
        TAILQ_INIT(&d->q);
        d->l = s;
    }
    lock(&s->lock);
    if (!s->in.defer) {
        s->in.defer = d;
        d = NULL;
    }
    s->in.defer_accept = tcp_defer_round(secs);
    /* Those that wait already go by the new value. */
    if (s->in.defer && s->in.defer->n) ktimer_set(&s->in.defer->timer, clock_mono());
    unlock(&s->lock);
    free(d);
    return 0;
}

bool tcp_defer_locked(struct socket *l, struct socket *c)
{
    struct tcp_defer *d = l->in.defer;

    /* Bounds what waits. Linux answers with a SYN cookie then, and a cookie remembers no deferral. */
    if (!d || !l->in.defer_accept || d->n >= l->backlog) return false;
    socket_get(l);
    c->listener = l;
    c->in.deferred_at = clock_mono();
    atomic_store(&c->in.deferred, true);
    TAILQ_INSERT_TAIL(&d->q, c, accept_link);
    if (!d->n++) ktimer_set(&d->timer, due(l, c));
    return true;
}

/* Takes c out of those held back, into the queue of accept(2) or (the reference is the caller's) out of it all. */
static bool end_deferral(struct socket *c, bool accept)
{
    lock(&c->lock);
    struct socket *l = c->listener;
    if (l) socket_get(l);
    unlock(&c->lock);
    if (!l) return false;
    lock(&l->lock);
    bool held = c->in.deferred;
    if (held) {
        take_locked(l->in.defer, c);
        if (accept) {
            TAILQ_INSERT_TAIL(&l->acceptq, c, accept_link);
            l->naccept++;
        }
    }
    unlock(&l->lock);
    if (held) unlink_listener(c);
    if (held && accept) waitq_wake(&l->wq, POLLIN | POLLRDNORM);
    socket_put(l);
    return held;
}

void tcp_defer_over(struct socket *c)
{
    if (atomic_load(&c->in.deferred)) (void)end_deferral(c, true);
}

/* As if it had never been: the other end learns of it when it sends. */
static void forget(struct socket *c)
{
    tcp_vanish(c);
    socket_put(c);
}

void tcp_defer_reset(struct socket *c)
{
    if (atomic_load(&c->in.deferred) && end_deferral(c, false)) forget(c);
}

void tcp_defer_stop(struct socket *l)
{
    struct tcp_defer *d;
    struct socket *c;

    lock(&l->lock);
    d = l->in.defer;
    unlock(&l->lock);
    if (!d) return;
    for (;;) {
        lock(&l->lock);
        if ((c = TAILQ_FIRST(&d->q))) take_locked(d, c);
        unlock(&l->lock);
        if (!c) break;
        unlink_listener(c);
        forget(c);
    }
    ktimer_cancel_sync(&d->timer);
}

void tcp_defer_free(struct socket *s)
{
    if (!s->in.defer) return;
    ktimer_cancel_sync(&s->in.defer->timer);
    free(s->in.defer);
}
