/*
 * Ports: who is bound where, and ephemeral ones. ip(7), socket(7) SO_REUSEADDR, bind(2)
 * TCP's rules are inet_bind_conflict(), inet_csk_find_open_port() and __inet_hash_connect(), UDP's udp_lib_lport_inuse().
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/tcp_ends.h"
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define BUCKETS 512u
LIST_HEAD(port_list, socket);
/* under port_lock: TCP, UDP, UDP-Lite; those bound by bind(2) and the like, then connections that are not */
static struct port_bucket { struct port_list bound, conns; } table[3][BUCKETS];
static u32 next_ephemeral;
static u32 port_range = 32768u | 60999u << 16;   /* (a) least, greatest << 16 */

static unsigned table_of(int protocol) { return protocol == IPPROTO_TCP ? 0 : protocol == IPPROTO_UDP ? 1 : 2; }
static struct port_bucket *bucket(const struct socket *s, u16 port) { return &table[table_of(s->protocol)][port % BUCKETS]; }

/* --- who is in whose way --- */

/* What a socket, or what is left of one, holds. */
struct claim { const u8 *ip; bool six, v6only, reuse, reuseport, listens, past; u32 uid, bound_if; };

static struct claim claim_of(const struct socket *s)
{
    return (struct claim){ .ip = s->in.local.in.ip, .six = s->domain == AF_INET6, .v6only = s->in.v6only, .reuse = s->in.reuse,
                           .reuseport = s->in.reuseport, .bound_if = s->bound_if, .listens = atomic_load(&s->state) == ST_LISTEN, .uid = s->uid };
}

static struct claim claim_left(const struct tcp_tw *t)
{
    return (struct claim){ .ip = t->ends.local, .six = t->domain == AF_INET6, .v6only = t->v6only, .reuse = t->reuse,
                           .reuseport = t->reuseport, .past = true };
}

/* inet_rcv_saddr_equal() with wildcards: the order of the two matters where only one is of IPv6. */
static bool meet(const struct claim *a, const struct claim *b)
{
    /* Each on a device of its own. */
    if (a->bound_if && b->bound_if && a->bound_if != b->bound_if) return false;
    bool a4 = ip_is_v4(a->ip), b4 = ip_is_v4(b->ip), a_any = ip_is_any(a->ip), b_any = ip_is_any(b->ip);

    if (!a->six || (a4 && b4)) return !b->v6only && (ip_equal(a->ip, b->ip) || a_any || b_any);
    if (!a4 && a_any && !b4 && b_any) return true;
    if (!b4 && b_any && !(b->v6only && a4)) return true;
    if (!a4 && a_any && !(a->v6only && b4)) return true;
    return ip_equal(a->ip, b->ip);
}

/* given: the caller of bind(2) named the port. */
static bool tcp_conflict(const struct claim *a, const struct claim *b, bool given)
{
    if (!meet(a, b)) return false;
    if (!given) return true;
    if (a->reuse && b->reuse && !b->listens) return false;
    return !(a->reuseport && b->reuseport && (b->past || a->uid == b->uid));
}

static bool udp_conflict(const struct claim *a, const struct claim *b)
{
    return !(a->reuse && b->reuse) && meet(a, b) && !(a->reuseport && b->reuseport && a->uid == b->uid);
}

static bool list_conflict(const struct socket *s, const struct port_list *l, u16 port, bool given)
{
    struct claim mine = claim_of(s);
    const struct socket *o;

    LIST_FOREACH(o, l, in.port_link) {
        if (o == s || o->net != s->net || o->in.local.in.port != port) continue;
        struct claim c = claim_of(o);
        /* Who shares with the one that bound last is not held against the others: udp_lib_lport_inuse(), tb->fastreuseport. */
        if (given && mine.reuseport && c.reuseport && mine.uid == c.uid && meet(&mine, &c)) return false;
        if (s->type == SOCK_STREAM ? tcp_conflict(&mine, &c, given) : udp_conflict(&mine, &c)) return true;
    }
    return false;
}

