/*
 * Options of host sockets. Those in the table go to the descriptor; the same table makes the filter, so that the sentry
 * can set no other. What names addresses or interfaces goes to the broker. socket(7), ip(7), ipv6(7), tcp(7)
 */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* X(level, option, may be set) */
#define HOST_OPTIONS(X)                                                                                                    \
    X(SOL_SOCKET, SO_REUSEADDR, 1) X(SOL_SOCKET, SO_REUSEPORT, 1) X(SOL_SOCKET, SO_KEEPALIVE, 1) X(SOL_SOCKET, SO_BROADCAST, 1) \
    X(SOL_SOCKET, SO_SNDBUF, 1) X(SOL_SOCKET, SO_RCVBUF, 1) X(SOL_SOCKET, SO_LINGER, 1) X(SOL_SOCKET, SO_OOBINLINE, 1)     \
    X(SOL_SOCKET, SO_RCVLOWAT, 1) X(SOL_SOCKET, SO_DONTROUTE, 1) X(SOL_SOCKET, SO_PRIORITY, 1) X(SOL_SOCKET, SO_NO_CHECK, 1) \
    X(SOL_SOCKET, SO_TIMESTAMP, 1) X(SOL_SOCKET, SO_TIMESTAMPNS, 1) X(SOL_SOCKET, SO_PEEK_OFF, 1) X(SOL_SOCKET, SO_RXQ_OVFL, 1) \
    X(SOL_SOCKET, SO_ERROR, 0) X(SOL_SOCKET, SO_ACCEPTCONN, 0) X(SOL_SOCKET, SO_SNDLOWAT, 0) X(SOL_SOCKET, SO_MEMINFO, 0)  \
    X(SOL_SOCKET, SO_INCOMING_CPU, 0) X(SOL_SOCKET, SO_INCOMING_NAPI_ID, 0) X(SOL_SOCKET, SO_BUSY_POLL, 0) X(SOL_SOCKET, SO_DEBUG, 0) \
    X(IPPROTO_TCP, TCP_NODELAY, 1) X(IPPROTO_TCP, TCP_MAXSEG, 1) X(IPPROTO_TCP, TCP_CORK, 1) X(IPPROTO_TCP, TCP_KEEPIDLE, 1) \
    X(IPPROTO_TCP, TCP_KEEPINTVL, 1) X(IPPROTO_TCP, TCP_KEEPCNT, 1) X(IPPROTO_TCP, TCP_SYNCNT, 1) X(IPPROTO_TCP, TCP_LINGER2, 1) \
    X(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1) X(IPPROTO_TCP, TCP_WINDOW_CLAMP, 1) X(IPPROTO_TCP, TCP_QUICKACK, 1)                \
    X(IPPROTO_TCP, TCP_CONGESTION, 1) X(IPPROTO_TCP, TCP_USER_TIMEOUT, 1) X(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1)             \
    X(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1) X(IPPROTO_TCP, TCP_INFO, 0)                                                \
    X(IPPROTO_IP, IP_TOS, 1) X(IPPROTO_IP, IP_TTL, 1) X(IPPROTO_IP, IP_MTU_DISCOVER, 1) X(IPPROTO_IP, IP_RECVERR, 1)       \
    X(IPPROTO_IP, IP_PKTINFO, 1) X(IPPROTO_IP, IP_RECVTTL, 1) X(IPPROTO_IP, IP_RECVTOS, 1) X(IPPROTO_IP, IP_RECVORIGDSTADDR, 1) \
    X(IPPROTO_IP, IP_MULTICAST_TTL, 1) X(IPPROTO_IP, IP_MULTICAST_LOOP, 1) X(IPPROTO_IP, IP_MULTICAST_ALL, 1)              \
    X(IPPROTO_IP, IP_MULTICAST_IF, 1) X(IPPROTO_IP, IP_MINTTL, 1) X(IPPROTO_IP, IP_FREEBIND, 1)                            \
    X(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) X(IPPROTO_IP, IP_MTU, 0)                                                     \
    X(IPPROTO_IPV6, IPV6_V6ONLY, 1) X(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1) X(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1)          \
    X(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1) X(IPPROTO_IPV6, IPV6_MULTICAST_IF, 1) X(IPPROTO_IPV6, IPV6_TCLASS, 1)          \
    X(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1) X(IPPROTO_IPV6, IPV6_RECVERR, 1) X(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)            \
    X(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) X(IPPROTO_IPV6, IPV6_RECVTCLASS, 1) X(IPPROTO_IPV6, IPV6_FREEBIND, 1)            \
    X(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 1) X(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 1) X(IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, 1) \
    X(IPPROTO_IPV6, IPV6_MTU, 0)

