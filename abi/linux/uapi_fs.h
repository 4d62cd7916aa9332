/* Linux x86-64 file-system structures as the guest sees them. Source: include/uapi/linux/{stat,openat2,fcntl}.h, asm/stat.h, asm-generic/statfs.h. */
#ifndef SUNDOG_LINUX_UAPI_FS_H
#define SUNDOG_LINUX_UAPI_FS_H

#include "sentry/base/types.h"

struct linux_stat {
    u64 st_dev, st_ino, st_nlink;
    u32 st_mode, st_uid, st_gid, pad0;
    u64 st_rdev;
    s64 st_size, st_blksize, st_blocks;
    u64 atime_sec, atime_nsec, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
    s64 unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

struct linux_statx_ts { s64 sec; u32 nsec; s32 pad; };
struct linux_statx {
    u32 mask, blksize;
    u64 attributes;
    u32 nlink, uid, gid;
    u16 mode, pad0;
    u64 ino, size, blocks, attributes_mask;
    struct linux_statx_ts atime, btime, ctime, mtime;
    u32 rdev_major, rdev_minor, dev_major, dev_minor;
    u64 mnt_id;
    u32 dio_mem_align, dio_offset_align;
    u64 spare[12];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");
_Static_assert(offsetof(struct linux_statx, mnt_id) == 0x90, "stx_mnt_id");

struct linux_statfs {
    s64 type, bsize;
    u64 blocks, bfree, bavail, files, ffree;
    s32 fsid[2];
    s64 namelen, frsize, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

struct linux_flock { s16 type, whence; u32 pad0; s64 start, len; s32 pid; u32 pad1; };
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

struct linux_f_owner_ex { s32 type, pid; };
struct linux_open_how { u64 flags, mode, resolve; };
struct linux_utimbuf { s64 actime, modtime; };

#endif
