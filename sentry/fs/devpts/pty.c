/* The master side of a pseudo-terminal. pty(7), ioctl_tty(2). */
#include "sentry/fs/devpts/tty.h"

static void master_release(struct file *f)
{
    struct tty *tty = f->priv;
    lock(&tty->lock);
    bool last = --tty->masters == 0;
    unlock(&tty->lock);
    if (last) {
        devpts_remove(tty);
        tty_hangup(tty);
    }
    tty_put(tty);
}

int pty_master_open(struct file *f)
{
    struct tty *tty = devpts_alloc();
    if (!tty) return -ENOSPC;
    tty->masters = 1;
    f->ops = &pty_master_fops;
    f->priv = tty;
    return 0;
}

/* The slave side is closed for good unless nobody opened it yet: then the master just waits. */
static bool other_side_gone(const struct tty *tty) { return tty->hung || (tty->slave_opened_ever && !tty->slaves); }

static ssize_t master_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct tty *tty = f->priv;
    u8 buf[4096];
    ssize_t r = 0;
    if (!u->resid) return 0;
    struct waiter w;
    waiter_init_current(&w, POLLIN | POLLRDNORM | POLLPRI);
    waitq_add(&tty->master_wait, &w);
    lock(&tty->lock);
    while (!tty->out_len && !tty->packet_status) {
        if (other_side_gone(tty)) r = -EIO;
        else if (file_nonblock(f, flags)) r = -EAGAIN;
        if (r) break;
        unlock(&tty->lock);
        r = task_sleep(KTIME_NEVER);
        lock(&tty->lock);
        if (r) break;
    }
    size_t n = 0;
    if (!r) {
        if (tty->packet) { /* TIOCPKT: a status byte before the data */
            buf[n++] = tty->packet_status;
            bool status_only = tty->packet_status != 0;
            tty->packet_status = 0;
            if (status_only) goto copy;
        }
        while (n < MIN(u->resid, sizeof(buf)) && tty->out_len) {
            buf[n++] = tty->out[tty->out_head];
            tty->out_head = (tty->out_head + 1) % TTY_OUT_MAX;
            tty->out_len--;
        }
        waitq_wake(&tty->slave_wait, POLLOUT | POLLWRNORM);
    }
copy:
    unlock(&tty->lock);
    waitq_del(&w);
    return n ? uio_copy_out(u, buf, n) : r;
}

static ssize_t master_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct tty *tty = f->priv;
    u8 buf[1024];
    ssize_t total = 0;
    struct waiter w;
    waiter_init_current(&w, POLLOUT | POLLWRNORM);
    waitq_add(&tty->master_wait, &w);
    while (u->resid) {
        struct uio peek;
        uio_clone(&peek, u);
        ssize_t got = uio_copy_in(&peek, buf, MIN(u->resid, sizeof(buf)));
        uio_fini(&peek);
        if (got < 0) {
            if (!total) total = got;
            break;
        }
        size_t taken = 0;
        lock(&tty->lock);
        bool gone = other_side_gone(tty);
        if (!gone) ldisc_input(tty, buf, (size_t)got, &taken);
        unlock(&tty->lock);
        uio_skip(u, taken);
        total += (ssize_t)taken;
        if (gone) {
            if (!total) total = -EIO;
            break;
        }
        if (taken) continue;
        if (file_nonblock(f, flags)) {
            if (!total) total = -EAGAIN;
            break;
        }
        int s = task_sleep(KTIME_NEVER);
        if (s < 0) {
            if (!total) total = s;
            break;
        }
    }
    waitq_del(&w);
    return total;
}

static u32 master_poll(struct file *f, struct waiter *w)
{
    struct tty *tty = f->priv;
    if (w) waitq_add(&tty->master_wait, w);
    u32 r = 0;
    lock(&tty->lock);
    if (tty->out_len || tty->packet_status) r |= POLLIN | POLLRDNORM;
    if (tty->packet_status) r |= POLLPRI;
    if (other_side_gone(tty)) r |= POLLHUP;
    if (tty->in_len + tty->edit_len < TTY_IN_MAX - 1 || !tty->in_len) r |= POLLOUT | POLLWRNORM;
    unlock(&tty->lock);
    return r;
}

static sysret_t master_ioctl(struct file *f, u32 cmd, gaddr_t arg) { return tty_ioctl(f, f->priv, true, cmd, arg); }

const struct file_ops pty_master_fops = {
    .read = master_read, .write = master_write, .poll = master_poll, .ioctl = master_ioctl, .release = master_release,
};
