/*
 * rtnetlink over the sandbox's own devices: questions and changes. rtnetlink(7)
 * Requests are bytes from a guest, copied once; attributes are found with checked lengths.
 */
#ifndef SUNDOG_NET_RTNL_H
#define SUNDOG_NET_RTNL_H

#include "sentry/net/dev.h"
#include "sentry/net/netlink.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* Messages being made; grows. Without memory it stays as it was. */
struct nl_out { u8 *buf; u32 len, cap, seq, portid; };
u32 nl_begin(struct nl_out *o, u16 type, u16 flags, const void *body, size_t n);   /* offset, for nl_end */
void nl_end(struct nl_out *o, u32 at);
void nl_attr(struct nl_out *o, u16 type, const void *v, size_t n);
void nl_attr_u32(struct nl_out *o, u16 type, u32 v);
void nl_attr_u8(struct nl_out *o, u16 type, u8 v);
void nl_attr_str(struct nl_out *o, u16 type, const char *s);
void nl_attr_ip(struct nl_out *o, u16 type, const u8 ip[16]);    /* 4 or 16 bytes */
u32 nl_nest(struct nl_out *o, u16 type);
void nl_nest_end(struct nl_out *o, u32 at);

/* Attributes of a request; the last of each type counts. */
#define NL_ATTRS 64u
struct nl_attrs { const u8 *at[NL_ATTRS]; u16 len[NL_ATTRS]; };
void nl_parse(struct nl_attrs *a, const u8 *p, size_t n);
bool nl_has(const struct nl_attrs *a, unsigned type, size_t least);
u32 nl_u32(const struct nl_attrs *a, unsigned type, u32 otherwise);
bool nl_str(const struct nl_attrs *a, unsigned type, char *out, size_t size);      /* false: none; cut at size */
/* An address of the family's length. False: there is none, or of another length. */
bool nl_ip(const struct nl_attrs *a, unsigned type, u8 family, u8 out[16]);

/* A request at hand. body is what follows the header. */
struct rtnl_req { struct socket *s; struct net_ns *net; const struct nlmsghdr *h; const u8 *body; size_t n; struct nl_out *out; };
/* 0, -errno; answers are put into r->out. Those of the dumps append all there are. */
int rtnl_link_get(struct rtnl_req *r);
int rtnl_link_set(struct rtnl_req *r, bool create);
int rtnl_link_del(struct rtnl_req *r);
void rtnl_link_dump(struct rtnl_req *r);
int rtnl_addr_change(struct rtnl_req *r, bool del);
void rtnl_addr_dump(struct rtnl_req *r, u8 family);
int rtnl_route_get(struct rtnl_req *r);
int rtnl_route_change(struct rtnl_req *r, bool del);
void rtnl_route_dump(struct rtnl_req *r, u8 family);
int rtnl_rule_change(struct rtnl_req *r, bool del);
void rtnl_rule_dump(struct rtnl_req *r, u8 family);
void rtnl_neigh_dump(struct rtnl_req *r, u8 family);

/* One message each; net_lock held for reading. */
void rtnl_put_link_locked(struct nl_out *o, const struct netdev *d, u16 type, u16 flags, u32 change);
void rtnl_put_addr_locked(struct nl_out *o, const struct dev_addr *a, u16 type, u16 flags);
void rtnl_put_route_locked(struct nl_out *o, const struct net_route *r, u16 type, u16 flags);

#endif
