/* read(2), write(2) and their vector and positioned forms; lseek(2), fsync(2), fallocate(2), fadvise(2). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"

#include <sys/uio.h>
#include <unistd.h>

#define LINUX_RWF_SUPPORTED (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

sysret_t linux_read(const struct syscall_args *a);
sysret_t linux_write(const struct syscall_args *a);
sysret_t linux_pread64(const struct syscall_args *a);
sysret_t linux_pwrite64(const struct syscall_args *a);
sysret_t linux_readv(const struct syscall_args *a);
sysret_t linux_writev(const struct syscall_args *a);
sysret_t linux_preadv(const struct syscall_args *a);
sysret_t linux_pwritev(const struct syscall_args *a);
sysret_t linux_preadv2(const struct syscall_args *a);
sysret_t linux_pwritev2(const struct syscall_args *a);
sysret_t linux_lseek(const struct syscall_args *a);
sysret_t linux_fsync(const struct syscall_args *a);
sysret_t linux_fdatasync(const struct syscall_args *a);
sysret_t linux_sync(const struct syscall_args *a);
sysret_t linux_syncfs(const struct syscall_args *a);
sysret_t linux_sync_file_range(const struct syscall_args *a);
sysret_t linux_fallocate(const struct syscall_args *a);
sysret_t linux_fadvise64(const struct syscall_args *a);
sysret_t linux_readahead(const struct syscall_args *a);

static sysret_t read_resume(struct task *t, int r);

/* The read may park (of files, pipes do): then it holds f, however long the descriptor lives. */
static sysret_t read_or_park(struct file *f, gaddr_t buf, size_t len)
{
    AUTO_UIO u = { 0 };
    int err = uio_init_guest(&u, buf, len);
    if (err) return err;
    linux_parking(true);
    sysret_t r = vfs_read(f, &u, 0);
    linux_parking(false);
    if (unlikely(r == -EPARKED)) {
        struct task_park *p = &current->park;
        file_get(f);
        p->file = f;
        p->buf = buf;
        p->len = len;
        p->resume = read_resume;
    }
    return r;
}

static sysret_t read_resume(struct task *t, int r)
{
    AUTO_FILE f = t->park.file;

    t->park.file = NULL;
    t->park.slept = r;
    sysret_t n = read_or_park(f, t->park.buf, t->park.len);
    if (n != -EPARKED) waitq_del(&t->park.w); /* what it was called for may not have got that far */
    return n;
}

sysret_t linux_read(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (!(f->mode & FMODE_READ)) return -EBADF;
    return read_or_park(f, a->a[1], a->a[2]);
}

sysret_t linux_write(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    AUTO_UIO u = { 0 };
    int err = uio_init_guest(&u, a->a[1], a->a[2]);
    return err ? err : vfs_write(f, &u, 0);
}

sysret_t linux_pread64(const struct syscall_args *a)
{
    if ((s64)a->a[3] < 0) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!f->ops->seekable) return -ESPIPE;
    if (!(f->mode & FMODE_READ)) return -EBADF;
    AUTO_UIO u = { 0 };
    int err = uio_init_guest(&u, a->a[1], a->a[2]);
    return err ? err : vfs_pread(f, &u, a->a[3], 0);
}

sysret_t linux_pwrite64(const struct syscall_args *a)
{
    if ((s64)a->a[3] < 0) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!f->ops->seekable) return -ESPIPE;
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    AUTO_UIO u = { 0 };
    int err = uio_init_guest(&u, a->a[1], a->a[2]);
    return err ? err : vfs_pwrite(f, &u, a->a[3], 0);
}

/* off -1: the file position (preadv2(2)); else positioned. */
static sysret_t vector_io(const struct syscall_args *a, bool write, bool positioned, s64 off, u32 flags)
{
    if (flags & ~(u32)LINUX_RWF_SUPPORTED) return -EOPNOTSUPP;
    if (positioned && off < 0) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (positioned && !f->ops->seekable) return -ESPIPE;
    if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ))) return -EBADF;
    if ((flags & RWF_APPEND) && !write) return -EOPNOTSUPP;
    AUTO_UIO u = { 0 };
    int err = uio_init_guest_iov(&u, a->a[1], a->a[2]);
    if (err) return err;
    u32 fl = flags & (RWF_APPEND | RWF_DSYNC | RWF_SYNC);
    if (flags & RWF_NOWAIT) fl |= IOF_NONBLOCK;
    if (write) return positioned ? vfs_pwrite(f, &u, (u64)off, fl) : vfs_write(f, &u, fl);
    return positioned ? vfs_pread(f, &u, (u64)off, fl) : vfs_read(f, &u, fl);
}

sysret_t linux_readv(const struct syscall_args *a) { return vector_io(a, false, false, 0, 0); }
sysret_t linux_writev(const struct syscall_args *a) { return vector_io(a, true, false, 0, 0); }
/* On a 64-bit kernel pos_l alone carries the offset; pos_h is shifted out. */
sysret_t linux_preadv(const struct syscall_args *a) { return vector_io(a, false, true, (s64)a->a[3], 0); }
sysret_t linux_pwritev(const struct syscall_args *a) { return vector_io(a, true, true, (s64)a->a[3], 0); }

sysret_t linux_preadv2(const struct syscall_args *a)
{
    return vector_io(a, false, (s64)a->a[3] != -1, (s64)a->a[3], (u32)a->a[5]);
}

sysret_t linux_pwritev2(const struct syscall_args *a)
{
    return vector_io(a, true, (s64)a->a[3] != -1, (s64)a->a[3], (u32)a->a[5]);
}

sysret_t linux_lseek(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return vfs_llseek(f, (s64)a->a[1], (int)a->a[2]);
}

static sysret_t do_fsync(u64 fd, bool data_only)
{
    FILE_ARG(f, fd);
    return vfs_fsync(f, data_only);
}

sysret_t linux_fsync(const struct syscall_args *a) { return do_fsync(a->a[0], false); }
sysret_t linux_fdatasync(const struct syscall_args *a) { return do_fsync(a->a[0], true); }
/* Host files are in the host's page cache, which the host writes back; there is no dirty data in the sentry. */
sysret_t linux_sync(const struct syscall_args *a UNUSED) { return 0; }

sysret_t linux_syncfs(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    struct super *sb = f->inode->sb;
    return sb && sb->ops->sync ? sb->ops->sync(sb) : 0;
}

sysret_t linux_sync_file_range(const struct syscall_args *a)
{
    s64 off = (s64)a->a[1], len = (s64)a->a[2], end;
    if ((u32)a->a[3] & ~7u) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (off < 0 || len < 0 || add_overflow(off, len, &end)) return -EINVAL;
    if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) && !S_ISBLK(f->inode->mode) && !S_ISLNK(f->inode->mode)) return -ESPIPE;
    return (u32)a->a[3] && f->ops->fsync ? f->ops->fsync(f, true) : 0;
}

sysret_t linux_fallocate(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return vfs_fallocate(f, (int)a->a[1], a->a[2], a->a[3]);
}

sysret_t linux_fadvise64(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (S_ISFIFO(f->inode->mode)) return -ESPIPE;
    if ((s64)a->a[2] < 0) return -EINVAL;
    return (u32)a->a[3] <= POSIX_FADV_NOREUSE ? 0 : -EINVAL;
}

sysret_t linux_readahead(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (!(f->mode & FMODE_READ)) return -EBADF;
    return S_ISREG(f->inode->mode) ? 0 : -EINVAL;
}
