/*
 * Wire format between sentry and network broker: SOCK_SEQPACKET packets, a struct rpc_hdr and at most NETB_PAYLOAD_MAX bytes,
 * native byte order. docs/net-broker.md.
 *
 * The broker keeps no state about sockets. A request about a socket brings the descriptor along (SCM_RIGHTS); the broker
 * looks what it is, checks, acts, and closes its copy. The sentry cannot do to a host socket what its own filter forbids,
 * nor can it have done here what the rules forbid.
 */
#ifndef SUNDOG_NETBROKER_PROTOCOL_H
#define SUNDOG_NETBROKER_PROTOCOL_H

#include "sentry/base/rpc.h"

#define NETB_VERSION 2u
#define NETB_MAGIC 0x6e620000u           /* upper half of rpc_hdr.type, enum netb_op below */
#define NETB_PAYLOAD_MAX (68u * 1024)    /* the largest datagram and its header fit */
#define NETB_IFCONF_MAX 64u
/* The name server that a sandbox with the resolver sees. */
#define NETB_DNS_ADDR { [10] = 0xff, [11] = 0xff, [12] = 127, 53, 53, 53 }
#define NETB_DNS_TEXT "127.53.53.53"
#define NETB_DNS_PORT 53u

enum netb_op {
    NETB_HELLO = 1,    /* u32 version -> netb_hello */
    NETB_SOCKET,       /* netb_socket -> fd, nonblocking */
    NETB_BIND,         /* fd, netb_addr */
    NETB_CONNECT,      /* fd, netb_connect; family AF_UNSPEC disconnects; -EINPROGRESS is the usual answer */
    NETB_LISTEN,       /* fd, s32 backlog */
    NETB_ACCEPT,       /* fd -> netb_addr of the peer, fd. -EAGAIN: none that is allowed */
    NETB_SEND,         /* fd, netb_send, bytes -> u32 sent */
    NETB_SETOPT,       /* fd, netb_setopt, value: options that name addresses or interfaces */
    NETB_IFREQ,        /* netb_ifreq -> netb_ifreq */
    NETB_IFCONF,       /* -> struct ifreq[] of the IPv4 addresses */
    NETB_ROUTE,        /* one rtnetlink request of a GET kind -> pieces of the answer, each with NETB_MORE but the last */
    NETB_PROC,         /* u32 enum netb_proc, or NETB_PROC_END and the place in NETB_SYSCTLS -> pieces of the text, likewise */
    NETB_OP_END,
};
#define NETB_MORE 0x8000u                /* in type, reply only: another reply to this request follows */

/* Files of the namespace's /proc/net that name no other program's sockets. */
enum netb_proc {
    NETB_PROC_DEV, NETB_PROC_ROUTE, NETB_PROC_IF_INET6, NETB_PROC_IPV6_ROUTE, NETB_PROC_ARP, NETB_PROC_SNMP, NETB_PROC_SNMP6,
    NETB_PROC_NETSTAT, NETB_PROC_DEV_MCAST, NETB_PROC_IGMP, NETB_PROC_END,
};

/* Files of /proc/sys/net, which follow: X(directory, name, text in a sandbox with its own loopback or NULL: not there) */
#define NETB_SYSCTLS(X)                                                                                                             \
    X("core", "somaxconn", "4096") X("core", "rmem_default", "212992") X("core", "rmem_max", "4194304")                              \
    X("core", "wmem_default", "212992") X("core", "wmem_max", "4194304") X("core", "optmem_max", NULL)                               \
    X("ipv4", "ip_local_port_range", "32768\t60999") X("ipv4", "ip_unprivileged_port_start", "1024") X("ipv4", "ip_forward", "0")     \
    X("ipv4", "ip_default_ttl", NULL) X("ipv4", "ip_nonlocal_bind", NULL) X("ipv4", "ping_group_range", "1\t0")                      \
    X("ipv4", "tcp_rmem", "4096\t131072\t6291456") X("ipv4", "tcp_wmem", "4096\t131072\t6291456") X("ipv4", "tcp_fin_timeout", NULL) \
    X("ipv4", "tcp_congestion_control", NULL) X("ipv4", "tcp_available_congestion_control", NULL) X("ipv4", "tcp_fastopen", NULL)   \
    X("ipv4", "tcp_keepalive_time", NULL) X("ipv4", "tcp_keepalive_intvl", NULL) X("ipv4", "tcp_keepalive_probes", NULL)            \
    X("ipv4", "tcp_max_syn_backlog", NULL) X("ipv4", "tcp_syncookies", NULL) X("ipv4", "tcp_tw_reuse", NULL)                        \
    X("ipv4", "tcp_syn_retries", NULL) X("ipv4", "tcp_retries2", NULL) X("ipv4", "tcp_sack", NULL) X("ipv4", "tcp_timestamps", NULL) \
    X("ipv4", "tcp_window_scaling", NULL) X("ipv4", "tcp_ecn", NULL) X("ipv4", "tcp_mtu_probing", NULL)                             \
    X("ipv6", "bindv6only", NULL) X("ipv6", "auto_flowlabels", NULL)
#define NETB_SYSCTL_ONE(dir, name, text) + 1u
#define NETB_SYSCTL_COUNT (0u NETB_SYSCTLS(NETB_SYSCTL_ONE))

struct netb_addr { u16 family, port; /* host order */ u32 flow, scope; u8 ip[16]; /* IPv4 as ::ffff:a.b.c.d */ };
/* settle: the caller would wait; if the answer is there by the time the call returns, report that */
struct netb_connect { struct netb_addr to; u32 settle; };
/* accept_direct: no rule looks at who connects, so the sentry may accept by itself */
/* dns_port: the resolver listens on 127.0.0.1 there, what is sent to NETB_DNS_ADDR goes to it; 0: there is none */
struct netb_hello { u32 version, accept_direct, dns_port; };
struct netb_socket { s32 domain, type, protocol; };
#define NETB_SEND_SRC 1u                 /* src and ifindex are given (IP_PKTINFO) */
struct netb_send {
    struct netb_addr to;
    u32 flags;                           /* NETB_SEND_* */
    u32 msg_flags;                       /* MSG_DONTROUTE, MSG_CONFIRM */
    s32 tos, ttl;                        /* -1: the socket's */
    u32 ifindex; u8 src[16];
};
struct netb_setopt { s32 level, opt; };
struct netb_ifreq { u32 cmd; u32 pad; u8 req[40]; };   /* struct ifreq */

_Static_assert(sizeof(struct netb_addr) == 28 && sizeof(struct netb_send) == 64, "layout");

#endif
