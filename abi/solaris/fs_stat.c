/* stat, statvfs, access, readlink, resolvepath, pathconf, getdents. Source: the manual pages; sys/stat.h, sys/dirent.h. */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/devpts/tty.h"
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#define SOL_NOFOLLOW 0x1000u
#define SOL_EACCESS 4

u64 sol_dev(u64 d) { return (u64)major(d) << 32 | minor(d); }

static const char *fs_name(u32 magic)
{
    switch (magic) {
    case PROC_SUPER_MAGIC: return "proc";
    case 0x01021994: return "tmpfs";
    case DEVPTS_SUPER_MAGIC: return "devfs";
    case SYSFS_MAGIC: return "ctfs";
    default: return "zfs";
    }
}

/* sysfs(op, ...): 1 GETFSIND(name), 2 GETFSTYP(index, buf), 3 GETNFSTYP; the indices begin with 1 */
sysret_t solaris_sysfs(const struct syscall_args *a)
{
    static const char *const types[] = { "zfs", "tmpfs", "proc", "devfs", "ctfs" };
    char name[16];
    ssize_t n;

    switch (ARG_INT(0)) {
    case 1:
        n = copy_in_str(name, a->a[1], sizeof(name));
        if (n < 0) return n == -ENAMETOOLONG ? -EINVAL : n;
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (!strcmp(name, types[i])) return (sysret_t)i + 1;
        return -EINVAL;
    case 2:
        if (ARG_INT(1) < 1 || ARG_INT(1) > (int)ARRAY_LEN(types)) return -EINVAL;
        return copy_out(a->a[2], types[ARG_INT(1) - 1], strlen(types[ARG_INT(1) - 1]) + 1);
    case 3: return ARRAY_LEN(types);
    default: return -EINVAL;
    }
}

static sysret_t stat_out(gaddr_t dst, const struct kstat *k, u32 magic)
{
    struct sol_stat s = {
        .dev = sol_dev(k->dev), .ino = k->ino, .mode = k->mode, .nlink = (u32)k->nlink, .uid = k->uid, .gid = k->gid, .rdev = sol_dev(k->rdev),
        .size = (s64)k->size, .atim = { k->atime.tv_sec, k->atime.tv_nsec }, .mtim = { k->mtime.tv_sec, k->mtime.tv_nsec },
        .ctim = { k->ctime.tv_sec, k->ctime.tv_nsec }, .blksize = (s32)k->blksize, .blocks = (s64)k->blocks,
    };
    strcpy(s.fstype, fs_name(magic));
    return copy_out(dst, &s, sizeof(s));
}

static sysret_t stat_path_out(const struct path *p, gaddr_t dst)
{
    struct kstat k;
    int r = vfs_stat_path(p, &k);
    return r ? r : stat_out(dst, &k, p->dentry->sb ? p->dentry->sb->magic : 0);
}

static sysret_t do_stat(int dirfd, gaddr_t path_arg, bool nofollow, gaddr_t dst)
{
    AUTO_PATH p = { 0 };
    PATH_ARG(path, path_arg);
    int r = sol_walk(dirfd, path, nofollow ? 0 : WALK_FOLLOW, &p);
    return r ? r : stat_path_out(&p, dst);
}

static sysret_t do_fstat(int fd, gaddr_t dst)
{
    struct kstat k;
    AUTO_FILE f = fd_get_path(fd);
    if (!f) return -EBADF;
    int r = vfs_stat(fd, "", AT_EMPTY_PATH, &k);
    struct tty *tty = f->ops == &pty_master_fops ? file_tty(f) : NULL;
    /* ptsname(3C) takes the number of the terminal from the minor number of its master. */
    if (!r && tty) k.rdev = makedev(5, tty->index);
    return r ? r : stat_out(dst, &k, f->inode->sb ? f->inode->sb->magic : 0);
}

