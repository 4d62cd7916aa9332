/*
 * sendfile, splice, copy_file_range, tee, vmsplice: copying loops through a sentry buffer. Guest buffers are not
 * involved, so one buffer of 64 KiB a call serves all.
 *
 * A pipe as source: what has been read from it must be written, so the loop first waits until the target takes data,
 * takes no more than a target pipe has room for, and once it holds data goes on until they are out, a signal comes or the
 * target fails. What it still holds then goes back in front of the pipe (it is lost if a writer has filled that meanwhile).
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include <linux/falloc.h>
#include <string.h>

#define CHUNK 65536u
#define COPY_MAX 0x7ffff000u

static bool is_pipe(struct file *f) { return f->inode && S_ISFIFO(f->inode->mode) && file_is_pipe(f); }

/* Waits until f is ready for `events`, or says at once that this call must not block. */
static int wait_ready(struct file *f, u32 events, u32 iof)
{
    struct waiter w;
    waiter_init_current(&w, events);
    int r = 0;
    u32 got = vfs_poll(f, &w);
    while (!(got & (events | POLLERR | POLLHUP))) {
        if (file_nonblock(f, iof)) r = -EAGAIN;
        if (r == 0) r = task_sleep(KTIME_NEVER);
        if (r) break;
        got = vfs_poll(f, NULL);
    }
    waitq_del(&w);
    return r;
}

static ssize_t read_some(struct file *f, void *buf, size_t n, u64 *pos, u32 iof)
{
    struct uio u;
    uio_init_kernel(&u, buf, n);
    ssize_t r;
    if (pos) {
        r = vfs_pread(f, &u, *pos, iof);
        if (r > 0) *pos += (u64)r;
    } else {
        r = vfs_read(f, &u, iof);
    }
    uio_fini(&u);
    return r;
}

static ssize_t write_some(struct file *f, const void *buf, size_t n, u64 *pos, u32 iof)
{
    struct uio u;
    uio_init_kernel(&u, (void *)(uintptr_t)buf, n);
    ssize_t r;
    if (pos) {
        r = vfs_pwrite(f, &u, *pos, iof);
        if (r > 0) *pos += (u64)r;
    } else {
        r = vfs_write(f, &u, iof);
    }
    uio_fini(&u);
    return r;
}

/* Gives back what was read but not written, where the source has a position or is a pipe. */
static void unread(struct file *in, u64 *in_pos, const u8 *rest, size_t n)
{
    if (!n) return;
    if (is_pipe(in)) pipe_unread_kernel(in, rest, n);
    else if (in_pos) *in_pos -= n;
    else if (in->ops->seekable) (void)vfs_llseek(in, -(s64)n, SEEK_CUR);
}

static ssize_t copy_loop(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, size_t n, u32 iof)
{
    if (n > COPY_MAX) n = COPY_MAX;
    if (n == 0) return 0;
    AUTO_FREE u8 *buf = xzalloc(MIN(n, (size_t)CHUNK));
    size_t total = 0;
    ssize_t r = 0;
    bool in_seeks = in->ops->seekable;
    while (total < n) {
        /* After the first chunk a source without data, or a full pipe, ends the call instead of blocking it. */
        u32 fl = total && !in_seeks ? iof | IOF_NONBLOCK : iof;
        if (!in_seeks || !out->ops->seekable) {
            r = wait_ready(out, POLLOUT, !in_seeks ? fl : iof);
            if (r) break;
        }
        size_t want = MIN(n - total, (size_t)CHUNK);
        size_t room = !in_seeks && is_pipe(out) ? pipe_room(out) : 0;
        if (room) want = MIN(want, room);
        r = read_some(in, buf, want, in_pos, fl);
        if (r <= 0) break;
        size_t got = (size_t)r, done = 0;
        while (done < got) {
            r = write_some(out, buf + done, got - done, out_pos, in_seeks ? iof : 0);
            if (r == -EAGAIN && !in_seeks) {
                /* The target is non-blocking and took only a part of what left the source. */
                struct waiter w;
                waiter_init_current(&w, POLLOUT);
                u32 ev = vfs_poll(out, &w);
                r = ev & (POLLOUT | POLLERR | POLLHUP) ? 0 : task_sleep(KTIME_NEVER);
                waitq_del(&w);
                if (r == 0) continue;
            }
            if (r <= 0) break;
            done += (size_t)r;
        }
        total += done;
        if (done < got) {
            unread(in, in_pos, buf + done, got - done);
            break;
        }
    }
    return total ? (ssize_t)total : r;
}

static int check_ends(struct file *in, struct file *out)
{
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE)) return -EBADF;
    return 0;
}

