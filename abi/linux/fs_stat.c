/* stat(2), statx(2), statfs(2), access(2), readlink(2). */
#include "abi/linux/fs.h"
#include "abi/linux/uapi_fs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

sysret_t linux_stat(const struct syscall_args *a);
sysret_t linux_lstat(const struct syscall_args *a);
sysret_t linux_fstat(const struct syscall_args *a);
sysret_t linux_newfstatat(const struct syscall_args *a);
sysret_t linux_statx(const struct syscall_args *a);
sysret_t linux_statfs(const struct syscall_args *a);
sysret_t linux_fstatfs(const struct syscall_args *a);
sysret_t linux_access(const struct syscall_args *a);
sysret_t linux_faccessat(const struct syscall_args *a);
sysret_t linux_faccessat2(const struct syscall_args *a);
sysret_t linux_readlink(const struct syscall_args *a);
sysret_t linux_readlinkat(const struct syscall_args *a);

static sysret_t stat_out(gaddr_t dst, const struct kstat *k)
{
    struct linux_stat s = {
        .st_dev = k->dev, .st_ino = k->ino, .st_nlink = k->nlink, .st_mode = k->mode, .st_uid = uid_out(k->uid), .st_gid = gid_out(k->gid),
        .st_rdev = k->rdev, .st_size = (s64)k->size, .st_blksize = k->blksize, .st_blocks = (s64)k->blocks,
        .atime_sec = (u64)k->atime.tv_sec, .atime_nsec = (u64)k->atime.tv_nsec, .mtime_sec = (u64)k->mtime.tv_sec,
        .mtime_nsec = (u64)k->mtime.tv_nsec, .ctime_sec = (u64)k->ctime.tv_sec, .ctime_nsec = (u64)k->ctime.tv_nsec,
    };
    return copy_out(dst, &s, sizeof(s));
}

static sysret_t do_stat(int dirfd, gaddr_t path_arg, int flags, gaddr_t dst)
{
    struct kstat k;
    PATH_ARG(path, path_arg);
    int err = vfs_stat(dirfd, path, flags, &k);
    return err ? err : stat_out(dst, &k);
}

sysret_t linux_stat(const struct syscall_args *a) { return do_stat(AT_FDCWD, a->a[0], 0, a->a[1]); }
sysret_t linux_lstat(const struct syscall_args *a) { return do_stat(AT_FDCWD, a->a[0], AT_SYMLINK_NOFOLLOW, a->a[1]); }

sysret_t linux_fstat(const struct syscall_args *a)
{
    struct kstat k;
    int err = vfs_stat((int)a->a[0], "", AT_EMPTY_PATH, &k);
    return err ? err : stat_out(a->a[1], &k);
}

sysret_t linux_newfstatat(const struct syscall_args *a)
{
    int flags = (int)a->a[3];
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) return -EINVAL;
    return do_stat((int)a->a[0], a->a[1], flags, a->a[2]);
}

#define LINUX_STATX_MNT_ID_UNIQUE 0x4000u
static struct linux_statx_ts statx_ts(const struct timespec *t) { return (struct linux_statx_ts){ .sec = t->tv_sec, .nsec = (u32)t->tv_nsec }; }

