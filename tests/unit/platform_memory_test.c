/* Mappings: faults, changes, files, spaces that come and go. Part of platform_conformance_test.c. */
#include "tests/unit/platform_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

BLOB(syscall, "syscall\n nop\n syscall\n ud2");
BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(store, "mov %rax, (%rsi)\n syscall\n ud2");
BLOB(jump, "jmp *%rsi");
BLOB(count, "1: incq (%rsi)\n jmp 1b");

/* kvm keeps its vCPUs, one a thread at most, for the next context. */
#define KEPT_FDS (strcmp(ops->name, "kvm") == 0 ? 256u : 0u)

static void fault_at(struct platform_ctx *c, struct platform_as *as, gaddr_t addr)
{
    struct guest_regs r = { .rip = CODE, .rsi = addr };
    struct platform_exit e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_FAULT);
    assert_int_equal(e.fault_addr, addr);
}

static void test_faults_and_updates(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE, .rsi = DATA + 0x3000, .rax = 42 };
    struct platform_exit e;

    PUT(load, 0);
    fault_at(c, as, DATA + 0x3000);
    PUT(store, 0);
    fault_at(c, as, DATA + 0x3000);
    fault_at(c, as, CODE); /* mapped, not writable */
    PUT(jump, 0);
    fault_at(c, as, DATA); /* mapped, not executable */
    fault_at(c, as, DATA + 0x3000);
    fault_at(c, as, 0);
    /* A fault is repeated until the mapping is there, then the instruction goes on. */
    PUT(store, 0);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_FAULT);
    assert_int_equal(map(as, DATA + 0x3000, 4096, 8192, R), 0);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_FAULT);
    assert_int_equal(change(as, 'p', DATA + 0x3000, 4096, R | W), 0);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_int_equal(*(u64 *)(void *)(cfg.memfile_base + 8192), 42);
    assert_int_equal(change(as, 'u', DATA, 0x10000, 0), 0);
    fault_at(c, as, DATA);
    fault_at(c, as, DATA + 0x3000);
    /* Protecting across a hole: what is mapped behind it must not stay writable. */
    assert_int_equal(map(as, DATA, 4096, 4096, R | W), 0);
    assert_int_equal(map(as, DATA + 0x2000, 4096, 8192, R | W), 0);
    assert_int_equal(change(as, 'p', DATA, 0x3000, R), 0);
    fault_at(c, as, DATA);
    fault_at(c, as, DATA + 0x2000);
    /* Batches larger than any internal limit. */
    struct platform_mapop many[300];
    for (unsigned i = 0; i < 300; i++)
        many[i] = (struct platform_mapop){ .kind = PLATFORM_MAP, .prot = R | W, .fd = cfg.memfile_fd, .populate = i & 1,
                                           .addr = DATA + i * 0x2000ULL, .len = 4096, .off = 4096 * (1 + i) };
    assert_int_equal(ops->as_update(as, many, 300), 0);
    r = (struct guest_regs){ .rip = CODE, .rsi = DATA + 299 * 0x2000, .rax = 4711 };
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    assert_int_equal(*(u64 *)(void *)(cfg.memfile_base + 4096 * 300), 4711);
    /* Addresses that are not a guest's. */
    assert_true(map(as, GUEST_ADDR_MAX, 4096, 0, R) < 0);
    assert_true(map(as, GUEST_ADDR_MAX - 4096, 8192, 0, R) < 0);
    assert_true(map(as, ~0ULL << 12, 4096, 0, R) < 0);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_donated_files(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    unsigned fds = count_dir("/proc/self/fd");

    PUT(load, 0);
    for (unsigned round = 0; round < 40; round++) { /* the same descriptor number, another file each time */
        int fd = memfd_create("donated", MFD_CLOEXEC), fd2 = memfd_create("donated2", MFD_CLOEXEC);
        u64 mark[2] = { round * 3 + 1, round * 5 + 2 };
        assert_int_equal(ftruncate(fd, 8192), 0);
        assert_int_equal(ftruncate(fd2, 8192), 0);
        pwrite(fd, &mark[0], 8, 4096);
        pwrite(fd2, &mark[1], 8, 4096);
        struct platform_mapop op[2] = {
            { .kind = PLATFORM_MAP, .prot = R, .fd = fd, .addr = DATA, .len = 4096, .off = 4096 },
            { .kind = PLATFORM_MAP, .prot = R, .fd = fd2, .addr = DATA + 4096, .len = 4096, .off = 4096 },
        };
        assert_int_equal(ops->as_update(as, op, 2), 0);
        close(fd);
        close(fd2);
        for (unsigned i = 0; i < 2; i++) {
            struct guest_regs r = { .rip = CODE, .rsi = DATA + i * 4096 };
            assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
            assert_int_equal(r.orig_rax, mark[i]);
        }
    }
    /* A descriptor that may not be written cannot be mapped writable. */
    int ro = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = R | W, .fd = ro, .addr = DATA, .len = 4096 };
    assert_int_equal(ops->as_update(as, &op, 1), -EACCES);
    op.prot = R;
    assert_int_equal(ops->as_update(as, &op, 1), 0);
    close(ro);
    assert_int_equal(count_dir("/proc/self/fd"), fds);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_bus_error(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE, .rsi = DATA + 4096 };
    int fd = memfd_create("short", MFD_CLOEXEC);
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = R, .fd = fd, .addr = DATA, .len = 8192 };
    struct platform_exit e;

    PUT(load, 0);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(ops->as_update(as, &op, 1), 0);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_EXCEPTION);
    assert_int_equal(e.signo, SIGBUS);
    assert_int_equal(e.code, BUS_ADRERR);
    assert_int_equal(e.fault_addr, DATA + 4096);
    close(fd);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_many_spaces(void **state UNUSED)
{
    unsigned fds = count_dir("/proc/self/fd"), kids = children(NULL, 0);
    struct platform_ctx *c = context();

    PUT(syscall, 0);
    for (unsigned i = 0; i < 200; i++) { /* one context through them all, as exec after exec */
        struct platform_as *as = ready();
        struct guest_regs r = { .rip = CODE, .rax = i };
        assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, i);
        ops->as_free(as);
    }
    ops->ctx_free(c);
    assert_true(count_dir("/proc/self/fd") <= fds + KEPT_FDS);
    assert_true(children(NULL, 0) <= kids + 16);
    /* Many at once; contexts freed before and after their space. */
    struct platform_as *as[60];
    struct platform_ctx *cs[60];
    for (unsigned i = 0; i < 60; i++) {
        struct guest_regs r = { .rip = CODE, .rax = i };
        as[i] = ready();
        cs[i] = context();
        assert_int_equal(run(cs[i], as[i], &r).event, PLATFORM_SYSCALL);
    }
    for (unsigned i = 0; i < 60; i++) {
        if (i & 1) ops->ctx_free(cs[i]);
        ops->as_free(as[i]);
        if (!(i & 1)) ops->ctx_free(cs[i]);
    }
    assert_true(count_dir("/proc/self/fd") <= fds + KEPT_FDS);
}

static void test_unmap_under_running_guest(void **state UNUSED)
{
    volatile u64 *d = (volatile u64 *)(void *)(cfg.memfile_base + 4096);
    struct platform_as *as;
    struct spinner s;

    PUT(count, 0);
    for (int i = 0; i < 20; i++) {
        as = ready();
        *d = 0;
        spinner_start(&s, as);
        while (*d < 100000) sched_yield();
        if (i & 1) assert_int_equal(change(as, 'u', DATA, 4096, 0), 0);
        else assert_int_equal(change(as, 'p', DATA, 4096, R), 0);
        u64 seen = *d;
        while (!__atomic_load_n(&s.fault, __ATOMIC_SEQ_CST)) sched_yield();
        assert_int_equal(*d, seen); /* not one store after as_update returned */
        assert_int_equal(s.fault, 1 + PLATFORM_FAULT);
        spinner_end(&s);
        ops->as_free(as);
    }
}

const struct CMUnitTest platform_memory_tests[] = {
    cmocka_unit_test(test_faults_and_updates),
    cmocka_unit_test(test_donated_files),
    cmocka_unit_test(test_bus_error),
    cmocka_unit_test(test_many_spaces),
    cmocka_unit_test(test_unmap_under_running_guest),
    { 0 },
};
