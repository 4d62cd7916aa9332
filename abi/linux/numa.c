/*
 * Memory policy on the one node there is: kept and told, without effect. Source: set_mempolicy(2), mbind(2),
 * get_mempolicy(2); where those leave it open, mm/mempolicy.c.
 */
#include "abi/linux/linux.h"
#include <linux/capability.h>
#include <linux/mempolicy.h>

#define MODE_FLAGS (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)
#define MODE_MAX 6

/* get_nodes(): the first word of a node mask; the others must be empty. */
static int read_nodes(gaddr_t p, u64 maxnode, u64 *nodes)
{
    u64 words, w;

    *nodes = 0;
    maxnode--;
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

/* mpol_new() and mpol_set_nodemask(). */
static int make_policy(u64 mode, gaddr_t mask, u64 maxnode, struct mem_policy *out)
{
    u64 nodes, base = mode & ~(u64)MODE_FLAGS, flags = mode & MODE_FLAGS;
    int r;

    if (base > MODE_MAX || flags == MODE_FLAGS) return -EINVAL;
    if ((r = read_nodes(mask, maxnode, &nodes))) return r;
    *out = (struct mem_policy){ 0 };
    if (base == MPOL_DEFAULT) return nodes ? -EINVAL : 0;
    if (base == MPOL_PREFERRED && !nodes) {
        if (flags) return -EINVAL;
        base = MPOL_LOCAL;
    } else if (base == MPOL_LOCAL) {
        if (nodes || flags) return -EINVAL;
    } else {
        /* Relative nodes fold around, of the others only those that are there count. */
        u64 there = flags & MPOL_F_RELATIVE_NODES ? nodes != 0 : nodes & 1;
        if (!there) return -EINVAL;
        if (!flags) nodes = there;
    }
    *out = (struct mem_policy){ (u32)(base | flags), nodes };
    return 0;
}

sysret_t linux_set_mempolicy(const struct syscall_args *a)
{
    struct mem_policy policy;
    int r = make_policy(ARG_U32(0), a->a[1], a->a[2], &policy);

    if (!r) current->mempolicy = policy;
    return r;
}

sysret_t linux_mbind(const struct syscall_args *a)
{
    u32 flags = ARG_U32(5);
    u64 len = gpage_up(a->a[1]);
    struct mem_policy policy;
    int r;

    if (flags & ~(u32)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE)) return -EPERM;
    if (a->a[0] & (GPAGE_SIZE - 1)) return -EINVAL;
    if (a->a[0] + len < a->a[0]) return -EINVAL;
    if ((r = make_policy(ARG_U32(2), a->a[3], a->a[4], &policy))) return r;
    return mm_set_policy(current->mm, a->a[0], len, policy);
}

/* The answer's first word, and nothing in those behind it. */
static int write_nodes(gaddr_t p, u64 maxnode, u64 nodes)
{
    static const u64 zero;
    u64 words = (maxnode + 62) / 64;

    if (words * 8 > GPAGE_SIZE) return -EINVAL;
    for (u64 i = 0; i < words; i++)
        if (copy_out(p + i * 8, i ? &zero : &nodes, 8)) return -EFAULT;
    return 0;
}

/* MPOL_F_NODE: a node instead of a mode. */
static int node_asked_for(u64 flags, gaddr_t addr, const struct mem_policy *policy)
{
    u32 base = policy->mode & ~(u32)MODE_FLAGS;
    u8 byte;

    if (flags & MPOL_F_ADDR) return copy_in(&byte, addr, 1) ? -EFAULT : 0;
    return base == MPOL_INTERLEAVE || base == MODE_MAX ? 0 : -EINVAL;
}

sysret_t linux_get_mempolicy(const struct syscall_args *a)
{
    struct mem_policy policy = current->mempolicy;
    u64 flags = a->a[4];
    s32 mode;
    int r;

    if (a->a[1] && a->a[2] < 1) return -EINVAL; /* as many as there are nodes */
    if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR)) return -EINVAL;
        policy = (struct mem_policy){ .nodes = 1 };
    } else if (flags & MPOL_F_ADDR) {
        if ((r = mm_get_policy(current->mm, a->a[3], &policy))) return r;
    } else if (a->a[3]) {
        return -EINVAL;
    }
    mode = (s32)policy.mode;
    if (flags & MPOL_F_NODE && (mode = node_asked_for(flags, a->a[3], &policy)) < 0) return mode;
    if (a->a[0] && copy_out(a->a[0], &mode, sizeof(mode))) return -EFAULT;
    return a->a[1] ? write_nodes(a->a[1], a->a[2], policy.nodes) : 0;
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
