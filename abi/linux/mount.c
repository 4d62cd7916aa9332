/* Mounts as a guest may change them. Source: mount(2), umount(2), pivot_root(2), mount_namespaces(7). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include "sentry/landlock/landlock.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>

#define MS_MGC 0xC0ED0000UL

/* Mounts are changed by whoever has CAP_SYS_ADMIN where the mount namespace belongs. */
static bool may_mount(void) { return ns_capable(current->fs->ns->ns.owner, CAP_SYS_ADMIN); }

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
            uid = uid_in((u32)strtoul(o + 4, NULL, 10));
        else if (!strncmp(o, "gid=", 4))
            gid = gid_in((u32)strtoul(o + 4, NULL, 10));
        else if (strncmp(o, "nr_inodes=", 10) && strncmp(o, "huge=", 5) && strncmp(o, "mpol=", 5))
            return -EINVAL;
    }
    if (uid == ~0u || gid == ~0u) return -EINVAL;
    return tmpfs_new(size, mode, uid, gid, out);
}

static int new_super(const char *type, char *data, struct super **out)
{
    if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs")) return new_tmpfs(data, out);
    if (!strcmp(type, "proc")) return procfs_new(out);
    if (!strcmp(type, "sysfs")) return sysfs_new(out);
    if (!strcmp(type, "devpts")) return devpts_new(out);
    if (!strcmp(type, "mqueue")) return tmpfs_new(0, 01777, current_cred()->fsuid, current_cred()->fsgid, out);
    return -ENODEV;
}

/* A file system is configured by the namespace it was made in. */
static bool owns_super(const struct super *sb)
{
    const struct user_ns *u = current_cred()->user_ns;
    return !u || sb->owner_inum == u->ns.inum;
}

static sysret_t remount(const struct path *at, u64 flags)
{
    u32 want = mount_flags(flags);

    if (at->dentry != at->mnt->root) return -EINVAL;
    if (flags & MS_BIND) return vfs_remount(at, want);
    if (!owns_super(at->mnt->sb)) return -EPERM;
    /* What was set at the sandbox's start stays set: asking for less leaves it, but a writable file system is said to be denied. */
    sysret_t r = vfs_remount(at, want | at->mnt->locked_flags);
    return r ? r : at->mnt->locked_flags & ~want & MNT_RDONLY ? -EROFS : 0;
}

static sysret_t bind_or_move(const struct path *at, const char *source, u64 flags)
{
    AUTO_PATH src = { 0 };
    int r;

    if (!source[0]) return -EINVAL;
    if ((r = vfs_walk(AT_FDCWD, source, WALK_FOLLOW, &src))) return r;
    /* A bind mount takes the source mount's flags; MS_REMOUNT|MS_BIND changes them. */
    return flags & MS_MOVE ? vfs_move_mount(&src, at, false) : vfs_bind(&src, at, flags & MS_REC);
}

static sysret_t change_propagation(const struct path *at, u64 flags)
{
    u64 kind = flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);

    if (kind & (kind - 1)) return -EINVAL;
    if (flags & ~(kind | MS_REC | MS_SILENT)) return -EINVAL;
    return vfs_change_propagation(at, kind, flags & MS_REC);
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
    if (!may_mount() || ll_mount()) return -EPERM;
    if (at.mnt->ns != current->fs->ns) return -EINVAL;
    if (flags & MS_REMOUNT) return remount(&at, flags);
    if (flags & MS_BIND) return bind_or_move(&at, source, flags & ~(u64)MS_MOVE);
    if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) return change_propagation(&at, flags);
    if (flags & MS_MOVE) return bind_or_move(&at, source, flags);
    if (!type[0]) return -EINVAL;
    if (!S_ISDIR(at.dentry->inode->mode)) return -ENOTDIR;
    if ((r = new_super(type, data, &sb))) return r;
    if (current_cred()->user_ns) sb->owner_inum = current_cred()->user_ns->ns.inum;
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
    if (!may_mount() || ll_mount()) return -EPERM;
    if ((r = vfs_walk(AT_FDCWD, path, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &p))) return r;
    path_follow_mount(&p);   /* "." names what was mounted over it since */
    if (p.dentry != p.mnt->root) return -EINVAL;
    return vfs_umount(&p, flags & MNT_DETACH);
}

sysret_t linux_pivot_root(const struct syscall_args *a)
{
    AUTO_PATH new_root = { 0 };
    AUTO_PATH put_old = { 0 };
    int r;

    if (!may_mount() || ll_mount()) return -EPERM;
    PATH_ARG(path, a->a[0]);
    if ((r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &new_root))) return r;
    PATH_ARG(old, a->a[1]);
    if ((r = vfs_walk(AT_FDCWD, old, WALK_FOLLOW | WALK_DIRECTORY, &put_old))) return r;
    return vfs_pivot_root(&new_root, &put_old);
}
