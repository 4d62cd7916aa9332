/* Attributes: stat, access, chmod, chown, utimensat, truncate, statfs. Source: the man pages, setattr_prepare in the Linux tree. */
#include "sentry/base/clock.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>

static int getattr(struct inode *i, struct kstat *st)
{
    if (i->ops && i->ops->getattr) return i->ops->getattr(i, st);
    lock(&i->lock);
    inode_fill_stat(i, st);
    unlock(&i->lock);
    return 0;
}

int vfs_stat_path(const struct path *p, struct kstat *st)
{
    *st = (struct kstat){ 0 };
    int r = getattr(p->dentry->inode, st);
    if (p->mnt) {
        st->mnt_id = p->mnt->id;
        st->mnt_unique = p->mnt->unique;
        st->attributes_mask |= STATX_ATTR_MOUNT_ROOT;
        if (p->dentry == p->mnt->root) st->attributes |= STATX_ATTR_MOUNT_ROOT;
    }
    return r;
}

int vfs_stat_file(struct file *f, struct kstat *st)
{
    if (f->path.dentry) return vfs_stat_path(&f->path, st);
    *st = (struct kstat){ 0 };
    return getattr(f->inode, st);
}

int vfs_stat(int dirfd, const char *path, int at_flags, struct kstat *st)
{
    if ((at_flags & AT_EMPTY_PATH) && !*path && dirfd != AT_FDCWD) {
        struct file *f = fd_get_path(dirfd);
        if (!f) return -EBADF;
        int r = vfs_stat_file(f, st);
        file_put(f);
        return r;
    }
    struct path p;
    int r = vfs_walk(dirfd, path, (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &p);
    if (r) return r;
    r = vfs_stat_path(&p, st);
    path_put(&p);
    return r;
}

int vfs_access(int dirfd, const char *path, int mode, int at_flags)
{
    if (mode & ~(R_OK | W_OK | X_OK)) return -EINVAL;
    if (at_flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    /* access(2) asks for the real ids: with a temporary cred of theirs, whose capabilities follow the real uid. */
    struct cred *old = current->cred, *real = NULL;
    if (!(at_flags & AT_EACCESS) && (old->fsuid != old->uid || old->fsgid != old->gid || (old->uid != 0 && old->cap_effective)
            || (old->uid == 0 && old->cap_effective != old->cap_permitted))) {
        real = cred_copy(old);
        real->fsuid = old->uid;
        real->fsgid = old->gid;
        if (!(old->securebits & 4 /* SECBIT_NO_SETUID_FIXUP */)) real->cap_effective = old->uid == 0 ? old->cap_permitted : 0;
        lock(&current->lock);
        current->cred = real;
        unlock(&current->lock);
    }
    struct path p;
    int r = vfs_walk(dirfd, path, (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &p);
    if (r == 0) {
        struct inode *i = p.dentry->inode;
        if ((mode & X_OK) && S_ISREG(i->mode) && p.mnt && (p.mnt->flags & MNT_NOEXEC)) r = -EACCES;
        if (r == 0 && mode) r = inode_may(i, mode);
        if (r == 0 && mode) r = policy_would(p.dentry, (mode & R_OK ? PR_READ : 0) | (mode & W_OK ? PR_WRITE : 0) |
                                             (mode & X_OK && S_ISREG(i->mode) ? PR_EXEC : 0));
        if (r == 0 && (mode & W_OK) && mnt_want_write(p.mnt) && (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode))) r = -EROFS;
        path_put(&p);
    }
    if (real) {
        lock(&current->lock);
        current->cred = old;
        unlock(&current->lock);
        cred_put(real);
    }
    return r;
}

/* For inodes without a setattr of their own: the fields are all there is. */
static int setattr_fields(struct inode *i, const struct kattr *a)
{
    if (a->valid & ATTR_SIZE) return -EINVAL;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lock(&i->lock);
    if (a->valid & ATTR_UID) i->uid = a->uid;
    if (a->valid & ATTR_GID) i->gid = a->gid;
    if (a->valid & ATTR_MODE) i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    if (a->valid & ATTR_KILL_SUID) i->mode &= ~(u32)(S_ISUID | (i->mode & S_IXGRP ? S_ISGID : 0));
    if (a->valid & ATTR_ATIME) i->atime = a->valid & ATTR_ATIME_NOW ? now : a->atime;
    if (a->valid & ATTR_MTIME) i->mtime = a->valid & ATTR_MTIME_NOW ? now : a->mtime;
    i->ctime = now;
    unlock(&i->lock);
    return 0;
}

#define TIMES_NOW (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)

/* may_setattr() of Linux: to set both times to now is no more than writing does. */
static bool flags_forbid(const struct inode *i, u32 valid)
{
    bool touch = (valid & TIMES_NOW) == TIMES_NOW;
    u32 flags = inode_flags(i);
    if ((valid & (ATTR_MODE | ATTR_UID | ATTR_GID)) || ((valid & (ATTR_ATIME | ATTR_MTIME)) && !touch)) return flags & (FS_APPEND_FL | FS_IMMUTABLE_FL);
    return touch && (flags & FS_IMMUTABLE_FL);
}

int vfs_setattr(const struct path *p, const struct kattr *in)
{
    struct kattr a = *in;
    struct inode *i = p->dentry->inode;
    const struct cred *c = current_cred();
    int r = mnt_want_write_to(p->mnt, p->dentry);
    if (r == 0) r = policy_dentry(p->dentry, PR_WRITE);
    if (r) return r;
    if (flags_forbid(i, a.valid)) return -EPERM;
    bool owner = c->fsuid == i->uid;
    if ((a.valid & ATTR_UID) && !((owner && a.uid == i->uid) || inode_capable(i, CAP_CHOWN))) return -EPERM;
    if ((a.valid & ATTR_GID) && !((owner && (a.gid == i->gid || cred_in_group(c, a.gid))) || inode_capable(i, CAP_CHOWN))) return -EPERM;
    if (a.valid & ATTR_MODE) {
        if (!inode_owner_or_capable(i)) return -EPERM;
        u32 gid = a.valid & ATTR_GID ? a.gid : i->gid;
        if (!cred_in_group(c, gid) && !inode_capable(i, CAP_FSETID)) a.mode &= ~(u32)S_ISGID;
    }
    u32 times = a.valid & (ATTR_ATIME | ATTR_MTIME);
    if (times) {
        /* Both set to now: write permission is enough; anything else is the owner's right. */
        bool both_now = times == (ATTR_ATIME | ATTR_MTIME) && (a.valid & ATTR_ATIME_NOW) && (a.valid & ATTR_MTIME_NOW);
        if (!(a.valid & ATTR_SIZE) && !inode_owner_or_capable(i)) {
            if (!both_now) return -EPERM;
            r = inode_may(i, MAY_WRITE);
            if (r) return r;
        }
    }
    r = i->ops && i->ops->setattr ? i->ops->setattr(i, p->dentry, &a) : setattr_fields(i, &a);
    if (r) return r;
    /* fsnotify_change(): one of the times alone is what a read or a write changes. */
    u32 event = a.valid & ATTR_SIZE ? IN_MODIFY : times == ATTR_ATIME ? IN_ACCESS : times == ATTR_MTIME ? IN_MODIFY : IN_ATTRIB;
    if (times && (a.valid & (ATTR_UID | ATTR_GID | ATTR_MODE))) event |= IN_ATTRIB;
    fsnotify(p->dentry, event | FSNOTIFY_INODE, 0);
    return 0;
}

static u32 walk_flags(int at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

int vfs_chmod(int dirfd, const char *path, u32 mode, int at_flags)
{
    struct path p;
    int r = vfs_walk(dirfd, path, walk_flags(at_flags), &p);
    if (r) return r;
    struct kattr a = { .valid = ATTR_MODE, .mode = mode & 07777 };
    r = S_ISLNK(p.dentry->inode->mode) ? -EOPNOTSUPP : vfs_setattr(&p, &a);
    path_put(&p);
    return r;
}

int vfs_chown(int dirfd, const char *path, u32 uid, u32 gid, int at_flags)
{
    struct path p;
    int r = vfs_walk(dirfd, path, walk_flags(at_flags), &p);
    if (r) return r;
    struct kattr a = { .uid = uid, .gid = gid };
    if (uid != ~0u) a.valid |= ATTR_UID;
    if (gid != ~0u) a.valid |= ATTR_GID;
    /* chown(2): of anything but a directory clears set-user-ID and, where executable by group, set-group-ID. */
    struct inode *i = p.dentry->inode;
    if (!S_ISDIR(i->mode)) a.valid |= ATTR_KILL_SUID;
    r = vfs_setattr(&p, &a);
    /* ATTR_KILL_PRIV: file capabilities go as well. */
    if (r == 0 && S_ISREG(i->mode) && i->ops && i->ops->removexattr) (void)i->ops->removexattr(i, "security.capability");
    path_put(&p);
    return r;
}

int vfs_utimens(int dirfd, const char *path, const struct timespec ts[2], int at_flags)
{
    if (at_flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    struct kattr a = { .valid = ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW };
    if (ts) {
        for (int k = 0; k < 2; k++) {
            long ns = ts[k].tv_nsec;
            if (ns != UTIME_NOW && ns != UTIME_OMIT && (ns < 0 || ns >= NSEC_PER_SEC)) return -EINVAL;
        }
        if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT) return 0;
        a.valid = 0;
        a.atime = ts[0];
        a.mtime = ts[1];
        if (ts[0].tv_nsec != UTIME_OMIT) a.valid |= ATTR_ATIME | (ts[0].tv_nsec == UTIME_NOW ? ATTR_ATIME_NOW : 0);
        if (ts[1].tv_nsec != UTIME_OMIT) a.valid |= ATTR_MTIME | (ts[1].tv_nsec == UTIME_NOW ? ATTR_MTIME_NOW : 0);
    }
    struct path p = { 0 };
    int r;
    if (!path || (!*path && (at_flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD)) {
        if (!path && at_flags) return -EINVAL;
        struct file *f = path ? fd_get_path(dirfd) : fd_get(dirfd);
        if (!f) return -EBADF;
        file_get_path(f, &p);
        file_put(f);
        r = 0;
    } else {
        r = vfs_walk(dirfd, path, walk_flags(at_flags), &p);
    }
    if (r) return r;
    r = vfs_setattr(&p, &a);
    path_put(&p);
    return r;
}

static int do_truncate(const struct path *p, struct inode *i, u64 size)
{
    if (size > current_rlimit(RLIMIT_FSIZE) && size > i->size) {
        struct ksiginfo info = { 0 };
        ksiginfo_user(&info, SIGXFSZ, SI_KERNEL);
        (void)signal_send_task(current, &info);
        return -EFBIG;
    }
    struct kattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW, .size = size };
    if (!capable(CAP_FSETID)) a.valid |= ATTR_KILL_SUID;
    if (!i->ops || !i->ops->setattr) return -EINVAL;
    int r = i->ops->setattr(i, p->dentry, &a);
    if (r == 0 && p->dentry) fsnotify(p->dentry, IN_MODIFY | FSNOTIFY_INODE, 0);
    return r;
}

int vfs_truncate_path(const char *path, u64 size)
{
    if ((s64)size < 0) return -EINVAL;
    struct path p;
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (r) return r;
    struct inode *i = p.dentry->inode;
    if (S_ISDIR(i->mode)) r = -EISDIR;
    else if (!S_ISREG(i->mode)) r = -EINVAL;
    else r = mnt_want_write_to(p.mnt, p.dentry);
    if (r == 0) r = inode_may(i, MAY_WRITE);
    if (r == 0 && (inode_flags(i) & FS_APPEND_FL)) r = -EPERM;
    if (r == 0) r = policy_dentry(p.dentry, PR_WRITE);
    if (r == 0) r = ll_path(&p, LL_TRUNCATE);
    if (r == 0) r = inode_get_write(i);
    if (r == 0) {
        r = do_truncate(&p, i, size);
        inode_put_write(i);
    }
    path_put(&p);
    return r;
}

int vfs_ftruncate(struct file *f, u64 size)
{
    if ((s64)size < 0) return -EINVAL;
    if (f->mode & FMODE_PATH) return -EBADF;
    if (!f->inode || !S_ISREG(f->inode->mode) || !(f->mode & FMODE_WRITE)) return -EINVAL;
    int r = inode_flags(f->inode) & FS_APPEND_FL ? -EPERM : mnt_want_write(f->path.mnt);
    if (r == 0) r = ll_truncate_file(f);
    return r ? r : do_truncate(&f->path, f->inode, size);
}

int vfs_statfs(const struct path *p, struct statfs *out)
{
    memset(out, 0, sizeof(*out));
    struct super *sb = p->dentry->sb;
    out->f_type = sb->magic;
    out->f_bsize = out->f_frsize = GPAGE_SIZE;
    out->f_namelen = KNAME_MAX;
    int r = sb->ops->statfs ? sb->ops->statfs(sb, p->dentry, out) : 0;
    u32 mf = p->mnt ? p->mnt->flags : 0;
    out->f_flags = 0x20 /* ST_VALID */ | ((mf & MNT_RDONLY) || atomic_load(&sb->rdonly) ? 1 : 0) | (mf & MNT_NOSUID ? 2 : 0) | (mf & MNT_NODEV ? 4 : 0)
        | (mf & MNT_NOEXEC ? 8 : 0) | (mf & MNT_NOATIME ? 1024 : 0) | (mf & MNT_RELATIME ? 4096 : 0) | (mf & MNT_NODIRATIME ? 2048 : 0)
        | (mf & MNT_NOSYMFOLLOW ? 0x2000 : 0);
    return r;
}
