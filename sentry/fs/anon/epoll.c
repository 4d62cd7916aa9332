/*
 * epoll(7). A set holds items, one per (descriptor, file); each item hangs a waiter on its file. The wake callback puts
 * the item on the set's ready list and wakes whoever waits for the set; what is really ready is asked of the files when
 * events are collected, and level-triggered items go back on the list.
 *
 * Locks: loop_lock, then the mutexes of sets (outer set first; LC_EPOLL lies outside of files' locks because collecting
 * asks the files), then a file's wait queue, then ready_lock. The callback runs under a wait queue's lock and wakes the
 * set's own queues: wait queues nest from source to set, which has no cycle because loops are refused.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include <string.h>
#include <sys/epoll.h>

#define EP_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EP_EXCLUSIVE_OK (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define EP_MAX_NESTS 4

struct epoll;

struct epitem {
    RB_ENTRY(epitem) node;             /* ep->mtx */
    LIST_ENTRY(epitem) file_link;      /* epitems_lock */
    TAILQ_ENTRY(epitem) ready_link;    /* ep->ready_lock */
    bool ready;                        /* on ep->ready; ep->ready_lock */
    struct epoll *ep;                  /* (c) */
    struct file *file;                 /* (c) borrowed: the file's last put removes the item */
    int fd;                            /* (c) */
    u32 events;                        /* (a) written under ep->mtx; 0 of the wanted bits: disabled one-shot */
    u64 data;                          /* ep->mtx */
    struct waiter w;
};
RB_HEAD(epitem_tree, epitem);
TAILQ_HEAD(epitem_list, epitem);

struct epoll {
    lock_t mtx;                        /* LC_EPOLL; guards: */
    struct epitem_tree items;
    unsigned nitems;                   /* (a) */
    lock_t ready_lock;                 /* LC_LEAF; guards: */
    struct epitem_list ready;
    struct waitq wq;                   /* epoll_wait callers */
    struct waitq poll_wq;              /* who polls the set itself */
    struct file *file;                 /* (c) borrowed */
    u64 walk; int depth;               /* loop_lock: what the walk of this number has found here */
};

/* Serialises what looks at several sets: adding a set to a set, the end of a set, the end of a registered file. */
static lock_t loop_lock = LOCK_INIT(LC_EPOLL);
static lock_t epitems_lock = LOCK_INIT(LC_LEAF);       /* guards file->epitems of all files */

static int epitem_cmp(struct epitem *a, struct epitem *b)
{
    if (a->file != b->file) return a->file < b->file ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}
RB_GENERATE_INTERNAL(epitem_tree, epitem, node, epitem_cmp, static UNUSED)

/* Was anybody waiting for the set, and not woken already? */
static bool wake_set(struct epoll *ep)
{
    bool woke = waitq_wake(&ep->wq, POLLIN | POLLRDNORM);
    waitq_wake(&ep->poll_wq, POLLIN | POLLRDNORM);
    return woke;
}

/* True: was not on the list before. */
static bool mark_ready(struct epitem *it)
{
    struct epoll *ep = it->ep;

    lock(&ep->ready_lock);
    bool new_ = !it->ready;
    if (new_) TAILQ_INSERT_TAIL(&ep->ready, it, ready_link);
    it->ready = true;
    unlock(&ep->ready_lock);
    return new_;
}

static bool epitem_wake(struct waiter *w, u32 events)
{
    struct epitem *it = container_of(w, struct epitem, w);
    u32 want = atomic_load(&it->events);

    if (!(want & ~EP_PRIVATE)) return false;           /* one-shot that has fired */
    if (events && !(events & want)) return false;
    mark_ready(it);
    /* An event for one of several sets goes on to the next, if nobody waits for this one (ep_poll_callback). */
    return wake_set(it->ep) || !(want & EPOLLEXCLUSIVE);
}

static void unready(struct epitem *it)
{
    lock(&it->ep->ready_lock);
    if (it->ready) TAILQ_REMOVE(&it->ep->ready, it, ready_link);
    it->ready = false;
    unlock(&it->ep->ready_lock);
}

/* ep->mtx held. */
static void item_remove_locked(struct epitem *it)
{
    waitq_del(&it->w);                                 /* waits for a callback that runs now */
    unready(it);
    RB_REMOVE(epitem_tree, &it->ep->items, it);
    atomic_add(&it->ep->nitems, -1u);
    lock(&epitems_lock);
    LIST_REMOVE(it, file_link);
    unlock(&epitems_lock);
    free(it);
}

