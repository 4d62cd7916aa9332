/* open, close, pipe, fcntl, umask, directories. Source: open(2), fcntl(2), sys/fcntl.h of illumos. */
#include "abi/solaris/solaris.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/vfs/fasync.h"
#include <linux/capability.h>

#ifndef O_PATH
#error "GNU headers expected"
#endif

/* O_ACCMODE's three low values are equal; the rest by this table. */
static const struct sol_flag open_flags[] = {
    { 0x8, O_APPEND }, { 0x10, O_SYNC }, { 0x40, O_DSYNC }, { 0x80, O_NONBLOCK }, { 0x4, O_NONBLOCK }, { 0x100, O_CREAT }, { 0x200, O_TRUNC },
    { 0x400, O_EXCL }, { 0x800, O_NOCTTY }, { 0x2000, 0 }, { 0x8000, O_SYNC }, { 0x20000, O_NOFOLLOW }, { 0x40000, 0 }, { 0x800000, O_CLOEXEC },
    { 0x1000000, O_DIRECTORY }, { 0x2000000, O_DIRECT },
};
#define SO_XATTR 0x4000u
#define SO_SEARCH 0x200000u
#define SO_EXEC 0x400000u

static sysret_t do_open(int dirfd, gaddr_t p, u32 oflag, u32 mode)
{
    u32 acc = oflag & 3, unknown;
    struct open_how_k how;
    struct file *f;
    int r, fd;

    PATH_ARG(path, p);
    if (oflag & SO_XATTR) return -EINVAL;       /* no attribute directories */
    if (acc == 3) return -EINVAL;
    how = (struct open_how_k){ .flags = acc | sol_flags_in(open_flags, ARRAY_LEN(open_flags), oflag & ~(3u | SO_SEARCH | SO_EXEC), &unknown) };
    if (oflag & (SO_SEARCH | SO_EXEC)) how.flags |= O_PATH;
    if (how.flags & O_CREAT) how.mode = mode & 07777;
    if ((r = sol_open(dirfd, path, &how, &f))) return r == -ELOOP && (how.flags & O_NOFOLLOW) ? -ELOOP : r;
    fd = fd_install(f, how.flags & O_CLOEXEC);
    if (fd < 0) file_put(f);
    return fd;
}

sysret_t solaris_open(const struct syscall_args *a) { return do_open(AT_FDCWD, a->a[0], ARG_U32(1), ARG_U32(2)); }
sysret_t solaris_openat(const struct syscall_args *a) { return do_open(sol_dirfd(a->a[0]), a->a[1], ARG_U32(2), ARG_U32(3)); }

sysret_t solaris_close(const struct syscall_args *a)
{
    int r = fd_close(ARG_INT(0));
    return r == -ERESTARTSYS ? -EINTR : r;
}

/* pipe(fds, flags) */
sysret_t solaris_pipe(const struct syscall_args *a)
{
    struct file *f[2];
    u32 unknown, flags = sol_flags_in(open_flags, ARRAY_LEN(open_flags), ARG_U32(1), &unknown);
    s32 fd[2];
    int r;

    if (unknown || flags & ~(u32)(O_CLOEXEC | O_NONBLOCK)) return -EINVAL;
    if ((r = pipe_create(f, flags))) return r;
    fd[0] = fd_install(f[0], flags & O_CLOEXEC);
    if (fd[0] < 0) {
        file_put(f[0]);
        file_put(f[1]);
        return fd[0];
    }
    fd[1] = fd_install(f[1], flags & O_CLOEXEC);
    if (fd[1] < 0) {
        (void)fd_close(fd[0]);
        file_put(f[1]);
        return fd[1];
    }
    if (copy_out(a->a[0], fd, sizeof(fd))) {
        (void)fd_close(fd[0]);
        (void)fd_close(fd[1]);
        return -EFAULT;
    }
    return 0;
}

sysret_t solaris_umask(const struct syscall_args *a)
{
    struct fs_context *fs = current->fs;

    lock(&fs->lock);
    u32 old = fs->umask;
    fs->umask = ARG_U32(0) & 0777;
    unlock(&fs->lock);
    return old;
}

/* getcwd(buf, n): 0, not a length */
sysret_t solaris_getcwd(const struct syscall_args *a)
{
    AUTO_PATH cwd = { 0 }, root = { 0 };
    char buf[KPATH_MAX];

    fs_get_cwd(current->fs, &cwd);
    fs_get_root(current->fs, &root);
    if (!a->a[1]) return -EINVAL;
    if (cwd.dentry->deleted) return -ENOENT;
    int n = vfs_path_text(&cwd, &root, buf, sizeof(buf));
    if (n < 0) return n;
    size_t len = strlen(buf) + 1;
    return len > a->a[1] ? -ERANGE : copy_out(a->a[0], buf, len);
}

sysret_t solaris_chdir(const struct syscall_args *a)
{
    PATH_ARG(path, a->a[0]);
    return vfs_chdir(path);
}

