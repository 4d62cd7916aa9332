/*
 * The page of time data that the sentry publishes to the vDSO. Shared by both; freestanding.
 *
 * clock(tsc) = base + ((tsc - tsc_base) * mult >> 32), valid while tsc - tsc_base < max_delta. seq is odd while the
 * sentry writes. The sentry's own clock_gettime(2) goes by the same numbers (vdso.c), so that the two never disagree.
 */
#ifndef SUNDOG_LINUX_VVAR_H
#define SUNDOG_LINUX_VVAR_H

struct vvar {
    unsigned int seq;
    unsigned int enabled;              /* 0: always the system call */
    unsigned long tsc_base, max_delta;
    unsigned long mult;                /* ns per 2^32 ticks */
    unsigned long mono_base;           /* CLOCK_MONOTONIC, ns */
    unsigned long real_offset;         /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
    unsigned long boot_offset;         /* CLOCK_BOOTTIME - CLOCK_MONOTONIC, ns */
};

#endif
