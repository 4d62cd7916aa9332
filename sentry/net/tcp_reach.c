/*
 * Whom a TCP connection reaches: a listener of its own network namespace, or one at the other end of a veth pair. As no segment
 * travels, what they would need is looked at once: both ends up, the address there, and a way back by the same cable.
 */
#include "sentry/net/dev.h"

#include <string.h>

/* The other end of d, if frames get there: its namespace, counted, and number. */
static bool other_end(const struct netdev *d, struct net_ns **net, u32 *ifindex)
{
    read_lock(&net_lock);
    const struct netdev *p = d->kind == &dev_veth && !d->gone ? d->priv : NULL;
    bool ok = p && !p->gone && (p->flags & d->flags & IFF_UP) && (!p->net || ref_get_unless_zero(&p->net->ns.refs));
    if (ok) {
        *net = p->net;
        *ifindex = p->index;
    }
    rw_unlock(&net_lock);
    return ok;
}

static bool way_back(struct net_ns *net, u32 ifindex, const struct socket *c)
{
    struct route_query q = { .has_src = true };
    struct route_result way;

    memcpy(q.dst, c->in.local.in.ip, 16);
    memcpy(q.src, c->in.remote.in.ip, 16);
    if (route_find(net, &q, &way)) return false;
    bool ok = way.kind == ROUTE_UNICAST && way.ifindex == ifindex;
    route_put(&way);
    return ok;
}

static struct socket *by_cable(const struct netdev *d, const struct socket *c, bool *reached)
{
    struct socket *l = NULL;
    struct net_ns *net;
    u32 ifindex;

    if (!other_end(d, &net, &ifindex)) return NULL;
    if (net_is_local(net, c->in.remote.in.ip) && way_back(net, ifindex, c)) {
        *reached = true;
        l = tcp_find_listener(net, c->in.remote.in.ip, c->in.remote.in.port, ifindex);
    }
    ns_put(net ? &net->ns : NULL);
    return l;
}

struct socket *tcp_reach(struct socket *c, bool *reached)
{
    struct route_result way;
    struct socket *l = NULL;

    *reached = false;
    if (inet_route(c, NULL, &c->in.remote, &way)) return NULL;
    if (way.kind == ROUTE_LOCAL) {
        *reached = true;
        l = tcp_find_listener(c->net, c->in.remote.in.ip, c->in.remote.in.port, LO_INDEX);
    } else if (way.kind == ROUTE_UNICAST && ip_equal(way.next, c->in.remote.in.ip)) {
        l = by_cable(way.dev, c, reached);
    }
    route_put(&way);
    return l;
}
