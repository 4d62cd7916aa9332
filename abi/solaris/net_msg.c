/* send, recv and their forms. Source: sys/socket.h; send(3SOCKET), recv(3SOCKET), the two forms of struct msghdr there. */
#include "abi/solaris/net.h"
#include "sentry/base/alloc.h"

static const struct sol_flag msg_bits[] = {
    { 1, MSG_OOB }, { 2, MSG_PEEK }, { 4, MSG_DONTROUTE }, { 8, MSG_EOR }, { 0x10, MSG_CTRUNC }, { 0x20, MSG_TRUNC }, { 0x40, MSG_WAITALL },
    { 0x80, MSG_DONTWAIT }, { 0x200, MSG_NOSIGNAL },
};
#define MX_XPG4_2 0x8000u
#define MX_DUPCTRL 0x800u
#define MX_CMSG_CLOEXEC 0x1000u
#define SOL_SOL_SOCKET 0xffff
#define SOL_SCM_RIGHTS 0x1010
#define CMSG_PAD(n) (((u64)(n) + 3) & ~3ULL)
#define CONTROL_MAX 65536u
#define RIGHTS_MAX 253u

static int flags_in(struct file *f, u32 v, u32 *out)
{
    u32 unknown;

    *out = sol_flags_in(msg_bits, ARRAY_LEN(msg_bits), v & ~(MX_XPG4_2 | MX_DUPCTRL | MX_CMSG_CLOEXEC), &unknown);
    if (unknown) return -EINVAL;
    if (file_nonblock(f, 0)) *out |= MSG_DONTWAIT;
    return 0;
}

/* A stream that was never connected: ENOTCONN, where Linux has EPIPE and its signal. */
static bool never_connected(struct socket *s)
{
    if (s->type != SOCK_STREAM || s->host) return false;
    lock(&s->lock);
    bool never = s->state == ST_CLOSE && !s->shut && !s->peer && !s->err;
    unlock(&s->lock);
    return never;
}

static sysret_t do_send(const struct syscall_args *a, gaddr_t to, u32 tolen)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct net_addr name;
    AUTO_UIO u = { 0 };
    int r;

    if ((s64)a->a[2] < 0) return -EINVAL;
    SOCK_ARG(f, s, a->a[0]);
    if ((r = uio_init_guest(&u, a->a[1], a->a[2])) || (r = flags_in(f, ARG_U32(3), &m.flags))) return r;
    if (to) {
        if ((r = sol_addr_in(&name, to, tolen))) return r;
        m.name = &name;
    }
    m.u = &u;
    return so_ret(never_connected(s) ? -ENOTCONN : net_sendmsg(s, &m));
}

sysret_t solaris_send(const struct syscall_args *a) { return do_send(a, 0, 0); }
sysret_t solaris_sendto(const struct syscall_args *a) { return do_send(a, a->a[4], ARG_U32(5)); }

static sysret_t do_recv(const struct syscall_args *a, gaddr_t from, gaddr_t fromlen)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct net_addr name;
    AUTO_UIO u = { 0 };
    int r;

    if ((s64)a->a[2] < 0) return -EINVAL;
    SOCK_ARG(f, s, a->a[0]);
    if ((r = uio_init_guest(&u, a->a[1], a->a[2])) || (r = flags_in(f, ARG_U32(3), &m.flags))) return r;
    m.u = &u;
    m.name = from ? &name : NULL;
    ssize_t n = net_recvmsg(s, &m);
    if (m.files) scm_files_free(m.files);
    if (n < 0 || !from) return so_ret(n);
    r = sol_addr_out(&name, from, fromlen);
    return r ? r : n;
}

sysret_t solaris_recv(const struct syscall_args *a) { return do_recv(a, 0, 0); }
sysret_t solaris_recvfrom(const struct syscall_args *a) { return do_recv(a, a->a[4], a->a[5]); }

/* --- messages with descriptors --- */

static int add_rights(struct net_msg *m, const u8 *p, u64 bytes)
{
    unsigned have = m->files ? m->files->n : 0;
    u64 n = bytes / sizeof(s32);

    if (n + have > RIGHTS_MAX) return -EINVAL;
    if (n && !m->files) {
        m->files = scm_files_new(RIGHTS_MAX);
        m->files->n = 0;
    }
    for (u64 i = 0; i < n; i++) {
        s32 fd;
        memcpy(&fd, p + i * sizeof(fd), sizeof(fd));
        struct file *f = fd_get(fd);
        if (!f) return -EBADF;
        m->files->f[m->files->n++] = f;
    }
    return 0;
}