static bool ready_empty(struct epoll *ep)
{
    lock(&ep->ready_lock);
    bool e = TAILQ_EMPTY(&ep->ready);
    unlock(&ep->ready_lock);
    return e;
}

/*
 * Collects up to max events of what is on the ready list. out NULL: only whether there is one (poll of a set; items
 * that turn out not ready leave the list). ep->mtx held.
 */
static unsigned collect_locked(struct epoll *ep, struct kepoll_event *out, unsigned max)
{
    struct epitem_list again = TAILQ_HEAD_INITIALIZER(again);
    struct epitem *it;
    unsigned n = 0;

    /* Items keep `ready` while on the private list, so that a wake meanwhile must be noted apart: clear one by one. */
    lock(&ep->ready_lock);
    while (n < max && (it = TAILQ_FIRST(&ep->ready))) {
        TAILQ_REMOVE(&ep->ready, it, ready_link);
        it->ready = false;
        unlock(&ep->ready_lock);

        u32 want = it->events & (u32)~EP_PRIVATE;
        u32 got = want ? vfs_poll(it->file, NULL) & (want | EPOLLERR | EPOLLHUP) : 0;
        bool requeue = false;
        if (got) {
            if (out) {
                out[n] = (struct kepoll_event){ got, it->data };
                if (it->events & EPOLLONESHOT)
                    atomic_store(&it->events, it->events & EP_PRIVATE);
                else
                    requeue = !(it->events & EPOLLET);
            } else {
                requeue = true;
            }
            n++;
        }
        lock(&ep->ready_lock);
        if (requeue) {
            /* Woken meanwhile: it is on the list again, move it behind the others. */
            if (it->ready) TAILQ_REMOVE(&ep->ready, it, ready_link);
            it->ready = true;
            TAILQ_INSERT_TAIL(&again, it, ready_link);
        }
    }
    if (out)
        TAILQ_CONCAT(&ep->ready, &again, ready_link);
    else {
        TAILQ_CONCAT(&again, &ep->ready, ready_link);
        TAILQ_CONCAT(&ep->ready, &again, ready_link);
    }
    unlock(&ep->ready_lock);
    return n;
}

static u32 epoll_poll(struct file *f, struct waiter *w)
{
    struct epoll *ep = f->priv;

    if (w) waitq_add(&ep->poll_wq, w);
    if (ready_empty(ep)) return 0;
    lock(&ep->mtx);
    unsigned n = collect_locked(ep, NULL, 1);
    unlock(&ep->mtx);
    return n ? POLLIN | POLLRDNORM : 0;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->priv;
    struct epitem *it;

    lock(&loop_lock);
    lock(&ep->mtx);
    while ((it = RB_MIN(epitem_tree, &ep->items))) item_remove_locked(it);
    unlock(&ep->mtx);
    unlock(&loop_lock);
    waitq_fini(&ep->wq);
    waitq_fini(&ep->poll_wq);
    lock_fini(&ep->mtx);
    lock_fini(&ep->ready_lock);
    free(ep);
}

static void epoll_fdinfo(struct file *f, struct strbuf *out)
{
    struct epoll *ep = f->priv;
    struct epitem *it;

    lock(&ep->mtx);
    RB_FOREACH(it, epitem_tree, &ep->items)
        strbuf_printf(out, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%llx sdev:%llx\n", it->fd, it->events,
                      (unsigned long long)it->data, (long long)it->file->pos,
                      (unsigned long long)(it->file->inode ? it->file->inode->ino : 0), 0ULL);
    unlock(&ep->mtx);
}

static const struct file_ops epoll_ops = {
    .name = "anon_inode:[eventpoll]", .poll = epoll_poll, .release = epoll_release, .show_fdinfo = epoll_fdinfo,
};

unsigned epoll_count(struct file *f) { return atomic_load(&((struct epoll *)f->priv)->nitems); }
bool file_is_epoll(const struct file *f) { return f->ops == &epoll_ops; }

void epoll_file_release(struct file *f)
{
    for (;;) {
        lock(&epitems_lock);
        bool none = LIST_EMPTY(&f->epitems);
        unlock(&epitems_lock);
        if (none) return;
        /* No one can add or remove f by descriptor any more; sets end only under loop_lock: the item stays valid. */
        lock(&loop_lock);
        lock(&epitems_lock);
        struct epitem *it = LIST_FIRST(&f->epitems);
        unlock(&epitems_lock);
        if (it) {
            struct epoll *ep = it->ep;
            lock(&ep->mtx);
            item_remove_locked(it);
            unlock(&ep->mtx);
        }
        unlock(&loop_lock);
    }
}

