/*
 * Blocking without a change of host threads. Two tasks that wake each other in turn would cost four changes of threads a turn:
 * waker's stub, waker's sentry thread, sleeper's sentry thread, sleeper's stub. But a call that has to wait can give up its stack
 * and say how it goes on (task_park), and then any host thread can go on with it. So a thread whose task is about to
 * wait takes over the task that this one has just woken, and leaves its own to the thread that slept with the other. Each
 * host thread still carries one task at a time, and sleeps when that does.
 *
 * To be there to be taken, the woken task must not have been started by its own thread: the waker keeps it back
 * (WAKE_KEPT) until it waits itself, makes another call or two, or stays in the guest for longer than the platform looks for
 * it (platform_config.before_sleep). Both sides need a history of waking and waiting in turn (score), and the platform must
 * be in a state where the time is bounded (ctx_keeps).
 */
#include "sentry/base/hostcall.h"
#include "sentry/kernel/account.h"
#include "sentry/kernel/cpu_number.h"
#include "sentry/kernel/internal.h"
#include <sched.h>

HOSTCALL(futex, "parked tasks");

#define SCORE_MAX 8u
#define SCORE_ENOUGH 4
/* The first of so many calls to come that does not wait is the proof that the waker does not either. */
#define CALLS_BETWEEN 3
/* Wakes in a row, with no other call between them, that found nobody. */
#define MISSES 8

/* Guards every task's carrier and carrier's task, and wake words to and from WAKE_PARKED and WAKE_KEPT. */
static lock_t parking = LOCK_INIT(LC_PARK);

static _Thread_local struct task *kept; /* counted: woken by this thread, which has not told its carrier yet */

/* Parked and not woken yet: no longer. False: it was not parked. */
static bool wake_parked(struct task *t, bool keep)
{
    u32 *word = NULL;

    lock(&parking);
    bool parked = t->wake_word == WAKE_PARKED;
    if (parked && keep) {
        atomic_store(&t->wake_word, WAKE_KEPT);
    } else if (parked) {
        atomic_store(&t->wake_word, WAKE_WOKEN);
        word = &t->carrier->word;
        atomic_store(word, 1u);
    }
    unlock(&parking);
    if (!parked) return false;
    if (keep) {
        task_get(t);
        kept = t;
    } else {
        host_futex_wake(word); /* only an address by now */
    }
    return true;
}

static bool may_keep(const struct task *me)
{
    return me && me->park.lazy && !kept && me->park.score >= SCORE_ENOUGH && kernel.pops->ctx_keeps && kernel.pops->ctx_keeps(me->ctx);
}

void task_wakes_lazily(bool on)
{
    current->park.lazy = on;
    if (on) current->park.woke = CALLS_BETWEEN; /* also when nobody waits: perhaps the other one was quick */
}

void task_woke_nobody(void)
{
    struct task *t = current;

    t->park.score = (u8)MIN(t->park.score + 1u, SCORE_MAX);
    if (++t->park.missed < MISSES) return;
    t->park.missed = 0;
    if (kernel.pops->ctx_missed) kernel.pops->ctx_missed(t->ctx);
}

