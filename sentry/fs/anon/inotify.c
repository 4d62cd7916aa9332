/*
 * inotify(7), and the hooks through which the VFS reports what happens (fsnotify). Only what goes through this sentry
 * is seen: a change that somebody outside makes to a shared root gives no event.
 *
 * One lock guards all marks and queues. While no watch exists anywhere, a hook is one load.
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user.h"
#include "sentry/vfs/fasync.h"
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

struct inotify_mark {
    LIST_ENTRY(inotify_mark) on_inode, on_group;
    struct inotify *group;             /* NULL: a dnotify mark, of: */
    struct file *dn_file;              /* its last reference takes the mark away */
    int dn_fd;
    struct inode *inode;               /* counted */
    u32 mask;
    s32 wd;
};

struct inotify_rec {
    TAILQ_ENTRY(inotify_rec) link;
    s32 wd;
    u32 mask, cookie, len;             /* len: of the padded name */
    char name[];
};

struct inotify {
    LIST_HEAD(, inotify_mark) marks;
    TAILQ_HEAD(inotify_queue, inotify_rec) queue;
    unsigned nqueued, max_events;
    u32 uid;                           /* (c) whose it is, by fs.inotify.max_user_* */
    bool overflowed;                   /* IN_Q_OVERFLOW is at the end of the queue */
    s32 next_wd;
    struct waitq wq;
};

/* The guest's struct inotify_event: the same in every ABI that has inotify. */
struct event_head { s32 wd; u32 mask, cookie, len; };
_Static_assert(sizeof(struct event_head) == 16, "inotify_event");

static lock_t in_lock = LOCK_INIT(LC_PIPE);    /* guards all of the above */
static u32 nmarks_all;                         /* (a) */
static u32 ndnotify;                           /* (a) those of dnotify among them */
static LIST_HEAD(, inotify_mark) dnotify_marks = LIST_HEAD_INITIALIZER(dnotify_marks);   /* in_lock */

static void enqueue_locked(struct inotify *g, s32 wd, u32 mask, u32 cookie, const char *name)
{
    size_t n = name ? strlen(name) : 0, len = n ? (n + 1 + 15) & ~(size_t)15 : 0;

    /* An event equal to the last unread one is dropped. */
    struct inotify_rec *last = TAILQ_LAST(&g->queue, inotify_queue);
    if (last && last->wd == wd && last->mask == mask && last->cookie == cookie && last->len == len &&
        (!n || !strcmp(last->name, name)))
        return;
    if (g->nqueued >= g->max_events) {
        if (g->overflowed) return;
        g->overflowed = true;
        wd = -1;
        mask = IN_Q_OVERFLOW;
        cookie = 0;
        len = n = 0;
    }
    struct inotify_rec *r = xzalloc(sizeof *r + len);
    r->wd = wd;
    r->mask = mask;
    r->cookie = cookie;
    r->len = (u32)len;
    if (n) memcpy(r->name, name, n);
    TAILQ_INSERT_TAIL(&g->queue, r, link);
    g->nqueued++;
    waitq_wake(&g->wq, POLLIN | POLLRDNORM);
}

/* Takes the mark off; the caller puts the returned inode without the lock. */
static struct inode *mark_remove_locked(struct inotify_mark *m, bool tell)
{
    struct inode *ino = m->inode;

    if (tell && m->group) enqueue_locked(m->group, m->wd, IN_IGNORED, 0, NULL);
    LIST_REMOVE(m, on_inode);
    LIST_REMOVE(m, on_group);
    if (m->group) user_uncharge(m->group->uid, USER_INOTIFY_WATCHES);
    else atomic_add(&ndnotify, -1);
    atomic_add(&nmarks_all, -1);
    free(m);
    return ino;
}

