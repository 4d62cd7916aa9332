/* madvise(2). Advice on paging that means nothing here is accepted where Linux accepts it. */
#include "sentry/mm/internal.h"

#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#include <linux/capability.h>
#include <linux/falloc.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

struct advice { int kind; struct mm_update u; struct vma_list dead; };

static int change_flags(struct mm *mm, struct advice *a, gaddr_t start, gaddr_t end, u32 set, u32 clear)
{
    struct vma *v = mm_find_vma_locked(mm, start);
    u32 want = (v->flags & ~clear) | set;
    if (want == v->flags) return 0;
    int r = vma_isolate(mm, start, end);
    if (r) return r == -ENOMEM ? -EAGAIN : r;
    v = mm_find_vma_locked(mm, start);
    vma_set_flags(mm, v, want);
    vma_merge(mm, v, &a->dead);
    return 0;
}

/* mseal(2): what throws contents away is refused where they could not be written anew. */
static bool discards(int kind)
{
    return kind == MADV_FREE || kind == MADV_DONTNEED || kind == MADV_DONTNEED_LOCKED || kind == MADV_REMOVE ||
           kind == MADV_DONTFORK || kind == MADV_WIPEONFORK;
}

static int advise_vma(struct mm *mm, struct advice *a, struct vma *v, gaddr_t start, gaddr_t end)
{
    bool special = v->flags & VMA_SPECIAL, locked = v->flags & VMA_LOCKED;
    if ((v->flags & VMA_SEALED) && discards(a->kind) && !v->obj && !(v->prot & PROT_WRITE)) return -EPERM;
    switch (a->kind) {
    case MADV_FREE:
        if (v->obj) return -EINVAL;
        /* Dropping the pages at once is one of the times the man page leaves open. */
        __attribute__((fallthrough));
    case MADV_DONTNEED:
        if (locked) return -EINVAL;
        __attribute__((fallthrough));
    case MADV_DONTNEED_LOCKED:
        if (special) return -EINVAL;
        zap_range(mm, start, end, &a->u, false);
        return 0;
    case MADV_COLD:
    case MADV_PAGEOUT:
        return locked || special ? -EINVAL : 0;
    case MADV_DONTFORK:
        return change_flags(mm, a, start, end, VMA_DONTFORK, 0);
    case MADV_DOFORK:
        return change_flags(mm, a, start, end, 0, VMA_DONTFORK);
    case MADV_WIPEONFORK:
        if (v->obj || (v->flags & VMA_SHARED)) return -EINVAL;
        return change_flags(mm, a, start, end, VMA_WIPEONFORK, 0);
    case MADV_KEEPONFORK:
        return change_flags(mm, a, start, end, 0, VMA_WIPEONFORK);
    case MADV_DONTDUMP:
        return change_flags(mm, a, start, end, VMA_DONTDUMP, 0);
    case MADV_DODUMP:
        return special ? -EINVAL : change_flags(mm, a, start, end, 0, VMA_DONTDUMP);
    case MADV_HUGEPAGE:
        return special ? -EINVAL : change_flags(mm, a, start, end, VMA_HUGE, VMA_NOHUGE);
    case MADV_NOHUGEPAGE:
        return special ? -EINVAL : change_flags(mm, a, start, end, VMA_NOHUGE, VMA_HUGE);
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE: {
        bool write = a->kind == MADV_POPULATE_WRITE;
        if (special || !vma_permits(v, write, false)) return -EINVAL;
        int r = mm_populate(mm, v, start, end, write, true, &a->u);
        return r && r != -ENOMEM ? -EFAULT : r;
    }
    default:
        return 0;        /* NORMAL RANDOM SEQUENTIAL WILLNEED */
    }
}

static int advice_valid(int kind)
{
    switch (kind) {
    case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED: case MADV_DONTNEED: case MADV_FREE:
    case MADV_REMOVE: case MADV_DONTFORK: case MADV_DOFORK: case MADV_WIPEONFORK: case MADV_KEEPONFORK: case MADV_COLD:
    case MADV_PAGEOUT: case MADV_DONTDUMP: case MADV_DODUMP: case MADV_HUGEPAGE: case MADV_NOHUGEPAGE:
    case MADV_POPULATE_READ: case MADV_POPULATE_WRITE:
    case MADV_DONTNEED_LOCKED:
        return 0;
    case MADV_HWPOISON: case 101 /* MADV_SOFT_OFFLINE */:
        return capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    default:
        return -EINVAL;
    }
}

/* Punches a hole into the file behind; the file's own code takes the pages out of every mapping. */
static sysret_t madvise_remove(struct mm *mm, gaddr_t start, gaddr_t end)
{
    int hole = 0;
    for (gaddr_t at = start; at < end;) {
        read_lock(&mm->lock);
        struct vma *v = vma_find_from(mm, at);
        if (!v || v->start >= end) {
            rw_unlock(&mm->lock);
            return -ENOMEM;
        }
        if (v->start > at) {
            hole = -ENOMEM;
            at = v->start;
        }
        gaddr_t stop = MIN(end, v->end);
        int r = 0;
        struct file *f = v->file;
        if ((v->flags & VMA_LOCKED) || !f || !v->obj || !f->ops->fallocate)
            r = -EINVAL;
        else if (!(v->flags & VMA_SHARED) || !(v->max_prot & PROT_WRITE) || !(v->prot & PROT_WRITE))
            r = -EACCES;
        u64 off = v->off + (at - v->start);
        if (!r) file_get(f);
        rw_unlock(&mm->lock);
        if (r) return r;
        r = f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, stop - at);
        file_put(f);
        if (r) return r;
        at = stop;
    }
    return hole;
}

sysret_t mm_madvise(struct mm *mm, gaddr_t addr, u64 len, int kind)
{
    int hole = 0, r = advice_valid(kind);
    if (r) return r;
    if (addr & ~GPAGE_MASK) return -EINVAL;
    u64 rounded = gpage_up(len);
    gaddr_t end;
    if ((len && !rounded) || add_overflow(addr, rounded, &end)) return -EINVAL;
    if (end == addr) return 0;
    if (kind == MADV_REMOVE) return madvise_remove(mm, addr, end);

    struct advice a = { .kind = kind };
    LIST_INIT(&a.dead);
    update_init(&a.u, mm);
    bool populate = kind == MADV_POPULATE_READ || kind == MADV_POPULATE_WRITE;
    write_lock(&mm->lock);
    for (gaddr_t at = addr; at < end && !r;) {
        struct vma *v = vma_find_from(mm, at);
        if (!v || v->start >= end || (populate && v->start > at)) {
            hole = -ENOMEM;
            break;
        }
        if (v->start > at) {
            hole = -ENOMEM;
            at = v->start;
        }
        gaddr_t stop = MIN(end, v->end);
        r = advise_vma(mm, &a, v, at, stop);
        at = stop;
    }
    update_flush(&a.u);
    rw_unlock(&mm->lock);
    vma_list_free(&a.dead);
    return r ? r : hole;
}
