/* AF_UNIX: connections (stream and seqpacket), and what all its types share. unix(7), net/unix/af_unix.c */
#include "sentry/landlock/landlock.h"
#include "sentry/net/unix.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <string.h>

#define ALL_EVENTS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLHUP | POLLERR)

struct net_cred unix_current_cred(void)
{
    const struct cred *c = current_cred();
    return (struct net_cred){ current->tg->tgid, c->euid, c->egid };
}

/* Credentials go along only when one side asked for them before the message was sent. */
void unix_fill_cred(struct socket *s, struct socket *peer, struct net_msg *m)
{
    if (m->has_cred) return;
    if ((s->want & WANT_CRED) || (peer && (atomic_load(&peer->want) & WANT_CRED))) {
        const struct cred *c = current_cred();
        m->cred = (struct net_cred){ current->tg->tgid, c->uid, c->gid };
    } else {
        m->cred = (struct net_cred){ 0, 65534, 65534 };
    }
}

struct socket *unix_peer_get(struct socket *s)
{
    lock(&s->lock);
    struct socket *p = s->peer;
    if (p) socket_get(p);
    unlock(&s->lock);
    return p;
}

int unix_getname(struct socket *s, struct net_addr *out, bool peer)
{
    struct socket *p = peer ? unix_peer_get(s) : s;

    if (!p) return -ENOTCONN;
    lock(&p->lock);
    *out = p->un.name;
    unlock(&p->lock);
    out->family = AF_UNIX;
    if (peer) socket_put(p);
    return 0;
}

static void set_peercred(struct socket *s, const struct net_cred *c, const u32 *groups, unsigned n)
{
    free(s->peer_groups);
    s->peercred = *c;
    s->has_peercred = true;
    s->peer_ngroups = n;
    s->peer_groups = n ? xzalloc(n * sizeof(u32)) : NULL;
    if (n) memcpy(s->peer_groups, groups, n * sizeof(u32));
}

static void set_peercred_current(struct socket *s)
{
    struct net_cred c = unix_current_cred();
    set_peercred(s, &c, current_cred()->groups, current_cred()->ngroups);
}

static int unix_listen(struct socket *s, int backlog)
{
    int r = 0;

    if (s->type == SOCK_DGRAM) return -EOPNOTSUPP;
    lock(&s->lock);
    if (!s->un.name.un.len || (s->state != ST_CLOSE && s->state != ST_LISTEN)) {
        r = -EINVAL;
    } else {
        s->state = ST_LISTEN;
        s->backlog = (unsigned)backlog > NET_SOMAXCONN ? NET_SOMAXCONN : (unsigned)backlog;
        set_peercred_current(s);
    }
    unlock(&s->lock);
    if (!r) waitq_wake_all(&s->wq, POLLOUT);
    return r;
}

/* Waits for room and joins the listener's queue. */
static int join_listener(struct socket *other, struct socket *child, bool nonblock, ktime_t timeo)
{
    struct sock_wait sw;
    int r = 0;

    sock_wait_init(&sw, POLLOUT, nonblock, timeo);
    lock(&other->lock);
    for (;;) {
        if (other->dead || other->state != ST_LISTEN || (other->shut & SHUT_RCV)) {
            r = -ECONNREFUSED;
            break;
        }
        if (other->naccept <= other->backlog) break;
        r = sock_wait(&sw, &other->lock, &other->wq);
        if (r) break;
    }
    if (!r) {
        child->un.name = other->un.name;
        child->want = other->want;
        TAILQ_INSERT_TAIL(&other->acceptq, child, accept_link);
        other->naccept++;
        socket_get(child);
    }
    unlock(&other->lock);
    sock_wait_fini(&sw);
    if (!r) waitq_wake(&other->wq, POLLIN | POLLRDNORM);
    return r;
}

