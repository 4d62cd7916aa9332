/* Guest structures of time and timers, and their copying. Source: include/uapi/linux/{time,time_types,timex}.h. */
#ifndef SUNDOG_LINUX_UAPI_TIME_H
#define SUNDOG_LINUX_UAPI_TIME_H

#include "sentry/base/types.h"
#include <time.h>

struct linux_timespec { s64 sec, nsec; };
_Static_assert(sizeof(struct linux_timespec) == 16, "timespec");
struct linux_timeval { s64 sec, usec; };
_Static_assert(sizeof(struct linux_timeval) == 16, "timeval");
struct linux_itimerspec { struct linux_timespec interval, value; };
_Static_assert(sizeof(struct linux_itimerspec) == 32, "itimerspec");
struct linux_itimerval { struct linux_timeval interval, value; };
_Static_assert(sizeof(struct linux_itimerval) == 32, "itimerval");
struct linux_sigevent { u64 value; s32 signo, notify, tid; u8 pad[44]; };
_Static_assert(sizeof(struct linux_sigevent) == 64, "sigevent");
struct linux_timex {
    u32 modes, pad0;
    s64 offset, freq, maxerror, esterror;
    s32 status, pad1;
    s64 constant, precision, tolerance;
    struct linux_timeval time;
    s64 tick, ppsfreq, jitter;
    s32 shift, pad2;
    s64 stabil, jitcnt, calcnt, errcnt, stbcnt;
    s32 tai, pad3[11];
};
_Static_assert(sizeof(struct linux_timex) == 208, "timex");

/* Longest time span a deadline is computed for; anything more is for ever. */
#define LINUX_SEC_MAX (INT64_MAX / NSEC_PER_SEC)

/* No range check. 0 or -EFAULT. */
int linux_copy_in_timespec(struct timespec *out, gaddr_t p);
int linux_copy_out_timespec(gaddr_t p, const struct timespec *ts);
/* With the check of ranges (-EINVAL), as nanoseconds; too long ones saturate. */
int linux_copy_in_ktime(ktime_t *out, gaddr_t p);
int linux_copy_out_ktime(gaddr_t p, ktime_t t);
/* CLOCK_MONOTONIC deadline of a relative timeout at p: NULL is KTIME_NEVER, zero is 0 (do not wait). */
int linux_timeout_in(ktime_t *deadline, gaddr_t p);
/* What is left of deadline, not less than 0. */
ktime_t linux_time_left(ktime_t deadline);

#endif
