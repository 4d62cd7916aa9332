/* Making and removing names: mkdir, mknod, symlink, link, unlink, rmdir. rename(2) has its own file. */
#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/sysmacros.h>

/* An owner that the file system's user namespace does not know cannot be noted (fsuidgid_has_mapping() of Linux). */
static bool owner_known(const struct super *sb)
{
    const struct cred *c = current_cred();
    const struct user_ns *u = c->user_ns;
    return !u || sb->owner_inum != u->ns.inum || (id_to_ns(u, ID_UID, c->fsuid) != NO_ID && id_to_ns(u, ID_GID, c->fsgid) != NO_ID);
}

int may_create(struct inode *dir, struct dentry *parent)
{
    if (parent->deleted) return -ENOENT;
    if (!owner_known(dir->sb)) return -EOVERFLOW;
    return inode_may(dir, MAY_WRITE | MAY_EXEC);
}

int may_delete(struct inode *dir, struct dentry *d, bool is_dir)
{
    int r = inode_may(dir, MAY_WRITE | MAY_EXEC);
    if (r) return r;
    if ((inode_flags(dir) & FS_APPEND_FL) || (inode_flags(d->inode) & (FS_APPEND_FL | FS_IMMUTABLE_FL))) return -EPERM;
    if (dir->mode & S_ISVTX) {
        u32 fsuid = current_cred()->fsuid;
        if (fsuid != d->inode->uid && fsuid != dir->uid && !inode_capable(d->inode, CAP_FOWNER)) return -EPERM;
    }
    if (is_dir) {
        if (!S_ISDIR(d->inode->mode)) return -ENOTDIR;
        if (d == d->sb->root) return -EBUSY;
    } else if (S_ISDIR(d->inode->mode)) {
        return -EISDIR;
    }
    return 0;
}

/*
 * Walks to where a new name is to be. 0: *d is its negative dentry (counted) and w->cur the directory; the caller
 * locks the directory and asks still_free_locked. type: S_IF*; 0: a link. Of a directory a trailing slash is allowed.
 */
static int begin_create(struct walk *w, int dirfd, const char *path, u32 type, struct dentry **d)
{
    bool is_dir = type == S_IFDIR;
    int r = walk_begin(w, dirfd, path, 0);
    if (r) return r;
    r = walk_to_last(w);
    if (r == 0 && w->last_type != WALK_LAST_NORM) r = -EEXIST;
    if (r == 0) r = walk_lookup_last(w, d);
    if (r == 0) {
        if ((*d)->inode) r = -EEXIST;
        else if (w->trailing && !is_dir) r = -ENOENT;
        else r = mnt_want_write_to(w->cur.mnt, *d);
        if (r == 0) r = may_create(w->cur.dentry->inode, w->cur.dentry);
        if (r == 0 && type) r = ll_path(&w->cur, ll_make_right(type));
        if (r == 0) r = policy_dentry(*d, PR_WRITE);
        if (r) dentry_put(*d);
    }
    if (r) walk_end(w);
    return r;
}

static int still_free_locked(struct walk *w, struct dentry *d)
{
    if (w->cur.dentry->deleted) return -ENOENT;
    return d->inode || !d->hashed ? -EEXIST : 0;
}

static int end_create(struct walk *w, struct dentry *d, int r, bool is_dir)
{
    if (r == 0) fsnotify_name(w->cur.dentry->inode, w->last, IN_CREATE, 0, is_dir);
    /* The file system knows a child that our negative dentry does not (a shared root): ask again next time. */
    if (r == -EEXIST && !d->inode) dentry_drop(d);
    dentry_put(d);
    walk_end(w);
    return r;
}

