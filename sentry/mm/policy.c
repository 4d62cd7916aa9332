/* Memory policies of mappings: mbind(2), get_mempolicy(2) with an address. */
#include "sentry/mm/internal.h"

int mm_set_policy(struct mm *mm, gaddr_t addr, u64 len, struct mem_policy policy)
{
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    gaddr_t end = addr + len;
    int r = 0;

    write_lock(&mm->lock);
    for (gaddr_t at = addr; at < end && !r;) {
        struct vma *v = mm_find_vma_locked(mm, at);
        if (!v) r = -EFAULT;
        else at = v->end;
    }
    for (gaddr_t at = addr; at < end && !r;) {
        gaddr_t stop = MIN(end, mm_find_vma_locked(mm, at)->end);
        if (!(r = vma_isolate(mm, at, stop))) {
            struct vma *v = mm_find_vma_locked(mm, at);
            v->policy = policy;
            vma_merge(mm, v, &dead);
        }
        at = stop;
    }
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}

int mm_get_policy(struct mm *mm, gaddr_t addr, struct mem_policy *policy)
{
    read_lock(&mm->lock);
    const struct vma *v = mm_find_vma_locked(mm, addr);
    if (v) *policy = v->policy;
    rw_unlock(&mm->lock);
    return v ? 0 : -EFAULT;
}
