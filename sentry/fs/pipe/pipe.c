/* Pipes. Buffers, blocking and the wake-ups are as in the header and in pipe(7); opening FIFOs is in fifo.c. */
#include "sentry/fs/pipe/pipe.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user.h"
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ioctl.h>

static bool is_empty(const struct pipe *p) { return p->head == p->tail; }
static bool is_full(const struct pipe *p) { return p->head - p->tail >= p->slots; }
static struct pipe_buf *buf_at(struct pipe *p, u32 i) { return &p->ring[i & (p->slots - 1)]; }

static bool beyond(u64 pages, u64 limit) { return limit && pages > limit; }
static bool bound_by_limits(void) { return !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN); }

struct pipe *pipe_new(void)
{
    u32 uid = current->cred->uid, slots = PIPE_DEF_SLOTS, max = kernel_limit(pipe_max_size) / (u32)GPAGE_SIZE;

    if (slots > max && !capable(CAP_SYS_RESOURCE)) slots = max;
    u64 pages = user_add(uid, USER_PIPE_PAGES, slots);
    if (beyond(pages, kernel_limit(pipe_user_pages_soft)) && bound_by_limits()) {
        pages = user_add(uid, USER_PIPE_PAGES, (s64)PIPE_MIN_SLOTS - slots);
        slots = PIPE_MIN_SLOTS;
    }
    if (beyond(pages, kernel_limit(pipe_user_pages_hard)) && bound_by_limits()) {
        (void)user_add(uid, USER_PIPE_PAGES, -(s64)slots);
        return NULL;
    }
    struct pipe *p = xnew(struct pipe);

    lock_init(&p->lock, LC_PIPE);
    waitq_init(&p->wq);
    waitq_init(&p->open_wq);
    p->uid = uid;
    p->slots = slots;
    p->ring = xzalloc(p->slots * sizeof *p->ring);
    p->r_counter = p->w_counter = 1;
    return p;
}

void pipe_free(struct pipe *p)
{
    (void)user_add(p->uid, USER_PIPE_PAGES, -(s64)p->slots);
    for (; !is_empty(p); p->tail++) free(buf_at(p, p->tail)->page);
    free(p->spare);
    free(p->ring);
    waitq_fini(&p->wq);
    waitq_fini(&p->open_wq);
    lock_fini(&p->lock);
    free(p);
}

static u8 *page_get(struct pipe *p)
{
    u8 *page = p->spare;

    p->spare = NULL;
    return page ? page : malloc(GPAGE_SIZE);
}

static void page_put(struct pipe *p, u8 *page)
{
    if (p->spare)
        free(page);
    else
        p->spare = page;
}

bool file_is_pipe(const struct file *f) { return f->ops == &pipe_ops || f->ops == &fifo_ops; }
struct pipe *file_pipe(const struct file *f) { return file_is_pipe(f) ? f->priv : NULL; }

static void drop_tail(struct pipe *p)
{
    page_put(p, buf_at(p, p->tail)->page);
    p->tail++;
}

/*
 * A reader that waits without having read anything may park: its waiter stays on the queue, and the read begins anew, with
 * that on it, when it was woken.
 */
static ssize_t pipe_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct pipe *p = f->priv;
    struct waiter own, *w = &own;
    ssize_t done = 0;
    bool hung = current && current->park.w.q == &p->wq, was_full = false, wake_next = false;
    int slept = 0;

    if (!u->resid) return 0;
    if (hung) {
        w = &current->park.w;
        slept = current->park.slept;
    } else {
        waiter_init_current(w, POLLIN);
        w->exclusive = true;
    }
    lock(&p->lock);
    for (;;) {
        if (!is_empty(p)) {
            struct pipe_buf *b = buf_at(p, p->tail);
            size_t n = MIN((u64)b->len, u->resid);
            ssize_t r = uio_copy_out(u, b->page + b->off, n);
            if (r > 0) {
                done += r;
                b->off += (u32)r;
                b->len -= (u32)r;
            }
            if (r < (ssize_t)n) {
                if (!done) done = -EFAULT;
                break;
            }
            bool packet = b->packet;
            if (packet || !b->len) {
                was_full |= is_full(p);
                drop_tail(p);
            }
            if (packet || !u->resid) break;
            continue;
        }
        if (done || !p->writers) break;
        if (file_nonblock(f, flags)) {
            done = -EAGAIN;
            break;
        }
        if (slept) {
            done = slept;
            break;
        }
        if (!hung) {
            if (task_may_park()) {
                w = &current->park.w;
                *w = own;
            }
            waitq_add(&p->wq, w);
            hung = true;
        }
        if (w != &own) {
            unlock(&p->lock);
            return -EPARKED;
        }
        unlock(&p->lock);
        if (was_full) waitq_wake(&p->wq, POLLOUT | POLLWRNORM);
        was_full = false;
        slept = task_sleep(KTIME_NEVER);
        lock(&p->lock);
    }
    wake_next = hung && !is_empty(p);
    unlock(&p->lock);
    waitq_del(w);
    if (was_full) waitq_wake(&p->wq, POLLOUT | POLLWRNORM);
    if (wake_next) waitq_wake(&p->wq, POLLIN | POLLRDNORM);
    return done;
}

