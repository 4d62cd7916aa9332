/* Plain futexes. */
#include "sentry/ipc/futex_priv.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/usercopy.h"
#include <linux/futex.h>

#define NBUCKETS 256u

static struct futex_bucket buckets[NBUCKETS];
static pthread_once_t buckets_once = PTHREAD_ONCE_INIT;

static void buckets_init(void)
{
    for (unsigned i = 0; i < NBUCKETS; i++) {
        lock_init(&buckets[i].lock, LC_FUTEX);
        TAILQ_INIT(&buckets[i].waiters);
    }
}

struct futex_bucket *futex_bucket_of(const struct mm_page_id *key)
{
    u64 h = ((u64)(uintptr_t)key->obj >> 4) * 0x9e3779b97f4a7c15ULL + (key->off >> 2) * 0xc2b2ae3d27d4eb4fULL;

    pthread_once(&buckets_once, buckets_init);
    return &buckets[(h >> 32) % NBUCKETS];
}

int futex_key(gaddr_t addr, bool shared, bool write, struct mm_page_id *out)
{
    if (addr & 3) return -EINVAL;
    return mm_futex_key(current->mm, addr, shared, write, out);
}

void futex_enqueue(struct futex_q *q, const struct mm_page_id *key, u32 bits)
{
    struct futex_bucket *b = futex_bucket_of(key);

    q->bucket = b;
    q->key = *key;
    q->bits = bits;
    q->task = current;
    q->woken = 0;
    lock(&b->lock);
    TAILQ_INSERT_TAIL(&b->waiters, q, link);
    unlock(&b->lock);
}

/* The bucket q is in, locked; requeueing may move it between look and lock. */
static struct futex_bucket *lock_bucket_of_q(struct futex_q *q)
{
    for (;;) {
        struct futex_bucket *b = atomic_load(&q->bucket);
        lock(&b->lock);
        if (b == atomic_load(&q->bucket)) return b;
        unlock(&b->lock);
    }
}

bool futex_unqueue(struct futex_q *q)
{
    if (atomic_load(&q->woken)) return false;
    struct futex_bucket *b = lock_bucket_of_q(q);
    bool queued = !atomic_load(&q->woken);
    if (queued) TAILQ_REMOVE(&b->waiters, q, link);
    unlock(&b->lock);
    return queued;
}

void futex_wakes_run(struct futex_wakes *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        struct task *t = i < ARRAY_LEN(w->few) ? w->few[i] : w->more[i - ARRAY_LEN(w->few)];
        task_wake(t);
        task_put(t);
    }
    free(w->more);
    w->more = NULL;
    w->n = w->cap = 0;
}

static void wakes_add(struct futex_wakes *w, struct task *t)
{
    task_get(t);
    if (w->n < ARRAY_LEN(w->few)) {
        w->few[w->n++] = t;
        return;
    }
    unsigned i = w->n++ - (unsigned)ARRAY_LEN(w->few);
    if (i == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->more = xrealloc(w->more, w->cap * sizeof *w->more);
    }
    w->more[i] = t;
}

