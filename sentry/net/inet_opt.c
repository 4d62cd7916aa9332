/* Options of the levels IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP; TCP's are in tcp_opt.c. ip(7), ipv6(7) */
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/inet_ns.h"
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>

void inet_init(struct socket *s)
{
    struct inet_sock *i = &s->in;

    i->local.family = i->remote.family = (u16)s->domain;
    if (s->domain == AF_INET) {
        ip_set_v4(i->local.in.ip, 0);
        ip_set_v4(i->remote.in.ip, 0);
    }
    i->ttl = inet_setting(s->net, IS_IP_DEFAULT_TTL);
    i->hops = 64;
    i->v6only = s->domain == AF_INET6 && inet_setting(s->net, IS_IP6_V6ONLY);
    i->mc_ttl = i->mc_loop = i->mc_all = i->mc_hops = 1;
    i->mtu_discover = i->mtu_discover6 = s->type == SOCK_STREAM ? IP_PMTUDISC_WANT : IP_PMTUDISC_WANT;
    i->keepidle = inet_setting(s->net, IS_TCP_KEEPALIVE_TIME);
    i->keepintvl = inet_setting(s->net, IS_TCP_KEEPALIVE_INTVL);
    i->keepcnt = inet_setting(s->net, IS_TCP_KEEPALIVE_PROBES);
    i->syncnt = inet_setting(s->net, IS_TCP_SYN_RETRIES);
    i->quickack = 1;
    memcpy(i->congestion, "cubic", 6);
}

static int want_bit(struct socket *s, u32 bit, int on)
{
    lock(&s->lock);
    s->want = on ? s->want | bit : s->want & ~bit;
    unlock(&s->lock);
    return 0;
}

static int ip_setopt(struct socket *s, int opt, const void *val, size_t len)
{
    struct inet_sock *i = &s->in;
    struct { int opt, *v, min, max; } plain[] = {
        { IP_MTU_DISCOVER, &i->mtu_discover, 0, 5 }, { IP_MULTICAST_LOOP, &i->mc_loop, 0, 1 }, { IP_MULTICAST_ALL, &i->mc_all, 0, 1 },
        { IP_RECVERR, &i->recverr, 0, 1 }, { IP_MINTTL, &i->minttl, 0, 255 },
    };
    int v = 0, r;

    switch (opt) {
    case IP_MULTICAST_IF: {
        struct ip_mreqn q = { 0 };
        if (len < 4) return -EINVAL;
        if (len >= sizeof(struct ip_mreq)) memcpy(&q, val, MIN(len, sizeof q));
        else memcpy(&q.imr_address, val, 4);
        return s->type == SOCK_STREAM ? -EINVAL : inet_mcast_interface(s, &q);
    }
    case IP_OPTIONS: return len ? -EINVAL : 0;
    default: break;
    }
    r = len ? opt_int(val, len, &v) : 0;   /* no value counts as 0 */
    if (r) return r;
    for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
        if (plain[k].opt != opt) continue;
        if (plain[k].max == 1) v = !!v;
        if (v < plain[k].min || v > plain[k].max) return -EINVAL;
        *plain[k].v = v;
        return 0;
    }
    switch (opt) {
    case IP_TOS:
        i->tos = s->type == SOCK_STREAM ? (v & ~3) & 0xff : v & 0xff;
        return 0;
    case IP_TTL:
        if (v != -1 && (v < 1 || v > 255)) return -EINVAL;
        i->ttl = v == -1 ? inet_setting(s->net, IS_IP_DEFAULT_TTL) : v;
        return 0;
    case IP_MULTICAST_TTL:
        if (s->type == SOCK_STREAM || v < -1 || v > 255) return -EINVAL;
        i->mc_ttl = v == -1 ? 1 : v;
        return 0;
    case IP_PKTINFO: return want_bit(s, WANT_PKTINFO, v);
    case IP_RECVTTL: return want_bit(s, WANT_TTL, v);
    case IP_RECVTOS: return want_bit(s, WANT_TOS, v);
    case IP_RECVORIGDSTADDR: return want_bit(s, WANT_ORIGDST, v);
    case IP_FREEBIND: i->freebind = v; return 0;
    case IP_TRANSPARENT: return v && !ns_capable(net_owner(s), CAP_NET_RAW) && !ns_capable(net_owner(s), CAP_NET_ADMIN) ? -EPERM : 0;
    case IP_BIND_ADDRESS_NO_PORT: i->address_no_port = v; return 0;
    case IP_RETOPTS:
    case IP_RECVOPTS: return 0;
    default: return -ENOPROTOOPT;
    }
}

