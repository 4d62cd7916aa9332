/*
 * TCP between sockets of the sandbox: no segments, only states and two queues. What a program can see follows tcp(7):
 * a connection is made as soon as there is room in the backlog; closing with unread data, or SO_LINGER of 0, resets it;
 * writing to an end that is closed succeeds once and then fails. Nothing stays in TIME_WAIT.
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/tcp_show.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/fasync.h"
#include <linux/sockios.h>
#include <string.h>

#define ALL_EVENTS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLHUP | POLLERR)
#define TCP_SNDBUF_CONNECTED 393216u

static struct socket *peer_get(struct socket *s)
{
    lock(&s->lock);
    struct socket *p = s->peer;
    if (p) socket_get(p);
    unlock(&s->lock);
    return p;
}

static void established_locked(struct socket *s)
{
    s->state = ST_ESTABLISHED;
    s->in.was_connected = true;
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
    s->in.bound = false;
    s->in.got_fin = s->in.was_reset = s->in.connect_reported = false;
    s->in.urg = URG_NONE;
    s->in.rx_seq = 0;
    s->in.defer = NULL;
    s->in.local = c->in.remote;
    s->in.remote = c->in.local;
    s->in.local.family = s->in.remote.family = (u16)l->domain;
    s->peer = c;
    socket_get(c);
    established_locked(s);
    s->in.connected = true;
    inet_register(s);
    return s;
}

/* l->lock held and there is room: queues the other end and lets c go on. c is CONNECTING. */
static struct socket *enqueue_child_locked(struct socket *l, struct socket *c)
{
    struct socket *child = make_child(l, c);
    socket_get(child);
    if (!tcp_defer_locked(l, child)) {
        TAILQ_INSERT_TAIL(&l->acceptq, child, accept_link);
        l->naccept++;
    }
    return child;
}

/* A reset reaches s. */
static void reset(struct socket *s, int err)
{
    lock(&s->lock);
    s->err = s->in.got_fin ? EPIPE : err;
    s->in.was_reset = true;
    s->shut = SHUT_BOTH;
    unlock(&s->lock);
    tcp_show_end(s, true);
    waitq_wake_all(&s->wq, ALL_EVENTS);
    tcp_defer_reset(s);
}

/* The other end will send no more. */
static void fin(struct socket *s)
{
    lock(&s->lock);
    s->in.got_fin = true;
    s->shut |= SHUT_RCV;
    unlock(&s->lock);
    tcp_show_end(s, false);
    waitq_wake_all(&s->wq, ALL_EVENTS);
    tcp_defer_over(s);
}

static void finish_connect(struct socket *c, struct socket *child, int err)
{
    struct socket *drop = NULL, *orphan = child;

    lock(&c->lock);
    if (c->state == ST_CONNECTING && !c->dead) {
        if (!child) {
            c->state = ST_CLOSE;
            c->err = err;
        } else {
            established_locked(c);
            c->peer = child;
            orphan = NULL;
        }
    }
    drop = c->listener;
    c->listener = NULL;
    unlock(&c->lock);
    waitq_wake_all(&c->wq, ALL_EVENTS);
    if (drop) socket_put(drop);
    if (orphan) {
        /* It was closed meanwhile: whoever accepts the other end finds the end of the stream. */
        fin(orphan);
        socket_put(orphan);
    }
}

/* A place in the backlog became free: the longest waiting connection takes it. */
static void admit_pending(struct socket *l)
{
    for (;;) {
        struct socket *c = NULL, *child = NULL;
        lock(&l->lock);
        if (l->state == ST_LISTEN && l->naccept <= l->backlog && (c = TAILQ_FIRST(&l->pendq))) {
            TAILQ_REMOVE(&l->pendq, c, accept_link);
            child = enqueue_child_locked(l, c);
        }
        unlock(&l->lock);
        if (!c) return;
        tcp_show_connect(c, true);
        finish_connect(c, child, 0);
        waitq_wake(&l->wq, POLLIN | POLLRDNORM);
        socket_put(c);
    }
}

/* Takes c off the queue of the listener it waits for. */
static void cancel_pending(struct socket *c)
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
        finish_connect(c, NULL, 0);
        socket_put(c);
    }
    socket_put(l);
}

