/* ioctl(2): the requests that every descriptor answers; the rest goes to the file. */
#include "abi/linux/fs.h"
#include "sentry/landlock/landlock.h"
#include "sentry/vfs/fasync.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

sysret_t linux_ioctl(const struct syscall_args *a);

static sysret_t set_flag_bit(struct file *f, gaddr_t arg, u32 bit)
{
    s32 on;
    int err = copy_in(&on, arg, sizeof(on));
    if (err) return err;
    if (on) atomic_or(&f->flags, bit);
    else atomic_and(&f->flags, ~bit);
    return 0;
}

static sysret_t set_async(struct file *f, int fd, gaddr_t arg)
{
    s32 on;
    int err = copy_in(&on, arg, sizeof(on));
    if (err) return err;
    if (on) atomic_or(&f->flags, (u32)O_ASYNC);
    else atomic_and(&f->flags, ~(u32)O_ASYNC);
    file_async_update(f, fd);
    return 0;
}

static sysret_t readable_bytes(struct file *f, gaddr_t arg)
{
    struct kstat st;
    int err = vfs_stat_file(f, &st);
    if (err) return err;
    lock(&f->pos_lock);
    s32 n = (s32)((s64)st.size - (s64)f->pos);
    unlock(&f->pos_lock);
    return copy_out(arg, &n, sizeof(n));
}

/* No file system here shares blocks between files; what is asked before that is said: vfs_clone_file_range() of Linux. */
static int refuse_clone(struct file *to, int from_fd)
{
    FILE_ARG(from, from_fd);
    if (!from->inode || !to->inode || from->inode->sb != to->inode->sb) return -EXDEV;
    if (S_ISDIR(from->inode->mode) || S_ISDIR(to->inode->mode)) return -EISDIR;
    if (!S_ISREG(from->inode->mode) || !S_ISREG(to->inode->mode)) return -EINVAL;
    if (!(from->mode & FMODE_READ) || !(to->mode & FMODE_WRITE) || (atomic_load(&to->flags) & O_APPEND)) return -EBADF;
    return -EOPNOTSUPP;
}

sysret_t linux_ioctl(const struct syscall_args *a)
{
    int fd = (int)a->a[0];
    u32 cmd = (u32)a->a[1];
    gaddr_t arg = a->a[2];
    FILE_ARG(f, fd);
    int denied = ll_ioctl(f, cmd);
    if (unlikely(denied)) return denied;
    switch (cmd) {
    case FIOCLEX: return fd_set_cloexec(fd, true);
    case FIONCLEX: return fd_set_cloexec(fd, false);
    case FIONBIO: return set_flag_bit(f, arg, O_NONBLOCK);
    case FIOASYNC: return set_async(f, fd, arg);
    case FIOQSIZE:
        if (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) || S_ISLNK(f->inode->mode)) {
            struct kstat st;
            int err = vfs_stat_file(f, &st);
            if (err) return err;
            return copy_out(arg, &st.size, sizeof(st.size));
        }
        return -ENOTTY;
    case FIGETBSZ:
        if (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode)) {
            s32 bs = 4096;
            return copy_out(arg, &bs, sizeof(bs));
        }
        break;
    case FIONREAD:
        if (S_ISREG(f->inode->mode)) return readable_bytes(f, arg);
        break;
    case (u32)FS_IOC_GETFLAGS: case (u32)FS_IOC_SETFLAGS: case (u32)FS_IOC_FSGETXATTR: case (u32)FS_IOC_FSSETXATTR: {
        sysret_t r = linux_ioctl_flags(f, cmd, arg);
        if (r != -ENOTTY) return r;
        break;
    }
    case (u32)FICLONE: return refuse_clone(f, (int)arg);
    case (u32)FICLONERANGE: {
        struct file_clone_range range;
        return copy_in(&range, arg, sizeof(range)) ? -EFAULT : refuse_clone(f, (int)range.src_fd);
    }
    default: break;
    }
    sysret_t r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
    return r == -ENOSYS ? -ENOTTY : r;
}
