/*
 * Resolution of faults: which page backs an address, copy-on-write, stack growth, and what is mapped around.
 * The same code serves guest faults and the sentry's own accesses (usercopy.c).
 */
#include "sentry/mm/internal.h"

#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#include <string.h>
#include <unistd.h>

HOSTCALL(pread64, "pages of host files are copied for private mappings and for system calls");

#define COPY_AROUND_MEMFILE 4u     /* pages copied together at a copy-on-write fault */
#define COPY_AROUND_HOSTFD 8u
#define SENTRY_AROUND (1u << 20)   /* bytes prepared at once for an access of the sentry */

static inline u64 vma_pgoff(const struct vma *v, gaddr_t addr) { return (v->off + (addr - v->start)) >> GPAGE_SHIFT; }

struct window { gaddr_t lo, hi; };

/* The aligned block of `pages` around addr, stretched up to `end` and cut to the vma. */
static struct window window_of(const struct vma *v, gaddr_t addr, gaddr_t end, u64 pages)
{
    struct window w;
    w.lo = addr & ~(pages * GPAGE_SIZE - 1);
    w.hi = w.lo + pages * GPAGE_SIZE;
    if (end > w.hi) w.hi = MIN(gpage_up(end), addr + SENTRY_AROUND);
    w.lo = MAX(w.lo, v->start);
    w.hi = MIN(w.hi, v->end);
    return w;
}

/* Cuts the window to the run of pages around addr that are not present. */
static struct window absent_run(struct mm *mm, struct window w, gaddr_t addr)
{
    struct window r = { addr, addr + GPAGE_SIZE };
    while (r.lo > w.lo && !pt_get(mm->pt, r.lo - GPAGE_SIZE)) r.lo -= GPAGE_SIZE;
    struct pt_cursor c;
    gaddr_t va;
    pt_cursor_init(&c, mm->pt, r.hi, w.hi);
    r.hi = r.hi < w.hi && pt_cursor_next(&c, &va) ? va : MAX(r.hi, w.hi);
    return r;
}

/* Pages the host holds memory for are filled into the platform's tables at once: a fault each costs three times as much. */
static void note_held(struct mm_update *u, gaddr_t start, u64 n)
{
    if (u->held_end != start) u->held_start = start;
    u->held_end = start + n * GPAGE_SIZE;
}

static int fill_anon(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, struct mm_update *u)
{
    bool held;
    struct window w = absent_run(mm, window_of(v, addr, end, MM_AROUND_ANON), addr);
    mpage_t p = memfile_alloc_held((w.hi - w.lo) >> GPAGE_SHIFT, &held);
    if (!p) {
        w = (struct window){ addr, addr + GPAGE_SIZE };
        p = memfile_alloc_held(1, &held);
        if (!p) return -ENOMEM;
    }
    if (held) note_held(u, w.lo, (w.hi - w.lo) >> GPAGE_SHIFT);
    pt_set_run(mm->pt, w.lo, (w.hi - w.lo) >> GPAGE_SHIFT, pte_memfile(p, PTE_ANON | PTE_W), GPAGE_SIZE);
    return 0;
}

static int object_page(struct vma *v, gaddr_t addr, bool write, struct backing *b)
{
    *b = (struct backing){ .kind = BACKING_MEMFILE };
    int r = v->obj->ops->page(v->obj, vma_pgoff(v, addr), write, b);
    if (r) return r;
    if (b->kind == BACKING_HOSTFD && ((b->fd_off >> GPAGE_SHIFT) >= PTE_HOSTFD_MAX_PGOFF || b->fd >= PTE_HOSTFD_MAX_FD ||
                                      (b->fd_off & ~GPAGE_MASK)))
        return -ENXIO;
    return 0;
}