static bool conflict_locked(const struct socket *s, u16 port, bool given)
{
    struct claim mine = claim_of(s);
    const struct port_bucket *b = bucket(s, port);

    if (list_conflict(s, &b->bound, port, given) || list_conflict(s, &b->conns, port, given)) return true;
    for (struct tcp_tw *t = s->type == SOCK_STREAM ? tcp_tw_first_locked(port) : NULL; t; t = LIST_NEXT(t, by_port)) {
        if (t->ends.net != s->net || t->ends.lport != port) continue;
        struct claim c = claim_left(t);
        if (tcp_conflict(&mine, &c, given)) return true;
    }
    return false;
}

static void insert_locked(struct socket *s, u16 port, bool conn)
{
    struct port_bucket *b = bucket(s, port);

    s->in.local.in.port = port;
    s->in.bound = true;
    LIST_INSERT_HEAD(conn ? &b->conns : &b->bound, s, in.port_link);
}

/* --- ephemeral ports --- */

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

/* The ends of s if it connected from port. */
static struct tcp_ends ends_from(const struct socket *s, u16 port)
{
    struct tcp_ends e = tcp_ends_of_locked(s);
    e.lport = port;
    return e;
}

/*
 * tcp_twsk_unique(): timestamps make a new connection known from the old one, a second later if the port was not asked
 * for by name. Everything here goes through the loopback, where tcp_tw_reuse 2 is enough.
 */
static bool takes_over(const struct socket *s, const struct tcp_tw *t, bool given)
{
    if (!inet_setting(s->net, IS_TCP_TIMESTAMPS)) return false;
    if (given) return true;
    ktime_t len = TCP_TIMEWAIT_LEN, since = t->state == TCP_TIME_WAIT ? len - (t->expiry - clock_mono()) : 0;
    return inet_setting(s->net, IS_TCP_TW_REUSE) && since > NSEC_PER_SEC;
}

static bool unique_locked(const struct socket *s, u16 port, bool given)
{
    struct tcp_ends e = ends_from(s, port);
    struct tcp_tw *t;

    if (tcp_conn_find_locked(&e)) return false;
    return !(t = tcp_tw_find_locked(&e)) || takes_over(s, t, given);
}

/* Ports that somebody bound are not shared by those who connect; others are, with different other ends. */
static bool connectable_locked(const struct socket *s, u16 port)
{
    const struct port_bucket *b = bucket(s, port);
    const struct socket *o;
    const struct tcp_tw *t;

    LIST_FOREACH(o, &b->bound, in.port_link)
        if (o->net == s->net && o->in.local.in.port == port) return false;
    LIST_FOREACH(o, &b->conns, in.port_link)
        if (o->net == s->net && o->in.local.in.port == port && !o->in.by_connect) return false;
    for (t = tcp_tw_first_locked(port); t; t = LIST_NEXT(t, by_port))
        if (t->ends.net == s->net && t->ends.lport == port && !t->by_connect) return false;
    /* Nobody means to connect to itself. */
    if (port == s->in.remote.in.port && ip_equal(s->in.local.in.ip, s->in.remote.in.ip)) return false;
    return unique_locked(s, port, false);
}

static int ephemeral_locked(struct socket *s, u16 *out, bool connect)
{
    u16 min, max;
    inet_port_range(&min, &max);
    const u32 n = max - min + 1u, step = n % 7919 ? 7919 : 1;

    if (!next_ephemeral) next_ephemeral = (u32)(clock_mono() / 1000) % n + 1;
    for (u32 i = 0; i < n; i++) {
        /* A step without a common divisor visits all, and neighbours in time are not neighbours in number. */
        next_ephemeral = (next_ephemeral + step) % n;
        u16 port = (u16)(min + next_ephemeral);
        if (connect ? connectable_locked(s, port) : !conflict_locked(s, port, false)) {
            *out = port;
            return 0;
        }
    }
    return -EADDRINUSE;
}

/* --- bind, connect, and the end of both --- */

int inet_autobind(struct socket *s)
{
    u16 port;
    int r = 0;

    lock(&port_lock);
    if (!s->in.bound) {
        r = ephemeral_locked(s, &port, false);
        if (!r) insert_locked(s, port, false);
        s->in.by_connect = false;
    }
    unlock(&port_lock);
    return r ? -EAGAIN : 0;
}

