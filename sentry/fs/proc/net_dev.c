/* /proc/net/dev, route, if_inet6, ipv6_route of the sandbox's own devices. proc_pid_net(5); the formats are those of net/ipv4, net/ipv6 */
#include "sentry/fs/proc/proc.h"
#include "sentry/net/dev.h"
#include "sentry/base/strbuf.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/route.h>
#include <string.h>

void proc_net_dev(struct strbuf *b)
{
    struct net_devs *v = net_devs(current_net());
    const struct netdev *d;

    read_lock(&net_lock);
    TAILQ_FOREACH(d, &v->devs, link)
        strbuf_printf(b, "%6s: %7llu %7llu    0 %4llu    0     0          0         0 %8llu %7llu    0 %4llu    0     0       0          0\n", d->name,
                      (unsigned long long)d->rx_bytes, (unsigned long long)d->rx_packets, (unsigned long long)d->rx_dropped,
                      (unsigned long long)d->tx_bytes, (unsigned long long)d->tx_packets, (unsigned long long)d->tx_dropped);
    rw_unlock(&net_lock);
}

/* As numbers that lie in memory in network order. */
static u32 raw(const u8 ip[16]) { return htonl(ip_v4(ip)); }

void proc_net_route(struct strbuf *b)
{
    struct net_devs *v = net_devs(current_net());
    const struct net_route *r;

    read_lock(&net_lock);
    TAILQ_FOREACH(r, &v->routes, link) {
        if (!r->v4 || r->table != RT_TABLE_MAIN) continue;
        u32 flags = RTF_UP | (r->has_gateway ? RTF_GATEWAY : 0) | (r->prefix == 32 ? RTF_HOST : 0) | (r->dev ? 0 : RTF_REJECT);
        strbuf_printf(b, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0\n", r->dev ? r->dev->name : "*", raw(r->dst), r->has_gateway ? raw(r->gateway) : 0,
                      flags, r->metric, r->prefix ? htonl(~0u << (32 - r->prefix)) : 0);
    }
    rw_unlock(&net_lock);
}

static void hex(struct strbuf *b, const u8 ip[16])
{
    for (int i = 0; i < 16; i++) strbuf_printf(b, "%02x", ip[i]);
}

void proc_net_if_inet6(struct strbuf *b)
{
    struct net_devs *v = net_devs(current_net());
    const struct dev_addr *a;

    read_lock(&net_lock);
    TAILQ_FOREACH(a, &v->addrs, link) {
        if (ip_is_v4(a->ip)) continue;
        hex(b, a->ip);
        strbuf_printf(b, " %02x %02x %02x %02x %8s\n", a->dev->index, a->prefix, a->scope == RT_SCOPE_HOST ? 0x10 : a->scope == RT_SCOPE_LINK ? 0x20 : 0,
                      a->flags & 0xff, a->dev->name);
    }
    rw_unlock(&net_lock);
}

void proc_net_ipv6_route(struct strbuf *b)
{
    static const u8 none[16];
    struct net_devs *v = net_devs(current_net());
    const struct net_route *r;

    read_lock(&net_lock);
    TAILQ_FOREACH(r, &v->routes, link) {
        if (r->v4) continue;
        u32 flags = RTF_UP | (r->has_gateway ? RTF_GATEWAY : 0) | (r->type == RTN_LOCAL ? 0x80200000u : 0) | (r->dev ? 0 : RTF_REJECT);
        hex(b, r->dst);
        strbuf_printf(b, " %02x ", r->prefix);
        hex(b, none);
        strbuf_printf(b, " 00 ");
        hex(b, r->has_gateway ? r->gateway : none);
        strbuf_printf(b, " %08x %08x %08x %08x %8s\n", r->metric, 1, 0, flags, r->dev ? r->dev->name : "lo");
    }
    rw_unlock(&net_lock);
}
