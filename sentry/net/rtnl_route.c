/* rtnetlink: routes, rules and neighbours. rtm_to_fib_config(), inet_rtm_getroute() and fib_nl_newrule() of Linux. */
#include "sentry/net/rtnl.h"

#include <linux/fib_rules.h>
#include <string.h>

#define IP6_USER_METRIC 1024u

void rtnl_put_route_locked(struct nl_out *o, const struct net_route *r, u16 type, u16 flags)
{
    struct rtmsg m = { .rtm_family = r->v4 ? AF_INET : AF_INET6, .rtm_dst_len = r->prefix, .rtm_tos = r->tos, .rtm_protocol = r->protocol,
                       .rtm_table = (u8)(r->table < 256 ? r->table : RT_TABLE_COMPAT), .rtm_scope = r->scope, .rtm_type = r->type };
    u32 at = nl_begin(o, type, flags, &m, sizeof m);

    nl_attr_u32(o, RTA_TABLE, r->table);
    if (r->prefix) nl_attr_ip(o, RTA_DST, r->dst);
    if (r->metric || !r->v4) nl_attr_u32(o, RTA_PRIORITY, r->metric);
    if (r->has_src) nl_attr_ip(o, RTA_PREFSRC, r->src);
    if (r->has_gateway) nl_attr_ip(o, RTA_GATEWAY, r->gateway);
    if (r->dev) nl_attr_u32(o, RTA_OIF, r->dev->index);
    if (!r->v4) nl_attr_u8(o, RTA_PREF, 0);
    nl_end(o, at);
}

void rtnl_route_dump(struct rtnl_req *r, u8 family)
{
    struct net_devs *v = net_devs(r->net);
    const struct net_route *t;

    read_lock(&net_lock);
    for (int four = 1; four >= 0; four--)
        TAILQ_FOREACH(t, &v->routes, link)
            if (t->v4 == four && (!family || family == (four ? AF_INET : AF_INET6))) rtnl_put_route_locked(r->out, t, RTM_NEWROUTE, NLM_F_MULTI);
    rw_unlock(&net_lock);
}

static int parse_head(const struct rtnl_req *r, struct rtmsg *m, struct nl_attrs *a)
{
    if (r->n < sizeof *m) return -EINVAL;
    memcpy(m, r->body, sizeof *m);
    nl_parse(a, r->body + sizeof *m, r->n - sizeof *m);
    return m->rtm_family == AF_INET || m->rtm_family == AF_INET6 ? 0 : -EOPNOTSUPP;
}

int rtnl_route_get(struct rtnl_req *r)
{
    struct route_query q = { 0 };
    struct route_result res;
    struct nl_attrs a;
    struct rtmsg m;
    int e = parse_head(r, &m, &a);

    if (e) return e;
    if (!nl_ip(&a, RTA_DST, m.rtm_family, q.dst) && m.rtm_family == AF_INET) ip_set_v4(q.dst, 0);
    q.has_src = nl_ip(&a, RTA_SRC, m.rtm_family, q.src);
    q.oif = nl_u32(&a, RTA_OIF, 0);
    q.mark = nl_u32(&a, RTA_MARK, 0);
    q.tos = m.rtm_tos;
    e = route_find(r->net, &q, &res);
    if (e) return e;
    bool v4 = m.rtm_family == AF_INET, gateway = !ip_equal(res.next, q.dst);
    struct rtmsg out = { .rtm_family = m.rtm_family, .rtm_dst_len = v4 ? 32 : 128, .rtm_table = res.kind == ROUTE_LOCAL ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
                         .rtm_flags = v4 ? RTM_F_CLONED : 0, .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = res.kind == ROUTE_LOCAL ? RTN_LOCAL : res.kind == ROUTE_BROADCAST ? RTN_BROADCAST : res.kind == ROUTE_MULTICAST ? RTN_MULTICAST : RTN_UNICAST };
    u32 at = nl_begin(r->out, RTM_NEWROUTE, 0, &out, sizeof out);
    nl_attr_ip(r->out, RTA_DST, q.dst);
    if (q.has_src) nl_attr_ip(r->out, RTA_SRC, q.src);
    nl_attr_u32(r->out, RTA_TABLE, out.rtm_table);
    nl_attr_u32(r->out, RTA_OIF, res.ifindex);
    if (gateway) nl_attr_ip(r->out, RTA_GATEWAY, res.next);
    nl_attr_ip(r->out, RTA_PREFSRC, res.src);
    nl_end(r->out, at);
    route_put(&res);
    return 0;
}

static int fill_route(struct rtnl_req *r, const struct rtmsg *m, const struct nl_attrs *a, struct net_route *t, bool del)
{
    u32 index = nl_u32(a, RTA_OIF, 0);

    *t = (struct net_route){ .v4 = m->rtm_family == AF_INET, .prefix = m->rtm_dst_len, .tos = m->rtm_tos, .protocol = m->rtm_protocol,
                             .scope = m->rtm_scope, .type = m->rtm_type, .metric = nl_u32(a, RTA_PRIORITY, 0) };
    t->table = nl_u32(a, RTA_TABLE, m->rtm_table);
    if (!t->table) t->table = RT_TABLE_MAIN;
    if (t->prefix > (t->v4 ? 32 : 128) || m->rtm_src_len || a->at[RTA_MULTIPATH]) return a->at[RTA_MULTIPATH] ? -EOPNOTSUPP : -EINVAL;
    if (!nl_ip(a, RTA_DST, m->rtm_family, t->dst)) {
        if (t->prefix) return -EINVAL;
        if (t->v4) ip_set_v4(t->dst, 0);
    }
    for (u32 b = t->prefix + (t->v4 ? 96 : 0); b < 128; b++)
        if (t->dst[b / 8] & 0x80 >> b % 8) return -EINVAL;         /* bits beyond the prefix */
    t->has_gateway = nl_ip(a, RTA_GATEWAY, m->rtm_family, t->gateway) && !ip_is_any(t->gateway);
    t->has_src = nl_ip(a, RTA_PREFSRC, m->rtm_family, t->src);
    if (index && !(t->dev = dev_by_index(r->net, index))) return -ENODEV;
    if (del) return 0;
    if (t->type == RTN_UNSPEC) t->type = RTN_UNICAST;
    if (t->type > RTN_THROW) return -EINVAL;
    if (!t->v4 && !t->metric) t->metric = IP6_USER_METRIC;
    if (t->has_src && !net_is_local(r->net, t->src)) return -EINVAL;
    bool needs = t->type == RTN_UNICAST || t->type == RTN_LOCAL || t->type == RTN_BROADCAST || t->type == RTN_MULTICAST || t->type == RTN_ANYCAST;
    if (!needs) return 0;
    if (m->rtm_flags & RTNH_F_ONLINK) return t->dev ? 0 : -ENODEV;
    int e = t->has_gateway ? route_check_gateway(r->net, t) : 0;
    return e ? e : t->dev ? 0 : -ENODEV;
}

