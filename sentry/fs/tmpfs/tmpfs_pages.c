/* Pages of a tmpfs file: a radix tree of 512-way nodes that grows upwards. */
#include "sentry/base/alloc.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include <string.h>

#define BITS 9u
#define MAKE_BATCH 64u

static u64 capacity(unsigned height) { return height >= 7 ? ~0ULL : 1ULL << (BITS * height); }

static void **slot_locked(struct tmpfs_inode *t, u64 pgoff, bool make)
{
    while (pgoff >= capacity(t->height) || t->height == 0) {
        if (!make) return NULL;
        struct pages_node *n = xnew(struct pages_node);
        n->slot[0] = t->root;
        t->root = n;
        t->height++;
    }
    struct pages_node *n = t->root;
    for (unsigned level = t->height - 1; level > 0; level--) {
        void **s = &n->slot[(pgoff >> (BITS * level)) & (PAGES_FANOUT - 1)];
        if (!*s) {
            if (!make) return NULL;
            *s = xnew(struct pages_node);
        }
        n = *s;
    }
    return &n->slot[pgoff & (PAGES_FANOUT - 1)];
}

static mpage_t find_locked(struct tmpfs_inode *t, u64 pgoff)
{
    void **s = slot_locked(t, pgoff, false);
    return s ? (mpage_t)(uintptr_t)*s : MPAGE_NONE;
}

mpage_t tmpfs_pages_find(struct tmpfs_inode *t, u64 pgoff)
{
    lock(&t->pg_lock);
    mpage_t p = find_locked(t, pgoff);
    unlock(&t->pg_lock);
    return p;
}

