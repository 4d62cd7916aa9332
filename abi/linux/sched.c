/*
 * Scheduling. The host schedules all guest threads alike; policies, priorities and masks are kept and shown, with the
 * rules of permission and range that a program may rely on. Source: sched(7), setpriority(2), ioprio_set(2).
 */
#include "abi/linux/linux.h"
#include "abi/linux/sched.h"
#include "sentry/kernel/cpu_number.h"
#include "abi/linux/uapi_process.h"
#include "sentry/base/hostcall.h"
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

HOSTCALL(sched_yield, "the guest's sched_yield(2)");

#define RESET_ON_FORK 0x40000000

static bool policy_is_rt(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

static int clamp_nice(int n) { return n < -20 ? -20 : n > 19 ? 19 : n; }

static bool policy_known(int p)
{
    return p == SCHED_OTHER || p == SCHED_FIFO || p == SCHED_RR || p == SCHED_BATCH || p == SCHED_IDLE;
}

struct task *linux_sched_task_get(s32 pid)
{
    if (!pid) {
        task_get(current);
        return current;
    }
    return task_lookup_get(pid_in(pid));
}

static bool same_owner(struct task *t)
{
    struct cred *o = task_get_cred(t);
    bool same = current_cred()->euid == o->euid || current_cred()->euid == o->uid;

    cred_put(o);
    return same;
}

sysret_t linux_sched_yield(const struct syscall_args *a)
{
    (void)a;
    sched_yield();
    return 0;
}

/* --- policies --- */

/* The rules of __sched_setscheduler() for an unprivileged caller. */
static int may_set(struct task *t, int policy, int prio, int nice)
{
    u64 rtprio = task_rlimit(t, RLIMIT_RTPRIO);

    if (capable(CAP_SYS_NICE)) return 0;
    if (policy_is_rt(policy)) {
        if (policy != t->sched_policy && !rtprio) return -EPERM;
        if (prio > t->sched_prio && (u64)prio > rtprio) return -EPERM;
    } else if (nice < t->nice && (u64)(20 - nice) > task_rlimit(t, RLIMIT_NICE)) {
        return -EPERM;
    }
    if (t->sched_policy == SCHED_IDLE && policy != SCHED_IDLE && (u64)(20 - t->nice) > task_rlimit(t, RLIMIT_NICE))
        return -EPERM;
    return same_owner(t) ? 0 : -EPERM;
}

/* reset: SCHED_RESET_ON_FORK; taking it back needs a privilege. -1: leave it. */
static sysret_t set_policy(s32 pid, int policy, int prio, const int *nice, int reset)
{
    struct task *t;
    int r;

    if (policy == SCHED_DEADLINE) return -EINVAL;   /* needs attributes: sched_setattr(2) */
    if (!policy_known(policy)) return -EINVAL;
    if (policy_is_rt(policy) ? prio < 1 || prio > 99 : prio != 0) return -EINVAL;
    if (!(t = linux_sched_task_get(pid))) return -ESRCH;
    r = may_set(t, policy, prio, nice ? *nice : t->nice);
    if (!r && !reset && t->sched_reset && !capable(CAP_SYS_NICE)) r = -EPERM;
    if (!r) {
        if (reset >= 0) t->sched_reset = reset;
        t->sched_policy = policy;
        t->sched_prio = prio;
        if (nice && !policy_is_rt(policy)) t->nice = *nice;
    }
    task_put(t);
    return r;
}

sysret_t linux_sched_setscheduler(const struct syscall_args *a)
{
    s32 prio;

    if (ARG_INT(1) < 0 || ARG_INT(0) < 0 || !a->a[2]) return -EINVAL;
    if (copy_in(&prio, a->a[2], sizeof(prio))) return -EFAULT;
    return set_policy(ARG_INT(0), ARG_INT(1) & ~RESET_ON_FORK, prio, NULL, (ARG_INT(1) & RESET_ON_FORK) != 0);
}

sysret_t linux_sched_setparam(const struct syscall_args *a)
{
    struct task *t;
    s32 prio;
    int policy;

    if (ARG_INT(0) < 0 || !a->a[1]) return -EINVAL;
    if (copy_in(&prio, a->a[1], sizeof(prio))) return -EFAULT;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    policy = t->sched_policy;
    task_put(t);
    return set_policy(ARG_INT(0), policy, prio, NULL, -1);
}

sysret_t linux_sched_getscheduler(const struct syscall_args *a)
{
    struct task *t;
    int policy;

    if (ARG_INT(0) < 0) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    policy = t->sched_policy | (t->sched_reset ? RESET_ON_FORK : 0);
    task_put(t);
    return policy;
}

sysret_t linux_sched_getparam(const struct syscall_args *a)
{
    struct task *t;
    s32 prio;

    if (ARG_INT(0) < 0 || !a->a[1]) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    prio = policy_is_rt(t->sched_policy) ? t->sched_prio : 0;
    task_put(t);
    return copy_out(a->a[1], &prio, sizeof(prio)) ? -EFAULT : 0;
}

sysret_t linux_sched_setattr(const struct syscall_args *a)
{
    struct linux_sched_attr at = { 0 };
    struct task *t;
    u32 size, policy;
    u8 rest;

    if (ARG_INT(0) < 0 || !a->a[1] || a->a[2]) return -EINVAL;
    if (copy_in(&size, a->a[1], sizeof(size))) return -EFAULT;
    if (!size) size = LINUX_SCHED_ATTR_SIZE_VER0;
    if (size < LINUX_SCHED_ATTR_SIZE_VER0 || size > GPAGE_SIZE) goto too_big;
    if (copy_in(&at, a->a[1], MIN(size, (u32)sizeof(at)))) return -EFAULT;
    for (u32 i = sizeof(at); i < size; i++) {
        if (copy_in(&rest, a->a[1] + i, 1)) return -EFAULT;
        if (rest) goto too_big;
    }
    if (at.flags & ~0x7fULL) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    policy = at.flags & FLAG_KEEP_POLICY ? (u32)t->sched_policy : at.policy;
    if (at.flags & FLAG_KEEP_PARAMS) {
        at.nice = t->nice;
        at.priority = policy_is_rt((int)policy) ? (u32)t->sched_prio : 0;
    }
    task_put(t);
    if ((s32)policy < 0) return -EINVAL;
    if (policy == SCHED_DEADLINE) return linux_sched_set_deadline(ARG_INT(0), &at);
    at.nice = clamp_nice(at.nice);
    return set_policy(ARG_INT(0), (int)policy, (int)at.priority, &at.nice, (at.flags & FLAG_RESET_ON_FORK) != 0);
too_big:
    size = sizeof(at);
    return copy_out(a->a[1], &size, sizeof(size)) ? -EFAULT : -E2BIG;
}

sysret_t linux_sched_getattr(const struct syscall_args *a)
{
    struct linux_sched_attr at = { .size = sizeof(at), .util_max = 1024 };
    u32 size = ARG_U32(2);
    struct task *t;

    if (ARG_INT(0) < 0 || !a->a[1] || size > GPAGE_SIZE || size < LINUX_SCHED_ATTR_SIZE_VER0 || a->a[3]) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    at.policy = (u32)t->sched_policy;
    if (policy_is_rt(t->sched_policy))
        at.priority = (u32)t->sched_prio;
    else if (t->sched_policy == SCHED_DEADLINE)
        linux_sched_get_deadline(t, &at);
    else
        at.nice = t->nice;
    if (t->sched_reset) at.flags |= FLAG_RESET_ON_FORK;
    task_put(t);
    at.size = MIN(size, (u32)sizeof(at));
    return copy_out(a->a[1], &at, at.size) ? -EFAULT : 0;
}

sysret_t linux_sched_get_priority_max(const struct syscall_args *a)
{
    int p = ARG_INT(0);
    return policy_is_rt(p) ? 99 : policy_known(p) || p == SCHED_DEADLINE ? 0 : -EINVAL;
}

sysret_t linux_sched_get_priority_min(const struct syscall_args *a)
{
    int p = ARG_INT(0);
    return policy_is_rt(p) ? 1 : policy_known(p) || p == SCHED_DEADLINE ? 0 : -EINVAL;
}

sysret_t linux_sched_rr_get_interval(const struct syscall_args *a)
{
    struct timespec ts = { 0, 0 };
    struct task *t;

    if (ARG_INT(0) < 0) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    if (t->sched_policy == SCHED_RR)
        ts.tv_nsec = 100 * NSEC_PER_MSEC;
    else if (t->sched_policy != SCHED_FIFO)
        ts.tv_nsec = 4 * NSEC_PER_MSEC;
    task_put(t);
    return linux_copy_out_timespec(a->a[1], &ts);
}

/* --- affinity: bytes of the mask are enough, the guest has at most 1024 CPUs --- */

sysret_t linux_sched_setaffinity(const struct syscall_args *a)
{
    u8 mask[sizeof(current->cpus_allowed)] = { 0 };
    struct task *t;
    bool any = false;
    int r = 0;

    if (a->a[1] && copy_in(mask, a->a[2], MIN(ARG_U32(1), (u32)sizeof(mask)))) return -EFAULT;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    if (!same_owner(t) && !cred_over_task(current->cred, t, CAP_SYS_NICE)) r = -EPERM;
    /* What there is now must be among it; the rest counts once there are more. */
    for (unsigned i = 0; i < kernel_ncpus(); i++) any |= mask[i / 8] >> (i % 8) & 1;
    if (!r && !any) r = -EINVAL;
    if (!r && t->sched_policy == SCHED_DEADLINE && !linux_sched_all_cpus(mask)) r = -EBUSY;
    if (!r)
        for (unsigned i = 0; i < sizeof(mask); i++) __atomic_store_n(&t->cpus_allowed[i], mask[i], __ATOMIC_RELAXED);
    if (!r && atomic_load(&t->cpus)) cpu_number_disturb(t);
    task_put(t);
    return r;
}

sysret_t linux_sched_getaffinity(const struct syscall_args *a)
{
    u32 len = ARG_U32(1), have;
    u8 mask[sizeof(current->cpus_allowed)];
    struct task *t;

    u32 ncpus = kernel_ncpus();
    if ((u64)len * 8 < ncpus || (len & 7)) return -EINVAL;
    if (!(t = linux_sched_task_get(ARG_INT(0)))) return -ESRCH;
    task_cpus(t, mask);
    task_put(t);
    have = MIN(len, (ncpus + 63) / 64 * 8);
    return copy_out(a->a[2], mask, have) ? -EFAULT : (sysret_t)have;
}

/* The n-th CPU allowed to this thread: threads are shown spread, and a thread pinned to one CPU is shown there. */
sysret_t linux_getcpu(const struct syscall_args *a)
{
    struct task *t = current;
    u32 cpu = t->cpu_shown, node = 0;
    u8 mask[sizeof(t->cpus_allowed)];

    u32 n = task_cpus(t, mask);
    for (u32 i = 0; i < n; i++) {
        u32 c = (cpu + i) % n;
        if (mask[c / 8] >> (c % 8) & 1) {
            cpu = c;
            break;
        }
    }
    if (a->a[0] && copy_out(a->a[0], &cpu, sizeof(cpu))) return -EFAULT;
    return a->a[1] && copy_out(a->a[1], &node, sizeof(node)) ? -EFAULT : 0;
}

/* --- nice values and I/O priorities, for a process, a group or a user --- */

enum { WHO_PROCESS, WHO_PGRP, WHO_USER };

/* Calls fn for each task meant. False: none. */
static bool for_each_of(int kind, u32 who, void (*fn)(struct task *t, void *arg), void *arg)
{
    struct task *t;
    bool found = false;

    if (kind == WHO_PROCESS) {
        if (!(t = linux_sched_task_get((s32)who))) return false;
        fn(t, arg);
        task_put(t);
        return true;
    }
    s32 pgid = kind == WHO_PGRP && !who ? (s32)task_getpgid(0) : pid_in((s32)who);
    u32 uid = who ? uid_in((u32)who) : current_cred()->uid;
    struct tgroup *tg;
    for (s32 next = 1; (tg = tgroup_next_get(next)); tgroup_put(tg)) {
        next = tg->tgid + 1;
        if (kind == WHO_PGRP && tgroup_pgid(tg) != pgid) continue;
        for (s32 tid = 1; (t = tgroup_next_task_get(tg, tid)); task_put(t)) {
            struct cred *c = task_get_cred(t);
            bool match = kind == WHO_PGRP || c->uid == uid;
            cred_put(c);
            tid = t->tid + 1;
            if (!match) continue;
            found = true;
            fn(t, arg);
        }
    }
    return found;
}

struct prio_op { int nice; int err; };

static void prio_set(struct task *t, void *arg)
{
    struct prio_op *op = arg;

    if (!same_owner(t) && !cred_over_task(current->cred, t, CAP_SYS_NICE))
        op->err = -EPERM;
    else if (op->nice < t->nice && (u64)(20 - op->nice) > task_rlimit(t, RLIMIT_NICE) && !capable(CAP_SYS_NICE))
        op->err = -EACCES;
    else
        t->nice = op->nice;
}

static void prio_min(struct task *t, void *arg)
{
    int *best = arg;
    if (t->nice < *best) *best = t->nice;
}

sysret_t linux_setpriority(const struct syscall_args *a)
{
    struct prio_op op = { clamp_nice(ARG_INT(2)), 0 };

    if (a->a[0] > 2) return -EINVAL;
    return for_each_of(ARG_INT(0), ARG_U32(1), prio_set, &op) ? op.err : -ESRCH;
}

/* 20 - nice: the raw call has no negative results. */
sysret_t linux_getpriority(const struct syscall_args *a)
{
    int best = 100;

    if (a->a[0] > 2) return -EINVAL;
    return for_each_of(ARG_INT(0), ARG_U32(1), prio_min, &best) ? 20 - best : -ESRCH;
}

#define IOPRIO_CLASS(v) ((v) >> 13)
#define IOPRIO_LEVEL(v) ((v) & 7)

static void ioprio_store(struct task *t, void *arg)
{
    struct prio_op *op = arg;

    if (!same_owner(t) && !cred_over_task(current->cred, t, CAP_SYS_NICE))
        op->err = -EPERM;
    else
        t->ioprio = (u32)op->nice;
}

sysret_t linux_ioprio_set(const struct syscall_args *a)
{
    struct prio_op op = { ARG_INT(2), 0 };

    switch (IOPRIO_CLASS(ARG_U32(2))) {
    case 0:
        if (ARG_U32(2) & 0x1fff) return -EINVAL;
        break;
    case 1:
        if (!capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE)) return -EPERM;
        break;
    case 2: case 3:
        break;
    default:
        return -EINVAL;
    }
    if (ARG_INT(0) < 1 || ARG_INT(0) > 3) return -EINVAL;
    return for_each_of(ARG_INT(0) - 1, ARG_U32(1), ioprio_store, &op) ? op.err : -ESRCH;
}

/* Without one of its own a task has the level that goes with its nice value. */
static void ioprio_best(struct task *t, void *arg)
{
    u32 *best = arg, v = t->ioprio;

    if (!v) v = 2u << 13 | (u32)(t->nice + 20) / 5;
    if (!*best || v < *best) *best = v;
}

static void ioprio_own(struct task *t, void *arg) { *(u32 *)arg = t->ioprio; }

sysret_t linux_ioprio_get(const struct syscall_args *a)
{
    u32 best = 0;

    if (ARG_INT(0) < 1 || ARG_INT(0) > 3) return -EINVAL;
    /* One process: what was set; several: the best of what is in force. */
    if (!for_each_of(ARG_INT(0) - 1, ARG_U32(1), ARG_INT(0) == 1 ? ioprio_own : ioprio_best, &best)) return -ESRCH;
    return best;
}
