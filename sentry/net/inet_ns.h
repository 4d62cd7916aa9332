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
    X(TCP_TW_REUSE, "ipv4", "tcp_tw_reuse", 2, 0, 2)

#define INET_SETTING_NAME(name, dir, file, v, min, max) IS_##name,
enum inet_setting { INET_SETTINGS(INET_SETTING_NAME) INET_SETTINGS_N };

struct inet_ns {
    s32 set[INET_SETTINGS_N];      /* (a) */
    LIST_HEAD(, tcp_tw) tw;        /* these two under port_lock (tcp_ends.h) */
    unsigned ntw;
};

struct inet_ns *inet_ns(struct net_ns *n);                       /* NULL: the initial one's; lives as long as n */
s32 inet_setting(struct net_ns *n, enum inet_setting which);

#endif
