/* open(2), openat2(2) and opening by path. Source: open(2), fs/namei.c and fs/open.c in the Linux tree. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

static const struct file_ops path_file_ops = { 0 };

static bool wants_write(u32 flags) { return (flags & O_ACCMODE) != O_RDONLY; }

/* Which access a file opened with these flags needs. */
static int open_mask(u32 flags)
{
    static const u8 mask[4] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };
    int m = mask[flags & O_ACCMODE];
    return flags & O_TRUNC ? m | MAY_WRITE : m;
}

static int may_open(const struct path *p, u32 flags)
{
    struct inode *i = p->dentry->inode;
    int mask = open_mask(flags);
    switch (i->mode & S_IFMT) {
    case S_IFLNK: return -ELOOP;
    case S_IFDIR:
        if (mask & MAY_WRITE) return -EISDIR;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (p->mnt && (p->mnt->flags & MNT_NODEV)) return -EACCES;
        break;
    case S_IFREG:
        if ((mask & MAY_WRITE) && mnt_want_write_to(p->mnt, p->dentry)) return -EROFS;
        break;
    default: break;
    }
    int r = inode_may(i, mask);
    if (r == 0) r = policy_dentry(p->dentry, (mask & MAY_READ ? PR_READ : 0) | (mask & MAY_WRITE ? PR_WRITE : 0));
    if (r) return r;
    if ((inode_flags(i) & FS_APPEND_FL) && ((wants_write(flags) && !(flags & O_APPEND)) || (flags & O_TRUNC))) return -EPERM;
    if ((flags & O_NOATIME) && !inode_owner_or_capable(i)) return -EPERM;
    return (flags & O_TRUNC) && S_ISREG(i->mode) ? ll_path(p, LL_TRUNCATE) : 0;
}

/*
 * The part of open that comes when the other checks have been made; at: where Landlock is to look for its rights, NULL: it is
 * not asked.
 */
static int do_open(const struct path *p, u32 flags, bool created, const struct path *at, bool exec, struct file **out)
{
    struct inode *i = p->dentry->inode;
    u32 kept = flags & ~(u32)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    if (flags & O_PATH) {
        *out = file_new(&path_file_ops, p, i, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
        return 0;
    }
    if (S_ISREG(i->mode)) {
        int r = inode_break_lease(i, wants_write(flags) || (flags & O_TRUNC), flags & O_NONBLOCK);
        if (r) return r;
    }
    bool counts = S_ISREG(i->mode) && wants_write(flags) && (flags & O_ACCMODE) != O_ACCMODE;
    if (counts || ((flags & O_TRUNC) && S_ISREG(i->mode))) {
        int r = inode_get_write(i);
        if (r) return r;
        if (!counts) inode_put_write(i);
    }
    struct file *f = file_new(i->fops, p, i, kept | KO_LARGEFILE);
    if (created) f->mode |= FMODE_CREATED;
    if (counts) {
        f->mode |= FMODE_WRITER;
        if (p->mnt) {
            atomic_add(&p->mnt->writers, 1);
            atomic_add(&p->mnt->sb->writers, 1);
        }
    } else if (S_ISREG(i->mode) && (flags & O_ACCMODE) == O_RDONLY) {
        f->mode |= FMODE_READER;
        atomic_add(&i->open_readers, 1);
    }
    bool truncated = false;
    int r = at ? ll_open(f, at, exec) : 0;
    if (r == 0) switch (i->mode & S_IFMT) {
    case S_IFIFO:
        /* Likewise pipes of the host (fs/anon/hostfile.c), reopened through /proc/self/fd. */
        r = i->fops && i->ops->open ? i->ops->open(i, p->dentry, f) : pipe_open_fifo(i, p->dentry, f);
        break;
    case S_IFCHR:
        /* File systems that make their own devices (devpts) open them; all others go by number. */
        r = i->fops && i->ops->open ? i->ops->open(i, p->dentry, f) : chrdev_open(i, p->dentry, f);
        break;
    case S_IFBLK: r = blkdev_open(i, f); break;
    case S_IFSOCK: r = -ENXIO; break;
    default:
        if (i->ops->open) r = i->ops->open(i, p->dentry, f);
        if (r == 0 && !f->ops) r = -ENXIO;
        /* No directory has FMODE_CAN_ODIRECT (do_dentry_open). */
        if (r == 0 && (flags & O_DIRECT) && S_ISDIR(i->mode)) r = -EINVAL;
        break;
    }
    if (r == 0 && (flags & O_TRUNC) && !created && S_ISREG(i->mode)) {
        struct kattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW };
        if (!capable(CAP_FSETID)) a.valid |= ATTR_KILL_SUID;
        r = i->ops->setattr ? i->ops->setattr(i, p->dentry, &a) : 0;
        truncated = r == 0;
    }
    if (r) {
        /* Never opened: its release must not run. The count of writers goes with file_put. */
        f->ops = NULL;
        file_put(f);
        return r;
    }
    fsnotify(p->dentry, IN_OPEN, 0);
    if (truncated) fsnotify(p->dentry, IN_MODIFY, 0);
    *out = f;
    return 0;
}

