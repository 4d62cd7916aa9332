/*
 * libc.so.1: mutexes, conditions, semaphores. Private ones sleep in park.c; process-shared ones are the kernel's
 * (lwp_mutex_*, lwp_sema_*, lwp_cond_*). pthread_* and the thr library's functions are the same ones.
 */
#include "impl.h"
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>
#include <synch.h>

#define M_TYPE(m) ((m)->__flags.__type)
#define M_WORD(m) (&(m)->__lock.__w.__word)
#define M_OWNER(m) ((m)->__lock.__w.__owner)
#define M_DEPTH(m) ((m)->__flags.__flag1)
#define SHARED 1
#define KNOWN (PTHREAD_MUTEX_ERRORCHECK | PTHREAD_MUTEX_RECURSIVE)

static int mutex_acquire(pthread_mutex_t *m, const struct timespec *rel)
{
    uint32_t c = 0, me = curself()->tid;

    if (M_TYPE(m) & SHARED)
        return ret_value(RESTART(RAW(SYS_lwp_mutex_timedlock, m, rel, curself())));
    if (M_TYPE(m) & KNOWN && M_OWNER(m) == me && *M_WORD(m)) {
        if (M_TYPE(m) & PTHREAD_MUTEX_ERRORCHECK)
            return EDEADLK;
        if (M_DEPTH(m) == UINT16_MAX)
            return EAGAIN;
        M_DEPTH(m)++;
        return 0;
    }
    if (!__atomic_compare_exchange_n(M_WORD(m), &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 100 && c == 1; i++) { /* locks are mostly held for less than a sleep costs */
            __builtin_ia32_pause();
            c = 0;
            if (__atomic_compare_exchange_n(M_WORD(m), &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                goto have;
        }
        while (__atomic_exchange_n(M_WORD(m), 2, __ATOMIC_ACQUIRE))
            if (usleep_on(M_WORD(m), 2, rel, 0) == ETIMEDOUT)
                return ETIMEDOUT;
    }
have:
    M_OWNER(m) = me;
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t *m) { return mutex_acquire(m, NULL); }

int pthread_mutex_trylock(pthread_mutex_t *m)
{
    uint32_t c = 0, me = curself()->tid;

    if (M_TYPE(m) & SHARED)
        return ret_value(RAW(SYS_lwp_mutex_trylock, m, curself()));
    if (__atomic_compare_exchange_n(M_WORD(m), &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        M_OWNER(m) = me;
        return 0;
    }
    if (M_TYPE(m) & PTHREAD_MUTEX_RECURSIVE && M_OWNER(m) == me) {
        if (M_DEPTH(m) == UINT16_MAX)
            return EAGAIN;
        M_DEPTH(m)++;
        return 0;
    }
    return EBUSY;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (M_TYPE(m) & SHARED)
        return ret_value(RAW(SYS_lwp_mutex_unlock, m));
    if (M_TYPE(m) & KNOWN) {
        if (M_OWNER(m) != curself()->tid || !*M_WORD(m))
            return EPERM;
        if (M_TYPE(m) & PTHREAD_MUTEX_RECURSIVE && M_DEPTH(m)) {
            M_DEPTH(m)--;
            return 0;
        }
    }
    M_OWNER(m) = 0;
    if (__atomic_exchange_n(M_WORD(m), 0, __ATOMIC_RELEASE) == 2)
        uwake(M_WORD(m), 1);
    return 0;
}

int pthread_mutex_reltimedlock_np(pthread_mutex_t *m, const struct timespec *rel)
{
    int r = pthread_mutex_trylock(m);

    if (r != EBUSY)
        return r;
    if (rel->tv_nsec < 0 || rel->tv_nsec >= 1000000000 || rel->tv_sec < 0)
        return EINVAL;
    return mutex_acquire(m, rel);
}

int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *abs)
{
    struct timespec rel;
    int r = pthread_mutex_trylock(m);

    if (r != EBUSY)
        return r;
    if ((r = abs_to_rel(CLOCK_REALTIME, abs, &rel)))
        return r;
    return mutex_acquire(m, &rel);
}

static int mattr(const pthread_mutexattr_t *a) { return (int)(intptr_t)a->__pthread_mutexattrp; }

int mutex_init(mutex_t *m, int type, void *arg)
{
    if (type & ~(SHARED | KNOWN | PTHREAD_MUTEX_ROBUST))
        return EINVAL;
    memset(m, 0, sizeof(*m));
    m->__flags.__type = (uint16_t)type;
    m->__flags.__magic = 0x4d58;
    return 0;
}
int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
    return mutex_init(m, a ? (mattr(a) & 0xff) : 0, NULL);
}
int pthread_mutex_destroy(pthread_mutex_t *m)
{
    if (!(M_TYPE(m) & SHARED) && *M_WORD(m))
        return EBUSY;
    m->__flags.__magic = 0;
    return 0;
}
int pthread_mutex_consistent(pthread_mutex_t *m) { return EINVAL; /* no lock is ever left EOWNERDEAD */ }
int mutex_destroy(mutex_t *m) { return pthread_mutex_destroy(m); }
int mutex_lock(mutex_t *m) { return mutex_acquire(m, NULL); }
int mutex_trylock(mutex_t *m) { return pthread_mutex_trylock(m); }
int mutex_unlock(mutex_t *m) { return pthread_mutex_unlock(m); }

/* attributes live in the pointer itself: bits as in the mutex type */
#define BITS(a, mask, v) ((a)->__pthread_mutexattrp = (void *)(((intptr_t)(a)->__pthread_mutexattrp & ~(intptr_t)(mask)) | (v)))
int pthread_mutexattr_init(pthread_mutexattr_t *a) { a->__pthread_mutexattrp = (void *)0x100; return 0; }
int pthread_mutexattr_destroy(pthread_mutexattr_t *a) { a->__pthread_mutexattrp = NULL; return 0; }
int pthread_mutexattr_settype(pthread_mutexattr_t *a, int t)
{
    if (t != 0 && t != PTHREAD_MUTEX_ERRORCHECK && t != PTHREAD_MUTEX_RECURSIVE)
        return EINVAL;
    BITS(a, KNOWN, t);
    return 0;
}
int pthread_mutexattr_gettype(const pthread_mutexattr_t *a, int *t) { *t = mattr(a) & KNOWN; return 0; }
int pthread_mutexattr_setpshared(pthread_mutexattr_t *a, int s)
{
    if (s != 0 && s != 1)
        return EINVAL;
    BITS(a, SHARED, s);
    return 0;
}
int pthread_mutexattr_getpshared(const pthread_mutexattr_t *a, int *s) { *s = mattr(a) & SHARED; return 0; }
int pthread_mutexattr_setprotocol(pthread_mutexattr_t *a, int p) { return p == PTHREAD_PRIO_NONE ? 0 : ENOTSUP; }
int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *a, int *p) { *p = PTHREAD_PRIO_NONE; return 0; }
int pthread_mutexattr_setrobust(pthread_mutexattr_t *a, int r) { return r == PTHREAD_MUTEX_STALLED ? 0 : ENOTSUP; }
int pthread_mutexattr_getrobust(const pthread_mutexattr_t *a, int *r) { *r = PTHREAD_MUTEX_STALLED; return 0; }

