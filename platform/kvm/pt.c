/*
 * Address spaces: four levels of page tables in the machine's own memory, written by the sentry while guests run. What
 * is taken away is first taken out of the tables, then out of every processor, and only then used again.
 *
 * With `shadow` (internal.h) the processor works with KVM's own copy of these tables, in which what was present once stays.
 * There the targets of changed entries are zapped, which also takes them out of every processor. KVM finds its copy of a table
 * by the table's address and never looks again which table an entry leads to, so in a living address space no table
 * is replaced, and a freed one becomes something else only after KVM has dropped all copies.
 *
 * A page of a file that may not exist (beyond the file's end) is not present but *lazy*: the entry is complete except for
 * the present bit, and the fault on it tries the page out. KVM itself would say only that some page could not be had.
 */
#include "platform/kvm/internal.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(write, "kvm: looks at an instruction of a guest, through a pipe");
HOSTCALL(read, "kvm: looks at an instruction of a guest, through a pipe");
HOSTCALL(fstat, "which file is a donated descriptor of?");
HOSTCALL(madvise, "is there a page of a donated file?");
HOSTCALL(sched_yield, "wait until another processor has left guest code");

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define PTE_P 1ULL
#define PTE_W 2ULL
#define PTE_U 4ULL
#define PTE_A 0x20ULL
#define PTE_D 0x40ULL
#define PTE_LAZY 0x200ULL /* software: only with P clear */
#define PTE_NX (1ULL << 63)
#define PTE_ADDR 0x000ffffffffff000ULL
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)

/* shadow: empty tables an address space may keep. */
#define SHADOW_TABLES_KEPT 2048u

#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_FETCH 16u

/* One as_update: what must wait until no processor can use it any more. */
struct change {
    struct platform_as *as;
    bool flush;             /* something was taken away since the last flush */
    bool free_tables;       /* page tables that become empty go */
    bool drop;              /* shadow: too much for single zaps */
    bool unused;            /* shadow: nobody will run this address space any more */
    unsigned nput, npage, nzap;
    struct { u64 gpa, len; } zap[64]; /* shadow: targets of the entries taken away */
    struct { u32 chunk, n; } put[32];
    u64 page[64];           /* page tables */
};

static inline unsigned index_at(gaddr_t va, int level)
{
    return (unsigned)(va >> (GPAGE_SHIFT + 9 * (level - 1))) & 511;
}

/* After this no context uses an entry that was changed before. */
static void shoot(struct platform_as *as)
{
    struct platform *p = as->p;
    unsigned n = __atomic_load_n(&p->nvcpu, __ATOMIC_ACQUIRE);
    u32 seq[KVM_VCPUS_MAX];
    bool in[KVM_VCPUS_MAX];

    /* Entering: store in_as, load gen. Here: store gen, load in_as. One of the two sees the other. */
    __atomic_add_fetch(&as->gen, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < n; i++) {
        struct kvm_vcpu *v = p->vcpu[i];
        seq[i] = __atomic_load_n(&v->run_seq, __ATOMIC_SEQ_CST);
        in[i] = __atomic_load_n(&v->in_as, __ATOMIC_SEQ_CST) == (u64)(uintptr_t)as;
        if (in[i]) kvm_vcpu_kick(v);
    }
    for (unsigned i = 0; i < n; i++)
        for (unsigned spin = 0; in[i] && __atomic_load_n(&p->vcpu[i]->run_seq, __ATOMIC_ACQUIRE) == seq[i]; spin++)
            if (spin < 1000) __builtin_ia32_pause();
            else sched_yield();
}

/* The same where processors use KVM's shadow of the tables. */
static void shoot_shadow(struct change *c)
{
    struct platform *p = c->as->p;
    bool ok = !c->drop;

    if (c->unused) return;
    for (unsigned i = 0; i < c->nzap && ok; i++) ok = kvm_shadow_zap(p, c->zap[i].gpa, c->zap[i].len);
    if (ok || kvm_shadow_drop(p)) return;
    log_warn("kvm: the host does not drop old mappings (%s); a guest process is killed", strerror(errno));
    __atomic_store_n(&c->as->dead, true, __ATOMIC_SEQ_CST);
}

