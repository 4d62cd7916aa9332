/* Mounts as a guest may change them. Source: mount(2), umount(2), pivot_root(2), mount_namespaces(7). */
#include "abi/linux/mount.h"
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/fs_types.h"
#include "sentry/landlock/landlock.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>

#define MS_MGC 0xC0ED0000UL

bool linux_may_mount(void) { return ns_capable(current->fs->ns->ns.owner, CAP_SYS_ADMIN); }

static u32 mount_flags(u64 ms)
{
    u32 f = (ms & MS_RDONLY ? MNT_RDONLY : 0u) | (ms & MS_NOSUID ? MNT_NOSUID : 0u) | (ms & MS_NODEV ? MNT_NODEV : 0u) |
        (ms & MS_NOEXEC ? MNT_NOEXEC : 0u) | (ms & MS_NOATIME ? MNT_NOATIME : MNT_RELATIME) | (ms & MS_NODIRATIME ? MNT_NODIRATIME : 0u) |
        (ms & MS_NOSYMFOLLOW ? MNT_NOSYMFOLLOW : 0u);
    return ms & MS_STRICTATIME ? f & ~(MNT_RELATIME | MNT_NOATIME) : f;
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

static sysret_t remount(const struct path *at, u64 flags, char *data)
{
    u32 want = mount_flags(flags), now = atomic_load(&at->mnt->flags);
    const u32 kept = at->mnt->locked_flags & MNT_LOCKABLE;
    char msg[FS_MESSAGE_MAX];

    if (at->dentry != at->mnt->root) return -EINVAL;
    if (!(flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME))) want = (want & ~MNT_ATIME) | (now & MNT_ATIME);
    if (flags & MS_BIND) return vfs_remount(at, want);
    struct fs_config c;
    fs_config_init(&c, fs_type_of(at->mnt->sb));
    c.has_rdonly = true;
    c.rdonly = flags & MS_RDONLY;
    /* What others were given with options of their own (the sandbox's files) is told them again by mount(8). */
    sysret_t r = c.type ? fs_config_parse(&c, data, msg) : 0;
    if (!r) r = fs_config_apply(&c, at->mnt->sb);
    fs_config_fini(&c);
    /* What was set at the sandbox's start stays set: asking for less leaves it, but a writable file system is said to be denied. */
    if (!r) r = vfs_remount(at, want | kept);
    return r ? r : kept & ~want & MNT_RDONLY ? -EROFS : 0;
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

static sysret_t new_mount(const struct path *at, const char *type, const char *source, u64 flags, char *data)
{
    const struct fs_type *t = fs_type_find(type);
    char msg[FS_MESSAGE_MAX];
    struct fs_config c;
    struct super *sb;

    if (!t) return -ENODEV;
    fs_config_init(&c, t);
    c.has_rdonly = true;
    c.rdonly = flags & MS_RDONLY;
    int r = fs_config_parse(&c, data, msg);
    if (!r) r = fs_config_create(&c, &sb);
    fs_config_fini(&c);
    if (r) return r;
    r = vfs_mount(current->fs->ns, at, sb, NULL, mount_flags(flags), source[0] ? source : "none");
    super_put(sb);
    return r;
}

sysret_t linux_mount(const struct syscall_args *a)
{
    u64 flags = a->a[3];
    AUTO_FREE char *source = xzalloc(KPATH_MAX), *target = xzalloc(KPATH_MAX), *data = xzalloc(GPAGE_SIZE), *type = xzalloc(KPATH_MAX);
    AUTO_PATH at = { 0 };
    ssize_t n;
    int r;

    if ((flags & 0xffff0000UL) == MS_MGC) flags &= ~0xffff0000UL;
    if ((r = copy_in_opt(type, a->a[2], KPATH_MAX)) || (r = copy_in_opt(source, a->a[0], KPATH_MAX)) ||
        (r = copy_in_opt(data, a->a[4], GPAGE_SIZE)))
        return r;
    if ((n = copy_in_str(target, a->a[1], KPATH_MAX)) < 0) return n;
    if (flags & MS_NOUSER) return -EINVAL;
    if ((r = vfs_walk(AT_FDCWD, target, WALK_FOLLOW, &at))) return r;
    if (!linux_may_mount() || ll_mount()) return -EPERM;
    if (flags & MS_REMOUNT) return at.mnt->ns == current->fs->ns ? remount(&at, flags, data) : -EINVAL;
    if (flags & MS_BIND) return bind_or_move(&at, source, flags & ~(u64)MS_MOVE);
    if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) return change_propagation(&at, flags);
    if (flags & MS_MOVE) return bind_or_move(&at, source, flags);
    return a->a[2] ? new_mount(&at, type, source, flags, data) : -EINVAL;
}

sysret_t linux_umount2(const struct syscall_args *a)
{
    int flags = ARG_INT(1), r;
    struct path p = { 0 };

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) return -EINVAL;
    PATH_ARG(path, a->a[0]);
    mount_keep_expiring = flags & MNT_EXPIRE;
    r = vfs_walk(AT_FDCWD, path, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
    if (!r) path_follow_mount(&p);   /* "." names what was mounted over it since */
    if (!r && (!linux_may_mount() || ll_mount())) r = -EPERM;
    if (!r && (p.dentry != p.mnt->root || ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))))) r = -EINVAL;
    if (!r) r = vfs_umount(&p, flags & (MNT_DETACH | MNT_EXPIRE));
    if (p.dentry) path_put(&p);
    mount_keep_expiring = false;
    return r;
}

sysret_t linux_pivot_root(const struct syscall_args *a)
{
    AUTO_PATH new_root = { 0 };
    AUTO_PATH put_old = { 0 };
    int r;

    if (!linux_may_mount() || ll_mount()) return -EPERM;
    PATH_ARG(path, a->a[0]);
    if ((r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &new_root))) return r;
    PATH_ARG(old, a->a[1]);
    if ((r = vfs_walk(AT_FDCWD, old, WALK_FOLLOW | WALK_DIRECTORY, &put_old))) return r;
    return vfs_pivot_root(&new_root, &put_old);
}
