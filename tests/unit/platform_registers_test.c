/* Registers and what the processor raises: calls, exceptions, single steps. Part of platform_conformance_test.c. */
#include "tests/unit/platform_fixture.h"
#include "platform/xstate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

BLOB(tsc, "rdtsc\n shl $32, %rdx\n or %rdx, %rax\n syscall\n ud2");
BLOB(syscall, "syscall\n nop\n syscall\n ud2");
BLOB(xmm, "movups (%rsi), %xmm5\n syscall\n movups %xmm5, 16(%rsi)\n syscall\n ud2");
BLOB(ymm, "vmovups (%rsi), %ymm9\n syscall\n vmovups %ymm9, 32(%rsi)\n syscall\n ud2");
BLOB(call, "call *%rsi\n syscall\n ud2");
BLOB(spin, "1: jmp 1b");
BLOB(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop\n syscall\n nop\n nop");
BLOB(int3, "int3\n syscall");
BLOB(icebp, ".byte 0xf1\n syscall");
BLOB(div0, "xor %eax, %eax\n xor %edx, %edx\n xor %ecx, %ecx\n div %ecx");
BLOB(hlt, "hlt");
BLOB(int80, "mov $20, %eax\n int $0x80\n syscall");
BLOB(fsgs, "mov %fs:0, %rax\n mov %gs:8, %rbx\n syscall\n ud2");
BLOB(noncanon, "mov (%rsi), %rax");

static void test_syscall(void **state UNUSED)
{
    struct platform_as *as;
    struct platform_ctx *c = context();
    struct guest_regs r, want;
    struct platform_exit e;

    PUT(syscall, 0);
    as = ready();
    for (size_t i = 0; i < sizeof(r) / 8; i++) ((u64 *)&r)[i] = 0x1111000000000000ULL + i * 0x0101010101ULL;
    r.rip = CODE;
    r.rsp = 0x123400005678; /* mapped nowhere, but canonical: some hypervisors refuse `syscall` with any other, natively too */
    r.rax = 123456;
    r.fs_base = 0x12345000;
    r.gs_base = 0x54321000;
    r.eflags = 0x1 | 0x400; /* CF DF, and bits that are not the guest's must not hurt */
    r.cs = 7;
    r.ss = 0;
    want = r;
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, 123456);
    assert_int_equal(r.rax, (u64)-ENOSYS);
    assert_int_equal(r.rip, CODE + 2);
    assert_int_equal(r.rcx, CODE + 2);
    assert_int_equal(r.eflags & 0xcd5, 0x401);
#define SAME(reg) assert_int_equal(r.reg, want.reg)
    SAME(r15); SAME(r14); SAME(r13); SAME(r12); SAME(rbp); SAME(rbx); SAME(r10); SAME(r9); SAME(r8);
    SAME(rdx); SAME(rsi); SAME(rdi); SAME(rsp); SAME(fs_base); SAME(gs_base);
    /* No restart of "system calls", whatever is returned; registers changed here arrive there. */
    r.rax = (u64)-512;
    r.rbx = 77;
    r.rcx = 88;
    r.orig_rax = 5;
    ops->ctx_kick(c);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, (u64)-512);
    assert_int_equal(r.rip, CODE + 5);
    assert_int_equal(r.rbx, 77);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_EXCEPTION);
    assert_int_equal(e.signo, SIGILL);
    assert_int_equal(r.rip, CODE + 5);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_vector_registers(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE, .rsi = DATA };
    struct platform_exit e;
    u8 *d = cfg.memfile_base + 4096;
    bool ymm = platform_xstate_features() & 4;
    size_t n = ymm ? 32 : 16;

    for (size_t i = 0; i < 64; i++) d[i] = (u8)(i + 1);
    if (ymm) PUT(ymm, 0);
    else PUT(xmm, 0);
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    memset(d + n, 0, n);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_memory_equal(d, d + n, n);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_xstate(void **state UNUSED)
{
    size_t size = platform_xstate_size();
    u8 *a = aligned_alloc(64, gpage_up(size)), *b = aligned_alloc(64, gpage_up(size));
    struct platform_as *as = ready(), *other = ready();
    struct platform_ctx *c = context(), *fork = context();
    struct guest_regs r = { .rip = CODE, .rsi = DATA }, r2;
    u8 *d = cfg.memfile_base + 4096;

    platform_xstate_init(b);
    assert_int_equal(ops->ctx_get_xstate(c, a, size), 0);
    assert_memory_equal(a, b, size);
    PUT(xmm, 0);
    for (size_t i = 0; i < 16; i++) d[i] = (u8)(0xa0 + i);
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    assert_int_equal(ops->ctx_get_xstate(c, a, size), 0);
    assert_memory_equal(a + 160 + 5 * 16, d, 16);
    /* As fork does it: state and registers to another context, another space. */
    assert_int_equal(ops->ctx_set_xstate(fork, a, size), 0);
    r2 = r;
    memset(d + 16, 0, 16);
    assert_int_equal(run(fork, other, &r2).event, PLATFORM_SYSCALL);
    assert_memory_equal(d, d + 16, 16);
    /* As exec does it: the same context, another space, initial state (xmm5 is zero). */
    memset(d + 16, 0xee, 16);
    r2 = r;
    assert_int_equal(run(c, other, &r2).event, PLATFORM_SYSCALL);
    for (size_t i = 16; i < 32; i++) assert_int_equal(d[i], 0);
    /* Malformed. */
    assert_int_equal(ops->ctx_set_xstate(c, a, size - 1), -EINVAL);
    b[512 + 7] = 0x80; /* XSTATE_BV bit 63 */
    assert_int_equal(ops->ctx_set_xstate(c, b, size), -EINVAL);
    b[512 + 7] = 0;
    b[527] = 0x80; /* compacted */
    assert_int_equal(ops->ctx_set_xstate(c, b, size), -EINVAL);
    b[527] = 0;
    b[26] = 0xff; /* mxcsr */
    b[27] = 0xff;
    assert_int_equal(ops->ctx_set_xstate(c, b, size), -EINVAL);
    ops->ctx_free(c);
    ops->ctx_free(fork);
    ops->as_free(as);
    ops->as_free(other);
    free(a);
    free(b);
}

