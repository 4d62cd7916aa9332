/* sendto(2), recvfrom(2), sendmsg(2), recvmsg(2) and their vectors. */
#include "abi/linux/linux.h"
#include "abi/linux/net.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/timers.h"
#include <string.h>

#define MMSG_MAX 1024u
#define MSG_INTERNAL 0x7fe00000u & ~(u32)(MSG_ZEROCOPY | MSG_FASTOPEN | MSG_CMSG_CLOEXEC)

static u32 msg_flags(struct file *f, u32 flags)
{
    flags &= ~(u32)(MSG_INTERNAL);
    return file_nonblock(f, 0) ? flags | MSG_DONTWAIT : flags;
}

sysret_t linux_sendto(const struct syscall_args *a)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct net_addr name;
    AUTO_UIO u = { 0 };
    int r = uio_init_guest(&u, a->a[1], a->a[2]);

    if (r) return r;
    SOCK_ARG(f, s, a->a[0]);
    if (a->a[4]) {
        if ((r = linux_addr_in(&name, a->a[4], ARG_INT(5)))) return r;
        m.name = &name;
    }
    m.u = &u;
    m.flags = msg_flags(f, ARG_U32(3));
    return net_sendmsg(s, &m);
}

sysret_t linux_recvfrom(const struct syscall_args *a)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct net_addr name;
    AUTO_UIO u = { 0 };
    int r = uio_init_guest(&u, a->a[1], a->a[2]);

    if (r) return r;
    SOCK_ARG(f, s, a->a[0]);
    m.u = &u;
    m.flags = msg_flags(f, ARG_U32(3));
    m.name = a->a[4] ? &name : NULL;
    ssize_t n = net_recvmsg(s, &m);
    if (m.files) scm_files_free(m.files);
    if (n < 0 || !m.name) return n;
    r = linux_addr_out(&name, a->a[4], a->a[5]);
    return r ? r : n;
}

static sysret_t send_one(struct file *f, struct socket *s, const struct linux_msghdr *h, u32 flags)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct net_addr name;
    AUTO_UIO u = { 0 };
    int r = 0;

    if (h->namelen < 0) return -EINVAL;
    if (h->name && h->namelen) {
        r = linux_addr_in(&name, h->name, MIN(h->namelen, (s32)LINUX_SOCKADDR_MAX));
        m.name = &name;
    }
    if (!r && h->iovlen > 1024) r = -EMSGSIZE;
    if (!r) r = uio_init_guest_iov(&u, h->iov, h->iovlen);
    if (!r && h->controllen > INT32_MAX) r = -ENOBUFS;
    if (r) return r;
    m.u = &u;
    m.flags = msg_flags(f, flags);
    if (h->control && h->controllen) r = linux_cmsg_in(&m, s, h->control, h->controllen);
    ssize_t n = r ? r : net_sendmsg(s, &m);
    if (m.files) scm_files_free(m.files);
    return n;
}

sysret_t linux_sendmsg(const struct syscall_args *a)
{
    struct linux_msghdr h;
    SOCK_ARG(f, s, a->a[0]);
    if (copy_in(&h, a->a[1], sizeof h)) return -EFAULT;
    return send_one(f, s, &h, ARG_U32(2));
}

