/*
 * The memory file's page allocator.
 *
 * The file is cut into superblocks of 2 MiB (512 pages) with a bitmap and a count of free pages each. A run of up to
 * 512 pages lies inside one superblock; a longer one takes whole free superblocks from its start. `hint` is where the
 * last search ended; a superblock that becomes half free again pulls it back, so that the file stays dense at its start.
 *
 * All tables are sparse NORESERVE mappings: host memory is used only where pages were handed out.
 */
#include "sentry/mm/memfile.h"

#include "sentry/base/hostcall.h"
#include "sentry/base/lock.h"
#include "sentry/base/log.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

HOSTCALL(fallocate, "freed guest pages are punched out of the memory file");
HOSTCALL(mincore, "which freed guest pages hold memory of the host");
HOSTCALL(fstat, "bytes really held by the memory file; size of mapped host files");

#define SB_PAGES 512u
#define SB_WORDS (SB_PAGES / 64)
/*
 * Giving a page back to the host and getting another costs ten times what clearing it costs: so many freed pages are
 * cleared and kept ("warm") before holes are punched.
 */
#define WARM_MAX ((32u << 20) >> GPAGE_SHIFT)
#define WARM_RUN 256u                 /* looked at together */

u8 *memfile_base;

static int memfile_desc = -1;
static u64 npages, nsb;
static u32 *refs;                     /* (a) one count a page */

static lock_t alloc_lock = LOCK_INIT(LC_MEMFILE);   /* guards: */
static u64 (*used)[SB_WORDS];         /* bit set: handed out, or being punched */
static u64 (*warm)[SB_WORDS];         /* bit set: free, all zeros, and held by the host */
static u64 warm_pages;                /* (a) bits set in warm, and pages about to be */
static u16 *sb_free;
static u64 hint;                      /* superblock to look at first */
static u64 allocated;                 /* (a) pages; changed under alloc_lock */
bool (*memfile_may_exceed)(void);
static u64 limit_pages;               /* (a) 0: none */

