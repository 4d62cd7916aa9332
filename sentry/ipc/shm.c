/*
 * System V shared memory. A segment is an unnamed file of tmpfs; an attachment is an open file on the same inode, which
 * its mappings hold. How often a segment is attached is the number of VMAs that map it, as in Linux. Follows ipc/shm.c.
 */
#include "sentry/base/alloc.h"
#include "sentry/ipc/ids.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/shm.h>

#ifndef SHM_DEST
#define SHM_DEST 01000
#define SHM_LOCKED 02000
#endif

struct shm {
    struct ipc_object obj;
    struct file *file;             /* (c) owned: keeps the inode */
    u64 size;                      /* (c) */
    s64 atime, dtime, ctime;       /* table lock, all */
    s32 cpid, lpid;
    const struct task *maker;      /* never looked into; NULL: it has ended */
};

static struct ipc_table table = IPC_TABLE_INIT(IPC_KIND_SHM);

static struct shm *shm_of(struct ipc_object *o) { return container_of(o, struct shm, obj); }

static void shm_put(struct shm *s)
{
    if (!ref_put(&s->obj.refs)) return;
    file_put(s->file);
    free(s);
}

static u64 nattch(struct shm *s)
{
    struct mappable *m = &s->file->inode->map;
    struct vma *v;
    u64 n = 0;

    lock(&m->lock);
    LIST_FOREACH(v, &m->vmas, obj_link) n++;
    unlock(&m->lock);
    return n;
}

static void remove_locked(struct shm *s)
{
    if (s->obj.set) s->obj.set->kind[IPC_KIND_SHM].total -= gpage_up(s->size) >> GPAGE_SHIFT;
    ipc_remove_locked(&table, &s->obj);
}

static bool forced_locked(const struct shm *s) { return s->obj.set && atomic_load(&s->obj.set->shm_rmid_forced); }

/* --- attachments --- */

/* A mapping went. The last one of a segment that was removed, or is under shm_rmid_forced, takes it along. */
static void unmapped(struct file *f)
{
    struct shm *s = f->priv;
    bool gone = false;

    lock(&table.lock);
    s->dtime = ipc_seconds();
    if (current) s->lpid = current->tg->tgid;
    if (!s->obj.removed && ((s->obj.perm.mode & SHM_DEST) || forced_locked(s)) && !nattch(s)) {
        remove_locked(s);
        gone = true;
    }
    unlock(&table.lock);
    if (gone) shm_put(s);
}

/* Also for one that never was mapped. */
static void release(struct file *f)
{
    unmapped(f);
    shm_put(f->priv);
}

static const struct file_ops shm_file_ops = { .unmapped = unmapped, .release = release };

static struct file *attachment_new(struct shm *s, u32 flags)
{
    struct inode *i = s->file->inode;
    char name[16];
    struct path p;

    snprintf(name, sizeof name, "SYSV%08x", (u32)s->obj.perm.key);
    inode_get(i);
    mount_get(s->file->path.mnt);
    p = (struct path){ s->file->path.mnt, dentry_new_disconnected(i->sb, name, i, true) };
    struct file *f = file_new(&shm_file_ops, &p, i, flags & SHM_RDONLY ? O_RDONLY : O_RDWR);
    path_put(&p);
    f->priv = s;
    ref_get(&s->obj.refs);
    return f;
}

sysret_t shm_attach(s32 id, gaddr_t addr, u32 flags)
{
    struct mm_map_req req = { .flags = MAP_SHARED, .prot = PROT_READ | PROT_WRITE };
    u32 want = IPC_R | IPC_W;
    sysret_t r;

    if (id < 0) return -EINVAL;
    if (addr) {
        if (addr & ~GPAGE_MASK) {
            if (!(flags & SHM_RND)) return -EINVAL;
            addr &= GPAGE_MASK;
            if (!addr && (flags & SHM_REMAP)) return -EINVAL;
        }
        req.flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    } else if (flags & SHM_REMAP) {
        return -EINVAL;
    }
    if (flags & SHM_RDONLY) {
        req.prot = PROT_READ;
        req.max_prot = PROT_READ | PROT_EXEC;
        want = IPC_R;
    }
    if (flags & SHM_EXEC) {
        req.prot |= PROT_EXEC;
        want |= IPC_X;
    }

    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    r = o ? ipc_check(&o->perm, want) : -EINVAL;
    struct file *f = r ? NULL : attachment_new(shm_of(o), flags);
    unlock(&table.lock);
    if (r) return r;
    struct shm *s = f->priv;

    req.addr = addr;
    req.len = s->size;
    req.file = f;
    req.obj = &f->inode->map;
    r = addr && addr + s->size < addr ? -EINVAL : mm_map(current->mm, &req);
    if (r == -EEXIST) r = -EINVAL;
    if (r >= 0) {
        lock(&table.lock);
        s->atime = ipc_seconds();
        s->lpid = current->tg->tgid;
        unlock(&table.lock);
    }
    file_put(f);
    return r;
}

