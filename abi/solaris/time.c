/* Clocks, sleeping, timers. Source: clock_gettime(3C), timer_create(3C), getitimer(2); sys/time_impl.h. */
#include "abi/solaris/solaris.h"

#define SEC_MAX (INT64_MAX / NSEC_PER_SEC / 2)

int sol_copy_in_ktime(ktime_t *out, gaddr_t p)
{
    struct sol_timespec ts;

    if (copy_in(&ts, p, sizeof(ts))) return -EFAULT;
    if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= NSEC_PER_SEC) return -EINVAL;
    *out = ts.sec >= SEC_MAX ? KTIME_NEVER : ts.sec * NSEC_PER_SEC + ts.nsec;
    return 0;
}

int sol_copy_out_ktime(gaddr_t p, ktime_t t)
{
    struct sol_timespec ts = { t / NSEC_PER_SEC, t % NSEC_PER_SEC };

    return copy_out(p, &ts, sizeof(ts));
}

int sol_clock_in(u32 id, int *host)
{
    switch (id) {
    case 0: case 3: *host = CLOCK_REALTIME; return 0;
    case 1: case 2: *host = CLOCK_THREAD_CPUTIME_ID; return 0;    /* VIRTUAL, THREAD_CPUTIME */
    case 4: *host = CLOCK_MONOTONIC; return 0;
    case 5: *host = CLOCK_PROCESS_CPUTIME_ID; return 0;
    default: return -EINVAL;
    }
}

sysret_t solaris_time(const struct syscall_args *a)
{
    (void)a;
    return clock_real() / NSEC_PER_SEC;
}

sysret_t solaris_gettimeofday(const struct syscall_args *a)
{
    ktime_t now = clock_real();
    struct sol_timeval tv = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 };

    return a->a[0] ? copy_out(a->a[0], &tv, sizeof(tv)) : 0;
}

sysret_t solaris_clock_gettime(const struct syscall_args *a)
{
    ktime_t t;
    int id, r = sol_clock_in(ARG_U32(0), &id);

    if (r || (r = kclock_gettime(id, &t))) return r;
    return sol_copy_out_ktime(a->a[1], t);
}

sysret_t solaris_clock_getres(const struct syscall_args *a)
{
    ktime_t t;
    int id, r = sol_clock_in(ARG_U32(0), &id);

    if (r || (r = kclock_getres(id, &t))) return r;
    return a->a[1] ? sol_copy_out_ktime(a->a[1], t) : 0;
}

sysret_t solaris_clock_settime(const struct syscall_args *a)
{
    ktime_t t;
    int id, r = sol_clock_in(ARG_U32(0), &id);

    if (r || (r = sol_copy_in_ktime(&t, a->a[1]))) return r;
    return id == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

/* restart_args: end, where the rest goes. */
static sysret_t sleep_until(struct task *t)
{
    ktime_t until = (ktime_t)t->restart_args[0], left;
    gaddr_t rem = t->restart_args[1];
    int r = 0;

    while (clock_mono() < until && !r) r = task_sleep(until);
    if (r == -ETIMEDOUT || !r) r = 0;
    left = MAX(until - clock_mono(), 0);
    if (rem && sol_copy_out_ktime(rem, r ? left : 0)) return -EFAULT;
    if (!r) return 0;
    t->restart_fn = sleep_until;
    return -ERESTART_RESTARTBLOCK;
}

sysret_t solaris_nanosleep(const struct syscall_args *a)
{
    ktime_t t;
    int r = sol_copy_in_ktime(&t, a->a[0]);

    if (r) return r;
    current->restart_args[0] = (u64)ktime_add_sat(clock_mono(), t);
    current->restart_args[1] = a->a[1];
    return sleep_until(current);
}

/* --- interval timers --- */

static int timeval_in(const struct sol_timeval *tv, ktime_t *out)
{
    if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000) return -EINVAL;
    *out = tv->sec >= SEC_MAX ? KTIME_NEVER - 1 : tv->sec * NSEC_PER_SEC + tv->usec * NSEC_PER_USEC;
    return 0;
}

static int itimerval_out(gaddr_t p, const struct kitimer *k)
{
    ktime_t v = ktime_add_sat(k->value, 999) / 1000;
    struct sol_itimerval it = { { k->interval / NSEC_PER_SEC, k->interval % NSEC_PER_SEC / 1000 }, { v / 1000000, v % 1000000 } };

    return copy_out(p, &it, sizeof(it));
}

/* 0 REAL, 1 VIRTUAL, 2 PROF as the host's; 3 REALPROF: a profiling timer in real time, which no other part asks for. */
sysret_t solaris_getitimer(const struct syscall_args *a)
{
    struct kitimer k;
    int r = itimer_get(ARG_INT(0), &k);

    return r ? r : itimerval_out(a->a[1], &k);
}