/* do_ip_getsockopt(): into less than an int goes one byte, if the value fits. */
static ssize_t ip_put_int(void *val, size_t size, int v)
{
    return opt_put_int(val, size && size < sizeof v && v >= 0 && v <= 255 ? 1 : size, v);
}

static ssize_t ip_getopt(struct socket *s, int opt, void *val, size_t size)
{
    struct inet_sock *i = &s->in;
    switch (opt) {
    case IP_TOS: return ip_put_int(val, size, i->tos);
    case IP_TTL: return ip_put_int(val, size, i->ttl);
    case IP_MULTICAST_TTL: return ip_put_int(val, size, i->mc_ttl);
    case IP_MULTICAST_LOOP: return ip_put_int(val, size, i->mc_loop);
    case IP_MULTICAST_ALL: return ip_put_int(val, size, i->mc_all);
    case IP_MTU_DISCOVER: return ip_put_int(val, size, i->mtu_discover);
    case IP_MTU: return i->connected || s->state == ST_ESTABLISHED ? ip_put_int(val, size, 65536) : -ENOTCONN;
    case IP_RECVERR: return ip_put_int(val, size, i->recverr);
    case IP_MINTTL: return ip_put_int(val, size, i->minttl);
    case IP_PKTINFO: return ip_put_int(val, size, !!(s->want & WANT_PKTINFO));
    case IP_RECVTTL: return ip_put_int(val, size, !!(s->want & WANT_TTL));
    case IP_RECVTOS: return ip_put_int(val, size, !!(s->want & WANT_TOS));
    case IP_RECVORIGDSTADDR: return ip_put_int(val, size, !!(s->want & WANT_ORIGDST));
    case IP_FREEBIND: return ip_put_int(val, size, i->freebind);
    case IP_TRANSPARENT: return ip_put_int(val, size, 0);
    case IP_BIND_ADDRESS_NO_PORT: return ip_put_int(val, size, i->address_no_port);
    case IP_OPTIONS: return 0;
    case IP_MULTICAST_IF: {
        u32 a = htonl(i->mc_if);
        size = MIN(size, sizeof a);
        memcpy(val, &a, size);
        return (ssize_t)size;
    }
    default: return -ENOPROTOOPT;
    }
}

/* IPV6_ADDRFORM: a socket that talks IPv4 becomes one of AF_INET. */
static int to_v4(struct socket *s, int family)
{
    int r = 0;

    if (family != AF_INET) return -EINVAL;
    if (s->type == SOCK_RAW) return -ENOPROTOOPT;
    lock(&s->lock);
    if (s->state != ST_ESTABLISHED) {
        r = -ENOTCONN;
    } else if (s->in.v6only || !ip_is_v4(s->in.remote.in.ip)) {
        r = -EADDRNOTAVAIL;
    } else {
        __atomic_store_n(&s->domain, AF_INET, __ATOMIC_RELEASE);
        s->in.local.family = s->in.remote.family = AF_INET;
    }
    unlock(&s->lock);
    return r;
}

static bool has_device(struct socket *s, int index)
{
    struct netdev *d = index > 0 ? dev_by_index(s->net, (u32)index) : NULL;
    dev_put(d);
    return d;
}

static int ip6_setopt(struct socket *s, int opt, const void *val, size_t len)
{
    struct inet_sock *i = &s->in;
    int v = 0, r;

    if (s->domain != AF_INET6) return -ENOPROTOOPT;
    r = opt_int(val, len, &v);
    if (r) return r;
    if (len < sizeof(int)) return -EINVAL;
    switch (opt) {
    case IPV6_V6ONLY:
        if (i->bound) return -EINVAL;
        i->v6only = v;
        return 0;
    case IPV6_UNICAST_HOPS:
    case IPV6_MULTICAST_HOPS:
        if (v < -1 || v > 255) return -EINVAL;
        if (opt == IPV6_UNICAST_HOPS) i->hops = v == -1 ? 64 : v;
        else i->mc_hops = v == -1 ? 1 : v;
        return 0;
    case IPV6_MULTICAST_IF:
        if (v && !has_device(s, v)) return -ENODEV;
        if (v && s->bound_if && s->bound_if != (u32)v) return -EINVAL;
        i->mc_if6 = (u32)v;
        return 0;
    case IPV6_MULTICAST_LOOP: i->mc_loop = !!v; return 0;
    case IPV6_TCLASS:
        if (v < -1 || v > 255) return -EINVAL;
        i->tclass = v == -1 ? 0 : v;
        return 0;
    case IPV6_MTU_DISCOVER:
        if (v < 0 || v > 5) return -EINVAL;
        i->mtu_discover6 = v;
        return 0;
    case IPV6_RECVERR: i->recverr6 = !!v; return 0;
    case IPV6_RECVPKTINFO: return want_bit(s, WANT_PKTINFO6, v);
    case IPV6_RECVHOPLIMIT: return want_bit(s, WANT_HOPLIMIT, v);
    case IPV6_RECVTCLASS: return want_bit(s, WANT_TCLASS, v);
    case IPV6_RECVORIGDSTADDR: return want_bit(s, WANT_ORIGDST6, v);
    case IPV6_ADDRFORM: return to_v4(s, v);
    case IPV6_FREEBIND: i->freebind = v; return 0;
    case IPV6_TRANSPARENT: return v && !ns_capable(net_owner(s), CAP_NET_RAW) && !ns_capable(net_owner(s), CAP_NET_ADMIN) ? -EPERM : 0;
    case IPV6_AUTOFLOWLABEL:
    case IPV6_MULTICAST_ALL:
    case IPV6_ADDR_PREFERENCES: return 0;
    default: return -ENOPROTOOPT;
    }
}

