/*
 * Host descriptors given at start (the caller's stdin, stdout, stderr, --fd) as guest files.
 *
 * The open file behind such a descriptor is shared with the caller's other programs, so its O_NONBLOCK is not ours to
 * set. Reads and writes must still be interruptible: a pipe comes as an open file of its own, nonblocking (the runtime
 * opens it anew); sockets take MSG_DONTWAIT; anything else is polled first and then transferred in small pieces.
 * Tasks that wait hang on the file's wait queue, and one thread, started when somebody first waits, sleeps in
 * epoll_wait and wakes them. A registration fires once, so that a descriptor nobody waits for costs nothing.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/service.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#include <asm/termbits.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(read, "inherited host descriptors");
HOSTCALL(write, "inherited host descriptors");
HOSTCALL(pread64, "inherited host files");
HOSTCALL(pwrite64, "inherited host files");
HOSTCALL(recvfrom, "inherited host sockets");
HOSTCALL_SENDTO("inherited host sockets");
HOSTCALL(lseek, "the position of an inherited host file is shared with the caller");
HOSTCALL(fstat, "attributes of inherited host descriptors");
HOSTCALL(ftruncate, "inherited host files");
HOSTCALL(fsync, "inherited host files");
HOSTCALL(fdatasync, "inherited host files");
HOSTCALL(close, "inherited host descriptors");
HOSTCALL(poll, "is an inherited host descriptor ready");
HOSTCALL(epoll_create1, "the host poller");
HOSTCALL(epoll_ctl, "the host poller");
HOSTCALL(epoll_wait, "the host poller");
HOSTCALL_ARG(fcntl, "access mode of an inherited host descriptor", 1, F_GETFL);
HOSTCALL_ARG(ioctl, "bytes readable on an inherited host descriptor", 1, FIONREAD);
HOSTCALL_ARG(ioctl, "is an inherited host descriptor a terminal", 1, TCGETS);
HOSTCALL_ARG(ioctl, "size of the terminal on an inherited host descriptor", 1, TIOCGWINSZ);

#define HOSTFILE_PIECE (16u * 1024)
#define POLLER_STACK (64 * 1024)

struct hostfile {
    int fd;                       /* (c) owned */
    bool nonblock;                /* (c) its open file is ours and O_NONBLOCK */
    bool socket, pollable;        /* (c) */
    u64 id;                       /* (c) */
    struct waitq q;
    LIST_ENTRY(hostfile) link;    /* under poller.lock */
    bool registered;              /* under poller.lock: known to epoll */
};

static struct {
    lock_t lock;                  /* LC_TIMER (just outside of wait queues); guards: */
    LIST_HEAD(, hostfile) files;
    u64 next_id;
    int epfd;
    bool running;
} poller = { .lock = LOCK_INIT(LC_TIMER), .epfd = -1 };

static struct super *hostfile_sb;

static int host_fstat(int fd, struct stat *st) { return syscall(SYS_fstat, fd, st) ? -errno : 0; } /* libc's is newfstatat */

/* --- the poller --- */

static void *poller_main(void *arg UNUSED)
{
    struct epoll_event ev[16];
    for (;;) {
        int n = epoll_wait(poller.epfd, ev, ARRAY_LEN(ev), -1);
        if (n < 0 && errno != EINTR) panic("host poller: epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct hostfile *h;
            lock(&poller.lock);
            LIST_FOREACH(h, &poller.files, link)
                if (h->id == ev[i].data.u64) {
                    waitq_wake(&h->q, ev[i].events | (ev[i].events & (EPOLLHUP | EPOLLERR) ? POLLIN | POLLOUT : 0));
                    break;
                }
            unlock(&poller.lock);
        }
    }
    return NULL;
}

static int poller_start_locked(void)
{
    if (poller.running) return 0;
    if (poller.epfd < 0) poller.epfd = epoll_create1(EPOLL_CLOEXEC);
    if (poller.epfd < 0) return -errno;
    int r = service_start(poller_main, NULL, POLLER_STACK);
    if (!r) poller.running = true;
    return r;
}

/* The next time the descriptor is ready its wait queue is woken, once. A readiness that is there now counts. */
static int hostfile_arm(struct hostfile *h, u32 events)
{
    if (!h->pollable) return 0;
    struct epoll_event ev = { .events = (events & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)) | EPOLLONESHOT, .data.u64 = h->id };
    lock(&poller.lock);
    int r = poller_start_locked();
    if (!r && epoll_ctl(poller.epfd, h->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, h->fd, &ev)) r = -errno;
    if (!r) h->registered = true;
    unlock(&poller.lock);
    return r;
}

