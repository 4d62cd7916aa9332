/* pidfd_open(2): a process as a descriptor; readable once the process is a zombie. Source: pidfd_open(2). */
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"

static bool is_zombie(struct tgroup *tg)
{
    lock(&kernel.tasklist);
    bool z = tg->zombie || tg->reaped;
    unlock(&kernel.tasklist);
    return z;
}

static u32 pidfd_poll(struct file *f, struct waiter *w)
{
    struct tgroup *tg = f->priv;

    if (w) waitq_add(&tg->exit_wait, w);
    return is_zombie(tg) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f) { tgroup_put(f->priv); }

static void pidfd_fdinfo(struct file *f, struct strbuf *out)
{
    struct tgroup *tg = f->priv;

    lock(&kernel.tasklist);
    s32 pid = tg->reaped ? -1 : pid_out(tg->tgid);
    unlock(&kernel.tasklist);
    strbuf_printf(out, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
    .name = "anon_inode:[pidfd]", .poll = pidfd_poll, .release = pidfd_release, .show_fdinfo = pidfd_fdinfo,
};

int pidfd_create_file(struct tgroup *tg, u32 flags, struct file **out)
{
    tgroup_get(tg);
    *out = file_new_anon(&pidfd_ops, O_RDWR | (flags & O_NONBLOCK), tg);
    return 0;
}

struct tgroup *pidfd_tgroup(struct file *f) { return f->ops == &pidfd_ops ? f->priv : NULL; }
