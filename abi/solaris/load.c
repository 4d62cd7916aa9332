/*
 * Solaris programs: which images are ours, where they go, and what they find on their stack.
 * Source: uts/common/exec/elf/elf.c (elfexec), uts/common/os/exec.c (stk_copyout), sys/auxv.h of illumos.
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/loader/loader.h"
#include <cpuid.h>
#include <elf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <unistd.h>

#define DYN_BASE 0x555555554000ULL
#define STACK_SLACK (128ULL << 10)
#define STACK_MAX (64ULL << 20)              /* room kept for an unlimited stack's growth */
#define STACK_RND_PAGES (1ULL << 22)
#define MMAP_RND_PAGES (1ULL << 28)
#define GAP_MIN (128ULL << 20)
#define PT_SUNWBSS_ 0x6ffffffau
#define PT_SUNWCAP_ 0x6ffffffdu
#define PT_SUNW_UNWIND_ 0x6464e550u
#define NT_GNU_ABI_TAG_ 1
#define GNU_OS_SOLARIS 2

enum {
    AUX_NULL = 0, AUX_PHDR = 3, AUX_PHENT, AUX_PHNUM, AUX_PAGESZ, AUX_BASE, AUX_FLAGS, AUX_ENTRY, AUX_RANDOM = 25, SUN_UID = 2000, SUN_RUID,
    SUN_GID, SUN_RGID, SUN_PLATFORM = 2008, SUN_HWCAP, SUN_EXECNAME = 2014, SUN_LDDATA = 2016, SUN_AUXFLAGS, SUN_HWCAP2 = 2023,
};
#define AF_SUN_SETUGID 1

static const char *const interps[] = {
    "/lib/amd64/ld.so.1", "/usr/lib/amd64/ld.so.1", "/lib/64/ld.so.1", "/usr/lib/64/ld.so.1",
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* 1 Solaris, -1 somebody else's, 0 says nothing. */
static int interp_says(const char *s)
{
    for (size_t i = 0; i < ARRAY_LEN(interps); i++)
        if (!strcmp(s, interps[i])) return 1;
    return ends_with(s, "/ld.so.1") ? 1 : -1;
}

/* An ABI note of the GNU kind: word 0 of its description is the system. */
static int note_says(const u8 *p, size_t n)
{
    u32 w[5];

    if (n < sizeof(w)) return 0;
    memcpy(w, p, sizeof(w));
    if (w[0] != 4 || w[1] < 16 || w[2] != NT_GNU_ABI_TAG_ || memcmp(p + 12, "GNU", 4)) return 0;
    return w[4] == GNU_OS_SOLARIS ? 1 : -1;
}

/*
 * Evidence in the program headers, strongest first: the interpreter, the ABI note, segment types that only Solaris linkers
 * make. Go's linker writes PT_SUNWSTACK, the rest comes with it.
 */
static int headers_say(const u8 *head, size_t len, const Elf64_Ehdr *e)
{
    int weak = 0;

    for (unsigned i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr p;
        u64 at = e->e_phoff + (u64)i * sizeof(p);

        if (e->e_phoff > len || at + sizeof(p) > len) break;
        memcpy(&p, head + at, sizeof(p));
        if (p.p_type == PT_INTERP && p.p_offset < len && p.p_filesz && p.p_filesz < 256 && p.p_offset + p.p_filesz <= len) {
            char s[256] = "";
            memcpy(s, head + p.p_offset, p.p_filesz);
            return interp_says(s);
        }
        if (p.p_type == PT_NOTE && p.p_offset < len) {
            int r = note_says(head + p.p_offset, MIN(len - p.p_offset, p.p_filesz));
            if (r) return r;
        }
        if ((p.p_type >= PT_SUNWBSS_ && p.p_type <= PT_SUNWCAP_) || p.p_type == PT_SUNW_UNWIND_) weak = 1;
    }
    return weak;
}

int solaris_recognise(const u8 *head, size_t len)
{
    Elf64_Ehdr e;
    int says;

    if (len < sizeof(e)) return 0;
    memcpy(&e, head, sizeof(e));
    if (memcmp(e.e_ident, ELFMAG, SELFMAG) || e.e_ident[EI_DATA] != ELFDATA2LSB) return 0;
    if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != EM_X86_64 || e.e_phentsize != sizeof(Elf64_Phdr)) return 0;
    if (e.e_type != ET_EXEC && e.e_type != ET_DYN) return 0;
    if (e.e_ident[EI_OSABI] == ELFOSABI_SOLARIS) return 30;
    if (e.e_ident[EI_OSABI] != ELFOSABI_NONE) return 0;
    says = headers_say(head, len, &e);
    return says > 0 ? 26 : says < 0 ? 0 : 1;   /* 26: whatever --abi says; 1: only when it is asked for by name */
}

