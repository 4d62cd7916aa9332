/* Threads in guest code: side by side, kicked, killed from outside. Part of platform_conformance_test.c. */
#include "tests/unit/platform_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

BLOB(keep, "movq (%rsi), %xmm5\n syscall\n movq %xmm5, 16(%rsi)\n syscall\n ud2");
#define KEEP_STORES 6 /* after the first call */
BLOB(syscall, "syscall\n nop\n syscall\n ud2");
BLOB(spin, "1: jmp 1b");
BLOB(count, "1: incq (%rsi)\n jmp 1b");
BLOB(loop, "1: mov $39, %eax\n syscall\n jmp 1b");

struct worker {
    pthread_t t;
    struct platform_as *as;
    unsigned i;
    bool ok;
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct guest_regs r = { .rip = CODE, .r12 = w->i };
    struct platform_ctx *c;

    w->ok = ops->ctx_new(plat, &c) == 0;
    for (unsigned i = 0; i < 500 && w->ok; i++) {
        struct platform_exit e = run(c, w->as, &r);
        w->ok = e.event == PLATFORM_SYSCALL && r.orig_rax == 39 && r.r12 == w->i + i;
        r.r12++;
    }
    ops->ctx_free(c);
    return NULL;
}

static void test_threads_in_one_space(void **state UNUSED)
{
    struct worker w[8];
    struct platform_as *as;

    PUT(loop, 0);
    as = ready();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++) {
            w[i] = (struct worker){ .as = as, .i = i * 1000 };
            pthread_create(&w[i].t, NULL, worker_main, &w[i]);
        }
        for (unsigned i = 0; i < 200; i++) { /* mapping changes while they run */
            assert_int_equal(map(as, DATA + 0x10000, 4096, 8192, R), 0);
            assert_int_equal(change(as, 'u', DATA + 0x10000, 4096, 0), 0);
        }
        for (unsigned i = 0; i < 8; i++) {
            pthread_join(w[i].t, NULL);
            assert_true(w[i].ok);
        }
    }
    ops->as_free(as);
}

static void test_kicks(void **state UNUSED)
{
    struct platform_as *as;
    struct spinner s;

    if (!(ops->abilities(plat) & PLATFORM_CAN_PREEMPT)) SKIP("the platform cannot interrupt guest code");
    for (int loop = 0; loop < 2; loop++) { /* a guest that never leaves, and one that is in and out all the time */
        if (loop) PUT(loop, 0);
        else PUT(spin, 0);
        as = ready();
        spinner_start(&s, as);
        for (u32 i = 1; i <= 1000; i++) {
            u32 before = __atomic_load_n(&s.kicks, __ATOMIC_SEQ_CST);
            time_t t = time(NULL);
            ops->ctx_kick(s.c);
            while (__atomic_load_n(&s.kicks, __ATOMIC_SEQ_CST) == before) {
                assert_true(time(NULL) < t + 60); /* lost */
                sched_yield();
            }
        }
        spinner_end(&s);
        ops->as_free(as);
    }
    /* A kick before the first run. */
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE };
    struct platform_exit e;
    PUT(spin, 0);
    as = ready();
    ops->ctx_kick(c);
    ops->ctx_run(c, as, &r, &e);
    assert_int_equal(e.event, PLATFORM_KICKED);
    assert_int_equal(r.rip, CODE);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_busy_guests_spread(void **state UNUSED)
{
    volatile u64 *d = (volatile u64 *)(void *)(cfg.memfile_base + 4096);
    struct spinner s[2];
    struct platform_as *as[2];

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) SKIP("needs two CPUs");
    PUT(count, 0);
    for (int i = 0; i < 2; i++) {
        as[i] = space();
        assert_int_equal(map(as[i], CODE, 4096, 0, R | X), 0);
        assert_int_equal(map(as[i], DATA, 4096, 4096 * (1 + (u64)i), R | W), 0);
        spinner_start(&s[i], as[i]);
    }
    usleep(300000);
    u64 a = d[0], b = d[512];
    usleep(400000);
    u64 da = d[0] - a, db = d[512] - b;
    /* Where other work shares the machine the split is not exact; on one CPU both would have half. */
    print_message("two computing guests: %llu and %llu million increments/s\n", (unsigned long long)da * 10 / 4 / 1000000,
                  (unsigned long long)db * 10 / 4 / 1000000);
    assert_true(da && db);
    for (int i = 0; i < 2; i++) {
        spinner_end(&s[i]);
        ops->as_free(as[i]);
    }
}

