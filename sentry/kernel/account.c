/*
 * CPU time of tasks. Charged where a task changes between guest, sentry and sleep, with one read of the time stamp
 * counter each: the run loop must add next to nothing to a round trip.
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/account.h"
#include "sentry/kernel/internal.h"
#include "sentry/mm/mm.h"
#include <cpuid.h>

u64 account_mult;                    /* ns = ticks * mult >> 32; 0: the counter cannot be used, ticks are ns */
static u64 base_tsc;
static ktime_t base_mono;

void account_init(void)
{
    unsigned a, b, c, d = 0;

    if (__get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8))) {   /* invariant TSC */
        base_mono = clock_mono();
        base_tsc = __builtin_ia32_rdtsc();
    }
}

/* Called when the first task starts: by then some time has passed since account_init, which makes the ratio exact enough. */
static void calibrate(void)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static bool done;

    pthread_mutex_lock(&once);
    if (!done && base_tsc) {
        ktime_t now;
        do now = clock_mono(); while (now - base_mono < NSEC_PER_MSEC);
        u64 ticks = __builtin_ia32_rdtsc() - base_tsc;
        atomic_store(&account_mult, (u64)(((unsigned __int128)(u64)(now - base_mono) << 32) / (ticks ? ticks : 1)));
    }
    done = true;
    pthread_mutex_unlock(&once);
}

void account_thread_start(struct task *t)
{
    calibrate();
    atomic_store(&t->acct_stamp, account_ticks());
}

void account_sleep_begin(struct task *t)
{
    u64 stamp = t->acct_stamp;

    if (stamp) atomic_store(&t->stime_ns, t->stime_ns + account_ns(account_ticks() - stamp));
    atomic_store(&t->acct_stamp, (u64)0);
    __atomic_store_n(&t->nvcsw, t->nvcsw + 1, __ATOMIC_RELAXED);
}

void account_sleep_end(struct task *t) { atomic_store(&t->acct_stamp, account_ticks()); }

void task_account(struct task *t, u64 *utime, u64 *stime)
{
    u64 u = atomic_load(&t->utime_ns), s = atomic_load(&t->stime_ns), stamp = atomic_load(&t->acct_stamp);

    if (stamp) {
        u64 now = account_ticks(), ns = now > stamp ? account_ns(now - stamp) : 0;
        if (atomic_load(&t->in_guest)) u += ns;
        else s += ns;
    }
    *utime = u;
    *stime = s;
}

void account_fold_locked(struct task *t)
{
    struct rusage_acc *d = &t->tg->dead;
    u64 u, s;

    task_account(t, &u, &s);
    d->utime_ns += u;
    d->stime_ns += s;
    d->min_flt += t->min_flt;
    d->maj_flt += t->maj_flt;
    d->nvcsw += t->nvcsw;
    d->nivcsw += t->nivcsw;
    d->inblock += t->io_rchar / 512;
    d->oublock += t->io_wchar / 512;
    t->utime_ns = t->stime_ns = 0;
    t->min_flt = t->maj_flt = t->nvcsw = t->nivcsw = t->io_rchar = t->io_wchar = 0;
    atomic_store(&t->acct_stamp, (u64)0);
}

static void sum_locked(struct tgroup *tg, struct rusage_acc *out)
{
    struct task *t;
    u64 u, s;

    *out = tg->dead;
    TAILQ_FOREACH(t, &tg->tasks, tg_link) {
        task_account(t, &u, &s);
        out->utime_ns += u;
        out->stime_ns += s;
        out->min_flt += t->min_flt;
        out->maj_flt += t->maj_flt;
        out->nvcsw += t->nvcsw;
        out->nivcsw += t->nivcsw;
        out->inblock += t->io_rchar / 512;
        out->oublock += t->io_wchar / 512;
    }
}

void tgroup_rusage(struct tgroup *tg, struct rusage_acc *out)
{
    lock(&kernel.tasklist);
    sum_locked(tg, out);
    struct task *t = TAILQ_FIRST(&tg->tasks);
    if (t) task_get(t);
    unlock(&kernel.tasklist);
    struct mm *mm = t ? task_get_mm(t) : NULL;
    if (mm) {
        out->maxrss_kb = MAX(out->maxrss_kb, atomic_load(&mm->rss_hwm) * (GPAGE_SIZE / 1024));
        mm_put(mm);
    }
    if (t) task_put(t);
}

void tgroup_rusage_children(struct tgroup *tg, struct rusage_acc *out)
{
    lock(&kernel.tasklist);
    *out = tg->children_acc;
    unlock(&kernel.tasklist);
}
