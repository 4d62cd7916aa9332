/*
 * Making TCP connections: a connection is made as soon as there is room in the listener's backlog. Both ends are
 * connected before accept(2) can hand one out. tcp(7), listen(2)
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/tcp.h"
#include "sentry/net/tcp_ends.h"
#include "sentry/net/tcp_show.h"
#include <string.h>

#define TCP_SNDBUF_CONNECTED 393216u

static void established_locked(struct socket *s)
{
    s->state = ST_ESTABLISHED;
    s->in.was_connected = s->in.counted = true;
    mib_add(s->net, MIB_TCP_CURR_ESTAB, 1);
    if (!s->sndbuf_set) s->sndbuf = TCP_SNDBUF_CONNECTED;
}

/* The listener's end of a connection from c. Both hold each other; the result is counted for the listener's queue. */
static struct socket *make_child(struct socket *l, struct socket *c)
{
    struct socket *s = socket_alloc(l->domain, SOCK_STREAM, l->protocol);
    socket_set_net(s, l->net);

    s->ops = &tcp_ops;
    s->uid = l->uid;
    s->sndbuf = l->sndbuf;
    s->sndbuf_set = l->sndbuf_set;
    s->rcvbuf = l->rcvbuf;
    s->rcvlowat = l->rcvlowat;
    s->priority = l->priority;
    s->mark = l->mark;
    s->want = l->want;
    s->keepalive = l->keepalive;
    s->oobinline = l->oobinline;
    s->linger = l->linger;
    s->linger_time = l->linger_time;
    s->rcvtimeo = l->rcvtimeo;
    s->sndtimeo = l->sndtimeo;
    s->in = l->in;
    s->in.bound = s->in.in_conns = s->in.port_given = s->in.addr_given = s->in.by_connect = false;
    s->in.got_fin = s->in.was_reset = s->in.connect_reported = false;
    s->oob.urg = URG_NONE;
    s->oob.rx_seq = 0;
    s->in.defer = NULL;
    s->in.corked = NULL;
    s->in.local = c->in.remote;
    s->in.remote = c->in.local;
    s->in.local.family = s->in.remote.family = (u16)l->domain;
    s->peer = c;
    socket_get(c);
    established_locked(s);
    s->in.connected = true;
    mib_add(s->net, MIB_TCP_PASSIVE_OPENS, 1);
    inet_register(s);
    return s;
}

/* Of c, whom child (counted, NULL: nobody) or err answers. True: it is connected, else child is still the caller's. */
static bool finish_connect(struct socket *c, struct socket *child, int err)
{
    struct socket *drop = NULL;
    bool done = false;

    lock(&c->lock);
    if (c->state == ST_CONNECTING && !c->dead) {
        if (!child) {
            c->state = ST_CLOSE;
            c->err = err;
            if (err) {
                c->shut = SHUT_BOTH;           /* until connect(2) has told of it */
                mib_add(c->net, MIB_TCP_ATTEMPT_FAILS, 1);
            }
            tcp_done_locked(c);
        } else {
            established_locked(c);
            c->peer = child;
            done = true;
        }
    }
    drop = c->listener;
    c->listener = NULL;
    unlock(&c->lock);
    waitq_wake_all(&c->wq, TCP_ALL_EVENTS);
    if (drop) socket_put(drop);
    return done;
}

/* A place in l's queue is kept for child, the other end of c: into it, or it is as if it had never been. */
static void admit(struct socket *l, struct socket *c, struct socket *child)
{
    socket_get(child);             /* of the queue; the first one is c's, the third ours */
    socket_get(child);
    bool made = finish_connect(c, child, 0), deferred = false, queued = false;

    lock(&l->lock);
    bool listens = made && l->state == ST_LISTEN && !l->dead;
    if (listens) deferred = tcp_defer_locked(l, child);
    if (deferred) mib_add(l->net, MIB_TCP_DEFERRED, 1);
    if (listens && !deferred) {
        TAILQ_INSERT_TAIL(&l->acceptq, child, accept_link);
        queued = true;
    } else {
        l->naccept--;
    }
    unlock(&l->lock);
    if (queued) {
        waitq_wake(&l->wq, POLLIN | POLLRDNORM);
    } else if (deferred) {
        /* Data that came before it was held back. One that is held back wakes the listener when it can be accepted. */
        lock(&child->lock);
        bool ready = child->rx_count || child->in.got_fin;
        unlock(&child->lock);
        if (ready) tcp_defer_over(child);
    } else {
        if (made) {
            child->linger = true;  /* nobody listens any more: a reset */
            child->linger_time = 0;
            tcp_release(child);
        } else {
            tcp_vanish(child);
            socket_put(child);     /* that of c */
        }
        socket_put(child);
    }
    socket_put(child);
}

