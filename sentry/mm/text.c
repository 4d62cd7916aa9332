/* Patched call sites, see text.h. */
#include "sentry/mm/text.h"
#include "sentry/mm/internal.h"

#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/kernel/task.h"

#include <signal.h>
#include <string.h>

#define HITS 24u            /* calls through a trap before a site is looked at: a patch costs as much as some twenty */
#define DONE 0xffffu        /* patched, or not to be */
#define NHITS 128u          /* sites counted at a time */
#define MAX_COPIES 32u      /* pages of text with patched sites */
#define MAX_TRAMPOLINES 16u /* pages; each serves text within 2 GiB */
#define SLOT 64u            /* bytes of a trampoline page for one site */
#define NSLOTS (GPAGE_SIZE / SLOT)
#define REACH 0x7f000000ULL /* less than a jump reaches */
#define JMP_LEN 5u
#define EFLAGS_TF 0x100ULL

struct hit { gaddr_t rip; u32 n; };
struct trampoline {
    gaddr_t at;              /* (c) */
    mpage_t page;            /* (c) */
    bool gone;               /* (a) unmapped for good */
    u64 gone_gen;            /* (c) once gone: mm->map_gen afterwards */
    gaddr_t site[NSLOTS];    /* (a) first displaced instruction; 0: free, else (c) */
};
struct copy { gaddr_t va; mpage_t page; };

struct text {
    struct hit hits[NHITS];  /* (a) each field; a lost update costs nothing */
    struct trampoline *tramp[MAX_TRAMPOLINES];
    u32 ntramps;             /* (a) */
    struct copy copy[MAX_COPIES];
    unsigned ncopies;
    bool off;                /* (a) no more patches */
    bool clash;              /* a VMA covers a trampoline */
};

/*
 * What to displace before a `syscall`: one instruction that may be executed twice. If it is shorter than a jump, the bytes
 * behind it, the `syscall` first, are taken for the rest of the jump's operand and stay as they are: that leaves a window of
 * `len` places, `d` away, where the trampoline must lie.
 */
struct match { unsigned off, n; s64 d; u64 len; };

/* glibc's syscall(), up to its last move: the number comes from memory there, so only the surroundings tell. */
static const u8 libc_syscall[] = { 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d,
                                   0x89, 0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08 };

/* Go's Syscall6: mov %rcx, %rsi; mov %rbx, %rdi. The number is its caller's. */
static const u8 go_syscall[] = { 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf };

/* The jump's operand when only its first bytes are free. */
static void set_window(struct match *m, const u8 *page)
{
    unsigned n_free = m->n - 1;
    u32 d = 0;

    memcpy((u8 *)&d + n_free, page + m->off + m->n, 4 - n_free);
    m->d = (s32)d;
    m->len = 1ULL << (8 * n_free);
}

/* `end`: offset in the page of the syscall instruction. */
static bool match_site(const u8 *page, unsigned end, u32 nr, struct match *m)
{
    u32 imm;

    if (end + 2 > GPAGE_SIZE || page[end] != 0x0f || page[end + 1] != 0x05) return false;
    if (end >= 6 && page[end - 5] == 0xb8) { /* mov $nr, %eax, without a prefix */
        u8 before = page[end - 6];
        memcpy(&imm, page + end - 4, 4);
        *m = (struct match){ .off = end - 5, .n = 5 };
        return imm == nr && (before & 0xf0) != 0x40 && before != 0x66;
    }
    if (end >= 7 && page[end - 7] == 0x48 && page[end - 6] == 0xc7 && page[end - 5] == 0xc0) { /* mov $nr, %rax */
        memcpy(&imm, page + end - 4, 4);
        *m = (struct match){ .off = end - 7, .n = 7 };
        return imm == nr;
    }
    if (end >= sizeof(libc_syscall) && memcmp(page + end - sizeof(libc_syscall), libc_syscall, sizeof(libc_syscall)) == 0) {
        *m = (struct match){ .off = end - 5, .n = 5 };
        return true;
    }
    if (end >= sizeof(go_syscall) && memcmp(page + end - sizeof(go_syscall), go_syscall, sizeof(go_syscall)) == 0) {
        *m = (struct match){ .off = end - 3, .n = 3 };
        set_window(m, page);
        return true;
    }
    if (end >= 3 && end + 3 <= GPAGE_SIZE && page[end - 2] == 0x31 && page[end - 1] == 0xc0) { /* xor %eax, %eax: read */
        *m = (struct match){ .off = end - 2, .n = 2 };
        set_window(m, page);
        return nr == 0 && (page[end - 3] & 0xf0) != 0x40;
    }
    return false;
}

