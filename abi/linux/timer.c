/* setitimer and its kin, POSIX timers, timerfd. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_time.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/timers.h"
#include <sys/timerfd.h>

static int timeval_in(const struct linux_timeval *tv, ktime_t *out)
{
    if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000) return -EINVAL;
    *out = tv->sec >= LINUX_SEC_MAX ? KTIME_NEVER - 1 : tv->sec * NSEC_PER_SEC + tv->usec * NSEC_PER_USEC;
    return 0;
}

static int itimerval_out(gaddr_t p, const struct kitimer *k)
{
    /* What is left is shown rounded up, so that an armed timer never shows as zero. */
    ktime_t v = ktime_add_sat(k->value, 999) / 1000;
    struct linux_itimerval it = {
        { k->interval / NSEC_PER_SEC, k->interval % NSEC_PER_SEC / 1000 }, { v / 1000000, v % 1000000 }
    };
    return copy_out(p, &it, sizeof it);
}

sysret_t linux_getitimer(const struct syscall_args *a)
{
    struct kitimer k;
    int r = itimer_get(ARG_INT(0), &k);
    return r ? r : itimerval_out(a->a[1], &k);
}

sysret_t linux_setitimer(const struct syscall_args *a)
{
    struct linux_itimerval it = { { 0, 0 }, { 0, 0 } };
    struct kitimer k, old;
    int r;

    if (a->a[1] && copy_in(&it, a->a[1], sizeof it)) return -EFAULT;
    r = timeval_in(&it.value, &k.value);
    if (!r) r = timeval_in(&it.interval, &k.interval);
    if (!r) r = itimer_set(ARG_INT(0), &k, &old);
    return r || !a->a[2] ? r : itimerval_out(a->a[2], &old);
}

sysret_t linux_alarm(const struct syscall_args *a)
{
    struct kitimer k = { (ktime_t)(u32)a->a[0] * NSEC_PER_SEC, 0 }, old;
    int r = itimer_set(KITIMER_REAL, &k, &old);

    if (r) return r;
    /* Rounded to the nearest second, but never to 0 when one was armed. */
    s64 sec = old.value / NSEC_PER_SEC, rest = old.value % NSEC_PER_SEC;
    return sec + (rest >= NSEC_PER_SEC / 2 || (!sec && rest));
}

static int itimerspec_in(struct kitimer *k, gaddr_t p)
{
    int r = linux_copy_in_ktime(&k->interval, p);
    if (!r) r = linux_copy_in_ktime(&k->value, p + sizeof(struct linux_timespec));
    if (!r && k->value == KTIME_NEVER) k->value--;
    return r;
}

static int itimerspec_out(gaddr_t p, const struct kitimer *k)
{
    struct linux_itimerspec it = {
        { k->interval / NSEC_PER_SEC, k->interval % NSEC_PER_SEC }, { k->value / NSEC_PER_SEC, k->value % NSEC_PER_SEC }
    };
    return copy_out(p, &it, sizeof it);
}

#define LINUX_SIGEV_SIGNAL 0
#define LINUX_SIGEV_NONE 1
#define LINUX_SIGEV_THREAD 2
#define LINUX_SIGEV_THREAD_ID 4

sysret_t linux_timer_create(const struct syscall_args *a)
{
    struct linux_sigevent ev;
    struct ptimer_spec s = { .notify = PTIMER_SIGNAL, .signo = SIGALRM, .value_is_id = true };

    if (a->a[1]) {
        if (copy_in(&ev, a->a[1], sizeof ev)) return -EFAULT;
        s = (struct ptimer_spec){ .notify = PTIMER_SIGNAL, .signo = ev.signo, .value = ev.value, .tid = ev.tid };
        switch (ev.notify) {
        case LINUX_SIGEV_SIGNAL | LINUX_SIGEV_THREAD_ID:
            s.notify = PTIMER_THREAD;
            break;
        case LINUX_SIGEV_SIGNAL:
        case LINUX_SIGEV_THREAD:
            break;
        case LINUX_SIGEV_NONE:
            s.notify = PTIMER_NONE;
            break;
        default:
            return -EINVAL;
        }
        if (s.notify != PTIMER_NONE && (s.signo < 1 || s.signo > 64)) return -EINVAL;
    }
    sysret_t id = ptimer_create(ARG_INT(0), &s);
    if (id < 0) return id;
    s32 out = (s32)id;
    if (copy_out(a->a[2], &out, sizeof out)) {
        (void)ptimer_delete(out);
        return -EFAULT;
    }
    return 0;
}

sysret_t linux_timer_settime(const struct syscall_args *a)
{
    struct kitimer k, old;
    int r;

    if (!a->a[2]) return -EINVAL;
    r = itimerspec_in(&k, a->a[2]);
    if (!r) r = ptimer_settime(ARG_INT(0), ARG_INT(1) & TIMER_ABSTIME, &k, &old);
    return r || !a->a[3] ? r : itimerspec_out(a->a[3], &old);
}

sysret_t linux_timer_gettime(const struct syscall_args *a)
{
    struct kitimer k;
    int r = ptimer_gettime(ARG_INT(0), &k);
    return r ? r : itimerspec_out(a->a[1], &k);
}

sysret_t linux_timer_getoverrun(const struct syscall_args *a) { return ptimer_getoverrun(ARG_INT(0)); }
sysret_t linux_timer_delete(const struct syscall_args *a) { return ptimer_delete(ARG_INT(0)); }

sysret_t linux_timerfd_create(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1);
    struct file *f;

    if (flags & ~(u32)(TFD_CLOEXEC | TFD_NONBLOCK)) return -EINVAL;
    int r = timerfd_create_file(ARG_INT(0), flags & TFD_NONBLOCK, &f);
    if (r) return r;
    r = fd_install(f, flags & TFD_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

/* Counted file of a timerfd. */
static int get_timerfd(int fd, struct file **out)
{
    struct file *f = fd_get(fd);

    if (!f) return -EBADF;
    if (!file_is_timerfd(f)) {
        file_put(f);
        return -EINVAL;
    }
    *out = f;
    return 0;
}

sysret_t linux_timerfd_settime(const struct syscall_args *a)
{
    struct kitimer k, old;
    struct file *f;
    u32 flags = ARG_U32(1);
    int r = itimerspec_in(&k, a->a[2]);

    if (r) return r;
    if (flags & ~(u32)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) return -EINVAL;
    r = get_timerfd(ARG_INT(0), &f);
    if (r) return r;
    r = timerfd_set(f, flags, &k, &old);
    file_put(f);
    return r || !a->a[3] ? r : itimerspec_out(a->a[3], &old);
}

sysret_t linux_timerfd_gettime(const struct syscall_args *a)
{
    struct kitimer k;
    struct file *f;
    int r = get_timerfd(ARG_INT(0), &f);

    if (r) return r;
    timerfd_get(f, &k);
    file_put(f);
    return itimerspec_out(a->a[1], &k);
}
