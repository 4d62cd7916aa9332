/*
 * Raw sockets over the loopback: what one sends arrives at once, at raw sockets of its protocol and at what the kernel
 * does with it. They also see the UDP datagrams of the sandbox, and segments of TCP made for who looks (tcp_show.c). raw(7), ipv6(7), icmp(7)
 */
#include "sentry/net/dev.h"
#include "sentry/net/inet_ns.h"
#include "sentry/net/filter.h"

#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#define ICMP6_CHECKSUM_AT 2
#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

static lock_t raw_lock = LOCK_INIT(LC_LEAF);       /* guards: */
static LIST_HEAD(, socket) raw_sockets = LIST_HEAD_INITIALIZER(raw_sockets);    /* by in.port_link; those with in.bound */
static unsigned nraw;                              /* (a) */

bool raw_watched(void) { return atomic_load(&nraw); }

/* --- receiving --- */

/* A filter of icmp(7) or of RFC 3542, 3.2: a set bit blocks the type. */
static bool filtered(const struct socket *s, const struct ip_packet *p)
{
    u32 len = p->len - p->header, type;

    if (s->protocol == IPPROTO_ICMP && p->v4) {
        if (len < sizeof(struct icmphdr)) return true;
        type = p->bytes[p->header];
        return type < 32 && s->in.icmp_filter[0] >> type & 1;
    }
    if (s->protocol == IPPROTO_ICMPV6 && !p->v4) {
        type = len ? p->bytes[p->header] : 0;
        return s->in.icmp_filter[type >> 5] >> (type & 31) & 1;
    }
    return false;
}

static bool bad_checksum(const struct socket *s, const struct ip_packet *p)
{
    if (p->v4 || s->in.checksum_at < 0) return false;
    return (u32)s->in.checksum_at + 2 > p->len - p->header || ip_payload_checksum(p, p->proto);
}

static bool wants_locked(const struct socket *s, const struct net_ns *net, const struct ip_packet *p)
{
    const struct inet_sock *in = &s->in;

    if (s->net != net || s->protocol != p->proto || (s->domain == AF_INET) != p->v4) return false;
    if (s->bound_if && s->bound_if != (p->ifindex ? p->ifindex : LO_INDEX)) return false;
    if (in->connected && !ip_is_any(in->remote.in.ip) && !ip_equal(in->remote.in.ip, p->src)) return false;
    return ip_is_any(in->local.in.ip) || ip_equal(in->local.in.ip, p->dst);
}

/* IPv4 comes with its header, IPv6 without. Dropped when the queue is over its limit before it, as Linux does. */
static void queue(struct socket *s, const struct ip_packet *p, const struct timespec *now)
{
    u32 skip = p->v4 ? 0 : p->header, len = p->len - skip;

    if (filtered(s, p) || bad_checksum(s, p)) return;
    if (s->filter) {
        struct bpf_packet f;
        struct bpf_input in = { .bytes = p->bytes + skip, .len = len, .packet = &f };
        ip_filter_packet(p, &f);
        len = filter_run(s, &in);
        if (!len) return;
        len = MIN(len, in.len);
    }
    struct sockbuf *b = sockbuf_new(len);
    if (!b) return;
    memcpy(b->data, p->bytes + skip, len);
    b->len = len;
    b->charge = sockbuf_truesize(p->len);
    b->from.family = (u16)s->domain;
    memcpy(b->from.in.ip, p->src, 16);
    memcpy(b->to_ip, p->dst, 16);
    b->ifindex = p->ifindex;
    b->tos = p->tos;
    b->ttl = p->ttl;
    b->stamp = *now;
    dgram_queue(s, b);
}

bool raw_deliver(struct net_ns *net, const struct ip_packet *p)
{
    struct timespec now;
    struct socket *s;
    size_t n = 0, room;

    if (!raw_watched()) return false;
    clock_gettime(CLOCK_REALTIME, &now);
    lock(&raw_lock);
    room = nraw;
    struct socket **to = try_zalloc(room, sizeof(struct socket *));
    if (to)
        LIST_FOREACH(s, &raw_sockets, in.port_link)
            if (n < room && wants_locked(s, net, p) && ref_get_unless_zero(&s->refs)) to[n++] = s;
    unlock(&raw_lock);
    for (size_t i = 0; i < n; i++) {
        queue(to[i], p, &now);
        socket_put(to[i]);
    }
    free(to);
    return n > 0;
}

