/* Addresses of devices, and the routes that come with them: fib_add_ifaddr(), addrconf.c of Linux. */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define IP6_KERNEL_METRIC 256u

bool prefix_match(const u8 ip[16], const u8 net[16], u32 prefix, bool v4)
{
    u32 bits = prefix + (v4 ? 96 : 0), whole = bits / 8, rest = bits % 8;

    if (ip_is_v4(ip) != v4 || memcmp(ip, net, whole)) return false;
    return !rest || !((ip[whole] ^ net[whole]) >> (8 - rest));
}

static void mask_to(u8 out[16], const u8 ip[16], u32 prefix, bool v4)
{
    u32 bits = prefix + (v4 ? 96 : 0);

    memset(out, 0, 16);
    for (u32 i = 0; i < bits; i++) out[i / 8] |= (u8)(ip[i / 8] & 0x80 >> i % 8);
    if (v4) memcpy(out, ip, 12);
}

static void put_route(struct net_devs *v, struct netdev *d, const u8 dst[16], u32 prefix, u8 type, u8 scope, u32 table, u32 metric, const u8 *src)
{
    struct net_route r = { .v4 = ip_is_v4(dst), .prefix = (u8)prefix, .protocol = RTPROT_KERNEL, .type = type, .scope = scope, .table = table,
                           .metric = metric, .dev = d, .has_src = src };

    memcpy(r.dst, dst, 16);
    if (src) memcpy(r.src, src, 16);
    route_insert_locked(v, &r);
}

/* What an address makes reachable while its device is up. */
static void network_routes(struct net_devs *v, const struct dev_addr *a)
{
    bool v4 = ip_is_v4(a->ip), lo = a->dev->kind == &dev_lo;
    u32 whole = v4 ? 32 : 128;
    u8 net[16], b[16];

    if (a->flags & IFA_F_NOPREFIXROUTE) return;
    mask_to(net, a->peer, a->prefix, v4);
    if (!v4) {
        if (!lo) put_route(v, a->dev, net, a->prefix, RTN_UNICAST, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, IP6_KERNEL_METRIC, NULL);
        return;
    }
    if (a->prefix < whole && ip_v4(net)) put_route(v, a->dev, net, a->prefix, lo ? RTN_LOCAL : RTN_UNICAST, lo ? RT_SCOPE_HOST : RT_SCOPE_LINK,
                                                  lo ? RT_TABLE_LOCAL : RT_TABLE_MAIN, 0, a->ip);
    else if (!ip_equal(a->ip, a->peer)) put_route(v, a->dev, a->peer, whole, RTN_UNICAST, RT_SCOPE_LINK, RT_TABLE_MAIN, 0, a->ip);
    if (a->prefix >= 31) return;
    ip_set_v4(b, ip_v4(net) | (a->prefix ? ~0u >> a->prefix : ~0u));
    put_route(v, a->dev, b, whole, RTN_BROADCAST, RT_SCOPE_LINK, RT_TABLE_LOCAL, 0, a->ip);
}

static void local_route(struct net_devs *v, const struct dev_addr *a)
{
    bool v4 = ip_is_v4(a->ip);
    put_route(v, a->dev, a->ip, v4 ? 32 : 128, RTN_LOCAL, v4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, 0, v4 ? a->ip : NULL);
}

/* Under net_lock: outside of it the device may go on to another namespace, and its own one may end. Of a device that is not gone. */
static struct net_devs *lists_locked(const struct netdev *d) { return net_devs(d->net); }

/* Removes the routes of a that no other address of the device wants: all of them are made anew. */
static void remake_routes(struct net_devs *v, struct netdev *d)
{
    struct net_route *r, *next;
    struct dev_addr *a;

    TAILQ_FOREACH_SAFE(r, &v->routes, link, next) {
        if (r->dev != d || r->protocol != RTPROT_KERNEL) continue;
        TAILQ_REMOVE(&v->routes, r, link);
        v->nroutes--;
        free(r);
    }
    TAILQ_FOREACH(a, &v->addrs, link) {
        if (a->dev != d) continue;
        local_route(v, a);
        if (d->flags & IFF_UP) network_routes(v, a);
    }
    if (d->flags & IFF_UP && d->kind != &dev_lo && d->flags & IFF_MULTICAST) {
        u8 all[16] = { 0xff };
        put_route(v, d, all, 8, RTN_MULTICAST, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, IP6_KERNEL_METRIC, NULL);
    }
}

static struct dev_addr *find_locked(struct net_devs *v, const struct netdev *d, const u8 ip[16], int prefix)
{
    struct dev_addr *a;
    TAILQ_FOREACH(a, &v->addrs, link)
        if (a->dev == d && ip_equal(a->ip, ip) && (prefix < 0 || a->prefix == prefix)) return a;
    return NULL;
}

/* IPv4 before IPv6, and a device's together, as they are listed. */
static void insert_sorted(struct net_devs *v, struct dev_addr *a)
{
    struct dev_addr *o;
    TAILQ_FOREACH(o, &v->addrs, link)
        if (o->dev->index > a->dev->index) break;
    if (o) TAILQ_INSERT_BEFORE(o, a, link);
    else TAILQ_INSERT_TAIL(&v->addrs, a, link);
    v->naddrs++;
}

