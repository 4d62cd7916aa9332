/*
 * Pid namespaces: inside the kernel a process has one number, the sandbox's. A task made in a namespace of the guest's
 * own has a further number there and in each namespace above, but for the initial one. pid_namespaces(7)
 */
#include "sentry/kernel/pid_ns.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include <linux/capability.h>
#include <string.h>

#define PID_NS_LEVELS 32

struct pid_entry { s32 nr; struct pid_ns *ns; /* counted */ struct pid_numbers *of; UT_hash_handle hh; };
struct pid_numbers { s32 id; UT_hash_handle hh; unsigned levels; struct pid_entry at[]; };

static rwlock_t numbers_lock = RWLOCK_INIT(LC_LEAF);   /* guards: */
static struct pid_numbers *numbers;                    /* by the kernel's id; and by_nr, next of each namespace */

static void free_pid_ns(struct ns *ns)
{
    struct pid_ns *p = container_of(ns, struct pid_ns, ns);
    struct pid_ns *parent = p->parent;
    free(p);
    if (parent) ns_put(&parent->ns);
}

int pid_ns_new(struct pid_ns *parent, struct user_ns *owner, struct ns **out)
{
    if ((parent ? parent->level : 0) >= PID_NS_LEVELS) return -ENOSPC;
    struct pid_ns *p = xnew(struct pid_ns);
    ns_init(&p->ns, NS_PID, owner, free_pid_ns);
    p->parent = parent;
    if (parent) ns_get(&parent->ns);
    p->level = parent ? parent->level + 1 : 1;
    p->next = 1;
    *out = &p->ns;
    return 0;
}

bool pid_ns_contains(const struct pid_ns *above, const struct pid_ns *ns)
{
    if (!above) return true;
    while (ns && ns != above) ns = ns->parent;
    return ns == above;
}

static struct pid_entry *entry_locked(struct pid_ns *ns, s32 nr)
{
    struct pid_entry *e;
    HASH_FIND(hh, ns->by_nr, &nr, sizeof nr, e);
    return e;
}

static s32 next_free_locked(struct pid_ns *ns)
{
    for (s32 tries = 0; tries < kernel.pid_max; tries++) {
        if (ns->next >= kernel.pid_max) ns->next = 300;   /* as Linux: the low ones only once */
        s32 nr = ns->next++;
        if (!entry_locked(ns, nr)) return nr;
    }
    return -EAGAIN;
}

s32 pid_ns_last(struct pid_ns *ns)
{
    s32 r;
    if (!ns) {
        lock(&kernel.tasklist);
        r = kernel.next_tid - 1;
        unlock(&kernel.tasklist);
        return r;
    }
    read_lock(&numbers_lock);
    r = ns->next - 1;
    rw_unlock(&numbers_lock);
    return r;
}

void pid_ns_set_last(struct pid_ns *ns, s32 nr)
{
    if (!ns) {
        lock(&kernel.tasklist);
        kernel.next_tid = nr + 1;
        unlock(&kernel.tasklist);
        return;
    }
    write_lock(&numbers_lock);
    ns->next = nr + 1;
    rw_unlock(&numbers_lock);
}

int pid_ns_number(s32 id, struct pid_ns *ns, s32 wanted, s32 *own)
{
    int r = 0;

    *own = id;
    if (!ns) return 0;
    struct pid_numbers *n = xzalloc(sizeof *n + ns->level * sizeof n->at[0]);
    n->id = id;
    write_lock(&numbers_lock);
    for (struct pid_ns *p = ns; p; p = p->parent) {
        s32 nr = p == ns && wanted ? (entry_locked(p, wanted) ? -EEXIST : wanted) : next_free_locked(p);
        if (nr < 0) {
            r = nr;
            break;
        }
        struct pid_entry *e = &n->at[n->levels++];
        *e = (struct pid_entry){ .nr = nr, .ns = p, .of = n };
        ns_get(&p->ns);
        HASH_ADD(hh, p->by_nr, nr, sizeof e->nr, e);
    }
    if (r) {
        for (unsigned i = 0; i < n->levels; i++) HASH_DELETE(hh, n->at[i].ns->by_nr, &n->at[i]);
    } else {
        HASH_ADD(hh, numbers, id, sizeof n->id, n);
        *own = n->at[0].nr;
    }
    rw_unlock(&numbers_lock);
    if (r) {
        for (unsigned i = 0; i < n->levels; i++) ns_put(&n->at[i].ns->ns);
        free(n);
    }
    return r;
}

void pid_ns_release_locked(s32 id)
{
    struct pid_numbers *n;

    if (pid_in_use_locked(id)) return;
    write_lock(&numbers_lock);
    HASH_FIND(hh, numbers, &id, sizeof id, n);
    if (n) {
        HASH_DEL(numbers, n);
        for (unsigned i = 0; i < n->levels; i++) HASH_DELETE(hh, n->at[i].ns->by_nr, &n->at[i]);
    }
    rw_unlock(&numbers_lock);
    if (!n) return;
    for (unsigned i = 0; i < n->levels; i++) ns_put(&n->at[i].ns->ns);
    free(n);
}

s32 pid_to_ns(s32 id, const struct pid_ns *ns)
{
    struct pid_numbers *n;
    s32 nr = 0;

    if (!ns || id <= 0) return id;
    read_lock(&numbers_lock);
    HASH_FIND(hh, numbers, &id, sizeof id, n);
    for (unsigned i = 0; n && i < n->levels; i++)
        if (n->at[i].ns == ns) nr = n->at[i].nr;
    rw_unlock(&numbers_lock);
    return nr;
}

s32 pid_from_ns(s32 nr, struct pid_ns *ns)
{
    if (!ns || nr <= 0) return nr;
    read_lock(&numbers_lock);
    struct pid_entry *e = entry_locked(ns, nr);
    s32 id = e ? e->of->id : INT32_MAX;
    rw_unlock(&numbers_lock);
    return id;
}

s32 pid_in(s32 nr) { return current ? pid_from_ns(nr, current->tg->pid_ns) : nr; }
s32 pid_out(s32 id) { return current ? pid_to_ns(id, current->tg->pid_ns) : id; }

s32 pid_ns_next(struct pid_ns *ns, s32 nr)
{
    struct pid_entry *e, *tmp;
    s32 best = 0;

    read_lock(&numbers_lock);
    HASH_ITER(hh, ns->by_nr, e, tmp)
        if (e->nr >= nr && (!best || e->nr < best)) best = e->nr;
    rw_unlock(&numbers_lock);
    return best;
}

void pid_ns_chain(s32 id, const struct pid_ns *from, s32 out[PID_NS_CHAIN], unsigned *n)
{
    struct pid_numbers *p;
    s32 up[PID_NS_CHAIN];
    unsigned k = 0;

    read_lock(&numbers_lock);
    HASH_FIND(hh, numbers, &id, sizeof id, p);
    for (unsigned i = 0; p && i < p->levels; i++) {
        up[k++] = p->at[i].nr;
        if (p->at[i].ns == from) break;
    }
    rw_unlock(&numbers_lock);
    if (!from) up[k++] = id;
    for (*n = 0; k > 0; k--) out[(*n)++] = up[k - 1];
}

struct tgroup *pid_ns_init_locked(const struct pid_ns *ns) { return ns ? ns->init : kernel.init; }