/* Tells the marks of one inode. gone: the inode is deleted, its marks go. drop: inodes to be put by the caller. */
static unsigned tell_locked(struct inode *ino, u32 mask, u32 cookie, const char *name, bool unlinked, struct inode **drop,
                            unsigned max)
{
    struct inotify_mark *m, *next;
    unsigned n = 0;

    LIST_FOREACH_SAFE(m, &ino->marks, on_inode, next)
    {
        if (unlinked && (m->mask & IN_EXCL_UNLINK)) continue;
        bool hit = m->mask & mask & (IN_ALL_EVENTS | FSNOTIFY_SAME_DIR);
        if (!m->group) {
            if (hit) file_send_io(m->dn_file, m->dn_fd, POLLMSG);
        } else if (hit) {
            enqueue_locked(m->group, m->wd, mask & ~FSNOTIFY_SAME_DIR, cookie, name);
        }
        if (((hit && (m->mask & IN_ONESHOT)) || (mask & IN_DELETE_SELF)) && n < max) drop[n++] = mark_remove_locked(m, true);
    }
    return n;
}

static void tell(struct inode *ino, u32 mask, u32 cookie, const char *name, bool unlinked)
{
    struct inode *drop[16];
    unsigned n;

    do {
        lock(&in_lock);
        n = tell_locked(ino, mask, cookie, name, unlinked, drop, ARRAY_LEN(drop));
        unlock(&in_lock);
        for (unsigned i = 0; i < n; i++) inode_put(drop[i]);
        /* More one-shot marks than fit: those left have had the event; a deletion goes on until none is left. */
        mask &= IN_DELETE_SELF;
    } while (n == ARRAY_LEN(drop) && mask);
}

#define CHILD_EVENTS (IN_ACCESS | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_OPEN)

void fsnotify(struct dentry *d, u32 mask, u32 cookie)
{
    if (likely(!__atomic_load_n(&nmarks_all, __ATOMIC_RELAXED))) return;
    struct inode *ino = d->inode;
    if (!ino) return;
    /* What is done through an open file whose name is gone is what IN_EXCL_UNLINK is about; a change of the inode is not. */
    bool unlinked = d->deleted && (mask & CHILD_EVENTS & ~(u32)IN_ATTRIB) && !(mask & FSNOTIFY_INODE);
    mask &= ~FSNOTIFY_INODE;
    if (S_ISDIR(ino->mode)) mask |= IN_ISDIR;
    u32 kind = mask;
    /* The directory first, as Linux does. A dentry that is its own parent is a root. */
    if (kind & CHILD_EVENTS) {
        struct dentry *parent = dentry_parent_get(d);
        if (parent != d && parent->inode && !LIST_EMPTY(&parent->inode->marks)) {
            AUTO_FREE char *name = dentry_name_dup(d);
            tell(parent->inode, mask, cookie, name, unlinked);
        }
        dentry_put(parent);
    }
    if (LIST_EMPTY(&ino->marks)) return;
    /* A directory's own deletion and move carry no IN_ISDIR. */
    if (kind & (IN_DELETE_SELF | IN_MOVE_SELF)) mask &= ~(u32)IN_ISDIR;
    inode_get(ino);
    tell(ino, mask, cookie, NULL, unlinked);
    inode_put(ino);
}

void fsnotify_name(struct inode *dir, const char *name, u32 mask, u32 cookie, bool is_dir)
{
    if (likely(!__atomic_load_n(&nmarks_all, __ATOMIC_RELAXED))) return;
    if (!LIST_EMPTY(&dir->marks)) tell(dir, mask | (is_dir ? IN_ISDIR : 0), cookie, name, false);
}

void fsnotify_inode_delete(struct inode *ino)
{
    if (likely(!__atomic_load_n(&nmarks_all, __ATOMIC_RELAXED)) || LIST_EMPTY(&ino->marks)) return;
    tell(ino, IN_DELETE_SELF, 0, NULL, false);
}

void fsnotify_links(struct inode *ino)
{
    if (unlikely(__atomic_load_n(&nmarks_all, __ATOMIC_RELAXED)) && !LIST_EMPTY(&ino->marks)) tell(ino, IN_ATTRIB, 0, NULL, false);
}

/* --- dnotify: fcntl(2) F_NOTIFY --- */