/* Starts it: outcome in c's state (still CONNECTING when the backlog is full). */
static void start_connect(struct socket *c)
{
    struct socket *l = tcp_find_listener(c->net, c->in.remote.in.ip, c->in.remote.in.port), *child = NULL;
    bool queued = false, deferred = false;

    if (l) {
        lock(&l->lock);
        if (l->state == ST_LISTEN && !l->dead) {
            if (l->naccept <= l->backlog) {
                child = enqueue_child_locked(l, c);
                deferred = child->in.deferred;
            } else {
                /* c->listener is set before anybody can find c on the queue and clear it. */
                socket_get(c);
                socket_get(l);
                atomic_store(&c->listener, l);
                TAILQ_INSERT_TAIL(&l->pendq, c, accept_link);
                queued = true;
            }
        }
        unlock(&l->lock);
    }
    if (!queued) tcp_show_connect(c, child);
    if (!queued) finish_connect(c, child, child ? 0 : ECONNREFUSED);
    /* One that is held back wakes the listener when it can be accepted. */
    if (child && !deferred) waitq_wake(&l->wq, POLLIN | POLLRDNORM);
    if (l) socket_put(l);
}

static int disconnect(struct socket *s);

static int begin_connect(struct socket *s, struct net_addr *to)
{
    u8 src[16];
    int r = inet_check_dest(s, to);

    if (r) return r;
    if (!ip_is_loopback(to->in.ip)) return -ENETUNREACH;
    r = inet_autobind(s);
    if (r) return -EADDRNOTAVAIL;
    lock(&s->lock);
    if (s->state != ST_CLOSE) {
        r = s->state == ST_LISTEN || s->state == ST_ESTABLISHED ? -EISCONN : -EALREADY;
    } else {
        if (ip_is_any(s->in.local.in.ip)) {
            inet_source_for(to, src);
            inet_set_local(s, src);
        }
        s->in.remote = *to;
        s->in.remote.family = (u16)s->domain;
        s->state = ST_CONNECTING;
        s->shut = 0;
        s->in.got_fin = s->in.was_reset = false;
        s->in.urg = URG_NONE;
        s->in.rx_seq = 0;
        s->in.connect_reported = false;
    }
    unlock(&s->lock);
    if (!r) start_connect(s);
    return r;
}

static int tcp_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct net_addr to = *a;
    struct sock_wait sw;
    int r = 0;

    if (a->family == AF_UNSPEC && !a->truncated) return disconnect(s);
    lock(&s->lock);
    bool fresh = s->state == ST_CLOSE && !(s->err && s->in.remote.in.port && !s->in.connect_reported);
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
    } else if (r == -EAGAIN) {
        r = nonblock ? -EALREADY : -EINPROGRESS;
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    return r;
}

static int tcp_listen(struct socket *s, int backlog)
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

static int tcp_accept(struct socket *s, struct socket **out, bool nonblock)
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

/* --- urgent data, tcp_check_urg() and tcp_recv_urg() of Linux: one byte and a mark in the stream --- */

void tcp_consumed_locked(struct socket *s, u32 n)
{
    s->in.rx_seq += n;
    if (s->in.urg && s->in.rx_seq > s->in.urg_seq) s->in.urg = URG_NONE;
}

void tcp_urgent_locked(struct socket *s)
{
    struct sockbuf *b = TAILQ_LAST(&s->rx, sockbuf_queue);

    if (s->dead || !b || !b->len) return;
    /* A byte whose mark is replaced becomes ordinary data again. */
    s->in.urg = URG_VALID;
    s->in.urg_seq = s->in.rx_seq + s->rx_bytes - 1;
    s->in.urg_byte = b->data[b->off + b->len - 1];
    if (s->file) file_send_urgent(s->file);
    waitq_wake(&s->wq, POLLPRI);
}

