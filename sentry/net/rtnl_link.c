/* rtnetlink: links. rtnl_newlink(), do_setlink() and rtnl_fill_ifinfo() of Linux. */
#include "sentry/net/rtnl.h"

#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/task.h"
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#ifndef IFLA_ALT_IFNAME
#define IFLA_ALT_IFNAME 53
#endif
void rtnl_put_link_locked(struct nl_out *o, const struct netdev *d, u16 type, u16 flags, u32 change)
{
    struct ifinfomsg i = { .ifi_type = d->kind->type, .ifi_index = (int)d->index, .ifi_flags = dev_flags(d), .ifi_change = change };
    struct rtnl_link_stats64 wide = { .rx_packets = d->rx_packets, .tx_packets = d->tx_packets, .rx_bytes = d->rx_bytes, .tx_bytes = d->tx_bytes,
                                     .rx_dropped = d->rx_dropped, .tx_dropped = d->tx_dropped };
    struct rtnl_link_stats narrow = { .rx_packets = (u32)wide.rx_packets, .tx_packets = (u32)wide.tx_packets, .rx_bytes = (u32)wide.rx_bytes,
                                   .tx_bytes = (u32)wide.tx_bytes, .rx_dropped = (u32)wide.rx_dropped, .tx_dropped = (u32)wide.tx_dropped };
    static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];
    u32 at = nl_begin(o, type, flags, &i, sizeof i);

    nl_attr_str(o, IFLA_IFNAME, d->name);
    nl_attr_u32(o, IFLA_TXQLEN, d->txqlen);
    nl_attr_u8(o, IFLA_OPERSTATE, dev_oper_state(d));
    nl_attr_u8(o, IFLA_LINKMODE, 0);
    nl_attr_u32(o, IFLA_MTU, d->mtu);
    nl_attr_u32(o, IFLA_GROUP, d->group);
    nl_attr_u32(o, IFLA_PROMISCUITY, d->flags & IFF_PROMISC ? 1 : 0);
    nl_attr_u32(o, IFLA_NUM_TX_QUEUES, 1);
    nl_attr_u32(o, IFLA_NUM_RX_QUEUES, 1);
    nl_attr_u8(o, IFLA_CARRIER, d->carrier);
    nl_attr_str(o, IFLA_QDISC, d->kind == &dev_lo || d->kind == &dev_veth || d->kind == &dev_dummy ? "noqueue" : "noop");
    if (d->addr_len) {
        nl_attr(o, IFLA_ADDRESS, d->addr, d->addr_len);
        nl_attr(o, IFLA_BROADCAST, d->kind == &dev_lo ? none : all, d->addr_len);
    }
    nl_attr(o, IFLA_STATS64, &wide, sizeof wide);
    nl_attr(o, IFLA_STATS, &narrow, sizeof narrow);
    if (*d->alias) nl_attr_str(o, IFLA_IFALIAS, d->alias);
    const struct netdev *peer = d->kind == &dev_veth ? d->priv : NULL;
    if (peer) nl_attr_u32(o, IFLA_LINK, peer->index);
    if (d->kind->name) {
        u32 info = nl_nest(o, IFLA_LINKINFO);
        nl_attr_str(o, IFLA_INFO_KIND, d->kind->name);
        nl_nest_end(o, info);
    }
    nl_end(o, at);
}

void rtnl_link_dump(struct rtnl_req *r)
{
    struct net_devs *v = net_devs(r->net);
    struct netdev *d;

    read_lock(&net_lock);
    TAILQ_FOREACH(d, &v->devs, link) rtnl_put_link_locked(r->out, d, RTM_NEWLINK, NLM_F_MULTI, 0);
    rw_unlock(&net_lock);
}

static bool get_name(const struct nl_attrs *a, char name[IFNAMSIZ]) { return nl_str(a, IFLA_IFNAME, name, IFNAMSIZ) || nl_str(a, IFLA_ALT_IFNAME, name, IFNAMSIZ); }

