/*
 * What a hostile guest can do to the machine it shares with other processes of its sandbox: nothing. And what only the kvm
 * platform has: a pool of vCPUs smaller than the number of threads, files that shrink under the machine's feet.
 * Skipped, with the reason, where KVM cannot be had. Conformance to the contract: platform_conformance_test.c.
 */
#include "platform/kvm/internal.h"
#include "platform/platform.h"
#include "platform/xstate.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MEM_SIZE (16u << 20)
#define CODE 0x400000ULL
#define DATA 0x600000ULL
#define R PLATFORM_PROT_READ
#define W PLATFORM_PROT_WRITE
#define X PLATFORM_PROT_EXEC

static const struct platform_ops *const ops = &platform_kvm_ops;
static struct platform *plat;
static struct platform_config cfg;

#define BLOB(name, text)                                                          \
    extern const u8 blob_##name[], blob_##name##_end[];                           \
    __asm__(".pushsection .rodata\nblob_" #name ":\n" text "\nblob_" #name "_end:\n.popsection\n")

BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(store, "mov %rax, (%rsi)\n syscall\n ud2");
BLOB(jump, "jmp *%rsi");
BLOB(syscall, "syscall\n ud2");
BLOB(int3, "int3");
BLOB(div0, "xor %eax, %eax\n xor %edx, %edx\n xor %ecx, %ecx\n div %ecx");
BLOB(bare, "1: syscall\n jmp 1b");
BLOB(loop, "1: mov $39, %eax\n syscall\n jmp 1b");
BLOB(movxmm, "movq %rax, %xmm3\n syscall\n movq %xmm3, %rax\n syscall\n ud2");
/* r15: port */
BLOB(out8, "mov %r15, %rdx\n out %al, (%dx)\n syscall\n ud2");
BLOB(out32, "mov %r15, %rdx\n out %eax, (%dx)\n syscall\n ud2");
BLOB(in8, "mov %r15, %rdx\n in (%dx), %al\n syscall\n ud2");
BLOB(outs, "mov %r15, %rdx\n mov $1, %ecx\n rep outsb\n syscall\n ud2");
BLOB(outsyscall, "out %al, $0x40\n syscall\n ud2");
/* What ring 3 may not do. */
BLOB(cli, "cli");
BLOB(sti, "sti");
BLOB(lgdt, "lgdt (%rsi)");
BLOB(lidt, "lidt (%rsi)");
BLOB(lldt, "xor %eax, %eax\n lldt %ax");
BLOB(ltr, "mov $0x40, %eax\n ltr %ax");
BLOB(cr0, "mov %cr0, %rax");
BLOB(cr3, "mov %rax, %cr3");
BLOB(cr4, "mov %rax, %cr4");
BLOB(cr8, "mov %rax, %cr8");
BLOB(dr0, "mov %rax, %dr0");
BLOB(dr7, "mov %rax, %dr7");
BLOB(rdmsr, "mov $0xc0000082, %ecx\n rdmsr");
BLOB(wrmsr, "mov $0xc0000082, %ecx\n wrmsr");
BLOB(swapgs, "swapgs");
BLOB(sysret, "sysretq");
BLOB(invlpg, "invlpg (%rsi)");
BLOB(wbinvd, "wbinvd");
BLOB(xsetbv, "xor %ecx, %ecx\n xor %edx, %edx\n mov $1, %eax\n xsetbv");
BLOB(clts, "clts");
BLOB(lmsw, "mov $1, %eax\n lmsw %ax");
BLOB(vmrun, "vmrun");
BLOB(vmxoff, ".byte 0x0f, 0x01, 0xc4");
/* What may do something, though not to others. */
BLOB(vmcall, "vmcall\n syscall\n ud2");
BLOB(vmmcall, "vmmcall\n syscall\n ud2");
BLOB(sysenter, "sysenter\n syscall\n ud2");
BLOB(iopl, "pushfq\n orq $0x7200, (%rsp)\n popfq\n out %al, $0x40\n syscall\n ud2"); /* IOPL 3, NT */
BLOB(far32, "pushq $0x23\n pushq $0x400100\n lretq");
BLOB(far0, "pushq $0x10\n pushq $0x400100\n lretq");
BLOB(iret0, "pushq $0x18\n pushq %rsp\n pushq $0x3002\n pushq $0x10\n pushq $0x400100\n iretq");
BLOB(selectors, "mov $0x2b, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n syscall\n"
                " xor %eax, %eax\n mov %eax, %ds\n mov %eax, %es\n syscall\n ud2");
BLOB(sel_kernel, "mov $0x18, %eax\n mov %eax, %ds");
BLOB(sel_tss, "mov $0x40, %eax\n mov %eax, %gs");
BLOB(movss_syscall, "mov $0x2b, %ecx\n pushfq\n orq $0x100, (%rsp)\n popfq\n mov %ecx, %ss\n syscall\n nop\n nop\n ud2");
BLOB(movss_int3, "mov $0x2b, %ecx\n mov %ecx, %ss\n int3\n syscall\n ud2");
BLOB(ac, "pushfq\n orq $0x40000, (%rsp)\n popfq\n mov 1(%rsi), %rax\n syscall\n ud2");

#define PUT(name, off) memcpy(cfg.memfile_base + (off), blob_##name, (size_t)(blob_##name##_end - blob_##name))

static struct platform_ctx *context(void)
{
    struct platform_ctx *c;
    assert_int_equal(ops->ctx_new(plat, &c), 0);
    return c;
}

static int map_fd(struct platform_as *as, int fd, gaddr_t addr, u64 len, u64 off, int prot)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = (u8)prot, .fd = fd, .addr = addr, .len = len, .off = off };
    return ops->as_update(as, &op, 1);
}