static ssize_t recv_urgent(struct socket *s, struct net_msg *m)
{
    ssize_t r = 0;

    lock(&s->lock);
    u8 state = s->in.urg, byte = s->in.urg_byte;
    if (s->oobinline || state != URG_VALID) {
        r = -EINVAL;
        if (!s->oobinline && !state && (s->state == ST_CLOSE || s->state == ST_LISTEN)) r = s->in.was_connected ? -EINVAL : -ENOTCONN;
    } else if (!(m->flags & MSG_PEEK)) {
        s->in.urg = URG_READ;
    }
    unlock(&s->lock);
    if (r) return r;
    m->out_flags |= MSG_OOB;
    if (!m->u->resid) {
        m->out_flags |= MSG_TRUNC;
        return 0;
    }
    if (!(m->flags & MSG_TRUNC)) r = uio_copy_out(m->u, &byte, 1);
    return r < 0 ? r : 1;
}

static ssize_t tcp_sendmsg(struct socket *s, struct net_msg *m)
{
    bool gone = false, nonblock = m->flags & MSG_DONTWAIT;
    struct sock_wait sw;
    ssize_t r = 0;

    if ((m->flags & MSG_FASTOPEN) && m->name) {
        r = net_connect(s, m->name, nonblock); /* with its checks */
        if (r) return r;
    }
    sock_wait_init(&sw, POLLOUT, nonblock, s->sndtimeo);
    lock(&s->lock);
    while (!r && s->state == ST_CONNECTING) r = sock_wait(&sw, &s->lock, &s->wq);
    if (!r) {
        if (s->err) r = sock_take_error_locked(s);
        else if (s->state != ST_ESTABLISHED || (s->shut & SHUT_SND)) r = -EPIPE;
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    if (r) return r;
    struct socket *peer = peer_get(s);
    if (!peer) return -EPIPE;
    if (m->u->resid) r = stream_send(s, peer, m, true, &gone);
    if (gone) reset(s, ECONNRESET);
    socket_put(peer);
    return r;
}

static ssize_t tcp_recvmsg(struct socket *s, struct net_msg *m)
{
    struct sock_wait sw;
    int r = 0;

    if (m->flags & MSG_ERRQUEUE) return -EAGAIN;
    if (m->flags & MSG_OOB) return recv_urgent(s, m);
    if (s->state == ST_CONNECTING) {
        sock_wait_init(&sw, POLLIN, m->flags & MSG_DONTWAIT, s->rcvtimeo);
        lock(&s->lock);
        while (!r && s->state == ST_CONNECTING) r = sock_wait(&sw, &s->lock, &s->wq);
        unlock(&s->lock);
        sock_wait_fini(&sw);
        if (r) return r;
    }
    return stream_recvmsg(s, m);
}

/* Refuses everybody who waits at a listener that goes or stops. */
static void stop_listening(struct socket *s)
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
            finish_connect(c, NULL, ECONNREFUSED);
        } else {
            c->linger = true;      /* not accepted: a reset */
            c->linger_time = 0;
            tcp_ops.release(c);
        }
        socket_put(c);
    }
}

static int tcp_shutdown(struct socket *s, u32 which)
{
    lock(&s->lock);
    enum sock_state st = s->state;
    bool over = s->shut == SHUT_BOTH && s->err == 0 && !s->peer;
    struct socket *p = NULL;
    if (st == ST_LISTEN && (which & SHUT_RCV)) {
        s->state = ST_CLOSE;
    } else if (st == ST_CLOSE) {
        s->shut |= (u8)which;      /* refused, yet remembered */
    } else if (st == ST_ESTABLISHED && !over) {
        bool first = !(s->shut & SHUT_SND);
        s->shut |= (u8)which;
        if ((which & SHUT_SND) && first && (p = s->peer)) socket_get(p);
    }
    unlock(&s->lock);
    if (st == ST_CONNECTING) {
        cancel_pending(s);
        lock(&s->lock);
        s->state = ST_CLOSE;
        unlock(&s->lock);
    }
    if (st == ST_LISTEN && (which & SHUT_RCV)) stop_listening(s);
    if (p) {
        fin(p);
        socket_put(p);
    }
    waitq_wake_all(&s->wq, ALL_EVENTS);
    return st == ST_CLOSE || over ? -ENOTCONN : 0;
}

