/* Paths to objects: the walks that other operations start from. */
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <string.h>

static int run(struct walk *w, struct path *out)
{
    for (;;) {
        int r = walk_to_last(w);
        bool done = false;
        if (r == 0) r = walk_finish_special(w, &done);
        if (r) return r;
        if (!done) {
            struct dentry *d;
            r = walk_lookup_last(w, &d);
            if (r) return r;
            if (!d->inode) {
                dentry_put(d);
                return -ENOENT;
            }
            if (S_ISLNK(d->inode->mode) && ((w->flags & WALK_FOLLOW) || w->trailing)) {
                unsigned trailing = w->trailing;
                r = walk_follow(w, d);
                dentry_put(d);
                if (r) return r;
                if (w->last_type != WALK_LAST_NONE) continue;
                w->trailing = trailing;
            } else {
                r = walk_enter(w, d);
                dentry_put(d);
                if (r) return r;
            }
        }
        struct inode *i = w->cur.dentry ? w->cur.dentry->inode : NULL;
        if (((w->flags & WALK_DIRECTORY) || w->trailing) && (!i || !S_ISDIR(i->mode))) return -ENOTDIR;
        r = walk_check_scope(w);
        if (r) return r;
        *out = w->cur;
        path_get(out);
        return 0;
    }
}

int vfs_walk(int dirfd, const char *path, u32 flags, struct path *out)
{
    struct walk w;
    *out = (struct path){ 0 };
    int r = walk_begin(&w, dirfd, path, flags);
    if (r) return r;
    r = run(&w, out);
    walk_end(&w);
    return r;
}

int vfs_walk_from(const struct path *start, const char *path, u32 flags, struct path *out)
{
    struct walk w;
    *out = (struct path){ 0 };
    int r = walk_begin_at(&w, start, path, flags);
    if (r) return r;
    r = run(&w, out);
    walk_end(&w);
    return r;
}

int vfs_walk_parent(int dirfd, const char *path, u32 flags, struct path *parent, char last[KNAME_MAX + 1], bool *trailing_slash)
{
    struct walk w;
    *parent = (struct path){ 0 };
    int r = walk_begin(&w, dirfd, path, flags);
    if (r) return r;
    r = walk_to_last(&w);
    if (r == 0) r = walk_check_scope(&w);
    if (r == 0) {
        /* "/" has no name: callers see "/" and answer EEXIST, EBUSY or EISDIR as their call demands. */
        memcpy(last, w.last_type == WALK_LAST_NONE ? "/" : w.last, w.last_type == WALK_LAST_NONE ? 2 : strlen(w.last) + 1);
        if (trailing_slash) *trailing_slash = w.trailing;
        *parent = w.cur;
        path_get(parent);
    }
    walk_end(&w);
    return r;
}

int vfs_readlink(int dirfd, const char *path, char **out)
{
    struct path p;
    int r = vfs_walk(dirfd, path, WALK_EMPTY, &p);
    if (r) return r;
    struct inode *i = p.dentry->inode;
    /* readlink(2): an empty path names the link behind dirfd, anything else there is ENOENT. */
    if (!S_ISLNK(i->mode)) r = *path ? -EINVAL : -ENOENT;
    else if (!i->ops->readlink) r = -EINVAL;
    else {
        r = i->ops->readlink(i, out);
        if (r > 0) r = 0;
        if (r == 0) inode_accessed(i, p.mnt);
    }
    path_put(&p);
    return r;
}

int vfs_chdir(const char *path)
{
    struct path p;
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (r) return r;
    r = inode_may(p.dentry->inode, MAY_EXEC);
    if (r == 0) r = fs_set_cwd(&p);
    path_put(&p);
    return r;
}

int vfs_chroot(const char *path)
{
    struct path p;
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (r) return r;
    r = inode_may(p.dentry->inode, MAY_EXEC);
    if (r == 0 && !own_ns_capable(CAP_SYS_CHROOT)) r = -EPERM;
    if (r == 0) r = fs_set_root(&p);
    path_put(&p);
    return r;
}
