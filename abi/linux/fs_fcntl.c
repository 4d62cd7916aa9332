/* fcntl(2), flock(2). */
#include "abi/linux/fs.h"
#include "abi/linux/uapi_fs.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/vfs/fasync.h"
#include "sentry/vfs/lease.h"

#include <fcntl.h>
#include <unistd.h>

sysret_t linux_fcntl(const struct syscall_args *a);
sysret_t linux_flock(const struct syscall_args *a);

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif
#ifndef F_CREATED_QUERY
#define F_CREATED_QUERY (1024 + 4)
#endif

static sysret_t set_flags(struct file *f, int fd, u32 arg)
{
    u32 was = atomic_load(&f->flags);
    int err = vfs_set_flags(f, arg);
    if (!err && ((was | arg) & O_ASYNC)) file_async_update(f, fd);
    return err;
}

/* l_whence and l_len to an inclusive range; fcntl(2) "Advisory record locking". */
static int lock_range(struct file *f, const struct linux_flock *l, struct klock *k)
{
    s64 start = 0, end;
    switch (l->whence) {
    case SEEK_SET: break;
    case SEEK_CUR:
        lock(&f->pos_lock);
        start = (s64)f->pos;
        unlock(&f->pos_lock);
        break;
    case SEEK_END: {
        struct kstat st;
        int err = vfs_stat_file(f, &st);
        if (err) return err;
        start = (s64)st.size;
        break;
    }
    default: return -EINVAL;
    }
    if (add_overflow(start, l->start, &start)) return -EOVERFLOW;
    if (start < 0) return -EINVAL;
    if (l->len > 0) {
        if (add_overflow(start, l->len - 1, &end)) return -EOVERFLOW;
    } else if (l->len < 0) {
        end = start - 1;
        start += l->len;
        if (start < 0) return -EINVAL;
    } else {
        end = INT64_MAX;
    }
    *k = (struct klock){ .type = l->type, .start = (u64)start, .end = (u64)end, .pid = current->tg->tgid };
    return 0;
}

