/*
 * System V semaphores. An operation that cannot be done now queues up at its set; whoever changes the set tries the
 * queue in order, carries out what has become possible on behalf of the sleeper, and wakes it. Follows ipc/sem.c of
 * Linux, semop(2), semctl(2).
 */
#include "sentry/base/alloc.h"
#include "sentry/base/list.h"
#include "sentry/ipc/ids.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include <string.h>
#include <sys/sem.h>

struct sem { s32 val, pid; };

/* Adjustments of one undo list to one set. */
struct sem_adj {
    LIST_ENTRY(sem_adj) in_set, in_list;
    struct semset *set;
    struct sem_undo_list *owner;
    s16 *adj;
};

/* table.lock */
struct sem_undo_list { refcount_t refs; LIST_HEAD(, sem_adj) adjs; };

/* Somebody who waits; lives on its stack. */
struct sem_wait {
    TAILQ_ENTRY(sem_wait) link;    /* table.lock */
    const struct sem_op *ops; unsigned n;
    unsigned blocker;              /* which of ops cannot be done */
    struct sem_adj *adj;           /* NULL: no SEM_UNDO among them */
    s32 pid;
    struct task *task;
    bool done;                     /* table.lock: off the queue, with: */
    int result;
};

struct semset {
    struct ipc_object obj;
    u32 n;                         /* (c) */
    struct sem *sems;
    s64 otime, ctime;
    TAILQ_HEAD(, sem_wait) waiters;
    LIST_HEAD(, sem_adj) adjs;
};

static struct ipc_table table = IPC_TABLE_INIT(IPC_KIND_SEM);
static u32 total_sems;             /* table.lock; of all namespaces */

static struct semset *set_of(struct ipc_object *o) { return container_of(o, struct semset, obj); }

static void set_put(struct semset *s)
{
    if (!ref_put(&s->obj.refs)) return;
    free(s->sems);
    free(s);
}

/* 0 done (values, pids and adjustments are changed); 1: has to wait, *blocker says why; -errno, nothing changed. */
static int try_ops_locked(struct semset *s, const struct sem_op *ops, unsigned n, struct sem_adj *adj, s32 pid, unsigned *blocker)
{
    unsigned i;
    int r = 0;

    for (i = 0; i < n; i++) {
        const struct sem_op *o = &ops[i];
        struct sem *v = &s->sems[o->num];
        s32 to = v->val + o->op;
        if ((!o->op && v->val) || to < 0) {
            *blocker = i;
            r = o->flags & IPC_NOWAIT ? -EAGAIN : 1;
            break;
        }
        if (to > SYSV_SEMVMX) {
            r = -ERANGE;
            break;
        }
        if (o->flags & SEM_UNDO) {
            s32 u = adj->adj[o->num] - o->op;
            if (u < -SYSV_SEMAEM - 1 || u > SYSV_SEMAEM) {
                r = -ERANGE;
                break;
            }
            adj->adj[o->num] = (s16)u;
        }
        v->val = to;
    }
    if (!r) {
        for (i = 0; i < n; i++) s->sems[ops[i].num].pid = pid;
        return 0;
    }
    while (i-- > 0) {
        s->sems[ops[i].num].val -= ops[i].op;
        if (ops[i].flags & SEM_UNDO) adj->adj[ops[i].num] = (s16)(adj->adj[ops[i].num] + ops[i].op);
    }
    return r;
}

static void finish_locked(struct semset *s, struct sem_wait *w, int result)
{
    TAILQ_REMOVE(&s->waiters, w, link);
    w->result = result;
    w->done = true;
    task_wake(w->task);   /* it takes the lock before it leaves: the task is there */
}

static bool alters(const struct sem_op *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ops[i].op) return true;
    return false;
}

/* After a change of values. True: operations of others were carried out. */
static bool update_queue_locked(struct semset *s)
{
    struct sem_wait *w, *next;
    bool any = false, again;

    do {
        again = false;
        TAILQ_FOREACH_SAFE(w, &s->waiters, link, next) {
            int r = try_ops_locked(s, w->ops, w->n, w->adj, w->pid, &w->blocker);
            if (r == 1) continue;
            finish_locked(s, w, r);
            if (r) continue;
            any = true;
            if (alters(w->ops, w->n)) {
                again = true;
                break;
            }
        }
    } while (again);
    return any;
}