static int unix_stream_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct socket *other, *child;
    int r;

    if (a->family != AF_UNIX || a->truncated || !a->un.len) return -EINVAL;
    if ((s->want & WANT_CRED) && !s->un.name.un.len && (r = unix_autobind(s))) return r;
    r = unix_find(s, a, &other);
    if (r) return r;
    lock(&other->lock);
    if (other->dead || other->state != ST_LISTEN) r = -ECONNREFUSED;
    else r = ll_unix(other);
    struct net_cred theirs = other->peercred;
    AUTO_FREE u32 *groups = NULL;
    unsigned ngroups = other->peer_ngroups;
    if (!r && ngroups) {
        groups = xzalloc(ngroups * sizeof(u32));
        memcpy(groups, other->peer_groups, ngroups * sizeof(u32));
    }
    unlock(&other->lock);
    if (!r) {
        lock(&s->lock);
        if (s->state == ST_ESTABLISHED) r = -EISCONN;
        else if (s->state != ST_CLOSE) r = -EINVAL;
        else s->state = ST_CONNECTING;
        unlock(&s->lock);
    }
    if (r) {
        socket_put(other);
        return r;
    }
    child = socket_alloc(AF_UNIX, s->type, s->protocol);
    child->ops = s->ops;
    LIST_INIT(&child->un.clients);
    child->state = ST_ESTABLISHED;
    child->peer = s;
    socket_get(s);
    set_peercred_current(child);
    r = join_listener(other, child, nonblock, s->sndtimeo);
    lock(&s->lock);
    s->state = r ? ST_CLOSE : ST_ESTABLISHED;
    if (!r) {
        s->peer = child;     /* takes over our reference */
        set_peercred(s, &theirs, groups, ngroups);
    }
    unlock(&s->lock);
    if (r) {
        child->peer = NULL;
        socket_put(s);
        socket_put(child);
    }
    socket_put(other);
    if (!r) waitq_wake_all(&s->wq, POLLOUT | POLLWRNORM);
    return r;
}

static int unix_accept(struct socket *s, struct socket **out, bool nonblock)
{
    struct sock_wait sw;
    struct socket *c = NULL;
    int r = 0;

    sock_wait_init(&sw, POLLIN, nonblock, s->rcvtimeo);
    lock(&s->lock);
    while (!r) {
        if (s->state != ST_LISTEN || (s->shut & SHUT_RCV)) {
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
    if (c) waitq_wake_all(&s->wq, POLLOUT);
    if (more) waitq_wake(&s->wq, POLLIN | POLLRDNORM);
    *out = c;
    return r;
}

static int count_files(struct net_msg *m) { return m->files ? scm_files_send(m->files) : 0; }

static ssize_t unix_stream_sendmsg(struct socket *s, struct net_msg *m)
{
    bool gone;
    ssize_t r;

    if ((m->flags & MSG_OOB) && !m->u->resid) return -EOPNOTSUPP;
    if (m->name && m->name->family != AF_UNSPEC) return s->state == ST_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
    struct socket *peer = unix_peer_get(s);
    if (!peer || s->state != ST_ESTABLISHED) {
        if (peer) socket_put(peer);
        return -ENOTCONN;
    }
    lock(&s->lock);
    bool closed = s->shut & SHUT_SND;
    unlock(&s->lock);
    unix_fill_cred(s, peer, m);
    r = closed ? -EPIPE : count_files(m);
    if (!r) r = stream_send(s, peer, m, false, &gone);
    socket_put(peer);
    return r;
}

int unix_shutdown(struct socket *s, u32 which)
{
    lock(&s->lock);
    s->shut |= (u8)which;
    struct socket *p = s->type != SOCK_DGRAM ? s->peer : NULL;
    if (p) socket_get(p);
    unlock(&s->lock);
    if (p) {
        lock(&p->lock);
        p->shut |= (u8)((which & SHUT_RCV ? SHUT_SND : 0) | (which & SHUT_SND ? SHUT_RCV : 0));
        unlock(&p->lock);
        waitq_wake_all(&p->wq, ALL_EVENTS);
        socket_put(p);
    }
    waitq_wake_all(&s->wq, ALL_EVENTS);
    return 0;
}

/* Tells the other end of a connection. reset: unread data are lost with us. */
static void disconnect_peer(struct socket *p, bool reset)
{
    lock(&p->lock);
    p->shut = SHUT_BOTH;
    if (reset) p->err = ECONNRESET;
    unlock(&p->lock);
    waitq_wake_all(&p->wq, ALL_EVENTS);
}

static void release(struct socket *s, bool embryo)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);
    TAILQ_HEAD(, socket) acceptq = TAILQ_HEAD_INITIALIZER(acceptq);
    struct socket *c;

    unix_unbind(s);
    if (s->type == SOCK_DGRAM) unix_dgram_unlink(s);
    lock(&s->lock);
    s->dead = true;
    s->shut = SHUT_BOTH;
    s->state = ST_CLOSE;
    struct socket *p = s->peer;
    s->peer = NULL;
    TAILQ_CONCAT(&rx, &s->rx, link);
    s->rx_bytes = s->rx_count = 0;
    TAILQ_CONCAT(&acceptq, &s->acceptq, accept_link);
    s->naccept = 0;
    if (s->type == SOCK_DGRAM)
        LIST_FOREACH(c, &s->un.clients, un.client_link) waitq_wake_all(&c->wq, ALL_EVENTS);
    unlock(&s->lock);
    waitq_wake_all(&s->wq, ALL_EVENTS);
    if (p) {
        if (s->type != SOCK_DGRAM) disconnect_peer(p, embryo || !TAILQ_EMPTY(&rx));
        socket_put(p);
    }
    while ((c = TAILQ_FIRST(&acceptq))) {
        TAILQ_REMOVE(&acceptq, c, accept_link);
        release(c, true);
        socket_put(c);
    }
    sockbuf_purge(&rx);
}

