/* Datagrams received, the same for all families: each call takes one message, what does not fit is lost. recv(2) */
#include "sentry/kernel/task.h"
#include "sentry/net/socket.h"
#include <linux/errqueue.h>
#include <poll.h>
#include <string.h>

static void fill_meta(struct socket *s, struct net_msg *m, struct sockbuf *b)
{
    if (m->name && !(s->domain == AF_UNIX && !b->from.un.len)) *m->name = b->from;
    m->cred = b->cred;
    m->stamp = b->stamp;
    memcpy(m->to_ip, b->to_ip, 16);
    if (!s->host) m->ifindex = b->ifindex ? b->ifindex : 1;
    m->got_tos = b->tos;
    m->got_ttl = b->ttl;
    m->nl_group = b->nl_groups;
    m->len = b->len;
    m->full_len = b->full_len;
    m->net_off = b->net_off;
    m->got |= s->want & ~(u32)WANT_CRED;
    if ((s->want & WANT_CRED) && (s->domain == AF_UNIX || s->domain == AF_NETLINK)) m->got |= WANT_CRED;
    /* sock_recv_timestamp(): what comes with the message is not kept for SIOCGSTAMP. */
    if (b->stamp.tv_sec && !(s->want & (WANT_STAMP | WANT_STAMPNS))) {
        if (s->stamping) s->stamp = b->stamp;
        else if (!s->stamp.tv_sec) s->stamp.tv_sec = 1;
    }
}

static ssize_t copy_message(struct net_msg *m, struct sockbuf *b, u64 skip)
{
    size_t left = b->len - MIN((u64)b->len, skip), n = MIN((u64)left, m->u->resid);
    if (n < left) m->out_flags |= MSG_TRUNC;
    if (n) {
        ssize_t r = uio_copy_out(m->u, b->data + b->off + skip, n);
        if (r < (ssize_t)n) return -EFAULT;
    }
    return (ssize_t)(m->flags & MSG_TRUNC ? left : n);
}

static bool is_icmp(const struct sockbuf *e) { return e->error->origin == SO_EE_ORIGIN_ICMP || e->error->origin == SO_EE_ORIGIN_ICMP6; }

void dgram_queue_error(struct socket *s, struct sockbuf *e)
{
    e->charge = sockbuf_truesize(e->len);
    lock(&s->lock);
    bool room = !s->dead && (u64)atomic_load(&s->rmem) + e->charge < s->rcvbuf;
    if (room) {
        TAILQ_INSERT_TAIL(&s->errq, e, link);
        (void)atomic_add(&s->rmem, e->charge);
    }
    unlock(&s->lock);
    if (room) waitq_wake_all(&s->wq, POLLERR);
    else sockbuf_free(e);
}

/* MSG_ERRQUEUE: never blocks. */
static ssize_t recv_error(struct socket *s, struct net_msg *m)
{
    lock(&s->lock);
    struct sockbuf *b = TAILQ_FIRST(&s->errq), *next;
    if (b) {
        TAILQ_REMOVE(&s->errq, b, link);
        (void)atomic_add(&s->rmem, (u32)-b->charge);
        /* sock_dequeue_err_skb(): the pending error is that of the next one. */
        next = TAILQ_FIRST(&s->errq);
        if (next && is_icmp(next)) s->err = (int)next->error->err;
        else if (is_icmp(b)) s->err = 0;
    }
    unlock(&s->lock);
    if (!b) return -EAGAIN;
    m->error = *b->error;
    m->has_error = true;
    m->out_flags |= MSG_ERRQUEUE;
    if (m->name) *m->name = b->from;
    ssize_t r = copy_message(m, b, 0);
    sockbuf_free(b);
    return r;
}

ssize_t dgram_recvmsg(struct socket *s, struct net_msg *m)
{
    bool peek = m->flags & MSG_PEEK;
    struct sockbuf *b = NULL;
    struct sock_wait sw;
    ssize_t r = 0;
    u64 skip = 0;

    if (m->flags & MSG_ERRQUEUE) return recv_error(s, m);
    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    sock_wait_init(&sw, POLLIN, m->flags & MSG_DONTWAIT, s->rcvtimeo);
    lock(&s->lock);
    for (;;) {
        if (s->err) {
            r = sock_take_error_locked(s);
            break;
        }
        b = TAILQ_FIRST(&s->rx);
        if (peek && s->peek_off > 0) {
            skip = (u64)s->peek_off;
            while (b && skip >= b->len && skip) {
                skip -= b->len;
                b = TAILQ_NEXT(b, link);
            }
        }
        if (b) break;
        if (s->shut & SHUT_RCV) {
            /* The end is only for who would wait. */
            if ((m->flags & MSG_DONTWAIT) && s->type != SOCK_SEQPACKET) r = -EAGAIN;
            break;
        }
        r = sock_wait(&sw, &s->lock, &s->wq);
        if (r) break;
    }
    if (b && peek) {
        fill_meta(s, m, b);
        if (b->files) m->files = scm_files_dup(b->files);
        r = copy_message(m, b, skip);
        if (r > 0 && s->peek_off >= 0) s->peek_off += (int)MIN((u64)r, (u64)b->len);
    } else if (b) {
        fill_meta(s, m, b);
        sockbuf_take_locked(s, b);
        if (s->peek_off > 0) s->peek_off = MAX(0, s->peek_off - (int)b->len);
    }
    bool more = b && !peek && s->rx_count;
    if (b && !peek && s->domain == AF_UNIX && s->type == SOCK_DGRAM) {
        /* Those who found this queue full. */
        struct socket *c;
        LIST_FOREACH(c, &s->un.clients, un.client_link) waitq_wake_all(&c->wq, POLLOUT | POLLWRNORM | POLLWRBAND);
        waitq_wake_all(&s->wq, POLLOUT);
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    if (more) waitq_wake(&s->wq, POLLIN | POLLRDNORM);
    if (b && !peek) {
        r = copy_message(m, b, 0);
        m->files = b->files;
        b->files = NULL;
        sockbuf_free(b);
    }
    return r;
}

bool dgram_queue(struct socket *s, struct sockbuf *b)
{
    lock(&s->lock);
    bool room = !s->dead && atomic_load(&s->rmem) < s->rcvbuf;
    if (room) sockbuf_append_locked(s, b);
    unlock(&s->lock);
    if (room) waitq_wake(&s->wq, POLLIN | POLLRDNORM | POLLRDBAND);
    else sockbuf_free(b);
    return room;
}

void dgram_release(struct socket *s)
{
    struct sockbuf_queue rx = TAILQ_HEAD_INITIALIZER(rx);

    lock(&s->lock);
    s->dead = true;
    TAILQ_CONCAT(&rx, &s->rx, link);
    unlock(&s->lock);
    sockbuf_purge(&rx);
}

u32 dgram_poll_common(struct socket *s)
{
    u32 m = 0;

    if (s->err || !TAILQ_EMPTY(&s->errq)) m |= POLLERR;
    if (s->shut & SHUT_RCV) m |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (s->shut == SHUT_BOTH) m |= POLLHUP;
    if (!TAILQ_EMPTY(&s->rx)) m |= POLLIN | POLLRDNORM;
    return m;
}