static struct platform_as *ready(void)
{
    struct platform_as *as;
    assert_int_equal(ops->as_new(plat, &as), 0);
    assert_int_equal(map_fd(as, cfg.memfile_fd, CODE, 4096, 0, R | X), 0);
    assert_int_equal(map_fd(as, cfg.memfile_fd, DATA, 4096, 4096, R | W), 0);
    return as;
}

static struct platform_exit run(struct platform_ctx *c, struct platform_as *as, struct guest_regs *r)
{
    struct platform_exit e;
    do ops->ctx_run(c, as, r, &e);
    while (e.event == PLATFORM_KICKED);
    return e;
}

/* Another process of the sandbox, which must notice nothing; and the pages that all share. */
static struct platform_as *bystander_as;
static struct platform_ctx *bystander;
static u8 shared_before[3][4096];

static const u64 *kernel_pt(void)
{
    const u64 *pdpt = kvm_page_ptr(plat, plat->pt_kernel & ~0xfffULL), *pd = kvm_page_ptr(plat, pdpt[0] & ~0xfffULL);
    return kvm_page_ptr(plat, pd[0] & ~0xfffULL);
}

static const u8 *shared_page(unsigned i)
{
    return kvm_page_ptr(plat, kernel_pt()[i] & 0x000ffffffffff000ULL);
}

static const u8 *user_stub_page(void) { return kvm_page_ptr(plat, plat->user_text); }

static void check_bystander(void)
{
    struct guest_regs r = { .rip = 0x700000, .rax = 4711, .rbx = 0xb0b, .rsp = 0x1234, .fs_base = 0x9000 };
    struct platform_exit e = run(bystander, bystander_as, &r);

    assert_int_equal(e.event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, 4711);
    assert_int_equal(r.rbx, 0xb0b);
    assert_int_equal(r.rsp, 0x1234);
    assert_int_equal(r.fs_base, 0x9000);
    for (unsigned i = 0; i < 3; i++) assert_memory_equal(shared_page(i), shared_before[i], 4096);
}

static void start_bystander(void)
{
    u64 off = 15u << 20;
    assert_int_equal(ops->as_new(plat, &bystander_as), 0);
    assert_int_equal(map_fd(bystander_as, cfg.memfile_fd, 0x700000, 4096, off, R | X), 0);
    PUT(syscall, off);
    bystander = context();
    for (unsigned i = 0; i < 3; i++) memcpy(shared_before[i], shared_page(i), 4096);
    check_bystander();
}

