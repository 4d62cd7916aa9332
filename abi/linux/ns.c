/* Mounts and namespaces as a guest may change them. Source: mount(2), umount(2), unshare(2), setns(2). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include "sentry/ipc/sysv.h"
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define MS_MGC 0xC0ED0000UL
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)

static u32 mount_flags(u64 ms)
{
    return (ms & MS_RDONLY ? MNT_RDONLY : 0u) | (ms & MS_NOSUID ? MNT_NOSUID : 0u) | (ms & MS_NODEV ? MNT_NODEV : 0u) |
        (ms & MS_NOEXEC ? MNT_NOEXEC : 0u) | (ms & MS_NOATIME ? MNT_NOATIME : 0u) | (ms & MS_RELATIME ? MNT_RELATIME : 0u);
}

/* An optional string argument. */
static int copy_in_opt(char *buf, gaddr_t p, size_t size)
{
    ssize_t n;

    buf[0] = 0;
    if (!p) return 0;
    n = copy_in_str(buf, p, size);
    return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

static u64 parse_size(const char *s)
{
    char *end;
    u64 v = strtoull(s, &end, 10);

    switch (*end == '%' ? '%' : *end | 0x20) {
    case 'k': return v << 10;
    case 'm': return v << 20;
    case 'g': return v << 30;
    case '%': return (kernel.mem_limit ? kernel.mem_limit : memfile_size()) / 100 * v;
    default: return v;
    }
}

/* size=, mode=, uid=, gid=; others are refused, as Linux does. */
static int new_tmpfs(char *data, struct super **out)
{
    u64 size = 0;
    u32 mode = 01777, uid = current_cred()->fsuid, gid = current_cred()->fsgid;

    for (char *save, *o = strtok_r(data, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        if (!strncmp(o, "size=", 5))
            size = parse_size(o + 5);
        else if (!strncmp(o, "nr_blocks=", 10))
            size = parse_size(o + 10) * GPAGE_SIZE;
        else if (!strncmp(o, "mode=", 5))
            mode = (u32)strtoul(o + 5, NULL, 8) & 07777;
        else if (!strncmp(o, "uid=", 4))
            uid = (u32)strtoul(o + 4, NULL, 10);
        else if (!strncmp(o, "gid=", 4))
            gid = (u32)strtoul(o + 4, NULL, 10);
        else if (strncmp(o, "nr_inodes=", 10) && strncmp(o, "huge=", 5) && strncmp(o, "mpol=", 5))
            return -EINVAL;
    }
    return tmpfs_new(size, mode, uid, gid, out);
}

static int new_super(const char *type, char *data, struct super **out)
{
    if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs")) return new_tmpfs(data, out);
    if (!strcmp(type, "proc")) return procfs_new(out);
    if (!strcmp(type, "sysfs")) return sysfs_new(out);
    if (!strcmp(type, "devpts")) return devpts_new(out);
    return -ENODEV;
}

static sysret_t bind_mount(const struct path *at, const char *source, u64 flags)
{
    AUTO_PATH src = { 0 };
    int r = vfs_walk(AT_FDCWD, source, WALK_FOLLOW, &src);

    if (r) return r;
    if (S_ISDIR(src.dentry->inode->mode) != S_ISDIR(at->dentry->inode->mode)) return -ENOTDIR;
    (void)flags;   /* a bind mount takes the source mount's flags; MS_REMOUNT|MS_BIND changes them */
    return vfs_mount(current->fs->ns, at, src.mnt->sb, src.dentry, src.mnt->flags, src.mnt->source);
}

sysret_t linux_mount(const struct syscall_args *a)
{
    u64 flags = a->a[3];
    AUTO_FREE char *source = xzalloc(KPATH_MAX), *target = xzalloc(KPATH_MAX), *data = xzalloc(GPAGE_SIZE);
    char type[64];
    AUTO_PATH at = { 0 };
    struct super *sb;
    ssize_t n;
    int r;

    if ((flags & 0xffff0000UL) == MS_MGC) flags &= ~0xffff0000UL;
    if ((r = copy_in_opt(type, a->a[2], sizeof(type))) || (r = copy_in_opt(source, a->a[0], KPATH_MAX)) ||
        (r = copy_in_opt(data, a->a[4], GPAGE_SIZE)))
        return r;
    if ((n = copy_in_str(target, a->a[1], KPATH_MAX)) < 0) return n;
    if ((r = vfs_walk(AT_FDCWD, target, WALK_FOLLOW, &at))) return r;
    if (!capable(CAP_SYS_ADMIN)) return -EPERM;
    if (flags & MS_REMOUNT) {
        if (at.dentry != at.mnt->root) return -EINVAL;
        /* What was set at the sandbox's start stays set: a guest may only tighten. */
        __atomic_store_n(&at.mnt->flags, at.mnt->flags | mount_flags(flags), __ATOMIC_RELEASE);
        return (at.mnt->flags & ~mount_flags(flags)) & MNT_RDONLY ? -EROFS : 0;
    }
    if (flags & MS_BIND) return source[0] ? bind_mount(&at, source, flags) : -EINVAL;
    if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) {
        if (at.dentry != at.mnt->root || (flags & MS_SHARED)) return -EINVAL;
        return 0;   /* no mount is shared: every one is private already */
    }
    if (flags & MS_MOVE) return -EINVAL;
    if (!type[0]) return -EINVAL;
    if (!S_ISDIR(at.dentry->inode->mode)) return -ENOTDIR;
    if ((r = new_super(type, data, &sb))) return r;
    r = vfs_mount(current->fs->ns, &at, sb, NULL, mount_flags(flags), source[0] ? source : "none");
    super_put(sb);
    return r;
}

sysret_t linux_umount2(const struct syscall_args *a)
{
    int flags = ARG_INT(1), r;
    AUTO_PATH p = { 0 };

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) return -EINVAL;
    if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))) return -EINVAL;
    PATH_ARG(path, a->a[0]);
    if (!capable(CAP_SYS_ADMIN)) return -EPERM;
    if ((r = vfs_walk(AT_FDCWD, path, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &p))) return r;
    if (p.dentry != p.mnt->root) return -EINVAL;
    return vfs_umount(&p, flags & MNT_DETACH);
}

