/* What the files of UDP over the loopback share. No lock held. */
#ifndef SUNDOG_NET_UDP_H
#define SUNDOG_NET_UDP_H

#include "sentry/base/alloc.h"
#include "sentry/net/inet.h"

#define UDP4_MAX 65507u
#define UDP6_MAX 65527u
#define UDP_LEN_MAX 65536u

struct udp_held { struct sockbuf *b; struct net_addr to; };
static inline u32 udp_max(const struct net_addr *to) { return ip_is_v4(to->in.ip) ? UDP4_MAX : UDP6_MAX; }

/* udp.c: the datagram b, complete but for its stamp, goes on its way; consumes b. */
void udp_transmit(struct socket *s, const struct net_addr *to, struct sockbuf *b);
/* One for `to` was too long: what the error queue has of it. */
void udp_too_long(struct socket *s, const struct net_addr *to);

/* udp_cork.c */
bool udp_held(struct socket *s);
int udp_hold(struct socket *s, const struct net_addr *to, struct sockbuf *b);   /* takes b over, or -EINVAL: there is one */
ssize_t udp_append(struct socket *s, struct net_msg *m, bool more);
void udp_drop_held(struct socket *s);

#endif