static void test_ring0_is_out_of_reach(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    gaddr_t pages[] = { KVA_TEXT, KVA_IDT, KVA_GDT, KVA_VCPU(0), KVA_VCPU(0) + VCPU_FRAME, KVA_VCPU(1), KVA_VCPU(255),
                        KVA_BASE + 0x3000, KVA_BASE - 0x1000, ~0ULL - 4095 };

    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        for (int how = 0; how < 3; how++) {
            struct guest_regs r = { .rip = CODE, .rsi = pages[i], .rax = ~0ULL, .rsp = DATA + 2048 };
            if (how == 0) PUT(load, 0);
            else if (how == 1) PUT(store, 0);
            else PUT(jump, 0);
            struct platform_exit e = run(c, as, &r);
            assert_int_equal(e.event, PLATFORM_FAULT);
            assert_int_equal(e.fault_addr, pages[i]);
            assert_int_equal(e.access, how == 0 ? R : how == 1 ? W : X);
        }
    }
    PUT(jump, 0);
    for (gaddr_t at = 0; at < 4096; at++) { /* every byte of the stub */
        struct guest_regs r = { .rip = CODE, .rsi = KVA_TEXT + at, .rsp = DATA + 2048 };
        struct platform_exit e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_FAULT);
        assert_int_equal(e.fault_addr, KVA_TEXT + at);
        /* entered there from outside, as a forged signal frame would have it */
        r = (struct guest_regs){ .rip = KVA_TEXT + at, .rsp = DATA + 2048 };
        e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_FAULT);
        assert_int_equal(e.access, X);
    }
    check_bystander();
    ops->ctx_free(c);
    ops->as_free(as);
}

static void test_ports(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();

    for (unsigned how = 0; how < 5; how++) {
        for (u64 port = 0; port < 0x10000; port += port < 0x100 ? 1 : 0x3f1) {
            struct guest_regs r = { .rip = CODE, .r15 = port, .rsi = DATA, .rsp = DATA + 2048 };
            switch (how) {
            case 0: PUT(out8, 0); break;
            case 1: PUT(out32, 0); break;
            case 2: PUT(in8, 0); break;
            case 3: PUT(outs, 0); break;
            default: PUT(outsyscall, 0); break;
            }
            struct platform_exit e = run(c, as, &r);
            assert_int_equal(e.event, PLATFORM_EXCEPTION);
            assert_int_equal(e.signo, SIGSEGV);
        }
    }
    check_bystander();
    ops->ctx_free(c);
    ops->as_free(as);
}

struct watchdog { pthread_t t; struct platform_ctx *c; int stop; };

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;
    while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
        ops->ctx_kick(w->c);
        usleep(2000);
    }
    return NULL;
}

/* PVM's stub is open to ring 3, which can do no more there than it can with `syscall`, and cannot change it. */
static void test_stub_at_ring3(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    u8 before[4096];

    if (!plat->var.user_stub) skip();
    const u8 *stub = user_stub_page();
    memcpy(before, stub, sizeof(before));
    struct guest_regs first = { .rip = CODE };
    PUT(syscall, 0);
    run(c, as, &first);
    const gaddr_t base = USER_TEXT(start);
    struct watchdog w = { .c = c }; /* the stub's loop may be entered with a large count */
    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (gaddr_t at = 0; at < 4096; at++) {
        struct guest_regs r = { .rip = CODE, .rsi = base + at, .rsp = DATA + 2048, .rax = 7, .rcx = CODE + 9, .r11 = ~0xffffff00ULL };
        PUT(jump, 0);
        struct platform_exit e = run(c, as, &r);
        if (at == USER_OFF(syscall)) {
            assert_int_equal(e.event, PLATFORM_SYSCALL);
            assert_int_equal(r.orig_rax, 7);
            assert_int_equal(r.rip, CODE + 9);
            assert_int_equal(r.eflags & ~USER_EFLAGS, 0x202);
        } else if (e.event == PLATFORM_DEAD || (e.event == PLATFORM_SYSCALL && at >= USER_OFF(resume_end))) {
            fail_msg("event %d from byte %llu of the stub", e.event, (unsigned long long)at);
        }
        r = (struct guest_regs){ .rip = CODE, .rsi = base + at, .rax = ~0ULL, .rsp = DATA + 2048 };
        PUT(store, 0);
        e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_FAULT);
        assert_int_equal(e.access, W);
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    assert_memory_equal(stub, before, sizeof(before));
    check_bystander();
    ops->ctx_free(c);
    ops->as_free(as);
}