/* A host file: the whole contiguous run of absent pages in the window becomes present; it costs nothing. */
static void fill_hostfd(struct mm *mm, struct vma *v, gaddr_t addr, struct window w, bool write, struct backing b)
{
    u64 (*run)(struct mappable *, u64, u64) = v->obj->ops->run;
    u64 before = (addr - w.lo) >> GPAGE_SHIFT;
    struct backing low;
    if (run && before && !object_page(v, w.lo, write, &low)) {
        if (low.kind == BACKING_MEMFILE) {
            memfile_put(low.page);
        } else if (low.fd == b.fd && low.fd_off + (addr - w.lo) == b.fd_off &&
                   run(v->obj, vma_pgoff(v, w.lo), before + 1) > before) {
            addr = w.lo;
            b = low;
        }
    }
    u64 max = (w.hi - addr) >> GPAGE_SHIFT;
    max = MIN(max, PTE_HOSTFD_MAX_PGOFF - (b.fd_off >> GPAGE_SHIFT));
    u64 n = run ? run(v->obj, vma_pgoff(v, addr), max) : 1;
    n = n ? MIN(n, max) : 1;
    pt_set_run(mm->pt, addr, n, pte_hostfd(b.fd, b.fd_off >> GPAGE_SHIFT, write ? PTE_W : 0), GPAGE_SIZE);
}

static int fill_object(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, bool write)
{
    bool shared = v->flags & VMA_SHARED;
    /* A shared writable mapping is prepared for writing at once: a second fault costs more than a page. */
    bool w = shared && (write || (v->prot & PROT_WRITE));
    struct backing b;
    int r = object_page(v, addr, w, &b);
    if (r && w && !write) r = object_page(v, addr, w = false, &b);
    if (r) return r;

    struct window all = window_of(v, addr, end, b.kind == BACKING_HOSTFD ? MM_AROUND_MAP : MM_AROUND_OBJ);
    struct window win = absent_run(mm, all, addr);
    if (b.kind == BACKING_HOSTFD) {
        fill_hostfd(mm, v, addr, win, w, b);
        return 0;
    }
    pt_set(mm->pt, addr, pte_memfile(b.page, w ? PTE_W : 0));
    /* Asking a named sparse file for neighbours would fill its holes. */
    bool ahead = !w || !v->file || !v->file->path.dentry;
    for (gaddr_t a = addr + GPAGE_SIZE; a < win.hi && (ahead || a < end); a += GPAGE_SIZE) {
        if (object_page(v, a, w, &b)) break;
        if (b.kind != BACKING_MEMFILE) break;
        pt_set(mm->pt, a, pte_memfile(b.page, w ? PTE_W : 0));
    }
    return 0;
}

/* A page of a shared mapping is present but the object has not heard of a write yet. */
static int make_shared_writable(struct mm *mm, struct vma *v, gaddr_t addr, struct mm_update *u)
{
    struct backing b;
    int r = object_page(v, addr, true, &b);
    if (r) return r;
    u64 *e = pt_slot(mm->pt, addr), old = *e;
    *e = b.kind == BACKING_MEMFILE ? pte_memfile(b.page, PTE_W) : pte_hostfd(b.fd, b.fd_off >> GPAGE_SHIFT, PTE_W);
    if (old & PTE_MAPPED) update_map(u, v, addr, e, false);
    update_free_page(u, old);
    return 0;
}

static inline bool is_cow(u64 e) { return e && !(e & PTE_W); }
static inline bool is_sole_owner(u64 e)
{
    return (e & (PTE_KIND | PTE_ANON | PTE_W)) == (PTE_MEMFILE | PTE_ANON) && memfile_refs(pte_page(e)) == 1;
}

/* Nobody else has the page any more: it is ours again; mostly that holds for its neighbours too. */
static void reclaim_around(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, struct mm_update *u)
{
    struct window w = window_of(v, addr, end, MM_AROUND_ANON);
    gaddr_t lo = addr, va;
    while (lo > w.lo && is_sole_owner(pt_get(mm->pt, lo - GPAGE_SIZE))) lo -= GPAGE_SIZE;
    struct pt_cursor c;
    pt_cursor_init(&c, mm->pt, lo, w.hi);
    for (u64 *e; (e = pt_cursor_next(&c, &va)) && va == lo && is_sole_owner(*e); lo += GPAGE_SIZE) {
        *e |= PTE_W;
        update_protect(u, va, e, pte_allowed(v, *e));
    }
}

/* Reads pages of a host file into fresh ones; returns how many pages hold something. */
static u64 read_host_pages(u64 e, mpage_t to, u64 n)
{
    u64 done = 0, len = n << GPAGE_SHIFT;
    while (done < len) {
        ssize_t k = pread(pte_fd(e), (u8 *)memfile_ptr(to) + done, len - done, (off_t)(pte_fd_off(e) + done));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        done += (u64)k;
    }
    return gpage_up(done) >> GPAGE_SHIFT;
}