int rtnl_route_change(struct rtnl_req *r, bool del)
{
    struct nl_attrs a;
    struct net_route t;
    struct rtmsg m;
    int e = parse_head(r, &m, &a);

    if (e) return e;
    e = fill_route(r, &m, &a, &t, del);
    if (!e) e = del ? route_del(r->net, &t) : route_add(r->net, &t, r->h->nlmsg_flags);
    dev_put(t.dev);
    return e;
}

/* --- rules --- */

void rtnl_rule_dump(struct rtnl_req *r, u8 family)
{
    struct net_devs *v = net_devs(r->net);
    const struct net_rule *u;

    read_lock(&net_lock);
    for (int four = 1; four >= 0; four--)
        TAILQ_FOREACH(u, &v->rules, link) {
            if (u->v4 != four || (family && family != (four ? AF_INET : AF_INET6))) continue;
            struct fib_rule_hdr h = { .family = u->v4 ? AF_INET : AF_INET6, .dst_len = u->dst_prefix, .src_len = u->src_prefix, .tos = u->tos,
                                      .table = (u8)(u->table < 256 ? u->table : RT_TABLE_COMPAT), .action = u->action, .flags = u->invert ? FIB_RULE_INVERT : 0 };
            u32 at = nl_begin(r->out, RTM_NEWRULE, NLM_F_MULTI, &h, sizeof h);
            nl_attr_u32(r->out, FRA_TABLE, u->table);
            nl_attr_u32(r->out, FRA_SUPPRESS_PREFIXLEN, ~0u);
            nl_attr_u8(r->out, FRA_PROTOCOL, u->protocol);
            if (*u->iif) nl_attr_str(r->out, FRA_IIFNAME, u->iif);
            if (*u->oif) nl_attr_str(r->out, FRA_OIFNAME, u->oif);
            if (u->priority) nl_attr_u32(r->out, FRA_PRIORITY, u->priority);
            if (u->mark || u->mask) nl_attr_u32(r->out, FRA_FWMARK, u->mark);
            if (u->mark || u->mask) nl_attr_u32(r->out, FRA_FWMASK, u->mask);
            if (u->dst_prefix) nl_attr_ip(r->out, FRA_DST, u->dst);
            if (u->src_prefix) nl_attr_ip(r->out, FRA_SRC, u->src);
            nl_end(r->out, at);
        }
    rw_unlock(&net_lock);
}

int rtnl_rule_change(struct rtnl_req *r, bool del)
{
    struct fib_rule_hdr h;
    struct nl_attrs a;
    struct net_rule u;

    if (r->n < sizeof h) return -EINVAL;
    memcpy(&h, r->body, sizeof h);
    nl_parse(&a, r->body + sizeof h, r->n - sizeof h);
    if (h.family != AF_INET && h.family != AF_INET6) return -EAFNOSUPPORT;
    u = (struct net_rule){ .v4 = h.family == AF_INET, .invert = h.flags & FIB_RULE_INVERT, .src_prefix = h.src_len, .dst_prefix = h.dst_len, .tos = h.tos,
                           .action = h.action, .table = nl_u32(&a, FRA_TABLE, h.table), .priority = nl_u32(&a, FRA_PRIORITY, 0),
                           .mark = nl_u32(&a, FRA_FWMARK, 0), .protocol = nl_has(&a, FRA_PROTOCOL, 1) ? *a.at[FRA_PROTOCOL] : 0 };
    u.mask = nl_u32(&a, FRA_FWMASK, u.mark ? ~0u : 0);
    if (u.src_prefix > (u.v4 ? 32 : 128) || u.dst_prefix > (u.v4 ? 32 : 128)) return -EINVAL;
    if ((u.dst_prefix && !nl_ip(&a, FRA_DST, h.family, u.dst)) || (u.src_prefix && !nl_ip(&a, FRA_SRC, h.family, u.src))) return -EINVAL;
    nl_str(&a, FRA_IIFNAME, u.iif, sizeof u.iif);
    nl_str(&a, FRA_OIFNAME, u.oif, sizeof u.oif);
    if (del) return rule_del(r->net, &u);
    if (u.action != FR_ACT_TO_TBL && u.action != FR_ACT_BLACKHOLE && u.action != FR_ACT_UNREACHABLE && u.action != FR_ACT_PROHIBIT) return -EOPNOTSUPP;
    if (u.action == FR_ACT_TO_TBL && !u.table) return -EINVAL;
    return rule_add(r->net, &u, r->h->nlmsg_flags & NLM_F_EXCL);
}