/* Which one the request means. -EINVAL: it does not say; -ENODEV */
static int find(const struct rtnl_req *r, struct ifinfomsg *i, struct nl_attrs *a, struct netdev **out)
{
    char name[IFNAMSIZ];

    *out = NULL;
    if (r->n < sizeof *i) return -EINVAL;
    memcpy(i, r->body, sizeof *i);
    size_t off = MIN((size_t)NLMSG_ALIGN(sizeof *i), r->n);
    nl_parse(a, r->body + off, r->n - off);
    if (i->ifi_index < 0) return -EINVAL;
    if (i->ifi_index) *out = dev_by_index(r->net, (u32)i->ifi_index);
    else if (get_name(a, name)) *out = dev_by_name(r->net, name);
    else return -EINVAL;
    return *out ? 0 : -ENODEV;
}

int rtnl_link_get(struct rtnl_req *r)
{
    struct ifinfomsg i;
    struct nl_attrs a;
    struct netdev *d;
    int e = find(r, &i, &a, &d);

    if (e) return e;
    read_lock(&net_lock);
    rtnl_put_link_locked(r->out, d, RTM_NEWLINK, 0, 0);
    rw_unlock(&net_lock);
    dev_put(d);
    return 0;
}

int rtnl_link_del(struct rtnl_req *r)
{
    struct ifinfomsg i;
    struct nl_attrs a;
    struct netdev *d;
    int e = find(r, &i, &a, &d);

    if (e) return e;
    if (d->kind == &dev_lo) e = -EOPNOTSUPP;
    else dev_unregister(d);
    dev_put(d);
    return e;
}

/* The namespace that the attributes name: counted in *out, with *named set. The right over it is asked for. */
static int get_ns(const struct nl_attrs *a, struct net_ns **out, bool *named)
{
    struct ns *ns = NULL;
    int e = 0;

    *named = true;
    if (nl_has(a, IFLA_NET_NS_FD, 4)) {
        struct file *f = fd_get((int)nl_u32(a, IFLA_NET_NS_FD, 0));
        enum ns_type type = NS_USER;
        e = !f ? -EBADF : nsfs_file(f, &type, &ns) && type == NS_NET ? 0 : -EINVAL;
        if (e) ns = NULL;
        ns_get(ns);
        if (f) file_put(f);
    } else if (nl_has(a, IFLA_NET_NS_PID, 4)) {
        struct task *t = task_lookup_get(pid_in((s32)nl_u32(a, IFLA_NET_NS_PID, 0)));
        e = t && task_ns_get(t, NS_NET, &ns) ? 0 : -ESRCH;
        if (t) task_put(t);
    } else {
        *named = false;
    }
    if (e) return e;
    *out = ns ? container_of(ns, struct net_ns, ns) : NULL;
    if (*named && (!ns_capable(ns ? ns->owner : NULL, CAP_NET_ADMIN) || !net_devs_own(*out))) {
        ns_put(ns);
        return -EPERM;
    }
    return 0;
}

/* Applies what the request says of a device that is there. */
static int apply(struct netdev *d, const struct ifinfomsg *i, const struct nl_attrs *a, bool rename)
{
    char text[64];
    int e = 0;

    if (nl_u32(a, IFLA_MASTER, 0)) return -EOPNOTSUPP;
    if (nl_has(a, IFLA_ADDRESS, 1)) e = dev_set_addr(d, a->at[IFLA_ADDRESS], a->len[IFLA_ADDRESS]);
    if (!e && nl_has(a, IFLA_MTU, 4)) e = dev_set_mtu(d, nl_u32(a, IFLA_MTU, 0));
    if (!e && rename && i->ifi_index && nl_str(a, IFLA_IFNAME, text, IFNAMSIZ) && *text) e = dev_rename(d, text);
    if (e) return e;
    write_lock(&net_lock);
    d->group = nl_u32(a, IFLA_GROUP, d->group);
    d->txqlen = nl_u32(a, IFLA_TXQLEN, d->txqlen);
    if (nl_str(a, IFLA_IFALIAS, text, sizeof text)) memcpy(d->alias, text, sizeof text);
    rw_unlock(&net_lock);
    /* ip_link(8) of old leaves the mask out. */
    if (i->ifi_flags || i->ifi_change) e = dev_set_flags(d, i->ifi_flags, i->ifi_change ? i->ifi_change : ~0u);
    return e;
}

static int change(struct netdev *d, const struct ifinfomsg *i, const struct nl_attrs *a)
{
    char name[IFNAMSIZ];
    struct net_ns *to;
    bool named;
    int e = get_ns(a, &to, &named);

    if (e) return e;
    if (named) {
        bool has = nl_str(a, IFLA_IFNAME, name, sizeof name) && *name;
        e = dev_move(d, to, has ? name : NULL);
        ns_put(to ? &to->ns : NULL);
    }
    return e ? e : apply(d, i, a, !named);
}

