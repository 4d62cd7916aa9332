/* Mounting, binding, moving, unmounting. Source: mount(2), umount(2), open_tree(2), move_mount(2). */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"
#include <linux/magic.h>
#include <sys/mount.h>

static bool is_dir(const struct dentry *d) { return d->inode && S_ISDIR(d->inode->mode); }

/* A new mount, whose reference is taken, at p. -ENOTDIR: a directory goes on a directory, another file on another. */
static int attach_at(struct mnt_ns *ns, const struct path *at, struct mount *m, struct mount_queue *dead, struct dentry **was)
{
    struct path p = mount_place_locked(at);
    if (p.mnt->ns != ns) return -EINVAL;
    if (p.dentry->deleted) return -ENOENT;
    if (is_dir(m->root) != is_dir(p.dentry)) return -ENOTDIR;
    return mount_attach_locked(m, p.mnt, p.dentry, false, dead, was);
}

int vfs_mount(struct mnt_ns *ns, const struct path *at, struct super *sb, struct dentry *root, u32 flags, const char *source)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    struct dentry *was = NULL;
    struct mount *m = mount_alloc(sb, root ? root : sb->root, flags, source);
    write_lock(&mount_lock);
    int r = attach_at(ns, at, m, &dead, &was);
    if (r) peer_leave(m);
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    dentry_put(was);
    if (r) mount_put(m);
    return r;
}

/* What a mount that is not copied hides would come to light. */
static bool has_locked_child(const struct mount *m, struct dentry *d)
{
    struct mount *c;
    TAILQ_FOREACH(c, &m->children, child)
        if (c->locked && dentry_is_ancestor(d, c->mountpoint)) return true;
    return false;
}

/* A copy of src for current's namespace, or for a tree of its own. */
static int copy_source(const struct path *src, bool recursive, unsigned max, struct mount **out)
{
    struct mount *from = src->mnt;
    bool nsfs = from->sb->magic == NSFS_MAGIC && !from->ns;
    const struct mnt_ns *loop = mnt_ns_of_file(src->dentry);
    unsigned n = 0;

    /* A namespace held by a mount in itself, or in one that it holds, would never go. */
    if (loop && loop->seq <= current->fs->ns->seq) return -EINVAL;
    if (!nsfs && !mount_is_mine(from) && !mount_is_loose(from)) return -EINVAL;
    if (from->unbindable || (!recursive && has_locked_child(from, src->dentry))) return -EINVAL;
    if (recursive && !nsfs) return mount_copy_locked(from, src->dentry, 0, &n, max, out);
    if (!max) return -ENOSPC;
    *out = mount_clone_locked(from, src->dentry, 0);
    (*out)->locked = false;
    return 0;
}

int vfs_bind(const struct path *src, const struct path *at, bool recursive)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    struct dentry *was = NULL;
    struct mnt_ns *ns = current->fs->ns;
    struct mount *c = NULL;

    write_lock(&mount_lock);
    struct path p = mount_place_locked(at);
    int r = p.mnt->ns != ns ? -EINVAL : copy_source(src, recursive, mount_budget(ns), &c);
    if (!r && (r = attach_at(ns, at, c, &dead, &was))) mount_discard_locked(c, &dead);
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    dentry_put(was);
    return r;
}

/* --- trees that are mounted nowhere --- */

static void into_anon(struct mnt_ns *ns, struct mount *m, struct path *out)
{
    ns->root = m;
    mount_into_ns_locked(ns, m);
    *out = (struct path){ m, m->root };
    path_get(out);
}

int vfs_open_tree(const struct path *src, bool recursive, struct path *out)
{
    struct mnt_ns *ns = mnt_ns_alloc(current->fs->ns->ns.owner, current->fs->ns->seq);
    struct mount *c;
    write_lock(&mount_lock);
    int r = copy_source(src, recursive, mount_budget(ns), &c);
    if (!r) into_anon(ns, c, out);
    rw_unlock(&mount_lock);
    if (r) mnt_ns_put(ns);
    return r;
}

int vfs_mount_detached(struct super *sb, struct dentry *root, u32 flags, const char *source, struct path *out)
{
    struct mnt_ns *ns = mnt_ns_alloc(current->fs->ns->ns.owner, current->fs->ns->seq);
    struct mount *m = NULL;
    write_lock(&mount_lock);
    if (mount_budget(ns)) into_anon(ns, m = mount_alloc(sb, root ? root : sb->root, flags, source), out);
    rw_unlock(&mount_lock);
    if (!m) mnt_ns_put(ns);
    return m ? 0 : -ENOSPC;
}