/* --- conditions: data = { sequence, waiters } --- */

#define C_SEQ(c) ((uint32_t *)&(c)->__data)
#define C_CLOCK(c) ((c)->__flags.__flag[1])

static void cond_relock(void *m) { (void)mutex_acquire(m, NULL); }

static int cond_sleep(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *rel)
{
    uint16_t depth = M_DEPTH(m);
    int r;

    if (c->__flags.__type & SHARED) {
        r = ret_value(CANCELABLE(RAW(SYS_lwp_cond_wait, c, m, rel, 0)));
        int k = mutex_acquire(m, NULL);
        return r == EINTR ? 0 : r == ETIME ? ETIMEDOUT : r ? r : k;
    }
    if (M_TYPE(m) & KNOWN && M_OWNER(m) != curself()->tid)
        return EPERM;
    uint32_t seq = __atomic_load_n(C_SEQ(c), __ATOMIC_SEQ_CST);
    __atomic_fetch_add(C_SEQ(c) + 1, 1, __ATOMIC_SEQ_CST);
    M_DEPTH(m) = 0;
    (void)pthread_mutex_unlock(m);
    pthread_cleanup_push(cond_relock, m);
    cancel_enter();
    r = usleep_on(C_SEQ(c), seq, rel, 0);
    cancel_leave();
    pthread_cleanup_pop(0);
    __atomic_fetch_sub(C_SEQ(c) + 1, 1, __ATOMIC_SEQ_CST);
    (void)mutex_acquire(m, NULL);
    M_DEPTH(m) = depth;
    return r == ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m) { return cond_sleep(c, m, NULL); }
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *abs)
{
    struct timespec rel;
    int r = abs_to_rel(C_CLOCK(c) ? C_CLOCK(c) : CLOCK_REALTIME, abs, &rel);

    return r ? r : cond_sleep(c, m, &rel);
}
int pthread_cond_reltimedwait_np(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *rel)
{
    if (rel->tv_sec < 0 || rel->tv_nsec < 0 || rel->tv_nsec >= 1000000000)
        return EINVAL;
    return cond_sleep(c, m, rel);
}
static int cond_wake(pthread_cond_t *c, int n)
{
    if (c->__flags.__type & SHARED)
        return ret_value(RAW(n == 1 ? SYS_lwp_cond_signal : SYS_lwp_cond_broadcast, c));
    if (__atomic_load_n(C_SEQ(c) + 1, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_add(C_SEQ(c), 1, __ATOMIC_SEQ_CST);
        uwake(C_SEQ(c), n);
    }
    return 0;
}
int pthread_cond_signal(pthread_cond_t *c) { return cond_wake(c, 1); }
int pthread_cond_broadcast(pthread_cond_t *c) { return cond_wake(c, INT_MAX); }
int cond_init(cond_t *c, int type, void *arg)
{
    memset(c, 0, sizeof(*c));
    c->__flags.__type = (uint16_t)(type & SHARED);
    c->__flags.__magic = 0x4356;
    return type & ~SHARED ? EINVAL : 0;
}
int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
    intptr_t v = a ? (intptr_t)a->__pthread_condattrp : 0;
    int r = cond_init(c, (int)(v & SHARED), NULL);

    C_CLOCK(c) = (uint8_t)(v >> 8);
    return r;
}
int pthread_cond_destroy(pthread_cond_t *c) { c->__flags.__magic = 0; return 0; }
int cond_destroy(cond_t *c) { return pthread_cond_destroy(c); }
int cond_wait(cond_t *c, mutex_t *m) { return cond_sleep(c, m, NULL); }
/* the thr library's timeouts are ETIME */
int cond_timedwait(cond_t *c, mutex_t *m, const struct timespec *t)
{
    int r = pthread_cond_timedwait(c, m, t);
    return r == ETIMEDOUT ? ETIME : r;
}
int cond_reltimedwait(cond_t *c, mutex_t *m, const struct timespec *t)
{
    int r = pthread_cond_reltimedwait_np(c, m, t);
    return r == ETIMEDOUT ? ETIME : r;
}
int cond_signal(cond_t *c) { return cond_wake(c, 1); }
int cond_broadcast(cond_t *c) { return cond_wake(c, INT_MAX); }
int pthread_condattr_init(pthread_condattr_t *a) { a->__pthread_condattrp = (void *)(intptr_t)(CLOCK_REALTIME << 8); return 0; }
int pthread_condattr_destroy(pthread_condattr_t *a) { return 0; }
int pthread_condattr_setclock(pthread_condattr_t *a, clockid_t k)
{
    if (k != CLOCK_REALTIME && k != CLOCK_HIGHRES && k != 0)
        return EINVAL;
    a->__pthread_condattrp = (void *)(((intptr_t)a->__pthread_condattrp & 0xff) | (intptr_t)k << 8);
    return 0;
}
int pthread_condattr_getclock(const pthread_condattr_t *a, clockid_t *k) { *k = (clockid_t)((intptr_t)a->__pthread_condattrp >> 8); return 0; }
int pthread_condattr_setpshared(pthread_condattr_t *a, int s)
{
    if (s != 0 && s != 1)
        return EINVAL;
    a->__pthread_condattrp = (void *)(((intptr_t)a->__pthread_condattrp & ~(intptr_t)1) | s);
    return 0;
}
int pthread_condattr_getpshared(const pthread_condattr_t *a, int *s) { *s = (intptr_t)a->__pthread_condattrp & 1; return 0; }

