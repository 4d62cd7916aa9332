/*
 * Mapped objects and the way from an object's pages back to the address spaces that map them.
 *
 * The list of vmas has an inner lock (LC_I_MMAP, inside LC_MM): linking happens under mm->lock. mappable_unmap wants
 * the other direction, so it collects pinned address spaces under the list's lock, drops it, and takes their locks one
 * by one. It repeats until a look finds nobody new: a fork may have added a child meanwhile.
 */
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <string.h>

void mappable_init(struct mappable *m, const struct mappable_ops *ops, struct inode *inode)
{
    m->ops = ops;
    m->inode = inode;
    m->nr_writable = 0;
    LIST_INIT(&m->vmas);
    lock_init(&m->lock, LC_I_MMAP);
}

void mappable_fini(struct mappable *m)
{
    ASSERT(LIST_EMPTY(&m->vmas));
    lock_fini(&m->lock);
}

static void unmap_in(struct mm *mm, struct mappable *m, u64 first, u64 last /* bytes, exclusive */, bool also_private)
{
    struct mm_update u;
    struct vma *v;
    update_init(&u, mm);
    write_lock(&mm->lock);
    RB_FOREACH(v, vma_tree, &mm->vmas) {
        if (v->obj != m) continue;
        u64 vend = v->off + (v->end - v->start), lo = MAX(first, v->off), hi = MIN(last, vend);
        if (lo < hi) zap_range(mm, v->start + (lo - v->off), v->start + (hi - v->off), &u, !also_private);
    }
    update_flush(&u);
    rw_unlock(&mm->lock);
}

struct mm_set { struct mm **mms; size_t n, cap; };

static bool set_has(const struct mm_set *s, const struct mm *mm)
{
    for (size_t i = s->n; i > 0; i--)
        if (s->mms[i - 1] == mm) return true;
    return false;
}

void mappable_unmap(struct mappable *m, u64 pgoff, u64 n, bool also_private)
{
    u64 first, count, last;
    if (mul_overflow(pgoff, GPAGE_SIZE, &first)) return;
    if (mul_overflow(n, GPAGE_SIZE, &count) || add_overflow(first, count, &last)) last = UINT64_MAX & GPAGE_MASK;

    struct mm_set set = { 0 };
    for (size_t done = 0;;) {
        struct vma *v;
        lock(&m->lock);
        LIST_FOREACH(v, &m->vmas, obj_link) {
            /* v->start, end and off belong to mm->lock: the range is looked at later. */
            if (set_has(&set, v->mm)) continue;
            if (set.n == set.cap) {
                set.cap = set.cap ? set.cap * 2 : 8;
                set.mms = xrealloc(set.mms, set.cap * sizeof(*set.mms));
            }
            ref_get(&v->mm->pins);
            set.mms[set.n++] = v->mm;
        }
        unlock(&m->lock);
        if (done == set.n) break;
        while (done < set.n) unmap_in(set.mms[done++], m, first, last, also_private);
    }
    for (size_t i = 0; i < set.n; i++) mm_unpin(set.mms[i]);
    free(set.mms);
}
