/*
 * Advisory locks: POSIX record locks (owner: the descriptor table), open-file-description locks and flock(2) (owner:
 * the struct file). One lock guards them all, as deadlock detection looks across inodes; waiters sleep on their inode's queue.
 * Source: fcntl(2), flock(2), fs/locks.c in the Linux tree.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include <sys/file.h>

struct rlock {
    TAILQ_ENTRY(rlock) link;        /* by owner's arrival, one owner's by place: F_GETLK tells the first that conflicts */
    const void *owner;
    bool ofd;
    int type;
    u64 start, end;
    s32 pid;
};
TAILQ_HEAD(rlock_list, rlock);
struct file_locks { struct rlock_list posix, flock; struct waitq wait; };

/* A task asleep for a POSIX lock: an edge of the wait graph. */
struct blocked { TAILQ_ENTRY(blocked) link; const void *owner; const void *on; };

static lock_t locks_lock = LOCK_INIT(LC_FUTEX);     /* guards all file_locks and: */
static TAILQ_HEAD(, blocked) blocked = TAILQ_HEAD_INITIALIZER(blocked);

static struct file_locks *locks_of_locked(struct inode *i)
{
    if (!i->flocks) {
        struct file_locks *l = xnew(struct file_locks);
        TAILQ_INIT(&l->posix);
        TAILQ_INIT(&l->flock);
        waitq_init(&l->wait);
        atomic_store(&i->flocks, l);
    }
    return i->flocks;
}

static bool overlaps(const struct rlock *l, u64 start, u64 end) { return l->start <= end && start <= l->end; }

static struct rlock *conflict_locked(struct rlock_list *list, const void *owner, int type, u64 start, u64 end)
{
    struct rlock *l;
    TAILQ_FOREACH(l, list, link)
        if (l->owner != owner && overlaps(l, start, end) && (type == F_WRLCK || l->type == F_WRLCK)) return l;
    return NULL;
}

static bool would_deadlock_locked(const void *me, const void *on)
{
    for (int steps = 0; steps < 64; steps++) {
        struct blocked *b;
        TAILQ_FOREACH(b, &blocked, link)
            if (b->owner == on) break;
        if (!b) return false;
        if (b->on == me) return true;
        on = b->on;
    }
    return false;
}

static struct rlock *rlock_add_locked(struct rlock_list *list, const struct rlock *tmpl, u64 start, u64 end)
{
    struct rlock *l = xnew(struct rlock);
    *l = *tmpl;
    l->start = start;
    l->end = end;
    struct rlock *o;
    TAILQ_FOREACH(o, list, link)
        if (o->owner == l->owner && o->start > start) break;
    if (o) TAILQ_INSERT_BEFORE(o, l, link);
    else TAILQ_INSERT_TAIL(list, l, link);
    return l;
}

/* Puts want in place of whatever its owner holds there: splits, trims, and joins neighbours of the same type. */
static void apply_locked(struct rlock_list *list, const struct rlock *want)
{
    struct rlock *l, *next;
    u64 start = want->start, end = want->end;
    TAILQ_FOREACH_SAFE(l, list, link, next) {
        if (l->owner != want->owner) continue;
        if (want->type != F_UNLCK && l->type == want->type) {
            bool touches = overlaps(l, start, end) || (l->end != ~0ULL && l->end + 1 == start) || (end != ~0ULL && end + 1 == l->start);
            if (!touches) continue;
            start = MIN(start, l->start);
            end = MAX(end, l->end);
        } else {
            if (!overlaps(l, want->start, want->end)) continue;
            if (l->start < want->start) rlock_add_locked(list, l, l->start, want->start - 1);
            if (l->end > want->end) rlock_add_locked(list, l, want->end + 1, l->end);
        }
        TAILQ_REMOVE(list, l, link);
        free(l);
    }
    if (want->type != F_UNLCK) rlock_add_locked(list, want, start, end);
}

int vfs_setlk(struct file *f, struct klock *k, bool ofd, bool wait)
{
    if (!f->inode) return -EBADF;
    if (k->type != F_RDLCK && k->type != F_WRLCK && k->type != F_UNLCK) return -EINVAL;
    if (k->start > k->end) return -EINVAL;
    if ((k->type == F_RDLCK && !(f->mode & FMODE_READ)) || (k->type == F_WRLCK && !(f->mode & FMODE_WRITE))) return -EBADF;
    struct rlock want = { .owner = ofd ? (const void *)f : current->files, .ofd = ofd, .type = k->type, .start = k->start,
        .end = k->end, .pid = ofd ? -1 : current->tg->tgid };
    int r = 0;
    lock(&locks_lock);
    struct file_locks *fl = locks_of_locked(f->inode);
    struct waiter w;
    struct blocked b = { .owner = want.owner };
    for (bool queued = false;;) {
        struct rlock *c = want.type == F_UNLCK ? NULL : conflict_locked(&fl->posix, want.owner, want.type, want.start, want.end);
        if (!c || !wait || r) {
            if (c && !r) r = -EAGAIN;
            if (!c) r = 0;
            if (queued) waitq_del(&w);
            break;
        }
        if (!ofd && !c->ofd && would_deadlock_locked(want.owner, c->owner)) {
            r = -EDEADLK;
            if (queued) waitq_del(&w);
            break;
        }
        if (!queued) {
            waiter_init_current(&w, 0);
            waitq_add(&fl->wait, &w);
            queued = true;
        }
        b.on = c->owner;
        if (!ofd) TAILQ_INSERT_TAIL(&blocked, &b, link);
        unlock(&locks_lock);
        r = task_sleep(KTIME_NEVER);
        lock(&locks_lock);
        if (!ofd) TAILQ_REMOVE(&blocked, &b, link);
    }
    if (r == 0) {
        apply_locked(&fl->posix, &want);
        /* Unlocking, and also making a write lock a read lock, lets others in. */
        waitq_wake_all(&fl->wait, 0);
    }
    unlock(&locks_lock);
    return r;
}

