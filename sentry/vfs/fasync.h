/*
 * Signal-driven I/O: the owner of an open file (F_SETOWN, F_SETSIG) and the signals it gets, SIGIO while O_ASYNC is on
 * and SIGURG for urgent data. Source: fcntl(2) "Managing signals", fs/fcntl.c of Linux.
 */
#ifndef SUNDOG_VFS_FASYNC_H
#define SUNDOG_VFS_FASYNC_H

#include "sentry/vfs/file.h"

struct file_owner { int type; s32 id; int sig; };

/* id 0: nobody. -ESRCH: no such owner now. */
int file_set_owner(struct file *f, int type, s32 id);
void file_set_owner_sig(struct file *f, int sig);
struct file_owner file_get_owner(struct file *f);
/* After O_ASYNC may have changed in f->flags: what the flag says then holds, however calls overlap. fd is what si_fd will
 * say. A file without events ignores it. Takes LC_FASYNC. */
void file_async_update(struct file *f, int fd);
void file_async_release(struct file *f);   /* last reference, before ops->release */
/* SIGURG to the owner, if there is one. Any lock outside of LC_TASKLIST may be held. */
void file_send_urgent(struct file *f);
/* SIGIO, or what F_SETSIG chose, whether or not O_ASYNC is on: leases, dnotify. event: a POLL* bit. */
void file_send_io(struct file *f, int fd, u32 event);

#endif
