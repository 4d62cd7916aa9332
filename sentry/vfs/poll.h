/*
 * Waiting for several files: the core under poll(2) and select(2). Neutral: POLL* bits are the host's.
 */
#ifndef SUNDOG_VFS_POLL_H
#define SUNDOG_VFS_POLL_H

#include "sentry/vfs/file.h"

struct kpollfd { int fd; u16 events, revents; };

/* Readiness classes of select(2), as Linux has them. */
#define SELECT_IN (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX POLLPRI

/*
 * Waits until one of the n descriptors of current is ready or the CLOCK_MONOTONIC deadline passes (0: do not wait).
 * Fills in revents. The number of entries with revents != 0, or -ERESTARTSYS when a signal came first, or -ENOMEM.
 * A closed descriptor has POLLNVAL; a negative one is skipped.
 */
sysret_t poll_wait(struct kpollfd *fds, unsigned n, ktime_t deadline);

/* select(2) on sets of 64-bit words, n descriptors: -EBADF when a set names a closed one; else as poll_wait, but counting bits. */
sysret_t select_wait(unsigned n, u64 *in, u64 *out, u64 *ex, ktime_t deadline);

#endif