struct blob { const char *name; const u8 *start, *end; };
#define B(name) { #name, blob_##name, blob_##name##_end }

static void test_privileged(void **state UNUSED)
{
    static const struct blob refused[] = {
        B(cli), B(sti), B(lgdt), B(lidt), B(lldt), B(ltr), B(cr0), B(cr3), B(cr4), B(cr8), B(dr0), B(dr7), B(rdmsr), B(wrmsr),
        B(swapgs), B(sysret), B(invlpg), B(wbinvd), B(xsetbv), B(clts), B(lmsw), B(vmrun), B(vmxoff), B(far32), B(far0), B(iret0),
        B(sel_kernel), B(sel_tss), B(iopl),
    };
    static const struct blob harmless[] = {
        B(vmcall), B(vmmcall), B(sysenter), B(selectors), B(movss_syscall), B(movss_int3), B(ac), B(int3), B(div0),
    };
    struct platform_as *as = ready();
    struct platform_ctx *c = context();

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct guest_regs r = { .rip = CODE, .rsi = DATA, .rsp = DATA + 2048 };
        memcpy(cfg.memfile_base, refused[i].start, (size_t)(refused[i].end - refused[i].start));
        struct platform_exit e = run(c, as, &r);
        if (e.event != PLATFORM_EXCEPTION || (e.signo != SIGSEGV && e.signo != SIGILL && e.signo != SIGBUS))
            fail_msg("%s: event %d, signal %d", refused[i].name, e.event, e.signo);
        check_bystander();
    }
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        struct guest_regs r = { .rip = CODE, .rsi = DATA, .rsp = DATA + 2048, .rcx = CODE, .rdx = CODE };
        memcpy(cfg.memfile_base, harmless[i].start, (size_t)(harmless[i].end - harmless[i].start));
        for (int k = 0; k < 3; k++) {
            struct platform_exit e = run(c, as, &r);
            if (e.event == PLATFORM_DEAD) fail_msg("%s kills its process", harmless[i].name);
            check_bystander();
        }
    }
    ops->ctx_free(c);
    ops->as_free(as);
}

/* Events with a stack pointer into ring 0's pages: nothing is pushed there. */
static void test_odd_stack_pointers(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    gaddr_t stacks[] = { KVA_IDT + 2048, KVA_GDT + 48, KVA_TEXT + 512, KVA_VCPU(0) + 64, 0, 1, ~0ULL, 1ULL << 47, 1ULL << 63 };

    for (size_t i = 0; i < ARRAY_LEN(stacks); i++) {
        struct guest_regs r = { .rip = CODE, .rsp = stacks[i], .rax = i };
        PUT(syscall, 0);
        struct platform_exit e = run(c, as, &r);
        assert_int_equal(e.event, PLATFORM_SYSCALL);
        assert_int_equal(r.rsp, stacks[i]);
        e = run(c, as, &r); /* ud2 */
        assert_int_equal(e.event, PLATFORM_EXCEPTION);
        assert_int_equal(e.signo, SIGILL);
        assert_int_equal(r.rsp, stacks[i]);
        PUT(int3, 0);
        r.rip = CODE;
        e = run(c, as, &r);
        assert_int_equal(e.signo, SIGTRAP);
        assert_int_equal(r.rsp, stacks[i]);
        check_bystander();
    }
    ops->ctx_free(c);
    ops->as_free(as);
}

