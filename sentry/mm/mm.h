/*
 * Address spaces. VMAs say what a range means; the page table (one 64-bit entry a page, four levels) says which page
 * backs it and is the truth; the platform's mappings are a cache of it.
 *
 * mm->lock (LC_MM) guards everything in struct mm and struct vma. Functions take it themselves unless they end in
 * _locked. Prot and flag values are the host Linux's PROT_* and MAP_*.
 * Sources: mmap(2), mremap(2), mprotect(2), madvise(2), brk(2); Documentation/mm in the Linux tree.
 */
#ifndef SUNDOG_MM_MM_H
#define SUNDOG_MM_MM_H

#include "platform/platform.h"
#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/mm/policy.h"
#include "sentry/mm/memfile.h"

struct file;
struct inode;
struct mm;
struct ptable;
struct text;

/* What backs one page of a mapped object. */
struct backing {
    enum { BACKING_MEMFILE, BACKING_HOSTFD } kind;
    mpage_t page;      /* MEMFILE: a reference is handed to the caller */
    int fd;            /* HOSTFD: borrowed from the inode, valid while the inode is referenced */
    u64 fd_off;        /* HOSTFD: byte offset */
};

/*
 * An object that can be mapped (an inode of tmpfs or of the gofer, a memfd, SysV or POSIX shared memory, vDSO).
 * Embedded in or owned by its inode; lifetime through the file reference that each vma holds.
 */
struct mappable {
    const struct mappable_ops *ops;
    struct inode *inode;
    lock_t lock;                               /* LC_I_MMAP, inner to LC_MM; guards: */
    LIST_HEAD(, vma) vmas;                     /* every vma that maps this object */
    u32 nr_writable;                           /* (a) shared vmas that may become writable (F_SEAL_WRITE: EBUSY) */
};

struct mappable_ops {
    /*
     * Backing of page pgoff for reading, or for writing through a shared mapping. Called with mm->lock held, so it
     * must not call the gofer, block, or take inode locks that can be held across user copies.
     * -ENXIO: past the end of the object (guest gets SIGBUS). -ENOMEM, -ENOSPC (SIGBUS likewise).
     */
    int (*page)(struct mappable *m, u64 pgoff, bool write, struct backing *out);
    /* HOSTFD objects: how many pages from pgoff on are contiguous in the file (for fault-around). NULL: 1. */
    u64 (*run)(struct mappable *m, u64 pgoff, u64 max);
    /* Is there a page already? For mincore; mm->lock is held as above. NULL: it is not known. */
    bool (*present)(struct mappable *m, u64 pgoff);
};
void mappable_init(struct mappable *m, const struct mappable_ops *ops, struct inode *inode);
void mappable_fini(struct mappable *m);
/*
 * Removes guest translations of object pages [pgoff, pgoff+n) everywhere: before truncate, hole punch and before the
 * pages are freed. also_private: copies made by private mappings go too (truncate), else they stay (hole punch keeps).
 * Collects the address spaces under m->lock, then takes each mm->lock; the caller holds neither, nor anything inner
 * to LC_MM. The object's new size must be in force before (page() answers -ENXIO), or pages come back at once.
 */
void mappable_unmap(struct mappable *m, u64 pgoff, u64 n, bool also_private);

enum vma_flags {
    VMA_SHARED = 1 << 0,
    VMA_GROWSDOWN = 1 << 1,
    VMA_LOCKED = 1 << 2,
    VMA_DONTFORK = 1 << 3,
    VMA_WIPEONFORK = 1 << 4,
    VMA_DONTDUMP = 1 << 5,
    VMA_NORESERVE = 1 << 6,
    VMA_STACK = 1 << 7,        /* [stack] in maps */
    VMA_HEAP = 1 << 8,         /* [heap] */
    VMA_SPECIAL = 1 << 9,      /* vdso and the like: no mremap/mprotect of flags, name below */
    VMA_DENYWRITE = 1 << 10,
    VMA_LOCKONFAULT = 1 << 11,
    VMA_NOHUGE = 1 << 12,
    VMA_HUGE = 1 << 13,
    VMA_SEALED = 1 << 14,      /* mseal(2) */
    VMA_FIXED_SIZE = 1 << 15,  /* mremap may move it only */
};

