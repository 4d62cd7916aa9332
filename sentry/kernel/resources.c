#include "sentry/kernel/resources.h"
#include "sentry/fs/proc/synth.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/memfile.h"

#include <linux/magic.h>
#include <sys/sysinfo.h>

u64 resources_memory_shown(u64 limit)
{
    struct sysinfo si;
    u64 host = sysinfo(&si) ? 4ULL << 30 : (u64)si.totalram * si.mem_unit;
    return limit ? MIN(limit, host) : host;
}

static bool counted_together;   /* (c) */

/*
 * What of a cgroup's limit the guest can have: the rest is for sentry, gofer, stubs and their page tables (5 MB of a sandbox
 * that sleeps on trap, 12 on kvm, 0.2 to 0.5 a process). So the guest runs short first, and loses a process; if the cgroup
 * did, the host would kill the sentry and with it the container.
 */
static u64 guest_share(u64 limit)
{
    u64 ours = (16ULL << 20) + limit / 16;
    return limit - MIN(ours, limit / 2);
}

/*
 * With the first process the container ends in any case: it may go on up to the cgroup's limit, so that it is the host that
 * ends it. Engines tell by the cgroup's events that it was for want of memory.
 */
static bool first_process(void) { return current && current->tg && current->tg->tgid == 1; }

void resources_start(u64 memory, u32 pids, bool in_cgroup)
{
    counted_together = in_cgroup;
    if (in_cgroup) memfile_may_exceed = first_process;
    resources_set_memory(memory);
    resources_set_pids(pids);
}

void resources_set_memory(u64 limit)
{
    memfile_set_limit(counted_together ? guest_share(limit) : limit);
    __atomic_store_n(&kernel.mem_limit, resources_memory_shown(limit), __ATOMIC_RELAXED);
}

void resources_set_pids(u32 n) { __atomic_store_n(&kernel.pids_limit, n ? n : UINT32_MAX, __ATOMIC_RELAXED); }

void resources_set_cpus(u32 n)
{
    n = MIN(n, (u32)CPUS_MAX);
    __atomic_store_n(&kernel.ncpus, n ? n : 1u, __ATOMIC_RELAXED);
}

u32 task_cpus(struct task *t, u8 mask[CPUS_MAX / 8])
{
    u32 n = kernel_ncpus();
    bool any = false;

    for (u32 i = 0; i < CPUS_MAX / 8; i++) {
        u8 there = i < n / 8 ? 0xff : i == n / 8 ? (u8)((1u << n % 8) - 1) : 0;
        mask[i] = __atomic_load_n(&t->cpus_allowed[i], __ATOMIC_RELAXED) & there;
        any |= mask[i] != 0;
    }
    /* None of those asked for is left: all that there are, as after a change of a cpuset. sched_setaffinity(2) */
    for (u32 i = 0; i < n && !any; i++) mask[i / 8] |= (u8)(1u << i % 8);
    return n;
}

/* --- files --- */

static int show_pids_max(struct synth_node *n UNUSED, struct strbuf *b)
{
    u32 max = kernel_pids_limit();
    if (max == UINT32_MAX) strbuf_printf(b, "max\n");
    else strbuf_printf(b, "%u\n", max);
    return 0;
}

static int show_pids_current(struct synth_node *n UNUSED, struct strbuf *b)
{
    lock(&kernel.tasklist);
    unsigned now = kernel.nr_tasks;
    unlock(&kernel.tasklist);
    strbuf_printf(b, "%u\n", now);
    return 0;
}

int resources_pids_file_new(bool max, struct super **out)
{
    static const struct synth_entry files[2] = { SYNTH_FILE("pids.current", show_pids_current), SYNTH_FILE("pids.max", show_pids_max) };
    static const struct super_ops ops = { .name = "cgroup", .statfs = synth_statfs };
    return synth_new(&files[max], &ops, CGROUP_SUPER_MAGIC, NULL, out);
}
