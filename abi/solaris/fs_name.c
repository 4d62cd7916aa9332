/* Names and attributes: mkdir, link, rename, unlink, chmod, chown, times. Source: the manual pages of section 2. */
#include "abi/solaris/solaris.h"
#include <sys/sysmacros.h>

#define SOL_NOFOLLOW 0x1000u
#define SOL_FOLLOW 0x2000u
#define SOL_REMOVEDIR 1u

static sysret_t do_mkdir(int dirfd, gaddr_t p, u32 mode)
{
    PATH_ARG(path, p);
    return vfs_mkdir(dirfd, path, mode & 01777);
}
sysret_t solaris_mkdir(const struct syscall_args *a) { return do_mkdir(AT_FDCWD, a->a[0], ARG_U32(1)); }
sysret_t solaris_mkdirat(const struct syscall_args *a) { return do_mkdir(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2)); }

/* A directory that is not empty: EEXIST, where Linux has ENOTEMPTY. A directory where a name is to go: EPERM, not EISDIR. */
static sysret_t do_unlink(int dirfd, gaddr_t p, bool dir)
{
    PATH_ARG(path, p);
    int r = vfs_unlink(dirfd, path, dir ? AT_REMOVEDIR : 0);
    return r == -ENOTEMPTY ? -EEXIST : r == -EISDIR && !dir ? -EPERM : r;
}
sysret_t solaris_rmdir(const struct syscall_args *a) { return do_unlink(AT_FDCWD, a->a[0], true); }
sysret_t solaris_unlink(const struct syscall_args *a) { return do_unlink(AT_FDCWD, a->a[0], false); }
sysret_t solaris_unlinkat(const struct syscall_args *a)
{
    return ARG_U32(2) & ~SOL_REMOVEDIR ? -EINVAL : do_unlink(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2) & SOL_REMOVEDIR);
}

static sysret_t do_rename(int odfd, gaddr_t o, int ndfd, gaddr_t n)
{
    PATH_ARG(from, o);
    PATH_ARG(to, n);
    int r = vfs_rename(odfd, from, ndfd, to, 0);
    return r == -ENOTEMPTY ? -EEXIST : r;
}
sysret_t solaris_rename(const struct syscall_args *a) { return do_rename(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1]); }
sysret_t solaris_renameat(const struct syscall_args *a) { return do_rename(sol_dirfd(a->a[0]), a->a[1], sol_dirfd(a->a[2]), a->a[3]); }

static sysret_t do_link(int odfd, gaddr_t o, int ndfd, gaddr_t n, int flags)
{
    PATH_ARG(from, o);
    PATH_ARG(to, n);
    return vfs_link(odfd, from, ndfd, to, flags);
}
/* link(2) follows a symlink at the end of the existing name. */
sysret_t solaris_link(const struct syscall_args *a) { return do_link(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1], AT_SYMLINK_FOLLOW); }
sysret_t solaris_linkat(const struct syscall_args *a)
{
    if (ARG_U32(4) & ~SOL_FOLLOW) return -EINVAL;
    return do_link(sol_dirfd(a->a[0]), a->a[1], sol_dirfd(a->a[2]), a->a[3], ARG_U32(4) & SOL_FOLLOW ? AT_SYMLINK_FOLLOW : 0);
}

static sysret_t do_symlink(gaddr_t t, int dirfd, gaddr_t p)
{
    PATH_ARG(target, t);
    PATH_ARG(path, p);
    return target[0] ? vfs_symlink(target, dirfd, path) : -ENOENT;
}
sysret_t solaris_symlink(const struct syscall_args *a) { return do_symlink(a->a[0], AT_FDCWD, a->a[1]); }
sysret_t solaris_symlinkat(const struct syscall_args *a) { return do_symlink(a->a[0], sol_dirfd(a->a[1]), a->a[2]); }

static sysret_t do_mknod(int dirfd, gaddr_t p, u32 mode, u64 dev)
{
    PATH_ARG(path, p);
    switch (mode & S_IFMT) {
    case 0: mode |= S_IFREG; break;
    case S_IFDIR: return vfs_mkdir(dirfd, path, mode & 01777);
    case S_IFREG: case S_IFIFO: case S_IFCHR: case S_IFBLK: break;
    default: return -EINVAL;
    }
    return vfs_mknod(dirfd, path, mode, makedev((u32)(dev >> 32), (u32)dev));
}
sysret_t solaris_mknod(const struct syscall_args *a) { return do_mknod(AT_FDCWD, a->a[0], ARG_U32(1), a->a[2]); }
sysret_t solaris_mknodat(const struct syscall_args *a) { return do_mknod(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2), a->a[3]); }

