/*
 * What every platform owes (platform/platform.h), run against each one whose probe succeeds here. Guest code is
 * assembled into this file between labels, copied to the memory file and mapped at CODE in the guest.
 */
#include "platform/platform.h"
#include "platform/stub/stub.h"
#include "platform/stub/stub_layout.h"
#include "platform/xstate.h"

#include <asm/prctl.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MEM_SIZE (16u << 20)
#define CODE 0x400000ULL
#define DATA 0x600000ULL
#define R PLATFORM_PROT_READ
#define W PLATFORM_PROT_WRITE
#define X PLATFORM_PROT_EXEC
/* kvm keeps its vCPUs, one a thread at most, for the next context. */
#define KEPT_FDS (strcmp(ops->name, "kvm") == 0 ? 256u : 0u)

static const struct platform_ops *ops;
static struct platform *plat;
static struct platform_config cfg;

#define BLOB(name, text)                                                          \
    extern const u8 blob_##name[], blob_##name##_end[];                           \
    __asm__(".pushsection .rodata\nblob_" #name ":\n" text "\nblob_" #name "_end:\n.popsection\n")

BLOB(syscall, "syscall\n nop\n syscall\n ud2");
BLOB(xmm, "movups (%rsi), %xmm5\n syscall\n movups %xmm5, 16(%rsi)\n syscall\n ud2");
BLOB(ymm, "vmovups (%rsi), %ymm9\n syscall\n vmovups %ymm9, 32(%rsi)\n syscall\n ud2");
BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(store, "mov %rax, (%rsi)\n syscall\n ud2");
BLOB(jump, "jmp *%rsi");
BLOB(call, "call *%rsi\n syscall\n ud2");
BLOB(spin, "1: jmp 1b");
BLOB(count, "1: incq (%rsi)\n jmp 1b");
BLOB(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop\n syscall\n nop\n nop");
BLOB(int3, "int3\n syscall");
BLOB(icebp, ".byte 0xf1\n syscall");
BLOB(div0, "xor %eax, %eax\n xor %edx, %edx\n xor %ecx, %ecx\n div %ecx");
BLOB(hlt, "hlt");
BLOB(int80, "mov $20, %eax\n int $0x80\n syscall");
BLOB(fsgs, "mov %fs:0, %rax\n mov %gs:8, %rbx\n syscall\n ud2");
BLOB(loop, "1: mov $39, %eax\n syscall\n jmp 1b");
BLOB(scribble, "1: mov %rax, 40(%rsi)\n mov %rbx, 48(%rsi)\n movl $0, 256(%rsi)\n movl $0, 272(%rsi)\n jmp 1b");
BLOB(mess, "1: imul %rbx, %rax\n add $12345, %rax\n mov %rax, %rcx\n shr $33, %rcx\n and $0x7ff8, %ecx\n"
           " mov %rax, (%rsi,%rcx)\n jmp 1b");
BLOB(noncanon, "mov (%rsi), %rax");

#define PUT(name, off) memcpy(cfg.memfile_base + (off), blob_##name, (size_t)(blob_##name##_end - blob_##name))

static struct platform_as *space(void)
{
    struct platform_as *as;
    assert_int_equal(ops->as_new(plat, &as), 0);
    return as;
}

static struct platform_ctx *context(void)
{
    struct platform_ctx *c;
    assert_int_equal(ops->ctx_new(plat, &c), 0);
    return c;
}

static int map(struct platform_as *as, gaddr_t addr, u64 len, u64 off, int prot)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = (u8)prot, .fd = cfg.memfile_fd, .addr = addr, .len = len,
                                 .off = off };
    return ops->as_update(as, &op, 1);
}

static int change(struct platform_as *as, int kind, gaddr_t addr, u64 len, int prot)
{
    struct platform_mapop op = { .prot = (u8)prot, .addr = addr, .len = len };
    op.kind = kind == 'u' ? PLATFORM_UNMAP : PLATFORM_PROTECT;
    return ops->as_update(as, &op, 1);
}

/* A space with one code page (file page 0) and one data page (file page 1). */
static struct platform_as *ready(void)
{
    struct platform_as *as = space();
    assert_int_equal(map(as, CODE, 4096, 0, R | X), 0);
    assert_int_equal(map(as, DATA, 4096, 4096, R | W), 0);
    return as;
}