struct vma {
    RB_ENTRY(vma) node;
    struct mm *mm;
    gaddr_t start, end;
    u32 prot;                  /* PROT_* now */
    u32 max_prot;              /* what mprotect may ask for */
    u32 flags;                 /* enum vma_flags */
    struct file *file;         /* counted; NULL: anonymous (a shared anonymous one has a memfd-like file) */
    struct mappable *obj;      /* NULL: anonymous private */
    u64 off;                   /* byte offset in obj of start */
    LIST_ENTRY(vma) obj_link;  /* obj->vmas, under obj->lock */
    const char *name;          /* "[vdso]" or NULL; static string */
    char *anon_name;           /* PR_SET_VMA_ANON_NAME; owned */
    struct mem_policy policy;
};
RB_HEAD(vma_tree, vma);

/* What lives as long as an address space is used. end: frees it, with no lock held. */
struct mm_attachment { void (*end)(struct mm_attachment *a); };

struct mm {
    refcount_t refs;                   /* tasks and /proc readers */
    refcount_t pins;                   /* keep the struct, not its contents; all users of refs together hold one */
    rwlock_t lock;                     /* LC_MM; guards the rest unless tagged */
    struct vma_tree vmas;
    struct vma *last_found;            /* (a) lookup cache, only a hint under the write lock */
    struct ptable *pt;
    struct platform_as *as;
    u64 map_gen;                       /* (a) grows with each change of platform mappings; see mm_fault */
    gaddr_t brk_start, brk_end;
    gaddr_t code_start, code_end, data_start, data_end, stack_start;
    gaddr_t arg_start, arg_end, env_start, env_end;
    gaddr_t mmap_top;                  /* top-down allocation starts below this */
    gaddr_t addr_limit;                /* end of guest address space (GUEST_ADDR_MAX) */
    gaddr_t vdso_base;
    gaddr_t place_from; u64 place_hole;    /* search for a free range starts here; largest hole known above */
    u32 nr_vmas;
    u64 total_pages, locked_pages, data_pages, stack_pages;
    u64 rss_pages, rss_hwm;            /* (a) */
    u64 def_flags;                     /* mlockall(MCL_FUTURE) */
    struct file *exe;                  /* /proc/self/exe; counted */
    u64 auxv[64]; unsigned auxv_n;     /* pairs, as put on the stack; in 64-bit words */
    int dumpable;                      /* prctl PR_SET_DUMPABLE */
    u32 core_filter;                   /* (a) CORE_* of kernel/coredump.h */
    u32 membarrier_state;              /* (a) */
    struct text *text;                 /* (a) patched call sites, see text.h; NULL until there was a call */
    struct mm_attachment *cpu_numbers; /* (a) see kernel/cpu_number.h; owned */
    struct mm_attachment *aio;         /* (a) io_setup(2), see vfs/aio.h; owned */
};

struct mm *mm_new(void);               /* NULL: host refuses */
void mm_get(struct mm *mm);
void mm_put(struct mm *mm);            /* last one: unmaps all, frees the platform's space */
/* fork(2): VMAs copied, private pages shared copy-on-write. -ENOMEM, -EAGAIN. */
int mm_fork(struct mm *parent, struct mm **out);

