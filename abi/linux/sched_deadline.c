/*
 * SCHED_DEADLINE: sched(7), Documentation/scheduler/sched-deadline.rst. What a program may ask for, and what of it fits
 * beside what others have, is answered as by Linux. The host knows nothing of it: such a thread runs like all others, since
 * the sentry has no right to bandwidth of the host that it could pass on.
 */
#include "abi/linux/linux.h"
#include "abi/linux/sched.h"
#include <linux/capability.h>

#define DL_FLAGS 0x7ULL                     /* RESET_ON_FORK, RECLAIM, DL_OVERRUN */
#define PERIOD_MIN (100 * NSEC_PER_USEC)    /* kernel.sched_deadline_period_min_us */
#define PERIOD_MAX ((1LL << 22) * NSEC_PER_USEC)
#define RUNTIME_MIN 1024                    /* DL_SCALE: what is less than a microsecond cannot be accounted */
#define SHARE_SHIFT 20
#define SHARE_MAX ((95ULL << SHARE_SHIFT) / 100)    /* of each CPU: kernel.sched_rt_runtime_us over sched_rt_period_us */

bool linux_sched_all_cpus(const u8 *mask)
{
    for (unsigned i = 0; i < kernel_ncpus(); i++)
        if (!(mask[i / 8] >> (i % 8) & 1)) return false;
    return true;
}

/* __checkparam_dl() */
static bool valid(const struct linux_sched_attr *at)
{
    u64 period = at->period ? at->period : at->deadline;
    if (!at->deadline || at->runtime < RUNTIME_MIN || (s64)at->deadline < 0 || (s64)at->period < 0) return false;
    if (period < at->deadline || at->deadline < at->runtime) return false;
    return period >= (u64)PERIOD_MIN && period <= (u64)PERIOD_MAX;
}

static u64 share(u64 runtime, u64 period) { return (u64)(((unsigned __int128)runtime << SHARE_SHIFT) / period); }

/* All that others were promised, in CPUs times 2^SHARE_SHIFT. */
static u64 promised_locked(const struct task *except)
{
    u64 sum = 0;
    for (const struct task *t = kernel.tasks_by_tid; t; t = t->hh.next)
        if (t != except && t->sched_policy == SCHED_DEADLINE) sum += share(t->dl.runtime, t->dl.period);
    return sum;
}

sysret_t linux_sched_set_deadline(s32 pid, const struct linux_sched_attr *at)
{
    u64 period = at->period ? at->period : at->deadline;
    struct task *t;
    int r = 0;

    if ((at->flags & FLAG_KEEP_PARAMS) == 0 && (!valid(at) || at->priority)) return -EINVAL;
    if (at->flags & ~(DL_FLAGS | FLAG_KEEP_POLICY | FLAG_KEEP_PARAMS)) return -EINVAL;
    if (!(t = linux_sched_task_get(pid))) return -ESRCH;
    if (!capable(CAP_SYS_NICE)) r = -EPERM;
    else if (!linux_sched_all_cpus(t->cpus_allowed)) r = -EPERM;   /* its promise is of the whole machine's */
    else if (!(at->flags & FLAG_KEEP_PARAMS)) {
        lock(&kernel.tasklist);
        if (promised_locked(t) + share(at->runtime, period) > SHARE_MAX * kernel_ncpus()) {
            r = -EBUSY;
        } else {
            t->dl.runtime = at->runtime;
            t->dl.deadline = at->deadline;
            t->dl.period = period;
            t->dl.flags = (u32)(at->flags & DL_FLAGS & ~FLAG_RESET_ON_FORK);
            t->sched_policy = SCHED_DEADLINE;
            t->sched_prio = 0;
            t->sched_reset = (at->flags & FLAG_RESET_ON_FORK) != 0;
        }
        unlock(&kernel.tasklist);
    }
    task_put(t);
    return r;
}

void linux_sched_get_deadline(struct task *t, struct linux_sched_attr *at)
{
    lock(&kernel.tasklist);
    at->runtime = t->dl.runtime;
    at->deadline = t->dl.deadline;
    at->period = t->dl.period;
    at->flags |= t->dl.flags;
    unlock(&kernel.tasklist);
}
