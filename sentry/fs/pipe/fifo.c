/* Opening FIFOs: both sides wait for each other. Source: fifo(7), open(2). */
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/task.h"

#include <linux/magic.h>

static int wait_for_other(struct pipe *p, const u64 *counter, u64 seen)
{
    struct waiter w;
    int r = 0;

    waiter_init_current(&w, 0);
    waitq_add(&p->open_wq, &w);
    while (atomic_load(counter) == seen && r == 0) r = task_sleep(KTIME_NEVER);
    waitq_del(&w);
    return atomic_load(counter) != seen ? 0 : r;
}

int pipe_open_fifo(struct inode *ino, struct dentry *d UNUSED, struct file *f)
{
    bool rd = f->mode & FMODE_READ, wr = f->mode & FMODE_WRITE, nonblock = f->flags & O_NONBLOCK;
    bool is_pipe = ino->sb->magic == PIPEFS_MAGIC; /* reopened through /proc/PID/fd: never waits (fifo_open) */
    const u64 *wait_on = NULL;
    u64 seen = 0;
    int r = 0;

    lock(&ino->lock);
    struct pipe *p = ino->sock;
    if (!p) {
        if (wr && !rd && nonblock) {
            unlock(&ino->lock);
            return -ENXIO;
        }
        if (!(p = pipe_new())) {
            unlock(&ino->lock);
            return -ENFILE;
        }
        ino->sock = p;
    }
    lock(&p->lock);
    if (wr && !rd && nonblock && !p->readers) {
        unlock(&p->lock);
        unlock(&ino->lock);
        return -ENXIO;
    }
    p->users++;
    if (rd) {
        p->r_counter++;
        p->readers++;
    }
    if (wr) {
        p->w_counter++;
        p->writers++;
    }
    f->version = 0;
    if (rd && !wr && !p->writers && !is_pipe) {
        /* No hang-up is shown until a writer has come and gone. */
        if (nonblock)
            f->version = p->w_counter;
        else
            wait_on = &p->w_counter, seen = p->w_counter;
    } else if (wr && !rd && !p->readers && !is_pipe) {
        wait_on = &p->r_counter, seen = p->r_counter;
    }
    f->priv = p;
    unlock(&p->lock);
    unlock(&ino->lock);
    waitq_wake_all(&p->open_wq, 0);
    if (wait_on) r = wait_for_other(p, wait_on, seen);
    if (r) {
        fifo_ops.release(f);
        f->priv = NULL;
        return r;
    }
    f->ops = &fifo_ops;
    return 0;
}