static struct copy *copy_of(const struct mm *mm, gaddr_t page)
{
    struct text *x = mm->text;
    for (unsigned i = 0; x && i < x->ncopies; i++)
        if (x->copy[i].va == page) return &x->copy[i];
    return NULL;
}

bool text_patched(const struct mm *mm, gaddr_t va) { return copy_of(mm, gpage_down(va)) != NULL; }

static void count_anew(struct text *x)
{
    for (unsigned i = 0; i < NHITS; i++) __atomic_store_n(&x->hits[i].n, 0, __ATOMIC_RELAXED);
}

void text_forget(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u)
{
    struct text *x = mm->text;

    for (unsigned i = 0; x && i < x->ncopies;) {
        mpage_t p = x->copy[i].page;
        if (x->copy[i].va < start || x->copy[i].va >= end) {
            i++;
            continue;
        }
        x->copy[i] = x->copy[--x->ncopies];
        count_anew(x);
        if (u) update_free_page(u, pte_memfile(p, 0));
        else memfile_put(p);
    }
}

void text_covered(struct mm *mm, gaddr_t start, gaddr_t end)
{
    struct text *x = mm->text;

    for (u32 i = 0; i < x->ntramps; i++)
        if (!x->tramp[i]->gone && x->tramp[i]->at < end && x->tramp[i]->at + GPAGE_SIZE > start) x->clash = true;
}

static void unpatch_all(struct mm *mm, struct mm_update *u)
{
    struct text *x = mm->text;

    while (x->ncopies) {
        gaddr_t va = x->copy[0].va;
        u64 *e = pt_slot(mm->pt, va);
        if (e) *e &= ~PTE_PLAT;
        update_unmap(u, va, va + GPAGE_SIZE); /* forgets it */
    }
}

void text_give_way(struct mm *mm)
{
    struct text *x = mm->text;
    struct mm_update u;

    if (!x->clash) return;
    x->clash = false;
    atomic_store(&x->off, true);
    update_init(&u, mm);
    unpatch_all(mm, &u);
    for (u32 i = 0; i < x->ntramps; i++) {
        struct trampoline *tr = x->tramp[i];
        if (tr->gone) continue;
        update_unmap(&u, tr->at, tr->at + GPAGE_SIZE);
        update_free_page(&u, pte_memfile(tr->page, 0));
        tr->gone_gen = atomic_load(&mm->map_gen) + 1;
        atomic_store(&tr->gone, true);
    }
    update_flush(&u);
}

void mm_text_off(struct mm *mm)
{
    struct text *x = atomic_load(&mm->text);
    struct mm_update u;

    if (!x || atomic_load(&x->off)) return;
    update_init(&u, mm);
    write_lock(&mm->lock);
    atomic_store(&x->off, true);
    unpatch_all(mm, &u);
    update_flush(&u);
    rw_unlock(&mm->lock);
}

static bool range_is_free(struct mm *mm, gaddr_t at)
{
    struct vma *v = vma_find_from(mm, at);
    return at >= MM_MMAP_MIN_ADDR && (!v || v->start >= at + 2 * MM_STACK_GUARD_GAP);
}

/* As far below the text as a jump reaches: there new mappings come last. */
static gaddr_t place_for(struct mm *mm, gaddr_t site)
{
    gaddr_t low = site > REACH + MM_MMAP_MIN_ADDR ? gpage_up(site - REACH) : MM_MMAP_MIN_ADDR;
    sysret_t r;

    if (low > MM_MMAP_MIN_ADDR && range_is_free(mm, low)) return low;
    r = mm_place(mm, 0, GPAGE_SIZE, 0, low, gpage_down(site), 0);
    if (r < 0) r = mm_place(mm, 0, GPAGE_SIZE, 0, gpage_up(site), site + REACH, 0);
    return r < 0 ? 0 : (gaddr_t)r;
}

static void map_trampoline(const struct trampoline *tr, struct mm_update *u)
{
    update_raw(u, &(struct platform_mapop){ .kind = PLATFORM_MAP, .prot = PROT_READ | PROT_EXEC, .fd = memfile_fd(), .addr = tr->at,
                                            .len = GPAGE_SIZE, .off = tr->page << GPAGE_SHIFT });
}

static struct trampoline *new_trampoline(struct mm *mm, gaddr_t at, struct mm_update *u)
{
    struct text *x = mm->text;
    struct trampoline *tr;
    mpage_t page;

