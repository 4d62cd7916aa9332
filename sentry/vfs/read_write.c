/*
 * What read, write, lseek, poll, mmap, fsync and fallocate have in common for every kind of file.
 * Source: fs/read_write.c, mm/filemap.c (generic_write_checks), fs/inode.c (relatime) in the Linux tree.
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/walk.h"
#include <limits.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define POS_MAX ((u64)INT64_MAX)

void file_accessed(struct file *f)
{
    if (!(f->flags & O_NOATIME)) inode_accessed(f->inode, f->path.mnt);
}

void inode_accessed(struct inode *i, const struct mount *mnt)
{
    if (inode_flags(i) & FS_NOATIME_FL) return;
    if (mnt && ((mnt->flags & (MNT_NOATIME | MNT_RDONLY)) || atomic_load(&mnt->sb->rdonly))) return;
    if (mnt && (mnt->flags & MNT_NODIRATIME) && S_ISDIR(i->mode)) return;
    /* relatime, the default: at most once a day unless the file has changed since. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    bool stale = i->atime.tv_sec < i->mtime.tv_sec || (i->atime.tv_sec == i->mtime.tv_sec && i->atime.tv_nsec <= i->mtime.tv_nsec)
        || i->atime.tv_sec < i->ctime.tv_sec || (i->atime.tv_sec == i->ctime.tv_sec && i->atime.tv_nsec <= i->ctime.tv_nsec)
        || now.tv_sec - i->atime.tv_sec >= 24 * 60 * 60;
    if (stale) i->atime = now;
}

static int check_readable(struct file *f)
{
    if (!(f->mode & FMODE_READ)) return -EBADF;
    if (f->inode && S_ISDIR(f->inode->mode)) return -EISDIR;
    return f->ops->read ? 0 : -EINVAL;
}

static ssize_t do_read(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    if (pos && (*pos > POS_MAX || u->resid > POS_MAX - *pos)) return -EINVAL;   /* rw_verify_area */
    ssize_t n = f->ops->read(f, u, pos, flags);
    if (n > 0) {
        if (f->path.dentry) fsnotify(f->path.dentry, IN_ACCESS, 0);
        current->io_rchar += (u64)n;
    }
    current->io_syscr += n != -EPARKED;
    return n;
}

ssize_t vfs_read(struct file *f, struct uio *u, u32 flags)
{
    int r = check_readable(f);
    if (r) return r;
    if (!f->ops->seekable) return do_read(f, u, NULL, flags);
    lock(&f->pos_lock);
    ssize_t n = do_read(f, u, &f->pos, flags);
    unlock(&f->pos_lock);
    return n;
}

ssize_t vfs_pread(struct file *f, struct uio *u, u64 off, u32 flags)
{
    if ((s64)off < 0) return -EINVAL;
    if (!(f->mode & FMODE_PATH) && f->ops && !f->ops->seekable && !(f->inode && S_ISDIR(f->inode->mode))) return -ESPIPE;
    int r = check_readable(f);
    return r ? r : do_read(f, u, &off, flags);
}