struct shm_range { gaddr_t start, end; };
struct detach { gaddr_t addr; struct file *file; u64 size; struct shm_range *found; unsigned n, cap; };

static bool collect(struct vma *v, void *arg)
{
    struct detach *d = arg;

    if (v->start < d->addr) return true;
    if (d->file && v->start - d->addr >= d->size) return false;
    if (!v->file || v->file->ops != &shm_file_ops || v->start - d->addr != v->off) return true;
    if (d->file && v->file != d->file) return true;
    if (!d->file) {
        d->file = v->file;
        file_get(v->file);
        d->size = gpage_up(((struct shm *)v->file->priv)->size);
    }
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 4;
        d->found = xrealloc(d->found, d->cap * sizeof d->found[0]);
    }
    d->found[d->n++] = (struct shm_range){ v->start, v->end };
    return true;
}

sysret_t shm_detach(gaddr_t addr)
{
    struct detach d = { .addr = addr };

    if (addr & ~GPAGE_MASK) return -EINVAL;
    mm_for_each_vma(current->mm, collect, &d);
    for (unsigned i = 0; i < d.n; i++) (void)mm_unmap(current->mm, d.found[i].start, d.found[i].end - d.found[i].start);
    free(d.found);
    if (d.file) file_put(d.file);
    return d.n ? 0 : -EINVAL;
}

/* --- segments --- */

static int check_size(u64 size)
{
    if (size < SYSV_SHMMIN || size > atomic_load(&ipc_ns_settings()->shmmax) || gpage_up(size) < size) return -EINVAL;
    return 0;
}

static int make(u64 size, struct shm **out)
{
    struct shm *s = xnew(struct shm);
    int r = shmem_create_anon(gpage_up(size), &s->file);
    if (r) {
        free(s);
        return r == -ENOSPC || r == -EFBIG ? -ENOMEM : r;
    }
    s->size = size;
    s->cpid = current->tg->tgid;
    s->ctime = ipc_seconds();
    *out = s;
    return 0;
}

sysret_t shm_get(s32 key, u64 size, u32 flags)
{
    struct ipc_object *o = NULL;
    struct shm *fresh = NULL;
    sysret_t r;

    for (;;) {
        lock(&table.lock);
        r = ipc_lookup_key_locked(&table, key, flags, &o);
        if (r == 0) {
            if (shm_of(o)->size < size) r = -EINVAL;
            else r = ipc_check(&o->perm, flags);
            if (!r) r = o->perm.id;
        } else if (r == 1 && fresh) {
            const struct ipc_settings *set = ipc_ns_settings();
            u64 pages = gpage_up(size) >> GPAGE_SHIFT, total = ipc_count_locked(&table)->total + pages;
            if (total < pages || total > atomic_load(&set->shmall) || ipc_full_locked(&table, atomic_load(&set->shmmni))) {
                r = -ENOSPC;
            } else {
                ipc_insert_locked(&table, &fresh->obj, key, flags);
                fresh->maker = current;
                ipc_count_locked(&table)->total = total;
                r = fresh->obj.perm.id;
                fresh = NULL;
            }
        } else if (r == 1) {
            /* The file is made without the lock: it may wait for memory. */
            unlock(&table.lock);
            if ((r = check_size(size))) return r;
            if (flags & SHM_HUGETLB) return -ENOMEM;   /* no huge pages are reserved */
            if ((r = make(size, &fresh))) return r;
            continue;
        }
        unlock(&table.lock);
        break;
    }
    if (fresh) {
        file_put(fresh->file);
        free(fresh);
    }
    return r;
}

sysret_t shm_do_stat(s32 id, enum ipc_stat_how how, struct shm_stat *out)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_stat_locked(&table, id, how);
    sysret_t r = o ? 0 : -EINVAL;
    if (o && how != IPC_STAT_ANY) r = ipc_check(&o->perm, IPC_R);
    if (!r) {
        struct shm *s = shm_of(o);
        *out = (struct shm_stat){ .perm = o->perm, .size = s->size, .nattch = nattch(s), .atime = s->atime, .dtime = s->dtime,
            .ctime = s->ctime, .cpid = s->cpid, .lpid = s->lpid };
        r = o->perm.id;
    }
    unlock(&table.lock);
    return r;
}

sysret_t shm_set(s32 id, const struct ipc_set_k *set)
{
    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r) {
        ipc_apply_set(&o->perm, set);
        shm_of(o)->ctime = ipc_seconds();
    }
    unlock(&table.lock);
    return r;
}

