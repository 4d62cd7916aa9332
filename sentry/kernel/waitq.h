/*
 * Wait queues. Anything that can become ready owns a waitq; whoever waits hangs a waiter on it. Blocking calls use
 * task waiters, poll and epoll use their own wake functions.
 *
 *   struct waiter w; waiter_init_current(&w, POLLIN);
 *   waitq_add(&q, &w);
 *   while (!ready(x) && (r = task_sleep(deadline)) == 0) ;     // ready() takes the object's own lock
 *   waitq_del(&w);
 */
#ifndef SUNDOG_KERNEL_WAITQ_H
#define SUNDOG_KERNEL_WAITQ_H

#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include <poll.h>

struct task;
struct waiter;

struct waitq {
    lock_t lock;                    /* LC_WAITQ; guards: */
    TAILQ_HEAD(, waiter) waiters;
};

struct waiter {
    TAILQ_ENTRY(waiter) link;       /* under q->lock */
    struct waitq *q;                /* NULL: not queued */
    u32 events;                     /* POLL* wanted; POLLERR and POLLHUP always count. 0: every wake */
    bool exclusive;                 /* at most one exclusive waiter is woken by waitq_wake_one semantics */
    /* Called with q->lock held: must not block, may take only locks inner to LC_WAITQ. True: this counted as a wake. */
    bool (*wake)(struct waiter *w, u32 events);
    struct task *task;              /* for waiter_init_current */
    void *priv;
};

void waitq_init(struct waitq *q);
void waitq_fini(struct waitq *q);                  /* detaches waiters that remain (their q becomes NULL) */
void waitq_add(struct waitq *q, struct waiter *w); /* exclusive ones at the tail */
void waitq_del(struct waiter *w);                  /* fine if not queued */
bool waitq_wake(struct waitq *q, u32 events);      /* all plain waiters and one exclusive one; events 0: all. Did one count? */
void waitq_wake_all(struct waitq *q, u32 events);  /* exclusive ones too */
/* For a wake function: fn runs, once, when this thread has let go of the last queue it is waking. The caller's other locks stay. */
#define WAITQ_DEFER_MAX 2           /* so many different fns there are */
void waitq_defer(void (*fn)(void));
void waiter_init_current(struct waiter *w, u32 events);

#endif
