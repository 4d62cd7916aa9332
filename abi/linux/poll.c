/* poll(2), ppoll(2), select(2), pselect6. */
#include "sentry/vfs/poll.h"
#include "abi/linux/linux.h"
#include "abi/linux/uapi_poll.h"
#include "abi/linux/uapi_time.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/timers.h"
#include <sys/personality.h>

/* Runs the wait over guest memory; results go back unless it failed. */
static sysret_t do_poll(gaddr_t p, u32 n, ktime_t deadline)
{
    if (n > current_rlimit(RLIMIT_NOFILE)) return -EINVAL;
    if (n && p + (u64)n * sizeof(struct linux_pollfd) < p) return -EFAULT;
    AUTO_FREE struct linux_pollfd *u = try_zalloc(n ? n : 1, sizeof *u);
    AUTO_FREE struct kpollfd *k = try_zalloc(n ? n : 1, sizeof *k);
    if (!u || !k) return -ENOMEM;
    if (n && copy_in(u, p, n * sizeof *u)) return -EFAULT;
    for (u32 i = 0; i < n; i++) k[i] = (struct kpollfd){ u[i].fd, (u16)u[i].events, 0 };
    sysret_t r = poll_wait(k, n, deadline);
    if (r < 0) return r;
    /* Only revents is written: events may lie on a read-only page no more than on Linux, but may change meanwhile. */
    for (u32 i = 0; i < n; i++) {
        s16 re = (s16)k[i].revents;
        if (re == u[i].revents) continue;
        if (copy_out(p + i * sizeof *u + offsetof(struct linux_pollfd, revents), &re, sizeof re)) return -EFAULT;
    }
    return r;
}

/* restart_args: array, count, deadline. */
static sysret_t poll_restart(struct task *t)
{
    sysret_t r = do_poll(t->restart_args[0], (u32)t->restart_args[1], (ktime_t)t->restart_args[2]);

    if (r != -ERESTARTSYS) return r;
    t->restart_fn = poll_restart;
    return -ERESTART_RESTARTBLOCK;
}

sysret_t linux_poll(const struct syscall_args *a)
{
    s32 ms = ARG_INT(2);
    ktime_t deadline = ms < 0 ? KTIME_NEVER : ms == 0 ? 0 : clock_mono() + ms * NSEC_PER_MSEC;

    current->restart_fn = NULL;            /* the arguments are not its own any more */
    current->restart_args[0] = a->a[0];
    current->restart_args[1] = ARG_U32(1);
    current->restart_args[2] = (u64)deadline;
    return poll_restart(current);
}

/* The temporary mask of ppoll and friends; *set tells whether there is one. */
static int temp_mask(gaddr_t p, u64 size, bool *set)
{
    ksigset_t m;

    *set = false;
    if (!p) return 0;
    int r = linux_copy_in_sigset(&m, p, size);
    if (r) return r;
    signal_set_temp_mask(&m);
    *set = true;
    return 0;
}

/* Is the caller told what is left of its timeout? personality(2) "STICKY_TIMEOUTS" */
static bool tells_rest(ktime_t deadline) { return deadline != KTIME_NEVER && !(current->personality & STICKY_TIMEOUTS); }

/* A wait with a mask ends: the mask stays for the handler if a signal came, else goes now. */
static sysret_t finish(sysret_t r, bool masked, gaddr_t timeout, ktime_t deadline)
{
    if (r == -ERESTARTSYS) r = -ERESTARTNOHAND;
    if (masked && r != -ERESTARTNOHAND) signal_restore_temp_mask();
    /* Linux writes back what is left; a failure to do so is no error, but then nothing may be restarted. */
    if (timeout && tells_rest(deadline) && linux_copy_out_ktime(timeout, deadline ? linux_time_left(deadline) : 0) &&
        r == -ERESTARTNOHAND)
        r = -EINTR;
    return r;
}

sysret_t linux_ppoll(const struct syscall_args *a)
{
    ktime_t deadline;
    bool masked;
    int r = linux_timeout_in(&deadline, a->a[2]);

    if (!r) r = temp_mask(a->a[3], a->a[4], &masked);
    if (r) return r;
    return finish(do_poll(a->a[0], ARG_U32(1), deadline), masked, a->a[2], deadline);
}

/* Number of descriptors, bounded by what the table can hold; the sets. */
static sysret_t do_select(s32 n, const gaddr_t p[3], ktime_t deadline)
{
    u64 small[3][16], *set[3] = { NULL, NULL, NULL };
    AUTO_FREE u64 *heap = NULL;

    if (n < 0) return -EINVAL;
    struct fdtable *ft = current->files;
    lock(&ft->lock);
    if ((unsigned)n > ft->size) n = (s32)ft->size;
    unlock(&ft->lock);
    /* Bits beyond n are left alone, whole words of 64 bits are moved as on Linux. */
    size_t words = ((size_t)n + 63) / 64;
    if (words > ARRAY_LEN(small[0])) {
        heap = try_zalloc(words * 3, 8);
        if (!heap) return -ENOMEM;
    }
    for (int i = 0; i < 3; i++) {
        if (!p[i]) continue;
        set[i] = heap ? heap + words * (size_t)i : small[i];
        if (words && copy_in(set[i], p[i], words * 8)) return -EFAULT;
    }
    sysret_t r = select_wait((unsigned)n, set[0], set[1], set[2], deadline);
    if (r < 0) return r;
    for (int i = 0; i < 3; i++)
        if (p[i] && words && copy_out(p[i], set[i], words * 8)) return -EFAULT;
    return r;
}

sysret_t linux_select(const struct syscall_args *a)
{
    const gaddr_t p[3] = { a->a[1], a->a[2], a->a[3] };
    ktime_t deadline = KTIME_NEVER;

    if (a->a[4]) {
        struct linux_timeval tv;
        if (copy_in(&tv, a->a[4], sizeof tv)) return -EFAULT;
        /* select takes microseconds beyond a second, but not negative parts. */
        s64 sec, ns = tv.usec % 1000000 * 1000;
        if (add_overflow(tv.sec, tv.usec / 1000000, &sec) || sec < 0 || ns < 0) return -EINVAL;
        ktime_t t = sec >= LINUX_SEC_MAX ? KTIME_NEVER : sec * NSEC_PER_SEC + ns;
        deadline = t ? ktime_add_sat(clock_mono(), t) : 0;
    }
    sysret_t r = do_select(ARG_INT(0), p, deadline);
    if (r == -ERESTARTSYS) r = -ERESTARTNOHAND;
    if (a->a[4] && tells_rest(deadline)) {
        ktime_t left = deadline ? linux_time_left(deadline) : 0;
        struct linux_timeval tv = { left / NSEC_PER_SEC, left % NSEC_PER_SEC / 1000 };
        if (copy_out(a->a[4], &tv, sizeof tv) && r == -ERESTARTNOHAND) r = -EINTR;
    }
    return r;
}

sysret_t linux_pselect6(const struct syscall_args *a)
{
    const gaddr_t p[3] = { a->a[1], a->a[2], a->a[3] };
    struct linux_sigset_arg m = { 0, 0 };
    ktime_t deadline;
    bool masked;

    if (a->a[5] && copy_in(&m, a->a[5], sizeof m)) return -EFAULT;
    int r = linux_timeout_in(&deadline, a->a[4]);
    if (!r) r = temp_mask(m.p, m.len, &masked);
    if (r) return r;
    return finish(do_select(ARG_INT(0), p, deadline), masked, a->a[4], deadline);
}
