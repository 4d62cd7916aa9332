/* Identifiers of System V IPC objects, for shm.c, sem.c and msg.c only. Each kind has one table under one lock. */
#ifndef SUNDOG_IPC_IDS_H
#define SUNDOG_IPC_IDS_H

#include "sentry/base/lock.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"
#include <sys/ipc.h>
#include <uthash.h>

/* What ipc_check is asked for: for owner, group and others alike. */
#define IPC_R 0444u
#define IPC_W 0222u
#define IPC_X 0111u

#define IPC_INDEX_BITS 15
#define IPC_INDEX_MASK ((1 << IPC_INDEX_BITS) - 1)

/* Keys and ids are told apart by namespace: a table serves all of them. mark: ipc_ns_mark() of the maker. */
struct ipc_key { s32 key; u32 mark; };

/* Embedded in an object, at its start. Freed by the last reference; sleepers hold one. */
struct ipc_object {
    refcount_t refs;
    struct ipc_perm_k perm;        /* table lock, all */
    bool removed;
    struct ipc_settings *set;      /* of its namespace; NULL: that has ended */
    struct ipc_key key;            /* (c) while it is found by key */
    UT_hash_handle by_key;         /* unless private */
};

struct ipc_table {
    enum ipc_kind kind;            /* (c) */
    lock_t lock;                   /* LC_PIPE; guards the table and every object in it */
    struct ipc_object **slots; unsigned nslots;
    struct ipc_object *keys;
    unsigned used, lowest_free;
    int last_index;
    u16 seq;
};
#define IPC_TABLE_INIT(k) { .kind = (k), .lock = LOCK_INIT(LC_PIPE), .last_index = -1 }

struct ipc_count *ipc_count_locked(struct ipc_table *t);                  /* of current's namespace */
bool ipc_full_locked(struct ipc_table *t, u32 limit);                     /* -ENOSPC: its namespace has as many, or the table is full */
/* Takes the table's lock. -ENOENT, -EEXIST; 0: *out is there; 1: to be made. Permission is the caller's, then. */
int ipc_lookup_key_locked(struct ipc_table *t, s32 key, u32 flags, struct ipc_object **out);
void ipc_insert_locked(struct ipc_table *t, struct ipc_object *o, s32 key, u32 mode);   /* there is room; sets perm */
void ipc_remove_locked(struct ipc_table *t, struct ipc_object *o);        /* marks it; the table's reference is the caller's to drop */
void ipc_make_private_locked(struct ipc_table *t, struct ipc_object *o);  /* no longer found by key */
struct ipc_object *ipc_find_locked(struct ipc_table *t, s32 id);          /* borrowed; NULL: -EINVAL */
struct ipc_object *ipc_find_stat_locked(struct ipc_table *t, s32 id, enum ipc_stat_how how);
/* Is the slot's object one of current's namespace? */
bool ipc_visible(const struct ipc_object *o);
/* Any object of the namespace with this mark, to be removed; borrowed or NULL. */
struct ipc_object *ipc_left_locked(struct ipc_table *t, u32 mark);
s32 ipc_max_index_locked(const struct ipc_table *t);
int ipc_check(const struct ipc_perm_k *p, u32 flag);                      /* mode bits wanted: -EACCES */
bool ipc_owner(const struct ipc_perm_k *p);                               /* may IPC_SET and IPC_RMID */
void ipc_apply_set(struct ipc_perm_k *p, const struct ipc_set_k *s);
s64 ipc_seconds(void);

#endif
