/* Pausing the whole sandbox: every task parks before it enters guest code again, or where it sleeps. */
#include "sentry/base/clock.h"
#include "sentry/kernel/internal.h"

bool kernel_frozen;

void freeze_park(void)
{
    struct task *t = current;

    park_release();
    /* SIGKILL reaches a paused task too, as with the cgroup v2 freezer. */
    atomic_store(&t->frozen, true);
    account_sleep_begin(t);
    while ((atomic_load(&t->work) & (TW_FREEZE | TW_FATAL)) == TW_FREEZE) {
        u32 word = atomic_load(&t->wake_word);
        /* Any change of the word counts; work is set before it. Wakes for the sleep around us become spurious ones. */
        if (word == 1) atomic_xchg(&t->wake_word, 0);
        else {
            u32 idle = 0;
            if (__atomic_compare_exchange_n(&t->wake_word, &idle, 2, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) || idle == 2)
                host_futex_wait(&t->wake_word, 2, KTIME_NEVER);
        }
    }
    account_sleep_end(t);
    /* Whoever slept around us must look again. */
    atomic_store(&t->wake_word, 1u);
    atomic_store(&t->frozen, false);
}

void kernel_freeze(void)
{
    struct task *t, *next;
    u32 pause = 0;
    bool busy;

    lock(&kernel.tasklist);
    kernel_frozen = true;
    HASH_ITER(hh, kernel.tasks_by_tid, t, next)
        if (t != current && t->state != TASK_ZOMBIE) task_set_work(t, TW_FREEZE);
    unlock(&kernel.tasklist);
    do {
        busy = false;
        lock(&kernel.tasklist);
        HASH_ITER(hh, kernel.tasks_by_tid, t, next)
            if (t != current && atomic_load(&t->in_guest)) busy = true;
        unlock(&kernel.tasklist);
        if (busy) host_futex_wait(&pause, 0, clock_mono() + 200 * NSEC_PER_USEC);
    } while (busy);
}

void kernel_thaw(void)
{
    struct task *t, *next;

    lock(&kernel.tasklist);
    kernel_frozen = false;
    HASH_ITER(hh, kernel.tasks_by_tid, t, next) {
        atomic_and(&t->work, ~(u32)TW_FREEZE);
        task_wake(t);
    }
    unlock(&kernel.tasklist);
}
