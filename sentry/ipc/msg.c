/* System V message queues. Follows ipc/msg.c of Linux, msgop(2), msgctl(2). */
#include "sentry/base/alloc.h"
#include "sentry/ipc/ids.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/waitq.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct msq {
    struct ipc_object obj;
    struct msq_msg *first, **last;
    u64 cbytes, qnum, qbytes;
    s64 stime, rtime, ctime;
    s32 lspid, lrpid;
    struct waitq senders, receivers;
};

static struct ipc_table table = IPC_TABLE_INIT(IPC_KIND_MSG);
static u64 total_bytes;            /* table.lock; of all namespaces */

static struct msq *msq_of(struct ipc_object *o) { return container_of(o, struct msq, obj); }

static void msq_put(struct msq *q)
{
    if (!ref_put(&q->obj.refs)) return;
    waitq_fini(&q->senders);
    waitq_fini(&q->receivers);
    free(q);
}

sysret_t msq_get(s32 key, u32 flags)
{
    struct ipc_object *o = NULL;
    sysret_t r;

    lock(&table.lock);
    r = ipc_lookup_key_locked(&table, key, flags, &o);
    if (r == 0) {
        r = ipc_check(&o->perm, flags);
        if (!r) r = o->perm.id;
    } else if (r == 1 && ipc_full_locked(&table, atomic_load(&ipc_ns_settings()->msgmni))) {
        r = -ENOSPC;
    } else if (r == 1) {
        struct msq *q = xnew(struct msq);
        q->last = &q->first;
        q->qbytes = atomic_load(&ipc_ns_settings()->msgmnb);
        q->ctime = ipc_seconds();
        waitq_init(&q->senders);
        waitq_init(&q->receivers);
        ipc_insert_locked(&table, &q->obj, key, flags);
        r = q->obj.perm.id;
    }
    unlock(&table.lock);
    return r;
}

static bool has_room_locked(const struct msq *q, const struct msq_msg *m)
{
    return m->len + q->cbytes <= q->qbytes && q->qnum + 1 <= q->qbytes;
}

/* A message came or went. */
static void account_locked(struct msq *q, u64 len, int n)
{
    struct ipc_count *c = q->obj.set ? &q->obj.set->kind[IPC_KIND_MSG] : NULL;
    u64 bytes = n < 0 ? -len : len;

    q->cbytes += bytes;
    q->qnum += (u64)(s64)n;
    total_bytes += bytes;
    if (!c) return;
    c->total += bytes;
    c->items += (u64)(s64)n;
}

static void append_locked(struct msq *q, struct msq_msg *m)
{
    m->next = NULL;
    *q->last = m;
    q->last = &m->next;
    account_locked(q, m->len, 1);
}

static void unlink_locked(struct msq *q, struct msq_msg **at)
{
    struct msq_msg *m = *at;

    *at = m->next;
    if (!*at) q->last = at;
    account_locked(q, m->len, -1);
}

int msq_msg_new(s64 type, u64 len, struct msq_msg **out)
{
    if (len > atomic_load(&ipc_ns_settings()->msgmax)) return -EINVAL;
    struct msq_msg *m = len > SYSV_MSG_CEILING ? NULL : try_zalloc(1, sizeof *m + len);
    if (!m) return -ENOMEM;
    m->type = type;
    m->len = len;
    *out = m;
    return 0;
}

sysret_t msq_send(s32 id, struct msq_msg *m, u32 flags)
{
    struct waiter w;
    struct msq *q = NULL;
    sysret_t r;

    if (id < 0 || m->type < 1) return -EINVAL;
    for (;;) {
        lock(&table.lock);
        if (!q) {
            struct ipc_object *o = ipc_find_locked(&table, id);
            if (!o) {
                unlock(&table.lock);
                return -EINVAL;
            }
            q = msq_of(o);
            ref_get(&o->refs);
            waiter_init_current(&w, 0);
            waitq_add(&q->senders, &w);
        }
        r = q->obj.removed ? -EIDRM : ipc_check(&q->obj.perm, IPC_W);
        if (!r && total_bytes + m->len > SYSV_MSGS_CEILING) r = -ENOMEM;
        if (!r && has_room_locked(q, m)) {
            append_locked(q, m);
            q->lspid = current->tg->tgid;
            q->stime = ipc_seconds();
            unlock(&table.lock);
            waitq_wake_all(&q->receivers, 0);
            break;
        }
        unlock(&table.lock);
        if (r) break;
        r = -EAGAIN;
        if (flags & IPC_NOWAIT) break;
        r = task_sleep(KTIME_NEVER);
        if (r) {
            r = -ERESTARTNOHAND;
            break;
        }
    }
    waitq_del(&w);
    msq_put(q);
    return r;
}

/* The message asked for, or NULL. type 0: any; > 0: this one (MSG_EXCEPT: any other); < 0: the lowest up to -type. */
static struct msq_msg **find_locked(struct msq *q, s64 type, u32 flags)
{
    struct msq_msg **at, **best = NULL;
    s64 index = 0, limit = type == INT64_MIN ? INT64_MAX : -type;

    for (at = &q->first; *at; at = &(*at)->next) {
        s64 t = (*at)->type;
        if (flags & MSG_COPY) {
            if (index++ == type) return at;
        } else if (type < 0) {
            if (t <= limit && (!best || t < (*best)->type)) best = at;
        } else if (!type || ((t == type) != !!(flags & MSG_EXCEPT))) {
            return at;
        }
    }
    return best;
}

static struct msq_msg *copy_of(const struct msq_msg *m)
{
    struct msq_msg *c = xzalloc(sizeof *c + m->len);

