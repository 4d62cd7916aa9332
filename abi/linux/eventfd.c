/* eventfd(2). */
#include "abi/linux/linux.h"
#include "sentry/vfs/file.h"
#include <sys/eventfd.h>

static sysret_t create(u32 count, u32 flags)
{
    struct file *f;

    if (flags & ~(u32)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) return -EINVAL;
    int r = eventfd_create(count, flags & (EFD_NONBLOCK | EFD_SEMAPHORE), &f);
    if (r) return r;
    r = fd_install(f, flags & EFD_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_eventfd(const struct syscall_args *a) { return create(ARG_U32(0), 0); }
sysret_t linux_eventfd2(const struct syscall_args *a) { return create(ARG_U32(0), ARG_U32(1)); }
