/*
 * sundog-netbroker: makes host sockets for a sandbox with the host's network, in the network namespace that sundog put it
 * in. Treats the sentry as hostile: every request is checked against the plan's rules, whatever the sentry says it checked.
 */
#ifndef SUNDOG_NETBROKER_BROKER_H
#define SUNDOG_NETBROKER_BROKER_H

#include "netbroker/protocol.h"
#include "sentry/base/connrules.h"
#include "sentry/base/netrules.h"

/* One request, while it is served by its channel's thread. */
struct netb_req {
    const u8 *in; u32 len;         /* payload, unaligned */
    int fd;                        /* came with it; -1: none. Closed by the caller */
    u8 *out; u32 out_len;          /* reply payload, NETB_PAYLOAD_MAX */
    int out_fd;                    /* goes with the reply, then closed; -1: none */
    void *more_arg;                /* sends a piece that is in out with NETB_MORE; -errno */
    int (*more)(struct netb_req *r);
};
typedef int netb_handler(struct netb_req *r);

/* --- state, set once before serving --- */
extern struct net_rules netb_rules;
extern struct connrules *netb_names;   /* a profile's [net]; NULL: netb_rules decides. Its verdicts are netb_rules' default then */
/* By the one or the other. dir: PLAN_NET_*, port in host order. */
bool netb_allow(u32 dir, int protocol, const u8 ip[16], u16 port);

/* What a descriptor of the sentry's is: -EBADF none came, -ENOTSOCK, -EAFNOSUPPORT not of the internet families. */
struct netb_sock { int fd, domain, type, protocol; };
int netb_sock_of(const struct netb_req *r, struct netb_sock *s);
/* Copies the first n bytes of the payload; -EBADMSG if there are fewer. */
int netb_take(const struct netb_req *r, void *dst, size_t n);

/* Length of the sockaddr, or -EAFNOSUPPORT. An IPv4 address for an IPv6 socket is left for the kernel to judge. */
struct sockaddr_storage;
int netb_addr_to_host(const struct netb_addr *a, struct sockaddr_storage *out);
void netb_addr_from_host(const struct sockaddr_storage *ss, struct netb_addr *out);
/* May a socket send or connect there? "Any" as destination is the loopback, as the kernel takes it. */
bool netb_dest_allowed(const struct netb_addr *a, int protocol);

/* ops_socket.c */
netb_handler netb_op_socket, netb_op_bind, netb_op_connect, netb_op_listen, netb_op_accept;
/* ops_send.c */
netb_handler netb_op_send, netb_op_setopt;
/* ops_info.c; netb_info_init opens what is served later, while there still is a view of files */
int netb_info_init(void);
netb_handler netb_op_ifreq, netb_op_ifconf, netb_op_route, netb_op_proc;

/*
 * resolver.c. init: the data of PLAN_DNS, before the descriptors are locked in; fixed: an answer that needs no server.
 * direct: is the address the resolver's? Then it becomes the real one, and directed must be called with the socket after it was sent
 * there. address_ok: may an answer give this address to the name?
 */
int netb_dns_init(const u8 *data, size_t len);
int netb_dns_fixed(const char *name, const u8 ip[16]);
int netb_dns_start(void);
u16 netb_dns_port(void);
bool netb_dns_direct(struct netb_addr *a, int protocol);
void netb_dns_directed(int fd, int protocol);
bool netb_dns_address_ok(const char *name, const u8 ip[16]);

/* serve.c. False: the packet is no request, the channel ends. */
bool netb_handle_packet(const struct rpc_hdr *h, struct netb_req *r, struct rpc_hdr *rep);
int netb_serve(const int *socks, unsigned n);

#endif
