/* The memory side of fork(2). */
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"
#include "sentry/vfs/file.h"

#include <string.h>

/*
 * Private pages get a second owner; neither side may write to them as they are. The platform's view of the parent is
 * write-protected in runs of mapped pages as long as possible (pages between that were read-only already do no harm).
 */
static void share_pages(struct mm *parent, struct mm *child, struct vma *v, struct mm_update *u)
{
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, parent->pt, v->start, v->end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) {
        update_protect_extend(u, va, *e);
        if (!(*e & PTE_ANON)) continue;          /* the child finds the object's pages by itself */
        memfile_get(pte_page(*e));
        *e &= ~PTE_W;
        update_protect(u, va, e, pte_allowed(v, *e));
        pt_set(child->pt, va, *e & ~PTE_PLAT);
    }
}

static void copy_fields(struct mm *to, const struct mm *from)
{
    to->brk_start = from->brk_start;
    to->brk_end = from->brk_end;
    to->code_start = from->code_start;
    to->code_end = from->code_end;
    to->data_start = from->data_start;
    to->data_end = from->data_end;
    to->stack_start = from->stack_start;
    to->arg_start = from->arg_start;
    to->arg_end = from->arg_end;
    to->env_start = from->env_start;
    to->env_end = from->env_end;
    to->mmap_top = from->mmap_top;
    to->addr_limit = from->addr_limit;
    to->vdso_base = from->vdso_base;
    to->place_from = from->place_from;
    to->place_hole = from->place_hole;
    memcpy(to->auxv, from->auxv, sizeof(to->auxv));
    to->auxv_n = from->auxv_n;
    to->dumpable = from->dumpable;
    to->core_filter = atomic_load(&from->core_filter);
    to->membarrier_state = atomic_load(&from->membarrier_state);
    to->exe = from->exe;
    if (to->exe) file_get(to->exe);
}

int mm_fork(struct mm *parent, struct mm **out)
{
    struct mm *child = mm_new();
    if (!child) return -EAGAIN;
    struct mm_update u;
    struct vma *v;
    update_init(&u, parent);
    write_lock(&parent->lock);
    write_lock(&child->lock);          /* truncation may find the child through its objects */
    copy_fields(child, parent);
    RB_FOREACH(v, vma_tree, &parent->vmas) {
        if (v->flags & VMA_DONTFORK) continue;
        struct vma *n = vma_dup(v);
        n->flags &= ~(u32)(VMA_LOCKED | VMA_LOCKONFAULT);      /* locks are not inherited */
        vma_insert(child, n);
        if (!(v->flags & (VMA_SHARED | VMA_WIPEONFORK))) share_pages(parent, child, v, &u);
    }
    update_flush(&u);
    rss_sync(child);
    rw_unlock(&child->lock);
    rw_unlock(&parent->lock);
    *out = child;
    return 0;
}
