/* Internet addresses, and where what is sent to them goes. */
#include "sentry/net/dev.h"
#include <string.h>

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
static const u8 v6_any[16], v6_loopback[16] = { [15] = 1 };

bool ip_is_v4(const u8 ip[16]) { return !memcmp(ip, v4_prefix, 12); }
bool ip_equal(const u8 a[16], const u8 b[16]) { return !memcmp(a, b, 16); }
u32 ip_v4(const u8 ip[16]) { return (u32)ip[12] << 24 | (u32)ip[13] << 16 | (u32)ip[14] << 8 | ip[15]; }
bool ip_is_any(const u8 ip[16]) { return ip_is_v4(ip) ? !ip_v4(ip) : ip_equal(ip, v6_any); }
bool ip_is_loopback(const u8 ip[16]) { return ip_is_v4(ip) ? ip[12] == 127 : ip_equal(ip, v6_loopback); }
bool ip_is_multicast(const u8 ip[16]) { return ip_is_v4(ip) ? ip[12] >> 4 == 14 : ip[0] == 0xff; }
bool ip_is_broadcast(const u8 ip[16]) { return ip_is_v4(ip) && (ip_v4(ip) == ~0u || ip_v4(ip) == 0x7fffffffu); }

void ip_set_v4(u8 ip[16], u32 v)
{
    memcpy(ip, v4_prefix, 12);
    ip[12] = (u8)(v >> 24);
    ip[13] = (u8)(v >> 16);
    ip[14] = (u8)(v >> 8);
    ip[15] = (u8)v;
}

void inet_addr_show(const struct socket *s, struct net_addr *a)
{
    a->family = (u16)s->domain;
    if (s->domain == AF_INET && !ip_is_v4(a->in.ip)) ip_set_v4(a->in.ip, 0);
}

void inet_source_for(const struct net_addr *dest, u8 ip[16])
{
    if (ip_is_v4(dest->in.ip)) ip_set_v4(ip, 0x7f000001);
    else memcpy(ip, v6_loopback, 16);
}

int inet_check_dest(struct socket *s, struct net_addr *a)
{
    if (a->truncated) return -EINVAL;
    if (s->domain == AF_INET) {
        if (a->family != AF_INET) return -EAFNOSUPPORT;
    } else {
        if (a->family == AF_INET && s->in.v6only) return -ENETUNREACH;
        if (a->family != AF_INET6 && a->family != AF_INET) return -EAFNOSUPPORT;
        if (s->in.v6only && ip_is_v4(a->in.ip)) return -ENETUNREACH;
        /* One that has an address of IPv4 cannot talk IPv6; the other way round it is v6only, or just connected. */
        if (ip_is_v4(s->in.local.in.ip) && !ip_is_v4(a->in.ip) && !ip_is_any(a->in.ip)) return -EAFNOSUPPORT;
    }
    if (ip_is_any(a->in.ip)) {
        bool v4 = ip_is_v4(a->in.ip) || (s->in.bound && ip_is_v4(s->in.local.in.ip));
        if (v4) ip_set_v4(a->in.ip, 0x7f000001);
        else memcpy(a->in.ip, v6_loopback, 16);
    }
    return 0;
}

void inet_spec_dst(struct socket *s, struct net_msg *m)
{
    u8 ip[16];

    memcpy(m->spec_dst, m->to_ip + 12, 4);
    if (!ip_is_v4(m->to_ip) || !(ip_is_multicast(m->to_ip) || net_is_broadcast(s->net, m->to_ip))) return;
    struct netdev *d = dev_by_index(s->net, m->ifindex);
    if (!d) return;
    read_lock(&net_lock);
    if (!d->gone && dev_source_locked(d, m->to_ip, ip)) memcpy(m->spec_dst, ip + 12, 4);
    rw_unlock(&net_lock);
    dev_put(d);
}

int inet_route(struct socket *s, const struct net_msg *m, const struct net_addr *to, struct route_result *out)
{
    struct route_query q = { .oif = m ? m->src_ifindex : 0, .mark = (u32)s->mark };
    bool v4 = ip_is_v4(to->in.ip), multi = ip_is_multicast(to->in.ip);

    memcpy(q.dst, to->in.ip, 16);
    lock(&s->lock);
    if (!q.oif) q.oif = s->bound_if;
    if (!q.oif && !v4 && (multi || (to->in.ip[0] == 0xfe && (to->in.ip[1] & 0xc0) == 0x80))) q.oif = to->in.scope;
    if (!q.oif && multi) q.oif = v4 ? s->in.mc_index : s->in.mc_if6;
    memcpy(q.src, s->in.local.in.ip, 16);
    q.tos = (u8)(v4 ? s->in.tos : 0) & 0x1c;
    if (m && m->has_src && !ip_is_any(m->src_ip) && net_is_local(s->net, m->src_ip)) memcpy(q.src, m->src_ip, 16);
    /* What a socket of groups is bound to is no source. */
    if (ip_is_multicast(q.src) || net_is_broadcast(s->net, q.src)) ip_set_v4(q.src, 0);
    if (ip_is_any(q.src) && v4 && multi && s->in.mc_if) ip_set_v4(q.src, s->in.mc_if);
    unlock(&s->lock);
    q.has_src = !ip_is_any(q.src) && ip_is_v4(q.src) == v4;
    return route_find(s->net, &q, out);
}

int inet_accepted_name(struct socket *s, struct net_addr *out)
{
    lock(&s->lock);
    int r = s->in.remote.in.port ? 0 : -ENOTCONN;
    *out = s->in.remote;
    unlock(&s->lock);
    inet_addr_show(s, out);
    return r;
}

int inet_getname(struct socket *s, struct net_addr *out, bool peer)
{
    int r = 0;

    lock(&s->lock);
    if (!peer) {
        *out = s->in.local;
    } else if (s->type == SOCK_STREAM ? s->state != ST_ESTABLISHED || !s->in.in_conns : !s->in.connected || !s->in.remote.in.port) {
        r = -ENOTCONN;
    } else {
        *out = s->in.remote;
    }
    unlock(&s->lock);
    inet_addr_show(s, out);
    return r;
}

int inet_dgram_shutdown(struct socket *s, u32 which)
{
    lock(&s->lock);
    bool connected = s->in.connected;
    s->shut |= (u8)which;
    unlock(&s->lock);
    waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLHUP);
    return connected ? 0 : -ENOTCONN;
}
