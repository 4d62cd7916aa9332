/* Making, naming and connecting sockets, their options: socket(2) to getsockopt(2). Messages are in net_msg.c. */
#include "abi/linux/linux.h"
#include "abi/linux/net.h"
#include "sentry/base/alloc.h"
#include "sentry/net/filter.h"
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>

/* Gives s a file and a descriptor; s is consumed in any case. */
static sysret_t install(struct socket *s, u32 flags)
{
    struct file *f = net_file_new(s, flags);
    int fd = fd_install(f, flags & SOCK_CLOEXEC);
    if (fd < 0) file_put(f);
    return fd;
}

sysret_t linux_socket(const struct syscall_args *a)
{
    struct socket *s;
    int r = net_socket(ARG_INT(0), ARG_INT(1), ARG_INT(2), &s);
    return r ? r : install(s, ARG_U32(1));
}

sysret_t linux_socketpair(const struct syscall_args *a)
{
    struct socket *s[2];
    s32 fd[2];
    int r = net_socketpair(ARG_INT(0), ARG_INT(1), ARG_INT(2), s);

    if (r) return r;
    fd[0] = (s32)install(s[0], ARG_U32(1));
    fd[1] = (s32)install(s[1], ARG_U32(1));
    r = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : copy_out(a->a[3], fd, sizeof fd);
    for (int i = 0; r && i < 2; i++)
        if (fd[i] >= 0) (void)fd_close(fd[i]);
    return r;
}

sysret_t linux_bind(const struct syscall_args *a)
{
    struct net_addr addr;
    SOCK_ARG(f, s, a->a[0]);
    int r = linux_addr_in(&addr, a->a[1], ARG_INT(2));
    return r ? r : net_bind(s, &addr);
}

sysret_t linux_connect(const struct syscall_args *a)
{
    struct net_addr addr;
    SOCK_ARG(f, s, a->a[0]);
    int r = linux_addr_in(&addr, a->a[1], ARG_INT(2));
    return r ? r : net_connect(s, &addr, file_nonblock(f, 0));
}

sysret_t linux_listen(const struct syscall_args *a)
{
    SOCK_ARG(f, s, a->a[0]);
    return s->ops->listen ? s->ops->listen(s, ARG_INT(1)) : -EOPNOTSUPP;
}

static sysret_t do_accept(int fd, gaddr_t addr, gaddr_t len, u32 flags)
{
    struct socket *c;
    struct net_addr name;

    if (flags & ~(u32)(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL;
    SOCK_ARG(f, s, fd);
    if (!s->ops->accept) return -EOPNOTSUPP;
    int r = s->ops->accept(s, &c, file_nonblock(f, 0));
    if (r) return r;
    struct file *cf = net_file_new(c, flags);
    if (addr) {
        r = net_accepted_name(c, &name) ? -ECONNABORTED : linux_addr_out(&name, addr, len);
        if (r) {
            file_put(cf);
            return r;
        }
    }
    r = fd_install(cf, flags & SOCK_CLOEXEC);
    if (r < 0) file_put(cf);
    return r;
}

sysret_t linux_accept(const struct syscall_args *a) { return do_accept(ARG_INT(0), a->a[1], a->a[2], 0); }
sysret_t linux_accept4(const struct syscall_args *a) { return do_accept(ARG_INT(0), a->a[1], a->a[2], ARG_U32(3)); }

static sysret_t get_name(const struct syscall_args *a, bool peer)
{
    struct net_addr name;
    SOCK_ARG(f, s, a->a[0]);
    int r = s->ops->getname(s, &name, peer);
    return r ? r : linux_addr_out(&name, a->a[1], a->a[2]);
}

sysret_t linux_getsockname(const struct syscall_args *a) { return get_name(a, false); }
sysret_t linux_getpeername(const struct syscall_args *a) { return get_name(a, true); }

sysret_t linux_shutdown(const struct syscall_args *a)
{
    int how = ARG_INT(1);
    SOCK_ARG(f, s, a->a[0]);
    if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
    return s->ops->shutdown(s, (u32)how + 1);
}

/* SO_ATTACH_FILTER: the value points on. */
static sysret_t attach_filter(struct socket *s, gaddr_t val, s32 len)
{
    struct linux_sock_fprog p;

    if (len != (s32)sizeof p) return -EINVAL;
    if (copy_in(&p, val, sizeof p)) return -EFAULT;
    if (!p.len || p.len > BPF_MAX_INSNS) return -EINVAL;
    AUTO_FREE struct bpf_insn *insns = xzalloc(p.len * sizeof *insns);
    if (copy_in(insns, p.filter, p.len * sizeof *insns)) return -EFAULT;
    return filter_attach(s, insns, p.len);
}

/* SO_GET_FILTER: its length counts instructions; 0 asks for their number. */
static sysret_t get_filter(struct socket *s, gaddr_t val, s32 room, gaddr_t len_at)
{
    AUTO_FREE struct bpf_insn *insns = xzalloc(BPF_MAX_INSNS * sizeof *insns);
    ssize_t n = filter_get(s, insns, (u32)room);

    if (n < 0) return n;
    if (room && n && copy_out(val, insns, (size_t)n * sizeof *insns)) return -EFAULT;
    s32 out = (s32)n;
    return copy_out(len_at, &out, sizeof out);
}

sysret_t linux_setsockopt(const struct syscall_args *a)
{
    u8 val[NET_OPT_MAX] = { 0 };
    s32 len = ARG_INT(4);

    if (len < 0) return -EINVAL;
    SOCK_ARG(f, s, a->a[0]);
    if (ARG_INT(1) == SOL_SOCKET && ARG_INT(2) == SO_ATTACH_FILTER) return attach_filter(s, a->a[3], len);
    size_t n = MIN((size_t)len, sizeof val);
    /* rawv6_setsockopt() reads this one whole without a look at the length. */
    if (s->domain == AF_INET6 && s->type == SOCK_RAW && ARG_INT(1) == IPPROTO_IPV6 && ARG_INT(2) == IPV6_CHECKSUM) n = sizeof(int);
    if (n && copy_in(val, a->a[3], n)) return -EFAULT;
    return net_setsockopt(s, ARG_INT(1), ARG_INT(2), val, n);
}

sysret_t linux_getsockopt(const struct syscall_args *a)
{
    u8 val[NET_OPT_MAX] = { 0 };
    s32 len;

    SOCK_ARG(f, s, a->a[0]);
    if (copy_in(&len, a->a[4], sizeof len)) return -EFAULT;
    if (len < 0) return -EINVAL;
    if (ARG_INT(1) == SOL_SOCKET && ARG_INT(2) == SO_GET_FILTER) return get_filter(s, a->a[3], len, a->a[4]);
    if (ARG_INT(1) == SOL_PACKET && ARG_INT(2) == PACKET_HDRLEN && copy_in(val, a->a[3], MIN((size_t)len, sizeof(s32)))) return -EFAULT;
    ssize_t n = net_getsockopt(s, ARG_INT(1), ARG_INT(2), val, MIN((size_t)len, sizeof val));
    if (n < 0) return n;
    size_t room = MIN((size_t)len, (size_t)n);     /* one option tells more than there is room for */
    if (room && copy_out(a->a[3], val, room)) return -EFAULT;
    len = (s32)n;
    return copy_out(a->a[4], &len, sizeof len);
}