static void adj_free_locked(struct sem_adj *a)
{
    LIST_REMOVE(a, in_set);
    LIST_REMOVE(a, in_list);
    free(a->adj);
    free(a);
}

static void remove_locked(struct semset *s)
{
    struct sem_wait *w;

    if (s->obj.set) s->obj.set->kind[IPC_KIND_SEM].total -= s->n;
    ipc_remove_locked(&table, &s->obj);
    total_sems -= s->n;
    while ((w = TAILQ_FIRST(&s->waiters))) {
        w->adj = NULL;
        finish_locked(s, w, -EIDRM);
    }
    while (LIST_FIRST(&s->adjs)) adj_free_locked(LIST_FIRST(&s->adjs));
}

/* --- SEM_UNDO --- */

static struct sem_adj *adj_get_locked(struct semset *s)
{
    struct sem_undo_list *l = current->sysvsem;
    struct sem_adj *a;

    if (!l) {
        l = current->sysvsem = xnew(struct sem_undo_list);
        ref_init(&l->refs);
        LIST_INIT(&l->adjs);
    }
    LIST_FOREACH(a, &l->adjs, in_list)
        if (a->set == s) return a;
    a = xnew(struct sem_adj);
    a->adj = xzalloc(s->n * sizeof a->adj[0]);
    a->set = s;
    a->owner = l;
    LIST_INSERT_HEAD(&s->adjs, a, in_set);
    LIST_INSERT_HEAD(&l->adjs, a, in_list);
    return a;
}

void sem_undo_clone(struct task *child, bool share)
{
    child->sysvsem = NULL;
    if (!share) return;
    lock(&table.lock);
    struct sem_undo_list *l = current->sysvsem;
    if (!l) {
        l = current->sysvsem = xnew(struct sem_undo_list);
        ref_init(&l->refs);
        LIST_INIT(&l->adjs);
    }
    ref_get(&l->refs);
    child->sysvsem = l;
    unlock(&table.lock);
}

void sem_undo_exit(struct task *t)
{
    struct sem_undo_list *l = t->sysvsem;
    struct sem_adj *a;

    if (!l) return;
    t->sysvsem = NULL;
    if (!ref_put(&l->refs)) return;
    lock(&table.lock);
    while ((a = LIST_FIRST(&l->adjs))) {
        struct semset *s = a->set;
        for (u32 i = 0; i < s->n; i++) {
            if (!a->adj[i]) continue;
            /* No waiting here and no failing: what does not fit is cut to the range. */
            s32 v = s->sems[i].val + a->adj[i];
            s->sems[i].val = v < 0 ? 0 : MIN(v, SYSV_SEMVMX);
            s->sems[i].pid = t->tg->tgid;
        }
        adj_free_locked(a);
        update_queue_locked(s);
        s->otime = ipc_seconds();
    }
    unlock(&table.lock);
    free(l);
}

/* --- operations --- */

static sysret_t start_locked(s32 id, struct sem_wait *w, struct semset **out)
{
    u32 want = alters(w->ops, w->n) ? IPC_W : IPC_R, top = 0;
    struct ipc_object *o = ipc_find_locked(&table, id);
    bool undo = false;
    int r;

    if (!o) return -EINVAL;
    struct semset *s = set_of(o);
    for (unsigned i = 0; i < w->n; i++) {
        top = MAX(top, (u32)w->ops[i].num);
        undo |= w->ops[i].flags & SEM_UNDO;
    }
    if (top >= s->n) return -EFBIG;
    if ((r = ipc_check(&o->perm, want))) return r;
    if (undo) w->adj = adj_get_locked(s);
    r = try_ops_locked(s, w->ops, w->n, w->adj, w->pid, &w->blocker);
    if (!r) {
        if (want == IPC_W) update_queue_locked(s);
        s->otime = ipc_seconds();
    }
    if (r == 1) {
        TAILQ_INSERT_TAIL(&s->waiters, w, link);
        ref_get(&s->obj.refs);
        *out = s;
    }
    return r;
}