static int check_bind(const struct socket *s, const struct net_addr *a)
{
    const u8 *ip = a->in.ip;
    u16 port = a->in.port;

    if (a->truncated) return -EINVAL;
    if (a->family != s->domain) {
        /* Old programs leave the family out with INADDR_ANY. */
        if (s->domain != AF_INET || a->family != AF_UNSPEC || !ip_is_any(ip)) return s->domain == AF_INET6 && a->family == AF_INET ? -EINVAL : -EAFNOSUPPORT;
    }
    bool multi = s->type != SOCK_STREAM && (ip_is_multicast(ip) || net_is_broadcast(s->net, ip));
    if (s->domain == AF_INET6 && ip_is_v4(ip) && s->in.v6only) return -EINVAL;
    if (s->domain == AF_INET6 && !ip_is_v4(ip) && ip_is_multicast(ip) && s->type == SOCK_STREAM) return -EINVAL;
    bool free_to = s->in.freebind || inet_setting(s->net, s->domain == AF_INET6 && !ip_is_v4(ip) ? IS_IP6_NONLOCAL_BIND : IS_IP_NONLOCAL_BIND);
    if (!ip_is_any(ip) && !multi && !free_to && !net_is_local(s->net, ip)) return -EADDRNOTAVAIL;
    return port && port < inet_setting(s->net, IS_IP_UNPRIVILEGED_PORTS) && !ns_capable(net_owner(s), CAP_NET_BIND_SERVICE) ? -EACCES : 0;
}

