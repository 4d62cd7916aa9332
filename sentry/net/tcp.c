/*
 * TCP between sockets of the sandbox: no segments, only states and two queues. What a program can see follows tcp(7):
 * a connection is made as soon as there is room in the backlog; closing with unread data, or SO_LINGER of 0, resets it;
 * writing to an end that is closed succeeds once and then fails.
 */
#include "sentry/net/tcp.h"
#include "sentry/kernel/task.h"
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

static struct socket *peer_get(struct socket *s)
{
    lock(&s->lock);
    struct socket *p = s->peer;
    if (p) socket_get(p);
    unlock(&s->lock);
    return p;
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
    if (!m->u->resid) {
        if (peer) socket_put(peer);
        return 0;
    }
    if (peer) {
        r = stream_send(s, peer, m, true, &gone);
        socket_put(peer);
    } else {
        /* The bytes go out to an end that was closed; the answer to them is a reset. */
        r = (ssize_t)MIN(m->u->resid, (u64)INT32_MAX);
        gone = true;
    }
    if (gone) tcp_refused(s);
    return r;
}

static ssize_t tcp_recvmsg(struct socket *s, struct net_msg *m)
{
    struct sock_wait sw;
    int r = 0;

    if (m->flags & MSG_ERRQUEUE) return -EAGAIN;
    if (m->flags & MSG_OOB) return stream_recv_urgent(s, m);
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

static void tcp_free(struct socket *s)
{
    inet_unbind(s);
    tcp_defer_free(s);
    tcp_cork_free(s);
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
        if (stream_at_mark_locked(s) && !s->oobinline) want++;
        if (s->rx_bytes && (s->rx_bytes >= want || (s->shut & SHUT_RCV))) m |= POLLIN | POLLRDNORM;
        if (s->oob.urg == URG_VALID) m |= POLLPRI;
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
        v = stream_at_mark_locked(s);
        unlock(&s->lock);
        return copy_out(arg, &v, sizeof v);
    case TIOCOUTQ:                 /* what was sent has arrived */
    case SIOCOUTQNSD:
        if (s->state == ST_LISTEN) return -EINVAL;
        v = (s32)tcp_held(s);
        return copy_out(arg, &v, sizeof v);
    default: return -ENOTTY;
    }
}

const struct sock_ops tcp_ops = {
    .bind = inet_bind, .connect = tcp_connect, .listen = tcp_listen, .accept = tcp_accept, .getname = inet_getname,
    .sendmsg = tcp_sendmsg, .recvmsg = tcp_recvmsg, .shutdown = tcp_shutdown, .poll = tcp_poll,
    .setopt = inet_setopt, .getopt = inet_getopt, .ioctl = tcp_ioctl, .release = tcp_release, .free = tcp_free,
};

