/*
 * Linux programs: which images are ours, where they go, and what they find on their stack.
 * Source: load_elf_binary(), create_elf_tables() of fs/binfmt_elf.c; arch/x86/mm/mmap.c; getauxval(3).
 */
#include "abi/linux/linux.h"
#include "abi/linux/vdso.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/loader/loader.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>

HOSTCALL(getrandom, "address randomisation, AT_RANDOM and the guest's getrandom(2)");

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define DYN_BASE 0x555555554000ULL           /* ELF_ET_DYN_BASE: two thirds of the address space */
#define STACK_RND_PAGES (1ULL << 22)
#define MMAP_RND_PAGES (1ULL << 28)
#define BRK_RND 0x02000000ULL
#define STACK_SLACK (128ULL << 10)           /* mapped below the arguments from the start */
#define GAP_MIN (128ULL << 20)

int linux_recognise(const u8 *head, size_t len)
{
    Elf64_Ehdr e;

    if (len < sizeof(e)) return 0;
    memcpy(&e, head, sizeof(e));
    if (memcmp(e.e_ident, ELFMAG, SELFMAG)) return 0;
    if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_machine != EM_X86_64) {
        elf_explain_foreign(head, len);   /* ENOEXEC alone would leave the user guessing */
        return 0;
    }
    if (e.e_type != ET_EXEC && e.e_type != ET_DYN) return 0;
    return e.e_ident[EI_OSABI] == ELFOSABI_NONE || e.e_ident[EI_OSABI] == ELFOSABI_LINUX ? 10 : 0;
}

static u64 random_u64(void)
{
    u64 v = 0;

    if (getrandom(&v, sizeof(v), 0) != sizeof(v)) panic("getrandom: the host gives no random numbers");
    return v;
}

/* Random whole pages below n pages; nothing under personality(ADDR_NO_RANDOMIZE). */
static u64 random_pages(u64 n)
{
    return current->personality & ADDR_NO_RANDOMIZE ? 0 : (random_u64() & (n - 1)) << GPAGE_SHIFT;
}

/* mmap_base(): top-down mappings begin below the stack's largest extent. */
static gaddr_t pick_mmap_top(const struct mm *mm)
{
    u64 gap = current_rlimit(RLIMIT_STACK), pad = (STACK_RND_PAGES << GPAGE_SHIFT) + (1ULL << 20);
    u64 max = mm->addr_limit / 6 * 5;

    if (gap + pad > gap) gap += pad;
    if (gap < GAP_MIN) gap = GAP_MIN;
    if (gap > max) gap = max;
    return gpage_down(mm->addr_limit - gap - random_pages(MMAP_RND_PAGES));
}

static u64 largest_align(const struct elf_info *e)
{
    u64 align = GPAGE_SIZE;

    for (unsigned i = 0; i < e->nseg; i++) {
        u64 a = e->seg[i].align;
        if (e->seg[i].type == PT_LOAD && a > align && a <= (1ULL << 30) && !(a & (a - 1))) align = a;
    }
    return align;
}

static u64 first_vaddr(const struct elf_info *e)
{
    u64 lo = UINT64_MAX;

    for (unsigned i = 0; i < e->nseg; i++)
        if (e->seg[i].type == PT_LOAD) lo = MIN(lo, gpage_down(e->seg[i].vaddr));
    return lo;
}

static int open_interp(const char *path, struct file **f, struct elf_info *e)
{
    u8 head[4096];
    ssize_t n;
    int r = vfs_open_exec(AT_FDCWD, path, WALK_FOLLOW, f);

    if (r) return r;
    n = vfs_kernel_read(*f, head, sizeof(head), 0);
    if (n < 0) return (int)n;
    if ((size_t)n < sizeof(Elf64_Ehdr)) return -EIO;
    if (!linux_recognise(head, (size_t)n)) return -ELIBBAD;
    r = elf_parse(*f, head, (size_t)n, e);
    return r == -ENOEXEC || r == -EINVAL ? -ELIBBAD : r;
}

/* --- the initial stack --- */

struct aux { u64 v[64]; unsigned n; };

static void aux_add(struct aux *a, u64 type, u64 val)
{
    ASSERT(a->n + 2 <= ARRAY_LEN(a->v));
    a->v[a->n++] = type;
    a->v[a->n++] = val;
}

struct placement { gaddr_t phdr, interp_base, entry; };

