/* One path walk, component by component. */
#include "sentry/vfs/walk.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"
#include <string.h>

static int set_start(struct walk *w, int dirfd, bool empty)
{
    if (dirfd == AT_FDCWD) {
        fs_get_cwd(current->fs, &w->cur);
        return 0;
    }
    struct file *f = fd_get_path(dirfd);
    if (!f) return -EBADF;
    int r = 0;
    if (empty) file_get_path(f, &w->cur);
    else if (!f->inode || !S_ISDIR(f->inode->mode) || !f->path.dentry) r = -ENOTDIR;
    else {
        w->cur = f->path;
        path_get(&w->cur);
    }
    file_put(f);
    return r;
}

static int jump_root(struct walk *w)
{
    if (w->flags & WALK_BENEATH) return -EXDEV;
    if ((w->flags & WALK_NO_XDEV) && w->cur.mnt && w->cur.mnt != w->root.mnt) return -EXDEV;
    struct path old = w->cur;
    w->cur = w->root;
    path_get(&w->cur);
    path_put(&old);
    return 0;
}

static int begin_common(struct walk *w, const char *path)
{
    w->rest = path;
    if (w->flags & (WALK_BENEATH | WALK_IN_ROOT)) {
        path_put(&w->root);
        w->root = w->cur;
        path_get(&w->root);
    }
    return *path == '/' ? jump_root(w) : 0;
}

int walk_begin(struct walk *w, int dirfd, const char *path, u32 flags)
{
    *w = (struct walk){ .flags = flags };
    size_t len = strnlen(path, KPATH_MAX);
    if (len == KPATH_MAX) return -ENAMETOOLONG;
    if (len == 0 && !(flags & WALK_EMPTY)) return -ENOENT;
    fs_get_root(current->fs, &w->root);
    int r = 0;
    if (*path != '/' || (flags & (WALK_BENEATH | WALK_IN_ROOT))) r = set_start(w, dirfd, len == 0);
    if (r == 0) r = begin_common(w, path);
    if (r) walk_end(w);
    return r;
}

int walk_begin_at(struct walk *w, const struct path *start, const char *path, u32 flags)
{
    *w = (struct walk){ .flags = flags };
    size_t len = strnlen(path, KPATH_MAX);
    if (len == KPATH_MAX) return -ENAMETOOLONG;
    if (len == 0 && !(flags & WALK_EMPTY)) return -ENOENT;
    if (current && current->fs) {
        fs_get_root(current->fs, &w->root);
    } else {
        w->root = *start;
        path_get(&w->root);
    }
    w->cur = *start;
    path_get(&w->cur);
    int r = begin_common(w, path);
    if (r) walk_end(w);
    return r;
}

void walk_end(struct walk *w)
{
    path_put(&w->cur);
    path_put(&w->root);
    free(w->buf);
    w->buf = NULL;
}

static int step_dotdot(struct walk *w)
{
    if (w->flags & (WALK_BENEATH | WALK_IN_ROOT)) w->scoped_dotdot = true;
    if (w->cur.dentry == w->root.dentry && w->cur.mnt == w->root.mnt) return w->flags & WALK_BENEATH ? -EXDEV : 0;
    struct mount *was = w->cur.mnt;
    while (w->cur.dentry == w->cur.mnt->root) {
        if (!path_up_mount(&w->cur)) return 0;
        if (w->cur.dentry == w->root.dentry && w->cur.mnt == w->root.mnt) break;
    }
    if (!(w->cur.dentry == w->root.dentry && w->cur.mnt == w->root.mnt)) {
        struct dentry *p = dentry_parent_get(w->cur.dentry);
        dentry_put(w->cur.dentry);
        w->cur.dentry = p;
    }
    path_follow_mount(&w->cur);
    if ((w->flags & WALK_NO_XDEV) && w->cur.mnt != was) return -EXDEV;
    return 0;
}

/* Cached and still true, or from the file system. */
int dentry_lookup_valid(struct dentry *parent, const char *name, size_t len, bool cached_only, struct dentry **out)
{
    for (unsigned tries = 0; tries < 8; tries++) {
        struct dentry *d = dentry_lookup_cached(parent, name, len);
        if (!d) break;
        /* What is mounted there is found whatever became of the name. */
        if (parent->sb->case_cache_forever || atomic_load(&d->nmounts)) {
            *out = d;
            return 0;
        }
        int (*reval)(struct dentry *) = parent->inode->ops->d_revalidate;
        if (!reval && d->inode) reval = d->inode->ops ? d->inode->ops->d_revalidate : NULL;
        int r = reval ? (cached_only ? -EAGAIN : reval(d)) : d->inode != NULL;
        if (r < 0) {
            dentry_put(d);
            return r;
        }
        if (r > 0) {
            *out = d;
            return 0;
        }
        dentry_drop(d);
        dentry_put(d);
    }
    if (cached_only) return -EAGAIN;
    return dentry_lookup(parent, name, len, out);
}

_Thread_local const char *vfs_lookup_ahead;