/* Makes one end, or a device that has only one, known. */
static int settle(struct netdev *d, struct net_ns *net, const struct ifinfomsg *i, const struct nl_attrs *a, const char *kind)
{
    char name[IFNAMSIZ + 4];

    if (!nl_str(a, IFLA_IFNAME, name, IFNAMSIZ) || !*name) snprintf(name, sizeof name, "%s%%d", kind);
    if (nl_has(a, IFLA_MTU, 4) && (nl_u32(a, IFLA_MTU, 0) < DEV_MTU_MIN || nl_u32(a, IFLA_MTU, 0) > d->kind->mtu_max)) return -EINVAL;
    int e = dev_register(d, net, name, i->ifi_index > 0 ? (u32)i->ifi_index : 0);
    if (e) return e;
    e = apply(d, i, a, false);
    if (e) dev_unregister(d);
    return e;
}

static int create_veth(struct net_ns *net, const struct ifinfomsg *i, const struct nl_attrs *a, const struct nl_attrs *data)
{
    struct ifinfomsg pi = { 0 };
    struct net_ns *pnet = net;
    struct nl_attrs pa = { 0 };
    struct netdev *pair[2];
    bool named = false;
    int e = 0;

    if (nl_has(data, VETH_INFO_PEER, sizeof pi)) {
        memcpy(&pi, data->at[VETH_INFO_PEER], sizeof pi);
        nl_parse(&pa, data->at[VETH_INFO_PEER] + sizeof pi, data->len[VETH_INFO_PEER] - sizeof pi);
        e = get_ns(&pa, &pnet, &named);
        if (e) return e;
        if (!named) pnet = net;
    }
    dev_new_veth(pair);
    e = settle(pair[1], pnet, &pi, &pa, "veth");
    if (!e && (e = settle(pair[0], net, i, a, "veth"))) dev_unregister(pair[1]);
    if (e) dev_unlink_veth(pair[0]);
    for (int k = 0; k < 2; k++) dev_put(pair[k]);
    if (named) ns_put(pnet ? &pnet->ns : NULL);
    return e;
}

static int create(struct rtnl_req *r, const struct ifinfomsg *i, const struct nl_attrs *a)
{
    struct nl_attrs info, data = { 0 };
    struct net_ns *net = r->net, *named_net;
    char kind[32] = "";
    bool named;
    int e;

    if (a->at[IFLA_LINKINFO]) nl_parse(&info, a->at[IFLA_LINKINFO], a->len[IFLA_LINKINFO]);
    if (!a->at[IFLA_LINKINFO] || !nl_str(&info, IFLA_INFO_KIND, kind, sizeof kind)) return -EOPNOTSUPP;
    if (info.at[IFLA_INFO_DATA]) nl_parse(&data, info.at[IFLA_INFO_DATA], info.len[IFLA_INFO_DATA]);
    if ((e = get_ns(a, &named_net, &named))) return e;
    if (named) net = named_net;
    if (!strcmp(kind, "veth")) {
        e = create_veth(net, i, a, &data);
    } else if (!strcmp(kind, "dummy") || !strcmp(kind, "bridge")) {
        struct netdev *d = dev_new(*kind == 'd' ? &dev_dummy : &dev_bridge);
        d->carrier = *kind == 'd';
        e = settle(d, net, i, a, kind);
        dev_put(d);
    } else {
        e = -EOPNOTSUPP;
    }
    if (named) ns_put(net ? &net->ns : NULL);
    return e;
}

int rtnl_link_set(struct rtnl_req *r, bool may_create)
{
    struct ifinfomsg i;
    struct nl_attrs a;
    struct netdev *d;
    int e = find(r, &i, &a, &d);

    if (r->n < sizeof i) return e;
    if (d) {
        if (may_create && r->h->nlmsg_flags & NLM_F_EXCL) e = -EEXIST;
        else if (may_create && r->h->nlmsg_flags & NLM_F_REPLACE) e = -EOPNOTSUPP;
        else e = change(d, &i, &a);
        dev_put(d);
        return e;
    }
    if (!may_create || i.ifi_index < 0) return e;
    return r->h->nlmsg_flags & NLM_F_CREATE ? create(r, &i, &a) : -ENODEV;
}
