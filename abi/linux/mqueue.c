/* mq_open(2) and family: the structures of x86-64. */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "abi/linux/uapi_ipc.h"
#include "abi/linux/uapi_time.h"
#include "sentry/base/alloc.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/net/netlink.h"
#include <string.h>

static int name_in(char name[KPATH_MAX], gaddr_t p)
{
    ssize_t n = copy_in_str(name, p, KPATH_MAX);

    return n < 0 ? (int)n : n == 0 ? -ENOENT : 0;
}

sysret_t linux_mq_open(const struct syscall_args *a)
{
    char name[KPATH_MAX];
    u32 flags = ARG_U32(1);
    struct linux_mq_attr attr;
    struct mq_limits l, *lp = NULL;
    struct file *f;
    int r;

    if (a->a[3]) {
        if (copy_in(&attr, a->a[3], sizeof attr)) return -EFAULT;
        l = (struct mq_limits){ attr.maxmsg, attr.msgsize };
        lp = &l;
    }
    if ((r = name_in(name, a->a[0]))) return r;
    if ((r = mq_open_file(name, flags, ARG_U32(2) & ~current->fs->umask, lp, &f))) return r;
    r = fd_install(f, true);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_mq_unlink(const struct syscall_args *a)
{
    char name[KPATH_MAX];
    int r = name_in(name, a->a[0]);

    return r ? r : mq_remove(name);
}

/* An absolute time on CLOCK_REALTIME, or none. */
static int deadline_in(ktime_t *out, gaddr_t p)
{
    *out = KTIME_NEVER;
    return p ? linux_copy_in_ktime(out, p) : 0;
}

sysret_t linux_mq_timedsend(const struct syscall_args *a)
{
    u64 len = a->a[2];
    ktime_t deadline;
    int e = deadline_in(&deadline, a->a[4]);

    if (e) return e;
    if (ARG_U32(3) >= MQ_PRIO_LIMIT) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!mq_is(f) || !(f->mode & FMODE_WRITE)) return -EBADF;
    if (len > (u64)mq_msgsize(f)) return -EMSGSIZE;
    void *data = xzalloc(len + 1);
    sysret_t r = copy_in(data, a->a[1], len) ? -EFAULT : mq_send_msg(f, data, len, ARG_U32(3), deadline);
    if (r) free(data);
    return r;
}

sysret_t linux_mq_timedreceive(const struct syscall_args *a)
{
    AUTO_FREE void *data = NULL;
    ktime_t deadline;
    u32 prio;
    int e = deadline_in(&deadline, a->a[4]);

    if (e) return e;
    FILE_ARG(f, a->a[0]);
    if (!mq_is(f) || !(f->mode & FMODE_READ)) return -EBADF;
    if (a->a[2] < (u64)mq_msgsize(f)) return -EMSGSIZE;
    sysret_t r = mq_receive_msg(f, &data, &prio, deadline);
    if (r < 0) return r;
    if (a->a[3] && copy_out(a->a[3], &prio, sizeof prio)) return -EFAULT;
    if (copy_out(a->a[1], data, (size_t)r)) return -EFAULT;
    return r;
}

sysret_t linux_mq_notify(const struct syscall_args *a)
{
    struct linux_sigevent ev;
    struct mq_notice n = { 0 };

    if (a->a[1]) {
        if (copy_in(&ev, a->a[1], sizeof ev)) return -EFAULT;
        switch (ev.notify) {
        case 0:   /* SIGEV_SIGNAL */
            if (ev.signo < 1 || ev.signo > 64) return -EINVAL;
            n.signo = ev.signo;
            n.value = ev.value;
            break;
        case 1:   /* SIGEV_NONE */
            n.none = true;
            break;
        case 2: { /* SIGEV_THREAD: libc waits on a netlink socket of its own for its cookie to come back */
            if (copy_in(n.cookie, ev.value, sizeof n.cookie)) return -EFAULT;
            FILE_ARG(s, (u32)ev.signo);
            if (!s->inode || !S_ISSOCK(s->inode->mode)) return -ENOTSOCK;
            if (!file_is_netlink(s)) return -EINVAL;
            n.sock = s;
            FILE_ARG(f, a->a[0]);
            return mq_is(f) ? mq_set_notice(f, &n) : -EBADF;
        }
        default:
            return -EINVAL;
        }
    }
    FILE_ARG(f, a->a[0]);
    if (!mq_is(f)) return -EBADF;
    return mq_set_notice(f, a->a[1] ? &n : NULL);
}

sysret_t linux_mq_getsetattr(const struct syscall_args *a)
{
    struct linux_mq_attr in = { 0 }, out = { 0 };
    struct mq_state st;

    if (a->a[1]) {
        if (copy_in(&in, a->a[1], sizeof in)) return -EFAULT;
        if (in.flags & ~(s64)O_NONBLOCK) return -EINVAL;
    }
    FILE_ARG(f, a->a[0]);
    if (!mq_is(f)) return -EBADF;
    mq_get_state(f, &st);
    if (a->a[1]) {
        if (in.flags & O_NONBLOCK) atomic_or(&f->flags, (u32)O_NONBLOCK);
        else atomic_and(&f->flags, ~(u32)O_NONBLOCK);
    }
    out.flags = st.flags;
    out.maxmsg = st.maxmsg;
    out.msgsize = st.msgsize;
    out.curmsgs = st.curmsgs;
    return a->a[2] && copy_out(a->a[2], &out, sizeof out) ? -EFAULT : 0;
}
