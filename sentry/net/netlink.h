/* Between the netlink sockets and who answers them. */
#ifndef SUNDOG_NET_NETLINK_H
#define SUNDOG_NET_NETLINK_H

#include "sentry/net/socket.h"

struct nlmsghdr;
/* A datagram from the kernel for s; takes over b. */
void netlink_queue(struct socket *s, struct sockbuf *b);
/* host_route.c: 1 when answered, else -errno for an error message. portid: the asking socket's. */
int host_route(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n, u32 portid, bool strict);

#endif
