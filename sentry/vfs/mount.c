/* Mounts as objects: lifetime, the table of places, steps between mounts. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"
#include <string.h>

rwlock_t mount_lock = RWLOCK_INIT(LC_MOUNT);
u32 mount_max = 100000;

/* Numbers start where Linux starts them, above what could be mistaken for the old ones. */
#define UNIQUE_FIRST (1ULL << 31)
static u64 next_unique = UNIQUE_FIRST + 20;
static u32 live;                               /* (a) struct mount */

/* Both under the lock. By parent and dentry, which stand beside each other in struct mount. */
static struct mount *places;
_Static_assert(offsetof(struct mount, mountpoint) == offsetof(struct mount, parent) + sizeof(void *), "the key of places");
struct point { struct dentry *d; LIST_HEAD(, mount) mounts; UT_hash_handle hh; };
static struct point *points;

struct mount *mount_alloc(struct super *sb, struct dentry *root, u32 flags, const char *source)
{
    struct mount *m = xnew(struct mount);
    ref_init(&m->refs);
    TAILQ_INIT(&m->children);
    m->unique = atomic_add(&next_unique, 1);
    m->id = (u32)(m->unique & (UNIQUE_FIRST - 1));
    m->flags = flags;
    super_get(sb);
    atomic_add(&sb->active, 1);
    m->sb = sb;
    dentry_get(root);
    m->root = root;
    m->source = xstrdup(source ? source : "none");
    atomic_add(&live, 1);
    return m;
}

unsigned mount_budget(const struct mnt_ns *ns)
{
    u32 max = atomic_load(&mount_max), all = atomic_load(&live), in = ns->nr + ns->pending;
    return in >= max || all >= MOUNT_TOTAL_MAX ? 0 : MIN(max - in, MOUNT_TOTAL_MAX - all);
}

struct mount *mount_new_internal(struct super *sb) { return mount_alloc(sb, sb->root, 0, sb->ops->name); }

void mount_get(struct mount *m) { ref_get(&m->refs); }

/* A tree that was unmounted in one piece falls apart with its root; its references to what hangs on it become dead's. */
static void drop_children(struct mount *m, struct mount_queue *dead)
{
    struct mount *c;
    write_lock(&mount_lock);
    while ((c = TAILQ_FIRST(&m->children)) != NULL) {
        struct dentry *at = mount_unhook_locked(c);
        c->mountpoint = at;            /* put with c */
        TAILQ_INSERT_TAIL(dead, c, work);
    }
    rw_unlock(&mount_lock);
}

static void release(struct mount *m, struct mount_queue *dead)
{
    struct super *sb = m->sb;
    if (!TAILQ_EMPTY(&m->children)) drop_children(m, dead);
    dentry_put(m->mountpoint);
    dentry_put(m->root);
    if (atomic_add(&sb->active, -1) == 0) {
        if (sb->root) dentry_drop_children(sb->root);
        if (sb->ops->kill) sb->ops->kill(sb);
    }
    super_put(sb);
    free(m->source);
    free(m);
    (void)atomic_add(&live, -1);
}

void mount_puts(struct mount_queue *dead)
{
    struct mount *m;
    while ((m = TAILQ_FIRST(dead)) != NULL) {
        TAILQ_REMOVE(dead, m, work);
        if (ref_put(&m->refs)) release(m, dead);
    }
}

void mount_put(struct mount *m)
{
    if (!m || !ref_put(&m->refs)) return;
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    release(m, &dead);
    mount_puts(&dead);
}

_Thread_local bool mount_keep_expiring;

void path_get(const struct path *p)
{
    if (p->mnt) mount_get(p->mnt);
    if (p->dentry) dentry_get(p->dentry);
}

void path_put(struct path *p)
{
    struct path old = *p;
    *p = (struct path){ 0 };
    dentry_put(old.dentry);
    if (old.mnt && unlikely(atomic_load(&old.mnt->expiring)) && !mount_keep_expiring) atomic_store(&old.mnt->expiring, 0);
    mount_put(old.mnt);
}

/* --- places --- */

struct mount *mount_child_locked(const struct mount *parent, const struct dentry *at)
{
    const struct { const struct mount *parent; const struct dentry *at; } key = { parent, at };
    struct mount *m;
    if (!atomic_load(&at->nmounts)) return NULL;
    HASH_FIND(hh, places, &key, sizeof(key), m);
    return m;
}

void mount_hook_locked(struct mount *m, struct mount *parent, struct dentry *at)
{
    struct point *p;
    dentry_get(at);
    m->parent = parent;
    m->mountpoint = at;
    HASH_ADD_KEYPTR(hh, places, &m->parent, 2 * sizeof(void *), m);
    TAILQ_INSERT_TAIL(&parent->children, m, child);
    HASH_FIND_PTR(points, &at, p);
    if (!p) {
        p = xnew(struct point);
        p->d = at;
        HASH_ADD_PTR(points, d, p);
    }
    LIST_INSERT_HEAD(&p->mounts, m, same_point);
    atomic_add(&at->nmounts, 1);
}

