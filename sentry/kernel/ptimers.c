/*
 * POSIX timers. A timer has at most one signal under way; expirations meanwhile only count (overrun). While its signal
 * waits in a queue an interval timer is looked at rarely; the dequeue hook puts it back on its exact time line, so a
 * blocked signal and a tiny interval cost nothing.
 * Source: timer_create(2), timer_settime(2), timer_getoverrun(2).
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/ptimers.h"

#define PENDING_RECHECK (10 * NSEC_PER_MSEC)
#define PTIMER_SLACK (50 * NSEC_PER_USEC)     /* no faster than this, whatever interval the guest asks */

ktime_t ptimer_now(const struct ptimer *p, const struct cpu_now *proc)
{
    struct cpu_now c = *proc;

    if (p->base >= 0) return ktimer_now((enum ktimer_base)p->base);
    if (p->cpu_task) task_account(p->cpu_task, &c.u, &c.s);
    return (ktime_t)(p->clock < 0 && (p->clock & 3) == 1 ? c.u : c.u + c.s);
}

static struct ptimer *find_locked(struct tgroup *tg, s32 id)
{
    struct ptimer *p;

    if (!tg->ptimers) return NULL;
    LIST_FOREACH(p, &tg->ptimers->timers, link)
        if (p->id == id) return p;
    return NULL;
}

static void rearm_locked(struct ptimer *p, ktime_t not_before)
{
    if (p->expiry == KTIME_NEVER)
        return;
    if (p->base >= 0)
        ktimer_set(&p->kt, MAX(p->expiry, not_before));
    else
        cpu_check_arm_locked(p->tg->ptimers);
}

static void ptimer_put(struct ptimer *p)
{
    if (!ref_put(&p->refs)) return;
    if (p->spec.notify == PTIMER_CALL) p->spec.release(p->spec.arg);
    else if (p->spec.notify != PTIMER_NONE) signal_cancel_timer(&p->sq, p->tg);
    if (p->cpu_task) task_put(p->cpu_task);
    free(p);
}

void ptimer_expire(struct ptimer *p, ktime_t now)
{
    struct tgroup *tg = p->tg;
    u64 n = ptimer_advance(&p->expiry, p->interval, now);

    if (!n) return;
    if (atomic_load(&p->sq.queued)) {
        p->overrun += (s64)MIN(n, (u64)INT32_MAX);
        p->overrun = MIN(p->overrun, (s64)INT32_MAX);
        if (p->base >= 0) rearm_locked(p, now + PENDING_RECHECK);
        return;
    }
    p->overrun = (s64)MIN(n - 1, (u64)INT32_MAX);
    p->sq.info.overrun = (s32)p->overrun;
    if (p->base >= 0) rearm_locked(p, now + PTIMER_SLACK);
    ref_get(&p->refs);
    unlock(&tg->timers_lock);
    if (p->spec.notify == PTIMER_CALL) {
        p->spec.call(p->spec.arg, p->id, n);
    } else if (p->spec.notify == PTIMER_THREAD) {
        /* A target thread that is gone hears nothing. */
        struct task *t = task_lookup_get(p->spec.tid);
        if (t && t->tg == tg) (void)signal_send_timer(&p->sq, tg, t);
        if (t) task_put(t);
    } else {
        (void)signal_send_timer(&p->sq, tg, NULL);
    }
    ptimer_put(p);
    lock(&tg->timers_lock);
}

static void ptimer_fired(struct ktimer *kt)
{
    struct ptimer *p = container_of(kt, struct ptimer, kt);
    struct tgroup *tg = p->tg;

    /* p lives as long as this callback runs: deleting waits for it. */
    lock(&tg->timers_lock);
    ptimer_expire(p, ktimer_now((enum ktimer_base)p->base));
    unlock(&tg->timers_lock);
}

