/* Mount flags, as the plan carries them and the VFS keeps them. */
#ifndef SUNDOG_VFS_MOUNT_FLAGS_H
#define SUNDOG_VFS_MOUNT_FLAGS_H

#define MNT_RDONLY 1u
#define MNT_NOSUID 2u
#define MNT_NODEV 4u
#define MNT_NOEXEC 8u
#define MNT_NOATIME 16u
#define MNT_RELATIME 32u
#define MNT_NODIRATIME 64u
#define MNT_NOSYMFOLLOW 128u

#endif
