/* Routes, rules, and where a packet goes: ip-route(8), ip-rule(8), fib_lookup() and ip_route_output_key_hash_rcu() of Linux. */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>

static bool same_key(const struct net_route *a, const struct net_route *b)
{
    return a->v4 == b->v4 && a->table == b->table && a->prefix == b->prefix && a->metric == b->metric && a->tos == b->tos && ip_equal(a->dst, b->dst);
}

/* Of the same destination Linux takes several if what they lead to differs; of IPv4 only if asked to append. */
static bool same(const struct net_route *a, const struct net_route *b)
{
    return same_key(a, b) && a->dev == b->dev && a->type == b->type && a->has_gateway == b->has_gateway
        && (!a->has_gateway || ip_equal(a->gateway, b->gateway));
}

static struct net_route *insert(struct net_devs *v, const struct net_route *like)
{
    struct net_route *r = xnew(struct net_route), *o;

    *r = *like;
    TAILQ_FOREACH(o, &v->routes, link)
        if (o->prefix < r->prefix || (o->prefix == r->prefix && o->metric > r->metric)) break;
    if (o) TAILQ_INSERT_BEFORE(o, r, link);
    else TAILQ_INSERT_TAIL(&v->routes, r, link);
    v->nroutes++;
    return r;
}

int route_insert_locked(struct net_devs *v, const struct net_route *like)
{
    struct net_route *r;

    TAILQ_FOREACH(r, &v->routes, link)
        if (same(r, like)) return -EEXIST;
    if (v->nroutes >= ROUTES_MAX) return -ENOSPC;
    insert(v, like);
    return 0;
}

static void drop(struct net_devs *v, struct net_route *r)
{
    TAILQ_REMOVE(&v->routes, r, link);
    v->nroutes--;
    free(r);
}

void routes_drop_locked(struct net_devs *v, const struct netdev *d, bool all)
{
    struct net_route *r, *next;

    TAILQ_FOREACH_SAFE(r, &v->routes, link, next)
        if (r->dev == d && (all || r->type != RTN_LOCAL)) drop(v, r);
}

int route_add(struct net_ns *n, const struct net_route *like, u32 nlflags)
{
    struct net_devs *v = net_devs(n);
    struct net_route *r, *first = NULL;
    int e = 0;

    write_lock(&net_lock);
    /* It may have gone on to another namespace since it was looked up; only the routes there would end with it. */
    if (like->dev && (like->dev->gone || like->dev->net != n)) e = -ENODEV;
    else if (like->dev && !(like->dev->flags & IFF_UP) && like->type != RTN_LOCAL) e = -ENETDOWN;
    TAILQ_FOREACH(r, &v->routes, link) {
        if (!same_key(r, like)) continue;
        if (!first) first = r;
        /* IPv6: a further next hop is a route of its own. */
        if (nlflags & NLM_F_EXCL || (like->v4 && !(nlflags & (NLM_F_REPLACE | NLM_F_APPEND))) || (same(r, like) && !(nlflags & NLM_F_REPLACE))) e = e ? e : -EEXIST;
    }
    if (!e && !first && !(nlflags & NLM_F_CREATE)) e = -ENOENT;
    if (!e && nlflags & NLM_F_REPLACE && first) drop(v, first);
    if (!e && v->nroutes >= ROUTES_MAX) e = -ENOSPC;
    if (!e) {
        insert(v, like);
        atomic_store(&v->more, 1u);
    }
    rw_unlock(&net_lock);
    if (!e) rtnl_route_changed(n, like, false);
    return e;
}

int route_del(struct net_ns *n, const struct net_route *like)
{
    struct net_devs *v = net_devs(n);
    struct net_route *r, gone;
    bool found = false;

    write_lock(&net_lock);
    TAILQ_FOREACH(r, &v->routes, link) {
        found = r->v4 == like->v4 && r->table == like->table && r->prefix == like->prefix && ip_equal(r->dst, like->dst)
            && (!like->metric || r->metric == like->metric) && (!like->dev || r->dev == like->dev) && (!like->type || r->type == like->type)
            && (!like->has_gateway || (r->has_gateway && ip_equal(r->gateway, like->gateway))) && (!like->protocol || r->protocol == like->protocol);
        if (found) break;
    }
    if (found) {
        gone = *r;
        drop(v, r);
        atomic_store(&v->more, 1u);
        if (gone.dev) dev_get(gone.dev);
    }
    rw_unlock(&net_lock);
    if (!found) return -ESRCH;
    rtnl_route_changed(n, &gone, true);
    dev_put(gone.dev);
    return 0;
}

/* --- rules --- */

