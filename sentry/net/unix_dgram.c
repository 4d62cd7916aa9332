/* AF_UNIX datagrams; seqpacket sends through here as well. unix(7) */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/filter.h"
#include "sentry/landlock/landlock.h"
#include "sentry/net/unix.h"

/* Off the list of those connected to the peer. */
void unix_dgram_unlink(struct socket *s)
{
    struct socket *p = unix_peer_get(s);
    if (!p) return;
    lock(&p->lock);
    if (s->un.client_linked) {
        LIST_REMOVE(s, un.client_link);
        s->un.client_linked = false;
    }
    unlock(&p->lock);
    socket_put(p);
}

static bool may_send(struct socket *s, struct socket *other)
{
    struct socket *p = atomic_load(&other->peer);
    return !p || p == s;
}

/* The connection ends: messages from the old peer are lost, and it is told if it was connected to us. */
static void disconnected(struct socket *s, struct socket *old)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);
    lock(&s->lock);
    TAILQ_CONCAT(&rx, &s->rx, link);
    s->rx_bytes = s->rx_count = 0;
    unlock(&s->lock);
    if (!TAILQ_EMPTY(&rx) && !atomic_load(&old->dead) && atomic_load(&old->peer) == s) sock_set_error(old, ECONNRESET);
    sockbuf_purge(&rx);
}

/* Replaces the peer; consumes the reference of other (NULL: none). */
static void set_peer(struct socket *s, struct socket *other)
{
    unix_dgram_unlink(s);
    lock(&s->lock);
    struct socket *old = s->peer;
    s->peer = other;
    s->state = other ? ST_ESTABLISHED : ST_CLOSE;
    unlock(&s->lock);
    if (other && other != s) {
        lock(&other->lock);
        if (!s->un.client_linked && !other->dead) {
            LIST_INSERT_HEAD(&other->un.clients, s, un.client_link);
            s->un.client_linked = true;
        }
        unlock(&other->lock);
    }
    if (old) {
        if (old != other) disconnected(s, old);
        socket_put(old);
    }
    waitq_wake_all(&s->wq, POLLOUT | POLLWRNORM);
}

int unix_dgram_connect(struct socket *s, const struct net_addr *a, bool nonblock UNUSED)
{
    struct socket *other = NULL;
    int r;

    if (a->family == AF_UNSPEC) {
        set_peer(s, NULL);
        return 0;
    }
    if (a->family != AF_UNIX || a->truncated || !a->un.len) return -EINVAL;
    if ((s->want & WANT_CRED) && !s->un.name.un.len && (r = unix_autobind(s))) return r;
    r = unix_find(s, a, &other);
    if (r) return r;
    if (other->dead) r = -ECONNREFUSED;
    else if (!may_send(s, other)) r = -EPERM;
    else r = ll_unix(other);
    if (r) {
        socket_put(other);
        return r;
    }
    set_peer(s, other);
    return 0;
}

/* The receiver, counted. */
static int find_target(struct socket *s, struct net_msg *m, struct socket **out)
{
    if (m->name && m->name->family != AF_UNSPEC) {
        if (m->name->family != AF_UNIX || m->name->truncated || !m->name->un.len) return -EINVAL;
        return unix_find(s, m->name, out);
    }
    *out = unix_peer_get(s);
    return *out ? 0 : -ENOTCONN;
}

