/* ld.so.1: amd64 relocations, procedure linkage. */
#include "rtld.h"
#include <sys/mman.h>

static const char *ref_version(struct obj *o, size_t symi)
{
    if (!o->versym || !o->verneed)
        return NULL;
    unsigned v = o->versym[symi] & 0x7fff;
    if (v <= 1)
        return NULL;
    for (const Elf64_Verneed *n = o->verneed;; n = (const Elf64_Verneed *)((const char *)n + n->vn_next)) {
        const Elf64_Vernaux *a = (const Elf64_Vernaux *)((const char *)n + n->vn_aux);
        for (int i = 0; i < n->vn_cnt; i++) {
            if (a->vna_other == v)
                return o->strtab + a->vna_name;
            a = (const Elf64_Vernaux *)((const char *)a + a->vna_next);
        }
        if (!n->vn_next)
            return NULL;
    }
}

/* 1 found, 0 undefined weak, -1 missing */
static int resolve(struct obj *o, size_t symi, int copy, struct symdef *d)
{
    const Elf64_Sym *s = &o->symtab[symi];

    if (ELF64_ST_BIND(s->st_info) == STB_LOCAL) {
        d->sym = s;
        d->obj = o;
        return 1;
    }
    struct symref r = { .name = o->strtab + s->st_name, .version = ref_version(o, symi) };
    sym_hash(&r);
    if (sym_lookup(o, &r, copy, d))
        return 1;
    d->sym = s;
    d->obj = NULL;
    if (ELF64_ST_BIND(s->st_info) == STB_WEAK)
        return 0;
    return -1;
}

static uintptr_t value_of(const struct symdef *d)
{
    if (!d->obj)
        return 0;
    uintptr_t v = d->sym->st_value + (d->sym->st_shndx == SHN_ABS ? 0 : d->obj->map.l_addr);
    if (ELF64_ST_TYPE(d->sym->st_info) == STT_GNU_IFUNC)
        v = ((uintptr_t(*)(void))v)();
    return v;
}

static void missing(struct obj *o, const char *name)
{
    rt_fail("relocation error: file %s: symbol %s: referenced symbol not found", o->map.l_name, name);
}

/* copy relocations come last: their sources must be relocated first */
static int apply(struct obj *o, const Elf64_Rela *r, int pass, int now)
{
    unsigned type = ELF64_R_TYPE(r->r_info);
    size_t symi = ELF64_R_SYM(r->r_info);
    uintptr_t base = o->map.l_addr;
    uint64_t *where = (uint64_t *)(base + r->r_offset);
    struct symdef d = { NULL, NULL };

    if (type == R_X86_64_NONE || (type == R_X86_64_IRELATIVE) != (pass == 1))
        return 0;
    if (type == R_X86_64_IRELATIVE) {
        *where = ((uintptr_t(*)(void))(base + (uintptr_t)r->r_addend))();
        return 0;
    }
    if (type == R_X86_64_RELATIVE) {
        *where = base + (uintptr_t)r->r_addend;
        return 0;
    }
    int found = symi ? resolve(o, symi, type == R_X86_64_COPY, &d) : 1;
    if (found < 0) {
        if (type == R_X86_64_JUMP_SLOT && !now) { /* reported when, and if, it is called */
            *where += base;
            return 0;
        }
        missing(o, o->strtab + o->symtab[symi].st_name);
        return -1;
    }
    if (!symi)
        d.obj = o;
    uint64_t s = symi ? value_of(&d) : base, a = (uint64_t)r->r_addend;
    switch (type) {
    case R_X86_64_64: *where = s + a; return 0;
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT: *where = s; return 0;
    case R_X86_64_PC32:
        *(uint32_t *)where = (uint32_t)(s + a - (uintptr_t)where);
        if ((int64_t)(s + a - (uintptr_t)where) != (int32_t)(s + a - (uintptr_t)where))
            break;
        return 0;
    case R_X86_64_PC64: *where = s + a - (uintptr_t)where; return 0;
    case R_X86_64_32: *(uint32_t *)where = (uint32_t)(s + a); return 0;
    case R_X86_64_32S: *(int32_t *)where = (int32_t)(s + a); return 0;
    case R_X86_64_SIZE64: *where = d.sym ? d.sym->st_size + a : a; return 0;
    case R_X86_64_SIZE32: *(uint32_t *)where = (uint32_t)((d.sym ? d.sym->st_size : 0) + a); return 0;
    case R_X86_64_COPY:
        if (d.obj) {
            size_t n = d.sym->st_size, want = o->symtab[symi].st_size;
            memcpy(where, (void *)s, n < want ? n : want);
        }
        return 0;
    case R_X86_64_DTPMOD64: *where = d.obj ? d.obj->tls_mod : 0; return 0;
    case R_X86_64_DTPOFF64: *where = (d.sym ? d.sym->st_value : 0) + a; return 0;
    case R_X86_64_TPOFF64:
        if (!d.obj)
            return 0;
        if (!d.obj->tls_offset && tls_make_static(d.obj)) {
            rt_fail("%s: no space left for static TLS", d.obj->map.l_name);
            return -1;
        }
        *where = (d.sym ? d.sym->st_value : 0) + a - d.obj->tls_offset;
        return 0;
    default: break;
    }
    rt_fail("relocation error: file %s: symbol %s: type %u does not fit or is not supported", o->map.l_name,
            symi ? o->strtab + o->symtab[symi].st_name : "(unknown)", type);
    return -1;
}

