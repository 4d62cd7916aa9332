/*
 * Event ports (port_create(3C)). A port is built upon an epoll set of the kernel's: descriptor associations are one-shot
 * items of it; events that are sent, and the alert, wait in a queue whose presence an eventfd in the same set shows;
 * watched files are inotify instances in it; timers of the process put their events into the queue. So waiting, polling a port, and the end of a watched descriptor are epoll's.
 * Source: port_associate(3C), port_get(3C), port_alert(3C); uts/common/fs/portfs/port.c.
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <uthash.h>

enum { OP_CREATE, OP_ASSOCIATE, OP_DISSOCIATE, OP_SEND, OP_SENDN, OP_GET, OP_GETN, OP_ALERT, OP_DISPATCH };
enum { SRC_AIO = 1, SRC_TIMER, SRC_USER, SRC_FD, SRC_ALERT, SRC_MQ, SRC_FILE };
#define SYS_NOPORT 0x100u
#define OP_MASK 0xffu
#define ALERT_SET 1u
#define ALERT_UPDATE 2u
#define MAX_QUEUED 65536u
#define MAX_LIST 8192u
#define F_ACCESS 1u
#define F_MODIFIED 2u
#define F_ATTRIB 4u
#define F_DELETE 0x10u
#define F_RENAME_TO 0x20u
#define F_RENAME_FROM 0x40u
#define F_TRUNC 0x100000u
#define F_NOFOLLOW 0x10000000u
#define F_UNMOUNTED 0x20000000u

struct assoc {
    u64 key;                       /* object: descriptor, or address of the file_obj */
    UT_hash_handle hh;
    struct file *file;             /* FD: borrowed, only compared. FILE: the inotify instance, counted */
    u32 gen, events;
    u64 user;
    bool active;
};
struct queued { TAILQ_ENTRY(queued) link; struct sol_port_event ev; const void *timer; };   /* timer: only compared */

struct port {
    lock_t lock;                   /* LC_EPOLL, outside the set's own; guards: */
    struct assoc *fds, *files;
    u32 next_gen;
    TAILQ_HEAD(queue, queued) queue; unsigned nqueued;
    bool alert; struct sol_port_event alert_ev;
    struct file *set, *bell;       /* (c) counted: epoll set, eventfd that rings while the queue or the alert holds something */
};

#define KEY_BELL (1ULL << 63)
#define KEY_FILE (1ULL << 62)

static void bell_ring(struct port *p)
{
    u64 one = 1;
    struct uio u;

    uio_init_kernel(&u, &one, sizeof(one));
    (void)!p->bell->ops->write(p->bell, &u, NULL, IOF_NONBLOCK);
    uio_fini(&u);
}

static void bell_still(struct port *p)
{
    u64 n;
    struct uio u;

    uio_init_kernel(&u, &n, sizeof(n));
    (void)!p->bell->ops->read(p->bell, &u, NULL, IOF_NONBLOCK);
    uio_fini(&u);
}

static int enqueue_locked(struct port *p, const struct sol_port_event *ev)
{
    if (p->nqueued >= MAX_QUEUED) return -EAGAIN;
    struct queued *q = xnew(struct queued);
    q->ev = *ev;
    TAILQ_INSERT_TAIL(&p->queue, q, link);
    p->nqueued++;
    bell_ring(p);
    return 0;
}

static void file_assoc_free(struct port *p, struct assoc *s)
{
    HASH_DEL(p->files, s);
    file_put(s->file);
    free(s);
}

static void port_release(struct file *f)
{
    struct port *p = f->priv;
    struct assoc *s, *tmp;
    struct queued *q;

    HASH_ITER(hh, p->fds, s, tmp) {
        HASH_DEL(p->fds, s);
        free(s);
    }
    HASH_ITER(hh, p->files, s, tmp) file_assoc_free(p, s);
    while ((q = TAILQ_FIRST(&p->queue))) {
        TAILQ_REMOVE(&p->queue, q, link);
        free(q);
    }
    file_put(p->set);
    file_put(p->bell);
    lock_fini(&p->lock);
    free(p);
}