/* Takes up to n pages of the file system's quota; how many it got. */
static u64 charge(struct tmpfs_super *s, u64 n)
{
    u64 max = atomic_load(&s->max_pages);
    if (!max) {
        atomic_add(&s->used_pages, n);
        return n;
    }
    u64 v = atomic_load(&s->used_pages), got;
    do {
        got = v >= max ? 0 : MIN(n, max - v);
    } while (got && !__atomic_compare_exchange_n(&s->used_pages, &v, v + got, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return got;
}

static void uncharge(struct tmpfs_super *s, u64 n) { (void)__atomic_sub_fetch(&s->used_pages, n, __ATOMIC_ACQ_REL); }

static int make_locked(struct tmpfs_inode *t, u64 pgoff, u64 want, mpage_t *out)
{
    void **s = slot_locked(t, pgoff, true);
    if (*s) {
        *out = (mpage_t)(uintptr_t)*s;
        return 0;
    }
    u64 n = 1;
    if (want > MAKE_BATCH) want = MAKE_BATCH;
    while (n < want && (pgoff + n) % PAGES_FANOUT && !s[n]) n++;
    struct tmpfs_super *sb = tmpfs_s(t->vfs.sb);
    u64 got = charge(sb, n);
    if (!got) return -ENOSPC;
    mpage_t p = memfile_alloc(got);
    if (p == MPAGE_NONE && got > 1) {
        uncharge(sb, got - 1);
        got = 1;
        p = memfile_alloc(1);
    }
    if (p == MPAGE_NONE) {
        uncharge(sb, got);
        return -ENOMEM;
    }
    for (u64 i = 0; i < got; i++) s[i] = (void *)(uintptr_t)(p + i);
    t->npages += got;
    t->vfs.blocks = t->npages * (GPAGE_SIZE / 512);
    *out = p;
    return 0;
}

int tmpfs_pages_make(struct tmpfs_inode *t, u64 pgoff, u64 want, mpage_t *out)
{
    lock(&t->pg_lock);
    int r = make_locked(t, pgoff, want, out);
    unlock(&t->pg_lock);
    return r;
}

static u64 count_in_locked(const struct pages_node *n, unsigned level, u64 base, u64 first, u64 last)
{
    u64 span = 1ULL << (BITS * level), count = 0;
    for (unsigned k = 0; k < PAGES_FANOUT; k++) {
        u64 start = base + k * span;
        if (!n->slot[k] || start > last || start + (span - 1) < first) continue;
        count += level ? count_in_locked(n->slot[k], level - 1, start, first, last) : 1;
    }
    return count;
}

bool tmpfs_count_pages(struct inode *i, u64 first, u64 last, u64 *n)
{
    if (i->map.ops != &tmpfs_map_ops) return false;
    struct tmpfs_inode *t = tmpfs_i(i);
    lock(&t->pg_lock);
    *n = t->height ? count_in_locked(t->root, t->height - 1, 0, first, last) : 0;
    unlock(&t->pg_lock);
    return true;
}

/* Clears leaves of [from,to) below n, which covers pages from `base` on; true: n is empty now. */
static bool drop_in_locked(struct tmpfs_inode *t, struct pages_node *n, unsigned level, u64 base, u64 from, u64 to, u64 *freed)
{
    u64 span = 1ULL << (BITS * level);
    bool empty = true;
    for (unsigned k = 0; k < PAGES_FANOUT; k++) {
        u64 start = base + k * span;
        if (!n->slot[k]) continue;
        if (start >= to || start + span <= from) {
            empty = false;
        } else if (level == 0) {
            memfile_put((mpage_t)(uintptr_t)n->slot[k]);
            n->slot[k] = NULL;
            (*freed)++;
        } else if (drop_in_locked(t, n->slot[k], level - 1, start, from, to, freed)) {
            free(n->slot[k]);
            n->slot[k] = NULL;
        } else {
            empty = false;
        }
    }
    return empty;
}

static void drop_locked(struct tmpfs_inode *t, u64 from, u64 to)
{
    if (!t->root || from >= to) return;
    u64 freed = 0;
    if (drop_in_locked(t, t->root, t->height - 1, 0, from, to, &freed)) {
        free(t->root);
        t->root = NULL;
        t->height = 0;
    }
    t->npages -= freed;
    t->vfs.blocks = t->npages * (GPAGE_SIZE / 512);
    uncharge(tmpfs_s(t->vfs.sb), freed);
}

void tmpfs_pages_drop(struct tmpfs_inode *t, u64 from, u64 to)
{
    lock(&t->pg_lock);
    drop_locked(t, from, to);
    unlock(&t->pg_lock);
}

void tmpfs_pages_free_all(struct tmpfs_inode *t) { tmpfs_pages_drop(t, 0, ~0ULL); }

/* First page in [pgoff,end) below n that is data (or hole); end if none. */
static u64 next_locked(struct pages_node *n, unsigned level, u64 base, u64 pgoff, u64 end, bool data)
{
    u64 span = 1ULL << (BITS * level);
    unsigned k = pgoff > base ? (unsigned)((pgoff - base) / span) : 0;
    for (; k < PAGES_FANOUT; k++) {
        u64 start = base + k * span, at = MAX(start, pgoff);
        if (start >= end) return end;
        if (!n->slot[k]) {
            if (!data) return at;
        } else if (level == 0) {
            if (data) return at;
        } else {
            u64 stop = MIN(end, start + span);
            u64 r = next_locked(n->slot[k], level - 1, start, at, stop, data);
            if (r < stop) return r;
        }
    }
    return end;
}

u64 tmpfs_pages_next(struct tmpfs_inode *t, u64 pgoff, u64 end, bool data)
{
    lock(&t->pg_lock);
    u64 r = end, cap = capacity(t->height);
    if (!t->root || pgoff >= cap) {
        r = data ? end : pgoff;
    } else {
        r = next_locked(t->root, t->height - 1, 0, pgoff, MIN(end, cap), data);
        if (data && r >= cap) r = end;
    }
    unlock(&t->pg_lock);
    return r;
}

static int page(struct mappable *m, u64 pgoff, bool write UNUSED, struct backing *out)
{
    struct tmpfs_inode *t = tmpfs_i(m->inode);
    int r;
    lock(&t->pg_lock);
    if (pgoff >= gpage_up(t->size) >> GPAGE_SHIFT) {
        r = -ENXIO;
    } else {
        /* Fault-around maps the neighbours too, but memory is only taken when a page is touched: no batch here. */
        out->kind = BACKING_MEMFILE;
        r = make_locked(t, pgoff, 1, &out->page);
        if (r == 0) memfile_get(out->page);
    }
    unlock(&t->pg_lock);
    return r;
}

static bool present(struct mappable *m, u64 pgoff) { return tmpfs_pages_find(tmpfs_i(m->inode), pgoff) != MPAGE_NONE; }

const struct mappable_ops tmpfs_map_ops = { .page = page, .present = present };

/* inode lock held. Growing makes a hole; shrinking takes guests' translations away before the pages go. */
int tmpfs_resize(struct inode *i, u64 size)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    u64 old = i->size, first = gpage_up(size) >> GPAGE_SHIFT;
    if ((s64)size < 0) return -EFBIG;
    lock(&t->pg_lock);
    i->size = t->size = size;
    if (size < old && (size & ~GPAGE_MASK)) {
        mpage_t p = find_locked(t, size >> GPAGE_SHIFT);
        if (p) memset((u8 *)memfile_ptr(p) + (size & ~GPAGE_MASK), 0, GPAGE_SIZE - (size & ~GPAGE_MASK));
    }
    unlock(&t->pg_lock);
    if (size < old) {
        mappable_unmap(&i->map, first, (gpage_up(old) >> GPAGE_SHIFT) - first, true);
        tmpfs_pages_drop(t, first, ~0ULL);
    }
    return 0;
}