sysret_t solaris_stat(const struct syscall_args *a) { return do_stat(AT_FDCWD, a->a[0], false, a->a[1]); }
sysret_t solaris_lstat(const struct syscall_args *a) { return do_stat(AT_FDCWD, a->a[0], true, a->a[1]); }
sysret_t solaris_fstat(const struct syscall_args *a) { return do_fstat(ARG_INT(0), a->a[1]); }

/* fstatat(fd, path, st, flag): without a path it is fstat */
sysret_t solaris_fstatat(const struct syscall_args *a)
{
    if (ARG_U32(3) & ~(SOL_NOFOLLOW | 1u)) return -EINVAL;
    if (!a->a[1]) return sol_dirfd(a->a[0]) == AT_FDCWD ? -EFAULT : do_fstat(ARG_INT(0), a->a[2]);
    return do_stat(sol_dirfd(a->a[0]), a->a[1], ARG_U32(3) & SOL_NOFOLLOW, a->a[2]);
}

static sysret_t statvfs_out(const struct path *p, gaddr_t dst)
{
    struct statfs k;
    struct sol_statvfs v;

    memset(&k, 0, sizeof(k));
    memset(&v, 0, sizeof(v));
    int r = p->dentry ? vfs_statfs(p, &k) : 0;
    if (r) return r;
    v.bsize = (u64)k.f_bsize;
    v.frsize = (u64)(k.f_frsize ? k.f_frsize : k.f_bsize);
    v.blocks = k.f_blocks, v.bfree = k.f_bfree, v.bavail = k.f_bavail;
    v.files = k.f_files, v.ffree = v.favail = k.f_ffree;
    v.fsid = p->dentry && p->dentry->sb ? p->dentry->sb->dev : 0;
    v.namemax = (u64)(k.f_namelen ? k.f_namelen : 255);
    v.flag = 4 | (k.f_flags & 1) | (k.f_flags & 2 ? 2 : 0);
    strcpy(v.basetype, fs_name((u32)k.f_type));
    return copy_out(dst, &v, sizeof(v));
}

sysret_t solaris_statvfs(const struct syscall_args *a)
{
    AUTO_PATH p = { 0 };
    PATH_ARG(path, a->a[0]);
    int r = sol_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    return r ? r : statvfs_out(&p, a->a[1]);
}

sysret_t solaris_fstatvfs(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    struct path p = f->path;
    return statvfs_out(&p, a->a[1]);
}

/* Mode bit 010 (E_OK) asks for the effective ids. */
static sysret_t do_access(int dirfd, gaddr_t path_arg, int mode, int flag)
{
    if (mode & ~017 || flag & ~SOL_EACCESS) return -EINVAL;
    PATH_ARG(path, path_arg);
    return sol_access(dirfd, path, mode & 7, mode & 010 || flag & SOL_EACCESS ? AT_EACCESS : 0);
}

sysret_t solaris_access(const struct syscall_args *a) { return do_access(AT_FDCWD, a->a[0], ARG_INT(1), 0); }
sysret_t solaris_faccessat(const struct syscall_args *a) { return do_access(sol_dirfd(a->a[0]), a->a[1], ARG_INT(2), ARG_INT(3)); }

static sysret_t do_readlink(int dirfd, gaddr_t path_arg, gaddr_t buf, u64 size)
{
    char *target;

    if ((s64)size < 0) return -EINVAL;
    PATH_ARG(path, path_arg);
    int r = vfs_readlink(dirfd, path, &target);
    if (r) return r;
    size_t n = MIN(strlen(target), size);
    r = n ? copy_out(buf, target, n) : 0;
    free(target);
    return r ? r : (sysret_t)n;
}

sysret_t solaris_readlink(const struct syscall_args *a) { return do_readlink(AT_FDCWD, a->a[0], a->a[1], a->a[2]); }
sysret_t solaris_readlinkat(const struct syscall_args *a) { return do_readlink(sol_dirfd(a->a[0]), a->a[1], a->a[2], a->a[3]); }

