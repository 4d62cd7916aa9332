/* Extended attributes. Source: xattr(7), fs/xattr.c in the Linux tree. */
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/walk.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

static bool has_prefix(const char *s, const char *p) { return strncmp(s, p, strlen(p)) == 0; }

/* Who may touch which name space. write: set or remove. */
static int check(const struct path *p, const char *name, bool write)
{
    struct inode *i = p->dentry->inode;
    size_t len = strlen(name);
    if (len == 0 || len > KXATTR_NAME_MAX) return -ERANGE;
    if (write) {
        int r = mnt_want_write_to(p->mnt, p->dentry);
        if (r == 0) r = policy_dentry(p->dentry, PR_WRITE);
        if (r == 0 && (inode_flags(i) & (FS_APPEND_FL | FS_IMMUTABLE_FL))) r = -EPERM;
        if (r) return r;
    }
    if (has_prefix(name, "trusted.")) {
        if (!capable(CAP_SYS_ADMIN)) return write ? -EPERM : -ENODATA;
        return 0;
    }
    if (has_prefix(name, "security.")) return write && !capable(CAP_SYS_ADMIN) && !has_prefix(name, "security.capability") ? -EPERM
        : write && has_prefix(name, "security.capability") && !capable(CAP_SETFCAP) ? -EPERM : 0;
    if (has_prefix(name, "system.")) return 0;      /* POSIX ACLs: acl.c, or the file system says EOPNOTSUPP */
    if (!has_prefix(name, "user.")) return -EOPNOTSUPP;
    if (!S_ISREG(i->mode) && !S_ISDIR(i->mode)) return write ? -EPERM : -ENODATA;
    if (write && S_ISDIR(i->mode) && (i->mode & S_ISVTX) && !inode_owner_or_capable(i)) return -EPERM;
    return inode_may(i, write ? MAY_WRITE : MAY_READ);
}

ssize_t vfs_getxattr(const struct path *p, const char *name, void *buf, size_t size)
{
    struct inode *i = p->dentry->inode;
    int r = check(p, name, false);
    if (r) return r;
    if (i->sb->acls && acl_name(name)) return acl_getxattr(i, name, buf, MIN(size, (size_t)KXATTR_SIZE_MAX));
    if (!i->ops || !i->ops->getxattr) return -EOPNOTSUPP;
    return i->ops->getxattr(i, name, buf, MIN(size, (size_t)KXATTR_SIZE_MAX));
}

int vfs_setxattr(const struct path *p, const char *name, const void *val, size_t size, int flags)
{
    struct inode *i = p->dentry->inode;
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return -EINVAL;
    if (size > KXATTR_SIZE_MAX) return -E2BIG;
    int r = check(p, name, true);
    if (r) return r;
    bool acl = i->sb->acls && acl_name(name);
    if (!acl && (!i->ops || !i->ops->setxattr)) return -EOPNOTSUPP;
    if (i->ops->prepare_change && (r = i->ops->prepare_change(i, p->dentry)) != 0) return r;
    r = acl ? acl_setxattr(i, name, val, size, flags) : i->ops->setxattr(i, name, val, size, flags);
    if (r == 0) fsnotify(p->dentry, IN_ATTRIB, 0);
    return r;
}

ssize_t vfs_listxattr(const struct path *p, char *buf, size_t size)
{
    struct inode *i = p->dentry->inode;
    if (!i->ops || !i->ops->listxattr) return 0;
    return i->ops->listxattr(i, buf, MIN(size, (size_t)KXATTR_SIZE_MAX));
}

int vfs_removexattr(const struct path *p, const char *name)
{
    struct inode *i = p->dentry->inode;
    int r = check(p, name, true);
    if (r) return r;
    bool acl = i->sb->acls && acl_name(name);
    if (!acl && (!i->ops || !i->ops->removexattr)) return -EOPNOTSUPP;
    if (i->ops->prepare_change && (r = i->ops->prepare_change(i, p->dentry)) != 0) return r;
    r = acl ? acl_removexattr(i, name) : i->ops->removexattr(i, name);
    if (r == 0) fsnotify(p->dentry, IN_ATTRIB, 0);
    return r;
}