static u32 port_poll(struct file *f, struct waiter *w)
{
    struct port *p = f->priv;
    return vfs_poll(p->set, w);
}

static const struct file_ops port_ops = { .name = "anon_inode:[port]", .poll = port_poll, .release = port_release };

static sysret_t port_create(void)
{
    struct port *p = xnew(struct port);
    struct kepoll_event ev = { EPOLLIN, KEY_BELL };
    struct file *f;
    int r;

    lock_init(&p->lock, LC_EPOLL);
    TAILQ_INIT(&p->queue);
    if ((r = epoll_create_file(0, &p->set))) goto fail;
    if ((r = eventfd_create(0, EFD_NONBLOCK, &p->bell))) goto fail_set;
    if ((r = epoll_ctl_file(p->set, EPOLL_CTL_ADD, -1, p->bell, &ev))) goto fail_bell;
    f = file_new_anon(&port_ops, O_RDWR, p);
    if (!f) {
        r = -ENOMEM;
        goto fail_bell;
    }
    if ((r = fd_install(f, true)) < 0) file_put(f);   /* the release op frees the rest */
    return r;
fail_bell:
    file_put(p->bell);
fail_set:
    file_put(p->set);
fail:
    lock_fini(&p->lock);
    free(p);
    return r;
}

/* --- associations --- */

static sysret_t associate_fd(struct port *p, u64 object, u32 events, u64 user)
{
    int fd = (int)object, r;
    u64 key = (u32)fd;
    struct assoc *s;

    if (events & ~0x71ffu) return -EINVAL;
    AUTO_FILE f = fd_get(fd);
    if (!f) return -EBADFD;
    if (f->ops == &port_ops && f->priv == p) return -EINVAL;
    lock(&p->lock);
    HASH_FIND(hh, p->fds, &key, sizeof(key), s);
    if (!s) {
        s = xnew(struct assoc);
        s->key = key;
        HASH_ADD(hh, p->fds, key, sizeof(key), s);
    }
    s->file = f;
    s->gen = ++p->next_gen & 0x3fffffff;
    s->events = events;
    s->user = user;
    s->active = true;
    struct kepoll_event ev = { sol_poll_in(events) | EPOLLONESHOT, (u64)s->gen << 32 | (u32)fd };
    r = epoll_ctl_file(p->set, EPOLL_CTL_MOD, fd, f, &ev);
    if (r == -ENOENT) r = epoll_ctl_file(p->set, EPOLL_CTL_ADD, fd, f, &ev);
    if (r == -EPERM) {
        /* A file that is always ready. */
        struct sol_port_event e = { .events = (s32)(events & 5), .source = SRC_FD, .object = (u32)fd, .user = user };
        s->active = false;
        r = e.events ? enqueue_locked(p, &e) : 0;
    } else if (r) {
        s->active = false;
    }
    unlock(&p->lock);
    return r;
}

static sysret_t dissociate_fd(struct port *p, u64 object)
{
    int fd = (int)object;
    u64 key = (u32)fd;
    struct assoc *s;
    sysret_t r = -ENOENT;

    struct file *f = fd_get(fd);
    lock(&p->lock);
    HASH_FIND(hh, p->fds, &key, sizeof(key), s);
    if (s) {
        if (s->active && s->file == f) r = 0;
        HASH_DEL(p->fds, s);
        free(s);
        if (f) (void)epoll_ctl_file(p->set, EPOLL_CTL_DEL, fd, f, NULL);
    }
    unlock(&p->lock);
    if (!f) return -EBADFD;
    file_put(f);
    return r;
}

static bool same_time(const struct sol_timespec *a, const struct timespec *b) { return a->sec == b->tv_sec && a->nsec == b->tv_nsec; }

