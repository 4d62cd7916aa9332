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
    fs->root = (struct path){ ns->root, ns->root->root };
    path_get(&fs->root);
    path_follow_mount(&fs->root);
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