sysret_t solaris_fchdir(const struct syscall_args *a)
{
    AUTO_FILE f = fd_get_path(ARG_INT(0));
    if (!f) return -EBADF;
    if (!f->path.dentry || !S_ISDIR(f->inode->mode)) return -ENOTDIR;
    int r = inode_permission(f->inode, MAY_EXEC, current_cred());
    return r ? r : fs_set_cwd(&f->path);
}

sysret_t solaris_chroot(const struct syscall_args *a)
{
    PATH_ARG(path, a->a[0]);
    return vfs_chroot(path);
}

sysret_t solaris_fchroot(const struct syscall_args *a)
{
    AUTO_FILE f = fd_get_path(ARG_INT(0));
    if (!f) return -EBADF;
    if (!f->path.dentry || !S_ISDIR(f->inode->mode)) return -ENOTDIR;
    int r = inode_permission(f->inode, MAY_EXEC, current_cred());
    if (r) return r;
    return own_ns_capable(CAP_SYS_CHROOT) ? fs_set_root(&f->path) : -EPERM;
}

/* --- fcntl --- */

enum {
    FC_DUPFD = 0, FC_GETFD, FC_SETFD, FC_GETFL, FC_SETFL, FC_SETLK = 6, FC_SETLKW = 7, FC_DUP2FD = 9, FC_ALLOCSP = 10, FC_FREESP = 11, FC_ISSTREAM = 13,
    FC_GETLK = 14, FC_GETOWN = 23, FC_SETOWN = 24, FC_DUP2FD_CLOEXEC = 36, FC_DUPFD_CLOEXEC = 37, FC_SHARE = 40, FC_UNSHARE = 41, FC_GETXFL = 45,
    FC_BADFD = 46, FC_OFD_GETLK = 47, FC_OFD_SETLK, FC_OFD_SETLKW, FC_FLOCK = 53, FC_FLOCKW = 54,
};
#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT)

static u32 flags_out(const struct file *f)
{
    u32 v = atomic_load(&f->flags) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT), out = v & 3;

    if (f->mode & FMODE_PATH) return SO_SEARCH;
    return out | sol_flags_out(open_flags, ARRAY_LEN(open_flags), v & ~3u) | 0x2000;
}

static sysret_t set_flags(struct file *f, u32 v)
{
    u32 host = sol_flags_in(open_flags, ARRAY_LEN(open_flags), v & (0x8 | 0x80 | 0x4 | 0x2000000), NULL), want, old = atomic_load(&f->flags);

    if (!S_ISREG(f->inode->mode)) host &= ~(u32)O_DIRECT;
    want = (old & ~(u32)SETFL_MASK) | (old & O_ASYNC) | host;
    if (f->ops->set_flags) {
        int r = f->ops->set_flags(f, want);
        if (r) return r;
    }
    atomic_store(&f->flags, want);
    return 0;
}

static int lock_start(struct file *f, int whence, s64 *start)
{
    struct kstat st;
    int r;

    *start = 0;
    switch (whence) {
    case SEEK_SET: return 0;
    case SEEK_CUR:
        lock(&f->pos_lock);
        *start = (s64)f->pos;
        unlock(&f->pos_lock);
        return 0;
    case SEEK_END:
        if ((r = vfs_stat_file(f, &st))) return r;
        *start = (s64)st.size;
        return 0;
    default: return -EINVAL;
    }
}

static int lock_range(struct file *f, const struct sol_flock *l, struct klock *k)
{
    s64 start, end;
    int r = lock_start(f, l->whence, &start);

    if (r) return r;
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
    *k = (struct klock){ .start = (u64)start, .end = (u64)end, .pid = current->tg->tgid };
    return 0;
}

/* l_type: 1 read, 2 write, 3 unlock */
static sysret_t record_lock(struct file *f, int cmd, gaddr_t arg)
{
    bool ofd = cmd >= FC_OFD_GETLK && cmd <= FC_OFD_SETLKW, get = cmd == FC_GETLK || cmd == FC_OFD_GETLK;
    struct sol_flock l;
    struct klock k;
    int r;

    if (copy_in(&l, arg, sizeof(l))) return -EFAULT;
    if (l.type < 1 || l.type > 3) return -EINVAL;
    if (ofd && (l.whence != SEEK_SET || l.pid)) return -EINVAL;
    if ((r = lock_range(f, &l, &k))) return r;
    k.type = l.type - 1;
    if (get) {
        if ((r = vfs_getlk(f, &k, ofd))) return r;
        l.type = (s16)(k.type + 1);
        if (k.type != F_UNLCK) {
            l.whence = SEEK_SET;
            l.start = (s64)k.start;
            l.len = k.end == INT64_MAX ? 0 : (s64)(k.end - k.start) + 1;
            l.pid = k.pid;
            l.sysid = 0;
        }
        return copy_out(arg, &l, sizeof(l));
    }
    if (k.type == F_RDLCK && !(f->mode & FMODE_READ)) return -EBADF;
    if (k.type == F_WRLCK && !(f->mode & FMODE_WRITE)) return -EBADF;
    return vfs_setlk(f, &k, ofd, cmd == FC_SETLKW || cmd == FC_OFD_SETLKW);
}