sysret_t linux_statx(const struct syscall_args *a)
{
    int flags = (int)a->a[2];
    u32 mask = (u32)a->a[3];
    if (mask & STATX__RESERVED) return -EINVAL;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) return -EINVAL;
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) return -EINVAL;
    struct kstat k;
    char path[KPATH_MAX];
    if (a->a[1] == 0 && (flags & AT_EMPTY_PATH)) { /* since Linux 6.11 */
        path[0] = 0;
    } else {
        ssize_t n = copy_in_str(path, a->a[1], sizeof(path));
        if (n < 0) return n;
    }
    int err = vfs_stat((int)a->a[0], path, flags & ~AT_STATX_SYNC_TYPE, &k);
    if (err) return err;
    bool unique = mask & LINUX_STATX_MNT_ID_UNIQUE;
    struct linux_statx s = {
        .mask = STATX_BASIC_STATS | (k.has_btime ? STATX_BTIME : 0) | (unique ? LINUX_STATX_MNT_ID_UNIQUE : STATX_MNT_ID), .blksize = k.blksize, .attributes = k.attributes,
        .nlink = (u32)k.nlink, .uid = uid_out(k.uid), .gid = gid_out(k.gid), .mode = (u16)k.mode, .ino = k.ino, .size = k.size, .blocks = k.blocks,
        .attributes_mask = k.attributes_mask, .atime = statx_ts(&k.atime), .ctime = statx_ts(&k.ctime), .mtime = statx_ts(&k.mtime),
        .rdev_major = major(k.rdev), .rdev_minor = minor(k.rdev), .dev_major = major(k.dev), .dev_minor = minor(k.dev), .mnt_id = unique ? k.mnt_unique : k.mnt_id,
    };
    if (k.has_btime) s.btime = statx_ts(&k.btime);
    return copy_out(a->a[4], &s, sizeof(s));
}

static sysret_t statfs_out(gaddr_t dst, const struct path *p)
{
    struct statfs k;
    memset(&k, 0, sizeof(k));
    int err = vfs_statfs(p, &k);
    if (err) return err;
    struct linux_statfs s = {
        .type = k.f_type, .bsize = k.f_bsize, .blocks = k.f_blocks, .bfree = k.f_bfree, .bavail = k.f_bavail, .files = k.f_files,
        .ffree = k.f_ffree, .namelen = k.f_namelen, .frsize = k.f_frsize, .flags = k.f_flags,
    };
    memcpy(s.fsid, &k.f_fsid, sizeof(s.fsid));
    return copy_out(dst, &s, sizeof(s));
}

sysret_t linux_statfs(const struct syscall_args *a)
{
    AUTO_PATH p = { 0 };
    PATH_ARG(path, a->a[0]);
    int err = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    return err ? err : statfs_out(a->a[1], &p);
}

sysret_t linux_fstatfs(const struct syscall_args *a)
{
    FILE_PATH_ARG(f, a->a[0]);
    struct path p = f->path;
    if (p.dentry) return statfs_out(a->a[1], &p);
    /* Pipes, sockets and anonymous inodes live on internal mounts. */
    struct linux_statfs s = { .type = f->inode->sb ? f->inode->sb->magic : 0x09041934, .bsize = 4096, .frsize = 4096, .namelen = 255 };
    return copy_out(a->a[1], &s, sizeof(s));
}

static sysret_t do_access(int dirfd, gaddr_t path_arg, int mode, int flags)
{
    if (mode & ~7) return -EINVAL;
    PATH_ARG(path, path_arg);
    return vfs_access(dirfd, path, mode, flags);
}

sysret_t linux_access(const struct syscall_args *a) { return do_access(AT_FDCWD, a->a[0], (int)a->a[1], 0); }
sysret_t linux_faccessat(const struct syscall_args *a) { return do_access((int)a->a[0], a->a[1], (int)a->a[2], 0); }
sysret_t linux_faccessat2(const struct syscall_args *a)
{
    int flags = (int)a->a[3];
    if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    return do_access((int)a->a[0], a->a[1], (int)a->a[2], flags);
}

static sysret_t do_readlink(int dirfd, gaddr_t path_arg, gaddr_t buf, s64 size)
{
    if ((s32)size <= 0) return -EINVAL;
    PATH_ARG(path, path_arg);
    char *target;
    int err = vfs_readlink(dirfd, path, &target);
    if (err) return err;
    size_t n = MIN(strlen(target), (size_t)(s32)size);
    err = copy_out(buf, target, n);
    free(target);
    return err ? err : (sysret_t)n;
}

sysret_t linux_readlink(const struct syscall_args *a) { return do_readlink(AT_FDCWD, a->a[0], a->a[1], (s64)a->a[2]); }
sysret_t linux_readlinkat(const struct syscall_args *a) { return do_readlink((int)a->a[0], a->a[1], a->a[2], (s64)a->a[3]); }