void futex_wake_q_locked(struct futex_q *q, struct futex_wakes *w)
{
    TAILQ_REMOVE(&q->bucket->waiters, q, link);
    wakes_add(w, q->task);
    /* From here on the waiter may be gone, with q on its stack. */
    atomic_store(&q->woken, 1);
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    lock(a < b ? &a->lock : &b->lock);
    if (a != b) lock(a < b ? &b->lock : &a->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    unlock(&a->lock);
    if (a != b) unlock(&b->lock);
}

void futex_move_locked(struct futex_q *q, struct futex_bucket *to, const struct mm_page_id *key)
{
    TAILQ_REMOVE(&q->bucket->waiters, q, link);
    TAILQ_INSERT_TAIL(&to->waiters, q, link);
    q->key = *key;
    atomic_store(&q->bucket, to);
}

int futex_sleep(struct futex_q *q, const struct futex_time *t)
{
    int r = 0;

    while (!atomic_load(&q->woken)) {
        if (r) return r;
        r = task_sleep(kclock_to_mono(t->clock, t->deadline));
        /* The wall clock may have been set back meanwhile. */
        if (r == -ETIMEDOUT && t->clock != CLOCK_MONOTONIC && clock_now(t->clock) < t->deadline) r = 0;
    }
    return 0;
}

/* Queue, then look at the word. 0: queued and equal; 1: woken meanwhile; else -EAGAIN, -EFAULT (not queued). */
static int queue_and_check(struct futex_q *q, gaddr_t addr, bool shared, u32 val, u32 bits)
{
    struct mm_page_id key;
    u32 seen;
    int r = futex_key(addr, shared, false, &key);

    if (r) return r;
    futex_enqueue(q, &key, bits);
    r = user_load32(addr, &seen);
    if (!r && seen == val) return 0;
    if (futex_unqueue(q)) return r ? r : -EAGAIN;
    /* It took a wake without need of one; in case that was another waiter's only one, pass it on. */
    (void)futex_wake(addr, shared, 1, bits);
    return 1;
}

static sysret_t wait_resume(struct task *t, int r)
{
    if (!r && !atomic_load(&t->park.futex->woken)) return -EPARKED;
    return futex_unqueue(t->park.futex) ? r : 0;
}

/* As below, without a deadline, and parked meanwhile. */
static sysret_t wait_parked(gaddr_t addr, bool shared, u32 val, u32 bits)
{
    struct task *t = current;

    if (!t->park.futex) t->park.futex = xnew(struct futex_q);
    *t->park.futex = (struct futex_q){ .woken = 0 };
    int r = queue_and_check(t->park.futex, addr, shared, val, bits);
    if (r) return r < 0 ? r : 0;
    t->park.resume = wait_resume;
    return -EPARKED;
}

sysret_t futex_wait(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t)
{
    struct futex_q q = { .woken = 0 };

    if (!bits) return -EINVAL;
    if (t->deadline == KTIME_NEVER && task_may_park()) return wait_parked(addr, shared, val, bits);
    int r = queue_and_check(&q, addr, shared, val, bits);
    if (r) return r < 0 ? r : 0;
    r = futex_sleep(&q, t);
    return futex_unqueue(&q) ? r : 0;
}

static sysret_t wake_key(const struct mm_page_id *key, s32 n, u32 bits)
{
    struct futex_bucket *b = futex_bucket_of(key);
    struct futex_wakes w = { .n = 0 };
    struct futex_q *q, *next;
    s32 done = 0;

    lock(&b->lock);
    TAILQ_FOREACH_SAFE(q, &b->waiters, link, next)
    {
        if (!futex_same(&q->key, key) || !(q->bits & bits)) continue;
        if (q->pi_wait) {
            done = done ? done : -EINVAL;
            break;
        }
        futex_wake_q_locked(q, &w);
        if (++done >= n) break;
    }
    unlock(&b->lock);
    futex_wakes_run(&w);
    return done;
}

sysret_t futex_wake(gaddr_t addr, bool shared, s32 n, u32 bits)
{
    struct mm_page_id key;

    if (!bits) return -EINVAL;
    int r = futex_key(addr, shared, false, &key);
    return r ? r : wake_key(&key, n, bits);
}

void futex_wake_addr(struct mm *mm, gaddr_t addr, s32 n)
{
    struct mm_page_id priv, sh;

    if (!mm || (addr & 3) || mm_futex_key(mm, addr, false, false, &priv)) return;
    (void)wake_key(&priv, n, FUTEX_BITS_ANY);
    /* The same key unless the word lies in a shared mapping. */
    if (mm_futex_key(mm, addr, true, false, &sh) == 0 && !futex_same(&priv, &sh)) (void)wake_key(&sh, n, FUTEX_BITS_ANY);
}

sysret_t futex_requeue(gaddr_t from, gaddr_t to, bool shared, s32 nwake, s32 nmove, const u32 *cmp)
{
    struct mm_page_id k1, k2;
    struct futex_wakes w = { .n = 0 };
    struct futex_q *q, *next;
    s32 done = 0, moved = 0;
    int r;

    if (nwake < 0 || nmove < 0) return -EINVAL;
    r = futex_key(from, shared, false, &k1);
    if (!r) r = futex_key(to, shared, false, &k2);
    if (r) return r;
    if (cmp) {
        /* Waiters that come after this look have seen a word at least as new. */
        u32 seen;
        r = user_load32(from, &seen);
        if (r) return r;
        if (seen != *cmp) return -EAGAIN;
    }
    struct futex_bucket *b1 = futex_bucket_of(&k1), *b2 = futex_bucket_of(&k2);
    bool same = futex_same(&k1, &k2);
    futex_lock_two(b1, b2);
    TAILQ_FOREACH_SAFE(q, &b1->waiters, link, next)
    {
        if (!futex_same(&q->key, &k1)) continue;
        if (q->pi_wait) {
            r = -EINVAL;
            break;
        }
        if (done < nwake) {
            futex_wake_q_locked(q, &w);
            done++;
        } else if (moved < nmove) {
            if (!same) futex_move_locked(q, b2, &k2);
            moved++;
        } else {
            break;
        }
    }
    futex_unlock_two(b1, b2);
    futex_wakes_run(&w);
    return r ? r : cmp ? done + moved : done;
}

static bool op_compare(u32 cmp, s32 old, s32 arg)
{
    switch (cmp) {
    case FUTEX_OP_CMP_EQ: return old == arg;
    case FUTEX_OP_CMP_NE: return old != arg;
    case FUTEX_OP_CMP_LT: return old < arg;
    case FUTEX_OP_CMP_LE: return old <= arg;
    case FUTEX_OP_CMP_GT: return old > arg;
    default: return old >= arg;
    }
}

sysret_t futex_wake_op(gaddr_t a1, gaddr_t a2, bool shared, s32 n1, s32 n2, u32 enc)
{
    static const enum user_rmw rmw[] = { USER_RMW_SET, USER_RMW_ADD, USER_RMW_OR, USER_RMW_ANDN, USER_RMW_XOR };
    u32 op = enc >> 28 & 7, cmp = enc >> 24 & 15, old;
    s32 oparg = (s32)(enc << 8) >> 20, cmparg = (s32)(enc << 20) >> 20;
    struct mm_page_id k1, k2;
    sysret_t done;
    int r;

    r = futex_key(a1, shared, false, &k1);
    if (!r) r = futex_key(a2, shared, true, &k2);
    if (r) return r;
    if (enc >> 31) oparg = (s32)(1u << (oparg & 31));
    if (op >= ARRAY_LEN(rmw) || cmp > FUTEX_OP_CMP_GE) return -ENOSYS;
    r = user_rmw32(a2, rmw[op], (u32)oparg, &old);
    if (r) return r;
    done = wake_key(&k1, n1, FUTEX_BITS_ANY);
    if (done >= 0 && op_compare(cmp, (s32)old, cmparg)) {
        sysret_t more = wake_key(&k2, n2, FUTEX_BITS_ANY);
        done = more < 0 ? more : done + more;
    }
    return done;
}

sysret_t futex_waitv(const struct futex_waitv_k *v, unsigned n, const struct futex_time *t)
{
    struct futex_q q[FUTEX_MAX_WAITV];
    sysret_t ret = 0;
    int r = 0, woken = -1;
    unsigned queued = 0;

    if (!n || n > FUTEX_MAX_WAITV) return -EINVAL;
    for (unsigned i = 0; i < n && woken < 0 && !r; i++) {
        q[i] = (struct futex_q){ .woken = 0 };
        r = queue_and_check(&q[i], v[i].addr, v[i].shared, v[i].val, FUTEX_BITS_ANY);
        if (r == 0) queued++;
        if (r > 0) woken = (int)i, r = 0;
    }
    while (!r && woken < 0) {
        for (unsigned i = 0; i < queued; i++)
            if (atomic_load(&q[i].woken)) woken = (int)i;
        if (woken >= 0) break;
        r = task_sleep(kclock_to_mono(t->clock, t->deadline));
        if (r == -ETIMEDOUT && t->clock != CLOCK_MONOTONIC && clock_now(t->clock) < t->deadline) r = 0;
    }
    for (unsigned i = 0; i < queued; i++)
        if (!futex_unqueue(&q[i])) woken = (int)i;
    ret = woken >= 0 ? woken : r;
    return ret;
}