sysret_t shm_remove(s32 id)
{
    bool gone = false;

    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = !o ? -EINVAL : ipc_owner(&o->perm) ? 0 : -EPERM;
    if (!r && nattch(shm_of(o))) {
        o->perm.mode |= SHM_DEST;
        ipc_make_private_locked(&table, o);
    } else if (!r) {
        remove_locked(shm_of(o));
        gone = true;
    }
    unlock(&table.lock);
    if (gone) shm_put(shm_of(o));
    return r;
}

void shm_ns_exit(u32 mark)
{
    for (;;) {
        struct shm *gone = NULL;
        lock(&table.lock);
        struct ipc_object *o = ipc_left_locked(&table, mark);
        if (o && nattch(shm_of(o))) {
            o->perm.mode |= SHM_DEST;
            ipc_make_private_locked(&table, o);
            o->key.mark = UINT32_MAX;      /* nobody's, until the last one detaches it */
            o->set = NULL;
        } else if (o) {
            gone = shm_of(o);
            remove_locked(gone);
        }
        unlock(&table.lock);
        if (!o) return;
        if (gone) shm_put(gone);
    }
}

/* The first segment under shm_rmid_forced that nobody attaches or is there to remove; borrowed or NULL. */
static struct shm *orphan_locked(void)
{
    for (unsigned i = 0; i < table.nslots; i++) {
        struct shm *s = table.slots[i] ? shm_of(table.slots[i]) : NULL;
        if (s && !s->maker && forced_locked(s) && !nattch(s)) return s;
    }
    return NULL;
}

void shm_remove_orphans(void)
{
    struct shm *s;

    do {
        lock(&table.lock);
        if ((s = orphan_locked())) remove_locked(s);
        unlock(&table.lock);
        if (s) shm_put(s);
    } while (s);
}

void shm_task_exit(struct task *t)
{
    bool any = false;

    lock(&table.lock);
    for (unsigned i = 0; table.used && i < table.nslots; i++) {
        struct shm *s = table.slots[i] ? shm_of(table.slots[i]) : NULL;
        if (!s || s->maker != t) continue;
        s->maker = NULL;
        any |= forced_locked(s);
    }
    unlock(&table.lock);
    if (any) shm_remove_orphans();
}

/* Guest memory is never swapped by the sandbox itself: the mark is what there is to it. */
sysret_t shm_lock(s32 id, bool on)
{
    u32 e = current->cred->euid;

    lock(&table.lock);
    struct ipc_object *o = ipc_find_locked(&table, id);
    sysret_t r = o ? 0 : -EINVAL;
    if (!r && !capable(CAP_IPC_LOCK)) {
        if (e != o->perm.uid && e != o->perm.cuid) r = -EPERM;
        else if (on && !current_rlimit(RLIMIT_MEMLOCK)) r = -EPERM;
    }
    if (!r) o->perm.mode = on ? o->perm.mode | SHM_LOCKED : o->perm.mode & ~(u32)SHM_LOCKED;
    unlock(&table.lock);
    return r;
}

s32 shm_max_index(void)
{
    lock(&table.lock);
    s32 r = ipc_max_index_locked(&table);
    unlock(&table.lock);
    return r;
}

static u64 resident(struct shm *s)
{
    struct kstat st = { 0 };
    inode_fill_stat(s->file->inode, &st);
    return st.blocks / 8;
}

void shm_usage(struct shm_usage *out)
{
    *out = (struct shm_usage){ 0 };
    lock(&table.lock);
    out->used_ids = ipc_count_locked(&table)->used;
    out->tot = ipc_count_locked(&table)->total;
    for (unsigned i = 0; i < table.nslots; i++)
        if (table.slots[i] && ipc_visible(table.slots[i])) out->rss += resident(shm_of(table.slots[i]));
    unlock(&table.lock);
}

void shm_show(struct strbuf *b)
{
    strbuf_printf(b, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime"
                     "      ctime                   rss                  swap\n");
    lock(&table.lock);
    for (unsigned i = 0; i < table.nslots; i++) {
        if (!table.slots[i] || !ipc_visible(table.slots[i])) continue;
        struct shm *s = shm_of(table.slots[i]);
        const struct ipc_perm_k *p = &s->obj.perm;
        strbuf_printf(b, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10ld %10ld %10ld %21lu %21lu\n", p->key, p->id, p->mode,
                      (unsigned long)s->size, (u32)s->cpid, (u32)s->lpid, (unsigned long)nattch(s), p->uid, p->gid, p->cuid, p->cgid,
                      (long)s->atime, (long)s->dtime, (long)s->ctime, (unsigned long)(resident(s) * GPAGE_SIZE), 0UL);
    }
    unlock(&table.lock);
}