#define ANY_RIP 99

static void exception_at(const u8 *blob, size_t n, int signo, int code, u64 rip)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE, .rsp = DATA + 2048, .rsi = 1ULL << 62 };
    struct platform_exit e;

    memcpy(cfg.memfile_base, blob, n);
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_EXCEPTION);
    assert_int_equal(e.signo, signo);
    if (code) assert_int_equal(e.code, code);
    if (rip != ANY_RIP) assert_int_equal(r.rip, CODE + rip);
    assert_int_equal(r.orig_rax, (u64)-1);
    ops->ctx_free(c);
    ops->as_free(as);
}

#define EXC(name, ...) exception_at(blob_##name, (size_t)(blob_##name##_end - blob_##name), __VA_ARGS__)

/* The signal that ends a child which executes icebp: emulated processors do not know it. */
static int native_icebp(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGTRAP, SIG_DFL);
        signal(SIGILL, SIG_DFL);
        __asm__ volatile(".byte 0xf1");
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : SIGTRAP;
}

static void test_exceptions(void **state UNUSED)
{
    EXC(int3, SIGTRAP, SI_KERNEL, 1);
    EXC(icebp, native_icebp(), 0, ANY_RIP); /* some hypervisors leave rip on it, natively too */
    EXC(div0, SIGFPE, FPE_INTDIV, 6);
    EXC(hlt, SIGSEGV, SI_KERNEL, 0);
    EXC(noncanon, SIGSEGV, SI_KERNEL, 0);
    EXC(int80, SIGSEGV, SI_KERNEL, 5);
}