int vfs_open_nocheck(const struct path *p, u32 flags, struct file **out) { return do_open(p, flags, false, NULL, false, out); }

int vfs_open_path(const struct path *p, u32 flags, struct file **out)
{
    struct inode *i = p->dentry->inode;
    *out = NULL;
    if (!i) return -ENOENT;
    if ((flags & O_DIRECTORY) && !S_ISDIR(i->mode)) return -ENOTDIR;
    if (flags & O_PATH) return do_open(p, flags, false, p, false, out);
    int r = may_open(p, flags);
    return r ? r : do_open(p, flags, false, p, false, out);
}

int vfs_open_exec(int dirfd, const char *path, u32 walk, struct file **out)
{
    struct path p;
    *out = NULL;
    int r = vfs_walk(dirfd, path, walk, &p);
    if (r) return r;
    struct inode *i = p.dentry->inode;
    if (S_ISLNK(i->mode)) r = -ELOOP;
    else if (!S_ISREG(i->mode) || (p.mnt->flags & MNT_NOEXEC)) r = -EACCES;
    else r = inode_may(i, MAY_EXEC);
    if (r == 0) r = policy_dentry(p.dentry, PR_EXEC);
    if (r == 0) r = inode_deny_write(i);
    if (r == 0) {
        r = do_open(&p, O_RDONLY, false, &p, true, out);
        if (r) inode_allow_write(i);
        else (*out)->mode |= FMODE_EXEC;
    }
    path_put(&p);
    return r;
}

static int open_tmpfile(struct walk *w, u32 flags, u32 mode, struct file **out)
{
    struct path dirp = w->cur;
    struct inode *dir = dirp.dentry->inode, *i = NULL;
    if (!wants_write(flags)) return -EINVAL;
    int r = mnt_want_write_to(dirp.mnt, dirp.dentry);
    if (r == 0) r = inode_may(dir, MAY_WRITE | MAY_EXEC);
    if (r == 0) r = policy_dentry(dirp.dentry, PR_WRITE);
    if (r == 0 && !dir->ops->tmpfile) r = -EOPNOTSUPP;
    if (r) return r;
    lock(&dir->lock);
    r = dir->ops->tmpfile(dir, S_IFREG | inode_create_mode(dir, mode), &i);
    unlock(&dir->lock);
    if (r) return r;
    AUTO_FREE char *name = xasprintf("#%lu", i->ino);
    struct path p = { dirp.mnt, dentry_new_disconnected(dir->sb, name, i, true) };
    mount_get(p.mnt);
    p.dentry->policy = dirp.dentry->policy; /* for a later link(2) */
    /* O_EXCL: never to be linked in; link(2) asks the file's flags. */
    r = do_open(&p, flags & ~(u32)(O_CREAT | O_TRUNC | O_DIRECTORY), true, &dirp, false, out);
    if (r == 0 && (flags & O_EXCL)) (*out)->flags |= O_EXCL;
    path_put(&p);
    return r;
}

