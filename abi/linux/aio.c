/* Kernel AIO: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2); <linux/aio_abi.h>. */
#include "sentry/vfs/aio.h"
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/clock.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/timers.h"

#include <linux/aio_abi.h>
#include <sys/uio.h>

#define AIO_KEY 0                  /* what io_submit writes into aio_key, and io_cancel wants to see there */
#define AIO_NR_LIMIT (0x10000000u / sizeof(struct io_event) / 2)   /* more is EINVAL, whatever fs.aio-max-nr says */
#define AIO_RWF (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

_Static_assert(sizeof(struct aio_event) == sizeof(struct io_event), "handed to the guest as it is");

static inline void aio_ctx_cleanup(struct aio_ctx **c) { if (*c) aio_ctx_put(*c); }
#define CTX_ARG(var, name)                                                                          \
    __attribute__((cleanup(aio_ctx_cleanup))) struct aio_ctx *var = aio_ctx_get(name);              \
    if (!var) return -EINVAL

sysret_t linux_io_setup(const struct syscall_args *a)
{
    u32 nr = ARG_U32(0);
    u64 old;
    gaddr_t name;

    if (copy_in(&old, a->a[1], sizeof old)) return -EFAULT;
    if (old || nr == 0 || nr > AIO_NR_LIMIT) return -EINVAL;
    int r = aio_setup(nr, &name);
    if (r) return r;
    if (!copy_out(a->a[1], &name, sizeof name)) return 0;
    struct aio_ctx *c = aio_ctx_get(name);
    if (c) {
        aio_destroy(c);
        aio_ctx_put(c);
        mm_unmap(current->mm, name, GPAGE_SIZE);
    }
    return -EFAULT;
}

sysret_t linux_io_destroy(const struct syscall_args *a)
{
    CTX_ARG(c, a->a[0]);
    int r = aio_destroy(c);
    if (!r) mm_unmap(current->mm, a->a[0], GPAGE_SIZE);
    return r;
}

static int transfer_flags(const struct iocb *cb, bool write, u32 *flags)
{
    u32 f = (u32)cb->aio_rw_flags;

    if (f & ~(u32)AIO_RWF || (f & RWF_APPEND && !write)) return -EOPNOTSUPP;
    *flags = f & (RWF_APPEND | RWF_DSYNC | RWF_SYNC);
    if (f & RWF_NOWAIT) *flags |= IOF_NONBLOCK;
    return 0;
}

/* 0: *res is the request's result; else the submission's error. */
static int transfer(const struct iocb *cb, struct file *f, bool write, bool vector, s64 *res)
{
    AUTO_UIO u = { 0 };
    u32 flags;
    int r = transfer_flags(cb, write, &flags);

    if (r) return r;
    if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ))) return -EBADF;
    if (S_ISDIR(f->inode->mode)) return -EINVAL;
    r = vector ? uio_init_guest_iov(&u, cb->aio_buf, cb->aio_nbytes) : uio_init_guest(&u, cb->aio_buf, cb->aio_nbytes);
    if (r) return r;
    if (!f->ops->seekable)
        *res = write ? vfs_write(f, &u, flags) : vfs_read(f, &u, flags);
    else if (cb->aio_offset < 0)
        return -EINVAL;
    else
        *res = write ? vfs_pwrite(f, &u, (u64)cb->aio_offset, flags) : vfs_pread(f, &u, (u64)cb->aio_offset, flags);
    /* The request cannot be made again as a system call could. */
    if (*res <= -ERESTARTSYS) *res = -EINTR;
    return 0;
}

static int sync_file(const struct iocb *cb, struct file *f, bool data_only, s64 *res)
{
    if (cb->aio_buf || cb->aio_offset || cb->aio_nbytes || cb->aio_rw_flags) return -EINVAL;
    *res = vfs_fsync(f, data_only);
    return *res == -EINVAL ? -EINVAL : 0;
}