/* `old` is not what the tables say any more, or gives more than they say. */
static void taken(struct change *c, u64 old)
{
    u64 gpa = old & PTE_ADDR;

    c->flush = true;
    if (!c->as->p->var.shadow || c->drop || c->unused) return;
    if (c->nzap && c->zap[c->nzap - 1].gpa + c->zap[c->nzap - 1].len == gpa && gpa != c->as->p->win_gpa) {
        c->zap[c->nzap - 1].len += GPAGE_SIZE;
    } else if (c->nzap == ARRAY_LEN(c->zap)) {
        c->drop = true;
    } else {
        c->zap[c->nzap].gpa = gpa;
        c->zap[c->nzap++].len = GPAGE_SIZE;
    }
}

static void settle(struct change *c)
{
    if (c->flush && c->as->p->var.shadow) shoot_shadow(c);
    else if (c->flush) shoot(c->as);
    c->flush = c->drop = false;
    c->nzap = 0;
    for (unsigned i = 0; i < c->nput; i++) kvm_chunk_put(c->as->p, c->put[i].chunk, c->put[i].n);
    for (unsigned i = 0; i < c->npage; i++) kvm_page_free(c->as->p, c->page[i]);
    c->nput = c->npage = 0;
}

/* An entry that stood in the tables is there no more. */
static void entry_gone(struct change *c, u64 old)
{
    u32 chunk;

    if (!(old & (PTE_P | PTE_LAZY))) return;
    chunk = kvm_chunk_of(c->as->p, old & PTE_ADDR);
    if (chunk == NO_CHUNK) return;
    if (!c->nput || c->put[c->nput - 1].chunk != chunk) {
        if (c->nput == ARRAY_LEN(c->put)) settle(c);
        c->put[c->nput].chunk = chunk;
        c->put[c->nput++].n = 0;
    }
    c->put[c->nput - 1].n++;
}

static void entry_set(struct change *c, u64 *e, u64 val)
{
    u64 old = __atomic_exchange_n(e, val, __ATOMIC_SEQ_CST);

    if (old & PTE_P) taken(c, old);
    entry_gone(c, old);
}

/* An entry of the topmost table, in all roots. */
static void top_set(struct platform_as *as, gaddr_t va, u64 val)
{
    unsigned i = index_at(va, 4);

    __atomic_store_n((u64 *)kvm_page_ptr(as->p, as->root->gpa) + i, val, __ATOMIC_SEQ_CST);
    for (struct kvm_root *r = as->views; r; r = r->next)
        __atomic_store_n((u64 *)kvm_page_ptr(as->p, r->gpa) + i, val, __ATOMIC_SEQ_CST);
}

/* The lowest table of va; NULL: not there, or (alloc) no memory. */
static u64 *leaf_table(struct platform_as *as, gaddr_t va, bool alloc)
{
    u64 *t = kvm_page_ptr(as->p, as->root->gpa);

    for (int level = 4; level > 1; level--) {
        u64 *e = &t[index_at(va, level)];
        if (!(*e & PTE_P)) {
            u64 page = alloc ? kvm_page_new(as->p) : 0;
            if (!page) return NULL;
            as->ntable++;
            if (level == 4) top_set(as, va, page | TABLE_FLAGS);
            else __atomic_store_n(e, page | TABLE_FLAGS, __ATOMIC_RELEASE);
        }
        t = kvm_page_ptr(as->p, *e & PTE_ADDR);
    }
    return t;
}

static void table_free(struct change *c, u64 gpa)
{
    if (c->npage == ARRAY_LEN(c->page)) settle(c);
    c->page[c->npage++] = gpa;
}