static sysret_t associate_file(struct port *p, u64 object, u32 events, u64 user)
{
    struct sol_file_obj o;
    AUTO_PATH at = { 0 };
    struct file *watch = NULL;
    struct kstat st;
    struct assoc *s;
    u32 now = 0, mask = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
    int r;

    if (events & ~(F_ACCESS | F_MODIFIED | F_ATTRIB | F_TRUNC | F_NOFOLLOW)) return -EINVAL;
    if (copy_in(&o, object, sizeof(o))) return -EFAULT;
    PATH_ARG(path, o.name);
    if ((r = vfs_walk(AT_FDCWD, path, events & F_NOFOLLOW ? 0 : WALK_FOLLOW, &at)) || (r = vfs_stat_path(&at, &st))) return r;
    if (events & F_ACCESS) mask |= IN_ACCESS;
    if (events & (F_MODIFIED | F_TRUNC)) mask |= IN_MODIFY | (S_ISDIR(st.mode) ? IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO : 0);
    if ((r = inotify_create(IN_NONBLOCK, &watch)) || (r = inotify_add(watch, at.dentry->inode, mask)) < 0) {
        if (watch) file_put(watch);
        return r;
    }
    /* What has changed since the caller looked is an event at once. */
    if ((events & F_ACCESS) && !same_time(&o.atime, &st.atime)) now |= F_ACCESS;
    if ((events & F_MODIFIED) && !same_time(&o.mtime, &st.mtime)) now |= F_MODIFIED;
    if ((events & F_ATTRIB) && !same_time(&o.ctime, &st.ctime)) now |= F_ATTRIB;
    lock(&p->lock);
    HASH_FIND(hh, p->files, &object, sizeof(object), s);
    if (s) file_assoc_free(p, s);
    s = xnew(struct assoc);
    *s = (struct assoc){ .key = object, .file = watch, .gen = ++p->next_gen & 0x3fffffff, .events = events, .user = user, .active = !now };
    HASH_ADD(hh, p->files, key, sizeof(s->key), s);
    if (now) {
        struct sol_port_event e = { .events = (s32)now, .source = SRC_FILE, .object = object, .user = user };
        r = enqueue_locked(p, &e);
        file_assoc_free(p, s);
    } else {
        struct kepoll_event ev = { EPOLLIN, KEY_FILE | s->gen };
        r = epoll_ctl_file(p->set, EPOLL_CTL_ADD, -2, watch, &ev);
    }
    unlock(&p->lock);
    return r < 0 ? r : 0;
}

static sysret_t dissociate_file(struct port *p, u64 object)
{
    struct assoc *s;

    lock(&p->lock);
    HASH_FIND(hh, p->files, &object, sizeof(object), s);
    if (s) file_assoc_free(p, s);
    unlock(&p->lock);
    return s ? 0 : -ENOENT;
}

/* --- events --- */

/* What an inotify instance has to say, in FILE_* bits. */
static u32 file_events(struct assoc *s)
{
    u8 buf[1024];
    struct uio u;
    u32 out = 0;

    uio_init_kernel(&u, buf, sizeof(buf));
    ssize_t n = s->file->ops->read(s->file, &u, NULL, IOF_NONBLOCK);
    uio_fini(&u);
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
        struct inotify_event e;
        memcpy(&e, buf + at, sizeof(e));
        at += (ssize_t)(sizeof(e) + e.len);
        if (e.mask & IN_ACCESS) out |= F_ACCESS;
        if (e.mask & (IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) out |= F_MODIFIED;
        if (e.mask & IN_ATTRIB) out |= F_ATTRIB;
        if (e.mask & IN_DELETE_SELF) out |= F_DELETE;
        if (e.mask & IN_MOVE_SELF) out |= F_RENAME_FROM;
        if (e.mask & IN_UNMOUNT) out |= F_UNMOUNTED;
    }
    return out & (s->events | F_DELETE | F_RENAME_FROM | F_RENAME_TO | F_UNMOUNTED);
}