/* Writing drops set-user-ID and, for group-executable files, set-group-ID: a patched program must not keep them. */
static int drop_suid(struct file *f)
{
    struct inode *i = f->inode;
    u32 m = i->mode;
    if (!S_ISREG(m) || !((m & S_ISUID) || (m & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) || capable(CAP_FSETID)) return 0;
    struct kattr a = { .valid = ATTR_KILL_SUID };
    if (i->ops->setattr) return i->ops->setattr(i, f->path.dentry, &a);
    lock(&i->lock);
    i->mode &= ~(u32)(S_ISUID | (m & S_IXGRP ? S_ISGID : 0));
    unlock(&i->lock);
    return 0;
}

static void send_sigxfsz(void)
{
    struct ksiginfo info = { 0 };
    ksiginfo_user(&info, SIGXFSZ, SI_USER);   /* send_sig(SIGXFSZ, current, 0) */
    (void)signal_send_task(current, &info);
}

static ssize_t do_write(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    u64 cut = 0;
    if (pos) {
        if (*pos > POS_MAX || u->resid > POS_MAX - *pos) return -EINVAL;   /* rw_verify_area */
        bool append = (f->flags & O_APPEND) || (flags & RWF_APPEND);
        /* The file system looks at the size again under its own lock; this is for the limits. */
        if (append && f->inode) {
            struct kstat st;
            if (f->inode->ops && f->inode->ops->getattr && f->inode->ops->getattr(f->inode, &st) == 0) *pos = st.size;
            else *pos = f->inode->size;
        }
        if (*pos > POS_MAX || u->resid > POS_MAX - *pos) return -EFBIG;   /* generic_write_checks */
        if (u->resid == 0) return 0;
        if (f->inode && S_ISREG(f->inode->mode)) {
            u64 lim = current_rlimit(RLIMIT_FSIZE), max = POS_MAX;
            if (lim < max) {
                if (*pos >= lim) {
                    send_sigxfsz();
                    return -EFBIG;
                }
                max = lim;
            }
            if (*pos >= max) return -EFBIG;
            if (u->resid > max - *pos) cut = u->resid - (max - *pos);
            int r = drop_suid(f);
            if (r) return r;
        }
    }
    u->resid -= cut;
    ssize_t n = f->ops->write(f, u, pos, flags);
    u->resid += cut;
    if (n > 0) {
        if (f->path.dentry) fsnotify(f->path.dentry, IN_MODIFY, 0);
        current->io_wchar += (u64)n;
        if ((f->flags & (O_DSYNC | O_SYNC)) || (flags & (RWF_DSYNC | RWF_SYNC))) {
            int r = f->ops->fsync ? f->ops->fsync(f, !((f->flags & O_SYNC) == O_SYNC || (flags & RWF_SYNC))) : 0;
            if (r < 0) n = r;
        }
    }
    current->io_syscw++;
    return n;
}

static int check_writable(struct file *f)
{
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    return f->ops->write ? 0 : -EINVAL;
}

ssize_t vfs_write(struct file *f, struct uio *u, u32 flags)
{
    int r = check_writable(f);
    if (r) return r;
    if (!f->ops->seekable) return do_write(f, u, NULL, flags);
    lock(&f->pos_lock);
    ssize_t n = do_write(f, u, &f->pos, flags);
    unlock(&f->pos_lock);
    return n;
}

ssize_t vfs_pwrite(struct file *f, struct uio *u, u64 off, u32 flags)
{
    if ((s64)off < 0) return -EINVAL;
    if (!(f->mode & FMODE_PATH) && f->ops && !f->ops->seekable) return -ESPIPE;
    int r = check_writable(f);
    return r ? r : do_write(f, u, &off, flags);
}

ssize_t vfs_kernel_read(struct file *f, void *buf, size_t n, u64 off)
{
    if (!f->ops || !f->ops->read) return -EINVAL;
    size_t done = 0;
    while (done < n) {
        struct uio u;
        uio_init_kernel(&u, (u8 *)buf + done, n - done);
        u64 pos = off + done;
        ssize_t r = f->ops->read(f, &u, f->ops->seekable ? &pos : NULL, 0);
        uio_fini(&u);
        if (r < 0) return r;
        if (r == 0) break;
        done += (size_t)r;
    }
    if (done && f->path.dentry) fsnotify(f->path.dentry, IN_ACCESS, 0);
    return (ssize_t)done;
}

s64 generic_llseek(struct file *f, s64 off, int whence, u64 size, u64 max)
{
    s64 pos;
    switch (whence) {
    case SEEK_SET: pos = off; break;
    case SEEK_CUR:
        if (off == 0) return (s64)f->pos;
        if (add_overflow((s64)f->pos, off, &pos)) return -EINVAL;   /* as vfs_setpos, which sees it as negative */
        break;
    case SEEK_END:
        if (add_overflow((s64)size, off, &pos)) return -EINVAL;
        break;
    case SEEK_DATA:
        if ((u64)off >= size) return -ENXIO;
        pos = off;
        break;
    case SEEK_HOLE:
        if ((u64)off >= size) return -ENXIO;
        pos = (s64)size;
        break;
    default: return -EINVAL;
    }
    if (pos < 0 || (u64)pos > max) return -EINVAL;
    f->pos = (u64)pos;
    return pos;
}

s64 dir_llseek(struct file *f, s64 off, int whence)
{
    return whence == SEEK_SET || whence == SEEK_CUR ? generic_llseek(f, off, whence, 0, POS_MAX) : -EINVAL;
}

s64 vfs_llseek(struct file *f, s64 off, int whence)
{
    if (f->mode & FMODE_PATH) return -EBADF;
    bool dir = f->inode && S_ISDIR(f->inode->mode);
    if (!f->ops->seekable && !f->ops->llseek && !dir) return -ESPIPE;
    lock(&f->pos_lock);
    s64 r;
    if (f->ops->llseek) {
        r = f->ops->llseek(f, off, whence);
    } else {
        struct kstat st = { 0 };
        u64 size = f->inode ? f->inode->size : 0;
        if (whence != SEEK_SET && whence != SEEK_CUR && f->inode && f->inode->ops && f->inode->ops->getattr
            && f->inode->ops->getattr(f->inode, &st) == 0)
            size = st.size;
        r = generic_llseek(f, off, whence, size, POS_MAX);
    }
    unlock(&f->pos_lock);
    return r;
}

u32 vfs_poll(struct file *f, struct waiter *w)
{
    if (f->mode & FMODE_PATH) return POLLNVAL;
    if (f->ops->poll) return f->ops->poll(f, w);
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

int vfs_mmap_prepare(struct file *f, struct mm_map_req *req)
{
    if (f->mode & FMODE_PATH) return -EBADF;
    bool shared = (req->flags & MAP_TYPE) != MAP_PRIVATE;
    if (!(f->mode & FMODE_READ)) return -EACCES;
    if (shared && (req->prot & PROT_WRITE) && !(f->mode & FMODE_WRITE)) return -EACCES;
    u32 max = req->max_prot ? req->max_prot : PROT_READ | PROT_WRITE | PROT_EXEC;
    if (shared && !(f->mode & FMODE_WRITE)) max &= ~(u32)PROT_WRITE;
    if (f->path.mnt && (f->path.mnt->flags & MNT_NOEXEC)) {
        if (req->prot & PROT_EXEC) return -EPERM;
        max &= ~(u32)PROT_EXEC;
    }
    if (f->path.dentry && (max & PROT_EXEC)) {
        if (req->prot & PROT_EXEC) {
            int r = policy_dentry(f->path.dentry, PR_EXEC);
            if (r) return r;
        } else if (policy_would(f->path.dentry, PR_EXEC)) {
            max &= ~(u32)PROT_EXEC;
        }
    }
    req->max_prot = max;
    if (f->ops->mmap) {
        int r = f->ops->mmap(f, req);
        if (r) return r;
    } else {
        if (!f->inode || !f->inode->map.ops) return -ENODEV;
        req->obj = &f->inode->map;
    }
    if (req->obj && f->inode && S_ISREG(f->inode->mode)) file_accessed(f);
    return 0;
}

int vfs_fsync(struct file *f, bool data_only)
{
    if (f->mode & FMODE_PATH) return -EBADF;
    if (f->ops->fsync) return f->ops->fsync(f, data_only);
    /* fsync(2): EINVAL for what cannot be synchronised; files and directories held in memory always are. */
    bool ok = f->inode && f->path.dentry && (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) || S_ISBLK(f->inode->mode));
    return ok ? 0 : -EINVAL;
}

int vfs_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    if ((s64)off < 0 || (s64)len <= 0) return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE
            | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE))
        return -EOPNOTSUPP;
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) return -EOPNOTSUPP;
    if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE)) return -EOPNOTSUPP;
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    struct inode *i = f->inode;
    u32 fixed = i ? inode_flags(i) : 0;
    if ((fixed & FS_IMMUTABLE_FL) || ((fixed & FS_APPEND_FL) && (mode & ~FALLOC_FL_KEEP_SIZE))) return -EPERM;
    if (i && S_ISFIFO(i->mode)) return -ESPIPE;
    if (i && S_ISDIR(i->mode)) return -EISDIR;
    if (!i || (!S_ISREG(i->mode) && !S_ISBLK(i->mode))) return -ENODEV;
    u64 end;
    if (add_overflow(off, len, &end) || end > POS_MAX) return -EFBIG;
    if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) && end > i->size && end > current_rlimit(RLIMIT_FSIZE)) {
        send_sigxfsz();
        return -EFBIG;
    }
    if (!f->ops->fallocate) return -EOPNOTSUPP;
    int r = f->ops->fallocate(f, mode, off, len);
    if (r == 0 && f->path.dentry) fsnotify(f->path.dentry, IN_MODIFY, 0);
    return r;
}