    if (x->ntramps == MAX_TRAMPOLINES) return NULL;
    for (u32 i = 0; i < x->ntramps; i++)
        if (x->tramp[i]->at == at) at = 0; /* full, or gone */
    if (!at || !(page = memfile_alloc(1))) return NULL;
    tr = xnew(struct trampoline);
    tr->at = at;
    tr->page = page;
    x->tramp[x->ntramps] = tr;
    atomic_store(&x->ntramps, x->ntramps + 1);
    map_trampoline(tr, u);
    return tr;
}

static bool slot_fits(const struct trampoline *tr, unsigned slot, gaddr_t site, const u8 *insns, unsigned n)
{
    return !tr->site[slot] || (tr->site[slot] == site && !memcmp((u8 *)memfile_ptr(tr->page) + slot * SLOT, insns, n));
}

/* The trampoline with the code for this site and these instructions, or one with room; the slot. */
static struct trampoline *slot_for(struct mm *mm, gaddr_t site, const u8 *insns, const struct match *m, unsigned *slot, struct mm_update *u)
{
    struct text *x = mm->text;
    gaddr_t low = m->len ? site + JMP_LEN + (gaddr_t)m->d : site - REACH, high = m->len ? low + m->len : site + REACH, at;

    if (!m->len && site < REACH) low = 0;
    for (u32 i = 0; i < x->ntramps; i++) {
        struct trampoline *tr = x->tramp[i];
        for (*slot = 0; !tr->gone && *slot < NSLOTS; ++*slot) {
            at = tr->at + *slot * SLOT;
            if (at >= low && at < high && slot_fits(tr, *slot, site, insns, m->n)) return tr;
        }
    }
    *slot = 0;
    if (!m->len) return new_trampoline(mm, place_for(mm, site), u);
    at = (low + SLOT - 1) & ~(gaddr_t)(SLOT - 1);
    if (at >= high || at >= mm->addr_limit - GPAGE_SIZE || !range_is_free(mm, gpage_down(at))) return NULL;
    *slot = (unsigned)((at & ~GPAGE_MASK) / SLOT);
    return new_trampoline(mm, gpage_down(at), u);
}

/* Original text, if what backs it is a file that this mapping cannot change. */
static bool read_text(struct mm *mm, gaddr_t va, u8 *buf, u32 *prot)
{
    struct vma *v = mm_find_vma_locked(mm, va);
    u64 e = pt_get(mm->pt, va);

    if (!v || !v->obj || (v->flags & (VMA_SHARED | VMA_SPECIAL)) || v->prot != (PROT_READ | PROT_EXEC)) return false;
    if (!(e & PTE_MAPPED) || (e & (PTE_ANON | PTE_W))) return false;
    *prot = pte_plat_prot(e);
    if (pte_is_hostfd(e)) return hostpage_read(pte_fd(e), pte_fd_off(e), buf, GPAGE_SIZE) == 0;
    memcpy(buf, memfile_ptr(pte_page(e)), GPAGE_SIZE);
    return true;
}

static bool patch_locked(struct mm *mm, gaddr_t rip, u32 nr, struct mm_update *u)
{
    struct text *x = mm->text;
    gaddr_t va = gpage_down(rip - 2), site;
    struct copy *old = copy_of(mm, va);
    u8 original[GPAGE_SIZE], *code;
    struct trampoline *tr;
    struct match m;
    unsigned slot;
    mpage_t page;
    u32 prot;
    s32 d;

    if (x->off || (!old && x->ncopies == MAX_COPIES) || !read_text(mm, va, original, &prot)) return false;
    if (!match_site(original, (unsigned)(rip - 2 - va), nr, &m)) return false;
    site = va + m.off;
    if (!(tr = slot_for(mm, site, original + m.off, &m, &slot, u))) return false;
    if (!tr->site[slot]) {
        code = (u8 *)memfile_ptr(tr->page) + slot * SLOT;
        if (!kernel.pops->as_call_site(mm->as, tr->at + slot * SLOT, rip, original + m.off, m.n, code, SLOT)) return false;
        atomic_store(&tr->site[slot], site);
    }
    if (!(page = memfile_alloc(1))) return false;
    memcpy(memfile_ptr(page), old ? memfile_ptr(old->page) : original, GPAGE_SIZE);
    code = (u8 *)memfile_ptr(page) + m.off;
    d = (s32)(s64)(tr->at + slot * SLOT - (site + JMP_LEN));
    code[0] = 0xe9;
    memcpy(code + 1, &d, MIN(m.n, JMP_LEN) - 1); /* of a short one the rest is there already */
    if (m.n > JMP_LEN) memset(code + JMP_LEN, 0x90, m.n - JMP_LEN);
    update_raw(u, &(struct platform_mapop){ .kind = PLATFORM_MAP, .prot = (u8)prot, .fd = memfile_fd(), .addr = va, .len = GPAGE_SIZE,
                                            .off = page << GPAGE_SHIFT });
    if (old) {
        update_free_page(u, pte_memfile(old->page, 0));
        old->page = page;
    } else {
        x->copy[x->ncopies++] = (struct copy){ va, page };
    }
    log_debug("call %u at %lx goes by a jump now", nr, (unsigned long)site);
    return true;
}

