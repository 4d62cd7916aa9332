/* The sandbox's own stack: its sockets. Its devices are in dev.h. */
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include <netinet/in.h>

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

const struct net_stack_ops net_loopback = { .name = "loopback", .create = loopback_create, .if_ioctl = dev_ioctl };
