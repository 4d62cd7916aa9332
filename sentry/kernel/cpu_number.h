/*
 * CPU numbers that exclude each other, for restartable sequences: while a task that asked for one runs guest code, no
 * other such task of the same address space runs with the same number, and a task learns (abi->cpu_moved) when it may
 * have lost its number since it last ran. So the sentry is the scheduler of as many CPUs as the guest is shown. What
 * the host does with the thread meanwhile does not matter, so this is true on every platform that can interrupt guest code.
 *
 * A number stays with a task that has left guest code until somebody else needs it: re-entering costs one exchange of a
 * word. With more tasks than numbers, those without one wait; a holder that sleeps or has had its time is relieved.
 * Between processes that share memory the numbers do not exclude each other.
 */
#ifndef SUNDOG_KERNEL_CPU_NUMBER_H
#define SUNDOG_KERNEL_CPU_NUMBER_H

#include "sentry/kernel/task.h"

struct cpu_numbers;
struct cpu_slot {
    u32 word;                  /* (a) 0: free; tid << 2, | CPU_SLOT_IN in guest code, | CPU_SLOT_WANTED to be given up */
    struct task *holder;       /* cpu_numbers->lock */
    s32 concurrency_id;        /* cpu_numbers->lock to change; holder may read: compact number, below that of threads and CPUs */
    ktime_t since;             /* cpu_numbers->lock */
} __attribute__((aligned(64)));
#define CPU_SLOT_IN 1u
#define CPU_SLOT_WANTED 2u

/* current: from now on, until cpu_number_drop. -ENOMEM */
int cpu_number_want(struct task *t);
/* current, not in guest code, its mm still the one it asked for: before exec, exit. */
void cpu_number_drop(struct task *t);
/* Any thread: t looks again at what it is allowed, and is told that it may have moved, before it runs on. */
void cpu_number_disturb(struct task *t);
/* All tasks that use mm, disturbed; returns when each has left the guest code that it was in. */
void cpu_number_disturb_all(struct mm *mm);

/* What t holds, or held last: its CPU, its concurrency id. Own thread. */
u32 cpu_number_id(const struct task *t);
u32 cpu_number_concurrency_id(const struct task *t);

bool cpu_number_enter_slow(struct task *t);
void cpu_number_leave_slow(struct task *t);
void cpu_number_sleep_slow(struct task *t);
extern u32 cpu_number_tick;        /* (a) counts while somebody runs */
extern bool cpu_number_ticking;    /* (a) */

/* The run loop, before and after guest code. False: there is work to do first. May sleep. */
static inline bool cpu_number_enter(struct task *t)
{
    u32 mine = (u32)t->tid << 2;

    __atomic_store_n(&t->cpu_tick, __atomic_load_n(&cpu_number_tick, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    if (likely(t->cpu_slot && !atomic_load(&t->cpu_event) &&
               __atomic_compare_exchange_n(&t->cpu_slot->word, &mine, mine | CPU_SLOT_IN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
               atomic_load(&cpu_number_ticking)))
        return true;
    return cpu_number_enter_slow(t);
}

static inline void cpu_number_leave(struct task *t)
{
    u32 in = (u32)t->tid << 2 | CPU_SLOT_IN;

    if (unlikely(!__atomic_compare_exchange_n(&t->cpu_slot->word, &in, in & ~CPU_SLOT_IN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)))
        cpu_number_leave_slow(t);
}

/* Before a sleep: whoever waits for a number gets this one. */
static inline void cpu_number_sleep(struct task *t)
{
    if (unlikely(t->cpus)) cpu_number_sleep_slow(t);
}

#endif
