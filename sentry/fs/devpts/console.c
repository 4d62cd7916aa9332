/*
 * The host's terminal shown to the guest as a pty. `sundog` has put the host terminal into raw mode; one pump thread
 * carries bytes between it and the pty, sleeping in poll(2) otherwise.
 */
#include "sentry/base/hostcall.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/fs/devpts/tty.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

HOSTCALL(poll, "console pump waits for the host terminal");
HOSTCALL(ppoll, "console pump waits for the host terminal");
HOSTCALL(read, "console input, event counters");
HOSTCALL(close, "descriptors");
HOSTCALL(eventfd2, "console output notice");

struct console {
    int host_fd, event_fd;
    struct tty *tty;
    pthread_t thread;
    s32 pid;            /* process it was made for; 0: the first */
    bool stop;          /* (a) */
    LIST_ENTRY(console) link;
};
static struct {
    lock_t lock; /* LC_LEAF; guards: */
    LIST_HEAD(, console) list;
} all = { .lock = LOCK_INIT(LC_LEAF), .list = LIST_HEAD_INITIALIZER(all.list) };

/* Moves queued output to the host terminal; false: it took nothing more now. */
static bool drain_output(struct console *con)
{
    for (;;) {
        u8 buf[4096];
        size_t n = 0;
        lock(&con->tty->lock);
        while (n < sizeof(buf) && n < con->tty->out_len) {
            buf[n] = con->tty->out[(con->tty->out_head + n) % TTY_OUT_MAX];
            n++;
        }
        unlock(&con->tty->lock);
        if (!n) return true;
        ssize_t w = write(con->host_fd, buf, n);
        if (w < 0) return errno != EAGAIN && errno != EINTR;
        lock(&con->tty->lock);
        unsigned took = MIN((unsigned)w, con->tty->out_len);
        con->tty->out_head = (con->tty->out_head + took) % TTY_OUT_MAX;
        con->tty->out_len -= took;
        waitq_wake(&con->tty->slave_wait, POLLOUT | POLLWRNORM);
        unlock(&con->tty->lock);
    }
}

static void *console_pump(void *arg)
{
    struct console *con = arg;
    u8 pending[1024];
    size_t have = 0, off = 0;
    for (;;) {
        bool drained = drain_output(con);
        if (atomic_load(&con->stop)) return NULL;
        struct pollfd p[2] = { { .fd = con->event_fd, .events = POLLIN },
                               { .fd = con->host_fd, .events = (short)((off == have ? POLLIN : 0) | (drained ? 0 : POLLOUT)) } };
        /* With input that the guest's queue did not take: look again soon. */
        if (poll(p, 2, off < have ? 20 : -1) < 0 && errno != EINTR) return NULL;
        u64 count;
        if (p[0].revents && read(con->event_fd, &count, sizeof(count)) < 0) continue;
        if (off == have && (p[1].revents & (POLLIN | POLLHUP | POLLERR))) {
            ssize_t n = read(con->host_fd, pending, sizeof(pending));
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) { /* the user's terminal went away */
                tty_hangup(con->tty);
                return NULL;
            }
            have = n > 0 ? (size_t)n : 0;
            off = 0;
        }
        if (off < have) {
            size_t taken = 0;
            lock(&con->tty->lock);
            ldisc_input(con->tty, pending + off, have - off, &taken);
            unlock(&con->tty->lock);
            off += taken;
            if (off == have) off = have = 0;
        }
    }
}

int console_create(int host_fd, u16 rows, u16 cols, struct file **slave)
{
    struct tty *tty = devpts_alloc();
    if (!tty) return -ENOSPC;
    struct console *con = xnew(struct console);
    con->event_fd = eventfd(0, EFD_CLOEXEC);
    if (con->event_fd < 0) {
        free(con);
        return -errno;
    }
    con->host_fd = host_fd;
    con->tty = tty;
    con->pid = current && current->tg != kernel.init ? current->tg->tgid : 0;
    tty->masters = 1; /* the pump */
    tty->locked = false;
    tty->console_event = con->event_fd;
    tty->ws = (struct kwinsize){ .row = rows, .col = cols };

    char name[32];
    struct path p = { 0 };
    snprintf(name, sizeof(name), "/dev/pts/%u", tty->index);
    int err = current ? vfs_walk(AT_FDCWD, name, WALK_FOLLOW, &p) : -ENOENT;
    struct file *f = file_new(&tty_slave_fops, err ? NULL : &p, tty->inode, O_RDWR);
    if (!err) path_put(&p);
    err = tty_slave_open(tty, f);
    if (err) {
        f->ops = NULL;
        file_put(f);
        return err;
    }
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    err = pthread_create(&con->thread, &attr, console_pump, con);
    pthread_attr_destroy(&attr);
    if (err) {
        file_put(f);
        return -err;
    }
    lock(&all.lock);
    LIST_INSERT_HEAD(&all.list, con, link);
    unlock(&all.lock);
    *slave = f;
    return 0;
}

void console_set_winsize(s32 pid, u16 rows, u16 cols, u16 xpixel, u16 ypixel)
{
    struct kwinsize ws = { rows, cols, xpixel, ypixel };
    struct tty *tty = NULL;
    struct console *con;
    lock(&all.lock);
    LIST_FOREACH(con, &all.list, link)
        if (con->pid == pid) tty = con->tty;
    if (tty) tty_get(tty);
    unlock(&all.lock);
    if (!tty) return;
    tty_set_winsize(tty, &ws);
    tty_put(tty);
}

/* The next console to end: of process pid, or any (-1). */
static struct console *take(s32 pid)
{
    struct console *con;
    lock(&all.lock);
    LIST_FOREACH(con, &all.list, link)
        if (pid == -1 || con->pid == pid) break;
    if (con) LIST_REMOVE(con, link);
    unlock(&all.lock);
    return con;
}

static void finish(struct console *con)
{
    u64 one = 1;
    atomic_store(&con->stop, true);
    ssize_t r = write(con->event_fd, &one, sizeof(one));
    (void)r;
    pthread_join(con->thread, NULL); /* it drains before it looks at stop */
}

void console_finish(void)
{
    struct console *con;
    while ((con = take(-1))) finish(con); /* the sandbox ends: nothing need be freed */
}

void console_finish_of(s32 pid)
{
    struct console *con = take(pid);
    if (!con) return;
    finish(con);
    tty_hangup(con->tty); /* what was left behind with this terminal loses it */
    lock(&con->tty->lock);
    con->tty->console_event = -1;
    con->tty->masters = 0;
    unlock(&con->tty->lock);
    close(con->host_fd);
    close(con->event_fd);
    devpts_remove(con->tty);
    tty_put(con->tty);
    free(con);
}