static u32 host_ready(struct hostfile *h)
{
    struct pollfd p = { .fd = h->fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
    if (!h->pollable) return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    if (poll(&p, 1, 0) < 0) return 0;
    u32 r = (u32)(u16)p.revents;
    return r | (r & POLLIN ? POLLRDNORM : 0) | (r & POLLOUT ? POLLWRNORM : 0);
}

/* Events somebody on the queue waits for; 0: nobody. */
static u32 hostfile_wanted(struct hostfile *h)
{
    u32 want = 0;
    struct waiter *w;
    lock(&h->q.lock);
    TAILQ_FOREACH(w, &h->q.waiters, link) want |= w->events ? w->events : POLLIN | POLLOUT;
    unlock(&h->q.lock);
    return want;
}

static u32 hostfile_poll(struct file *f, struct waiter *w)
{
    struct hostfile *h = f->priv;
    if (w) waitq_add(&h->q, w);
    u32 ready = host_ready(h), want = hostfile_wanted(h);
    /* Waiters that stay (epoll sets) ask again after each wake: what is ready now needs no arming. */
    if (want & ~ready && hostfile_arm(h, want & ~ready)) return ready | POLLERR;
    return ready;
}

/* 0: try again; -ERESTARTSYS */
static int hostfile_wait(struct hostfile *h, u32 events)
{
    struct waiter w;
    waiter_init_current(&w, events);
    waitq_add(&h->q, &w);
    int r = 0;
    if (!(host_ready(h) & (events | POLLHUP | POLLERR))) {
        r = hostfile_arm(h, hostfile_wanted(h));
        if (!r) r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    return r;
}

/* --- transfers without a position --- */

static ssize_t read_once(struct hostfile *h, struct uio *u)
{
    if (h->nonblock) return uio_host_read(u, h->fd, -1, u->resid);
    if (!h->socket && !(host_ready(h) & (POLLIN | POLLHUP | POLLERR))) return -EAGAIN;
    size_t want = MIN(u->resid, (u64)HOSTFILE_PIECE);
    AUTO_FREE u8 *buf = try_zalloc(1, want);
    if (!buf) return -ENOMEM;
    ssize_t n = h->socket ? recv(h->fd, buf, want, MSG_DONTWAIT) : read(h->fd, buf, want);
    if (n <= 0) return n < 0 ? -errno : 0;
    return uio_copy_out(u, buf, (size_t)n);
}

static ssize_t write_once(struct hostfile *h, struct uio *u)
{
    if (h->nonblock) return uio_host_write(u, h->fd, -1, u->resid);
    if (!h->socket && !(host_ready(h) & (POLLOUT | POLLHUP | POLLERR))) return -EAGAIN;
    /* A ready pipe or terminal takes at least PIPE_BUF bytes without blocking. */
    size_t want = MIN(u->resid, (u64)(h->socket || !h->pollable ? HOSTFILE_PIECE : PIPE_BUF));
    u8 buf[HOSTFILE_PIECE];
    struct uio peek;
    uio_clone(&peek, u);
    ssize_t n = uio_copy_in(&peek, buf, want);
    uio_fini(&peek);
    if (n <= 0) return n;
    n = h->socket ? send(h->fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(h->fd, buf, (size_t)n);
    if (n < 0) return -errno;
    uio_skip(u, (size_t)n);
    return n;
}

static ssize_t stream_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct hostfile *h = f->priv;
    if (!u->resid) return 0;
    for (;;) {
        ssize_t n = read_once(h, u);
        if (n == -EINTR) continue;
        if (n != -EAGAIN) return n;
        if (file_nonblock(f, flags)) {
            u32 want = hostfile_wanted(h); /* an edge-triggered epoll set waits for the next edge */
            if (want) hostfile_arm(h, want & ~(u32)POLLOUT);
            return -EAGAIN;
        }
        int r = hostfile_wait(h, POLLIN);
        if (r) return r;
    }
}

static ssize_t stream_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct hostfile *h = f->priv;
    ssize_t done = 0, n = 0;
    while (u->resid) {
        n = write_once(h, u);
        if (n == -EINTR) continue;
        if (n == -EAGAIN) {
            if (file_nonblock(f, flags)) {
                u32 want = hostfile_wanted(h);
                if (want) hostfile_arm(h, want & ~(u32)POLLIN);
                break;
            }
            n = hostfile_wait(h, POLLOUT);
            if (n) break;
            continue;
        }
        if (n <= 0) break;
        done += n;
        n = 0;
    }
    if (n == -EPIPE) {
        struct ksiginfo info;
        ksiginfo_user(&info, SIGPIPE, SI_USER);
        signal_send_task(current, &info);
    }
    return done ? done : n;
}

/* --- files with a position: it is the host's too, shared with the caller (`(a; sundog run b) > file`) --- */

/* Another descriptor of ours may share the host's open file, as both of `sundog run x > out 2>&1` do: its position counts. */
static void take_host_pos(struct file *f, const struct hostfile *h, u64 *pos)
{
    off_t now = pos == &f->pos ? lseek(h->fd, 0, SEEK_CUR) : -1;

    if (now >= 0) *pos = (u64)now;
}

static ssize_t file_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct hostfile *h = f->priv;
    take_host_pos(f, h, pos);
    ssize_t n = uio_host_read(u, h->fd, (s64)*pos, u->resid);
    if (n <= 0) return n;
    *pos += (u64)n;
    if (pos == &f->pos) lseek(h->fd, (off_t)*pos, SEEK_SET);
    return n;
}

