/*
 * Pipes and FIFOs: a ring of page-sized buffers, as in Linux, so that the limits a program can see agree (capacity in
 * pages, atomic writes up to PIPE_BUF, what counts as full). Source: pipe(7), fifo(7), fcntl(2).
 */
#ifndef SUNDOG_FS_PIPE_H
#define SUNDOG_FS_PIPE_H

#include "sentry/vfs/file.h"

struct pipe_buf {
    u8 *page;
    u32 off, len;
    bool packet;                   /* O_DIRECT: one read takes at most this one, what is left of it is dropped */
};

struct pipe {
    lock_t lock;                   /* LC_PIPE; guards: */
    struct pipe_buf *ring;
    u32 slots;                     /* power of two */
    u32 head, tail;                /* head - tail buffers are in use */
    u8 *spare;                     /* one page kept for the next write */
    unsigned readers, writers, users;
    u64 r_counter, w_counter;      /* opens so far: FIFO rendezvous, and whether a writer was ever there */
    u32 uid;                       /* (c) whose pages they are, by fs.pipe-user-pages-* */
    bool polled;                   /* somebody polls: wake on every write (edge-triggered epoll counts on it) */
    struct waitq wq;               /* POLLIN readers, POLLOUT writers */
    struct waitq open_wq;          /* open(2) of a FIFO */
};

#define PIPE_DEF_SLOTS 16u
#define PIPE_MIN_SLOTS 2u          /* of new ones of a user beyond fs.pipe-user-pages-soft */

struct pipe *pipe_new(void);       /* NULL: the user has as many as fs.pipe-user-pages-hard allows, -ENFILE */
void pipe_free(struct pipe *p);
extern const struct file_ops pipe_ops, fifo_ops;
bool file_is_pipe(const struct file *f);
struct pipe *file_pipe(const struct file *f);

/* fcntl(2) F_SETPIPE_SZ, F_GETPIPE_SZ: the size, or -EBADF (no pipe), -EINVAL, -EPERM, -EBUSY. */
sysret_t pipe_set_size(struct file *f, u32 size);
sysret_t pipe_get_size(struct file *f);

/*
 * For splice and its kin: as read(2) and write(2), with sentry memory; IOF_NONBLOCK in flags. -EBADF for the wrong end
 * or no pipe. peek: what the next read would give, without taking it (tee).
 */
ssize_t pipe_read_kernel(struct file *f, void *buf, size_t n, u32 flags);
ssize_t pipe_write_kernel(struct file *f, const void *buf, size_t n, u32 flags);
ssize_t pipe_peek_kernel(struct file *f, void *buf, size_t n, u32 flags);
/* Puts what was just read back in front, as far as there is room: a writer may have been quicker. */
void pipe_unread_kernel(struct file *f, const void *buf, size_t n);
/* Bytes in the pipe, and room for more (whole free buffers). */
size_t pipe_bytes(struct file *f);
size_t pipe_room(struct file *f);

#endif
