/* /proc/PID/maps, smaps, smaps_rollup and mem. proc_pid_maps(5), proc_pid_smaps(5), proc_pid_mem(5) */
#include "sentry/base/alloc.h"
#include "sentry/fs/proc/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

/* Private or shared is the pages' affair: those of an object that nobody else maps are private, also in a shared mapping. */
struct smaps_kind { bool anon, shared, dirty; };
struct smaps_parts { unsigned long long anon, shared[2], private[2]; };   /* kB; clean, dirty */
/* What one line shows, taken under the address space's lock. Paths are looked up after it: that takes outer locks. */
struct seen_vma { struct vma v; u64 rss_kb; struct smaps_kind kind; };   /* v: a copy with its own file and anon_name */
struct maps_ctx {
    struct strbuf *b; struct path root; bool smaps;
    struct seen_vma *seen; size_t nseen, room;
    struct smaps_parts parts; u64 locked_kb;
};

/* buf: KPATH_MAX. NULL: it has none. */
static const char *label_of(const struct vma *v, const struct path *root, char *buf)
{
    const char *label = v->name;
    if (v->file) {
        struct path p;
        file_get_path(v->file, &p);
        if (vfs_path_text(&p, root, buf, KPATH_MAX) >= 0) label = buf;
        path_put(&p);
    } else if (v->flags & VMA_HEAP) {
        label = "[heap]";
    } else if (v->flags & VMA_STACK) {
        label = "[stack]";
    } else if (v->anon_name) {
        snprintf(buf, KPATH_MAX, "[anon:%s]", v->anon_name);
        label = buf;
    }
    return label;
}

void proc_vma_name(struct strbuf *b, const struct vma *v)
{
    char buf[KPATH_MAX];
    struct path root;
    fs_get_root(current->fs, &root);
    const char *label = label_of(v, &root, buf);
    if (label) strbuf_printf(b, "%s", label);
    path_put(&root);
}

static void vma_label(struct maps_ctx *c, const struct vma *v, size_t line_start)
{
    char buf[KPATH_MAX];
    const char *label = label_of(v, &c->root, buf);
    if (!label) {
        strbuf_printf(c->b, "\n");
        return;
    }
    size_t col = c->b->len - line_start;
    strbuf_printf(c->b, "%*s%s\n", (int)(col < 73 ? 73 - col : 1), "", label);
}

static void vma_line(struct maps_ctx *c, const struct vma *v)
{
    size_t start = c->b->len;
    u64 dev = v->file ? v->file->inode->sb->dev : 0, ino = v->file ? v->file->inode->ino : 0;
    strbuf_printf(c->b, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu", (unsigned long long)v->start, (unsigned long long)v->end,
                  v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-', v->prot & PROT_EXEC ? 'x' : '-',
                  v->flags & VMA_SHARED ? 's' : 'p', (unsigned long long)(v->obj ? v->off : 0), major(dev), minor(dev), (unsigned long long)ino);
    vma_label(c, v, start);
}

static void vm_flags(struct strbuf *b, const struct vma *v)
{
    strbuf_printf(b, "VmFlags: %s%s%s%s%s%s%s%s%s%s%s%s%s\n", v->prot & PROT_READ ? "rd " : "", v->prot & PROT_WRITE ? "wr " : "",
                  v->prot & PROT_EXEC ? "ex " : "",
                  (v->flags & VMA_SHARED) && (v->max_prot & PROT_WRITE) ? "sh " : "", "mr ",
                  v->max_prot & PROT_WRITE ? "mw " : "", "me ", v->flags & VMA_SHARED ? "ms " : "", v->flags & VMA_GROWSDOWN ? "gd " : "", v->flags & VMA_LOCKED ? "lo " : "",
                  v->flags & VMA_DONTFORK ? "dc " : "", v->flags & VMA_WIPEONFORK ? "wf " : "", v->flags & VMA_SEALED ? "sl " : "");
}

static void add_part(struct smaps_parts *p, struct smaps_kind k, u64 kb)
{
    (k.shared ? p->shared : p->private)[k.dirty] += kb;
    if (k.anon) p->anon += kb;
}

static void smaps_numbers(struct strbuf *b, u64 size, const struct smaps_parts *p, u64 locked, bool rollup)
{
    unsigned long long r = p->shared[0] + p->shared[1] + p->private[0] + p->private[1];
    if (!rollup) strbuf_printf(b, "Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", (unsigned long long)size);
    strbuf_printf(b, "Rss:            %8llu kB\nPss:            %8llu kB\nPss_Dirty:      %8llu kB\n", r, r, p->shared[1] + p->private[1]);
    strbuf_printf(b, "Shared_Clean:   %8llu kB\nShared_Dirty:   %8llu kB\nPrivate_Clean:  %8llu kB\nPrivate_Dirty:  %8llu kB\n", p->shared[0], p->shared[1],
                  p->private[0], p->private[1]);
    strbuf_printf(b, "Referenced:     %8llu kB\nAnonymous:      %8llu kB\nKSM:                   0 kB\nLazyFree:              0 kB\nAnonHugePages:         0 kB\n"
                     "ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
                     "Swap:                  0 kB\nSwapPss:               0 kB\nLocked:         %8llu kB\n", r, p->anon, (unsigned long long)locked);
}

