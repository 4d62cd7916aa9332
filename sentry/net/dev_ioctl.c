/* Interface requests of the sandbox's own devices. netdevice(7) */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/net_tstamp.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <string.h>

struct dev_sin { u16 family, port; u8 addr[4], zero[8]; };
struct dev_ifreq { char name[16]; union { struct dev_sin sin; struct { u16 family; u8 data[14]; } hw; s16 flags; s32 ival; u64 ptr; char newname[16]; u8 raw[24]; }; };
_Static_assert(sizeof(struct dev_ifreq) == 40, "struct ifreq");
struct dev_ifconf { s32 len; u32 pad; u64 buf; };

struct dev_rtentry { u64 pad1; struct dev_sin dst, gateway, mask; u16 flags, pad2; u32 pad3; u64 pad4; u8 tos, class; u16 pad5[3]; s16 metric; u16 pad6[3]; u64 dev, mtu, window; u16 irtt, pad7[3]; };
_Static_assert(sizeof(struct dev_rtentry) == sizeof(struct rtentry) && offsetof(struct dev_rtentry, dev) == offsetof(struct rtentry, rt_dev)
                   && offsetof(struct dev_rtentry, metric) == offsetof(struct rtentry, rt_metric), "struct rtentry");

static sysret_t if_conf(struct net_ns *n, gaddr_t arg)
{
    struct net_devs *v = net_devs(n);
    struct dev_ifconf c;
    const struct dev_addr *a;
    size_t have = 0, room;

    if (copy_in(&c, arg, sizeof c)) return -EFAULT;
    AUTO_FREE struct dev_ifreq *all = xzalloc(ADDRS_MAX * sizeof *all);
    read_lock(&net_lock);
    TAILQ_FOREACH(a, &v->addrs, link) {
        if (!ip_is_v4(a->ip) || have == ADDRS_MAX) continue;
        memcpy(all[have].name, a->label, sizeof a->label);
        all[have].sin.family = AF_INET;
        memcpy(all[have++].sin.addr, a->ip + 12, 4);
    }
    rw_unlock(&net_lock);
    if (c.buf) {
        room = c.len > 0 ? (size_t)c.len / sizeof *all : 0;
        have = MIN(have, room);
        if (have && copy_out(c.buf, all, have * sizeof *all)) return -EFAULT;
    }
    s32 len = (s32)(have * sizeof *all);
    return copy_out(arg, &len, sizeof len);
}

static bool first_addr(const struct netdev *d, struct dev_addr *out)
{
    const struct dev_addr *a;
    bool found = false;

    read_lock(&net_lock);
    if (!d->gone)
        TAILQ_FOREACH(a, &net_devs(d->net)->addrs, link)
            if (a->dev == d && ip_is_v4(a->ip) && !found) {
                *out = *a;
                found = true;
            }
    rw_unlock(&net_lock);
    return found;
}

static sysret_t get(struct netdev *d, u32 cmd, struct dev_ifreq *r)
{
    struct dev_addr a = { 0 };

    memset(r->raw, 0, sizeof r->raw);
    switch (cmd) {
    case SIOCGIFFLAGS: r->flags = (s16)dev_flags(d); return 0;
    case SIOCGIFMTU: r->ival = (s32)d->mtu; return 0;
    case SIOCGIFINDEX: r->ival = (s32)d->index; return 0;
    case SIOCGIFTXQLEN: r->ival = (s32)d->txqlen; return 0;
    case SIOCGIFMETRIC:
    case SIOCGIFMAP: return 0;
    case SIOCGIFHWADDR:
        r->hw.family = d->kind->type;
        memcpy(r->hw.data, d->addr, d->addr_len);
        return 0;
    default: break;
    }
    if (!first_addr(d, &a)) return -EADDRNOTAVAIL;
    r->sin.family = AF_INET;
    if (cmd == SIOCGIFADDR) memcpy(r->sin.addr, a.ip + 12, 4);
    else if (cmd == SIOCGIFDSTADDR) memcpy(r->sin.addr, a.peer + 12, 4);
    else if (cmd == SIOCGIFBRDADDR) memcpy(r->sin.addr, a.broadcast, 4);
    else for (unsigned i = 0; i < a.prefix; i++) r->sin.addr[i / 8] |= (u8)(0x80 >> i % 8);
    return 0;
}