/* flock(3C): the lock type in struct flock, the whole file */
static sysret_t whole_lock(struct file *f, bool wait, gaddr_t arg)
{
    static const int ops[] = { 0, 1 /* LOCK_SH */, 2 /* LOCK_EX */, 8 /* LOCK_UN */ };
    struct sol_flock l;

    if (copy_in(&l, arg, sizeof(l))) return -EFAULT;
    if (l.type < 1 || l.type > 3) return -EINVAL;
    return vfs_flock(f, ops[l.type] | (wait ? 0 : 4));
}

/* F_FREESP: with length 0 it truncates; else it makes a hole. */
static sysret_t free_space(struct file *f, gaddr_t arg)
{
    struct sol_flock l;
    s64 start;
    int r;

    if (copy_in(&l, arg, sizeof(l))) return -EFAULT;
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    if ((r = lock_start(f, l.whence, &start))) return r;
    if (add_overflow(start, l.start, &start) || start < 0 || l.len < 0) return -EINVAL;
    if (!l.len) return vfs_ftruncate(f, (u64)start);
    if (!f->ops->fallocate) return -EINVAL;
    return f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (u64)start, (u64)l.len);
}

static sysret_t alloc_space(struct file *f, gaddr_t arg)
{
    struct sol_flock l;
    s64 start;
    int r;

    if (copy_in(&l, arg, sizeof(l))) return -EFAULT;
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    if ((r = lock_start(f, l.whence, &start))) return r;
    if (add_overflow(start, l.start, &start) || start < 0 || l.len <= 0) return -EINVAL;
    return f->ops->fallocate && S_ISREG(f->inode->mode) ? f->ops->fallocate(f, 0, (u64)start, (u64)l.len) : -ENODEV;
}

static sysret_t dup_min(struct file *f, u64 min, bool cloexec)
{
    if ((s32)min < 0) return -EINVAL;
    file_get(f);
    int fd = fd_install_min(f, (int)min, cloexec);
    if (fd < 0) file_put(f);
    return fd;
}

static sysret_t dup_to(struct file *f, int from, int to, bool cloexec)
{
    if (from == to) return cloexec ? (sysret_t)(fd_set_cloexec(to, true) ? -EBADF : to) : to;
    file_get(f);
    int fd = fd_install_at(f, to, cloexec);
    if (fd < 0) file_put(f);
    return fd < 0 ? fd : to;
}

/* A process, or a group as a negative number; 0: nobody. */
static s32 get_owner(struct file *f)
{
    struct file_owner o = file_get_owner(f);
    return o.type == F_OWNER_PGRP ? -o.id : o.id;
}

sysret_t solaris_fcntl(const struct syscall_args *a)
{
    int fd = ARG_INT(0), cmd = ARG_INT(1);
    u64 arg = a->a[2];
    AUTO_FILE f = fd_get_path(fd);

    if (!f) return -EBADF;
    switch (cmd) {
    case FC_DUPFD: return dup_min(f, arg, false);
    case FC_DUPFD_CLOEXEC: return dup_min(f, arg, true);
    case FC_DUP2FD: return dup_to(f, fd, (int)arg, false);
    case FC_DUP2FD_CLOEXEC: return fd == (int)arg ? -EINVAL : dup_to(f, fd, (int)arg, true);
    case FC_GETFD: return fd_get_cloexec(fd);
    case FC_SETFD: return fd_set_cloexec(fd, arg & 1);
    case FC_GETFL: case FC_GETXFL: return flags_out(f);
    case FC_SETFL: return set_flags(f, (u32)arg);
    case FC_GETLK: case FC_SETLK: case FC_SETLKW: case FC_OFD_GETLK: case FC_OFD_SETLK: case FC_OFD_SETLKW: return record_lock(f, cmd, arg);
    case FC_FLOCK: return whole_lock(f, false, arg);
    case FC_FLOCKW: return whole_lock(f, true, arg);
    case FC_FREESP: return free_space(f, arg);
    case FC_ALLOCSP: return alloc_space(f, arg);
    case FC_ISSTREAM: return 0;
    case FC_GETOWN: return get_owner(f);
    case FC_SETOWN:
        if ((s32)arg == INT32_MIN) return -ESRCH;
        return (s32)arg < 0 ? file_set_owner(f, F_OWNER_PGRP, -(s32)arg) : file_set_owner(f, F_OWNER_PID, (s32)arg);
    case FC_SHARE: case FC_UNSHARE: return -EOPNOTSUPP;    /* share reservations are NFS and CIFS servers' */
    case FC_BADFD: return -EINVAL;
    default: return -EINVAL;
    }
}
