/*
 * Messages of host sockets. A plain stream transfer goes between the descriptor and the guest's pages; what carries flags,
 * an address or ancillary data goes through a buffer. A datagram that names its destination goes to the broker.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/policy/policy.h"
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

HOSTCALL_NET(recvmsg, "input of host sockets");
HOSTCALL_SENDTO("output of host sockets that are connected");

#define PIECE (64u * 1024)
#define DGRAM_MAX 65536u

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

void host_addr_in(const struct sockaddr_storage *ss, struct net_addr *out)
{
    memset(out, 0, sizeof *out);
    out->family = ss->ss_family;
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *i = (const struct sockaddr_in *)ss;
        memcpy(out->in.ip, v4_prefix, sizeof v4_prefix);
        memcpy(out->in.ip + 12, &i->sin_addr, 4);
        out->in.port = ntohs(i->sin_port);
    } else if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *i = (const struct sockaddr_in6 *)ss;
        memcpy(out->in.ip, &i->sin6_addr, 16);
        out->in.port = ntohs(i->sin6_port);
        out->in.flow = i->sin6_flowinfo;
        out->in.scope = i->sin6_scope_id;
    }
    /* What was directed to the resolver's real socket has the address that the guest knows. */
    static const u8 real[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, shown[16] = NETB_DNS_ADDR;
    if (out->in.port && out->in.port == netb_dns_port() && (ss->ss_family == AF_INET || ss->ss_family == AF_INET6) && !memcmp(out->in.ip, real, 16)) {
        memcpy(out->in.ip, shown, 16);
        out->in.port = NETB_DNS_PORT;
    }
}

int host_wait(struct socket *s, struct sock_wait *sw)
{
    if (sw->deadline) host_poller_watch(s->host);
    lock(&s->lock);
    int r = sock_wait(sw, &s->lock, &s->wq);
    unlock(&s->lock);
    return r;
}

/* --- streams --- */

