/*
 * signalfd(2): takes pending signals of whoever reads, as records. What a record looks like is the ABI's business.
 * Source: signalfd(2).
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include <string.h>
#include <sys/signalfd.h>

struct signalfd {
    lock_t lock;                   /* LC_PIPE; guards: */
    ksigset_t mask;
};

void (*signalfd_encode)(const struct ksiginfo *info, void *record);

static void get_mask(struct signalfd *s, ksigset_t *mask)
{
    lock(&s->lock);
    *mask = s->mask;
    unlock(&s->lock);
}

static bool any_pending(const ksigset_t *mask)
{
    struct task *t = current;
    bool r = false;

    lock(&t->tg->sighand->lock);
    for (int i = 0; i < 2; i++) r |= ((t->pending.set.w[i] | t->tg->shared_pending.set.w[i]) & mask->w[i]) != 0;
    unlock(&t->tg->sighand->lock);
    return r;
}

static ssize_t signalfd_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct signalfd *s = f->priv;
    struct waiter w;
    ssize_t done = 0;
    int r = 0;

    if (u->resid < SIGNALFD_RECORD) return -EINVAL;
    waiter_init_current(&w, POLLIN);
    for (bool hung = false; u->resid >= SIGNALFD_RECORD;) {
        struct ksiginfo info;
        ksigset_t mask;
        u8 rec[SIGNALFD_RECORD];

        get_mask(s, &mask);
        if (signal_take(&mask, &info)) {
            memset(rec, 0, sizeof rec);
            signalfd_encode(&info, rec);
            ssize_t n = uio_copy_out(u, rec, sizeof rec);
            if (n < (ssize_t)sizeof rec) {
                r = -EFAULT;
                break;
            }
            done += n;
            continue;
        }
        if (done) break;
        if (file_nonblock(f, flags)) {
            r = -EAGAIN;
            break;
        }
        if (!hung) {
            waitq_add(&current->tg->sighand->signalfd_wait, &w);
            hung = true;
            continue;
        }
        r = task_sleep(KTIME_NEVER);
        if (r) break;
    }
    waitq_del(&w);
    return done ? done : r;
}

static u32 signalfd_poll(struct file *f, struct waiter *w)
{
    struct signalfd *s = f->priv;
    ksigset_t mask;

    /* The queue of whoever polls, as in Linux: an epoll set shared over fork sees the signals of the one who added. */
    if (w) waitq_add(&current->tg->sighand->signalfd_wait, w);
    get_mask(s, &mask);
    return any_pending(&mask) ? POLLIN : 0;
}

static void signalfd_release(struct file *f)
{
    struct signalfd *s = f->priv;
    lock_fini(&s->lock);
    free(s);
}

static void signalfd_fdinfo(struct file *f, struct strbuf *out)
{
    struct signalfd *s = f->priv;
    ksigset_t m;

    get_mask(s, &m);
    strbuf_printf(out, "sigmask:\t%016llx\n", (unsigned long long)m.w[0]);
}

static const struct file_ops signalfd_ops = {
    .name = "anon_inode:[signalfd]", .read = signalfd_read, .poll = signalfd_poll, .release = signalfd_release,
    .show_fdinfo = signalfd_fdinfo,
};

int signalfd_create(struct file *existing, const ksigset_t *mask, u32 flags, struct file **out)
{
    ksigset_t m = *mask;

    ksigset_del(&m, SIGKILL);
    ksigset_del(&m, SIGSTOP);
    if (existing) {
        if (existing->ops != &signalfd_ops) return -EINVAL;
        struct signalfd *s = existing->priv;
        lock(&s->lock);
        s->mask = m;
        unlock(&s->lock);
        waitq_wake_all(&current->tg->sighand->signalfd_wait, POLLIN);
        if (out) *out = existing;
        return 0;
    }
    struct signalfd *s = xnew(struct signalfd);
    lock_init(&s->lock, LC_PIPE);
    s->mask = m;
    *out = file_new_anon(&signalfd_ops, O_RDWR | (flags & SFD_NONBLOCK), s);
    return 0;
}
