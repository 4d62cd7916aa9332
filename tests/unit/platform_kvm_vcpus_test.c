/* Fewer vCPUs than threads, files that shrink or are many, tables used again. Part of platform_kvm_test.c. */
#include "tests/unit/platform_kvm_test.h"
#include "platform/xstate.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(loop, "1: mov $39, %eax\n syscall\n jmp 1b");
BLOB(movxmm, "movq %rax, %xmm3\n syscall\n movq %xmm3, %rax\n syscall\n ud2");

/* More threads than vCPUs: each keeps its registers, its extended ones too, and its address space. */
static void test_eviction(void **state UNUSED)
{
    enum { N = 24, SPACES = 3 };
    struct platform_as *as[SPACES];
    struct platform_ctx *c[N];
    struct guest_regs r[N];
    unsigned cap = plat->vcpu_cap;
    size_t size = platform_xstate_size();
    u8 *x = aligned_alloc(64, (size + 63) & ~63ULL);

    plat->vcpu_cap = plat->nvcpu > 4 ? plat->nvcpu : 4;
    assert_true(plat->vcpu_cap < N);
    PUT(movxmm, 0);
    for (unsigned i = 0; i < SPACES; i++) as[i] = ready();
    for (unsigned i = 0; i < N; i++) {
        c[i] = context();
        r[i] = (struct guest_regs){ .rip = CODE, .rax = 0xabcd0000 + i, .r13 = i, .fs_base = 0x1000 * i };
        assert_int_equal(run(c[i], as[i % SPACES], &r[i]).event, PLATFORM_SYSCALL);
    }
    for (unsigned i = N; i-- > 0;) {
        u64 low;
        assert_int_equal(ops->ctx_get_xstate(c[i], x, size), 0);
        memcpy(&low, x + 160 + 3 * 16, 8);
        assert_int_equal(low, 0xabcd0000 + i);
        assert_int_equal(run(c[i], as[i % SPACES], &r[i]).event, PLATFORM_SYSCALL);
        assert_int_equal(r[i].orig_rax, 0xabcd0000 + i);
        assert_int_equal(r[i].r13, i);
        assert_int_equal(r[i].fs_base, 0x1000 * i);
    }
    for (unsigned i = 0; i < N; i++) ops->ctx_free(c[i]);
    for (unsigned i = 0; i < SPACES; i++) ops->as_free(as[i]);
    plat->vcpu_cap = cap;
    free(x);
}

/* More threads in guest code at once than vCPUs: all come forward. */
struct runner { pthread_t t; struct platform_as *as; unsigned calls; bool ok; };

static void *runner_main(void *arg)
{
    struct runner *w = arg;
    struct platform_ctx *c;
    struct guest_regs r = { .rip = CODE, .rsi = DATA };

    w->ok = ops->ctx_new(plat, &c) == 0;
    while (w->ok && w->calls < 50) {
        struct platform_exit e;
        ops->ctx_run(c, w->as, &r, &e);
        if (e.event == PLATFORM_SYSCALL) w->calls++;
        w->ok = e.event == PLATFORM_SYSCALL || e.event == PLATFORM_KICKED;
    }
    ops->ctx_free(c);
    return NULL;
}

