/*
 * POSIX access control lists: acl(5), fs/posix_acl.c of Linux. Kept in the inodes of file systems that say so (super.acls); the
 * mode's group bits are then the list's mask. Ids inside are the kernel's.
 */
#ifndef SUNDOG_VFS_ACL_H
#define SUNDOG_VFS_ACL_H

#include "sentry/vfs/vfs.h"

bool acl_name(const char *name);                   /* system.posix_acl_access or _default */
/* As the extended attributes, whose permission is looked at here. Ids are as current's user namespace numbers them.
 * -EOPNOTSUPP -ENODATA -ERANGE -EINVAL -EPERM -EACCES -EEXIST; flags: XATTR_CREATE, XATTR_REPLACE */
ssize_t acl_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int acl_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags);
int acl_removexattr(struct inode *i, const char *name);
/* Names into buf, as listxattr does: their length together; what does not fit is left out. */
size_t acl_listxattr(const struct inode *i, char *buf, size_t size);
/* What the list says to this wish (MAY_*) of somebody who is not the owner: 0 or -EACCES; 1: there is no list. */
int acl_permission(const struct inode *i, int mask, const struct cred *c);
bool acl_has_default(const struct inode *dir);     /* then the umask does not count */
void acl_inherit(struct inode *i, const struct inode *dir);    /* of a new one, whose mode is set */
void acl_chmod(struct inode *i);                   /* after a change of the mode; i->lock held */
void acl_free(struct inode *i);

#endif
