/* Private to sentry/mm: what its files share. Functions need mm->lock held for writing unless they say otherwise. */
#ifndef SUNDOG_MM_INTERNAL_H
#define SUNDOG_MM_INTERNAL_H

#include "sentry/kernel/limits.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/pagetable.h"

#include <sys/mman.h>

#define MM_MAX_MAP_COUNT kernel_limit(max_map_count)
#define MM_MMAP_MIN_ADDR 65536ULL        /* vm.mmap_min_addr */
#define MM_STACK_GUARD_GAP (256 * GPAGE_SIZE)
#define MM_EAGER_ANON (1ULL << 20)       /* private anonymous mappings up to this are backed at once */
#define MM_EAGER_FILE (4ULL << 20)
#define MM_AROUND_ANON 64u               /* pages allocated around a fault */
#define MM_AROUND_OBJ 16u                /* pages asked of an object in the memory file */
#define MM_AROUND_MAP 512u               /* window of what is mapped into the platform, one leaf of the page table */

/* --- update.c: changes of the platform's mappings, and the pages that become free with them --- */

/*
 * Collected operations. Pages given to update_free_page lose their reference only after the operations collected
 * before were applied, so that no guest context reaches a page that was freed. Either array being full flushes both.
 */
struct mm_update {
    struct mm *mm;
    int error;             /* of the last as_update that failed: the platform then shows nothing any more */
    unsigned nops, nfrees;
    gaddr_t held_start, held_end;   /* pages that came in with this change and for which the host holds memory */
    struct platform_mapop ops[64];
    struct { mpage_t page; u64 n; } frees[64];
};
void update_init(struct mm_update *u, struct mm *mm);
void update_flush(struct mm_update *u);
void update_raw(struct mm_update *u, const struct platform_mapop *op);   /* entries are the caller's matter */
/* Maps the page of slot e at va with what vma and entry allow, and notes that in the entry. */
void update_map(struct mm_update *u, const struct vma *v, gaddr_t va, u64 *e, bool populate);
/* Changes the protection of a mapped page, if it differs. */
void update_protect(struct mm_update *u, gaddr_t va, u64 *e, u32 prot);
/* A page that has the last operation's protection already: lets the run go on past it. */
void update_protect_extend(struct mm_update *u, gaddr_t va, u64 e);
void update_unmap(struct mm_update *u, gaddr_t start, gaddr_t end);   /* entries are the caller's matter */
void update_free_page(struct mm_update *u, u64 e);                    /* drops the reference of a removed entry */

/* What the platform may be allowed for a page: x86 cannot refuse reading where it permits anything. */
static inline u32 pte_allowed(const struct vma *v, u64 e)
{
    u32 p = v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
    if (p) p |= PROT_READ;
    if (!(e & PTE_W)) p &= ~(u32)PROT_WRITE;
    return p;
}

void rss_sync(struct mm *mm);            /* after entries came or went */
/* Removes translations and pages of a range. keep_anon: private copies stay. */
void zap_range(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u, bool keep_anon);

/* --- vma.c --- */
RB_PROTOTYPE(vma_tree, vma, node, vma_cmp)
int vma_cmp(struct vma *a, struct vma *b);
LIST_HEAD(vma_list, vma);                /* through obj_link, once off the object's list */

struct vma *vma_find_from(struct mm *mm, gaddr_t addr);        /* first vma with end > addr */
void vma_insert(struct mm *mm, struct vma *v);                 /* tree, object list, accounting */
void vma_detach(struct mm *mm, struct vma *v, struct vma_list *dead);
struct vma *vma_split(struct mm *mm, struct vma *v, gaddr_t at);   /* v keeps the lower part; returns the upper */
/* Merges v with equal neighbours; returns the vma that now holds v's range. */
struct vma *vma_merge(struct mm *mm, struct vma *v, struct vma_list *dead);
struct vma *vma_dup(const struct vma *v);                      /* counted file and own name, in no list */
void vma_account(struct mm *mm, const struct vma *v, int sign);
void vma_list_free(struct vma_list *dead);                     /* without mm->lock: puts files */
void vma_set_prot(struct mm *mm, struct vma *v, u32 prot);
void vma_set_flags(struct mm *mm, struct vma *v, u32 flags);
/* Makes vma borders at start and end where they cut a vma. -ENOMEM: too many vmas. */
int vma_isolate(struct mm *mm, gaddr_t start, gaddr_t end);
void mm_unpin(struct mm *mm);

/* --- map.c --- */
bool vma_is_data(u32 prot, u32 flags);
u64 mm_rlimit(int which);                                      /* of current; RLIM_INFINITY without a task */
bool mm_may_lock(struct mm *mm, u64 more_pages);               /* RLIMIT_MEMLOCK */
bool mm_may_expand(struct mm *mm, u64 pages, bool data);       /* RLIMIT_AS, RLIMIT_DATA */
/* Address or -ENOMEM -EINVAL -EPERM: placement of a new mapping. */
sysret_t mm_place(struct mm *mm, gaddr_t addr, u64 len, u32 flags, gaddr_t low, gaddr_t high, u64 align);
int mm_unmap_range(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u, struct vma_list *dead);
static inline bool vma_private_anon(const struct vma *v) { return !v->obj; }

/* --- fault.c --- */
/*
 * Makes the page at addr of v present, and writable if `write`; more pages up to `end` and around are done where it is
 * cheap. 0, -ENXIO -ENOSPC (SIGBUS), -ENOMEM. Does not look at v->prot.
 */
int mm_resolve(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, bool write, struct mm_update *u);
/* Maps into the platform what is present around addr. */
void mm_install_around(struct mm *mm, struct vma *v, gaddr_t addr, struct mm_update *u);
/* The vma of addr, after growing a stack down to it; NULL: none. */
struct vma *mm_find_extend(struct mm *mm, gaddr_t addr);
/* Resolves and maps all of [start, end) of v; stops at the first error, which it returns. */
int mm_populate(struct mm *mm, struct vma *v, gaddr_t start, gaddr_t end, bool write, bool touch, struct mm_update *u);
/* For the sentry's own access: checks protection, resolves. -EFAULT. Takes mm->lock itself. */
int mm_fault_in(struct mm *mm, gaddr_t addr, gaddr_t end, bool write, bool force);
static inline bool vma_permits(const struct vma *v, bool write, bool force)
{
    if (write) return (v->prot & PROT_WRITE) || (force && !(v->flags & VMA_SHARED) && (v->max_prot & PROT_WRITE));
    return (v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) || (force && (v->max_prot & PROT_READ));
}

/* --- usercopy.c, for uio.c and atomic.c --- */
/* Memory behind a guest address; valid while mm->lock is held (read). */
struct user_span {
    void *ptr;             /* memory file; NULL: host file page: */
    int fd; u64 fd_off;
    size_t len;            /* bytes up to the end of what is contiguous, at most what was asked */
};
/* With mm->lock held for reading. False: the page must be faulted in first. */
bool user_span_locked(struct mm *mm, struct vma **hint, gaddr_t addr, size_t n, bool write, bool force, struct user_span *s);
/* Copies within one page of a host file through its descriptor: 0 or -EFAULT. */
int hostpage_read(int fd, u64 off, void *dst, size_t n);
int hostpage_write(int fd, u64 off, const void *src, size_t n);

#endif