/* Leaves the connection. abort: with a reset in any case. */
static void leave(struct socket *s, bool abort)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);

    cancel_pending(s);
    lock(&s->lock);
    struct socket *p = s->peer;
    s->peer = NULL;
    bool linger0 = s->linger && !s->linger_time, fin_sent = s->shut & SHUT_SND;
    TAILQ_CONCAT(&rx, &s->rx, link);
    s->rx_bytes = s->rx_count = 0;
    s->state = ST_CLOSE;
    unlock(&s->lock);
    if (p) {
        if (abort || linger0 || !TAILQ_EMPTY(&rx)) reset(p, ECONNRESET);
        else if (!fin_sent) fin(p);
        /* Whoever waits for room in our queue must look. */
        waitq_wake_all(&p->wq, ALL_EVENTS);
        socket_put(p);
    }
    sockbuf_purge(&rx);
}

static int disconnect(struct socket *s)
{
    lock(&s->lock);
    bool listening = s->state == ST_LISTEN, given = s->in.port_given;
    if (listening) s->state = ST_CLOSE;
    unlock(&s->lock);
    if (listening) stop_listening(s);
    else leave(s, true);
    if (!given) inet_unbind(s);
    lock(&s->lock);
    s->shut = 0;
    s->err = 0;
    s->in.connected = s->in.was_connected = s->in.got_fin = s->in.connect_reported = false;
    memset(&s->in.remote.in, 0, sizeof s->in.remote.in);
    unlock(&s->lock);
    waitq_wake_all(&s->wq, ALL_EVENTS);
    return 0;
}

static void tcp_release(struct socket *s)
{
    lock(&s->lock);
    atomic_store(&s->dead, true);
    bool listening = s->state == ST_LISTEN;
    if (listening) s->state = ST_CLOSE;
    unlock(&s->lock);
    inet_unbind(s);
    if (listening) stop_listening(s);
    else leave(s, false);
    waitq_wake_all(&s->wq, ALL_EVENTS);
}

static void tcp_free(struct socket *s)
{
    inet_unbind(s);
    tcp_defer_free(s);
    if (s->peer) socket_put(s->peer);
}

static u32 tcp_poll(struct socket *s)
{
    u32 m = 0;

    if (s->state == ST_LISTEN) return s->naccept ? POLLIN | POLLRDNORM : 0;
    if (s->shut == SHUT_BOTH || s->state == ST_CLOSE) m |= POLLHUP;
    if (s->shut & SHUT_RCV) m |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (s->state != ST_CONNECTING) {
        size_t want = (size_t)s->rcvlowat;
        if (s->in.urg && s->in.urg_seq == s->in.rx_seq && !s->oobinline) want++;
        if (s->rx_bytes && (s->rx_bytes >= want || (s->shut & SHUT_RCV))) m |= POLLIN | POLLRDNORM;
        if (s->in.urg == URG_VALID) m |= POLLPRI;
        if ((s->shut & SHUT_SND) || stream_writable(s)) {
            m |= POLLOUT | POLLWRNORM;
        } else {
            atomic_store(&s->nospace, true);
            if (stream_writable(s)) m |= POLLOUT | POLLWRNORM;
        }
    }
    if (s->err) m |= POLLERR;
    return m;
}

static sysret_t tcp_ioctl(struct socket *s, u32 cmd, gaddr_t arg)
{
    s32 v;
    switch (cmd) {
    case SIOCATMARK:
        if (s->state == ST_LISTEN) return -EINVAL;
        lock(&s->lock);
        v = s->in.urg && s->in.urg_seq == s->in.rx_seq;
        unlock(&s->lock);
        return copy_out(arg, &v, sizeof v);
    case SIOCOUTQNSD:
        if (s->state == ST_LISTEN) return -EINVAL;
        v = 0;
        return copy_out(arg, &v, sizeof v);
    default: return -ENOTTY;
    }
}

const struct sock_ops tcp_ops = {
    .bind = inet_bind, .connect = tcp_connect, .listen = tcp_listen, .accept = tcp_accept, .getname = inet_getname,
    .sendmsg = tcp_sendmsg, .recvmsg = tcp_recvmsg, .shutdown = tcp_shutdown, .poll = tcp_poll,
    .setopt = inet_setopt, .getopt = inet_getopt, .ioctl = tcp_ioctl, .release = tcp_release, .free = tcp_free,
};
