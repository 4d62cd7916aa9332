/* What TCP and UDP over the loopback share. ip(7), ipv6(7) */
#ifndef SUNDOG_NET_INET_H
#define SUNDOG_NET_INET_H

#include "sentry/net/socket.h"

extern const struct sock_ops tcp_ops, udp_ops;
/* ip_local_port_range: both ends are in it. -EINVAL for an empty range or port 0. */
void inet_port_range(u16 *min, u16 *max);
int inet_set_port_range(u32 min, u32 max);

/* inet_addr.c: addresses are IPv6 or IPv4-mapped */
bool ip_is_v4(const u8 ip[16]);
bool ip_is_any(const u8 ip[16]);                 /* :: or 0.0.0.0 */
bool ip_is_loopback(const u8 ip[16]);            /* what this host answers for */
bool ip_is_multicast(const u8 ip[16]);
bool ip_is_broadcast(const u8 ip[16]);
bool ip_equal(const u8 a[16], const u8 b[16]);
void ip_set_v4(u8 ip[16], u32 host_order);
u32 ip_v4(const u8 ip[16]);                      /* host order */
/* The address as this socket shows it: AF_INET or AF_INET6. */
void inet_addr_show(const struct socket *s, struct net_addr *a);
/* Checks family and length of a destination: -EINVAL -EAFNOSUPPORT -ENETUNREACH; "any" becomes the loopback address. */
int inet_check_dest(struct socket *s, struct net_addr *a);
/* Whom an accepted socket is connected to, also when that has been reset meanwhile: accept(2) hands it out. */
int inet_accepted_name(struct socket *s, struct net_addr *out);
int inet_getname(struct socket *s, struct net_addr *out, bool peer);
/* shutdown(2) of UDP and raw sockets: marks the socket and tells whether it was connected; raw ones take data as before. */
int inet_dgram_shutdown(struct socket *s, u32 which);
void inet_source_for(const struct net_addr *dest, u8 ip[16]);
/*
 * Where what s sends to `to` goes (route_put() it): as its bound device, its address, options for groups and the ancillary
 * data of the message m (NULL: none) want it. No lock held. The errors of route_find().
 */
struct route_result;
/* IP_PKTINFO: our own address for what m received; one of the interface if it was sent to many. fib_compute_spec_dst() */
void inet_spec_dst(struct socket *s, struct net_msg *m);
int inet_route(struct socket *s, const struct net_msg *m, const struct net_addr *to, struct route_result *out);

/* inet_port.c. Tables are per protocol, under port_lock (tcp_ends.h), which is taken inside of a socket's lock. */
int inet_bind(struct socket *s, const struct net_addr *a);
int inet_autobind(struct socket *s);             /* an ephemeral port, if it has none; -EAGAIN */
void inet_unbind(struct socket *s);              /* getsockname(2) still shows the port */
void inet_unbind_locked(struct socket *s);       /* ...port_lock held; of no connection */
/*
 * TCP, s->lock held: both addresses are set, and connect(2) wants the connection between them: chooses a port if bind(2)
 * did not, and puts the connection into the table. -EADDRNOTAVAIL: there is one, or no port.
 */
int inet_connect_port_locked(struct socket *s);
void inet_register(struct socket *s);            /* a connection to be accepted: both ends are set already */
int inet_listen_check(struct socket *s);         /* -EADDRINUSE: another one listens there */
void inet_set_local(struct socket *s, const u8 ip[16]);
/* What came, from whom, by which interface. */
struct inet_flow { const struct net_ns *net; int protocol; u8 dst[16], src[16]; u16 dport, sport; u32 ifindex; };
struct socket *tcp_find_listener(const struct net_ns *net, const u8 dst[16], u16 port, u32 ifindex);       /* counted */
/* tcp_reach.c: the listener that c, with both ends set, connects to, counted; it may be in another namespace. *reached: the host is. No lock held. */
struct socket *tcp_reach(struct socket *c, bool *reached);
struct socket *udp_find(const struct inet_flow *f);
/* Every UDP socket that gets a datagram for a group or for everybody; counted, at most max. */
unsigned udp_find_multicast(const struct inet_flow *f, struct socket **out, unsigned max);

/* inet_mcast.c: groups. False: the option is none of those. */
bool inet_mcast_setopt(struct socket *s, int level, int opt, const void *val, size_t len, int *r);
struct ip_mreqn;
int inet_mcast_interface(struct socket *s, const struct ip_mreqn *q);
/* port_lock held. *any: it is in the group, whatever it thinks of the source. */
bool inet_is_member_locked(const struct socket *s, const u8 group[16], u32 ifindex, const u8 src[16], bool *any);
void inet_members_free(struct socket *s);

/* inet_opt.c */
void inet_init(struct socket *s);
int inet_setopt(struct socket *s, int level, int opt, const void *val, size_t len);
ssize_t inet_getopt(struct socket *s, int level, int opt, void *val, size_t size);
/*
 * tcp_defer.c: TCP_DEFER_ACCEPT. Seconds round up to a time at which Linux repeats a SYN-ACK; 0: off. -EAGAIN, -EMFILE
 * without a timer. No lock held, but for tcp_defer_locked: the listener's.
 */
int tcp_defer_set(struct socket *s, int secs);
bool tcp_defer_locked(struct socket *l, struct socket *c);   /* takes over the reference of a new connection, or false */
void tcp_defer_over(struct socket *c);           /* data or their end came: c can be accepted */
void tcp_defer_reset(struct socket *c);          /* c goes if nobody could accept it yet */
void tcp_defer_stop(struct socket *l);           /* l listens no more */
void tcp_defer_free(struct socket *s);           /* last reference */
/* udp_cork.c: options of UDP */
int udp_setopt(struct socket *s, int opt, const void *val, size_t len);
ssize_t udp_getopt(struct socket *s, int opt, void *val, size_t size);
/* tcp_opt.c */
int tcp_setopt(struct socket *s, int opt, const void *val, size_t len);
ssize_t tcp_getopt(struct socket *s, int opt, void *val, size_t size);
int tcp_state(const struct socket *s);           /* TCP_ESTABLISHED and so on, as /proc/net/tcp shows */
#endif