static ssize_t file_write(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct hostfile *h = f->priv;
    /* With O_APPEND on the host's open file, pwrite appends as well, and only write moves the position. */
    bool append = f->flags & O_APPEND, at_pos = pos == &f->pos;
    take_host_pos(f, h, pos);
    ssize_t n = uio_host_write(u, h->fd, append && at_pos ? -1 : (s64)*pos, u->resid);
    if (n <= 0) return n;
    if (append && at_pos) {
        off_t now = lseek(h->fd, 0, SEEK_CUR);
        *pos = now < 0 ? *pos + (u64)n : (u64)now;
        return n;
    }
    *pos += (u64)n;
    if (at_pos) lseek(h->fd, (off_t)*pos, SEEK_SET);
    return n;
}

static s64 file_llseek(struct file *f, s64 off, int whence)
{
    struct hostfile *h = f->priv;
    off_t r = lseek(h->fd, off, whence);
    if (r < 0) return -errno;
    f->pos = (u64)r;
    return r;
}

static int file_sync(struct file *f, bool data_only)
{
    struct hostfile *h = f->priv;
    return (data_only ? fdatasync(h->fd) : fsync(h->fd)) ? -errno : 0;
}

static sysret_t hostfile_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct hostfile *h = f->priv;
    union { int n; struct termios t; struct winsize ws; } a;
    size_t size;
    switch (cmd) {
    case FIONREAD: size = sizeof(a.n); break;
    case TCGETS: size = sizeof(a.t); break;
    case TIOCGWINSZ: size = sizeof(a.ws); break;
    default: return -ENOTTY;
    }
    memset(&a, 0, sizeof(a));
    if (syscall(SYS_ioctl, h->fd, cmd, &a) < 0) return -errno;
    return copy_out(arg, &a, size);
}

static const struct file_ops stream_fops = {
    .read = stream_read, .write = stream_write, .poll = hostfile_poll, .ioctl = hostfile_ioctl,
};
static const struct file_ops file_fops = {
    .read = file_read, .write = file_write, .seekable = true, .llseek = file_llseek, .fsync = file_sync, .ioctl = hostfile_ioctl,
};

/* --- inode --- */

static int hostfile_getattr(struct inode *ino, struct kstat *st)
{
    struct hostfile *h = ino->priv;
    struct stat s;
    int r = host_fstat(h->fd, &s);
    if (r) return r;
    *st = (struct kstat){ .dev = s.st_dev, .rdev = s.st_rdev, .ino = s.st_ino, .nlink = s.st_nlink, .size = (u64)s.st_size, .blocks = (u64)s.st_blocks,
                          .mode = s.st_mode, .uid = s.st_uid, .gid = s.st_gid, .blksize = (u32)s.st_blksize, .atime = s.st_atim,
                          .mtime = s.st_mtim, .ctime = s.st_ctim };
    return 0;
}

static int hostfile_setattr(struct inode *ino, struct dentry *d UNUSED, const struct kattr *a)
{
    struct hostfile *h = ino->priv;
    if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID)) return -EPERM; /* the caller's file */
    if (!(a->valid & ATTR_SIZE) && (a->valid & (ATTR_ATIME | ATTR_MTIME))) return -EPERM;
    if (a->valid & ATTR_SIZE) { /* its times follow by themselves */
        if (!S_ISREG(ino->mode)) return -EINVAL;
        if (ftruncate(h->fd, (off_t)a->size)) return -errno;
        u64 keep = gpage_up(a->size) >> GPAGE_SHIFT;
        mappable_unmap(&ino->map, keep, (UINT64_MAX >> GPAGE_SHIFT) - keep, true);
    }
    return 0;
}

/* Through /proc/self/fd/N or /dev/stdout: the same host descriptor, so never with more access than it has. */
static int hostfile_open(struct inode *ino, struct dentry *d UNUSED, struct file *f)
{
    struct hostfile *h = ino->priv;
    int host = fcntl(h->fd, F_GETFL) & O_ACCMODE, want = (int)f->flags & O_ACCMODE;
    if (host != O_RDWR && want != host) return -EACCES;
    f->ops = ino->fops;
    f->priv = h;
    return 0;
}

