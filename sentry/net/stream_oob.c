/*
 * Urgent data of byte streams: one byte and a mark in the stream. Source: tcp_check_urg() and tcp_recv_urg() of Linux for TCP,
 * queue_oob() and manage_oob() for AF_UNIX, which differ in what a receive that finds nothing is told.
 */
#include "sentry/net/socket.h"
#include "sentry/vfs/fasync.h"

void stream_consumed_locked(struct socket *s, u32 n)
{
    s->oob.rx_seq += n;
    if (s->oob.urg && s->oob.rx_seq > s->oob.urg_seq) s->oob.urg = URG_NONE;
}

void stream_urgent_locked(struct socket *s)
{
    struct sockbuf *b = TAILQ_LAST(&s->rx, sockbuf_queue);

    if (s->dead || !b || !b->len) return;
    /* A byte whose mark is replaced becomes ordinary data again. */
    s->oob.urg = URG_VALID;
    s->oob.urg_seq = s->oob.rx_seq + s->rx_bytes - 1;
    s->oob.urg_byte = b->data[b->off + b->len - 1];
    if (s->file) file_send_urgent(s->file);
    waitq_wake(&s->wq, POLLPRI);
}

ssize_t stream_recv_urgent(struct socket *s, struct net_msg *m)
{
    bool tcp = s->domain != AF_UNIX;
    ssize_t r = 0;

    lock(&s->lock);
    u8 state = s->oob.urg, byte = s->oob.urg_byte;
    if (s->oobinline || state != URG_VALID) {
        r = -EINVAL;
        if (tcp && !s->oobinline && !state && (s->state == ST_CLOSE || s->state == ST_LISTEN)) r = s->in.was_connected ? -EINVAL : -ENOTCONN;
    } else if (!(m->flags & MSG_PEEK)) {
        s->oob.urg = URG_READ;
    }
    unlock(&s->lock);
    if (r) return r;
    m->out_flags |= MSG_OOB;
    if (!m->u->resid) {
        if (!tcp) return -EFAULT;
        m->out_flags |= MSG_TRUNC;
        return 0;
    }
    if (!(m->flags & MSG_TRUNC)) r = uio_copy_out(m->u, &byte, 1);
    return r < 0 ? r : 1;
}
