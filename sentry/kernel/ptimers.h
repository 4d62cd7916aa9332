/* What itimers.c, ptimers.c and cputimers.c share; nobody else includes it. */
#ifndef SUNDOG_KERNEL_PTIMERS_H
#define SUNDOG_KERNEL_PTIMERS_H

#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"

/* A POSIX timer. All fields under tg->timers_lock unless (c). */
struct ptimer {
    refcount_t refs;               /* the list's, and the timer thread's while it sends */
    LIST_ENTRY(ptimer) link;
    struct tgroup *tg;             /* (c) borrowed: ptimers_exit comes before the group goes */
    s32 id;                        /* (c) */
    int clock;                     /* (c) as given */
    int base;                      /* (c) enum ktimer_base, -1: a CPU clock */
    struct ptimer_spec spec;       /* (c) */
    struct ktimer kt;              /* base >= 0 */
    ktime_t expiry;                /* next expiration not yet counted; KTIME_NEVER: disarmed */
    ktime_t interval;
    struct sigqueue_entry sq;      /* filled while not queued, by the timer thread only */
    s64 overrun;                   /* expirations since the one that was sent */
    int overrun_last;              /* of the last delivered signal */
    struct task *cpu_task;         /* (c) counted: thread of a CPU clock; NULL: the whole process */
};

struct cpu_itimer { ktime_t expiry, interval; };   /* on the process CPU clock; KTIME_NEVER: off */

struct ptimers {
    struct tgroup *tg;             /* (c) */
    LIST_HEAD(, ptimer) timers;
    s32 next_id;
    unsigned n;
    struct ktimer real;            /* ITIMER_REAL */
    ktime_t real_expiry, real_interval;
    struct cpu_itimer cpu_it[2];   /* VIRTUAL, PROF */
    struct ktimer cpu_check;       /* runs only while a CPU timer or RLIMIT_CPU is armed */
    bool cpu_armed;
    u64 rlim_cpu_next;             /* seconds of CPU at which to send the next SIGXCPU; 0: none */
    u64 rlim_cpu_hard;             /* RLIM_INFINITY: none */
};

/* tg->ptimers, made if absent. timers_lock held. */
struct ptimers *ptimers_of_locked(struct tgroup *tg);

/* Counts the expirations up to now and moves expiry on (KTIME_NEVER after a one-shot). */
u64 ptimer_advance(ktime_t *expiry, ktime_t interval, ktime_t now);
/* p may have expired (its time is `now`); timers_lock held, but dropped around the sending: p may be freed on return. */
void ptimer_expire(struct ptimer *p, ktime_t now);
/* Process CPU time, to be read before timers_lock is taken (the tasklist lock is outer). */
struct cpu_now { u64 u, s; };
/* The time of p's clock; proc counts for process CPU clocks only. */
ktime_t ptimer_now(const struct ptimer *p, const struct cpu_now *proc);

/* Time left as getitimer and timer_gettime show it: 0 disarmed, at least 1 when armed. */
ktime_t ptimer_left(ktime_t expiry, ktime_t now);

void itimer_real_expired(struct ktimer *kt);
void cpu_check_expired(struct ktimer *kt);
/* (Re)starts the CPU check after something was armed. timers_lock held. */
void cpu_check_arm_locked(struct ptimers *pt);

#endif
