/* Making, naming and connecting sockets. Source: so_socket.c of uts/common/fs/sockfs, the 3SOCKET manual pages. */
#include "abi/solaris/net.h"
#include "sentry/base/alloc.h"
#include <netinet/in.h>
#include <sys/un.h>

static const u16 families[][2] = {
    { 0, AF_UNSPEC }, { 1, AF_UNIX }, { 2, AF_INET }, { 0x1a, AF_INET6 }, { 0x18, AF_NETLINK }, { 0x20, AF_PACKET }, { 0x1b, AF_KEY },
};
static const u8 types[][2] = { { 1, SOCK_DGRAM }, { 2, SOCK_STREAM }, { 4, SOCK_RAW }, { 5, SOCK_RDM }, { 6, SOCK_SEQPACKET } };
#define SK_CLOEXEC 0x80000u
#define SK_NONBLOCK 0x100000u
#define SK_NDELAY 0x200000u

int sol_family_in(u32 f)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (families[i][0] == f) return families[i][1];
    return -1;
}

u32 sol_family_out(int f)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (families[i][1] == f) return families[i][0];
    return 0;
}

u32 sol_socktype_out(int t)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i][1] == t) return types[i][0];
    return (u32)t;
}

static u32 sock_flags(u32 f)
{
    return (f & SK_CLOEXEC ? SOCK_CLOEXEC : 0u) | (f & (SK_NONBLOCK | SK_NDELAY) ? SOCK_NONBLOCK : 0u);
}

/* --- addresses --- */

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

int sol_addr_in(struct net_addr *out, gaddr_t p, u32 len)
{
    u8 raw[SOL_SOCKADDR_MAX + 1] = { 0 };
    u16 fam;

    *out = (struct net_addr){ 0 };
    if (len > SOL_SOCKADDR_MAX) return -EINVAL;
    if (len && copy_in(raw, p, len)) return -EFAULT;
    if (len < 2) {
        out->truncated = true;
        return 0;
    }
    memcpy(&fam, raw, 2);
    int host = sol_family_in(fam);
    out->family = host < 0 ? fam + 1000u : (u16)host;     /* one that no socket has */
    switch (host) {
    case AF_UNIX:
        if (len > sizeof(struct sockaddr_un)) {
            out->truncated = true;
        } else if (len > 2 && raw[2]) {
            size_t n = strnlen((char *)raw + 2, len - 2);
            memcpy(out->un.path, raw + 2, n);
            out->un.len = (u8)(n + 1);
        }
        break;                                            /* no abstract names */
    case AF_UNSPEC:
        if (len < sizeof(struct sol_sockaddr_in)) {
            out->in.ip[0] = 1;
            break;
        }
        /* fall through */
    case AF_INET: {
        struct sol_sockaddr_in a;
        if (len < sizeof(a)) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, sizeof(a));
        memcpy(out->in.ip, v4_prefix, 12);
        memcpy(out->in.ip + 12, a.addr, 4);
        out->in.port = (u16)(a.port[0] << 8 | a.port[1]);
        break;
    }
    case AF_INET6: {
        struct sol_sockaddr_in6 a = { 0 };
        if (len < 28) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, MIN(len, (u32)sizeof(a)));
        memcpy(out->in.ip, a.addr, 16);
        out->in.port = (u16)(a.port[0] << 8 | a.port[1]);
        out->in.flow = a.flow;
        out->in.scope = a.scope;
        break;
    }
    default: break;
    }
    return 0;
}

u32 sol_addr_encode(const struct net_addr *a, u8 raw[SOL_SOCKADDR_MAX])
{
    u16 fam = (u16)sol_family_out(a->family);

    memset(raw, 0, SOL_SOCKADDR_MAX);
    memcpy(raw, &fam, 2);
    switch (a->family) {
    case AF_UNIX:
        if (a->un.len && !a->un.path[0]) return 2;        /* a Linux peer's abstract name has no form here */
        memcpy(raw + 2, a->un.path, a->un.len);
        return a->un.len ? 2u + a->un.len : 16;           /* an unnamed one shows as an empty sockaddr */
    case AF_INET: {
        struct sol_sockaddr_in i = { .family = fam, .port = { (u8)(a->in.port >> 8), (u8)a->in.port } };
        memcpy(i.addr, a->in.ip + 12, 4);
        memcpy(raw, &i, sizeof(i));
        return sizeof(i);
    }
    case AF_INET6: {
        struct sol_sockaddr_in6 i = { .family = fam, .port = { (u8)(a->in.port >> 8), (u8)a->in.port }, .scope = a->in.scope };
        memcpy(i.addr, a->in.ip, 16);
        memcpy(raw, &i, sizeof(i));
        return sizeof(i);
    }
    default: return 0;
    }
}

int sol_addr_out(const struct net_addr *a, gaddr_t p, gaddr_t lenp)
{
    u8 raw[SOL_SOCKADDR_MAX];
    u32 len, full = sol_addr_encode(a, raw);

    if (copy_in(&len, lenp, sizeof(len))) return -EFAULT;
    if ((s32)len < 0) return -EINVAL;
    len = MIN(len, full);
    if (len && copy_out(p, raw, len)) return -EFAULT;
    return copy_out(lenp, &full, sizeof(full));
}

