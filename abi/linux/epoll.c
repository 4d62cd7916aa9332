/* epoll_create(2), epoll_ctl(2), epoll_wait(2) and their kin. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_poll.h"
#include "abi/linux/uapi_time.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/timers.h"
#include <sys/epoll.h>

#define EP_MAX_EVENTS (INT32_MAX / (s32)sizeof(struct linux_epoll_event))

static sysret_t create(u32 flags)
{
    struct file *f;
    int r = epoll_create_file(0, &f);

    if (r) return r;
    r = fd_install(f, flags & EPOLL_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_epoll_create(const struct syscall_args *a) { return ARG_INT(0) <= 0 ? -EINVAL : create(0); }
sysret_t linux_epoll_create1(const struct syscall_args *a)
{
    return ARG_U32(0) & ~(u32)EPOLL_CLOEXEC ? -EINVAL : create(ARG_U32(0));
}

sysret_t linux_epoll_ctl(const struct syscall_args *a)
{
    struct kepoll_event k = { 0, 0 };
    int op = ARG_INT(1), r;

    if (op != EPOLL_CTL_DEL) {
        struct linux_epoll_event ev;
        if (copy_in(&ev, a->a[3], sizeof ev)) return -EFAULT;
        k = (struct kepoll_event){ ev.events, ev.data };
    }
    struct file *ep = fd_get(ARG_INT(0)), *f = ep ? fd_get(ARG_INT(2)) : NULL;
    r = f ? epoll_ctl_file(ep, op, ARG_INT(2), f, &k) : -EBADF;
    if (f) file_put(f);
    if (ep) file_put(ep);
    return r;
}

static sysret_t do_wait(int fd, gaddr_t out, s32 max, ktime_t deadline)
{
    struct kepoll_event few[16], *ev = few;
    unsigned n;

    if (max <= 0 || max > EP_MAX_EVENTS) return -EINVAL;
    if (out > GUEST_ADDR_MAX || (u64)max * sizeof(struct linux_epoll_event) > GUEST_ADDR_MAX - out) return -EFAULT;
    struct file *f = fd_get(fd);
    if (!f) return -EBADF;
    if (!file_is_epoll(f)) {
        file_put(f);
        return -EINVAL;
    }
    unsigned count = epoll_count(f);
    n = MIN((unsigned)max, count ? count : 1); /* no more events than registrations */
    AUTO_FREE struct kepoll_event *heap = NULL;
    if (n > ARRAY_LEN(few)) {
        heap = ev = try_zalloc(n, sizeof *ev);
        if (!ev) {
            file_put(f);
            return -ENOMEM;
        }
    }
    sysret_t r = epoll_wait_file(f, ev, n, deadline);
    for (sysret_t i = 0; i < r; i++) {
        struct linux_epoll_event e = { ev[i].events, ev[i].data };
        if (copy_out(out + (u64)i * sizeof e, &e, sizeof e)) {
            epoll_rearm(f);
            r = i ? i : -EFAULT;
            break;
        }
    }
    file_put(f);
    return r == -ERESTARTSYS ? -EINTR : r;
}

static ktime_t ms_deadline(s32 ms) { return ms < 0 ? KTIME_NEVER : ms == 0 ? 0 : clock_mono() + ms * NSEC_PER_MSEC; }

sysret_t linux_epoll_wait(const struct syscall_args *a)
{
    return do_wait(ARG_INT(0), a->a[1], ARG_INT(2), ms_deadline(ARG_INT(3)));
}

static sysret_t wait_masked(const struct syscall_args *a, ktime_t deadline)
{
    if (a->a[4]) {
        ksigset_t m;
        int r = linux_copy_in_sigset(&m, a->a[4], a->a[5]);
        if (r) return r;
        signal_set_temp_mask(&m);
    }
    sysret_t r = do_wait(ARG_INT(0), a->a[1], ARG_INT(2), deadline);
    if (a->a[4] && r != -EINTR) signal_restore_temp_mask();
    return r;
}

sysret_t linux_epoll_pwait(const struct syscall_args *a) { return wait_masked(a, ms_deadline(ARG_INT(3))); }

sysret_t linux_epoll_pwait2(const struct syscall_args *a)
{
    ktime_t deadline;
    int r = linux_timeout_in(&deadline, a->a[3]);
    return r ? r : wait_masked(a, deadline);
}
