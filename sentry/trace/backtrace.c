/*
 * --backtrace: the stack of a guest thread, by libunwind with accessors of our own: memory is the guest's, through
 * copy-in; unwind tables are found in the images that the guest has mapped (PT_GNU_EH_FRAME); names come from the
 * image files' symbol tables, by libelf. All of it is hostile: every read is bounded, a step must go up the stack.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"
#include "sentry/trace/event.h"
#include "sentry/vfs/file.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <libunwind.h>
#include <stdio.h>
#include <string.h>

#define MAX_FRAMES 64
#define IMAGE_MAX_PHDRS_BT 64
#define MAX_IMAGE (64u << 20)     /* symbols of larger files are not read */
#define MAX_SYMBOLS 1000000u

/* Exported by libunwind for remote users (perf uses it too), declared by none of its headers. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di, unw_proc_info_t *pi,
                                              int need_unwind_info, void *arg);

struct image { gaddr_t start, end, base; struct file *file; };   /* the run of vmas of one file around ip; file counted */
struct walk { struct task *t; struct mm *mm; };

/* --- images --- */

struct find { gaddr_t ip; struct image img; struct file *run_file; gaddr_t run_start; bool found; };

static bool find_vma(struct vma *v, void *arg)
{
    struct find *f = arg;
    /* An image's mappings follow each other; the one with file offset 0 is its base (or a header page at least). */
    if (v->file && v->off == 0) {
        f->run_file = v->file;
        f->run_start = v->start;
    }
    if (f->ip < v->start) return false;
    if (f->ip >= v->end) return true;
    f->found = true;
    f->img = (struct image){ .start = v->start, .end = v->end, .base = v->start, .file = v->file };
    if (v->file && f->run_file && f->run_file->inode == v->file->inode) f->img.base = f->run_start;
    if (v->file) file_get(v->file);
    return false;
}

static bool find_image(struct mm *mm, gaddr_t ip, struct image *out)
{
    struct find f = { .ip = ip };
    mm_for_each_vma(mm, find_vma, &f);
    *out = f.img;
    return f.found;
}

static bool read_mem(struct mm *mm, void *dst, gaddr_t src, size_t n) { return mm_copy_in(mm, dst, src, n) == n; }

/* Program headers as mapped; the load bias follows from the first PT_LOAD. */
static unsigned read_phdrs(struct mm *mm, gaddr_t base, Elf64_Phdr *ph, unsigned max, u64 *bias)
{
    Elf64_Ehdr eh;
    if (!read_mem(mm, &eh, base, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64) return 0;
    unsigned n = MIN((unsigned)eh.e_phnum, max);
    if (eh.e_phentsize != sizeof(*ph) || !read_mem(mm, ph, base + eh.e_phoff, n * sizeof(*ph))) return 0;
    for (unsigned i = 0; i < n; i++)
        if (ph[i].p_type == PT_LOAD) {
            *bias = base - gpage_down(ph[i].p_vaddr - ph[i].p_offset);
            return n;
        }
    return 0;
}

/* --- libunwind's accessors --- */

static int acc_find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need, void *arg)
{
    struct walk *w = arg;
    struct image img;
    Elf64_Phdr ph[IMAGE_MAX_PHDRS_BT];
    u64 bias = 0;
    if (!find_image(w->mm, ip, &img)) return -UNW_ENOINFO;
    if (img.file) file_put(img.file);
    unsigned n = read_phdrs(w->mm, img.base, ph, ARRAY_LEN(ph), &bias);
    for (unsigned i = 0; i < n; i++) {
        if (ph[i].p_type != PT_GNU_EH_FRAME) continue;
        gaddr_t hdr = bias + ph[i].p_vaddr;
        struct { u8 version, eh_frame_enc, count_enc, table_enc; s32 eh_frame; u32 count; } h;
        /* The encodings every linker writes: pcrel sdata4, udata4, datarel sdata4. */
        if (!read_mem(w->mm, &h, hdr, sizeof(h)) || h.version != 1 || h.eh_frame_enc != 0x1b || h.count_enc != 0x03 || h.table_enc != 0x3b)
            return -UNW_ENOINFO;
        unw_dyn_info_t di = { .start_ip = img.start, .end_ip = img.end, .format = UNW_INFO_FORMAT_REMOTE_TABLE };
        di.u.rti.segbase = hdr;
        di.u.rti.table_data = hdr + sizeof(h);
        di.u.rti.table_len = (u64)h.count * 8 / sizeof(unw_word_t);
        return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, pi, need, arg);
    }
    return -UNW_ENOINFO;
}