/* --- sending --- */

static int destination(struct socket *s, const struct net_msg *m, struct net_addr *to)
{
    int r = 0;

    lock(&s->lock);
    if (m->name && (m->name->family != AF_UNSPEC || m->name->truncated)) *to = *m->name;
    else if (s->in.connected) *to = s->in.remote;
    else r = -EDESTADDRREQ;
    unlock(&s->lock);
    if (r) return r;
    if (to->truncated) return -EINVAL;
    /* A short address is looked at before its family. */
    if (to->family != s->domain) return s->domain == AF_INET6 && to->family == AF_INET ? -EINVAL : -EAFNOSUPPORT;
    if (s->domain == AF_INET6) {
        if (ip_is_v4(to->in.ip)) return -ENETUNREACH;
        if (to->in.port > 255 || (to->in.port && to->in.port != s->protocol && s->protocol != IPPROTO_RAW)) return -EINVAL;
    }
    if (ip_is_any(to->in.ip)) inet_source_for(to, to->in.ip);
    return m->name ? net_policy(s, CR_CONNECT, to) : 0;
}

/* IP_HDRINCL: the header is the sender's, but for what raw(7) says is always filled in. */
static int complete_header(struct ip_packet *p, u8 *buf, u32 len, const struct net_addr *to, const u8 src[16])
{
    struct iphdr h;

    if (!ip_is_v4(to->in.ip)) return ip6_parse(p, buf, len) ? 0 : -EINVAL;
    if (!ip4_parse(p, buf, len)) return -EINVAL;
    memcpy(&h, buf, sizeof h);
    h.tot_len = htons((u16)len);
    h.check = 0;
    if (!h.saddr) memcpy(&h.saddr, src + 12, 4);
    memcpy(buf, &h, sizeof h);
    h.check = ip_checksum(buf, p->header);
    memcpy(buf, &h, sizeof h);
    return ip4_parse(p, buf, len) ? 0 : -EINVAL;
}

static int transmit(struct socket *s, struct net_msg *m, const struct net_addr *to, const struct route_result *way, u8 *buf, u32 header, u32 n)
{
    bool v4 = ip_is_v4(to->in.ip);
    struct ip_packet p;
    int r;

    if (n && uio_copy_in(m->u, buf + header, n) < (ssize_t)n) return -EFAULT;
    if (s->in.hdrincl) {
        r = complete_header(&p, buf, n, to, way->src);
        if (r) return r;
    } else {
        lock(&s->lock);
        int tos = m->tos >= 0 ? m->tos : v4 ? s->in.tos : MAX(s->in.tclass, 0);
        int ttl = m->ttl >= 0 ? m->ttl : v4 ? s->in.ttl : s->in.hops;
        int at = s->in.checksum_at;
        unlock(&s->lock);
        if (way->kind == ROUTE_MULTICAST && m->ttl < 0) ttl = v4 ? s->in.mc_ttl : s->in.mc_hops;
        ip_build(&p, buf, n, way->src, to->in.ip, (u8)s->protocol, (u8)tos, (u8)ttl);
        if (!v4 && at >= 0) {
            if ((u32)at + 2 > n) return -EINVAL;
            memset(buf + header + at, 0, 2);
            u16 sum = ip_payload_checksum(&p, p.proto);
            if (!sum && p.proto == IPPROTO_UDP) sum = 0xffff;
            memcpy(buf + header + at, &sum, sizeof sum);
        }
    }
    mib_packets(s->net, p.v4, 1, p.len);
    if (p.proto == (p.v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) && p.len > p.header) mib_icmp(s->net, p.v4, ICMP_OUT, p.bytes[p.header]);
    ip_send_routed(s->net, &p, way);
    return 0;
}

