/*
 * Kernel AIO contexts: requests in flight, and the events of those that ended. Source: io_setup(2), io_submit(2),
 * io_getevents(2), io_cancel(2). Transfers are made by whoever submits them, as Linux does for buffered files; what is
 * pending here are polls.
 *
 * A context belongs to an address space and ends with it. Its name is the address of a page that the guest may move but
 * should not write; one that it forges names at most another context of its own.
 */
#ifndef SUNDOG_VFS_AIO_H
#define SUNDOG_VFS_AIO_H

#include "sentry/vfs/file.h"

#define AIO_MAX_NR 65536u          /* events of all contexts of the sandbox, fs.aio-max-nr */

struct aio_ctx;
struct aio_req;
struct eventfd;

/* As the guest's struct io_event. */
struct aio_event { u64 data, obj; s64 res, res2; };

u32 aio_nr(void);                                    /* events that all contexts have room for, fs.aio-nr */
/* A context of current with room for nr > 0 events; *name is what finds it. -EAGAIN -ENOMEM */
int aio_setup(u32 nr, gaddr_t *name);
struct aio_ctx *aio_ctx_get(gaddr_t name);           /* counted; NULL: current has none of that name */
void aio_ctx_put(struct aio_ctx *c);
/* Requests in flight end without an event, who waits gets -EINVAL, the name's page goes. -EINVAL: somebody else did it. */
int aio_destroy(struct aio_ctx *c);

/* Room for one event, or NULL (EAGAIN). Consumes notify (NULL: none), which counts the event. Ended by one of the next three. */
struct aio_req *aio_begin(struct aio_ctx *c, u64 obj, u64 data, struct eventfd *notify);
void aio_abandon(struct aio_req *r);                 /* as if it had never been */
void aio_complete(struct aio_req *r, s64 res);
void aio_poll(struct aio_req *r, struct file *f, u32 events);     /* completes when f has one of events; takes its own reference */
/* -EINPROGRESS: the poll ended and its event came; -EINVAL: no such request in flight. */
int aio_cancel(struct aio_ctx *c, u64 obj);

/*
 * Gives at most max events to emit (0 or -errno, which leaves that event in place) as soon as there are min, at the
 * CLOCK_MONOTONIC deadline (0: do not wait) those there are. Their number; -ERESTARTSYS or what emit said when there
 * are none; -EINVAL when the context went.
 */
sysret_t aio_wait(struct aio_ctx *c, u64 min, u64 max, ktime_t deadline, int (*emit)(void *arg, u64 n, const struct aio_event *e),
                  void *arg);

#endif
