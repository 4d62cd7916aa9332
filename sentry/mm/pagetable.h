/*
 * Private to sentry/mm: the page table of an address space. Four levels of 512; the entry says what backs a page and
 * how the platform has it mapped at present. No lock of its own: mm->lock, write to change, read to look.
 */
#ifndef SUNDOG_MM_PAGETABLE_H
#define SUNDOG_MM_PAGETABLE_H

#include "sentry/mm/memfile.h"

/*
 * Entry: bits 0-1 kind, 2 ANON, 3 W, 4 MAPPED, 5-7 platform protection, 12-63 memory file page; for a host file page
 * bits 12-43 hold the page offset in the file (up to 16 TiB) and bits 44-63 the descriptor.
 */
#define PTE_KIND 3ULL
#define PTE_MEMFILE 1ULL
#define PTE_HOSTFD 2ULL
#define PTE_ANON (1ULL << 2)      /* belongs to this address space (and its forks), not to the mapped object */
#define PTE_W (1ULL << 3)         /* may be written as it is; without: copy, or ask the object, first */
#define PTE_MAPPED (1ULL << 4)    /* the platform has it mapped, with: */
#define PTE_P_SHIFT 5
#define PTE_P_MASK (7ULL << PTE_P_SHIFT)
#define PTE_PLAT (PTE_MAPPED | PTE_P_MASK)

#define PTE_HOSTFD_MAX_PGOFF (1ULL << 32)
#define PTE_HOSTFD_MAX_FD (1 << 20)

static inline u64 pte_memfile(mpage_t p, u64 flags) { return p << GPAGE_SHIFT | PTE_MEMFILE | flags; }
static inline u64 pte_hostfd(int fd, u64 pgoff, u64 flags) { return (u64)fd << 44 | pgoff << 12 | PTE_HOSTFD | flags; }
static inline mpage_t pte_page(u64 e) { return e >> GPAGE_SHIFT; }
static inline int pte_fd(u64 e) { return (int)(e >> 44); }
static inline u64 pte_fd_off(u64 e) { return (e >> 12 & 0xffffffffULL) << GPAGE_SHIFT; }
static inline u32 pte_plat_prot(u64 e) { return e & PTE_MAPPED ? (u32)(e >> PTE_P_SHIFT & 7) : 0; }
static inline bool pte_is_memfile(u64 e) { return (e & PTE_KIND) == PTE_MEMFILE; }
static inline bool pte_is_hostfd(u64 e) { return (e & PTE_KIND) == PTE_HOSTFD; }

struct pt_leaf { u32 used; u64 e[512]; };
struct pt_node { u32 used; void *child[512]; };
struct ptable { struct pt_node root; u64 present; };

struct ptable *pt_new(void);
void pt_free(struct ptable *pt);                            /* entries must be gone */
u64 pt_get(const struct ptable *pt, gaddr_t va);            /* 0: none */
u64 *pt_slot(struct ptable *pt, gaddr_t va);                /* slot of a present entry to change in place; NULL: none */
void pt_set(struct ptable *pt, gaddr_t va, u64 e);          /* e != 0; makes the levels */
/* Sets n entries from va on to e, e + step, ... */
void pt_set_run(struct ptable *pt, gaddr_t va, u64 n, u64 e, u64 step);

/* Ascending walk over present entries; the table may not lose levels meanwhile (changing entries in place is fine). */
struct pt_cursor { struct ptable *pt; gaddr_t va, end; struct pt_leaf *leaf; gaddr_t leaf_base; };
static inline void pt_cursor_init(struct pt_cursor *c, struct ptable *pt, gaddr_t start, gaddr_t end)
{
    *c = (struct pt_cursor){ .pt = pt, .va = start, .end = end };
}
u64 *pt_cursor_next(struct pt_cursor *c, gaddr_t *va);      /* NULL at the end */

/* Calls fn for each present entry of the range; those for which it returns true are removed, and empty levels freed. */
void pt_remove_range(struct ptable *pt, gaddr_t start, gaddr_t end, bool (*fn)(gaddr_t va, u64 e, void *arg), void *arg);

#endif
