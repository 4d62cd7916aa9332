/*
 * Ends of TCP connections. Who closes first leaves a remnant (tcp_ends.h); a reset leaves nothing. There are no segments:
 * a FIN is acknowledged with its arrival, so FIN_WAIT1, CLOSING and LAST_ACK are never seen.
 * The table of connections says who the other end is, s->peer who takes data.
 */
#include "sentry/net/tcp.h"
#include "sentry/net/tcp_ends.h"
#include "sentry/net/tcp_show.h"
#include <netinet/tcp.h>
#include <string.h>

#define FIN_TIMEOUT_MIN (7 * NSEC_PER_SEC / 10)  /* 3.5 times the time to repeat a segment */

void tcp_done_locked(struct socket *s)
{
    lock(&port_lock);
    tcp_conn_del_locked(s);
    if (!s->in.port_given) inet_unbind_locked(s);
    unlock(&port_lock);
}

/* The connection is none any more: its FIN went out, or it was cut. */
static void uncount_locked(struct socket *s, bool cut)
{
    if (!s->in.counted) return;
    s->in.counted = false;
    mib_add(s->net, MIB_TCP_CURR_ESTAB, -1);
    if (cut) mib_add(s->net, MIB_TCP_ESTAB_RESETS, 1);
}

static struct socket *take_peer_locked(struct socket *s)
{
    struct socket *p = s->peer;
    s->peer = NULL;
    return p;
}

/* from: only if s is still connected to that; NULL: to whomever. */
static void reset_by(struct socket *s, struct socket *from, int err)
{
    lock(&s->lock);
    if (from && s->peer != from) {
        unlock(&s->lock);
        return;
    }
    s->err = s->in.got_fin ? EPIPE : err;
    s->in.was_reset = true;
    s->shut = SHUT_BOTH;
    struct socket *p = take_peer_locked(s);
    bool known = s->in.in_conns;
    uncount_locked(s, true);
    tcp_done_locked(s);
    unlock(&s->lock);
    if (known) tcp_show_end(s, p, true);
    waitq_wake_all(&s->wq, TCP_ALL_EVENTS);
    if (p) socket_put(p);
    tcp_defer_reset(s);
}

void tcp_reset(struct socket *s, int err) { reset_by(s, NULL, err); }

void tcp_refused(struct socket *s)
{
    lock(&s->lock);
    lock(&port_lock);
    if (s->in.in_conns) {
        struct tcp_ends e = tcp_ends_of_locked(s), o = tcp_ends_turned(&e);
        struct tcp_tw *t = tcp_tw_find_locked(&o);
        if (t) tcp_tw_kill_locked(t);
        tcp_count_segments(s, 1, 0);
    }
    unlock(&port_lock);
    unlock(&s->lock);
    tcp_reset(s, ECONNRESET);
}

static ktime_t fin_time(const struct socket *s)
{
    s32 t = s->in.linger2 ? s->in.linger2 : inet_setting(s->net, IS_TCP_FIN_TIMEOUT);
    return MAX(t * NSEC_PER_SEC, FIN_TIMEOUT_MIN);
}

/* The other end of s, from, will send no more; gone: nor read. */
static void fin(struct socket *s, struct socket *from, bool gone)
{
    struct socket *drop = NULL;

    lock(&s->lock);
    bool mine = s->peer == from;   /* else s has another connection by now */
    if (mine) {
        bool both = s->shut & SHUT_SND;
        s->in.got_fin = true;
        s->shut |= SHUT_RCV;
        if (both) {
            lock(&port_lock);
            if (s->in.in_conns) (void)tcp_tw_add_locked(s, TCP_TIME_WAIT, TCP_TIMEWAIT_LEN);
            unlock(&port_lock);
            tcp_done_locked(s);
        }
        if (both || gone) drop = take_peer_locked(s);
    }
    unlock(&s->lock);
    if (!mine) return;
    tcp_show_end(s, from, false);
    waitq_wake_all(&s->wq, TCP_ALL_EVENTS);
    if (drop) socket_put(drop);
    tcp_defer_over(s);
}

/* s->lock held too: its FIN reaches what the other end has left. True: that was all there is. */
static bool fin_to_remnant_locked(const struct socket *s, const struct tcp_ends *e)
{
    struct tcp_ends o = tcp_ends_turned(e);
    struct tcp_tw *t = tcp_tw_find_locked(&o);

    if (!t) return false;
    if (t->state == TCP_FIN_WAIT2) tcp_tw_time_wait_locked(t);
    tcp_count_segments(s, 2, 0);
    return true;
}

/* s->lock held: s is closed, by a reset or in order. Its port is free, but for what it leaves. */
static void part_locked(struct socket *s, bool rst, bool to_self)
{
    lock(&port_lock);
    if (s->in.in_conns) {
        struct tcp_ends e = tcp_ends_of_locked(s), o = tcp_ends_turned(&e);
        tcp_conn_del_locked(s);
        if (rst) {
            struct tcp_tw *t = tcp_tw_find_locked(&o);
            if (t) {
                tcp_tw_kill_locked(t);
                tcp_count_reset(s);
            }
        } else if (to_self) {
            (void)tcp_tw_add_locked(s, TCP_TIME_WAIT, TCP_TIMEWAIT_LEN);
        } else if (!fin_to_remnant_locked(s, &e) && !s->in.got_fin && tcp_conn_find_locked(&o)) {
            (void)tcp_tw_add_locked(s, TCP_FIN_WAIT2, fin_time(s));
        }
    }
    if (s->dead || !s->in.port_given) inet_unbind_locked(s);
    unlock(&port_lock);
}

