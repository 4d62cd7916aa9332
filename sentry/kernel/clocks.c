/*
 * Clocks as a guest sees them. The wall and monotonic clocks are the host's (BOOTTIME and MONOTONIC too: the vDSO shows
 * the same values). CPU clocks come from the accounting of tasks. Source: clock_gettime(2), clock_getcpuclockid(3).
 */
#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"

HOSTCALL(clock_gettime, "guest clocks that the host's vDSO does not answer");

/* Encoding of dynamic CPU clocks: ~pid << 3, bit 2: thread, bits 0-1: 0 prof, 1 virt, 2 sched, 3 clock descriptor. */
#define CPUCLOCK_PID(id) (~((id) >> 3))
#define CPUCLOCK_THREAD(id) ((id) & 4)
#define CPUCLOCK_WHICH(id) ((id) & 3)

bool kclock_is_cpu(int id)
{
    return id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID || (id < 0 && CPUCLOCK_WHICH(id) != 3);
}

void tgroup_cpu_time(struct tgroup *tg, u64 *utime, u64 *stime)
{
    struct task *t;

    lock(&kernel.tasklist);
    *utime = tg->dead.utime_ns;
    *stime = tg->dead.stime_ns;
    TAILQ_FOREACH(t, &tg->tasks, tg_link)
    {
        u64 u, s;
        task_account(t, &u, &s);
        *utime += u;
        *stime += s;
    }
    unlock(&kernel.tasklist);
}

static ktime_t cpu_value(int which, u64 u, u64 s) { return which == 1 ? (ktime_t)u : (ktime_t)(u + s); }

/* Resolves the process or thread of CPU clock id. Exactly one of *t, *tg is set (counted). */
int kclock_cpu_target(int id, struct task **t, struct tgroup **tg)
{
    *t = NULL;
    *tg = NULL;
    if (id == CLOCK_THREAD_CPUTIME_ID || (id < 0 && CPUCLOCK_THREAD(id) && CPUCLOCK_PID(id) == 0)) {
        task_get(current);
        *t = current;
        return 0;
    }
    if (id == CLOCK_PROCESS_CPUTIME_ID || (id < 0 && CPUCLOCK_PID(id) == 0)) {
        tgroup_get(current->tg);
        *tg = current->tg;
        return 0;
    }
    s32 pid = CPUCLOCK_PID(id);
    if (CPUCLOCK_THREAD(id)) {
        *t = task_lookup_get(pid);
        if (*t && (*t)->tg != current->tg) {
            /* another process's thread clock cannot be read */
            task_put(*t);
            *t = NULL;
        }
        return *t ? 0 : -EINVAL;
    }
    *tg = tgroup_lookup_get(pid);
    return *tg ? 0 : -EINVAL;
}

static int cpu_gettime(int id, ktime_t *out)
{
    struct task *t;
    struct tgroup *tg;
    u64 u, s;
    int which = id < 0 ? CPUCLOCK_WHICH(id) : 2, r = kclock_cpu_target(id, &t, &tg);

    if (r) return r;
    if (t) {
        task_account(t, &u, &s);
        task_put(t);
    } else {
        tgroup_cpu_time(tg, &u, &s);
        tgroup_put(tg);
    }
    *out = cpu_value(which, u, s);
    return 0;
}

static bool host_clock(int id)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
    case CLOCK_TAI:
        return true;
    default:
        return false;
    }
}

/* The alarm clocks read like their plain sisters, which every host has. */
static clockid_t host_id(int id)
{
    return id == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : id == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : (clockid_t)id;
}

int kclock_gettime(int id, ktime_t *out)
{
    if (kclock_is_cpu(id)) return cpu_gettime(id, out);
    if (!host_clock(id)) return -EINVAL;
    *out = clock_now(host_id(id));
    return 0;
}

int kclock_getres(int id, ktime_t *out)
{
    if (kclock_is_cpu(id)) {
        struct task *t;
        struct tgroup *tg;
        int r = kclock_cpu_target(id, &t, &tg);
        if (r) return r;
        if (t) task_put(t);
        if (tg) tgroup_put(tg);
        *out = 1;
        return 0;
    }
    if (!host_clock(id)) return -EINVAL;
    *out = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE ? 4 * NSEC_PER_MSEC : 1;
    return 0;
}

int kclock_timer_base(int id, int *base)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *base = KT_REAL;
        return 0;
    case CLOCK_MONOTONIC:
        *base = KT_MONO;
        return 0;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *base = KT_BOOT;
        return 0;
    default:
        break;
    }
    if (kclock_is_cpu(id)) {
        struct task *t;
        struct tgroup *tg;
        int r = kclock_cpu_target(id, &t, &tg);
        if (r) return r;
        if (t) task_put(t);
        if (tg) tgroup_put(tg);
        *base = -1;
        return 0;
    }
    return host_clock(id) ? -EOPNOTSUPP : -EINVAL;
}

ktime_t kclock_to_mono(int id, ktime_t abs)
{
    if (id == CLOCK_MONOTONIC || abs == KTIME_NEVER) return abs;
    ktime_t diff = abs - clock_now(host_id(id));       /* both positive: no overflow */
    return ktime_add_sat(clock_mono(), diff);
}

int kclock_sleep_until(int id, ktime_t until, ktime_t *remain)
{
    int r = 0;

    for (;;) {
        ktime_t now, deadline;
        if (kclock_is_cpu(id)) {
            int err = cpu_gettime(id, &now); /* r still says how the sleep before ended */
            if (err) return err;
            /* No faster than all CPUs together, no finer than 10 ms. */
            ktime_t step = (until - now) / (ktime_t)(kernel_ncpus() ? kernel_ncpus() : 1);
            deadline = ktime_add_sat(clock_mono(), MAX(step, 10 * NSEC_PER_MSEC));
        } else {
            now = clock_now(host_id(id));
            deadline = kclock_to_mono(id == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : id, until);
        }
        if (now >= until) return 0;
        if (r == -ERESTARTSYS) {
            if (remain) *remain = until - now;
            return r;
        }
        r = task_sleep(deadline);
    }
}

int kclock_sleep(int id, bool absolute, ktime_t t, ktime_t *until, ktime_t *remain)
{
    ktime_t now;
    int base, r;

    if (id == CLOCK_THREAD_CPUTIME_ID) return -EOPNOTSUPP;   /* libc makes it EINVAL */
    r = kclock_timer_base(id, &base);
    if (r) return r;
    if (id < 0 && CPUCLOCK_THREAD(id) && (CPUCLOCK_PID(id) == 0 || CPUCLOCK_PID(id) == current->tid)) return -EINVAL;
    if ((id == CLOCK_REALTIME_ALARM || id == CLOCK_BOOTTIME_ALARM) && !capable(35 /* CAP_WAKE_ALARM */)) return -EPERM;
    /* A relative sleep does not follow changes of the wall clock. */
    if (!absolute && base == KT_REAL) id = CLOCK_MONOTONIC;
    r = kclock_gettime(id, &now);
    if (r) return r;
    *until = absolute ? t : ktime_add_sat(now, t);
    r = kclock_sleep_until(id, *until, remain);
    if (r == -ERESTARTSYS) return absolute ? -ERESTARTNOHAND : -ERESTART_RESTARTBLOCK;
    return r;
}