static ssize_t ip6_getopt(struct socket *s, int opt, void *val, size_t size)
{
    struct inet_sock *i = &s->in;

    if (s->domain != AF_INET6) return -EOPNOTSUPP;         /* as ip_getsockopt() */
    switch (opt) {
    case IPV6_V6ONLY: return opt_put_int(val, size, i->v6only);
    case IPV6_UNICAST_HOPS: return opt_put_int(val, size, i->hops);
    case IPV6_MULTICAST_HOPS: return opt_put_int(val, size, i->mc_hops);
    case IPV6_MULTICAST_IF: return opt_put_int(val, size, (int)i->mc_if6);
    case IPV6_MULTICAST_LOOP: return opt_put_int(val, size, i->mc_loop);
    case IPV6_TCLASS: return opt_put_int(val, size, i->tclass);
    case IPV6_MTU_DISCOVER: return opt_put_int(val, size, i->mtu_discover6);
    case IPV6_MTU: return s->state == ST_ESTABLISHED ? opt_put_int(val, size, 65536) : -ENOTCONN;
    case IPV6_RECVERR: return opt_put_int(val, size, i->recverr6);
    case IPV6_RECVPKTINFO: return opt_put_int(val, size, !!(s->want & WANT_PKTINFO6));
    case IPV6_RECVHOPLIMIT: return opt_put_int(val, size, !!(s->want & WANT_HOPLIMIT));
    case IPV6_RECVTCLASS: return opt_put_int(val, size, !!(s->want & WANT_TCLASS));
    case IPV6_RECVORIGDSTADDR: return opt_put_int(val, size, !!(s->want & WANT_ORIGDST6));
    case IPV6_ADDRFORM:
        if (s->type == SOCK_RAW) return -ENOPROTOOPT;
        return s->state == ST_ESTABLISHED ? opt_put_int(val, size, s->domain) : -ENOTCONN;
    case IPV6_FREEBIND: return opt_put_int(val, size, i->freebind);
    default: return -ENOPROTOOPT;
    }
}

int inet_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    int r;

    if ((level == IPPROTO_IP || (level == IPPROTO_IPV6 && s->domain == AF_INET6)) && inet_mcast_setopt(s, level, opt, val, len, &r)) return r;
    switch (level) {
    case IPPROTO_IP: return ip_setopt(s, opt, val, len);
    case IPPROTO_IPV6: return ip6_setopt(s, opt, val, len);
    case IPPROTO_TCP: return s->type == SOCK_STREAM ? tcp_setopt(s, opt, val, len) : -ENOPROTOOPT;
    case IPPROTO_UDP: return s->ops == &udp_ops ? udp_setopt(s, opt, val, len) : -ENOPROTOOPT;
    case IPPROTO_UDPLITE: return s->protocol == IPPROTO_UDPLITE && (opt == 10 || opt == 11) ? 0 : -ENOPROTOOPT;    /* checksum coverage */
    default: return -ENOPROTOOPT;
    }
}

ssize_t inet_getopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    switch (level) {
    case IPPROTO_IP: return ip_getopt(s, opt, val, size);
    case IPPROTO_IPV6: return ip6_getopt(s, opt, val, size);
    case IPPROTO_TCP: return s->type == SOCK_STREAM ? tcp_getopt(s, opt, val, size) : -EOPNOTSUPP;
    case IPPROTO_UDP:
        if (s->ops == &udp_ops) return udp_getopt(s, opt, val, size);
        /* fall through */
    default: return s->domain == AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;   /* ip_getsockopt(), ipv6_getsockopt() */
    }
}
