/*
 * Network devices of a namespace, their addresses, routes and rules. docs/network.md.
 *
 * One lock (net_lock, a leaf; most look) guards all lists of all namespaces and what devices have that changes. Devices are
 * counted; dev_gone() tells that one has left. Frames go through devices with no lock held. Values are the host Linux's:
 * IFF_*, ARPHRD_*, RT_TABLE_*, RTN_*, RT_SCOPE_*, RTPROT_*. Addresses as everywhere: IPv6 or IPv4-mapped.
 * A NULL namespace is the initial one; that has devices here only if the sandbox's own stack serves it.
 */
#ifndef SUNDOG_NET_DEV_H
#define SUNDOG_NET_DEV_H

#include "sentry/kernel/ns.h"
#include "sentry/net/ip.h"
#include <net/if.h>

#define DEVS_MAX 256u              /* of one namespace; addresses, routes and rules likewise */
#define ADDRS_MAX 512u
#define ROUTES_MAX 2048u
#define RULES_MAX 256u
#define DEV_MTU_MIN 68u
#define DEV_MTU_MAX 65535u

struct netdev;
struct dev_kind {
    const char *name;              /* IFLA_INFO_KIND; NULL: lo */
    u16 type;                      /* ARPHRD_ETHER and so on */
    u32 flags, mtu, txqlen;        /* at first */
    u32 mtu_max;
    /* A frame goes out, from the link-layer header on, or (ARPHRD_NONE) the network header. No lock held. */
    void (*xmit)(struct netdev *d, const u8 *frame, u32 len, u16 proto);
    void (*unregister)(struct netdev *d);  /* it has left the table for good; no lock held. NULL: nothing to do */
    void (*free)(struct netdev *d);        /* last reference; NULL */
};

struct netdev {
    refcount_t refs;
    const struct dev_kind *kind;   /* (c) */
    void *priv;                    /* the kind's */
    TAILQ_ENTRY(netdev) link;      /* net_lock, and all up to the numbers: */
    struct net_ns *net;            /* borrowed: a namespace takes its devices along */
    bool gone;
    char name[IFNAMSIZ], alias[64];
    u32 index, flags, mtu, txqlen, group;
    u8 addr[6], addr_len;          /* link layer; len 0: none */
    bool carrier;
    u64 rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, tx_dropped;   /* (a) */
};

struct dev_addr {
    TAILQ_ENTRY(dev_addr) link;
    struct netdev *dev;
    u8 ip[16], peer[16];           /* the same unless it is a link between two */
    u8 broadcast[4];               /* zeros: none */
    u8 prefix, scope;              /* prefix: of an IPv4 address up to 32 */
    u32 flags;                     /* IFA_F_* */
    char label[IFNAMSIZ];
};

struct net_route {
    TAILQ_ENTRY(net_route) link;
    bool v4, has_gateway, has_src;
    u8 dst[16], gateway[16], src[16];
    u8 prefix, tos, protocol, scope, type;
    u32 table, metric;
    struct netdev *dev;            /* NULL: types without one */
};

struct net_rule {
    TAILQ_ENTRY(net_rule) link;
    bool v4, invert;
    u8 src[16], dst[16], src_prefix, dst_prefix, tos, action, protocol;
    u32 priority, table, mark, mask;
    char iif[IFNAMSIZ], oif[IFNAMSIZ];
};

/* Lists of one namespace. */
struct net_devs {
    TAILQ_HEAD(dev_list, netdev) devs;         /* by index */
    TAILQ_HEAD(, dev_addr) addrs;
    TAILQ_HEAD(, net_route) routes;            /* longest prefix first, then least metric */
    TAILQ_HEAD(, net_rule) rules;              /* by priority */
    u32 ndevs, naddrs, nroutes, nrules, next_index;
    u32 lo_up, more;                           /* (a) hints: lo is up; there is more than lo as it is made */
};
extern rwlock_t net_lock;
/* Does the sandbox's own stack serve that namespace? */
bool net_devs_own(const struct net_ns *n);
struct net_devs *net_devs(struct net_ns *n);   /* no lock held the first time; lives as long as the namespace */

/* --- dev.c --- */
void dev_get(struct netdev *d);
void dev_put(struct netdev *d);                /* NULL is fine; no lock held */
struct netdev *dev_new(const struct dev_kind *k);
/*
 * Puts d into a namespace; name may hold one %d; index 0: the next free one. Consumes nothing.
 * -EEXIST -EINVAL (name) -ENFILE (no number left) -ENOSPC -EBUSY (index)
 */
int dev_register(struct netdev *d, struct net_ns *n, const char *name, u32 index);
void dev_unregister(struct netdev *d);         /* from any namespace, with its addresses and routes; twice is fine */
int dev_move(struct netdev *d, struct net_ns *to, const char *name /* NULL: its own */);
bool dev_gone(const struct netdev *d);
struct netdev *dev_by_name(struct net_ns *n, const char *name);    /* counted, NULL: none */
struct netdev *dev_by_index(struct net_ns *n, u32 index);
u32 dev_index_of_address(struct net_ns *n, u32 ip);        /* of the one with that IPv4 address; 0 */
bool dev_name_ok(const char *name);
/* Changes, each with its notification. */
int dev_rename(struct netdev *d, const char *name);                /* -EEXIST -EINVAL */
int dev_set_flags(struct netdev *d, u32 flags, u32 mask);          /* IFF_UP, NOARP, PROMISC, ALLMULTI, MULTICAST, DEBUG; others are ignored */
int dev_set_mtu(struct netdev *d, u32 mtu);                        /* -EINVAL */
int dev_set_addr(struct netdev *d, const u8 *addr, u32 len);       /* -EINVAL -EADDRNOTAVAIL -EOPNOTSUPP */
void dev_set_carrier(struct netdev *d, bool on);
u32 dev_flags(const struct netdev *d);                             /* with IFF_RUNNING and IFF_LOWER_UP as shown */
u8 dev_oper_state(const struct netdev *d);    /* IFLA_OPERSTATE */
/* The namespace ends: everything in it goes. */
void net_devs_exit(struct net_ns *n);
extern const struct dev_kind dev_lo, dev_dummy, dev_veth, dev_bridge;
void dev_new_veth(struct netdev *pair[2]);      /* both to be put; they hold each other until one is unregistered */
void dev_unlink_veth(struct netdev *d);        /* ...or this */