static void acc_put_unwind_info(unw_addr_space_t as UNUSED, unw_proc_info_t *pi UNUSED, void *arg UNUSED) {}

static int acc_dyn_info_list(unw_addr_space_t as UNUSED, unw_word_t *addr UNUSED, void *arg UNUSED) { return -UNW_ENOINFO; }

static int acc_mem(unw_addr_space_t as UNUSED, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
    struct walk *w = arg;
    return !write && read_mem(w->mm, val, addr, sizeof(*val)) ? 0 : -UNW_EINVAL;
}

static int acc_reg(unw_addr_space_t as UNUSED, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
    const struct guest_regs *r = &((struct walk *)arg)->t->regs;
    if (write) return -UNW_EREADONLYREG;
    switch (reg) {
    case UNW_X86_64_RAX: *val = r->rax; return 0;
    case UNW_X86_64_RDX: *val = r->rdx; return 0;
    case UNW_X86_64_RCX: *val = r->rcx; return 0;
    case UNW_X86_64_RBX: *val = r->rbx; return 0;
    case UNW_X86_64_RSI: *val = r->rsi; return 0;
    case UNW_X86_64_RDI: *val = r->rdi; return 0;
    case UNW_X86_64_RBP: *val = r->rbp; return 0;
    case UNW_X86_64_RSP: *val = r->rsp; return 0;
    case UNW_X86_64_R8: *val = r->r8; return 0;
    case UNW_X86_64_R9: *val = r->r9; return 0;
    case UNW_X86_64_R10: *val = r->r10; return 0;
    case UNW_X86_64_R11: *val = r->r11; return 0;
    case UNW_X86_64_R12: *val = r->r12; return 0;
    case UNW_X86_64_R13: *val = r->r13; return 0;
    case UNW_X86_64_R14: *val = r->r14; return 0;
    case UNW_X86_64_R15: *val = r->r15; return 0;
    case UNW_X86_64_RIP: *val = r->rip; return 0;
    }
    return -UNW_EBADREG;
}

static int acc_fpreg(unw_addr_space_t as UNUSED, unw_regnum_t reg UNUSED, unw_fpreg_t *val UNUSED, int write UNUSED, void *arg UNUSED)
{
    return -UNW_EBADREG;
}
static int acc_resume(unw_addr_space_t as UNUSED, unw_cursor_t *c UNUSED, void *arg UNUSED) { return -UNW_EINVAL; }
static int acc_proc_name(unw_addr_space_t as UNUSED, unw_word_t addr UNUSED, char *buf UNUSED, size_t n UNUSED, unw_word_t *off UNUSED, void *arg UNUSED)
{
    return -UNW_ENOINFO; /* names are looked up in the files, below */
}

/* --- symbols --- */

/* The last read file is kept: neighbouring frames mostly lie in one image. */
struct symbols { struct inode *inode; u8 *data; Elf *elf; };

static void symbols_close(struct symbols *s)
{
    if (s->elf) elf_end(s->elf);
    free(s->data);
    *s = (struct symbols){ 0 };
}

static void symbols_open(struct symbols *s, struct file *f)
{
    if (s->inode == f->inode) return;
    symbols_close(s);
    s->inode = f->inode;
    struct kstat st = { 0 };
    if (f->inode->ops->getattr ? f->inode->ops->getattr(f->inode, &st) : (inode_fill_stat(f->inode, &st), 0)) return;
    if (!S_ISREG(f->inode->mode) || !st.size || st.size > MAX_IMAGE) return;
    s->data = try_zalloc(1, st.size);
    if (!s->data || vfs_kernel_read(f, s->data, st.size, 0) != (ssize_t)st.size) return;
    elf_version(EV_CURRENT);
    s->elf = elf_memory((char *)s->data, st.size);
    if (s->elf && (elf_kind(s->elf) != ELF_K_ELF || gelf_getclass(s->elf) != ELFCLASS64)) {
        elf_end(s->elf);
        s->elf = NULL;
    }
}