    memcpy(c, m, sizeof *c + m->len);
    return c;
}

/* 0 and *out; -ENOMSG: none there. */
static sysret_t take_locked(struct msq *q, u64 limit, s64 type, u32 flags, struct msq_msg **out)
{
    if (q->obj.removed) return -EIDRM;
    int r = ipc_check(&q->obj.perm, IPC_R);
    if (r) return r;
    struct msq_msg **at = find_locked(q, type, flags);
    if (!at) return -ENOMSG;
    if ((*at)->len > limit && !(flags & MSG_NOERROR)) return -E2BIG;
    *out = *at;
    if (flags & MSG_COPY) {
        if ((*at)->len > limit) return -EINVAL;   /* copy_msg() */
        *out = copy_of(*at);
        return 0;
    }
    unlink_locked(q, at);
    q->lrpid = current->tg->tgid;
    q->rtime = ipc_seconds();
    return 0;
}

sysret_t msq_receive(s32 id, u64 limit, s64 type, u32 flags, struct msq_msg **out)
{
    struct waiter w;
    struct msq *q;
    sysret_t r;

    if (id < 0 || (s64)limit < 0) return -EINVAL;
    if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))) return -EINVAL;
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    if (o) ref_get(&o->refs);
    unlock(&table.lock);
    if (!o) return -EINVAL;
    q = msq_of(o);
    waiter_init_current(&w, 0);
    waitq_add(&q->receivers, &w);
    for (;;) {
        lock(&table.lock);
        r = take_locked(q, limit, type, flags, out);
        unlock(&table.lock);
        if (r != -ENOMSG || (flags & IPC_NOWAIT)) break;
        r = task_sleep(KTIME_NEVER);
        if (r) {
            r = -ERESTARTNOHAND;
            break;
        }
    }
    waitq_del(&w);
    if (!r && !(flags & MSG_COPY)) waitq_wake_all(&q->senders, 0);
    msq_put(q);
    return r;
}

sysret_t msq_do_stat(s32 id, enum ipc_stat_how how, struct msq_stat *out)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_stat_locked(&table, id, how);
    sysret_t r = o ? 0 : -EINVAL;
    if (o && how != IPC_STAT_ANY) r = ipc_check(&o->perm, IPC_R);
    if (!r) {
        struct msq *q = msq_of(o);
        *out = (struct msq_stat){ .perm = o->perm, .stime = q->stime, .rtime = q->rtime, .ctime = q->ctime, .cbytes = q->cbytes,
            .qnum = q->qnum, .qbytes = q->qbytes, .lspid = q->lspid, .lrpid = q->lrpid };
        r = o->perm.id;
    }
    unlock(&table.lock);
    return r;
}

sysret_t msq_set(s32 id, const struct ipc_set_k *set, u64 qbytes)
{
    struct msq *q = NULL;

    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r && qbytes > atomic_load(&ipc_ns_settings()->msgmnb) && !capable(CAP_SYS_RESOURCE)) r = -EPERM;
    if (!r) {
        q = msq_of(o);
        ipc_apply_set(&o->perm, set);
        q->qbytes = qbytes;
        q->ctime = ipc_seconds();
        ref_get(&o->refs);
    }
    unlock(&table.lock);
    if (q) {
        /* Rights and room may have changed for those who wait. */
        waitq_wake_all(&q->receivers, 0);
        waitq_wake_all(&q->senders, 0);
        msq_put(q);
    }
    return r;
}

static void remove_locked(struct msq *q)
{
    while (q->first) {
        struct msq_msg *m = q->first;
        unlink_locked(q, &q->first);
        free(m);
    }
    ipc_remove_locked(&table, &q->obj);
}

/* Of a removed one: who sleeps there hears of it. */
static void let_go(struct msq *q)
{
    waitq_wake_all(&q->receivers, 0);
    waitq_wake_all(&q->senders, 0);
    msq_put(q);
}

void msq_ns_exit(u32 mark)
{
    for (;;) {
        lock(&table.lock);
        struct ipc_object *o = ipc_left_locked(&table, mark);
        if (o) remove_locked(msq_of(o));
        unlock(&table.lock);
        if (!o) return;
        let_go(msq_of(o));
    }
}

sysret_t msq_remove(s32 id)
{
    struct msq *q = NULL;

    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r) remove_locked(q = msq_of(o));
    unlock(&table.lock);
    if (q) let_go(q);
    return r;
}

s32 msq_max_index(void)
{
    lock(&table.lock);
    s32 r = ipc_max_index_locked(&table);
    unlock(&table.lock);
    return r;
}

void msq_usage(struct msq_usage *out)
{
    lock(&table.lock);
    const struct ipc_count *c = ipc_count_locked(&table);
    *out = (struct msq_usage){ c->used, c->items, c->total };
    unlock(&table.lock);
}

void msq_show(struct strbuf *b)
{
    strbuf_printf(b, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
    lock(&table.lock);
    for (unsigned i = 0; i < table.nslots; i++) {
        if (!table.slots[i] || !ipc_visible(table.slots[i])) continue;
        struct msq *q = msq_of(table.slots[i]);
        const struct ipc_perm_k *p = &q->obj.perm;
        strbuf_printf(b, "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10ld %10ld %10ld\n", p->key, p->id, p->mode,
                      (unsigned long)q->cbytes, (unsigned long)q->qnum, (u32)q->lspid, (u32)q->lrpid, p->uid, p->gid, p->cuid, p->cgid,
                      (long)q->stime, (long)q->rtime, (long)q->ctime);
    }
    unlock(&table.lock);
}
