/* eventfd(2): a 64-bit counter one can wait for. Source: eventfd(2). */
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include <sys/eventfd.h>

/* Outlives its file while something still signals it. No lock: eventfd_signal is called below any. */
struct eventfd {
    refcount_t refs;
    bool semaphore;                /* (c) */
    u64 count;                     /* (a) */
    struct waitq wq;
};

/* Room for one more event means count < max; reads need count > 0. */
#define EVENTFD_MAX (UINT64_MAX - 1)

/* What a read gets: 0 if there is nothing. */
static u64 take(struct eventfd *e)
{
    u64 c = atomic_load(&e->count), v;

    do {
        if (!c) return 0;
        v = e->semaphore ? 1 : c;
    } while (!__atomic_compare_exchange_n(&e->count, &c, c - v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return v;
}

static bool add(struct eventfd *e, u64 v)
{
    u64 c = atomic_load(&e->count);

    do {
        if (c > EVENTFD_MAX || EVENTFD_MAX - c < v) return false;
    } while (!__atomic_compare_exchange_n(&e->count, &c, c + v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return true;
}

static ssize_t event_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct eventfd *e = f->priv;
    struct waiter w;
    int r = 0;
    u64 v = 0;

    if (u->resid < sizeof v) return -EINVAL;
    waiter_init_current(&w, POLLIN);
    w.exclusive = true;
    for (bool hung = false;; hung = true) {
        if ((v = take(e))) {
            r = 0;
            break;
        }
        if (file_nonblock(f, flags)) r = -EAGAIN;
        if (r) break;
        if (!hung)
            waitq_add(&e->wq, &w);
        else
            r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    if (r) {
        /* A wake meant for one reader may have come to this one, which leaves. */
        if (r != -EAGAIN && atomic_load(&e->count)) waitq_wake(&e->wq, POLLIN | POLLRDNORM);
        return r;
    }
    waitq_wake(&e->wq, POLLOUT | POLLWRNORM);
    /* More for another reader whose wake this one may have taken. */
    if (e->semaphore && atomic_load(&e->count)) waitq_wake(&e->wq, POLLIN | POLLRDNORM);
    return uio_copy_out(u, &v, sizeof v);
}

static ssize_t write_segment(struct file *f, struct uio *u, u32 flags)
{
    struct eventfd *e = f->priv;
    struct waiter w;
    u64 v;
    int r = 0;

    /* Since Linux 6.9 a longer one is refused too. */
    if (!u->nsegs || u->segs[0].len - u->seg_done != sizeof v) return -EINVAL;
    ssize_t n = uio_copy_in(u, &v, sizeof v);
    if (n != (ssize_t)sizeof v) return n < 0 ? n : -EFAULT;
    if (v == UINT64_MAX) return -EINVAL;
    waiter_init_current(&w, POLLOUT);
    for (bool hung = false;; hung = true) {
        if (add(e, v)) {
            r = 0;
            break;
        }
        if (file_nonblock(f, flags)) r = -EAGAIN;
        if (r) break;
        if (!hung)
            waitq_add(&e->wq, &w);
        else
            r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    if (r) return r;
    waitq_wake(&e->wq, POLLIN | POLLRDNORM);
    return sizeof v;
}

/* The file has no write_iter in Linux: writev(2) is one write for each segment. */
static ssize_t event_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    ssize_t done = 0, n;

    do {
        n = write_segment(f, u, flags);
        if (n < 0) return done ? done : n;
        done += n;
    } while (u->resid);
    return done;
}

static u32 eventfd_poll(struct file *f, struct waiter *w)
{
    struct eventfd *e = f->priv;

    if (w) waitq_add(&e->wq, w);
    u64 c = atomic_load(&e->count);
    return (c > 0 ? POLLIN | POLLRDNORM : 0) | (c == UINT64_MAX ? POLLERR : 0) | (c < EVENTFD_MAX ? POLLOUT | POLLWRNORM : 0);
}

void eventfd_put(struct eventfd *e)
{
    if (!ref_put(&e->refs)) return;
    waitq_fini(&e->wq);
    free(e);
}

static void eventfd_release(struct file *f) { eventfd_put(f->priv); }

static void eventfd_fdinfo(struct file *f, struct strbuf *out)
{
    struct eventfd *e = f->priv;
    strbuf_printf(out, "eventfd-count: %16llx\n", (unsigned long long)atomic_load(&e->count));
}

static const struct file_ops eventfd_ops = {
    .name = "anon_inode:[eventfd]", .no_splice = true, .read = event_read, .write = event_write, .poll = eventfd_poll,
    .release = eventfd_release, .show_fdinfo = eventfd_fdinfo,
};

int eventfd_create(u64 init, u32 flags, struct file **out)
{
    struct eventfd *e = xnew(struct eventfd);

    ref_init(&e->refs);
    waitq_init(&e->wq);
    e->count = init;
    e->semaphore = flags & EFD_SEMAPHORE;
    *out = file_new_anon(&eventfd_ops, O_RDWR | (flags & EFD_NONBLOCK), e);
    return 0;
}

struct eventfd *eventfd_get(struct file *f)
{
    if (f->ops != &eventfd_ops) return NULL;
    struct eventfd *e = f->priv;
    ref_get(&e->refs);
    return e;
}

void eventfd_signal(struct eventfd *e)
{
    u64 c = atomic_load(&e->count);

    while (c != UINT64_MAX && !__atomic_compare_exchange_n(&e->count, &c, c + 1, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
    waitq_wake(&e->wq, POLLIN | POLLRDNORM);
}
