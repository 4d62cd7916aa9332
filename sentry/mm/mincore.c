/*
 * mincore(2). A page-table entry says that a page has a place; whether the guest ever touched it, the host knows:
 * pages are handed out ahead of faults. Some pages the host holds are cleared ones that were freed before (memfile.c):
 * a private anonymous page without contents counts as untouched, unless it is locked.
 */
#include "sentry/mm/internal.h"

#include "sentry/base/hostcall.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/file.h"

#include <string.h>

HOSTCALL(mincore, "mincore(2) of the guest tells pages handed out from pages touched");

#define CHUNK 512u

static bool has_contents(mpage_t p)
{
    const u64 *w = memfile_ptr(p);
    for (unsigned i = 0; i < GPAGE_SIZE / sizeof(*w); i++)
        if (w[i]) return true;
    return false;
}

/* vec holds 1 for a page of which only the host's word counts, 0: it must also have contents. */
static void ask_host(mpage_t first, u64 n, u8 *vec)
{
    u8 held[CHUNK];
    if (mincore(memfile_ptr(first), n << GPAGE_SHIFT, held)) memset(held, 1, n);
    for (u64 i = 0; i < n; i++) vec[i] = (held[i] & 1) && (vec[i] || has_contents(first + i));
}

/* With mm->lock: false at a hole. */
static bool residency(struct mm *mm, gaddr_t start, u64 n, u8 *vec)
{
    gaddr_t end = start + (n << GPAGE_SHIFT), va;
    for (gaddr_t at = start; at < end;) {
        struct vma *v = mm_find_vma_locked(mm, at);
        if (!v) return false;
        at = v->end;
    }
    struct pt_cursor c;
    mpage_t run_page = 0;
    u64 run = 0;
    u8 *run_vec = NULL;
    memset(vec, 0, n);
    pt_cursor_init(&c, mm->pt, start, end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) {
        u8 *slot = vec + ((va - start) >> GPAGE_SHIFT);
        if (!pte_is_memfile(*e)) {
            *slot = 1;
            continue;
        }
        const struct vma *v = mm_find_vma_locked(mm, va);
        *slot = !(*e & PTE_ANON) || (v->flags & VMA_LOCKED) != 0;
        if (run && pte_page(*e) == run_page + run && slot == run_vec + run) {
            run++;
            continue;
        }
        if (run) ask_host(run_page, run, run_vec);
        run_page = pte_page(*e);
        run_vec = slot;
        run = 1;
    }
    if (run) ask_host(run_page, run, run_vec);
    return true;
}

/*
 * With mm->lock: pages that the guest has not mapped yet and the file has. Only of files that the caller may write, or owns:
 * can_do_mincore() of Linux.
 */
static void add_present(struct mm *mm, gaddr_t start, u64 n, u8 *vec)
{
    gaddr_t end = start + (n << GPAGE_SHIFT);
    for (struct vma *v = vma_find_from(mm, start); v && v->start < end; v = RB_NEXT(vma_tree, &mm->vmas, v)) {
        if (!v->obj || !v->obj->ops->present || !v->file) continue;
        if (!(v->file->mode & FMODE_WRITE) && !inode_owner_or_capable(v->file->inode)) continue;
        for (gaddr_t at = MAX(start, v->start); at < MIN(end, v->end); at += GPAGE_SIZE) {
            u8 *slot = vec + ((at - start) >> GPAGE_SHIFT);
            if (!*slot && !pt_get(mm->pt, at)) *slot = v->obj->ops->present(v->obj, (v->off + (at - v->start)) >> GPAGE_SHIFT);
        }
    }
}

void mm_pagemap(struct mm *mm, gaddr_t start, u64 n, u64 *out)
{
    gaddr_t end = start + (n << GPAGE_SHIFT);
    u8 vec[CHUNK];

    memset(out, 0, n * sizeof *out);
    read_lock(&mm->lock);
    for (struct vma *v = vma_find_from(mm, start); v && v->start < end; v = RB_NEXT(vma_tree, &mm->vmas, v)) {
        gaddr_t stop = MIN(end, v->end);
        for (gaddr_t at = MAX(start, v->start); at < stop;) {
            u64 pages = MIN((stop - at) >> GPAGE_SHIFT, (u64)CHUNK);
            (void)residency(mm, at, pages, vec);
            for (u64 i = 0; i < pages; i++, at += GPAGE_SIZE)
                if (vec[i]) out[(at - start) >> GPAGE_SHIFT] = PAGEMAP_PRESENT | (pt_get(mm->pt, at) & PTE_ANON ? 0 : PAGEMAP_FILE);
        }
    }
    rw_unlock(&mm->lock);
}

sysret_t mm_mincore(struct mm *mm, gaddr_t addr, u64 len, gaddr_t vec)
{
    if (addr & ~GPAGE_MASK) return -EINVAL;
    if (addr > mm->addr_limit || len > mm->addr_limit - addr) return -ENOMEM;
    u64 pages = gpage_up(len) >> GPAGE_SHIFT;
    if (vec > mm->addr_limit || pages > mm->addr_limit - vec) return -EFAULT;
    while (pages) {
        u8 buf[CHUNK];
        u64 n = MIN(pages, (u64)CHUNK);
        read_lock(&mm->lock);
        bool ok = residency(mm, addr, n, buf);
        if (ok) add_present(mm, addr, n, buf);
        rw_unlock(&mm->lock);
        if (!ok) return -ENOMEM;
        if (mm_copy_out(mm, vec, buf, n) != n) return -EFAULT;
        addr += n << GPAGE_SHIFT;
        vec += n;
        pages -= n;
    }
    return 0;
}