static u64 random_u64(void)
{
    u64 v = 0;

    if (getrandom(&v, sizeof(v), 0) != sizeof(v)) panic("getrandom: the host gives no random numbers");
    return v;
}

static u64 random_pages(u64 n)
{
    return current->personality & ADDR_NO_RANDOMIZE ? 0 : (random_u64() & (n - 1)) << GPAGE_SHIFT;
}

static gaddr_t pick_mmap_top(const struct mm *mm)
{
    u64 gap = MIN(current_rlimit(RLIMIT_STACK), STACK_MAX), pad = (STACK_RND_PAGES << GPAGE_SHIFT) + (1ULL << 20);

    gap = MAX(gap + pad, GAP_MIN);
    return gpage_down(mm->addr_limit - gap - random_pages(MMAP_RND_PAGES));
}

static int open_interp(const char *path, struct file **f, struct elf_info *e)
{
    u8 head[4096];
    ssize_t n;
    int r = vfs_open_exec(AT_FDCWD, path, WALK_FOLLOW, f);

    if (r == -ENOENT || r == -ENOTDIR) {
        AUTO_PATH p = { 0 };
        if (!sol_pieces_lookup(path, &p)) {
            log_error("%s: the root has no such dynamic linker, and this installation no pieces of Solaris to lend it", path);
            return -ENOENT;
        }
        r = vfs_open_nocheck(&p, O_RDONLY, f);
    }
    if (r) return r;
    n = vfs_kernel_read(*f, head, sizeof(head), 0);
    if (n < 0) return (int)n;
    if ((size_t)n < sizeof(Elf64_Ehdr)) return -EIO;
    r = elf_parse(*f, head, (size_t)n, e);
    return r == -ENOEXEC || r == -EINVAL ? -ELIBBAD : r;
}

/* --- the initial stack --- */

struct aux { u64 v[48]; unsigned n; };

static void aux_add(struct aux *a, u64 type, u64 val)
{
    ASSERT(a->n + 2 <= ARRAY_LEN(a->v));
    a->v[a->n++] = type;
    a->v[a->n++] = val;
}

struct placement { gaddr_t phdr, entry, interp_base, interp_data; bool has_interp; };

/* AV_386_*: what the processor can, in Solaris' words (sys/auxv_386.h), as far as programs pick code by it. */
static void hwcaps(u64 *cap1, u64 *cap2)
{
    u32 a, b, c, d;

    *cap1 = *cap2 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    *cap1 = 1 /* FPU */ | (d >> 4 & 1 ? 2u : 0) /* TSC */ | (d >> 8 & 1 ? 4u : 0) /* CX8 */ | (d >> 15 & 1 ? 0x20u : 0) /* CMOV */ |
            (d >> 23 & 1 ? 0x40u : 0) /* MMX */ | 0x100 /* AMD_SYSC */ | (d >> 24 & 1 ? 0x800u : 0) /* FXSR */ |
            (d >> 25 & 1 ? 0x1000u : 0) /* SSE */ | (d >> 26 & 1 ? 0x2000u : 0) /* SSE2 */ | (c & 1 ? 0x10000u : 0) /* SSE3 */ |
            (c >> 13 & 1 ? 0x40000u : 0) /* CX16 */ | (c >> 9 & 1 ? 0x200000u : 0) /* SSSE3 */ | (c >> 23 & 1 ? 0x400000u : 0) /* POPCNT */ |
            (c >> 19 & 1 ? 0x1000000u : 0) /* SSE4_1 */ | (c >> 20 & 1 ? 0x2000000u : 0) /* SSE4_2 */ |
            (c >> 22 & 1 ? 0x4000000u : 0) /* MOVBE */ | (c >> 25 & 1 ? 0x8000000u : 0) /* AES */ |
            (c >> 1 & 1 ? 0x10000000u : 0) /* PCLMULQDQ */ | (c >> 26 & 1 ? 0x20000000u : 0) /* XSAVE */ | (c >> 28 & 1 ? 0x40000000u : 0) /* AVX */;
    *cap2 = (c >> 29 & 1 ? 1u : 0) /* F16C */ | (c >> 30 & 1 ? 2u : 0) /* RDRAND */;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        *cap2 |= (b >> 3 & 1 ? 4u : 0) /* BMI1 */ | (b >> 8 & 1 ? 8u : 0) /* BMI2 */ | (b >> 5 & 1 ? 0x20u : 0) /* AVX2 */;
}

