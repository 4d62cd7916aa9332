/*
 * See lease.h. A holder is told by a signal when somebody opens the file in a way that conflicts; the opener waits until
 * the holder has given the lease back or down, or the break time is over. Leases are rare: one list holds them all, and
 * while it is empty an open costs one load. Only opens inside this sandbox are seen. Source: fcntl(2) "Leases", fs/locks.c.
 */
#include "sentry/vfs/lease.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/vfs/fasync.h"
#include <fcntl.h>
#include <linux/capability.h>

struct lease {
    TAILQ_ENTRY(lease) link;
    struct file *f;
    struct inode *inode;
    int fd;
    int type, target;              /* target != type: a break is under way, until: */
    ktime_t deadline;
};

static lock_t lease_lock = LOCK_INIT(LC_FUTEX);    /* guards: */
static TAILQ_HEAD(, lease) leases = TAILQ_HEAD_INITIALIZER(leases);
static u32 nleases;                                /* (a) */
static struct waitq breakers = { LOCK_INIT(LC_WAITQ), TAILQ_HEAD_INITIALIZER(breakers.waiters) };

static struct lease *find_locked(const struct file *f)
{
    struct lease *l;
    TAILQ_FOREACH(l, &leases, link)
        if (l->f == f) return l;
    return NULL;
}

static void drop_locked(struct lease *l)
{
    TAILQ_REMOVE(&leases, l, link);
    atomic_add(&nleases, -1);
    free(l);
    waitq_wake_all(&breakers, 0);
}

/* Who has the file open beside f itself, and is f's own way of opening in the way? */
static bool open_conflict(struct file *f, int type)
{
    s32 writers = atomic_load(&f->inode->writers);
    if (type == F_RDLCK) return writers > 0;
    s32 own = f->mode & FMODE_WRITER ? 1 : 0;
    return (writers > 0 ? writers : 0) != own || atomic_load(&f->inode->open_readers) != (own ? 0 : 1);
}

int file_set_lease(struct file *f, int fd, int type)
{
    struct inode *i = f->inode;
    struct lease *l, *mine;
    int r = 0;

    if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK) return -EINVAL;
    if (type != F_UNLCK) {
        if (current_cred()->fsuid != i->uid && !inode_capable(i, CAP_LEASE)) return -EACCES;
        if (!S_ISREG(i->mode)) return -EINVAL;
        if (open_conflict(f, type)) return -EAGAIN;
    }
    struct lease *spare = xnew(struct lease);
    lock(&lease_lock);
    mine = find_locked(f);
    if (type == F_UNLCK) {
        if (mine) drop_locked(mine);
        else r = -EAGAIN;
    } else {
        TAILQ_FOREACH(l, &leases, link)
            if (l != mine && l->inode == i && (type == F_WRLCK || l->type == F_WRLCK || l->target != l->type)) r = -EAGAIN;
        if (mine && mine->target != mine->type && type != mine->target) r = -EAGAIN;
        if (!r && mine) {
            mine->type = mine->target = type;
            waitq_wake_all(&breakers, 0);
        } else if (!r) {
            *spare = (struct lease){ .f = f, .inode = i, .fd = fd, .type = type, .target = type };
            TAILQ_INSERT_TAIL(&leases, spare, link);
            atomic_add(&nleases, 1);
            spare = NULL;
        }
    }
    unlock(&lease_lock);
    if (!spare) (void)file_set_owner(f, F_OWNER_PID, current->tg->tgid);
    free(spare);
    return r;
}

int file_get_lease(struct file *f)
{
    lock(&lease_lock);
    struct lease *l = find_locked(f);
    int type = l ? l->target : F_UNLCK;
    unlock(&lease_lock);
    return type;
}

void file_lease_release(struct file *f)
{
    if (likely(!atomic_load(&nleases))) return;
    lock(&lease_lock);
    struct lease *l = find_locked(f);
    if (l) drop_locked(l);
    unlock(&lease_lock);
}

/* Starts breaks, ends those whose time is over. The latest deadline to wait for; 0: nothing is in the way. */
static ktime_t break_all_locked(struct inode *i, bool write, struct file **tell, int *fds, unsigned max, unsigned *ntell)
{
    struct lease *l, *next;
    ktime_t now = clock_mono(), last = 0;
    int target = write ? F_UNLCK : F_RDLCK;

    TAILQ_FOREACH_SAFE(l, &leases, link, next) {
        if (l->inode != i || (!write && l->type == F_RDLCK)) continue;
        if (l->target != l->type && now >= l->deadline) {
            if (l->target == F_UNLCK) {
                drop_locked(l);
                continue;
            }
            l->type = l->target;
            waitq_wake_all(&breakers, 0);
            if (!write) continue;
        }
        if (l->target != target && l->target != F_UNLCK) {
            if (*ntell == max) continue;
            l->deadline = ktime_add_sat(now, LEASE_BREAK_SECONDS * NSEC_PER_SEC);
            l->target = target;
            /* Still listed, so its last reference has not gone through file_lease_release. */
            if (ref_get_unless_zero(&l->f->refs)) {
                fds[*ntell] = l->fd;
                tell[(*ntell)++] = l->f;
            }
        }
        last = MAX(last, l->deadline);
    }
    return last;
}

int inode_break_lease(struct inode *i, bool write, bool nonblock)
{
    struct waiter w;
    bool hung = false;
    int r = 0;

    if (likely(!atomic_load(&nleases))) return 0;
    for (;;) {
        struct file *tell[8];
        int fds[8];
        unsigned n = 0;
        lock(&lease_lock);
        ktime_t until = break_all_locked(i, write, tell, fds, ARRAY_LEN(tell), &n);
        unlock(&lease_lock);
        for (unsigned k = 0; k < n; k++) {
            file_send_io(tell[k], fds[k], POLLMSG);
            file_put(tell[k]);
        }
        if (!until || r) break;
        if (nonblock) {
            r = -EAGAIN;
            break;
        }
        if (!hung) {
            waiter_init_current(&w, 0);
            waitq_add(&breakers, &w);
            hung = true;
            continue;
        }
        r = task_sleep(until);
        if (r == -ETIMEDOUT) r = 0;
    }
    if (hung) waitq_del(&w);
    return r;
}
