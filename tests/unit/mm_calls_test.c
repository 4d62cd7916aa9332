/* The memory calls one by one: results and errors as in the man pages. */
#include "tests/unit/mm_fake.h"

#include <sys/socket.h>

static struct mm *mm;

static int setup(void **state)
{
    fake_setup(state);
    mm = mm_new();
    mm->mmap_top = 0x700000000000;
    mm->brk_start = mm->brk_end = 0x10000000;
    test_task.mm = mm;
    return 0;
}

static int teardown(void **state UNUSED)
{
    check_cache(mm);
    mm_put(mm);
    test_task.mm = NULL;
    return 0;
}

static unsigned vmas(void) { return mm->nr_vmas; }

static void map_placement(void **state UNUSED)
{
    sysret_t a = map_anon(mm, 0, 10000, RW, 0), b = map_anon(mm, 0, 4096, RW, 0);
    assert_int_equal(a, 0x700000000000 - 3 * 4096);
    assert_int_equal(b, a - 4096);
    assert_int_equal(vmas(), 1);                                  /* merged */
    assert_int_equal(map_anon(mm, 0x5000000, 4096, RW, 0), 0x5000000);          /* free hint is honoured */
    assert_true(map_anon(mm, 0x5000000, 4096, RW, 0) != 0x5000000);
    assert_int_equal(map_anon(mm, 0x5000000, 4096, RW, MAP_FIXED_NOREPLACE), -EEXIST);
    assert_int_equal(map_anon(mm, 0x5000001, 4096, RW, MAP_FIXED), -EINVAL);
    assert_int_equal(map_anon(mm, 0x1000, 4096, RW, MAP_FIXED), -EPERM);
    assert_int_equal(map_anon(mm, 0x7ffffffff000, 4096, RW, MAP_FIXED), -ENOMEM);
    assert_int_equal(map_anon(mm, 0, 0, RW, 0), -EINVAL);
    assert_int_equal(map_anon(mm, 0, ~0ULL, RW, 0), -ENOMEM);
    assert_int_equal(map_anon(mm, 0, 1ULL << 47, RW, 0), -ENOMEM);
    sysret_t low = map_anon(mm, 0, 8192, RW, MAP_32BIT);
    assert_true(low > 0 && low + 8192 <= 0x80000000LL);
    /* A hole that was left is used again. */
    sysret_t c = map_anon(mm, 0, 1 << 21, PROT_NONE, 0), d = map_anon(mm, 0, 1 << 21, PROT_READ, 0);
    assert_int_equal(mm_unmap(mm, (gaddr_t)c, 1 << 21), 0);
    assert_int_equal(map_anon(mm, 0, 1 << 21, RW, 0), c);
    assert_true(d < c);
    sysret_t al = mm_map(mm, &(struct mm_map_req){ .len = 4096, .prot = RW, .flags = MAP_PRIVATE | MAP_ANONYMOUS,
                                                   .align = 1 << 21 });
    assert_int_equal(al & ((1 << 21) - 1), 0);
}

