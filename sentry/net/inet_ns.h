/*
 * What each network namespace has of its own for TCP, UDP and IP: settings (/proc/sys/net), and what is left of its
 * connections. The initial namespace's is static; another's is made with its first use and goes with it.
 */
#ifndef SUNDOG_NET_INET_NS_H
#define SUNDOG_NET_INET_NS_H

#include "sentry/base/list.h"
#include "sentry/base/types.h"

struct net_ns;
struct tcp_tw;

/*
 * X(name, directory, file, first value, least, greatest): settings that a guest may write, as ip-sysctl.rst has them.
 * What only shapes segments or their repetition (there are none here) is kept and shown.
 */
#define INET_SETTINGS(X)                                                                                                     \
    X(TCP_FIN_TIMEOUT, "ipv4", "tcp_fin_timeout", 60, INT32_MIN, INT32_MAX)                                                  \
    X(TCP_MAX_TW, "ipv4", "tcp_max_tw_buckets", 16384, INT32_MIN, INT32_MAX)                                                 \
    X(TCP_TW_REUSE, "ipv4", "tcp_tw_reuse", 2, 0, 2)                                                                         \
    X(TCP_TIMESTAMPS, "ipv4", "tcp_timestamps", 1, 0, 255)                                                                   \
    X(TCP_KEEPALIVE_TIME, "ipv4", "tcp_keepalive_time", 7200, INT32_MIN, INT32_MAX)                                          \
    X(TCP_KEEPALIVE_INTVL, "ipv4", "tcp_keepalive_intvl", 75, INT32_MIN, INT32_MAX)                                          \
    X(TCP_KEEPALIVE_PROBES, "ipv4", "tcp_keepalive_probes", 9, 0, 255)                                                       \
    X(TCP_SYN_RETRIES, "ipv4", "tcp_syn_retries", 6, 1, 127)                                                                 \
    X(TCP_SACK, "ipv4", "tcp_sack", 1, 0, 255)                        /* segments only, as the next */                       \
    X(TCP_RECOVERY, "ipv4", "tcp_recovery", 1, 0, 255)                                                                       \
    X(IP_DEFAULT_TTL, "ipv4", "ip_default_ttl", 64, 1, 255)                                                                  \
    X(IP_FORWARD, "ipv4", "ip_forward", 0, INT32_MIN, INT32_MAX)      /* there is nowhere to forward to */                   \
    X(IP_NONLOCAL_BIND, "ipv4", "ip_nonlocal_bind", 0, 0, 255)                                                               \
    X(IP_UNPRIVILEGED_PORTS, "ipv4", "ip_unprivileged_port_start", 1024, 0, 65535)                                           \
    X(IP6_NONLOCAL_BIND, "ipv6", "ip_nonlocal_bind", 0, 0, 255)                                                              \
    X(IP6_V6ONLY, "ipv6", "bindv6only", 0, 0, 255)                                                                           \
    X(IP6_FLOWLABELS, "ipv6", "auto_flowlabels", 1, 0, 3)             /* kept: packets have no label */                      \
    X(IP6_FRAG_TIME, "ipv6", "ip6frag_time", 60, INT32_MIN, INT32_MAX) /* kept: lo has no fragments */

#define INET_SETTING_NAME(name, dir, file, v, min, max) IS_##name,
enum inet_setting { INET_SETTINGS(INET_SETTING_NAME) INET_SETTINGS_N };

/*
 * What is counted, RFC 1213 and 4293 and linux/snmp.h. On lo what is sent arrives, so one number stands for both where
 * nothing can come in between. Packets are those that would be exchanged: tcp_show.c, ip.c. Families: v4, v6.
 */
enum inet_mib {
    MIB_TCP_ACTIVE_OPENS, MIB_TCP_PASSIVE_OPENS, MIB_TCP_ATTEMPT_FAILS, MIB_TCP_ESTAB_RESETS, MIB_TCP_CURR_ESTAB, MIB_TCP_SEGS, MIB_TCP_OUT_RSTS,
    MIB_TCP_DATA_SEGS, MIB_TCP_TW, MIB_TCP_TW_SHORT, MIB_TCP_TW_RECYCLED, MIB_TCP_TW_OVERFLOW, MIB_TCP_LISTEN_OVERFLOWS, MIB_TCP_ABORT_ON_DATA,
    MIB_TCP_ABORT_ON_CLOSE, MIB_TCP_DEFERRED,
    MIB_FAMILY,                    /* from here on two each */
    MIB_IP_PACKETS = MIB_FAMILY, MIB_IP_OCTETS = MIB_FAMILY + 2, MIB_IP_IN_PACKETS = MIB_FAMILY + 4, /* more in than out: put in by packet sockets */
    MIB_IP_IN_OCTETS = MIB_FAMILY + 6, MIB_IP_MCAST = MIB_FAMILY + 8, MIB_IP_IN_MCAST = MIB_FAMILY + 10, MIB_IP_BCAST = MIB_FAMILY + 12,
    MIB_UDP = MIB_FAMILY + 14,     /* then of UDP-Lite */
    MIB_UDP_KINDS = 4,
    MIB_N = MIB_UDP + 4 * MIB_UDP_KINDS,
};
enum udp_mib { UDP_MIB_IN, UDP_MIB_NO_PORTS, UDP_MIB_OUT, UDP_MIB_RCVBUF };
enum icmp_way { ICMP_IN, ICMP_OUT };

struct inet_ns {
    u64 mib[MIB_N];                /* (a) */
    u64 icmp[2][2][256];           /* (a) by family, enum icmp_way, type */
    s32 set[INET_SETTINGS_N];      /* (a) */
    LIST_HEAD(, tcp_tw) tw;        /* these two under port_lock (tcp_ends.h) */
    unsigned ntw;
};

struct inet_ns *inet_ns(struct net_ns *n);                       /* NULL: the initial one's; lives as long as n */
s32 inet_setting(struct net_ns *n, enum inet_setting which);

/* One of mib; v4 only matters from MIB_FAMILY on. Any lock may be held. */
static inline void mib_add(struct net_ns *n, unsigned which, s64 by) { (void)__atomic_fetch_add(&inet_ns(n)->mib[which], (u64)by, __ATOMIC_RELAXED); }
static inline void mib_udp(struct net_ns *n, bool lite, bool v4, enum udp_mib which)
{
    mib_add(n, MIB_UDP + (lite ? 2 * MIB_UDP_KINDS : 0) + (v4 ? 0 : MIB_UDP_KINDS) + which, 1);
}
/* Packets that go out, and come in. */
void mib_packets(struct net_ns *n, bool v4, unsigned packets, u64 octets);
void mib_icmp(struct net_ns *n, bool v4, enum icmp_way way, u8 type);

#endif