/* resolvepath(path, buf, n): the name without symlinks; length without a NUL, which is not written. A relative name stays so. */
sysret_t solaris_resolvepath(const struct syscall_args *a)
{
    AUTO_PATH p = { 0 }, root = { 0 };
    char buf[KPATH_MAX];
    PATH_ARG(path, a->a[0]);
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);

    if ((r == -ENOENT || r == -ENOTDIR) && sol_pieces_lookup(path, &p)) {
        strcpy(buf, path);
    } else {
        if (r) return r;
        fs_get_root(current->fs, &root);
        if ((r = vfs_path_text(&p, &root, buf, sizeof(buf))) < 0) return r;
    }
    size_t n = MIN(strlen(buf), a->a[2]);
    return n && copy_out(a->a[1], buf, n) ? -EFAULT : (sysret_t)n;
}

/* _PC_* of sys/unistd.h */
static sysret_t do_pathconf(const struct kstat *st, int name)
{
    switch (name) {
    case 1: return 0x7fff;
    case 2: case 3: return S_ISCHR(st->mode) ? 256 : -EINVAL;
    case 4: return 255;
    case 5: return SOL_PATH_MAX;
    case 6: return S_ISFIFO(st->mode) || S_ISDIR(st->mode) || S_ISCHR(st->mode) ? 5120 : -EINVAL;
    case 7: case 8: return 1;
    case 9: return 0;
    case 12: return 1;
    case 13: return -EINVAL;
    case 18: return SOL_PATH_MAX;
    case 19: return 1;
    case 20: case 21: case 23: case 24: case 25: case 100: case 101: return 0;
    case 22: return 1;
    case 26: return 1;
    case 67: return 64;
    default: return -EINVAL;
    }
}

sysret_t solaris_pathconf(const struct syscall_args *a)
{
    struct kstat st;
    PATH_ARG(path, a->a[0]);
    int r = sol_stat(AT_FDCWD, path, 0, &st);
    return r ? r : do_pathconf(&st, ARG_INT(1));
}

sysret_t solaris_fpathconf(const struct syscall_args *a)
{
    struct kstat st;
    int r = vfs_stat(ARG_INT(0), "", AT_EMPTY_PATH, &st);
    return r ? r : do_pathconf(&st, ARG_INT(1));
}

/* --- directories: { ino, off, reclen, name }, no type --- */

#define DIRENT_NAME 18
struct dirent_sink { struct dir_sink sink; u8 *buf; size_t len, cap; bool too_small; };

static bool dirent_emit(struct dir_sink *s, const char *name, size_t len, u64 ino, u8 dtype UNUSED, u64 next_off)
{
    struct dirent_sink *d = container_of(s, struct dirent_sink, sink);
    size_t rec = (DIRENT_NAME + len + 1 + 7) & ~(size_t)7;
    u16 rec16 = (u16)rec;

    if (rec > d->cap - d->len) {
        d->too_small = d->len == 0;
        return false;
    }
    u8 *p = d->buf + d->len;
    memset(p, 0, rec);
    memcpy(p, &ino, 8);
    memcpy(p + 8, &next_off, 8);
    memcpy(p + 16, &rec16, 2);
    memcpy(p + DIRENT_NAME, name, len);
    d->len += rec;
    return true;
}

sysret_t solaris_getdents(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (!S_ISDIR(f->inode->mode) || !f->ops->readdir) return -ENOTDIR;
    struct dirent_sink d = { .sink.emit = dirent_emit, .cap = MIN(a->a[2], 256u * 1024) };
    d.buf = try_zalloc(MAX(d.cap, 1u), 1);
    if (!d.buf) return -ENOMEM;
    lock(&f->pos_lock);
    u64 pos = f->pos;
    sysret_t r = f->path.dentry && f->path.dentry->deleted ? -ENOENT : f->ops->readdir(f, &d.sink);
    if (r >= 0 && d.len == 0 && d.too_small) r = -EINVAL;
    else if (d.len > 0) r = copy_out(a->a[1], d.buf, d.len);
    if (r < 0) f->pos = pos;
    unlock(&f->pos_lock);
    free(d.buf);
    if (r < 0) return r;
    inode_touch(f->inode, ATTR_ATIME);
    return (sysret_t)d.len;
}