static void map_limits(void **state UNUSED)
{
    rlimits[RLIMIT_AS] = 1 << 20;
    assert_int_equal(map_anon(mm, 0, 2 << 20, RW, 0), -ENOMEM);
    sysret_t a = map_anon(mm, 0, 1 << 20, RW, 0);
    assert_true(a > 0);
    assert_int_equal(map_anon(mm, 0, 4096, RW, 0), -ENOMEM);
    assert_int_equal(map_anon(mm, (gaddr_t)a, 1 << 20, RW, MAP_FIXED), a);     /* replaces itself */
    rlimits[RLIMIT_AS] = RLIM_INFINITY;
    rlimits[RLIMIT_MEMLOCK] = 8192;
    assert_int_equal(map_anon(mm, 0, 12288, RW, MAP_LOCKED), -EAGAIN);
    assert_int_equal(mm_mlock(mm, (gaddr_t)a, 12288, true, false), -ENOMEM);
    assert_int_equal(mm_mlock(mm, (gaddr_t)a, 8192, true, false), 0);
    assert_int_equal(mm->locked_pages, 2);
    assert_int_equal(mm_mlock(mm, (gaddr_t)a, 8192, true, false), 0);
    assert_int_equal(mm_madvise(mm, (gaddr_t)a, 4096, MADV_DONTNEED), -EINVAL);
    assert_int_equal(mm_msync(mm, (gaddr_t)a, 4096, MS_INVALIDATE), -EBUSY);
    assert_int_equal(mm_mlockall(mm, 0), 0);
    assert_int_equal(mm->locked_pages, 0);
    rlimits[RLIMIT_MEMLOCK] = 0;
    assert_int_equal(mm_mlock(mm, (gaddr_t)a, 4096, true, false), -EPERM);
    rlimits[RLIMIT_DATA] = 4096;
    assert_int_equal(map_anon(mm, 0, 8192, RW, 0), -ENOMEM);
    assert_true(map_anon(mm, 0, 8192, PROT_READ, 0) > 0);
    assert_int_equal(mm_brk(mm, mm->brk_start + 8192), mm->brk_start);
}

static void brk_moves(void **state UNUSED)
{
    gaddr_t s = mm->brk_start;
    u64 v = 7;
    assert_int_equal(mm_brk(mm, 0), s);
    assert_int_equal(mm_brk(mm, s + 100), s + 100);
    assert_int_equal(guest_touch(mm, s + 8, &v, true, false), 0);
    assert_int_equal(mm_brk(mm, s + 3 * 4096), s + 3 * 4096);
    assert_int_equal(vmas(), 1);
    assert_int_equal(mm_brk(mm, s), s);
    assert_int_equal(vmas(), 0);
    assert_int_equal(mm_brk(mm, s + 4096), s + 4096);
    v = 1;
    assert_int_equal(guest_touch(mm, s + 8, &v, false, false), 0);
    assert_int_equal(v, 0);                                       /* fresh again */
    assert_int_equal(map_anon(mm, s + 16 * 4096, 4096, RW, MAP_FIXED), s + 16 * 4096);
    assert_int_equal(mm_brk(mm, s + 20 * 4096), s + 4096);        /* something is in the way */
}

static void protect_errors(void **state UNUSED)
{
    gaddr_t a = 0x30000000;
    struct fake_obj o;
    fake_obj_init(&o, false);
    o.file.mode = FMODE_READ;
    assert_int_equal(map_anon(mm, a, 8192, RW, MAP_FIXED), a);
    assert_int_equal(map_anon(mm, a + 3 * 4096, 4096, RW, MAP_FIXED), a + 3 * 4096);
    assert_int_equal(mm_protect(mm, a, 4 * 4096, PROT_READ, 0), -ENOMEM);
    assert_int_equal(mm_find_vma_locked(mm, a + 4096)->prot, PROT_READ);          /* done up to the hole */
    assert_int_equal(mm_find_vma_locked(mm, a + 3 * 4096)->prot, RW);
    assert_int_equal(mm_protect(mm, a + 1, 4096, PROT_READ, 0), -EINVAL);
    assert_int_equal(mm_protect(mm, a, 0, PROT_READ, 0), 0);
    assert_int_equal(mm_protect(mm, a, 4096, 0x100, 0), -EINVAL);
    assert_int_equal(mm_protect(mm, a, 4096, PROT_READ, PROT_GROWSDOWN), -EINVAL);
    assert_int_equal(map_obj(mm, a, 4096, RW, MAP_SHARED | MAP_FIXED, &o, 0), -EACCES);
    assert_int_equal(map_obj(mm, a, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, &o, 0), a);
    assert_int_equal(mm_protect(mm, a, 4096, RW, 0), -EACCES);
    assert_int_equal(mm_copy_out_force(mm, a, "x", 1), 0);        /* not even a debugger */
    assert_int_equal(mm_unmap(mm, a, 4096), 0);
    fake_obj_fini(&o);
    u64 v = 5;
    assert_int_equal(mm_copy_out_force(mm, a + 4096, &v, 8), 8);  /* private and read-only: the debugger may */
    assert_int_equal(guest_touch(mm, a + 4096, &v, true, false), SIGSEGV);
}

