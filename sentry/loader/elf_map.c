/* Maps the PT_LOAD segments of a checked image. Source: elf_map(), set_brk(), padzero() of fs/binfmt_elf.c. */
#include "sentry/loader/loader.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <string.h>
#include <sys/mman.h>

static u32 segment_prot(const struct elf_segment *s)
{
    return (s->flags & PF_R ? PROT_READ : 0u) | (s->flags & PF_W ? PROT_WRITE : 0u) | (s->flags & PF_X ? PROT_EXEC : 0u);
}

/* Lowest and highest page of the image, and the largest alignment asked for. */
static void image_span(const struct elf_info *e, u64 *lo, u64 *hi, u64 *align)
{
    *lo = UINT64_MAX;
    *hi = 0;
    *align = GPAGE_SIZE;
    for (unsigned i = 0; i < e->nseg; i++) {
        const struct elf_segment *s = &e->seg[i];
        if (s->type != PT_LOAD) continue;
        *lo = MIN(*lo, gpage_down(s->vaddr));
        *hi = MAX(*hi, gpage_up(s->vaddr + s->memsz));
        if (s->align > *align && s->align <= (1ULL << 30) && !(s->align & (s->align - 1))) *align = s->align;
    }
}

/* Zeroed memory may always be read and written, whatever the segment says: vm_brk_flags() knows no less. */
static int map_anon(struct mm *mm, gaddr_t start, gaddr_t end, u32 prot)
{
    struct mm_map_req req = { .addr = start, .len = end - start, .prot = PROT_READ | PROT_WRITE | (prot & PROT_EXEC), .flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS };
    sysret_t r = start < end ? mm_map(mm, &req) : 0;

    return r < 0 ? (int)r : 0;
}

static int map_segment(struct mm *mm, struct file *f, const struct elf_segment *s, gaddr_t bias)
{
    gaddr_t start = bias + s->vaddr, page = gpage_down(start), file_end = start + s->filesz, mem_end = start + s->memsz;
    u32 prot = segment_prot(s);
    int r;

    if (!s->memsz) return 0;
    if (!s->filesz) return map_anon(mm, page, gpage_up(mem_end), prot);
    struct mm_map_req req = { .addr = page, .len = gpage_up(file_end) - page, .prot = prot,
                              .flags = MAP_PRIVATE | MAP_FIXED, .vma_flags = VMA_DENYWRITE, .file = f,
                              .off = gpage_down(s->off) };
    if ((r = vfs_mmap_prepare(f, &req))) return r == -ENODEV ? -ENOEXEC : r;
    sysret_t at = mm_map(mm, &req);
    if (at < 0) return (int)at;
    if (mem_end > file_end) {
        static const u8 zeros[GPAGE_SIZE];
        size_t tail = gpage_up(file_end) - file_end;

        /*
         * The rest of the last file page belongs to the bss. A segment that cannot be written has no bss worth the
         * name, and Linux ignores that this fails.
         */
        if (tail && mm_copy_out(mm, file_end, zeros, tail) != tail && (prot & PROT_WRITE)) return -EFAULT;
        return map_anon(mm, gpage_up(file_end), gpage_up(mem_end), prot);
    }
    return 0;
}

static void note_bounds(struct mm *mm, const struct elf_info *e, gaddr_t bias)
{
    gaddr_t code_start = ~0ULL, code_end = 0, data_start = 0, data_end = 0, end = 0;

    for (unsigned i = 0; i < e->nseg; i++) {
        const struct elf_segment *s = &e->seg[i];
        if (s->type != PT_LOAD) continue;
        gaddr_t a = bias + s->vaddr;
        if (s->flags & PF_X) {
            code_start = MIN(code_start, a);
            code_end = MAX(code_end, a + s->filesz);
        }
        data_start = MAX(data_start, a);
        data_end = MAX(data_end, a + s->filesz);
        end = MAX(end, a + s->memsz);
    }
    mm->code_start = code_start == ~0ULL ? 0 : code_start;
    mm->code_end = code_end;
    mm->data_start = data_start;
    mm->data_end = data_end;
    mm->brk_start = mm->brk_end = gpage_up(end);
}

int elf_map(struct mm *mm, struct file *f, const struct elf_info *e, gaddr_t *bias, bool main_image, gaddr_t *phdr_addr)
{
    u64 lo, hi, align;
    int r;

    image_span(e, &lo, &hi, &align);
    if (hi <= lo) return -ENOEXEC;
    if (*bias == ~0ULL) {
        /* Reserve one range for the whole image, so that its segments keep their distances. */
        struct mm_map_req req = { .len = hi - lo, .prot = PROT_NONE, .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, .align = align };
        sysret_t at = mm_map(mm, &req);
        if (at < 0) return (int)at;
        *bias = (gaddr_t)at - lo;   /* wraps for an image linked high; sums come out right */
        if ((r = (int)mm_unmap(mm, (gaddr_t)at, hi - lo))) return r;
    }
    if (*bias + lo < GUEST_ADDR_MIN) return -EPERM;
    if (*bias + hi > mm->addr_limit || *bias + hi < *bias + lo) return -ENOMEM;
    *phdr_addr = 0;
    for (unsigned i = 0; i < e->nseg; i++) {
        const struct elf_segment *s = &e->seg[i];
        if (s->type != PT_LOAD) continue;
        if ((r = map_segment(mm, f, s, *bias))) return r;
        if (s->off <= e->phoff && e->phoff - s->off < s->filesz) *phdr_addr = *bias + e->phoff - s->off + s->vaddr;
    }
    if (main_image) note_bounds(mm, e, *bias);
    return 0;
}
