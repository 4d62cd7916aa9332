/* Socket options: levels and names to the host's; values are alike but for those that hold a number of the ABI. */
#include "abi/solaris/net.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

u32 sol_socktype_out(int t);

struct opt { u16 sol, host; };
static const struct opt so[] = {
    { 1, SO_DEBUG }, { 2, SO_ACCEPTCONN }, { 4, SO_REUSEADDR }, { 8, SO_KEEPALIVE }, { 0x10, SO_DONTROUTE }, { 0x20, SO_BROADCAST }, { 0x80, SO_LINGER },
    { 0x100, SO_OOBINLINE }, { 0x1001, SO_SNDBUF }, { 0x1002, SO_RCVBUF }, { 0x1003, SO_SNDLOWAT }, { 0x1004, SO_RCVLOWAT }, { 0x1005, SO_SNDTIMEO },
    { 0x1006, SO_RCVTIMEO }, { 0x1007, SO_ERROR }, { 0x1008, SO_TYPE }, { 0x1009, SO_PROTOCOL }, { 0x100c, SO_DOMAIN }, { 0x100e, SO_REUSEPORT },
    { 0x1013, SO_TIMESTAMP },
};
static const struct opt tcp[] = {
    { 1, TCP_NODELAY }, { 2, TCP_MAXSEG }, { 8, TCP_KEEPIDLE }, { 24, TCP_CORK }, { 28, TCP_LINGER2 }, { 34, TCP_KEEPIDLE }, { 35, TCP_KEEPCNT },
    { 36, TCP_KEEPINTVL }, { 37, TCP_CONGESTION },
};
static const struct opt ip[] = {
    { 1, IP_OPTIONS }, { 2, IP_HDRINCL }, { 3, IP_TOS }, { 4, IP_TTL }, { 5, IP_RECVOPTS }, { 11, IP_RECVTTL }, { 16, IP_MULTICAST_IF },
    { 17, IP_MULTICAST_TTL }, { 18, IP_MULTICAST_LOOP }, { 19, IP_ADD_MEMBERSHIP }, { 20, IP_DROP_MEMBERSHIP }, { 26, IP_PKTINFO },
};
static const struct opt ip6[] = {
    { 5, IPV6_UNICAST_HOPS }, { 6, IPV6_MULTICAST_IF }, { 7, IPV6_MULTICAST_HOPS }, { 8, IPV6_MULTICAST_LOOP }, { 9, IPV6_JOIN_GROUP },
    { 10, IPV6_LEAVE_GROUP }, { 11, IPV6_PKTINFO }, { 12, IPV6_HOPLIMIT }, { 18, IPV6_RECVPKTINFO }, { 19, IPV6_RECVHOPLIMIT },
    { 25, IPV6_RECVTCLASS }, { 38, IPV6_TCLASS }, { 39, IPV6_V6ONLY },
};
#define SOL_SOL_SOCKET 0xffffu
#define SOL_SO_DONTLINGER (~0x80)
#define SOL_SO_EXCLBIND 0x1015
#define SOL_SO_USELOOPBACK 0x40

static int find(const struct opt *t, size_t n, u32 name)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].sol == name) return t[i].host;
    return -1;
}

/* Host option number; *level becomes the host's. -1: none. */
static int opt_in(u32 *level, u32 name)
{
    switch (*level) {
    case SOL_SOL_SOCKET:
        *level = SOL_SOCKET;
        return find(so, ARRAY_LEN(so), name);
    case IPPROTO_TCP: return find(tcp, ARRAY_LEN(tcp), name);
    case IPPROTO_IP: return find(ip, ARRAY_LEN(ip), name);
    case IPPROTO_IPV6: return find(ip6, ARRAY_LEN(ip6), name);
    default: return -1;
    }
}

sysret_t solaris_setsockopt(const struct syscall_args *a)
{
    u8 val[NET_OPT_MAX] = { 0 };
    u32 level = ARG_U32(1), n = ARG_U32(4);
    int name = ARG_INT(2), opt;

    SOCK_ARG(f, s, a->a[0]);
    if ((s32)n < 0) return -EINVAL;
    n = MIN(n, (u32)sizeof(val));
    if (n && copy_in(val, a->a[3], n)) return -EFAULT;
    if (level == SOL_SOL_SOCKET && (name == SOL_SO_USELOOPBACK || name == SOL_SO_EXCLBIND)) return n >= 4 ? 0 : -EINVAL;
    if (level == SOL_SOL_SOCKET && name == SOL_SO_DONTLINGER) {
        s32 off[2] = { 0, 0 };
        return net_setsockopt(s, SOL_SOCKET, SO_LINGER, off, sizeof(off));
    }
    opt = opt_in(&level, (u32)name);
    if (opt < 0) return -ENOPROTOOPT;
    return so_ret(net_setsockopt(s, (int)level, opt, val, n));
}

sysret_t solaris_getsockopt(const struct syscall_args *a)
{
    u8 val[NET_OPT_MAX] = { 0 };
    u32 level = ARG_U32(1), name = ARG_U32(2), v;
    s32 len;
    int opt;

    SOCK_ARG(f, s, a->a[0]);
    if (copy_in(&len, a->a[4], sizeof(len))) return -EFAULT;
    if (len < 0) return -EINVAL;
    opt = opt_in(&level, name);
    if (opt < 0) return -ENOPROTOOPT;
    ssize_t n = net_getsockopt(s, (int)level, opt, val, MIN((size_t)len, sizeof(val)));
    if (n < 0) return so_ret(n);
    if (level == SOL_SOCKET && n == 4) {
        memcpy(&v, val, 4);
        if (opt == SO_ERROR && v) v = sol_errno((int)v);
        else if (opt == SO_TYPE) v = sol_socktype_out((int)v);
        else if (opt == SO_DOMAIN) v = sol_family_out((int)v);
        memcpy(val, &v, 4);
    }
    if (n && copy_out(a->a[3], val, (size_t)n)) return -EFAULT;
    len = (s32)n;
    return copy_out(a->a[4], &len, sizeof(len));
}