static void *sparse_map(u64 bytes, int fd)
{
    int flags = MAP_NORESERVE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

int memfile_init(u64 size)
{
    ASSERT(memfile_desc < 0);
    size &= ~((u64)SB_PAGES * GPAGE_SIZE - 1);
    if (!size) return -EINVAL;
    int fd = memfd_create("sundog-memory", MFD_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        log_error("the host refuses memfd_create for the memory file: %s", strerror(err));
        return -err;
    }
    if (ftruncate(fd, (off_t)size)) {
        int err = errno;
        log_error("the host refuses a memory file of %llu MiB (file size limit?): %s", (unsigned long long)(size >> 20),
                  strerror(err));
        close(fd);
        return -err;
    }
    u64 pages = size >> GPAGE_SHIFT, blocks = pages / SB_PAGES;
    u8 *base = sparse_map(size, fd);
    u32 *counts = sparse_map(pages * sizeof(u32), -1);
    void *bits = sparse_map(blocks * sizeof(*used), -1);
    void *warm_bits = sparse_map(blocks * sizeof(*warm), -1);
    u16 *frees = sparse_map(blocks * sizeof(u16), -1);
    if (!base || !counts || !bits || !warm_bits || !frees) {
        int err = errno;
        log_error("the host refuses to map a memory file of %llu MiB (address space limit?): %s",
                  (unsigned long long)(size >> 20), strerror(err));
        if (base) munmap(base, size);
        if (counts) munmap(counts, pages * sizeof(u32));
        if (bits) munmap(bits, blocks * sizeof(*used));
        if (warm_bits) munmap(warm_bits, blocks * sizeof(*warm));
        if (frees) munmap(frees, blocks * sizeof(u16));
        close(fd);
        return -err;
    }
    madvise(base, size, MADV_DONTDUMP);
    memfile_desc = fd;
    memfile_base = base;
    refs = counts;
    used = bits;
    warm = warm_bits;
    sb_free = frees;
    npages = pages;
    nsb = blocks;
    for (u64 i = 0; i < nsb; i++) sb_free[i] = SB_PAGES;
    used[0][0] = 1;        /* page 0 means "none" */
    sb_free[0]--;
    hint = 0;
    allocated = 0;
    return 0;
}

int memfile_fd(void) { return memfile_desc; }
u64 memfile_size(void) { return npages << GPAGE_SHIFT; }
void memfile_set_limit(u64 bytes) { atomic_store(&limit_pages, bytes >> GPAGE_SHIFT); }
u64 memfile_allocated(void) { return atomic_load(&allocated) << GPAGE_SHIFT; }

u64 memfile_resident(void)
{
    struct stat st;
    if (memfile_desc < 0 || syscall(SYS_fstat, memfile_desc, &st)) return 0;
    return (u64)st.st_blocks * 512;
}

/* Warm pages are few under a limit: they come on top of it. */
static u64 warm_max(void)
{
    u64 limit = atomic_load(&limit_pages);
    return limit && limit / 32 < WARM_MAX ? limit / 32 : WARM_MAX;
}

/*
 * Pages are handed out in larger runs than are touched, so the count of those handed out is only a cheap upper bound;
 * past the limit the host is asked how much is really there.
 */
static bool within_limit(u64 n)
{
    u64 limit = atomic_load(&limit_pages);
    if (!limit || atomic_load(&allocated) + n <= limit) return true;
    u64 held = memfile_resident() >> GPAGE_SHIFT, spare = __atomic_load_n(&warm_pages, __ATOMIC_RELAXED);
    spare = MIN(spare, held);
    return held - MIN(spare, warm_max()) + n <= limit || (memfile_may_exceed && memfile_may_exceed());
}

/* Returns how many of them were warm. */
static u64 mark(u64 first, u64 n, bool on)
{
    u64 were_warm = 0;
    while (n) {
        u64 sb = first / SB_PAGES, bit = first % SB_PAGES;
        u64 word = bit / 64, shift = bit % 64, k = MIN(n, 64 - shift);
        u64 mask = (k == 64 ? ~0ULL : (1ULL << k) - 1) << shift;
        if (on) {
            used[sb][word] |= mask;
            were_warm += (u64)__builtin_popcountll(warm[sb][word] & mask);
            warm[sb][word] &= ~mask;
            sb_free[sb] = (u16)(sb_free[sb] - k);
        } else {
            used[sb][word] &= ~mask;
            sb_free[sb] = (u16)(sb_free[sb] + k);
            if (sb < hint && sb_free[sb] >= SB_PAGES / 2) hint = sb;
        }
        first += k;
        n -= k;
    }
    __atomic_sub_fetch(&warm_pages, were_warm, __ATOMIC_RELAXED);
    return were_warm;
}

/* First clear bit at or after `bit`, or SB_PAGES. */
static u64 next_clear(const u64 *map, u64 bit)
{
    for (u64 w = bit / 64; w < SB_WORDS; w++) {
        u64 clear = ~map[w];
        if (w == bit / 64) clear &= ~0ULL << (bit % 64);
        if (clear) return w * 64 + (u64)__builtin_ctzll(clear);
    }
    return SB_PAGES;
}

static u64 next_set(const u64 *map, u64 bit)
{
    for (u64 w = bit / 64; w < SB_WORDS; w++) {
        u64 set = map[w];
        if (w == bit / 64) set &= ~0ULL << (bit % 64);
        if (set) return w * 64 + (u64)__builtin_ctzll(set);
    }
    return SB_PAGES;
}

static mpage_t find_small(u64 n)
{
    for (u64 i = 0, sb = hint; i < nsb; i++, sb = sb + 1 < nsb ? sb + 1 : 0) {
        if (sb_free[sb] < n) continue;
        for (u64 a = next_clear(used[sb], 0); a + n <= SB_PAGES;) {
            u64 b = next_set(used[sb], a);
            if (b - a >= n) {
                /* A search for a long run says nothing about short ones: keep the hint near. */
                if (n == 1 || sb == hint + 1 || sb_free[hint] < 8) hint = sb;
                return sb * SB_PAGES + a;
            }
            a = next_clear(used[sb], b);
        }
    }
    return MPAGE_NONE;
}

static mpage_t find_large(u64 n)
{
    u64 want = (n + SB_PAGES - 1) / SB_PAGES, run = 0;
    for (u64 sb = 0; sb < nsb; sb++) {
        run = sb_free[sb] == SB_PAGES ? run + 1 : 0;
        if (run == want) return (sb + 1 - want) * SB_PAGES;
    }
    return MPAGE_NONE;
}

mpage_t memfile_alloc(u64 n)
{
    bool held;
    return memfile_alloc_held(n, &held);
}

mpage_t memfile_alloc_held(u64 n, bool *held)
{
    *held = false;
    if (!n || n >= npages || !within_limit(n)) return MPAGE_NONE;
    lock(&alloc_lock);
    mpage_t p = n <= SB_PAGES ? find_small(n) : find_large(n);
    if (p) {
        *held = mark(p, n, true) == n;
        __atomic_store_n(&allocated, allocated + n, __ATOMIC_RELAXED);
    }
    unlock(&alloc_lock);
    if (p)
        for (u64 i = 0; i < n; i++) __atomic_store_n(&refs[p + i], 1, __ATOMIC_RELAXED);
    return p;
}

void memfile_get(mpage_t p) { __atomic_fetch_add(&refs[p], 1, __ATOMIC_RELAXED); }
u32 memfile_refs(mpage_t p) { return __atomic_load_n(&refs[p], __ATOMIC_ACQUIRE); }

static void punch(mpage_t p, u64 n)
{
    if (fallocate(memfile_desc, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(p << GPAGE_SHIFT),
                  (off_t)(n << GPAGE_SHIFT)))
        memset(memfile_ptr(p), 0, n << GPAGE_SHIFT);
}

/* Reserves room among the warm pages; false: there are enough. */
static bool reserve_warm(u64 n)
{
    lock(&alloc_lock);
    bool ok = warm_pages + n <= warm_max();
    if (ok) __atomic_add_fetch(&warm_pages, n, __ATOMIC_RELAXED);
    unlock(&alloc_lock);
    return ok;
}

/* Pages become free only when they are zero: cleared, punched out, or never touched. */
static void free_some(mpage_t p, u64 n)
{
    u8 resident[WARM_RUN] = { 0 };
    bool kept = false;
    if (n <= WARM_RUN && !mincore(memfile_ptr(p), n << GPAGE_SHIFT, resident)) {
        u64 count = 0, run;
        for (u64 i = 0; i < n; i++) count += resident[i] &= 1;
        kept = count && reserve_warm(count);
        for (u64 i = 0; i < n; i += run) {
            for (run = 1; i + run < n && resident[i + run] == resident[i]; run++) continue;
            if (!resident[i]) continue;
            if (kept)
                memset(memfile_ptr(p + i), 0, run << GPAGE_SHIFT);
            else
                punch(p + i, run);
        }
    } else {
        punch(p, n);
    }
    lock(&alloc_lock);
    mark(p, n, false);
    for (u64 i = 0; kept && i < n; i++)
        if (resident[i]) warm[(p + i) / SB_PAGES][(p + i) % SB_PAGES / 64] |= 1ULL << ((p + i) % 64);
    __atomic_store_n(&allocated, allocated - n, __ATOMIC_RELAXED);
    unlock(&alloc_lock);
}

static void free_run(mpage_t p, u64 n)
{
    while (n > WARM_RUN && __atomic_load_n(&warm_pages, __ATOMIC_RELAXED) + WARM_RUN <= warm_max()) {
        free_some(p, WARM_RUN);
        p += WARM_RUN;
        n -= WARM_RUN;
    }
    free_some(p, n);
}

void memfile_put_range(mpage_t p, u64 n)
{
    u64 start = 0, run = 0;
    for (u64 i = 0; i < n; i++) {
        u32 left = __atomic_sub_fetch(&refs[p + i], 1, __ATOMIC_ACQ_REL);
        ASSERT(left != ~0u);
        if (!left) {
            if (!run++) start = p + i;
        } else if (run) {
            free_run(start, run);
            run = 0;
        }
    }
    if (run) free_run(start, run);
}

void memfile_put(mpage_t p) { memfile_put_range(p, 1); }
