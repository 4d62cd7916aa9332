/*
 * Mounts and unmounts that travel: from a shared mount to its peers and to all that are slaves of those, directly or through
 * others. Source: Documentation/filesystems/sharedsubtree.rst and propagate_umount.txt of the Linux tree.
 */
#include "sentry/vfs/mount_internal.h"

/* --- mounting --- */

/* Does m get a copy? Not what this very propagation has made, nor what is mounted nowhere. */
static bool wants(const struct mount *m, struct dentry *at)
{
    return m->ns && !m->ns->origin && dentry_is_ancestor(m->root, at);
}

static int copy_for(struct mount *m, struct dentry *at, struct mount *of, unsigned how, struct mount_queue *copies, struct mount **out)
{
    unsigned n = 0;
    struct mount *c;
    int r = mount_copy_locked(of, of->root, how, &n, mount_budget(m->ns), &c);
    if (r) return r;
    m->ns->pending += n;
    c->dest = m;
    c->mountpoint = at;                /* not referenced until it is hung up */
    TAILQ_INSERT_TAIL(copies, c, work);
    *out = c;
    return 0;
}

/* g's members but for `origin`. from: what the first of them copies; g->rep becomes what those below copy. */
static int to_members(struct peer_group *g, struct mount *origin, struct dentry *at, struct mount *from, unsigned how, struct mount_queue *copies)
{
    struct mount *m;
    int r = 0;
    g->rep = from;
    TAILQ_FOREACH(m, &g->members, peer) {
        if (m == origin || !wants(m, at)) continue;
        if ((r = copy_for(m, at, g->rep, how, copies, &g->rep))) break;
        how = CP_MAKE_SHARED;          /* the next ones are peers of the first */
    }
    return r;
}

static int to_slaves(struct peer_group *g, struct dentry *at, struct mount_queue *copies)
{
    struct mount *m, *c;
    int r = 0;
    TAILQ_FOREACH(m, &g->slaves, peer) {
        if (!wants(m, at)) continue;
        if ((r = copy_for(m, at, g->rep, CP_SLAVE, copies, &c))) break;
    }
    return r;
}

int propagate_mount_locked(struct mount *parent, struct dentry *at, struct mount *source, struct mount_queue *copies)
{
    struct peer_group *top = parent->group;
    int r = to_members(top, parent, at, source, CP_MAKE_SHARED, copies);
    if (!r) r = to_slaves(top, at, copies);
    for (struct peer_group *g = top; !r && (g = peer_next_group(g, top)) != NULL;) {
        r = to_members(g, NULL, at, g->master->rep, CP_SLAVE | CP_MAKE_SHARED, copies);
        if (!r) r = to_slaves(g, at, copies);
    }
    return r;
}

bool propagate_would_cover(const struct mount *from, const struct mount *to, const struct dentry *at)
{
    if (!from->group || to->root != at) return false;
    for (const struct peer_group *g = to->group ? to->group : to->master; g; g = g->master)
        if (g == from->group) return true;
    return false;
}

/* --- unmounting --- */

/* Calls fn with each mount on `at` of whatever gets mounts from parent. fn false: nothing new below this group. */
static void each_receiver(struct mount *parent, struct dentry *at, bool (*fn)(struct mount *child, void *arg), void *arg)
{
    struct peer_group *top = parent->group, *g = top;
    struct mount *q, *c;
    while (g) {
        bool known = false;
        TAILQ_FOREACH(q, &g->members, peer)
            if (q != parent && (c = mount_child_locked(q, at)) != NULL && !fn(c, arg)) known = true;
        TAILQ_FOREACH(q, &g->slaves, peer)
            if (!known && (c = mount_child_locked(q, at)) != NULL) fn(c, arg);
        g = known ? peer_skip_group(g, top) : peer_next_group(g, top);
    }
}

static bool is_busy(struct mount *child, void *arg)
{
    bool *busy = arg;
    struct mount *first = TAILQ_FIRST(&child->children);
    /* With mounts on it the copy would stay, unless that one covers it all. */
    if (first && (TAILQ_NEXT(first, child) || first != mount_over(child))) return true;
    if (ref_read(&child->refs) - atomic_load(&child->pins) > 1) *busy = true;
    return true;
}

