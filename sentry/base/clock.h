/* Host clocks, read through the host's vDSO. */
#ifndef SUNDOG_BASE_CLOCK_H
#define SUNDOG_BASE_CLOCK_H
#include "sentry/base/types.h"
#include <time.h>
static inline ktime_t clock_now(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (ktime_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}
static inline ktime_t clock_mono(void) { return clock_now(CLOCK_MONOTONIC); }
static inline ktime_t clock_real(void) { return clock_now(CLOCK_REALTIME); }
#endif
