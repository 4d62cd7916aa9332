/*
 * Program images. The neutral part: reads headers into a private bounded copy, checks every offset (with libelf), maps
 * segments; `#!` scripts. What a stack or an auxv looks like is the ABI's business (abi->load).
 */
#ifndef SUNDOG_LOADER_H
#define SUNDOG_LOADER_H

#include "sentry/base/types.h"

struct abi;
struct file;
struct mm;

#define IMAGE_MAX_PHDRS 128

struct elf_segment { u32 type, flags; u64 off, vaddr, filesz, memsz, align; };
struct elf_info {
    u16 type, machine; u8 osabi;
    gaddr_t entry; u64 phoff; u16 phnum, phentsize;
    struct elf_segment seg[IMAGE_MAX_PHDRS]; unsigned nseg;
    char interp[4096];                 /* "" if none */
    bool exec_stack; bool has_gnu_stack;
    bool has_dynamic;
    bool has_interp;                   /* there is a PT_INTERP, though its path may be "" */
};

struct exec_image {
    struct file *file;                 /* the ELF file itself (after scripts) */
    struct elf_info elf;
    u8 head[4096]; size_t head_len;
    char **argv, **envp; int argc, envc;
    const char *execfn;
    bool secure;                       /* AT_SECURE */
    const struct abi *abi;
    struct mm *mm;                     /* being filled; becomes current's */
    bool late;                         /* set by abi->load: what fails now does so when the old image is gone on the real system */
    /* filled by abi->load: */
    gaddr_t entry, sp;
};

/*
 * 0; -ENOEXEC (not ours or malformed), -EIO (truncated), -ELIBBAD for interpreters, -EINVAL (a segment that cannot be mapped).
 * Never trusts an offset. Segments may overlap: those that come later replace.
 */
int elf_parse(struct file *f, const u8 *head, size_t head_len, struct elf_info *out);
int elf_parse_mem(const u8 *data, size_t len, struct elf_info *out);       /* whole headers in memory: unit tests, fuzzing */
/* One log line naming what an ELF image is that no ABI here runs (other machine, 32-bit); silent for anything else. */
void elf_explain_foreign(const u8 *head, size_t len);
/* Maps PT_LOADs at `bias` (0 for ET_EXEC). bias chosen by the loader when *bias==~0. Sets code/data/brk if main. */
int elf_map(struct mm *mm, struct file *f, const struct elf_info *e, gaddr_t *bias, bool main_image, gaddr_t *phdr_addr);

#endif