static void fill_aux(struct aux *x, const struct exec_image *img, const struct placement *pl, gaddr_t platform, gaddr_t execname, gaddr_t random)
{
    const struct cred *c = current_cred();
    u64 cap1, cap2;

    hwcaps(&cap1, &cap2);
    aux_add(x, SUN_PLATFORM, platform);
    aux_add(x, SUN_EXECNAME, execname);
    if (pl->has_interp) {
        aux_add(x, AUX_PHDR, pl->phdr);
        aux_add(x, AUX_PHENT, img->elf.phentsize);
        aux_add(x, AUX_PHNUM, img->elf.phnum);
        aux_add(x, AUX_ENTRY, pl->entry);
    }
    aux_add(x, SUN_LDDATA, pl->interp_data);
    aux_add(x, AUX_BASE, pl->interp_base);
    aux_add(x, AUX_FLAGS, 0);
    aux_add(x, AUX_PAGESZ, GPAGE_SIZE);
    aux_add(x, SUN_AUXFLAGS, img->secure ? AF_SUN_SETUGID : 0);
    aux_add(x, SUN_UID, c->euid);
    aux_add(x, SUN_RUID, c->uid);
    aux_add(x, SUN_GID, c->egid);
    aux_add(x, SUN_RGID, c->gid);
    aux_add(x, SUN_HWCAP, cap1);
    aux_add(x, SUN_HWCAP2, cap2);
    aux_add(x, AUX_RANDOM, random);
    aux_add(x, AUX_NULL, 0);
}

/* The program's path without symlinks, as getexecname(3C) gives it. */
static void exec_name(const struct exec_image *img, char *buf, size_t size)
{
    AUTO_PATH root = { 0 };
    struct path p = img->file->path;

    fs_get_root(current->fs, &root);
    if (!p.dentry || vfs_path_text(&p, &root, buf, size) < 0) snprintf(buf, size, "%s", img->execfn);
}

static int map_stack(struct mm *mm, gaddr_t low, gaddr_t top)
{
    struct mm_map_req req = { .addr = low, .len = top - low, .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK,
                              .vma_flags = VMA_GROWSDOWN | VMA_STACK };
    sysret_t r = mm_map(mm, &req);

    return r < 0 ? (int)r : 0;
}

/* argc, argv, NULL, envp, NULL, auxv; then, at the top: strings of argv, of envp, platform, name, eight zero bytes. */
static int build_stack(struct exec_image *img, const struct placement *pl, bool with_aux)
{
    static const char platform[] = "i86pc";
    struct mm *mm = img->mm;
    char name[KPATH_MAX];
    size_t args = 0, env = 0, at, nptr = (size_t)img->argc + (size_t)img->envc + 3, slen;
    gaddr_t top = gpage_down(mm->addr_limit) - random_pages(STACK_RND_PAGES), base, low, sp, s, at_random, at_platform, at_name;
    AUTO_FREE u8 *block = NULL;
    struct aux x = { .n = 0 };
    u64 *w, seed[2] = { random_u64(), random_u64() }, limit = current_rlimit(RLIMIT_STACK);
    int r;

    exec_name(img, name, sizeof(name));
    for (int i = 0; i < img->argc; i++) args += strlen(img->argv[i]) + 1;
    for (int i = 0; i < img->envc; i++) env += strlen(img->envp[i]) + 1;
    slen = (args + env + sizeof(platform) + strlen(name) + 1 + 7) & ~(size_t)7;
    base = (top - 8 - slen) & ~15ULL;
    at_platform = base + args + env;
    at_name = at_platform + sizeof(platform);
    at_random = base - sizeof(seed);
    if (with_aux) fill_aux(&x, img, pl, at_platform, at_name, at_random);
    sp = (at_random - (nptr + x.n) * 8) & ~15ULL;
    low = gpage_down(sp - STACK_SLACK);
    if (top - low > limit) low = gpage_down(top - MAX(gpage_up(limit), gpage_up(top - sp)));
    if ((r = map_stack(mm, low, top))) return r;

    block = xzalloc(top - sp);
    w = (u64 *)(void *)block;
    *w++ = (u64)img->argc;
    s = base;
    for (int i = 0; i < img->argc; s += strlen(img->argv[i++]) + 1) *w++ = s;
    *w++ = 0;
    for (int i = 0; i < img->envc; s += strlen(img->envp[i++]) + 1) *w++ = s;
    *w++ = 0;
    memcpy(w, x.v, x.n * 8);
    memcpy(block + (at_random - sp), seed, sizeof(seed));
    at = base - sp;
    for (int i = 0; i < img->argc; i++) at += (size_t)(stpcpy((char *)block + at, img->argv[i]) - ((char *)block + at)) + 1;
    for (int i = 0; i < img->envc; i++) at += (size_t)(stpcpy((char *)block + at, img->envp[i]) - ((char *)block + at)) + 1;
    memcpy(block + at, platform, sizeof(platform));
    strcpy((char *)block + at + sizeof(platform), name);
    if (mm_copy_out(mm, sp, block, top - sp) != top - sp) return -EFAULT;
    mm->arg_start = base;
    mm->arg_end = mm->env_start = base + args;
    mm->env_end = mm->env_start + env;
    memcpy(mm->auxv, x.v, x.n * 8);
    mm->auxv_n = x.n;
    mm->stack_start = sp;
    img->sp = sp;
    return 0;
}