int vfs_mkdir(int dirfd, const char *path, u32 mode)
{
    struct walk w;
    struct dentry *d;
    int r = begin_create(&w, dirfd, path, S_IFDIR, &d);
    if (r) return r;
    struct inode *dir = w.cur.dentry->inode;
    if (!dir->ops->mkdir) {
        r = -EPERM;
    } else {
        lock(&dir->lock);
        r = still_free_locked(&w, d);
        if (r == 0) r = dir->ops->mkdir(dir, d, S_IFDIR | (mode & (0777 | S_ISVTX) & (acl_has_default(dir) ? ~0u : ~current->fs->umask)));
        unlock(&dir->lock);
    }
    return end_create(&w, d, r, true);
}

int vfs_mknod(int dirfd, const char *path, u32 mode, u64 rdev)
{
    u32 type = mode & S_IFMT;
    if (type == S_IFDIR) return -EPERM;
    if (type == 0) type = S_IFREG;
    if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK) return -EINVAL;
    struct walk w;
    struct dentry *d;
    int r = begin_create(&w, dirfd, path, type, &d);
    if (r) return r;
    struct inode *dir = w.cur.dentry->inode;
    /* Character device 0/0 is a whiteout, harmless, and needs no privilege (mknod(2)). */
    bool device = (type == S_IFCHR && rdev != 0) || type == S_IFBLK;
    mode = type | inode_create_mode(dir, mode);
    if (device && !capable(CAP_MKNOD)) r = -EPERM;
    else if (type == S_IFREG ? !dir->ops->create : !dir->ops->mknod) r = -EPERM;
    else {
        lock(&dir->lock);
        r = still_free_locked(&w, d);
        if (r == 0) r = type == S_IFREG ? dir->ops->create(dir, d, mode)
            : dir->ops->mknod(dir, d, mode, type == S_IFCHR || type == S_IFBLK ? rdev : 0);
        unlock(&dir->lock);
    }
    return end_create(&w, d, r, false);
}

int vfs_symlink(const char *target, int dirfd, const char *path)
{
    if (!*target) return -ENOENT;
    if (strnlen(target, KPATH_MAX) == KPATH_MAX) return -ENAMETOOLONG;
    struct walk w;
    struct dentry *d;
    int r = begin_create(&w, dirfd, path, S_IFLNK, &d);
    if (r) return r;
    struct inode *dir = w.cur.dentry->inode;
    if (!dir->ops->symlink) {
        r = -EPERM;
    } else {
        lock(&dir->lock);
        r = still_free_locked(&w, d);
        if (r == 0) r = dir->ops->symlink(dir, d, target);
        unlock(&dir->lock);
    }
    return end_create(&w, d, r, false);
}

/* LOOKUP_LINKAT_EMPTY of Linux 6.10: whoever opened the file may, with unchanged credentials. */
static bool may_link_open_file(int fd)
{
    struct file *f = fd_get_path(fd);
    bool same = f && f->cred == current_cred();
    if (f) file_put(f);
    return same || capable(CAP_DAC_READ_SEARCH);
}

/* A file that never had a name is in no directory: for Landlock it comes from nowhere, and goes where files may be moved to. */
static int link_refer(const struct path *src, const struct path *dir, struct dentry *nd)
{
    struct path from = { src->mnt, dentry_parent_get(src->dentry) };
    int r = ll_refer(&from, src->dentry, dir, nd, false, false);
    dentry_put(from.dentry);
    return r;
}

