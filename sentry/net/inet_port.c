/* Ports: who is bound where, ephemeral ones, and who gets a connection or a datagram. ip(7), socket(7) SO_REUSEADDR */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/inet.h"
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>

#define BUCKETS 512u
LIST_HEAD(port_list, socket);
static lock_t port_lock = LOCK_INIT(LC_LEAF);      /* guards: */
static struct port_list table[3][BUCKETS];          /* TCP, UDP, UDP-Lite */
static u32 next_ephemeral;
static u32 port_range = 32768u | 60999u << 16;   /* (a) least, greatest << 16 */

static unsigned table_of(int protocol) { return protocol == IPPROTO_TCP ? 0 : protocol == IPPROTO_UDP ? 1 : 2; }
static struct port_list *bucket(const struct socket *s, u16 port) { return &table[table_of(s->protocol)][port % BUCKETS]; }

/* Does this socket, bound to `any`, stand for addresses of both kinds? */
static bool covers(const struct socket *s, bool v4)
{
    const u8 *ip = s->in.local.in.ip;
    return ip_is_v4(ip) ? v4 : !v4 || !s->in.v6only;
}

static bool overlap(const struct socket *a, const struct socket *b)
{
    const u8 *x = a->in.local.in.ip, *y = b->in.local.in.ip;
    if (ip_is_any(x) && ip_is_any(y)) return ip_is_v4(x) == ip_is_v4(y) || (covers(a, true) && covers(b, true));
    if (ip_is_any(x)) return covers(a, ip_is_v4(y));
    if (ip_is_any(y)) return covers(b, ip_is_v4(x));
    return ip_equal(x, y);
}

/* inet_csk_bind_conflict, udp_lib_lport_inuse. listening: s is about to listen. */
static bool conflict_locked(const struct socket *s, u16 port, bool listening)
{
    const struct socket *o;

    LIST_FOREACH(o, bucket(s, port), in.port_link) {
        if (o == s || o->net != s->net || o->in.local.in.port != port || !overlap(s, o)) continue;
        if (s->in.reuseport && o->in.reuseport && s->uid == o->uid) continue;
        if (s->in.reuse && o->in.reuse && (s->type != SOCK_STREAM || (o->state != ST_LISTEN))) continue;
        if (listening && o->state != ST_LISTEN) continue;
        return true;
    }
    return false;
}

static bool taken_locked(const struct socket *s, u16 port)
{
    const struct socket *o;
    LIST_FOREACH(o, bucket(s, port), in.port_link)
        if (o->net == s->net && o->in.local.in.port == port) return true;
    return false;
}

static void insert_locked(struct socket *s, u16 port)
{
    s->in.local.in.port = port;
    s->in.bound = true;
    LIST_INSERT_HEAD(bucket(s, port), s, in.port_link);
}

void inet_port_range(u16 *min, u16 *max)
{
    u32 v = atomic_load(&port_range);
    *min = (u16)v;
    *max = (u16)(v >> 16);
}

int inet_set_port_range(u32 min, u32 max)
{
    if (!min || min > max || max > 65535) return -EINVAL;
    atomic_store(&port_range, min | max << 16);
    return 0;
}

static int ephemeral_locked(struct socket *s, u16 *out)
{
    u16 min, max;
    inet_port_range(&min, &max);
    const u32 n = max - min + 1u, step = n % 7919 ? 7919 : 1;

    if (!next_ephemeral) next_ephemeral = (u32)(clock_mono() / 1000) % n + 1;
    for (u32 i = 0; i < n; i++) {
        /* A step without a common divisor visits all, and neighbours in time are not neighbours in number. */
        next_ephemeral = (next_ephemeral + step) % n;
        u16 port = (u16)(min + next_ephemeral);
        if (!taken_locked(s, port)) {
            *out = port;
            return 0;
        }
    }
    return -EADDRINUSE;
}

int inet_autobind(struct socket *s)
{
    u16 port;
    int r = 0;

    lock(&port_lock);
    if (!s->in.bound) {
        r = ephemeral_locked(s, &port);
        if (!r) insert_locked(s, port);
    }
    unlock(&port_lock);
    return r ? -EAGAIN : 0;
}

int inet_bind(struct socket *s, const struct net_addr *a)
{
    const u8 *ip = a->in.ip;
    u16 port = a->in.port;
    int r = 0;

    if (a->truncated) return -EINVAL;
    if (a->family != s->domain) {
        /* Old programs leave the family out with INADDR_ANY. */
        if (s->domain != AF_INET || a->family != AF_UNSPEC || !ip_is_any(ip)) return s->domain == AF_INET6 && a->family == AF_INET ? -EINVAL : -EAFNOSUPPORT;
    }
    bool multi = s->type != SOCK_STREAM && (ip_is_multicast(ip) || ip_is_broadcast(ip));
    if (s->domain == AF_INET6 && ip_is_v4(ip) && s->in.v6only) return -EINVAL;
    if (s->domain == AF_INET6 && !ip_is_v4(ip) && ip_is_multicast(ip) && s->type == SOCK_STREAM) return -EINVAL;
    if (!ip_is_any(ip) && !ip_is_loopback(ip) && !multi && !s->in.freebind) return -EADDRNOTAVAIL;
    if (ip_is_broadcast(ip) && !multi) return -EADDRNOTAVAIL;
    if (!ip_is_any(ip) && !net_lo_up(s)) return -EADDRNOTAVAIL;
    if (port && port < 1024 && !ns_capable(net_owner(s), CAP_NET_BIND_SERVICE)) return -EACCES;
    lock(&s->lock);
    lock(&port_lock);
    if (s->in.bound || s->state != ST_CLOSE) {
        r = -EINVAL;
    } else {
        struct net_addr old = s->in.local;
        s->in.local = *a;
        if (!port) r = ephemeral_locked(s, &port);
        else if (conflict_locked(s, port, false)) r = -EADDRINUSE;
        s->in.port_given = a->in.port != 0;
        if (!r) insert_locked(s, port);
        else s->in.local = old;
    }
    unlock(&port_lock);
    unlock(&s->lock);
    return r;
}