static int text_protect(struct obj *o, int writable)
{
    for (int i = 0; i < o->phnum; i++) {
        const Elf64_Phdr *p = &o->phdr[i];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
            continue;
        uintptr_t a = (o->map.l_addr + p->p_vaddr) & ~4095UL, e = (o->map.l_addr + p->p_vaddr + p->p_memsz + 4095) & ~4095UL;
        int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_X ? PROT_EXEC : 0) | (writable ? PROT_WRITE : 0);
        long r = RAW(SYS_mprotect, a, e - a, prot);
        if (r < 0) {
            rt_fail("%s: mprotect failed: %s", o->map.l_name, rt_strerror((int)-r));
            return -1;
        }
    }
    return 0;
}

int obj_relocate(struct obj *o, int now)
{
    size_t nrela = o->relasz / sizeof(Elf64_Rela), nplt = o->pltrelsz / sizeof(Elf64_Rela);

    if (o->relocated)
        return 0;
    o->relocated = 1;
    if ((o->flags & DF_BIND_NOW) || (o->flags1 & DF_1_NOW))
        now = 1;
    if (o->textrel && text_protect(o, 1))
        return -1;
    /* some linkers count the procedure linkage relocations in DT_RELASZ too: applying them twice is not harmless */
    if (o->jmprel && o->rela && o->jmprel >= o->rela && o->jmprel < o->rela + nrela)
        nrela = (size_t)(o->jmprel - o->rela);
    if (o->pltgot && nplt) {
        o->pltgot[1] = (uintptr_t)o;
        o->pltgot[2] = (uintptr_t)rt_bind_entry;
    }
    /*
     * Procedure slots are bound here even when lazy binding is asked for: a few hash look-ups cost less than the
     * first-call detour. What laziness promises is kept: a function that is missing matters only when called.
     */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < nrela; i++)
            if (apply(o, &o->rela[i], pass, now))
                return -1;
        for (size_t i = 0; i < nplt; i++)
            if (apply(o, &o->jmprel[i], pass, now))
                return -1;
    }
    if (o->textrel && text_protect(o, 0))
        return -1;
    if (o->relro_end > o->relro)
        (void)RAW(SYS_mprotect, o->relro, o->relro_end - o->relro, PROT_READ);
    return 0;
}

/* first call through a slot that could not be bound at load time */
uintptr_t rt_bind(struct obj *o, size_t index)
{
    const Elf64_Rela *r = &o->jmprel[index];
    struct symdef d = { NULL, NULL };

    rt_lock();
    if (resolve(o, ELF64_R_SYM(r->r_info), 0, &d) < 0) {
        missing(o, o->strtab + o->symtab[ELF64_R_SYM(r->r_info)].st_name);
        rt_message("%s: fatal: %s", rt_progname, rt_error);
        rt_die();
    }
    uintptr_t v = value_of(&d);
    if (!(o->relro_end > o->relro))
        *(uintptr_t *)(o->map.l_addr + r->r_offset) = v;
    rt_unlock();
    return v;
}

/* the linkage table pushed the object and the slot's index; every argument register must survive */
__asm__(".text\n"
        ".hidden rt_bind_entry\n"
        ".globl rt_bind_entry\n"
        ".type rt_bind_entry,@function\n"
        "rt_bind_entry:\n"
        "    pushq %rbp\n"
        "    movq %rsp, %rbp\n"
        "    pushq %rax\n"
        "    pushq %rdi\n"
        "    pushq %rsi\n"
        "    pushq %rdx\n"
        "    pushq %rcx\n"
        "    pushq %r8\n"
        "    pushq %r9\n"
        "    pushq %r10\n"
        "    subq $528, %rsp\n"
        "    andq $-64, %rsp\n"
        "    fxsave (%rsp)\n"
        "    movq 8(%rbp), %rdi\n"
        "    movq 16(%rbp), %rsi\n"
        "    call rt_bind\n"
        "    movq %rax, %r11\n"
        "    fxrstor (%rsp)\n"
        "    movq -8(%rbp), %rax\n"
        "    movq -16(%rbp), %rdi\n"
        "    movq -24(%rbp), %rsi\n"
        "    movq -32(%rbp), %rdx\n"
        "    movq -40(%rbp), %rcx\n"
        "    movq -48(%rbp), %r8\n"
        "    movq -56(%rbp), %r9\n"
        "    movq -64(%rbp), %r10\n"
        "    movq %rbp, %rsp\n"
        "    popq %rbp\n"
        "    addq $16, %rsp\n"
        "    jmp *%r11\n"
        ".size rt_bind_entry, .-rt_bind_entry\n");
