/*
 * libc.so.1: malloc. Size classes of 16 bytes to 32 KiB from 64 KiB-aligned slabs, larger ones mapped. Eight arenas, a
 * thread stays with one while it is uncontended. Every block is 16-aligned; the slab's header tells a block's class.
 */
#include "impl.h"
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SLAB 65536UL
#define NCLASS 40
#define ARENAS 8
#define MAGIC 0x51ab51abu
#define BIG 0xb16b10c5u

struct slab {
    uint32_t magic, cls;
    struct arena *arena;
    size_t size; /* block size; for a big one the mapping's length */
    struct slab *next, *prev;
    void *free;
    uint32_t used, fresh, total; /* blocks handed out; blocks never touched start at `fresh` */
    char *base; /* big: the user's address may be aligned further in */
};
struct arena {
    llock_t lock;
    struct slab *partial[NCLASS];
    struct slab *empty; /* one spare */
} __attribute__((aligned(64)));

static struct arena arenas[ARENAS];
static struct { llock_t lock; char *p; size_t left; } chunk; /* slabs are cut from larger mappings */
static struct slab *spare_slabs;

/* classes: 16 32 48 64 80 96 112 128, then four per doubling up to 32768 */
static unsigned class_of(size_t n)
{
    if (n <= 128)
        return n ? (unsigned)((n - 1) / 16) : 0;
    unsigned b = 63u - (unsigned)__builtin_clzl(n - 1); /* 7..14 */
    return 8 + (b - 7) * 4 + (unsigned)((n - 1) >> (b - 2) & 3);
}
static size_t class_size(unsigned c)
{
    if (c < 8)
        return (c + 1) * 16UL;
    unsigned b = (c - 8) / 4 + 7;
    return (1UL << b) + ((c - 8) % 4 + 1) * (1UL << (b - 2));
}

