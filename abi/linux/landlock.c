/* landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2). Source: security/landlock/syscalls.c. */
#include "sentry/landlock/landlock.h"
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include <linux/capability.h>

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2

struct linux_landlock_ruleset { u64 handled_fs, handled_net, scoped; };
struct linux_landlock_path { u64 access; s32 parent_fd; } __attribute__((packed));
struct linux_landlock_port { u64 access, port; };
_Static_assert(sizeof(struct linux_landlock_path) == 12, "packed as in <linux/landlock.h>");

sysret_t linux_landlock_create_ruleset(const struct syscall_args *a)
{
    struct linux_landlock_ruleset at = { 0 };
    struct file *f;
    int r;

    if (ARG_U32(2)) return ARG_U32(2) == CREATE_RULESET_VERSION && !a->a[0] && !a->a[1] ? LANDLOCK_ABI : -EINVAL;
    r = linux_copy_in_grown(&at, sizeof(at), sizeof(at.handled_fs), a->a[0], a->a[1]);
    if (r) return r;
    if ((at.handled_fs & ~(u64)LL_FS_ALL) || (at.handled_net & ~(u64)LL_NET_ALL) || (at.scoped & ~(u64)LL_SCOPE_ALL)) return -EINVAL;
    if (!at.handled_fs && !at.handled_net && !at.scoped) return -ENOMSG;
    struct ll_handled h = { (u32)at.handled_fs, (u32)at.handled_net, (u32)at.scoped };
    r = ll_ruleset_new(&h, &f);
    if (r) return r;
    r = fd_install(f, true);
    if (r < 0) file_put(f);
    return r;
}

static sysret_t add_path(struct file *rules, gaddr_t p)
{
    struct linux_landlock_path at;

    if (copy_in(&at, p, sizeof(at))) return -EFAULT;
    if (!at.access) return -ENOMSG;
    if (at.access & ~(u64)ll_ruleset_handled(rules)->fs) return -EINVAL;
    FILE_PATH_ARG(f, (u64)at.parent_fd);
    /* Only what can be mounted: neither a ruleset nor a pipe. */
    if (!f->path.dentry || !f->path.mnt || !f->path.mnt->ns || !f->path.dentry->inode) return -EBADFD;
    return ll_ruleset_add_path(rules, f->path.dentry, (u32)at.access);
}

static sysret_t add_port(struct file *rules, gaddr_t p)
{
    struct linux_landlock_port at;

    if (copy_in(&at, p, sizeof(at))) return -EFAULT;
    if (!at.access) return -ENOMSG;
    if (at.access & ~(u64)ll_ruleset_handled(rules)->net) return -EINVAL;
    if (at.port > UINT16_MAX) return -EINVAL;
    return ll_ruleset_add_port(rules, (u16)at.port, (u32)at.access);
}

sysret_t linux_landlock_add_rule(const struct syscall_args *a)
{
    if (ARG_U32(3)) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!ll_file_is_ruleset(f)) return -EBADFD;
    switch (ARG_INT(1)) {
    case RULE_PATH_BENEATH: return add_path(f, a->a[2]);
    case RULE_NET_PORT: return add_port(f, a->a[2]);
    default: return -EINVAL;
    }
}

sysret_t linux_landlock_restrict_self(const struct syscall_args *a)
{
    if (!current->no_new_privs && !own_ns_capable(CAP_SYS_ADMIN)) return -EPERM;
    if (ARG_U32(1)) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!ll_file_is_ruleset(f)) return -EBADFD;
    return ll_restrict(f);
}

/* lsm_list_modules(2): what there is of linux/lsm.h, in the order Linux asks them. */
sysret_t linux_lsm_list_modules(const struct syscall_args *a)
{
    static const u64 ids[] = { 100 /* LSM_ID_CAPABILITY */, 110 /* LSM_ID_LANDLOCK */ };
    const u32 need = sizeof(ids);
    u32 size;

    if (ARG_U32(2)) return -EINVAL;
    if (copy_in(&size, a->a[1], sizeof(size)) || copy_out(a->a[1], &need, sizeof(need))) return -EFAULT;
    if (size < need) return -E2BIG;
    return copy_out(a->a[0], ids, sizeof(ids)) ? -EFAULT : (sysret_t)ARRAY_LEN(ids);
}
