/* mremap(2). */
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct move { struct mm *mm; gaddr_t from, to; };

static bool move_one(gaddr_t va, u64 e, void *arg)
{
    struct move *m = arg;
    pt_set(m->mm->pt, m->to + (va - m->from), e & ~PTE_PLAT);
    return true;
}

/* Entries go from one range to another, both of them ours; the platform forgets the old place. */
static void move_pages(struct mm *mm, gaddr_t from, gaddr_t to, u64 len, struct mm_update *u)
{
    struct move m = { mm, from, to };
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, from, from + len);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) {
        if (!(*e & PTE_MAPPED)) continue;
        update_unmap(u, va, from + len);
        break;
    }
    pt_remove_range(mm->pt, from, from + len, move_one, &m);
}

struct remap { gaddr_t old; u64 old_len, new_len; u32 flags; gaddr_t new_addr; };

/* May v's range grow or move as asked? As vma_to_resize(). */
static int check_resize(struct mm *mm, const struct vma *v, const struct remap *r)
{
    if (!r->old_len && !(v->flags & VMA_SHARED)) return -EINVAL;
    if ((r->flags & MREMAP_DONTUNMAP) && (v->flags & VMA_SPECIAL)) return -EINVAL;
    if (r->old_len > v->end - r->old) return -EFAULT;
    if (r->new_len == r->old_len) return 0;
    u64 last;
    if (v->obj && add_overflow(v->off + (r->old - v->start), r->new_len, &last)) return -EINVAL;
    if (v->flags & (VMA_SPECIAL | VMA_FIXED_SIZE)) return -EFAULT;
    if (r->new_len < r->old_len) return 0;
    u64 more = (r->new_len - r->old_len) >> GPAGE_SHIFT;
    if ((v->flags & VMA_LOCKED) && !mm_may_lock(mm, more)) return -EAGAIN;
    return mm_may_expand(mm, more, vma_is_data(v->prot, v->flags)) ? 0 : -ENOMEM;
}

static void fill_new(struct mm *mm, struct vma *v, gaddr_t start, gaddr_t end, struct mm_update *u)
{
    bool locked = (v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT);
    if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return;
    if (locked)
        mm_populate(mm, v, start, end, (v->prot & PROT_WRITE) && !(v->flags & VMA_SHARED), true, u);
    else if (!v->obj && end - start <= MM_EAGER_ANON)
        mm_populate(mm, v, start, end, false, false, u);
}

static sysret_t move_vma(struct mm *mm, struct vma *v, const struct remap *r, gaddr_t to, struct mm_update *u,
                         struct vma_list *dead)
{
    /* Two cuts of the old place and the new vma. */
    if (mm->nr_vmas + 3 > MM_MAX_MAP_COUNT) return -ENOMEM;
    struct vma *n = vma_dup(v);
    n->start = to;
    n->end = to + r->new_len;
    if (n->obj) n->off = v->off + (r->old - v->start);
    n->flags &= ~(u32)VMA_HEAP;
    vma_insert(mm, n);
    u64 moved = MIN(r->old_len, r->new_len);
    if (moved) move_pages(mm, r->old, to, moved, u);
    if (r->flags & MREMAP_DONTUNMAP) {
        int err = vma_isolate(mm, r->old, r->old + r->old_len);
        struct vma *o = err ? NULL : mm_find_vma_locked(mm, r->old);
        if (o) {
            vma_set_flags(mm, o, o->flags & ~(u32)(VMA_LOCKED | VMA_LOCKONFAULT));
            vma_merge(mm, o, dead);
        }
    } else if (r->old_len) {
        mm_unmap_range(mm, r->old, r->old + r->old_len, u, dead);
    }
    if (r->new_len > r->old_len) fill_new(mm, n, to + r->old_len, to + r->new_len, u);
    vma_merge(mm, n, dead);
    return (sysret_t)to;
}