static int unshare_fs(bool new_mounts)
{
    struct task *t = current;
    struct fs_context *old = t->fs, *n = fs_context_copy(old);

    if (new_mounts) {
        struct mnt_ns *ns = mnt_ns_copy(n->ns, &n->root, &n->cwd);
        if (!ns) {
            fs_context_put(n);
            return -ENOMEM;
        }
        mnt_ns_put(n->ns);
        n->ns = ns;
    }
    lock(&t->lock);
    t->fs = n;
    unlock(&t->lock);
    fs_context_put(old);
    return 0;
}

sysret_t linux_unshare(const struct syscall_args *a)
{
    u64 flags = a->a[0];
    int r;

    if (flags & ~(u64)(CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM | NEW_NAMESPACES)) return -EINVAL;
    if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) {
        unsigned threads;
        lock(&kernel.tasklist);
        threads = current->tg->nr_tasks;
        unlock(&kernel.tasklist);
        if (threads > 1) return -EINVAL;
    }
    if (flags & NEW_NAMESPACES & ~(u64)CLONE_NEWNS) return -EPERM;
    if ((flags & CLONE_NEWNS) && !capable(CAP_SYS_ADMIN)) return -EPERM;
    if (flags & (CLONE_FS | CLONE_NEWNS)) {
        if ((r = unshare_fs(flags & CLONE_NEWNS))) return r;
    }
    if (flags & CLONE_FILES) fdtable_unshare_current();
    if (flags & CLONE_SYSVSEM) sem_undo_exit(current);
    return 0;
}

sysret_t linux_setns(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    if (ARG_INT(1) & ~NEW_NAMESPACES) return -EINVAL;
    return pidfd_tgroup(f) ? -EPERM : -EINVAL;
}
