/* What is changed of mounts in place: flags, kind of propagation, group. Source: mount_setattr(2), mount(2) MS_REMOUNT. */
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"
#include <sys/mount.h>

/* Ours and mounted, or a tree that is mounted nowhere. */
static bool may_change(const struct mount *m) { return mount_is_mine(m) || (mount_is_loose(m) && !m->parent); }

static int flags_allowed(const struct mount *m, u32 flags)
{
    if (m->locked_flags & MNT_LOCKABLE & ~flags) return -EPERM;
    if ((m->locked_flags & MNT_LOCKED_ATIME) && ((m->flags ^ flags) & MNT_ATIME)) return -EPERM;
    return (flags & MNT_RDONLY) && !(m->flags & MNT_RDONLY) && atomic_load(&m->writers) ? -EBUSY : 0;
}

static void set_flags(struct mount *m, u32 flags) { __atomic_store_n(&m->flags, flags, __ATOMIC_RELEASE); }

int vfs_remount(const struct path *at, u32 flags)
{
    struct mount *m = at->mnt;
    if (at->dentry != m->root) return -EINVAL;
    write_lock(&mount_lock);
    int r = mount_is_mine(m) ? flags_allowed(m, flags) : -EINVAL;
    if (!r) {
        set_flags(m, flags);
        mnt_ns_touch(m->ns);
    }
    rw_unlock(&mount_lock);
    return r;
}

static struct mount *next(struct mount *m, const struct mount *top, bool recursive) { return recursive ? mount_next(m, top, false) : NULL; }

int vfs_change_propagation(const struct path *at, u64 kind, bool recursive)
{
    struct mount *top = at->mnt;
    if (at->dentry != top->root) return -EINVAL;
    write_lock(&mount_lock);
    int r = may_change(top) ? 0 : -EINVAL;
    for (struct mount *m = r ? NULL : top; m; m = next(m, top, recursive)) peer_change(m, kind);
    rw_unlock(&mount_lock);
    return r;
}

int vfs_mount_setattr(const struct path *at, const struct mount_change *c)
{
    struct mount *top = at->mnt, *m;
    int r = 0;
    if (at->dentry != top->root) return -EINVAL;
    write_lock(&mount_lock);
    if (!may_change(top)) r = -EINVAL;
    /* All or none. */
    for (m = r ? NULL : top; m && !r; m = next(m, top, c->recursive)) r = flags_allowed(m, (m->flags & ~c->clear) | c->set);
    for (m = r ? NULL : top; m; m = next(m, top, c->recursive)) {
        set_flags(m, (m->flags & ~c->clear) | c->set);
        if (c->kind) peer_change(m, c->kind);
    }
    if (!r) mnt_ns_touch(top->ns);
    rw_unlock(&mount_lock);
    return r;
}

int vfs_mount_set_group(const struct path *from, const struct path *to)
{
    struct mount *f = from->mnt, *t = to->mnt;
    int r = -EINVAL;
    write_lock(&mount_lock);
    if (from->dentry != f->root || to->dentry != t->root || !may_change(f) || !may_change(t)) goto out;
    /* There is something to give, to one that has nothing, and that shows no more than the giver. */
    if ((!f->group && !f->master) || t->group || t->master || f->sb != t->sb || !dentry_is_ancestor(f->root, t->root)) goto out;
    for (struct mount *c = TAILQ_FIRST(&f->children); c; c = TAILQ_NEXT(c, child))
        if (c->locked && dentry_is_ancestor(t->root, c->mountpoint)) goto out;
    t->unbindable = false;
    peer_clone(t, f, 0);
    r = 0;
out:
    rw_unlock(&mount_lock);
    return r;
}
