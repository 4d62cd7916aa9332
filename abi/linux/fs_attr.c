/* chmod(2), chown(2), utimensat(2), truncate(2). */
#include "abi/linux/fs.h"
#include "abi/linux/uapi_fs.h"
#include "abi/linux/uapi_time.h"

sysret_t linux_chmod(const struct syscall_args *a);
sysret_t linux_fchmod(const struct syscall_args *a);
sysret_t linux_fchmodat(const struct syscall_args *a);
sysret_t linux_fchmodat2(const struct syscall_args *a);
sysret_t linux_chown(const struct syscall_args *a);
sysret_t linux_lchown(const struct syscall_args *a);
sysret_t linux_fchown(const struct syscall_args *a);
sysret_t linux_fchownat(const struct syscall_args *a);
sysret_t linux_utime(const struct syscall_args *a);
sysret_t linux_utimes(const struct syscall_args *a);
sysret_t linux_futimesat(const struct syscall_args *a);
sysret_t linux_utimensat(const struct syscall_args *a);
sysret_t linux_truncate(const struct syscall_args *a);
sysret_t linux_ftruncate(const struct syscall_args *a);

static sysret_t do_chmod(int dirfd, gaddr_t p, u32 mode, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    PATH_ARG(path, p);
    return vfs_chmod(dirfd, path, mode & 07777, flags);
}
sysret_t linux_chmod(const struct syscall_args *a) { return do_chmod(AT_FDCWD, a->a[0], (u32)a->a[1], 0); }
sysret_t linux_fchmodat(const struct syscall_args *a) { return do_chmod((int)a->a[0], a->a[1], (u32)a->a[2], 0); }
sysret_t linux_fchmodat2(const struct syscall_args *a) { return do_chmod((int)a->a[0], a->a[1], (u32)a->a[2], (int)a->a[3]); }
sysret_t linux_fchmod(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]); /* not through O_PATH: EBADF */
    return vfs_chmod((int)a->a[0], "", (u32)a->a[1] & 07777, AT_EMPTY_PATH);
}

static sysret_t do_chown(int dirfd, gaddr_t p, u32 uid, u32 gid, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    PATH_ARG(path, p);
    u32 u = uid == ~0u ? uid : uid_in(uid), g = gid == ~0u ? gid : gid_in(gid);
    if ((uid != ~0u && u == ~0u) || (gid != ~0u && g == ~0u)) return -EINVAL;
    return vfs_chown(dirfd, path, u, g, flags);
}
sysret_t linux_chown(const struct syscall_args *a) { return do_chown(AT_FDCWD, a->a[0], (u32)a->a[1], (u32)a->a[2], 0); }
sysret_t linux_lchown(const struct syscall_args *a)
{
    return do_chown(AT_FDCWD, a->a[0], (u32)a->a[1], (u32)a->a[2], AT_SYMLINK_NOFOLLOW);
}
sysret_t linux_fchownat(const struct syscall_args *a)
{
    return do_chown((int)a->a[0], a->a[1], (u32)a->a[2], (u32)a->a[3], (int)a->a[4]);
}
sysret_t linux_fchown(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return vfs_chown((int)a->a[0], "", (u32)a->a[1], (u32)a->a[2], AT_EMPTY_PATH);
}

/* Microseconds to nanoseconds with the range check of utimes(2). */
static int timeval_to_ts(const struct linux_timeval tv[2], struct timespec ts[2])
{
    for (int i = 0; i < 2; i++) {
        if (tv[i].usec < 0 || tv[i].usec >= 1000000) return -EINVAL;
        ts[i].tv_sec = tv[i].sec;
        ts[i].tv_nsec = tv[i].usec * 1000;
    }
    return 0;
}

sysret_t linux_utime(const struct syscall_args *a)
{
    struct linux_utimbuf ub;
    struct timespec ts[2];
    if (a->a[1]) {
        int err = copy_in(&ub, a->a[1], sizeof(ub));
        if (err) return err;
        ts[0] = (struct timespec){ .tv_sec = ub.actime };
        ts[1] = (struct timespec){ .tv_sec = ub.modtime };
    }
    PATH_ARG(path, a->a[0]);
    return vfs_utimens(AT_FDCWD, path, a->a[1] ? ts : NULL, 0);
}

static sysret_t do_utimes(int dirfd, gaddr_t p, gaddr_t times)
{
    struct linux_timeval tv[2];
    struct timespec ts[2];
    if (times) {
        int err = copy_in(tv, times, sizeof(tv));
        if (!err) err = timeval_to_ts(tv, ts);
        if (err) return err;
    }
    if (!p) return vfs_utimens(dirfd, NULL, times ? ts : NULL, 0);
    PATH_ARG(path, p);
    return vfs_utimens(dirfd, path, times ? ts : NULL, 0);
}
sysret_t linux_utimes(const struct syscall_args *a) { return a->a[0] ? do_utimes(AT_FDCWD, a->a[0], a->a[1]) : -EFAULT; }
sysret_t linux_futimesat(const struct syscall_args *a) { return do_utimes((int)a->a[0], a->a[1], a->a[2]); }

sysret_t linux_utimensat(const struct syscall_args *a)
{
    struct timespec ts[2];
    int flags = (int)a->a[3];
    if (a->a[2]) {
        int err = linux_copy_in_timespec(&ts[0], a->a[2]);
        if (!err) err = linux_copy_in_timespec(&ts[1], a->a[2] + 16);
        if (err) return err;
        if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT) return 0;
    }
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    if (!a->a[1]) {
        if ((int)a->a[0] == AT_FDCWD) return -EFAULT;
        if (flags) return -EINVAL;
        return vfs_utimens((int)a->a[0], NULL, a->a[2] ? ts : NULL, 0);
    }
    PATH_ARG(path, a->a[1]);
    return vfs_utimens((int)a->a[0], path, a->a[2] ? ts : NULL, flags);
}

sysret_t linux_truncate(const struct syscall_args *a)
{
    if ((s64)a->a[1] < 0) return -EINVAL;
    PATH_ARG(path, a->a[0]);
    return vfs_truncate_path(path, a->a[1]);
}

sysret_t linux_ftruncate(const struct syscall_args *a)
{
    if ((s64)a->a[1] < 0) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    return vfs_ftruncate(f, a->a[1]);
}