void ptimer_signal_taken(struct ptimer *p, struct ksiginfo *info)
{
    lock(&p->tg->timers_lock);
    if (p->base >= 0) {
        ktime_t now = ktimer_now((enum ktimer_base)p->base);
        if (p->expiry <= now) {
            if (p->interval > 0) {
                p->overrun += (s64)MIN(ptimer_advance(&p->expiry, p->interval, now), (u64)INT32_MAX);
                rearm_locked(p, 0);
            }
        } else if (p->interval > 0) {
            rearm_locked(p, 0);
        }
    }
    p->overrun_last = (int)MIN(p->overrun, (s64)INT32_MAX);
    p->overrun = 0;
    info->overrun = p->overrun_last;
    unlock(&p->tg->timers_lock);
}

sysret_t ptimer_create(int clock, const struct ptimer_spec *s)
{
    struct tgroup *tg = current->tg, *cpu_tg = NULL;
    struct task *cpu_task = NULL;
    int base, r = kclock_timer_base(clock, &base);

    if (r) return r;
    if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) && !capable(35 /* CAP_WAKE_ALARM */)) return -EPERM;
    if (s->notify != PTIMER_NONE && s->notify != PTIMER_CALL && (s->signo < 1 || s->signo > KSIG_MAX)) return -EINVAL;
    if (s->notify == PTIMER_THREAD) {
        struct task *t = task_lookup_get(s->tid);
        bool ours = t && t->tg == tg;
        if (t) task_put(t);
        if (!ours) return -EINVAL;
    }
    r = ktimer_service_start();
    if (r) return -EAGAIN;
    if (base < 0) {
        r = kclock_cpu_target(clock, &cpu_task, &cpu_tg);
        if (r) return r;
        /* A timer on another process's CPU time is not offered. */
        bool foreign = cpu_tg && cpu_tg != tg;
        if (cpu_tg) tgroup_put(cpu_tg);
        if (foreign) return -EINVAL;
    }

    u64 max = current_rlimit(RLIMIT_SIGPENDING);
    lock(&tg->timers_lock);
    struct ptimers *pt = ptimers_of_locked(tg);
    if (pt->n >= max || pt->n >= INT32_MAX / 2) {
        unlock(&tg->timers_lock);
        if (cpu_task) task_put(cpu_task);
        return -EAGAIN;
    }
    struct ptimer *p = xnew(struct ptimer);
    while (find_locked(tg, pt->next_id)) pt->next_id = pt->next_id == INT32_MAX ? 0 : pt->next_id + 1;
    s32 id = p->id = pt->next_id;
    pt->next_id = pt->next_id == INT32_MAX ? 0 : pt->next_id + 1;
    ref_init(&p->refs);
    p->tg = tg;
    p->clock = clock;
    p->base = base;
    p->spec = *s;
    if (s->value_is_id) p->spec.value = (u64)id;
    p->expiry = KTIME_NEVER;
    p->cpu_task = cpu_task;
    p->sq.timer = p;
    p->sq.info = (struct ksiginfo){ .signo = s->signo, .code = SI_TIMER, .timer_id = id, .value = p->spec.value };
    if (base >= 0) ktimer_init(&p->kt, (enum ktimer_base)base, ptimer_fired);
    LIST_INSERT_HEAD(&pt->timers, p, link);
    pt->n++;
    unlock(&tg->timers_lock);
    return id;
}

static ktime_t tai_offset(void)
{
    ktime_t d = clock_now(CLOCK_TAI) - clock_real();
    return (d + NSEC_PER_SEC / 2) / NSEC_PER_SEC * NSEC_PER_SEC;
}

static void get_locked(struct ptimer *p, const struct cpu_now *c, struct kitimer *out)
{
    ktime_t now = ptimer_now(p, c), expiry = p->expiry;

    out->interval = p->interval;
    if (expiry != KTIME_NEVER && expiry <= now && (p->spec.notify == PTIMER_NONE || p->interval > 0))
        (void)ptimer_advance(&expiry, p->interval, now);
    if (expiry == KTIME_NEVER)
        out->value = 0;
    else
        out->value = ptimer_left(expiry, now);
}