static void test_more_running_than_vcpus(void **state UNUSED)
{
    struct runner w[12];
    unsigned cap = plat->vcpu_cap;
    struct platform_as *as = ready();

    plat->vcpu_cap = plat->nvcpu; /* whatever earlier tests have made */
    PUT(loop, 0);
    for (unsigned i = 0; i < ARRAY_LEN(w); i++) {
        w[i] = (struct runner){ .as = as };
        pthread_create(&w[i].t, NULL, runner_main, &w[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(w); i++) {
        pthread_join(w[i].t, NULL);
        assert_true(w[i].ok);
        assert_int_equal(w[i].calls, 50);
    }
    plat->vcpu_cap = cap;
    ops->as_free(as);
}

/* A file that is cut short while mapped and in use: SIGBUS at the page that is gone, the others go on. */
static void test_truncated_file(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    int fd = memfd_create("file", MFD_CLOEXEC);
    struct platform_exit e;

    PUT(load, 0);
    assert_int_equal(ftruncate(fd, 4 * 4096), 0);
    assert_int_equal(map_fd(as, fd, DATA, 4 * 4096, 0, R | W), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct guest_regs r = { .rip = CODE, .rsi = DATA + i * 4096 };
        assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    }
    assert_int_equal(ftruncate(fd, 2 * 4096), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct guest_regs r = { .rip = CODE, .rsi = DATA + i * 4096 };
        e = run(c, as, &r);
        if (i < 2) {
            assert_int_equal(e.event, PLATFORM_SYSCALL);
            continue;
        }
        assert_int_equal(e.event, PLATFORM_EXCEPTION);
        assert_int_equal(e.signo, SIGBUS);
        assert_int_equal(e.code, BUS_ADRERR);
        assert_int_equal(e.fault_addr, DATA + i * 4096);
    }
    /* Grown again, it is there. */
    assert_int_equal(ftruncate(fd, 4 * 4096), 0);
    struct guest_regs r = { .rip = CODE, .rsi = DATA + 3 * 4096 };
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    close(fd);
    ops->ctx_free(c);
    ops->as_free(as);
}

/* Many files, each used and left: the window does not fill up, and no page shows another file. */
static void test_many_files(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();

    PUT(load, 0);
    for (u64 i = 0; i < 400; i++) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        assert_int_equal(pwrite(fd, &i, 8, 0), 8);
        assert_int_equal(map_fd(as, fd, DATA, 4096, 0, i & 1 ? R : R | W), 0);
        close(fd);
        struct guest_regs r = { .rip = CODE, .rsi = DATA };
        assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, i);
    }
    ops->ctx_free(c);
    ops->as_free(as);
    assert_true(plat->chunk_kept <= CHUNKS_KEPT);
    for (u32 i = 0; i < plat->nchunk && i < 4096; i++) assert_int_equal(plat->chunk[i].refs, 0);
}

/* Spaces come and go, and with them the pages their tables lay on: no space shows what another one had there. */
static void test_recycled_tables(void **state UNUSED)
{
    enum { MARKS = 64, ROUNDS = 1500 };
    struct platform_ctx *c = context();
    u32 most = 0;

    PUT(load, 0);
    for (u64 i = 0; i < MARKS; i++) memcpy(cfg.memfile_base + (16 + i) * 4096, &i, sizeof(i));
    for (u64 i = 0; i < ROUNDS; i++) {
        u64 mark = i * 7 % MARKS, at = DATA + (i % 3 << 30);
        struct platform_as *as = ready();
        assert_int_equal(map_fd(as, cfg.memfile_fd, at, 4096, (16 + mark) * 4096, R), 0);
        for (u64 k = 0; k < 2; k++) {
            struct guest_regs r = { .rip = CODE, .rsi = at };
            if (k) assert_int_equal(map_fd(as, cfg.memfile_fd, at, 4096, (16 + (mark ^ 1)) * 4096, R), 0);
            assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
            assert_int_equal(r.orig_rax, mark ^ k);
        }
        ops->as_free(as);
        if (plat->ndead > most) most = plat->ndead;
    }
    if (plat->var.shadow) assert_true(most > plat->ndead); /* they were used again */
    check_bystander();
    ops->ctx_free(c);
}

const struct CMUnitTest kvm_vcpu_tests[] = {
    cmocka_unit_test(test_eviction),
    cmocka_unit_test(test_more_running_than_vcpus),
    cmocka_unit_test(test_truncated_file),
    cmocka_unit_test(test_many_files),
    cmocka_unit_test(test_recycled_tables),
    { 0 },
};