sysret_t solaris_setitimer(const struct syscall_args *a)
{
    struct sol_itimerval it;
    struct kitimer k, old;
    int r;

    if (!a->a[1]) {   /* only the old value is wanted */
        if (!a->a[2]) return 0;
        r = itimer_get(ARG_INT(0), &old);
        return r ? r : itimerval_out(a->a[2], &old);
    }
    if (copy_in(&it, a->a[1], sizeof(it))) return -EFAULT;
    if ((r = timeval_in(&it.value, &k.value)) || (r = timeval_in(&it.interval, &k.interval))) return r;
    if ((r = itimer_set(ARG_INT(0), &k, &old))) return r;
    return a->a[2] ? itimerval_out(a->a[2], &old) : 0;
}

sysret_t solaris_alarm(const struct syscall_args *a)
{
    struct kitimer k = { (ktime_t)ARG_U32(0) * NSEC_PER_SEC, 0 }, old;
    int r = itimer_set(KITIMER_REAL, &k, &old);

    return r ? r : (old.value + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
}

/* ntp_gettime(struct ntptimeval *): the time, and that nobody here knows how good it is. Source: sys/timex.h */
sysret_t solaris_ntp_gettime(const struct syscall_args *a)
{
    ktime_t now = clock_real();
    struct { struct sol_timeval time; s32 maxerror, esterror; } n = { { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 }, 16000000, 16000000 };

    return copy_out(a->a[0], &n, sizeof(n)) ? -EFAULT : 5;   /* TIME_ERROR: not synchronised */
}

/* --- POSIX timers --- */

enum { SE_NONE = 1, SE_SIGNAL, SE_THREAD, SE_PORT };

/* The port and the cookie that sigev_value points to (port_notify_t). */
static int port_notify_in(struct ptimer_spec *s, gaddr_t at)
{
    struct sol_port_notify n;

    if (copy_in(&n, at, sizeof(n))) return -EFAULT;
    s->notify = PTIMER_CALL;
    return sol_port_timer(s, n.port, n.user);
}

sysret_t solaris_timer_create(const struct syscall_args *a)
{
    struct sol_sigevent ev;
    struct ptimer_spec s = { .notify = PTIMER_SIGNAL, .signo = SIGALRM, .value_is_id = true };
    int clock, r = sol_clock_in(ARG_U32(0), &clock);

    if (r) return r;
    if (a->a[1]) {
        if (copy_in(&ev, a->a[1], sizeof(ev))) return -EFAULT;
        s = (struct ptimer_spec){ .notify = PTIMER_SIGNAL, .signo = sol_signo_in(ev.signo), .value = ev.value };
        switch (ev.notify) {
        case SE_NONE: s.notify = PTIMER_NONE; break;
        case SE_SIGNAL:
            if (!s.signo) return -EINVAL;
            break;
        case SE_PORT:
            if ((r = port_notify_in(&s, ev.value))) return r;
            break;
        case SE_THREAD: return -EOPNOTSUPP;   /* libc's: it would be a port there, too */
        default: return -EINVAL;
        }
    }
    sysret_t id = ptimer_create(clock, &s);
    if (id < 0) {
        if (s.notify == PTIMER_CALL) s.release(s.arg);
        return id;
    }
    s32 out = (s32)id;
    if (copy_out(a->a[2], &out, sizeof(out))) {
        (void)ptimer_delete(out);
        return -EFAULT;
    }
    return 0;
}

static int itimerspec_out(gaddr_t p, const struct kitimer *k)
{
    struct sol_itimerspec it = { { k->interval / NSEC_PER_SEC, k->interval % NSEC_PER_SEC }, { k->value / NSEC_PER_SEC, k->value % NSEC_PER_SEC } };

    return copy_out(p, &it, sizeof(it));
}

sysret_t solaris_timer_settime(const struct syscall_args *a)
{
    struct kitimer k, old;
    int r;

    if ((r = sol_copy_in_ktime(&k.interval, a->a[2])) || (r = sol_copy_in_ktime(&k.value, a->a[2] + 16))) return r;
    if (k.value == KTIME_NEVER) k.value--;
    if ((r = ptimer_settime(ARG_INT(0), ARG_INT(1) & 1, &k, &old))) return r;
    return a->a[3] ? itimerspec_out(a->a[3], &old) : 0;
}

sysret_t solaris_timer_gettime(const struct syscall_args *a)
{
    struct kitimer k;
    int r = ptimer_gettime(ARG_INT(0), &k);

    return r ? r : itimerspec_out(a->a[1], &k);
}

sysret_t solaris_timer_getoverrun(const struct syscall_args *a) { return ptimer_getoverrun(ARG_INT(0)); }
sysret_t solaris_timer_delete(const struct syscall_args *a) { return ptimer_delete(ARG_INT(0)); }
