/*
 * /dev/poll (poll(4D)): a set of descriptors that is written, as struct pollfd, and asked by ioctl. It is built upon an epoll set of the
 * kernel's, without edges; files that are always ready, and numbers that were closed when they were written, are kept beside it.
 * Source: the manual page; sys/devpoll.h; uts/common/io/devpoll.c. Not here: DP_EPOLLCOMPAT and its POLLET and POLLONESHOT.
 */
#include "abi/solaris/devpoll.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/vfs/poll.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <uthash.h>

#define P_REMOVE 0x800u
#define DP_POLL 0xd001u
#define DP_ISPOLLED 0xd002u
#define DP_PPOLL 0xd003u
#define BATCH 64u
struct sol_dvpoll { u64 fds, nfds; s32 timeout, pad; };
SOL_SIZE(sol_dvpoll, 24);

enum kind { WATCHED, ALWAYS_READY, CLOSED };
struct entry {
    s32 fd;                        /* key */
    UT_hash_handle hh;
    u16 events;
    enum kind kind;
    struct file *file;             /* borrowed, only compared */
};

struct devpoll {
    lock_t lock;                   /* LC_EPOLL, outside the set's own; guards: */
    struct entry *entries;
    unsigned n, n_beside;          /* all; those that are not in the set */
    struct file *set;              /* (c) counted: epoll set */
    s32 pid;                       /* (c) whose descriptors these are */
};

static void entry_drop(struct devpoll *d, struct entry *e)
{
    if (e->kind != WATCHED) d->n_beside--;
    d->n--;
    HASH_DEL(d->entries, e);
    free(e);
}

/* One struct pollfd of a write. Events of a descriptor that is in the set already are added to those it has. */
static int change_locked(struct devpoll *d, const struct sol_pollfd *p)
{
    struct entry *e;
    s32 fd = p->fd;

    if (fd < 0) return 0;
    HASH_FIND_INT(d->entries, &fd, e);
    AUTO_FILE f = fd_get(fd);
    if ((u16)p->events & P_REMOVE) {
        if (!e) return 0;
        if (f) (void)epoll_ctl_file(d->set, EPOLL_CTL_DEL, fd, f, NULL);
        entry_drop(d, e);
        return 0;
    }
    if (e && e->kind == WATCHED && e->file != f) {      /* the number means another file now */
        entry_drop(d, e);
        e = NULL;
    }
    if (!e) {
        if (d->n >= current_rlimit(RLIMIT_NOFILE)) return -EINVAL;
        e = xnew(struct entry);
        e->fd = fd;
        HASH_ADD_INT(d->entries, fd, e);
        d->n++;
    } else if (e->kind != WATCHED) {
        d->n_beside--;
    }
    e->events |= (u16)p->events;
    e->file = f;
    e->kind = CLOSED;
    if (f) {
        struct kepoll_event ev = { sol_poll_in(e->events), (u64)(u32)fd };
        int r = epoll_ctl_file(d->set, EPOLL_CTL_MOD, fd, f, &ev);
        if (r == -ENOENT) r = epoll_ctl_file(d->set, EPOLL_CTL_ADD, fd, f, &ev);
        if (r && r != -EPERM) {
            d->n_beside++;
            entry_drop(d, e);
            return r;
        }
        e->kind = r ? ALWAYS_READY : WATCHED;
    }
    if (e->kind != WATCHED) d->n_beside++;
    return 0;
}

static ssize_t devpoll_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    struct devpoll *d = f->priv;
    ssize_t done = 0;
    int r = 0;

    if (d->pid != current->tg->tgid) return -EACCES;    /* a child has its own descriptors */
    if (u->resid / sizeof(struct sol_pollfd) > current_rlimit(RLIMIT_NOFILE)) return -EINVAL;
    while (!r && u->resid >= sizeof(struct sol_pollfd)) {
        struct sol_pollfd p[BATCH];
        ssize_t n = uio_copy_in(u, p, MIN(u->resid / sizeof(*p), (size_t)BATCH) * sizeof(*p));

        if (n <= 0) return done ? done : n < 0 ? n : -EFAULT;
        lock(&d->lock);
        for (size_t i = 0; !r && i < (size_t)n / sizeof(*p); i++) r = change_locked(d, p + i);
        unlock(&d->lock);
        if (!r) done += n;
    }
    return r && !done ? r : done;
}

/* Entries beside the set that are ready. */
static unsigned take_beside_locked(struct devpoll *d, struct sol_pollfd *out, unsigned max)
{
    unsigned got = 0;
    struct entry *e, *tmp;

    if (!d->n_beside) return 0;
    HASH_ITER(hh, d->entries, e, tmp) {
        if (e->kind == WATCHED || got == max) continue;
        AUTO_FILE f = fd_get(e->fd);
        if (e->kind == ALWAYS_READY && f != e->file) {
            entry_drop(d, e);
            continue;
        }
        s16 re = e->kind == CLOSED ? 0x20 /* POLLNVAL */ : (s16)(e->events & 0x45);   /* POLLIN, POLLOUT, POLLRDNORM */
        if (re) out[got++] = (struct sol_pollfd){ e->fd, (s16)e->events, re };
    }
    return got;
}

