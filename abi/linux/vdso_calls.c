/*
 * The clock calls that have a counterpart in the vDSO: both must go by the same time page, or a program that uses both
 * could see time run backwards. Other clocks are the clock adapters' (linux_clock_gettime).
 */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include "abi/linux/vdso.h"

/* Weak as in the table. */
sysret_t linux_clock_gettime(const struct syscall_args *a) __attribute__((weak));

sysret_t linux_vdso_clock_gettime(const struct syscall_args *a)
{
    ktime_t now;

    if (!linux_vdso_clock(ARG_INT(0), &now)) return linux_clock_gettime ? linux_clock_gettime(a) : -EINVAL;
    s64 ts[2] = { now / NSEC_PER_SEC, now % NSEC_PER_SEC };
    return copy_out(a->a[1], ts, sizeof(ts)) ? -EFAULT : 0;
}

sysret_t linux_vdso_gettimeofday(const struct syscall_args *a)
{
    static const s32 utc[2] = { 0, 0 };
    ktime_t now;

    if (a->a[0]) {
        linux_vdso_clock(CLOCK_REALTIME, &now);
        struct linux_timeval tv = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 };
        if (copy_out(a->a[0], &tv, sizeof(tv))) return -EFAULT;
    }
    return a->a[1] && copy_out(a->a[1], utc, sizeof(utc)) ? -EFAULT : 0;
}

sysret_t linux_vdso_time(const struct syscall_args *a)
{
    ktime_t now;
    s64 sec;

    linux_vdso_clock(CLOCK_REALTIME, &now);
    sec = now / NSEC_PER_SEC;
    return a->a[0] && copy_out(a->a[0], &sec, sizeof(sec)) ? -EFAULT : sec;
}