/* May b be copied in one go with a, n pages below it? */
static bool same_source(u64 a, u64 b, u64 n)
{
    if (!is_cow(b) || (a & (PTE_KIND | PTE_ANON)) != (b & (PTE_KIND | PTE_ANON))) return false;
    return !pte_is_hostfd(a) || (pte_fd(a) == pte_fd(b) && pte_fd_off(a) + n * GPAGE_SIZE == pte_fd_off(b));
}

static int copy_pages(struct mm *mm, struct vma *v, gaddr_t at, u64 n, struct mm_update *u)
{
    mpage_t p = memfile_alloc(n);
    if (!p) return -ENOMEM;
    u64 first = pt_get(mm->pt, at), have = n;
    if (pte_is_hostfd(first)) {
        have = read_host_pages(first, p, n);
        if (have < n) memfile_put_range(p + have, n - have);
        if (!have) return -ENXIO;
    }
    note_held(u, at, have);
    for (u64 i = 0; i < have; i++) {
        gaddr_t va = at + i * GPAGE_SIZE;
        u64 *e = pt_slot(mm->pt, va), old = *e;
        if (pte_is_memfile(old)) memcpy(memfile_ptr(p + i), memfile_ptr(pte_page(old)), GPAGE_SIZE);
        *e = pte_memfile(p + i, PTE_ANON | PTE_W);
        /* The platform must not go on showing the old page. */
        if (old & PTE_MAPPED) update_map(u, v, va, e, true);
        if ((old & PTE_MAPPED) && !(*e & PTE_MAPPED)) update_unmap(u, va, va + GPAGE_SIZE);
        update_free_page(u, old);
    }
    return 0;
}

static int break_cow(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, struct mm_update *u)
{
    u64 e = pt_get(mm->pt, addr);
    if (is_sole_owner(e)) {
        reclaim_around(mm, v, addr, end, u);
        return 0;
    }
    if (!(v->prot & PROT_WRITE)) return copy_pages(mm, v, addr, 1, u);   /* forced by a debugger: that page only */
    struct window w = window_of(v, addr, end, pte_is_hostfd(e) ? COPY_AROUND_HOSTFD : COPY_AROUND_MEMFILE);
    struct window r = { addr, addr + GPAGE_SIZE };
    while (r.lo > w.lo && same_source(pt_get(mm->pt, r.lo - GPAGE_SIZE), pt_get(mm->pt, r.lo), 1)) r.lo -= GPAGE_SIZE;
    while (r.hi < w.hi && same_source(pt_get(mm->pt, r.hi - GPAGE_SIZE), pt_get(mm->pt, r.hi), 1)) r.hi += GPAGE_SIZE;
    /* What is before addr must not be past the end of a file that shrank: then addr is, too. */
    int ret = copy_pages(mm, v, r.lo, (r.hi - r.lo) >> GPAGE_SHIFT, u);
    if (ret == -ENOMEM && r.hi - r.lo > GPAGE_SIZE) ret = copy_pages(mm, v, addr, 1, u);
    if (!ret && !(pt_get(mm->pt, addr) & PTE_W)) ret = -ENXIO;
    return ret;
}

int mm_resolve(struct mm *mm, struct vma *v, gaddr_t addr, gaddr_t end, bool write, struct mm_update *u)
{
    int r = 0;
    addr = gpage_down(addr);
    u64 e = pt_get(mm->pt, addr);
    if (!e) {
        r = v->obj ? fill_object(mm, v, addr, end, write) : fill_anon(mm, v, addr, end, u);
        rss_sync(mm);
        if (r) return r;
        e = pt_get(mm->pt, addr);
    }
    if (write && !(e & PTE_W))
        r = v->flags & VMA_SHARED ? make_shared_writable(mm, v, addr, u) : break_cow(mm, v, addr, end, u);
    return r;
}

static void install(struct mm_update *u, struct vma *v, gaddr_t va, u64 *e, bool populate)
{
    u32 want = pte_allowed(v, *e);
    if (!(*e & PTE_MAPPED))
        update_map(u, v, va, e, populate);
    else if (pte_plat_prot(*e) != want)
        update_protect(u, va, e, want);
}