static bool take_fd_event(struct port *p, const struct kepoll_event *k, struct sol_port_event *out)
{
    u64 key = (u32)k->data;
    struct assoc *s;
    bool ok;

    HASH_FIND(hh, p->fds, &key, sizeof(key), s);
    if (!s || !s->active || s->gen != (u32)(k->data >> 32)) return false;
    struct file *f = fd_get((int)key);
    ok = f == s->file;      /* else the number was closed, and means another file now or none */
    if (f) file_put(f);
    s->active = false;
    if (!ok) {
        HASH_DEL(p->fds, s);
        free(s);
        return false;
    }
    *out = (struct sol_port_event){ .events = (s32)(sol_poll_out(k->events) & (s->events | 0x38)), .source = SRC_FD, .object = key, .user = s->user };
    return out->events != 0;
}

static bool take_file_event(struct port *p, u32 gen, struct sol_port_event *out)
{
    struct assoc *s, *tmp;

    HASH_ITER(hh, p->files, s, tmp) {
        if (s->gen != gen) continue;
        u32 e = file_events(s);
        if (!e) return false;
        *out = (struct sol_port_event){ .events = (s32)e, .source = SRC_FILE, .object = s->key, .user = s->user };
        file_assoc_free(p, s);
        return true;
    }
    return false;
}

/* Events that came, at most max. A port in alert mode has nothing but its alert. *again: some came to nothing. */
static unsigned take(struct port *p, const struct kepoll_event *k, unsigned n, struct sol_port_event *out, unsigned max, bool *alert)
{
    unsigned got = 0;

    lock(&p->lock);
    for (unsigned i = 0; i < n && got < max; i++) {
        if (k[i].data & KEY_BELL) continue;
        if (k[i].data & KEY_FILE) got += take_file_event(p, (u32)k[i].data, out + got);
        else got += take_fd_event(p, k + i, out + got);
    }
    *alert = p->alert;
    if (p->alert) {
        /* What was taken stays for later. */
        for (unsigned i = 0; i < got; i++) (void)enqueue_locked(p, out + i);
        out[0] = p->alert_ev;
        got = 1;
    } else {
        struct queued *q;
        while (got < max && (q = TAILQ_FIRST(&p->queue))) {
            TAILQ_REMOVE(&p->queue, q, link);
            p->nqueued--;
            out[got++] = q->ev;
            free(q);
        }
        if (TAILQ_EMPTY(&p->queue)) bell_still(p);
    }
    unlock(&p->lock);
    return got;
}

/* Until there are `want` events or the deadline passes. Number; *err: 0, -ETIME, -ERESTARTSYS. */
static unsigned get_events(struct port *p, struct sol_port_event *out, unsigned max, unsigned want, ktime_t deadline, sysret_t *err)
{
    struct kepoll_event k[64];
    unsigned got = 0;
    bool alert = false;

    *err = 0;
    for (;;) {
        sysret_t n = epoll_wait_file(p->set, k, MIN(max - got, (unsigned)ARRAY_LEN(k)), got >= want ? 0 : deadline);
        if (n > 0) got += take(p, k, (unsigned)n, out + got, max - got, &alert);
        if (alert) {
            if (got > 1) out[0] = out[got - 1], got = 1;
            return got;
        }
        if (got >= max || (got >= want && n <= 0)) return got;
        if (n < 0 || (n == 0 && got < want)) {
            *err = n < 0 ? n : -ETIME;
            return got;
        }
        if (deadline == 0 && n == 0) {
            *err = -ETIME;
            return got;
        }
    }
}

static int timeout_in(gaddr_t ts, ktime_t *deadline)
{
    ktime_t rel;
    int r;

    *deadline = KTIME_NEVER;
    if (!ts) return 0;
    if ((r = sol_copy_in_ktime(&rel, ts))) return r;
    *deadline = rel ? ktime_add_sat(clock_mono(), rel) : 0;
    return 0;
}