/* A place in the backlog became free: the longest waiting connection takes it. */
static void admit_pending(struct socket *l)
{
    for (;;) {
        struct socket *c = NULL, *child = NULL;
        lock(&l->lock);
        if (l->state == ST_LISTEN && l->naccept <= l->backlog && (c = TAILQ_FIRST(&l->pendq))) {
            TAILQ_REMOVE(&l->pendq, c, accept_link);
            child = make_child(l, c);
            l->naccept++;
        }
        unlock(&l->lock);
        if (!c) return;
        tcp_show_connect(c, true);
        admit(l, c, child);
        socket_put(c);
    }
}

void tcp_cancel_pending(struct socket *c)
{
    lock(&c->lock);
    struct socket *l = c->listener, *q;
    if (l) socket_get(l);
    unlock(&c->lock);
    if (!l) return;
    bool found = false;
    lock(&l->lock);
    TAILQ_FOREACH(q, &l->pendq, accept_link) if (q == c) found = true;
    if (found) TAILQ_REMOVE(&l->pendq, c, accept_link);
    unlock(&l->lock);
    if (found) {
        (void)finish_connect(c, NULL, 0);
        socket_put(c);
    }
    socket_put(l);
}


/* What an earlier connection between the same ends left at the other one: the new one ends it. tcp_timewait_state_process() */
static void clear_other_end(struct socket *c)
{
    struct socket *x;

    lock(&c->lock);
    lock(&port_lock);
    struct tcp_ends e = tcp_ends_of_locked(c), o = tcp_ends_turned(&e);
    struct tcp_tw *t = tcp_tw_find_locked(&o);
    if (t) tcp_tw_kill_locked(t);
    x = tcp_conn_find_locked(&o);
    if (x && (atomic_load(&x->state) != ST_ESTABLISHED || !ref_get_unless_zero(&x->refs))) x = NULL;
    unlock(&port_lock);
    unlock(&c->lock);
    if (x) {
        tcp_reset(x, ECONNRESET);
        socket_put(x);
    }
}

/* Starts it: outcome in c's state (still CONNECTING when the backlog is full). */
static void start_connect(struct socket *c)
{
    bool queued = false, reached;
    struct socket *l = tcp_reach(c, &reached), *child = NULL;

    if (!reached) {
        finish_connect(c, NULL, EHOSTUNREACH);
        return;
    }
    if (l) {
        clear_other_end(c);
        lock(&l->lock);
        if (l->state == ST_LISTEN && !l->dead) {
            if (l->naccept <= l->backlog) {
                child = make_child(l, c);
                l->naccept++;
            } else {
                /* c->listener is set before anybody can find c on the queue and clear it. */
                socket_get(c);
                socket_get(l);
                atomic_store(&c->listener, l);
                TAILQ_INSERT_TAIL(&l->pendq, c, accept_link);
                queued = true;
                mib_add(c->net, MIB_TCP_LISTEN_OVERFLOWS, 1);
            }
        }
        unlock(&l->lock);
    } else if (c->in.remote.in.port == c->in.local.in.port && ip_equal(c->in.remote.in.ip, c->in.local.in.ip)) {
        /* Simultaneous open, RFC 9293 3.5, of one. */
        socket_get(c);
        if (!finish_connect(c, c, 0)) socket_put(c);
        return;
    }
    if (!queued) tcp_show_connect(c, child);
    if (child) admit(l, c, child);
    else if (!queued) (void)finish_connect(c, NULL, ECONNREFUSED);
    if (l) socket_put(l);
}

static int begin_connect(struct socket *s, struct net_addr *to)
{
    struct net_addr old;
    u8 src[16];
    int r = inet_check_dest(s, to);

    if (r) return r;
    struct route_result way;
    if ((r = inet_route(s, NULL, to, &way))) return r;
    memcpy(src, way.src, sizeof src);
    enum route_kind kind = way.kind;
    route_put(&way);
    if (kind != ROUTE_LOCAL && kind != ROUTE_UNICAST) return -ENETUNREACH;
    if ((r = ktimer_service_start())) return r;
    lock(&s->lock);
    if (s->state != ST_CLOSE) {
        r = s->state == ST_LISTEN || s->state == ST_ESTABLISHED ? -EISCONN : -EALREADY;
    } else {
        old = s->in.local;
        if (ip_is_any(s->in.local.in.ip)) inet_set_local(s, src);
        s->in.remote = *to;
        s->in.remote.family = (u16)s->domain;
        r = inet_connect_port_locked(s);
        if (r) {
            inet_set_local(s, old.in.ip);
            memset(&s->in.remote.in, 0, sizeof s->in.remote.in);
        } else {
            s->state = ST_CONNECTING;
            s->shut = 0;
            s->err = 0;
            s->in.got_fin = s->in.was_reset = false;
            s->oob.urg = URG_NONE;
            s->oob.rx_seq = 0;
            s->in.connect_reported = false;
        }
    }
    unlock(&s->lock);
    if (!r) mib_add(s->net, MIB_TCP_ACTIVE_OPENS, 1);
    if (!r) start_connect(s);
    return r;
}

