/*
 * The vDSO of Linux guests: clocks without a system call. Built as a small freestanding shared object and embedded in
 * the sentry. Whatever it cannot answer from the time page becomes the real system call. Source: vdso(7).
 */
#include "vvar.h"

typedef long s64;
typedef unsigned long u64;
struct timespec_ { s64 sec, nsec; };
struct timeval_ { s64 sec, usec; };
struct timezone_ { int minuteswest, dsttime; };

#define NSEC_PER_SEC 1000000000UL
#define NR_gettimeofday 96
#define NR_time 201
#define NR_clock_gettime 228
#define NR_clock_getres 229
#define NR_getcpu 309
#define CLOCK_REALTIME_ 0
#define CLOCK_MONOTONIC_ 1
#define CLOCK_MONOTONIC_RAW_ 4
#define CLOCK_REALTIME_COARSE_ 5
#define CLOCK_MONOTONIC_COARSE_ 6
#define CLOCK_BOOTTIME_ 7
#define SPINS 16

extern const volatile struct vvar vvar_page __attribute__((visibility("hidden")));

static inline s64 syscall3(s64 nr, s64 a, s64 b, s64 c)
{
    s64 r;

    __asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}

static inline u64 read_tsc(void)
{
    unsigned lo, hi;

    /* Not before earlier loads have been done, among them that of seq. */
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (u64)hi << 32 | lo;
}

static inline void barrier(void) { __asm__ volatile("" : : : "memory"); }

/* ns of a clock by the time page; 0: the system call must tell. */
static u64 fast_ns(int clock)
{
    for (int i = 0; i < SPINS; i++) {
        unsigned seq = vvar_page.seq;
        u64 base, mult, tsc, tsc_base, max_delta, delta;

        barrier();
        if (seq & 1) continue;
        if (!vvar_page.enabled) return 0;
        tsc_base = vvar_page.tsc_base;
        max_delta = vvar_page.max_delta;
        mult = vvar_page.mult;
        base = vvar_page.mono_base;
        if (clock == CLOCK_REALTIME_)
            base += vvar_page.real_offset;
        else if (clock == CLOCK_BOOTTIME_)
            base += vvar_page.boot_offset;
        tsc = read_tsc();
        barrier();
        if (vvar_page.seq != seq) continue;
        delta = tsc - tsc_base;
        if (delta >= max_delta) return 0;   /* stale, or the counter stepped back */
        return base + (u64)((unsigned __int128)delta * mult >> 32);
    }
    return 0;
}

int __vdso_clock_gettime(int clock, struct timespec_ *ts)
{
    if (clock == CLOCK_REALTIME_COARSE_ || clock == CLOCK_MONOTONIC_COARSE_) {
        /* The fine clock is a correct coarse one only if all readers agree: the sentry truncates both alike. */
        return (int)syscall3(NR_clock_gettime, clock, (s64)ts, 0);
    }
    if (clock == CLOCK_MONOTONIC_ || clock == CLOCK_REALTIME_ || clock == CLOCK_BOOTTIME_) {
        u64 ns = fast_ns(clock);
        if (ns) {
            ts->sec = (s64)(ns / NSEC_PER_SEC);
            ts->nsec = (s64)(ns % NSEC_PER_SEC);
            return 0;
        }
    }
    return (int)syscall3(NR_clock_gettime, clock, (s64)ts, 0);
}

int __vdso_gettimeofday(struct timeval_ *tv, struct timezone_ *tz)
{
    u64 ns = tz || !tv ? 0 : fast_ns(CLOCK_REALTIME_);

    if (!ns) return (int)syscall3(NR_gettimeofday, (s64)tv, (s64)tz, 0);
    tv->sec = (s64)(ns / NSEC_PER_SEC);
    tv->usec = (s64)(ns % NSEC_PER_SEC / 1000);
    return 0;
}

s64 __vdso_time(s64 *out)
{
    u64 ns = fast_ns(CLOCK_REALTIME_);

    if (!ns) return syscall3(NR_time, (s64)out, 0, 0);
    if (out) *out = (s64)(ns / NSEC_PER_SEC);
    return (s64)(ns / NSEC_PER_SEC);
}

int __vdso_clock_getres(int clock, struct timespec_ *ts)
{
    if (clock == CLOCK_MONOTONIC_ || clock == CLOCK_REALTIME_ || clock == CLOCK_BOOTTIME_ || clock == CLOCK_MONOTONIC_RAW_) {
        if (ts) ts->sec = 0, ts->nsec = 1;
        return 0;
    }
    return (int)syscall3(NR_clock_getres, clock, (s64)ts, 0);
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    return (int)syscall3(NR_getcpu, (s64)cpu, (s64)node, (s64)unused);
}

int clock_gettime(int, struct timespec_ *) __attribute__((weak, alias("__vdso_clock_gettime")));
int gettimeofday(struct timeval_ *, struct timezone_ *) __attribute__((weak, alias("__vdso_gettimeofday")));
s64 time(s64 *) __attribute__((weak, alias("__vdso_time")));
int clock_getres(int, struct timespec_ *) __attribute__((weak, alias("__vdso_clock_getres")));
int getcpu(unsigned *, unsigned *, void *) __attribute__((weak, alias("__vdso_getcpu")));
