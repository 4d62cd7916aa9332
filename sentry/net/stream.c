/*
 * Byte streams between two sockets of the sandbox, for AF_UNIX and TCP. Bytes go from the writer's pages into a buffer in
 * the reader's queue and from there to the reader's pages. What is in flight is charged to the writer.
 * Source: unix(7), tcp(7), net/unix/af_unix.c and net/ipv4/tcp.c for the order of checks.
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/tcp.h"
#include "sentry/net/tcp_show.h"

#define CHUNK_MAX 32768u
#define CHUNK_SMALL 2048u            /* below: room is left behind, for more of the kind */

size_t stream_limit(const struct socket *s, const struct socket *peer)
{
    size_t n = atomic_load(&s->sndbuf);
    return s->domain == AF_UNIX || !peer ? n : n + atomic_load(&peer->rcvbuf);
}

/* TCP asks without the peer: its receive buffer is as ours. */
bool stream_writable(struct socket *s)
{
    u64 used = atomic_load(&s->wmem), limit = (u64)atomic_load(&s->sndbuf);
    if (s->domain == AF_UNIX) return s->state != ST_LISTEN && used * 4 <= limit;
    return used * 3 <= limit * 2;
}

static bool cred_same(const struct net_cred *a, const struct net_cred *b)
{
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

static u32 charge_of(size_t n, bool tcp) { return tcp ? (u32)n : sockbuf_truesize(n); }

/* net_timestamp_check(): only for who has asked, when it comes. */
static void stamp_locked(const struct socket *peer, struct sockbuf *b)
{
    if (peer->want & (WANT_STAMP | WANT_STAMPNS)) clock_gettime(CLOCK_REALTIME, &b->stamp);
}

/* Few bytes behind the last buffer, if they fit. Bytes or 0; -EFAULT. */
static ssize_t append_small_locked(struct socket *s, struct socket *peer, struct net_msg *m, const struct net_cred *c)
{
    struct sockbuf *t = TAILQ_LAST(&peer->rx, sockbuf_queue);
    u64 n = m->u->resid;
    if (!t || t->owner != s || t->files || m->files || !cred_same(&t->cred, c)) return 0;
    if (t->cap - t->off - t->len < n || !n) return 0;
    ssize_t r = uio_copy_in(m->u, t->data + t->off + t->len, n);
    if (r < (ssize_t)n) return -EFAULT; /* of a piece that cannot be read to its end nothing is sent */
    t->len += (u32)r;
    peer->rx_bytes += (u32)r;
    t->charge += (u32)r;
    (void)atomic_add(&s->wmem, (u32)r);
    return r;
}

static struct sockbuf *fill(struct socket *s, struct net_msg *m, size_t n, bool tcp, const struct net_cred *c, int *err)
{
    struct sockbuf *b = sockbuf_new(n < CHUNK_SMALL ? CHUNK_SMALL : n);
    *err = -ENOBUFS;
    if (!b) return NULL;
    ssize_t r = n ? uio_copy_in(m->u, b->data, n) : 0;
    if (n && r < (ssize_t)n) { /* as in append_small_locked */
        sockbuf_free(b);
        *err = -EFAULT;
        return NULL;
    }
    b->len = (u32)r;
    b->cred = *c;
    sockbuf_charge(b, s, charge_of((size_t)r, tcp));
    *err = 0;
    return b;
}

/* Nobody will read what s sends to peer, whose lock is held: it may have been disconnected, and connected to another since. */
static bool stream_gone_locked(const struct socket *s, const struct socket *peer, bool tcp)
{
    return peer->dead || (tcp ? peer->peer != s : peer->shut & SHUT_RCV);
}

bool stream_deliver(struct socket *s, struct socket *peer, struct sockbuf *b, bool tcp, bool urgent)
{
    struct tcp_segment *seg = NULL;

    lock(&peer->lock);
    bool gone = stream_gone_locked(s, peer, tcp);
    if (!gone) {
        sockbuf_append_locked(peer, b);
        if (tcp) stamp_locked(peer, b);
        if (tcp) seg = tcp_data_segment_locked(peer, b->data + b->off, b->len);
        if (urgent) stream_urgent_locked(peer);
    }
    unlock(&peer->lock);
    tcp_show_data(s, peer, seg);
    if (gone) return false;
    waitq_wake(&peer->wq, POLLIN | POLLRDNORM | POLLRDBAND);
    if (tcp) tcp_defer_over(peer);
    return true;
}

ssize_t stream_send(struct socket *s, struct socket *peer, struct net_msg *m, bool tcp, bool *peer_gone)
{
    struct sock_wait sw;
    struct net_cred c = m->cred;
    ssize_t done = 0;
    int err = 0;

    *peer_gone = false;
    sock_wait_init(&sw, POLLOUT, m->flags & MSG_DONTWAIT, s->sndtimeo);
    while (m->u->resid) {
        size_t limit = stream_limit(s, peer);
        lock(&s->lock);
        while (!err && !s->err && !(s->shut & SHUT_SND) && atomic_load(&s->wmem) >= limit && !atomic_load(&peer->dead)) {
            atomic_store(&s->nospace, true);
            /* A reader may have made room before it could see the flag. */
            if (atomic_load(&s->wmem) < limit) break;
            err = sock_wait(&sw, &s->lock, &s->wq);
            limit = stream_limit(s, peer);
        }
        if (s->err) {
            if (!done) err = sock_take_error_locked(s);
            else err = -EPIPE;
        } else if (s->shut & SHUT_SND) {
            err = -EPIPE;
        }
        unlock(&s->lock);
        if (err) break;
        if (tcp && tcp_corks(s, m)) {
            ssize_t r = tcp_cork_send(s, peer, m, peer_gone);
            if (r < 0) err = (int)r;
            else done += r;
            if (r < 0 || *peer_gone) break;
            continue;
        }
        size_t n = MIN(m->u->resid, (u64)CHUNK_MAX);
        if (n > limit / 2) n = MAX(limit / 2, (size_t)512);
        if (n > m->u->resid) n = m->u->resid;
        struct sockbuf *b = NULL;
        if (n < CHUNK_SMALL && !m->files) {
            lock(&peer->lock);
            ssize_t r = stream_gone_locked(s, peer, tcp) ? 0 : append_small_locked(s, peer, m, &c);
            if (r > 0 && (m->flags & MSG_OOB) && !m->u->resid) stream_urgent_locked(peer);
            struct sockbuf *t = TAILQ_LAST(&peer->rx, sockbuf_queue);
            if (tcp && r > 0) stamp_locked(peer, t);
            struct tcp_segment *seg = tcp && r > 0 ? tcp_data_segment_locked(peer, t->data + t->off + t->len - r, (u32)r) : NULL;
            unlock(&peer->lock);
            tcp_show_data(s, peer, seg);
            if (r < 0) {
                err = (int)r;
                break;
            }
            if (r > 0) {
                done += r;
                waitq_wake(&peer->wq, POLLIN | POLLRDNORM | POLLRDBAND);
                continue;
            }
        }
        b = fill(s, m, n, tcp, &c, &err);
        if (!b) break;
        u32 got = b->len;
        b->files = m->files;
        m->files = NULL;
        if (!stream_deliver(s, peer, b, tcp, (m->flags & MSG_OOB) && !m->u->resid)) {
            m->files = b->files;
            b->files = NULL;
            sockbuf_free(b);
            *peer_gone = true;
            err = -EPIPE;
            if (tcp) {
                /* The bytes went out; the answer to them is a reset. */
                done += got;
                err = 0;
            }
            break;
        }
        done += got;
    }
    sock_wait_fini(&sw);
    return done ? done : err;
}

/* Copies from the queue. Consumed buffers go to *freed. Stops where ancillary data begin to differ. */
static ssize_t copy_queue_locked(struct socket *s, struct net_msg *m, bool peek, bool *stop, bool *have_cred, struct sockbuf_queue *freed,
                                 u32 *uncharge, struct socket **uncharged)
{
    bool tcp = s->domain != AF_UNIX;
    struct sockbuf *b, *next;
    u64 skip = peek && s->peek_off >= 0 ? (u64)s->peek_off : 0;
    ssize_t done = 0;
    u64 holes = 0;

    TAILQ_FOREACH_SAFE(b, &s->rx, link, next) {
        if (skip >= b->len && skip) {
            skip -= b->len;
            continue;
        }
        if (!m->u->resid) break;
        if (*have_cred && (s->want & WANT_CRED) && !cred_same(&m->cred, &b->cred)) {
            *stop = true;
            break;
        }
        size_t n = MIN((u64)b->len - skip, m->u->resid);
        u64 to_mark = s->oob.urg ? s->oob.urg_seq - (s->oob.rx_seq + (peek ? (u64)done + holes : 0)) : UINT64_MAX;
        bool hole = false, cut = to_mark && to_mark < n;
        if (cut) {
            n = to_mark;           /* a read ends at the mark */
        } else if (!to_mark && done) {
            *stop = true;
            break;
        } else if (!to_mark && stream_skips_urgent(s)) {
            hole = true;           /* ...and the next one begins behind the urgent byte */
            n = 1;
        }
        ssize_t r = n;
        if (hole) {
            holes = 1;
            if (peek) {
                skip++;
                if (skip < b->len) next = b;
                else skip = 0;
                continue;
            }
        } else if (m->flags & MSG_TRUNC && tcp) {
            uio_skip(m->u, n);
        } else {
            r = uio_copy_out(m->u, b->data + b->off + skip, n);
        }
        if (r <= 0) {
            *stop = true;
            return done ? done : -EFAULT;
        }
        if (!*have_cred) {
            m->cred = b->cred;
            *have_cred = true;
        }
        if (b->stamp.tv_sec) {
            m->stamp = b->stamp;
            m->got |= s->want & (WANT_STAMP | WANT_STAMPNS);
        }
        if (!hole) done += r;
        skip = 0;
        bool has_files = b->files != NULL;
        if (peek) {
            if (has_files) m->files = scm_files_dup(b->files);
        } else {
            if (has_files) {
                m->files = b->files;
                b->files = NULL;
            }
            b->off += (u32)r;
            b->len -= (u32)r;
            s->rx_bytes -= (u32)r;
            stream_consumed_locked(s, (u32)r);
            if (!b->len) {
                TAILQ_REMOVE(&s->rx, b, link);
                s->rx_count--;
                TAILQ_INSERT_TAIL(freed, b, link);
            } else if (hole && !tcp) {
                next = b;
            } else if (tcp) {
                if (hole) next = b;
                b->charge -= (u32)r;
                *uncharge += (u32)r;
                if (b->owner && !*uncharged) {
                    *uncharged = b->owner;
                    socket_get(b->owner);
                }
            }
        }
        if (has_files || cut || r < (ssize_t)n) {
            *stop = true;
            break;
        }
    }
    if (s->peek_off >= 0 && done > 0) s->peek_off = peek ? s->peek_off + (int)done : MAX(0, s->peek_off - (int)done);
    return done;
}

ssize_t stream_recvmsg(struct socket *s, struct net_msg *m)
{
    bool tcp = s->domain != AF_UNIX, peek = m->flags & MSG_PEEK, have_cred = false, stop = false;
    struct sockbuf_queue freed = TAILQ_HEAD_INITIALIZER(freed);
    struct socket *uncharged = NULL;
    u32 uncharge = 0;
    struct sock_wait sw;
    ssize_t done = 0, r;
    int err = 0;

    u64 lowat = (u64)MAX(s->rcvlowat, 1), target = m->flags & MSG_WAITALL ? m->u->resid : MIN(lowat, m->u->resid);
    sock_wait_init(&sw, POLLIN, m->flags & MSG_DONTWAIT, s->rcvtimeo);
    lock(&s->lock);
    if (s->state == ST_LISTEN || (s->state == ST_CLOSE && !(tcp && s->in.was_connected))) {
        err = tcp ? -ENOTCONN : -EINVAL;
        if (tcp && s->state == ST_CLOSE && !s->err && (s->shut & SHUT_RCV)) {
            unlock(&s->lock);
            return 0;
        }
        if (tcp && s->err && s->state != ST_LISTEN) err = sock_take_error_locked(s);
    } else if (s->state == ST_CONNECTING && !tcp) {
        err = -EINVAL;
    }
    /* On AF_UNIX a receiver that asks for nothing waits for something all the same; read(2) does not come here. */
    while (!err && (m->u->resid || (!tcp && !done))) {
        size_t seen = s->rx_bytes;
        if (peek && s->peek_off > 0) seen = seen > (size_t)s->peek_off ? seen - (size_t)s->peek_off : 0;
        if (stream_at_mark_locked(s)) {
            if (done) break;
            if (peek && stream_skips_urgent(s) && seen) seen--;
        }
        if (!m->u->resid && seen) {
            /* Descriptors come with the bytes they were sent with, even if none of those is taken. */
            struct sockbuf *b = TAILQ_FIRST(&s->rx);
            if (!b->files) break;
            m->files = peek ? scm_files_dup(b->files) : b->files;
            if (!peek) b->files = NULL;
            break;
        }
        bool ended = s->err || (s->shut & SHUT_RCV) || (tcp && s->in.got_fin);
        if (seen && (!peek || seen >= target || ended || !sw.deadline)) {
            r = copy_queue_locked(s, m, peek, &stop, &have_cred, &freed, &uncharge, &uncharged);
            if (r < 0) {
                err = (int)r;
                break;
            }
            done += r;
            if (!TAILQ_EMPTY(&freed) || uncharge) {
                /* Let the writer go on before this reader waits for more. */
                unlock(&s->lock);
                sockbuf_purge(&freed);
                if (uncharged) {
                    sockbuf_uncharge(uncharged, uncharge);
                    socket_put(uncharged);
                }
                uncharged = NULL;
                uncharge = 0;
                lock(&s->lock);
            }
            if (stop || peek || (u64)done >= target) break;
            continue;
        }
        if (done && (u64)done >= target) break;
        if (!seen) {
            if (tcp && s->in.got_fin) break;
            if (s->err) {
                if (!done) err = sock_take_error_locked(s);
                break;
            }
            if (s->shut & SHUT_RCV) break;
        }
        err = sock_wait(&sw, &s->lock, &s->wq);
        if (err && peek && seen && sw.deadline && (err == -EAGAIN || err == -EINTR || err == -ERESTARTSYS)) {
            /* What is there is better than nothing. */
            sw.deadline = 0;
            err = 0;
        }
    }
    bool more = s->rx_bytes != 0;
    if (tcp && s->in.inq && !err) {
        /* tcp_inq_hint(): after the end, something for another call to find out. */
        m->inq = s->rx_bytes ? (s32)MIN(s->rx_bytes, (size_t)INT32_MAX) : s->in.got_fin;
        m->got |= WANT_INQ;
    }
    unlock(&s->lock);
    sock_wait_fini(&sw);
    /* Another reader may have been woken for bytes that this one left. */
    if (more && !peek) waitq_wake(&s->wq, POLLIN | POLLRDNORM);
    if (done && (s->want & WANT_CRED)) m->got |= WANT_CRED;
    return done ? done : err;
}
