/* The set of VMAs of an address space: lookup, split, merge, accounting; life of struct mm. */
#include "sentry/kernel/coredump.h"
#include "sentry/mm/internal.h"
#include "sentry/mm/text.h"

#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#include <string.h>

int vma_cmp(struct vma *a, struct vma *b) { return a->start < b->start ? -1 : a->start > b->start; }
RB_GENERATE(vma_tree, vma, node, vma_cmp)

struct vma *vma_find_from(struct mm *mm, gaddr_t addr)
{
    struct vma *v = __atomic_load_n(&mm->last_found, __ATOMIC_RELAXED);
    if (v && addr >= v->start && addr < v->end) return v;
    struct vma *best = NULL;
    for (v = RB_ROOT(&mm->vmas); v;) {
        if (addr < v->end) {
            best = v;
            if (addr >= v->start) break;
            v = RB_LEFT(v, node);
        } else {
            v = RB_RIGHT(v, node);
        }
    }
    if (best && addr >= best->start) __atomic_store_n(&mm->last_found, best, __ATOMIC_RELAXED);
    return best;
}

struct vma *mm_find_vma_locked(struct mm *mm, gaddr_t addr)
{
    struct vma *v = vma_find_from(mm, addr);
    return v && addr >= v->start ? v : NULL;
}

bool vma_is_data(u32 prot, u32 flags)
{
    return (prot & PROT_WRITE) && !(flags & (VMA_SHARED | VMA_GROWSDOWN));
}

void vma_account(struct mm *mm, const struct vma *v, int sign)
{
    u64 n = (v->end - v->start) >> GPAGE_SHIFT;
    if (sign < 0) n = -n;
    mm->total_pages += n;
    if (v->flags & VMA_LOCKED) mm->locked_pages += n;
    if (v->flags & VMA_GROWSDOWN) mm->stack_pages += n;
    if (vma_is_data(v->prot, v->flags)) mm->data_pages += n;
    if (unlikely(mm->text) && sign > 0) text_covered(mm, v->start, v->end);
}

static bool counts_as_writer(const struct vma *v) { return (v->flags & VMA_SHARED) && (v->max_prot & PROT_WRITE); }

static void obj_link(struct vma *v)
{
    if (!v->obj) return;
    lock(&v->obj->lock);
    LIST_INSERT_HEAD(&v->obj->vmas, v, obj_link);
    if (counts_as_writer(v)) atomic_add(&v->obj->nr_writable, 1);
    unlock(&v->obj->lock);
}

static void obj_unlink(struct vma *v)
{
    if (!v->obj) return;
    lock(&v->obj->lock);
    LIST_REMOVE(v, obj_link);
    if (counts_as_writer(v)) atomic_add(&v->obj->nr_writable, -1);
    unlock(&v->obj->lock);
}

void vma_insert(struct mm *mm, struct vma *v)
{
    v->mm = mm;
    struct vma *clash = RB_INSERT(vma_tree, &mm->vmas, v);
    ASSERT(!clash);
    mm->nr_vmas++;
    vma_account(mm, v, 1);
    obj_link(v);
}

void vma_detach(struct mm *mm, struct vma *v, struct vma_list *dead)
{
    RB_REMOVE(vma_tree, &mm->vmas, v);
    mm->nr_vmas--;
    if (mm->last_found == v) mm->last_found = NULL;
    vma_account(mm, v, -1);
    obj_unlink(v);
    if (v->end > mm->place_from) mm->place_from = v->end;
    LIST_INSERT_HEAD(dead, v, obj_link);
}

struct vma *vma_dup(const struct vma *v)
{
    struct vma *n = xnew(struct vma);
    /* Field by field: the links of v are others' to change, under the object's lock. */
    n->mm = v->mm;
    n->start = v->start;
    n->end = v->end;
    n->prot = v->prot;
    n->max_prot = v->max_prot;
    n->flags = v->flags;
    n->file = v->file;
    n->obj = v->obj;
    n->off = v->off;
    n->name = v->name;
    n->policy = v->policy;
    if (n->file) file_get(n->file);
    if (v->anon_name) n->anon_name = xstrdup(v->anon_name);
    return n;
}

void vma_list_free(struct vma_list *dead)
{
    struct vma *v;
    while ((v = LIST_FIRST(dead))) {
        LIST_REMOVE(v, obj_link);
        if (v->file) {
            if (unlikely(v->file->ops && v->file->ops->unmapped)) v->file->ops->unmapped(v->file);
            file_put(v->file);
        }
        free(v->anon_name);
        free(v);
    }
}

struct vma *vma_split(struct mm *mm, struct vma *v, gaddr_t at)
{
    struct vma *up = vma_dup(v);
    vma_account(mm, v, -1);
    up->start = at;
    if (up->obj) up->off += at - v->start;
    v->end = at;
    vma_account(mm, v, 1);
    vma_insert(mm, up);
    return up;
}

int vma_isolate(struct mm *mm, gaddr_t start, gaddr_t end)
{
    gaddr_t at[2] = { start, end };
    for (int i = 0; i < 2; i++) {
        struct vma *v = mm_find_vma_locked(mm, at[i]);
        if (!v || v->start == at[i]) continue;
        if (mm->nr_vmas >= MM_MAX_MAP_COUNT) return -ENOMEM;
        vma_split(mm, v, at[i]);
    }
    return 0;
}

