/*
 * Operations on the readiness files (eventfd, timerfd, epoll, inotify, pidfd) beyond those of every file; the constructors are
 * in sentry/vfs/file.h. Files are borrowed.
 */
#ifndef SUNDOG_FS_ANON_H
#define SUNDOG_FS_ANON_H

#include "sentry/kernel/ns.h"
#include "sentry/vfs/file.h"

struct kitimer;

/* --- eventfd (eventfd.c), for what signals one from inside --- */
struct eventfd;
struct eventfd *eventfd_get(struct file *f);     /* counted; NULL: f is something else */
void eventfd_put(struct eventfd *e);             /* under any lock but a wait queue's own */
/* Adds one without blocking, as far as the count goes. Takes the event's wait queue and no other lock. */
void eventfd_signal(struct eventfd *e);

bool file_is_timerfd(const struct file *f);
void timerfd_get(struct file *f, struct kitimer *out);
/* flags: host TFD_TIMER_*. 0 or -ECANCELED. */
int timerfd_set(struct file *f, u32 flags, const struct kitimer *new_, struct kitimer *old);

/* Writes the signal as the guest's record of exactly SIGNALFD_RECORD bytes; set once by the ABI that offers signalfd. */
#define SIGNALFD_RECORD 128
extern void (*signalfd_encode)(const struct ksiginfo *info, void *record);

/* --- epoll (epoll.c); events are host EPOLL* bits --- */
struct kepoll_event { u32 events; u64 data; };
bool file_is_epoll(const struct file *f);
unsigned epoll_count(struct file *f);            /* registrations now */
/* op EPOLL_CTL_*. -EBADF -EEXIST -EINVAL -ELOOP -ENOENT -EPERM -ENOSPC as epoll_ctl(2). fd identifies f in the set. */
int epoll_ctl_file(struct file *ep, int op, int fd, struct file *f, const struct kepoll_event *ev);
/* Number of events stored (<= max), 0 at the deadline (CLOCK_MONOTONIC; 0: do not wait), -ERESTARTSYS on a signal. */
sysret_t epoll_wait_file(struct file *ep, struct kepoll_event *out, unsigned max, ktime_t deadline);
/* The caller could not deliver events it took: everything is looked at again. */
void epoll_rearm(struct file *ep);
/* Called by file_put when the last reference of f goes, before its release op: leaves every epoll set. */
void epoll_file_release(struct file *f);

/* --- namespaces as files (nsfs.c); ns NULL: the initial one of its kind --- */
int nsfs_path(enum ns_type type, struct ns *ns, struct path *out);    /* counted; what the links in /proc/PID/ns lead to */
sysret_t nsfs_open(enum ns_type type, struct ns *ns);                 /* a descriptor of current for it */
bool nsfs_file(struct file *f, enum ns_type *type, struct ns **ns);   /* borrowed; false: f is something else */

/* --- inotify (inotify.c) --- */
bool file_is_inotify(const struct file *f);
/* Watch descriptor. -EINVAL -EEXIST -ENOSPC; permission is the caller's business. */
int inotify_add(struct file *f, struct inode *ino, u32 mask);
int inotify_rm(struct file *f, s32 wd);
/* Beside the IN_* bits, for dnotify: this IN_MOVED_FROM is one half of a rename inside one directory. */
#define FSNOTIFY_SAME_DIR 0x10000000u
/* ... : the inode was changed (ftruncate), not used through an open file. */
#define FSNOTIFY_INODE 0x08000000u
/* fcntl(2) F_NOTIFY on a directory: DN_* bits; 0 but for DN_MULTISHOT ends it. -ENOTDIR */
int dnotify_set(struct file *f, int fd, u32 events);
void dnotify_release(struct file *f);      /* last reference */

#endif