static void remap_cases(void **state UNUSED)
{
    gaddr_t a = 0x30000000, b = 0x40000000;
    u64 v = 42;
    assert_int_equal(map_anon(mm, a, 4 * 4096, RW, MAP_FIXED), a);
    assert_int_equal(guest_touch(mm, a, &v, true, true), 0);
    assert_int_equal(mm_remap(mm, a, 4 * 4096, 8 * 4096, 0, 0), a);               /* room behind: in place */
    assert_int_equal(mm_remap(mm, a, 8 * 4096, 2 * 4096, 0, 0), a);
    assert_int_equal(map_anon(mm, a + 2 * 4096, 4096, PROT_READ, MAP_FIXED), a + 2 * 4096);
    assert_int_equal(mm_remap(mm, a, 2 * 4096, 3 * 4096, 0, 0), -ENOMEM);
    sysret_t n = mm_remap(mm, a, 2 * 4096, 3 * 4096, MREMAP_MAYMOVE, 0);
    assert_true(n > 0 && n != (sysret_t)a);
    assert_int_equal(guest_touch(mm, (gaddr_t)n, &v, false, true), 0);
    assert_int_equal(v, 42);
    assert_int_equal(guest_touch(mm, a, &v, false, true), SIGSEGV);
    assert_int_equal(mm_remap(mm, (gaddr_t)n, 3 * 4096, 3 * 4096, MREMAP_FIXED, b), -EINVAL);
    assert_int_equal(mm_remap(mm, (gaddr_t)n, 3 * 4096, 3 * 4096, MREMAP_FIXED | MREMAP_MAYMOVE, (gaddr_t)n + 4096), -EINVAL);
    assert_int_equal(mm_remap(mm, (gaddr_t)n, 3 * 4096, 3 * 4096, MREMAP_MAYMOVE | 4 /* DONTUNMAP */, 0) < 0, 0);
    assert_int_equal(guest_touch(mm, (gaddr_t)n, &v, false, true), 0);
    assert_int_equal(v, 0);
    assert_int_equal(mm_remap(mm, (gaddr_t)n, 0, 4096, MREMAP_MAYMOVE, 0), -EINVAL);
    assert_int_equal(mm_remap(mm, b, 4096, 8192, MREMAP_MAYMOVE, 0), -EFAULT);
    struct fake_obj o;
    fake_obj_init(&o, false);
    assert_int_equal(map_obj(mm, b, 4 * 4096, RW, MAP_SHARED | MAP_FIXED, &o, 0), b);
    v = 77;
    assert_int_equal(guest_touch(mm, b + 4096, &v, true, true), 0);
    n = mm_remap(mm, b + 4096, 0, 4096, MREMAP_MAYMOVE, 0);                       /* a second view */
    assert_true(n > 0);
    v = 0;
    assert_int_equal(guest_touch(mm, (gaddr_t)n, &v, false, true), 0);
    assert_int_equal(v, 77);
    assert_int_equal(o.map.nr_writable, 2);
    assert_int_equal(mm_unmap(mm, b, 4 * 4096), 0);
    assert_int_equal(mm_unmap(mm, (gaddr_t)n, 4096), 0);
    assert_int_equal(o.map.nr_writable, 0);
    fake_obj_fini(&o);
}