static void test_killed_from_outside(void **state UNUSED)
{
    struct platform_as *as;
    struct spinner s;
    pid_t before[256], after[256];

    if (strcmp(ops->name, "kvm") == 0) SKIP("there is no stub process to kill");
    PUT(spin, 0);
    unsigned nb = children(before, 256);
    as = ready();
    unsigned na = children(after, 256);
    pid_t stub = 0;
    for (unsigned i = 0; i < na; i++) {
        bool old = false;
        for (unsigned j = 0; j < nb; j++) old |= before[j] == after[i];
        if (!old) stub = after[i];
    }
    assert_true(stub > 0);
    spinner_start(&s, as);
    usleep(20000);
    kill(stub, SIGINT); /* must not disturb it */
    kill(stub, SIGSTOP);
    kill(stub, SIGCONT);
    usleep(20000);
    assert_int_equal(__atomic_load_n(&s.fault, __ATOMIC_SEQ_CST), 0);
    kill(stub, SIGKILL);
    while (!__atomic_load_n(&s.fault, __ATOMIC_SEQ_CST)) usleep(100);
    __atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(s.t, NULL);
    assert_int_equal(s.fault, 1 + PLATFORM_DEAD);
    assert_int_equal(map(as, DATA, 4096, 4096, R), -EFAULT);
    struct guest_regs r = { .rip = CODE };
    struct platform_exit e;
    struct platform_ctx *c = context();
    ops->ctx_run(c, as, &r, &e);
    assert_int_equal(e.event, PLATFORM_DEAD);
    ops->ctx_free(c);
    ops->ctx_free(s.c);
    ops->as_free(as);
}

/*
 * One thread with two contexts, in turn, as it takes over the one from the other: each keeps its registers, extended ones too.
 * Quick calls before, so that a platform which spins does it by then.
 */
static void in_turn(struct platform_as *as[2])
{
    struct platform_ctx *c[2] = { context(), context() };
    struct guest_regs r[2];
    u64 *d = (u64 *)(void *)(cfg.memfile_base + 4096);
    unsigned kept = 0;

    PUT(keep, 0);
    for (unsigned i = 0; i < 2; i++) r[i] = (struct guest_regs){ .rsi = DATA + 64 * i, .r13 = i, .fs_base = 4096 * i };
    for (unsigned n = 0; n < 3000; n++) {
        unsigned i = n & 1, calls = n % 500 == 0 ? 300 : 1 + n % 2;
        for (unsigned k = 0; k < calls; k++) { /* the register is loaded */
            d[8 * i] = (u64)n << 32 | k << 1 | i;
            r[i].rip = CODE;
            assert_int_equal(run(c[i], as[i], &r[i]).event, PLATFORM_SYSCALL);
        }
        kept += ops->ctx_keeps(c[i]);
        ops->ctx_take_over(c[i], c[!i]);
        if (!n) continue;
        r[!i].rip = CODE + KEEP_STORES;
        assert_int_equal(run(c[!i], as[!i], &r[!i]).event, PLATFORM_SYSCALL);
        assert_int_equal(r[!i].r13, !i);
        assert_int_equal(r[!i].fs_base, 4096 * !i);
        assert_int_equal(d[8 * !i + 2], d[8 * !i]);
    }
    print_message("%u of 3000 times while the platform would have kept a wake back\n", kept);
    for (unsigned i = 0; i < 2; i++) ops->ctx_free(c[i]);
}

static void test_take_over(void **state UNUSED)
{
    if (!ops->ctx_take_over) SKIP("each context of the platform belongs to one thread");
    struct platform_as *as[2] = { ready(), ready() }, *same[2] = { as[0], as[0] };
    in_turn(same);
    in_turn(as);
    ops->as_free(as[0]);
    ops->as_free(as[1]);
}

static void test_no_child_signal(void **state UNUSED)
{
    sigset_t chld, old;
    struct timespec zero = { 0, 0 };

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &chld, &old);
    PUT(syscall, 0);
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE };
    run(c, as, &r);
    run(c, as, &r);
    assert_int_equal(sigtimedwait(&chld, NULL, &zero), -1);
    ops->ctx_free(c);
    ops->as_free(as);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nor anything to wait for by others */
    assert_int_equal(errno, ECHILD);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

const struct CMUnitTest platform_thread_tests[] = {
    cmocka_unit_test(test_threads_in_one_space),
    cmocka_unit_test(test_kicks),
    cmocka_unit_test(test_busy_guests_spread),
    cmocka_unit_test(test_killed_from_outside),
    cmocka_unit_test(test_take_over),
    cmocka_unit_test(test_no_child_signal),
    { 0 },
};