static void *map(size_t n)
{
    long r = RAW(SYS_mmap, 0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    return RAW_FAILED(r) ? NULL : (void *)r;
}

static struct slab *slab_new(void)
{
    struct slab *s = NULL;

    llock(&chunk.lock);
    if (spare_slabs) {
        s = spare_slabs;
        spare_slabs = s->next;
    } else {
        if (chunk.left < SLAB) {
            size_t n = 16 * SLAB;
            char *p = map(n + SLAB);
            if (p) {
                char *a = (char *)(((uintptr_t)p + SLAB - 1) & ~(SLAB - 1));
                chunk.left = (size_t)(p + n + SLAB - a) & ~(SLAB - 1);
                chunk.p = a;
            }
        }
        if (chunk.left >= SLAB) {
            s = (struct slab *)chunk.p;
            chunk.p += SLAB;
            chunk.left -= SLAB;
        }
    }
    lunlock(&chunk.lock);
    return s;
}

static struct slab *slab_of(const void *p) { return (struct slab *)((uintptr_t)p & ~(SLAB - 1)); }

static void push(struct slab **l, struct slab *s)
{
    s->prev = NULL;
    s->next = *l;
    if (*l)
        (*l)->prev = s;
    *l = s;
}
static void drop(struct slab **l, struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        *l = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

#define HEAD 128UL

/* Large blocks: [slab header, SLAB-aligned][block]. `align` beyond 128 moves the block; the header must stay in reach. */
static void *big_alloc(size_t n, size_t align)
{
    size_t off = align > HEAD ? align : HEAD;

    if (n > (1UL << 46) || align > SLAB / 2) {
        if (align <= SLAB / 2 || n > (1UL << 46) || align > (1UL << 40)) {
            errno = ENOMEM;
            return NULL;
        }
        /* aligned beyond a slab: the header goes to the slab boundary below the block */
        size_t len = (n + align + 2 * SLAB + 4095) & ~4095UL;
        char *p = map(len);
        if (!p)
            goto out;
        char *b = (char *)(((uintptr_t)p + SLAB + align - 1) & ~(align - 1));
        /* slab_of(b) is b itself: keep a marker just below */
        struct slab *s = (struct slab *)(b - SLAB);
        s->magic = BIG;
        s->size = len;
        s->base = p;
        s->total = (uint32_t)0;
        return b;
    }
    size_t len = (n + off + SLAB + 4095) & ~4095UL;
    char *p = map(len);
    if (!p)
        goto out;
    char *a = (char *)(((uintptr_t)p + SLAB - 1) & ~(SLAB - 1));
    char *end = a + ((n + off + 4095) & ~4095UL);
    if (a > p)
        (void)RAW(SYS_munmap, p, a - p);
    if (p + len > end)
        (void)RAW(SYS_munmap, end, p + len - end);
    struct slab *s = (struct slab *)a;
    s->magic = BIG;
    s->size = (size_t)(end - a);
    s->base = a;
    return a + off;
out:
    errno = ENOMEM;
    return NULL;
}

static unsigned arena_hint(void) { return curself()->tid % ARENAS; }

void *malloc(size_t n)
{
    if (n > 32768)
        return big_alloc(n, 16);
    unsigned c = class_of(n), h = arena_hint();
    struct arena *a = &arenas[h];
    struct slab *s, *fresh = NULL;

    llock(&a->lock);
    if (!(s = a->partial[c])) {
        if ((s = a->empty)) {
            a->empty = NULL;
        } else {
            lunlock(&a->lock);
            fresh = slab_new();
            if (!fresh) {
                errno = ENOMEM;
                return NULL;
            }
            llock(&a->lock);
            s = fresh;
        }
        s->magic = MAGIC;
        s->cls = c;
        s->arena = a;
        s->size = class_size(c);
        s->free = NULL;
        s->used = s->fresh = 0;
        s->total = (uint32_t)((SLAB - HEAD) / s->size);
        push(&a->partial[c], s);
    }
    void *p = s->free;
    if (p)
        s->free = *(void **)p;
    else
        p = (char *)s + HEAD + s->size * s->fresh++;
    if (++s->used == s->total)
        drop(&a->partial[c], s);
    lunlock(&a->lock);
    return p;
}

static struct slab *big_of(const void *p)
{
    struct slab *s = slab_of(p);
    return (const void *)s == p ? (struct slab *)((char *)s - SLAB) : s;
}

void free(void *p)
{
    if (!p)
        return;
    struct slab *s = slab_of(p);
    if ((void *)s == p || s->magic == BIG) {
        int e = errno;
        s = big_of(p);
        (void)RAW(SYS_munmap, s->base, s->size);
        errno = e;
        return;
    }
    if (s->magic != MAGIC)
        abort();
    struct arena *a = s->arena;
    llock(&a->lock);
    *(void **)p = s->free;
    s->free = p;
    if (s->used-- == s->total) {
        push(&a->partial[s->cls], s);
    } else if (!s->used && (s->next || s->prev || a->partial[s->cls] != s)) {
        drop(&a->partial[s->cls], s);
        if (!a->empty) {
            a->empty = s;
        } else {
            llock(&chunk.lock);
            s->magic = 0;
            s->next = spare_slabs;
            spare_slabs = s;
            lunlock(&chunk.lock);
        }
    }
    lunlock(&a->lock);
}

static size_t usable(void *p)
{
    struct slab *s = slab_of(p);

    if ((void *)s == p || s->magic == BIG) {
        s = big_of(p);
        return (size_t)(s->base + s->size - (char *)p);
    }
    return s->size - (size_t)(((char *)p - (char *)s - HEAD) % s->size);
}
size_t malloc_usable_size(void *);
size_t malloc_usable_size(void *p) { return p ? usable(p) : 0; }

void *calloc(size_t n, size_t m)
{
    size_t t;

    if (__builtin_mul_overflow(n, m, &t)) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = malloc(t);
    if (p && t <= 32768)
        memset(p, 0, t);
    return p;
}
void *realloc(void *p, size_t n)
{
    if (!p)
        return malloc(n);
    if (!n) {
        free(p);
        return NULL;
    }
    size_t have = usable(p);
    if (n <= have && (have <= 128 || n >= have / 2))
        return p;
    void *q = malloc(n);
    if (!q)
        return NULL;
    memcpy(q, p, n < have ? n : have);
    free(p);
    return q;
}
void *reallocarray(void *p, size_t n, size_t m)
{
    size_t t;

    if (__builtin_mul_overflow(n, m, &t)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, t);
}
void *memalign(size_t align, size_t n)
{
    if (!align || (align & (align - 1))) {
        errno = EINVAL;
        return NULL;
    }
    if (align <= 16)
        return malloc(n);
    if (align <= HEAD && n <= 32768) { /* some class keeps the alignment: sizes that are multiples of it do */
        size_t k = (n + align - 1) & ~(align - 1);
        if (k && class_size(class_of(k)) % align == 0)
            return malloc(k);
    }
    return big_alloc(n ? n : 1, align);
}
void *aligned_alloc(size_t a, size_t n) { return memalign(a, n); }
void *valloc(size_t n) { return memalign(4096, n); }
int posix_memalign(void **out, size_t align, size_t n)
{
    if (align < sizeof(void *) || (align & (align - 1)))
        return EINVAL;
    int e = errno;
    void *p = memalign(align, n);
    errno = e;
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

void malloc_fork_lock(void)
{
    for (int i = 0; i < ARENAS; i++)
        llock(&arenas[i].lock);
    llock(&chunk.lock);
}
void malloc_fork_unlock(int child)
{
    if (child) {
        chunk.lock.word = 0;
        for (int i = 0; i < ARENAS; i++)
            arenas[i].lock.word = 0;
        return;
    }
    lunlock(&chunk.lock);
    for (int i = ARENAS; i-- > 0;)
        lunlock(&arenas[i].lock);
}

/* --- break --- */

static char *cur_break;

/* the executable comes first; the break begins at the end of its last segment */
static int first_object(void *info, size_t n, void *end)
{
    struct dl_phdr_info *i = info;
    uintptr_t top = 0;

    for (int k = 0; k < i->dlpi_phnum; k++)
        if (i->dlpi_phdr[k].p_type == PT_LOAD && i->dlpi_addr + i->dlpi_phdr[k].p_vaddr + i->dlpi_phdr[k].p_memsz > top)
            top = i->dlpi_addr + i->dlpi_phdr[k].p_vaddr + i->dlpi_phdr[k].p_memsz;
    *(uintptr_t *)end = (top + 4095) & ~4095UL;
    return 1;
}
int brk(void *p)
{
    long r = RAW(SYS_brk, p);

    if (RAW_FAILED(r))
        return (int)ret_errno(r);
    cur_break = p;
    return 0;
}
void *sbrk(intptr_t n)
{
    if (!cur_break)
        (void)rtld->iterate(first_object, &cur_break);
    char *old = cur_break;
    if (n && brk(cur_break + n))
        return (void *)-1;
    return old;
}
