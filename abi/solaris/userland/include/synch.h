#ifndef _SYNCH_H
#define _SYNCH_H
#include <sys/types.h>
#define USYNC_THREAD 0
#define USYNC_PROCESS 1
#define LOCK_NORMAL 0
#define LOCK_ERRORCHECK 2
#define LOCK_RECURSIVE 4
typedef pthread_mutex_t mutex_t, lwp_mutex_t;
typedef pthread_cond_t cond_t, lwp_cond_t;
typedef pthread_rwlock_t rwlock_t;
typedef struct { uint32_t count; uint16_t type, magic; uint64_t pad[5]; } sema_t;
#define DEFAULTMUTEX { { 0, 0, 0, 0, 0x4d58 }, { { 0 } }, 0 }
#define DEFAULTCV { { { 0 }, 0, 0x4356 }, 0 }
#define DEFAULTRWLOCK { 0, 0, 0x5257, { 0 } }
int mutex_init(mutex_t *, int, void *);
int mutex_destroy(mutex_t *);
int mutex_lock(mutex_t *);
int mutex_trylock(mutex_t *);
int mutex_unlock(mutex_t *);
int cond_init(cond_t *, int, void *);
int cond_destroy(cond_t *);
int cond_wait(cond_t *, mutex_t *);
int cond_timedwait(cond_t *, mutex_t *, const struct timespec *);
int cond_reltimedwait(cond_t *, mutex_t *, const struct timespec *);
int cond_signal(cond_t *);
int cond_broadcast(cond_t *);
int rwlock_init(rwlock_t *, int, void *);
int rwlock_destroy(rwlock_t *);
int rw_rdlock(rwlock_t *);
int rw_wrlock(rwlock_t *);
int rw_tryrdlock(rwlock_t *);
int rw_trywrlock(rwlock_t *);
int rw_unlock(rwlock_t *);
int sema_init(sema_t *, unsigned int, int, void *);
int sema_destroy(sema_t *);
int sema_wait(sema_t *);
int sema_trywait(sema_t *);
int sema_timedwait(sema_t *, const struct timespec *);
int sema_reltimedwait(sema_t *, const struct timespec *);
int sema_post(sema_t *);
#endif