int sem_check_count(u64 n)
{
    if (n > atomic_load(&ipc_ns_settings()->sem[2])) return -E2BIG;
    return n > SYSV_SEMOPS_CEILING ? -ENOMEM : 0;
}

sysret_t sem_operate(s32 id, const struct sem_op *ops, unsigned n, ktime_t deadline)
{
    struct sem_wait w = { .ops = ops, .n = n, .pid = current->tg->tgid, .task = current };
    struct semset *s = NULL;
    sysret_t r;

    if (n < 1 || id < 0) return -EINVAL;
    int bad = sem_check_count(n);
    if (bad) return bad;
    lock(&table.lock);
    r = start_locked(id, &w, &s);
    unlock(&table.lock);
    if (r != 1) return r;
    do {
        r = task_sleep(deadline);
        lock(&table.lock);
        if (w.done) {
            r = w.result;
        } else if (r) {
            TAILQ_REMOVE(&s->waiters, &w, link);
            r = r == -ETIMEDOUT ? -EAGAIN : -EINTR;   /* never restarted: signal(7) */
            w.done = true;
        }
        unlock(&table.lock);
    } while (!w.done);
    set_put(s);
    return r;
}

/* --- sets --- */

static struct semset *make_locked(s32 key, s32 nsems, u32 flags)
{
    struct semset *s = xnew(struct semset);

    s->n = (u32)nsems;
    s->sems = xzalloc(s->n * sizeof s->sems[0]);
    s->ctime = ipc_seconds();
    TAILQ_INIT(&s->waiters);
    LIST_INIT(&s->adjs);
    ipc_insert_locked(&table, &s->obj, key, flags);
    total_sems += s->n;
    s->obj.set->kind[IPC_KIND_SEM].total += s->n;
    return s;
}

sysret_t sem_get(s32 key, s32 nsems, u32 flags)
{
    struct ipc_object *o = NULL;
    const struct ipc_settings *set = ipc_ns_settings();
    sysret_t r;

    if (nsems < 0 || (u32)nsems > atomic_load(&set->sem[0])) return -EINVAL;
    lock(&table.lock);
    r = ipc_lookup_key_locked(&table, key, flags, &o);
    if (r == 0) {
        if (nsems > (s32)set_of(o)->n) r = -EINVAL;
        else r = ipc_check(&o->perm, flags);
        if (!r) r = o->perm.id;
    } else if (r == 1) {
        if (!nsems) r = -EINVAL;
        else if (ipc_count_locked(&table)->total + (u32)nsems > atomic_load(&set->sem[1])) r = -ENOSPC;
        else if (ipc_full_locked(&table, atomic_load(&set->sem[3]))) r = -ENOSPC;
        else if (total_sems + (u64)(u32)nsems > SYSV_SEMS_CEILING) r = -ENOMEM;
        else r = make_locked(key, nsems, flags)->obj.perm.id;
    }
    unlock(&table.lock);
    return r;
}

sysret_t sem_do_stat(s32 id, enum ipc_stat_how how, struct sem_stat *out)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_stat_locked(&table, id, how);
    sysret_t r = o ? 0 : -EINVAL;
    if (o && how != IPC_STAT_ANY) r = ipc_check(&o->perm, IPC_R);
    if (!r) {
        struct semset *s = set_of(o);
        *out = (struct sem_stat){ .perm = o->perm, .otime = s->otime, .ctime = s->ctime, .nsems = s->n };
        r = o->perm.id;
    }
    unlock(&table.lock);
    return r;
}

sysret_t sem_set(s32 id, const struct ipc_set_k *set)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r) {
        ipc_apply_set(&o->perm, set);
        set_of(o)->ctime = ipc_seconds();
    }
    unlock(&table.lock);
    return r;
}

void sem_ns_exit(u32 mark)
{
    for (;;) {
        lock(&table.lock);
        struct ipc_object *o = ipc_left_locked(&table, mark);
        if (o) remove_locked(set_of(o));
        unlock(&table.lock);
        if (!o) return;
        set_put(set_of(o));
    }
}

sysret_t sem_remove(s32 id)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r) remove_locked(set_of(o));
    unlock(&table.lock);
    if (!r) set_put(set_of(o));
    return r;
}

