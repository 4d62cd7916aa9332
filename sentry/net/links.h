/* The network interfaces that this sandbox sees, for /sys/class/net. */
#ifndef SUNDOG_NET_LINKS_H
#define SUNDOG_NET_LINKS_H

#include "sentry/base/types.h"

#define NET_LINK_STATS 24u

struct net_link {
    u32 index, iflink, flags, mtu, type, txqlen, group;
    char name[16], alias[64];
    u8 addr[32], broadcast[32]; u8 addr_len;
    u8 operstate, carrier, linkmode;
    u64 stats[NET_LINK_STATS];     /* in the order of struct rtnl_link_stats64 */
};

/* Allocated array, sorted by index; *n 0 with a NULL result: none, or the broker is gone. */
struct net_link *net_links_get(size_t *n);

#endif
