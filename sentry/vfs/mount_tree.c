/* Trees of mounts: copied, hung up, taken down. Source: fs/namespace.c and sharedsubtree.rst of the Linux tree. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"
#include <sys/mount.h>

struct mount *mount_clone_locked(struct mount *m, struct dentry *root, unsigned how)
{
    struct mount *c = mount_alloc(m->sb, root, m->flags, m->source);
    c->locked_flags = m->locked_flags;
    c->locked = m->locked;
    peer_clone(c, m, how);
    m->copy = c;
    return c;
}

/* Not in a copy: what is below it neither. Locked it must not be left out, for what it hides would come to light. */
static int left_out(const struct mount *m, const struct mount *top, struct dentry *root, unsigned how, bool *out)
{
    *out = (m->parent == top && !dentry_is_ancestor(root, m->mountpoint)) || mnt_ns_of_file(m->root);
    if (*out || !m->unbindable || (how & CP_UNBINDABLE)) return 0;
    *out = true;
    return m->locked ? -EPERM : 0;
}

int mount_copy_locked(struct mount *top, struct dentry *root, unsigned how, unsigned *n, unsigned max, struct mount **out)
{
    if (top->unbindable && !(how & CP_UNBINDABLE)) return -EINVAL;
    if (*n >= max) return -ENOSPC;
    *n += 1;
    struct mount *res = mount_clone_locked(top, root, how), *m = top;
    res->locked = false;
    bool skip = false;
    int r = 0;
    while ((m = mount_next(m, top, skip)) != NULL) {
        if ((r = left_out(m, top, root, how, &skip))) break;
        if (skip) {
            for (struct mount *l = m; l; l = mount_next(l, m, false)) l->copy = NULL;
            continue;
        }
        if (*n >= max) {
            r = -ENOSPC;
            break;
        }
        *n += 1;
        struct mount *c = mount_clone_locked(m, m->root, how);
        mount_hook_locked(c, m->parent->copy, m->mountpoint);
    }
    if (r) {
        struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
        mount_discard_locked(res, &dead);
        *out = NULL;
        /* None of them was seen by anybody, and what they refer to is held by what they copy: nothing is the last. */
        mount_puts(&dead);
        return r;
    }
    *out = res;
    return 0;
}

void mount_discard_locked(struct mount *copy, struct mount_queue *dead)
{
    struct mount *m = copy, *next;
    /* Children first, so that each is a leaf when it goes. */
    while (m) {
        while ((next = TAILQ_FIRST(&m->children)) != NULL) m = next;
        next = m == copy ? NULL : m->parent;
        peer_leave(m);
        m->umounted = true;
        struct dentry *at = mount_unhook_locked(m);
        if (at) m->mountpoint = at;
        TAILQ_INSERT_TAIL(dead, m, work);
        m = next;
    }
}

void mount_lock_tree_locked(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top, false)) {
        m->locked_flags |= (m->flags & MNT_LOCKABLE) | MNT_LOCKED_ATIME;
        if (m != top) m->locked = true;
    }
}

static struct mount *topmost(struct mount *m)
{
    for (struct mount *o; (o = mount_over(m)) != NULL;) m = o;
    return m;
}

/* Hangs up a tree whose place may be taken: who is there goes on top. */
static void hang_locked(struct mount *tree, struct mount *parent, struct dentry *at)
{
    struct mount *q = mount_child_locked(parent, at);
    if (q) {
        dentry_get(at);
        struct dentry *was = mount_unhook_locked(q);
        mount_hook_locked(tree, parent, at);
        struct mount *top = topmost(tree);
        mount_hook_locked(q, top, top->root);
        dentry_put(was);
        dentry_put(at);
    } else {
        mount_hook_locked(tree, parent, at);
    }
}

static unsigned tree_size(struct mount *top)
{
    unsigned n = 0;
    for (struct mount *m = top; m; m = mount_next(m, top, false)) n++;
    return n;
}

static void attach_copies(struct mount_queue *copies)
{
    const struct user_ns *owner = current->fs->ns->ns.owner;
    struct mount *c;
    while ((c = TAILQ_FIRST(copies)) != NULL) {
        TAILQ_REMOVE(copies, c, work);
        struct mount *parent = c->dest;
        if (parent->ns->ns.owner != owner) mount_lock_tree_locked(c);
        c->locked = false;
        parent->ns->pending = 0;
        hang_locked(c, parent, c->mountpoint);
        mount_into_ns_locked(parent->ns, c);
    }
}

static void drop_copies(struct mount_queue *copies, struct mount_queue *dead)
{
    struct mount *c;
    while ((c = TAILQ_FIRST(copies)) != NULL) {
        TAILQ_REMOVE(copies, c, work);
        c->dest->ns->pending = 0;
        c->mountpoint = NULL;
        mount_discard_locked(c, dead);
    }
}

int mount_attach_locked(struct mount *tree, struct mount *parent, struct dentry *at, bool beneath, struct mount_queue *dead, struct dentry **was)
{
    struct mount_queue copies = TAILQ_HEAD_INITIALIZER(copies);
    struct mnt_ns *ns = parent->ns, *from = tree->ns;
    struct mount *m;
    int r = 0;

    unsigned more = from != ns ? tree_size(tree) : 0;
    if (more > mount_budget(ns)) return -ENOSPC;
    if (parent->group) {
        for (m = tree; m; m = mount_next(m, tree, false)) {
            m->marked = !m->group;
            peer_make_shared(m);
        }
        ns->pending = more;
        r = propagate_mount_locked(parent, at, tree, &copies);
        ns->pending = 0;
        if (r) drop_copies(&copies, dead);
        for (m = tree; m; m = mount_next(m, tree, false)) {
            if (r && m->marked) peer_change(m, MS_SLAVE);     /* what it was: slave of the same master, or private */
            m->marked = false;
        }
        if (r) return r;
    }
    *was = mount_unhook_locked(tree);
    if (from && from != ns)
        for (m = tree; m; m = mount_next(m, tree, false)) mount_from_ns_locked(m);
    if (beneath) hang_locked(tree, parent, at);
    else mount_hook_locked(tree, parent, at);
    if (from != ns) mount_into_ns_locked(ns, tree);
    else mnt_ns_touch(ns);
    attach_copies(&copies);
    return 0;
}

/* Does m, umounted, part from its parent? Linux's disconnect_mount(). */
static bool parts(const struct mount *m, unsigned how)
{
    if ((how & UMOUNT_SYNC) || !m->parent->umounted) return true;
    return !(how & UMOUNT_CONNECTED) && !m->locked;
}

void mount_umount_tree_locked(struct mount *top, unsigned how, struct mount_queue *dead)
{
    struct mount_queue set = TAILQ_HEAD_INITIALIZER(set);
    struct mount *m;

    if ((how & UMOUNT_PROPAGATE) && top->parent) propagate_unlock_locked(top);
    for (m = top; m; m = mount_next(m, top, false)) {
        m->umounted = true;
        TAILQ_INSERT_TAIL(&set, m, work);
    }
    if (how & UMOUNT_PROPAGATE) propagate_umount_locked(&set);
    while ((m = TAILQ_FIRST(&set)) != NULL) {
        TAILQ_REMOVE(&set, m, work);
        mount_from_ns_locked(m);
        peer_leave(m);
        if (m->parent && !parts(m, how)) continue;
        struct dentry *at = mount_unhook_locked(m);
        if (at) m->mountpoint = at;    /* put with m */
        TAILQ_INSERT_TAIL(dead, m, work);
    }
}