/* Strings at the very top, lowest first: arguments, environment, file name, eight zero bytes. */
static u8 *pack_strings(const struct exec_image *img, size_t *len_out, size_t *args_len, size_t *env_len)
{
    size_t args = 0, env = 0, at = 0, name = strlen(img->execfn) + 1, len;
    u8 *buf;

    for (int i = 0; i < img->argc; i++) args += strlen(img->argv[i]) + 1;
    for (int i = 0; i < img->envc; i++) env += strlen(img->envp[i]) + 1;
    len = args + env + name + 8;
    buf = xzalloc(len);
    for (int i = 0; i < img->argc; i++) at += (size_t)(stpcpy((char *)buf + at, img->argv[i]) - ((char *)buf + at)) + 1;
    for (int i = 0; i < img->envc; i++) at += (size_t)(stpcpy((char *)buf + at, img->envp[i]) - ((char *)buf + at)) + 1;
    memcpy(buf + at, img->execfn, name);
    *len_out = len;
    *args_len = args;
    *env_len = env;
    return buf;
}

static int map_stack(struct mm *mm, gaddr_t low, gaddr_t top, bool exec)
{
    struct mm_map_req req = { .addr = low, .len = top - low, .prot = PROT_READ | PROT_WRITE | (exec ? PROT_EXEC : 0),
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK,
                              .vma_flags = VMA_GROWSDOWN | VMA_STACK };
    sysret_t r = mm_map(mm, &req);

    return r < 0 ? (int)r : 0;
}

static void fill_aux(struct aux *x, const struct exec_image *img, const struct placement *pl, gaddr_t random, gaddr_t execfn, gaddr_t platform)
{
    const struct cred *c = current_cred();
    u64 minsig = getauxval(AT_MINSIGSTKSZ);

    aux_add(x, AT_SYSINFO_EHDR, img->mm->vdso_base);
    aux_add(x, AT_MINSIGSTKSZ, minsig ? minsig : platform_xstate_size() + 1024);
    aux_add(x, AT_HWCAP, getauxval(AT_HWCAP));
    aux_add(x, AT_PAGESZ, GPAGE_SIZE);
    aux_add(x, AT_CLKTCK, 100);
    aux_add(x, AT_PHDR, pl->phdr);
    aux_add(x, AT_PHENT, img->elf.phentsize);
    aux_add(x, AT_PHNUM, img->elf.phnum);
    aux_add(x, AT_BASE, pl->interp_base);
    aux_add(x, AT_FLAGS, 0);
    aux_add(x, AT_ENTRY, pl->entry);
    aux_add(x, AT_UID, uid_out(c->uid));
    aux_add(x, AT_EUID, uid_out(c->euid));
    aux_add(x, AT_GID, gid_out(c->gid));
    aux_add(x, AT_EGID, gid_out(c->egid));
    aux_add(x, AT_SECURE, img->secure);
    aux_add(x, AT_RANDOM, random);
    aux_add(x, AT_HWCAP2, getauxval(AT_HWCAP2));
    aux_add(x, AT_RSEQ_FEATURE_SIZE, LINUX_RSEQ_FEATURE_SIZE);
    aux_add(x, AT_RSEQ_ALIGN, LINUX_RSEQ_ALIGN);
    aux_add(x, AT_EXECFN, execfn);
    aux_add(x, AT_PLATFORM, platform);
    aux_add(x, AT_NULL, 0);
}