static void stack_growth(void **state UNUSED)
{
    gaddr_t top = 0x50000000;
    u64 v = 9;
    rlimits[RLIMIT_STACK] = 1 << 20;
    assert_int_equal(map_anon(mm, top - 8192, 8192, RW, MAP_FIXED | MAP_GROWSDOWN), top - 8192);
    assert_int_equal(guest_touch(mm, top - 40 * 4096, &v, true, false), 0);
    assert_int_equal(mm->stack_pages, 40);
    assert_int_equal(mm_copy_out(mm, top - 50 * 4096, &v, 8), 8);                 /* the sentry's copies grow it too */
    assert_int_equal(guest_touch(mm, top - (1 << 20) - 4096, &v, true, false), SIGSEGV);
    assert_int_equal(map_anon(mm, top - 300 * 4096, 4096, RW, MAP_FIXED), top - 300 * 4096);
    assert_int_equal(guest_touch(mm, top - 60 * 4096, &v, true, false), SIGSEGV); /* the guard gap */
    sysret_t n = map_anon(mm, top - 55 * 4096, 4096, RW, 0);
    assert_true(n != (sysret_t)(top - 55 * 4096));
}

static void truncation(void **state UNUSED)
{
    gaddr_t a = 0x30000000, p = 0x31000000;
    struct fake_obj o, h;
    u64 v = 11;
    fake_obj_init(&o, false);
    fake_obj_init(&h, true);
    assert_int_equal(map_obj(mm, a, 8 * 4096, RW, MAP_SHARED | MAP_FIXED, &o, 0), a);
    assert_int_equal(map_obj(mm, p, 8 * 4096, RW, MAP_PRIVATE | MAP_FIXED, &o, 0), p);
    for (u64 i = 0; i < 8; i++) {
        assert_int_equal(guest_touch(mm, a + i * 4096, &v, true, false), 0);
        assert_int_equal(guest_touch(mm, p + i * 4096, &v, true, false), 0);
    }
    struct mm *child;
    assert_int_equal(mm_fork(mm, &child), 0);
    o.npages = 4;
    mappable_unmap(&o.map, 4, OBJ_PAGES, true);
    assert_int_equal(guest_touch(mm, a + 3 * 4096, &v, false, false), 0);
    assert_int_equal(guest_touch(mm, a + 4 * 4096, &v, false, false), SIGBUS);
    assert_int_equal(guest_touch(mm, p + 4 * 4096, &v, false, false), SIGBUS);
    assert_int_equal(guest_touch(child, p + 4 * 4096, &v, true, true), SIGBUS);
    assert_int_equal(guest_touch(child, p + 3 * 4096, &v, true, true), 0);
    assert_int_equal(mm_copy_in(mm, &v, a + 4 * 4096, 8), 0);
    mm_put(child);
    /* A host file that shrank behind our back, and the rest of its last page. */
    assert_int_equal(map_obj(mm, 0x32000000, 8 * 4096, RW, MAP_SHARED | MAP_FIXED, &h, 0), 0x32000000);
    assert_int_equal(ftruncate(h.fd, 4096 + 10), 0);
    char buf[32];
    memset(buf, 'x', sizeof(buf));
    assert_int_equal(mm_copy_out(mm, 0x32001000, buf, 32), 32);
    memset(buf, 'y', sizeof(buf));
    assert_int_equal(mm_copy_in(mm, buf, 0x32001000, 32), 32);
    assert_true(buf[9] == 'x' && buf[10] == 0 && buf[31] == 0);
    assert_int_equal(mm_copy_in(mm, buf, 0x32002000, 32), 0);
    assert_int_equal(mm_copy_out(mm, 0x32002000, buf, 32), 0);
    assert_int_equal(lseek(h.fd, 0, SEEK_END), 4096 + 10);
    u32 w;
    assert_int_equal(user_load32(0x32001000, &w), 0);
    assert_int_equal(w, 0x78787878);
    assert_int_equal(user_cmpxchg32(0x32001000, w, 1, &w), -EFAULT);
    assert_int_equal(mm_unmap(mm, a, 0x3000000), 0);
    fake_obj_fini(&o);
    fake_obj_fini(&h);
}

