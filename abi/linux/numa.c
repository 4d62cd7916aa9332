/* Memory policy on the one node there is: arguments are checked, policies have no effect. Source: set_mempolicy(2), mbind(2). */
#include "abi/linux/linux.h"
#include <linux/capability.h>
#include <linux/mempolicy.h>

#define MODE_FLAGS (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)
#define MODE_MAX 6

/* The first word of a node mask; the others must be empty. */
static int read_nodes(gaddr_t p, u64 maxnode, u64 *nodes)
{
    u64 words, w;

    *nodes = 0;
    if (maxnode) maxnode--;
    if (!p || !maxnode) return 0;
    if (maxnode > GPAGE_SIZE * 8) return -EINVAL;
    words = (maxnode + 63) / 64;
    for (u64 i = 0; i < words; i++) {
        if (copy_in(&w, p + i * 8, 8)) return -EFAULT;
        if (i == words - 1 && maxnode % 64) w &= (1ULL << maxnode % 64) - 1;
        if (i && w) return -EINVAL;
        if (!i) *nodes = w;
    }
    return 0;
}

static int check_policy(u64 mode, gaddr_t mask, u64 maxnode)
{
    u64 nodes, base = mode & ~(u64)MODE_FLAGS;
    int r;

    if (base > MODE_MAX || (mode & MODE_FLAGS) == MODE_FLAGS) return -EINVAL;
    if ((r = read_nodes(mask, maxnode, &nodes))) return r;
    if (nodes & ~1ULL) return -EINVAL;
    if (base == MPOL_DEFAULT || base == MPOL_LOCAL) return nodes ? -EINVAL : 0;
    if (base != MPOL_PREFERRED && !nodes) return -EINVAL;
    return 0;
}

sysret_t linux_set_mempolicy(const struct syscall_args *a)
{
    return check_policy(ARG_U32(0), a->a[1], a->a[2]);
}

sysret_t linux_mbind(const struct syscall_args *a)
{
    u32 flags = ARG_U32(5);

    if (a->a[0] & (GPAGE_SIZE - 1)) return -EINVAL;
    if (flags & ~(u32)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE)) return -EPERM;
    if (a->a[0] + gpage_up(a->a[1]) < a->a[0]) return -EINVAL;
    return check_policy(ARG_U32(2), a->a[3], a->a[4]);
}

sysret_t linux_get_mempolicy(const struct syscall_args *a)
{
    u64 flags = a->a[4], zero = 0, one = 1;
    s32 mode = MPOL_DEFAULT;

    if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) return -EINVAL;
    if (a->a[1] && a->a[2] < 1) return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR)) return -EINVAL;
    } else if (flags & MPOL_F_ADDR) {
        struct mm *mm = current->mm;
        read_lock(&mm->lock);
        bool there = mm_find_vma_locked(mm, a->a[3]) != NULL;
        rw_unlock(&mm->lock);
        if (!there) return -EFAULT;
    } else if (a->a[3] || (flags & MPOL_F_NODE)) {
        return -EINVAL;
    }
    if (a->a[0] && copy_out(a->a[0], &mode, sizeof(mode))) return -EFAULT;
    if (a->a[1]) {
        for (u64 at = 0; at < (a->a[2] + 62) / 64 && at < 64; at++)
            if (copy_out(a->a[1] + at * 8, !at && (flags & MPOL_F_MEMS_ALLOWED) ? &one : &zero, 8)) return -EFAULT;
    }
    return 0;
}

sysret_t linux_migrate_pages(const struct syscall_args *a)
{
    u64 nodes;
    struct task *t;
    int r;

    if ((r = read_nodes(a->a[2], a->a[1], &nodes)) || (r = read_nodes(a->a[3], a->a[1], &nodes))) return r;
    if (!(t = ARG_INT(0) ? task_lookup_get(pid_in(ARG_INT(0))) : (task_get(current), current))) return -ESRCH;
    r = linux_may_access_task(t) ? nodes & ~1ULL ? -EINVAL : 0 : -EPERM;
    task_put(t);
    return r;
}

sysret_t linux_move_pages(const struct syscall_args *a)
{
    u32 flags = ARG_U32(5);
    struct mm *mm;
    struct task *t;
    sysret_t r = 0;

    if (flags & ~(u32)(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE)) return -EPERM;
    if (!(t = ARG_INT(0) ? task_lookup_get(pid_in(ARG_INT(0))) : (task_get(current), current))) return -ESRCH;
    mm = linux_may_access_task(t) ? task_get_mm(t) : NULL;
    task_put(t);
    if (!mm) return -EPERM;
    for (u64 i = 0; i < a->a[1] && !r; i++) {
        u64 page;
        s32 node, status;
        if (copy_in(&page, a->a[2] + i * 8, 8) || (a->a[3] && copy_in(&node, a->a[3] + i * 4, 4))) {
            r = -EFAULT;
            break;
        }
        if (a->a[3] && node != 0) {
            r = -ENODEV;
            break;
        }
        read_lock(&mm->lock);
        gaddr_t p = gpage_down(page);
        status = !mm_find_vma_locked(mm, p) ? -EFAULT : mm_resident_locked(mm, p, p + GPAGE_SIZE) ? 0 : -ENOENT;
        rw_unlock(&mm->lock);
        if (copy_out(a->a[4] + i * 4, &status, 4)) r = -EFAULT;
        if (signal_pending(current) && i + 1 < a->a[1] && !r) r = -EINTR;
    }
    mm_put(mm);
    return r;
}