static void unmap_range(struct change *c, u64 *t, int level, gaddr_t start, gaddr_t end)
{
    u64 size = 1ULL << (GPAGE_SHIFT + 9 * (level - 1));

    for (gaddr_t va = start, next; va < end; va = next) {
        u64 *e = &t[index_at(va, level)], old = *e;
        next = (va & ~(size - 1)) + size;
        if (level == 1) {
            if (old) entry_set(c, e, 0);
            continue;
        }
        if (!(old & PTE_P)) continue;
        unmap_range(c, kvm_page_ptr(c->as->p, old & PTE_ADDR), level - 1, va, MIN(next, end));
        if ((va & (size - 1)) || next > end || !c->free_tables) continue;
        if (level == 4) top_set(c->as, va, 0);
        else __atomic_store_n(e, 0, __ATOMIC_SEQ_CST);
        c->flush = c->drop = true; /* processors cache tables, too */
        c->as->ntable--;
        table_free(c, old & PTE_ADDR);
    }
}

static void protect_leaf(struct change *c, u64 *e, u8 prot)
{
    u64 old = *e, val = old & ~(PTE_W | PTE_NX);
    u32 chunk = kvm_chunk_of(c->as->p, old & PTE_ADDR);

    if (!(old & (PTE_P | PTE_LAZY))) return;
    /* Dropped, to be asked for again: what permits nothing, and a write through what the file was opened only to read. */
    if (!prot || (prot & PLATFORM_PROT_WRITE && chunk != NO_CHUNK && !c->as->p->chunk[chunk].writable)) {
        entry_set(c, e, 0);
        return;
    }
    if (prot & PLATFORM_PROT_WRITE) val |= PTE_W;
    if (!(prot & PLATFORM_PROT_EXEC)) val |= PTE_NX;
    if (val == old) return;
    __atomic_store_n(e, val, __ATOMIC_SEQ_CST);
    if (old & PTE_P && ((old & ~val & PTE_W) || (val & ~old & PTE_NX))) taken(c, old);
}

static void protect_range(struct change *c, u64 *t, int level, gaddr_t start, gaddr_t end, u8 prot)
{
    u64 size = 1ULL << (GPAGE_SHIFT + 9 * (level - 1));

    for (gaddr_t va = start, next; va < end; va = next) {
        u64 *e = &t[index_at(va, level)];
        next = (va & ~(size - 1)) + size;
        if (level == 1) protect_leaf(c, e, prot);
        else if (*e & PTE_P) protect_range(c, kvm_page_ptr(c->as->p, *e & PTE_ADDR), level - 1, va, MIN(next, end), prot);
    }
}

/* Pages [va, va + n) of one lowest table to physical memory from gpa on; those from the npresent-th on are lazy. */
static void set_entries(struct change *c, u64 *t, gaddr_t va, u64 n, u64 gpa, u8 prot, u64 npresent)
{
    u64 flags = PTE_U | PTE_A | PTE_D | (prot & PLATFORM_PROT_WRITE ? PTE_W : 0) | (prot & PLATFORM_PROT_EXEC ? 0 : PTE_NX);

    for (u64 i = 0; i < n; i++) {
        u64 *e = &t[index_at(va, 1) + i];
        u64 val = (gpa + (i << GPAGE_SHIFT)) | flags | (i < npresent ? PTE_P : PTE_LAZY);
        u64 old = __atomic_exchange_n(e, val, __ATOMIC_SEQ_CST);
        bool less = (old ^ val) & (PTE_ADDR | PTE_U) || (old & ~val & (PTE_W | PTE_P)) || (val & ~old & PTE_NX);
        if (old & PTE_P && less) taken(c, old); /* not: the same page with the same rights, or more */
        entry_gone(c, old);
    }
}

/*
 * shadow: KVM looks each page up in its own mapping of the memory file, which zaps emptied. A writer's lookup costs 1.3 us a page; reading,
 * for which the kernel maps 16 pages together, makes them writable too (shared memory keeps no account of writes). And KVM
 * shadows the neighbours of a page that faults along with it, if it finds them here.
 */