static u64 walks;                      /* loop_lock; each looks at a set once, however many ways lead to it */

/* Has this walk been at ep before? Then `depth` holds from there on; -ELOOP if that is too much for one met at level. */
static bool been(const struct epoll *ep, int level, int *depth)
{
    if (ep->walk != walks) return false;
    *depth = level + ep->depth > EP_MAX_NESTS ? -ELOOP : ep->depth;
    return true;
}

static int found(struct epoll *ep, int depth)
{
    ep->walk = walks;
    return ep->depth = depth;
}

/* How many sets are below each other below ep; -ELOOP if `target` is in it or it is too deep. level: of ep. loop_lock held. */
static int depth_below(struct epoll *ep, const struct epoll *target, int level)
{
    struct epitem *it;
    int deepest = 0, d = 0;

    if (ep == target || level > EP_MAX_NESTS) return -ELOOP;
    if (been(ep, level, &d)) return d;
    lock(&ep->mtx);
    RB_FOREACH(it, epitem_tree, &ep->items)
    {
        if (!file_is_epoll(it->file)) continue;
        d = depth_below(it->file->priv, target, level + 1);
        if (d < 0) break;
        deepest = MAX(deepest, d + 1);
    }
    unlock(&ep->mtx);
    return d < 0 ? d : found(ep, deepest);
}

/* The sets with ep in them; these cannot end, nor get more, while loop_lock is held. NULL: no memory. */
static struct epoll **sets_above(struct epoll *ep, unsigned *n)
{
    struct epitem *it;
    unsigned room = 0;

    lock(&epitems_lock);
    LIST_FOREACH(it, &ep->file->epitems, file_link) room++;
    unlock(&epitems_lock);
    struct epoll **up = try_zalloc(room + 1, sizeof(struct epoll *));
    *n = 0;
    if (!up) return NULL;
    lock(&epitems_lock);
    LIST_FOREACH(it, &ep->file->epitems, file_link)
        if (*n < room) up[(*n)++] = it->ep;
    unlock(&epitems_lock);
    return up;
}

/* The same for those above. */
static int depth_above(struct epoll *ep, int level)
{
    unsigned n;
    int deepest = 0, d = 0;

    if (level > EP_MAX_NESTS) return -ELOOP;
    if (been(ep, level, &d)) return d;
    AUTO_FREE struct epoll **up = sets_above(ep, &n);
    if (!up) return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        if ((d = depth_above(up[i], level + 1)) < 0) return d;
        deepest = MAX(deepest, d + 1);
    }
    return found(ep, deepest);
}

static int check_loop(struct epoll *ep, struct epoll *target)
{
    walks++;
    int below = depth_below(target, ep, 1);
    walks++;
    int above = depth_above(ep, 0);

    if (below < 0) return below;
    if (above < 0) return above;
    return below + 1 + above > EP_MAX_NESTS ? -ELOOP : 0;
}

static struct epitem *find_locked(struct epoll *ep, struct file *f, int fd)
{
    struct epitem key = { .file = f, .fd = fd };
    return RB_FIND(epitem_tree, &ep->items, &key);
}

static int add_locked(struct epoll *ep, int fd, struct file *f, const struct kepoll_event *ev)
{
    struct epitem *it = xnew(struct epitem);

    it->ep = ep;
    it->file = f;
    it->fd = fd;
    it->events = ev->events | EPOLLERR | EPOLLHUP;
    it->data = ev->data;
    it->w.events = it->events & (u32)~EP_PRIVATE;
    it->w.exclusive = ev->events & EPOLLEXCLUSIVE;
    it->w.wake = epitem_wake;
    RB_INSERT(epitem_tree, &ep->items, it);
    atomic_add(&ep->nitems, 1u);
    lock(&epitems_lock);
    LIST_INSERT_HEAD(&f->epitems, it, file_link);
    unlock(&epitems_lock);
    if (vfs_poll(f, &it->w) & it->events & (u32)~EP_PRIVATE) {
        mark_ready(it);
        wake_set(ep);
    }
    return 0;
}