static void test_single_step(void **state UNUSED)
{
    struct platform_as *as;
    struct platform_ctx *c;
    struct guest_regs r = { .rip = CODE, .rsp = DATA + 2048, .rax = 9 };
    struct platform_exit e;
    unsigned traps = 0, calls = 0;

    if (!(ops->abilities(plat) & PLATFORM_CAN_SINGLE_STEP)) SKIP("the platform cannot single-step");
    PUT(step, 0);
    as = ready();
    c = context();
    u64 end = CODE + (u64)(blob_step_end - blob_step);
    while (r.rip != end) {
        e = run(c, as, &r);
        if (e.event == PLATFORM_SYSCALL) {
            calls++;
            assert_true(r.eflags & 0x100);
        } else {
            assert_int_equal(e.event, PLATFORM_EXCEPTION);
            assert_int_equal(e.signo, SIGTRAP);
            assert_int_equal(e.code, TRAP_TRACE);
            assert_true(++traps < 20);
        }
    }
    assert_int_equal(calls, 1);
    assert_in_range(traps, 4, 5); /* nop nop (syscall) nop nop */
    /* Set from outside. */
    PUT(spin, 0);
    r = (struct guest_regs){ .rip = CODE, .eflags = 0x100 };
    e = run(c, as, &r);
    assert_int_equal(e.signo, SIGTRAP);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_bases(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct guest_regs r = { .rip = CODE, .fs_base = DATA + 64, .gs_base = DATA + 128 };
    struct platform_exit e;
    u64 *d = (u64 *)(void *)(cfg.memfile_base + 4096);

    PUT(fsgs, 0);
    d[8] = 0xf5;
    d[17] = 0x65;
    e = run(c, as, &r);
    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, 0xf5);
    assert_int_equal(r.rbx, 0x65);
    /* Values no processor takes are the guest's fault, not ours. */
    const u64 bad[] = { 1ULL << 47, 1ULL << 63, ~0ULL, 0x7ffffffff000ULL };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct guest_regs b = { .rip = CODE, .fs_base = bad[i] };
        e = run(c, as, &b);
        assert_true(e.event == PLATFORM_EXCEPTION || e.event == PLATFORM_FAULT);
        b = (struct guest_regs){ .rip = bad[i], .rsp = bad[i] };
        e = run(c, as, &b);
        assert_true(e.event == PLATFORM_EXCEPTION || e.event == PLATFORM_FAULT);
    }
    r.rip = CODE;
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_vsyscall_page(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();

    PUT(call, 0);
    for (unsigned i = 0; i < 3; i++) { /* gettimeofday, time, getcpu */
        struct guest_regs r = { .rip = CODE, .rsi = 0xffffffffff600000ULL + i * 1024, .rsp = DATA + 2048, .rdi = DATA };
        struct platform_exit e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_FAULT);
        assert_int_equal(e.fault_addr, r.rsi);
        assert_int_equal(r.rip, r.rsi);
        assert_int_equal(r.rsp, DATA + 2040);
        assert_int_equal(*(u64 *)(void *)(cfg.memfile_base + 4096 + 2040), CODE + 2);
    }
    ops->ctx_free(c);
    ops->as_free(as);
}

/* Whatever the registers are, the answer is an event and the context stays usable. */
static void test_random_registers(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct platform_exit e;
    unsigned short seed[3] = { 1, 2, 3 };

    PUT(syscall, 0);
    for (unsigned i = 0; i < 5000; i++) {
        struct guest_regs r;
        for (size_t k = 0; k < sizeof(r) / 8; k++)
            ((u64 *)&r)[k] = (u64)jrand48(seed) << 32 ^ (u64)jrand48(seed) ^ (u64)jrand48(seed) << 16;
        if (i & 1) r.rip = CODE;
        if (i & 2) r.fs_base = r.gs_base = DATA;
        e = run(c, as, &r);
        assert_int_not_equal(e.event, PLATFORM_DEAD);
    }
    struct guest_regs r = { .rip = CODE, .rax = 3 };
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, 3);
    ops->ctx_free(c);
    ops->as_free(as);
}

/* What the vDSO of guests goes by. */
static void test_host_tsc(void **state UNUSED)
{
    if (!(ops->abilities(plat) & PLATFORM_HOST_TSC)) SKIP("guests have a time stamp counter of their own");
    PUT(tsc, 0);
    struct platform_as *as = ready();
    for (int i = 0; i < 3; i++) {
        struct platform_ctx *c = context();
        struct guest_regs r = { .rip = CODE };
        u64 before = __builtin_ia32_rdtsc();
        assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
        assert_in_range(r.orig_rax, before, __builtin_ia32_rdtsc());
        ops->ctx_free(c);
    }
    ops->as_free(as);
}

const struct CMUnitTest platform_register_tests[] = {
    cmocka_unit_test(test_syscall),
    cmocka_unit_test(test_vector_registers),
    cmocka_unit_test(test_xstate),
    cmocka_unit_test(test_exceptions),
    cmocka_unit_test(test_single_step),
    cmocka_unit_test(test_bases),
    cmocka_unit_test(test_vsyscall_page),
    cmocka_unit_test(test_random_registers),
    cmocka_unit_test(test_host_tsc),
    { 0 },
};
