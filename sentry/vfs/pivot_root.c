/* pivot_root(2): the root of a namespace is exchanged. */
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"

/* In the order of fs/namespace.c. */
static int may_pivot(const struct path *new_root, const struct path *put_old, const struct path *root)
{
    struct mnt_ns *ns = current->fs->ns;
    struct mount *nm = new_root->mnt, *rm = root->mnt;

    if (put_old->mnt->group || (nm->parent && nm->parent->group) || (rm->parent && rm->parent->group)) return -EINVAL;
    if (rm->ns != ns || nm->ns != ns || put_old->mnt->ns != ns || nm->locked) return -EINVAL;
    if (new_root->dentry->deleted) return -ENOENT;
    if (nm == rm || put_old->mnt == rm) return -EBUSY;
    /* Linux has an empty file system below each namespace's root; here that place is the namespace's root pointer. */
    if (root->dentry != rm->root || (!rm->parent && rm != ns->root) || new_root->dentry != nm->root || !nm->parent) return -EINVAL;
    const struct path top = { nm, nm->root };
    if (!mount_reachable_locked(put_old, new_root) || !mount_reachable_locked(&top, root)) return -EINVAL;
    return 0;
}

int vfs_pivot_root(const struct path *new_root, const struct path *put_old)
{
    struct path root;
    struct dentry *gone[2] = { NULL, NULL };

    fs_get_root(current->fs, &root);
    write_lock(&mount_lock);
    struct path old = mount_place_locked(put_old);
    int r = may_pivot(new_root, &old, &root);
    if (!r) {
        struct mount *nm = new_root->mnt, *rm = root.mnt, *above = rm->parent;
        gone[0] = mount_unhook_locked(nm);
        gone[1] = mount_unhook_locked(rm);
        nm->locked = rm->locked;
        rm->locked = false;
        if (above) mount_hook_locked(nm, above, gone[1]);
        else nm->ns->root = nm;
        mount_hook_locked(rm, old.mnt, old.dentry);
        mnt_ns_touch(nm->ns);
    }
    rw_unlock(&mount_lock);
    if (!r) fs_replace_root(&root, new_root);
    for (int i = 0; i < 2; i++) dentry_put(gone[i]);
    path_put(&root);
    return r;
}