void unix_release(struct socket *s)
{
    release(s, false);
    scm_collect();
}

void unix_free(struct socket *s)
{
    if (s->peer) socket_put(s->peer);
}

static u32 unix_stream_poll(struct socket *s)
{
    u32 m = dgram_poll_common(s);

    if (s->naccept) m |= POLLIN | POLLRDNORM;
    if (s->state == ST_CLOSE) m |= POLLHUP;
    if (s->oob.urg == URG_VALID) m |= POLLPRI;
    if (stream_writable(s)) m |= POLLOUT | POLLWRNORM | POLLWRBAND;
    else atomic_store(&s->nospace, true);
    return m;
}

static ssize_t unix_stream_recvmsg(struct socket *s, struct net_msg *m)
{
    if (m->flags & MSG_OOB) return stream_recv_urgent(s, m);
    ssize_t n = stream_recvmsg(s, m);
    struct net_addr from;
    /* unix_copy_addr(): the other end's name, if it has one; also after that has closed. */
    if (n > 0 && m->name && !unix_getname(s, &from, true) && from.un.len) *m->name = from;
    return n;
}

const struct sock_ops unix_stream_ops = {
    .bind = unix_bind, .connect = unix_stream_connect, .listen = unix_listen, .accept = unix_accept, .getname = unix_getname,
    .sendmsg = unix_stream_sendmsg, .recvmsg = unix_stream_recvmsg, .shutdown = unix_shutdown, .poll = unix_stream_poll,
    .release = unix_release, .free = unix_free,
};

/* seqpacket: connections of a stream, messages of datagrams. */
static ssize_t seqpacket_sendmsg(struct socket *s, struct net_msg *m)
{
    struct net_msg copy = *m;
    lock(&s->lock);
    int r = sock_take_error_locked(s);
    if (!r && s->state != ST_ESTABLISHED) r = -ENOTCONN;
    unlock(&s->lock);
    if (r) return r;
    copy.name = NULL;
    ssize_t n = unix_dgram_ops.sendmsg(s, &copy);
    m->files = copy.files;
    return n;
}

static ssize_t seqpacket_recvmsg(struct socket *s, struct net_msg *m)
{
    return s->state == ST_ESTABLISHED ? unix_dgram_ops.recvmsg(s, m) : -ENOTCONN;
}

const struct sock_ops unix_seqpacket_ops = {
    .bind = unix_bind, .connect = unix_stream_connect, .listen = unix_listen, .accept = unix_accept, .getname = unix_getname,
    .sendmsg = seqpacket_sendmsg, .recvmsg = seqpacket_recvmsg, .shutdown = unix_shutdown, .poll = unix_stream_poll,
    .release = unix_release, .free = unix_free,
};

int unix_create(struct socket *s)
{
    if (s->protocol && s->protocol != AF_UNIX) return -EPROTONOSUPPORT;
    switch (s->type) {
    case SOCK_STREAM: s->ops = &unix_stream_ops; break;
    case SOCK_RAW: s->type = SOCK_DGRAM; /* fall through */
    case SOCK_DGRAM: s->ops = &unix_dgram_ops; break;
    case SOCK_SEQPACKET: s->ops = &unix_seqpacket_ops; break;
    default: return -ESOCKTNOSUPPORT;
    }
    s->protocol = 0;
    LIST_INIT(&s->un.clients);
    return 0;
}

int net_socketpair(int domain, int type, int protocol, struct socket *out[2])
{
    struct socket *a, *b;
    int r = net_socket(domain, type, protocol, &a);

    if (r) return r;
    if (domain != AF_UNIX) {
        a->ops->release(a);
        socket_put(a);
        return -EOPNOTSUPP;
    }
    r = net_socket(domain, type, protocol, &b);
    if (r) {
        socket_put(a);
        return r;
    }
    a->peer = b;
    b->peer = a;
    socket_get(a);
    socket_get(b);
    a->state = b->state = ST_ESTABLISHED;
    set_peercred_current(a);
    set_peercred_current(b);
    out[0] = a;
    out[1] = b;
    return 0;
}
