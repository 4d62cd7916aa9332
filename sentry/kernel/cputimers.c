/*
 * Timers on CPU time: ITIMER_VIRTUAL, ITIMER_PROF, POSIX timers on CPU clocks, RLIMIT_CPU. There is no event for "has
 * used so much CPU", so while one of them is armed a check runs: never oftener than every 10 ms, and not before all
 * CPUs together could have used up what is left.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/ptimers.h"

#define CPU_CHECK_PERIOD (10 * NSEC_PER_MSEC)

void cpu_check_arm_locked(struct ptimers *pt)
{
    pt->cpu_armed = true;
    ktimer_set(&pt->cpu_check, clock_mono() + CPU_CHECK_PERIOD);
}

static void send_group(struct tgroup *tg, int signo)
{
    struct ksiginfo info = { .signo = signo, .code = SI_KERNEL };
    (void)signal_send_group(tg, &info);
}

static void note_left(ktime_t *left, ktime_t expiry, ktime_t now)
{
    if (expiry != KTIME_NEVER && expiry - now < *left) *left = expiry - now;
}

void cpu_check_expired(struct ktimer *kt)
{
    struct ptimers *pt = container_of(kt, struct ptimers, cpu_check);
    struct tgroup *tg = pt->tg;
    static const int signo[2] = { SIGVTALRM, SIGPROF };
    bool fire[2], xcpu = false, kill = false;
    ktime_t left = KTIME_NEVER;
    struct cpu_now c;

    tgroup_cpu_time(tg, &c.u, &c.s);
    const ktime_t now[2] = { (ktime_t)c.u, (ktime_t)(c.u + c.s) };
    lock(&tg->timers_lock);
    for (int i = 0; i < 2; i++) {
        fire[i] = ptimer_advance(&pt->cpu_it[i].expiry, pt->cpu_it[i].interval, now[i]) > 0;
        note_left(&left, pt->cpu_it[i].expiry, now[i]);
    }
    u64 sec = (c.u + c.s) / NSEC_PER_SEC;
    if (pt->rlim_cpu_hard != RLIM_INFINITY) {
        kill = sec >= pt->rlim_cpu_hard;
        note_left(&left, ktime_add_sat(0, (ktime_t)MIN(pt->rlim_cpu_hard, 9000000000ULL) * NSEC_PER_SEC), now[1]);
    }
    if (pt->rlim_cpu_next) {
        xcpu = sec >= pt->rlim_cpu_next;
        if (xcpu) pt->rlim_cpu_next = sec + 1;
        note_left(&left, (ktime_t)MIN(pt->rlim_cpu_next, 9000000000ULL) * NSEC_PER_SEC, now[1]);
    }
    struct ptimer *p;
again:
    LIST_FOREACH(p, &pt->timers, link)
    {
        if (p->base >= 0 || p->expiry == KTIME_NEVER || p->spec.notify == PTIMER_NONE) continue;
        ktime_t t = ptimer_now(p, &c);
        if (p->expiry <= t) {
            /* The lock was dropped: look from the start again; what fired has moved on. */
            ptimer_expire(p, t);
            goto again;
        }
        note_left(&left, p->expiry, t);
    }
    pt->cpu_armed = left != KTIME_NEVER;
    if (pt->cpu_armed) {
        ktime_t step = left / (ktime_t)(kernel_ncpus() ? kernel_ncpus() : 1);
        ktimer_set(kt, ktime_add_sat(clock_mono(), MAX(step, CPU_CHECK_PERIOD)));
    }
    unlock(&tg->timers_lock);
    for (int i = 0; i < 2; i++)
        if (fire[i]) send_group(tg, signo[i]);
    if (kill)
        send_group(tg, SIGKILL);
    else if (xcpu)
        send_group(tg, SIGXCPU);
}

void ptimers_rlimit_cpu(struct tgroup *tg)
{
    lock(&tg->rlim_lock);
    struct rlimit rl = tg->rlim[RLIMIT_CPU];
    unlock(&tg->rlim_lock);
    bool any = rl.rlim_cur != RLIM_INFINITY || rl.rlim_max != RLIM_INFINITY;
    if (any && ktimer_service_start() < 0) return;
    lock(&tg->timers_lock);
    if (any || tg->ptimers) {
        struct ptimers *pt = ptimers_of_locked(tg);
        /* A limit of 0 means 1 second, as in Linux. */
        pt->rlim_cpu_next = rl.rlim_cur == RLIM_INFINITY ? 0 : rl.rlim_cur ? rl.rlim_cur : 1;
        pt->rlim_cpu_hard = rl.rlim_max == RLIM_INFINITY ? RLIM_INFINITY : rl.rlim_max ? rl.rlim_max : 1;
        if (any) cpu_check_arm_locked(pt);
    }
    unlock(&tg->timers_lock);
}
