/*
 * System V shared memory, semaphores and message queues, ABI-neutral. The caller sees those of its IPC namespace.
 * Flags and limits are the host Linux's (IPC_*, SHM_*, SEM_*, MSG_*). Sources: sysvipc(7), shmget(2), shmop(2),
 * shmctl(2), semget(2), semop(2), semctl(2), msgget(2), msgop(2), msgctl(2); ipc/ of the Linux tree.
 */
#ifndef SUNDOG_IPC_SYSV_H
#define SUNDOG_IPC_SYSV_H

#include "sentry/base/strbuf.h"
#include "sentry/base/types.h"

struct task;

/* Limits that are no settings; the others are in struct ipc_settings (kernel/ns.h). */
#define SYSV_SHMMIN 1ULL
#define SYSV_SEMVMX 32767
#define SYSV_SEMAEM SYSV_SEMVMX
#define SYSV_MNI_MAX 32768                          /* what the settings of numbers of objects may be */
/* What the sentry's memory bears, of all namespaces together: -ENOMEM beyond it. */
#define SYSV_SEMS_CEILING (1u << 24)
#define SYSV_SEMOPS_CEILING (1u << 16)              /* of one call */
#define SYSV_MSG_CEILING (16u << 20)                /* bytes of one message */
#define SYSV_MSGS_CEILING (1ULL << 30)              /* and of all */

struct ipc_perm_k { s32 key, id; u32 uid, gid, cuid, cgid, mode; u16 seq; };
/* What an *_STAT names: an id (IPC_STAT), or an index (SHM_STAT, and without permission check SHM_STAT_ANY). */
enum ipc_stat_how { IPC_STAT_ID, IPC_STAT_INDEX, IPC_STAT_ANY };
struct ipc_set_k { u32 uid, gid, mode; };

/* An IPC namespace ends: what it had goes. mark: ids.h */
void shm_ns_exit(u32 mark);
void sem_ns_exit(u32 mark);
void msq_ns_exit(u32 mark);
void mq_ns_exit(u32 mark);

/* --- shared memory; -EINVAL -EACCES -ENOENT -EEXIST -ENOSPC -ENOMEM -EIDRM -EPERM --- */
struct shm_stat { struct ipc_perm_k perm; u64 size, nattch; s64 atime, dtime, ctime; s32 cpid, lpid; };
struct shm_usage { u32 used_ids; u64 tot, rss; };   /* pages */
sysret_t shm_get(s32 key, u64 size, u32 flags);
sysret_t shm_attach(s32 id, gaddr_t addr, u32 flags);          /* address */
sysret_t shm_detach(gaddr_t addr);
sysret_t shm_do_stat(s32 id, enum ipc_stat_how how, struct shm_stat *out);     /* the id */
sysret_t shm_set(s32 id, const struct ipc_set_k *s);
sysret_t shm_remove(s32 id);
sysret_t shm_lock(s32 id, bool on);
s32 shm_max_index(void);                                       /* highest index in use; 0 also when none is */
void shm_usage(struct shm_usage *out);
void shm_show(struct strbuf *b);                               /* /proc/sysvipc/shm */
/* shm_rmid_forced of current's namespace was set: segments that nobody attaches and whose makers are gone go. */
void shm_remove_orphans(void);
void shm_task_exit(struct task *t);                            /* with the setting, those it made go too; own thread */

/* --- semaphores --- */
struct sem_op { u16 num; s16 op; u16 flags; };
struct sem_stat { struct ipc_perm_k perm; s64 otime, ctime; u64 nsems; };
enum sem_value { SEM_VALUE, SEM_PID, SEM_NCOUNT, SEM_ZCOUNT };
sysret_t sem_get(s32 key, s32 nsems, u32 flags);
/* How many operations may be in one call: -E2BIG -ENOMEM */
int sem_check_count(u64 n);
/* deadline: CLOCK_MONOTONIC. -EAGAIN -E2BIG -EFBIG -ERANGE -EINTR ... */
sysret_t sem_operate(s32 id, const struct sem_op *ops, unsigned n, ktime_t deadline);
sysret_t sem_do_stat(s32 id, enum ipc_stat_how how, struct sem_stat *out);
sysret_t sem_set(s32 id, const struct ipc_set_k *s);
sysret_t sem_remove(s32 id);
sysret_t sem_get_one(s32 id, s32 num, enum sem_value what);
sysret_t sem_set_one(s32 id, s32 num, s32 val);
/* The whole set: how many semaphores it has (for a buffer of that size), all values, and the reverse. -EIDRM */
sysret_t sem_count(s32 id, bool write);
sysret_t sem_get_all(s32 id, u16 *vals, unsigned n);
sysret_t sem_set_all(s32 id, const u16 *vals, unsigned n);
s32 sem_max_index(void);
void sem_usage(u32 *sets, u32 *sems);
void sem_show(struct strbuf *b);

/* SEM_UNDO. A list of adjustments is a task's own or shared (CLONE_SYSVSEM); child has none yet. */
void sem_undo_clone(struct task *child, bool share);
void sem_undo_exit(struct task *t);                            /* carries them out when the last user goes; own thread */

/* --- message queues --- */
struct msq_stat { struct ipc_perm_k perm; s64 stime, rtime, ctime; u64 cbytes, qnum, qbytes; s32 lspid, lrpid; };
struct msq_usage { u32 queues; u64 msgs, bytes; };
struct msq_msg { struct msq_msg *next; s64 type; u64 len; u8 data[]; };
sysret_t msq_get(s32 key, u32 flags);
/* One of len bytes by kernel.msgmax, to be filled in; -EINVAL -ENOMEM */
int msq_msg_new(s64 type, u64 len, struct msq_msg **out);
sysret_t msq_send(s32 id, struct msq_msg *m, u32 flags);       /* consumes m on success */
/* *out: owned by the caller, free(). limit: size of the buffer (-E2BIG). */
sysret_t msq_receive(s32 id, u64 limit, s64 type, u32 flags, struct msq_msg **out);
sysret_t msq_do_stat(s32 id, enum ipc_stat_how how, struct msq_stat *out);
sysret_t msq_set(s32 id, const struct ipc_set_k *s, u64 qbytes);
sysret_t msq_remove(s32 id);
s32 msq_max_index(void);
void msq_usage(struct msq_usage *out);
void msq_show(struct strbuf *b);

#endif
