/* Directories and names: getdents64(2), mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2). */
#include "abi/linux/fs.h"

#include "sentry/base/alloc.h"

#include <stdlib.h>
#include <string.h>

sysret_t linux_getdents(const struct syscall_args *a);
sysret_t linux_getdents64(const struct syscall_args *a);
sysret_t linux_mkdir(const struct syscall_args *a);
sysret_t linux_mkdirat(const struct syscall_args *a);
sysret_t linux_rmdir(const struct syscall_args *a);
sysret_t linux_unlink(const struct syscall_args *a);
sysret_t linux_unlinkat(const struct syscall_args *a);
sysret_t linux_rename(const struct syscall_args *a);
sysret_t linux_renameat(const struct syscall_args *a);
sysret_t linux_renameat2(const struct syscall_args *a);
sysret_t linux_link(const struct syscall_args *a);
sysret_t linux_linkat(const struct syscall_args *a);
sysret_t linux_symlink(const struct syscall_args *a);
sysret_t linux_symlinkat(const struct syscall_args *a);
sysret_t linux_mknod(const struct syscall_args *a);
sysret_t linux_mknodat(const struct syscall_args *a);

/* struct linux_dirent64 { u64 ino; s64 off; u16 reclen; u8 type; char name[]; }, the old one { u64 ino; u64 off; u16 reclen; char name[]; u8 type at the end } */
#define DIRENT64_NAME 19
#define DIRENT_NAME 18

struct dirent_sink { struct dir_sink sink; u8 *buf; size_t len, cap; bool old; bool too_small; };

static bool dirent_emit(struct dir_sink *s, const char *name, size_t len, u64 ino, u8 dtype, u64 next_off)
{
    struct dirent_sink *d = container_of(s, struct dirent_sink, sink);
    size_t head = d->old ? DIRENT_NAME : DIRENT64_NAME;
    size_t rec = (head + len + (d->old ? 2 : 1) + 7) & ~(size_t)7;
    if (rec > d->cap - d->len) {
        d->too_small = d->len == 0;
        return false;
    }
    u8 *p = d->buf + d->len;
    u16 rec16 = (u16)rec;
    memset(p, 0, rec);
    memcpy(p, &ino, 8);
    memcpy(p + 8, &next_off, 8);
    memcpy(p + 16, &rec16, 2);
    memcpy(p + head, name, len);
    if (d->old) p[rec - 1] = dtype;
    else p[18] = dtype;
    d->len += rec;
    return true;
}

/*
 * Records that lie whole within what the guest can be given are given, the directory goes on behind them; -EFAULT if that
 * is none. `at`: the position before.
 */
static sysret_t give_out(struct file *f, gaddr_t to, struct dirent_sink *d, s64 at)
{
    size_t room = mm_copy_out(current->mm, to, d->buf, d->len), whole = 0;
    if (room == d->len) return 0;
    for (u16 rec; whole < d->len; whole += rec) {
        memcpy(&rec, d->buf + whole + 16, 2);
        if (whole + rec > room) break;
        memcpy(&at, d->buf + whole + 8, 8);
    }
    (void)vfs_llseek(f, at, SEEK_SET);
    d->len = whole;
    return whole ? 0 : -EFAULT;
}

static sysret_t do_getdents(const struct syscall_args *a, bool old)
{
    FILE_ARG(f, a->a[0]);
    if ((s32)a->a[2] < 0) return -EINVAL;   /* no record fits a negative count */
    struct dirent_sink d = { .sink.emit = dirent_emit, .cap = MIN((u32)a->a[2], 256u * 1024), .old = old };
    d.buf = try_zalloc(d.cap, 1);
    if (!d.buf) return -ENOMEM;
    s64 at = vfs_llseek(f, 0, SEEK_CUR);
    sysret_t r = vfs_readdir(f, &d.sink);
    if (r >= 0 && d.len == 0 && d.too_small) r = -EINVAL;
    else if (r >= 0 && d.len) r = give_out(f, a->a[1], &d, at);
    free(d.buf);
    return r < 0 ? r : (sysret_t)d.len;
}

sysret_t linux_getdents(const struct syscall_args *a) { return do_getdents(a, true); }
sysret_t linux_getdents64(const struct syscall_args *a) { return do_getdents(a, false); }

static sysret_t do_mkdir(int dirfd, gaddr_t p, u32 mode)
{
    PATH_ARG(path, p);
    return vfs_mkdir(dirfd, path, mode & 01777);
}
sysret_t linux_mkdir(const struct syscall_args *a) { return do_mkdir(AT_FDCWD, a->a[0], (u32)a->a[1]); }
sysret_t linux_mkdirat(const struct syscall_args *a) { return do_mkdir((int)a->a[0], a->a[1], (u32)a->a[2]); }

static sysret_t do_unlink(int dirfd, gaddr_t p, int flags)
{
    if (flags & ~AT_REMOVEDIR) return -EINVAL;
    PATH_ARG(path, p);
    return vfs_unlink(dirfd, path, flags);
}
sysret_t linux_rmdir(const struct syscall_args *a) { return do_unlink(AT_FDCWD, a->a[0], AT_REMOVEDIR); }
sysret_t linux_unlink(const struct syscall_args *a) { return do_unlink(AT_FDCWD, a->a[0], 0); }
sysret_t linux_unlinkat(const struct syscall_args *a) { return do_unlink((int)a->a[0], a->a[1], (int)a->a[2]); }

static sysret_t do_rename(int odfd, gaddr_t o, int ndfd, gaddr_t n, u32 flags)
{
    PATH_ARG(from, o);
    PATH_ARG(to, n);
    return vfs_rename(odfd, from, ndfd, to, flags);
}
sysret_t linux_rename(const struct syscall_args *a) { return do_rename(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1], 0); }
sysret_t linux_renameat(const struct syscall_args *a) { return do_rename((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], 0); }
sysret_t linux_renameat2(const struct syscall_args *a)
{
    return do_rename((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], (u32)a->a[4]);
}

static sysret_t do_link(int odfd, gaddr_t o, int ndfd, gaddr_t n, int flags)
{
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    PATH_ARG(from, o);
    PATH_ARG(to, n);
    return vfs_link(odfd, from, ndfd, to, flags);
}
sysret_t linux_link(const struct syscall_args *a) { return do_link(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1], 0); }
sysret_t linux_linkat(const struct syscall_args *a) { return do_link((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], (int)a->a[4]); }

static sysret_t do_symlink(gaddr_t t, int dirfd, gaddr_t p)
{
    PATH_ARG(target, t);
    PATH_ARG(path, p);
    if (!target[0]) return -ENOENT;
    return vfs_symlink(target, dirfd, path);
}
sysret_t linux_symlink(const struct syscall_args *a) { return do_symlink(a->a[0], AT_FDCWD, a->a[1]); }
sysret_t linux_symlinkat(const struct syscall_args *a) { return do_symlink(a->a[0], (int)a->a[1], a->a[2]); }

static sysret_t do_mknod(int dirfd, gaddr_t p, u32 mode, u32 dev)
{
    PATH_ARG(path, p);
    if (!(mode & S_IFMT)) mode |= S_IFREG;
    return vfs_mknod(dirfd, path, mode, dev);
}
sysret_t linux_mknod(const struct syscall_args *a) { return do_mknod(AT_FDCWD, a->a[0], (u32)a->a[1], (u32)a->a[2]); }
sysret_t linux_mknodat(const struct syscall_args *a) { return do_mknod((int)a->a[0], a->a[1], (u32)a->a[2], (u32)a->a[3]); }
