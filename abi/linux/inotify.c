/* inotify(7). */
#include "abi/linux/linux.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/vfs/vfs.h"
#include <sys/inotify.h>

static sysret_t create(u32 flags)
{
    struct file *f;

    if (flags & ~(u32)(IN_CLOEXEC | IN_NONBLOCK)) return -EINVAL;
    int r = inotify_create(flags & IN_NONBLOCK, &f);
    if (r) return r;
    r = fd_install(f, flags & IN_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_inotify_init(const struct syscall_args *a UNUSED) { return create(0); }
sysret_t linux_inotify_init1(const struct syscall_args *a) { return create(ARG_U32(0)); }

static int get_inotify(int fd, struct file **out)
{
    struct file *f = fd_get(fd);

    if (!f) return -EBADF;
    if (!file_is_inotify(f)) {
        file_put(f);
        return -EINVAL;
    }
    *out = f;
    return 0;
}

sysret_t linux_inotify_add_watch(const struct syscall_args *a)
{
    u32 mask = ARG_U32(2), walk = mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW;
    char path[KPATH_MAX];
    struct path p;
    struct file *f;
    int r;

    if (!(mask & IN_ALL_EVENTS)) return -EINVAL;
    if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)) return -EINVAL;
    r = get_inotify(ARG_INT(0), &f);
    if (r) return r;
    ssize_t n = copy_in_str(path, a->a[1], sizeof path);
    r = n < 0 ? (int)n : vfs_walk(AT_FDCWD, path, walk | (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0), &p);
    if (!r) {
        r = inode_permission(p.dentry->inode, MAY_READ, current_cred());
        if (!r) r = inotify_add(f, p.dentry->inode, mask);
        path_put(&p);
    }
    file_put(f);
    return r;
}

sysret_t linux_inotify_rm_watch(const struct syscall_args *a)
{
    struct file *f;
    int r = get_inotify(ARG_INT(0), &f);

    if (r) return r;
    r = inotify_rm(f, ARG_INT(1));
    file_put(f);
    return r;
}