/* Two entries that one operation of the platform can map. */
static bool joins(const struct vma *v, u64 a, u64 b)
{
    return ((a ^ b) & PTE_KIND) == 0 && pte_allowed(v, a) == pte_allowed(v, b) &&
           (pte_is_hostfd(a) ? pte_fd(a) == pte_fd(b) && pte_fd_off(a) + GPAGE_SIZE == pte_fd_off(b)
                             : pte_page(a) + 1 == pte_page(b));
}

void mm_install_around(struct mm *mm, struct vma *v, gaddr_t addr, struct mm_update *u)
{
    struct window w = window_of(v, gpage_down(addr), 0, MM_AROUND_MAP);
    gaddr_t lo = gpage_down(addr), va;
    /* Not more than 12 operations' worth below, 24 in all: memory in shreds is mapped where it is used. */
    unsigned ops = 0;
    for (u64 e = pt_get(mm->pt, lo), below; lo > w.lo; e = below, lo -= GPAGE_SIZE) {
        below = pt_get(mm->pt, lo - GPAGE_SIZE);
        if (!below || (below & PTE_MAPPED)) break;
        if (!joins(v, below, e) && ++ops > 12) break;
    }
    ops = u->nops;
    struct pt_cursor c;
    pt_cursor_init(&c, mm->pt, lo, w.hi);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) {
        if (va > addr && u->nops - ops > 24) break;
        install(u, v, va, e, va >= u->held_start && va < u->held_end);
    }
}

int mm_populate(struct mm *mm, struct vma *v, gaddr_t start, gaddr_t end, bool write, bool touch, struct mm_update *u)
{
    int r = 0;
    gaddr_t va;
    for (va = start; va < end; va += GPAGE_SIZE) {
        u64 e = pt_get(mm->pt, va);
        if (e && (!write || (e & PTE_W))) continue;
        r = mm_resolve(mm, v, va, end, write, u);
        if (r) break;
    }
    struct pt_cursor c;
    pt_cursor_init(&c, mm->pt, start, va);
    for (u64 *e; (e = pt_cursor_next(&c, &va));) install(u, v, va, e, touch || (va >= u->held_start && va < u->held_end));
    return r;
}

/* setrlimit(2) RLIMIT_STACK; the gap below a growing stack as in mm/mmap.c expand_downwards(). */
static bool grow_down(struct mm *mm, struct vma *v, gaddr_t addr)
{
    addr = gpage_down(addr);
    if (addr < MM_MMAP_MIN_ADDR) return false;
    struct vma *prev = RB_PREV(vma_tree, &mm->vmas, v);
    if (prev && !(prev->flags & VMA_GROWSDOWN) && (prev->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) &&
        (addr < prev->end || addr - prev->end < MM_STACK_GUARD_GAP))
        return false;
    if (prev && addr < prev->end) return false;
    u64 grow = (v->start - addr) >> GPAGE_SHIFT;
    if (v->end - addr > mm_rlimit(RLIMIT_STACK) || !mm_may_expand(mm, grow, false)) return false;
    if ((v->flags & VMA_LOCKED) && !mm_may_lock(mm, grow)) return false;
    vma_account(mm, v, -1);
    if (v->obj) v->off -= v->start - addr;
    v->start = addr;                /* keeps its place in the tree: nothing lies between */
    vma_account(mm, v, 1);
    return true;
}

struct vma *mm_find_extend(struct mm *mm, gaddr_t addr)
{
    if (addr >= mm->addr_limit) return NULL;
    struct vma *v = vma_find_from(mm, addr);
    if (!v || addr >= v->start) return v;
    return (v->flags & VMA_GROWSDOWN) && grow_down(mm, v, addr) ? v : NULL;
}

static void segv(struct mm_fault_result *res, int code)
{
    res->signo = SIGSEGV;
    res->code = code;
}

/* What an access of unknown kind must have been. False: run the guest again, somebody changed the mappings. */
static bool guess_access(struct mm *mm, const struct vma *v, u64 e, u64 gen, u32 *access)
{
    u32 has = pte_plat_prot(e);
    if (!has || (pte_allowed(v, e) & ~has)) {
        *access = PROT_READ;
        /* The copy will be wanted: saves the second fault. */
        if (!(v->flags & VMA_SHARED) && (v->prot & PROT_WRITE)) *access |= PROT_WRITE;
        return true;
    }
    if (atomic_load(&mm->map_gen) != gen) return false;
    /* Readable, and executable if the vma is: a write, an instruction fetch from data, or a mapping that was lost. */
    if (!(has & PROT_WRITE))
        *access = PROT_WRITE;
    else
        *access = v->prot & PROT_EXEC ? PROT_READ : PROT_EXEC;
    return true;
}

