/*
 * Futexes: sleeping on a word of guest memory. Source: futex(2), futex_waitv(2), Documentation/locking/{futex,pi-futex}.
 *
 * The word's check and the queueing are atomic against wakers in this way: a waiter queues itself under the bucket lock,
 * and only then loads the word. A waker changes the word before it calls futex_wake, so it either finds the waiter or
 * the waiter finds the new value. A wake that comes between counts as a wake.
 */
#ifndef SUNDOG_IPC_FUTEX_H
#define SUNDOG_IPC_FUTEX_H

#include "sentry/mm/mm.h"

struct task;

#define FUTEX_BITS_ANY 0xffffffffu
#define FUTEX_MAX_WAITV 128u

/* How long to wait: on the clock the deadline is of (CLOCK_MONOTONIC or CLOCK_REALTIME); KTIME_NEVER: no end. */
struct futex_time { int clock; ktime_t deadline; };

/* 0 woken, -EAGAIN the word is not val, -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL (alignment, bits 0). */
sysret_t futex_wait(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t);
/* Number woken. Wakes at least one if there is one, whatever n says (as Linux). */
sysret_t futex_wake(gaddr_t addr, bool shared, s32 n, u32 bits);
/* cmp NULL: no comparison. Number woken, plus number moved if cmp. -EAGAIN */
sysret_t futex_requeue(gaddr_t from, gaddr_t to, bool shared, s32 nwake, s32 nmove, const u32 *cmp);
/* op: the encoded operation and comparison of FUTEX_WAKE_OP. -ENOSYS unknown ones. */
sysret_t futex_wake_op(gaddr_t a1, gaddr_t a2, bool shared, s32 n1, s32 n2, u32 op);
struct futex_waitv_k { gaddr_t addr; u32 val; bool shared; };
/* Index of the one that was woken. */
sysret_t futex_waitv(const struct futex_waitv_k *v, unsigned n, const struct futex_time *t);
/* Wakes n waiters at addr of mm, private and shared ones; for clear_child_tid. Errors are ignored. */
void futex_wake_addr(struct mm *mm, gaddr_t addr, s32 n);

/* --- priority-inheritance futexes (futex_pi.c): the word holds the owner's tid and the bits of linux/futex.h --- */
sysret_t futex_lock_pi(gaddr_t addr, bool shared, bool try_only, const struct futex_time *t);
sysret_t futex_unlock_pi(gaddr_t addr, bool shared);
sysret_t futex_wait_requeue_pi(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t, gaddr_t pi_addr);
sysret_t futex_cmp_requeue_pi(gaddr_t from, gaddr_t to, bool shared, s32 nwake, s32 nmove, u32 cmp);
/* At exit of t: locks that others wait for go on to them with FUTEX_OWNER_DIED. */
void futex_pi_exit(struct task *t);

#endif