int walk_lookup_last(struct walk *w, struct dentry **out)
{
    struct dentry *dir = w->cur.dentry;
    if (unlikely(dir->policy)) {
        int r = policy_enter(dir, w->last, w->rest);
        if (r) return r;
    }
    vfs_lookup_ahead = w->rest;
    int r = dentry_lookup_valid(dir, w->last, strlen(w->last), w->flags & WALK_CACHED, out);
    vfs_lookup_ahead = NULL;
    if (unlikely(policy_records_looks) && r == 0 && (*out)->inode) policy_looked(*out);
    if (unlikely(policy_records_absent) && r == 0 && !(*out)->inode) policy_absent(dir, w->last, w->rest);
    return r;
}

int walk_enter(struct walk *w, struct dentry *d)
{
    struct mount *was = w->cur.mnt;
    dentry_get(d);
    dentry_put(w->cur.dentry);
    w->cur.dentry = d;
    if (atomic_load(&d->nmounts)) path_follow_mount(&w->cur);
    return (w->flags & WALK_NO_XDEV) && w->cur.mnt != was ? -EXDEV : 0;
}

int walk_follow(struct walk *w, struct dentry *d)
{
    struct inode *i = d->inode;
    if ((w->flags & WALK_NO_SYMLINKS) || (w->cur.mnt && (w->cur.mnt->flags & MNT_NOSYMFOLLOW))) return -ELOOP;
    if (++w->links > KSYMLOOP_MAX) return -ELOOP;
    if (w->flags & WALK_CACHED) return -EAGAIN;
    if (i->ops->get_link) {
        if (w->flags & WALK_NO_MAGICLINKS) return -ELOOP;
        struct path p = { 0 };
        int r = i->ops->get_link(i, d, &p);
        if (r && r != -EOPNOTSUPP) return r;
        if (r == 0) {
            if ((w->flags & (WALK_BENEATH | WALK_IN_ROOT)) || ((w->flags & WALK_NO_XDEV) && p.mnt != w->cur.mnt)) {
                path_put(&p);
                return -EXDEV;
            }
            path_put(&w->cur);
            w->cur = p;
            w->last_type = WALK_LAST_NONE;
            return 0;
        }
        /* -EOPNOTSUPP: an ordinary text after all (proc: exe of a kernel-less task and the like). */
    }
    if (!i->ops->readlink) return -EINVAL;
    char *text = NULL;
    int r = i->ops->readlink(i, &text);
    if (r < 0) return r;
    if (!*text) {
        free(text);
        return -ENOENT;
    }
    /* What is left of the walk comes behind the link's text; a trailing slash goes on to bind the new last component. */
    const char *rest = w->rest ? w->rest : "";
    char *buf = *rest ? xasprintf("%s/%s", text, rest) : w->trailing ? xasprintf("%s/", text) : xstrdup(text);
    free(text);
    free(w->buf);
    w->buf = buf;
    w->rest = buf;
    inode_accessed(i, w->cur.mnt);
    return *buf == '/' ? jump_root(w) : 0;
}

/* Takes the next component off w->rest into w->last. False: none left. */
static int next_component(struct walk *w, bool *any)
{
    const char *s = w->rest;
    while (*s == '/') s++;
    const char *e = s;
    while (*e && *e != '/') e++;
    size_t len = (size_t)(e - s);
    *any = len != 0;
    if (len > KNAME_MAX) return -ENAMETOOLONG;
    memcpy(w->last, s, len);
    w->last[len] = 0;
    w->trailing = *e == '/';
    while (*e == '/') e++;
    w->rest = e;
    w->last_type = len == 0 ? WALK_LAST_NONE
        : len == 1 && s[0] == '.' ? WALK_LAST_DOT
        : len == 2 && s[0] == '.' && s[1] == '.' ? WALK_LAST_DOTDOT : WALK_LAST_NORM;
    return 0;
}

int walk_to_last(struct walk *w)
{
    for (;;) {
        bool any;
        int r = next_component(w, &any);
        if (r) return r;
        if (!any) return 0;
        struct inode *dir = w->cur.dentry->inode;
        if (!dir || !S_ISDIR(dir->mode)) return -ENOTDIR;
        r = inode_may(dir, MAY_EXEC);
        if (r) return r;
        if (!*w->rest) return 0;

        if (w->last_type == WALK_LAST_DOT) continue;
        if (w->last_type == WALK_LAST_DOTDOT) {
            r = step_dotdot(w);
            if (r) return r;
            continue;
        }
        struct dentry *d;
        r = walk_lookup_last(w, &d);
        if (r) return r;
        if (!d->inode) {
            r = -ENOENT;
        } else if (S_ISLNK(d->inode->mode)) {
            r = walk_follow(w, d);
        } else {
            r = walk_enter(w, d);
        }
        dentry_put(d);
        if (r) return r;
    }
}

int walk_finish_special(struct walk *w, bool *done)
{
    *done = w->last_type != WALK_LAST_NORM;
    if (w->last_type == WALK_LAST_DOTDOT) return step_dotdot(w);
    return 0;
}

/* A directory may have been moved out of the scope while we stood in it: openat2(2) EAGAIN. */
int walk_check_scope(struct walk *w)
{
    if (!w->scoped_dotdot) return 0;
    struct path p = w->cur;
    path_get(&p);
    bool inside;
    for (;;) {
        if (p.mnt == w->root.mnt) {
            inside = dentry_is_ancestor(w->root.dentry, p.dentry);
            break;
        }
        if (!path_up_mount(&p)) {
            inside = false;
            break;
        }
    }
    path_put(&p);
    return inside ? 0 : -EAGAIN;
}
