/*
 * Core files of Linux processes: an ELF file of notes and of the memory that the filter asks for.
 * Source: elf_core_dump() of fs/binfmt_elf.c, vma_dump_size() of fs/coredump.c, <linux/elfcore.h>.
 */
#include "abi/linux/core.h"
#include "sentry/base/alloc.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <string.h>

#define CHUNK (64u << 10)

static bool has_elf_header(struct mm *mm, const struct core_vma *v)
{
    char magic[SELFMAG];

    return mm_copy_in(mm, magic, v->start, SELFMAG) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG);
}

/* vma_dump_size(): how much of it goes in. */
static u64 dump_size(struct mm *mm, const struct core_vma *v)
{
    u64 whole = v->end - v->start;
    u32 filter = atomic_load(&mm->core_filter);

    if (v->special) return whole;
    if (v->flags & VMA_DONTDUMP) return 0;
    if (v->flags & VMA_SHARED) {
        bool unnamed = !v->file || !v->file->inode || v->file->inode->nlink == 0 || !v->file->path.dentry || v->file->path.dentry->deleted;
        return filter & (unnamed ? CORE_ANON_SHARED : CORE_FILE_SHARED) ? whole : 0;
    }
    if (v->touched && (filter & CORE_ANON_PRIVATE)) return whole;
    if (!v->file) return 0;
    if (filter & CORE_FILE_PRIVATE) return whole;
    if ((filter & CORE_ELF_HEADERS) && v->off == 0 && (v->prot & PROT_READ) && has_elf_header(mm, v)) return GPAGE_SIZE;
    return 0;
}

static bool note_vma(struct vma *v, void *arg)
{
    struct core_vmas *l = arg;

    if (l->n == l->room) l->v = xrealloc(l->v, (l->room = MAX(2 * l->room, 64u)) * sizeof(*l->v));
    struct core_vma *o = &l->v[l->n++];
    *o = (struct core_vma){ .start = v->start, .end = v->end, .off = v->off, .prot = v->prot, .flags = v->flags, .file = v->file,
                            .special = (v->flags & VMA_SPECIAL) && v->name, .object = v->obj != NULL,
                            .touched = !(v->flags & VMA_SHARED) && mm_has_private_locked(v->mm, v->start, v->end) };
    if (o->file) file_get(o->file);
    return true;
}

/* Pages that exist; of an object all, which may mean to read its file. What cannot be read is left out, as a hole. */
static bool write_pages(struct core_dump *c, struct mm *mm, const struct core_vma *v)
{
    AUTO_FREE u8 *buf = xzalloc(CHUNK);

    for (gaddr_t at = v->start, end = v->start + v->dump; at < end;) {
        bool present = true;
        u64 n = MIN(end - at, (u64)CHUNK);
        if (!v->object) {
            read_lock(&mm->lock);
            u64 run = mm_present_run_locked(mm, at, end, &present);
            rw_unlock(&mm->lock);
            n = present ? MIN(run, (u64)CHUNK) : run;
        }
        if (present && mm_copy_in_force(mm, buf, at, n) < n) {
            if (n > GPAGE_SIZE) n = GPAGE_SIZE;   /* page by page around what is not there */
            present = mm_copy_in_force(mm, buf, at, n) == n;
        }
        if (!(present ? core_emit(c, buf, n) : core_skip(c, n))) return false;
        at += n;
    }
    return true;
}

static bool write_headers(struct core_dump *c, const struct core_vmas *l, u64 notes_at, u64 notes_len, u64 data_at)
{
    u64 n = l->n + 1;
    bool many = n >= PN_XNUM;
    Elf64_Ehdr eh = { .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
                      .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = many ? PN_XNUM : (u16)n };
    Elf64_Phdr ph = { .p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_len, .p_align = 4 };
    /* The count that has no room in the header stands in the only section's. */
    Elf64_Shdr sh = { .sh_info = (u32)n };

    memcpy(eh.e_ident, (const u8[]){ ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE }, 8);
    if (many) {
        eh.e_shoff = notes_at - sizeof(sh);
        eh.e_shentsize = sizeof(sh);
        eh.e_shnum = 1;
    }
    if (!core_emit(c, &eh, sizeof(eh)) || !core_emit(c, &ph, sizeof(ph))) return false;
    for (size_t i = 0; i < l->n; i++) {
        const struct core_vma *v = &l->v[i];
        ph = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = data_at, .p_vaddr = v->start, .p_filesz = v->dump, .p_memsz = v->end - v->start,
                           .p_flags = (v->prot & PROT_READ ? PF_R : 0u) | (v->prot & PROT_WRITE ? PF_W : 0u) | (v->prot & PROT_EXEC ? PF_X : 0u),
                           .p_align = GPAGE_SIZE };
        data_at += v->dump;
        if (!core_emit(c, &ph, sizeof(ph))) return false;
    }
    return !many || core_emit(c, &sh, sizeof(sh));
}

/* The file ends where its last mapping does, also if that is a hole. */
static void set_size(struct core_dump *c, u64 size)
{
    if (c->pos == size && c->file->inode->size < size) (void)vfs_ftruncate(c->file, size);
}

void linux_core(struct core_dump *c)
{
    struct mm *mm = current->mm;
    struct core_vmas l = { 0 };
    struct strbuf notes = { 0 };
    u64 data = 0;

    mm_for_each_vma(mm, note_vma, &l);
    for (size_t i = 0; i < l.n; i++) data += l.v[i].dump = dump_size(mm, &l.v[i]);
    linux_core_notes(c, &l, &notes);
    u64 notes_at = sizeof(Elf64_Ehdr) + (l.n + 1) * sizeof(Elf64_Phdr) + (l.n + 1 >= PN_XNUM ? sizeof(Elf64_Shdr) : 0);
    u64 data_at = gpage_up(notes_at + notes.len);
    bool ok = write_headers(c, &l, notes_at, notes.len, data_at) && core_emit(c, notes.s, notes.len) && core_skip(c, data_at - c->pos);
    for (size_t i = 0; ok && i < l.n; i++) ok = write_pages(c, mm, &l.v[i]);
    if (ok) set_size(c, data_at + data);
    strbuf_fini(&notes);
    for (size_t i = 0; i < l.n; i++)
        if (l.v[i].file) file_put(l.v[i].file);
    free(l.v);
}
