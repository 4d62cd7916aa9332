/* Wait queues: see waitq.h. */
#include "sentry/kernel/waitq.h"
#include "sentry/kernel/task.h"

void waitq_init(struct waitq *q)
{
    lock_init(&q->lock, LC_WAITQ);
    TAILQ_INIT(&q->waiters);
}

void waitq_fini(struct waitq *q)
{
    struct waiter *w;

    lock(&q->lock);
    while ((w = TAILQ_FIRST(&q->waiters))) {
        TAILQ_REMOVE(&q->waiters, w, link);
        atomic_store(&w->q, (struct waitq *)NULL);
    }
    unlock(&q->lock);
    lock_fini(&q->lock);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
    lock(&q->lock);
    w->q = q;
    if (w->exclusive)
        TAILQ_INSERT_TAIL(&q->waiters, w, link);
    else
        TAILQ_INSERT_HEAD(&q->waiters, w, link);
    unlock(&q->lock);
}

/* A queue that goes while somebody waits clears w->q; its memory must stay until the waiter has looked. */
void waitq_del(struct waiter *w)
{
    struct waitq *q = atomic_load(&w->q);

    if (!q) return;
    lock(&q->lock);
    if (w->q == q) {
        TAILQ_REMOVE(&q->waiters, w, link);
        w->q = NULL;
    }
    unlock(&q->lock);
}

/* Waking an epoll set wakes its waiters in turn, with the first queue still locked. */
static _Thread_local unsigned wake_depth;
static _Thread_local void (*deferred[WAITQ_DEFER_MAX])(void);

void waitq_defer(void (*fn)(void))
{
    unsigned i = 0;
    while (deferred[i] && deferred[i] != fn) i++;
    deferred[i] = fn;
}

static void run_deferred(void)
{
    for (unsigned i = 0; i < WAITQ_DEFER_MAX && deferred[i]; i++) {
        void (*fn)(void) = deferred[i];
        deferred[i] = NULL;
        fn();
    }
}

static bool wake(struct waitq *q, u32 events, bool all)
{
    struct waiter *w, *next;
    bool any = false;

    wake_depth++;
    lock(&q->lock);
    TAILQ_FOREACH_SAFE(w, &q->waiters, link, next) {
        if (events && w->events && !(events & (w->events | POLLERR | POLLHUP))) continue;
        bool exclusive = w->exclusive;
        /* w may be gone from the queue after its wake function ran. */
        bool counted = w->wake(w, events);
        any |= counted;
        if (counted && exclusive && !all) break;
    }
    unlock(&q->lock);
    if (--wake_depth == 0 && unlikely(deferred[0])) run_deferred();
    return any;
}

bool waitq_wake(struct waitq *q, u32 events)
{
    /* The common case of nobody waiting must stay cheap; a waiter that adds itself now has yet to look at the object. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&q->waiters.tqh_first, __ATOMIC_RELAXED)) return false;
    return wake(q, events, false);
}

void waitq_wake_all(struct waitq *q, u32 events)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&q->waiters.tqh_first, __ATOMIC_RELAXED)) return;
    wake(q, events, true);
}

static bool wake_task(struct waiter *w, u32 events UNUSED)
{
    task_wake(w->task);
    return true;
}

void waiter_init_current(struct waiter *w, u32 events)
{
    *w = (struct waiter){ .events = events, .wake = wake_task, .task = current };
}