static void copies_at_borders(void **state UNUSED)
{
    gaddr_t a = 0x30000000;
    char buf[3 * 4096], s[16];
    assert_int_equal(map_anon(mm, a, 2 * 4096, RW, MAP_FIXED), a);
    memset(buf, 'z', sizeof(buf));
    assert_int_equal(copy_out(a + 4096 - 3, "hello", 6), 0);
    assert_int_equal(copy_in(buf, a + 4096 - 3, 6), 0);
    assert_string_equal(buf, "hello");
    assert_int_equal(copy_in_str(s, a + 4096 - 3, sizeof(s)), 5);
    assert_int_equal(copy_in_str(s, a + 4096 - 3, 5), -ENAMETOOLONG);
    assert_int_equal(copy_out(a + 2 * 4096 - 3, "hel", 3), 0);
    assert_int_equal(copy_in_str(s, a + 2 * 4096 - 3, sizeof(s)), -EFAULT);
    assert_int_equal(mm_copy_in(mm, buf, a + 4096, sizeof(buf)), 4096);           /* up to the bad page */
    assert_int_equal(copy_in(buf, a + 4096, sizeof(buf)), -EFAULT);
    const gaddr_t hostile[] = { 0, 1, 0x8000000000000000, ~0ULL, ~0ULL - 4095, 0x7fffffffffff, 0x800000000000, 0xdead00000000beef };
    for (unsigned i = 0; i < ARRAY_LEN(hostile); i++) {
        u32 w;
        struct mm_page_id id;
        struct mm_fault_result r;
        assert_int_equal(mm_copy_in(mm, buf, hostile[i], 100), 0);
        assert_int_equal(mm_copy_out(mm, hostile[i], buf, 100), 0);
        assert_true(user_load32(hostile[i], &w) < 0);
        assert_int_equal(mm_futex_key(mm, hostile[i], true, true, &id), -EFAULT);
        mm_fault(mm, hostile[i], 0, 0, mm->map_gen, &r);
        assert_int_equal(r.signo, SIGSEGV);
        mm_unmap(mm, hostile[i], 4096);
        mm_madvise(mm, hostile[i], ~0ULL, MADV_DONTNEED);
        mm_mincore(mm, hostile[i], ~0ULL, hostile[i]);
    }
    u32 w;
    assert_int_equal(copy_out(a, &(u32){ 5 }, 4), 0);
    assert_int_equal(user_cmpxchg32(a, 4, 9, &w), 0);
    assert_int_equal(w, 5);
    assert_int_equal(user_rmw32(a, USER_RMW_ADD, 3, &w), 0);
    assert_int_equal(user_load32(a, &w), 0);
    assert_int_equal(w, 8);
    assert_int_equal(user_load32(a + 1, &w), -EINVAL);
}

