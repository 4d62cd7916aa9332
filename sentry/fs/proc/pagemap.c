/* /proc/PID/pagemap, and the ioctl that asks /proc/PID/maps for one mapping. Documentation/admin-guide/mm/pagemap.rst, proc_pid_pagemap(5) */
#include "sentry/base/alloc.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/mm/usercopy.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#define CHUNK 512u

static ssize_t pagemap_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    u64 entries[CHUNK];
    ssize_t done = 0;

    if (*pos % 8 || u->resid % 8) return -EINVAL;
    struct mm *mm = proc_mm_get(synth_node_of(f->inode));
    if (!mm) return 0;
    while (u->resid && *pos / 8 < mm->addr_limit >> GPAGE_SHIFT) {
        u64 page = *pos / 8, n = MIN(u->resid / 8, (mm->addr_limit >> GPAGE_SHIFT) - page);
        n = MIN(n, (u64)CHUNK);
        mm_pagemap(mm, page << GPAGE_SHIFT, n, entries);
        ssize_t r = uio_copy_out(u, entries, n * 8);
        if (r > 0) {
            *pos += (u64)r;
            done += r;
        }
        if (r != (ssize_t)(n * 8)) {
            if (!done) done = r < 0 ? r : -EFAULT;
            break;
        }
        if (signal_pending(current)) break;
    }
    mm_put(mm);
    return done;
}

static s64 pagemap_llseek(struct file *f, s64 off, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR) return -EINVAL;
    s64 to = whence == SEEK_SET ? off : (s64)f->pos + off;
    if (to < 0) return -EINVAL;
    f->pos = (u64)to;              /* vfs_llseek holds the position's lock */
    return to;
}
const struct file_ops proc_pagemap_fops = { .read = pagemap_read, .llseek = pagemap_llseek, .seekable = true };

/* --- PROCMAP_QUERY: include/uapi/linux/fs.h --- */

struct procmap_query {
    u64 size, query_flags, query_addr;
    u64 vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    u32 dev_major, dev_minor, vma_name_size, build_id_size;
    u64 vma_name_addr, build_id_addr;
};
_Static_assert(sizeof(struct procmap_query) == 104, "struct procmap_query");
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)
enum { Q_READABLE = 1, Q_WRITABLE = 2, Q_EXECUTABLE = 4, Q_SHARED = 8, Q_COVERING_OR_NEXT = 16, Q_FILE_BACKED = 32, Q_ALL = 63 };

static u64 flags_of(const struct vma *v)
{
    return (v->prot & PROT_READ ? Q_READABLE : 0) | (v->prot & PROT_WRITE ? Q_WRITABLE : 0) | (v->prot & PROT_EXEC ? Q_EXECUTABLE : 0) |
        (v->flags & VMA_SHARED ? Q_SHARED : 0);
}

struct find { const struct procmap_query *q; struct vma found; bool any; };

static bool look(struct vma *v, void *arg)
{
    struct find *f = arg;
    u64 want = f->q->query_flags & (Q_READABLE | Q_WRITABLE | Q_EXECUTABLE | Q_SHARED);

    if (v->end <= f->q->query_addr) return true;
    bool covers = v->start <= f->q->query_addr;
    if (!covers && !(f->q->query_flags & Q_COVERING_OR_NEXT)) return false;
    bool fits = (flags_of(v) & want) == want && (!(f->q->query_flags & Q_FILE_BACKED) || v->file);
    if (!fits) return f->q->query_flags & Q_COVERING_OR_NEXT;
    f->found = *v;
    if (v->file) file_get(v->file);
    if (v->anon_name) f->found.anon_name = xstrdup(v->anon_name);
    f->any = true;
    return false;
}

/* The name with its NUL into the caller's buffer, which must have room for all of it. */
static sysret_t name_out(struct procmap_query *q, const struct vma *v)
{
    struct strbuf b = { 0 };
    proc_vma_name(&b, v);
    size_t n = b.len ? b.len + 1 : 0;
    sysret_t r = n > q->vma_name_size ? -ENAMETOOLONG : n && copy_out(q->vma_name_addr, b.s, n) ? -EFAULT : 0;
    q->vma_name_size = (u32)n;
    strbuf_fini(&b);
    return r;
}

sysret_t proc_maps_ioctl(struct synth_node *n, u32 cmd, gaddr_t arg)
{
    struct procmap_query q = { 0 };
    u64 size;

    if (cmd != PROCMAP_QUERY) return -ENOTTY;
    if (copy_in(&size, arg, sizeof size)) return -EFAULT;
    if (size > GPAGE_SIZE) return -E2BIG;
    if (size < offsetof(struct procmap_query, query_addr) + 8) return -EINVAL;
    if (copy_in(&q, arg, MIN(size, (u64)sizeof q))) return -EFAULT;
    if ((q.query_flags & ~(u64)Q_ALL) || !!q.vma_name_size != !!q.vma_name_addr || !!q.build_id_size != !!q.build_id_addr) return -EINVAL;
    struct mm *mm = proc_mm_get(n);
    if (!mm) return -ESRCH;
    struct find f = { .q = &q };
    mm_for_each_vma(mm, look, &f);
    mm_put(mm);
    if (!f.any) return -ENOENT;
    const struct vma *v = &f.found;
    u64 dev = v->file ? v->file->inode->sb->dev : 0;
    q.vma_start = v->start, q.vma_end = v->end, q.vma_flags = flags_of(v), q.vma_page_size = GPAGE_SIZE;
    q.vma_offset = v->obj ? v->off : 0;
    q.inode = v->file ? v->file->inode->ino : 0;
    q.dev_major = major(dev), q.dev_minor = minor(dev);
    q.build_id_size = 0;           /* nobody looks into the image for one */
    sysret_t r = q.vma_name_size ? name_out(&q, v) : 0;
    if (v->file) file_put(v->file);
    free(v->anon_name);
    if (!r && copy_out(arg, &q, MIN(size, (u64)sizeof q))) r = -EFAULT;
    return r;
}
