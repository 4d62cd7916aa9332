/* open(2), openat2(2), close(2), dup(2), close_range(2), umask(2), getcwd(2), chdir(2), chroot(2). */
#include "abi/linux/fs.h"
#include "abi/linux/uapi_fs.h"

#include <linux/openat2.h>
#include <string.h>

#ifndef O_LARGEFILE_BIT
#define O_LARGEFILE_BIT 0100000 /* the x86-64 libc defines O_LARGEFILE as 0 */
#endif
#define LINUX_VALID_OPEN_FLAGS                                                                      \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE_BIT | \
     O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

sysret_t linux_open(const struct syscall_args *a);
sysret_t linux_openat(const struct syscall_args *a);
sysret_t linux_openat2(const struct syscall_args *a);
sysret_t linux_creat(const struct syscall_args *a);
sysret_t linux_close(const struct syscall_args *a);
sysret_t linux_close_range(const struct syscall_args *a);
sysret_t linux_dup(const struct syscall_args *a);
sysret_t linux_dup2(const struct syscall_args *a);
sysret_t linux_dup3(const struct syscall_args *a);
sysret_t linux_umask(const struct syscall_args *a);
sysret_t linux_getcwd(const struct syscall_args *a);
sysret_t linux_chdir(const struct syscall_args *a);
sysret_t linux_fchdir(const struct syscall_args *a);
sysret_t linux_chroot(const struct syscall_args *a);

static sysret_t do_open(int dirfd, gaddr_t path_arg, struct open_how_k *how)
{
    PATH_ARG(path, path_arg);
    struct file *f;
    int err = vfs_open(dirfd, path, how, &f);
    if (err) return err;
    int fd = fd_install(f, how->flags & O_CLOEXEC);
    if (fd < 0) file_put(f);
    return fd;
}

static sysret_t open_legacy(int dirfd, gaddr_t path, u32 flags, u32 mode)
{
    /* open(2) ignores bits it does not know, and a mode when nothing is created. */
    flags &= LINUX_VALID_OPEN_FLAGS;
    if (flags & O_PATH) flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct open_how_k how = { .flags = flags & ~(u32)O_LARGEFILE_BIT, .mode = 0 };
    if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) how.mode = mode & 07777;
    return do_open(dirfd, path, &how);
}

sysret_t linux_open(const struct syscall_args *a) { return open_legacy(AT_FDCWD, a->a[0], (u32)a->a[1], (u32)a->a[2]); }
sysret_t linux_openat(const struct syscall_args *a) { return open_legacy((int)a->a[0], a->a[1], (u32)a->a[2], (u32)a->a[3]); }
sysret_t linux_creat(const struct syscall_args *a)
{
    return open_legacy(AT_FDCWD, a->a[0], O_CREAT | O_WRONLY | O_TRUNC, (u32)a->a[1]);
}

