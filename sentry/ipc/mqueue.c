/*
 * POSIX message queues: inodes of a file system of their own, found by name in one flat table. Names are those of
 * mq_open(2) only: no directory shows them.
 */
#include "sentry/ipc/mqueue.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/net/netlink.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MQUEUE_MAGIC_ 0x19800202

struct mq_msg { TAILQ_ENTRY(mq_msg) link; u32 prio; u64 len; void *data; };

TAILQ_HEAD(mq_list, mq_msg);

/* (c): constant */
struct mqueue {
    lock_t lock;                   /* LC_PIPE; guards: */
    struct mq_list msgs;              /* highest priority first, then oldest */
    s64 curmsgs; u64 bytes;
    unsigned receivers;            /* asleep */
    struct tgroup *notify_owner;   /* counted; NULL: nobody asked */
    struct mq_notice notice;
    s64 maxmsg, msgsize;           /* (c) */
    struct waitq wait;             /* pollers, receivers and senders */
    u32 uid; u64 charged;          /* (c) RLIMIT_MSGQUEUE */
};

struct mq_name { char *name; struct inode *inode; /* counted */ UT_hash_handle hh; };
struct mq_user { u32 uid; u64 bytes; UT_hash_handle hh; };

static lock_t names_lock = LOCK_INIT(LC_CONTROL);   /* outer to inode and queue locks; guards: */
static struct mq_name *names;
static lock_t users_lock = LOCK_INIT(LC_LEAF);      /* guards: */
static struct mq_user *users;

static struct super mq_sb;
static struct mount *mq_mnt;
static pthread_once_t mq_once = PTHREAD_ONCE_INIT;
static const struct file_ops mq_file_ops;

static struct mqueue *mq_of(const struct inode *i) { return i->priv; }

static bool charge(u32 uid, u64 bytes, u64 limit)
{
    struct mq_user *u;
    bool ok;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    if (!u) {
        u = xnew(struct mq_user);
        u->uid = uid;
        HASH_ADD(hh, users, uid, sizeof u->uid, u);
    }
    ok = u->bytes + bytes >= u->bytes && u->bytes + bytes <= limit;
    if (ok) u->bytes += bytes;
    unlock(&users_lock);
    return ok;
}

static void uncharge(u32 uid, u64 bytes)
{
    struct mq_user *u;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    if (u) u->bytes -= bytes;
    unlock(&users_lock);
}

/* Whoever asked hears what became of it (0: nothing), and is let go of. No lock is held. */
static void notice_end(struct tgroup *to, struct mq_notice *n, u8 what)
{
    if (n->sock) {
        n->cookie[MQ_COOKIE - 1] = what;
        if (what) netlink_deliver(n->sock, n->cookie, MQ_COOKIE);
        file_put(n->sock);
    }
    tgroup_put(to);
}

static void mq_inode_free(struct inode *i)
{
    struct mqueue *q = mq_of(i);
    struct mq_msg *m;

    if (q) {
        while ((m = TAILQ_FIRST(&q->msgs))) {
            TAILQ_REMOVE(&q->msgs, m, link);
            free(m->data);
            free(m);
        }
        if (q->notify_owner) notice_end(q->notify_owner, &q->notice, 0);
        uncharge(q->uid, q->charged);
        waitq_fini(&q->wait);
        lock_fini(&q->lock);
        free(q);
    }
    inode_fini(i);
    free(i);
}

static const struct inode_ops mq_inode_ops = { .free = mq_inode_free };
static const struct super_ops mq_super_ops = { .name = "mqueue" };

static void mq_setup(void)
{
    super_init(&mq_sb, &mq_super_ops, MQUEUE_MAGIC_);
    mq_sb.root = dentry_new_root(&mq_sb, inode_new(&mq_sb, &mq_inode_ops, NULL, inode_next_ino(), S_IFDIR | S_ISVTX | 0777));
    mq_mnt = mount_new_internal(&mq_sb);
}

/* --- names --- */

