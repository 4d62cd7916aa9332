/*
 * PI futexes. The sentry has no priorities of its own (host threads run at the host's), so "inheritance" comes to
 * nothing; what remains, and what programs see, is ownership: hand-over to the first waiter, EDEADLK, owner death.
 *
 * All slow paths run under pi_lock, an outer lock: they change guest words (which needs mm->lock) and queues together.
 * The words live in pages that are resident while in use; a cold one costs a fault under this lock at worst.
 */
#include "sentry/ipc/futex_priv.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/usercopy.h"
#include <linux/futex.h>

/* One task waiting for one PI futex (on its own stack). */
struct pi_wait {
    TAILQ_ENTRY(pi_wait) link;
    struct mm_page_id key;
    struct task *task;
    struct mm *mm;                 /* borrowed: its task sleeps in it */
    gaddr_t addr;
    s32 owner;                     /* tid that holds the lock */
    u32 granted;                   /* (a) 1: off the list, the lock is ours */
};

static lock_t pi_lock = LOCK_INIT(LC_PIPE);
static TAILQ_HEAD(, pi_wait) pi_waits = TAILQ_HEAD_INITIALIZER(pi_waits);   /* pi_lock; first come, first served */
static unsigned pi_nwaits;                                                  /* (a) */

static struct pi_wait *first_locked(const struct mm_page_id *key)
{
    struct pi_wait *w;

    TAILQ_FOREACH(w, &pi_waits, link)
        if (futex_same(&w->key, key)) return w;
    return NULL;
}

/* Would waiting for `owner` close a ring back to `me`? */
static bool deadlock_locked(s32 owner, s32 me)
{
    for (int depth = 0; depth < 1024; depth++) {
        struct pi_wait *w;
        if (owner == me) return true;
        TAILQ_FOREACH(w, &pi_waits, link)
            if (w->task->vtid == owner) break;
        if (!w) return false;
        owner = w->owner;
    }
    return true;
}

static void insert_locked(struct pi_wait *w)
{
    TAILQ_INSERT_TAIL(&pi_waits, w, link);
    atomic_add(&pi_nwaits, 1);
}

static void remove_locked(struct pi_wait *w)
{
    TAILQ_REMOVE(&pi_waits, w, link);
    atomic_add(&pi_nwaits, -1);
}

/*
 * Gives the lock at key, whose word was `val`, to its first waiter; extra: FUTEX_OWNER_DIED or 0. True when the word
 * changed under us (look again). A waiter whose word cannot be written is granted nothing and left to its fate.
 */
static bool hand_over_locked(struct pi_wait *w, u32 val, u32 extra)
{
    u32 next = (u32)w->task->vtid | FUTEX_WAITERS | extra, seen;

    if (mm_user_cmpxchg32(w->mm, w->addr, val, next, &seen) < 0) return false;
    if (seen != val) return true;
    struct task *t = w->task;
    struct pi_wait *o;
    remove_locked(w);
    TAILQ_FOREACH(o, &pi_waits, link)
        if (futex_same(&o->key, &w->key)) o->owner = t->vtid;
    task_get(t);
    atomic_store(&w->granted, 1);
    task_wake(t);
    task_put(t);
    return false;
}

/*
 * One try to get the lock for task t (its tid into the word), or to note that it has to wait: then *owner is set and
 * FUTEX_WAITERS is in the word. 0 got it, 1 must wait, -errno.
 */
