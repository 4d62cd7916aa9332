/*
 * Interface requests, SIOCGLIF*, over the host's SIOCGIF*: the same interfaces, Linux' names with a unit number (lo0). Of IPv6
 * addresses only the loopback's is shown. Source: if_tcp(7P), net/if.h, sys/sockio.h of illumos.
 */
#include "abi/solaris/net.h"
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <ctype.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>

#define SCRATCH_IFS 8192u         /* below the red zone of the caller's stack */
#define MAX_IFS ((SCRATCH_IFS - 64) / sizeof(struct ifreq))
enum { S_AF_UNSPEC = 0, S_AF_INET = 2, S_AF_INET6 = 26 };

struct sol_lifreq { char name[32]; s32 addrlen; u32 type; union { u8 addr[256]; u64 flags; s32 index; u32 mtu; u8 all[336]; }; };
SOL_SIZE(sol_lifreq, 376); SOL_AT(sol_lifreq, addr, 40);
struct sol_lifnum { u16 family, pad; s32 flags, count; };
struct sol_lifconf { u16 family, pad; s32 flags, len, pad2; u64 buf; };
SOL_SIZE(sol_lifconf, 24);

static gaddr_t scratch_area(void) { return (current->regs.rsp - 128 - SCRATCH_IFS) & ~15ULL; }

static int host_request(struct file *f, u32 cmd, struct ifreq *r)
{
    gaddr_t at = scratch_area();
    sysret_t e;

    if (!f->ops->ioctl) return -ENOTTY;
    if (copy_out(at, r, sizeof(*r))) return -EFAULT;
    e = f->ops->ioctl(f, cmd, at);
    return e < 0 ? (int)e : copy_in(r, at, sizeof(*r)) ? -EFAULT : 0;
}

/* All IPv4 addresses by interface: how many, at most MAX_IFS. */
static int host_list(struct file *f, struct ifreq *all)
{
    gaddr_t at = scratch_area();
    struct { s32 len; u32 pad; u64 buf; } c = { (s32)(MAX_IFS * sizeof(*all)), 0, at + 64 };
    sysret_t e;

    if (!f->ops->ioctl) return -ENOTTY;
    if (copy_out(at, &c, sizeof(c))) return -EFAULT;
    if ((e = f->ops->ioctl(f, SIOCGIFCONF, at)) < 0) return (int)e;
    if (copy_in(&c, at, sizeof(c))) return -EFAULT;
    if (c.len < 0 || (u32)c.len > MAX_IFS * sizeof(*all)) return -EIO;
    return copy_in(all, at + 64, (size_t)c.len) ? -EFAULT : c.len / (s32)sizeof(*all);
}

/* Solaris names end in a number. */
static void name_out(char *to, size_t size, const char *host)
{
    size_t n = strnlen(host, IFNAMSIZ);

    snprintf(to, size, "%.*s%s", IFNAMSIZ, host, n && isdigit((unsigned char)host[n - 1]) ? "" : "0");
}

static int find(struct file *f, const char *name, struct ifreq *r)
{
    size_t n = strnlen(name, 32);

    memset(r, 0, sizeof(*r));
    if (!n || n >= IFNAMSIZ) return -ENXIO;
    memcpy(r->ifr_name, name, n);
    if (host_request(f, SIOCGIFINDEX, r) == 0) return 0;
    if (name[n - 1] != '0') return -ENXIO;
    r->ifr_name[n - 1] = 0;
    return host_request(f, SIOCGIFINDEX, r) == 0 ? 0 : -ENXIO;
}

static u64 flags_out(u16 h, bool v6)
{
    u64 out = (h & (IFF_UP | IFF_BROADCAST | IFF_LOOPBACK | IFF_POINTOPOINT | IFF_RUNNING | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI));

    if (h & (IFF_MULTICAST | IFF_LOOPBACK)) out |= 0x800;
    if (h & IFF_LOOPBACK) out |= 0x2000000000ULL;       /* VIRTUAL */
    return out | (v6 ? 0x02000000u : 0x01000000u);
}

static void addr_out(struct sol_lifreq *q, const struct sockaddr *a)
{
    memset(q->all, 0, sizeof(q->all));
    memcpy(q->addr + 2, (const u8 *)a + 2, 6);
    q->addr[0] = S_AF_INET;
}

/* ::1 or its netmask. */
static void addr6_out(struct sol_lifreq *q, bool mask)
{
    memset(q->all, 0, sizeof(q->all));
    q->addr[0] = S_AF_INET6;
    if (mask) memset(q->addr + 8, 0xff, 16);
    else q->addr[23] = 1;
}

/* lifr_addrlen is the length of the prefix. */
static s32 prefix_len(struct file *f, const struct ifreq *of)
{
    struct ifreq r = *of;
    u32 mask;

    if (host_request(f, SIOCGIFNETMASK, &r)) return 0;
    memcpy(&mask, (const u8 *)&r.ifr_addr + 4, sizeof(mask));
    return __builtin_popcount(mask);
}

static bool loopback(const struct ifreq *r) { return !strcmp(r->ifr_name, "lo"); }

