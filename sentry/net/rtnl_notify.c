/* What members of RTNLGRP_* groups are told about changes. */
#include "sentry/net/rtnl.h"

#include "sentry/base/alloc.h"

static void tell(struct net_ns *n, u32 group, struct nl_out *o)
{
    if (o->len) netlink_broadcast(n, NETLINK_ROUTE, group, o->buf, o->len, 0, NULL);
    free(o->buf);
}

void rtnl_link_changed(struct netdev *d, u32 change)
{
    struct nl_out o = { 0 };
    struct net_ns *n = NULL;

    read_lock(&net_lock);
    if (!d->gone) rtnl_put_link_locked(&o, d, RTM_NEWLINK, 0, change);
    n = d->net;
    rw_unlock(&net_lock);
    tell(n, RTNLGRP_LINK, &o);
}

void rtnl_link_gone(struct netdev *d, struct net_ns *n)
{
    struct nl_out o = { 0 };

    read_lock(&net_lock);
    rtnl_put_link_locked(&o, d, RTM_DELLINK, 0, ~0u);
    rw_unlock(&net_lock);
    tell(n, RTNLGRP_LINK, &o);
}

void rtnl_addr_changed(struct net_ns *n, const struct dev_addr *a, bool gone)
{
    struct nl_out o = { 0 };

    rtnl_put_addr_locked(&o, a, gone ? RTM_DELADDR : RTM_NEWADDR, 0);
    tell(n, ip_is_v4(a->ip) ? RTNLGRP_IPV4_IFADDR : RTNLGRP_IPV6_IFADDR, &o);
}

void rtnl_route_changed(struct net_ns *n, const struct net_route *r, bool gone)
{
    struct nl_out o = { 0 };

    rtnl_put_route_locked(&o, r, gone ? RTM_DELROUTE : RTM_NEWROUTE, 0);
    tell(n, r->v4 ? RTNLGRP_IPV4_ROUTE : RTNLGRP_IPV6_ROUTE, &o);
}
