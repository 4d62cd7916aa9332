/* Mounts named by descriptors. Source: open_tree(2), move_mount(2), mount_setattr(2), linux/mount.h. */
#include "abi/linux/linux.h"
#include "abi/linux/mount.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/landlock/landlock.h"
#include <linux/mount.h>
#include <sys/mount.h>

#define OPEN_TREE_FLAGS (AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | LINUX_AT_RECURSIVE | LINUX_OPEN_TREE_CLONE | O_CLOEXEC)
#define SETATTR_FLAGS (AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | LINUX_AT_RECURSIVE)
#define LINUX_AT_RECURSIVE 0x8000
#define LINUX_OPEN_TREE_CLONE 1
#define LINUX_MOVE_BENEATH 0x200u
#define LINUX_MOVE_SET_GROUP 0x100u
#define LINUX_MOVE_FLAGS (0x77u | LINUX_MOVE_SET_GROUP | LINUX_MOVE_BENEATH)

struct linux_mount_attr { u64 attr_set, attr_clr, propagation, userns_fd; };
_Static_assert(sizeof(struct linux_mount_attr) == 32, "struct mount_attr");

static const struct { u32 attr, flag; } bits[] = {
    { LINUX_MOUNT_ATTR_RDONLY, MNT_RDONLY }, { LINUX_MOUNT_ATTR_NOSUID, MNT_NOSUID }, { LINUX_MOUNT_ATTR_NODEV, MNT_NODEV },
    { LINUX_MOUNT_ATTR_NOEXEC, MNT_NOEXEC }, { LINUX_MOUNT_ATTR_NODIRATIME, MNT_NODIRATIME }, { LINUX_MOUNT_ATTR_NOSYMFOLLOW, MNT_NOSYMFOLLOW },
};

u32 linux_mount_attr_bits(u64 attr)
{
    u32 f = 0;
    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        if (attr & bits[i].attr) f |= bits[i].flag;
    return f;
}

int linux_mount_attr_atime(u64 attr, u32 *flags)
{
    switch (attr & LINUX_MOUNT_ATTR_ATIME) {
    case 0: *flags = MNT_RELATIME; return 0;
    case LINUX_MOUNT_ATTR_NOATIME: *flags = MNT_NOATIME; return 0;
    case LINUX_MOUNT_ATTR_STRICTATIME: *flags = 0; return 0;
    default: return -EINVAL;
    }
}

u64 linux_mount_attr_of(u32 flags)
{
    u64 attr = flags & MNT_NOATIME ? LINUX_MOUNT_ATTR_NOATIME : flags & MNT_RELATIME ? 0 : LINUX_MOUNT_ATTR_STRICTATIME;
    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        if (flags & bits[i].flag) attr |= bits[i].attr;
    return attr;
}

sysret_t linux_mount_fd(struct path *p, bool cloexec)
{
    struct file *f;
    int r = vfs_open_path(p, O_PATH, &f);
    if (r) {
        mount_dissolve(p->mnt);
    } else {
        f->mode |= FMODE_DISSOLVE;
        r = fd_install(f, cloexec);
        if (r < 0) file_put(f);
    }
    path_put(p);
    return r;
}

static u32 walk_flags(u64 flags) { return (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0); }

/* --- mount_setattr --- */

/* Bytes of a newer structure must be zero. */
static int copy_in_attr(struct linux_mount_attr *at, gaddr_t p, u64 size)
{
    u8 more[256];
    if (size > GPAGE_SIZE) return -E2BIG;
    if (size < sizeof(*at)) return -EINVAL;
    if (copy_in(at, p, sizeof(*at))) return -EFAULT;
    for (u64 done = sizeof(*at); done < size;) {
        size_t n = MIN(size - done, sizeof(more));
        if (copy_in(more, p + done, n)) return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (more[i]) return -E2BIG;
        done += n;
    }
    return 0;
}

/* Ids of a mount are not mapped: no file system here offers it. Before that is said the descriptor is looked at. */
static int refuse_idmap(const struct linux_mount_attr *at)
{
    enum ns_type type;
    struct ns *ns;
    if (at->attr_clr & LINUX_MOUNT_ATTR_IDMAP) return -EINVAL;
    if (at->userns_fd > INT32_MAX) return -EINVAL;
    FILE_ARG(f, at->userns_fd);
    if (!nsfs_file(f, &type, &ns) || type != NS_USER) return -EINVAL;
    return ns ? -EINVAL : -EPERM;      /* the initial one maps nothing */
}

static int to_change(const struct linux_mount_attr *at, bool recursive, struct mount_change *c)
{
    const u64 all = LINUX_MOUNT_ATTR_FLAGS | LINUX_MOUNT_ATTR_IDMAP;
    u32 atime;

    if ((at->propagation & ~(u64)(MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)) || (at->propagation & (at->propagation - 1))) return -EINVAL;
    if ((at->attr_set | at->attr_clr) & ~all) return -EINVAL;
    *c = (struct mount_change){ .set = linux_mount_attr_bits(at->attr_set), .clear = linux_mount_attr_bits(at->attr_clr), .kind = at->propagation,
        .recursive = recursive };
    /* The field on atime is changed as a whole or not at all. */
    if (at->attr_clr & LINUX_MOUNT_ATTR_ATIME) {
        if ((at->attr_clr & LINUX_MOUNT_ATTR_ATIME) != LINUX_MOUNT_ATTR_ATIME || linux_mount_attr_atime(at->attr_set, &atime)) return -EINVAL;
        c->clear |= MNT_RELATIME | MNT_NOATIME;
        c->set |= atime;
    } else if (at->attr_set & LINUX_MOUNT_ATTR_ATIME) {
        return -EINVAL;
    }
    return (at->attr_set | at->attr_clr) & LINUX_MOUNT_ATTR_IDMAP ? refuse_idmap(at) : 0;
}