static ssize_t raw_sendmsg(struct socket *s, struct net_msg *m)
{
    u64 n = m->u->resid;
    struct net_addr to;
    int r;

    if (n > IP_PACKET_MAX) return -EMSGSIZE;
    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    r = destination(s, m, &to);
    if (r) return r;
    lock(&s->lock);
    r = s->err ? sock_take_error_locked(s) : 0;
    unlock(&s->lock);
    if (r) return r;
    u32 header = s->in.hdrincl ? 0 : ip_header_size(ip_is_v4(to.in.ip));
    if (ip_is_v4(to.in.ip) && n + header > IP_PACKET_MAX) return -EMSGSIZE;
    struct route_result way;
    if ((r = inet_route(s, m, &to, &way))) return r;
    u8 *buf = NULL;
    if (way.kind == ROUTE_BROADCAST && !s->broadcast) r = -EACCES;
    else if (way.ifindex != LO_INDEX && n + header > way.mtu) r = -EMSGSIZE;
    else if (!(buf = try_zalloc(1, header + n + 1))) r = -ENOBUFS;
    else r = transmit(s, m, &to, &way, buf, header, (u32)n);
    free(buf);
    route_put(&way);
    return r ? r : (ssize_t)n;
}

/* --- addresses --- */

static int raw_bind(struct socket *s, const struct net_addr *a)
{
    int r = 0;

    if (a->truncated) return -EINVAL;
    if (a->family != s->domain) return s->domain == AF_INET6 ? -EINVAL : -EAFNOSUPPORT;
    if (s->domain == AF_INET6 && ip_is_v4(a->in.ip)) return -EADDRNOTAVAIL;
    if (!ip_is_any(a->in.ip) && !s->in.freebind && !net_is_local(s->net, a->in.ip) && !ip_is_multicast(a->in.ip)) return -EADDRNOTAVAIL;
    lock(&s->lock);
    if (s->state != ST_CLOSE) r = -EINVAL;
    else inet_set_local(s, a->in.ip);
    unlock(&s->lock);
    return r;
}

static int raw_connect(struct socket *s, const struct net_addr *a, bool nonblock UNUSED)
{
    struct net_addr to = *a;
    bool off = a->family == AF_UNSPEC && !a->truncated;
    u8 src[16];

    if (!off) {
        if (a->truncated) return -EINVAL;
        if (a->family != s->domain) return -EAFNOSUPPORT;
        if (s->domain == AF_INET6 && ip_is_v4(a->in.ip)) return -ENETUNREACH;
        if (ip_is_any(to.in.ip)) inet_source_for(a, to.in.ip);
        struct route_result way;
        int r = inet_route(s, NULL, &to, &way);
        if (r) return r;
        memcpy(src, way.src, sizeof src);
        bool all = way.kind == ROUTE_BROADCAST;
        route_put(&way);
        if (all && !s->broadcast) return -EACCES;
    }
    lock(&s->lock);
    s->in.connected = !off;
    s->state = off ? ST_CLOSE : ST_ESTABLISHED;
    if (off) {
        memset(&s->in.remote.in, 0, sizeof s->in.remote.in);
    } else {
        s->in.remote = to;
        if (ip_is_any(s->in.local.in.ip)) inet_set_local(s, src);
    }
    unlock(&s->lock);
    return 0;
}

/* The port of the own name is the protocol; a peer without a port is none, as inet_getname() has it. */
static int raw_getname(struct socket *s, struct net_addr *out, bool peer)
{
    int r = 0;

    lock(&s->lock);
    *out = peer ? s->in.remote : s->in.local;
    if (peer && (!s->in.connected || !out->in.port)) r = -ENOTCONN;
    unlock(&s->lock);
    out->family = (u16)s->domain;
    return r;
}

static u32 raw_poll(struct socket *s) { return dgram_poll_common(s) | POLLOUT | POLLWRNORM | POLLWRBAND; }

/* --- options --- */

static int set_filter(struct socket *s, const void *val, size_t len, size_t size)
{
    lock(&s->lock);
    memcpy(s->in.icmp_filter, val, MIN(len, size));
    unlock(&s->lock);
    return 0;
}

static ssize_t get_filter(struct socket *s, void *val, size_t size, size_t have)
{
    size = MIN(size, have);
    lock(&s->lock);
    memcpy(val, s->in.icmp_filter, size);
    unlock(&s->lock);
    return (ssize_t)size;
}

static int set_checksum(struct socket *s, int level, const void *val, size_t len)
{
    int at;

    if (len < sizeof at) return -EINVAL;
    memcpy(&at, val, sizeof at);
    if (s->protocol == IPPROTO_ICMPV6 && level == IPPROTO_IPV6) return -EINVAL;
    if (at > 0 && at & 1) return -EINVAL;
    lock(&s->lock);
    s->in.checksum_at = at < 0 ? -1 : at;
    unlock(&s->lock);
    return 0;
}