static void insert_rule(struct net_devs *v, const struct net_rule *like)
{
    struct net_rule *r = xnew(struct net_rule), *o;

    *r = *like;
    TAILQ_FOREACH(o, &v->rules, link)
        if (o->priority > r->priority) break;
    if (o) TAILQ_INSERT_BEFORE(o, r, link);
    else TAILQ_INSERT_TAIL(&v->rules, r, link);
    v->nrules++;
}

void rules_init_locked(struct net_devs *v)
{
    static const struct { u32 priority, table; bool v4; } t[] = {
        { 0, RT_TABLE_LOCAL, true }, { 32766, RT_TABLE_MAIN, true }, { 32767, RT_TABLE_DEFAULT, true }, { 0, RT_TABLE_LOCAL, false }, { 32766, RT_TABLE_MAIN, false } };

    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        insert_rule(v, &(struct net_rule){ .v4 = t[i].v4, .priority = t[i].priority, .table = t[i].table, .action = FR_ACT_TO_TBL, .protocol = RTPROT_KERNEL });
}

static bool rule_same(const struct net_rule *a, const struct net_rule *b)
{
    return a->v4 == b->v4 && a->invert == b->invert && a->priority == b->priority && a->table == b->table && a->action == b->action && a->tos == b->tos
        && a->mark == b->mark && a->mask == b->mask && a->src_prefix == b->src_prefix && a->dst_prefix == b->dst_prefix && ip_equal(a->src, b->src)
        && ip_equal(a->dst, b->dst) && !strcmp(a->iif, b->iif) && !strcmp(a->oif, b->oif);
}

int rule_add(struct net_ns *n, const struct net_rule *like, bool excl)
{
    struct net_devs *v = net_devs(n);
    struct net_rule *r, a = *like;
    int e = 0;

    write_lock(&net_lock);
    if (!a.priority) {
        /* Before the first one that is not the local table's. */
        TAILQ_FOREACH(r, &v->rules, link)
            if (r->v4 == a.v4 && r->priority) break;
        a.priority = r ? r->priority - 1 : 32765;
    }
    TAILQ_FOREACH(r, &v->rules, link)
        if (excl && rule_same(r, &a)) e = -EEXIST;
    if (!e && v->nrules >= RULES_MAX) e = -ENOSPC;
    if (!e) {
        insert_rule(v, &a);
        atomic_store(&v->more, 1u);
    }
    rw_unlock(&net_lock);
    return e;
}

int rule_del(struct net_ns *n, const struct net_rule *like)
{
    struct net_devs *v = net_devs(n);
    struct net_rule *r;

    write_lock(&net_lock);
    TAILQ_FOREACH(r, &v->rules, link)
        if (r->v4 == like->v4 && (!like->priority || r->priority == like->priority) && (!like->table || r->table == like->table)
            && (!like->action || r->action == like->action)
            && (!like->src_prefix || (r->src_prefix == like->src_prefix && ip_equal(r->src, like->src)))
            && (!like->dst_prefix || (r->dst_prefix == like->dst_prefix && ip_equal(r->dst, like->dst)))
            && (!like->mark || r->mark == like->mark) && (!*like->iif || !strcmp(r->iif, like->iif)) && (!*like->oif || !strcmp(r->oif, like->oif))) break;
    if (r) {
        TAILQ_REMOVE(&v->rules, r, link);
        v->nrules--;
        atomic_store(&v->more, 1u);
    }
    rw_unlock(&net_lock);
    free(r);
    return r ? 0 : -ENOENT;
}

/* --- looking up --- */

static bool rule_holds(const struct net_rule *r, const struct net_devs *v, const struct route_query *q, bool v4)
{
    struct netdev *d = NULL;
    bool yes = (q->mark & (r->mask ? r->mask : ~0u)) == r->mark || (!r->mark && !r->mask);

    if (r->v4 != v4) return false;
    yes &= !r->dst_prefix || prefix_match(q->dst, r->dst, r->dst_prefix, v4);
    yes &= !r->src_prefix || (q->has_src && prefix_match(q->src, r->src, r->src_prefix, v4));
    yes &= !r->tos || r->tos == q->tos;
    yes &= !*r->iif || !strcmp(r->iif, "lo");          /* what is sent comes from there */
    if (*r->oif) {
        TAILQ_FOREACH(d, &v->devs, link)
            if (!strcmp(d->name, r->oif)) break;
        yes &= d && d->index == q->oif;
    }
    return yes != r->invert;
}

