/*
 * Mounts and mount namespaces. mount_lock guards every namespace's list, parent and mountpoint of every mount.
 * The namespace holds one reference on each of its mounts; paths hold the others.
 */
#include "sentry/base/alloc.h"
#include "sentry/vfs/walk.h"
#include <string.h>
#include <sys/mount.h>

static rwlock_t mount_lock = RWLOCK_INIT(LC_MOUNT);
static u32 next_mount_id = 20;
static u64 next_ns_id = 0xf0000000;

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

struct mnt_ns *mnt_ns_new(struct super *root_sb, u32 flags, const char *source)
{
    struct mnt_ns *ns = xnew(struct mnt_ns);
    ref_init(&ns->refs);
    ns->id = atomic_add(&next_ns_id, 1);
    TAILQ_INIT(&ns->mounts);
    ns->root = mount_alloc(root_sb, root_sb->root, flags, source);
    ns->root->ns = ns;
    TAILQ_INSERT_TAIL(&ns->mounts, ns->root, link);
    return ns;
}

void mnt_ns_get(struct mnt_ns *ns) { ref_get(&ns->refs); }

/* Takes m out of its namespace; its reference there goes to `gone`. */
static void detach_locked(struct mount *m, struct mount **gone, unsigned *n)
{
    TAILQ_REMOVE(&m->ns->mounts, m, link);
    m->ns->event++;
    if (m->parent) (void)atomic_add(&m->mountpoint->nmounts, -1);
    m->parent = NULL;
    m->ns = NULL;
    m->detached = true;
    gone[(*n)++] = m;
}

void mnt_ns_put(struct mnt_ns *ns)
{
    if (!ns || !ref_put(&ns->refs)) return;
    for (;;) {
        struct mount *gone[1];
        unsigned n = 0;
        write_lock(&mount_lock);
        struct mount *m = TAILQ_LAST(&ns->mounts, mount_list);
        if (m) detach_locked(m, gone, &n);
        rw_unlock(&mount_lock);
        if (!n) break;
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
        } else {
            m->ns = ns;
            m->parent = p.mnt;
            m->mountpoint = p.dentry;
            dentry_get(p.dentry);
            atomic_add(&p.dentry->nmounts, 1);
            TAILQ_INSERT_TAIL(&ns->mounts, m, link);
            ns->event++;
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
    if (at->dentry != at->mnt->root) return -EINVAL;
    write_lock(&mount_lock);
    at->mnt->flags = flags;
    if (at->mnt->ns) at->mnt->ns->event++;
    rw_unlock(&mount_lock);
    return 0;
}

int vfs_pivot_root(const struct path *new_root, const struct path *put_old)
{
    int r = 0;
    struct mount *nm = new_root->mnt;
    if (new_root->dentry != nm->root) return -EINVAL;
    if (!dentry_is_ancestor(new_root->dentry, put_old->dentry) && put_old->mnt == nm) return -EINVAL;
    struct dentry *old_mp = NULL;
    write_lock(&mount_lock);
    struct mnt_ns *ns = nm->ns;
    if (!ns || put_old->mnt->ns != ns) {
        r = -EINVAL;
    } else if (nm == ns->root || !is_below_locked(put_old->mnt, nm)) {
        r = nm == ns->root ? -EBUSY : -EINVAL;
    } else {
        struct mount *old = ns->root;
        /* nm keeps its reference on the old mountpoint, without meaning while it has no parent. */
        (void)atomic_add(&nm->mountpoint->nmounts, -1);
        nm->parent = NULL;
        old_mp = old->mountpoint;
        ns->root = nm;
        old->parent = put_old->mnt;
        old->mountpoint = put_old->dentry;
        dentry_get(put_old->dentry);
        atomic_add(&put_old->dentry->nmounts, 1);
        /* Keep the list ordered parent first. */
        TAILQ_REMOVE(&ns->mounts, nm, link);
        TAILQ_INSERT_HEAD(&ns->mounts, nm, link);
        ns->event++;
    }
    rw_unlock(&mount_lock);
    dentry_put(old_mp);
    return r;
}

struct mnt_ns *mnt_ns_copy(struct mnt_ns *ns, struct path *root, struct path *cwd)
{
    struct mnt_ns *copy = xnew(struct mnt_ns);
    ref_init(&copy->refs);
    copy->id = atomic_add(&next_ns_id, 1);
    TAILQ_INIT(&copy->mounts);
    struct path *moved[2] = { root, cwd };
    struct mount *old_mnt[2] = { 0 };
    write_lock(&mount_lock);
    struct mount *m, *c;
    TAILQ_FOREACH(m, &ns->mounts, link) {
        c = mount_alloc(m->sb, m->root, m->flags, m->source);
        c->ns = copy;
        TAILQ_INSERT_TAIL(&copy->mounts, c, link);
        if (m == ns->root) copy->root = c;
    }
    struct mount *cm;
    c = TAILQ_FIRST(&copy->mounts);
    TAILQ_FOREACH(m, &ns->mounts, link) {
        struct mount *pm = TAILQ_FIRST(&ns->mounts);
        for (cm = TAILQ_FIRST(&copy->mounts); m->parent && pm != m->parent; pm = TAILQ_NEXT(pm, link)) cm = TAILQ_NEXT(cm, link);
        if (m->parent) {
            c->parent = cm;
            c->mountpoint = m->mountpoint;
            dentry_get(c->mountpoint);
            atomic_add(&c->mountpoint->nmounts, 1);
        }
        for (int i = 0; i < 2; i++) {
            if (!moved[i] || moved[i]->mnt != m || old_mnt[i]) continue;
            old_mnt[i] = m;
            mount_get(c);
            moved[i]->mnt = c;
        }
        c = TAILQ_NEXT(c, link);
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
