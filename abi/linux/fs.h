/* Shared by the file-system adapters (abi/linux/fs_*.c). */
#ifndef SUNDOG_LINUX_FS_H
#define SUNDOG_LINUX_FS_H

#include "abi/abi.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/file.h"

/* Declares `char var[KPATH_MAX]` filled from the guest; returns the errno from the enclosing adapter when it can't. */
#define PATH_ARG(var, gaddr)                                                                        \
    char var[KPATH_MAX];                                                                            \
    do {                                                                                            \
        ssize_t len_ = copy_in_str(var, (gaddr), sizeof(var));                                      \
        if (len_ < 0) return len_;                                                                  \
    } while (0)

/* Declares `struct file *var` (released at scope end) or returns EBADF. */
#define FILE_ARG(var, fd)                                                                           \
    AUTO_FILE var = fd_get((int)(fd));                                                              \
    if (!var) return -EBADF
#define FILE_PATH_ARG(var, fd) /* O_PATH descriptors allowed */                                     \
    AUTO_FILE var = fd_get_path((int)(fd));                                                         \
    if (!var) return -EBADF

sysret_t linux_ioctl_flags(struct file *f, u32 cmd, gaddr_t arg);    /* FS_IOC_GETFLAGS and its like; -ENOTTY */

static inline void linux_path_cleanup(struct path *p) { if (p->dentry) path_put(p); }
#define AUTO_PATH __attribute__((cleanup(linux_path_cleanup))) struct path

static inline void linux_uio_cleanup(struct uio *u) { uio_fini(u); }
#define AUTO_UIO __attribute__((cleanup(linux_uio_cleanup))) struct uio

#endif
