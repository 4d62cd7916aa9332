/* Root, working directory and umask of processes. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

struct fs_context *fs_context_new(struct mnt_ns *ns)
{
    struct fs_context *fs = xnew(struct fs_context);
    ref_init(&fs->refs);
    lock_init(&fs->lock, LC_FS);
    fs->umask = 022;
    mnt_ns_get(ns);
    fs->ns = ns;
    mnt_ns_top(ns, &fs->root);
    fs->cwd = fs->root;
    path_get(&fs->cwd);
    return fs;
}

struct fs_context *fs_context_copy(struct fs_context *old)
{
    struct fs_context *fs = xnew(struct fs_context);
    ref_init(&fs->refs);
    lock_init(&fs->lock, LC_FS);
    lock(&old->lock);
    fs->umask = old->umask;
    fs->root = old->root;
    fs->cwd = old->cwd;
    fs->ns = old->ns;
    path_get(&fs->root);
    path_get(&fs->cwd);
    mnt_ns_get(fs->ns);
    unlock(&old->lock);
    return fs;
}

void fs_context_get(struct fs_context *fs) { ref_get(&fs->refs); }

void fs_context_put(struct fs_context *fs)
{
    if (!fs || !ref_put(&fs->refs)) return;
    path_put(&fs->root);
    path_put(&fs->cwd);
    mnt_ns_put(fs->ns);
    lock_fini(&fs->lock);
    free(fs);
}

void fs_get_root(struct fs_context *fs, struct path *out)
{
    lock(&fs->lock);
    *out = fs->root;
    path_get(out);
    unlock(&fs->lock);
}

void fs_get_cwd(struct fs_context *fs, struct path *out)
{
    lock(&fs->lock);
    *out = fs->cwd;
    path_get(out);
    unlock(&fs->lock);
}

static int replace(struct fs_context *fs, struct path *where, const struct path *p)
{
    path_get(p);
    lock(&fs->lock);
    struct path old = *where;
    *where = *p;
    unlock(&fs->lock);
    path_put(&old);
    return 0;
}

int fs_set_cwd(const struct path *p) { return replace(current->fs, &current->fs->cwd, p); }
int fs_set_root(const struct path *p) { return replace(current->fs, &current->fs->root, p); }

struct mnt_ns *fs_get_ns(struct fs_context *fs)
{
    lock(&fs->lock);
    struct mnt_ns *ns = fs->ns;
    mnt_ns_get(ns);
    unlock(&fs->lock);
    return ns;
}

/* The count of references will not do: readers of /proc hold some for a while. */
bool fs_is_shared(struct fs_context *fs)
{
    struct task *t;
    unsigned n = 0;
    lock(&kernel.tasklist);
    for (t = kernel.tasks_by_tid; t; t = t->hh.next) {
        lock(&t->lock);
        n += t->fs == fs;
        unlock(&t->lock);
    }
    unlock(&kernel.tasklist);
    return n > 1;
}

bool fs_is_chrooted(struct fs_context *fs)
{
    struct path root, top;
    fs_get_root(fs, &root);
    mnt_ns_top(fs->ns, &top);
    bool r = root.mnt != top.mnt || root.dentry != top.dentry;
    path_put(&top);
    path_put(&root);
    return r;
}

int fs_new_mounts(struct fs_context *fs, struct user_ns *owner)
{
    struct mnt_ns *old = fs->ns;
    int r = mnt_ns_copy(old, owner, &fs->root, &fs->cwd, &fs->ns);
    if (!r) mnt_ns_put(old);
    return r;
}

void fs_enter_mounts(struct fs_context *fs, struct mnt_ns *ns)
{
    struct path top;
    mnt_ns_top(ns, &top);
    mnt_ns_get(ns);
    path_get(&top);        /* for root and cwd each */
    lock(&fs->lock);
    struct path root = fs->root, cwd = fs->cwd;
    struct mnt_ns *old = fs->ns;
    fs->root = fs->cwd = top;
    fs->ns = ns;
    unlock(&fs->lock);
    path_put(&root);
    path_put(&cwd);
    mnt_ns_put(old);
}

static bool path_is(const struct path *a, const struct path *b) { return a->mnt == b->mnt && a->dentry == b->dentry; }

void fs_replace_root(const struct path *from, const struct path *to)
{
    struct task *t;
    unsigned n = 0, i = 0;

    lock(&kernel.tasklist);
    struct fs_context **all = xzalloc((kernel.nr_tasks + 1) * sizeof(*all));
    for (t = kernel.tasks_by_tid; t && n < kernel.nr_tasks; t = t->hh.next) {
        lock(&t->lock);
        if (t->fs) fs_context_get(all[n++] = t->fs);
        unlock(&t->lock);
    }
    unlock(&kernel.tasklist);
    for (i = 0; i < n; i++) {
        struct path old[2] = { { 0 } };
        lock(&all[i]->lock);
        struct path *where[2] = { &all[i]->root, &all[i]->cwd };
        for (int k = 0; k < 2; k++) {
            if (!path_is(where[k], from)) continue;
            old[k] = *where[k];
            *where[k] = *to;
            path_get(to);
        }
        unlock(&all[i]->lock);
        for (int k = 0; k < 2; k++) path_put(&old[k]);
        fs_context_put(all[i]);
    }
    free(all);
}