/* --- the calls --- */

/* so_socket(family, type, protocol, devpath, version): a device path belongs to streams drivers */
sysret_t solaris_so_socket(const struct syscall_args *a)
{
    int dom = sol_family_in(ARG_U32(0)), type = -1, r;
    u32 flags = sock_flags(ARG_U32(1));
    struct socket *s;

    if (ARG_U32(1) & ~(0xffu | SK_CLOEXEC | SK_NONBLOCK | SK_NDELAY)) return -EINVAL;
    if (a->a[3]) {
        PATH_ARG(device, a->a[3]);
        return -EPROTONOSUPPORT;
    }
    if (dom <= 0) return -EAFNOSUPPORT;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i][0] == (ARG_U32(1) & 0xff)) type = types[i][1];
    if (type < 0) return -EPROTOTYPE;
    if ((r = net_socket(dom, type, ARG_INT(2), &s))) return r == -ESOCKTNOSUPPORT ? -EPROTOTYPE : so_ret(r);
    struct file *f = net_file_new(s, flags & SOCK_NONBLOCK);
    r = fd_install(f, flags & SOCK_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

/* so_socketpair(int sv[2]): two fresh sockets become a connected pair, under their numbers. */
sysret_t solaris_so_socketpair(const struct syscall_args *a)
{
    struct socket *made[2];
    s32 sv[2];
    int r;

    if (copy_in(sv, a->a[0], sizeof(sv))) return -EFAULT;
    SOCK_ARG(f0, s0, sv[0]);
    SOCK_ARG(f1, s1, sv[1]);
    if (s0->domain != s1->domain || s0->type != s1->type) return -EINVAL;
    if (s0->domain != AF_UNIX) return SOL_ERR(122);
    if ((r = net_socketpair(s0->domain, s0->type, s0->protocol, made))) return so_ret(r);
    struct file *f[2] = { net_file_new(made[0], f0->flags & O_NONBLOCK), net_file_new(made[1], f1->flags & O_NONBLOCK) };
    for (int i = 0; i < 2; i++)
        if (r >= 0 && (r = fd_install_at(f[i], sv[i], fd_get_cloexec(sv[i]) == 1)) < 0) file_put(f[i]);
    return r < 0 ? r : 0;
}

sysret_t solaris_bind(const struct syscall_args *a)
{
    struct net_addr addr;
    SOCK_ARG(f, s, a->a[0]);
    int r = sol_addr_in(&addr, a->a[1], ARG_U32(2));
    return so_ret(r ? r : net_bind(s, &addr));
}

sysret_t solaris_connect(const struct syscall_args *a)
{
    struct net_addr addr;
    SOCK_ARG(f, s, a->a[0]);
    int r = sol_addr_in(&addr, a->a[1], ARG_U32(2));
    return so_ret(r ? r : net_connect(s, &addr, file_nonblock(f, 0)));
}

sysret_t solaris_listen(const struct syscall_args *a)
{
    SOCK_ARG(f, s, a->a[0]);
    return s->ops->listen ? so_ret(s->ops->listen(s, ARG_INT(1))) : SOL_ERR(122);
}

/* accept(fd, name, len, version, flags) */
sysret_t solaris_accept(const struct syscall_args *a)
{
    struct socket *c;
    struct net_addr name;
    u32 flags = sock_flags(ARG_U32(4));

    if (ARG_U32(4) & ~(SK_CLOEXEC | SK_NONBLOCK | SK_NDELAY)) return -EINVAL;
    SOCK_ARG(f, s, a->a[0]);
    if (!s->ops->accept) return SOL_ERR(122);
    int r = s->ops->accept(s, &c, file_nonblock(f, 0));
    if (r) return so_ret(r);
    struct file *cf = net_file_new(c, flags & SOCK_NONBLOCK);
    if (a->a[1]) {
        r = c->ops->getname(c, &name, true) ? -ECONNABORTED : sol_addr_out(&name, a->a[1], a->a[2]);
        if (r) {
            file_put(cf);
            return r;
        }
    }
    r = fd_install(cf, flags & SOCK_CLOEXEC);
    if (r < 0) file_put(cf);
    return r;
}

static sysret_t get_name(const struct syscall_args *a, bool peer)
{
    struct net_addr name;
    SOCK_ARG(f, s, a->a[0]);
    int r = s->ops->getname(s, &name, peer);
    return r ? so_ret(r) : sol_addr_out(&name, a->a[1], a->a[2]);
}

sysret_t solaris_getsockname(const struct syscall_args *a) { return get_name(a, false); }
sysret_t solaris_getpeername(const struct syscall_args *a) { return get_name(a, true); }

sysret_t solaris_shutdown(const struct syscall_args *a)
{
    int how = ARG_INT(1);
    SOCK_ARG(f, s, a->a[0]);
    if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
    return so_ret(s->ops->shutdown(s, (u32)how + 1));
}