static sysret_t record_lock(struct file *f, int cmd, gaddr_t arg)
{
    bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
    struct linux_flock l;
    struct klock k;
    int err = copy_in(&l, arg, sizeof(l));
    if (err) return err;
    if (l.type != F_RDLCK && l.type != F_WRLCK && l.type != F_UNLCK) return -EINVAL;
    if (ofd && l.pid) return -EINVAL;
    if ((err = lock_range(f, &l, &k))) return err;
    if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
        if (l.type == F_UNLCK && !ofd) return -EINVAL;
        if ((err = vfs_getlk(f, &k, ofd))) return err;
        l.type = (s16)k.type;
        if (k.type != F_UNLCK) {
            l.whence = SEEK_SET;
            l.start = (s64)k.start;
            l.len = k.end == INT64_MAX ? 0 : (s64)(k.end - k.start) + 1;
            l.pid = k.pid > 0 ? pid_out(k.pid) : k.pid;
        }
        return copy_out(arg, &l, sizeof(l));
    }
    if (l.type == F_RDLCK && !(f->mode & FMODE_READ)) return -EBADF;
    if (l.type == F_WRLCK && !(f->mode & FMODE_WRITE)) return -EBADF;
    return vfs_setlk(f, &k, ofd, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

static sysret_t owner_cmd(struct file *f, int cmd, u64 arg)
{
    struct linux_f_owner_ex ex;
    struct file_owner o;
    int err;
    switch (cmd) {
    case F_SETOWN:
        if ((s32)arg == INT32_MIN) return -EINVAL;
        return (s32)arg < 0 ? file_set_owner(f, F_OWNER_PGRP, pid_in(-(s32)arg)) : file_set_owner(f, F_OWNER_PID, pid_in((s32)arg));
    case F_GETOWN:
        o = file_get_owner(f);
        return o.type == F_OWNER_PGRP ? -pid_out(o.id) : pid_out(o.id);
    case F_SETOWN_EX:
        if ((err = copy_in(&ex, arg, sizeof(ex)))) return err;
        if (ex.type != F_OWNER_TID && ex.type != F_OWNER_PID && ex.type != F_OWNER_PGRP) return -EINVAL;
        return file_set_owner(f, ex.type, pid_in(ex.pid));
    case F_GETOWN_EX:
        o = file_get_owner(f);
        ex = (struct linux_f_owner_ex){ .type = o.id ? o.type : F_OWNER_TID, .pid = pid_out(o.id) };
        return copy_out(arg, &ex, sizeof(ex));
    case F_SETSIG:
        if (arg > 64) return -EINVAL;
        file_set_owner_sig(f, (int)arg);
        return 0;
    default: return file_get_owner(f).sig;
    }
}

static sysret_t dup_min(struct file *f, u64 min, bool cloexec)
{
    if ((s32)min < 0) return -EINVAL;
    file_get(f);
    int fd = fd_install_min(f, (int)min, cloexec);
    if (fd < 0) file_put(f);
    return fd;
}

static sysret_t rw_hint(int cmd, gaddr_t arg)
{
    u64 hint = 0; /* RWH_WRITE_LIFE_NOT_SET: a hint to a device; nothing here uses it */
    if (cmd == F_GET_RW_HINT) return copy_out(arg, &hint, sizeof(hint));
    int err = copy_in(&hint, arg, sizeof(hint));
    return err ? err : hint > 5 ? -EINVAL : 0;
}

sysret_t linux_fcntl(const struct syscall_args *a)
{
    int fd = (int)a->a[0], cmd = (int)a->a[1];
    u64 arg = a->a[2];
    FILE_PATH_ARG(f, fd);
    if (f->mode & FMODE_PATH) { /* open(2) O_PATH: the few that are allowed */
        switch (cmd) {
        case F_DUPFD: case F_DUPFD_CLOEXEC: case F_GETFD: case F_SETFD: case F_GETFL: case F_DUPFD_QUERY: break;
        default: return -EBADF;
        }
    }
    switch (cmd) {
    case F_DUPFD: return dup_min(f, arg, false);
    case F_DUPFD_CLOEXEC: return dup_min(f, arg, true);
    case F_GETFD: return fd_get_cloexec(fd);
    case F_SETFD: return fd_set_cloexec(fd, arg & FD_CLOEXEC);
    case F_GETFL: return (sysret_t)atomic_load(&f->flags);
    case F_SETFL: return set_flags(f, fd, (u32)arg);
    case F_GETLK: case F_SETLK: case F_SETLKW: case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW: return record_lock(f, cmd, arg);
    case F_SETOWN: case F_GETOWN: case F_SETOWN_EX: case F_GETOWN_EX: case F_SETSIG: case F_GETSIG: return owner_cmd(f, cmd, arg);
    case F_SETPIPE_SZ: return pipe_set_size(f, (u32)arg);
    case F_GETPIPE_SZ: return pipe_get_size(f);
    case F_ADD_SEALS: return memfd_add_seals(f, (u32)arg);
    case F_GET_SEALS: return memfd_get_seals(f);
    case F_GETLEASE: return file_get_lease(f);
    case F_SETLEASE: return file_set_lease(f, fd, (int)arg);
    case F_NOTIFY: return dnotify_set(f, fd, (u32)arg);
    case F_GET_RW_HINT: case F_SET_RW_HINT: return rw_hint(cmd, arg);
    case F_DUPFD_QUERY: {
        FILE_PATH_ARG(other, arg);
        return other == f;
    }
    case F_CREATED_QUERY: return (f->mode & FMODE_CREATED) != 0;
    default: return -EINVAL;
    }
}

sysret_t linux_flock(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    int op = (int)a->a[1];
    int kind = op & ~4; /* LOCK_NB */
    if (kind != 1 && kind != 2 && kind != 8) return -EINVAL;
    return vfs_flock(f, op);
}
