/*
 * mlock(2), mlock2(2), munlock(2), mlockall(2). "Locked" means present and mapped: the sentry has no swap of its own,
 * and what the host does with its memory is outside the guest's sight.
 */
#include "sentry/mm/internal.h"

#include "sentry/kernel/task.h"

#include <linux/capability.h>

static int set_lock_flags(struct mm *mm, gaddr_t start, gaddr_t end, u32 lock_flags, struct vma_list *dead)
{
    for (gaddr_t at = start; at < end;) {
        struct vma *v = mm_find_vma_locked(mm, at);
        if (!v) return -ENOMEM;
        gaddr_t stop = MIN(end, v->end);
        u32 want = (v->flags & ~(u32)(VMA_LOCKED | VMA_LOCKONFAULT)) | lock_flags;
        if (want != v->flags && !(v->flags & VMA_SPECIAL)) {
            int r = vma_isolate(mm, at, stop);
            if (r) return r;
            v = mm_find_vma_locked(mm, at);
            vma_set_flags(mm, v, want);
            vma_merge(mm, v, dead);
        }
        at = stop;
    }
    return 0;
}

/* Pages are handed out unwritten, and then the host has not provided them yet: locked ones are to be there. */
static void provide(struct mm *mm, gaddr_t start, gaddr_t end)
{
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, start, end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));)
        if (pte_is_memfile(*e)) (void)*(const volatile u8 *)memfile_ptr(pte_page(*e));
}

/* Errors as __mlock_posix_error_return(): no memory is EAGAIN, a page that cannot be had is ENOMEM. */
static int populate_range(struct mm *mm, gaddr_t start, gaddr_t end, bool strict, struct mm_update *u)
{
    for (struct vma *v = vma_find_from(mm, start); v && v->start < end; v = RB_NEXT(vma_tree, &mm->vmas, v)) {
        if (v->flags & VMA_LOCKONFAULT) continue;
        if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) {
            if (strict) return -ENOMEM;
            continue;
        }
        bool write = (v->prot & PROT_WRITE) && !(v->flags & VMA_SHARED);
        int r = mm_populate(mm, v, MAX(start, v->start), MIN(end, v->end), write, true, u);
        provide(mm, MAX(start, v->start), MIN(end, v->end));
        if (r && strict) return r == -ENOMEM ? -EAGAIN : -ENOMEM;
    }
    return 0;
}

static u64 locked_in(struct mm *mm, gaddr_t start, gaddr_t end)
{
    u64 n = 0;
    for (struct vma *v = vma_find_from(mm, start); v && v->start < end; v = RB_NEXT(vma_tree, &mm->vmas, v))
        if (v->flags & VMA_LOCKED) n += (MIN(end, v->end) - MAX(start, v->start)) >> GPAGE_SHIFT;
    return n;
}

static int mlock_locked(struct mm *mm, gaddr_t start, gaddr_t end, u32 flags, struct mm_update *u, struct vma_list *dead)
{
    u64 pages = (end - start) >> GPAGE_SHIFT;
    if (flags && !mm_may_lock(mm, pages) && !mm_may_lock(mm, pages - MIN(pages, locked_in(mm, start, end)))) return -ENOMEM;
    int r = set_lock_flags(mm, start, end, flags, dead);
    if (!r && flags) r = populate_range(mm, start, end, true, u);
    return r;
}

sysret_t mm_mlock(struct mm *mm, gaddr_t addr, u64 len, bool on, bool onfault)
{
    if (on && !mm_rlimit(RLIMIT_MEMLOCK) && !capable(CAP_IPC_LOCK)) return -EPERM;
    gaddr_t start = gpage_down(addr), end;
    if (add_overflow(len, addr - start, &len)) return -EINVAL;
    len = gpage_up(len);
    if (add_overflow(start, len, &end)) return -EINVAL;
    if (start == end) return 0;
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    u32 flags = on ? VMA_LOCKED | (onfault ? VMA_LOCKONFAULT : 0) : 0;
    int r = end > mm->addr_limit ? -ENOMEM : mlock_locked(mm, start, end, flags, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}

sysret_t mm_mlockall(struct mm *mm, int flags)
{
    u32 lock_flags = VMA_LOCKED | (flags & MCL_ONFAULT ? VMA_LOCKONFAULT : 0);
    if (flags) {
        if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT) return -EINVAL;
        if (!mm_rlimit(RLIMIT_MEMLOCK) && !capable(CAP_IPC_LOCK)) return -EPERM;
    }
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    int r = 0;
    update_init(&u, mm);
    write_lock(&mm->lock);
    u64 limit = mm_rlimit(RLIMIT_MEMLOCK);
    if ((flags & MCL_CURRENT) && limit != RLIM_INFINITY && mm->total_pages > limit >> GPAGE_SHIFT &&
        !capable(CAP_IPC_LOCK)) {
        r = -ENOMEM;
    } else {
        mm->def_flags = flags & MCL_FUTURE ? lock_flags : 0;
        if (!flags || (flags & MCL_CURRENT)) {
            for (struct vma *v = RB_MIN(vma_tree, &mm->vmas); v; v = vma_find_from(mm, v->end)) {
                gaddr_t start = v->start;
                set_lock_flags(mm, v->start, v->end, flags ? lock_flags : 0, &dead);
                v = mm_find_vma_locked(mm, start);
            }
            if (flags) populate_range(mm, 0, mm->addr_limit, false, &u);
        }
    }
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}
