/*
 * TCP_CORK and MSG_MORE: less than a segment waits at its sender until there is one, nobody holds it back any more, the
 * stream ends, or 200 ms have passed. tcp(7), tcp_nagle_check() and tcp_probe_timer() of Linux
 * A socket that never held anything back has no struct tcp_cork; one that has sends all through it, so that nothing
 * overtakes what waits.
 */
#include "sentry/net/tcp.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/timers.h"
#include <string.h>

#define SEGMENT 32768u             /* tcpi_snd_mss */
#define SMALL 2048u
#define CORK_TIME (200 * NSEC_PER_MSEC)

struct tcp_cork {
    lock_t order;                  /* LC_PIPE, outside of sockets' locks: who hands over. Guards: */
    struct sockbuf *held;          /* not charged, NULL: nothing */
    struct ktimer timer;           /* set when something begins to wait */
    struct socket *s;              /* (c) whose it is */
};

static struct tcp_cork *cork_of(struct socket *s) { return atomic_load(&s->in.corked); }

/* order held. What waits goes to peer, NULL: it was closed. False: nobody is there to take it. */
static bool push_locked(struct tcp_cork *k, struct socket *peer, bool urgent)
{
    struct sockbuf *b = k->held;

    k->held = NULL;
    if (!b) return true;
    if (peer) {
        sockbuf_charge(b, k->s, b->len);
        if (stream_deliver(k->s, peer, b, true, urgent)) return true;
    }
    sockbuf_free(b);
    return false;
}

void tcp_push(struct socket *s)
{
    struct tcp_cork *k = cork_of(s);

    if (!k) return;
    lock(&s->lock);
    struct socket *p = s->state == ST_ESTABLISHED ? s->peer : NULL;
    if (p) socket_get(p);
    unlock(&s->lock);
    lock(&k->order);
    bool gone = !push_locked(k, p, false);
    unlock(&k->order);
    if (p) socket_put(p);
    if (gone) tcp_refused(s);
}

static void expired(struct ktimer *t) { tcp_push(container_of(t, struct tcp_cork, timer)->s); }

static struct tcp_cork *make(struct socket *s)
{
    struct tcp_cork *k = xnew(struct tcp_cork), *first = NULL;

    lock_init(&k->order, LC_PIPE);
    ktimer_init(&k->timer, KT_MONO, expired);
    k->s = s;
    if (__atomic_compare_exchange_n(&s->in.corked, &first, k, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return k;
    lock_fini(&k->order);
    free(k);
    return first;
}

bool tcp_corks(struct socket *s, const struct net_msg *m) { return s->in.cork || (m->flags & MSG_MORE) || cork_of(s); }

/* order held: room for more in what waits. */
static bool room_locked(struct tcp_cork *k, u32 want)
{
    struct sockbuf *old = k->held;

    if (old && old->cap - old->len >= want) return true;
    struct sockbuf *b = sockbuf_new((old ? old->len : 0) + want <= SMALL ? SMALL : SEGMENT);
    if (!b) return false;
    if (old) {
        memcpy(b->data, old->data, old->len);
        b->len = old->len;
        b->cred = old->cred;
        sockbuf_free(old);
    }
    k->held = b;
    return true;
}

ssize_t tcp_cork_send(struct socket *s, struct socket *peer, struct net_msg *m, bool *gone)
{
    struct tcp_cork *k = cork_of(s);
    bool hold = s->in.cork || (m->flags & MSG_MORE);
    ssize_t r;

    if (!k) k = make(s);
    lock(&k->order);
    u32 have = k->held ? k->held->len : 0, n = (u32)MIN(m->u->resid, (u64)(SEGMENT - have));
    if (!room_locked(k, n)) {
        r = -ENOBUFS;
    } else if ((r = uio_copy_in(m->u, k->held->data + have, n)) < (ssize_t)n) {
        r = -EFAULT;
        if (!have) {
            sockbuf_free(k->held);
            k->held = NULL;
        }
    } else {
        k->held->len += (u32)r;
        bool last = !m->u->resid, urgent = last && (m->flags & MSG_OOB);
        if (k->held->len == SEGMENT || urgent || (last && !hold)) *gone = !push_locked(k, peer, urgent);
        else if (!have) ktimer_set(&k->timer, clock_mono() + CORK_TIME);
    }
    unlock(&k->order);
    return r;
}

u32 tcp_held(struct socket *s)
{
    struct tcp_cork *k = cork_of(s);

    if (!k) return 0;
    lock(&k->order);
    u32 n = k->held ? k->held->len : 0;
    unlock(&k->order);
    return n;
}

void tcp_cork_end(struct socket *s)
{
    struct tcp_cork *k = cork_of(s);

    if (!k) return;
    ktimer_cancel_sync(&k->timer);
    lock(&k->order);
    struct sockbuf *b = k->held;
    k->held = NULL;
    unlock(&k->order);
    sockbuf_free(b);
}

void tcp_cork_free(struct socket *s)
{
    struct tcp_cork *k = cork_of(s);

    if (!k) return;
    tcp_cork_end(s);
    lock_fini(&k->order);
    free(k);
}
