/* Interface requests, answered by the namespace that the broker is in. netdevice(7) */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include <linux/sockios.h>
#include <string.h>

#define IFREQ_SIZE 40u
struct host_ifconf { s32 len; u32 pad; u64 buf; };

static sysret_t if_conf(gaddr_t arg)
{
    struct host_ifconf c;
    size_t n = NETB_IFCONF_MAX * IFREQ_SIZE;
    AUTO_FREE u8 *all = xzalloc(n);
    int r = copy_in(&c, arg, sizeof c);

    if (!r) r = netb_call(NETB_IFCONF, -1, NULL, 0, NULL, 0, all, &n, NULL);
    if (r) return r;
    if (c.buf) {
        size_t room = c.len > 0 ? (size_t)c.len : 0;
        n = MIN(n, room) / IFREQ_SIZE * IFREQ_SIZE;
        if (n && copy_out(c.buf, all, n)) return -EFAULT;
    }
    s32 len = (s32)n;
    return copy_out(arg, &len, sizeof len);
}

sysret_t host_if_ioctl(struct socket *s UNUSED, u32 cmd, gaddr_t arg)
{
    struct netb_ifreq q = { .cmd = cmd };
    size_t n = sizeof q;

    switch (cmd) {
    case SIOCGIFCONF: return if_conf(arg);
    case SIOCGIFNAME: case SIOCGIFFLAGS: case SIOCGIFADDR: case SIOCGIFDSTADDR: case SIOCGIFBRDADDR: case SIOCGIFNETMASK:
    case SIOCGIFHWADDR: case SIOCGIFMTU: case SIOCGIFINDEX: case SIOCGIFTXQLEN: case SIOCGIFMETRIC: case SIOCGIFMAP: {
        int r = copy_in(q.req, arg, sizeof q.req);
        if (!r) r = netb_call(NETB_IFREQ, -1, &q, sizeof q, NULL, 0, &q, &n, NULL);
        return r ? r : copy_out(arg, q.req, sizeof q.req);
    }
    case SIOCSIFFLAGS: case SIOCSIFADDR: case SIOCSIFNETMASK: case SIOCSIFMTU: case SIOCSIFHWADDR: case SIOCSIFNAME: case SIOCADDRT:
    case SIOCDELRT: case SIOCSIFBRDADDR: case SIOCSIFDSTADDR: case SIOCSIFTXQLEN: case SIOCBRADDBR: case SIOCBRDELBR:
        return -EPERM;       /* the sandbox looks at the network, it does not arrange it */
    case SIOCETHTOOL: return -EOPNOTSUPP;
    default: return -ENOTTY;
    }
}
