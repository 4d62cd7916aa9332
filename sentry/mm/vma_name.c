/* prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME): names of anonymous memory in /proc/pid/maps. */
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"

sysret_t mm_set_vma_name(struct mm *mm, gaddr_t addr, u64 len, const char *name)
{
    if (addr & ~GPAGE_MASK) return -EINVAL;
    u64 rounded = gpage_up(len);
    gaddr_t end;
    if ((len && !rounded) || add_overflow(addr, rounded, &end)) return -EINVAL;
    if (end == addr) return 0;
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    int r = 0, hole = 0;
    write_lock(&mm->lock);
    for (gaddr_t at = addr; at < end && !r;) {
        struct vma *v = vma_find_from(mm, at);
        if (!v || v->start >= end) {
            hole = -ENOMEM;
            break;
        }
        if (v->start > at) {
            hole = -ENOMEM;
            at = v->start;
        }
        gaddr_t stop = MIN(end, v->end);
        if (v->obj) {
            r = -EBADF;
        } else if (!(r = vma_isolate(mm, at, stop))) {
            v = mm_find_vma_locked(mm, at);
            free(v->anon_name);
            v->anon_name = name ? xstrdup(name) : NULL;
            vma_merge(mm, v, &dead);
        }
        at = stop;
    }
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r ? r : hole;
}