static const struct net_route *match(const struct net_devs *v, const struct route_query *q, u32 table, bool v4)
{
    const struct net_route *r;

    TAILQ_FOREACH(r, &v->routes, link) {
        if (r->v4 != v4 || r->table != table || !prefix_match(q->dst, r->dst, r->prefix, v4)) continue;
        if (r->tos && r->tos != q->tos) continue;
        if (q->oif && r->dev && r->dev->index != q->oif) continue;
        return r;
    }
    return NULL;
}

static int type_error(u8 type) { return type == RTN_UNREACHABLE ? -EHOSTUNREACH : type == RTN_PROHIBIT ? -EACCES : type == RTN_BLACKHOLE ? -EINVAL : 0; }

static const struct net_route *lookup(const struct net_devs *v, const struct route_query *q, bool v4, int *err)
{
    const struct net_rule *u;

    *err = -ENETUNREACH;
    TAILQ_FOREACH(u, &v->rules, link) {
        if (!rule_holds(u, v, q, v4)) continue;
        if (u->action != FR_ACT_TO_TBL) {
            *err = u->action == FR_ACT_BLACKHOLE ? -EINVAL : u->action == FR_ACT_PROHIBIT ? -EACCES : -ENETUNREACH;
            return NULL;
        }
        const struct net_route *r = match(v, q, u->table, v4);
        if (!r || r->type == RTN_THROW) continue;
        *err = type_error(r->type);
        return *err ? NULL : r;
    }
    return NULL;
}

static bool is_local_locked(const struct net_devs *v, const u8 ip[16], u8 type)
{
    const struct net_route *r;
    TAILQ_FOREACH(r, &v->routes, link)
        if (r->table == RT_TABLE_LOCAL && prefix_match(ip, r->dst, r->prefix, r->v4)) return r->type == type;
    return false;
}

bool net_is_local(struct net_ns *n, const u8 ip[16])
{
    struct net_devs *v = net_devs(n);

    if (!atomic_load(&v->more)) return ip_is_loopback(ip) && ip_v4(ip) != 0x7fffffffu;
    read_lock(&net_lock);
    bool yes = is_local_locked(v, ip, RTN_LOCAL);
    rw_unlock(&net_lock);
    return yes;
}

bool net_is_broadcast(struct net_ns *n, const u8 ip[16])
{
    if (!ip_is_v4(ip)) return false;
    if (ip_is_broadcast(ip)) return true;
    struct net_devs *v = net_devs(n);
    if (!atomic_load(&v->more)) return false;
    read_lock(&net_lock);
    bool yes = is_local_locked(v, ip, RTN_BROADCAST);
    rw_unlock(&net_lock);
    return yes;
}

static struct netdev *device_locked(const struct net_devs *v, u32 index)
{
    struct netdev *d;
    TAILQ_FOREACH(d, &v->devs, link)
        if (d->index == index) return d;
    return NULL;
}

static struct netdev *device_of_address_locked(const struct net_devs *v, const u8 ip[16])
{
    const struct dev_addr *a;
    TAILQ_FOREACH(a, &v->addrs, link)
        if (ip_equal(a->ip, ip)) return a->dev;
    return is_local_locked(v, ip, RTN_LOCAL) ? TAILQ_FIRST(&v->devs) : NULL;
}

static void take_device(struct route_result *out, struct netdev *d)
{
    dev_get(d);
    out->dev = d;
    out->ifindex = d->index;
    out->mtu = d->mtu;
}

/* The source: the route's, an address of the device that it leads to, or any of the host's. */
static void choose_source(const struct net_devs *v, const struct route_query *q, const struct net_route *r, struct netdev *d, struct route_result *out)
{
    const struct dev_addr *a;
    bool v4 = ip_is_v4(q->dst);

    if (q->has_src && !ip_is_any(q->src)) memcpy(out->src, q->src, 16);
    else if (out->kind == ROUTE_LOCAL) memcpy(out->src, r && r->has_src ? r->src : q->dst, 16);
    else if (r && r->has_src) memcpy(out->src, r->src, 16);
    else if (!dev_source_locked(d, out->next, out->src)) {
        if (v4) ip_set_v4(out->src, 0);
        TAILQ_FOREACH(a, &v->addrs, link)
            if (ip_is_v4(a->ip) == v4 && a->dev->kind != &dev_lo && a->scope == RT_SCOPE_UNIVERSE) {
                memcpy(out->src, a->ip, 16);
                break;
            }
    }
}

static bool any_address(const struct net_devs *v, bool v4)
{
    const struct dev_addr *a;
    TAILQ_FOREACH(a, &v->addrs, link)
        if (ip_is_v4(a->ip) == v4) return true;
    return false;
}

