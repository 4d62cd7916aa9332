/* sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2). */
#include "abi/linux/fs.h"

#define LINUX_SPLICE_FLAGS 0xfu /* MOVE NONBLOCK MORE GIFT */

/* rw_verify_area() of Linux: the whole of what was asked for must be representable. */
static int check_span(u64 pos, u64 n)
{
    return n > INT64_MAX || pos > INT64_MAX - n ? -EINVAL : 0;
}

sysret_t linux_sendfile(const struct syscall_args *a);
sysret_t linux_splice(const struct syscall_args *a);
sysret_t linux_tee(const struct syscall_args *a);
sysret_t linux_vmsplice(const struct syscall_args *a);
sysret_t linux_copy_file_range(const struct syscall_args *a);

/* An optional offset argument: read now, written back after the transfer. */
static int off_in(gaddr_t p, u64 *off)
{
    s64 v;
    int err = copy_in(&v, p, sizeof(v));
    if (err) return err;
    if (v < 0) return -EINVAL;
    *off = (u64)v;
    return 0;
}

static sysret_t off_out(gaddr_t p, u64 off, sysret_t r)
{
    if (!p || r < 0) return r;
    int err = copy_out(p, &off, sizeof(off));
    return err ? err : r;
}

sysret_t linux_sendfile(const struct syscall_args *a)
{
    u64 off = 0;
    FILE_ARG(in, a->a[1]);
    FILE_ARG(out, a->a[0]);
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE)) return -EBADF;
    if (a->a[2]) {
        if (!in->ops->seekable) return -ESPIPE;
        int err = off_in(a->a[2], &off);
        if (err) return err;
    }
    if (check_span(off, a->a[3])) return -EINVAL;
    if (atomic_load(&out->flags) & O_APPEND) return -EINVAL;
    sysret_t r = vfs_sendfile(out, in, a->a[2] ? &off : NULL, NULL, MIN(a->a[3], 0x7ffff000ULL), 0);
    return off_out(a->a[2], off, r);
}

sysret_t linux_splice(const struct syscall_args *a)
{
    u64 in_off = 0, out_off = 0;
    u32 flags = (u32)a->a[5];
    int err;
    if (flags & ~LINUX_SPLICE_FLAGS) return -EINVAL;
    if (!a->a[4]) return 0;
    FILE_ARG(in, a->a[0]);
    FILE_ARG(out, a->a[2]);
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE)) return -EBADF;
    if (a->a[1]) {
        if (!in->ops->seekable) return -ESPIPE;
        if ((err = off_in(a->a[1], &in_off))) return err;
    }
    if (a->a[3]) {
        if (!out->ops->seekable) return -ESPIPE;
        if ((err = off_in(a->a[3], &out_off))) return err;
    }
    if (check_span(in_off, a->a[4]) || check_span(out_off, a->a[4])) return -EINVAL;
    sysret_t r = vfs_splice(in, a->a[1] ? &in_off : NULL, out, a->a[3] ? &out_off : NULL, MIN(a->a[4], 0x7ffff000ULL), flags);
    r = off_out(a->a[1], in_off, r);
    return off_out(a->a[3], out_off, r);
}

sysret_t linux_tee(const struct syscall_args *a)
{
    if ((u32)a->a[3] & ~LINUX_SPLICE_FLAGS) return -EINVAL;
    if (!a->a[2]) return 0;
    FILE_ARG(in, a->a[0]);
    FILE_ARG(out, a->a[1]);
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE)) return -EBADF;
    return vfs_tee(in, out, MIN(a->a[2], 0x7ffff000ULL), (u32)a->a[3]);
}

sysret_t linux_vmsplice(const struct syscall_args *a)
{
    if ((u32)a->a[3] & ~LINUX_SPLICE_FLAGS) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    AUTO_UIO u = { 0 };
    int err = uio_init_guest_iov(&u, a->a[1], a->a[2]);
    return err ? err : vfs_vmsplice(f, &u, (u32)a->a[3]);
}

sysret_t linux_copy_file_range(const struct syscall_args *a)
{
    u64 in_off = 0, out_off = 0;
    int err;
    if ((u32)a->a[5]) return -EINVAL;
    FILE_ARG(in, a->a[0]);
    FILE_ARG(out, a->a[2]);
    if (a->a[1] && (err = off_in(a->a[1], &in_off))) return err;
    if (a->a[3] && (err = off_in(a->a[3], &out_off))) return err;
    sysret_t r = vfs_copy_file_range(in, a->a[1] ? &in_off : NULL, out, a->a[3] ? &out_off : NULL, MIN(a->a[4], 0x7ffff000ULL), 0);
    r = off_out(a->a[1], in_off, r);
    return off_out(a->a[3], out_off, r);
}