int vfs_readdir(struct file *f, struct dir_sink *s)
{
    if (f->mode & FMODE_PATH) return -EBADF;
    if (!f->inode || !S_ISDIR(f->inode->mode) || !f->ops->readdir) return -ENOTDIR;
    if (f->path.dentry && f->path.dentry->deleted) return -ENOENT;
    lock(&f->pos_lock);
    int r = f->ops->readdir(f, s);
    unlock(&f->pos_lock);
    if (r >= 0) {
        file_accessed(f);
        fsnotify(f->path.dentry, IN_ACCESS | IN_ISDIR, 0);
    }
    return r;
}

int vfs_set_flags(struct file *f, u32 flags)
{
    const u32 may = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC;
    if (f->mode & FMODE_PATH) return -EBADF;
    u32 old = atomic_load(&f->flags);
    if ((~flags & old & O_APPEND) && f->inode && (inode_flags(f->inode) & FS_APPEND_FL)) return -EPERM;
    if ((flags & ~old & O_NOATIME) && f->inode && !inode_owner_or_capable(f->inode)) return -EPERM;
    u32 new_flags = (old & ~may) | (flags & may);
    if (f->ops->set_flags) {
        int r = f->ops->set_flags(f, new_flags);
        if (r) return r;
    }
    atomic_store(&f->flags, new_flags);
    return 0;
}