static ssize_t broken(void)
{
    struct ksiginfo info;

    ksiginfo_user(&info, SIGPIPE, SI_USER);
    (void)signal_send_task(current, &info);
    return -EPIPE;
}

/* Puts up to one buffer's worth in. Bytes, -EFAULT or -ENOMEM. */
static ssize_t fill_one(struct pipe *p, struct uio *u, bool packet)
{
    u8 *page = page_get(p);
    size_t n = MIN(GPAGE_SIZE, u->resid);

    if (!page) return -ENOMEM;
    ssize_t r = uio_copy_in(u, page, n);
    if (r <= 0) {
        page_put(p, page);
        return r < 0 ? r : -EFAULT;
    }
    *buf_at(p, p->head) = (struct pipe_buf){ .page = page, .len = (u32)r, .packet = packet };
    p->head++;
    return r;
}

static ssize_t pipe_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct pipe *p = f->priv;
    struct waiter w;
    bool packet = atomic_load(&f->flags) & O_DIRECT, hung = false, gone = false, wake_next;
    ssize_t done = 0, r;

    if (!u->resid) return 0;
    waiter_init_current(&w, POLLOUT);
    w.exclusive = true;
    lock(&p->lock);
    if (!p->readers) {
        unlock(&p->lock);
        return broken();
    }
    bool was_empty = is_empty(p), put = false;
    /* The odd bytes join the last buffer if they fit there whole; the rest goes in whole pages. */
    size_t odd = u->resid & (GPAGE_SIZE - 1);
    if (odd && !was_empty && !packet) {
        struct pipe_buf *b = buf_at(p, p->head - 1);
        if (!b->packet && b->off + b->len + odd <= GPAGE_SIZE) {
            r = uio_copy_in(u, b->page + b->off + b->len, odd);
            if (r < (ssize_t)odd) {
                if (r > 0) b->len += (u32)r;
                done = r > 0 ? r : -EFAULT;
                goto out;
            }
            b->len += (u32)r;
            done = r;
            put = true;
        }
    }
    while (u->resid) {
        if (!p->readers) {
            gone = true;
            break;
        }
        if (!is_full(p)) {
            size_t want = MIN(GPAGE_SIZE, u->resid);
            r = fill_one(p, u, packet);
            if (r < 0) {
                if (!done) done = r;
                break;
            }
            done += r;
            put = true;
            if (r < (ssize_t)want) break;
            continue;
        }
        if (file_nonblock(f, flags)) {
            if (!done) done = -EAGAIN;
            break;
        }
        if (!hung) {
            waitq_add(&p->wq, &w);
            hung = true;
            continue;
        }
        unlock(&p->lock);
        if (put && (was_empty || p->polled)) waitq_wake(&p->wq, POLLIN | POLLRDNORM);
        put = false;
        int s = task_sleep(KTIME_NEVER);
        lock(&p->lock);
        was_empty = is_empty(p);
        if (s && is_full(p)) {
            if (!done) done = s;
            break;
        }
    }