int inet_bind(struct socket *s, const struct net_addr *a)
{
    u16 port = a->in.port;
    int r = check_bind(s, a);

    if (r) return r;
    lock(&s->lock);
    lock(&port_lock);
    if (s->in.bound || s->state != ST_CLOSE) {
        r = -EINVAL;
    } else {
        struct net_addr old = s->in.local;
        bool v6only = s->in.v6only;
        s->in.local = *a;
        s->in.local.in.port = 0;
        /* One that has an address of IPv6 is of IPv6 only. */
        if (s->domain == AF_INET6 && !ip_is_v4(a->in.ip) && !ip_is_any(a->in.ip)) s->in.v6only = true;
        if (port) r = conflict_locked(s, port, true) ? -EADDRINUSE : 0;
        else if (!s->in.address_no_port) r = ephemeral_locked(s, &port, false);
        if (r) {
            s->in.local = old;
            s->in.v6only = v6only;
        } else {
            s->in.port_given = a->in.port != 0;
            s->in.addr_given = !ip_is_any(a->in.ip);
            s->in.by_connect = false;
            if (port) insert_locked(s, port, false);
        }
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

int inet_connect_port_locked(struct socket *s)
{
    u16 port = s->in.local.in.port;
    int r = 0;

    lock(&port_lock);
    if (s->in.bound) {
        if (!unique_locked(s, port, true)) r = -EADDRNOTAVAIL;
    } else {
        if (ephemeral_locked(s, &port, true)) r = -EADDRNOTAVAIL;
        s->in.by_connect = true;
        if (!r) insert_locked(s, port, true);
    }
    if (!r) {
        struct tcp_ends e = tcp_ends_of_locked(s);
        struct tcp_tw *t = tcp_tw_find_locked(&e);
        if (t) {
            tcp_tw_kill_locked(t);
            mib_add(s->net, MIB_TCP_TW_RECYCLED, 1);
        }
        tcp_conn_add_locked(s);
    }
    unlock(&port_lock);
    return r;
}

void inet_register(struct socket *s)
{
    lock(&port_lock);
    insert_locked(s, s->in.local.in.port, true);
    tcp_conn_add_locked(s);
    unlock(&port_lock);
}

void inet_set_local(struct socket *s, const u8 ip[16])
{
    lock(&port_lock);
    memcpy(s->in.local.in.ip, ip, 16);
    unlock(&port_lock);
}

void inet_unbind_locked(struct socket *s)
{
    if (s->in.bound) LIST_REMOVE(s, in.port_link);
    s->in.bound = false;
}

void inet_unbind(struct socket *s)
{
    lock(&port_lock);
    inet_unbind_locked(s);
    tcp_conn_del_locked(s);
    unlock(&port_lock);
}

/* --- who is meant --- */
/* Does this socket, bound to `any`, stand for addresses of that kind? */
static bool covers(const struct socket *s, bool v4)
{
    return ip_is_v4(s->in.local.in.ip) ? v4 : !v4 || !s->in.v6only;
}

/* How well the local address and the device fit: 0 not at all. */
static int fit(const struct socket *o, const u8 dst[16], u32 ifindex)
{
    const u8 *ip = o->in.local.in.ip;
    u32 bound = atomic_load(&o->bound_if);
    int more = bound ? 3 : 0;

    if (bound && bound != ifindex) return 0;
    if (ip_equal(ip, dst)) return 8 + more;
    if (!ip_is_any(ip) || !covers(o, ip_is_v4(dst))) return 0;
    return (ip_is_v4(ip) == ip_is_v4(dst) ? 2 : 1) + more;
}

struct socket *tcp_find_listener(const struct net_ns *net, const u8 dst[16], u16 port, u32 ifindex)
{
    struct socket *o, *best = NULL;
    int score = 0;
    unsigned same = 0;
    u32 pick = (u32)(clock_mono() >> 10);

    lock(&port_lock);
    LIST_FOREACH(o, &table[0][port % BUCKETS].bound, in.port_link) {
        if (o->net != net || o->in.local.in.port != port || atomic_load(&o->state) != ST_LISTEN) continue;
        int f = fit(o, dst, ifindex);
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

static int udp_score(const struct socket *o, const struct inet_flow *f)
{
    int n = fit(o, f->dst, f->ifindex);
    if (!n || !o->in.connected) return n;
    if (o->in.remote.in.port != f->sport || !ip_equal(o->in.remote.in.ip, f->src)) return 0;
    return n + 16;
}

struct socket *udp_find(const struct inet_flow *f)
{
    struct socket *o, *best = NULL;
    int score = 0;
    unsigned same = 0;
    /* Of a group by SO_REUSEPORT the same one gets all of a flow. */
    u32 pick = (u32)f->sport << 16 | f->dport;

    lock(&port_lock);
    LIST_FOREACH(o, &table[table_of(f->protocol)][f->dport % BUCKETS].bound, in.port_link) {
        if (o->net != f->net || o->in.local.in.port != f->dport) continue;
        int n = udp_score(o, f);
        if (n < score || !n) continue;
        if (n == score && !(o->in.reuseport && best->in.reuseport)) continue;
        same = n > score ? 1 : same + 1;
        if (n > score || (pick = pick * 1103515245 + 12345) / 65536 % same == 0) best = o;
        score = n;
    }
    if (best && !ref_get_unless_zero(&best->refs)) best = NULL;
    unlock(&port_lock);
    return best;
}

/* Does anybody of the namespace want the group there? The interface takes it in then. */
static bool joined_locked(const struct inet_flow *f)
{
    const struct socket *o;
    bool any;

    for (unsigned k = 1; k < ARRAY_LEN(table); k++)
        for (unsigned i = 0; i < BUCKETS; i++)
            LIST_FOREACH(o, &table[k][i].bound, in.port_link)
                if (o->net == f->net && inet_is_member_locked(o, f->dst, f->ifindex, f->src, &any)) return true;
    return false;
}

unsigned udp_find_multicast(const struct inet_flow *f, struct socket **out, unsigned max)
{
    bool group = ip_is_multicast(f->dst), any;
    struct socket *o;
    unsigned n = 0;

    lock(&port_lock);
    bool taken = !group || joined_locked(f);
    LIST_FOREACH(o, &table[table_of(f->protocol)][f->dport % BUCKETS].bound, in.port_link) {
        if (!taken || n == max || o->net != f->net || o->in.local.in.port != f->dport || !fit(o, f->dst, f->ifindex)) continue;
        if (group && !inet_is_member_locked(o, f->dst, f->ifindex, f->src, &any) && (any || !o->in.mc_all)) continue;
        if (o->in.connected && (o->in.remote.in.port != f->sport || !ip_equal(o->in.remote.in.ip, f->src))) continue;
        if (ref_get_unless_zero(&o->refs)) out[n++] = o;
    }
    unlock(&port_lock);
    return n;
}