bool propagate_busy_locked(struct mount *m, u32 refs)
{
    bool busy = !TAILQ_EMPTY(&m->children) || ref_read(&m->refs) - atomic_load(&m->pins) > refs;
    if (!busy && m->parent) each_receiver(m->parent, m->mountpoint, is_busy, &busy);
    return busy;
}

static bool unlock_child(struct mount *child, void *arg UNUSED)
{
    child->locked = false;
    return true;
}

void propagate_unlock_locked(struct mount *m) { each_receiver(m->parent, m->mountpoint, unlock_child, NULL); }

static bool is_candidate(struct mount *child, void *arg)
{
    struct mount_queue *candidates = arg;
    if (child->candidate) return false;
    child->candidate = true;
    if (!child->umounted) TAILQ_INSERT_TAIL(candidates, child, work);
    return true;
}

static void gather(struct mount_queue *set, struct mount_queue *candidates)
{
    struct mount *m;
    TAILQ_FOREACH(m, set, work) {
        if (m->candidate) continue;
        m->candidate = true;
        if (m->parent) each_receiver(m->parent, m->mountpoint, is_candidate, candidates);
    }
    TAILQ_FOREACH(m, set, work) m->candidate = false;
}

static void no_candidate(struct mount *m, struct mount_queue *candidates)
{
    m->candidate = m->marked = false;
    TAILQ_REMOVE(candidates, m, work);
}

static void take(struct mount *m, struct mount_queue *taken)
{
    m->umounted = true;
    TAILQ_INSERT_TAIL(taken, m, work);
}

/* Something stays where m is: no mount above can go unless all between covers its root. */
static void trim_ancestors(struct mount *m)
{
    for (struct mount *p = m->parent; p && p->candidate; m = p, p = p->parent) {
        if (m->marked) return;
        m->marked = true;
        if (m->mountpoint != p->root) p->candidate = false;
    }
}

static void trim(struct mount *m, struct mount_queue *candidates, struct mount_queue *taken)
{
    struct mount *c;
    bool covered = false, holds = false, any = false;
    if (!m->candidate) {               /* by trim_ancestors */
        no_candidate(m, candidates);
        return;
    }
    TAILQ_FOREACH(c, &m->children, child) {
        if (c->umounted) continue;
        any = true;
        if (c->candidate) continue;
        covered = true;
        if (c->mountpoint != m->root) holds = true;
    }
    if (covered) trim_ancestors(m);
    if (holds) {
        no_candidate(m, candidates);
    } else if (!any && !m->locked) {
        no_candidate(m, candidates);
        take(m, taken);
    }
}

/* A locked mount goes only with what it is mounted on. */
static void settle_locked(struct mount *m, struct mount_queue *candidates, struct mount_queue *taken)
{
    struct mount *end = m, *p;
    if (!m->candidate) {
        no_candidate(m, candidates);
        return;
    }
    for (p = m; p->candidate; p = p->parent) {
        no_candidate(p, candidates);
        if (!p->locked) end = p->parent;
    }
    if (p->umounted) end = p;
    for (; m != end; m = m->parent) take(m, taken);
}

/* over stays, what it covers goes: it slides down to the place of the lowest of these. */
static void slide(struct mount *over)
{
    struct mount *low = over->parent;
    while (low->parent->umounted) low = low->parent;
    struct mount *parent = low->parent;
    struct dentry *at = mount_unhook_locked(low);
    low->mountpoint = at;              /* put with low */
    dentry_put(mount_unhook_locked(over));      /* not the last: what it covered holds its root */
    mount_hook_locked(over, parent, at);
}

void propagate_umount_locked(struct mount_queue *set)
{
    struct mount_queue candidates = TAILQ_HEAD_INITIALIZER(candidates), taken = TAILQ_HEAD_INITIALIZER(taken);
    struct mount *m, *next, *over;

    gather(set, &candidates);
    for (m = TAILQ_FIRST(&candidates); m; m = next) {
        next = TAILQ_NEXT(m, work);
        trim(m, &candidates, &taken);
    }
    while ((m = TAILQ_FIRST(&candidates)) != NULL) settle_locked(m, &candidates, &taken);
    TAILQ_FOREACH(m, &taken, work)
        if ((over = mount_over(m)) != NULL && !over->umounted) slide(over);
    TAILQ_CONCAT(set, &taken, work);
}
