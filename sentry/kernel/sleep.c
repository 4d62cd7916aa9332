/*
 * Sleeping. A task sleeps on its own futex word: 0 idle, 1 woken, 2 asleep. A wake is sticky: one that comes between the last
 * look at the object and the sleep makes the sleep return at once. Waking, and calls that wait without a stack: park.c.
 */
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/cpu_number.h"
#include "sentry/kernel/internal.h"
#include <linux/futex.h>
#include <unistd.h>

HOSTCALL(futex, "tasks sleep and wake each other");
HOSTCALL(getcpu, "who is woken may want to be where its waker is");

/* deadline: CLOCK_MONOTONIC. 0: woken or the word differed; -ETIMEDOUT; -EINTR (a host signal). */
int host_futex_wait(u32 *word, u32 val, ktime_t deadline)
{
    struct timespec ts, *tp = NULL;

    if (deadline != KTIME_NEVER) {
        if (deadline < 0) deadline = 0;
        ts.tv_sec = deadline / NSEC_PER_SEC;
        ts.tv_nsec = deadline % NSEC_PER_SEC;
        tp = &ts;
    }
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val, tp, NULL, FUTEX_BITSET_MATCH_ANY) == 0) return 0;
    return errno == ETIMEDOUT ? -ETIMEDOUT : errno == EINTR ? -EINTR : 0;
}

void host_futex_wake(u32 *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL, NULL, 0);
}

static int sleep_raw(struct task *t, ktime_t deadline)
{
    u32 idle = WAKE_IDLE;
    int r = 0;

    cpu_number_sleep(t);
    if (!__atomic_compare_exchange_n(&t->wake_word, &idle, WAKE_ASLEEP, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        atomic_xchg(&t->wake_word, WAKE_IDLE);
        return 0;
    }
    lock_assert_none_held();
    park_release();
    enum task_state state = atomic_load(&t->state);
    if (state == TASK_RUNNING) atomic_store(&t->state, TASK_SLEEPING);
    account_sleep_begin(t);
    if (kernel.pops->ctx_sleeps && t->ctx) kernel.pops->ctx_sleeps(t->ctx);
    while (atomic_load(&t->wake_word) == WAKE_ASLEEP && r != -ETIMEDOUT)
        r = host_futex_wait(&t->wake_word, WAKE_ASLEEP, deadline);
    account_sleep_end(t);
    int cpu = __atomic_exchange_n(&t->woken_on, 0, __ATOMIC_RELAXED);
    if (kernel.pops->ctx_woken && t->ctx) kernel.pops->ctx_woken(t->ctx, cpu - 1, false);
    if (state == TASK_RUNNING) atomic_store(&t->state, TASK_RUNNING);
    return atomic_xchg(&t->wake_word, WAKE_IDLE) == WAKE_WOKEN ? 0 : -ETIMEDOUT;
}

int task_sleep(ktime_t deadline)
{
    struct task *t = current;
    u32 work = atomic_load(&t->work);

    if (work & TW_ANY_INTERRUPT) return -ERESTARTSYS;
    if (work & TW_FREEZE) freeze_park();
    int r = sleep_raw(t, deadline);
    /* A sandbox that was paused while we slept: stay here rather than go on inside the call. */
    if (atomic_load(&t->work) & TW_FREEZE) freeze_park();
    return r;
}

int task_sleep_uninterruptible(ktime_t deadline)
{
    struct task *t = current;

    if (atomic_load(&t->work) & TW_FATAL) return -EINTR;
    if (atomic_load(&t->work) & TW_FREEZE) freeze_park();
    t->uninterruptible = true;
    int r = sleep_raw(t, deadline);
    t->uninterruptible = false;
    if (atomic_load(&t->work) & TW_FREEZE) freeze_park();
    return r;
}

void task_set_work(struct task *t, u32 bits)
{
    atomic_or(&t->work, bits);
    if (t == current) return;
    /* The run loop sets in_guest, then looks at work; here it is the other way round: one of the two sees the other. */
    if (__atomic_load_n(&t->in_guest, __ATOMIC_SEQ_CST)) {
        lock(&t->kick_lock);
        if (t->ctx && __atomic_load_n(&t->in_guest, __ATOMIC_SEQ_CST)) kernel.pops->ctx_kick(t->ctx);
        unlock(&t->kick_lock);
    } else if (bits & ~(u32)TW_NOTIFY) {
        task_wake(t);
    }
}