/* --- semaphores: count at 0; pad[1] counts sleepers --- */

#define S_WAITERS(s) ((uint32_t *)&(s)->sem_pad[1])

int sem_init(sem_t *s, int pshared, unsigned int value)
{
    if (value > SEM_VALUE_MAX) {
        errno = EINVAL;
        return -1;
    }
    memset(s, 0, sizeof(*s));
    s->sem_count = value;
    s->sem_type = pshared ? SHARED : 0;
    s->sem_magic = 0x534d;
    return 0;
}
int sem_destroy(sem_t *s) { s->sem_magic = 0; return 0; }

static int sem_take(sem_t *s)
{
    uint32_t c = __atomic_load_n(&s->sem_count, __ATOMIC_SEQ_CST);

    while (c)
        if (__atomic_compare_exchange_n(&s->sem_count, &c, c - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    return 0;
}

static int sem_sleep(sem_t *s, const struct timespec *rel) /* 0 or errno */
{
    int r = 0;

    if (s->sem_type & SHARED) {
        r = ret_value(CANCELABLE(RAW(SYS_lwp_sema_timedwait, s, rel, 0)));
        return r == ETIME ? ETIMEDOUT : r;
    }
    if (sem_take(s))
        return 0;
    __atomic_fetch_add(S_WAITERS(s), 1, __ATOMIC_SEQ_CST);
    while (!sem_take(s)) {
        cancel_enter();
        r = usleep_on(&s->sem_count, 0, rel, 1);
        cancel_leave();
        if (r) {
            if (sem_take(s))
                r = 0;
            break;
        }
    }
    __atomic_fetch_sub(S_WAITERS(s), 1, __ATOMIC_SEQ_CST);
    return r;
}
static int sem_result(int r)
{
    if (!r)
        return 0;
    errno = r;
    return -1;
}
int sem_wait(sem_t *s) { return sem_result(sem_sleep(s, NULL)); }
int sem_trywait(sem_t *s)
{
    if (s->sem_type & SHARED) {
        int r = ret_value(RAW(SYS_lwp_sema_trywait, s));
        return sem_result(r == EBUSY ? EAGAIN : r);
    }
    return sem_result(sem_take(s) ? 0 : EAGAIN);
}
int sem_reltimedwait_np(sem_t *s, const struct timespec *rel)
{
    if (!(s->sem_type & SHARED) && sem_take(s))
        return 0;
    if (rel->tv_sec < 0 || rel->tv_nsec < 0 || rel->tv_nsec >= 1000000000)
        return sem_result(EINVAL);
    return sem_result(sem_sleep(s, rel));
}
int sem_timedwait(sem_t *s, const struct timespec *abs)
{
    struct timespec rel;

    if (!(s->sem_type & SHARED) && sem_take(s))
        return 0;
    int r = abs_to_rel(CLOCK_REALTIME, abs, &rel);
    return sem_result(r ? r : sem_sleep(s, &rel));
}
int sem_post(sem_t *s)
{
    if (s->sem_type & SHARED)
        return sem_result(ret_value(RAW(SYS_lwp_sema_post, s)));
    if (__atomic_load_n(&s->sem_count, __ATOMIC_RELAXED) >= SEM_VALUE_MAX)
        return sem_result(EOVERFLOW);
    __atomic_fetch_add(&s->sem_count, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(S_WAITERS(s), __ATOMIC_SEQ_CST))
        uwake(&s->sem_count, 1);
    return 0;
}
int sem_getvalue(sem_t *s, int *v) { *v = (int)s->sem_count; return 0; }
static int sema_errno(int r) { return r ? (errno == ETIMEDOUT ? ETIME : errno == EAGAIN ? EBUSY : errno) : 0; }
int sema_init(sema_t *s, unsigned int n, int type, void *arg) { return sema_errno(sem_init((sem_t *)s, type & SHARED, n)); }
int sema_destroy(sema_t *s) { return sem_destroy((sem_t *)s); }
int sema_wait(sema_t *s) { return sema_errno(sem_wait((sem_t *)s)); }
int sema_trywait(sema_t *s) { return sema_errno(sem_trywait((sem_t *)s)); }
int sema_timedwait(sema_t *s, const struct timespec *t) { return sema_errno(sem_timedwait((sem_t *)s, t)); }
int sema_reltimedwait(sema_t *s, const struct timespec *t) { return sema_errno(sem_reltimedwait_np((sem_t *)s, t)); }
int sema_post(sema_t *s) { return sema_errno(sem_post((sem_t *)s)); }