static unsigned take_watched_locked(struct devpoll *d, const struct kepoll_event *k, unsigned n, struct sol_pollfd *out, unsigned max)
{
    unsigned got = 0;

    for (unsigned i = 0; i < n && got < max; i++) {
        s32 fd = (s32)k[i].data;
        struct entry *e;

        HASH_FIND_INT(d->entries, &fd, e);
        if (!e || e->kind != WATCHED) continue;
        AUTO_FILE f = fd_get(fd);
        if (f != e->file) {
            entry_drop(d, e);
            continue;
        }
        s16 re = (s16)(sol_poll_out(k[i].events) & (e->events | 0x38u));
        if (re) out[got++] = (struct sol_pollfd){ fd, (s16)e->events, re };
    }
    return got;
}

static sysret_t do_poll(struct devpoll *d, gaddr_t arg)
{
    struct sol_dvpoll v;
    ktime_t deadline;
    unsigned got = 0;

    if (copy_in(&v, arg, sizeof(v))) return -EFAULT;
    if (v.nfds > current_rlimit(RLIMIT_NOFILE)) return -EINVAL;
    deadline = v.timeout < 0 ? KTIME_NEVER : v.timeout ? ktime_add_sat(clock_mono(), (ktime_t)v.timeout * NSEC_PER_MSEC) : 0;
    if (!v.nfds) return poll_wait(NULL, 0, deadline);   /* a way to sleep */
    unsigned max = (unsigned)MIN(v.nfds, 65536u);
    AUTO_FREE struct sol_pollfd *out = try_zalloc(max, sizeof(*out));
    AUTO_FREE struct kepoll_event *k = try_zalloc(max, sizeof(*k));
    if (!out || !k) return -EAGAIN;
    for (;;) {
        lock(&d->lock);
        got = take_beside_locked(d, out, max);
        unlock(&d->lock);
        sysret_t n = got < max ? epoll_wait_file(d->set, k, max - got, got ? 0 : deadline) : 0;
        if (n < 0 && !got) return n;
        if (n > 0) {
            lock(&d->lock);
            got += take_watched_locked(d, k, (unsigned)n, out + got, max - got);
            unlock(&d->lock);
        }
        if (got || n <= 0) break;                       /* else all that came had been closed meanwhile */
    }
    return got && copy_out(v.fds, out, got * sizeof(*out)) ? -EFAULT : (sysret_t)got;
}

static sysret_t is_polled(struct devpoll *d, gaddr_t arg)
{
    struct sol_pollfd p;
    struct entry *e;

    if (copy_in(&p, arg, sizeof(p))) return -EFAULT;
    lock(&d->lock);
    HASH_FIND_INT(d->entries, &p.fd, e);
    if (e) p.revents = (s16)e->events;
    unlock(&d->lock);
    return !e ? 0 : copy_out(arg, &p, sizeof(p)) ? -EFAULT : 1;
}

static u32 devpoll_poll(struct file *f, struct waiter *w)
{
    struct devpoll *d = f->priv;
    return vfs_poll(d->set, w);
}

static void devpoll_release(struct file *f)
{
    struct devpoll *d = f->priv;
    struct entry *e, *tmp;

    HASH_ITER(hh, d->entries, e, tmp) entry_drop(d, e);
    file_put(d->set);
    lock_fini(&d->lock);
    free(d);
}

static const struct file_ops devpoll_ops = { .name = "anon_inode:[devpoll]", .write = devpoll_write, .poll = devpoll_poll, .release = devpoll_release };

bool sol_file_is_devpoll(const struct file *f) { return f->ops == &devpoll_ops; }

sysret_t sol_devpoll_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct devpoll *d = f->priv;

    if (d->pid != current->tg->tgid) return -EACCES;
    switch (cmd) {
    case DP_POLL: return do_poll(d, arg);
    case DP_ISPOLLED: return is_polled(d, arg);
    case DP_PPOLL: return -EOPNOTSUPP;
    default: return -EINVAL;
    }
}

int sol_devpoll_open(u32 flags, struct file **out)
{
    struct devpoll *d = xnew(struct devpoll);
    int r = epoll_create_file(0, &d->set);

    if (r) {
        free(d);
        return r;
    }
    lock_init(&d->lock, LC_EPOLL);
    d->pid = current->tg->tgid;
    *out = file_new_anon(&devpoll_ops, flags & (O_ACCMODE | O_NONBLOCK), d);
    if (*out) return 0;
    file_put(d->set);
    lock_fini(&d->lock);
    free(d);
    return -ENOMEM;
}