static int add_locked(struct net_devs *v, struct netdev *d, const struct dev_addr *like, bool replace, struct dev_addr **out)
{
    bool v4 = ip_is_v4(like->ip);
    struct dev_addr *a, *o;

    if (like->prefix > (v4 ? 32 : 128)) return -EINVAL;
    if ((o = find_locked(v, d, like->ip, v4 ? like->prefix : -1))) {
        if (!replace) return -EEXIST;
        o->flags = like->flags;
        *out = o;
        return 0;
    }
    if (v->naddrs >= ADDRS_MAX) return -ENOSPC;
    a = xnew(struct dev_addr);
    *a = *like;
    a->dev = d;
    if (!*a->label) memcpy(a->label, d->name, sizeof a->label);
    /* A further one of the same network is a secondary. */
    TAILQ_FOREACH(o, &v->addrs, link)
        if (v4 && o->dev == d && ip_is_v4(o->ip) && o->prefix == a->prefix && prefix_match(a->peer, o->peer, a->prefix, true)
            && !(o->flags & IFA_F_SECONDARY)) a->flags |= IFA_F_SECONDARY;
    insert_sorted(v, a);
    if (d->kind != &dev_lo || !ip_is_loopback(a->ip)) atomic_store(&v->more, 1u);
    *out = a;
    return 0;
}

int dev_addr_add(struct netdev *d, const struct dev_addr *like, bool replace)
{
    struct dev_addr *a, copy;

    write_lock(&net_lock);
    struct net_ns *n = d->net;
    int r = d->gone ? -ENODEV : add_locked(lists_locked(d), d, like, replace, &a);
    if (!r) {
        remake_routes(lists_locked(d), d);
        copy = *a;
    }
    rw_unlock(&net_lock);
    if (!r) rtnl_addr_changed(n, &copy, false);
    return r;
}

static void drop_locked(struct net_devs *v, struct dev_addr *a)
{
    TAILQ_REMOVE(&v->addrs, a, link);
    v->naddrs--;
    free(a);
}

int dev_addr_del(struct netdev *d, const u8 ip[16], int prefix)
{
    struct dev_addr *a, copy;

    write_lock(&net_lock);
    struct net_ns *n = d->net;
    struct net_devs *v = d->gone ? NULL : lists_locked(d);
    a = v ? find_locked(v, d, ip, prefix) : NULL;
    if (a) {
        copy = *a;
        atomic_store(&v->more, 1u);
        drop_locked(v, a);
        remake_routes(v, d);
    }
    rw_unlock(&net_lock);
    if (!a) return -EADDRNOTAVAIL;
    rtnl_addr_changed(n, &copy, true);
    return 0;
}

static void give(struct netdev *d, const u8 ip[16], u8 prefix, u8 scope)
{
    struct dev_addr a = { .prefix = prefix, .scope = scope, .flags = IFA_F_PERMANENT };
    memcpy(a.ip, ip, 16);
    memcpy(a.peer, ip, 16);
    dev_addr_add(d, &a, true);
}

void dev_addrs_up(struct netdev *d)
{
    struct dev_addr *a;
    bool any4 = false;

    write_lock(&net_lock);
    if (!d->gone) {
        struct net_devs *v = lists_locked(d);
        TAILQ_FOREACH(a, &v->addrs, link) any4 |= a->dev == d && ip_is_v4(a->ip);
        remake_routes(v, d);
    }
    rw_unlock(&net_lock);
    if (d->kind == &dev_lo) {
        static const u8 six[16] = { [15] = 1 };
        u8 four[16];
        ip_set_v4(four, 0x7f000001);
        if (!any4) give(d, four, 8, RT_SCOPE_HOST);
        give(d, six, 128, RT_SCOPE_HOST);
    } else if (d->addr_len == 6) {
        /* RFC 4291, appendix A: from the link-layer address. */
        u8 ip[16] = { 0xfe, 0x80, [8] = d->addr[0] ^ 2, d->addr[1], d->addr[2], 0xff, 0xfe, d->addr[3], d->addr[4], d->addr[5] };
        give(d, ip, 64, RT_SCOPE_LINK);
    }
}

/* Addresses of IPv6 go with the device, those of IPv4 stay. */
void dev_addrs_down(struct netdev *d)
{
    struct dev_addr *a, *next;

    write_lock(&net_lock);
    if (!d->gone) {
        struct net_devs *v = lists_locked(d);
        TAILQ_FOREACH_SAFE(a, &v->addrs, link, next)
            if (a->dev == d && !ip_is_v4(a->ip)) drop_locked(v, a);
        routes_drop_locked(v, d, false);
        remake_routes(v, d);
    }
    rw_unlock(&net_lock);
}

void dev_addrs_drop_locked(struct netdev *d)
{
    struct net_devs *v = net_devs(d->net);
    struct dev_addr *a, *next;

    TAILQ_FOREACH_SAFE(a, &v->addrs, link, next)
        if (a->dev == d) drop_locked(v, a);
}

/* inet_select_addr(): the first primary one, before it one whose network holds dst. Of IPv6, one of the same scope. */
bool dev_source_locked(const struct netdev *d, const u8 dst[16], u8 out[16])
{
    bool v4 = ip_is_v4(dst), link = !v4 && dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80, found = false;
    struct dev_addr *a;

    TAILQ_FOREACH(a, &net_devs(d->net)->addrs, link) {
        bool a_link = a->scope == RT_SCOPE_LINK;
        if (a->dev != d || ip_is_v4(a->ip) != v4 || (v4 && a->flags & IFA_F_SECONDARY)) continue;
        bool better = v4 ? prefix_match(dst, a->peer, a->prefix, true) : a_link == link;
        if (found && !better) continue;
        memcpy(out, a->ip, 16);
        found = true;
        if (better) break;
    }
    return found;
}
