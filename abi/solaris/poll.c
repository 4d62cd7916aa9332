/* pollsys: what poll, ppoll, select and pselect of libc become. Source: sys/poll.h; uts/common/syscall/poll.c. */
#include "sentry/vfs/poll.h"
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"

static const struct sol_flag bits[] = {
    { 0x1, POLLIN }, { 0x2, POLLPRI }, { 0x4, POLLOUT }, { 0x8, POLLERR }, { 0x10, POLLHUP }, { 0x20, POLLNVAL }, { 0x40, POLLRDNORM },
    { 0x80, POLLRDBAND }, { 0x100, POLLWRBAND }, { 0x4000, POLLRDHUP },
};

u32 sol_poll_in(u32 ev) { return sol_flags_in(bits, ARRAY_LEN(bits), ev, NULL); }
u32 sol_poll_out(u32 ev) { return sol_flags_out(bits, ARRAY_LEN(bits), ev) | (ev & POLLWRNORM ? 4u : 0); }

static sysret_t do_poll(gaddr_t p, u64 n, ktime_t deadline)
{
    if (n > current_rlimit(RLIMIT_NOFILE) || n > INT32_MAX / sizeof(struct sol_pollfd)) return -EINVAL;
    AUTO_FREE struct sol_pollfd *u = try_zalloc(n ? n : 1, sizeof(*u));
    AUTO_FREE struct kpollfd *k = try_zalloc(n ? n : 1, sizeof(*k));
    if (!u || !k) return -EAGAIN;
    if (n && copy_in(u, p, n * sizeof(*u))) return -EFAULT;
    for (u64 i = 0; i < n; i++) k[i] = (struct kpollfd){ u[i].fd, (u16)sol_poll_in((u16)u[i].events), 0 };
    sysret_t r = poll_wait(k, (unsigned)n, deadline);
    if (r < 0) return r;
    for (u64 i = 0; i < n; i++) {
        s16 re = (s16)sol_poll_out(k[i].revents);
        if (re == u[i].revents) continue;
        if (copy_out(p + i * sizeof(*u) + offsetof(struct sol_pollfd, revents), &re, sizeof(re))) return -EFAULT;
    }
    return r;
}

/* restart_args: array, count, deadline */
static sysret_t poll_restart(struct task *t)
{
    sysret_t r = do_poll(t->restart_args[0], t->restart_args[1], (ktime_t)t->restart_args[2]);

    if (r != -ERESTARTSYS) return r;
    t->restart_fn = poll_restart;
    return -ERESTART_RESTARTBLOCK;
}

/* pollsys(fds, n, timespec *, sigset *) */
sysret_t solaris_pollsys(const struct syscall_args *a)
{
    struct task *t = current;
    ktime_t rel, deadline = KTIME_NEVER;
    ksigset_t mask;
    sysret_t r;
    int e;

    if (a->a[2]) {
        if ((e = sol_copy_in_ktime(&rel, a->a[2]))) return e;
        deadline = rel ? ktime_add_sat(clock_mono(), rel) : 0;
    }
    if (!a->a[3]) {
        t->restart_args[0] = a->a[0];
        t->restart_args[1] = a->a[1];
        t->restart_args[2] = (u64)deadline;
        return poll_restart(t);
    }
    if (sol_copy_in_sigset(&mask, a->a[3])) return -EFAULT;
    signal_set_temp_mask(&mask);
    r = do_poll(a->a[0], a->a[1], deadline);
    if (r == -ERESTARTSYS) return -ERESTARTNOHAND;
    signal_restore_temp_mask();
    return r;
}