static void show_vma(struct maps_ctx *c, const struct seen_vma *seen)
{
    const struct vma *v = &seen->v;
    vma_line(c, v);
    if (!c->smaps) return;
    struct smaps_parts p = { 0 };
    add_part(&p, seen->kind, seen->rss_kb);
    smaps_numbers(c->b, (v->end - v->start) / 1024, &p, v->flags & VMA_LOCKED ? seen->rss_kb : 0, false);
    strbuf_printf(c->b, "THPeligible:           0\n");
    vm_flags(c->b, v);
}

static struct smaps_kind kind_of(const struct vma *v)
{
    if (!v->obj) return (struct smaps_kind){ .anon = true, .dirty = true };
    lock(&v->obj->lock);
    const struct vma *first = LIST_FIRST(&v->obj->vmas);
    bool alone = !first || !LIST_NEXT(first, obj_link);
    unlock(&v->obj->lock);
    return (struct smaps_kind){ .shared = !alone, .dirty = (v->flags & VMA_SHARED) && (v->prot & PROT_WRITE) };
}

static bool see_vma(struct vma *v, void *arg)
{
    struct maps_ctx *c = arg;
    if (c->nseen == c->room) {
        c->room = c->room ? 2 * c->room : 64;
        c->seen = xrealloc(c->seen, c->room * sizeof(*c->seen));
    }
    struct seen_vma *s = &c->seen[c->nseen++];
    *s = (struct seen_vma){ .v = *v };
    if (v->file) file_get(v->file);
    if (v->anon_name) s->v.anon_name = xstrdup(v->anon_name);
    if (c->smaps) s->kind = kind_of(v);
    if (c->smaps) s->rss_kb = mm_resident_locked(v->mm, v->start, v->end) * (GPAGE_SIZE / 1024);
    return true;
}

static bool sum_vma(struct vma *v, void *arg)
{
    struct maps_ctx *c = arg;
    u64 rss = mm_resident_locked(v->mm, v->start, v->end) * (GPAGE_SIZE / 1024);
    add_part(&c->parts, kind_of(v), rss);
    if (v->flags & VMA_LOCKED) c->locked_kb += rss;
    return true;
}

static int show(struct synth_node *n, struct strbuf *b, bool smaps)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return 0;
    struct maps_ctx c = { .b = b, .smaps = smaps };
    fs_get_root(current->fs, &c.root);
    mm_for_each_vma(mm, see_vma, &c);
    for (size_t i = 0; i < c.nseen; i++) {
        struct vma *v = &c.seen[i].v;
        show_vma(&c, &c.seen[i]);
        if (v->file) file_put(v->file);
        free(v->anon_name);
    }
    free(c.seen);
    path_put(&c.root);
    mm_put(mm);
    return 0;
}
int proc_show_maps(struct synth_node *n, struct strbuf *b) { return show(n, b, false); }
int proc_show_smaps(struct synth_node *n, struct strbuf *b) { return show(n, b, true); }

int proc_show_smaps_rollup(struct synth_node *n, struct strbuf *b)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return -ESRCH;
    struct maps_ctx c = { .b = b };
    mm_for_each_vma(mm, sum_vma, &c);
    strbuf_printf(b, "%08llx-%08llx ---p 00000000 00:00 0                          [rollup]\n", (unsigned long long)GUEST_ADDR_MIN,
                  (unsigned long long)mm->addr_limit);
    smaps_numbers(b, 0, &c.parts, c.locked_kb, true);
    mm_put(mm);
    return 0;
}

/* --- mem: the address space as a file; access was checked at open --- */

static ssize_t mem_io(struct file *f, struct uio *u, u64 *pos, bool write)
{
    struct mm *mm = proc_mm_get(synth_node_of(f->inode));
    if (!mm) return 0;
    ssize_t total = 0;
    while (u->resid) {
        u8 buf[4096];
        size_t n = MIN(u->resid, sizeof(buf) - (*pos & (sizeof(buf) - 1))), got;
        ssize_t r;
        if (write) {
            r = uio_copy_in(u, buf, n);
            if (r <= 0) {
                if (!total) total = r;
                break;
            }
            got = mm_copy_out_force(mm, *pos, buf, (size_t)r);
        } else {
            got = mm_copy_in(mm, buf, *pos, n);
            r = got ? uio_copy_out(u, buf, got) : 0;
            if (r < 0) {
                if (!total) total = r;
                break;
            }
        }
        if (!got) {
            if (!total) total = -EIO;
            break;
        }
        *pos += got;
        total += (ssize_t)got;
        if (got < n) break;
    }
    mm_put(mm);
    return total;
}
static ssize_t mem_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED) { return mem_io(f, u, pos, false); }
static ssize_t mem_write(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED) { return mem_io(f, u, pos, true); }
static s64 mem_llseek(struct file *f, s64 off, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR) return -EINVAL;
    f->pos = whence == SEEK_SET ? (u64)off : f->pos + (u64)off; /* vfs_llseek holds the position's lock */
    return (s64)f->pos;
}
const struct file_ops proc_mem_fops = { .read = mem_read, .write = mem_write, .llseek = mem_llseek, .seekable = true };
