#include "sentry/base/lock.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

HOSTCALL(futex, "locks, sleeping and waking tasks");

void lock_init(lock_t *l, enum lock_class cls)
{
    pthread_mutex_init(&l->m, NULL);
    l->cls = cls;
}

void lock_fini(lock_t *l) { pthread_mutex_destroy(&l->m); }

void rwlock_init(rwlock_t *l, enum lock_class cls)
{
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    /* Readers are many (faults, copies); without this a writer (mmap) can starve. */
    pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&l->rw, &a);
    pthread_rwlockattr_destroy(&a);
    l->cls = cls;
}

void rwlock_fini(rwlock_t *l) { pthread_rwlock_destroy(&l->rw); }

#ifdef SUNDOG_LOCK_DEBUG
#define LOCK_DEBUG_DEPTH 32
static _Thread_local struct { const void *l; enum lock_class cls; } held[LOCK_DEBUG_DEPTH];
static _Thread_local unsigned nheld;

/* Classes of which a thread may hold two at a time; their own rule is in docs/locking.md. */
static bool same_class_ok(enum lock_class c)
{
    return c == LC_PLATFORM || c == LC_INODE || c == LC_MM || c == LC_EPOLL || c == LC_PIPE || c == LC_SOCK || c == LC_FUTEX || c == LC_RENAME ||
           c == LC_FILE_POS || c == LC_WAITQ;
}

void lock_debug_acquire(const void *l, enum lock_class cls)
{
    for (unsigned i = 0; i < nheld; i++) {
        if (held[i].l == l) panic("lock %p (class %d) taken twice by one thread", l, cls);
        if (cls != LC_NONE && (held[i].cls > cls || (held[i].cls == cls && !same_class_ok(cls))))
            panic("lock order: class %d taken while class %d is held", cls, held[i].cls);
    }
    if (nheld == LOCK_DEBUG_DEPTH) panic("one thread holds %u locks", nheld);
    held[nheld].l = l;
    held[nheld++].cls = cls;
}

void lock_debug_release(const void *l, enum lock_class cls)
{
    for (unsigned i = nheld; i-- > 0;)
        if (held[i].l == l) {
            for (nheld--; i < nheld; i++) held[i] = held[i + 1];
            return;
        }
    panic("lock %p (class %d) released by a thread that does not hold it", l, cls);
}

void lock_assert_none_held(void)
{
    if (nheld) panic("about to block with a lock of class %d held", held[nheld - 1].cls);
}
#endif