/* --- dev_addr.c: with notifications. net_lock not held. -EEXIST -ENOSPC -EADDRNOTAVAIL -EINVAL --- */
int dev_addr_add(struct netdev *d, const struct dev_addr *a, bool replace);
int dev_addr_del(struct netdev *d, const u8 ip[16], int prefix /* -1: any */);
void dev_addrs_up(struct netdev *d);           /* it came up: the addresses Linux gives it then, routes of all */
void dev_addrs_down(struct netdev *d);
void dev_addrs_drop_locked(struct netdev *d);
/* An address of d for talking to dst, or of the namespace; false: none. */
bool dev_source_locked(const struct netdev *d, const u8 dst[16], u8 out[16]);
bool prefix_match(const u8 ip[16], const u8 net[16], u32 prefix, bool v4);

/* --- route.c --- */
int route_add(struct net_ns *n, const struct net_route *r, u32 nlflags);   /* -EEXIST -ENOENT -ENOSPC; r->dev counted on success */
/* ...after a look whether its gateway is a neighbour; finds the device if r names none. -ENETUNREACH -EINVAL -ENODEV */
int route_add_checked(struct net_ns *n, struct net_route *r, u32 nlflags);
int route_check_gateway(struct net_ns *n, struct net_route *r);
int route_del(struct net_ns *n, const struct net_route *like);             /* zero fields match all; -ESRCH */
int route_insert_locked(struct net_devs *v, const struct net_route *r);
void routes_drop_locked(struct net_devs *v, const struct netdev *d, bool all /* else: but the local ones */);
int rule_add(struct net_ns *n, const struct net_rule *r, bool excl);
int rule_del(struct net_ns *n, const struct net_rule *like);
void rules_init_locked(struct net_devs *v);

enum route_kind { ROUTE_LOCAL, ROUTE_UNICAST, ROUTE_BROADCAST, ROUTE_MULTICAST };
struct route_query { u8 dst[16], src[16]; bool has_src; u32 oif, mark; u8 tos; };
struct route_result {
    enum route_kind kind;
    struct netdev *dev;            /* counted; NULL: lo (or nobody asked) */
    u32 ifindex;
    u8 src[16], next[16];          /* source to use; the neighbour */
    u32 mtu;
    struct net_route entry;        /* what matched; its dev is borrowed from dev. prefix 255: nothing did */
};
/* Where a packet goes. 0 or -ENETUNREACH -EHOSTUNREACH -EACCES -EINVAL -ENETDOWN; out->dev is put by route_put(). */
int route_find(struct net_ns *n, const struct route_query *q, struct route_result *out);
void route_put(struct route_result *r);
/* Is it an address of this host, and: is it one a broadcast goes to? */
bool net_is_local(struct net_ns *n, const u8 ip[16]);
bool net_is_broadcast(struct net_ns *n, const u8 ip[16]);

/* --- dev_ioctl.c --- */
sysret_t dev_ioctl(struct socket *s, u32 cmd, gaddr_t arg);
sysret_t dev_file_ioctl(struct netdev *d, u32 cmd, gaddr_t arg);   /* of a file that stands for d: -EINVAL unknown */

/* --- dev_io.c: frames --- */
/* A frame that came in by d: packet sockets, then what its protocol does. No lock held. */
void dev_receive(struct netdev *d, const u8 *frame, u32 len, u16 proto);
/* One that goes out: packet sockets, then the device. from: the packet socket that made it, not shown it. */
void dev_send(struct netdev *d, const u8 *frame, u32 len, u16 proto, const struct socket *from);
/* A packet to a neighbour: finds its link-layer address first, if the device has such. */
void dev_send_ip(struct netdev *d, const struct ip_packet *p, const u8 next[16], enum route_kind kind);
void dev_send_to(struct netdev *d, const struct ip_packet *p, const u8 to[6]);    /* to that link-layer address */
u32 dev_header(const struct netdev *d);        /* bytes of the link-layer header */

/* --- neigh.c: link-layer addresses of neighbours. RFC 826, 4861 --- */
void neigh_send(struct netdev *d, const struct ip_packet *p, const u8 next[16]);
void neigh_arp(struct netdev *d, const u8 *data, u32 len);
void neigh_icmp6(struct netdev *d, const struct ip_packet *p);
void neigh_drop(struct netdev *d);             /* the device goes */

/* --- rtnl_notify.c: RTNLGRP_*; no lock held --- */
void rtnl_link_changed(struct netdev *d, u32 change /* IFF_* that did */);
void rtnl_link_gone(struct netdev *d, struct net_ns *n);
void rtnl_addr_changed(struct net_ns *n, const struct dev_addr *a, bool gone);
void rtnl_route_changed(struct net_ns *n, const struct net_route *r, bool gone);

#endif