static void transfers(void **state UNUSED)
{
    gaddr_t a = 0x30000000;
    u64 size = 3 << 20;
    int fd = memfd_create("data", 0);
    u8 *data = malloc(size), *back = malloc(size);
    for (u64 i = 0; i < size; i++) data[i] = (u8)(i * 7 + i / 4096);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(map_anon(mm, a, 4 << 20, RW, MAP_FIXED), a);
    struct uio u;
    assert_int_equal(uio_init_guest(&u, a + 123, 4 << 20), 0);
    assert_int_equal(uio_host_read(&u, fd, 0, (4 << 20) - 200), size);            /* ends at the end of the file */
    assert_int_equal(u.resid, (4 << 20) - size);
    assert_int_equal(mm_copy_in(mm, back, a + 123, size), size);
    assert_memory_equal(data, back, size);
    /* Scattered segments, the last one bad: what comes before is moved. */
    u64 iov[10][2];
    for (u64 i = 0; i < 9; i++) {
        iov[i][0] = a + i * 9000;
        iov[i][1] = 5000;
    }
    iov[9][0] = 0x20000;
    iov[9][1] = 100;
    assert_int_equal(copy_out(a + (3 << 20) + 4096, iov, sizeof(iov)), 0);
    assert_int_equal(uio_init_guest_iov(&u, a + (3 << 20) + 4096, 10), 0);
    assert_int_equal(uio_host_read(&u, fd, 1000, u.resid), 45000);
    assert_int_equal(uio_host_read(&u, fd, 1000, u.resid), -EFAULT);
    uio_fini(&u);
    for (u64 i = 0; i < 9; i++) {
        assert_int_equal(mm_copy_in(mm, back, a + i * 9000, 5000), 5000);
        assert_memory_equal(data + 1000 + i * 5000, back, 5000);
    }
    assert_int_equal(uio_init_guest_iov(&u, a, 1025), -EINVAL);
    assert_int_equal(uio_init_guest(&u, ~0ULL - 10, 5), -EFAULT);
    /* Address 0 is an address like others: nothing is mapped there. */
    for (int bad = 0; bad < 2; bad++) {
        assert_int_equal(uio_init_guest(&u, bad ? 8 : 0, 5), 0);
        assert_int_equal(uio_host_read(&u, fd, 0, 5), -EFAULT);
        assert_int_equal(uio_host_write(&u, fd, 0, 5), -EFAULT);
    }
    /* Into and out of a mapping of a host file. */
    struct fake_obj h;
    fake_obj_init(&h, true);
    assert_int_equal(map_obj(mm, a, OBJ_PAGES * 4096, RW, MAP_SHARED | MAP_FIXED, &h, 0), a);
    assert_int_equal(uio_init_guest(&u, a + 50, 100000), 0);
    assert_int_equal(uio_host_read(&u, fd, 77, 100000), 100000);
    assert_int_equal(pread(h.fd, back, 100000, 50), 100000);
    assert_memory_equal(data + 77, back, 100000);
    int out = memfd_create("out", 0);
    assert_int_equal(uio_init_guest(&u, a + 50, 100000), 0);
    assert_int_equal(uio_host_write(&u, out, 0, 100000), 100000);
    assert_int_equal(pread(out, back, 100000, 0), 100000);
    assert_memory_equal(data + 77, back, 100000);
    assert_int_equal(mm_unmap(mm, a, OBJ_PAGES * 4096), 0);
    fake_obj_fini(&h);
    uio_init_kernel(&u, back, 100);
    assert_int_equal(uio_host_read(&u, fd, 0, 1000), 100);
    close(fd);
    close(out);
    free(data);
    free(back);
}

static void advice_and_mincore(void **state UNUSED)
{
    gaddr_t a = 0x30000000;
    u8 vec[8];
    u64 v = 1;
    assert_int_equal(map_anon(mm, a, 4 * 4096, RW, MAP_FIXED), a);
    assert_int_equal(map_anon(mm, a + 0x100000, 4096, RW, MAP_FIXED), a + 0x100000);
    assert_int_equal(mm_mincore(mm, a, 4 * 4096, a + 0x100000), 0);
    assert_int_equal(mm_copy_in(mm, vec, a + 0x100000, 4), 4);
    assert_int_equal(vec[0] | vec[1] | vec[2] | vec[3], 0);       /* handed out, never touched */
    assert_int_equal(guest_touch(mm, a + 8192, &v, true, false), 0);
    assert_int_equal(mm_mincore(mm, a, 4 * 4096, a + 0x100000), 0);
    assert_int_equal(mm_copy_in(mm, vec, a + 0x100000, 4), 4);
    assert_int_equal(vec[0] << 3 | vec[1] << 2 | vec[2] << 1 | vec[3], 2);
    assert_int_equal(mm_mincore(mm, a + 1, 1, a), -EINVAL);
    assert_int_equal(mm_mincore(mm, a, 5 * 4096, a + 0x100000), -ENOMEM);
    assert_int_equal(mm_mincore(mm, a, 4096, 0x20000), -EFAULT);
    assert_int_equal(mm_madvise(mm, a, 4096, 12345), -EINVAL);
    assert_int_equal(mm_madvise(mm, a + 1, 4096, MADV_DONTNEED), -EINVAL);
    assert_int_equal(mm_madvise(mm, a, 5 * 4096, MADV_NORMAL), -ENOMEM);
    assert_int_equal(mm_madvise(mm, a, 4096, MADV_REMOVE), -EINVAL);
    assert_int_equal(mm_madvise(mm, a, 8192, MADV_WIPEONFORK), 0);
    assert_int_equal(mm_madvise(mm, a + 3 * 4096, 4096, MADV_DONTFORK), 0);
    v = 3;
    assert_int_equal(guest_touch(mm, a, &v, true, false), 0);
    struct mm *c;
    assert_int_equal(mm_fork(mm, &c), 0);
    assert_int_equal(guest_touch(c, a, &v, false, false), 0);
    assert_int_equal(v, 0);
    assert_int_equal(guest_touch(c, a + 3 * 4096, &v, false, false), SIGSEGV);
    assert_int_equal(guest_touch(c, a + 2 * 4096, &v, false, false), 0);
    assert_int_equal(v, 1);
    mm_put(c);
    assert_int_equal(mm_msync(mm, a, 4096, MS_SYNC | MS_ASYNC), -EINVAL);
    assert_int_equal(mm_msync(mm, a, 8 * 4096, MS_SYNC), -ENOMEM);
    assert_int_equal(mm_set_vma_name(mm, a, 4096, "abc"), 0);
    assert_string_equal(mm_find_vma_locked(mm, a)->anon_name, "abc");
    assert_int_equal(mm_unmap(mm, a, 4096), 0);
}