static void fault_locked(struct mm *mm, gaddr_t addr, u32 access, u64 gen, struct mm_fault_result *res, struct mm_update *u)
{
    struct vma *v = mm_find_extend(mm, addr);
    if (!v) {
        segv(res, SEGV_MAPERR);
        return;
    }
    if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) {
        segv(res, SEGV_ACCERR);
        return;
    }
    u64 e = pt_get(mm->pt, addr);
    if (!access && !guess_access(mm, v, e, gen, &access)) return;
    if (((access & PROT_WRITE) && !(v->prot & PROT_WRITE)) || ((access & PROT_EXEC) && !(v->prot & PROT_EXEC))) {
        segv(res, SEGV_ACCERR);
        return;
    }
    u32 need = access | PROT_READ;
    if ((pte_plat_prot(e) & need) == need) {
        if (atomic_load(&mm->map_gen) != gen) return;      /* another thread was quicker */
        *pt_slot(mm->pt, addr) &= ~PTE_PLAT;               /* the platform lost it: map it again */
    }
    int r = mm_resolve(mm, v, addr, 0, access & PROT_WRITE, u);
    if (r == -ENOMEM && !v->obj) {
        log_warn("out of guest memory: killing the task that faulted");
        res->signo = SIGKILL;          /* as the OOM killer of a memory cgroup */
        res->code = SI_KERNEL;
    } else if (r) {
        res->signo = SIGBUS;
        res->code = BUS_ADRERR;
    } else {
        mm_install_around(mm, v, addr, u);
        if (current) current->min_flt++;
    }
}

/*
 * The platform could not map what the fault asked for, and now has nothing mapped. With the one page it will do, if the
 * host's limits were the reason. If it is the host file itself (executable mappings of a noexec mount), a private
 * mapping gets copies in the memory file, the whole window of them, so that the guest comes forward.
 */
static void recover(struct mm *mm, gaddr_t addr, struct mm_fault_result *res, struct mm_update *u)
{
    struct vma *v = mm_find_vma_locked(mm, addr);
    u64 *e = pt_slot(mm->pt, addr);
    u->error = 0;
    update_map(u, v, addr, e, false);
    update_flush(u);
    if (!u->error) return;
    if (pte_is_hostfd(*e) && !(v->flags & VMA_SHARED)) {
        struct window w = window_of(v, addr, 0, MM_AROUND_MAP);
        for (gaddr_t a = w.lo; a < w.hi; a += GPAGE_SIZE)
            if (pte_is_hostfd(pt_get(mm->pt, a)) && copy_pages(mm, v, a, 1, u)) break;
        u->error = 0;
        mm_install_around(mm, v, addr, u);
        update_flush(u);
        if (!u->error) return;
    }
    log_warn("the platform cannot map a page: %d", u->error);
    res->signo = SIGBUS;
    res->code = BUS_ADRERR;
}

void mm_fault(struct mm *mm, gaddr_t addr, u8 access, gaddr_t sp UNUSED, u64 gen_at_entry, struct mm_fault_result *res)
{
    struct mm_update u;
    update_init(&u, mm);
    res->signo = res->code = 0;
    write_lock(&mm->lock);
    addr = gpage_down(addr);
    fault_locked(mm, addr, access & (PROT_READ | PROT_WRITE | PROT_EXEC), gen_at_entry, res, &u);
    update_flush(&u);
    if (u.error && !res->signo && pt_slot(mm->pt, addr)) recover(mm, addr, res, &u);
    rw_unlock(&mm->lock);
}

int mm_fault_in(struct mm *mm, gaddr_t addr, gaddr_t end, bool write, bool force)
{
    struct mm_update u;
    int r = -EFAULT;
    update_init(&u, mm);
    write_lock(&mm->lock);
    struct vma *v = mm_find_extend(mm, addr);
    if (v && vma_permits(v, write, force)) r = mm_resolve(mm, v, addr, end, write, &u) ? -EFAULT : 0;
    update_flush(&u);
    rw_unlock(&mm->lock);
    return r;
}
