/* msync(2). Mappings and read/write are coherent without it: what is left is the file's own fsync. */
#include "sentry/mm/internal.h"

#include "sentry/vfs/file.h"

sysret_t mm_msync(struct mm *mm, gaddr_t addr, u64 len, int flags)
{
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) return -EINVAL;
    if ((flags & MS_ASYNC) && (flags & MS_SYNC)) return -EINVAL;
    if (addr & ~GPAGE_MASK) return -EINVAL;
    gaddr_t end;
    if (add_overflow(addr, gpage_up(len), &end) || (len && !gpage_up(len))) return -ENOMEM;
    int hole = 0;
    for (gaddr_t at = addr; at < end;) {
        read_lock(&mm->lock);
        struct vma *v = vma_find_from(mm, at);
        if (!v || v->start >= end) {
            rw_unlock(&mm->lock);
            return -ENOMEM;
        }
        if (v->start > at) hole = -ENOMEM;
        if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED)) {
            rw_unlock(&mm->lock);
            return -EBUSY;
        }
        at = v->end;
        struct file *f = NULL;
        if ((flags & MS_SYNC) && (v->flags & VMA_SHARED) && v->file && v->file->ops->fsync) {
            f = v->file;
            file_get(f);
        }
        rw_unlock(&mm->lock);
        if (!f) continue;
        int r = f->ops->fsync(f, false);
        file_put(f);
        if (r && r != -EINVAL) return r;       /* EINVAL: an object without storage */
    }
    return hole;
}