static struct text *text_of(struct mm *mm)
{
    struct text *x = atomic_load(&mm->text), *none = NULL;

    if (likely(x)) return x;
    x = xnew(struct text);
    if (__atomic_compare_exchange_n(&mm->text, &none, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return x;
    free(x);
    return none;
}

void mm_text_hit(struct mm *mm, gaddr_t rip, u64 nr)
{
    struct text *x = text_of(mm);
    unsigned at = (unsigned)((rip * 0x9e3779b97f4a7c15ULL) >> 57);
    struct hit *h = &x->hits[at], *h2 = &x->hits[at ^ 1];
    struct mm_update u;
    u32 n;

    if (atomic_load(&x->off)) return;
    if (__atomic_load_n(&h->rip, __ATOMIC_RELAXED) != rip) {
        if (__atomic_load_n(&h2->rip, __ATOMIC_RELAXED) == rip || __atomic_load_n(&h2->n, __ATOMIC_RELAXED) < h->n) h = h2;
        if (__atomic_load_n(&h->rip, __ATOMIC_RELAXED) != rip) {
            __atomic_store_n(&h->rip, rip, __ATOMIC_RELAXED);
            __atomic_store_n(&h->n, 1, __ATOMIC_RELAXED);
            return;
        }
    }
    n = __atomic_load_n(&h->n, __ATOMIC_RELAXED);
    if (likely(n >= DONE)) return;
    __atomic_store_n(&h->n, n + 1, __ATOMIC_RELAXED);
    if (n + 1 < HITS) return;
    update_init(&u, mm);
    write_lock(&mm->lock);
    patch_locked(mm, rip, (u32)nr, &u);
    update_flush(&u);
    rw_unlock(&mm->lock);
    __atomic_store_n(&h->n, DONE, __ATOMIC_RELAXED);
}

/* The platform may lose what it has mapped at any time, also a trampoline. */
static void remap(struct mm *mm, struct trampoline *tr)
{
    struct mm_update u;

    update_init(&u, mm);
    write_lock(&mm->lock);
    if (!tr->gone) map_trampoline(tr, &u);
    update_flush(&u);
    rw_unlock(&mm->lock);
}

void mm_text_settle(struct mm *mm, struct guest_regs *regs, struct platform_exit *e, u64 gen_at_entry)
{
    struct text *x = atomic_load(&mm->text);

    for (u32 i = 0, n = atomic_load(&x->ntramps); i < n; i++) {
        struct trampoline *tr = x->tramp[i];
        u64 off = regs->rip - tr->at;
        gaddr_t site = off < GPAGE_SIZE ? atomic_load(&tr->site[off / SLOT]) : 0;
        if (!site) continue;
        /* Unmapped before this thread went there: what is there now is the program's own. */
        bool gone = atomic_load(&tr->gone);
        if (gone && gen_at_entry >= tr->gone_gen) continue;
        regs->rip = site;
        if (e->event == PLATFORM_FAULT && gpage_down(e->fault_addr) == tr->at) {
            if (!gone) remap(mm, tr);
            e->event = PLATFORM_KICKED;
        } else if (e->event == PLATFORM_EXCEPTION && e->signo == SIGTRAP && (regs->eflags & EFLAGS_TF)) {
            mm_text_off(mm); /* it steps itself: let it see its own instructions */
            e->event = PLATFORM_KICKED;
        }
        return;
    }
}

void text_free(struct mm *mm)
{
    struct text *x = mm->text;

    if (!x) return;
    text_forget(mm, 0, UINT64_MAX, NULL);
    for (u32 i = 0; i < x->ntramps; i++) {
        if (!x->tramp[i]->gone) memfile_put(x->tramp[i]->page);
        free(x->tramp[i]);
    }
    free(x);
    mm->text = NULL;
}
