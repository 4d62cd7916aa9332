/*
 * File flags of chattr(1): immutable, append-only, no dump, no atime. Kept in the inode, where the permission checks
 * see them; only file systems with super.file_flags have them. Source: ioctl_iflags(2), fs/ioctl.c, mm/shmem.c.
 */
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/stat.h>

#define SETTABLE (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

static bool has_flags(const struct inode *i) { return i->sb && i->sb->file_flags && (S_ISREG(i->mode) || S_ISDIR(i->mode)); }

int vfs_fileattr_get(const struct path *p, u32 *flags)
{
    const struct inode *i = p->dentry->inode;
    if (!has_flags(i)) return -EOPNOTSUPP;
    *flags = inode_flags(i);
    return 0;
}

int vfs_fileattr_set(const struct path *p, u32 flags)
{
    struct inode *i = p->dentry->inode;
    if (!has_flags(i)) return -EOPNOTSUPP;
    int r = mnt_want_write_to(p->mnt, p->dentry);
    if (r == 0) r = policy_dentry(p->dentry, PR_WRITE);
    if (r) return r;
    if (!inode_owner_or_capable(i)) return -EPERM;
    lock(&i->lock);
    if (((flags ^ i->flags) & (FS_APPEND_FL | FS_IMMUTABLE_FL)) && !capable(CAP_LINUX_IMMUTABLE)) {
        r = -EPERM;
    } else if (flags & ~(u32)SETTABLE) {
        r = -EOPNOTSUPP;
    } else {
        atomic_store(&i->flags, flags);
        clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    }
    unlock(&i->lock);
    return r;
}

void inode_fill_flags(const struct inode *i, struct kstat *st)
{
    static const struct { u32 flag, attr; } shown[] = {
        { FS_APPEND_FL, STATX_ATTR_APPEND }, { FS_IMMUTABLE_FL, STATX_ATTR_IMMUTABLE }, { FS_NODUMP_FL, STATX_ATTR_NODUMP },
    };
    if (!i->sb || !i->sb->file_flags) return;
    for (size_t k = 0; k < ARRAY_LEN(shown); k++) {
        st->attributes_mask |= shown[k].attr;
        if (inode_flags(i) & shown[k].flag) st->attributes |= shown[k].attr;
    }
}