#define CALL_GET(level, opt, set) HOSTCALL_NET_ARG2(getsockopt, "options of host sockets", 1, level, 2, opt);
#define CALL_SET_0(level, opt)
#define CALL_SET_1(level, opt) HOSTCALL_NET_ARG2(setsockopt, "options of host sockets", 1, level, 2, opt);
#define CALL_SET(level, opt, set) CALL_SET_##set(level, opt)
HOST_OPTIONS(CALL_GET)
HOST_OPTIONS(CALL_SET)

#define ROW(level, opt, set) { level, opt, set },
static const struct { int level, opt; bool set; } table[] = { HOST_OPTIONS(ROW) };

static bool listed(int level, int opt, bool set)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].level == level && table[i].opt == opt) return !set || table[i].set;
    return false;
}

/* Ancillary data that the socket is now to deliver. */
static u32 want_of(int level, int opt)
{
    static const struct { int level, opt; u32 want; } bits[] = {
        { SOL_SOCKET, SO_TIMESTAMP, WANT_STAMP }, { SOL_SOCKET, SO_TIMESTAMPNS, WANT_STAMPNS }, { IPPROTO_IP, IP_PKTINFO, WANT_PKTINFO },
        { IPPROTO_IP, IP_RECVTTL, WANT_TTL }, { IPPROTO_IP, IP_RECVTOS, WANT_TOS }, { IPPROTO_IP, IP_RECVORIGDSTADDR, WANT_ORIGDST },
        { IPPROTO_IPV6, IPV6_RECVPKTINFO, WANT_PKTINFO6 }, { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, WANT_HOPLIMIT },
        { IPPROTO_IPV6, IPV6_RECVTCLASS, WANT_TCLASS },
    };
    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        if (bits[i].level == level && bits[i].opt == opt) return bits[i].want;
    return 0;
}

static bool names_things(int level, int opt)
{
    if (level == SOL_SOCKET) return opt == SO_BINDTODEVICE;
    if (level == IPPROTO_IP)
        return opt == IP_ADD_MEMBERSHIP || opt == IP_DROP_MEMBERSHIP || opt == IP_ADD_SOURCE_MEMBERSHIP || opt == IP_DROP_SOURCE_MEMBERSHIP ||
               opt == MCAST_JOIN_GROUP || opt == MCAST_LEAVE_GROUP;
    return level == IPPROTO_IPV6 && (opt == IPV6_JOIN_GROUP || opt == IPV6_LEAVE_GROUP || opt == MCAST_JOIN_GROUP || opt == MCAST_LEAVE_GROUP);
}

/* What a table row changed of what the sentry keeps. */
static void note(struct socket *s, int level, int opt, const void *val, size_t len)
{
    u32 bit = want_of(level, opt);
    int v = 0;
    if (opt_int(val, len, &v)) return;
    lock(&s->lock);
    if (bit) s->want = v ? (s->want & ~(bit & WANT_STAMP ? WANT_STAMPNS : bit & WANT_STAMPNS ? WANT_STAMP : 0u)) | bit : s->want & ~bit;
    if (level == SOL_SOCKET && opt == SO_RCVLOWAT) s->rcvlowat = v;
    unlock(&s->lock);
}

int host_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    if (listed(level, opt, true)) {
        if (setsockopt(s->host->fd, level, opt, val, (socklen_t)len)) return -errno;
        note(s, level, opt, val, len);
        return 0;
    }
    if (names_things(level, opt)) {
        struct netb_setopt q = { level, opt };
        if (len > 512) return -EINVAL;
        int r = netb_call(NETB_SETOPT, s->host->fd, &q, sizeof q, val, len, NULL, NULL, NULL);
        if (!r && opt == SO_BINDTODEVICE && level == SOL_SOCKET) {
            memset(s->bound_dev, 0, sizeof s->bound_dev);
            memcpy(s->bound_dev, val, MIN(len, sizeof s->bound_dev - 1));
        }
        return r;
    }
    if (level == SOL_SOCKET) {
        if (opt == SO_SNDBUFFORCE || opt == SO_RCVBUFFORCE || opt == SO_MARK) return -EPERM;   /* rights over the host's network */
        return sockopt_set_own(s, opt, val, len);
    }
    if ((level == IPPROTO_IP && opt == IP_TRANSPARENT) || (level == IPPROTO_IPV6 && opt == IPV6_TRANSPARENT)) return -EPERM;
    if (level == IPPROTO_IPV6 && s->domain != AF_INET6) return -ENOPROTOOPT;
    return -ENOPROTOOPT;
}

ssize_t host_getopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    socklen_t n = (socklen_t)size;
    if (listed(level, opt, false)) return getsockopt(s->host->fd, level, opt, val, &n) ? -errno : (ssize_t)n;
    if (level == SOL_SOCKET) return sockopt_get_own(s, opt, val, size);
    return -ENOPROTOOPT;
}