struct dentry *mount_unhook_locked(struct mount *m)
{
    struct dentry *at = m->mountpoint;
    struct point *p;
    if (!m->parent) return NULL;
    HASH_DELETE(hh, places, m);
    TAILQ_REMOVE(&m->parent->children, m, child);
    LIST_REMOVE(m, same_point);
    HASH_FIND_PTR(points, &at, p);
    if (LIST_EMPTY(&p->mounts)) {
        HASH_DEL(points, p);
        free(p);
    }
    (void)atomic_add(&at->nmounts, -1);
    m->parent = NULL;
    m->mountpoint = NULL;
    return at;
}

bool dentry_is_mounted_here(struct dentry *d)
{
    struct point *p;
    struct mount *m = NULL;
    if (!atomic_load(&d->nmounts)) return false;
    read_lock(&mount_lock);
    HASH_FIND_PTR(points, &d, p);
    if (p) {
        LIST_FOREACH(m, &p->mounts, same_point)
            if (mount_is_mine(m)) break;
    }
    rw_unlock(&mount_lock);
    return m;
}

void dentry_detach_mounts(struct dentry *d)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    struct point *p;
    if (!atomic_load(&d->nmounts)) return;
    write_lock(&mount_lock);
    for (;;) {
        HASH_FIND_PTR(points, &d, p);
        if (!p) break;
        struct mount *m = LIST_FIRST(&p->mounts);
        if (m->umounted) {
            m->mountpoint = mount_unhook_locked(m);
            TAILQ_INSERT_TAIL(&dead, m, work);
        } else {
            mount_umount_tree_locked(m, UMOUNT_CONNECTED, &dead);
        }
    }
    rw_unlock(&mount_lock);
    mount_puts(&dead);
}

struct path mount_place_locked(const struct path *p)
{
    struct path at = *p;
    struct mount *m;
    while ((m = mount_child_locked(at.mnt, at.dentry)) != NULL) at = (struct path){ m, m->root };
    return at;
}

void path_follow_mount(struct path *p)
{
    if (!p->dentry || !p->mnt || !atomic_load(&p->dentry->nmounts)) return;
    struct path old = { 0 };
    read_lock(&mount_lock);
    struct path at = mount_place_locked(p);
    if (at.mnt != p->mnt) {
        old = *p;
        *p = at;
        path_get(p);
    }
    rw_unlock(&mount_lock);
    path_put(&old);
}

bool path_up_mount(struct path *p)
{
    struct path up = { 0 };
    read_lock(&mount_lock);
    if (p->mnt->parent) {
        up = (struct path){ p->mnt->parent, p->mnt->mountpoint };
        path_get(&up);
    }
    rw_unlock(&mount_lock);
    if (!up.mnt) return false;
    path_put(p);
    *p = up;
    return true;
}

struct mount *mount_next(struct mount *m, const struct mount *top, bool skip)
{
    struct mount *n = skip ? NULL : TAILQ_FIRST(&m->children);
    while (!n && m != top) {
        n = TAILQ_NEXT(m, child);
        m = m->parent;
    }
    return n;
}

bool mount_is_under(const struct mount *m, const struct mount *top)
{
    for (; m; m = m->parent)
        if (m == top) return true;
    return false;
}

/* Is p at or below top? */
static bool reachable(struct mount *m, struct dentry *d, const struct path *top)
{
    while (m != top->mnt && m->parent) {
        d = m->mountpoint;
        m = m->parent;
    }
    return m == top->mnt && dentry_is_ancestor(top->dentry, d);
}

bool mount_reachable_locked(const struct path *p, const struct path *top) { return reachable(p->mnt, p->dentry, top); }

bool mount_is_below(struct mount *m, const struct path *root)
{
    read_lock(&mount_lock);
    bool r = reachable(m, m->root, root);
    rw_unlock(&mount_lock);
    return r;
}

/* The nearest group above m that has a member which root's owner sees: propagate_from of mountinfo. */
static u32 seen_master(const struct mount *m, const struct path *root)
{
    struct mount *s;
    for (struct peer_group *g = peer_master(m); g; g = g->master)
        TAILQ_FOREACH(s, &g->members, peer)
            if (s->ns == m->ns && reachable(s, s->root, root)) return g->id;
    return 0;
}

void mount_get_info(struct mount *m, const struct path *root, struct mount_info *out)
{
    read_lock(&mount_lock);
    const struct mount *up = m->parent ? m->parent : m;
    const struct peer_group *master = peer_master(m);
    *out = (struct mount_info){ .parent_id = up->id, .parent_unique = up->unique, .group = m->group ? m->group->id : 0,
        .master = master ? master->id : 0, .unbindable = m->unbindable, .has_parent = m->parent, .ns_seq = m->ns ? m->ns->seq : 0 };
    if (master) out->from = seen_master(m, root);
    rw_unlock(&mount_lock);
}