int inet_listen_check(struct socket *s)
{
    lock(&port_lock);
    bool bad = conflict_locked(s, s->in.local.in.port, true);
    unlock(&port_lock);
    return bad ? -EADDRINUSE : 0;
}

void inet_register(struct socket *s)
{
    lock(&port_lock);
    insert_locked(s, s->in.local.in.port);
    unlock(&port_lock);
}

void inet_set_local(struct socket *s, const u8 ip[16])
{
    lock(&port_lock);
    memcpy(s->in.local.in.ip, ip, 16);
    unlock(&port_lock);
}

void inet_unbind(struct socket *s)
{
    lock(&port_lock);
    if (s->in.bound) {
        LIST_REMOVE(s, in.port_link);
        s->in.bound = false;
        s->in.local.in.port = 0;
    }
    unlock(&port_lock);
}

/* How well the local address fits: 0 not at all. */
static int fit(const struct socket *o, const u8 dst[16])
{
    const u8 *ip = o->in.local.in.ip;
    if (ip_equal(ip, dst)) return 8;
    if (!ip_is_any(ip) || !covers(o, ip_is_v4(dst))) return 0;
    return ip_is_v4(ip) == ip_is_v4(dst) ? 2 : 1;
}

struct socket *tcp_find_listener(const struct net_ns *net, const u8 dst[16], u16 port)
{
    struct socket *o, *best = NULL;
    int score = 0;
    unsigned same = 0;
    u32 pick = (u32)(clock_mono() >> 10);

    lock(&port_lock);
    LIST_FOREACH(o, &table[0][port % BUCKETS], in.port_link) {
        if (o->net != net || o->in.local.in.port != port || atomic_load(&o->state) != ST_LISTEN) continue;
        int f = fit(o, dst);
        if (!f || f < score) continue;
        same = f > score ? 1 : same + 1;
        /* A group by SO_REUSEPORT shares the connections. */
        if (f > score || (pick = pick * 1103515245 + 12345) / 65536 % same == 0) best = o;
        score = f;
    }
    if (best && !ref_get_unless_zero(&best->refs)) best = NULL;
    unlock(&port_lock);
    return best;
}

static int udp_score(const struct socket *o, const u8 dst[16], const u8 src[16], u16 sport)
{
    int f = fit(o, dst);
    if (!f || !o->in.connected) return f;
    if (o->in.remote.in.port != sport || !ip_equal(o->in.remote.in.ip, src)) return 0;
    return f + 16;
}

struct socket *udp_find(const struct net_ns *net, int protocol, const u8 dst[16], u16 dport, const u8 src[16], u16 sport)
{
    struct socket *o, *best = NULL;
    int score = 0;
    unsigned same = 0;
    /* Of a group by SO_REUSEPORT the same one gets all of a flow. */
    u32 pick = (u32)sport << 16 | dport;

    lock(&port_lock);
    LIST_FOREACH(o, &table[table_of(protocol)][dport % BUCKETS], in.port_link) {
        if (o->net != net || o->in.local.in.port != dport) continue;
        int f = udp_score(o, dst, src, sport);
        if (f < score || !f) continue;
        if (f == score && !(o->in.reuseport && best->in.reuseport)) continue;
        same = f > score ? 1 : same + 1;
        if (f > score || (pick = pick * 1103515245 + 12345) / 65536 % same == 0) best = o;
        score = f;
    }
    if (best && !ref_get_unless_zero(&best->refs)) best = NULL;
    unlock(&port_lock);
    return best;
}

static bool is_member(const struct socket *o, const u8 group[16])
{
    for (unsigned i = 0; i < o->in.nmembers; i++)
        if (ip_equal(o->in.members[i], group)) return true;
    return false;
}

unsigned udp_find_multicast(const struct net_ns *net, int protocol, const u8 group[16], u16 dport, const u8 src[16], u16 sport, struct socket **out, unsigned max)
{
    struct socket *o;
    unsigned n = 0;
    bool joined = false;

    lock(&port_lock);
    LIST_FOREACH(o, &table[table_of(protocol)][dport % BUCKETS], in.port_link) joined |= o->net == net && is_member(o, group);
    LIST_FOREACH(o, &table[table_of(protocol)][dport % BUCKETS], in.port_link) {
        if (!joined || n == max || o->net != net || o->in.local.in.port != dport || !fit(o, group)) continue;
        if (!is_member(o, group) && !o->in.mc_all) continue;
        if (o->in.connected && (o->in.remote.in.port != sport || !ip_equal(o->in.remote.in.ip, src))) continue;
        if (ref_get_unless_zero(&o->refs)) out[n++] = o;
    }
    unlock(&port_lock);
    return n;
}
