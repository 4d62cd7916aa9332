/*
 * Donated host files. A piece of 2 MiB is mapped once into the window, whoever maps how much of it into how many
 * address spaces; what a page is mapped as in a guest is up to the page tables. So a page of a library that another
 * process uses already costs a page table entry and no host call.
 *
 * Files are told apart by device and inode number; neither is used again while the file is mapped.
 */
#include "platform/kvm/internal.h"
#include "sentry/base/hostcall.h"

#include <sys/mman.h>

HOSTCALL(mmap, "donated files are mapped into the virtual machine's memory");

int kvm_files_start(struct platform *p)
{
    void *m;

    p->nchunk = (u32)(p->win_size >> CHUNK_SHIFT);
    m = mmap(NULL, gpage_up(p->nchunk * sizeof(*p->chunk)), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) return -errno;
    p->chunk = m;
    for (size_t i = 0; i < CHUNK_BUCKETS; i++) p->bucket[i] = NO_CHUNK;
    TAILQ_INIT(&p->chunk_lru);
    return 0;
}

static u32 *bucket_of(struct platform *p, u64 dev, u64 ino, u64 idx)
{
    u64 h = (dev * 31 + ino) * 0x9e3779b97f4a7c15ULL + idx * 0xc2b2ae3d27d4eb4fULL;
    return &p->bucket[h >> 40 & (CHUNK_BUCKETS - 1)];
}

static u32 find_locked(struct platform *p, u64 dev, u64 ino, u64 idx, bool writable)
{
    u32 i;

    for (i = *bucket_of(p, dev, ino, idx); i != NO_CHUNK; i = p->chunk[i].next) {
        const struct kvm_chunk *c = &p->chunk[i];
        if (c->idx == idx && c->ino == ino && c->dev == dev && c->writable == writable) break;
    }
    return i;
}

static int host_map(struct platform *p, u32 i, int fd, u64 off, int prot)
{
    int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED);
    void *at = p->win + ((u64)i << CHUNK_SHIFT);

    return mmap(at, CHUNK_SIZE, prot, flags, fd, (off_t)off) == MAP_FAILED ? -errno : 0;
}

/* A chunk nobody refers to, off its lists and out of the host's mappings. */
static int drop_locked(struct platform *p, struct kvm_chunk *c)
{
    u32 i = (u32)(c - p->chunk), *link = bucket_of(p, c->dev, c->ino, c->idx);
    int rc = host_map(p, i, -1, 0, PROT_NONE);

    if (rc) return rc;
    while (*link != i) link = &p->chunk[*link].next;
    *link = c->next;
    TAILQ_REMOVE(&p->chunk_lru, c, lru);
    p->chunk_kept--;
    c->used = false;
    return 0;
}

/* A free place; beside the file's piece before, where that is possible: the host then keeps both as one mapping. */
static u32 place_locked(struct platform *p, u64 dev, u64 ino, u64 idx, bool writable)
{
    u32 near = idx ? find_locked(p, dev, ino, idx - 1, writable) : NO_CHUNK;

    if (near != NO_CHUNK && near + 1 < p->nchunk && !p->chunk[near + 1].used) return near + 1;
    for (u32 n = 0; n < p->nchunk; n++) {
        u32 i = p->chunk_next + n < p->nchunk ? p->chunk_next + n : p->chunk_next + n - p->nchunk;
        if (p->chunk[i].used) continue;
        p->chunk_next = i;
        return i;
    }
    struct kvm_chunk *c = TAILQ_FIRST(&p->chunk_lru);
    return c && drop_locked(p, c) == 0 ? (u32)(c - p->chunk) : NO_CHUNK;
}

static int new_locked(struct platform *p, int fd, u64 dev, u64 ino, u64 idx, bool writable, u32 *out)
{
    u32 i = place_locked(p, dev, ino, idx, writable), *bucket = bucket_of(p, dev, ino, idx);
    int rc;

    if (i == NO_CHUNK) return -ENOMEM;
    while (p->win_slots <= (u64)i << CHUNK_SHIFT) {
        rc = kvm_slot_set(p, p->win_slot_id + (u32)(p->win_slots / WIN_SLOT_SIZE), p->win_gpa + p->win_slots, WIN_SLOT_SIZE,
                          p->win + p->win_slots);
        if (rc) return rc;
        p->win_slots += WIN_SLOT_SIZE;
    }
    rc = host_map(p, i, fd, idx << CHUNK_SHIFT, PROT_READ | (writable ? PROT_WRITE : 0));
    if (rc) return rc;
    p->chunk[i] = (struct kvm_chunk){ .dev = dev, .ino = ino, .idx = idx, .used = true, .writable = writable, .next = *bucket };
    TAILQ_INSERT_TAIL(&p->chunk_lru, &p->chunk[i], lru);
    p->chunk_kept++;
    *bucket = *out = i;
    return 0;
}

int kvm_chunk_get(struct platform *p, int fd, u64 dev, u64 ino, u64 idx, bool writable, u32 nrefs, u32 *out)
{
    int rc = 0;

    lock(&p->lock);
    *out = find_locked(p, dev, ino, idx, writable);
    if (*out == NO_CHUNK) rc = new_locked(p, fd, dev, ino, idx, writable, out);
    if (!rc) {
        struct kvm_chunk *c = &p->chunk[*out];
        if (!c->refs) {
            TAILQ_REMOVE(&p->chunk_lru, c, lru);
            p->chunk_kept--;
        }
        c->refs += nrefs;
    }
    unlock(&p->lock);
    return rc;
}

void kvm_chunk_put(struct platform *p, u32 i, u32 nrefs)
{
    struct kvm_chunk *c = &p->chunk[i], *old;

    lock(&p->lock);
    c->refs -= nrefs;
    if (!c->refs) {
        TAILQ_INSERT_TAIL(&p->chunk_lru, c, lru);
        p->chunk_kept++;
        /* A file that could be written is not kept from giving back its space. */
        if (c->writable) drop_locked(p, c);
        while (p->chunk_kept > CHUNKS_KEPT && (old = TAILQ_FIRST(&p->chunk_lru)) && drop_locked(p, old) == 0) continue;
    }
    unlock(&p->lock);
}