int ptimer_settime(s32 id, bool absolute, const struct kitimer *new_, struct kitimer *old)
{
    struct tgroup *tg = current->tg;
    struct kitimer prev;
    struct cpu_now c;

    tgroup_cpu_time(tg, &c.u, &c.s);
    lock(&tg->timers_lock);
    struct ptimer *p = find_locked(tg, id);
    if (!p) {
        unlock(&tg->timers_lock);
        return -EINVAL;
    }
    get_locked(p, &c, &prev);
    if (p->base >= 0) ktimer_cancel(&p->kt);
    p->overrun = 0;
    p->overrun_last = 0;
    if (!new_->value) {
        p->expiry = KTIME_NEVER;
        p->interval = 0;
    } else {
        ktime_t now = ptimer_now(p, &c);
        p->expiry = absolute ? new_->value : ktime_add_sat(now, new_->value);
        if (absolute && p->clock == CLOCK_TAI) p->expiry -= tai_offset();
        if (p->expiry < 0) p->expiry = 0;
        p->interval = new_->interval;
        if (p->spec.notify != PTIMER_NONE) rearm_locked(p, 0);
    }
    unlock(&tg->timers_lock);
    if (old) *old = prev;
    return 0;
}

int ptimer_gettime(s32 id, struct kitimer *out)
{
    struct tgroup *tg = current->tg;
    struct cpu_now c;

    tgroup_cpu_time(tg, &c.u, &c.s);
    lock(&tg->timers_lock);
    struct ptimer *p = find_locked(tg, id);
    if (p) get_locked(p, &c, out);
    unlock(&tg->timers_lock);
    return p ? 0 : -EINVAL;
}

sysret_t ptimer_getoverrun(s32 id)
{
    struct tgroup *tg = current->tg;

    lock(&tg->timers_lock);
    struct ptimer *p = find_locked(tg, id);
    sysret_t r = p ? p->overrun_last : -EINVAL;
    unlock(&tg->timers_lock);
    return r;
}

/* p is off the list. */
static void ptimer_retire(struct ptimer *p)
{
    if (p->base >= 0) ktimer_cancel_sync(&p->kt);
    ptimer_put(p);
}

int ptimer_delete(s32 id)
{
    struct tgroup *tg = current->tg;

    lock(&tg->timers_lock);
    struct ptimer *p = find_locked(tg, id);
    if (p) {
        LIST_REMOVE(p, link);
        tg->ptimers->n--;
    }
    unlock(&tg->timers_lock);
    if (!p) return -EINVAL;
    ptimer_retire(p);
    return 0;
}

void ptimers_exec(struct tgroup *tg)
{
    struct ptimer *p;

    for (;;) {
        lock(&tg->timers_lock);
        p = tg->ptimers ? LIST_FIRST(&tg->ptimers->timers) : NULL;
        if (p) {
            LIST_REMOVE(p, link);
            tg->ptimers->n--;
        }
        unlock(&tg->timers_lock);
        if (!p) return;
        ptimer_retire(p);
    }
}

void ptimers_exit(struct tgroup *tg)
{
    ptimers_exec(tg);
    lock(&tg->timers_lock);
    struct ptimers *pt = tg->ptimers;
    if (pt) pt->cpu_it[0].expiry = pt->cpu_it[1].expiry = pt->real_expiry = KTIME_NEVER;
    unlock(&tg->timers_lock);
    if (!pt) return;
    /* The callbacks find tg->ptimers through themselves: gone only after both have ended. */
    ktimer_cancel_sync(&pt->real);
    ktimer_cancel_sync(&pt->cpu_check);
    lock(&tg->timers_lock);
    tg->ptimers = NULL;
    unlock(&tg->timers_lock);
    free(pt);
}

void ptimers_fork(struct tgroup *parent UNUSED, struct tgroup *child) { ptimers_rlimit_cpu(child); }