ssize_t vfs_sendfile(struct file *out, struct file *in, u64 *in_pos, u64 *out_pos, size_t n, u32 flags)
{
    int r = check_ends(in, out);
    if (r) return r;
    if (in_pos && !in->ops->seekable) return -ESPIPE;
    if (in_pos && (s64)*in_pos < 0) return -EINVAL;
    /* The source must have a position: a pipe or socket is for splice(2). */
    if (!in->ops->seekable || !in->ops->read || !out->ops->write || (in->inode && S_ISDIR(in->inode->mode))) return -EINVAL;
    if (in->ops->no_splice || out->ops->no_splice || (out->flags & O_APPEND && !is_pipe(out))) return -EINVAL;
    return copy_loop(in, in_pos, out, out_pos, n, flags & IOF_NONBLOCK);
}

ssize_t vfs_splice(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, size_t n, u32 flags)
{
    if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)) return -EINVAL;
    if (n == 0) return 0;
    int r = check_ends(in, out);
    if (r) return r;
    bool ip = is_pipe(in), op = is_pipe(out);
    if (!ip && !op) return -EINVAL;
    if ((ip && in_pos) || (op && out_pos)) return -ESPIPE;
    if (ip && op && in->inode == out->inode) return -EINVAL;
    if ((in_pos && !in->ops->seekable) || (out_pos && !out->ops->seekable)) return -EINVAL;
    if (!in->ops->read || !out->ops->write || (in->inode && S_ISDIR(in->inode->mode))) return -EINVAL;
    if (in->ops->no_splice || out->ops->no_splice) return -EINVAL;
    if (!op && (out->flags & O_APPEND)) return -EINVAL;
    u32 iof = flags & SPLICE_F_NONBLOCK ? IOF_NONBLOCK : 0;
    /* splice moves what is there: one chunk from a pipe, never waiting for all of n. */
    return copy_loop(in, in_pos, out, out_pos, ip || op ? MIN(n, (size_t)CHUNK) : n, iof);
}

ssize_t vfs_tee(struct file *in, struct file *out, size_t n, u32 flags)
{
    if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)) return -EINVAL;
    if (n == 0) return 0;
    int r = check_ends(in, out);
    if (r) return r;
    if (!is_pipe(in) || !is_pipe(out) || in->inode == out->inode) return -EINVAL;
    u32 iof = flags & SPLICE_F_NONBLOCK ? IOF_NONBLOCK : 0;
    r = wait_ready(out, POLLOUT, iof);
    if (r) return r;
    n = MIN(n, (size_t)CHUNK);
    AUTO_FREE u8 *buf = xzalloc(n);
    ssize_t got = pipe_peek_kernel(in, buf, n, iof);
    if (got <= 0) return got;
    size_t room = pipe_room(out);
    return pipe_write_kernel(out, buf, room && (size_t)got > room ? room : (size_t)got, iof);
}

ssize_t vfs_vmsplice(struct file *f, struct uio *u, u32 flags)
{
    if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)) return -EINVAL;
    if (!is_pipe(f)) return -EBADF;
    u32 iof = flags & SPLICE_F_NONBLOCK ? IOF_NONBLOCK : 0;
    if (!(f->mode & FMODE_WRITE)) return vfs_read(f, u, iof);
    if (!u->resid) return 0;
    for (;;) {
        /* It waits for some room, never for room for all: vmsplice(2) tells how much went in. */
        int r = wait_ready(f, POLLOUT, iof);
        if (r) return r;
        ssize_t n = vfs_write(f, u, IOF_NONBLOCK);
        if (n != -EAGAIN || file_nonblock(f, iof)) return n;
    }
}

ssize_t vfs_copy_file_range(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, size_t n, u32 flags)
{
    if (flags) return -EINVAL;
    if ((in->mode | out->mode) & FMODE_PATH) return -EBADF;
    if ((in->inode && S_ISDIR(in->inode->mode)) || (out->inode && S_ISDIR(out->inode->mode))) return -EISDIR;
    if (!in->inode || !out->inode || !S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode)) return -EINVAL;
    int r = check_ends(in, out);
    if (r) return r;
    if (out->flags & O_APPEND) return -EBADF;
    if (n > COPY_MAX) n = COPY_MAX;
    u64 ipos = in_pos ? *in_pos : in->pos, opos = out_pos ? *out_pos : out->pos, end;
    if ((s64)ipos < 0 || (s64)opos < 0) return -EINVAL;
    if (add_overflow(ipos, (u64)n, &end) || add_overflow(opos, (u64)n, &end) || (s64)end < 0) return -EOVERFLOW;
    if (in->inode == out->inode && ipos < opos + n && opos < ipos + n) return -EINVAL;
    return copy_loop(in, in_pos, out, out_pos, n, 0);
}