static sysret_t recv_one(struct file *f, struct socket *s, gaddr_t hp, u32 flags)
{
    struct net_msg m = { .tos = -1, .ttl = -1 };
    struct linux_msghdr h;
    struct net_addr name;
    AUTO_UIO u = { 0 };
    u64 used = 0;
    int r;

    if (copy_in(&h, hp, sizeof h)) return -EFAULT;
    if (h.name && h.namelen < 0) return -EINVAL;
    if (h.iovlen > 1024) return -EMSGSIZE;
    if ((r = uio_init_guest_iov(&u, h.iov, h.iovlen))) return r;
    m.u = &u;
    m.flags = msg_flags(f, flags);
    m.name = h.name ? &name : NULL;
    ssize_t n = net_recvmsg(s, &m);
    if (n >= 0) {
        r = linux_cmsg_out(&m, s, h.control, h.controllen, flags & MSG_CMSG_CLOEXEC, &used);
        if (!r && h.name) {
            u8 raw[LINUX_SOCKADDR_MAX];
            s32 full = (s32)linux_addr_encode(&name, raw), len = MIN(h.namelen, full);
            if (len && copy_out(h.name, raw, (size_t)len)) r = -EFAULT;
            if (!r) r = copy_out(hp + offsetof(struct linux_msghdr, namelen), &full, sizeof full);
        }
        u32 out = m.out_flags | (flags & MSG_CMSG_CLOEXEC);
        if (!r) r = copy_out(hp + offsetof(struct linux_msghdr, flags), &out, sizeof out);
        if (!r) r = copy_out(hp + offsetof(struct linux_msghdr, controllen), &used, sizeof used);
        if (r) n = r;
    }
    if (m.files) scm_files_free(m.files);
    return n;
}

sysret_t linux_recvmsg(const struct syscall_args *a)
{
    SOCK_ARG(f, s, a->a[0]);
    return recv_one(f, s, a->a[1], ARG_U32(2));
}

sysret_t linux_sendmmsg(const struct syscall_args *a)
{
    u32 n = MIN(ARG_U32(2), MMSG_MAX), done = 0;
    sysret_t r = 0;

    SOCK_ARG(f, s, a->a[0]);
    for (; done < n; done++) {
        gaddr_t p = a->a[1] + done * sizeof(struct linux_mmsghdr);
        struct linux_msghdr h;
        r = copy_in(&h, p, sizeof h) ? -EFAULT : send_one(f, s, &h, ARG_U32(3));
        if (r < 0) break;
        u32 len = (u32)r;
        if (copy_out(p + offsetof(struct linux_mmsghdr, len), &len, sizeof len)) {
            r = -EFAULT;
            break;
        }
    }
    return done ? (sysret_t)done : r < 0 ? r : 0;
}

sysret_t linux_recvmmsg(const struct syscall_args *a)
{
    u32 n = MIN(ARG_U32(2), MMSG_MAX), flags = ARG_U32(3), done = 0;
    ktime_t deadline = KTIME_NEVER;
    sysret_t r = 0;

    if (a->a[4]) {
        struct timespec ts;
        if ((r = linux_copy_in_timespec(&ts, a->a[4]))) return r;
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC) return -EINVAL;
        deadline = ts.tv_sec > INT64_MAX / NSEC_PER_SEC - 1 ? KTIME_NEVER : ktime_add_sat(clock_mono(), ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec);
    }
    SOCK_ARG(f, s, a->a[0]);
    lock(&s->lock);
    r = sock_take_error_locked(s);
    unlock(&s->lock);
    if (r) return r;
    while (done < n) {
        gaddr_t p = a->a[1] + done * sizeof(struct linux_mmsghdr);
        r = recv_one(f, s, p, flags & ~(u32)MSG_WAITFORONE);
        if (r < 0) break;
        u32 len = (u32)r;
        if (copy_out(p + offsetof(struct linux_mmsghdr, len), &len, sizeof len)) {
            r = -EFAULT;
            break;
        }
        done++;
        if (flags & MSG_WAITFORONE) flags |= MSG_DONTWAIT;
        if (deadline != KTIME_NEVER && clock_mono() >= deadline) break;
    }
    /* The timeout is looked at between messages only: recvmmsg(2), BUGS. */
    if (a->a[4] && deadline != KTIME_NEVER && done) {
        ktime_t left = MAX(deadline - clock_mono(), (ktime_t)0);
        struct timespec ts = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };
        if (linux_copy_out_timespec(a->a[4], &ts)) return -EFAULT;
    }
    if (r < 0 && done && r != -EAGAIN && r != -ERESTARTSYS && r != -EINTR && r != -EFAULT) {
        lock(&s->lock);
        s->err = (int)-r;
        unlock(&s->lock);
    }
    return done ? (sysret_t)done : r < 0 ? r : 0;
}
