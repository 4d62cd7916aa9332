/* Internet addresses of the loopback. The host has lo only: 127.0.0.1/8 and ::1/128. */
#include "sentry/net/inet.h"
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
    return net_lo_up(s) ? 0 : -ENETUNREACH;
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