/* Leaves the connection. abort: with a reset in any case. */
static void leave(struct socket *s, bool abort)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);

    tcp_cancel_pending(s);
    lock(&s->lock);
    bool quiet = !abort && !(s->linger && !s->linger_time) && TAILQ_EMPTY(&s->rx);
    unlock(&s->lock);
    if (quiet) tcp_push(s);
    tcp_cork_end(s);
    lock(&s->lock);
    bool rst = abort || (s->linger && !s->linger_time) || !TAILQ_EMPTY(&s->rx);
    /* TCP_LINGER2 below 0: nobody waits for the other end's FIN. */
    bool impatient = s->in.linger2 < 0 && !s->in.got_fin;
    struct socket *p = take_peer_locked(s);
    if (s->in.in_conns && s->state == ST_ESTABLISHED && !abort && (rst || impatient))
        mib_add(s->net, TAILQ_EMPTY(&s->rx) ? MIB_TCP_ABORT_ON_DATA : MIB_TCP_ABORT_ON_CLOSE, 1);
    uncount_locked(s, rst);
    if (s->state == ST_ESTABLISHED) {
        part_locked(s, rst || impatient, p == s);
    } else {
        tcp_done_locked(s);
    }
    TAILQ_CONCAT(&rx, &s->rx, link);
    s->rx_bytes = s->rx_count = 0;
    s->state = ST_CLOSE;
    unlock(&s->lock);
    if (p && p != s) {
        if (!rst) fin(p, s, !impatient);
        if (rst || impatient) reset_by(p, s, ECONNRESET);
        /* Whoever waits for room in our queue must look. */
        waitq_wake_all(&p->wq, TCP_ALL_EVENTS);
    }
    if (p) socket_put(p);
    sockbuf_purge(&rx);
}

void tcp_vanish(struct socket *s)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);

    lock(&s->lock);
    atomic_store(&s->dead, true);
    struct socket *p = take_peer_locked(s);
    uncount_locked(s, false);
    tcp_done_locked(s);
    TAILQ_CONCAT(&rx, &s->rx, link);
    s->rx_bytes = s->rx_count = 0;
    s->state = ST_CLOSE;
    unlock(&s->lock);
    if (p) {
        waitq_wake_all(&p->wq, TCP_ALL_EVENTS);
        socket_put(p);
    }
    sockbuf_purge(&rx);
}

static int shutdown_connected_locked(struct socket *s, u32 which, struct socket **tell, struct socket **drop)
{
    if (!s->in.in_conns) return -ENOTCONN;
    bool first = which & ~(u32)s->shut & SHUT_SND;
    s->shut |= (u8)which;
    if (!first) return 0;
    uncount_locked(s, false);
    if ((*tell = s->peer)) socket_get(*tell);
    lock(&port_lock);
    struct tcp_ends e = tcp_ends_of_locked(s);
    (void)fin_to_remnant_locked(s, &e);
    unlock(&port_lock);
    if (s->in.got_fin) {
        *drop = take_peer_locked(s);
        tcp_done_locked(s);
    }
    return 0;
}

int tcp_shutdown(struct socket *s, u32 which)
{
    struct socket *tell = NULL, *drop = NULL;
    int r = 0;

    if (which & SHUT_SND) tcp_push(s);
    lock(&s->lock);
    enum sock_state st = s->state;
    if (st == ST_CLOSE) {
        s->shut |= (u8)which;      /* refused, yet remembered */
        r = -ENOTCONN;
    } else if (st == ST_ESTABLISHED) {
        r = shutdown_connected_locked(s, which, &tell, &drop);
    }
    unlock(&s->lock);
    if (st == ST_CONNECTING || (st == ST_LISTEN && (which & SHUT_RCV))) (void)tcp_disconnect(s);
    if (tell) {
        fin(tell, s, false);
        socket_put(tell);
    }
    if (drop) socket_put(drop);
    waitq_wake_all(&s->wq, TCP_ALL_EVENTS);
    return r;
}

void tcp_forget_route_locked(struct socket *s)
{
    u8 any[16] = { 0 };

    if (s->in.addr_given) return;
    if (s->domain == AF_INET) ip_set_v4(any, 0);
    inet_set_local(s, any);
}

int tcp_disconnect(struct socket *s)
{
    lock(&s->lock);
    bool listening = s->state == ST_LISTEN, cut = s->state == ST_CONNECTING || s->in.in_conns;
    if (listening) s->state = ST_CLOSE;
    unlock(&s->lock);
    if (listening) tcp_stop_listening(s);
    else leave(s, true);
    lock(&s->lock);
    tcp_done_locked(s);
    tcp_forget_route_locked(s);
    s->shut = 0;
    s->err = cut ? ECONNRESET : 0;
    s->in.connected = s->in.was_connected = s->in.got_fin = s->in.connect_reported = false;
    memset(&s->in.remote.in, 0, sizeof s->in.remote.in);
    unlock(&s->lock);
    waitq_wake_all(&s->wq, TCP_ALL_EVENTS);
    return 0;
}

void tcp_release(struct socket *s)
{
    lock(&s->lock);
    atomic_store(&s->dead, true);
    bool listening = s->state == ST_LISTEN;
    if (listening) s->state = ST_CLOSE;
    unlock(&s->lock);
    if (listening) tcp_stop_listening(s);
    else leave(s, false);
    inet_unbind(s);
    waitq_wake_all(&s->wq, TCP_ALL_EVENTS);
}
