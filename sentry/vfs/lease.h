/* Leases on regular files: fcntl(2) F_SETLEASE, F_GETLEASE. */
#ifndef SUNDOG_VFS_LEASE_H
#define SUNDOG_VFS_LEASE_H

#include "sentry/vfs/file.h"

#define LEASE_BREAK_SECONDS 45

/* type: F_RDLCK, F_WRLCK, F_UNLCK. fd: what si_fd will say. -EACCES, -EINVAL, -EAGAIN */
int file_set_lease(struct file *f, int fd, int type);
int file_get_lease(struct file *f);        /* what it will be once a break under way is done */
void file_lease_release(struct file *f);   /* last reference */
/* Before i is opened or truncated: asks holders to give way and waits. -EAGAIN with nonblock; -ERESTARTSYS. No lock held. */
int inode_break_lease(struct inode *i, bool write, bool nonblock);

#endif