/* Value: count, with the errno in the upper half when fewer than wanted came in time. */
static sysret_t port_getn(struct port *p, gaddr_t list, u32 max, u32 nget, gaddr_t ts)
{
    ktime_t deadline;
    sysret_t err;
    int r = timeout_in(ts, &deadline);

    if (r) return r;
    if (!max) {
        lock(&p->lock);
        unsigned n = p->nqueued;
        unlock(&p->lock);
        return n;
    }
    if (max > MAX_LIST) max = MAX_LIST;
    if (nget > max) return -EINVAL;
    AUTO_FREE struct sol_port_event *out = try_zalloc(max, sizeof(*out));
    if (!out) return -ENOMEM;
    unsigned got = get_events(p, out, max, nget, nget ? deadline : 0, &err);
    if (got && copy_out(list, out, got * sizeof(*out))) return -EFAULT;
    if (err == -ERESTARTSYS && !got) return -EINTR;
    /* A timeout of zero asks what is there: that is no failure (Go's netpoll relies on it). */
    if (err == -ETIME && nget && deadline) return (sysret_t)((u64)62 << 32 | got);
    if (err == -ERESTARTSYS) return (sysret_t)((u64)4 << 32 | got);
    return got;
}

/* port_get(port, event, sec, nsec, timespec *): the last only says whether there is a timeout */
static sysret_t port_get(struct port *p, gaddr_t list, u64 sec, u64 nsec, gaddr_t ts)
{
    struct sol_port_event ev;
    ktime_t deadline = KTIME_NEVER;
    sysret_t err;

    if (ts) {
        if ((s64)sec < 0 || nsec >= (u64)NSEC_PER_SEC) return -EINVAL;
        ktime_t rel = sec > (u64)INT32_MAX ? KTIME_NEVER : (ktime_t)(sec * (u64)NSEC_PER_SEC + nsec);
        deadline = rel ? ktime_add_sat(clock_mono(), rel) : 0;
    }
    if (!get_events(p, &ev, 1, 1, deadline, &err)) return err == -ERESTARTSYS ? -EINTR : err;
    return copy_out(list, &ev, sizeof(ev));
}

static sysret_t port_dispatch(struct port *p, u16 source, u32 events, u64 object, u64 user)
{
    struct sol_port_event ev = { .events = (s32)events, .source = source, .object = object, .user = user };

    lock(&p->lock);
    int r = enqueue_locked(p, &ev);
    unlock(&p->lock);
    return r;
}

static sysret_t port_send(struct port *p, u32 events, u64 user, u64 object) { return port_dispatch(p, SRC_USER, events, object, user); }

/* --- timers --- */

struct port_timer { struct file *port; u64 user; };      /* port: counted, so a closed port lives as long as its timers */

/* An event that still waits takes up the expirations that come meanwhile. */
static void timer_call(void *arg, s32 id, u64 n)
{
    struct port_timer *t = arg;
    struct port *p = t->port->priv;
    struct sol_port_event ev = { .events = (s32)MIN(n, (u64)INT32_MAX), .source = SRC_TIMER, .object = (u64)id, .user = t->user };
    struct queued *q;

    lock(&p->lock);
    TAILQ_FOREACH(q, &p->queue, link)
        if (q->ev.source == SRC_TIMER && q->timer == t) break;
    if (q) {
        q->ev.events = (s32)MIN((s64)q->ev.events + ev.events, (s64)INT32_MAX);
    } else if (!enqueue_locked(p, &ev)) {
        TAILQ_LAST(&p->queue, queue)->timer = t;
    }
    unlock(&p->lock);
}

/* Events that came stay, as of a timer that is no more. */
static void timer_release(void *arg)
{
    struct port_timer *t = arg;
    struct port *p = t->port->priv;
    struct queued *q;

    lock(&p->lock);
    TAILQ_FOREACH(q, &p->queue, link)
        if (q->timer == t) q->timer = NULL;
    unlock(&p->lock);
    file_put(t->port);
    free(t);
}

