/* /dev/poll; see devpoll.c. */
#ifndef SUNDOG_SOLARIS_DEVPOLL_H
#define SUNDOG_SOLARIS_DEVPOLL_H

#include "abi/solaris/solaris.h"

/* A new empty set, of current's process. flags: host O_*. -ENOMEM */
int sol_devpoll_open(u32 flags, struct file **out) MUST_CHECK;
bool sol_file_is_devpoll(const struct file *f);
sysret_t sol_devpoll_ioctl(struct file *f, u32 cmd, gaddr_t arg);

#endif