static void mod_locked(struct epoll *ep, struct epitem *it, const struct kepoll_event *ev)
{
    atomic_store(&it->events, ev->events | EPOLLERR | EPOLLHUP);
    it->data = ev->data;
    /* The queue looks at w.events under its own lock; hang anew so that it sees the change. */
    waitq_del(&it->w);
    it->w.events = it->events & (u32)~EP_PRIVATE;
    if (vfs_poll(it->file, &it->w) & it->events & (u32)~EP_PRIVATE) {
        mark_ready(it);
        wake_set(ep);
    }
}

int epoll_ctl_file(struct file *epf, int op, int fd, struct file *f, const struct kepoll_event *ev)
{
    struct epoll *ep = epf->priv;
    bool nested = file_is_epoll(f);
    int r = 0;

    if (!f->ops->poll) return -EPERM;
    if (epf == f || !file_is_epoll(epf)) return -EINVAL;
    if (op != EPOLL_CTL_DEL && (ev->events & EPOLLEXCLUSIVE)) {
        if (op == EPOLL_CTL_MOD) return -EINVAL;
        if (op == EPOLL_CTL_ADD && (nested || (ev->events & (u32)~EP_EXCLUSIVE_OK))) return -EINVAL;
    }
    bool whole = op == EPOLL_CTL_ADD && nested;
    if (whole) {
        lock(&loop_lock);
        r = check_loop(ep, f->priv);
        if (r) {
            unlock(&loop_lock);
            return r;
        }
    }
    lock(&ep->mtx);
    struct epitem *it = find_locked(ep, f, fd);
    switch (op) {
    case EPOLL_CTL_ADD:
        r = it ? -EEXIST : add_locked(ep, fd, f, ev);
        break;
    case EPOLL_CTL_DEL:
        if (it)
            item_remove_locked(it);
        else
            r = -ENOENT;
        break;
    case EPOLL_CTL_MOD:
        if (!it)
            r = -ENOENT;
        else if (it->events & EPOLLEXCLUSIVE)
            r = -EINVAL;
        else
            mod_locked(ep, it, ev);
        break;
    default:
        r = -EINVAL;
    }
    unlock(&ep->mtx);
    if (whole) unlock(&loop_lock);
    return r;
}

/* One event, one thread: who has been woken does not count again until it has looked. */
static bool wake_once(struct waiter *w, u32 events UNUSED)
{
    bool *woken = w->priv;
    if (*woken) return false;
    *woken = true;
    task_wake(w->task);
    return true;
}

sysret_t epoll_wait_file(struct file *epf, struct kepoll_event *out, unsigned max, ktime_t deadline)
{
    struct epoll *ep = epf->priv;
    struct waiter w;
    unsigned n = 0;
    int r = 0;

    bool woken = false;                                /* under ep->wq.lock */

    waiter_init_current(&w, POLLIN);
    w.exclusive = true;
    w.wake = wake_once;
    w.priv = &woken;
    for (bool hung = false;; hung = true) {
        if (!ready_empty(ep)) {
            lock(&ep->mtx);
            n = collect_locked(ep, out, max);
            unlock(&ep->mtx);
        }
        if (n || r || deadline == 0) break;
        if (!hung) {
            waitq_add(&ep->wq, &w);
            continue;
        }
        r = task_sleep(deadline);
        lock(&ep->wq.lock);
        woken = false;
        unlock(&ep->wq.lock);
    }
    waitq_del(&w);
    /* What is left, or a wake that came to this one for nothing, is for the next. */
    if (!ready_empty(ep)) waitq_wake(&ep->wq, POLLIN | POLLRDNORM);
    if (n) return n;
    return r == -ETIMEDOUT ? 0 : r;
}

void epoll_rearm(struct file *epf)
{
    struct epoll *ep = epf->priv;
    struct epitem *it;

    lock(&ep->mtx);
    RB_FOREACH(it, epitem_tree, &ep->items) mark_ready(it);
    unlock(&ep->mtx);
    wake_set(ep);
}

int epoll_create_file(u32 flags UNUSED, struct file **out)
{
    struct epoll *ep = xnew(struct epoll);

    lock_init(&ep->mtx, LC_EPOLL);
    lock_init(&ep->ready_lock, LC_LEAF);
    RB_INIT(&ep->items);
    TAILQ_INIT(&ep->ready);
    waitq_init(&ep->wq);
    waitq_init(&ep->poll_wq);
    *out = file_new_anon(&epoll_ops, O_RDWR, ep);
    if (*out) ep->file = *out;
    return 0;
}