/* The last component may be created: w->cur is its directory. 0: *d is it (counted); *created says whether it is new. */
static int lookup_or_create(struct walk *w, u32 flags, u32 mode, struct dentry **out, bool *created)
{
    struct dentry *d;
    *created = false;
    for (unsigned tries = 0;; tries++) {
        int r = walk_lookup_last(w, &d);
        if (r) return r;
        if (d->inode || !(flags & O_CREAT)) break;
        struct inode *dir = w->cur.dentry->inode;
        r = mnt_want_write_to(w->cur.mnt, d);
        if (r == 0) r = may_create(dir, w->cur.dentry);
        if (r == 0) r = ll_path(&w->cur, LL_MAKE_REG);
        if (r == 0) r = policy_dentry(d, PR_WRITE);
        if (r == 0 && !dir->ops->create) r = -EACCES;
        if (r) {
            dentry_put(d);
            return r;
        }
        lock(&dir->lock);
        bool lost = d->inode || !d->hashed;
        r = lost ? 0 : w->cur.dentry->deleted ? -ENOENT
            : dir->ops->create(dir, d, S_IFREG | inode_create_mode(dir, mode));
        unlock(&dir->lock);
        if (r == 0 && !lost) {
            *created = true;
            fsnotify_name(dir, d->name, IN_CREATE, 0, false);
            break;
        }
        if (r == -EEXIST) dentry_drop(d);
        if (r == 0 && d->inode) break;
        dentry_put(d);
        if ((r && r != -EEXIST) || tries > 16) return r ? r : -EIO;
    }
    *out = d;
    return 0;
}

static int open_walk(struct walk *w, u32 flags, u32 mode, struct file **out)
{
    for (;;) {
        int r = walk_to_last(w);
        if (r) return r;
        bool special, created = false;
        /* "a/" cannot be created, whatever is there (openat(2): EISDIR). */
        if ((flags & O_CREAT) && w->last_type == WALK_LAST_NORM && w->trailing) return -EISDIR;
        if ((flags & O_CREAT) && w->last_type != WALK_LAST_NORM) return flags & O_EXCL ? -EEXIST : -EISDIR;
        r = walk_finish_special(w, &special);
        if (r) return r;
        if (!special) {
            struct dentry *d;
            r = lookup_or_create(w, flags, mode, &d, &created);
            if (r) return r;
            if (!d->inode) {
                r = -ENOENT;
            } else if (!created && (flags & O_CREAT) && (flags & O_EXCL)) {
                r = -EEXIST;
            } else if (S_ISLNK(d->inode->mode) && (!(flags & O_NOFOLLOW) || w->trailing)) {
                r = walk_follow(w, d);
                dentry_put(d);
                if (r) return r;
                if (w->last_type != WALK_LAST_NONE) continue;
                w->trailing = 0;
                goto found;
            } else {
                r = walk_enter(w, d);
            }
            dentry_put(d);
            if (r) return r;
        }
found:
        r = walk_check_scope(w);
        if (r) return r;
        struct inode *i = w->cur.dentry ? w->cur.dentry->inode : NULL;
        if (!i) return -ENXIO;
        if (((flags & O_DIRECTORY) || w->trailing) && !S_ISDIR(i->mode)) return -ENOTDIR;
        if (flags & O_PATH) return do_open(&w->cur, flags, false, NULL, false, out);
        if ((flags & O_CREAT) && S_ISDIR(i->mode)) return -EISDIR;
        if ((flags & TMPFILE_BIT)) return open_tmpfile(w, flags, mode, out);
        /* Whoever has just made the file may open it, though its mode says otherwise. */
        if (!created) {
            r = may_open(&w->cur, flags);
            if (r) return r;
        }
        return do_open(&w->cur, flags, created, &w->cur, false, out);
    }
}

int vfs_open(int dirfd, const char *path, const struct open_how_k *how, struct file **out)
{
    u32 flags = how->flags;
    *out = NULL;
    if (flags & O_PATH) flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (flags & TMPFILE_BIT) {
        if (!(flags & O_DIRECTORY) || (flags & O_CREAT) || !wants_write(flags)) return -EINVAL;
    } else if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
        return -EINVAL;
    }
    if ((how->walk & WALK_CACHED) && (flags & (O_CREAT | O_TRUNC | TMPFILE_BIT))) return -EAGAIN;
    /* O_CREAT|O_EXCL never follows. */
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) flags |= O_NOFOLLOW;
    struct walk w;
    int r = walk_begin(&w, dirfd, path, how->walk);
    if (r) return r;
    r = open_walk(&w, flags, how->mode, out);
    walk_end(&w);
    return r;
}