out:
    wake_next = hung && !is_full(p);
    put = put && (was_empty || p->polled);
    unlock(&p->lock);
    waitq_del(&w);
    if (put) {
        task_wakes_lazily(!wake_next && !gone);
        waitq_wake(&p->wq, POLLIN | POLLRDNORM);
        task_wakes_lazily(false);
    }
    if (wake_next) waitq_wake(&p->wq, POLLOUT | POLLWRNORM);
    /* The signal comes also where a part was written. */
    r = gone ? broken() : 0;
    return gone && !done ? r : done;
}

static u32 pipe_poll(struct file *f, struct waiter *w)
{
    struct pipe *p = f->priv;
    u32 m = 0;

    if (w) waitq_add(&p->wq, w);
    lock(&p->lock);
    p->polled = true;
    if (f->mode & FMODE_READ) {
        if (!is_empty(p)) m |= POLLIN | POLLRDNORM;
        if (!p->writers && f->version != p->w_counter) m |= POLLHUP;
    }
    if (f->mode & FMODE_WRITE) {
        if (!is_full(p)) m |= POLLOUT | POLLWRNORM;
        if (!p->readers) m |= POLLERR;
    }
    unlock(&p->lock);
    return m;
}

static size_t bytes_locked(struct pipe *p)
{
    size_t n = 0;

    for (u32 i = p->tail; i != p->head; i++) n += buf_at(p, i)->len;
    return n;
}

size_t pipe_bytes(struct file *f)
{
    struct pipe *p = f->priv;

    lock(&p->lock);
    size_t n = bytes_locked(p);
    unlock(&p->lock);
    return n;
}

size_t pipe_room(struct file *f)
{
    struct pipe *p = f->priv;

    lock(&p->lock);
    size_t n = is_full(p) ? 0 : (size_t)(p->slots - (p->head - p->tail)) * GPAGE_SIZE;
    unlock(&p->lock);
    return n;
}

static sysret_t pipe_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    if (cmd != FIONREAD) return -ENOTTY;
    s32 n = (s32)pipe_bytes(f);
    return copy_out(arg, &n, sizeof n);
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->priv;
    struct inode *ino = f->inode;

    /* inode->lock: an open of the FIFO must not find a pipe that is about to go. */
    lock(&ino->lock);
    lock(&p->lock);
    if (f->mode & FMODE_READ) p->readers--;
    if (f->mode & FMODE_WRITE) p->writers--;
    bool last = --p->users == 0;
    if (last) ino->sock = NULL;
    /* Under the lock: once it is dropped another end's release may free the pipe. */
    if (!last && !p->readers != !p->writers) waitq_wake_all(&p->wq, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLERR | POLLHUP);
    unlock(&p->lock);
    unlock(&ino->lock);
    if (last) pipe_free(p);
}

const struct file_ops pipe_ops = {
    .read = pipe_read, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl, .release = pipe_release,
};
const struct file_ops fifo_ops = {
    .read = pipe_read, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl, .release = pipe_release,
};

sysret_t pipe_get_size(struct file *f)
{
    struct pipe *p = file_pipe(f);

    return p ? (sysret_t)(atomic_load(&p->slots) * GPAGE_SIZE) : -EBADF;
}

sysret_t pipe_set_size(struct file *f, u32 size)
{
    struct pipe *p = file_pipe(f);
    u32 slots = 1;

    if (!p) return -EBADF;
    if (size > PIPE_SIZE_CEILING) return -EINVAL;
    while (slots * GPAGE_SIZE < size) slots *= 2;
    if (slots * GPAGE_SIZE > kernel_limit(pipe_max_size) && slots > atomic_load(&p->slots) && !capable(CAP_SYS_RESOURCE)) return -EPERM;
    struct pipe_buf *ring = try_zalloc(slots, sizeof *ring);
    if (!ring) return -ENOMEM;
    lock(&p->lock);
    u32 used = p->head - p->tail;
    s64 change = (s64)slots - p->slots;
    u64 pages = user_add(p->uid, USER_PIPE_PAGES, change);
    bool full = beyond(pages, kernel_limit(pipe_user_pages_soft)) || beyond(pages, kernel_limit(pipe_user_pages_hard));
    sysret_t r = change > 0 && full && bound_by_limits() ? -EPERM : used > slots ? -EBUSY : 0;
    if (r) {
        (void)user_add(p->uid, USER_PIPE_PAGES, -change);
        unlock(&p->lock);
        free(ring);
        return r;
    }
    for (u32 i = 0; i < used; i++) ring[i] = *buf_at(p, p->tail + i);
    bool more = slots > p->slots;
    free(p->ring);
    p->ring = ring;
    p->slots = slots;
    p->tail = 0;
    p->head = used;
    unlock(&p->lock);
    if (more) waitq_wake(&p->wq, POLLOUT | POLLWRNORM);
    return (sysret_t)(slots * GPAGE_SIZE);
}

