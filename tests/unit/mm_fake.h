/*
 * A platform without processes for the tests of sentry/mm: it keeps what it was told to map in a table and lets a test
 * touch memory the way a guest would, faulting where a real platform would.
 */
#ifndef SUNDOG_TESTS_MM_FAKE_H
#define SUNDOG_TESTS_MM_FAKE_H

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/internal.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct platform_as { struct ptable *pt; };
struct kernel kernel;
_Thread_local struct task *current;
static struct task test_task;
static u64 rlimits[KRLIM_NLIMITS];
static unsigned fake_fail_every;          /* as_update fails now and then */
static unsigned fake_calls, fake_ops;
static int fake_noexec_fd;                /* the host refuses executable mappings of this one */
static int fake_files;                    /* references held by vmas */

u64 task_rlimit(struct task *t UNUSED, int which) { return rlimits[which]; }
bool capable(int cap UNUSED) { return false; }
bool inode_owner_or_capable(const struct inode *i UNUSED) { return false; }
void file_get(struct file *f) { ref_get(&f->refs); __atomic_add_fetch(&fake_files, 1, __ATOMIC_RELAXED); }
void file_put(struct file *f) { ref_put(&f->refs); __atomic_sub_fetch(&fake_files, 1, __ATOMIC_RELAXED); }

int shmem_create_anon(u64 size UNUSED, struct file **out UNUSED) { return -ENOSYS; }

static bool fake_drop(gaddr_t va UNUSED, u64 e UNUSED, void *arg UNUSED) { return true; }

static int fake_as_new(struct platform *p UNUSED, struct platform_as **out)
{
    *out = xnew(struct platform_as);
    (*out)->pt = pt_new();
    return 0;
}

static void fake_as_free(struct platform_as *as)
{
    pt_remove_range(as->pt, 0, 1ULL << 47, fake_drop, NULL);
    assert_int_equal(as->pt->present, 0);
    pt_free(as->pt);
    free(as);
}

static int fake_as_update(struct platform_as *as, const struct platform_mapop *ops, size_t n)
{
    __atomic_add_fetch(&fake_calls, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < n; i++, __atomic_add_fetch(&fake_ops, 1, __ATOMIC_RELAXED)) {
        const struct platform_mapop *o = &ops[i];
        assert_int_equal((o->addr | o->len | o->off) & ~GPAGE_MASK, 0);
        assert_true(o->len > 0 && o->addr >= GUEST_ADDR_MIN && o->addr + o->len <= GUEST_ADDR_MAX);
        if (o->kind != PLATFORM_UNMAP && as->pt->present && fake_fail_every && !(rand() % fake_fail_every)) return -ENOMEM;
        if (o->kind == PLATFORM_MAP && fake_noexec_fd && o->fd == fake_noexec_fd && (o->prot & PROT_EXEC)) return -EPERM;
        if (o->kind == PLATFORM_UNMAP) {
            pt_remove_range(as->pt, o->addr, o->addr + o->len, fake_drop, NULL);
            continue;
        }
        for (gaddr_t a = o->addr; a < o->addr + o->len; a += GPAGE_SIZE) {
            u64 off = (o->off + (a - o->addr)) >> GPAGE_SHIFT, prot = (u64)o->prot << PTE_P_SHIFT | PTE_MAPPED;
            if (o->kind == PLATFORM_MAP) {
                pt_set(as->pt, a, o->fd == memfile_fd() ? pte_memfile(off, prot) : pte_hostfd(o->fd, off, prot));
            } else {
                u64 *e = pt_slot(as->pt, a);
                if (!e && fake_fail_every) return -ENOMEM;
                assert_non_null(e);           /* PROTECT is for mapped pages only */
                *e = (*e & ~PTE_PLAT) | prot;
            }
        }
    }
    return 0;
}

static const struct platform_ops fake_ops_table = { .name = "fake", .as_new = fake_as_new, .as_free = fake_as_free,
                                                    .as_update = fake_as_update };

static int fake_setup(void **state UNUSED)
{
    kernel.pops = &fake_ops_table;
    for (unsigned i = 0; i < KRLIM_NLIMITS; i++) rlimits[i] = RLIM_INFINITY;
    fake_fail_every = 0;
    current = &test_task;
    if (memfile_fd() < 0) assert_int_equal(memfile_init(1ULL << 36), 0);
    return 0;
}

/* Touches one word as the guest: 0, or the signal. */
static int guest_touch(struct mm *mm, gaddr_t addr, u64 *val, bool write, bool tell_access)
{
    for (int tries = 0; tries < 100; tries++) {
        u64 gen = mm->map_gen, e = pt_get(mm->as->pt, addr);
        u32 need = write ? PROT_WRITE : PROT_READ;
        if (e && (pte_plat_prot(e) & need)) {
            u64 in = addr & ~GPAGE_MASK;
            if (pte_is_memfile(e)) {
                u64 *p = (u64 *)((u8 *)memfile_ptr(pte_page(e)) + in);
                if (write) *p = *val;
                else *val = *p;
            } else if (write) {
                assert_int_equal(pwrite(pte_fd(e), val, 8, (off_t)(pte_fd_off(e) + in)), 8);
            } else {
                *val = 0;
                assert_true(pread(pte_fd(e), val, 8, (off_t)(pte_fd_off(e) + in)) >= 0);
            }
            return 0;
        }
        struct mm_fault_result r;
        mm_fault(mm, addr, tell_access ? (u8)need : 0, 0, gen, &r);
        if (r.signo) return r.signo;
    }
    fail_msg("fault at %llx does not come to an end", (unsigned long long)addr);
    return -1;
}