/* What a fault costs: one for a block of pages, one copy for a page of a private file, runs in one operation. */
static void economy(void **state UNUSED)
{
    gaddr_t a = 0x40000000;
    u64 v = 1;
    fake_calls = 0;
    assert_int_equal(map_anon(mm, a, 64 << 20, RW, MAP_FIXED), a);
    for (u64 i = 0; i < 1024; i++) assert_int_equal(guest_touch(mm, a + i * 4096, &v, true, false), 0);
    assert_int_equal(fake_calls, 1024 / MM_AROUND_ANON);
    fake_calls = fake_ops = 0;
    struct mm *c;
    assert_int_equal(mm_fork(mm, &c), 0);
    assert_true(fake_calls == 1 && fake_ops == 1);
    for (u64 i = 0; i < 1024; i++) assert_int_equal(guest_touch(c, a + i * 4096, &v, false, true), 0);
    assert_int_equal(fake_calls, 3);                              /* two windows of 512 */
    mm_put(c);
    fake_calls = 0;
    for (u64 i = 0; i < 1024; i++) assert_int_equal(guest_touch(mm, a + i * 4096, &v, true, false), 0);
    assert_int_equal(fake_calls, 1024 / MM_AROUND_ANON);          /* sole owner again: no copies, in blocks */
}

static void host_refuses_exec(void **state UNUSED)
{
    gaddr_t a = 0x30000000;
    struct fake_obj h;
    u64 v = 0x1234;
    fake_obj_init(&h, true);
    assert_int_equal(pwrite(h.fd, &v, 8, 2 * 4096), 8);
    fake_noexec_fd = h.fd;
    assert_int_equal(map_obj(mm, a, 8 * 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, &h, 0), a);
    assert_int_equal(map_obj(mm, a + 0x100000, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, &h, 0), a + 0x100000);
    for (u64 i = 0; i < 8; i++) {
        v = 1;
        assert_int_equal(guest_touch(mm, a + i * 4096, &v, false, true), 0);
        assert_int_equal(v, i == 2 ? 0x1234 : 0);
    }
    assert_int_equal(guest_touch(mm, a + 0x100000, &v, false, true), SIGBUS);
    fake_noexec_fd = 0;
    assert_int_equal(mm_unmap(mm, a, 0x200000), 0);
    fake_obj_fini(&h);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = { T(map_placement), T(map_limits), T(brk_moves), T(protect_errors), T(remap_cases),
                                        T(stack_growth), T(truncation), T(copies_at_borders), T(transfers),
                                        T(advice_and_mincore), T(economy),
                                        T(host_refuses_exec) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