static bool same_name(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static bool can_merge(const struct vma *a, const struct vma *b)
{
    return a->end == b->start && a->prot == b->prot && a->max_prot == b->max_prot && a->flags == b->flags &&
           !(a->flags & VMA_SPECIAL) && a->file == b->file && a->obj == b->obj && same_name(a->name, b->name) &&
           same_name(a->anon_name, b->anon_name) && a->policy.mode == b->policy.mode && a->policy.nodes == b->policy.nodes && (!a->obj || a->off + (a->end - a->start) == b->off);
}

static void absorb(struct mm *mm, struct vma *low, struct vma *high, struct vma_list *dead)
{
    gaddr_t end = high->end, from = mm->place_from;
    vma_detach(mm, high, dead);
    mm->place_from = from;
    vma_account(mm, low, -1);
    low->end = end;
    vma_account(mm, low, 1);
}

struct vma *vma_merge(struct mm *mm, struct vma *v, struct vma_list *dead)
{
    struct vma *next = RB_NEXT(vma_tree, &mm->vmas, v);
    if (next && can_merge(v, next)) absorb(mm, v, next, dead);
    struct vma *prev = RB_PREV(vma_tree, &mm->vmas, v);
    if (prev && can_merge(prev, v)) {
        absorb(mm, prev, v, dead);
        return prev;
    }
    return v;
}

void vma_set_prot(struct mm *mm, struct vma *v, u32 prot)
{
    vma_account(mm, v, -1);
    v->prot = prot;
    vma_account(mm, v, 1);
}

void vma_set_flags(struct mm *mm, struct vma *v, u32 flags)
{
    vma_account(mm, v, -1);
    v->flags = flags;
    vma_account(mm, v, 1);
}

void mm_for_each_vma(struct mm *mm, bool (*fn)(struct vma *v, void *arg), void *arg)
{
    struct vma *v;
    read_lock(&mm->lock);
    RB_FOREACH(v, vma_tree, &mm->vmas)
        if (!fn(v, arg)) break;
    rw_unlock(&mm->lock);
}

u64 mm_resident_locked(struct mm *mm, gaddr_t start, gaddr_t end)
{
    struct pt_cursor c;
    gaddr_t va;
    u64 n = 0;
    pt_cursor_init(&c, mm->pt, start, end);
    while (pt_cursor_next(&c, &va)) n++;
    return n;
}

bool mm_has_private_locked(struct mm *mm, gaddr_t start, gaddr_t end)
{
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, start, end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));)
        if (*e & PTE_ANON) return true;
    return false;
}

u64 mm_present_run_locked(struct mm *mm, gaddr_t start, gaddr_t end, bool *present)
{
    struct pt_cursor c;
    gaddr_t va = start, run = start;
    pt_cursor_init(&c, mm->pt, start, end);
    while (run < end && pt_cursor_next(&c, &va) && va == run) run += GPAGE_SIZE;
    *present = run != start;
    if (*present) return run - start;
    pt_cursor_init(&c, mm->pt, start, end);
    return (pt_cursor_next(&c, &va) ? va : end) - start;
}

struct mm *mm_new(void)
{
    struct mm *mm = xnew(struct mm);
    int r = kernel.pops->as_new(kernel.platform, &mm->as);
    if (r) {
        log_debug("no new platform address space: %d", r);
        free(mm);
        return NULL;
    }
    ref_init(&mm->refs);
    ref_init(&mm->pins);
    rwlock_init(&mm->lock, LC_MM);
    RB_INIT(&mm->vmas);
    mm->pt = pt_new();
    mm->map_gen = 1;
    mm->addr_limit = GUEST_ADDR_MAX;
    mm->mmap_top = GUEST_ADDR_MAX;
    mm->place_from = mm->mmap_top;
    mm->dumpable = 1;
    mm->core_filter = CORE_FILTER_DEFAULT;
    return mm;
}

void mm_get(struct mm *mm) { ref_get(&mm->refs); }

/* The struct outlives its contents while mappable_unmap looks at it. */
void mm_unpin(struct mm *mm)
{
    if (!ref_put(&mm->pins)) return;
    rwlock_fini(&mm->lock);
    free(mm);
}

void mm_put(struct mm *mm)
{
    if (!mm || !ref_put(&mm->refs)) return;
    if (mm->aio) mm->aio->end(mm->aio);
    if (mm->cpu_numbers) mm->cpu_numbers->end(mm->cpu_numbers);
    struct vma_list dead = LIST_HEAD_INITIALIZER(dead);
    struct mm_update u;
    struct vma *v;
    update_init(&u, mm);
    write_lock(&mm->lock);
    while ((v = RB_MIN(vma_tree, &mm->vmas))) vma_detach(mm, v, &dead);
    kernel.pops->as_free(mm->as);      /* first: nothing maps the pages any more */
    mm->as = NULL;
    text_free(mm);
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, 0, mm->addr_limit);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) update_free_page(&u, *e);
    update_flush(&u);
    pt_free(mm->pt);
    mm->pt = NULL;
    struct file *exe = mm->exe;
    mm->exe = NULL;
    rw_unlock(&mm->lock);
    vma_list_free(&dead);
    if (exe) file_put(exe);
    mm_unpin(mm);
}
