/* File flags by ioctl and by file_getattr, file_setattr. Source: ioctl_iflags(2), ioctl_xfs_fsgetxattr(2), fs/file_attr.c in the Linux tree. */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>

struct linux_file_attr { u64 xflags; u32 extsize, nextents, projid, cowextsize; };
_Static_assert(sizeof(struct linux_file_attr) == 24, "struct file_attr of version 0");
_Static_assert(sizeof(struct fsxattr) == 28 && offsetof(struct fsxattr, fsx_cowextsize) == 16, "struct fsxattr");

#define XFLAGS_COMMON (FS_XFLAG_SYNC | FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND | FS_XFLAG_NODUMP | FS_XFLAG_NOATIME | FS_XFLAG_DAX | FS_XFLAG_PROJINHERIT)
#define XFLAGS_READ_ONLY ((u64)(FS_XFLAG_PREALLOC | FS_XFLAG_HASATTR))
#define XFLAGS_KNOWN (XFLAGS_COMMON | XFLAGS_READ_ONLY | FS_XFLAG_REALTIME | FS_XFLAG_RTINHERIT | FS_XFLAG_NOSYMLINKS | FS_XFLAG_EXTSIZE \
    | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG | FS_XFLAG_FILESTREAM | FS_XFLAG_COWEXTSIZE)
#define FS_DAX_FL_ 0x02000000u
#define FS_PROJINHERIT_FL_ 0x20000000u

static const struct { u32 flag, xflag; } pairs[] = {
    { FS_SYNC_FL, FS_XFLAG_SYNC }, { FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE }, { FS_APPEND_FL, FS_XFLAG_APPEND }, { FS_NODUMP_FL, FS_XFLAG_NODUMP },
    { FS_NOATIME_FL, FS_XFLAG_NOATIME }, { FS_DAX_FL_, FS_XFLAG_DAX }, { FS_PROJINHERIT_FL_, FS_XFLAG_PROJINHERIT },
};

static u32 xflags_of(u32 flags)
{
    u32 x = 0;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (flags & pairs[i].flag) x |= pairs[i].xflag;
    return x;
}

/* Sizes of extents, projects and what only XFS has, no file system here keeps: asking for one is refused as tmpfs refuses it. */
static int set_xflags(const struct path *p, const struct linux_file_attr *at)
{
    u32 flags = 0;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (at->xflags & pairs[i].xflag) flags |= pairs[i].flag;
    if ((at->xflags & ~(u64)XFLAGS_COMMON) || at->extsize || at->projid || at->cowextsize) return -EOPNOTSUPP;
    return vfs_fileattr_set(p, flags);
}

/* EOPNOTSUPP of a file system without flags is ENOTTY of an ioctl; that of a flag is not. */
static bool flagless(const struct path *p)
{
    u32 flags;
    return vfs_fileattr_get(p, &flags) == -EOPNOTSUPP;
}

sysret_t linux_ioctl_flags(struct file *f, u32 cmd, gaddr_t arg)
{
    const struct path *p = &f->path;
    struct linux_file_attr at = { 0 };
    struct fsxattr x = { 0 };
    u32 flags = 0;

    if (!p->dentry || flagless(p)) return -ENOTTY;
    switch (cmd) {
    case (u32)FS_IOC_GETFLAGS:
        (void)vfs_fileattr_get(p, &flags);
        return copy_out(arg, &flags, sizeof(flags));
    case (u32)FS_IOC_SETFLAGS: return copy_in(&flags, arg, sizeof(flags)) ? -EFAULT : vfs_fileattr_set(p, flags);
    case (u32)FS_IOC_FSGETXATTR:
        (void)vfs_fileattr_get(p, &flags);
        x.fsx_xflags = xflags_of(flags);
        return copy_out(arg, &x, sizeof(x));
    case (u32)FS_IOC_FSSETXATTR:
        if (copy_in(&x, arg, sizeof(x))) return -EFAULT;
        at = (struct linux_file_attr){ .xflags = x.fsx_xflags & ~XFLAGS_READ_ONLY, .extsize = x.fsx_extsize, .projid = x.fsx_projid, .cowextsize = x.fsx_cowextsize };
        return set_xflags(p, &at);
    default: return -ENOTTY;
    }
}

static int attr_path(const struct syscall_args *a, struct path *p)
{
    u32 flags = ARG_U32(4);
    char path[KPATH_MAX] = "";
    ssize_t n;

    if (a->a[1] || !(flags & AT_EMPTY_PATH)) {
        if ((n = copy_in_str(path, a->a[1], sizeof(path))) < 0) return (int)n;
    }
    return vfs_walk(ARG_INT(0), path, (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), p);
}

static int check_attr_args(const struct syscall_args *a)
{
    if (ARG_U32(4) & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    return a->a[3] > GPAGE_SIZE ? -E2BIG : a->a[3] < sizeof(struct linux_file_attr) ? -EINVAL : 0;
}

sysret_t linux_file_getattr(const struct syscall_args *a)
{
    struct linux_file_attr at = { 0 };
    AUTO_PATH p = { 0 };
    u32 flags;
    int r = check_attr_args(a);

    if (r || (r = attr_path(a, &p)) || (r = vfs_fileattr_get(&p, &flags))) return r;
    at.xflags = xflags_of(flags);
    if (copy_out(a->a[2], &at, sizeof(at))) return -EFAULT;
    return a->a[3] > sizeof(at) && zero_out(a->a[2] + sizeof(at), a->a[3] - sizeof(at)) ? -EFAULT : 0;
}

sysret_t linux_file_setattr(const struct syscall_args *a)
{
    struct linux_file_attr at;
    AUTO_PATH p = { 0 };
    int r = check_attr_args(a);

    if (r || (r = linux_copy_in_grown(&at, sizeof(at), sizeof(at), a->a[2], a->a[3]))) return r;
    if (at.xflags & ~XFLAGS_KNOWN) return -EINVAL;
    at.xflags &= ~XFLAGS_READ_ONLY;
    return (r = attr_path(a, &p)) ? r : set_xflags(&p, &at);
}