sysret_t linux_openat2(const struct syscall_args *a)
{
    struct linux_open_how h;
    u64 size = a->a[3];
    if (size < sizeof(h)) return -EINVAL;
    if (size > GPAGE_SIZE) return -E2BIG;
    int err = copy_in(&h, a->a[2], sizeof(h));
    if (err) return err;
    for (u64 off = sizeof(h); off < size;) { /* fields of a later kernel must be zero */
        u8 tail[64];
        size_t n = MIN(size - off, (u64)sizeof(tail));
        if ((err = copy_in(tail, a->a[2] + off, n))) return err;
        for (size_t i = 0; i < n; i++)
            if (tail[i]) return -E2BIG;
        off += n;
    }
    if (h.flags & ~(u64)LINUX_VALID_OPEN_FLAGS) return -EINVAL;
    if (h.resolve & ~(u64)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED))
        return -EINVAL;
    if ((h.resolve & RESOLVE_BENEATH) && (h.resolve & RESOLVE_IN_ROOT)) return -EINVAL;
    bool creates = (h.flags & O_CREAT) || (h.flags & O_TMPFILE) == O_TMPFILE;
    if (creates ? (h.mode & ~07777ULL) != 0 : h.mode != 0) return -EINVAL;
    if ((h.flags & O_PATH) && (h.flags & ~(u64)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))) return -EINVAL;
    if ((h.resolve & RESOLVE_CACHED) && (h.flags & (O_TRUNC | O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) return -EAGAIN;
    struct open_how_k how = { .flags = (u32)h.flags & ~(u32)O_LARGEFILE_BIT, .mode = (u32)h.mode };
    if (h.resolve & RESOLVE_NO_XDEV) how.walk |= WALK_NO_XDEV;
    if (h.resolve & RESOLVE_NO_MAGICLINKS) how.walk |= WALK_NO_MAGICLINKS;
    if (h.resolve & RESOLVE_NO_SYMLINKS) how.walk |= WALK_NO_SYMLINKS;
    if (h.resolve & RESOLVE_BENEATH) how.walk |= WALK_BENEATH;
    if (h.resolve & RESOLVE_IN_ROOT) how.walk |= WALK_IN_ROOT;
    if (h.resolve & RESOLVE_CACHED) how.walk |= WALK_CACHED;
    return do_open((int)a->a[0], a->a[1], &how);
}

sysret_t linux_close(const struct syscall_args *a)
{
    int err = fd_close((int)a->a[0]);
    /* The descriptor is gone whatever flush said; a restart would close another one (close(2)). */
    return err == -ERESTARTSYS ? -EINTR : err;
}

sysret_t linux_close_range(const struct syscall_args *a)
{
    return fd_close_range((unsigned)a->a[0], (unsigned)a->a[1], (unsigned)a->a[2]);
}

sysret_t linux_dup(const struct syscall_args *a)
{
    struct file *f = fd_get_path((int)a->a[0]);
    if (!f) return -EBADF;
    int fd = fd_install(f, false);
    if (fd < 0) file_put(f);
    return fd;
}

static sysret_t dup_to(int oldfd, int newfd, bool cloexec)
{
    struct file *f = fd_get_path(oldfd);
    if (!f) return -EBADF;
    int fd = fd_install_at(f, newfd, cloexec);
    if (fd < 0) {
        file_put(f);
        return fd;
    }
    return newfd;
}

sysret_t linux_dup2(const struct syscall_args *a)
{
    int oldfd = (int)a->a[0], newfd = (int)a->a[1];
    if (oldfd == newfd) {
        FILE_PATH_ARG(f, oldfd);
        return newfd;
    }
    return dup_to(oldfd, newfd, false);
}

sysret_t linux_dup3(const struct syscall_args *a)
{
    if ((u32)a->a[2] & ~(u32)O_CLOEXEC) return -EINVAL;
    if ((int)a->a[0] == (int)a->a[1]) return -EINVAL;
    return dup_to((int)a->a[0], (int)a->a[1], a->a[2] & O_CLOEXEC);
}

sysret_t linux_umask(const struct syscall_args *a)
{
    struct fs_context *fs = current->fs;
    lock(&fs->lock);
    u32 old = fs->umask;
    fs->umask = (u32)a->a[0] & 0777;
    unlock(&fs->lock);
    return old;
}

sysret_t linux_getcwd(const struct syscall_args *a)
{
    AUTO_PATH cwd = { 0 }, root = { 0 };
    fs_get_cwd(current->fs, &cwd);
    fs_get_root(current->fs, &root);
    if (cwd.dentry->deleted) return -ENOENT;
    char buf[KPATH_MAX];
    int n = vfs_path_text(&cwd, &root, buf, sizeof(buf));
    if (n < 0) return n;
    size_t len = strlen(buf) + 1;
    if (len > a->a[1]) return -ERANGE;
    int err = copy_out(a->a[0], buf, len);
    return err ? err : (sysret_t)len;
}

sysret_t linux_chdir(const struct syscall_args *a)
{
    PATH_ARG(path, a->a[0]);
    return vfs_chdir(path);
}

sysret_t linux_fchdir(const struct syscall_args *a)
{
    FILE_PATH_ARG(f, a->a[0]);
    if (!f->path.dentry || !S_ISDIR(f->inode->mode)) return -ENOTDIR;
    int err = inode_permission(f->inode, MAY_EXEC, current_cred());
    return err ? err : fs_set_cwd(&f->path);
}

sysret_t linux_chroot(const struct syscall_args *a)
{
    PATH_ARG(path, a->a[0]);
    return vfs_chroot(path);
}