/* --- putting it together --- */

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

/* AT_SUN_LDDATA: where the linker's writable segment is. */
static gaddr_t data_segment(const struct elf_info *e, gaddr_t bias)
{
    for (unsigned i = 0; i < e->nseg; i++)
        if (e->seg[i].type == PT_LOAD && (e->seg[i].flags & PF_W)) return bias + e->seg[i].vaddr;
    return 0;
}

static int map_main(struct exec_image *img, gaddr_t *bias, gaddr_t *phdr)
{
    const struct elf_info *e = &img->elf;

    *bias = 0;
    if (e->type == ET_DYN) {
        if (e->interp[0]) *bias = ((DYN_BASE + random_pages(MMAP_RND_PAGES)) & ~(largest_align(e) - 1)) - first_vaddr(e);
        else *bias = ~0ULL;
    }
    return elf_map(img->mm, img->file, e, bias, true, phdr);
}

int solaris_load(struct exec_image *img)
{
    struct mm *mm = img->mm;
    struct file *interp = NULL;
    AUTO_FREE struct elf_info *ie = xnew(struct elf_info);
    struct placement pl = { 0 };
    gaddr_t bias, ibias = ~0ULL, unused;
    bool fresh = !current->abi_data;
    int r;

    if ((r = elf_parse(img->file, img->head, img->head_len, &img->elf))) return r;
    if (img->elf.interp[0] && (r = open_interp(img->elf.interp, &interp, ie))) goto out;
    mm->mmap_top = pick_mmap_top(mm);
    if ((r = map_main(img, &bias, &pl.phdr))) goto out;
    pl.entry = img->entry = bias + img->elf.entry;
    if (interp) {
        pl.has_interp = true;
        if (ie->type == ET_EXEC) ibias = 0;
        if ((r = elf_map(mm, interp, ie, &ibias, false, &unused))) goto out;
        pl.interp_base = ibias;
        pl.interp_data = data_segment(ie, ibias);
        img->entry = ibias + ie->entry;
    } else if (img->elf.type == ET_DYN) {
        pl.interp_base = bias;
        pl.interp_data = data_segment(&img->elf, bias);
    }
    /* A static program at fixed addresses gets no auxiliary vector. */
    if ((r = build_stack(img, &pl, interp || img->elf.type == ET_DYN))) goto out;
    if (img->entry < GUEST_ADDR_MIN || img->entry >= mm->addr_limit) {
        r = -EINVAL;
        goto out;
    }
    current->regs = (struct guest_regs){ .rip = img->entry, .rsp = img->sp, .eflags = 0x202, .cs = 0x33, .ss = 0x2b, .orig_rax = ~0ULL };
    if (fresh) current->abi_data = sol_lwp_new(current, NULL);
out:
    if (interp) file_put(interp);
    return r;
}
