/* What the calls on mounts share. */
#ifndef SUNDOG_LINUX_MOUNT_H
#define SUNDOG_LINUX_MOUNT_H

#include "abi/linux/fs.h"

/* Mounts are changed by whoever has CAP_SYS_ADMIN where the mount namespace belongs. */
bool linux_may_mount(void);

/* linux/mount.h of newer kernels than the headers here may know */
#define LINUX_MOUNT_ATTR_RDONLY 1u
#define LINUX_MOUNT_ATTR_NOSUID 2u
#define LINUX_MOUNT_ATTR_NODEV 4u
#define LINUX_MOUNT_ATTR_NOEXEC 8u
#define LINUX_MOUNT_ATTR_ATIME 0x70u            /* a field: relatime 0, noatime, strictatime */
#define LINUX_MOUNT_ATTR_NOATIME 0x10u
#define LINUX_MOUNT_ATTR_STRICTATIME 0x20u
#define LINUX_MOUNT_ATTR_NODIRATIME 0x80u
#define LINUX_MOUNT_ATTR_IDMAP 0x100000u
#define LINUX_MOUNT_ATTR_NOSYMFOLLOW 0x200000u
#define LINUX_MOUNT_ATTR_FLAGS 0x2000ffu        /* all but ids */

/* MNT_* of the bits other than those on atime, and of the field for that (-EINVAL). */
u32 linux_mount_attr_bits(u64 attr);
int linux_mount_attr_atime(u64 attr, u32 *flags);
u64 linux_mount_attr_of(u32 flags);

/* A descriptor (O_PATH) of a tree that is mounted nowhere; takes over the path's references. */
sysret_t linux_mount_fd(struct path *p, bool cloexec);

#endif