static int try_locked(struct mm *mm, gaddr_t addr, const struct mm_page_id *key, struct task *t, bool try_only, s32 *owner)
{
    u32 val, seen, tid = (u32)t->vtid;

    if (mm_copy_in(mm, &val, addr, sizeof val) != sizeof val) return -EFAULT;
    for (;;) {
        u32 own = val & FUTEX_TID_MASK, next;
        int r;
        if (own == tid) return -EDEADLK;
        if (!own) {
            next = tid | (val & FUTEX_OWNER_DIED) | (first_locked(key) ? FUTEX_WAITERS : 0);
            r = mm_user_cmpxchg32(mm, addr, val, next, &seen);
            if (r) return r;
            if (seen == val) return 0;
            val = seen;
            continue;
        }
        if (try_only) return -EAGAIN;
        if (!(val & FUTEX_WAITERS)) {
            r = mm_user_cmpxchg32(mm, addr, val, val | FUTEX_WAITERS, &seen);
            if (r) return r;
            if (seen != val) {
                val = seen;
                continue;
            }
            val |= FUTEX_WAITERS;
        }
        struct task *o = task_lookup_get((s32)own);
        bool alive = o && atomic_load(&o->state) < TASK_ZOMBIE;
        if (o) task_put(o);
        if (!alive) {
            /* It may have released the word while it died. */
            u32 again;
            if (mm_copy_in(mm, &again, addr, sizeof again) != sizeof again) return -EFAULT;
            if (again == val) return -ESRCH;
            val = again;
            continue;
        }
        if (deadlock_locked((s32)own, t->vtid)) return -EDEADLK;
        *owner = (s32)own;
        return 1;
    }
}

/* Sleeps until granted. pi_lock is not held. 0, -ETIMEDOUT, -ERESTARTSYS; then w is off the list. */
static int sleep_granted(struct pi_wait *w, const struct futex_time *t)
{
    int r = 0;

    while (!atomic_load(&w->granted) && !r) {
        r = task_sleep(kclock_to_mono(t->clock, t->deadline));
        if (r == -ETIMEDOUT && t->clock != CLOCK_MONOTONIC && clock_now(t->clock) < t->deadline) r = 0;
    }
    /* The one who grants touches w under the lock until the end: pass it once. */
    lock(&pi_lock);
    if (atomic_load(&w->granted))
        r = 0;
    else
        remove_locked(w);
    unlock(&pi_lock);
    return r;
}