void task_wake(struct task *t)
{
    struct task *me = current;

    for (;;) {
        u32 w = atomic_load(&t->wake_word);
        /* KEPT: whoever keeps it brings it soon. */
        if (w == WAKE_KEPT) {
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            if (atomic_load(&t->wake_word) == WAKE_KEPT) return;
            continue;
        }
        /* Before the wake: afterwards t may be gone. */
        if (me && w >= WAKE_ASLEEP) __atomic_store_n(&t->woken_on, sched_getcpu() + 1, __ATOMIC_RELAXED);
        if (w == WAKE_PARKED) {
            if (wake_parked(t, may_keep(me))) return;
            continue;
        }
        if (!__atomic_compare_exchange_n(&t->wake_word, &w, WAKE_WOKEN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
        if (w == WAKE_ASLEEP) host_futex_wake(&t->wake_word);
        return;
    }
}

void park_release(void)
{
    struct task *t = kept;
    u32 *word = NULL;

    if (likely(!t)) return;
    kept = NULL;
    lock(&parking);
    if (t->wake_word == WAKE_KEPT) {
        atomic_store(&t->wake_word, WAKE_WOKEN);
        word = &t->carrier->word;
        atomic_store(word, 1u);
    }
    unlock(&parking);
    if (word) host_futex_wake(word);
    task_put(t);
}

void park_lapse(struct task *t)
{
    t->park.woke = t->park.missed = 0;
    t->park.score /= 2;
    park_release();
}

bool task_may_park(void)
{
    struct task *t = current;
    u32 score = t->park.woke ? MIN(t->park.score + 1u, SCORE_MAX) : t->park.score / 2u;

    t->park.score = (u8)score;
    t->park.woke = t->park.missed = 0;
    return t->park.allowed && score >= SCORE_ENOUGH && kernel.pops->ctx_take_over && !t->ptrace && t->carrier;
}

/* What this thread has kept, if it is still to be had: from now on it is awake and `mine` carries it. Counted. */
static struct task *claim(struct carrier *mine, struct carrier **other)
{
    struct task *t = kept;

    kept = NULL;
    if (!t) return NULL;
    lock(&parking);
    bool ours = t->wake_word == WAKE_KEPT;
    if (ours) {
        atomic_store(&t->wake_word, WAKE_IDLE);
        *other = t->carrier;
        t->carrier = mine;
    }
    unlock(&parking);
    if (ours) return t;
    task_put(t);
    return NULL;
}

/* IDLE to PARKED, or false: it was woken in between. */
static bool park_locked(struct task *t)
{
    u32 idle = WAKE_IDLE;

    return __atomic_compare_exchange_n(&t->wake_word, &idle, WAKE_PARKED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* This thread goes on with `next`, and `other`, which had that and sleeps, has `t` from now on. */
static void change_places(struct task *t, struct task *next, struct carrier *other)
{
    u32 *word = NULL;

    kernel.pops->ctx_take_over(t->ctx, next->ctx);
    lock(&parking);
    t->carrier->t = next;
    t->carrier = other;
    other->t = t;
    if (!park_locked(t)) {
        word = &other->word;
        atomic_store(word, 1u);
    }
    unlock(&parking);
    if (word) host_futex_wake(word);
}

/* Until the task that this thread carries, by then perhaps another one than now, is awake. */
static struct task *sleep_as_carrier(struct task *t)
{
    struct carrier *c = t->carrier;

    lock(&parking);
    c->word = 0;
    bool asleep = park_locked(t);
    while (asleep) {
        unlock(&parking);
        while (atomic_load(&c->word) == 0) host_futex_wait(&c->word, 0, KTIME_NEVER);
        lock(&parking);
        c->word = 0;
        t = c->t;
        asleep = t->carrier != c || (t->wake_word != WAKE_WOKEN && t->wake_word != WAKE_KEPT);
    }
    atomic_store(&t->wake_word, WAKE_IDLE);
    unlock(&parking);
    return t;
}

static struct task *wait_parked(struct task *t)
{
    struct carrier *other = NULL;
    struct task *next = claim(t->carrier, &other);
    bool slept = !next;

    cpu_number_sleep(t);
    if (atomic_load(&t->state) == TASK_RUNNING) atomic_store(&t->state, TASK_SLEEPING);
    account_sleep_begin(t);
    if (next) {
        change_places(t, next, other);
        task_put(next); /* its own reference keeps it, while it runs */
        t = next;
    } else {
        if (kernel.pops->ctx_sleeps) kernel.pops->ctx_sleeps(t->ctx);
        t = sleep_as_carrier(t);
    }
    current = t;
    account_sleep_end(t);
    int cpu = __atomic_exchange_n(&t->woken_on, 0, __ATOMIC_RELAXED);
    if (slept && kernel.pops->ctx_woken) kernel.pops->ctx_woken(t->ctx, cpu - 1, true);
    if (atomic_load(&t->state) == TASK_SLEEPING) atomic_store(&t->state, TASK_RUNNING);
    return t;
}

struct task *task_park(sysret_t *result)
{
    struct task *t = current;

    do {
        u32 work = atomic_load(&t->work);
        int r = 0;
        if (work & TW_ANY_INTERRUPT) {
            r = -ERESTARTSYS;
        } else {
            if (work & TW_FREEZE) freeze_park();
            lock_assert_none_held();
            t = wait_parked(t);
            if (atomic_load(&t->work) & TW_FREEZE) freeze_park();
        }
        *result = t->park.resume(t, r);
    } while (*result == -EPARKED);
    park_release();
    return t;
}
