/* What the files that write Linux core files share. */
#ifndef SUNDOG_LINUX_CORE_H
#define SUNDOG_LINUX_CORE_H

#include "abi/linux/linux.h"
#include "sentry/base/strbuf.h"
#include "sentry/kernel/coredump.h"
#include <sys/mman.h>

struct core_vma {
    gaddr_t start, end;
    u64 off, dump;             /* bytes: in the file mapped; that go into the core */
    u32 prot, flags;
    struct file *file;         /* counted */
    bool special, object, touched;   /* the kernel's own; mapped from something; has pages of its own */
};
struct core_vmas { struct core_vma *v; size_t n, room; };

/* All notes, of all threads, the dumping one first. */
void linux_core_notes(const struct core_dump *c, const struct core_vmas *l, struct strbuf *out);

#endif
