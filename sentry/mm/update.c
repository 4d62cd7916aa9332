/* Batches of platform mapping changes, see internal.h. */
#include "sentry/mm/internal.h"
#include "sentry/mm/text.h"

#include "sentry/base/log.h"
#include "sentry/kernel/task.h"

void update_init(struct mm_update *u, struct mm *mm)
{
    u->mm = mm;
    u->error = 0;
    u->nops = u->nfrees = 0;
    u->held_start = u->held_end = 0;
}

/*
 * The host refused a change (mostly its own limit of mappings per process). The platform's mappings are only a cache:
 * drop them all, the guest faults back in what it uses.
 */
static void drop_all(struct mm *mm)
{
    struct platform_mapop op = { .kind = PLATFORM_UNMAP, .addr = GUEST_ADDR_MIN, .len = mm->addr_limit - GUEST_ADDR_MIN };
    int r = kernel.pops->as_update(mm->as, &op, 1);
    if (r) log_debug("platform space could not be emptied: %d", r);   /* dead: its contexts report that themselves */
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, 0, mm->addr_limit);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) *e &= ~PTE_PLAT;
    text_forget(mm, 0, UINT64_MAX, NULL);
}

/* An unmapping whose whole range is mapped anew right after is not worth a host call. */
static unsigned drop_covered(struct platform_mapop *ops, unsigned n)
{
    unsigned out = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct platform_mapop *next = &ops[i + 1];
        if (ops[i].kind == PLATFORM_UNMAP && i + 1 < n && next->kind == PLATFORM_MAP && next->addr <= ops[i].addr &&
            next->addr + next->len >= ops[i].addr + ops[i].len)
            continue;
        ops[out++] = ops[i];
    }
    return out;
}

void update_flush(struct mm_update *u)
{
    if (unlikely(u->mm->text)) text_give_way(u->mm);
    if (u->nops) {
        unsigned n = drop_covered(u->ops, u->nops);
        int r = kernel.pops->as_update(u->mm->as, u->ops, n);
        if (r) {
            u->error = r;
            drop_all(u->mm);
        }
        /* After the change: who entered the guest with the new number cannot have faulted on the old mapping. */
        atomic_add(&u->mm->map_gen, 1);
        u->nops = 0;
    }
    for (unsigned i = 0; i < u->nfrees; i++) memfile_put_range(u->frees[i].page, u->frees[i].n);
    u->nfrees = 0;
}

static struct platform_mapop *op_new(struct mm_update *u)
{
    if (u->nops == ARRAY_LEN(u->ops)) update_flush(u);
    return &u->ops[u->nops++];
}

void update_raw(struct mm_update *u, const struct platform_mapop *op) { *op_new(u) = *op; }

void update_map(struct mm_update *u, const struct vma *v, gaddr_t va, u64 *e, bool populate)
{
    u32 prot = pte_allowed(v, *e);
    if (!prot) return;
    int fd = pte_is_memfile(*e) ? memfile_fd() : pte_fd(*e);
    u64 off = pte_is_memfile(*e) ? pte_page(*e) << GPAGE_SHIFT : pte_fd_off(*e);
    struct platform_mapop *last = u->nops ? &u->ops[u->nops - 1] : NULL;
    if (last && last->kind == PLATFORM_MAP && last->addr + last->len == va && last->off + last->len == off &&
        last->fd == fd && last->prot == prot && last->populate == populate)
        last->len += GPAGE_SIZE;
    else
        *op_new(u) = (struct platform_mapop){ .kind = PLATFORM_MAP, .prot = (u8)prot, .populate = populate, .fd = fd,
                                              .addr = va, .len = GPAGE_SIZE, .off = off };
    *e = (*e & ~PTE_PLAT) | PTE_MAPPED | (u64)prot << PTE_P_SHIFT;
    if (unlikely(u->mm->text)) text_forget(u->mm, va, va + GPAGE_SIZE, u);
}

void update_protect(struct mm_update *u, gaddr_t va, u64 *e, u32 prot)
{
    if (!(*e & PTE_MAPPED) || pte_plat_prot(*e) == prot) return;
    if (unlikely(u->mm->text) && text_patched(u->mm, va)) { /* what is mapped there is not what the entry says */
        *e &= ~PTE_PLAT;
        update_unmap(u, va, va + GPAGE_SIZE);
        return;
    }
    struct platform_mapop *last = u->nops ? &u->ops[u->nops - 1] : NULL;
    if (last && last->kind == PLATFORM_PROTECT && last->addr + last->len == va && last->prot == prot)
        last->len += GPAGE_SIZE;
    else
        *op_new(u) = (struct platform_mapop){ .kind = PLATFORM_PROTECT, .prot = (u8)prot, .addr = va, .len = GPAGE_SIZE };
    *e = (*e & ~PTE_P_MASK) | (u64)prot << PTE_P_SHIFT;
}

void update_protect_extend(struct mm_update *u, gaddr_t va, u64 e)
{
    struct platform_mapop *last = u->nops ? &u->ops[u->nops - 1] : NULL;
    if (last && last->kind == PLATFORM_PROTECT && last->addr + last->len == va && (e & PTE_MAPPED) &&
        last->prot == pte_plat_prot(e) && !text_patched(u->mm, va))
        last->len += GPAGE_SIZE;
}

void update_unmap(struct mm_update *u, gaddr_t start, gaddr_t end)
{
    struct platform_mapop *last = u->nops ? &u->ops[u->nops - 1] : NULL;
    if (last && last->kind == PLATFORM_UNMAP && last->addr + last->len == start)
        last->len += end - start;
    else
        *op_new(u) = (struct platform_mapop){ .kind = PLATFORM_UNMAP, .addr = start, .len = end - start };
    if (unlikely(u->mm->text)) text_forget(u->mm, start, end, u);
}

void update_free_page(struct mm_update *u, u64 e)
{
    if (!pte_is_memfile(e)) return;
    mpage_t p = pte_page(e);
    if (u->nfrees && u->frees[u->nfrees - 1].page + u->frees[u->nfrees - 1].n == p) {
        u->frees[u->nfrees - 1].n++;
        return;
    }
    if (u->nfrees == ARRAY_LEN(u->frees)) update_flush(u);
    u->frees[u->nfrees].page = p;
    u->frees[u->nfrees++].n = 1;
}

void rss_sync(struct mm *mm)
{
    u64 n = mm->pt->present;
    __atomic_store_n(&mm->rss_pages, n, __ATOMIC_RELAXED);
    if (n > mm->rss_hwm) __atomic_store_n(&mm->rss_hwm, n, __ATOMIC_RELAXED);
}

struct zap { struct mm_update *u; bool keep_anon; };

static bool zap_one(gaddr_t va UNUSED, u64 e, void *arg)
{
    struct zap *z = arg;
    if (z->keep_anon && (e & PTE_ANON)) return false;
    update_free_page(z->u, e);
    return true;
}

void zap_range(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u, bool keep_anon)
{
    struct zap z = { .u = u, .keep_anon = keep_anon };
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, start, end);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) {
        if (!(*e & PTE_MAPPED) || (keep_anon && (*e & PTE_ANON))) continue;
        if (!keep_anon) {              /* all of it goes: one operation from the first mapped page on */
            update_unmap(u, va, end);
            break;
        }
        update_unmap(u, va, va + GPAGE_SIZE);
        *e &= ~PTE_PLAT;
    }
    pt_remove_range(mm->pt, start, end, zap_one, &z);
    rss_sync(mm);
}