static void hostfile_free(struct inode *ino)
{
    struct hostfile *h = ino->priv;
    lock(&poller.lock);
    LIST_REMOVE(h, link);
    unlock(&poller.lock);
    close(h->fd); /* leaves the epoll set with its last descriptor; another one of ours would only wake nobody */
    waitq_fini(&h->q);
    free(h);
    inode_fini(ino);
    free(ino);
}

static const struct inode_ops hostfile_iops = {
    .getattr = hostfile_getattr, .setattr = hostfile_setattr, .open = hostfile_open, .free = hostfile_free,
};

static int hostfile_page(struct mappable *m, u64 pgoff, bool write UNUSED, struct backing *out)
{
    struct hostfile *h = m->inode->priv;
    struct stat st;
    int r = host_fstat(h->fd, &st);
    if (r) return r;
    if (pgoff >= gpage_up((u64)st.st_size) >> GPAGE_SHIFT) return -ENXIO;
    *out = (struct backing){ .kind = BACKING_HOSTFD, .fd = h->fd, .fd_off = pgoff << GPAGE_SHIFT };
    return 0;
}

static u64 hostfile_run(struct mappable *m, u64 pgoff, u64 max)
{
    struct hostfile *h = m->inode->priv;
    struct stat st;
    if (host_fstat(h->fd, &st)) return 1;
    u64 pages = gpage_up((u64)st.st_size) >> GPAGE_SHIFT;
    return pgoff < pages ? MIN(max, pages - pgoff) : 1;
}

static const struct mappable_ops hostfile_map_ops = { .page = hostfile_page, .run = hostfile_run };

static int hostfile_statfs(struct super *sb UNUSED, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = 0x50495045 /* PIPEFS_MAGIC */, .f_bsize = GPAGE_SIZE, .f_namelen = KNAME_MAX };
    return 0;
}

static void hostfile_sb_free(struct super *sb UNUSED) {} /* lives as long as the sentry */
static const struct super_ops hostfile_sops = { .name = "hostfile", .statfs = hostfile_statfs, .free = hostfile_sb_free };

static pthread_once_t sb_once = PTHREAD_ONCE_INIT;
static void sb_setup(void)
{
    hostfile_sb = xnew(struct super);
    super_init(hostfile_sb, &hostfile_sops, 0x50495045);
}

int hostfile_create(int hostfd, u32 flags, struct file **out)
{
    pthread_once(&sb_once, sb_setup);
    struct stat st;
    int r = host_fstat(hostfd, &st);
    if (r) return r;
    int host_flags = fcntl(hostfd, F_GETFL);
    if (host_flags < 0) return -errno;
    bool positioned = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
    struct hostfile *h = xnew(struct hostfile);
    h->fd = hostfd;
    h->socket = S_ISSOCK(st.st_mode);
    h->nonblock = S_ISFIFO(st.st_mode) && (host_flags & O_NONBLOCK);
    waitq_init(&h->q);
    struct pollfd p = { .fd = hostfd };
    h->pollable = !positioned && !S_ISDIR(st.st_mode) && poll(&p, 1, 0) >= 0;
    if (S_ISCHR(st.st_mode)) {
        /* Devices without a poll method (/dev/null) are refused by epoll; they are always ready. */
        int ep = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event ev = { .events = 0 };
        if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, hostfd, &ev) && errno == EPERM) h->pollable = false;
        if (ep >= 0) close(ep);
    }
    lock(&poller.lock);
    h->id = ++poller.next_id;
    LIST_INSERT_HEAD(&poller.files, h, link);
    unlock(&poller.lock);
    struct inode *ino = inode_new(hostfile_sb, &hostfile_iops, positioned ? &file_fops : &stream_fops, st.st_ino, st.st_mode);
    ino->uid = st.st_uid;
    ino->gid = st.st_gid;
    ino->rdev = st.st_rdev;
    ino->size = (u64)st.st_size;
    ino->priv = h;
    if (S_ISREG(st.st_mode)) ino->map.ops = &hostfile_map_ops;
    u32 fl = ((u32)host_flags & (O_ACCMODE | O_APPEND)) | (flags & O_NONBLOCK);
    struct file *f = file_new(ino->fops, NULL, ino, fl);
    f->priv = h;
    if (positioned) {
        off_t pos = lseek(hostfd, 0, SEEK_CUR);
        f->pos = pos > 0 ? (u64)pos : 0;
    }
    inode_put(ino);
    *out = f;
    return 0;
}