static int control_in(struct net_msg *m, struct socket *s, gaddr_t at, u32 len, bool xpg)
{
    struct sol_cmsghdr h;
    int r = 0;

    if (!len) return 0;
    if (len > CONTROL_MAX) return -EINVAL;
    AUTO_FREE u8 *buf = try_zalloc(len, 1);
    if (!buf) return -ENOMEM;
    if (copy_in(buf, at, len)) return -EFAULT;
    if (s->domain != AF_UNIX) return xpg ? 0 : -EOPNOTSUPP;
    if (!xpg) return add_rights(m, buf, len);             /* msg_accrights: descriptors and nothing else */
    for (u64 off = 0; !r && off <= len && len - off >= sizeof(h); off += CMSG_PAD(h.len)) {
        memcpy(&h, buf + off, sizeof(h));
        if (h.len < sizeof(h) || h.len > len - off) return -EINVAL;
        if (h.level != SOL_SOL_SOCKET || h.type != SOL_SCM_RIGHTS) return -EINVAL;
        r = add_rights(m, buf + off + sizeof(h), h.len - sizeof(h));
    }
    return r;
}

/* Descriptors that came, into the control buffer; *used: bytes of it. */
static int control_out(struct net_msg *m, gaddr_t at, u32 room, bool xpg, bool cloexec, u32 *used)
{
    u32 head = xpg ? sizeof(struct sol_cmsghdr) : 0, n = 0, max;

    *used = 0;
    if (!m->files) return 0;
    max = room > head ? (room - head) / 4 : 0;
    for (; n < m->files->n && n < max; n++) {
        s32 fd;
        file_get(m->files->f[n]);
        fd = fd_install(m->files->f[n], cloexec);
        if (fd < 0) {
            file_put(m->files->f[n]);
            break;
        }
        if (copy_out(at + head + n * 4ULL, &fd, sizeof(fd))) {
            (void)fd_close(fd);
            return -EFAULT;
        }
    }
    if (n < m->files->n) m->out_flags |= MSG_CTRUNC;
    if (!n) return 0;
    *used = head + n * 4;
    if (!xpg) return 0;
    struct sol_cmsghdr h = { *used, SOL_SOL_SOCKET, SOL_SCM_RIGHTS };
    return copy_out(at, &h, sizeof(h));
}

sysret_t solaris_sendmsg(const struct syscall_args *a)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct sol_msghdr h;
    struct net_addr name;
    AUTO_UIO u = { 0 };
    ssize_t n;
    int r;

    SOCK_ARG(f, s, a->a[0]);
    if (copy_in(&h, a->a[1], sizeof(h))) return -EFAULT;
    if (h.iovlen < 0 || h.iovlen > 1024) return -EMSGSIZE;
    if ((r = flags_in(f, ARG_U32(2), &m.flags))) return r;
    if (h.name && h.namelen) {
        if ((r = sol_addr_in(&name, h.name, h.namelen))) return r;
        m.name = &name;
    }
    if ((r = uio_init_guest_iov(&u, h.iov, (u64)h.iovlen))) return r;
    m.u = &u;
    r = h.control ? control_in(&m, s, h.control, h.controllen, ARG_U32(2) & MX_XPG4_2) : 0;
    n = r ? r : net_sendmsg(s, &m);
    if (m.files) scm_files_free(m.files);
    return so_ret(n);
}

sysret_t solaris_recvmsg(const struct syscall_args *a)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct sol_msghdr h;
    struct net_addr name;
    AUTO_UIO u = { 0 };
    bool xpg = ARG_U32(2) & MX_XPG4_2;
    u32 used = 0;
    ssize_t n;
    int r;

    SOCK_ARG(f, s, a->a[0]);
    if (copy_in(&h, a->a[1], sizeof(h))) return -EFAULT;
    if (h.iovlen < 0 || h.iovlen > 1024) return -EMSGSIZE;
    if ((r = flags_in(f, ARG_U32(2), &m.flags)) || (r = uio_init_guest_iov(&u, h.iov, (u64)h.iovlen))) return r;
    m.u = &u;
    m.name = h.name ? &name : NULL;
    n = net_recvmsg(s, &m);
    if (n >= 0) {
        r = control_out(&m, h.control, h.control ? h.controllen : 0, xpg, ARG_U32(2) & MX_CMSG_CLOEXEC, &used);
        if (!r && h.name) {
            u8 raw[SOL_SOCKADDR_MAX];
            u32 full = sol_addr_encode(&name, raw), len = MIN(h.namelen, full);
            if (len && copy_out(h.name, raw, len)) r = -EFAULT;
            h.namelen = full;
        }
        h.controllen = used;
        h.flags = (s32)sol_flags_out(msg_bits, ARRAY_LEN(msg_bits), m.out_flags);
        /* The old form of the header ends before the flags. */
        if (!r) r = copy_out(a->a[1], &h, xpg ? sizeof(h) : offsetof(struct sol_msghdr, flags));
        if (r) n = r;
    }
    if (m.files) scm_files_free(m.files);
    return so_ret(n);
}