/* Sleepers that wait for semaphore num: for an increase, or for zero. */
static sysret_t count_waiters_locked(struct semset *s, s32 num, bool zero)
{
    struct sem_wait *w;
    sysret_t n = 0;

    TAILQ_FOREACH(w, &s->waiters, link) {
        const struct sem_op *o = &w->ops[w->blocker];
        if (o->num == num && (o->op == 0) == zero) n++;
    }
    return n;
}

sysret_t sem_get_one(s32 id, s32 num, enum sem_value what)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = o ? ipc_check(&o->perm, IPC_R) : -EINVAL;
    if (!r && (num < 0 || num >= (s32)set_of(o)->n)) r = -EINVAL;
    if (!r) {
        struct semset *s = set_of(o);
        switch (what) {
        case SEM_VALUE: r = s->sems[num].val; break;
        case SEM_PID: r = s->sems[num].pid; break;
        case SEM_NCOUNT: r = count_waiters_locked(s, num, false); break;
        case SEM_ZCOUNT: r = count_waiters_locked(s, num, true); break;
        }
    }
    unlock(&table.lock);
    return r;
}

static void changed_locked(struct semset *s)
{
    s->ctime = ipc_seconds();
    if (update_queue_locked(s)) s->otime = ipc_seconds();
}

sysret_t sem_set_one(s32 id, s32 num, s32 val)
{
    struct sem_adj *a;

    if (val < 0 || val > SYSV_SEMVMX) return -ERANGE;
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o || num < 0 || num >= (s32)set_of(o)->n ? -EINVAL : ipc_check(&o->perm, IPC_W);
    if (!r) {
        struct semset *s = set_of(o);
        LIST_FOREACH(a, &s->adjs, in_set) a->adj[num] = 0;
        s->sems[num] = (struct sem){ val, current->tg->tgid };
        changed_locked(s);
    }
    unlock(&table.lock);
    return r;
}

sysret_t sem_count(s32 id, bool write)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = o ? ipc_check(&o->perm, write ? IPC_W : IPC_R) : -EINVAL;
    if (!r) r = set_of(o)->n;
    unlock(&table.lock);
    return r;
}

sysret_t sem_get_all(s32 id, u16 *vals, unsigned n)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = o && set_of(o)->n == n ? 0 : -EIDRM;
    for (unsigned i = 0; !r && i < n; i++) vals[i] = (u16)set_of(o)->sems[i].val;
    unlock(&table.lock);
    return r;
}

sysret_t sem_set_all(s32 id, const u16 *vals, unsigned n)
{
    struct sem_adj *a;

    for (unsigned i = 0; i < n; i++)
        if (vals[i] > SYSV_SEMVMX) return -ERANGE;
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = o && set_of(o)->n == n ? 0 : -EIDRM;
    if (!r) {
        struct semset *s = set_of(o);
        for (unsigned i = 0; i < n; i++) s->sems[i] = (struct sem){ vals[i], current->tg->tgid };
        LIST_FOREACH(a, &s->adjs, in_set) memset(a->adj, 0, n * sizeof a->adj[0]);
        changed_locked(s);
    }
    unlock(&table.lock);
    return r;
}

s32 sem_max_index(void)
{
    lock(&table.lock);
    s32 r = ipc_max_index_locked(&table);
    unlock(&table.lock);
    return r;
}

void sem_usage(u32 *sets, u32 *sems)
{
    lock(&table.lock);
    *sets = ipc_count_locked(&table)->used;
    *sems = (u32)ipc_count_locked(&table)->total;
    unlock(&table.lock);
}

void sem_show(struct strbuf *b)
{
    strbuf_printf(b, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    lock(&table.lock);
    for (unsigned i = 0; i < table.nslots; i++) {
        if (!table.slots[i] || !ipc_visible(table.slots[i])) continue;
        struct semset *s = set_of(table.slots[i]);
        const struct ipc_perm_k *p = &s->obj.perm;
        strbuf_printf(b, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", p->key, p->id, p->mode, s->n, p->uid, p->gid, p->cuid,
                      p->cgid, (long)s->otime, (long)s->ctime);
    }
    unlock(&table.lock);
}