static sysret_t remap_to(struct mm *mm, struct remap *r, struct mm_update *u, struct vma_list *dead)
{
    if (r->new_addr & ~GPAGE_MASK) return -EINVAL;
    if (r->new_len > mm->addr_limit || r->new_addr > mm->addr_limit - r->new_len) return -EINVAL;
    if (r->old + r->old_len > r->new_addr && r->new_addr + r->new_len > r->old) return -EINVAL;
    if (mm->nr_vmas + 5 >= MM_MAX_MAP_COUNT) return -ENOMEM;
    if (r->flags & MREMAP_FIXED) {
        if (r->new_addr < MM_MMAP_MIN_ADDR) return -EPERM;
        int e = mm_unmap_range(mm, r->new_addr, r->new_addr + r->new_len, u, dead);
        if (e) return e;
    }
    if (r->old_len > r->new_len) {
        int e = mm_unmap_range(mm, r->old + r->new_len, r->old + r->old_len, u, dead);
        if (e) return e;
        r->old_len = r->new_len;
    }
    struct vma *v = mm_find_vma_locked(mm, r->old);
    if (!v) return -EFAULT;
    int e = check_resize(mm, v, r);
    if (e) return e;
    if ((r->flags & MREMAP_DONTUNMAP) &&
        !mm_may_expand(mm, r->old_len >> GPAGE_SHIFT, vma_is_data(v->prot, v->flags)))
        return -ENOMEM;
    sysret_t to = (sysret_t)r->new_addr;
    if (!(r->flags & MREMAP_FIXED)) to = mm_place(mm, r->new_addr, r->new_len, 0, 0, 0, 0);
    if (to < 0) return to;
    return move_vma(mm, v, r, (gaddr_t)to, u, dead);
}

static sysret_t remap_locked(struct mm *mm, struct remap *r, struct mm_update *u, struct vma_list *dead)
{
    struct vma *v = mm_find_vma_locked(mm, r->old);
    if (!v) return -EFAULT;
    bool may_move = r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
    if ((v->flags & VMA_SEALED) && (may_move || r->old_len != r->new_len)) return -EPERM;
    if (may_move) return remap_to(mm, r, u, dead);
    if (r->old_len >= r->new_len) {
        int e = r->old_len == r->new_len ? 0 : mm_unmap_range(mm, r->old + r->new_len, r->old + r->old_len, u, dead);
        return e ? e : (sysret_t)r->old;
    }
    int e = check_resize(mm, v, r);
    if (e) return e;
    if (r->old_len && r->old_len == v->end - r->old) {
        struct vma *next = RB_NEXT(vma_tree, &mm->vmas, v);
        gaddr_t end;
        if (!add_overflow(r->old, r->new_len, &end) && end <= mm->addr_limit && (!next || next->start >= end)) {
            gaddr_t from = v->end;
            vma_account(mm, v, -1);
            v->end = end;
            vma_account(mm, v, 1);
            v = vma_merge(mm, v, dead);
            fill_new(mm, v, from, end, u);
            return (sysret_t)r->old;
        }
    }
    if (!(r->flags & MREMAP_MAYMOVE)) return -ENOMEM;
    sysret_t to = mm_place(mm, 0, r->new_len, 0, 0, 0, 0);
    return to < 0 ? to : move_vma(mm, v, r, (gaddr_t)to, u, dead);
}

sysret_t mm_remap(struct mm *mm, gaddr_t old, u64 old_len, u64 new_len, u32 flags, gaddr_t new_addr)
{
    if (flags & ~(u32)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) return -EINVAL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)) return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && old_len != new_len) return -EINVAL;
    if (old & ~GPAGE_MASK) return -EINVAL;
    old_len = gpage_up(old_len);
    new_len = gpage_up(new_len);
    gaddr_t end;
    if (!new_len || add_overflow(old, old_len, &end)) return -EINVAL;
    if (old >= mm->addr_limit) return -EFAULT;

    struct remap r = { old, old_len, new_len, flags, new_addr };
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    sysret_t ret = remap_locked(mm, &r, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return ret;
}
