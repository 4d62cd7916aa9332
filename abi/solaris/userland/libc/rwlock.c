/* libc.so.1: reader-writer locks, barriers, spin locks; all built on mutex and condition. */
#include "impl.h"
#include <synch.h>

/* Laid into pthread_rwlock_t's 64 bytes. Writers waiting hold back new readers. */
struct rw {
    int32_t readers; /* -1: written */
    uint16_t type, magic;
    pthread_mutex_t m; /* at 8 */
    pthread_cond_t c;  /* at 32 */
    uint32_t writers_waiting, owner;
};
_Static_assert(sizeof(struct rw) <= sizeof(pthread_rwlock_t), "rwlock");

static int rw_take(struct rw *w, int write, const struct timespec *abs)
{
    int r = pthread_mutex_lock(&w->m);

    if (r)
        return r;
    if (write && w->readers < 0 && w->owner == curself()->tid) {
        (void)pthread_mutex_unlock(&w->m);
        return EDEADLK;
    }
    if (write)
        w->writers_waiting++;
    while (!r && (write ? w->readers != 0 : (w->readers < 0 || w->writers_waiting)))
        r = abs ? pthread_cond_timedwait(&w->c, &w->m, abs) : pthread_cond_wait(&w->c, &w->m);
    if (write)
        w->writers_waiting--;
    if (!r) {
        w->readers = write ? -1 : w->readers + 1;
        w->owner = write ? curself()->tid : 0;
    } else {
        (void)pthread_cond_broadcast(&w->c);
    }
    (void)pthread_mutex_unlock(&w->m);
    return r;
}
static int rw_try(struct rw *w, int write)
{
    int r = pthread_mutex_lock(&w->m);

    if (r)
        return r;
    if (write ? w->readers != 0 : (w->readers < 0 || w->writers_waiting))
        r = EBUSY;
    else {
        w->readers = write ? -1 : w->readers + 1;
        w->owner = write ? curself()->tid : 0;
    }
    (void)pthread_mutex_unlock(&w->m);
    return r;
}
#define RW(l) ((struct rw *)(l))
int pthread_rwlock_rdlock(pthread_rwlock_t *l) { return rw_take(RW(l), 0, NULL); }
int pthread_rwlock_wrlock(pthread_rwlock_t *l) { return rw_take(RW(l), 1, NULL); }
int pthread_rwlock_tryrdlock(pthread_rwlock_t *l) { return rw_try(RW(l), 0); }
int pthread_rwlock_trywrlock(pthread_rwlock_t *l) { return rw_try(RW(l), 1); }
int pthread_rwlock_timedrdlock(pthread_rwlock_t *l, const struct timespec *t) { return rw_take(RW(l), 0, t); }
int pthread_rwlock_timedwrlock(pthread_rwlock_t *l, const struct timespec *t) { return rw_take(RW(l), 1, t); }
int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
    struct rw *w = RW(l);
    int r = pthread_mutex_lock(&w->m);

    if (r)
        return r;
    if (!w->readers || (w->readers < 0 && w->owner != curself()->tid)) {
        (void)pthread_mutex_unlock(&w->m);
        return EPERM;
    }
    w->readers = w->readers < 0 ? 0 : w->readers - 1;
    w->owner = 0;
    if (!w->readers)
        (void)pthread_cond_broadcast(&w->c);
    return pthread_mutex_unlock(&w->m);
}
int rwlock_init(rwlock_t *l, int type, void *arg)
{
    struct rw *w = RW(l);

    memset(l, 0, sizeof(*l));
    w->type = (uint16_t)(type & 1);
    w->magic = 0x5257;
    (void)mutex_init(&w->m, type & 1, NULL);
    return cond_init(&w->c, type & 1, NULL);
}
int pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *a)
{
    return rwlock_init(l, a ? (int)(intptr_t)a->__pthread_rwlockattrp : 0, NULL);
}
int pthread_rwlock_destroy(pthread_rwlock_t *l) { return RW(l)->readers ? EBUSY : 0; }
int rwlock_destroy(rwlock_t *l) { return pthread_rwlock_destroy(l); }
int rw_rdlock(rwlock_t *l) { return rw_take(RW(l), 0, NULL); }
int rw_wrlock(rwlock_t *l) { return rw_take(RW(l), 1, NULL); }
int rw_tryrdlock(rwlock_t *l) { return rw_try(RW(l), 0); }
int rw_trywrlock(rwlock_t *l) { return rw_try(RW(l), 1); }
int rw_unlock(rwlock_t *l) { return pthread_rwlock_unlock(l); }
#define SHARED_ATTR(kind, field) \
    int pthread_##kind##attr_init(pthread_##kind##attr_t *a) { a->field = NULL; return 0; } \
    int pthread_##kind##attr_destroy(pthread_##kind##attr_t *a) { return 0; } \
    int pthread_##kind##attr_setpshared(pthread_##kind##attr_t *a, int s) \
    { \
        if (s != 0 && s != 1) \
            return EINVAL; \
        a->field = (void *)(intptr_t)s; \
        return 0; \
    } \
    int pthread_##kind##attr_getpshared(const pthread_##kind##attr_t *a, int *s) \
    { \
        *s = (int)(intptr_t)a->field; \
        return 0; \
    }
SHARED_ATTR(rwlock, __pthread_rwlockattrp)
SHARED_ATTR(barrier, __pthread_barrierattrp)

struct barrier {
    pthread_mutex_t m;
    pthread_cond_t c;
    uint32_t count, here, cycle;
};
_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "barrier");

int pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *a, unsigned int n)
{
    struct barrier *p = (struct barrier *)b;
    int shared = a ? (int)(intptr_t)a->__pthread_barrierattrp : 0;

    if (!n)
        return EINVAL;
    memset(b, 0, sizeof(*b));
    (void)mutex_init(&p->m, shared, NULL);
    (void)cond_init(&p->c, shared, NULL);
    p->count = n;
    return 0;
}
int pthread_barrier_destroy(pthread_barrier_t *b) { return ((struct barrier *)b)->here ? EBUSY : 0; }
int pthread_barrier_wait(pthread_barrier_t *b)
{
    struct barrier *p = (struct barrier *)b;
    int state, r = 0;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* not a cancellation point */
    (void)pthread_mutex_lock(&p->m);
    if (++p->here == p->count) {
        p->here = 0;
        p->cycle++;
        (void)pthread_cond_broadcast(&p->c);
        r = PTHREAD_BARRIER_SERIAL_THREAD;
    } else {
        for (uint32_t now = p->cycle; p->cycle == now;)
            (void)pthread_cond_wait(&p->c, &p->m);
    }
    (void)pthread_mutex_unlock(&p->m);
    (void)pthread_setcancelstate(state, NULL);
    return r;
}

int pthread_spin_init(pthread_spinlock_t *s, int pshared) { s->__words[0] = 0; return 0; }
int pthread_spin_destroy(pthread_spinlock_t *s) { return 0; }
int pthread_spin_trylock(pthread_spinlock_t *s) { return __atomic_exchange_n(&s->__words[0], 1, __ATOMIC_ACQUIRE) ? EBUSY : 0; }
int pthread_spin_lock(pthread_spinlock_t *s)
{
    for (int i = 0; pthread_spin_trylock(s);)
        if (++i > 100)
            (void)RAW(SYS_yield);
        else
            __builtin_ia32_pause();
    return 0;
}
int pthread_spin_unlock(pthread_spinlock_t *s) { __atomic_store_n(&s->__words[0], 0, __ATOMIC_RELEASE); return 0; }
