/*
 * See fasync.h. A file with O_ASYNC has a waiter on its own queue that stays there. Signals take locks outside of a wait
 * queue's, so the waiter only notes the hit; waitq_wake sends what was noted once it has let go of the queue.
 */
#include "sentry/landlock/landlock.h"
#include "sentry/vfs/fasync.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include <fcntl.h>
#include <signal.h>

struct file_async {
    struct waiter w;
    struct file *f;
    int fd;                               /* (a) */
};

/* One wake that was noted, with the owner as it was then. */
struct hit {
    STAILQ_ENTRY(hit) link;
    struct file_owner owner;
    u32 uid, euid;
    struct ll_layer *landlock;            /* counted */
    int fd;
    u32 events;
};
STAILQ_HEAD(hit_list, hit);

static lock_t owner_lock = LOCK_INIT(LC_LEAF);   /* guards the owner_ fields of every file */
/* Guards f->async of every file, and keeps it alive until its waiter is on the file's queue. Outside of what poll takes. */
static lock_t async_lock = LOCK_INIT(LC_FASYNC);
static _Thread_local struct hit_list hits;

static void owner_snapshot(struct file *f, struct hit *h)
{
    lock(&owner_lock);
    h->owner = (struct file_owner){ f->owner_type, f->owner_pid, f->owner_sig };
    h->uid = f->owner_uid;
    h->euid = f->owner_euid;
    ll_layer_get(h->landlock = f->owner_landlock);
    unlock(&owner_lock);
}

/* The rule of sigio_perm(): as if the one who called F_SETOWN sent it. */
static bool may_signal(const struct hit *h, struct task *t)
{
    lock(&t->lock);
    u32 uid = t->cred->uid, suid = t->cred->suid;
    unlock(&t->lock);
    if (ll_signal(h->landlock, t)) return false;
    return !h->euid || h->euid == suid || h->euid == uid || h->uid == suid || h->uid == uid;
}

static void send_to(const struct hit *h, const struct ksiginfo *info)
{
    if (!h->owner.id) return;
    if (h->owner.type == F_OWNER_PGRP) {
        lock(&kernel.tasklist);
        struct pgrp *p = pgrp_lookup_locked(h->owner.id);
        struct tgroup *tg;
        if (p)
            TAILQ_FOREACH(tg, &p->members, pgrp_link)
                if (tg->leader && may_signal(h, tg->leader)) (void)signal_send_group_locked(tg, info);
        unlock(&kernel.tasklist);
        return;
    }
    struct task *t = task_lookup_get(h->owner.id);
    if (!t) return;
    if (may_signal(h, t)) {
        if (h->owner.type == F_OWNER_TID) (void)signal_send_task(t, info);
        else (void)signal_send_group(t->tg, info);
    }
    task_put(t);
}

static void send_io(const struct hit *h)
{
    /* The class that comes first here is the one that is told: a wake may be for several. */
    static const struct { u32 event; int code; s64 band; } bands[] = {
        { POLLIN, POLL_IN, POLLIN | POLLRDNORM },
        { POLLOUT, POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND },
        { POLLPRI, POLL_PRI, POLLPRI | POLLRDBAND },
        { POLLERR, POLL_ERR, POLLERR },
        { POLLHUP, POLL_HUP, POLLHUP | POLLERR },
        { POLLMSG, POLL_MSG, POLLIN | POLLRDNORM | POLLMSG },
    };
    struct ksiginfo info = { .signo = SIGIO, .code = SI_KERNEL };

    for (size_t i = 0; h->owner.sig && i < ARRAY_LEN(bands); i++)
        if (h->events & bands[i].event) {
            info = (struct ksiginfo){ .signo = h->owner.sig, .code = bands[i].code, .band = bands[i].band, .fd = h->fd };
            break;
        }
    send_to(h, &info);
}

static void flush_hits(void)
{
    struct hit *h;

    while ((h = STAILQ_FIRST(&hits))) {
        STAILQ_REMOVE_HEAD(&hits, link);
        send_io(h);
        ll_layer_put(h->landlock);
        free(h);
    }
}

static bool async_wake(struct waiter *w, u32 events)
{
    struct file_async *a = w->priv;
    struct hit *h;

    if (!events) return false;
    h = xnew(struct hit);
    owner_snapshot(a->f, h);
    if (!h->owner.id) {
        ll_layer_put(h->landlock);
        free(h);
        return false;
    }
    h->fd = atomic_load(&a->fd);
    h->events = events;
    if (!hits.stqh_last) STAILQ_INIT(&hits);
    STAILQ_INSERT_TAIL(&hits, h, link);
    waitq_defer(flush_hits);
    return false;
}

int file_set_owner(struct file *f, int type, s32 id)
{
    if (id && type == F_OWNER_PGRP) {
        lock(&kernel.tasklist);
        bool found = pgrp_lookup_locked(id) != NULL;
        unlock(&kernel.tasklist);
        if (!found) return -ESRCH;
    } else if (id) {
        struct task *t = task_lookup_get(id);
        if (!t) return -ESRCH;
        task_put(t);
    }
    lock(&owner_lock);
    f->owner_type = type;
    f->owner_pid = id;
    f->owner_uid = current_cred()->uid;
    f->owner_euid = current_cred()->euid;
    struct ll_layer *old = f->owner_landlock;
    ll_layer_get(f->owner_landlock = current_cred()->landlock);
    unlock(&owner_lock);
    ll_layer_put(old);
    return 0;
}

void file_set_owner_sig(struct file *f, int sig)
{
    lock(&owner_lock);
    f->owner_sig = sig;
    unlock(&owner_lock);
}

struct file_owner file_get_owner(struct file *f)
{
    struct hit h;
    owner_snapshot(f, &h);
    return h.owner;
}

/* As in Linux pipes, sockets, terminals and inotify have such events; a poll operation elsewhere means nothing here. */
static bool has_async(const struct file *f)
{
    if (!f->ops || !f->ops->poll || !f->inode) return false;
    return S_ISFIFO(f->inode->mode) || S_ISSOCK(f->inode->mode) || S_ISCHR(f->inode->mode) || file_is_inotify(f);
}

void file_async_update(struct file *f, int fd)
{
    if (!has_async(f)) return;
    lock(&async_lock);
    struct file_async *a = f->async;
    if (!(atomic_load(&f->flags) & O_ASYNC)) {
        f->async = NULL;
        if (a) waitq_del(&a->w);
        free(a);
    } else if (a) {
        atomic_store(&a->fd, fd);
    } else {
        a = f->async = xnew(struct file_async);
        *a = (struct file_async){ .w = { .wake = async_wake, .priv = a }, .f = f, .fd = fd };
        (void)f->ops->poll(f, &a->w);
    }
    unlock(&async_lock);
}

void file_async_release(struct file *f)
{
    if (likely(!f->async)) return;
    waitq_del(&f->async->w);
    free(f->async);
    f->async = NULL;
}

void file_send_urgent(struct file *f)
{
    const struct ksiginfo info = { .signo = SIGURG, .code = SI_KERNEL };
    struct hit h;

    owner_snapshot(f, &h);
    send_to(&h, &info);
}

void file_send_io(struct file *f, int fd, u32 event)
{
    struct hit h = { .fd = fd, .events = event };

    owner_snapshot(f, &h);
    send_io(&h);
}