static int check_name(const char *name)
{
    if (!*name) return -ENOENT;
    if (strlen(name) > KNAME_MAX) return -ENAMETOOLONG;
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) return -EACCES;
    return 0;
}

static int check_limits(const struct mq_limits *l)
{
    struct ipc_settings *set = ipc_ns_settings();
    bool big = capable(CAP_SYS_RESOURCE);
    u64 total;

    if (l->maxmsg <= 0 || l->msgsize <= 0) return -EINVAL;
    if (l->maxmsg > (big ? MQ_HARD_MSG_MAX : atomic_load(&set->msg_max))) return -EINVAL;
    if (l->msgsize > (big ? MQ_HARD_MSGSIZE_MAX : atomic_load(&set->msgsize_max))) return -EINVAL;
    if (mul_overflow((u64)l->maxmsg, (u64)l->msgsize, &total)) return -EOVERFLOW;
    return 0;
}

static int mq_inode_new(u32 mode, const struct mq_limits *l, struct inode **out)
{
    /* What Linux counts: the messages, their headers and the tree that sorts them. */
    u64 n = (u64)l->maxmsg, cost = n * (u64)l->msgsize + n * 48 + MIN(n, (u64)MQ_PRIO_LIMIT) * 48;

    if (!charge(current->cred->uid, cost, current_rlimit(RLIMIT_MSGQUEUE))) return -EMFILE;
    struct mqueue *q = xnew(struct mqueue);
    struct inode *i = inode_new(&mq_sb, &mq_inode_ops, &mq_file_ops, inode_next_ino(), S_IFREG | (mode & 0777));
    lock_init(&q->lock, LC_PIPE);
    waitq_init(&q->wait);
    TAILQ_INIT(&q->msgs);
    q->maxmsg = l->maxmsg;
    q->msgsize = l->msgsize;
    q->uid = current->cred->uid;
    q->charged = cost;
    i->priv = q;
    i->uid = current->cred->fsuid;
    i->gid = current->cred->fsgid;
    i->size = 80;                  /* of its text: FILENT_SIZE */
    *out = i;
    return 0;
}

/* Names are told apart by IPC namespace. */
static void make_key(char *key, size_t size, const char *name) { snprintf(key, size, "%08x%s", ipc_ns_mark(), name); }