/* The platform shows nothing that the page table does not say, and no freed page. */
static void check_cache(struct mm *mm)
{
    struct pt_cursor c;
    gaddr_t va;
    u64 *e;
    pt_cursor_init(&c, mm->as->pt, 0, GUEST_ADDR_MAX);
    while ((e = pt_cursor_next(&c, &va))) {
        u64 t = pt_get(mm->pt, va);
        struct vma *v = mm_find_vma_locked(mm, va);
        assert_non_null(v);
        assert_true(t & PTE_MAPPED);
        assert_int_equal(t & ~0xfffULL, *e & ~0xfffULL);
        assert_int_equal(t & PTE_KIND, *e & PTE_KIND);
        assert_int_equal(pte_plat_prot(t), pte_plat_prot(*e));
        assert_int_equal(pte_plat_prot(*e) & ~pte_allowed(v, t), 0);
        if (pte_is_memfile(t)) assert_true(memfile_refs(pte_page(t)) > 0);
        if ((t & PTE_ANON) && (t & PTE_W)) assert_int_equal(memfile_refs(pte_page(t)), 1);
    }
    pt_cursor_init(&c, mm->pt, 0, GUEST_ADDR_MAX);
    u64 n = 0;
    for (; (e = pt_cursor_next(&c, &va)); n++) {
        assert_non_null(mm_find_vma_locked(mm, va));
        if (*e & PTE_MAPPED) assert_true(pt_get(mm->as->pt, va) != 0);
    }
    assert_int_equal(n, mm->rss_pages);
    u64 total = 0, count = 0;
    struct vma *v, *prev = NULL;
    RB_FOREACH(v, vma_tree, &mm->vmas) {
        assert_true(v->start < v->end && (!prev || prev->end <= v->start));
        total += (v->end - v->start) >> GPAGE_SHIFT;
        count++;
        prev = v;
    }
    assert_int_equal(total, mm->total_pages);
    assert_int_equal(count, mm->nr_vmas);
}

/* --- objects to map --- */

#define OBJ_PAGES 64u
struct fake_obj { struct mappable map; struct file file; mpage_t pages[OBJ_PAGES]; u64 npages; int fd; };

static int shm_page(struct mappable *m, u64 pgoff, bool write UNUSED, struct backing *out)
{
    struct fake_obj *o = container_of(m, struct fake_obj, map);
    if (pgoff >= o->npages) return -ENXIO;
    if (!o->pages[pgoff]) o->pages[pgoff] = memfile_alloc(1);
    memfile_get(o->pages[pgoff]);
    *out = (struct backing){ .kind = BACKING_MEMFILE, .page = o->pages[pgoff] };
    return 0;
}
static const struct mappable_ops shm_ops = { .page = shm_page };

static int host_page(struct mappable *m, u64 pgoff, bool write UNUSED, struct backing *out)
{
    struct fake_obj *o = container_of(m, struct fake_obj, map);
    if (pgoff >= o->npages) return -ENXIO;
    *out = (struct backing){ .kind = BACKING_HOSTFD, .fd = o->fd, .fd_off = pgoff << GPAGE_SHIFT };
    return 0;
}
static u64 host_run(struct mappable *m, u64 pgoff, u64 max)
{
    struct fake_obj *o = container_of(m, struct fake_obj, map);
    return MIN(max, o->npages - pgoff);
}
static const struct mappable_ops host_ops = { .page = host_page, .run = host_run };

static void fake_obj_init(struct fake_obj *o, bool host)
{
    memset(o, 0, sizeof(*o));
    o->npages = OBJ_PAGES;
    ref_init(&o->file.refs);
    o->file.mode = FMODE_READ | FMODE_WRITE;
    mappable_init(&o->map, host ? &host_ops : &shm_ops, NULL);
    if (host) {
        o->fd = memfd_create("host file", 0);
        assert_true(o->fd >= 0);
        assert_int_equal(ftruncate(o->fd, OBJ_PAGES * GPAGE_SIZE), 0);
    }
}

static void fake_obj_fini(struct fake_obj *o)
{
    mappable_fini(&o->map);
    for (unsigned i = 0; i < OBJ_PAGES; i++)
        if (o->pages[i]) memfile_put(o->pages[i]);
    if (o->fd) close(o->fd);
}

#define RW (PROT_READ | PROT_WRITE)
static inline sysret_t map_anon(struct mm *mm, gaddr_t addr, u64 len, u32 prot, u32 flags)
{
    return mm_map(mm, &(struct mm_map_req){ .addr = addr, .len = len, .prot = prot, .flags = MAP_PRIVATE | MAP_ANONYMOUS | flags });
}
static inline sysret_t map_obj(struct mm *mm, gaddr_t addr, u64 len, u32 prot, u32 flags, struct fake_obj *o, u64 off)
{
    return mm_map(mm, &(struct mm_map_req){ .addr = addr, .len = len, .prot = prot, .flags = flags, .file = &o->file,
                                            .obj = &o->map, .off = off });
}

#endif