void dnotify_release(struct file *f)
{
    struct inotify_mark *m;

    if (likely(!atomic_load(&ndnotify))) return;
    lock(&in_lock);
    LIST_FOREACH(m, &dnotify_marks, on_group)
        if (m->dn_file == f) break;
    struct inode *ino = m ? mark_remove_locked(m, false) : NULL;
    unlock(&in_lock);
    if (ino) inode_put(ino);
}

int dnotify_set(struct file *f, int fd, u32 events)
{
    static const struct { u32 dn, in; } map[] = {
        { DN_ACCESS, IN_ACCESS }, { DN_MODIFY, IN_MODIFY }, { DN_CREATE, IN_CREATE | IN_MOVED_TO },
        { DN_DELETE, IN_DELETE | IN_MOVED_FROM }, { DN_RENAME, FSNOTIFY_SAME_DIR }, { DN_ATTRIB, IN_ATTRIB },
    };
    struct inotify_mark *m;
    u32 mask = 0;

    if (!(events & ~(u32)DN_MULTISHOT)) {
        dnotify_release(f);
        return 0;
    }
    if (!S_ISDIR(f->inode->mode)) return -ENOTDIR;
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (events & map[i].dn) mask |= map[i].in;
    if (!(events & DN_MULTISHOT)) mask |= IN_ONESHOT;
    (void)file_set_owner(f, F_OWNER_PID, current->tg->tgid);
    lock(&in_lock);
    LIST_FOREACH(m, &dnotify_marks, on_group)
        if (m->dn_file == f) break;
    if (m) {
        m->mask = (m->mask & ~(u32)IN_ONESHOT) | mask;
    } else {
        m = xnew(struct inotify_mark);
        *m = (struct inotify_mark){ .dn_file = f, .inode = f->inode, .mask = mask };
        inode_get(f->inode);
        LIST_INSERT_HEAD(&dnotify_marks, m, on_group);
        LIST_INSERT_HEAD(&f->inode->marks, m, on_inode);
        atomic_add(&nmarks_all, 1);
        atomic_add(&ndnotify, 1);
    }
    m->dn_fd = fd;
    unlock(&in_lock);
    return 0;
}

static ssize_t in_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct inotify *g = f->priv;
    struct waiter w;
    ssize_t done = 0;
    int r = 0;

    waiter_init_current(&w, POLLIN);
    for (bool hung = false;;) {
        lock(&in_lock);
        struct inotify_rec *e = TAILQ_FIRST(&g->queue);
        if (e && u->resid < sizeof(struct event_head) + e->len) {
            unlock(&in_lock);
            if (!done) r = -EINVAL;
            break;
        }
        if (e) {
            TAILQ_REMOVE(&g->queue, e, link);
            g->nqueued--;
            if (e->mask == IN_Q_OVERFLOW) g->overflowed = false;
        }
        unlock(&in_lock);
        if (e) {
            struct event_head h = { e->wd, e->mask, e->cookie, e->len };
            size_t n = sizeof h + e->len;
            bool ok = uio_copy_out(u, &h, sizeof h) == (ssize_t)sizeof h &&
                      (!e->len || uio_copy_out(u, e->name, e->len) == (ssize_t)e->len);
            free(e);
            if (!ok) {
                r = -EFAULT;
                break;
            }
            done += (ssize_t)n;
            continue;
        }
        if (done || r) break;
        if (file_nonblock(f, flags)) {
            r = -EAGAIN;
            break;
        }
        if (!hung) {
            waitq_add(&g->wq, &w);
            hung = true;
            continue;
        }
        r = task_sleep(KTIME_NEVER);
    }
    waitq_del(&w);
    return done ? done : r;
}

static u32 in_poll(struct file *f, struct waiter *w)
{
    struct inotify *g = f->priv;

    if (w) waitq_add(&g->wq, w);
    lock(&in_lock);
    bool ready = !TAILQ_EMPTY(&g->queue);
    unlock(&in_lock);
    return ready ? POLLIN | POLLRDNORM : 0;
}