static void fill_mapping(struct platform *p, u64 off, u64 len)
{
    if (p->var.shadow) madvise(p->mem + off, len, MADV_POPULATE_READ); /* if not, it costs time only */
}

static int map_memory(struct change *c, const struct platform_mapop *op)
{
    struct platform *p = c->as->p;

    if (op->off > p->cfg.memfile_size || op->len > p->cfg.memfile_size - op->off) return -EINVAL;
    int rc = kvm_mem_slots(p, op->off, op->len);
    if (op->populate && !rc) fill_mapping(p, op->off, op->len);
    for (u64 done = 0, n; done < op->len && !rc; done += n) {
        gaddr_t va = op->addr + done;
        n = MIN(op->len - done, (1ULL << 21) - (va & ((1ULL << 21) - 1)));
        u64 *t = leaf_table(c->as, va, true);
        if (!t) rc = -ENOMEM;
        else set_entries(c, t, va, n >> GPAGE_SHIFT, MEM_GPA + op->off + done, op->prot, ~0ULL);
    }
    return rc;
}

static int map_file(struct change *c, const struct platform_mapop *op)
{
    struct platform *p = c->as->p;
    struct stat st;
    u64 size;

    if (syscall(SYS_fstat, op->fd, &st)) return -errno;
    if (op->off + op->len < op->off) return -EINVAL;
    size = S_ISREG(st.st_mode) ? gpage_up((u64)st.st_size) : 0;
    for (u64 done = 0, n; done < op->len; done += n) {
        gaddr_t va = op->addr + done;
        u64 off = op->off + done;
        u32 chunk;
        /* No further than the end of the page table, and of the piece. */
        n = MIN(op->len - done, (1ULL << 21) - (va & ((1ULL << 21) - 1)));
        n = MIN(n, CHUNK_SIZE - (off & (CHUNK_SIZE - 1)));
        u64 *t = leaf_table(c->as, va, true);
        if (!t) return -ENOMEM;
        int rc = kvm_chunk_get(p, op->fd, st.st_dev, st.st_ino, off >> CHUNK_SHIFT, op->prot & PLATFORM_PROT_WRITE,
                               (u32)(n >> GPAGE_SHIFT), &chunk);
        if (rc) return rc;
        set_entries(c, t, va, n >> GPAGE_SHIFT, p->win_gpa + ((u64)chunk << CHUNK_SHIFT) + (off & (CHUNK_SIZE - 1)), op->prot,
                    off < size ? (size - off) >> GPAGE_SHIFT : 0);
    }
    return 0;
}

static int apply(struct change *c, const struct platform_mapop *op)
{
    u64 *root = kvm_page_ptr(c->as->p, c->as->root->gpa);
    int rc = 0;

    if (op->addr >= GUEST_ADDR_MAX || op->len > GUEST_ADDR_MAX - op->addr || ((op->addr | op->len) & ~GPAGE_MASK)) return -EINVAL;
    if (!op->len) return 0;
    switch (op->kind) {
    case PLATFORM_PROTECT:
        protect_range(c, root, 4, op->addr, op->addr + op->len, op->prot);
        return 0;
    case PLATFORM_MAP:
        if (op->prot) {
            rc = op->fd == c->as->p->cfg.memfile_fd ? map_memory(c, op) : map_file(c, op);
            if (!rc) return 0;
        }
        __attribute__((fallthrough)); /* nothing of a failed one stays */
    case PLATFORM_UNMAP:
        unmap_range(c, root, 4, op->addr, op->addr + op->len);
        return rc;
    }
    return -EINVAL;
}

int kvm_as_update(struct platform_as *as, const struct platform_mapop *ops, size_t n)
{
    struct change c = { .as = as };
    int rc = 0;

    if (atomic_load(&as->dead)) return -EFAULT;
    lock(&as->lock);
    c.free_tables = !as->p->var.shadow || as->ntable > SHADOW_TABLES_KEPT;
    for (size_t i = 0; i < n && !rc; i++) rc = apply(&c, &ops[i]);
    settle(&c);
    unlock(&as->lock);
    return rc;
}