static int build_stack(struct exec_image *img, const struct placement *pl)
{
    static const char platform[] = "x86_64";
    struct mm *mm = img->mm;
    size_t slen, args_len, env_len, nptr = (size_t)img->argc + (size_t)img->envc + 3, blen, n = 0;
    AUTO_FREE u8 *strings = pack_strings(img, &slen, &args_len, &env_len);
    AUTO_FREE u8 *block = NULL;
    gaddr_t top = gpage_down(mm->addr_limit) - random_pages(STACK_RND_PAGES), low, p, at_platform, at_random, sp, s;
    struct aux x = { .n = 0 };
    u64 *w, seed[2] = { random_u64(), random_u64() }, limit = current_rlimit(RLIMIT_STACK);
    int r;

    p = top - slen;
    mm->arg_start = p;
    mm->arg_end = mm->env_start = p + args_len;
    mm->env_end = mm->env_start + env_len;
    if (!(current->personality & ADDR_NO_RANDOMIZE)) p -= random_u64() % 8192;
    p &= ~15ULL;
    at_platform = p - sizeof(platform);
    at_random = at_platform - sizeof(seed);
    fill_aux(&x, img, pl, at_random, mm->env_end, at_platform);
    sp = (at_random - (nptr + x.n) * 8) & ~15ULL;

    low = gpage_down(sp - STACK_SLACK);
    if (top - low > limit) low = gpage_down(top - MAX(gpage_up(limit), gpage_up(top - sp)));
    if ((r = map_stack(mm, low, top, img->elf.exec_stack))) return r;

    blen = at_platform + sizeof(platform) - sp;
    block = xzalloc(blen);
    w = (u64 *)(void *)block;
    w[n++] = (u64)img->argc;
    s = mm->arg_start;
    for (int i = 0; i < img->argc; i++) {
        w[n++] = s;
        s += strlen(img->argv[i]) + 1;
    }
    w[n++] = 0;
    for (int i = 0; i < img->envc; i++) {
        w[n++] = s;
        s += strlen(img->envp[i]) + 1;
    }
    w[n++] = 0;
    memcpy(w + n, x.v, x.n * 8);
    memcpy(block + (at_random - sp), seed, sizeof(seed));
    memcpy(block + (at_platform - sp), platform, sizeof(platform));
    if (mm_copy_out(mm, top - slen, strings, slen) != slen || mm_copy_out(mm, sp, block, blen) != blen) return -EFAULT;
    memcpy(mm->auxv, x.v, x.n * 8);
    mm->auxv_n = x.n;
    mm->stack_start = sp;
    img->sp = sp;
    return 0;
}

/* --- putting it together --- */

static int map_main(struct exec_image *img, gaddr_t *bias, gaddr_t *phdr)
{
    const struct elf_info *e = &img->elf;

    *bias = 0;
    if (e->type == ET_DYN) {
        if (e->interp[0]) {
            *bias = DYN_BASE + random_pages(MMAP_RND_PAGES);
            *bias = (*bias & ~(largest_align(e) - 1)) - first_vaddr(e);
        } else {
            *bias = ~0ULL;   /* a static PIE, or ld.so run as a program: leave DYN_BASE to what it may load */
        }
    }
    return elf_map(img->mm, img->file, e, bias, true, phdr);
}

static void place_brk(const struct exec_image *img)
{
    struct mm *mm = img->mm;

    if (img->elf.type == ET_DYN && !img->elf.interp[0] && !(current->personality & ADDR_NO_RANDOMIZE))
        mm->brk_start = DYN_BASE;   /* above a static PIE there may be no room to grow */
    mm->brk_start = gpage_up(mm->brk_start) + random_pages(BRK_RND >> GPAGE_SHIFT);
    mm->brk_end = mm->brk_start;
}

int linux_load(struct exec_image *img)
{
    struct mm *mm = img->mm;
    struct file *interp = NULL;
    AUTO_FREE struct elf_info *ie = xnew(struct elf_info);
    struct placement pl = { 0 };
    gaddr_t bias, ibias = ~0ULL, unused;
    int r;

    r = elf_parse(img->file, img->head, img->head_len, &img->elf);
    img->late = r == -EINVAL;
    if (r) return r;
    if (img->elf.has_interp && !img->elf.interp[0]) return -EACCES;   /* no name is the working directory's, and that is no file */
    if (img->elf.interp[0] && (r = open_interp(img->elf.interp, &interp, ie))) goto out;
    mm->mmap_top = pick_mmap_top(mm);
    img->late = true;
    if ((r = map_main(img, &bias, &pl.phdr))) goto out;
    pl.entry = bias + img->elf.entry;
    img->entry = pl.entry;
    place_brk(img);
    if (interp) {
        if (ie->type == ET_EXEC) ibias = 0;
        if ((r = elf_map(mm, interp, ie, &ibias, false, &unused))) goto out;
        pl.interp_base = ibias;
        img->entry = ibias + ie->entry;
    }
    if ((r = linux_vdso_map(mm)) || (r = build_stack(img, &pl))) goto out;
    if (img->entry < GUEST_ADDR_MIN || img->entry >= mm->addr_limit) {
        r = -EINVAL;
        goto out;
    }
    current->regs = (struct guest_regs){ .rip = img->entry, .rsp = img->sp, .eflags = 0x202, .cs = 0x33, .ss = 0x2b, .orig_rax = ~0ULL };
out:
    if (interp) file_put(interp);
    return r;
}
