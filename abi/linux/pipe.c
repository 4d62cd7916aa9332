/* pipe(2). */
#include "abi/linux/linux.h"
#include "sentry/vfs/file.h"

static sysret_t create(gaddr_t out, u32 flags)
{
    struct file *f[2];
    s32 fd[2];
    int r;

    if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return -EINVAL;
    r = pipe_create(f, flags);
    if (r) return r;
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
    if (copy_out(out, fd, sizeof fd)) {
        (void)fd_close(fd[0]);
        (void)fd_close(fd[1]);
        return -EFAULT;
    }
    return 0;
}

sysret_t linux_pipe(const struct syscall_args *a) { return create(a->a[0], 0); }
sysret_t linux_pipe2(const struct syscall_args *a) { return create(a->a[0], ARG_U32(1)); }