void mount_dissolve(struct mount *m)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    write_lock(&mount_lock);
    struct mnt_ns *ns = m->ns && m->ns->origin && m->ns->root == m ? m->ns : NULL;
    if (ns) mount_umount_tree_locked(m, UMOUNT_CONNECTED, &dead);
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    mnt_ns_put(ns);
}

/* --- moving --- */

static bool holds_unbindable(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top, false))
        if (m->unbindable) return true;
    return false;
}

static bool holds_ns_file(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top, false))
        if (mnt_ns_of_file(m->root)) return true;
    return false;
}

/* Is m's parent where a tree may be put below m? Source: can_move_mount_beneath() of the Linux tree. */
static int may_go_beneath(const struct mount *m, const struct path *at, const struct mount *over, const struct path *root)
{
    if (at->dentry != at->mnt->root || !over->parent || over->locked || mount_over(over)) return -EINVAL;
    if (over == root->mnt || over->parent == current->fs->ns->root || mount_is_under(m, over)) return -EINVAL;
    if (propagate_would_cover(over->parent, over, over->mountpoint) || propagate_would_cover(over->parent, m, over->mountpoint)) return -EINVAL;
    return 0;
}

/* The rules of move_mount(2): a mount of ours with a parent, or a whole tree that is mounted nowhere. */
static int may_move(const struct path *src, const struct path *to)
{
    struct mount *m = src->mnt;
    struct mnt_ns *ns = current->fs->ns;
    bool whole = m->ns && m->ns->origin && m->ns->root == m;

    if (mount_is_mine(m) ? !m->parent || m->locked || m->parent->group || to->mnt->ns != ns : !whole) return -EINVAL;
    if (m->ns == to->mnt->ns && whole) return -EINVAL;
    if (to->mnt->ns != ns && !mount_is_loose(to->mnt)) return -EINVAL;
    if (src->dentry != m->root || is_dir(src->dentry) != is_dir(to->dentry)) return -EINVAL;
    if (to->mnt->group && holds_unbindable(m)) return -EINVAL;
    return 0;
}

int vfs_move_mount(const struct path *src, const struct path *at, bool beneath)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    struct dentry *was = NULL;
    struct mnt_ns *empty = NULL;
    struct mount *m = src->mnt;
    struct path root;
    int r = 0;

    fs_get_root(current->fs, &root);
    write_lock(&mount_lock);
    struct path p = mount_place_locked(at);
    if (beneath) {
        struct mount *over = p.mnt;
        r = may_go_beneath(m, at, over, &root);
        if (!r) p = (struct path){ over->parent, over->mountpoint };
    }
    if (!r && p.dentry->deleted) r = -ENOENT;
    if (!r) r = may_move(src, &p);
    if (!r && (holds_ns_file(m) || mount_is_under(p.mnt, m))) r = -ELOOP;
    if (!r) {
        if (m->ns->origin) empty = m->ns;
        r = mount_attach_locked(m, p.mnt, p.dentry, beneath, &dead, &was);
    }
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    dentry_put(was);
    path_put(&root);
    if (!r) mnt_ns_put(empty);
    return r;
}

/* --- unmounting --- */

int vfs_umount(const struct path *at, int flags)
{
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    struct mount *top = at->mnt;
    int r = 0;

    if (at->dentry != top->root) return -EINVAL;
    write_lock(&mount_lock);
    /* The namespace's reference and the caller's path are no users. */
    if (!mount_is_mine(top) || top->locked) r = -EINVAL;
    else if (!top->parent) r = -EBUSY;
    else if ((flags & MNT_EXPIRE) && ref_read(&top->refs) - atomic_load(&top->pins) != 2) r = -EBUSY;
    else if ((flags & MNT_EXPIRE) && !__atomic_exchange_n(&top->expiring, 1, __ATOMIC_RELAXED)) r = -EAGAIN;
    else if (flags & MNT_DETACH) mount_umount_tree_locked(top, UMOUNT_PROPAGATE, &dead);
    else if (propagate_busy_locked(top, 2)) r = -EBUSY;
    else mount_umount_tree_locked(top, UMOUNT_PROPAGATE | UMOUNT_SYNC, &dead);
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    return r;
}