/* Random bytes as code, random registers, kicks in between. */
static void test_random_code(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct watchdog w = { .c = context() };
    unsigned short seed[3] = { 7, 8, 9 };
    unsigned events[8] = { 0 };

    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (unsigned i = 0; i < 3000; i++) {
        struct guest_regs r;
        struct platform_exit e;
        for (size_t k = 0; k < sizeof(r) / 8; k++)
            ((u64 *)&r)[k] = (u64)jrand48(seed) << 32 ^ (u64)jrand48(seed) ^ (u64)jrand48(seed) << 16;
        r.rip = CODE;
        r.fs_base = r.gs_base = DATA;
        if (i & 1) r.rsi = r.rdi = r.rsp = DATA + 2048;
        if (i & 2) r.eflags &= ~0x100ULL;
        for (unsigned k = 0; k < 64; k += 4) {
            u32 word = (u32)jrand48(seed);
            memcpy(cfg.memfile_base + k, &word, 4);
        }
        if (i % 3 == 0) cfg.memfile_base[0] = 0x0f;
        for (unsigned n = 0; n < 4; n++) { /* not run(): some of it loops */
            ops->ctx_run(w.c, as, &r, &e);
            events[e.event]++;
            assert_int_not_equal(e.event, PLATFORM_DEAD);
            if (e.event == PLATFORM_FAULT || e.event == PLATFORM_EXCEPTION) break;
        }
        if (i % 100 == 0) check_bystander();
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    check_bystander();
    print_message("random code: %u calls, %u faults, %u exceptions, %u kicks\n", events[PLATFORM_SYSCALL], events[PLATFORM_FAULT],
                  events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED]);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

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

/* Sessions, each begun anew as soon as it has ended, however busy the machine is. */
static void want_session(struct platform_ctx *c)
{
    c->session.count = 0;
    c->session.wanted = true;
}

static void random_regs(struct guest_regs *r, unsigned short *seed)
{
    u64 rip = r->rip;

    for (size_t k = 0; k < sizeof(*r) / 8; k++) ((u64 *)r)[k] = (u64)jrand48(seed) << 32 ^ (u64)(u32)jrand48(seed);
    r->rip = rip;
    r->rsp &= ~0ULL >> 17;
    r->eflags &= USER_EFLAGS & ~(EFLAGS_TF | EFLAGS_RF);
    r->fs_base = r->gs_base = 0x1000;
}

/* Every register that an answer sets arrives, and comes back with the next call, whatever interrupts. */
static void test_session_registers(void **state UNUSED)
{
    enum { CALLS = 2000 };
    u32 budget = plat->spin_budget;
    struct platform_as *as = ready();
    struct watchdog w = { .c = context() };
    struct platform_ctx *c = w.c;
    unsigned short seed[3] = { 1, 2, 3 };
    struct guest_regs r = { .rip = CODE }, want;
    unsigned in_session = 0, kicks = 0;
    size_t size = platform_xstate_size();
    u8 *x = aligned_alloc(64, (size + 63) & ~63ULL), *y = aligned_alloc(64, (size + 63) & ~63ULL);

    if (!plat->spin_budget) skip();
    plat->spin_budget *= 100; /* so that sessions last while others have the CPUs */
    PUT(bare, 0);
    random_regs(&r, seed);
    platform_xstate_init(x);
    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (unsigned i = 0; i < CALLS;) {
        struct platform_exit e;
        want = r;
        if (i % 500 == 7) { /* other extended registers; the session ends for that */
            for (size_t k = 160; k < 416; k++) x[k] = (u8)(i + k);
            x[512] |= 2;
            assert_int_equal(ops->ctx_set_xstate(c, x, size), 0);
        }
        want_session(c);
        ops->ctx_run(c, as, &r, &e);
        if (e.event == PLATFORM_KICKED) {
            kicks++;
            r = want;
            continue;
        }
        assert_int_equal(e.event, PLATFORM_SYSCALL);
        in_session += c->session.on;
        assert_int_equal(r.rip, CODE + 2);
        assert_int_equal(r.rcx, CODE + 2);
        assert_int_equal(r.orig_rax, want.rax);
        assert_int_equal(r.eflags, (want.eflags & USER_EFLAGS) | 0x202);
        want.rip = r.rip;
        want.rcx = r.rcx;
        want.r11 = r.r11;
        want.rax = r.rax;
        want.orig_rax = r.orig_rax;
        want.eflags = r.eflags;
        want.cs = r.cs;
        want.ss = r.ss;
        want.ds = want.es = want.fs = want.gs = 0;
        assert_memory_equal(&r, &want, sizeof(r));
        if (i % 100 == 99) {
            assert_int_equal(ops->ctx_get_xstate(c, y, size), 0);
            assert_memory_equal(x + 160, y + 160, 256);
        }
        random_regs(&r, seed);
        i++;
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    print_message("%u calls, of these %u in sessions, %u kicks\n", CALLS, in_session, kicks);
    assert_true(in_session > 0);
    plat->spin_budget = budget;
    ops->ctx_free(c);
    ops->as_free(as);
    free(x);
    free(y);
}

/* A patched site: the trampoline's jump instead of `syscall`, with and without a session, and sent back when interrupted. */
static void test_call_site(void **state UNUSED)
{
    const gaddr_t tramp = CODE + 1024, ret = CODE + 12; /* CODE: jmp tramp; at ret - 2: syscall; at ret: jmp CODE */
    static const u8 displaced[] = { 0xb8, 77, 0, 0, 0 }; /* mov $77, %eax */
    struct platform_as *as = ready();
    struct watchdog w = { .c = context() };
    struct platform_ctx *c = w.c;
    unsigned short seed[3] = { 9, 9, 9 };
    struct guest_regs r = { .rip = CODE }, want;
    unsigned patched = 0, unpatched = 0, in_session = 0;
    u32 budget = plat->spin_budget;
    u8 *code = cfg.memfile_base;
    s32 to_tramp = (s32)(tramp - (CODE + 5)), back = -(s32)(ret + 5 - CODE);

    if (!plat->spin_budget) skip();
    plat->spin_budget *= 100;
    assert_true(ops->as_call_site(as, tramp, ret, displaced, sizeof(displaced), code + 1024, 64) > 0);
    code[0] = code[12] = 0xe9;
    memcpy(code + 1, &to_tramp, 4);
    memcpy(code + 13, &back, 4);
    memcpy(code + 10, "\x0f\x05", 2);
    random_regs(&r, seed);
    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (unsigned i = 0; i < 3000;) {
        struct platform_exit e;
        want = r;
        if (i / 100 % 2) want_session(c);
        else c->session.wanted = false;
        ops->ctx_run(c, as, &r, &e);
        if (e.event == PLATFORM_KICKED) { /* in the guest's code, in the trampoline (which the sentry sends back), or at the syscall */
            assert_true((r.rip >= CODE && r.rip < CODE + 17) || (r.rip >= tramp && r.rip < tramp + 64));
            assert_int_equal(r.rsp, want.rsp);
            assert_int_equal(r.rbx, want.rbx);
            assert_int_equal(r.eflags & USER_EFLAGS, want.eflags & USER_EFLAGS);
            if (r.rip >= tramp) r.rip = CODE;
            continue;
        }
        assert_int_equal(e.event, PLATFORM_SYSCALL);
        assert_int_equal(r.orig_rax, 77);
        assert_int_equal(r.rip, ret);
        assert_int_equal(r.rsp, want.rsp);
        assert_int_equal(r.rdi, want.rdi);
        assert_int_equal(r.r15, want.r15);
        assert_int_equal(r.eflags & USER_EFLAGS, want.eflags & USER_EFLAGS);
        if (e.patched) patched++;
        else unpatched++;
        in_session += c->session.on;
        random_regs(&r, seed);
        i++;
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    print_message("patched: %u calls, %u of them in sessions; %u by the site's own syscall\n", patched, in_session, unpatched);
    assert_true(patched > in_session && in_session > 0);
    plat->spin_budget = budget;
    ops->ctx_free(c);
    ops->as_free(as);
}

struct scribbler { pthread_t t; u32 *page; int stop; };

static void *scribbler_main(void *arg)
{
    struct scribbler *s = arg;
    unsigned short seed[3] = { 4, 5, 6 };

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        u32 i = (u32)jrand48(seed);
        s->page[i % (i & 4096 ? 32 : 1024)] = i & 8192 ? (u32)jrand48(seed) : 0;
    }
    return NULL;
}

/* A request page that a sibling writes to all the time: the process gets wrong registers, and nobody else anything. */
static void test_scribble_on_session(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct watchdog w = { .c = context() };
    struct guest_regs r = { .rip = CODE };
    struct scribbler s = { .stop = 0 };
    unsigned events[8] = { 0 };

    if (!plat->spin_budget) skip();
    PUT(bare, 0);
    run(w.c, as, &r);
    s.page = (u32 *)(void *)w.c->vcpu->root->req;
    pthread_create(&s.t, NULL, scribbler_main, &s);
    pthread_create(&w.t, NULL, watchdog_main, &w);
    for (unsigned i = 0; i < 2000; i++) {
        struct platform_exit e;
        if (i % 8 == 0) r = (struct guest_regs){ .rip = CODE, .rsp = DATA };
        want_session(w.c);
        ops->ctx_run(w.c, as, &r, &e);
        events[e.event]++;
        assert_int_not_equal(e.event, PLATFORM_DEAD);
        if (i % 100 == 0) check_bystander();
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w.t, NULL);
    __atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(s.t, NULL);
    check_bystander();
    print_message("scribbled: %u calls, %u faults, %u exceptions, %u kicks\n", events[PLATFORM_SYSCALL], events[PLATFORM_FAULT],
                  events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED]);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

/* A guest that would wait for its answer for minutes does not outlive its address space, nor holds up its context. */
static void test_session_ends_with_space(void **state UNUSED)
{
    struct platform_ctx *c = context();
    struct guest_regs r;

    if (!plat->spin_budget) skip();
    PUT(bare, 0);
    for (unsigned i = 0; i < 20; i++) {
        struct platform_as *as = ready();
        r = (struct guest_regs){ .rip = CODE, .rax = i };
        run(c, as, &r);
        struct request_page *req = c->vcpu->root->req;
        for (unsigned k = 0; k < 20; k++) {
            want_session(c);
            assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
            req->spin = ~0u;
        }
        ops->as_free(as);
        if (i == 10) {
            ops->ctx_free(c);
            c = context();
        }
    }
    check_bystander();
    ops->ctx_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring0_is_out_of_reach),
        cmocka_unit_test(test_stub_at_ring3),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_privileged),
        cmocka_unit_test(test_odd_stack_pointers),
        cmocka_unit_test(test_random_code),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_more_running_than_vcpus),
        cmocka_unit_test(test_truncated_file),
        cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_recycled_tables),
        cmocka_unit_test(test_session_registers),
        cmocka_unit_test(test_call_site),
        cmocka_unit_test(test_scribble_on_session),
        cmocka_unit_test(test_session_ends_with_space),
    };
    char why[256];

    if (ops->probe(why, sizeof(why))) {
        printf("skipped: %s\n", why);
        return 77;
    }
    cfg = (struct platform_config){ .memfile_size = MEM_SIZE, .memfile_fd = memfd_create("guest-memory", MFD_CLOEXEC), .ncpus = 2 };
    if (ftruncate(cfg.memfile_fd, MEM_SIZE)) return 1;
    cfg.memfile_base = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, cfg.memfile_fd, 0);
    if (cfg.memfile_base == MAP_FAILED || ops->init(&cfg, &plat)) return 1;
    start_bystander();
    int failed = cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
    ops->ctx_free(bystander);
    ops->as_free(bystander_as);
    ops->free(plat);
    return failed ? 1 : 0;
}
