/* Fuzzes the ELF header parser: any bytes, no crash, and no accepted segment out of bounds. */
#include "sentry/loader/loader.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <stdlib.h>

ssize_t vfs_kernel_read(struct file *f UNUSED, void *buf UNUSED, size_t n UNUSED, u64 off UNUSED) { return -EIO; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct elf_info info;

    elf_explain_foreign(data, size);
    if (elf_parse_mem(data, size, &info)) return 0;
    for (unsigned i = 0; i < info.nseg; i++) {
        const struct elf_segment *s = &info.seg[i];
        if (s->type == PT_LOAD && (s->filesz > s->memsz || s->vaddr + s->memsz < s->vaddr)) abort();
    }
    return 0;
}
