/* Between the netlink sockets and who answers them. */
#ifndef SUNDOG_NET_NETLINK_H
#define SUNDOG_NET_NETLINK_H

#include "sentry/net/socket.h"

struct nlmsghdr;
/* A datagram from the kernel for s; takes over b. */
void netlink_queue(struct socket *s, struct sockbuf *b);
bool file_is_netlink(const struct file *f);
/* A datagram of these bytes for the netlink socket f; lost where its queue is full. */
void netlink_deliver(struct file *f, const void *data, size_t n);
/* Messages for s, in datagrams that end between two. */
void netlink_queue_all(struct socket *s, const u8 *p, u32 len);
/* A message for the members of a group (from 1 on), but for the one with that port, which sent it; 0: from the kernel. No lock held. */
void netlink_broadcast(struct net_ns *net, int protocol, u32 group, const u8 *p, u32 len, u32 portid, const struct net_cred *cred);
/* rtnl.c: 1 when answered, 0 when there is nothing to tell but success, else -errno for an error message. */
int rtnl_request(struct socket *s, const struct nlmsghdr *h, const u8 *body, size_t n, u32 portid);
/* host_route.c: 1 when answered, else -errno for an error message. portid: the asking socket's. */
int host_route(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n, u32 portid, bool strict);

#endif