static int find_locked(struct net_devs *v, const struct route_query *q0, struct route_result *out)
{
    bool v4 = ip_is_v4(q0->dst), multi = ip_is_multicast(q0->dst), limited = v4 && ip_v4(q0->dst) == ~0u, given = q0->oif;
    struct route_query q = *q0;
    struct netdev *d = NULL;
    int e = 0;

    /* A group or everybody, from an address: by the device that has it. */
    if (!q.oif && v4 && (multi || limited) && q.has_src && !ip_is_any(q.src) && (d = device_of_address_locked(v, q.src))) q.oif = d->index;
    if (q.oif && !(d = device_locked(v, q.oif))) return -ENODEV;
    if (q.oif && !(d->flags & IFF_UP)) return given ? -ENETUNREACH : -ENETDOWN;
    memcpy(out->next, q.dst, 16);
    const struct net_route *r = lookup(v, &q, v4, &e);
    if (!r && e != -ENETUNREACH) return e;
    if (!r && !v4 && !q.has_src && !any_address(v, false)) return -EADDRNOTAVAIL;     /* ip6_dst_lookup_tail() wants a source first */
    if (!r && !q.oif) return e;
    if (!r && !v4) return -ENETUNREACH;
    if (r) out->entry = *r;
    else out->entry.prefix = 255;
    if (r && r->dev) d = r->dev;
    if (!d) return -ENETUNREACH;
    if (r && r->has_gateway) memcpy(out->next, r->gateway, 16);
    out->kind = r && r->type == RTN_LOCAL ? ROUTE_LOCAL : multi ? ROUTE_MULTICAST
              : limited || (r && r->type == RTN_BROADCAST) ? ROUTE_BROADCAST : ROUTE_UNICAST;
    choose_source(v, &q, r, d, out);
    if (out->kind == ROUTE_LOCAL) d = TAILQ_FIRST(&v->devs);
    take_device(out, d);
    return 0;
}

static void loopback_route(const struct route_query *q, struct route_result *out)
{
    out->kind = ip_v4(q->dst) == 0x7fffffffu && ip_is_v4(q->dst) ? ROUTE_BROADCAST : ROUTE_LOCAL;
    out->ifindex = LO_INDEX;
    out->mtu = dev_lo.mtu;
    memcpy(out->next, q->dst, 16);
    if (q->has_src && !ip_is_any(q->src)) memcpy(out->src, q->src, 16);
    else if (ip_is_v4(q->dst)) ip_set_v4(out->src, 0x7f000001);
    else memcpy(out->src, q->dst, 16);
}

int route_find(struct net_ns *n, const struct route_query *q, struct route_result *out)
{
    struct net_devs *v = net_devs(n);

    memset(out, 0, sizeof *out);
    /* What nearly all ask for. */
    if (!atomic_load(&v->more) && (!q->oif || q->oif == LO_INDEX) && ip_is_loopback(q->dst)) {
        if (!atomic_load(&v->lo_up)) return -ENETUNREACH;
        loopback_route(q, out);
        return 0;
    }
    read_lock(&net_lock);
    int e = find_locked(v, q, out);
    rw_unlock(&net_lock);
    return e;
}

void route_put(struct route_result *r) { dev_put(r->dev); }

u32 dev_index_of_address(struct net_ns *n, u32 addr)
{
    struct net_devs *v = net_devs(n);
    u8 ip[16];

    ip_set_v4(ip, addr);
    read_lock(&net_lock);
    const struct netdev *d = device_of_address_locked(v, ip);
    u32 index = d ? d->index : 0;
    rw_unlock(&net_lock);
    return index;
}

int route_check_gateway(struct net_ns *n, struct net_route *t)
{
    struct route_query q = { .oif = t->dev ? t->dev->index : 0 };
    struct route_result res;

    memcpy(q.dst, t->gateway, 16);
    if (!t->v4 && t->dev && q.dst[0] == 0xfe && (q.dst[1] & 0xc0) == 0x80) return 0;
    int e = route_find(n, &q, &res);
    if (e) return t->v4 ? -ENETUNREACH : -EHOSTUNREACH;
    if (res.kind == ROUTE_LOCAL) e = -EINVAL;
    else if (res.kind != ROUTE_UNICAST || !ip_equal(res.next, t->gateway) || res.entry.prefix == 255) e = -ENETUNREACH;
    else if (!t->dev && res.dev) dev_get(t->dev = res.dev);
    route_put(&res);
    return e;
}

int route_add_checked(struct net_ns *n, struct net_route *r, u32 nlflags)
{
    int e = r->has_gateway ? route_check_gateway(n, r) : r->dev ? 0 : -ENODEV;
    return e ? e : route_add(n, r, nlflags);
}