void kvm_root_put(struct platform *p, struct kvm_root *r)
{
    if (!ref_put(&r->refs)) return;
    kvm_page_free(p, r->gpa);
    free(r);
}

static void view_free(struct platform *p, struct kvm_root *r)
{
    ((u64 *)kvm_page_ptr(p, r->gpa))[index_at(KVA_USTUB, 4)] = 0;
    for (unsigned i = 0; i < ARRAY_LEN(r->user); i++)
        if (r->user[i]) kvm_page_free(p, r->user[i]);
    kvm_root_put(p, r);
}

static struct kvm_root *view_new_locked(struct platform_as *as, unsigned id)
{
    struct platform *p = as->p;
    u64 gpa = kvm_page_new(p), *top;

    if (!gpa) return NULL;
    struct kvm_root *r = xnew(struct kvm_root);
    ref_init(&r->refs);
    r->gpa = gpa;
    r->as_id = as->id;
    r->vcpu = id;
    for (unsigned i = 0; i < ARRAY_LEN(r->user); i++) {
        if ((r->user[i] = kvm_page_new(p))) continue;
        view_free(p, r);
        return NULL;
    }
    top = kvm_page_ptr(p, gpa);
    memcpy(top, kvm_page_ptr(p, as->root->gpa), GPAGE_SIZE);
    top[index_at(KVA_USTUB, 4)] = r->user[0] | TABLE_FLAGS;
    *(u64 *)kvm_page_ptr(p, r->user[0]) = r->user[1] | TABLE_FLAGS;
    *(u64 *)kvm_page_ptr(p, r->user[1]) = r->user[2] | TABLE_FLAGS;
    ((u64 *)kvm_page_ptr(p, r->user[2]))[0] = p->user_text | PTE_P | PTE_U | PTE_A;
    ((u64 *)kvm_page_ptr(p, r->user[2]))[1] = r->user[3] | PTE_P | PTE_U | PTE_W | PTE_A | PTE_D | PTE_NX;
    r->req = kvm_page_ptr(p, r->user[3]);
    r->next = as->views;
    as->views = r;
    return r;
}

struct kvm_root *kvm_as_root(struct platform_as *as, unsigned id)
{
    struct kvm_root *r;

    if (!as->p->var.user_stub) return as->root;
    lock(&as->lock);
    for (r = as->views; r && r->vcpu != id; r = r->next) continue;
    if (!r) r = view_new_locked(as, id);
    unlock(&as->lock);
    return r;
}

int kvm_as_new(struct platform *p, struct platform_as **out)
{
    u64 root = kvm_page_new(p);

    if (!root) return -ENOMEM;
    ((u64 *)kvm_page_ptr(p, root))[511] = p->pt_kernel;
    struct platform_as *as = *out = xnew(struct platform_as);
    as->p = p;
    as->gen = 1;
    as->id = __atomic_add_fetch(&p->last_as_id, 1, __ATOMIC_RELAXED);
    lock_init(&as->lock, LC_PLATFORM);
    as->root = xnew(struct kvm_root);
    as->root->gpa = root;
    as->root->as_id = as->id;
    ref_init(&as->root->refs);
    return 0;
}

/* A vCPU may still have the root, with ring 0 in it, until it runs another address space. */
void kvm_as_free(struct platform_as *as)
{
    struct change c = { .as = as, .free_tables = true, .unused = true };

    lock(&as->lock);
    if (as->views) shoot(as); /* a session's guest may still wait in the stub */
    unmap_range(&c, kvm_page_ptr(as->p, as->root->gpa), 4, 0, GUEST_ADDR_MAX);
    unmap_range(&c, kvm_page_ptr(as->p, as->root->gpa), 4, GUEST_ADDR_MAX, 1ULL << 47);
    settle(&c);
    for (struct kvm_root *r = as->views, *next; r; r = next) {
        next = r->next;
        view_free(as->p, r);
    }
    unlock(&as->lock);
    kvm_root_put(as->p, as->root);
    lock_fini(&as->lock);
    free(as);
}