static sysret_t in_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct inotify *g = f->priv;
    struct inotify_rec *e;
    u64 n = 0;

    if (cmd != FIONREAD) return -ENOTTY;
    lock(&in_lock);
    TAILQ_FOREACH(e, &g->queue, link) n += sizeof(struct event_head) + e->len;
    unlock(&in_lock);
    s32 out = (s32)n;
    return copy_out(arg, &out, sizeof out);
}

static void in_release(struct file *f)
{
    struct inotify *g = f->priv;
    struct inotify_mark *m;
    struct inotify_rec *e;

    for (;;) {
        lock(&in_lock);
        m = LIST_FIRST(&g->marks);
        struct inode *ino = m ? mark_remove_locked(m, false) : NULL;
        unlock(&in_lock);
        if (!ino) break;
        inode_put(ino);
    }
    while ((e = TAILQ_FIRST(&g->queue))) {
        TAILQ_REMOVE(&g->queue, e, link);
        free(e);
    }
    user_uncharge(g->uid, USER_INOTIFY_INSTANCES);
    waitq_fini(&g->wq);
    free(g);
}

static void in_fdinfo(struct file *f, struct strbuf *out)
{
    struct inotify *g = f->priv;
    struct inotify_mark *m;

    lock(&in_lock);
    LIST_FOREACH(m, &g->marks, on_group)
        strbuf_printf(out, "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", m->wd, (unsigned long long)m->inode->ino,
                      (unsigned long long)m->inode->sb->dev, m->mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK));
    unlock(&in_lock);
}

static const struct file_ops inotify_ops = {
    .name = "anon_inode:inotify", .read = in_read, .poll = in_poll, .ioctl = in_ioctl, .release = in_release,
    .show_fdinfo = in_fdinfo,
};

bool file_is_inotify(const struct file *f) { return f->ops == &inotify_ops; }

int inotify_add(struct file *f, struct inode *ino, u32 mask)
{
    struct inotify *g = f->priv;
    struct inotify_mark *m;
    u32 keep = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
    int r;

    lock(&in_lock);
    LIST_FOREACH(m, &g->marks, on_group)
        if (m->inode == ino) break;
    if (m) {
        if (mask & IN_MASK_CREATE) {
            r = -EEXIST;
        } else {
            m->mask = mask & IN_MASK_ADD ? m->mask | keep : keep;
            r = m->wd;
        }
    } else if (!user_charge(g->uid, USER_INOTIFY_WATCHES, kernel_limit(inotify_max_user_watches))) {
        r = -ENOSPC;
    } else {
        m = xnew(struct inotify_mark);
        m->group = g;
        m->inode = ino;
        m->mask = keep;
        inode_get(ino);
        /* Descriptors are not used again until they wrap, as in Linux. */
        r = m->wd = g->next_wd;
        g->next_wd = g->next_wd == INT32_MAX ? 1 : g->next_wd + 1;
        LIST_INSERT_HEAD(&g->marks, m, on_group);
        LIST_INSERT_HEAD(&ino->marks, m, on_inode);
        atomic_add(&nmarks_all, 1);
    }
    unlock(&in_lock);
    return r;
}

int inotify_rm(struct file *f, s32 wd)
{
    struct inotify *g = f->priv;
    struct inotify_mark *m;

    lock(&in_lock);
    LIST_FOREACH(m, &g->marks, on_group)
        if (m->wd == wd) break;
    struct inode *ino = m ? mark_remove_locked(m, true) : NULL;
    unlock(&in_lock);
    if (!ino) return -EINVAL;
    inode_put(ino);
    return 0;
}

int inotify_create(u32 flags, struct file **out)
{
    u32 uid = current->cred->uid;
    if (!user_charge(uid, USER_INOTIFY_INSTANCES, kernel_limit(inotify_max_user_instances))) return -EMFILE;
    struct inotify *g = xnew(struct inotify);

    g->uid = uid;
    g->max_events = kernel_limit(inotify_max_queued_events);
    LIST_INIT(&g->marks);
    TAILQ_INIT(&g->queue);
    waitq_init(&g->wq);
    g->next_wd = 1;
    *out = file_new_anon(&inotify_ops, O_RDONLY | (flags & IN_NONBLOCK), g);
    return 0;
}