static struct platform_exit run(struct platform_ctx *c, struct platform_as *as, struct guest_regs *r)
{
    struct platform_exit e;
    do ops->ctx_run(c, as, r, &e);
    while (e.event == PLATFORM_KICKED);
    return e;
}

static unsigned count_dir(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* Host processes whose parent we are; with pids if wanted. */
static unsigned children(pid_t *out, unsigned max)
{
    char path[64], buf[512];
    unsigned n = 0;
    DIR *d = opendir("/proc");
    struct dirent *e;

    while ((e = readdir(d))) {
        int pid = atoi(e->d_name), ppid = 0;
        if (pid <= 0) continue;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (fgets(buf, sizeof(buf), f) && strrchr(buf, ')')) sscanf(strrchr(buf, ')') + 1, " %*c %d", &ppid);
        fclose(f);
        if (ppid != getpid()) continue;
        if (n < max) out[n] = pid;
        n++;
    }
    closedir(d);
    return n;
}

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

    if (!(ops->abilities(plat) & PLATFORM_CAN_SINGLE_STEP)) skip();
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

/* A thread that spins in the guest until told to stop; counts the kicks it saw. */
struct spinner {
    pthread_t t;
    struct platform_as *as;
    struct platform_ctx *c;
    u32 kicks, stop, fault;
    gaddr_t code, data;
};

static void *spinner_main(void *arg)
{
    struct spinner *s = arg;
    struct guest_regs r = { .rip = s->code, .rsi = s->data };
    struct platform_exit e;
    struct platform_ctx *c;

    ops->ctx_new(plat, &c);
    __atomic_store_n(&s->c, c, __ATOMIC_SEQ_CST);
    for (;;) {
        ops->ctx_run(c, s->as, &r, &e);
        if (e.event == PLATFORM_KICKED) {
            __atomic_add_fetch(&s->kicks, 1, __ATOMIC_SEQ_CST);
        } else if (e.event != PLATFORM_SYSCALL) {
            __atomic_store_n(&s->fault, 1 + e.event, __ATOMIC_SEQ_CST);
            break;
        }
        if (__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) break;
    }
    /* On ptrace a guest dies with the thread that ran it last, and an update may still be under way. */
    while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) usleep(100);
    return NULL;
}

static void spinner_start(struct spinner *s, struct platform_as *as)
{
    memset(s, 0, sizeof(*s));
    s->as = as;
    s->code = CODE;
    s->data = DATA;
    pthread_create(&s->t, NULL, spinner_main, s);
    while (!__atomic_load_n(&s->c, __ATOMIC_SEQ_CST)) sched_yield();
}

static void spinner_end(struct spinner *s)
{
    __atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
    ops->ctx_kick(s->c);
    pthread_join(s->t, NULL);
    ops->ctx_free(s->c);
}

