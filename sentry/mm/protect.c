/* mprotect(2), mseal(2). */
#include "sentry/mm/internal.h"

#include "sentry/kernel/task.h"

/* Brings the platform in line after prot of v changed. What is not mapped yet waits for its fault. */
static void reprotect(struct mm *mm, struct vma *v, struct mm_update *u)
{
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, v->start, v->end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));)
        if (*e & PTE_MAPPED) update_protect(u, va, e, pte_allowed(v, *e));
}

static int protect_vma(struct mm *mm, struct vma *v, gaddr_t start, gaddr_t end, u32 prot, struct mm_update *u,
                       struct vma_list *dead)
{
    if (v->flags & VMA_SEALED) return -EPERM;
    if (prot & ~v->max_prot) return -EACCES;
    if (v->prot == prot) return 0;
    bool data = vma_is_data(prot, v->flags) && !vma_is_data(v->prot, v->flags);
    if (data && mm_rlimit(RLIMIT_DATA) != RLIM_INFINITY &&
        mm->data_pages + ((end - start) >> GPAGE_SHIFT) > mm_rlimit(RLIMIT_DATA) >> GPAGE_SHIFT)
        return -ENOMEM;
    int r = vma_isolate(mm, start, end);
    if (r) return r;
    v = mm_find_vma_locked(mm, start);
    vma_set_prot(mm, v, prot);
    reprotect(mm, v, u);
    vma_merge(mm, v, dead);
    return 0;
}

static int protect_locked(struct mm *mm, gaddr_t start, gaddr_t end, u32 prot, u32 grows, struct mm_update *u,
                          struct vma_list *dead)
{
    struct vma *v = vma_find_from(mm, start);
    if (!v) return -ENOMEM;
    if (grows & PROT_GROWSDOWN) {
        if (v->start >= end) return -ENOMEM;
        if (!(v->flags & VMA_GROWSDOWN)) return -EINVAL;
        start = v->start;
    } else {
        if (v->start > start) return -ENOMEM;
        if (grows & PROT_GROWSUP) return -EINVAL;       /* no such mappings on x86 */
    }
    for (gaddr_t at = start; at < end;) {
        v = mm_find_vma_locked(mm, at);
        if (!v) return -ENOMEM;                         /* what is before the hole stays changed */
        gaddr_t stop = MIN(end, v->end);
        int r = protect_vma(mm, v, at, stop, prot, u, dead);
        if (r) return r;
        at = stop;
    }
    return 0;
}

sysret_t mm_protect(struct mm *mm, gaddr_t addr, u64 len, u32 prot, u32 grows)
{
    grows |= prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    prot &= ~(u32)(PROT_GROWSDOWN | PROT_GROWSUP);
    if ((grows & PROT_GROWSDOWN) && (grows & PROT_GROWSUP)) return -EINVAL;
    if (addr & ~GPAGE_MASK) return -EINVAL;
    if (!len) return 0;
    gaddr_t end;
    len = gpage_up(len);
    if (add_overflow(addr, len, &end) || end <= addr) return -ENOMEM;
    if (prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC)) return -EINVAL;

    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    int r = protect_locked(mm, addr, end, prot, grows, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}

sysret_t mm_seal(struct mm *mm, gaddr_t addr, u64 len)
{
    gaddr_t end;
    u64 rounded = gpage_up(len);
    if ((addr & ~GPAGE_MASK) || (len && !rounded) || add_overflow(addr, rounded, &end)) return -EINVAL;
    if (addr == end) return 0;

    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    write_lock(&mm->lock);
    int r = 0;
    for (gaddr_t at = addr; at < end && !r;) {
        struct vma *v = mm_find_vma_locked(mm, at);
        if (v) at = v->end;
        else r = -ENOMEM;
    }
    if (!r) r = vma_isolate(mm, addr, end);
    for (gaddr_t at = addr; at < end && !r;) {
        struct vma *v = mm_find_vma_locked(mm, at);
        at = v->end;
        vma_set_flags(mm, v, v->flags | VMA_SEALED);
        vma_merge(mm, v, &dead);
    }
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}
