/* Shared by futex.c and futex_pi.c only. */
#ifndef SUNDOG_IPC_FUTEX_PRIV_H
#define SUNDOG_IPC_FUTEX_PRIV_H

#include "sentry/base/lock.h"
#include "sentry/base/list.h"
#include "sentry/ipc/futex.h"

struct futex_bucket {
    lock_t lock;                       /* LC_FUTEX; two of them: by address */
    TAILQ_HEAD(, futex_q) waiters;
};

struct futex_q {
    TAILQ_ENTRY(futex_q) link;         /* bucket lock */
    struct futex_bucket *bucket;       /* (a) changes under the lock of the old and the new one */
    struct mm_page_id key;             /* bucket lock */
    u32 bits;
    struct task *task;
    u32 woken;                         /* (a) 1: off the queue; the waker does not touch this object any more */
    /* futex_pi.c, under its lock */
    bool pi_wait;                      /* FUTEX_WAIT_REQUEUE_PI: only FUTEX_CMP_REQUEUE_PI may wake or move it */
    struct mm_page_id pi_key;
};

/* Tasks to be woken (and dropped) once no bucket is locked. */
struct futex_wakes { struct task *few[16]; struct task **more; unsigned n, cap; };

struct futex_bucket *futex_bucket_of(const struct mm_page_id *key);
static inline bool futex_same(const struct mm_page_id *a, const struct mm_page_id *b) { return a->obj == b->obj && a->off == b->off; }
int futex_key(gaddr_t addr, bool shared, bool write, struct mm_page_id *out);
void futex_enqueue(struct futex_q *q, const struct mm_page_id *key, u32 bits);
/* True: it was still queued. False: it was woken. */
bool futex_unqueue(struct futex_q *q);
/* Takes q off under its bucket's lock and notes its task to be woken. */
void futex_wake_q_locked(struct futex_q *q, struct futex_wakes *w);
void futex_wakes_run(struct futex_wakes *w);
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_move_locked(struct futex_q *q, struct futex_bucket *to, const struct mm_page_id *key);
/* Sleeps until q is woken, the deadline or a signal: 0, -ETIMEDOUT, -ERESTARTSYS. Does not unqueue. */
int futex_sleep(struct futex_q *q, const struct futex_time *t);

#endif
