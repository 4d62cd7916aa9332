/* mmap(2), munmap(2), brk(2): limits, placement, making and removing VMAs. */
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#include <linux/capability.h>

u64 mm_rlimit(int which) { return current ? task_rlimit(current, which) : RLIM_INFINITY; }

bool mm_may_lock(struct mm *mm, u64 more_pages)
{
    u64 limit = mm_rlimit(RLIMIT_MEMLOCK);
    if (limit == RLIM_INFINITY || mm->locked_pages + more_pages <= limit >> GPAGE_SHIFT) return true;
    return capable(CAP_IPC_LOCK);
}

bool mm_may_expand(struct mm *mm, u64 pages, bool data)
{
    u64 as = mm_rlimit(RLIMIT_AS), d = data ? mm_rlimit(RLIMIT_DATA) : RLIM_INFINITY;
    if (as != RLIM_INFINITY && mm->total_pages + pages > as >> GPAGE_SHIFT) return false;
    return d == RLIM_INFINITY || mm->data_pages + pages <= d >> GPAGE_SHIFT;
}

/* A growing stack keeps a gap free below itself. */
static gaddr_t guarded_start(const struct vma *v)
{
    if (!v) return UINT64_MAX;
    if (!(v->flags & VMA_GROWSDOWN)) return v->start;
    return v->start > MM_STACK_GUARD_GAP ? v->start - MM_STACK_GUARD_GAP : 0;
}

static bool range_free(struct mm *mm, gaddr_t addr, u64 len)
{
    return guarded_start(vma_find_from(mm, addr)) >= addr + len;
}

/* The highest free place below `high`; *hole: the largest one that did not do. 0: none. */
static gaddr_t search_down(struct mm *mm, gaddr_t low, gaddr_t high, u64 len, u64 align, u64 *hole)
{
    struct vma *v = vma_find_from(mm, high - 1), *below;
    gaddr_t limit = MIN(high, guarded_start(v));
    below = v ? (v->start < high ? v : RB_PREV(vma_tree, &mm->vmas, v)) : RB_MAX(vma_tree, &mm->vmas);
    for (;;) {
        gaddr_t bottom = below ? MAX(below->end, low) : low;
        if (limit > bottom) {
            u64 room = limit - bottom;
            if (room >= len) {
                gaddr_t a = (limit - len) & ~(align - 1);
                if (a >= bottom) return a;
            }
            if (room > *hole) *hole = room;
        }
        if (!below || below->end <= low) return 0;
        limit = MIN(limit, guarded_start(below));
        below = RB_PREV(vma_tree, &mm->vmas, below);
    }
}

/* As Linux before its gap tree: go on where the last search ended unless a hole above is known to be large enough. */
static gaddr_t search_default(struct mm *mm, u64 len, u64 align)
{
    if (len <= mm->place_hole || mm->place_from > mm->mmap_top || !mm->place_from) {
        mm->place_from = mm->mmap_top;
        mm->place_hole = 0;
    }
    gaddr_t from = mm->place_from;
    u64 hole = mm->place_hole;
    gaddr_t a = 0;
    if (from > MM_MMAP_MIN_ADDR + len) a = search_down(mm, MM_MMAP_MIN_ADDR, from, len, align, &hole);
    if (!a && from != mm->mmap_top) {
        hole = 0;
        a = search_down(mm, MM_MMAP_MIN_ADDR, mm->mmap_top, len, align, &hole);
    }
    if (!a) a = search_down(mm, MM_MMAP_MIN_ADDR, mm->addr_limit, len, align, &hole);
    if (a) {
        mm->place_from = MIN(a + len, mm->mmap_top);
        mm->place_hole = hole;
    }
    return a;
}

sysret_t mm_place(struct mm *mm, gaddr_t addr, u64 len, u32 flags, gaddr_t low, gaddr_t high, u64 align)
{
    if (len > mm->addr_limit - MM_MMAP_MIN_ADDR) return -ENOMEM;
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (addr & ~GPAGE_MASK) return -EINVAL;
        if (addr > mm->addr_limit - len) return -ENOMEM;
        /* The platform refuses lower addresses to everybody, whatever the capability. */
        if (addr < MM_MMAP_MIN_ADDR) return -EPERM;
        return (sysret_t)addr;
    }
    if (addr) {
        if (addr < MM_MMAP_MIN_ADDR) addr = MM_MMAP_MIN_ADDR;
        addr = gpage_up(addr);
        if (addr && addr <= mm->addr_limit - len && !(align && addr & (align - 1)) && range_free(mm, addr, len) &&
            !(flags & MAP_32BIT && addr + len > 0x80000000ULL))
            return (sysret_t)addr;
    }
    u64 hole = 0;
    gaddr_t a;
    if (!align) align = GPAGE_SIZE;
    if (flags & MAP_32BIT) {
        low = 0x40000000;
        high = 0x80000000;
    }
    if (low || high) {
        low = MAX(gpage_up(low), MM_MMAP_MIN_ADDR);
        high = gpage_down(high ? MIN(high, mm->addr_limit) : mm->mmap_top);
        a = low < high ? search_down(mm, low, high, len, align, &hole) : 0;
    } else {
        a = search_default(mm, len, align);
    }
    return a ? (sysret_t)a : -ENOMEM;
}

