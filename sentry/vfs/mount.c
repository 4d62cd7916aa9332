/*
 * Mounts and mount namespaces. mount_lock guards every namespace's list, parent and mountpoint of every mount.
 * The namespace holds one reference on each of its mounts; paths hold the others.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/walk.h"
#include <string.h>
#include <sys/mount.h>

static rwlock_t mount_lock = RWLOCK_INIT(LC_MOUNT);
static u32 next_mount_id = 20;

static struct mount *mount_alloc(struct super *sb, struct dentry *root, u32 flags, const char *source)
{
    struct mount *m = xnew(struct mount);
    ref_init(&m->refs);
    m->id = atomic_add(&next_mount_id, 1);
    m->flags = flags;
    super_get(sb);
    atomic_add(&sb->active, 1);
    m->sb = sb;
    dentry_get(root);
    m->root = root;
    m->source = xstrdup(source ? source : "none");
    return m;
}

void mount_get(struct mount *m) { ref_get(&m->refs); }

void mount_put(struct mount *m)
{
    if (!m || !ref_put(&m->refs)) return;
    struct super *sb = m->sb;
    dentry_put(m->mountpoint);
    dentry_put(m->root);
    if (atomic_add(&sb->active, -1) == 0) {
        if (sb->root) dentry_drop_children(sb->root);
        if (sb->ops->kill) sb->ops->kill(sb);
    }
    super_put(sb);
    free(m->source);
    free(m);
}

struct mount *mount_new_internal(struct super *sb) { return mount_alloc(sb, sb->root, 0, sb->ops->name); }

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
    mount_put(old.mnt);
}

static void ns_free(struct ns *n);

static struct mnt_ns *ns_alloc(struct user_ns *owner)
{
    struct mnt_ns *ns = xnew(struct mnt_ns);
    ns_init(&ns->ns, NS_MNT, owner, ns_free);
    TAILQ_INIT(&ns->mounts);
    return ns;
}

/* Into ns, which takes the reference; behind its parent in the list. */
static void add_locked(struct mnt_ns *ns, struct mount *m, struct mount *parent, struct dentry *at)
{
    m->ns = ns;
    m->parent = parent;
    if (at) {
        dentry_get(at);
        m->mountpoint = at;
        atomic_add(&at->nmounts, 1);
    }
    TAILQ_INSERT_TAIL(&ns->mounts, m, link);
    ns->nr++;
    ns->event++;
}

struct mnt_ns *mnt_ns_new(struct super *root_sb, u32 flags, const char *source)
{
    struct mnt_ns *ns = ns_alloc(NULL);
    ns->ns.inum = ns_inum(NULL, NS_MNT);
    ns->root = mount_alloc(root_sb, root_sb->root, flags, source);
    add_locked(ns, ns->root, NULL, NULL);
    return ns;
}

void mnt_ns_get(struct mnt_ns *ns) { ns_get(&ns->ns); }
void mnt_ns_put(struct mnt_ns *ns) { ns_put(ns ? &ns->ns : NULL); }

/* Takes m out of its namespace; its reference there goes to `gone`. */
static void detach_locked(struct mount *m, struct mount **gone, unsigned *n)
{
    TAILQ_REMOVE(&m->ns->mounts, m, link);
    m->ns->nr--;
    m->ns->event++;
    if (m->parent) (void)atomic_add(&m->mountpoint->nmounts, -1);
    m->parent = NULL;
    m->ns = NULL;
    m->detached = true;
    gone[(*n)++] = m;
}

static void ns_free(struct ns *n)
{
    struct mnt_ns *ns = container_of(n, struct mnt_ns, ns);
    for (;;) {
        struct mount *gone[1];
        unsigned k = 0;
        write_lock(&mount_lock);
        struct mount *m = TAILQ_LAST(&ns->mounts, mount_list);
        if (m) detach_locked(m, gone, &k);
        rw_unlock(&mount_lock);
        if (!k) break;
        mount_put(gone[0]);
    }
    free(ns);
}

static struct mount *child_locked(struct mount *parent, struct dentry *at)
{
    struct mount *m;
    if (!parent->ns) return NULL;
    TAILQ_FOREACH(m, &parent->ns->mounts, link)
        if (m->parent == parent && m->mountpoint == at) return m;
    return NULL;
}

