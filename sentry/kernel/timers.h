/*
 * Kernel timers, clocks, and the timers of a process (interval timers, POSIX timers, RLIMIT_CPU).
 *
 * One host thread serves all timers; it exists from the first timer on and sleeps in ppoll(2) over one host timerfd
 * per clock, so an idle sandbox makes no wake-ups and a jump of the host's realtime clock is seen.
 * Sources: timer_create(2), timer_settime(2), setitimer(2), clock_gettime(2), getrlimit(2), time(7).
 */
#ifndef SUNDOG_KERNEL_TIMERS_H
#define SUNDOG_KERNEL_TIMERS_H

#include "sentry/base/clock.h"
#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/kernel/signal.h"

struct task;
struct tgroup;

/* --- one timer (kernel/timers.c) --- */
enum ktimer_base { KT_MONO, KT_REAL, KT_BOOT, KT_NBASES };

struct ktimer {
    RB_ENTRY(ktimer) node;         /* all under the timer service's lock */
    enum ktimer_base base;         /* (c) */
    ktime_t expiry;                /* absolute, on the base's clock */
    bool queued;
    void (*fn)(struct ktimer *t);  /* (c) on the timer thread, no lock held; may set the timer again */
};

/* Starts the timer thread if it does not run yet: -EAGAIN, -EMFILE. To be called before the first ktimer_set of an object. */
int ktimer_service_start(void);
void ktimer_init(struct ktimer *t, enum ktimer_base base, void (*fn)(struct ktimer *t));
void ktimer_set(struct ktimer *t, ktime_t expiry);     /* replaces an earlier setting; callable under any lock but LC_LEAF ones */
bool ktimer_cancel(struct ktimer *t);                  /* true: it was queued. The callback may still be running. */
void ktimer_cancel_sync(struct ktimer *t);             /* ...has ended as well. Caller holds no lock the callback takes. */
ktime_t ktimer_now(enum ktimer_base base);

/* Told (on the timer thread) when the host's realtime clock was set. */
struct clock_set_watch { TAILQ_ENTRY(clock_set_watch) link; void (*fn)(struct clock_set_watch *w); };
void clock_set_watch_add(struct clock_set_watch *w);
void clock_set_watch_del(struct clock_set_watch *w);   /* synchronous, as ktimer_cancel_sync */

/* --- clocks (kernel/clocks.c). Ids are the host's CLOCK_*, negative ids the Linux encoding of CPU clocks. --- */
int kclock_gettime(int id, ktime_t *out);              /* -EINVAL unknown clock or no such process */
int kclock_getres(int id, ktime_t *out);
/* -EINVAL unknown, -EOPNOTSUPP known but cannot drive timers; a CPU clock is fine and gives base -1 */
int kclock_timer_base(int id, int *base);
/*
 * clock_nanosleep(2): *remain is set (relative sleeps) when a signal ended it. 0, -EINVAL, -EOPNOTSUPP,
 * -ERESTARTNOHAND (absolute), -ERESTART_RESTARTBLOCK (relative: the caller sets up the restart from *until).
 */
int kclock_sleep(int id, bool absolute, ktime_t t, ktime_t *until, ktime_t *remain);
/* Goes on with a relative sleep whose end on the clock's own time line was *until. */
int kclock_sleep_until(int id, ktime_t until, ktime_t *remain);
/* Host CLOCK_MONOTONIC deadline for an absolute time on clock id (MONOTONIC, REALTIME, BOOTTIME, TAI). */
ktime_t kclock_to_mono(int id, ktime_t abs);
bool kclock_is_cpu(int id);
/* The thread or else the process whose CPU clock id is; one of them is set, counted. -EINVAL */
int kclock_cpu_target(int id, struct task **t, struct tgroup **tg);
/* CPU time used by the process so far. Takes the tasklist lock. */
void tgroup_cpu_time(struct tgroup *tg, u64 *utime, u64 *stime);
/* Adds without overflow: saturates at KTIME_NEVER. */
static inline ktime_t ktime_add_sat(ktime_t a, ktime_t b)
{
    ktime_t r;
    return add_overflow(a, b, &r) ? KTIME_NEVER : r;
}

/* --- timers of a process (kernel/itimers.c, ptimers.c, cputimers.c) --- */
struct kitimer { ktime_t value, interval; };           /* value 0: disarmed */

enum { KITIMER_REAL, KITIMER_VIRTUAL, KITIMER_PROF, KITIMER_N };
int itimer_get(int which, struct kitimer *out);                              /* of current; -EINVAL */
int itimer_set(int which, const struct kitimer *new_, struct kitimer *old);  /* -EINVAL -EAGAIN; old may be NULL */

enum ptimer_notify { PTIMER_NONE, PTIMER_SIGNAL, PTIMER_THREAD, PTIMER_CALL };
struct ptimer_spec {
    enum ptimer_notify notify;
    int signo;
    u64 value;
    bool value_is_id;
    s32 tid;
    /* PTIMER_CALL: n expirations of timer id, on the timer thread, no lock held; arg is the timer's, which gives it back by release. */
    void (*call)(void *arg, s32 id, u64 n);
    void (*release)(void *arg);
    void *arg;
};
sysret_t ptimer_create(int clock, const struct ptimer_spec *s);              /* timer id; -EINVAL -EOPNOTSUPP -EAGAIN -EPERM */
int ptimer_settime(s32 id, bool absolute, const struct kitimer *new_, struct kitimer *old);
int ptimer_gettime(s32 id, struct kitimer *out);
sysret_t ptimer_getoverrun(s32 id);
int ptimer_delete(s32 id);

/* Life cycle of a process. None may be called with a lock held. */
void ptimers_exec(struct tgroup *tg);                  /* POSIX timers go, interval timers stay */
void ptimers_exit(struct tgroup *tg);                  /* all go; before tgroup memory can go away */
void ptimers_fork(struct tgroup *parent, struct tgroup *child);   /* nothing is inherited but RLIMIT_CPU's watch */
/* After RLIMIT_CPU was set or inherited. */
void ptimers_rlimit_cpu(struct tgroup *tg);

#endif