sysret_t futex_lock_pi(gaddr_t addr, bool shared, bool try_only, const struct futex_time *t)
{
    struct pi_wait w = { .task = current, .mm = current->mm, .addr = addr };
    int r = futex_key(addr, shared, true, &w.key);

    if (r) return r;
    lock(&pi_lock);
    r = try_locked(current->mm, addr, &w.key, current, try_only, &w.owner);
    if (r == 1) insert_locked(&w);
    unlock(&pi_lock);
    if (r <= 0) return r;
    r = sleep_granted(&w, t);
    return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

sysret_t futex_unlock_pi(gaddr_t addr, bool shared)
{
    struct mm_page_id key;
    u32 val, seen;
    int r;

    r = user_load32(addr, &val);
    if (r) return r;
    if ((val & FUTEX_TID_MASK) != (u32)current->vtid) return -EPERM;
    r = futex_key(addr, shared, true, &key);
    if (r) return r;
    lock(&pi_lock);
    for (;;) {
        struct pi_wait *w = first_locked(&key);
        bool retry;
        if (w) {
            retry = hand_over_locked(w, val, 0);
            seen = val;
            if (retry) r = user_load32(addr, &seen);
        } else {
            r = user_cmpxchg32(addr, val, 0, &seen);
            retry = !r && seen != val;
        }
        if (r || !retry) break;
        val = seen;
        if ((val & FUTEX_TID_MASK) != (u32)current->vtid) {
            r = -EPERM;
            break;
        }
    }
    unlock(&pi_lock);
    return r;
}

void futex_pi_exit(struct task *t)
{
    struct pi_wait *w;

    if (!atomic_load(&pi_nwaits)) return;
    lock(&pi_lock);
again:
    TAILQ_FOREACH(w, &pi_waits, link)
    {
        u32 val;
        if (w->owner != t->vtid) continue;
        if (mm_copy_in(w->mm, &val, w->addr, sizeof val) == sizeof val && (val & FUTEX_TID_MASK) == (u32)t->vtid) {
            (void)hand_over_locked(w, val, FUTEX_OWNER_DIED);
            goto again;
        }
        /* The robust list walk has cleared the owner already, or the word is lost. */
        if (mm_copy_in(w->mm, &val, w->addr, sizeof val) == sizeof val && !(val & FUTEX_TID_MASK)) {
            (void)hand_over_locked(w, val, FUTEX_OWNER_DIED);
            goto again;
        }
        w->owner = 0;
    }
    unlock(&pi_lock);
}

/* --- condition variables over PI mutexes --- */

/* A waiter of FUTEX_WAIT_REQUEUE_PI: first on a plain queue, then (moved) on the PI list. */
struct requeue_wait { struct futex_q q; struct pi_wait w; };

sysret_t futex_wait_requeue_pi(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t, gaddr_t pi_addr)
{
    struct requeue_wait rw = { .w = { .task = current, .mm = current->mm, .addr = pi_addr } };
    struct mm_page_id key;
    u32 seen;
    int r;

    if (!bits || addr == pi_addr) return -EINVAL;
    r = futex_key(addr, shared, false, &key);
    if (!r) r = futex_key(pi_addr, shared, true, &rw.w.key);
    if (r) return r;
    if (futex_same(&key, &rw.w.key)) return -EINVAL;
    rw.q.pi_wait = true;
    rw.q.pi_key = rw.w.key;
    futex_enqueue(&rw.q, &key, bits);
    r = user_load32(addr, &seen);
    if (!r && seen != val) r = -EAGAIN;
    if (!r) r = futex_sleep(&rw.q, t);
    if (futex_unqueue(&rw.q)) return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
    /* Moved (or given the lock at once): now it is a wait for the PI futex. */
    lock(&pi_lock);
    unlock(&pi_lock);
    r = sleep_granted(&rw.w, t);
    return r == -ERESTARTSYS ? -EAGAIN : r;
}

sysret_t futex_cmp_requeue_pi(gaddr_t from, gaddr_t to, bool shared, s32 nwake, s32 nmove, u32 cmp)
{
    struct mm_page_id k1, k2;
    u32 seen;
    s32 done = 0;
    int r;

    if (nwake != 1 || nmove < 0 || from == to) return -EINVAL;
    r = futex_key(from, shared, false, &k1);
    if (!r) r = futex_key(to, shared, true, &k2);
    if (r) return r;
    if (futex_same(&k1, &k2)) return -EINVAL;
    lock(&pi_lock);
    r = user_load32(from, &seen);
    if (!r && seen != cmp) r = -EAGAIN;
    struct futex_bucket *b = futex_bucket_of(&k1);
    while (!r && done < nwake + nmove) {
        struct futex_q *q;
        lock(&b->lock);
        TAILQ_FOREACH(q, &b->waiters, link)
            if (futex_same(&q->key, &k1)) break;
        if (q && (!q->pi_wait || !futex_same(&q->pi_key, &k2))) r = -EINVAL;
        /* Off the plain queue: its task cannot leave without pi_lock from here on. */
        struct requeue_wait *rw = NULL;
        struct futex_wakes wk = { .n = 0 };
        if (q && !r) {
            rw = container_of(q, struct requeue_wait, q);
            task_get(q->task);
            futex_wake_q_locked(q, &wk);
        }
        unlock(&b->lock);
        if (!rw) break;
        struct task *t = rw->w.task;
        int got = try_locked(rw->w.mm, rw->w.addr, &k2, t, false, &rw->w.owner);
        if (got == 0) {
            atomic_store(&rw->w.granted, 1);
        } else {
            if (got < 0) r = got;
            /* After an error it stands on the list all the same, to be taken off by its timeout, a signal or an unlock. */
            insert_locked(&rw->w);
        }
        futex_wakes_run(&wk);
        task_put(t);
        if (got >= 0) done++;
    }
    unlock(&pi_lock);
    return r && !done ? r : done;
}