/* The addresses of a family, as lifreqs; q may be NULL to count. */
static int list(struct file *f, u32 family, struct sol_lifreq *q)
{
    AUTO_FREE struct ifreq *all = xzalloc(MAX_IFS * sizeof(*all));
    int n = host_list(f, all), out = 0;

    if (n < 0) return n;
    for (int i = 0; i < n; i++) {
        if (family == S_AF_INET6) {
            if (!loopback(&all[i])) continue;
            if (q) {
                name_out(q[out].name, sizeof(q[out].name), all[i].ifr_name);
                addr6_out(&q[out], false);
                q[out].addrlen = 128;
            }
            out++;
            continue;
        }
        if (q) {
            name_out(q[out].name, sizeof(q[out].name), all[i].ifr_name);
            addr_out(&q[out], &all[i].ifr_addr);
            q[out].addrlen = prefix_len(f, &all[i]);
        }
        out++;
        if (family == S_AF_UNSPEC && loopback(&all[i])) {
            if (q) {
                name_out(q[out].name, sizeof(q[out].name), all[i].ifr_name);
                addr6_out(&q[out], false);
                q[out].addrlen = 128;
            }
            out++;
        }
    }
    return out;
}

static sysret_t lifnum(struct file *f, gaddr_t arg)
{
    struct sol_lifnum n;
    int r;

    if (copy_in(&n, arg, sizeof(n))) return -EFAULT;
    if (n.family != S_AF_UNSPEC && n.family != S_AF_INET && n.family != S_AF_INET6) return -EAFNOSUPPORT;
    if ((r = list(f, n.family, NULL)) < 0) return r;
    n.count = r;
    return copy_out(arg, &n, sizeof(n));
}

static sysret_t lifconf(struct file *f, gaddr_t arg)
{
    struct sol_lifconf c;
    AUTO_FREE struct sol_lifreq *q = xzalloc(2 * MAX_IFS * sizeof(*q));
    int n;

    if (copy_in(&c, arg, sizeof(c))) return -EFAULT;
    if (c.family != S_AF_UNSPEC && c.family != S_AF_INET && c.family != S_AF_INET6) return -EAFNOSUPPORT;
    if (c.len < 0) return -EINVAL;
    if ((n = list(f, c.family, q)) < 0) return n;
    if ((size_t)c.len < (size_t)n * sizeof(*q)) return -EINVAL;      /* the list is given whole or not at all */
    c.len = n * (s32)sizeof(*q);
    if (c.len && copy_out(c.buf, q, (size_t)c.len)) return -EFAULT;
    return copy_out(arg, &c, sizeof(c));
}

static sysret_t lifreq(struct file *f, u32 cmd, gaddr_t arg, bool v6)
{
    struct sol_lifreq q;
    struct ifreq r;
    bool lo;
    int e;

    if (copy_in(&q, arg, sizeof(q))) return -EFAULT;
    if ((e = find(f, q.name, &r))) return e;
    lo = loopback(&r);
    if (v6 && !lo) return -ENXIO;
    switch (cmd & 0xff) {
    case 0x75:                                   /* SIOCGLIFFLAGS */
        if ((e = host_request(f, SIOCGIFFLAGS, &r))) return e;
        memset(q.all, 0, sizeof(q.all));
        q.flags = flags_out((u16)r.ifr_flags, v6);
        break;
    case 0x71: case 0x73: case 0x7b: case 0x7d:  /* ADDR DSTADDR BRDADDR NETMASK */
        if (v6) {
            addr6_out(&q, (cmd & 0xff) == 0x7d);
            q.addrlen = 128;
            break;
        }
        e = host_request(f, (cmd & 0xff) == 0x71 ? SIOCGIFADDR : (cmd & 0xff) == 0x73 ? SIOCGIFDSTADDR : (cmd & 0xff) == 0x7b ? SIOCGIFBRDADDR : SIOCGIFNETMASK, &r);
        if (e) return e;
        addr_out(&q, &r.ifr_addr);
        q.addrlen = prefix_len(f, &r);
        break;
    case 0x7a:                                   /* MTU */
        if ((e = host_request(f, SIOCGIFMTU, &r))) return e;
        memset(q.all, 0, sizeof(q.all));
        q.mtu = (u32)r.ifr_mtu;
        break;
    case 0x85:                                   /* INDEX, which find() asked for */
        memset(q.all, 0, sizeof(q.all));
        q.index = r.ifr_ifindex;
        break;
    case 0xc0: {                                 /* HWADDR: a sockaddr_dl, without an address for the loopback */
        if ((e = host_request(f, SIOCGIFHWADDR, &r))) return e;
        if (lo) return -EADDRNOTAVAIL;
        memset(q.all, 0, sizeof(q.all));
        q.addr[0] = 25;                          /* AF_LINK */
        q.addr[4] = 4;                           /* Ethernet */
        q.addr[6] = 6;
        memcpy(q.addr + 8, r.ifr_hwaddr.sa_data, 6);
        break;
    }
    default: return -ENOTTY;
    }
    return copy_out(arg, &q, sizeof(q));
}

/* -ENOTTY: not one of these requests. */
sysret_t sol_if_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct socket *s = net_file_socket(f);

    if (!s || (s->domain != AF_INET && s->domain != AF_INET6)) return -ENOTTY;
    if (cmd == 0xc00c6982u) return lifnum(f, arg);
    if (cmd == 0xc01069a5u) return lifconf(f, arg);
    return (cmd & 0xffffff00u) == 0xc0786900u ? lifreq(f, cmd, arg, s->domain == AF_INET6) : -ENOTTY;
}
