/* Mirrors sentry/loader/elf_parse.c: a good image, then every header byte corrupted in every way that matters. */
#include "sentry/loader/loader.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

ssize_t vfs_kernel_read(struct file *f UNUSED, void *buf UNUSED, size_t n UNUSED, u64 off UNUSED) { return -EIO; }

#define NPH 4
struct image { Elf64_Ehdr e; Elf64_Phdr p[NPH]; char interp[32]; };

static void good(struct image *m)
{
    memset(m, 0, sizeof(*m));
    memcpy(m->e.e_ident, ELFMAG "\2\1\1", 7);
    m->e.e_type = ET_DYN;
    m->e.e_machine = EM_X86_64;
    m->e.e_version = 1;
    m->e.e_ehsize = sizeof(m->e);
    m->e.e_phoff = offsetof(struct image, p);
    m->e.e_phentsize = sizeof(Elf64_Phdr);
    m->e.e_phnum = NPH;
    m->e.e_entry = 0x1000;
    strcpy(m->interp, "/lib/ld.so");
    m->p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 0x2000, .p_memsz = 0x2000, .p_align = 0x1000 };
    m->p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2e00, .p_vaddr = 0x3e00, .p_filesz = 0x300,
                            .p_memsz = 0x900, .p_align = 0x1000 };
    m->p[2] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = offsetof(struct image, interp), .p_filesz = 11 };
    m->p[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
}

static struct elf_info info;
static int parse(const struct image *m) { return elf_parse_mem((const u8 *)m, sizeof(*m), &info); }

static void accepts(void **s UNUSED)
{
    struct image m;

    good(&m);
    assert_int_equal(parse(&m), 0);
    assert_int_equal(info.nseg, NPH);
    assert_string_equal(info.interp, "/lib/ld.so");
    assert_true(info.has_gnu_stack && !info.exec_stack);
    assert_int_equal(info.phoff, offsetof(struct image, p));
}

static void refuses(void **s UNUSED)
{
    struct image m;

    good(&m), m.e.e_machine = EM_AARCH64;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.e.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.e.e_phnum = 0;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.e.e_phnum = 60000;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.e.e_phoff = ~0ULL - 8;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.p[1].p_memsz = 0x10;
    assert_int_equal(parse(&m), -EINVAL);
    good(&m), m.p[1].p_vaddr = ~0ULL - 0x1ff;
    assert_int_equal(parse(&m), -EINVAL);
    good(&m), m.p[1].p_vaddr = 0x3e08;
    assert_int_equal(parse(&m), -EINVAL);
    good(&m), m.p[1].p_vaddr = 0xe00;
    assert_int_equal(parse(&m), 0);   /* overlaps the first: as mmap would have it */
    good(&m), m.p[2].p_filesz = 10;
    assert_int_equal(parse(&m), -ENOEXEC);   /* not terminated */
    good(&m), m.p[2].p_filesz = 1;
    assert_int_equal(parse(&m), -ENOEXEC);
    good(&m), m.p[2].p_offset = 1 << 20;
    assert_int_equal(parse(&m), -EIO);
    for (size_t n = 0; n < sizeof(Elf64_Ehdr) + sizeof(m.p); n++) {
        good(&m);
        assert_int_not_equal(elf_parse_mem((const u8 *)&m, n, &info), 0);
    }
}

/* Whatever a byte becomes: no crash, and what is accepted keeps its promises. */
static void every_byte(void **s UNUSED)
{
    struct image m;

    for (size_t at = 0; at < sizeof(m); at++)
        for (unsigned v = 0; v < 256; v++) {
            good(&m);
            ((u8 *)&m)[at] = (u8)v;
            if (parse(&m)) continue;
            assert_in_range(info.nseg, 1, IMAGE_MAX_PHDRS);
            for (unsigned i = 0; i < info.nseg; i++) {
                const struct elf_segment *g = &info.seg[i];
                if (g->type != PT_LOAD) continue;
                assert_true(g->filesz <= g->memsz && g->vaddr + g->memsz >= g->vaddr && g->off + g->filesz >= g->off);
            }
        }
}

int main(void)
{
    const struct CMUnitTest t[] = { cmocka_unit_test(accepts), cmocka_unit_test(refuses), cmocka_unit_test(every_byte) };
    return cmocka_run_group_tests(t, NULL, NULL);
}