/* --- attributes --- */

static sysret_t do_chmod(int dirfd, gaddr_t p, u32 mode, bool nofollow)
{
    PATH_ARG(path, p);
    return vfs_chmod(dirfd, path, mode & 07777, nofollow ? AT_SYMLINK_NOFOLLOW : 0);
}
sysret_t solaris_chmod(const struct syscall_args *a) { return do_chmod(AT_FDCWD, a->a[0], ARG_U32(1), false); }
sysret_t solaris_fchmod(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return vfs_chmod(ARG_INT(0), "", ARG_U32(1) & 07777, AT_EMPTY_PATH);
}
sysret_t solaris_fchmodat(const struct syscall_args *a)
{
    if (ARG_U32(3) & ~SOL_NOFOLLOW) return -EINVAL;
    return do_chmod(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2), ARG_U32(3) & SOL_NOFOLLOW);
}

static bool bad_ids(u32 u, u32 g) { return (u > INT32_MAX && u != ~0u) || (g > INT32_MAX && g != ~0u); }

static sysret_t do_chown(int dirfd, gaddr_t p, u32 uid, u32 gid, bool nofollow)
{
    PATH_ARG(path, p);
    return bad_ids(uid, gid) ? -EINVAL : vfs_chown(dirfd, path, uid, gid, nofollow ? AT_SYMLINK_NOFOLLOW : 0);
}
sysret_t solaris_chown(const struct syscall_args *a) { return do_chown(AT_FDCWD, a->a[0], ARG_U32(1), ARG_U32(2), false); }
sysret_t solaris_lchown(const struct syscall_args *a) { return do_chown(AT_FDCWD, a->a[0], ARG_U32(1), ARG_U32(2), true); }
sysret_t solaris_fchown(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return bad_ids(ARG_U32(1), ARG_U32(2)) ? -EINVAL : vfs_chown(ARG_INT(0), "", ARG_U32(1), ARG_U32(2), AT_EMPTY_PATH);
}
sysret_t solaris_fchownat(const struct syscall_args *a)
{
    if (ARG_U32(4) & ~SOL_NOFOLLOW) return -EINVAL;
    return do_chown(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2), ARG_U32(3), ARG_U32(4) & SOL_NOFOLLOW);
}

/* Two times; UTIME_NOW -1, UTIME_OMIT -2. */
static int times_in(gaddr_t p, struct timespec ts[2])
{
    struct sol_timespec u[2];

    if (copy_in(u, p, sizeof(u))) return -EFAULT;
    for (int i = 0; i < 2; i++) {
        ts[i].tv_sec = u[i].sec;
        ts[i].tv_nsec = u[i].nsec == -1 ? UTIME_NOW : u[i].nsec == -2 ? UTIME_OMIT : u[i].nsec;
        if (u[i].nsec < -2 || u[i].nsec >= NSEC_PER_SEC) return -EINVAL;
    }
    return 0;
}

/* utimesys(op, ...): 0 futimens(fd, times), 1 utimensat(fd, path, times, flag) */
sysret_t solaris_utimesys(const struct syscall_args *a)
{
    struct timespec ts[2];
    gaddr_t times = ARG_INT(0) ? a->a[3] : a->a[2];
    int r;

    if (ARG_U32(0) > 1) return -EINVAL;
    if (times && (r = times_in(times, ts))) return r;
    if (!ARG_INT(0) || !a->a[2]) {
        if (sol_dirfd(a->a[1]) == AT_FDCWD) return -EFAULT;
        return vfs_utimens(ARG_INT(1), NULL, times ? ts : NULL, 0);
    }
    if (ARG_U32(4) & ~SOL_NOFOLLOW) return -EINVAL;
    PATH_ARG(path, a->a[2]);
    return vfs_utimens(sol_dirfd(a->a[1]), path, times ? ts : NULL, ARG_U32(4) & SOL_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0);
}