/* The first address takes the place of what was there, with the network of its class. devinet_ioctl() */
static int set_addr(struct netdev *d, u32 cmd, const struct dev_ifreq *r)
{
    struct dev_addr a = { 0 }, old;
    bool had = first_addr(d, &old);
    u32 ip = (u32)r->sin.addr[0] << 24 | (u32)r->sin.addr[1] << 16 | (u32)r->sin.addr[2] << 8 | r->sin.addr[3];

    if (r->sin.family != AF_INET) return -EINVAL;
    if (cmd != SIOCSIFADDR && !had) return -EADDRNOTAVAIL;
    if (cmd != SIOCSIFADDR) a = old;
    if (cmd == SIOCSIFADDR) {
        if (!ip) return had ? dev_addr_del(d, old.ip, old.prefix) : 0;
        ip_set_v4(a.ip, ip);
        memcpy(a.peer, a.ip, 16);
        a.prefix = d->kind->type == ARPHRD_NONE ? 32 : ip >> 31 == 0 ? 8 : ip >> 30 == 2 ? 16 : 24;
        a.scope = ip >> 24 == 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
        a.flags = IFA_F_PERMANENT;
    } else if (cmd == SIOCSIFNETMASK) {
        if (ip & (~ip >> 1)) return -EINVAL;
        a.prefix = (u8)__builtin_popcount(ip);
    } else if (cmd == SIOCSIFDSTADDR) {
        ip_set_v4(a.peer, ip);
    }
    if (cmd == SIOCSIFBRDADDR) memcpy(a.broadcast, r->sin.addr, 4);
    else if (a.prefix < 31 && d->flags & IFF_BROADCAST) {
        u32 b = ip_v4(a.ip) | (a.prefix ? ~0u >> a.prefix : ~0u);
        memcpy(a.broadcast, (const u8[]){ (u8)(b >> 24), (u8)(b >> 16), (u8)(b >> 8), (u8)b }, 4);
    }
    *a.label = 0;
    a.flags &= ~(u32)IFA_F_SECONDARY;
    if (had) dev_addr_del(d, old.ip, old.prefix);
    int e = dev_addr_add(d, &a, true);
    return e || cmd != SIOCSIFADDR ? e : dev_set_flags(d, IFF_UP, IFF_UP);
}

static sysret_t set(struct netdev *d, u32 cmd, struct dev_ifreq *r)
{
    switch (cmd) {
    case SIOCSIFFLAGS: return dev_set_flags(d, (u32)(u16)r->flags, ~0u);
    case SIOCSIFMTU: return r->ival < 0 ? -EINVAL : dev_set_mtu(d, (u32)r->ival);
    case SIOCSIFHWADDR: return r->hw.family != d->kind->type ? -EINVAL : dev_set_addr(d, r->hw.data, sizeof r->hw.data);
    case SIOCSIFNAME:
        r->newname[15] = 0;
        return dev_rename(d, r->newname);
    case SIOCSIFTXQLEN:
        if (r->ival < 0) return -EINVAL;
        write_lock(&net_lock);
        d->txqlen = (u32)r->ival;
        rw_unlock(&net_lock);
        return 0;
    case SIOCSIFMETRIC:
    case SIOCSIFMAP: return -EOPNOTSUPP;
    default: return set_addr(d, cmd, r);
    }
}

/* The questions programs ask of every device; no device here can do more than the plain. */
static sysret_t ethtool(struct netdev *d, const struct dev_ifreq *r)
{
    struct ethtool_ts_info t = { .cmd = ETHTOOL_GET_TS_INFO, .phc_index = -1,
                                 .so_timestamping = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE };
    struct ethtool_value v = { .data = d->flags & IFF_UP && d->carrier };
    struct ethtool_drvinfo i = { .cmd = ETHTOOL_GDRVINFO };
    u32 cmd;

    if (copy_in(&cmd, r->ptr, sizeof cmd)) return -EFAULT;
    switch (cmd) {
    case ETHTOOL_GET_TS_INFO: return copy_out(r->ptr, &t, sizeof t);
    case ETHTOOL_GLINK:
        v.cmd = cmd;
        return copy_out(r->ptr, &v, sizeof v);
    case ETHTOOL_GDRVINFO:
        if (!d->kind->name) return -EOPNOTSUPP;
        strcpy(i.driver, d->kind->name);
        return copy_out(r->ptr, &i, sizeof i);
    default: return -EOPNOTSUPP;
    }
}