/* The function symbol with the greatest address not above addr (a link-time address). */
static bool symbols_find(struct symbols *s, u64 addr, char *name, size_t size, u64 *off)
{
    Elf_Scn *scn = NULL;
    u64 best = 0;
    bool found = false;
    while (s->elf && (scn = elf_nextscn(s->elf, scn))) {
        GElf_Shdr sh;
        if (!gelf_getshdr(scn, &sh) || (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_entsize) continue;
        Elf_Data *d = elf_getdata(scn, NULL);
        if (!d) continue;
        u64 n = MIN(sh.sh_size / sh.sh_entsize, (u64)MAX_SYMBOLS);
        for (u64 i = 0; i < n; i++) {
            GElf_Sym sym;
            if (!gelf_getsym(d, (int)i, &sym)) break;
            if (GELF_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx == SHN_UNDEF || sym.st_value > addr || sym.st_value < best) continue;
            if (sym.st_size && addr >= sym.st_value + sym.st_size) continue;
            const char *str = elf_strptr(s->elf, sh.sh_link, sym.st_name);
            if (!str || !*str) continue;
            snprintf(name, size, "%s", str);
            best = sym.st_value;
            found = true;
        }
    }
    *off = addr - best;
    return found;
}

static void print_frame(struct walk *w, struct symbols *syms, unsigned n, gaddr_t ip)
{
    struct image img;
    char where[KPATH_MAX] = "?", name[256];
    u64 off = 0, bias = 0;
    Elf64_Phdr ph[IMAGE_MAX_PHDRS_BT];
    bool named = false;
    if (find_image(w->mm, ip, &img) && img.file) {
        struct path root = { 0 };
        if (w->t->fs) fs_get_root(w->t->fs, &root);
        if (!img.file->path.dentry || !root.dentry || vfs_path_text(&img.file->path, &root, where, sizeof(where)) < 0)
            snprintf(where, sizeof(where), "?");
        if (root.dentry) path_put(&root);
        symbols_open(syms, img.file);
        /* A return address may be the first byte after the caller: look up the call itself. */
        if (read_phdrs(w->mm, img.base, ph, ARRAY_LEN(ph), &bias)) named = symbols_find(syms, ip - bias - (n ? 1 : 0), name, sizeof(name), &off);
        file_put(img.file);
    }
    struct strbuf out = { 0 };
    strbuf_printf(&out, "  #%-2u %#018llx ", n, (unsigned long long)ip);
    if (named) {
        for (char *c = name; *c; c++)
            if (*c < 0x20 || *c == 0x7f) *c = '?';
        strbuf_printf(&out, "%s+%#llx ", name, (unsigned long long)(off + (n ? 1 : 0)));
    }
    for (char *c = where; *c; c++)
        if (*c < 0x20 || *c == 0x7f) *c = '?';
    strbuf_printf(&out, "in %s", where);
    if (bias) strbuf_printf(&out, " (+%#llx)", (unsigned long long)(ip - bias));
    strbuf_add(&out, "\n", 1);
    trace_line(out.s, out.len);
    strbuf_fini(&out);
}

void backtrace_print(struct task *t)
{
    static unw_accessors_t acc = {
        .find_proc_info = acc_find_proc_info, .put_unwind_info = acc_put_unwind_info, .get_dyn_info_list_addr = acc_dyn_info_list,
        .access_mem = acc_mem, .access_reg = acc_reg, .access_fpreg = acc_fpreg, .resume = acc_resume, .get_proc_name = acc_proc_name,
    };
    struct walk w = { .t = t, .mm = task_get_mm(t) };
    if (!w.mm) return;
    struct symbols syms = { 0 };
    unw_addr_space_t as = unw_create_addr_space(&acc, 0);
    unw_cursor_t c;
    if (as && !unw_init_remote(&c, as, &w)) {
        unw_word_t sp = 0;
        for (unsigned n = 0; n < MAX_FRAMES; n++) {
            unw_word_t ip, next;
            if (unw_get_reg(&c, UNW_REG_IP, &ip) || !ip) break;
            print_frame(&w, &syms, n, ip);
            if (unw_step(&c) <= 0 || unw_get_reg(&c, UNW_REG_SP, &next) || next <= sp) break;
            sp = next;
        }
    } else log_error("no backtrace: libunwind cannot start");
    if (as) unw_destroy_addr_space(as);
    symbols_close(&syms);
    mm_put(w.mm);
}