#define MM_FIXED_NOREPLACE_ERR EEXIST
struct mm_map_req {
    gaddr_t addr;              /* hint, or exact with MAP_FIXED / MAP_FIXED_NOREPLACE */
    u64 len;                   /* bytes > 0, rounded up inside */
    u32 prot, max_prot;        /* max_prot 0: rwx */
    u32 flags;                 /* host MAP_*: SHARED PRIVATE FIXED FIXED_NOREPLACE ANONYMOUS GROWSDOWN NORESERVE LOCKED POPULATE STACK 32BIT */
    u32 vma_flags;             /* extra enum vma_flags */
    struct file *file;         /* borrowed; the vma takes its own reference */
    struct mappable *obj;      /* file's mappable, NULL: anonymous (MAP_SHARED: mm_map makes the object) */
    u64 off;
    const char *name;
    gaddr_t low, high;         /* search window for non-fixed, 0: default */
    u64 align;                 /* 0: page */
};
/* Address, or -EINVAL -ENOMEM -EEXIST -EACCES -EPERM -EAGAIN. rlimits of current are applied (RLIMIT_AS, DATA, MEMLOCK). */
sysret_t mm_map(struct mm *mm, const struct mm_map_req *req);
sysret_t mm_unmap(struct mm *mm, gaddr_t addr, u64 len);
sysret_t mm_protect(struct mm *mm, gaddr_t addr, u64 len, u32 prot, u32 grows /* PROT_GROWSDOWN|UP or 0 */);
sysret_t mm_remap(struct mm *mm, gaddr_t old, u64 old_len, u64 new_len, u32 flags, gaddr_t new_addr);
sysret_t mm_brk(struct mm *mm, gaddr_t end);           /* Linux brk semantics: returns the break in force */
sysret_t mm_madvise(struct mm *mm, gaddr_t addr, u64 len, int advice);
sysret_t mm_mlock(struct mm *mm, gaddr_t addr, u64 len, bool on, bool onfault);
sysret_t mm_mlockall(struct mm *mm, int flags);        /* MCL_*; 0: munlockall */
/* /proc/PID/pagemap of n pages from start on, all below addr_limit. Where a page is, nobody is told. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FILE (1ULL << 61)      /* or shared anonymous */
void mm_pagemap(struct mm *mm, gaddr_t start, u64 n, u64 *out);
sysret_t mm_mincore(struct mm *mm, gaddr_t addr, u64 len, gaddr_t vec);
sysret_t mm_msync(struct mm *mm, gaddr_t addr, u64 len, int flags);
/* mseal(2): no unmapping, moving, replacing or changing of protection from now on. -ENOMEM: a hole; nothing was sealed. */
sysret_t mm_seal(struct mm *mm, gaddr_t addr, u64 len);
/* -EFAULT: not all of it is mapped. */
int mm_set_policy(struct mm *mm, gaddr_t addr, u64 len, struct mem_policy policy);
/* Of the mapping at addr; -EFAULT: none is there. */
int mm_get_policy(struct mm *mm, gaddr_t addr, struct mem_policy *policy);
sysret_t mm_set_vma_name(struct mm *mm, gaddr_t addr, u64 len, const char *name /* NULL: clear */);

/* Calls fn on each vma in address order under the read lock, until it returns false. */
void mm_for_each_vma(struct mm *mm, bool (*fn)(struct vma *v, void *arg), void *arg);
/* The vma holding addr, or NULL; needs mm->lock. */
struct vma *mm_find_vma_locked(struct mm *mm, gaddr_t addr);
/* Pages of [start,end) that have a page-table entry; for smaps and mincore. Needs mm->lock. */
u64 mm_resident_locked(struct mm *mm, gaddr_t start, gaddr_t end);
/* Is there a page in the range that is not the mapped object's? Needs mm->lock. */
bool mm_has_private_locked(struct mm *mm, gaddr_t start, gaddr_t end);
/* Bytes from start on, up to end, that all have an entry (*present), or none. Needs mm->lock. */
u64 mm_present_run_locked(struct mm *mm, gaddr_t start, gaddr_t end, bool *present);

/* What a fault or an access by the sentry comes to. */
struct mm_fault_result { int signo, code; };   /* SIGSEGV/SEGV_MAPERR.., SIGBUS/BUS_ADRERR; signo 0: resolved, run again */
/*
 * A guest fault seen by the platform. access 0: unknown (the platform cannot tell): treated as a read first, and as a
 * write if the page is already mapped readable and mm->map_gen has not moved since gen_at_entry.
 */
void mm_fault(struct mm *mm, gaddr_t addr, u8 access, gaddr_t sp, u64 gen_at_entry, struct mm_fault_result *res);

/* One page as the sentry sees it, for futex keys. */
struct mm_page_id { const void *obj; u64 off; };       /* equal ids <=> same memory */
/* Identity of the word at addr: (mm, addr) if private, (mappable, offset) if shared, (mm, addr | 1) for a shared operation
 * on a page that is not. -EFAULT. */
int mm_futex_key(struct mm *mm, gaddr_t addr, bool shared, bool write, struct mm_page_id *out);

#endif
