/* timerfd(2): a kernel timer behind a descriptor. Source: timerfd_create(2). */
#include "sentry/fs/anon/anon.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include <sys/timerfd.h>

struct timerfd {
    lock_t lock;                   /* LC_PIPE; guards: */
    ktime_t expiry, interval;      /* next expiration; KTIME_NEVER: disarmed or a one-shot that is over */
    u64 ticks;                     /* expirations not yet read */
    bool abstime;
    bool cancel_on_set, watched, cancelled;
    int clock;                     /* (c) */
    struct ktimer kt;
    struct clock_set_watch watch;
    struct waitq wq;
};

/* Counts what has expired up to now. */
static void advance_locked(struct timerfd *t)
{
    ktime_t now = ktimer_now(t->kt.base);

    if (t->expiry == KTIME_NEVER || t->expiry > now) return;
    if (t->interval <= 0) {
        t->ticks++;
        t->expiry = KTIME_NEVER;
        return;
    }
    u64 n = (u64)(now - t->expiry) / (u64)t->interval + 1;
    ktime_t step;
    t->ticks += n;
    t->expiry = mul_overflow((s64)n, t->interval, &step) ? KTIME_NEVER : ktime_add_sat(t->expiry, step);
}

/* Fires once; an interval timer is set again only when its ticks are read, so an unread one costs nothing. */
static void timerfd_fired(struct ktimer *kt)
{
    struct timerfd *t = container_of(kt, struct timerfd, kt);

    lock(&t->lock);
    advance_locked(t);
    bool ready = t->ticks > 0;
    if (!ready && t->expiry != KTIME_NEVER) ktimer_set(&t->kt, t->expiry);
    unlock(&t->lock);
    if (ready) waitq_wake(&t->wq, POLLIN | POLLRDNORM);
}

static void timerfd_clock_set(struct clock_set_watch *w)
{
    struct timerfd *t = container_of(w, struct timerfd, watch);

    lock(&t->lock);
    bool hit = t->cancel_on_set;
    if (hit) t->cancelled = true;
    unlock(&t->lock);
    if (hit) waitq_wake(&t->wq, POLLIN | POLLRDNORM);
}

static ssize_t timerfd_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct timerfd *t = f->priv;
    struct waiter w;
    u64 n = 0;
    int r = 0;

    if (u->resid < sizeof n) return -EINVAL;
    waiter_init_current(&w, POLLIN);
    for (bool hung = false;; hung = true) {
        lock(&t->lock);
        if (t->cancelled) {
            t->cancelled = false;
            t->ticks = 0;
            unlock(&t->lock);
            r = -ECANCELED;
            break;
        }
        advance_locked(t);
        if (t->ticks) {
            n = t->ticks;
            t->ticks = 0;
            if (t->expiry != KTIME_NEVER) ktimer_set(&t->kt, t->expiry);
            unlock(&t->lock);
            r = 0;
            break;
        }
        unlock(&t->lock);
        if (file_nonblock(f, flags)) r = -EAGAIN;
        if (r) break;
        if (!hung)
            waitq_add(&t->wq, &w);
        else
            r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    return r ? r : uio_copy_out(u, &n, sizeof n);
}

static u32 timerfd_poll(struct file *f, struct waiter *w)
{
    struct timerfd *t = f->priv;

    if (w) waitq_add(&t->wq, w);
    lock(&t->lock);
    advance_locked(t);
    bool ready = t->ticks || t->cancelled;
    unlock(&t->lock);
    return ready ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->priv;

    if (t->watched) clock_set_watch_del(&t->watch);
    lock(&t->lock);
    t->expiry = KTIME_NEVER;
    unlock(&t->lock);
    ktimer_cancel_sync(&t->kt);
    waitq_fini(&t->wq);
    lock_fini(&t->lock);
    free(t);
}

static void timerfd_fdinfo(struct file *f, struct strbuf *out)
{
    struct timerfd *t = f->priv;
    struct kitimer it;

    timerfd_get(f, &it);
    lock(&t->lock);
    u64 ticks = t->ticks;
    unlock(&t->lock);
    strbuf_printf(out, "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%lld, %lld)\nit_interval: (%lld, %lld)\n",
                  t->clock, (unsigned long long)ticks, t->abstime ? TFD_TIMER_ABSTIME : 0, (long long)(it.value / NSEC_PER_SEC),
                  (long long)(it.value % NSEC_PER_SEC), (long long)(it.interval / NSEC_PER_SEC),
                  (long long)(it.interval % NSEC_PER_SEC));
}

static const struct file_ops timerfd_ops = {
    .name = "anon_inode:[timerfd]", .read = timerfd_read, .poll = timerfd_poll, .release = timerfd_release,
    .show_fdinfo = timerfd_fdinfo,
};

bool file_is_timerfd(const struct file *f) { return f->ops == &timerfd_ops; }

static void get_locked(struct timerfd *t, struct kitimer *out)
{
    advance_locked(t);
    ktime_t now = ktimer_now(t->kt.base);
    out->value = t->expiry == KTIME_NEVER ? 0 : MAX(t->expiry - now, (ktime_t)1);
    out->interval = t->interval;
}

void timerfd_get(struct file *f, struct kitimer *out)
{
    struct timerfd *t = f->priv;

    lock(&t->lock);
    get_locked(t, out);
    unlock(&t->lock);
}

int timerfd_set(struct file *f, u32 flags, const struct kitimer *new_, struct kitimer *old)
{
    struct timerfd *t = f->priv;
    bool watch = (flags & TFD_TIMER_CANCEL_ON_SET) && (flags & TFD_TIMER_ABSTIME) && t->kt.base == KT_REAL, add;

    lock(&t->lock);
    get_locked(t, old);
    ktimer_cancel(&t->kt);
    t->ticks = 0;
    t->abstime = flags & TFD_TIMER_ABSTIME;
    t->interval = new_->interval;
    t->cancel_on_set = watch;
    add = watch && !t->watched;
    if (add) t->watched = true;
    bool cancelled = t->cancelled;
    t->cancelled = false;
    if (!new_->value) {
        t->expiry = KTIME_NEVER;
    } else {
        t->expiry = t->abstime ? new_->value : ktime_add_sat(ktimer_now(t->kt.base), new_->value);
        ktimer_set(&t->kt, t->expiry);
    }
    unlock(&t->lock);
    if (add) clock_set_watch_add(&t->watch);
    return cancelled && watch ? -ECANCELED : 0;
}

int timerfd_create_file(int clockid, u32 flags, struct file **out)
{
    int base, r;

    if (clockid != CLOCK_MONOTONIC && clockid != CLOCK_REALTIME && clockid != CLOCK_REALTIME_ALARM &&
        clockid != CLOCK_BOOTTIME && clockid != CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    if ((clockid == CLOCK_REALTIME_ALARM || clockid == CLOCK_BOOTTIME_ALARM) && !capable(35 /* CAP_WAKE_ALARM */)) return -EPERM;
    r = kclock_timer_base(clockid, &base);
    if (r) return r;
    r = ktimer_service_start();
    if (r) return r;
    struct timerfd *t = xnew(struct timerfd);
    lock_init(&t->lock, LC_PIPE);
    waitq_init(&t->wq);
    t->clock = clockid;
    t->expiry = KTIME_NEVER;
    t->watch.fn = timerfd_clock_set;
    ktimer_init(&t->kt, (enum ktimer_base)base, timerfd_fired);
    *out = file_new_anon(&timerfd_ops, O_RDWR | (flags & TFD_NONBLOCK), t);
    return 0;
}
