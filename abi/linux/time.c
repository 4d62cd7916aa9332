/* Clocks and sleeping. The clocks that the vDSO answers too have their adapters in vdso_calls.c. */
#include "abi/linux/uapi_time.h"
#include "abi/linux/linux.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/timers.h"
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

HOSTCALL(adjtimex, "adjtimex and clock_adjtime show the host's clock state (never change it)");

int linux_copy_in_timespec(struct timespec *out, gaddr_t p)
{
    struct linux_timespec ts;

    if (copy_in(&ts, p, sizeof ts)) return -EFAULT;
    *out = (struct timespec){ .tv_sec = ts.sec, .tv_nsec = ts.nsec };
    return 0;
}

int linux_copy_out_timespec(gaddr_t p, const struct timespec *t)
{
    struct linux_timespec ts = { t->tv_sec, t->tv_nsec };
    return copy_out(p, &ts, sizeof ts);
}

int linux_copy_in_ktime(ktime_t *out, gaddr_t p)
{
    struct timespec ts;
    int r = linux_copy_in_timespec(&ts, p);

    if (r) return r;
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC) return -EINVAL;
    *out = ts.tv_sec >= LINUX_SEC_MAX ? KTIME_NEVER : ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
    return 0;
}

int linux_copy_out_ktime(gaddr_t p, ktime_t t)
{
    struct linux_timespec ts = { t / NSEC_PER_SEC, t % NSEC_PER_SEC };
    return copy_out(p, &ts, sizeof ts);
}

int linux_timeout_in(ktime_t *deadline, gaddr_t p)
{
    ktime_t t;

    *deadline = KTIME_NEVER;
    if (!p) return 0;
    int r = linux_copy_in_ktime(&t, p);
    if (!r) *deadline = t == 0 ? 0 : ktime_add_sat(clock_mono(), t);
    return r;
}

ktime_t linux_time_left(ktime_t deadline)
{
    ktime_t now = clock_mono();
    return deadline > now ? deadline - now : 0;
}

/* restart_args: clock, end, where the rest goes. */
static sysret_t nanosleep_restart(struct task *t)
{
    ktime_t left = 0;
    int r = kclock_sleep_until((int)t->restart_args[0], (ktime_t)t->restart_args[1], &left);

    if (r != -ERESTARTSYS) return r;
    if (t->restart_args[2] && linux_copy_out_ktime(t->restart_args[2], left)) return -EFAULT;
    t->restart_fn = nanosleep_restart;
    return -ERESTART_RESTARTBLOCK;
}

static sysret_t do_nanosleep(int clock, bool absolute, gaddr_t req, gaddr_t rem)
{
    ktime_t t, until, left = 0;
    int base, r = kclock_timer_base(clock, &base);

    if (clock == CLOCK_THREAD_CPUTIME_ID) return -EOPNOTSUPP;
    if (r) return r;
    r = linux_copy_in_ktime(&t, req);
    if (r) return r;
    r = kclock_sleep(clock, absolute, t, &until, &left);
    if (r != -ERESTART_RESTARTBLOCK) return r;
    if (rem && linux_copy_out_ktime(rem, left)) return -EFAULT;
    current->restart_fn = nanosleep_restart;
    current->restart_args[0] = (u64)(s64)(base >= 0 && base != KT_BOOT ? CLOCK_MONOTONIC : clock);
    current->restart_args[1] = (u64)until;
    current->restart_args[2] = rem;
    return r;
}

sysret_t linux_nanosleep(const struct syscall_args *a) { return do_nanosleep(CLOCK_MONOTONIC, false, a->a[0], a->a[1]); }

sysret_t linux_clock_nanosleep(const struct syscall_args *a)
{
    return do_nanosleep(ARG_INT(0), ARG_INT(1) & TIMER_ABSTIME, a->a[2], a->a[3]);
}

sysret_t linux_clock_gettime(const struct syscall_args *a)
{
    ktime_t t;
    int r = kclock_gettime(ARG_INT(0), &t);
    return r ? r : linux_copy_out_ktime(a->a[1], t);
}

sysret_t linux_clock_getres(const struct syscall_args *a)
{
    ktime_t t;
    int r = kclock_getres(ARG_INT(0), &t);
    return r || !a->a[1] ? r : linux_copy_out_ktime(a->a[1], t);
}

static sysret_t do_adjtimex(gaddr_t p)
{
    struct linux_timex x;
    struct timex h = { .modes = 0 };

    if (copy_in(&x, p, sizeof x)) return -EFAULT;
    /* ADJ_OFFSET_SS_READ only reads */
    if (x.modes && x.modes != 0xa001) return -EPERM;
    int state = (int)syscall(SYS_adjtimex, &h); /* libc makes it clock_adjtime, which can name any clock */
    if (state < 0) return -errno;
    u32 modes = x.modes;
    memset(&x, 0, sizeof x);
    x.modes = modes;
    x.offset = h.offset;
    x.freq = h.freq;
    x.maxerror = h.maxerror;
    x.esterror = h.esterror;
    x.status = h.status;
    x.constant = h.constant;
    x.precision = h.precision;
    x.tolerance = h.tolerance;
    x.time = (struct linux_timeval){ h.time.tv_sec, h.time.tv_usec };
    x.tick = h.tick;
    x.tai = h.tai;
    if (copy_out(p, &x, sizeof x)) return -EFAULT;
    return state;
}

sysret_t linux_adjtimex(const struct syscall_args *a) { return do_adjtimex(a->a[0]); }

sysret_t linux_clock_adjtime(const struct syscall_args *a)
{
    ktime_t t;

    if (ARG_INT(0) == CLOCK_REALTIME) return do_adjtimex(a->a[1]);
    return kclock_gettime(ARG_INT(0), &t) ? -EINVAL : -EOPNOTSUPP;
}
