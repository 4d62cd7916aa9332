/* Interval timers: setitimer(2), getitimer(2), alarm(2). Shared by the process, kept by exec, not inherited by fork. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/ptimers.h"

struct ptimers *ptimers_of_locked(struct tgroup *tg)
{
    struct ptimers *pt = tg->ptimers;

    if (pt) return pt;
    pt = xnew(struct ptimers);
    pt->tg = tg;
    LIST_INIT(&pt->timers);
    ktimer_init(&pt->real, KT_MONO, itimer_real_expired);
    ktimer_init(&pt->cpu_check, KT_MONO, cpu_check_expired);
    pt->real_expiry = KTIME_NEVER;
    pt->cpu_it[0].expiry = pt->cpu_it[1].expiry = KTIME_NEVER;
    pt->rlim_cpu_hard = RLIM_INFINITY;
    tg->ptimers = pt;
    return pt;
}

ktime_t ptimer_left(ktime_t expiry, ktime_t now)
{
    if (expiry == KTIME_NEVER) return 0;
    return expiry > now ? expiry - now : 1;
}

u64 ptimer_advance(ktime_t *expiry, ktime_t interval, ktime_t now)
{
    if (*expiry == KTIME_NEVER || *expiry > now) return 0;
    if (interval <= 0) {
        *expiry = KTIME_NEVER;
        return 1;
    }
    u64 n = (u64)(now - *expiry) / (u64)interval + 1;
    ktime_t step;
    if (mul_overflow((s64)n, interval, &step))
        *expiry = KTIME_NEVER;
    else
        *expiry = ktime_add_sat(*expiry, step);
    return n;
}

void itimer_real_expired(struct ktimer *kt)
{
    struct ptimers *pt = container_of(kt, struct ptimers, real);
    struct tgroup *tg = pt->tg;

    lock(&tg->timers_lock);
    ktime_t now = clock_mono();
    u64 n = ptimer_advance(&pt->real_expiry, pt->real_interval, now);
    /* SIGALRM does not queue: there is no use in firing faster than 1 kHz. */
    if (pt->real_expiry != KTIME_NEVER) ktimer_set(kt, MAX(pt->real_expiry, now + NSEC_PER_MSEC / 10));
    unlock(&tg->timers_lock);
    if (!n) return;
    struct ksiginfo info = { .signo = SIGALRM, .code = SI_KERNEL };
    (void)signal_send_group(tg, &info);
}

static ktime_t process_clock(struct tgroup *tg, int which)
{
    u64 u, s;
    tgroup_cpu_time(tg, &u, &s);
    return (ktime_t)(which == KITIMER_VIRTUAL ? u : u + s);
}

static void get_locked(struct ptimers *pt, int which, ktime_t now, struct kitimer *out)
{
    if (!pt) {
        *out = (struct kitimer){ 0, 0 };
    } else if (which == KITIMER_REAL) {
        out->value = ptimer_left(pt->real_expiry, now);
        out->interval = pt->real_interval;
    } else {
        struct cpu_itimer *c = &pt->cpu_it[which - KITIMER_VIRTUAL];
        out->value = ptimer_left(c->expiry, now);
        out->interval = c->interval;
    }
}

int itimer_get(int which, struct kitimer *out)
{
    struct tgroup *tg = current->tg;

    if (which < 0 || which >= KITIMER_N) return -EINVAL;
    ktime_t now = which == KITIMER_REAL ? clock_mono() : process_clock(tg, which);
    lock(&tg->timers_lock);
    get_locked(tg->ptimers, which, now, out);
    unlock(&tg->timers_lock);
    return 0;
}

int itimer_set(int which, const struct kitimer *new_, struct kitimer *old)
{
    struct tgroup *tg = current->tg;
    struct kitimer prev;

    if (which < 0 || which >= KITIMER_N) return -EINVAL;
    if (new_->value) {
        int r = ktimer_service_start();
        if (r) return r;
    }
    ktime_t now = which == KITIMER_REAL ? clock_mono() : process_clock(tg, which);
    lock(&tg->timers_lock);
    get_locked(tg->ptimers, which, now, &prev);
    if (new_->value || tg->ptimers) {
        struct ptimers *pt = ptimers_of_locked(tg);
        ktime_t expiry = new_->value ? ktime_add_sat(now, new_->value) : KTIME_NEVER;
        ktime_t interval = new_->value ? new_->interval : 0;
        if (which == KITIMER_REAL) {
            pt->real_expiry = expiry;
            pt->real_interval = interval;
            if (expiry == KTIME_NEVER)
                ktimer_cancel(&pt->real);
            else
                ktimer_set(&pt->real, expiry);
        } else {
            pt->cpu_it[which - KITIMER_VIRTUAL] = (struct cpu_itimer){ expiry, interval };
            if (expiry != KTIME_NEVER) cpu_check_arm_locked(pt);
        }
    }
    unlock(&tg->timers_lock);
    if (old) *old = prev;
    return 0;
}
