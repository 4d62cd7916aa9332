/*
 * libc.so.1: sleeping and waking threads of one process. A hashed table of sleep queues keyed by address over lwp_park
 * and lwp_unpark; bucket locks are spin locks under which signals are deferred, so sem_post() may be called anywhere.
 */
#include "impl.h"
#include <time.h>

#define BUCKETS 256
static struct { ulock_t lock; struct ulwp *first, **last; } queue[BUCKETS];

void ulock(ulock_t *l)
{
    struct ulwp *u = curself();

    critical_enter(u);
    for (int spins = 0; __atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE);)
        if (++spins > 20)
            (void)RAW(SYS_yield);
        else
            __builtin_ia32_pause();
}

void uunlock(ulock_t *l)
{
    __atomic_store_n(l, 0, __ATOMIC_RELEASE);
    critical_leave(curself());
}

static unsigned bucket_of(const volatile void *a) { return (unsigned)(((uintptr_t)a >> 3) * 2654435761u >> 16) % BUCKETS; }

/* caller holds the bucket's lock */
static void dequeue(unsigned b, struct ulwp *u)
{
    struct ulwp **p = &queue[b].first, *prev = NULL;

    for (; *p; prev = *p, p = &(*p)->park_next)
        if (*p == u) {
            *p = u->park_next;
            if (!*p)
                queue[b].last = prev ? &prev->park_next : &queue[b].first;
            return;
        }
}

int usleep_on(const volatile uint32_t *addr, uint32_t val, const struct timespec *rel, int interruptible)
{
    struct ulwp *u = curself();
    unsigned b = bucket_of(addr);
    struct timespec left;
    int err = 0;

    if (rel)
        left = *rel;
    ulock(&queue[b].lock);
    if (__atomic_load_n(addr, __ATOMIC_SEQ_CST) != val) {
        uunlock(&queue[b].lock);
        return 0;
    }
    /* a handler that sleeps here while its thread already does would break the queue: save and restore around */
    const volatile void *outer_addr = u->park_addr;
    struct ulwp *outer_next = u->park_next;
    int outer_woken = u->park_woken;
    unsigned ob = outer_addr ? bucket_of(outer_addr) : 0;
    if (outer_addr && !outer_woken) { /* the interrupted wait is given up: it sees a wake and looks again */
        if (ob != b)
            ulock(&queue[ob].lock);
        dequeue(ob, u);
        if (ob != b)
            uunlock(&queue[ob].lock);
        outer_woken = 1;
    }
    u->park_addr = addr;
    u->park_woken = 0;
    u->park_next = NULL;
    if (!queue[b].last)
        queue[b].last = &queue[b].first;
    *queue[b].last = u;
    queue[b].last = &u->park_next;
    uunlock(&queue[b].lock);
    while (!__atomic_load_n(&u->park_woken, __ATOMIC_ACQUIRE)) {
        long r = RAW(SYS_lwp_park, 0, rel ? &left : NULL, 0);
        if (r == -ETIME || (rel && left.tv_sec == 0 && left.tv_nsec == 0 && r == -EINTR)) {
            err = ETIMEDOUT;
            break;
        }
        if ((r == -EINTR || r == -ERESTART) && interruptible) {
            err = EINTR;
            break;
        }
        if (r == -EINVAL || r == -EFAULT) {
            err = (int)-r;
            break;
        }
    }
    if (err) {
        ulock(&queue[b].lock);
        if (u->park_woken)
            err = 0; /* the wake came first: it must not be lost */
        else
            dequeue(b, u);
        uunlock(&queue[b].lock);
    }
    u->park_addr = outer_addr;
    u->park_next = outer_next;
    u->park_woken = outer_woken;
    return err;
}

void uwake(const volatile uint32_t *addr, int count)
{
    unsigned b = bucket_of(addr);
    uint32_t ids[16];
    int n;

    if (!__threaded)
        return;
    do {
        n = 0;
        ulock(&queue[b].lock);
        for (struct ulwp *u = queue[b].first, *nx; u && count && n < 16; u = nx) {
            nx = u->park_next;
            if (u->park_addr != addr)
                continue;
            dequeue(b, u);
            ids[n++] = u->tid;
            count--;
            __atomic_store_n(&u->park_woken, 1, __ATOMIC_RELEASE);
        }
        uunlock(&queue[b].lock);
        if (n == 1)
            (void)RAW(SYS_lwp_park, 1, ids[0], 0);
        else if (n)
            (void)RAW(SYS_lwp_park, 2, ids, n);
    } while (n == 16 && count);
}

int abs_to_rel(clockid_t clk, const struct timespec *abs, struct timespec *rel)
{
    struct timespec now;

    if (abs->tv_nsec < 0 || abs->tv_nsec >= 1000000000)
        return EINVAL;
    long r = RAW(SYS_clock_gettime, clk, &now);
    if (r < 0)
        return (int)-r;
    rel->tv_sec = abs->tv_sec - now.tv_sec;
    rel->tv_nsec = abs->tv_nsec - now.tv_nsec;
    if (rel->tv_nsec < 0) {
        rel->tv_nsec += 1000000000;
        rel->tv_sec--;
    }
    return rel->tv_sec < 0 || (rel->tv_sec == 0 && rel->tv_nsec == 0) ? ETIMEDOUT : 0;
}

void llock(llock_t *l)
{
    uint32_t c = 0;

    if (__atomic_compare_exchange_n(&l->word, &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    if (c != 2)
        c = __atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE);
    while (c) {
        (void)usleep_on(&l->word, 2, NULL, 0);
        c = __atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE);
    }
}

void lunlock(llock_t *l)
{
    if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
        uwake(&l->word, 1);
}
