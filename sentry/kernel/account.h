/* Inline part of CPU time accounting, for the run loop. */
#ifndef SUNDOG_KERNEL_ACCOUNT_H
#define SUNDOG_KERNEL_ACCOUNT_H

#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include <x86intrin.h>

extern u64 account_mult;

static inline u64 account_ticks(void)
{
    return likely(__atomic_load_n(&account_mult, __ATOMIC_RELAXED)) ? __builtin_ia32_rdtsc() : (u64)clock_mono();
}

static inline u64 account_ns(u64 ticks)
{
    u64 mult = __atomic_load_n(&account_mult, __ATOMIC_RELAXED);

    if ((s64)ticks < 0) return 0;   /* counters of two CPUs may differ a little */
    return mult ? (u64)(((unsigned __int128)ticks * mult) >> 32) : ticks;
}

/* Sentry to guest: the time since the stamp was system time. */
static inline void account_enter_guest(struct task *t)
{
    u64 now = account_ticks();

    __atomic_store_n(&t->stime_ns, t->stime_ns + account_ns(now - t->acct_stamp), __ATOMIC_RELAXED);
    __atomic_store_n(&t->acct_stamp, now, __ATOMIC_RELAXED);
}

static inline void account_leave_guest(struct task *t)
{
    u64 now = account_ticks();

    __atomic_store_n(&t->utime_ns, t->utime_ns + account_ns(now - t->acct_stamp), __ATOMIC_RELAXED);
    __atomic_store_n(&t->acct_stamp, now, __ATOMIC_RELAXED);
}

#endif