int mm_unmap_range(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u, struct vma_list *dead)
{
    struct vma *v = vma_find_from(mm, start);
    if (!v || v->start >= end) return 0;
    for (struct vma *s = v; s && s->start < end; s = RB_NEXT(vma_tree, &mm->vmas, s))
        if (s->flags & VMA_SEALED) return -EPERM;
    /* A hole in the middle makes one vma more than before; the second border of two vmas never does. */
    if (v->start < start && v->end > end && mm->nr_vmas >= MM_MAX_MAP_COUNT) return -ENOMEM;
    if (v->start < start) v = vma_split(mm, v, start);
    struct vma *last = mm_find_vma_locked(mm, end);
    if (last && last->start < end) vma_split(mm, last, end);
    while (v && v->start < end) {
        struct vma *next = RB_NEXT(vma_tree, &mm->vmas, v);
        vma_detach(mm, v, dead);
        v = next;
    }
    zap_range(mm, start, end, u, false);
    return 0;
}

sysret_t mm_unmap(struct mm *mm, gaddr_t addr, u64 len)
{
    if ((addr & ~GPAGE_MASK) || addr > mm->addr_limit || len > mm->addr_limit - addr) return -EINVAL;
    len = gpage_up(len);
    if (!len) return -EINVAL;
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    int r = mm_unmap_range(mm, addr, addr + len, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}

static u32 vma_flags_of(const struct mm *mm, const struct mm_map_req *req)
{
    u32 f = req->vma_flags | (u32)mm->def_flags;
    if (req->flags & MAP_SHARED) f |= VMA_SHARED;
    if (req->flags & MAP_GROWSDOWN) f |= VMA_GROWSDOWN;
    if (req->flags & MAP_LOCKED) f |= VMA_LOCKED;
    if (req->flags & MAP_NORESERVE) f |= VMA_NORESERVE;
    return f;
}

/* Faults cost far more than page-table entries: what will surely be used is mapped before it is touched. */
static void map_eagerly(struct mm *mm, struct vma *v, gaddr_t start, gaddr_t end, u32 map_flags, struct mm_update *u)
{
    if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return;
    bool locked = (v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT);
    bool touch = locked || ((map_flags & MAP_POPULATE) && !(map_flags & MAP_NONBLOCK));
    bool write = (v->prot & PROT_WRITE) && !(v->flags & VMA_SHARED);
    if (touch)
        mm_populate(mm, v, start, end, write, true, u);
    else if (v->flags & VMA_GROWSDOWN)
        return;
    else if (!v->obj && end - start <= MM_EAGER_ANON)
        mm_populate(mm, v, start, end, false, false, u);
    else if (v->obj && v->obj->ops->run)
        mm_populate(mm, v, start, MIN(end, start + MM_EAGER_FILE), false, false, u);
}

static sysret_t map_locked(struct mm *mm, const struct mm_map_req *req, u64 len, u32 max_prot, struct mm_update *u,
                           struct vma_list *dead)
{
    if (mm->nr_vmas > MM_MAX_MAP_COUNT) return -ENOMEM;
    sysret_t at = mm_place(mm, req->addr, len, req->flags, req->low, req->high, req->align);
    if (at < 0) return at;
    gaddr_t addr = (gaddr_t)at;
    struct vma *v = vma_find_from(mm, addr);
    bool clash = v && v->start < addr + len;
    if ((req->flags & MAP_FIXED_NOREPLACE) && clash) return -EEXIST;

    u32 vflags = vma_flags_of(mm, req);
    u64 pages = len >> GPAGE_SHIFT, replaced = 0;
    if (vflags & VMA_LOCKED) {
        if ((req->flags & MAP_LOCKED) && !mm_rlimit(RLIMIT_MEMLOCK) && !capable(CAP_IPC_LOCK)) return -EPERM;
        if (!mm_may_lock(mm, pages)) return -EAGAIN;
    }
    for (struct vma *o = v; clash && o && o->start < addr + len; o = RB_NEXT(vma_tree, &mm->vmas, o))
        replaced += (MIN(o->end, addr + len) - MAX(o->start, addr)) >> GPAGE_SHIFT;
    bool data = vma_is_data(req->prot, vflags);
    if (!mm_may_expand(mm, pages, data) && !(replaced && mm_may_expand(mm, pages - replaced, data))) return -ENOMEM;

    int r = clash ? mm_unmap_range(mm, addr, addr + len, u, dead) : 0;
    if (r) return r;
    struct vma *n = xnew(struct vma);
    n->start = addr;
    n->end = addr + len;
    n->prot = req->prot;
    n->max_prot = max_prot;
    n->flags = vflags;
    n->file = req->file;
    n->obj = req->obj;
    n->off = req->obj ? req->off : 0;
    n->name = req->name;
    if (n->file) file_get(n->file);
    vma_insert(mm, n);
    n = vma_merge(mm, n, dead);
    map_eagerly(mm, n, addr, addr + len, req->flags, u);
    return at;
}

/* Shared anonymous memory is a file without a name, so that forks find the same pages. */
static sysret_t map_shared_anon(struct mm *mm, const struct mm_map_req *req, u64 len)
{
    struct mm_map_req with_file = *req;
    int r = shmem_create_anon(len, &with_file.file);
    if (r) return r;
    with_file.obj = &with_file.file->inode->map;
    with_file.off = 0;
    sysret_t ret = mm_map(mm, &with_file);
    file_put(with_file.file);
    return ret;
}

sysret_t mm_map(struct mm *mm, const struct mm_map_req *req)
{
    if (!req->len) return -EINVAL;
    u64 len = gpage_up(req->len), last;
    if (!len || len > mm->addr_limit) return -ENOMEM;
    if (req->prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC)) return -EINVAL;
    if (!(req->flags & (MAP_SHARED | MAP_PRIVATE))) return -EINVAL;
    if (req->obj) {
        if (req->off & ~GPAGE_MASK) return -EINVAL;
        if (add_overflow(req->off, len, &last)) return -EOVERFLOW;
    } else if (req->flags & MAP_SHARED) {
        return map_shared_anon(mm, req, len);
    }
    u32 max_prot = req->max_prot ? req->max_prot : PROT_READ | PROT_WRITE | PROT_EXEC;
    if (!req->max_prot && req->file && (req->flags & MAP_SHARED) && !(req->file->mode & FMODE_WRITE))
        max_prot &= ~(u32)PROT_WRITE;
    if (req->prot & ~max_prot) return -EACCES;

    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    sysret_t r = map_locked(mm, req, len, max_prot, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return r;
}

static gaddr_t brk_locked(struct mm *mm, gaddr_t end, struct mm_update *u, struct vma_list *dead)
{
    if (end < mm->brk_start || end >= mm->addr_limit) return mm->brk_end;
    u64 limit = mm_rlimit(RLIMIT_DATA);
    if (limit != RLIM_INFINITY && end - mm->brk_start + (mm->data_end - mm->data_start) > limit) return mm->brk_end;
    gaddr_t old_top = gpage_up(mm->brk_end), top = gpage_up(end);
    if (top < old_top) {
        if (mm_unmap_range(mm, top, old_top, u, dead)) return mm->brk_end;
    } else if (top > old_top) {
        u32 flags = VMA_HEAP | (u32)mm->def_flags;
        u64 pages = (top - old_top) >> GPAGE_SHIFT;
        if (!range_free(mm, old_top, top - old_top + GPAGE_SIZE)) return mm->brk_end;
        if (!mm_may_expand(mm, pages, true) || mm->nr_vmas > MM_MAX_MAP_COUNT) return mm->brk_end;
        if ((flags & VMA_LOCKED) && !mm_may_lock(mm, pages)) return mm->brk_end;
        struct vma *v = xnew(struct vma);
        v->start = old_top;
        v->end = top;
        v->prot = PROT_READ | PROT_WRITE;
        v->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
        v->flags = flags;
        vma_insert(mm, v);
        v = vma_merge(mm, v, dead);
        map_eagerly(mm, v, old_top, top, 0, u);
    }
    mm->brk_end = end;
    return end;
}

sysret_t mm_brk(struct mm *mm, gaddr_t end)
{
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    update_init(&u, mm);
    write_lock(&mm->lock);
    gaddr_t r = brk_locked(mm, end, &u, &dead);
    update_flush(&u);
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    return (sysret_t)r;
}
