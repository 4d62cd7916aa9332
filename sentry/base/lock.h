/*
 * Locks. A lock belongs to a class; docs/locking.md holds the one order of classes, enum lock_class is that order
 * (outer first). Builds with -Dlock_debug=true check it at every acquisition.
 */
#ifndef SUNDOG_BASE_LOCK_H
#define SUNDOG_BASE_LOCK_H

#include "sentry/base/types.h"
#include <pthread.h>

/* Outer to inner: a thread may take a lock only of a class greater than those it holds (equal where noted). */
enum lock_class {
    LC_NONE,
    LC_CONTROL,      /* control socket state */
    LC_FILE_POS,     /* struct file f_pos, held across a read or write that uses it (files of /proc show mounts and paths) */
    LC_RENAME,       /* cross-directory rename, one per file system */
    LC_EPOLL,        /* epoll set; nested sets outer first. Collecting events asks files, so outside of their locks */
    LC_FASYNC,       /* O_ASYNC of files going on and off: asks a file, so outside of its locks */
    LC_INODE,        /* inode contents; several: parent before child, else by address */
    LC_MOUNT,        /* mount table: asked for while a directory changes */
    LC_PIPE,         /* pipe, socket, eventfd, tty contents */
    LC_SOCK,
    LC_GOFER,        /* gofer channel */
    LC_MM,           /* address space; two mms (fork): parent before child */
    LC_I_MMAP,       /* object's list of mappings: changed under LC_MM, see mm/mappable.c */
    LC_TASKLIST,     /* process tree, pids, sessions, wait */
    LC_SIGHAND,      /* signal state of a thread group */
    LC_FDTABLE,
    LC_FS,           /* cwd, root, umask */
    LC_DENTRY,       /* dentry tree; leaf with respect to inodes */
    LC_FUTEX,        /* futex bucket; two buckets by address */
    LC_TIMER,
    LC_WAITQ,        /* wait queue; several: from a file's to those of the epoll sets and AIO contexts that wait for it */
    LC_PAGETABLE,
    LC_MEMFILE,      /* page allocator */
    LC_KICK,         /* a task's context pointer while somebody kicks it */
    LC_PLATFORM,     /* inside a platform */
    LC_PORT,         /* ports and connections of the sandbox's own network; timers are set under it */
    LC_POLICY,       /* the resolver's ring: pins and records what it reads */
    LC_LOOP,         /* which file is behind which loop device */
    LC_LEAF,         /* takes nothing else */
    LC_PARK,         /* which host thread carries which parked task: taken to wake one, so inside of everything */
};

typedef struct { pthread_mutex_t m; enum lock_class cls; } lock_t;
typedef struct { pthread_rwlock_t rw; enum lock_class cls; } rwlock_t;

#define LOCK_INIT(c) { PTHREAD_MUTEX_INITIALIZER, (c) }
#define RWLOCK_INIT(c) { PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP, (c) }
void lock_init(lock_t *l, enum lock_class cls);
void lock_fini(lock_t *l);
void rwlock_init(rwlock_t *l, enum lock_class cls); /* prefers writers; read side is not recursive */
void rwlock_fini(rwlock_t *l);

#ifdef SUNDOG_LOCK_DEBUG
void lock_debug_acquire(const void *l, enum lock_class cls);
void lock_debug_release(const void *l, enum lock_class cls);
void lock_assert_none_held(void); /* called before anything that may block for long */
#else
static inline void lock_debug_acquire(const void *l UNUSED, enum lock_class cls UNUSED) {}
static inline void lock_debug_release(const void *l UNUSED, enum lock_class cls UNUSED) {}
static inline void lock_assert_none_held(void) {}
#endif

static inline void lock(lock_t *l) { lock_debug_acquire(l, l->cls); pthread_mutex_lock(&l->m); }
static inline bool lock_try(lock_t *l)
{
    if (pthread_mutex_trylock(&l->m)) return false;
    lock_debug_acquire(l, LC_NONE);
    return true;
}
static inline void unlock(lock_t *l) { pthread_mutex_unlock(&l->m); lock_debug_release(l, l->cls); }
static inline void read_lock(rwlock_t *l) { lock_debug_acquire(l, l->cls); pthread_rwlock_rdlock(&l->rw); }
static inline void write_lock(rwlock_t *l) { lock_debug_acquire(l, l->cls); pthread_rwlock_wrlock(&l->rw); }
static inline void rw_unlock(rwlock_t *l) { pthread_rwlock_unlock(&l->rw); lock_debug_release(l, l->cls); }

/* Reference counts. */
typedef struct { u32 n; } refcount_t;
static inline void ref_init(refcount_t *r) { __atomic_store_n(&r->n, 1, __ATOMIC_RELAXED); }
static inline void ref_get(refcount_t *r) { __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED); }
static inline bool ref_get_unless_zero(refcount_t *r)
{
    u32 v = __atomic_load_n(&r->n, __ATOMIC_RELAXED);
    while (v)
        if (__atomic_compare_exchange_n(&r->n, &v, v + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
    return false;
}
/* True when the last reference went. */
static inline bool ref_put(refcount_t *r) { return __atomic_sub_fetch(&r->n, 1, __ATOMIC_ACQ_REL) == 0; }
static inline u32 ref_read(const refcount_t *r) { return __atomic_load_n(&r->n, __ATOMIC_ACQUIRE); }

#define atomic_load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define atomic_add(p, v) __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL)
#define atomic_or(p, v) __atomic_or_fetch(p, v, __ATOMIC_SEQ_CST)
#define atomic_and(p, v) __atomic_and_fetch(p, v, __ATOMIC_SEQ_CST)
#define atomic_xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

#endif