/* Waits until the sender may have more in flight. */
static int wait_sndbuf(struct socket *s, bool nonblock)
{
    struct sock_wait sw;
    int r = 0;

    sock_wait_init(&sw, POLLOUT, nonblock, s->sndtimeo);
    lock(&s->lock);
    while (!r) {
        if (s->err) r = sock_take_error_locked(s);
        else if (s->shut & SHUT_SND) r = -EPIPE;
        else if (atomic_load(&s->wmem) < s->sndbuf) break;
        else r = sock_wait(&sw, &s->lock, &s->wq);
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    return r;
}

/* Appends b to other's queue, waiting for room there. */
static int deliver(struct socket *s, struct socket *other, struct sockbuf *b, bool nonblock)
{
    bool bounded = s->type == SOCK_DGRAM && other != s && atomic_load(&other->peer) != s;
    struct sock_wait sw;
    int r = 0;

    sock_wait_init(&sw, POLLOUT, nonblock, s->sndtimeo);
    lock(&other->lock);
    while (!r) {
        if (other->dead) r = s->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
        else if (s->type == SOCK_DGRAM && !may_send(s, other)) r = -EPERM;
        else if (other->shut & SHUT_RCV) r = -EPIPE;
        else if (!bounded || other->rx_count <= UNIX_DGRAM_QLEN) break;
        else r = sock_wait(&sw, &other->lock, &other->wq);
    }
    if (!r) sockbuf_append_locked(other, b);
    unlock(&other->lock);
    sock_wait_fini(&sw);
    return r;
}

static ssize_t unix_dgram_sendmsg(struct socket *s, struct net_msg *m)
{
    bool nonblock = m->flags & MSG_DONTWAIT;
    u64 n = m->u->resid;
    struct socket *other;
    ssize_t r;

    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    if (n > atomic_load(&s->sndbuf) - 32) return -EMSGSIZE;
    r = find_target(s, m, &other);
    if (r) return r;
    if (m->name && other != atomic_load(&s->peer) && (r = ll_unix(other))) {
        socket_put(other);
        return r;
    }
    if ((s->want & WANT_CRED) && !s->un.name.un.len && s->type == SOCK_DGRAM) r = unix_autobind(s);
    if (!r) r = wait_sndbuf(s, nonblock);
    struct sockbuf *b = r ? NULL : sockbuf_new(n);
    if (!r && !b) r = -ENOBUFS;
    if (!r && n && uio_copy_in(m->u, b->data, n) < (ssize_t)n) r = -EFAULT;
    if (!r && m->files) r = scm_files_send(m->files);
    if (!r) {
        unix_fill_cred(s, other, m);
        b->len = (u32)n;
        b->cred = m->cred;
        b->from = s->un.name;
        b->from.family = AF_UNIX;
        clock_gettime(CLOCK_REALTIME, &b->stamp);
        sockbuf_charge(b, s, sockbuf_truesize(n));
        u32 keep = filter_run_plain(other, b->data, b->len, 0);
        if (!keep) {               /* lost, and the sender is not told */
            sockbuf_free(b);
            socket_put(other);
            return (ssize_t)n;
        }
        b->len = MIN(b->len, keep);
        if (other->un.sink) {      /* descriptors that came along go back with the message */
            r = other->un.sink(b->data, b->len);
            sockbuf_free(b);
            socket_put(other);
            return r ? r : (ssize_t)n;
        }
        b->files = m->files;
        r = deliver(s, other, b, nonblock);
        if (!r) m->files = NULL;
        else b->files = NULL;
    }
    if (r) {
        sockbuf_free(b);
        /* A connection to one that is gone ends with the first message. */
        if (r == -ECONNREFUSED && s->type == SOCK_DGRAM && atomic_load(&s->peer) == other && atomic_load(&other->dead)) set_peer(s, NULL);
    } else {
        waitq_wake(&other->wq, POLLIN | POLLRDNORM | POLLRDBAND);
    }
    socket_put(other);
    return r ? r : (ssize_t)n;
}

static u32 unix_dgram_poll(struct socket *s)
{
    u32 m = dgram_poll_common(s);
    struct socket *p = s->peer;
    bool full = p && p != s && !atomic_load(&p->dead) && atomic_load(&p->peer) != s && atomic_load(&p->rx_count) > UNIX_DGRAM_QLEN;

    if (stream_writable(s) && !full) m |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return m;
}

int unix_sink_bind(const char *path, int (*sink)(const u8 *data, u32 len))
{
    struct net_addr a = { .family = AF_UNIX };
    struct socket *s;
    size_t len = strlen(path);

    if (len >= sizeof(a.un.path)) return -ENAMETOOLONG;
    memcpy(a.un.path, path, len + 1);
    a.un.len = (u8)(len + 1);
    int r = net_socket(AF_UNIX, SOCK_DGRAM, 0, &s);
    if (r) return r;
    s->un.sink = sink;
    r = unix_bind(s, &a);
    if (r) {
        s->ops->release(s);
        socket_put(s);
    }
    return r;
}

const struct sock_ops unix_dgram_ops = {
    .bind = unix_bind, .connect = unix_dgram_connect, .getname = unix_getname, .sendmsg = unix_dgram_sendmsg,
    .recvmsg = dgram_recvmsg, .shutdown = unix_shutdown, .poll = unix_dgram_poll, .release = unix_release, .free = unix_free,
};