/* struct rtentry: route(8) of old. */
static sysret_t old_route(struct net_ns *n, gaddr_t arg, bool del)
{
    struct dev_rtentry q;
    struct net_route t = { .v4 = true, .protocol = RTPROT_BOOT, .type = RTN_UNICAST, .table = RT_TABLE_MAIN };
    char name[IFNAMSIZ];
    u32 mask;

    if (copy_in(&q, arg, sizeof q)) return -EFAULT;
    if (q.dst.family != AF_INET) return -EAFNOSUPPORT;
    mask = (u32)q.mask.addr[0] << 24 | (u32)q.mask.addr[1] << 16 | (u32)q.mask.addr[2] << 8 | q.mask.addr[3];
    if (~mask & (~mask + 1)) return -EINVAL;
    t.prefix = q.flags & RTF_HOST ? 32 : (u8)__builtin_popcount(mask);
    memcpy(t.dst, (const u8[16]){ [10] = 0xff, [11] = 0xff, q.dst.addr[0], q.dst.addr[1], q.dst.addr[2], q.dst.addr[3] }, 16);
    t.metric = q.metric > 0 ? (u32)q.metric - 1 : 0;
    if (q.flags & RTF_GATEWAY) {
        t.has_gateway = true;
        memcpy(t.gateway, (const u8[16]){ [10] = 0xff, [11] = 0xff, q.gateway.addr[0], q.gateway.addr[1], q.gateway.addr[2], q.gateway.addr[3] }, 16);
    }
    t.scope = t.has_gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    if (q.dev) {
        ssize_t len = copy_in_str(name, q.dev, sizeof name);
        if (len < 0) return len;
        if (!(t.dev = dev_by_name(n, name))) return -ENODEV;
    }
    int e = del ? route_del(n, &(struct net_route){ .v4 = true, .table = t.table, .prefix = t.prefix, .dev = t.dev, .metric = t.metric,
                        .dst = { [10] = 0xff, [11] = 0xff, q.dst.addr[0], q.dst.addr[1], q.dst.addr[2], q.dst.addr[3] } })
                : route_add_checked(n, &t, NLM_F_CREATE | NLM_F_EXCL);
    dev_put(t.dev);
    return e;
}

/* Requests that a file of the device takes itself. */
sysret_t dev_file_ioctl(struct netdev *d, u32 cmd, gaddr_t arg)
{
    struct dev_ifreq r;

    if (cmd != SIOCGIFHWADDR && cmd != SIOCSIFHWADDR) return -EINVAL;
    if (copy_in(&r, arg, sizeof r)) return -EFAULT;
    sysret_t e = cmd == SIOCGIFHWADDR ? get(d, cmd, &r) : set(d, cmd, &r);
    return e || cmd == SIOCSIFHWADDR ? e : copy_out(arg, &r, sizeof r);
}

sysret_t dev_ioctl(struct socket *s, u32 cmd, gaddr_t arg)
{
    struct netdev *d;
    struct dev_ifreq r;
    sysret_t e;

    if (cmd < SIOCADDRT || cmd > SIOCDEVPRIVATE + 15) return -ENOTTY;
    bool changes = cmd == SIOCADDRT || cmd == SIOCDELRT || cmd == SIOCSIFFLAGS || cmd == SIOCSIFMTU || cmd == SIOCSIFHWADDR || cmd == SIOCSIFNAME
                || cmd == SIOCSIFTXQLEN || cmd == SIOCSIFADDR || cmd == SIOCSIFNETMASK || cmd == SIOCSIFBRDADDR || cmd == SIOCSIFDSTADDR
                || cmd == SIOCSIFMETRIC || cmd == SIOCSIFMAP || cmd == SIOCBRADDBR || cmd == SIOCBRDELBR;
    if (changes && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
    if (cmd == SIOCBRADDBR || cmd == SIOCBRDELBR) return -ENOPKG;
    if (cmd == SIOCGIFCONF) return if_conf(s->net, arg);
    if (cmd == SIOCADDRT || cmd == SIOCDELRT) return old_route(s->net, arg, cmd == SIOCDELRT);
    switch (cmd) {
    case SIOCGIFNAME: case SIOCGIFFLAGS: case SIOCGIFADDR: case SIOCGIFDSTADDR: case SIOCGIFBRDADDR: case SIOCGIFNETMASK: case SIOCGIFHWADDR:
    case SIOCGIFMTU: case SIOCGIFINDEX: case SIOCGIFTXQLEN: case SIOCGIFMETRIC: case SIOCGIFMAP: case SIOCETHTOOL: break;
    default: if (!changes) return -ENOTTY;
    }
    if (copy_in(&r, arg, sizeof r)) return -EFAULT;
    r.name[15] = 0;
    if (cmd == SIOCGIFNAME) {
        if (r.ival <= 0 || !(d = dev_by_index(s->net, (u32)r.ival))) return -ENODEV;
        memcpy(r.name, d->name, sizeof r.name);
        dev_put(d);
        return copy_out(arg, &r, sizeof r);
    }
    char *colon = strchr(r.name, ':');     /* an alias, as eth0:1 */
    if (colon) *colon = 0;
    if (!(d = dev_by_name(s->net, r.name))) return -ENODEV;
    if (colon) *colon = ':';
    e = cmd == SIOCETHTOOL ? ethtool(d, &r) : changes ? set(d, cmd, &r) : get(d, cmd, &r);
    dev_put(d);
    return e || changes || cmd == SIOCETHTOOL ? e : copy_out(arg, &r, sizeof r);
}
