/* The stack of this build: one interface, lo, inside the sentry. netdevice(7) */
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/net/ip.h"
#include <linux/capability.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

static int loopback_create(struct socket *s)
{
    int p = s->protocol, want;

    if (p < 0 || p > 262) return -EINVAL;
    switch (s->type) {
    case SOCK_STREAM: want = IPPROTO_TCP; break;
    case SOCK_DGRAM:
        if (p == IPPROTO_ICMP || p == IPPROTO_ICMPV6) return -EACCES;     /* ping sockets: no group may */
        want = IPPROTO_UDP;
        break;
    case SOCK_RAW: return raw_create(s);
    default: return -ESOCKTNOSUPPORT;
    }
    if (want == IPPROTO_UDP && p == IPPROTO_UDPLITE) want = p;    /* coverage of checksums is all the difference */
    if (p && p != want) return -EPROTONOSUPPORT;
    s->protocol = want;
    s->ops = want == IPPROTO_TCP ? &tcp_ops : &udp_ops;
    if (want == IPPROTO_TCP) {
        s->sndbuf = 16384;
        s->rcvbuf = 131072;
    }
    inet_init(s);
    return 0;
}

_Static_assert(LO_SETTINGS == NET_NS_LO_SETTINGS, "kernel/ns.h has room for them");
u32 *lo_setting(struct net_ns *n, enum lo_setting which)
{
    static u32 initial[LO_SETTINGS];
    return n ? &n->lo_settings[which] : &initial[which];
}

struct lo_ifreq { char name[16]; union { struct { u16 family; u16 port; u32 addr; u8 zero[8]; } sin; s16 flags; s32 ival; u8 raw[24]; }; };
_Static_assert(sizeof(struct lo_ifreq) == 40, "struct ifreq");
struct lo_ifconf { s32 len; u32 pad; u64 buf; };

static sysret_t if_conf(gaddr_t arg)
{
    struct lo_ifreq r = { .name = "lo", .sin = { .family = AF_INET, .addr = htonl(0x7f000001) } };
    struct lo_ifconf c;
    int e = copy_in(&c, arg, sizeof c);

    if (e) return e;
    s32 n = 0;
    if (!c.buf) {
        n = sizeof r;
    } else if (c.len >= (s32)sizeof r) {
        if ((e = copy_out(c.buf, &r, sizeof r))) return e;
        n = sizeof r;
    }
    return copy_out(arg, &n, sizeof n);
}

static sysret_t loopback_ioctl(struct socket *s, u32 cmd, gaddr_t arg)
{
    struct lo_ifreq r;
    int e;

    if (cmd == SIOCGIFCONF) return if_conf(arg);
    if (cmd < SIOCADDRT || cmd > SIOCDEVPRIVATE + 15) return -ENOTTY;
    if ((e = copy_in(&r, arg, sizeof r))) return e;
    r.name[15] = 0;
    if (cmd == SIOCGIFNAME) {
        if (r.ival != 1) return -ENODEV;
        memcpy(r.name, "lo", 3);
        return copy_out(arg, &r, sizeof r);
    }
    bool lo = !strcmp(r.name, "lo");
    u8 out[24] = { 0 };
    struct { u16 family; u16 port; u32 addr; } sin = { AF_INET, 0, 0 };
    s32 v = 0;
    switch (cmd) {
    case SIOCGIFFLAGS: v = net_lo_up(s) ? IFF_UP | IFF_LOOPBACK | IFF_RUNNING : IFF_LOOPBACK; memcpy(out, &v, 2); break;
    case SIOCGIFADDR: sin.addr = htonl(0x7f000001); memcpy(out, &sin, sizeof sin); break;
    case SIOCGIFDSTADDR: sin.addr = htonl(0x7f000001); memcpy(out, &sin, sizeof sin); break;
    case SIOCGIFBRDADDR: memcpy(out, &sin, sizeof sin); break;
    case SIOCGIFNETMASK: sin.addr = htonl(0xff000000); memcpy(out, &sin, sizeof sin); break;
    case SIOCGIFHWADDR: out[0] = ARPHRD_LOOPBACK & 0xff; out[1] = ARPHRD_LOOPBACK >> 8; break;
    case SIOCGIFMTU: v = 65536; memcpy(out, &v, 4); break;
    case SIOCGIFINDEX: v = 1; memcpy(out, &v, 4); break;
    case SIOCGIFTXQLEN: v = 1000; memcpy(out, &v, 4); break;
    case SIOCGIFMETRIC:
    case SIOCGIFMAP: break;
    case SIOCSIFFLAGS:
        if (!s->net || !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
        if (!lo) return -ENODEV;
        __atomic_store_n(&s->net->lo_up, (u32)(r.flags & IFF_UP ? 1 : 0), __ATOMIC_RELEASE);
        return 0;
    case SIOCSIFADDR: case SIOCSIFNETMASK: case SIOCSIFMTU: case SIOCSIFHWADDR: case SIOCSIFNAME: case SIOCADDRT:
    case SIOCDELRT: case SIOCSIFBRDADDR: case SIOCSIFDSTADDR: case SIOCSIFTXQLEN: case SIOCBRADDBR: case SIOCBRDELBR:
        return -EPERM;       /* the sandbox's network is fixed */
    case SIOCETHTOOL: return lo ? -EOPNOTSUPP : -ENODEV;
    default: return -ENOTTY;
    }
    if (!lo) return -ENODEV;
    memcpy(r.raw, out, sizeof out);
    return copy_out(arg, &r, sizeof r);
}

const struct net_stack_ops net_loopback = { .name = "loopback", .create = loopback_create, .if_ioctl = loopback_ioctl };