static int submit_one(struct aio_ctx *c, gaddr_t at)
{
    struct iocb cb;
    struct eventfd *notify = NULL;
    s64 res = 0;
    int r;

    if (copy_in(&cb, at, sizeof cb)) return -EFAULT;
    if (cb.aio_reserved2 || (s64)cb.aio_nbytes < 0) return -EINVAL;
    FILE_ARG(f, cb.aio_fildes);
    if (cb.aio_flags & IOCB_FLAG_RESFD) {
        FILE_ARG(e, cb.aio_resfd);
        notify = eventfd_get(e);
        if (!notify) return -EINVAL;
    }
    struct aio_req *req = aio_begin(c, at, cb.aio_data, notify);
    if (!req) return -EAGAIN;
    const __u32 key = AIO_KEY;
    r = copy_out(at + offsetof(struct iocb, aio_key), &key, sizeof key);
    if (r) {
        aio_abandon(req);
        return r;
    }
    switch (cb.aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PREADV:
        r = transfer(&cb, f, false, cb.aio_lio_opcode == IOCB_CMD_PREADV, &res);
        break;
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PWRITEV:
        r = transfer(&cb, f, true, cb.aio_lio_opcode == IOCB_CMD_PWRITEV, &res);
        break;
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        r = sync_file(&cb, f, cb.aio_lio_opcode == IOCB_CMD_FDSYNC, &res);
        break;
    case IOCB_CMD_POLL:
        if (cb.aio_buf > UINT16_MAX || cb.aio_offset || cb.aio_nbytes || cb.aio_rw_flags) {
            r = -EINVAL;
            break;
        }
        aio_poll(req, f, (u32)cb.aio_buf);
        return 0;
    default:
        r = -EINVAL;
    }
    if (r)
        aio_abandon(req);
    else
        aio_complete(req, res);
    return r;
}

sysret_t linux_io_submit(const struct syscall_args *a)
{
    s64 n = (s64)a->a[1], i;
    int r = 0;

    if (n < 0) return -EINVAL;
    CTX_ARG(c, a->a[0]);
    for (i = 0; i < n && !r; i++) {
        gaddr_t at;
        r = copy_in(&at, a->a[2] + (u64)i * sizeof at, sizeof at) ? -EFAULT : submit_one(c, at);
        if (r) break;
    }
    return i ? i : r;
}

sysret_t linux_io_cancel(const struct syscall_args *a)
{
    u32 key;

    if (copy_in(&key, a->a[1] + offsetof(struct iocb, aio_key), sizeof key)) return -EFAULT;
    if (key != AIO_KEY) return -EINVAL;
    CTX_ARG(c, a->a[0]);
    return aio_cancel(c, a->a[1]);
}

static int emit(void *arg, u64 n, const struct aio_event *e)
{
    return copy_out(*(const gaddr_t *)arg + n * sizeof *e, e, sizeof *e) ? -EFAULT : 0;
}

/* The timeout is not checked, as in Linux: one that lies in the past does not wait. */
static int getevents_deadline(gaddr_t p, ktime_t *out)
{
    struct timespec t;

    *out = KTIME_NEVER;
    if (!p) return 0;
    if (linux_copy_in_timespec(&t, p)) return -EFAULT;
    s64 ns;
    if (mul_overflow(t.tv_sec, NSEC_PER_SEC, &ns) || add_overflow(ns, t.tv_nsec, &ns)) ns = t.tv_sec < 0 ? -1 : KTIME_NEVER;
    *out = ns <= 0 ? 0 : ktime_add_sat(clock_mono(), ns);
    return 0;
}

static sysret_t getevents(const struct syscall_args *a, ktime_t deadline)
{
    s64 min = (s64)a->a[1], max = (s64)a->a[2];
    gaddr_t out = a->a[3];

    CTX_ARG(c, a->a[0]);
    if (min < 0 || min > max) return -EINVAL;
    return aio_wait(c, (u64)min, (u64)max, deadline, emit, &out);
}

sysret_t linux_io_getevents(const struct syscall_args *a)
{
    ktime_t deadline;
    int r = getevents_deadline(a->a[4], &deadline);

    if (r) return r;
    sysret_t n = getevents(a, deadline);
    return n == -ERESTARTSYS ? -EINTR : n;
}

sysret_t linux_io_pgetevents(const struct syscall_args *a)
{
    struct { gaddr_t mask; u64 size; } sig = { 0 };
    ktime_t deadline;
    int r = getevents_deadline(a->a[4], &deadline);

    if (r) return r;
    if (a->a[5] && copy_in(&sig, a->a[5], sizeof sig)) return -EFAULT;
    if (sig.mask) {
        ksigset_t m;
        r = linux_copy_in_sigset(&m, sig.mask, sig.size);
        if (r) return r;
        signal_set_temp_mask(&m);
    }
    sysret_t n = getevents(a, deadline);
    if (n == -ERESTARTSYS) n = -ERESTARTNOHAND;
    if (sig.mask && n != -ERESTARTNOHAND) signal_restore_temp_mask();
    return n;
}