static int find_or_make(const char *name, u32 flags, u32 mode, const struct mq_limits *l, struct inode **out)
{
    struct ipc_settings *set = ipc_ns_settings();
    const struct mq_limits defaults = { MIN(atomic_load(&set->msg_default), atomic_load(&set->msg_max)),
                                        MIN(atomic_load(&set->msgsize_default), atomic_load(&set->msgsize_max)) };
    static const int masks[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE };
    struct mq_name *n;
    char key[KPATH_MAX];
    int r;

    make_key(key, sizeof key, name);
    HASH_FIND_STR(names, key, n);
    if (n) {
        if ((flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
        if ((r = inode_permission(n->inode, masks[flags & O_ACCMODE], current->cred))) return r;
        inode_get(*out = n->inode);
        return 0;
    }
    if (!(flags & O_CREAT)) return -ENOENT;
    if (l && (r = check_limits(l))) return r;
    if (set->nqueues >= atomic_load(&set->queues_max) && !capable(CAP_SYS_RESOURCE)) return -ENOSPC;
    if ((r = mq_inode_new(mode, l ? l : &defaults, out))) return r;
    n = xnew(struct mq_name);
    n->name = xstrdup(key);
    inode_get(n->inode = *out);
    HASH_ADD_KEYPTR(hh, names, n->name, strlen(n->name), n);
    set->nqueues++;
    return 0;
}

int mq_open_file(const char *name, u32 flags, u32 mode, const struct mq_limits *limits, struct file **out)
{
    struct inode *i;
    int r;

    pthread_once(&mq_once, mq_setup);
    if ((flags & O_ACCMODE) == O_ACCMODE) return -EINVAL;
    if ((r = check_name(name))) return r;
    lock(&names_lock);
    r = find_or_make(name, flags, mode, limits, &i);
    unlock(&names_lock);
    if (r) return r;
    inode_get(i);
    mount_get(mq_mnt);
    struct path p = { mq_mnt, dentry_new_disconnected(&mq_sb, name, i, false) };
    *out = file_new(&mq_file_ops, &p, i, flags & (O_ACCMODE | O_NONBLOCK));
    path_put(&p);
    inode_put(i);
    return 0;
}

void mq_ns_exit(u32 mark)
{
    char prefix[16];
    struct mq_name *n, *next, *gone = NULL;

    snprintf(prefix, sizeof prefix, "%08x", mark);
    lock(&names_lock);
    HASH_ITER(hh, names, n, next) {
        if (strncmp(n->name, prefix, 8)) continue;
        HASH_DEL(names, n);
        n->inode->nlink = 0;
        HASH_ADD_KEYPTR(hh, gone, n->name, strlen(n->name), n);
    }
    unlock(&names_lock);
    HASH_ITER(hh, gone, n, next) {
        HASH_DEL(gone, n);
        inode_put(n->inode);
        free(n->name);
        free(n);
    }
}

int mq_remove(const char *name)
{
    struct mq_name *n;
    int r = check_name(name);

    if (r) return r;
    char key[KPATH_MAX];
    make_key(key, sizeof key, name);
    lock(&names_lock);
    HASH_FIND_STR(names, key, n);
    if (!n) r = -ENOENT;
    else if (!inode_owner_or_capable(n->inode)) r = -EPERM;   /* the directory of all queues is sticky */
    if (!r) {
        HASH_DEL(names, n);
        ipc_ns_settings()->nqueues--;
        n->inode->nlink = 0;
    }
    unlock(&names_lock);
    if (r) return r;
    inode_put(n->inode);
    free(n->name);
    free(n);
    return 0;
}

bool mq_is(const struct file *f) { return f->ops == &mq_file_ops; }
s64 mq_msgsize(struct file *f) { return mq_of(f->inode)->msgsize; }

/* --- messages --- */

/* The queue was empty and nobody waited: whoever asked hears of it, once. */
static void notify_locked(struct mqueue *q, struct tgroup **to, struct ksiginfo *info, struct mq_notice *notice)
{
    if (!q->notify_owner || q->curmsgs != 1 || q->receivers) return;
    *notice = q->notice;
    if (!q->notice.none && !q->notice.sock) {
        ksiginfo_user(info, q->notice.signo, SI_MESGQ);
        info->value = q->notice.value;
    }
    *to = q->notify_owner;
    q->notify_owner = NULL;
}

static int wait_more(ktime_t deadline)
{
    int r = task_sleep(kclock_to_mono(CLOCK_REALTIME, deadline));

    if (r == -ETIMEDOUT && clock_real() < deadline) r = 0;
    return r;
}

sysret_t mq_send_msg(struct file *f, void *data, u64 len, u32 prio, ktime_t deadline)
{
    struct mqueue *q = mq_of(f->inode);
    struct mq_msg *m = xnew(struct mq_msg), *at;
    struct tgroup *to = NULL;
    struct ksiginfo info = { 0 };
    struct mq_notice notice;
    struct waiter w;
    int r = 0;

    *m = (struct mq_msg){ .prio = prio, .len = len, .data = data };
    waiter_init_current(&w, POLLOUT);
    waitq_add(&q->wait, &w);
    for (;;) {
        lock(&q->lock);
        if (q->curmsgs < q->maxmsg) break;
        unlock(&q->lock);
        if (file_nonblock(f, 0)) r = -EAGAIN;
        else r = wait_more(deadline);
        if (r) break;
    }
    if (!r) {
        TAILQ_FOREACH_REVERSE(at, &q->msgs, mq_list, link)
            if (at->prio >= prio) break;
        if (at) TAILQ_INSERT_AFTER(&q->msgs, at, m, link);
        else TAILQ_INSERT_HEAD(&q->msgs, m, link);
        q->curmsgs++;
        q->bytes += len;
        notify_locked(q, &to, &info, &notice);
        unlock(&q->lock);
        waitq_wake(&q->wait, POLLIN);
        inode_touch(f->inode, ATTR_MTIME);
    }
    waitq_del(&w);
    if (to) {
        if (info.signo) signal_send_group(to, &info);
        notice_end(to, &notice, MQ_WOKEN_UP);
    }
    if (r) free(m);
    return r;
}

sysret_t mq_receive_msg(struct file *f, void **data, u32 *prio, ktime_t deadline)
{
    struct mqueue *q = mq_of(f->inode);
    struct mq_msg *m = NULL;
    struct waiter w;
    sysret_t r = 0;

    waiter_init_current(&w, POLLIN);
    waitq_add(&q->wait, &w);
    for (;;) {
        lock(&q->lock);
        m = TAILQ_FIRST(&q->msgs);
        if (m) break;
        if (file_nonblock(f, 0)) r = -EAGAIN;
        else q->receivers++;
        unlock(&q->lock);
        if (r) break;
        r = wait_more(deadline);
        lock(&q->lock);
        q->receivers--;
        unlock(&q->lock);
        if (r) break;
    }
    if (m) {
        TAILQ_REMOVE(&q->msgs, m, link);
        q->curmsgs--;
        q->bytes -= m->len;
        unlock(&q->lock);
        waitq_wake(&q->wait, POLLOUT);
        *data = m->data;
        *prio = m->prio;
        r = (sysret_t)m->len;
        free(m);
    }
    waitq_del(&w);
    return r;
}

int mq_set_notice(struct file *f, const struct mq_notice *n)
{
    struct mqueue *q = mq_of(f->inode);
    struct tgroup *old = NULL;
    struct mq_notice notice;
    int r = 0;

    lock(&q->lock);
    if (!n) {
        if (q->notify_owner == current->tg) {
            old = q->notify_owner;
            notice = q->notice;
            q->notify_owner = NULL;
        }
    } else if (q->notify_owner) {
        r = -EBUSY;
    } else {
        q->notice = *n;
        if (n->sock) file_get(n->sock);
        tgroup_get(q->notify_owner = current->tg);
    }
    unlock(&q->lock);
    if (old) notice_end(old, &notice, MQ_REMOVED);
    return r;
}

void mq_get_state(struct file *f, struct mq_state *out)
{
    struct mqueue *q = mq_of(f->inode);

    lock(&q->lock);
    *out = (struct mq_state){ .flags = f->flags & O_NONBLOCK, .maxmsg = q->maxmsg, .msgsize = q->msgsize, .curmsgs = q->curmsgs };
    unlock(&q->lock);
}

/* --- as a file --- */

static u32 mq_poll(struct file *f, struct waiter *w)
{
    struct mqueue *q = mq_of(f->inode);
    u32 r = 0;

    if (w) waitq_add(&q->wait, w);
    lock(&q->lock);
    if (q->curmsgs) r |= POLLIN | POLLRDNORM;
    if (q->curmsgs < q->maxmsg) r |= POLLOUT | POLLWRNORM;
    unlock(&q->lock);
    return r;
}

static ssize_t mq_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct mqueue *q = mq_of(f->inode);
    char text[128];

    lock(&q->lock);
    int n = snprintf(text, sizeof text, "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", (unsigned long)q->bytes,
                     !q->notify_owner ? 0 : q->notice.none ? SIGEV_NONE : q->notice.sock ? SIGEV_THREAD : SIGEV_SIGNAL, q->notify_owner && !q->notice.none ? q->notice.signo : 0,
                     q->notify_owner ? q->notify_owner->tgid : 0);
    unlock(&q->lock);
    if (*pos >= (u64)n) return 0;
    ssize_t r = uio_copy_out(u, text + *pos, MIN(u->resid, (u64)n - *pos));
    if (r > 0) *pos += (u64)r;
    return r;
}

static int mq_flush(struct file *f) { return mq_set_notice(f, NULL); }

static const struct file_ops mq_file_ops = { .read = mq_read, .seekable = true, .poll = mq_poll, .flush = mq_flush };