int tcp_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct net_addr to = *a;
    struct sock_wait sw;
    int r = 0;

    if (a->family == AF_UNSPEC && !a->truncated) return tcp_disconnect(s);
    lock(&s->lock);
    bool fresh = s->state == ST_CLOSE && (!s->in.remote.in.port || s->in.connect_reported);
    if (s->state == ST_LISTEN) r = -EISCONN;
    else if (s->state == ST_ESTABLISHED && s->in.connect_reported) r = -EISCONN;
    unlock(&s->lock);
    if (r) return r;
    if (fresh) {
        r = begin_connect(s, &to);
        if (r) return r;
        if (nonblock) return -EINPROGRESS;
    }
    sock_wait_init(&sw, POLLOUT, nonblock, s->sndtimeo);
    lock(&s->lock);
    while (s->state == ST_CONNECTING && !r) r = sock_wait(&sw, &s->lock, &s->wq);
    if (s->state == ST_ESTABLISHED) {
        r = 0;
        s->in.connect_reported = true;
        s->in.connected = true;
    } else if (s->state == ST_CLOSE) {
        r = sock_take_error_locked(s);
        if (!r) r = -ECONNABORTED;
        s->in.connect_reported = true;
        s->shut = 0;
        tcp_forget_route_locked(s);
    } else if (r == -EAGAIN) {
        r = nonblock ? -EALREADY : -EINPROGRESS;
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    return r;
}

int tcp_listen(struct socket *s, int backlog)
{
    int r;

    lock(&s->lock);
    enum sock_state st = s->state;
    unlock(&s->lock);
    if (st != ST_CLOSE && st != ST_LISTEN) return -EINVAL;
    if (st == ST_CLOSE) {
        if ((r = inet_autobind(s))) return -EADDRINUSE;
        if ((r = inet_listen_check(s))) return r;
    }
    lock(&s->lock);
    s->state = ST_LISTEN;
    s->shut = 0;
    s->backlog = (unsigned)backlog > NET_SOMAXCONN ? NET_SOMAXCONN : (unsigned)backlog;
    unlock(&s->lock);
    admit_pending(s);
    return 0;
}

int tcp_accept(struct socket *s, struct socket **out, bool nonblock)
{
    struct sock_wait sw;
    struct socket *c = NULL;
    int r = 0;

    sock_wait_init(&sw, POLLIN, nonblock, s->rcvtimeo);
    lock(&s->lock);
    while (!r) {
        if (s->state != ST_LISTEN) {
            r = -EINVAL;
            break;
        }
        if ((c = TAILQ_FIRST(&s->acceptq))) {
            TAILQ_REMOVE(&s->acceptq, c, accept_link);
            s->naccept--;
            break;
        }
        r = sock_wait(&sw, &s->lock, &s->wq);
    }
    bool more = s->naccept != 0;
    unlock(&s->lock);
    sock_wait_fini(&sw);
    if (c) {
        c->in.connect_reported = true;
        admit_pending(s);
    }
    if (more) waitq_wake(&s->wq, POLLIN | POLLRDNORM);
    *out = c;
    return r;
}

void tcp_stop_listening(struct socket *s)
{
    struct socket *c;

    tcp_defer_stop(s);
    for (;;) {
        lock(&s->lock);
        bool pending = false;
        if ((c = TAILQ_FIRST(&s->acceptq))) {
            TAILQ_REMOVE(&s->acceptq, c, accept_link);
            s->naccept--;
        } else if ((c = TAILQ_FIRST(&s->pendq))) {
            TAILQ_REMOVE(&s->pendq, c, accept_link);
            pending = true;
        }
        unlock(&s->lock);
        if (!c) return;
        if (pending) {
            (void)finish_connect(c, NULL, ECONNREFUSED);
        } else {
            c->linger = true;      /* not accepted: a reset */
            c->linger_time = 0;
            tcp_release(c);
        }
        socket_put(c);
    }
}