int vfs_getlk(struct file *f, struct klock *k, bool ofd)
{
    if (!f->inode) return -EBADF;
    if (k->type != F_RDLCK && k->type != F_WRLCK) return -EINVAL;
    lock(&locks_lock);
    struct file_locks *fl = f->inode->flocks;
    struct rlock *c = fl ? conflict_locked(&fl->posix, ofd ? (const void *)f : current->files, k->type, k->start, k->end) : NULL;
    if (!c) k->type = F_UNLCK;
    else *k = (struct klock){ .type = c->type, .start = c->start, .end = c->end, .pid = c->pid };
    unlock(&locks_lock);
    return 0;
}

static struct rlock *flock_find_locked(struct rlock_list *list, const struct file *f)
{
    struct rlock *l;
    TAILQ_FOREACH(l, list, link)
        if (l->owner == f) return l;
    return NULL;
}

int vfs_flock(struct file *f, int op)
{
    int type;
    switch (op & ~LOCK_NB) {
    case LOCK_SH: type = F_RDLCK; break;
    case LOCK_EX: type = F_WRLCK; break;
    case LOCK_UN: type = F_UNLCK; break;
    default: return -EINVAL;
    }
    if (!f->inode || (f->mode & FMODE_PATH)) return -EBADF;
    int r = 0;
    lock(&locks_lock);
    struct file_locks *fl = locks_of_locked(f->inode);
    struct rlock *mine = flock_find_locked(&fl->flock, f);
    if (mine && mine->type == type) {
        unlock(&locks_lock);
        return 0;
    }
    /* A conversion is not atomic: the old lock goes first (flock(2)). */
    if (mine) {
        TAILQ_REMOVE(&fl->flock, mine, link);
        free(mine);
        waitq_wake_all(&fl->wait, 0);
    }
    if (type != F_UNLCK) {
        struct waiter w;
        bool queued = false;
        while (conflict_locked(&fl->flock, f, type, 0, ~0ULL)) {
            if (op & LOCK_NB) r = -EAGAIN;
            if (r) break;
            if (!queued) {
                waiter_init_current(&w, 0);
                waitq_add(&fl->wait, &w);
                queued = true;
            }
            unlock(&locks_lock);
            r = task_sleep(KTIME_NEVER);
            lock(&locks_lock);
        }
        if (queued) waitq_del(&w);
        /* A sibling may have taken it through the same file while we slept: replace, never two. */
        mine = flock_find_locked(&fl->flock, f);
        bool free_now = !conflict_locked(&fl->flock, f, type, 0, ~0ULL);
        if (free_now) {
            r = 0;
            if (mine) mine->type = type;
            else rlock_add_locked(&fl->flock, &(struct rlock){ .owner = f, .type = type, .pid = current->tg->tgid }, 0, ~0ULL);
        }
    }
    unlock(&locks_lock);
    return r;
}

static void drop_owner(struct inode *i, const void *owner, bool flock_too)
{
    if (!atomic_load(&i->flocks)) return;
    lock(&locks_lock);
    struct file_locks *fl = i->flocks;
    bool any = false;
    struct rlock_list *lists[2] = { &fl->posix, &fl->flock };
    for (int k = 0; k < (flock_too ? 2 : 1); k++) {
        struct rlock *l, *next;
        TAILQ_FOREACH_SAFE(l, lists[k], link, next) {
            if (l->owner != owner) continue;
            TAILQ_REMOVE(lists[k], l, link);
            free(l);
            any = true;
        }
    }
    if (any) waitq_wake_all(&fl->wait, 0);
    unlock(&locks_lock);
}

void vfs_locks_close(struct file *f, struct fdtable *t)
{
    if (f->inode) drop_owner(f->inode, t, false);
}

void vfs_locks_release(struct file *f) { drop_owner(f->inode, f, true); }

void vfs_locks_free(struct inode *i)
{
    struct file_locks *fl = i->flocks;
    if (!fl) return;
    i->flocks = NULL;
    struct rlock_list *lists[2] = { &fl->posix, &fl->flock };
    for (int k = 0; k < 2; k++) {
        struct rlock *l;
        while ((l = TAILQ_FIRST(lists[k])) != NULL) {
            TAILQ_REMOVE(lists[k], l, link);
            free(l);
        }
    }
    waitq_fini(&fl->wait);
    free(fl);
}