bool kvm_as_peek(struct platform_as *as, gaddr_t addr, u8 *buf, size_t n)
{
    struct platform *p = as->p;
    bool ok = true;

    lock(&as->lock);
    for (size_t i = 0; i < n && ok; i++) {
        gaddr_t at = addr + i;
        u64 *t = at < GUEST_ADDR_MAX ? leaf_table(as, at, false) : NULL, e = t ? t[index_at(at, 1)] : 0;
        u64 gpa = (e & PTE_ADDR) | (at & ~GPAGE_MASK);
        const u8 *hva = gpa >= p->win_gpa ? p->win + (gpa - p->win_gpa) : p->mem + (gpa - MEM_GPA);
        if (!(e & PTE_P)) {
            ok = false;
            break;
        }
        /* A file's page may be gone: the kernel finds that out with an error, we would with SIGBUS. */
        lock(&p->lock);
        ok = write(p->peek[1], hva, 1) == 1 && read(p->peek[0], buf + i, 1) == 1;
        unlock(&p->lock);
    }
    unlock(&as->lock);
    return ok;
}

static bool page_exists(struct platform *p, u64 e, bool write)
{
    u8 *hva = p->win + ((e & PTE_ADDR) - p->win_gpa);
    int rc;

    do rc = madvise(hva, GPAGE_SIZE, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
    while (rc && (errno == EINTR || errno == EAGAIN));
    return rc == 0;
}

enum kvm_fault kvm_as_fault(struct platform_as *as, gaddr_t addr, u32 error)
{
    enum kvm_fault f = KVM_FAULT_REAL;
    u64 *t = NULL, *e;

    lock(&as->lock);
    if (addr < GUEST_ADDR_MAX) t = leaf_table(as, addr, false);
    e = t ? &t[index_at(addr, 1)] : NULL;
    if (e && !((error & PF_WRITE) && !(*e & PTE_W)) && !((error & PF_FETCH) && (*e & PTE_NX))) {
        if (*e & PTE_P) {
            f = KVM_FAULT_SPURIOUS;
            if (as->p->var.shadow && !kvm_shadow_zap(as->p, *e & PTE_ADDR, GPAGE_SIZE)) kvm_shadow_drop(as->p);
        } else if (*e & PTE_LAZY) {
            f = page_exists(as->p, *e, error & PF_WRITE) ? KVM_FAULT_FILLED : KVM_FAULT_BUS;
            if (f == KVM_FAULT_FILLED) __atomic_store_n(e, (*e & ~PTE_LAZY) | PTE_P, __ATOMIC_SEQ_CST);
        }
    }
    unlock(&as->lock);
    return f;
}

static bool revalidate_range(struct change *c, u64 *t, int level)
{
    bool found = false;

    for (unsigned i = 0; i < (level == 4 ? 256 : 512); i++) {
        u64 e = t[i];
        if (!(e & PTE_P)) continue;
        if (level > 1) {
            found |= revalidate_range(c, kvm_page_ptr(c->as->p, e & PTE_ADDR), level - 1);
        } else if (kvm_chunk_of(c->as->p, e & PTE_ADDR) != NO_CHUNK && !page_exists(c->as->p, e, e & PTE_W)) {
            __atomic_store_n(&t[i], (e & ~PTE_P) | PTE_LAZY, __ATOMIC_SEQ_CST);
            taken(c, e);
            found = true;
        }
    }
    return found;
}

bool kvm_as_revalidate(struct platform_as *as)
{
    struct change c = { .as = as };
    bool found;

    lock(&as->lock);
    found = revalidate_range(&c, kvm_page_ptr(as->p, as->root->gpa), 4);
    settle(&c);
    unlock(&as->lock);
    return found;
}
