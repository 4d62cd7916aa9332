/* Tables of System V IPC identifiers; permission rules. Follows ipc/util.c of Linux. */
#include "sentry/ipc/ids.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include <linux/capability.h>

int ipc_lookup_key_locked(struct ipc_table *t, s32 key, u32 flags, struct ipc_object **out)
{
    struct ipc_object *o = NULL;

    if (key == IPC_PRIVATE) return 1;
    struct ipc_key k = { key, ipc_ns_mark() };
    HASH_FIND(by_key, t->keys, &k, sizeof k, o);
    if (!o) return flags & IPC_CREAT ? 1 : -ENOENT;
    if ((flags & IPC_CREAT) && (flags & IPC_EXCL)) return -EEXIST;
    *out = o;
    return 0;
}

struct ipc_count *ipc_count_locked(struct ipc_table *t) { return &ipc_ns_settings()->kind[t->kind]; }

bool ipc_full_locked(struct ipc_table *t, u32 limit) { return t->used > IPC_INDEX_MASK || ipc_count_locked(t)->used >= limit; }

/* The free slot that the next object takes, as kernel.*_next_id has it. */
static unsigned choose_locked(struct ipc_table *t, s32 wanted)
{
    unsigned i = wanted < 0 ? t->lowest_free : (unsigned)wanted & IPC_INDEX_MASK;

    while (i < t->nslots && t->slots[i]) i++;
    if (i > IPC_INDEX_MASK)
        for (i = t->lowest_free; i < t->nslots && t->slots[i];) i++;
    return i;
}

void ipc_insert_locked(struct ipc_table *t, struct ipc_object *o, s32 key, u32 mode)
{
    const struct cred *c = current->cred;
    struct ipc_count *n = ipc_count_locked(t);
    s32 wanted = __atomic_exchange_n(&n->next_id, -1, __ATOMIC_RELAXED);
    unsigned i = choose_locked(t, wanted);

    while (i >= t->nslots) {
        unsigned old = t->nslots;
        t->nslots = old ? old * 2 : 16;
        t->slots = xrealloc(t->slots, t->nslots * sizeof t->slots[0]);
        for (unsigned k = old; k < t->nslots; k++) t->slots[k] = NULL;
    }
    u16 seq = (u16)((u32)wanted >> IPC_INDEX_BITS);
    if (wanted < 0) {
        /* An id is not used again soon: its upper part changes whenever indices start over. */
        if ((int)i <= t->last_index) t->seq = (u16)((t->seq + 1) & 0x7fff);
        t->last_index = (int)i;
        t->lowest_free = i + 1;
        seq = t->seq;
    }
    t->slots[i] = o;
    t->used++;
    n->used++;
    o->set = ipc_ns_settings();
    ref_init(&o->refs);
    o->perm = (struct ipc_perm_k){ .key = key, .id = (s32)((u32)seq << IPC_INDEX_BITS | i), .uid = c->euid, .gid = c->egid,
        .cuid = c->euid, .cgid = c->egid, .mode = mode & 0777, .seq = seq };
    o->key = (struct ipc_key){ key, ipc_ns_mark() };
    if (key != IPC_PRIVATE) HASH_ADD(by_key, t->keys, key, sizeof o->key, o);
}

void ipc_make_private_locked(struct ipc_table *t, struct ipc_object *o)
{
    if (o->perm.key != IPC_PRIVATE) HASH_DELETE(by_key, t->keys, o);
    o->perm.key = IPC_PRIVATE;
}

void ipc_remove_locked(struct ipc_table *t, struct ipc_object *o)
{
    unsigned i = (unsigned)o->perm.id & IPC_INDEX_MASK;

    ipc_make_private_locked(t, o);
    t->slots[i] = NULL;
    t->used--;
    if (o->set) o->set->kind[t->kind].used--;
    t->lowest_free = MIN(t->lowest_free, i);
    o->removed = true;
}

void ipc_ns_exit(u32 mark);
void ipc_ns_exit(u32 mark)
{
    shm_ns_exit(mark);
    sem_ns_exit(mark);
    msq_ns_exit(mark);
    mq_ns_exit(mark);
}

bool ipc_visible(const struct ipc_object *o) { return o->key.mark == ipc_ns_mark(); }

struct ipc_object *ipc_left_locked(struct ipc_table *t, u32 mark)
{
    for (unsigned i = 0; i < t->nslots; i++)
        if (t->slots[i] && t->slots[i]->key.mark == mark) return t->slots[i];
    return NULL;
}

static struct ipc_object *at_index(struct ipc_table *t, s32 id)
{
    unsigned i = (unsigned)id & IPC_INDEX_MASK;

    return id >= 0 && i < t->nslots && t->slots[i] && ipc_visible(t->slots[i]) ? t->slots[i] : NULL;
}

struct ipc_object *ipc_find_locked(struct ipc_table *t, s32 id)
{
    struct ipc_object *o = at_index(t, id);

    return o && o->perm.id == id ? o : NULL;
}

struct ipc_object *ipc_find_stat_locked(struct ipc_table *t, s32 id, enum ipc_stat_how how)
{
    return how == IPC_STAT_ID ? ipc_find_locked(t, id) : at_index(t, id);
}

s32 ipc_max_index_locked(const struct ipc_table *t)
{
    for (unsigned i = t->nslots; i > 0; i--)
        if (t->slots[i - 1] && ipc_visible(t->slots[i - 1])) return (s32)i - 1;
    return 0;
}

int ipc_check(const struct ipc_perm_k *p, u32 flag)
{
    const struct cred *c = current->cred;
    u32 wanted = flag >> 6 | flag >> 3 | flag, granted = p->mode;

    if (c->euid == p->cuid || c->euid == p->uid) granted >>= 6;
    else if (cred_in_group(c, p->cgid) || cred_in_group(c, p->gid)) granted >>= 3;
    if ((wanted & ~granted & 7) && !ns_capable(ipc_ns_owner(), CAP_IPC_OWNER)) return -EACCES;
    return 0;
}

bool ipc_owner(const struct ipc_perm_k *p)
{
    u32 e = current->cred->euid;

    return e == p->cuid || e == p->uid || ns_capable(ipc_ns_owner(), CAP_SYS_ADMIN);
}

void ipc_apply_set(struct ipc_perm_k *p, const struct ipc_set_k *s)
{
    p->uid = s->uid;
    p->gid = s->gid;
    p->mode = (p->mode & ~0777u) | (s->mode & 0777);
}

s64 ipc_seconds(void) { return clock_real() / NSEC_PER_SEC; }
