/*
 * The host's network: sockets that the broker made (netbroker/protocol.h), used by the sentry. docs/net-broker.md.
 *
 * What takes an address or makes a socket is asked of the broker. Bytes, plain options, names and shutdown go straight to
 * the descriptor. All host sockets are nonblocking; tasks that wait hang on the socket's queue and one thread, started
 * with the first socket anybody waits for, sleeps in epoll_wait, edge-triggered, and wakes them.
 */
#ifndef SUNDOG_NET_HOST_H
#define SUNDOG_NET_HOST_H

#include "netbroker/protocol.h"
#include "sentry/base/netrules.h"
#include "sentry/net/socket.h"

struct host_sock {
    int fd;                        /* (c) owned; open until the last reference of the socket goes */
    u64 id;                        /* (c) */
    bool registered;               /* (a) known to the poller; set under its lock */
    struct host_sock *next;        /* poller's hash chain, under its lock */
    struct socket *s;              /* (c) */
    struct net_addr accepted;      /* (c) who connected, if accept(2) made it: that end may be gone by now */
};

extern const struct net_stack_ops net_host, net_none;
extern const struct sock_ops host_tcp_ops, host_dgram_ops;

/* Before the filter; takes over the rules. -errno: the broker does not answer. */
int net_host_init(const int *socks, unsigned n, struct net_rules *rules);
/* The plan's rules; head.mode is the mode of this sandbox. */
extern struct net_rules net_plan;

/* broker.c: one exchange each; no socket lock held. fd, out_fd: -1, NULL: none. */
int netb_call(enum netb_op op, int fd, const void *req, size_t len, const void *data, size_t data_len, void *rep, size_t *rep_len, int *out_fd);
/* For replies in pieces: piece is called for each; it must not call the broker. */
int netb_call_pieces(enum netb_op op, const void *req, size_t len, const void *data, size_t data_len,
                     int (*piece)(void *arg, const u8 *p, size_t n), void *arg);
int netb_connect_channels(const int *socks, unsigned n);
bool netb_accept_direct(void);
u16 netb_dns_port(void);                         /* where the resolver listens on 127.0.0.1; 0: there is none */
void netb_addr_of(const struct net_addr *a, struct netb_addr *out);

/* host_poll.c */
void host_poller_add(struct host_sock *h);       /* gives it an id; not yet registered */
void host_poller_del(struct host_sock *h);
void host_poller_watch(struct host_sock *h);     /* from now on edges wake the socket's queue */
u32 host_ready(const struct host_sock *h, u32 events);

/* host_io.c */
ssize_t host_stream_send(struct socket *s, struct net_msg *m);
ssize_t host_stream_recv(struct socket *s, struct net_msg *m);
ssize_t host_dgram_send(struct socket *s, struct net_msg *m);
ssize_t host_dgram_recv(struct socket *s, struct net_msg *m);
/* sock_wait without the lock held; 0: look again */
int host_wait(struct socket *s, struct sock_wait *sw);
struct sockaddr_storage;
void host_addr_in(const struct sockaddr_storage *ss, struct net_addr *out);

/* host_opt.c */
int host_setopt(struct socket *s, int level, int opt, const void *val, size_t len);
ssize_t host_getopt(struct socket *s, int level, int opt, void *val, size_t size);

/* host_if.c */
sysret_t host_if_ioctl(struct socket *s, u32 cmd, gaddr_t arg);

#endif