/* 1: there is nothing to do. */
static int change_arg(gaddr_t p, u64 size, bool recursive, struct mount_change *c)
{
    struct linux_mount_attr at;
    int r = copy_in_attr(&at, p, size);
    if (r) return r;
    if (!linux_may_mount()) return -EPERM;
    return at.attr_set || at.attr_clr || at.propagation ? to_change(&at, recursive, c) : 1;
}

sysret_t linux_mount_setattr(const struct syscall_args *a)
{
    u32 flags = ARG_U32(2);
    struct mount_change c;
    AUTO_PATH p = { 0 };
    int r;

    if (flags & ~(u32)SETATTR_FLAGS) return -EINVAL;
    r = change_arg(a->a[3], a->a[4], flags & LINUX_AT_RECURSIVE, &c);
    if (r) return r > 0 ? 0 : r;
    PATH_ARG(path, a->a[1]);
    if ((r = vfs_walk(ARG_INT(0), path, walk_flags(flags), &p))) return r;
    return vfs_mount_setattr(&p, &c);
}

/* --- open_tree --- */

static sysret_t do_open_tree(int dfd, gaddr_t at, u32 flags, const struct mount_change *c)
{
    AUTO_PATH p = { 0 };
    struct path tree;
    struct file *f;
    int r;

    if (flags & ~(u32)OPEN_TREE_FLAGS) return -EINVAL;
    if ((flags & (LINUX_AT_RECURSIVE | LINUX_OPEN_TREE_CLONE)) == LINUX_AT_RECURSIVE) return -EINVAL;
    if ((flags & LINUX_OPEN_TREE_CLONE) && !linux_may_mount()) return -EPERM;
    PATH_ARG(path, at);
    if ((r = vfs_walk(dfd, path, walk_flags(flags), &p))) return r;
    if (flags & LINUX_OPEN_TREE_CLONE) {
        if ((r = vfs_open_tree(&p, flags & LINUX_AT_RECURSIVE, &tree))) return r;
        if (c && (r = vfs_mount_setattr(&tree, c))) {
            mount_dissolve(tree.mnt);
            path_put(&tree);
            return r;
        }
        return linux_mount_fd(&tree, flags & O_CLOEXEC);
    }
    if (c && (r = vfs_mount_setattr(&p, c))) return r;
    if ((r = vfs_open_path(&p, O_PATH, &f))) return r;
    r = fd_install(f, flags & O_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_open_tree(const struct syscall_args *a) { return do_open_tree(ARG_INT(0), a->a[1], ARG_U32(2), NULL); }

sysret_t linux_open_tree_attr(const struct syscall_args *a)
{
    struct mount_change c;
    if (!a->a[3]) return a->a[4] ? -EINVAL : do_open_tree(ARG_INT(0), a->a[1], ARG_U32(2), NULL);
    int r = change_arg(a->a[3], a->a[4], ARG_U32(2) & LINUX_AT_RECURSIVE, &c);
    if (r < 0) return r;
    return do_open_tree(ARG_INT(0), a->a[1], ARG_U32(2), r ? NULL : &c);
}

/* --- move_mount --- */

sysret_t linux_move_mount(const struct syscall_args *a)
{
    u32 flags = ARG_U32(4);
    AUTO_PATH from = { 0 };
    AUTO_PATH to = { 0 };
    int r;

    if (!linux_may_mount() || ll_mount()) return -EPERM;
    if (flags & ~LINUX_MOVE_FLAGS) return -EINVAL;
    if ((flags & LINUX_MOVE_SET_GROUP) && (flags & LINUX_MOVE_BENEATH)) return -EINVAL;
    PATH_ARG(from_path, a->a[1]);
    PATH_ARG(to_path, a->a[3]);
    if ((r = vfs_walk(ARG_INT(2), to_path, (flags & MOVE_MOUNT_T_SYMLINKS ? WALK_FOLLOW : 0) | (flags & MOVE_MOUNT_T_EMPTY_PATH ? WALK_EMPTY : 0), &to)))
        return r;
    if ((r = vfs_walk(ARG_INT(0), from_path, (flags & MOVE_MOUNT_F_SYMLINKS ? WALK_FOLLOW : 0) | (flags & MOVE_MOUNT_F_EMPTY_PATH ? WALK_EMPTY : 0), &from)))
        return r;
    if (flags & LINUX_MOVE_SET_GROUP) return vfs_mount_set_group(&from, &to);
    return vfs_move_mount(&from, &to, flags & LINUX_MOVE_BENEATH);
}