static int set_hdrincl(struct socket *s, const void *val, size_t len)
{
    int v, r = opt_int(val, len, &v);
    if (!r) s->in.hdrincl = v;
    return r;
}

static int raw_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    bool v6 = s->domain == AF_INET6;

    if (level == SOL_RAW && !v6) {
        if (opt != ICMP_FILTER) return -ENOPROTOOPT;
        return s->protocol == IPPROTO_ICMP ? set_filter(s, val, len, sizeof(u32)) : -EOPNOTSUPP;
    }
    if (level == SOL_ICMPV6 && v6) {
        if (s->protocol != IPPROTO_ICMPV6) return -EOPNOTSUPP;
        return opt == ICMP6_FILTER ? set_filter(s, val, len, sizeof s->in.icmp_filter) : -ENOPROTOOPT;
    }
    if (v6 && (level == IPPROTO_IPV6 || level == SOL_RAW)) {
        if (opt == IPV6_CHECKSUM) return set_checksum(s, level, val, len);
        if (opt == IPV6_HDRINCL) return set_hdrincl(s, val, len);
        return level == SOL_RAW ? -ENOPROTOOPT : inet_setopt(s, level, opt, val, len);
    }
    if (level == IPPROTO_IP && !v6) return opt == IP_HDRINCL ? set_hdrincl(s, val, len) : inet_setopt(s, level, opt, val, len);
    return -ENOPROTOOPT;
}

static ssize_t raw_getopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    bool v6 = s->domain == AF_INET6;

    if (level == SOL_RAW && !v6) {
        if (opt != ICMP_FILTER) return -ENOPROTOOPT;
        return s->protocol == IPPROTO_ICMP ? get_filter(s, val, size, sizeof(u32)) : -EOPNOTSUPP;
    }
    if (level == SOL_ICMPV6 && v6) {
        if (s->protocol != IPPROTO_ICMPV6) return -EOPNOTSUPP;
        return opt == ICMP6_FILTER ? get_filter(s, val, size, sizeof s->in.icmp_filter) : -ENOPROTOOPT;
    }
    if (v6 && (level == IPPROTO_IPV6 || level == SOL_RAW)) {
        if (opt == IPV6_CHECKSUM) return opt_put_int(val, size, s->in.checksum_at);
        if (opt == IPV6_HDRINCL) return opt_put_int(val, size, s->in.hdrincl);
        return level == SOL_RAW ? -ENOPROTOOPT : inet_getopt(s, level, opt, val, size);
    }
    if (level == IPPROTO_IP && !v6)
        return opt == IP_HDRINCL ? opt_put_int(val, size, s->in.hdrincl) : inet_getopt(s, level, opt, val, size);
    return v6 ? -ENOPROTOOPT : -EOPNOTSUPP;
}

/* --- life --- */

static void leave(struct socket *s)
{
    lock(&raw_lock);
    if (s->in.bound) {
        LIST_REMOVE(s, in.port_link);
        s->in.bound = false;
        atomic_add(&nraw, -1u);
    }
    unlock(&raw_lock);
}

static void raw_release(struct socket *s)
{
    leave(s);
    dgram_release(s);
}

static void raw_free(struct socket *s)
{
    leave(s);
    inet_members_free(s);
}

static const struct sock_ops raw_ops = {
    .bind = raw_bind, .connect = raw_connect, .getname = raw_getname, .sendmsg = raw_sendmsg, .recvmsg = dgram_recvmsg,
    .shutdown = inet_dgram_shutdown, .poll = raw_poll, .setopt = raw_setopt, .getopt = raw_getopt, .release = raw_release, .free = raw_free,
};

int raw_create(struct socket *s)
{
    if (!s->protocol) return -EPROTONOSUPPORT;
    if (!ns_capable(net_owner(s), CAP_NET_RAW)) return -EPERM;
    s->ops = &raw_ops;
    inet_init(s);
    s->in.local.in.port = (u16)s->protocol;
    s->in.hdrincl = s->protocol == IPPROTO_RAW;
    s->in.checksum_at = s->domain == AF_INET6 && s->protocol == IPPROTO_ICMPV6 ? ICMP6_CHECKSUM_AT : -1;
    lock(&raw_lock);
    LIST_INSERT_HEAD(&raw_sockets, s, in.port_link);
    s->in.bound = true;
    atomic_add(&nraw, 1u);
    unlock(&raw_lock);
    return 0;
}