static void test_kicks(void **state UNUSED)
{
    struct platform_as *as;
    struct spinner s;

    if (!(ops->abilities(plat) & PLATFORM_CAN_PREEMPT)) skip();
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

static void test_busy_guests_spread(void **state UNUSED)
{
    volatile u64 *d = (volatile u64 *)(void *)(cfg.memfile_base + 4096);
    struct spinner s[2];
    struct platform_as *as[2];

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
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

    if (strcmp(ops->name, "kvm") == 0) skip();
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
 * The guest looks for mapped pages above GUEST_ADDR_MAX, then jumps to every byte of what is executable there, with
 * registers set for calls that would do harm if the host executed one: exit_group and kill of our own process.
 */
static void test_attack_on_stub(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct platform_exit e;
    unsigned calls = 0, jumps = 0;

    if (strcmp(ops->name, "kvm") == 0) skip();
    for (gaddr_t region = GUEST_ADDR_MAX; region < STUB_USER_END; region += 0x1000000) {
        struct guest_regs r = { .rip = CODE, .rsi = region };
        PUT(load, 0);
        e = run(c, as, &r);
        if (e.event != PLATFORM_SYSCALL) continue;
        for (gaddr_t page = region; page < region + STUB_SIZE; page += 4096) {
            PUT(store, 0); /* only the scratch page may take it; text, filters and orders may not */
            r = (struct guest_regs){ .rip = CODE, .rsi = page + 4088, .rax = ~0ULL };
            e = run(c, as, &r);
            if (page != region + STUB_SCRATCH) assert_int_equal(e.event, PLATFORM_FAULT);
        }
        PUT(jump, 0);
        for (gaddr_t at = region; at < region + 4096; at++) {
            r = (struct guest_regs){ .rip = CODE, .rsi = at, .rsp = DATA + 2048, .rbx = region, .rdi = (u64)getpid(),
                                     .rdx = SIGKILL, .rax = jumps & 1 ? SYS_kill : SYS_exit_group };
            jumps++;
            for (unsigned i = 0; i < 40; i++) {
                e = run(c, as, &r);
                assert_int_not_equal(e.event, PLATFORM_DEAD);
                if (e.event != PLATFORM_SYSCALL) break;
                calls++;
                r.rax = i & 1 ? (u64)-EINTR : 1;
            }
        }
    }
    print_message("%u jumps into stub text, %u system calls caught\n", jumps, calls);
    if (strcmp(ops->name, "ptrace") == 0) assert_true(calls > 100);
    /* The space still works, also its mapper, whose scratch page the guest has overwritten. */
    struct guest_regs r = { .rip = CODE, .rsi = DATA + 0x9000, .rax = 5 };
    PUT(store, 0);
    assert_int_equal(map(as, DATA + 0x9000, 4096, 4096, R | W), 0);
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    ops->ctx_free(c);
    ops->as_free(as);
}

/* A guest that rewrites the stub's message header while descriptors come in: it may hurt itself, not confuse files. */
static void test_scribble_on_messages(void **state UNUSED)
{
    if (strcmp(ops->name, "kvm") == 0) skip();
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    struct spinner s;
    gaddr_t region;
    unsigned ok = 0, refused = 0;
    int fd = memfd_create("donated", MFD_CLOEXEC);
    const u64 mark = 0x600d;

    PUT(load, 0);
    for (region = GUEST_ADDR_MAX; region < STUB_USER_END; region += 0x1000000) {
        struct guest_regs r = { .rip = CODE, .rsi = region };
        if (run(c, as, &r).event == PLATFORM_SYSCALL) break;
    }
    assert_true(region < STUB_USER_END);
    memset(cfg.memfile_base + 8192, 0xbd, 4096);
    assert_int_equal(ftruncate(fd, 12288), 0);
    assert_int_equal(pwrite(fd, &mark, 8, 8192), 8);
    memcpy(cfg.memfile_base + 12288, blob_scribble, (size_t)(blob_scribble_end - blob_scribble));
    assert_int_equal(map(as, CODE + 4096, 4096, 12288, R | X), 0);
    memset(&s, 0, sizeof(s));
    s.as = as;
    s.code = CODE + 4096;
    s.data = region + STUB_SCRATCH;
    pthread_create(&s.t, NULL, spinner_main, &s);
    usleep(50000);
    for (unsigned i = 0; i < 1500; i++) {
        struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = R, .fd = fd, .addr = DATA, .len = 4096, .off = 8192 };
        struct guest_regs r = { .rip = CODE, .rsi = DATA };
        if (i % 100 == 0) usleep(3000);
        if (ops->as_update(as, &op, 1)) {
            refused++;
            continue;
        }
        ok++;
        assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, mark);
    }
    print_message("mapped %u times, refused %u times\n", ok, refused);
    spinner_end(&s);
    close(fd);
    ops->ctx_free(c);
    ops->as_free(as);
}

/* The stub region, as the guest can find it. */
static gaddr_t stub_region(struct platform_ctx *c, struct platform_as *as)
{
    PUT(load, 0);
    for (gaddr_t region = GUEST_ADDR_MAX; region < STUB_USER_END; region += 0x1000000) {
        struct guest_regs r = { .rip = CODE, .rsi = region };
        if (run(c, as, &r).event == PLATFORM_SYSCALL) return region;
    }
    fail();
    return 0;
}

struct watchdog {
    pthread_t t;
    struct platform_ctx *c; /* kicked every few milliseconds */
    int stop;
};

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;
    while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
        struct platform_ctx *c = __atomic_load_n(&w->c, __ATOMIC_SEQ_CST);
        ops->ctx_kick(c);
        usleep(3000);
    }
    return NULL;
}

/*
 * Jumps to every byte of the signal handlers, with a forged request page, a forged signal frame, and the real page of
 * the thread itself. Any event will do, also the end of the guest process; what must not happen is a system call
 * executed, or a sentry thread that never comes back.
 */
