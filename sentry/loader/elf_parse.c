/*
 * ELF headers, from a hostile file. libelf works on a private copy, bounded and already complete, in which the section
 * headers (which loading does not need) have been made to look absent; every number it yields is checked again.
 * Source: elf(5), fs/binfmt_elf.c.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/loader/loader.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>

struct machine { u16 id; const char *name; };
static const struct machine machines[] = {
    { EM_386, "32-bit x86 (i386)" }, { EM_AARCH64, "aarch64" }, { EM_ARM, "32-bit ARM" }, { EM_RISCV, "RISC-V" },
    { EM_PPC64, "64-bit PowerPC" }, { EM_PPC, "32-bit PowerPC" }, { EM_S390, "S/390" }, { EM_MIPS, "MIPS" },
    { EM_SPARCV9, "64-bit SPARC" }, { EM_SPARC, "32-bit SPARC" }, { EM_SPARC32PLUS, "32-bit SPARC" },
    { EM_IA_64, "Itanium" }, { EM_LOONGARCH, "LoongArch" }, { EM_ALPHA, "Alpha" }, { EM_68K, "m68k" },
};

static const char *os_name(u8 osabi)
{
    switch (osabi) {
    case ELFOSABI_NONE: case ELFOSABI_LINUX: return "Linux";
    case ELFOSABI_SOLARIS: return "Solaris";
    case ELFOSABI_FREEBSD: return "FreeBSD";
    case ELFOSABI_NETBSD: return "NetBSD";
    case ELFOSABI_OPENBSD: return "OpenBSD";
    default: return "unknown-system";
    }
}

static bool is_elf(const u8 *h, size_t len)
{
    return len >= EI_NIDENT + 4 && !memcmp(h, ELFMAG, SELFMAG);
}

void elf_explain_foreign(const u8 *h, size_t len)
{
    u16 machine;
    const char *name = NULL;

    if (!is_elf(h, len)) return;

    memcpy(&machine, h + offsetof(Elf64_Ehdr, e_machine), 2);   /* same place in both classes */
    if (h[EI_DATA] == ELFDATA2MSB) machine = (u16)(machine >> 8 | machine << 8);
    for (size_t i = 0; i < ARRAY_LEN(machines); i++)
        if (machines[i].id == machine) name = machines[i].name;
    if (machine == EM_X86_64 && h[EI_CLASS] == ELFCLASS32) name = "x32 (32-bit pointers on x86-64)";
    if (machine == EM_X86_64 && h[EI_CLASS] == ELFCLASS64) return;
    if (name)
        log_warn("this is a program for %s %s; only x86-64 programs can run here", name, os_name(h[EI_OSABI]));
    else
        log_warn("this is a program for an unknown machine (ELF machine %u); only x86-64 programs can run here", machine);
}

/* The file header: 0 and where the program headers lie, or -ENOEXEC. */
static int check_ehdr(const u8 *h, size_t len, u64 *phoff, u64 *phlen)
{
    Elf64_Ehdr e;

    if (len < sizeof(e) || !is_elf(h, len)) return -ENOEXEC;
    memcpy(&e, h, sizeof(e));
    if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_machine != EM_X86_64) return -ENOEXEC;
    if (e.e_ident[EI_VERSION] != EV_CURRENT || e.e_version != EV_CURRENT) return -ENOEXEC;
    if (e.e_type != ET_EXEC && e.e_type != ET_DYN) return -ENOEXEC;
    if (e.e_phentsize != sizeof(Elf64_Phdr) || !e.e_phnum || e.e_phnum > IMAGE_MAX_PHDRS) return -ENOEXEC;
    *phoff = e.e_phoff;
    *phlen = (u64)e.e_phnum * sizeof(Elf64_Phdr);
    return e.e_phoff < sizeof(e) || e.e_phoff > INT64_MAX - *phlen ? -ENOEXEC : 0;
}

static int check_load(const struct elf_segment *s)
{
    u64 end;

    if (s->filesz > s->memsz) return -EINVAL;
    if (add_overflow(s->vaddr, s->memsz, &end) || end > GUEST_ADDR_MAX) return -EINVAL;
    if (add_overflow(s->off, s->filesz, &end) || end > INT64_MAX) return -EINVAL;
    if (s->filesz && ((s->vaddr ^ s->off) & (GPAGE_SIZE - 1))) return -EINVAL;   /* no page of the file fits */
    return 0;
}