void path_follow_mount(struct path *p)
{
    if (!p->dentry || !p->mnt || !atomic_load(&p->dentry->nmounts)) return;
    struct path old = { 0 };
    read_lock(&mount_lock);
    struct mount *m = p->mnt, *c;
    struct dentry *d = p->dentry;
    while ((c = child_locked(m, d)) != NULL) {
        m = c;
        d = c->root;
    }
    if (m != p->mnt) {
        old = *p;
        p->mnt = m;
        p->dentry = d;
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

int vfs_mount(struct mnt_ns *ns, const struct path *at, struct super *sb, struct dentry *root, u32 flags, const char *source)
{
    struct path p = *at;
    path_get(&p);
    path_follow_mount(&p);
    if (!root) root = sb->root;
    int r = 0;
    if (S_ISDIR(root->inode->mode) != S_ISDIR(p.dentry->inode->mode)) r = -ENOTDIR;
    struct mount *m = r ? NULL : mount_alloc(sb, root, flags, source);
    if (m) {
        write_lock(&mount_lock);
        if (p.mnt->ns != ns) {
            r = -EINVAL;
        } else if (p.dentry->deleted) {
            r = -ENOENT;
        } else if (ns->nr >= MOUNT_MAX) {
            r = -ENOSPC;
        } else {
            add_locked(ns, m, p.mnt, p.dentry);
        }
        rw_unlock(&mount_lock);
        if (r) mount_put(m);
    }
    path_put(&p);
    return r;
}

static bool is_below_locked(const struct mount *m, const struct mount *top)
{
    for (; m; m = m->parent)
        if (m == top) return true;
    return false;
}

int vfs_umount(const struct path *at, int flags)
{
    struct mount *top = at->mnt;
    if (at->dentry != top->root) return -EINVAL;
    int r = 0;
    struct mount **gone = NULL;
    unsigned n = 0;
    write_lock(&mount_lock);
    if (!top->ns || top == top->ns->root) {
        r = top->ns ? -EBUSY : -EINVAL;
    } else if (top->locked || top->ns != current->fs->ns) {
        r = -EINVAL;
    } else {
        struct mount *m, *next;
        unsigned count = 0;
        TAILQ_FOREACH(m, &top->ns->mounts, link) count += is_below_locked(m, top);
        /* The namespace's reference and the caller's path are no users. */
        if (!(flags & MNT_DETACH) && (count > 1 || ref_read(&top->refs) > 2)) {
            r = -EBUSY;
        } else {
            gone = xzalloc(count * sizeof(*gone));
            struct mnt_ns *ns = top->ns;
            /* Children stand behind their parents in the list: mark by walking it backwards. */
            for (m = TAILQ_LAST(&ns->mounts, mount_list); m; m = next) {
                next = TAILQ_PREV(m, mount_list, link);
                if (is_below_locked(m, top)) detach_locked(m, gone, &n);
            }
        }
    }
    rw_unlock(&mount_lock);
    for (unsigned i = 0; i < n; i++) mount_put(gone[i]);
    free(gone);
    return r;
}

int vfs_remount(const struct path *at, u32 flags)
{
    struct mount *m = at->mnt;
    if (at->dentry != m->root) return -EINVAL;
    int r = 0;
    write_lock(&mount_lock);
    if (!m->ns || m->ns != current->fs->ns) r = -EINVAL;
    else if (m->locked_flags & ~flags) r = -EPERM;
    else {
        __atomic_store_n(&m->flags, flags, __ATOMIC_RELEASE);
        m->ns->event++;
    }
    rw_unlock(&mount_lock);
    return r;
}

void mnt_ns_lock_flags(struct mnt_ns *ns)
{
    struct mount *m;
    write_lock(&mount_lock);
    TAILQ_FOREACH(m, &ns->mounts, link) m->locked_flags |= m->flags & MNT_LOCKABLE;
    rw_unlock(&mount_lock);
}

u32 mount_parent_id(struct mount *m)
{
    read_lock(&mount_lock);
    u32 id = m->parent ? m->parent->id : m->id;
    rw_unlock(&mount_lock);
    return id;
}

void mnt_ns_top(struct mnt_ns *ns, struct path *out)
{
    read_lock(&mount_lock);
    *out = (struct path){ ns->root, ns->root->root };
    path_get(out);
    rw_unlock(&mount_lock);
    path_follow_mount(out);
}

static struct mount *clone_locked(struct mount *m, struct dentry *root)
{
    struct mount *c = mount_alloc(m->sb, root, m->flags, m->source);
    c->locked_flags = m->locked_flags;
    c->locked = m->locked;
    m->copy = c;
    return c;
}

/* Is what m shows seen below d of its parent? */
static bool shows_below(const struct mount *m, struct dentry *d) { return dentry_is_ancestor(d, m->mountpoint); }

int vfs_bind(const struct path *src, const struct path *at, bool recursive)
{
    struct path p = *at;
    struct mount *m, *c, *from = src->mnt;
    struct mnt_ns *ns = current->fs->ns;
    int r = 0;

    path_get(&p);
    path_follow_mount(&p);
    if (S_ISDIR(src->dentry->inode->mode) != S_ISDIR(p.dentry->inode->mode)) r = -ENOTDIR;
    write_lock(&mount_lock);
    /* Namespaces' own files belong to no mount namespace (namespaces(7)); else the source must be ours. */
    bool nsfs = from->sb->magic == 0x6e736673;
    unsigned n = 1;
    if (!r && (p.mnt->ns != ns || (from->ns != ns && !nsfs))) r = -EINVAL;
    if (!r && p.dentry->deleted) r = -ENOENT;
    if (!r && !nsfs) {
        /* Parents stand before their children: one pass marks the tree. */
        TAILQ_FOREACH(m, &ns->mounts, link) m->copy = NULL;
        from->copy = from;
        TAILQ_FOREACH(m, &ns->mounts, link) {
            if (m == from || !m->parent || !m->parent->copy || (m->parent == from && !shows_below(m, src->dentry))) continue;
            if (!recursive && m->locked) r = -EINVAL;   /* what it hides would come to light */
            m->copy = m;
            n++;
        }
        if (ns->nr + (recursive ? n : 1) > MOUNT_MAX) r = -ENOSPC;
    }
    if (!r) {
        struct mount *last = TAILQ_LAST(&ns->mounts, mount_list);
        c = clone_locked(from, src->dentry);
        c->locked = false;
        add_locked(ns, c, p.mnt, p.dentry);
        for (m = TAILQ_FIRST(&ns->mounts); recursive && !nsfs; m = TAILQ_NEXT(m, link)) {
            if (m != from && m->copy == m) add_locked(ns, clone_locked(m, m->root), m->parent->copy, m->mountpoint);
            if (m == last) break;
        }
    }
    rw_unlock(&mount_lock);
    path_put(&p);
    return r;
}

/* Takes m out of where it is mounted; its subtree hangs on. */
static struct dentry *unhook_locked(struct mount *m)
{
    struct dentry *at = m->mountpoint;
    if (m->parent) (void)atomic_add(&at->nmounts, -1);
    m->parent = NULL;
    m->mountpoint = NULL;
    return at;
}

static void hook_locked(struct mount *m, struct mount *parent, struct dentry *at)
{
    m->parent = parent;
    m->mountpoint = at;
    dentry_get(at);
    atomic_add(&at->nmounts, 1);
    m->ns->event++;
}

/* Puts the list in order again, parents first, after a tree has moved. */
static void reorder_locked(struct mnt_ns *ns)
{
    struct mount_list old = TAILQ_HEAD_INITIALIZER(old);
    struct mount *m, *next;
    TAILQ_FOREACH(m, &ns->mounts, link) m->copy = NULL;
    TAILQ_CONCAT(&old, &ns->mounts, link);
    while (!TAILQ_EMPTY(&old)) {
        for (m = TAILQ_FIRST(&old); m; m = next) {
            next = TAILQ_NEXT(m, link);
            if (m->parent && !m->parent->copy) continue;
            TAILQ_REMOVE(&old, m, link);
            TAILQ_INSERT_TAIL(&ns->mounts, m, link);
            m->copy = m;
        }
    }
}

int vfs_move_mount(const struct path *src, const struct path *at)
{
    struct path p = *at;
    struct mount *m = src->mnt;
    struct dentry *was = NULL;
    struct mnt_ns *ns = current->fs->ns;
    int r = 0;

    path_get(&p);
    path_follow_mount(&p);
    if (S_ISDIR(src->dentry->inode->mode) != S_ISDIR(p.dentry->inode->mode)) r = -ENOTDIR;
    write_lock(&mount_lock);
    if (!r && (src->dentry != m->root || m->ns != ns || p.mnt->ns != ns || !m->parent || m->locked)) r = -EINVAL;
    if (!r && p.dentry->deleted) r = -ENOENT;
    if (!r && is_below_locked(p.mnt, m)) r = -ELOOP;
    if (!r) {
        was = unhook_locked(m);
        hook_locked(m, p.mnt, p.dentry);
        reorder_locked(ns);
    }
    rw_unlock(&mount_lock);
    dentry_put(was);
    path_put(&p);
    return r;
}

/* Is (m, d) at or below top? */
static bool reachable_locked(struct mount *m, struct dentry *d, const struct path *top)
{
    while (m != top->mnt && m->parent) {
        d = m->mountpoint;
        m = m->parent;
    }
    return m == top->mnt && dentry_is_ancestor(top->dentry, d);
}

/* The rules of pivot_root(2), in the order of fs/namespace.c. */
static int may_pivot_locked(const struct path *new_root, const struct path *put_old, const struct path *root)
{
    struct mnt_ns *ns = current->fs->ns;
    struct mount *nm = new_root->mnt, *rm = root->mnt;

    if (rm->ns != ns || nm->ns != ns || put_old->mnt->ns != ns || nm->locked) return -EINVAL;
    if (new_root->dentry->deleted) return -ENOENT;
    if (nm == rm || put_old->mnt == rm) return -EBUSY;
    /* Linux has an empty file system below each namespace's root; here that place is the namespace's root pointer. */
    if (root->dentry != rm->root || (!rm->parent && rm != ns->root) || new_root->dentry != nm->root || !nm->parent) return -EINVAL;
    if (!reachable_locked(put_old->mnt, put_old->dentry, new_root) || !reachable_locked(nm, new_root->dentry, root)) return -EINVAL;
    return 0;
}

int vfs_pivot_root(const struct path *new_root, const struct path *put_old)
{
    struct path root, old = *put_old;
    struct dentry *gone[2] = { NULL, NULL };

    fs_get_root(current->fs, &root);
    path_get(&old);
    path_follow_mount(&old);
    write_lock(&mount_lock);
    int r = may_pivot_locked(new_root, &old, &root);
    if (!r) {
        struct mount *nm = new_root->mnt, *rm = root.mnt, *above = rm->parent;
        struct mnt_ns *ns = nm->ns;
        gone[0] = unhook_locked(nm);
        gone[1] = unhook_locked(rm);
        nm->locked = rm->locked;
        rm->locked = false;
        if (above) hook_locked(nm, above, gone[1]);
        else ns->root = nm;
        hook_locked(rm, old.mnt, old.dentry);
        reorder_locked(ns);
    }
    rw_unlock(&mount_lock);
    if (!r) fs_replace_root(&root, new_root);
    for (int i = 0; i < 2; i++) dentry_put(gone[i]);
    path_put(&old);
    path_put(&root);
    return r;
}

struct mnt_ns *mnt_ns_copy(struct mnt_ns *ns, struct user_ns *owner, struct path *root, struct path *cwd)
{
    struct mnt_ns *copy = ns_alloc(owner);
    struct path *moved[2] = { root, cwd };
    struct mount *old_mnt[2] = { 0 }, *m;
    bool lesser = owner != ns->ns.owner;

    write_lock(&mount_lock);
    TAILQ_FOREACH(m, &ns->mounts, link) {
        struct mount *c = clone_locked(m, m->root);
        if (lesser) {
            c->locked_flags |= m->flags & MNT_LOCKABLE;
            c->locked = m != ns->root;
        }
        add_locked(copy, c, m->parent ? m->parent->copy : NULL, m->mountpoint && m->parent ? m->mountpoint : NULL);
        if (m == ns->root) copy->root = c;
        for (int i = 0; i < 2; i++) {
            if (!moved[i] || moved[i]->mnt != m || old_mnt[i]) continue;
            old_mnt[i] = m;
            mount_get(c);
            moved[i]->mnt = c;
        }
    }
    rw_unlock(&mount_lock);
    for (int i = 0; i < 2; i++) mount_put(old_mnt[i]);
    return copy;
}

/* On a pinned copy of the list: callbacks ask for path texts, which take mount_lock themselves. */
void mnt_ns_for_each(struct mnt_ns *ns, bool (*fn)(struct mount *m, void *arg), void *arg)
{
    struct mount *m;
    size_t n = 0, i = 0;
    read_lock(&mount_lock);
    TAILQ_FOREACH(m, &ns->mounts, link) n++;
    struct mount **all = xzalloc((n + 1) * sizeof(*all));
    TAILQ_FOREACH(m, &ns->mounts, link) {
        mount_get(m);
        all[i++] = m;
    }
    rw_unlock(&mount_lock);
    bool more = true;
    for (i = 0; i < n; i++)
        if (more) more = fn(all[i], arg);
    for (i = 0; i < n; i++) mount_put(all[i]);
    free(all);
}