ssize_t pipe_read_kernel(struct file *f, void *buf, size_t n, u32 flags)
{
    struct uio u;

    if (!file_is_pipe(f) || !(f->mode & FMODE_READ)) return -EBADF;
    uio_init_kernel(&u, buf, n);
    return pipe_read(f, &u, NULL, flags);
}

ssize_t pipe_write_kernel(struct file *f, const void *buf, size_t n, u32 flags)
{
    struct uio u;

    if (!file_is_pipe(f) || !(f->mode & FMODE_WRITE)) return -EBADF;
    uio_init_kernel(&u, (void *)(uintptr_t)buf, n);
    return pipe_write(f, &u, NULL, flags);
}

ssize_t pipe_peek_kernel(struct file *f, void *buf, size_t n, u32 flags)
{
    struct pipe *p = file_pipe(f);
    struct waiter w;
    size_t done = 0;
    int r = 0;

    if (!p || !(f->mode & FMODE_READ)) return -EBADF;
    waiter_init_current(&w, POLLIN);
    for (bool hung = false;; hung = true) {
        lock(&p->lock);
        for (u32 i = p->tail; i != p->head && done < n; i++) {
            struct pipe_buf *b = buf_at(p, i);
            size_t k = MIN((size_t)b->len, n - done);
            memcpy((u8 *)buf + done, b->page + b->off, k);
            done += k;
        }
        bool eof = !p->writers;
        unlock(&p->lock);
        if (done || eof || r) break;
        if (file_nonblock(f, flags)) {
            r = -EAGAIN;
            break;
        }
        if (!hung)
            waitq_add(&p->wq, &w);
        else
            r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    return done ? (ssize_t)done : r;
}

void pipe_unread_kernel(struct file *f, const void *buf, size_t n)
{
    struct pipe *p = file_pipe(f);

    lock(&p->lock);
    while (n && !is_full(p)) {
        size_t k = MIN(n, (size_t)GPAGE_SIZE);
        u8 *page = page_get(p);
        if (!page) break;
        n -= k;
        memcpy(page, (const u8 *)buf + n, k);
        *buf_at(p, --p->tail) = (struct pipe_buf){ .page = page, .len = (u32)k };
    }
    unlock(&p->lock);
    waitq_wake(&p->wq, POLLIN | POLLRDNORM);
}

static void pipefs_free(struct super *sb UNUSED) {}
static int pipefs_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = sb->magic, .f_bsize = GPAGE_SIZE, .f_frsize = GPAGE_SIZE, .f_namelen = KNAME_MAX };
    return 0;
}
static const struct super_ops pipefs_ops = { .name = "pipefs", .statfs = pipefs_statfs, .free = pipefs_free };
static const struct inode_ops pipe_inode_ops = { .lookup = NULL };
static struct super pipefs;
static pthread_once_t pipefs_once = PTHREAD_ONCE_INIT;
static void pipefs_init(void) { super_init(&pipefs, &pipefs_ops, 0x50495045 /* PIPEFS_MAGIC */); }

int pipe_create(struct file *out[2], u32 flags)
{
    pthread_once(&pipefs_once, pipefs_init);
    struct pipe *p = pipe_new();
    if (!p) return -ENFILE;
    struct inode *ino = inode_new(&pipefs, &pipe_inode_ops, NULL, inode_next_ino(), S_IFIFO | 0600);

    ino->uid = current->cred->fsuid;
    ino->gid = current->cred->fsgid;
    ino->sock = p;
    p->readers = p->writers = 1;
    p->users = 2;
    out[0] = file_new(&pipe_ops, NULL, ino, O_RDONLY | (flags & O_NONBLOCK));
    out[1] = file_new(&pipe_ops, NULL, ino, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)));
    out[0]->priv = out[1]->priv = p;
    inode_put(ino);
    return 0;
}