static ssize_t send_piece(struct socket *s, struct net_msg *m, int flags)
{
    if (!flags) return uio_host_write(m->u, s->host->fd, -1, m->u->resid);
    size_t want = MIN(m->u->resid, (u64)PIECE);
    AUTO_FREE u8 *buf = try_zalloc(1, want);
    struct uio peek;
    if (!buf) return -ENOMEM;
    uio_clone(&peek, m->u);
    ssize_t n = uio_copy_in(&peek, buf, want);
    uio_fini(&peek);
    if (n <= 0) return n;
    if (m->u->resid > want) {
        flags = (flags & ~MSG_OOB) | MSG_MORE;   /* urgent is the last byte of all */
    }
    n = send(s->host->fd, buf, (size_t)n, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return -errno;
    uio_skip(m->u, (size_t)n);
    return n;
}

ssize_t host_stream_send(struct socket *s, struct net_msg *m)
{
    int flags = (int)m->flags & (MSG_OOB | MSG_MORE | MSG_DONTROUTE);
    struct sock_wait sw;
    ssize_t done = 0, n = 0;

    if (m->flags & MSG_FASTOPEN) return -EOPNOTSUPP;
    if (!m->u->resid) {
        n = send(s->host->fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n < 0 && errno != EAGAIN ? -errno : 0;
    }
    sock_wait_init(&sw, POLLOUT, m->flags & MSG_DONTWAIT, s->sndtimeo);
    while (m->u->resid) {
        n = send_piece(s, m, flags);
        if (n == -EINTR) continue;
        if (n == -EAGAIN) {
            n = host_wait(s, &sw);
            if (n) break;
            continue;
        }
        if (n <= 0) break;
        done += n;
    }
    sock_wait_fini(&sw);
    return done ? done : n;
}

/* One message or piece of a stream by recvmsg, into a buffer and on to the guest. */
static ssize_t recv_once(struct socket *s, struct net_msg *m, int flags, size_t want, struct msghdr *h)
{
    AUTO_FREE u8 *buf = try_zalloc(1, want + 1);
    if (!buf) return -ENOMEM;
    struct iovec iov = { buf, want };
    h->msg_iov = &iov;
    h->msg_iovlen = 1;
    ssize_t n = recvmsg(s->host->fd, h, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) return -errno;
    size_t have = MIN((size_t)n, want);
    if (have && uio_copy_out(m->u, buf, have) < (ssize_t)have) return -EFAULT;
    return n;
}

static void take_control(struct socket *s, struct net_msg *m, struct msghdr *h);

static ssize_t recv_piece(struct socket *s, struct net_msg *m, int flags)
{
    union { u8 buf[512]; struct cmsghdr align; } ctl;
    struct msghdr h = { .msg_control = ctl.buf, .msg_controllen = sizeof ctl.buf };

    if (!flags && !s->want) return uio_host_read(m->u, s->host->fd, -1, m->u->resid);
    if (flags & MSG_TRUNC) {   /* tcp(7): bytes are dropped, the buffer is not touched */
        ssize_t n = recv(s->host->fd, NULL, m->u->resid, flags | MSG_DONTWAIT);
        if (n > 0) uio_skip(m->u, (size_t)n);
        return n < 0 ? -errno : n;
    }
    ssize_t n = recv_once(s, m, flags, MIN(m->u->resid, (u64)(flags & MSG_PEEK ? 1u << 20 : PIECE)), &h);
    if (n >= 0) {
        m->out_flags |= (u32)h.msg_flags & (MSG_OOB | MSG_ERRQUEUE);
        take_control(s, m, &h);
    }
    return n;
}

ssize_t host_stream_recv(struct socket *s, struct net_msg *m)
{
    int flags = (int)m->flags & (MSG_PEEK | MSG_OOB | MSG_TRUNC | MSG_ERRQUEUE);
    bool all = (m->flags & MSG_WAITALL) && !(m->flags & (MSG_PEEK | MSG_OOB));
    struct sock_wait sw;
    ssize_t done = 0, n = 0;

    if (m->flags & MSG_ERRQUEUE) {
        n = recv_piece(s, m, flags);
        return n == -EAGAIN ? -EAGAIN : n;
    }
    if (!m->u->resid) return 0;
    sock_wait_init(&sw, POLLIN, m->flags & MSG_DONTWAIT, s->rcvtimeo);
    for (;;) {
        /* SO_RCVLOWAT: readiness of the host's honours it, its nonblocking recv does not. */
        bool wait = s->rcvlowat > 1 && !(m->flags & MSG_DONTWAIT) && !done &&
                    !(host_ready(s->host, POLLIN | POLLRDHUP) & (POLLIN | POLLRDHUP | POLLERR | POLLHUP));
        n = wait ? -EAGAIN : recv_piece(s, m, flags);
        if (n == -EINTR) continue;
        if (n == -EAGAIN && !(flags & MSG_OOB)) {
            n = host_wait(s, &sw);
            if (n) break;
            continue;
        }
        if (n <= 0) break;
        done += n;
        if (!all || !m->u->resid) break;
    }
    sock_wait_fini(&sw);
    return done ? done : n;
}

/* --- ancillary data --- */

static void take_error(struct net_msg *m, const struct cmsghdr *c)
{
    const u8 *p = CMSG_DATA(c);
    size_t n = c->cmsg_len - CMSG_LEN(0);
    struct sock_extended_err e;
    struct sockaddr_storage off = { 0 };

    if (n < sizeof e) return;
    memcpy(&e, p, sizeof e);
    memcpy(&off, p + sizeof e, MIN(n - sizeof e, sizeof off));
    m->error = (struct net_err){ .err = e.ee_errno, .origin = e.ee_origin, .type = e.ee_type, .code = e.ee_code, .info = e.ee_info };
    host_addr_in(&off, &m->error.offender);
    if (!m->error.offender.family) m->error.offender.family = c->cmsg_level == IPPROTO_IP ? AF_INET : AF_INET6;
    m->has_error = true;
}

static void take_pktinfo(struct net_msg *m, const struct cmsghdr *c)
{
    if (c->cmsg_level == IPPROTO_IP) {
        struct in_pktinfo p;
        memcpy(&p, CMSG_DATA(c), sizeof p);
        memcpy(m->to_ip, v4_prefix, 12);
        memcpy(m->to_ip + 12, &p.ipi_addr, 4);
        memcpy(m->spec_dst, &p.ipi_spec_dst, 4);
        m->ifindex = (u32)p.ipi_ifindex;
        m->got |= WANT_PKTINFO;
    } else {
        struct in6_pktinfo p;
        memcpy(&p, CMSG_DATA(c), sizeof p);
        memcpy(m->to_ip, &p.ipi6_addr, 16);
        m->ifindex = p.ipi6_ifindex;
        m->got |= WANT_PKTINFO6;
    }
}

static void take_control(struct socket *s, struct net_msg *m, struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        size_t n = c->cmsg_len - CMSG_LEN(0);
        int v = 0;
        if (n >= sizeof v) memcpy(&v, CMSG_DATA(c), sizeof v);
        else if (n) v = *CMSG_DATA(c);
        if (c->cmsg_level == SOL_SOCKET) {
            struct timeval tv;
            if (c->cmsg_type == SO_TIMESTAMP && n >= sizeof tv) {
                memcpy(&tv, CMSG_DATA(c), sizeof tv);
                m->stamp = (struct timespec){ tv.tv_sec, tv.tv_usec * 1000 };
                m->got |= WANT_STAMP;
            } else if (c->cmsg_type == SO_TIMESTAMPNS && n >= sizeof m->stamp) {
                memcpy(&m->stamp, CMSG_DATA(c), sizeof m->stamp);
                m->got |= WANT_STAMPNS;
            }
        } else if (c->cmsg_level == IPPROTO_IP) {
            switch (c->cmsg_type) {
            case IP_PKTINFO: if (n >= sizeof(struct in_pktinfo)) take_pktinfo(m, c); break;
            case IP_TTL: m->got_ttl = (u8)v; m->got |= WANT_TTL; break;
            case IP_TOS: m->got_tos = (u8)v; m->got |= WANT_TOS; break;
            case IP_RECVERR: take_error(m, c); break;
            case IP_ORIGDSTADDR: {
                struct sockaddr_storage ss = { 0 };
                struct net_addr a;
                memcpy(&ss, CMSG_DATA(c), MIN(n, sizeof ss));
                host_addr_in(&ss, &a);
                memcpy(m->to_ip, a.in.ip, 16);
                m->to_port = a.in.port;
                m->got |= WANT_ORIGDST;
                break;
            }
            }
        } else if (c->cmsg_level == IPPROTO_IPV6) {
            switch (c->cmsg_type) {
            case IPV6_PKTINFO: if (n >= sizeof(struct in6_pktinfo)) take_pktinfo(m, c); break;
            case IPV6_HOPLIMIT: m->got_ttl = (u8)v; m->got |= WANT_HOPLIMIT; break;
            case IPV6_TCLASS: m->got_tos = (u8)v; m->got |= WANT_TCLASS; break;
            case IPV6_RECVERR: take_error(m, c); break;
            }
        }
    }
    if (m->stamp.tv_sec) {
        lock(&s->lock);
        s->stamp = m->stamp;
        unlock(&s->lock);
    }
}

/* --- datagrams --- */

static bool sends_plainly(const struct net_msg *m) { return !m->name && !m->has_src && !m->src_ifindex && m->tos < 0 && m->ttl < 0; }

static ssize_t dgram_send_once(struct socket *s, struct net_msg *m, const u8 *buf, size_t n)
{
    u32 sent = 0;
    size_t len = sizeof sent;
    struct netb_send q = { .msg_flags = m->flags, .tos = m->tos, .ttl = m->ttl, .ifindex = m->src_ifindex };

    if (sends_plainly(m)) {
        ssize_t r = send(s->host->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL | (int)(m->flags & (MSG_DONTROUTE | MSG_CONFIRM)));
        return r < 0 ? -errno : r;
    }
    if (m->name) netb_addr_of(m->name, &q.to);
    if (m->has_src || m->src_ifindex) {
        q.flags |= NETB_SEND_SRC;
        memcpy(q.src, m->src_ip, 16);
    }
    int r = netb_call(NETB_SEND, s->host->fd, &q, sizeof q, buf, n, &sent, &len, NULL);
    return r ? r : (ssize_t)sent;
}

ssize_t host_dgram_send(struct socket *s, struct net_msg *m)
{
    u64 n = m->u->resid;
    struct net_addr to;
    struct sock_wait sw;

    if (n > 65535) return -EMSGSIZE;
    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    if (m->name) {
        to = *m->name;
        if (to.truncated) return -EINVAL;
        if (to.family == AF_UNSPEC) {                  /* ip(7): as AF_INET; ipv6: as without a name */
            if (s->domain == AF_INET) to.family = AF_INET;
            else m->name = NULL;
        } else if (to.family != AF_INET && to.family != AF_INET6) {
            return s->domain == AF_INET ? -EAFNOSUPPORT : -EINVAL;
        } else if (s->domain == AF_INET && to.family != AF_INET) {
            return -EAFNOSUPPORT;
        }
        if (m->name) {
            if (!to.in.port && (s->protocol == IPPROTO_UDP || s->protocol == IPPROTO_UDPLITE)) return -EINVAL;
            m->name = &to;
            int refused = net_policy(s, CR_CONNECT, &to);
            if (refused) return refused;
        }
    }
    AUTO_FREE u8 *buf = try_zalloc(1, n + 1);
    if (!buf) return -ENOBUFS;
    if (n && uio_copy_in(m->u, buf, n) < (ssize_t)n) return -EFAULT;
    sock_wait_init(&sw, POLLOUT, m->flags & MSG_DONTWAIT, s->sndtimeo);
    ssize_t r;
    for (;;) {
        r = dgram_send_once(s, m, buf, n);
        if (r == -EINTR) continue;
        if (r != -EAGAIN) break;
        r = host_wait(s, &sw);
        if (r) break;
    }
    sock_wait_fini(&sw);
    return r;
}

ssize_t host_dgram_recv(struct socket *s, struct net_msg *m)
{
    int flags = (int)m->flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB);
    union { u8 buf[1024]; struct cmsghdr align; } ctl;
    struct sockaddr_storage ss;
    struct sock_wait sw;
    struct msghdr h;
    u64 room = MIN(m->u->resid, (u64)DGRAM_MAX);
    ssize_t n;

    sock_wait_init(&sw, POLLIN, m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE), s->rcvtimeo);
    for (;;) {
        ss.ss_family = AF_UNSPEC;
        h = (struct msghdr){ .msg_name = &ss, .msg_namelen = sizeof ss, .msg_control = ctl.buf, .msg_controllen = sizeof ctl.buf };
        n = recv_once(s, m, flags | MSG_TRUNC, room, &h);
        if (n == -EINTR) continue;
        if (n != -EAGAIN) break;
        n = host_wait(s, &sw);
        if (n) break;
    }
    sock_wait_fini(&sw);
    if (n < 0) return n;
    m->out_flags |= (u32)h.msg_flags & (MSG_TRUNC | MSG_ERRQUEUE);
    if (m->name && h.msg_namelen) host_addr_in(&ss, m->name);
    take_control(s, m, &h);
    policy_dns_sync();
    /* The host was asked for the length; a guest that was not asking for it gets what fitted. */
    return m->flags & MSG_TRUNC ? n : (ssize_t)MIN((u64)n, room);
}