static void test_attack_on_handlers(void **state UNUSED)
{
    struct platform_as *as;
    struct watchdog w = { .stop = 0 };
    unsigned events[8] = { 0 }, spaces = 1;
    struct platform_exit e;
    u64 *d = (u64 *)(void *)(cfg.memfile_base + 4096);

    if (strcmp(ops->name, "trap") != 0) skip();
    w.c = context();
    as = ready();
    gaddr_t region = stub_region(w.c, as), area = region + STUB_AREAS;
    PUT(jump, 0);
    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (unsigned at = 0; at < (unsigned)(trap_text_end - trap_text_start); at++) {
        for (unsigned how = 0; how < 3; how++) {
            if (how == 2 && at > 64 && at % 5) continue;
            /* A page and a frame that make the code go on for as long as it can. */
            for (unsigned i = 0; i < 512; i++) d[i] = i & 1 ? DATA + 1024 : CODE;
            d[0] = d[8] = d[9] = 0;
            struct guest_regs r = { .rip = CODE, .rsi = region + STUB_TRAP + at, .rsp = DATA + 2048,
                                    .rbp = how == 2 ? area : how ? DATA : 0, .rdx = DATA + 1024, .rbx = DATA + 1024,
                                    .rdi = SIGSEGV, .rax = SYS_exit_group, .r13 = CODE, .r12 = how == 1 ? 0 : 7 };
            for (unsigned i = 0; i < 5; i++) {
                ops->ctx_run(w.c, as, &r, &e);
                events[e.event]++;
                if (e.event == PLATFORM_KICKED) continue;
                break;
            }
            if (e.event != PLATFORM_DEAD) continue;
            ops->as_free(as);
            as = ready();
            spaces++;
        }
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    print_message("jumps into handlers: %u calls, %u faults, %u exceptions, %u kicks, %u deaths\n", events[PLATFORM_SYSCALL],
                  events[PLATFORM_FAULT], events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED], events[PLATFORM_DEAD]);
    PUT(syscall, 0);
    ops->as_free(as);
    as = ready();
    struct guest_regs r = { .rip = CODE, .rax = 39 };
    assert_int_equal(run(w.c, as, &r).event, PLATFORM_SYSCALL);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

/* The handlers' one system call, made by the guest: sleeping in it is no way out, and nothing but that passes. */
static void test_attack_sleep(void **state UNUSED)
{
    struct platform_as *as;
    struct watchdog w = { .stop = 0 };
    struct platform_exit e;

    if (strcmp(ops->name, "trap") != 0) skip();
    w.c = context();
    as = ready();
    gaddr_t region = stub_region(w.c, as), site = region + STUB_TRAP + (gaddr_t)(trap_text_futex_ret - trap_text_start) - 2;
    gaddr_t mask = region + STUB_TRAP + (gaddr_t)(trap_text_unmask_ret - trap_text_start) - 2;
    gaddr_t base = region + STUB_TRAP + (gaddr_t)(trap_text_base_ret - trap_text_start) - 2;
    /* rdi: a word that stays zero; the area beyond what is used of it */
    struct guest_regs r = { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS + 2048, .rsp = DATA };
    pthread_create(&w.t, NULL, watchdog_main, &w);
    do ops->ctx_run(w.c, as, &r, &e);
    while (e.event == PLATFORM_KICKED);
    assert_true(e.event == PLATFORM_FAULT || e.event == PLATFORM_DEAD); /* interrupted, it jumps to 0 */
    /* Any other futex is refused. */
    const struct guest_regs bad[] = {
        { .rip = site, .rax = SYS_futex, .rdi = DATA },
        { .rip = site, .rax = SYS_futex, .rdi = region + STUB_SCRATCH },
        { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS, .rsi = 3 }, /* FUTEX_REQUEUE */
        { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS, .rsi = 128 },
        { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS, .r10 = DATA },
        { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS, .r10 = 1ULL << 40 },
        { .rip = site, .rax = SYS_futex | 0x40000000, .rdi = region + STUB_AREAS },
        { .rip = site, .rax = SYS_exit, .rdi = 0 },
        { .rip = site, .rax = SYS_rt_sigprocmask, .rdi = SIG_SETMASK, .rsi = region + STUB_RODATA + STUB_RO_EMPTY_SIGSET },
        { .rip = mask, .rax = SYS_rt_sigprocmask, .rdi = SIG_SETMASK, .rsi = DATA },
        { .rip = mask, .rax = SYS_rt_sigprocmask, .rdi = SIG_BLOCK, .rsi = region + STUB_RODATA + STUB_RO_EMPTY_SIGSET },
        { .rip = mask, .rax = SYS_rt_sigprocmask, .rdi = SIG_SETMASK, .rsi = region + STUB_RODATA + STUB_RO_EMPTY_SIGSET,
          .rdx = DATA },
        { .rip = mask, .rax = SYS_futex, .rdi = region + STUB_AREAS },
        { .rip = base, .rax = SYS_futex, .rdi = region + STUB_AREAS },
        { .rip = base, .rax = SYS_arch_prctl, .rdi = ARCH_GET_FS, .rsi = DATA },
        { .rip = base, .rax = SYS_arch_prctl, .rdi = 0x1012 /* ARCH_SET_CPUID */ },
        { .rip = base, .rax = SYS_arch_prctl, .rdi = ARCH_SET_FS | 1ULL << 32, .rsi = DATA },
        { .rip = site, .rax = SYS_arch_prctl, .rdi = ARCH_SET_FS, .rsi = DATA },
    };
    ops->as_free(as);
    as = ready();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        r = bad[i];
        e = run(w.c, as, &r);
        assert_int_equal(e.event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, bad[i].rax);
    }
    /* Where the third one is open, it sets the base of the thread itself: to what the guest likes, and back by the next order. */
    if (!(getauxval(AT_HWCAP2) & 2 /* HWCAP2_FSGSBASE */)) {
        memcpy(cfg.memfile_base + 12288, blob_fsgs, (size_t)(blob_fsgs_end - blob_fsgs));
        assert_int_equal(map(as, CODE + 4096, 4096, 12288, R | X), 0);
        u64 *d = (u64 *)(void *)(cfg.memfile_base + 4096);
        d[32] = 0xaf5;
        d[64] = 0xbf5;
        r = (struct guest_regs){ .rip = base, .rax = SYS_arch_prctl, .rdi = ARCH_SET_FS, .rsi = DATA + 256, .r13 = CODE + 4096,
                                 .fs_base = DATA + 512, .gs_base = DATA };
        assert_int_equal(run(w.c, as, &r).event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, 0xaf5);
        r.rip = CODE + 4096;
        r.fs_base = DATA;
        assert_int_equal(run(w.c, as, &r).event, PLATFORM_SYSCALL);
        r.rip = CODE + 4096;
        r.fs_base = DATA + 512;
        assert_int_equal(run(w.c, as, &r).event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, 0xbf5);
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

/* One guest thread fills the request pages of its siblings, and its own, with noise while they run. */
static void test_attack_on_requests(void **state UNUSED)
{
    unsigned deaths = 0, events = 0;

    if (strcmp(ops->name, "trap") != 0) skip();
    for (unsigned round = 0; round < 12; round++) {
        struct platform_as *as = ready();
        struct watchdog w = { .c = context() };
        struct platform_exit e = { .event = PLATFORM_KICKED };
        struct spinner s;
        gaddr_t region = stub_region(w.c, as);

        PUT(loop, 0);
        memcpy(cfg.memfile_base + 12288, blob_mess, (size_t)(blob_mess_end - blob_mess));
        assert_int_equal(map(as, CODE + 4096, 4096, 12288, R | X), 0);
        pthread_create(&w.t, NULL, watchdog_main, &w);
        memset(&s, 0, sizeof(s));
        s.as = as;
        s.code = CODE + 4096;
        s.data = region + STUB_AREAS;
        pthread_create(&s.t, NULL, spinner_main, &s);
        struct guest_regs r = { .rip = CODE };
        for (unsigned i = 0; i < 2000 && e.event != PLATFORM_DEAD; i++) {
            ops->ctx_run(w.c, as, &r, &e);
            events++;
            u8 xs[16384];
            if (i % 50 == 0 && platform_xstate_size() <= sizeof(xs))
                assert_int_equal(ops->ctx_get_xstate(w.c, xs, platform_xstate_size()), 0);
            if (e.event != PLATFORM_SYSCALL && e.event != PLATFORM_KICKED) r = (struct guest_regs){ .rip = CODE };
        }
        deaths += e.event == PLATFORM_DEAD;
        __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
        pthread_join(w.t, NULL);
        while (!__atomic_load_n(&s.c, __ATOMIC_SEQ_CST)) sched_yield();
        spinner_end(&s);
        ops->ctx_free(w.c);
        ops->as_free(as);
    }
    print_message("noise on request pages: %u events, %u of 12 processes killed\n", events, deaths);
    test_syscall(NULL);
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

static void test_select(void **state UNUSED)
{
    char why[256];

    assert_null(platform_select("nonsense", why, sizeof(why)));
    assert_non_null(strstr(why, "nonsense"));
    const struct platform_ops *o = platform_select("auto", why, sizeof(why));
    assert_true(o || why[0]);
    assert_int_equal(platform_skeleton_ops.probe(why, sizeof(why)), -ENOSYS);
}

/* The address space that start tried out holds nothing of the trial, and the next is a new one. */
static void test_start(void **state UNUSED)
{
    struct platform *saved = plat, *started = NULL;
    char why[256] = "";

    PUT(syscall, 0);
    if (!ops->start) skip();
    if (ops->start(&cfg, &started, why, sizeof(why))) fail_msg("%s", why);
    plat = started;
    for (int i = 0; i < 2; i++) {
        struct platform_as *as = space();
        struct platform_ctx *c = context();
        struct guest_regs r = { .rip = 0x100000 };
        struct platform_exit e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_FAULT);
        assert_int_equal(map(as, CODE, 4096, 0, R | X), 0);
        r = (struct guest_regs){ .rip = CODE, .rbx = 7 };
        e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_SYSCALL);
        assert_int_equal(r.rbx, 7);
        ops->ctx_free(c);
        ops->as_free(as);
    }
    ops->free(started);
    if (ops->start(&cfg, &started, why, sizeof(why))) fail_msg("%s", why);
    ops->free(started); /* with the space of the trial unused */
    plat = saved;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syscall),
        cmocka_unit_test(test_vector_registers),
        cmocka_unit_test(test_xstate),
        cmocka_unit_test(test_faults_and_updates),
        cmocka_unit_test(test_donated_files),
        cmocka_unit_test(test_bus_error),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_bases),
        cmocka_unit_test(test_vsyscall_page),
        cmocka_unit_test(test_many_spaces),
        cmocka_unit_test(test_threads_in_one_space),
        cmocka_unit_test(test_kicks),
        cmocka_unit_test(test_unmap_under_running_guest),
        cmocka_unit_test(test_busy_guests_spread),
        cmocka_unit_test(test_killed_from_outside),
        cmocka_unit_test(test_attack_on_stub),
        cmocka_unit_test(test_scribble_on_messages),
        cmocka_unit_test(test_attack_on_handlers),
        cmocka_unit_test(test_attack_sleep),
        cmocka_unit_test(test_attack_on_requests),
        cmocka_unit_test(test_random_registers),
        cmocka_unit_test(test_no_child_signal),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_start),
    };
    const struct platform_ops *all[] = { &platform_ptrace_ops, &platform_trap_ops, &platform_kvm_ops };
    char why[256], name[64];
    int failed = 0;

    cfg.memfile_fd = memfd_create("guest-memory", MFD_CLOEXEC);
    cfg.memfile_size = MEM_SIZE;
    if (ftruncate(cfg.memfile_fd, MEM_SIZE)) return 1;
    cfg.memfile_base = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, cfg.memfile_fd, 0);
    if (cfg.memfile_base == MAP_FAILED) return 1;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        pid_t kids[64];
        unsigned fds = count_dir("/proc/self/fd");
        ops = all[i];
        if (getenv("PLATFORM") && strcmp(getenv("PLATFORM"), ops->name) != 0) continue;
        if (ops->probe(why, sizeof(why))) {
            printf("%s: not here: %s\n", ops->name, why);
            continue;
        }
        if (children(kids, 64) || count_dir("/proc/self/fd") != fds) {
            printf("%s: the probe left something behind\n", ops->name);
            failed++;
        }
        if (ops->init(&cfg, &plat)) return 1;
        snprintf(name, sizeof(name), "platform %s", ops->name);
        failed += _cmocka_run_group_tests(name, tests, ARRAY_LEN(tests), NULL, NULL);
        ops->free(plat);
        if (children(kids, 64) || count_dir("/proc/self/fd") != fds) {
            printf("%s: something left after free: %u processes, %u descriptors\n", ops->name, children(kids, 64),
                   count_dir("/proc/self/fd") - fds);
            failed++;
        }
    }
    return failed ? 1 : 0;
}
