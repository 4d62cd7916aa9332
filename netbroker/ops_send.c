/* What needs an address or an interface beside the socket: datagrams with a destination, memberships. */
#include "netbroker/broker.h"
#include "sentry/base/hostcall.h"
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

HOSTCALL(sendmsg, "replies; datagrams whose address the rules allow");
HOSTCALL(setsockopt, "options of a short list");

struct control { _Alignas(struct cmsghdr) u8 buf[256]; size_t len; };

static void put_cmsg(struct control *c, int level, int type, const void *data, size_t n)
{
    struct cmsghdr h = { .cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type };
    if (c->len + CMSG_SPACE(n) > sizeof c->buf) return;
    memset(c->buf + c->len, 0, CMSG_SPACE(n));
    memcpy(c->buf + c->len, &h, sizeof h);
    memcpy(c->buf + c->len + CMSG_LEN(0), data, n);
    c->len += CMSG_SPACE(n);
}

static void send_control(const struct netb_send *q, bool v4, struct control *c)
{
    if (q->flags & NETB_SEND_SRC) {
        if (v4) {
            struct in_pktinfo p = { .ipi_ifindex = (int)q->ifindex };
            memcpy(&p.ipi_spec_dst, q->src + 12, 4);
            put_cmsg(c, IPPROTO_IP, IP_PKTINFO, &p, sizeof p);
        } else {
            struct in6_pktinfo p = { .ipi6_ifindex = q->ifindex };
            memcpy(&p.ipi6_addr, q->src, 16);
            put_cmsg(c, IPPROTO_IPV6, IPV6_PKTINFO, &p, sizeof p);
        }
    }
    if (q->tos >= 0) put_cmsg(c, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &q->tos, sizeof q->tos);
    if (q->ttl >= 0) put_cmsg(c, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_HOPLIMIT, &q->ttl, sizeof q->ttl);
}

/* To the named address, or to the connected peer (which was allowed when it connected) with ancillary data. */
int netb_op_send(struct netb_req *r)
{
    struct netb_send q;
    struct netb_sock s;
    struct sockaddr_storage ss;
    struct control c = { .len = 0 };
    int len = 0, err = netb_take(r, &q, sizeof q);
    if (!err) err = netb_sock_of(r, &s);
    if (err) return err;
    if (s.type != SOCK_DGRAM) return -EOPNOTSUPP;
    bool v4 = s.domain == AF_INET, to_dns = false;
    if (q.to.family != AF_UNSPEC) {
        struct netb_addr to = q.to;
        len = netb_addr_to_host(&to, &ss);
        if (len < 0) return len;
        to_dns = netb_dns_direct(&to, s.protocol);
        if (!to_dns && !netb_dest_allowed(&to, s.protocol)) return -EACCES;
        if (to_dns) len = netb_addr_to_host(&to, &ss);
        /* IPv4 through an IPv6 socket takes IPv4's ancillary data. */
        static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
        v4 = !memcmp(q.to.ip, v4_prefix, sizeof v4_prefix);
    }
    send_control(&q, v4, &c);
    struct iovec iov = { (void *)(uintptr_t)(r->in + sizeof q), r->len - sizeof q };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (len) m.msg_name = &ss, m.msg_namelen = (socklen_t)len;
    if (c.len) m.msg_control = c.buf, m.msg_controllen = c.len;
    ssize_t n = sendmsg(s.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT | (int)(q.msg_flags & (MSG_DONTROUTE | MSG_CONFIRM)));
    if (to_dns) netb_dns_directed(s.fd, s.protocol);
    if (n < 0) return -errno;
    u32 sent = (u32)n;
    memcpy(r->out, &sent, sizeof sent);
    r->out_len = sizeof sent;
    return 0;
}

static bool listed(int level, int opt)
{
    static const struct { int level, opt; } list[] = {
        { IPPROTO_IP, IP_ADD_MEMBERSHIP }, { IPPROTO_IP, IP_DROP_MEMBERSHIP }, { IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP },
        { IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP }, { IPPROTO_IP, MCAST_JOIN_GROUP }, { IPPROTO_IP, MCAST_LEAVE_GROUP },
        { IPPROTO_IPV6, IPV6_JOIN_GROUP }, { IPPROTO_IPV6, IPV6_LEAVE_GROUP }, { IPPROTO_IPV6, MCAST_JOIN_GROUP },
        { IPPROTO_IPV6, MCAST_LEAVE_GROUP }, { SOL_SOCKET, SO_BINDTODEVICE },
    };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (list[i].level == level && list[i].opt == opt) return true;
    return false;
}

/* The group that an option joins; false: it joins none, or is too short (the kernel will say so). */
static bool joined_group(int level, int opt, const u8 *val, size_t len, u8 ip[16])
{
    memset(ip, 0, 16);
    ip[10] = ip[11] = 0xff;
    if (level == IPPROTO_IP && (opt == IP_ADD_MEMBERSHIP || opt == IP_ADD_SOURCE_MEMBERSHIP)) {
        if (len >= 4) memcpy(ip + 12, val, 4);
        return len >= 4;
    }
    if (level == IPPROTO_IPV6 && opt == IPV6_JOIN_GROUP) {
        if (len >= 16) memcpy(ip, val, 16);
        return len >= 16;
    }
    if (opt == MCAST_JOIN_GROUP) {
        struct group_req g;
        struct netb_addr a;
        if (len < sizeof g) return false;
        memcpy(&g, val, sizeof g);
        netb_addr_from_host(&g.gr_group, &a);
        memcpy(ip, a.ip, 16);
        return true;
    }
    return false;
}

int netb_op_setopt(struct netb_req *r)
{
    struct netb_setopt q;
    struct netb_sock s;
    u8 ip[16];
    int err = netb_take(r, &q, sizeof q);
    if (!err) err = netb_sock_of(r, &s);
    if (err) return err;
    if (!listed(q.level, q.opt)) return -ENOPROTOOPT;
    const u8 *val = r->in + sizeof q;
    size_t len = r->len - sizeof q;
    if (len > 512) return -EINVAL;
    if (joined_group(q.level, q.opt, val, len, ip)) {
        struct sockaddr_storage ss;
        struct netb_addr own;
        socklen_t n = sizeof ss;
        if (getsockname(s.fd, (struct sockaddr *)&ss, &n)) return -errno;
        netb_addr_from_host(&ss, &own);
        if (!netb_allow(PLAN_NET_IN, s.protocol, ip, own.port)) return -EACCES;
    }
    return setsockopt(s.fd, q.level, q.opt, val, (socklen_t)len) ? -errno : 0;
}
