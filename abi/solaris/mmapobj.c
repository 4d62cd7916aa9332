/*
 * mmapobj(fd, flags, results, &n, arg): maps a whole ELF object as its program headers say. What the real ld.so.1 loads
 * libraries with. Source: mmapobj(2), uts/common/os/mmapobj.c.
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/loader/loader.h"
#include <elf.h>
#include <sys/mman.h>

#define MMOBJ_PADDING 0x10000u
#define MMOBJ_INTERPRET 0x20000u
#define MR_HDR_ELF 2u

/* Not interpreted: the file as it is, read-only. */
static sysret_t map_flat(struct file *f, const struct syscall_args *a, u32 room)
{
    struct sol_mmapobj_result m = { .prot = PROT_READ };
    struct kstat st;
    u32 one = 1;
    int r = vfs_stat_file(f, &st);

    if (r) return r;
    if (!st.size) return -ENOTSUP;
    if (copy_out(a->a[3], &one, sizeof(one))) return -EFAULT;
    if (!room) return -E2BIG;
    struct mm_map_req req = { .len = st.size, .prot = PROT_READ, .flags = MAP_PRIVATE, .file = f };
    if ((r = vfs_mmap_prepare(f, &req))) return r;
    sysret_t at = mm_map(current->mm, &req);
    if (at < 0) return at;
    m.addr = (u64)at;
    m.msize = m.fsize = st.size;
    return copy_out(a->a[2], &m, sizeof(m));
}

static bool occupied(const struct elf_info *e)
{
    struct mm *mm = current->mm;
    bool hit = false;

    read_lock(&mm->lock);
    for (unsigned i = 0; i < e->nseg && !hit; i++) {
        const struct elf_segment *s = &e->seg[i];
        if (s->type != PT_LOAD) continue;
        for (gaddr_t p = gpage_down(s->vaddr); p < s->vaddr + s->memsz && !hit; p += GPAGE_SIZE) hit = mm_find_vma_locked(mm, p);
    }
    rw_unlock(&mm->lock);
    return hit;
}

sysret_t solaris_mmapobj(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1), room, n = 0;
    AUTO_FREE struct elf_info *e = xnew(struct elf_info);
    u8 head[4096];
    gaddr_t bias = ~0ULL, phdr;
    int r;

    if (flags & ~(MMOBJ_PADDING | MMOBJ_INTERPRET)) return -EINVAL;
    if (flags & MMOBJ_PADDING && !(flags & MMOBJ_INTERPRET)) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (!(f->mode & FMODE_READ)) return -EACCES;
    if (!S_ISREG(f->inode->mode)) return -ENODEV;
    if (copy_in(&room, a->a[3], sizeof(room))) return -EFAULT;
    if (!(flags & MMOBJ_INTERPRET)) return map_flat(f, a, room);
    ssize_t len = vfs_kernel_read(f, head, sizeof(head), 0);
    if (len < 0) return len;
    if (elf_parse(f, head, (size_t)len, e) || e->machine != EM_X86_64) return -EOPNOTSUPP;   /* ENOTSUP there */
    for (unsigned i = 0; i < e->nseg; i++) n += e->seg[i].type == PT_LOAD;
    if (copy_out(a->a[3], &n, sizeof(n))) return -EFAULT;
    if (!n) return -EOPNOTSUPP;
    if (room < n) return -E2BIG;
    if (e->type == ET_EXEC) {
        bias = 0;
        if (occupied(e)) return -EADDRINUSE;
    }
    if ((r = elf_map(current->mm, f, e, &bias, false, &phdr))) return r;
    n = 0;
    for (unsigned i = 0; i < e->nseg; i++) {
        const struct elf_segment *s = &e->seg[i];
        if (s->type != PT_LOAD) continue;
        u64 off = s->vaddr & (GPAGE_SIZE - 1);
        struct sol_mmapobj_result m = {
            .addr = bias + s->vaddr - off, .msize = s->memsz + off, .fsize = s->filesz, .offset = off, .prot = s->flags & PF_R ? PROT_READ : 0,
            .flags = s->off - MIN(s->off, off) == 0 ? MR_HDR_ELF : 0,
        };
        m.prot |= (s->flags & PF_W ? PROT_WRITE : 0u) | (s->flags & PF_X ? PROT_EXEC : 0u);
        if (copy_out(a->a[2] + n++ * sizeof(m), &m, sizeof(m))) return -EFAULT;
    }
    return 0;
}
