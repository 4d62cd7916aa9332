/*
 * TCP connections by their two ends, and what is left of them after close(2): a connection whose end was closed first
 * keeps its port in FIN_WAIT2 until the other end is closed too, then in TIME_WAIT for a minute. Each is a struct
 * tcp_tw, with a timer of the timer service; the socket itself is gone. tcp(7), RFC 9293 3.6, tcp_minisocks.c of Linux
 * All under port_lock, which is taken inside of a socket's lock.
 */
#ifndef SUNDOG_NET_TCP_ENDS_H
#define SUNDOG_NET_TCP_ENDS_H

#include "sentry/kernel/timers.h"
#include "sentry/net/inet.h"
#include "sentry/net/inet_ns.h"

extern lock_t port_lock;           /* LC_PORT */

struct tcp_ends { struct net_ns *net; u8 local[16], remote[16]; u16 lport, rport; };
struct tcp_ends tcp_ends_of_locked(const struct socket *s);
struct tcp_ends tcp_ends_turned(const struct tcp_ends *e);      /* as the other end sees it */

/* A socket in the table has a connection, or is making one, and nobody else has its ends. Results borrowed. */
void tcp_conn_add_locked(struct socket *s);
void tcp_conn_del_locked(struct socket *s);                     /* if it is there */
struct socket *tcp_conn_find_locked(const struct tcp_ends *e);

struct tcp_tw {
    struct ktimer timer;
    struct tcp_ends ends;          /* (c) net borrowed: it takes its own along */
    u16 domain;                    /* (c) of the socket, as the rest */
    bool v6only, reuse, reuseport, by_connect;
    u8 state;                      /* TCP_FIN_WAIT2, TCP_TIME_WAIT */
    bool killed;                   /* its timer is about to run, and frees it */
    ktime_t expiry;
    LIST_ENTRY(tcp_tw) by_port, by_ends, of_ns;
};
#define TCP_TIMEWAIT_LEN (60 * NSEC_PER_SEC)
#define TCP_TW_MAX 65536u          /* in all namespaces together */
/*
 * What s leaves: takes its place in the table of ports. False: there are too many (tcp_max_tw_buckets), or no memory.
 * The timer service runs already.
 */
bool tcp_tw_add_locked(const struct socket *s, u8 state, ktime_t timeout);
void tcp_tw_kill_locked(struct tcp_tw *t);
void tcp_tw_time_wait_locked(struct tcp_tw *t);                 /* the FIN of the other end came */
struct tcp_tw *tcp_tw_find_locked(const struct tcp_ends *e);
struct tcp_tw *tcp_tw_first_locked(u16 port);                   /* on by_port, among others */
void tcp_tw_purge(struct inet_ns *i);

/* A copy for /proc, free() it. */
struct tcp_tw_shown { struct net_addr local, remote; u8 state; ktime_t left; };
struct tcp_tw_shown *tcp_tw_snapshot(struct net_ns *net, int domain, size_t *n);

#endif