/* buf: private copy of [0, end of program headers), writable. */
static int parse_copy(u8 *buf, size_t len, struct elf_info *out, u64 *interp_off, u64 *interp_len)
{
    Elf64_Ehdr raw;
    GElf_Ehdr e;
    Elf *elf;
    size_t phnum;
    int ret = -ENOEXEC;
    bool have_load = false;

    memcpy(&raw, buf, sizeof(raw));
    raw.e_shoff = 0;
    raw.e_shnum = raw.e_shstrndx = 0;
    memcpy(buf, &raw, sizeof(raw));
    if (elf_version(EV_CURRENT) == EV_NONE || !(elf = elf_memory((char *)buf, len))) return -ENOEXEC;
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &e) || elf_getphdrnum(elf, &phnum) || phnum != raw.e_phnum) goto out;

    memset(out, 0, sizeof(*out));
    out->type = e.e_type;
    out->machine = e.e_machine;
    out->osabi = e.e_ident[EI_OSABI];
    out->entry = e.e_entry;
    out->phoff = e.e_phoff;
    out->phnum = e.e_phnum;
    out->phentsize = e.e_phentsize;
    out->exec_stack = false;   /* x86-64: no PT_GNU_STACK means no executable stack */
    *interp_off = *interp_len = 0;
    for (size_t i = 0; i < phnum; i++) {
        GElf_Phdr p;
        struct elf_segment *s = &out->seg[out->nseg];

        if (!gelf_getphdr(elf, (int)i, &p)) goto out;
        *s = (struct elf_segment){ p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_align };
        out->nseg++;
        switch (p.p_type) {
        case PT_LOAD:
            if ((ret = check_load(s))) goto out;
            ret = -ENOEXEC;
            have_load = true;
            break;
        case PT_INTERP:
            if (*interp_len) break;   /* the first counts */
            if (p.p_filesz < 2 || p.p_filesz > sizeof(out->interp)) goto out;
            *interp_off = p.p_offset;
            *interp_len = p.p_filesz;
            out->has_interp = true;
            break;
        case PT_GNU_STACK:
            out->has_gnu_stack = true;
            out->exec_stack = p.p_flags & PF_X;
            break;
        case PT_DYNAMIC:
            out->has_dynamic = true;
            break;
        default:
            break;
        }
    }
    if (!have_load) goto out;
    ret = 0;
out:
    elf_end(elf);
    return ret;
}

/* Exactly one terminated path. */
static int check_interp(struct elf_info *out, u64 len)
{
    return out->interp[len - 1] ? -ENOEXEC : 0;
}

/*
 * The private copy: the file header with the program headers right behind it, wherever they lie in the file. What
 * libelf sees is small and complete.
 */
static u8 *compact(const u8 *head, const u8 *ph, size_t phlen)
{
    u8 *copy = xzalloc(sizeof(Elf64_Ehdr) + phlen);
    u64 at = sizeof(Elf64_Ehdr);

    memcpy(copy, head, sizeof(Elf64_Ehdr));
    memcpy(copy + offsetof(Elf64_Ehdr, e_phoff), &at, sizeof(at));
    memcpy(copy + sizeof(Elf64_Ehdr), ph, phlen);
    return copy;
}

int elf_parse_mem(const u8 *data, size_t len, struct elf_info *out)
{
    u64 phoff, phlen, ioff, ilen;
    AUTO_FREE u8 *copy = NULL;
    int r = check_ehdr(data, len, &phoff, &phlen);

    if (r) return r;
    if (phoff + phlen > len) return -ENOEXEC;
    copy = compact(data, data + phoff, phlen);
    if ((r = parse_copy(copy, sizeof(Elf64_Ehdr) + phlen, out, &ioff, &ilen))) return r;
    out->phoff = phoff;
    if (!ilen) return 0;
    if (ioff > len || ilen > len - ioff) return -EIO;
    memcpy(out->interp, data + ioff, ilen);
    return check_interp(out, ilen);
}

static int read_exact(struct file *f, void *buf, size_t n, u64 off)
{
    ssize_t r = vfs_kernel_read(f, buf, n, off);
    return r < 0 ? (int)r : (size_t)r == n ? 0 : -EIO;
}

int elf_parse(struct file *f, const u8 *head, size_t head_len, struct elf_info *out)
{
    u64 phoff, phlen, ioff, ilen;
    AUTO_FREE u8 *copy = NULL;
    int r;

    if ((r = check_ehdr(head, head_len, &phoff, &phlen))) return r;
    if (phoff + phlen <= head_len) {
        copy = compact(head, head + phoff, phlen);
    } else {
        AUTO_FREE u8 *ph = xzalloc(phlen);
        if ((r = read_exact(f, ph, phlen, phoff))) return r == -EIO ? -ENOEXEC : r;
        copy = compact(head, ph, phlen);
    }
    if ((r = parse_copy(copy, sizeof(Elf64_Ehdr) + phlen, out, &ioff, &ilen))) return r;
    out->phoff = phoff;
    if (!ilen) return 0;
    if ((r = read_exact(f, out->interp, ilen, ioff))) return r;
    return check_interp(out, ilen);
}
