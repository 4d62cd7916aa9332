/* Extended attributes: xattr(7). */
#include "abi/linux/fs.h"
#include "sentry/base/alloc.h"

#include <linux/limits.h>
#include <linux/xattr.h>
#include <stdlib.h>

sysret_t linux_setxattr(const struct syscall_args *a);
sysret_t linux_lsetxattr(const struct syscall_args *a);
sysret_t linux_fsetxattr(const struct syscall_args *a);
sysret_t linux_getxattr(const struct syscall_args *a);
sysret_t linux_lgetxattr(const struct syscall_args *a);
sysret_t linux_fgetxattr(const struct syscall_args *a);
sysret_t linux_listxattr(const struct syscall_args *a);
sysret_t linux_llistxattr(const struct syscall_args *a);
sysret_t linux_flistxattr(const struct syscall_args *a);
sysret_t linux_removexattr(const struct syscall_args *a);
sysret_t linux_lremovexattr(const struct syscall_args *a);
sysret_t linux_fremovexattr(const struct syscall_args *a);

enum target { BY_PATH, BY_LPATH, BY_FD };

static int target_path(enum target t, u64 arg, struct path *p)
{
    if (t == BY_FD) {
        AUTO_FILE f = fd_get((int)arg);
        if (!f) return -EBADF;
        if (!f->path.dentry) return -EOPNOTSUPP;
        *p = f->path;
        path_get(p);
        return 0;
    }
    char path[KPATH_MAX];
    ssize_t n = copy_in_str(path, arg, sizeof(path));
    if (n < 0) return (int)n;
    return vfs_walk(AT_FDCWD, path, t == BY_PATH ? WALK_FOLLOW : 0, p);
}

static int attr_name(char name[XATTR_NAME_MAX + 1], gaddr_t arg)
{
    ssize_t n = copy_in_str(name, arg, XATTR_NAME_MAX + 1);
    if (n == -ENAMETOOLONG || n == 0) return -ERANGE;
    return n < 0 ? (int)n : 0;
}

static sysret_t set(enum target t, const struct syscall_args *a)
{
    char name[XATTR_NAME_MAX + 1];
    AUTO_PATH p = { 0 };
    AUTO_FREE void *val = NULL;
    size_t size = a->a[3];
    if ((int)a->a[4] & ~(XATTR_CREATE | XATTR_REPLACE)) return -EINVAL;
    int err = attr_name(name, a->a[1]);
    if (err) return err;
    if (size > XATTR_SIZE_MAX) return -E2BIG;
    val = try_zalloc(size, 1);
    if (!val) return -ENOMEM;
    if ((err = copy_in(val, a->a[2], size))) return err;
    if ((err = target_path(t, a->a[0], &p))) return err;
    return vfs_setxattr(&p, name, val, size, (int)a->a[4]);
}

static sysret_t get(enum target t, const struct syscall_args *a)
{
    char name[XATTR_NAME_MAX + 1];
    AUTO_PATH p = { 0 };
    AUTO_FREE void *val = NULL;
    size_t size = MIN(a->a[3], (u64)XATTR_SIZE_MAX);
    int err = attr_name(name, a->a[1]);
    if (err) return err;
    if ((err = target_path(t, a->a[0], &p))) return err;
    val = try_zalloc(size, 1);
    if (!val) return -ENOMEM;
    ssize_t n = vfs_getxattr(&p, name, val, size);
    if (n == -ERANGE && size == XATTR_SIZE_MAX) n = -E2BIG;
    if (n > 0 && size) err = copy_out(a->a[2], val, (size_t)n);
    return err ? err : n;
}

static sysret_t list(enum target t, const struct syscall_args *a)
{
    AUTO_PATH p = { 0 };
    AUTO_FREE char *buf = NULL;
    size_t size = MIN(a->a[2], (u64)XATTR_LIST_MAX);
    int err = target_path(t, a->a[0], &p);
    if (err) return err;
    buf = try_zalloc(size, 1);
    if (!buf) return -ENOMEM;
    ssize_t n = vfs_listxattr(&p, buf, size);
    if (n == -ERANGE && size == XATTR_LIST_MAX) n = -E2BIG;
    if (n > 0 && size) err = copy_out(a->a[1], buf, (size_t)n);
    return err ? err : n;
}

static sysret_t drop(enum target t, const struct syscall_args *a)
{
    char name[XATTR_NAME_MAX + 1];
    AUTO_PATH p = { 0 };
    int err = attr_name(name, a->a[1]);
    if (err) return err;
    if ((err = target_path(t, a->a[0], &p))) return err;
    return vfs_removexattr(&p, name);
}

sysret_t linux_setxattr(const struct syscall_args *a) { return set(BY_PATH, a); }
sysret_t linux_lsetxattr(const struct syscall_args *a) { return set(BY_LPATH, a); }
sysret_t linux_fsetxattr(const struct syscall_args *a) { return set(BY_FD, a); }
sysret_t linux_getxattr(const struct syscall_args *a) { return get(BY_PATH, a); }
sysret_t linux_lgetxattr(const struct syscall_args *a) { return get(BY_LPATH, a); }
sysret_t linux_fgetxattr(const struct syscall_args *a) { return get(BY_FD, a); }
sysret_t linux_listxattr(const struct syscall_args *a) { return list(BY_PATH, a); }
sysret_t linux_llistxattr(const struct syscall_args *a) { return list(BY_LPATH, a); }
sysret_t linux_flistxattr(const struct syscall_args *a) { return list(BY_FD, a); }
sysret_t linux_removexattr(const struct syscall_args *a) { return drop(BY_PATH, a); }
sysret_t linux_lremovexattr(const struct syscall_args *a) { return drop(BY_LPATH, a); }
sysret_t linux_fremovexattr(const struct syscall_args *a) { return drop(BY_FD, a); }
