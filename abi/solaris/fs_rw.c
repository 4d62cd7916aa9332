/* read, write and their forms; lseek, fdsync, sendfile. Source: read(2), write(2), lseek(2), sendfilev(3C). */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <unistd.h>

/* O_NDELAY of System V, whose reads return 0 when empty, is not kept apart from O_NONBLOCK: they get EAGAIN. */
static sysret_t transfer(const struct syscall_args *a, bool write, bool vec, bool at, s64 off)
{
    AUTO_UIO u = { 0 };
    int r;

    if (!vec && (s64)a->a[2] < 0) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ))) return -EBADF;
    if (at && !f->ops->seekable) return -ESPIPE;
    if (at && off < 0) return -EINVAL;
    if (vec && (ARG_INT(2) <= 0 || ARG_INT(2) > 1024)) return -EINVAL;
    r = vec ? uio_init_guest_iov(&u, a->a[1], a->a[2] & 0xffffffff) : uio_init_guest(&u, a->a[1], a->a[2]);
    if (r) return r;
    if (at) return write ? vfs_pwrite(f, &u, (u64)off, 0) : vfs_pread(f, &u, (u64)off, 0);
    return write ? vfs_write(f, &u, 0) : vfs_read(f, &u, 0);
}

sysret_t solaris_read(const struct syscall_args *a) { return transfer(a, false, false, false, 0); }
sysret_t solaris_write(const struct syscall_args *a) { return transfer(a, true, false, false, 0); }
sysret_t solaris_readv(const struct syscall_args *a) { return transfer(a, false, true, false, 0); }
sysret_t solaris_writev(const struct syscall_args *a) { return transfer(a, true, true, false, 0); }
sysret_t solaris_pread(const struct syscall_args *a) { return transfer(a, false, false, true, (s64)a->a[3]); }
sysret_t solaris_pwrite(const struct syscall_args *a) { return transfer(a, true, false, true, (s64)a->a[3]); }
sysret_t solaris_preadv(const struct syscall_args *a) { return transfer(a, false, true, true, (s64)a->a[3]); }
sysret_t solaris_pwritev(const struct syscall_args *a) { return transfer(a, true, true, true, (s64)a->a[3]); }

sysret_t solaris_lseek(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return vfs_llseek(f, (s64)a->a[1], ARG_INT(2));   /* SEEK_SET .. SEEK_HOLE have the same numbers */
}

/* fdsync(fd, flag): O_SYNC all, O_DSYNC data */
sysret_t solaris_fdsync(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (!f->ops->fsync) return S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) ? 0 : -EINVAL;
    return f->ops->fsync(f, !(ARG_U32(1) & 0x10));
}

#define SFV_FD_SELF (-2)

/* One piece from memory. *done grows. */
static sysret_t send_memory(struct file *out, gaddr_t p, u64 len, u64 *done)
{
    while (len) {
        AUTO_UIO u = { 0 };
        int r = uio_init_guest(&u, p, len);
        if (r) return r;
        ssize_t n = vfs_write(out, &u, 0);
        if (n < 0) return n;
        *done += (u64)n;
        p += (u64)n;
        len -= (u64)n;
        if (!n) break;
    }
    return 0;
}

static sysret_t send_file(struct file *out, int fd, u64 off, u64 len, u64 *done)
{
    FILE_ARG(in, fd);
    if (!(in->mode & FMODE_READ)) return -EBADF;
    if (!in->ops->seekable) return -EINVAL;
    while (len) {
        ssize_t n = vfs_sendfile(out, in, &off, NULL, MIN(len, 1ULL << 30), 0);
        if (n < 0) return n;
        if (!n) break;
        *done += (u64)n;
        len -= (u64)n;
    }
    return 0;
}

/* sendfilev(op, fd, vec, n, size_t *xferred): op 0, or 1 for the form whose count is 64 bits anyway */
sysret_t solaris_sendfilev(const struct syscall_args *a)
{
    u64 done = 0;
    sysret_t r = 0;
    int n = ARG_INT(3);

    if (ARG_INT(0) != 0) return -ENOSYS;
    if (n <= 0 || n > 1024) return -EINVAL;
    FILE_ARG(out, a->a[1]);
    if (!(out->mode & FMODE_WRITE)) return -EBADF;
    for (int i = 0; i < n && !r; i++) {
        struct sol_sendfilevec v;
        if (copy_in(&v, a->a[2] + (u64)i * sizeof(v), sizeof(v))) return -EFAULT;
        if (v.flag || v.off < 0 || (s64)v.len < 0) return -EINVAL;
        if (!v.len) continue;
        r = v.fd == SFV_FD_SELF ? send_memory(out, (gaddr_t)v.off, v.len, &done) : send_file(out, v.fd, (u64)v.off, v.len, &done);
    }
    if (copy_out(a->a[4], &done, sizeof(done))) return -EFAULT;
    if (r == -ERESTARTSYS) return -EINTR;      /* what went is in *xferred; running again would send it twice */
    return r ? r : (sysret_t)done;
}