int sol_port_timer(struct ptimer_spec *s, int port, u64 user)
{
    struct file *f = fd_get(port);

    if (!f) return -EBADF;
    if (f->ops != &port_ops) {
        file_put(f);
        return -EBADFD;
    }
    struct port_timer *t = xnew(struct port_timer);
    *t = (struct port_timer){ f, user };
    s->call = timer_call;
    s->release = timer_release;
    s->arg = t;
    return 0;
}

static sysret_t port_alert(struct port *p, u32 flags, u32 events, u64 user)
{
    sysret_t r = 0;

    if (flags & ~(ALERT_SET | ALERT_UPDATE)) return -EINVAL;
    if (flags == (ALERT_SET | ALERT_UPDATE)) return -EINVAL;
    lock(&p->lock);
    if (!events) {
        p->alert = false;
        if (TAILQ_EMPTY(&p->queue)) bell_still(p);
    } else if (p->alert && (flags & ALERT_SET)) {
        r = -EBUSY;
    } else {
        p->alert = true;
        p->alert_ev = (struct sol_port_event){ .events = (s32)events, .source = SRC_ALERT, .user = user };
        bell_ring(p);
    }
    unlock(&p->lock);
    return r;
}

/* sendn(ports, errors, n, events, user): value number of successes, and 1 beside it when some failed */
static sysret_t port_sendn(gaddr_t ports, gaddr_t errors, u32 n, u32 events, u64 user)
{
    u32 ok = 0;

    if (!n || n > MAX_LIST) return -EINVAL;
    for (u32 i = 0; i < n; i++) {
        s32 fd, err = 0;
        if (copy_in(&fd, ports + i * 4ULL, sizeof(fd))) return -EFAULT;
        AUTO_FILE f = fd_get(fd);
        if (!f) err = 9;
        else if (f->ops != &port_ops) err = 81;   /* EBADFD */
        else if (port_send(f->priv, events, user, (u64)fd)) err = 11;
        if (!err) ok++;
        if (copy_out(errors + i * 4ULL, &err, sizeof(err))) return -EFAULT;
    }
    return (sysret_t)((ok < n ? 1ULL << 32 : 0) | ok);
}

/* port(op, port, a1..a4) */
sysret_t solaris_port(const struct syscall_args *a)
{
    u32 op = ARG_U32(0) & OP_MASK;
    struct port *p;

    if ((a->a[0] & SYS_NOPORT) && op == OP_CREATE) return port_create();
    if ((a->a[0] & SYS_NOPORT) && op == OP_SENDN) return port_sendn(a->a[1], a->a[2], ARG_U32(3), ARG_U32(4), a->a[5]);
    FILE_ARG(f, a->a[1]);
    if (f->ops != &port_ops) return -EBADFD;
    p = f->priv;
    switch (op) {
    case OP_ASSOCIATE:
        if (ARG_INT(2) == SRC_FD) return associate_fd(p, a->a[3], ARG_U32(4), a->a[5]);
        if (ARG_INT(2) == SRC_FILE) return associate_file(p, a->a[3], ARG_U32(4), a->a[5]);
        return -EINVAL;
    case OP_DISSOCIATE:
        if (ARG_INT(2) == SRC_FD) return dissociate_fd(p, a->a[3]);
        if (ARG_INT(2) == SRC_FILE) return dissociate_file(p, a->a[3]);
        return -EINVAL;
    case OP_SEND: return port_send(p, ARG_U32(2), a->a[3], (u64)ARG_INT(1));
    case OP_GET: return port_get(p, a->a[2], a->a[3], a->a[4], a->a[5]);
    case OP_GETN: return port_getn(p, a->a[2], ARG_U32(3), ARG_U32(4), a->a[5]);
    case OP_DISPATCH:                    /* events that libc makes for its own sources */
        if (ARG_INT(2) != SRC_AIO && ARG_INT(2) != SRC_MQ) return -EINVAL;
        return port_dispatch(p, (u16)ARG_INT(2), ARG_U32(3), a->a[4], a->a[5]);
    case OP_ALERT: return port_alert(p, ARG_U32(2), ARG_U32(3), a->a[4]);
    default: return -EINVAL;
    }
}