/* link(2) of what linkat's first pair names. flags: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
int vfs_link(int odfd, const char *old, int ndfd, const char *new_, int flags)
{
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    bool empty = (flags & AT_EMPTY_PATH) && !*old;
    if (empty && !may_link_open_file(odfd)) return -ENOENT;
    struct path src;
    int r = vfs_walk(odfd, old, (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &src);
    if (r) return r;
    if (empty && odfd != AT_FDCWD) {
        struct file *f = fd_get_path(odfd);
        bool never = f && (f->flags & O_EXCL) && f->path.dentry && f->path.dentry->deleted;
        if (f) file_put(f);
        if (never) r = -ENOENT;      /* O_TMPFILE|O_EXCL */
    }
    struct inode *target = src.dentry->inode;
    struct walk w;
    struct dentry *d = NULL;
    if (r == 0) r = begin_create(&w, ndfd, new_, 0, &d);
    if (r) {
        path_put(&src);
        return r;
    }
    struct inode *dir = w.cur.dentry->inode;
    if (src.mnt != w.cur.mnt || target->sb != dir->sb) r = -EXDEV;
    else if (S_ISDIR(target->mode) || !dir->ops->link || (inode_flags(target) & (FS_APPEND_FL | FS_IMMUTABLE_FL))) r = -EPERM;
    /* A file all names of which are gone cannot come back, except one that never had a name (O_TMPFILE). */
    else if (src.dentry->deleted && target->nlink == 0 && src.dentry->parent != src.dentry) r = -ENOENT;
    else if ((r = link_refer(&src, &w.cur, d)) == 0 && (r = policy_move(src.dentry, d, false)) == 0) {
        lock(&dir->lock);
        r = still_free_locked(&w, d);
        if (r == 0) r = dir->ops->link(dir, d, target, src.dentry);
        unlock(&dir->lock);
        if (r == 0) fsnotify_links(src.dentry->inode);
    }
    r = end_create(&w, d, r, false);
    path_put(&src);
    return r;
}

int vfs_unlink(int dirfd, const char *path, int flags)
{
    bool rmdir = flags & AT_REMOVEDIR;
    if (flags & ~AT_REMOVEDIR) return -EINVAL;
    struct walk w;
    int r = walk_begin(&w, dirfd, path, 0);
    if (r) return r;
    r = walk_to_last(&w);
    if (r == 0 && w.last_type != WALK_LAST_NORM) {
        if (!rmdir) r = -EISDIR;
        else r = w.last_type == WALK_LAST_DOTDOT ? -ENOTEMPTY : w.last_type == WALK_LAST_DOT ? -EINVAL : -EBUSY;
    }
    struct dentry *d = NULL;
    if (r == 0) r = mnt_want_write(w.cur.mnt);
    if (r == -EROFS) {
        /* Absence is told before a read-only file system is. */
        if (walk_lookup_last(&w, &d) == 0) {
            if (!d->inode) r = -ENOENT;
            else policy_readonly(d);
            dentry_put(d);
        }
        d = NULL;
    }
    if (r == 0) r = walk_lookup_last(&w, &d);
    if (r) {
        walk_end(&w);
        return r;
    }
    struct inode *dir = w.cur.dentry->inode, *i = NULL;
    if (d->inode && ((r = ll_path(&w.cur, rmdir ? LL_REMOVE_DIR : LL_REMOVE_FILE)) || (r = policy_dentry(d, PR_WRITE)))) {
        dentry_put(d);
        walk_end(&w);
        return r;
    }
    lock(&dir->lock);
    i = d->inode;
    if (!i || !d->hashed) r = -ENOENT;
    else if (w.trailing && !rmdir) r = S_ISDIR(i->mode) ? -EISDIR : -ENOTDIR;
    else r = may_delete(dir, d, rmdir);
    if (r == 0 && dentry_is_mounted_here(d)) r = -EBUSY;
    if (r == 0 && !(rmdir ? dir->ops->rmdir : dir->ops->unlink)) r = -EPERM;
    if (r == 0) {
        inode_get(i);
        r = (rmdir ? dir->ops->rmdir : dir->ops->unlink)(dir, d);
        if (r == 0) dentry_delete(d);
        else inode_put(i);
    }
    unlock(&dir->lock);
    if (r == 0) dentry_detach_mounts(d);
    if (r == 0) {
        if (!rmdir) fsnotify_links(i);
        /* As d_delete(): at once, and before the directory hears of it, unless somebody has it open: then at the last close. */
        if ((rmdir || i->nlink == 0) && ref_read(&d->refs) == 1) fsnotify_inode_delete(i);
        fsnotify_name(dir, w.last, IN_DELETE, 0, rmdir);
        inode_put(i);
    }
    dentry_put(d);
    walk_end(&w);
    return r;
}
