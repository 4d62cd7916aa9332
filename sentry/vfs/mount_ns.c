/* Mount namespaces. Source: mount_namespaces(7). */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount_internal.h"
#include <linux/magic.h>
#include <poll.h>

static int mount_order(const struct mount *a, const struct mount *b) { return a->unique < b->unique ? -1 : a->unique > b->unique; }
RB_GENERATE(mount_tree, mount, in_ns, mount_order)

static u64 next_seq;                   /* (a) the first one has 1 */

static void ns_free(struct ns *n)
{
    struct mnt_ns *ns = container_of(n, struct mnt_ns, ns);
    struct mount_queue dead = TAILQ_HEAD_INITIALIZER(dead);
    write_lock(&mount_lock);
    if (ns->root) mount_umount_tree_locked(ns->root, ns->origin ? UMOUNT_CONNECTED : 0, &dead);
    rw_unlock(&mount_lock);
    mount_puts(&dead);
    waitq_fini(&ns->changed);
    free(ns);
}

struct mnt_ns *mnt_ns_alloc(struct user_ns *owner, u64 origin)
{
    struct mnt_ns *ns = xnew(struct mnt_ns);
    ns_init(&ns->ns, NS_MNT, owner, ns_free);
    RB_INIT(&ns->mounts);
    waitq_init(&ns->changed);
    ns->origin = origin;
    ns->seq = atomic_add(&next_seq, 1);
    return ns;
}

struct mnt_ns *mnt_ns_new(struct super *root_sb, u32 flags, const char *source)
{
    struct mnt_ns *ns = mnt_ns_alloc(NULL, 0);
    ns->ns.inum = ns_inum(NULL, NS_MNT);
    write_lock(&mount_lock);
    ns->root = mount_alloc(root_sb, root_sb->root, flags, source);
    mount_into_ns_locked(ns, ns->root);
    rw_unlock(&mount_lock);
    return ns;
}

void mnt_ns_get(struct mnt_ns *ns) { ns_get(&ns->ns); }
void mnt_ns_put(struct mnt_ns *ns) { ns_put(ns ? &ns->ns : NULL); }

struct mnt_ns *mnt_ns_of_file(const struct dentry *d) { return d->sb && d->sb->magic == NSFS_MAGIC ? d->priv : NULL; }
bool mount_is_mine(const struct mount *m) { return m->ns && m->ns == current->fs->ns; }
bool mount_is_loose(const struct mount *m) { return m->ns && m->ns->origin && m->ns->origin == current->fs->ns->seq; }

void mnt_ns_touch(struct mnt_ns *ns)
{
    atomic_add(&ns->event, 1);
    waitq_wake_all(&ns->changed, POLLPRI | POLLERR);
}

void mount_into_ns_locked(struct mnt_ns *ns, struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top, false)) {
        m->ns = ns;
        RB_INSERT(mount_tree, &ns->mounts, m);
        ns->nr++;
    }
    mnt_ns_touch(ns);
}

void mount_from_ns_locked(struct mount *m)
{
    struct mnt_ns *ns = m->ns;
    if (!ns) return;
    RB_REMOVE(mount_tree, &ns->mounts, m);
    ns->nr--;
    m->ns = NULL;
    if (ns->root == m) ns->root = NULL;
    mnt_ns_touch(ns);
}

void mnt_ns_lock_flags(struct mnt_ns *ns)
{
    struct mount *m;
    write_lock(&mount_lock);
    RB_FOREACH(m, mount_tree, &ns->mounts) m->locked_flags |= m->flags & MNT_LOCKABLE;
    rw_unlock(&mount_lock);
}

void mnt_ns_top(struct mnt_ns *ns, struct path *out)
{
    read_lock(&mount_lock);
    const struct path root = { ns->root, ns->root->root };
    *out = mount_place_locked(&root);
    path_get(out);
    rw_unlock(&mount_lock);
}

int mnt_ns_copy(struct mnt_ns *ns, struct user_ns *owner, struct path *root, struct path *cwd, struct mnt_ns **out)
{
    struct mnt_ns *copy = mnt_ns_alloc(owner, 0);
    struct path *moved[2] = { root, cwd };
    struct mount *old[2] = { NULL };
    bool lesser = owner != ns->ns.owner;
    unsigned n = 0;

    write_lock(&mount_lock);
    int r = mount_copy_locked(ns->root, ns->root->root, CP_UNBINDABLE | (lesser ? CP_SHARED_TO_SLAVE : 0), &n, mount_budget(copy), &copy->root);
    if (!r) {
        if (lesser) mount_lock_tree_locked(copy->root);
        mount_into_ns_locked(copy, copy->root);
        for (int i = 0; i < 2; i++) {
            struct mount *m = moved[i] ? moved[i]->mnt : NULL;
            if (!m || m->ns != ns || !m->copy) continue;
            old[i] = m;
            mount_get(m->copy);
            moved[i]->mnt = m->copy;
        }
    }
    rw_unlock(&mount_lock);
    for (int i = 0; i < 2; i++) mount_put(old[i]);
    if (r) mnt_ns_put(copy);
    else *out = copy;
    return r;
}

static void pin(struct mount *m)
{
    atomic_add(&m->pins, 1);
    mount_get(m);
}

/* While it is in a namespace, ours is not the last reference and an unmount waits; so nobody sees it as a use. */
static void unpin(struct mount *m)
{
    read_lock(&mount_lock);
    bool in_ns = m->ns;
    (void)atomic_add(&m->pins, -1);
    if (in_ns) mount_put(m);
    rw_unlock(&mount_lock);
    if (!in_ns) mount_put(m);
}

struct mount *mnt_ns_find(struct mnt_ns *ns, u64 unique)
{
    struct mount key = { .unique = unique };
    read_lock(&mount_lock);
    struct mount *m = RB_FIND(mount_tree, &ns->mounts, &key);
    if (m) mount_get(m);
    rw_unlock(&mount_lock);
    return m;
}

/* By batches: callbacks ask for path texts, which take the lock themselves. */
void mnt_ns_for_each(struct mnt_ns *ns, u64 after, bool (*fn)(struct mount *m, void *arg), void *arg)
{
    struct mount *batch[64], *m, key;
    unsigned n;
    bool more = true;
    do {
        n = 0;
        key.unique = after + 1;
        read_lock(&mount_lock);
        for (m = RB_NFIND(mount_tree, &ns->mounts, &key); m && n < sizeof(batch) / sizeof(*batch); m = RB_NEXT(mount_tree, &ns->mounts, m))
            pin(batch[n++] = m);
        rw_unlock(&mount_lock);
        for (unsigned i = 0; i < n; i++) {
            after = batch[i]->unique;
            if (more) more = fn(batch[i], arg);
            unpin(batch[i]);
        }
    } while (n && more);
}
