/* Ring 0, ports, privileged instructions and random code. Part of platform_kvm_test.c. */
#include "tests/unit/platform_kvm_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(store, "mov %rax, (%rsi)\n syscall\n ud2");
BLOB(jump, "jmp *%rsi");
BLOB(syscall, "syscall\n ud2");
BLOB(int3, "int3");
BLOB(div0, "xor %eax, %eax\n xor %edx, %edx\n xor %ecx, %ecx\n div %ecx");
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

/* PVM's stub is open to ring 3, which can do no more there than it can with `syscall`, and cannot change it. */
static void test_stub_at_ring3(void **state UNUSED)
{
    struct platform_as *as = ready();
    struct platform_ctx *c = context();
    u8 before[4096];

    if (!plat->var.user_stub) SKIP("no stub at ring 3: `syscall` enters ring 0 here");
    const u8 *stub = kvm_page_ptr(plat, plat->user_text);
    memcpy(before, stub, sizeof(before));
    struct guest_regs first = { .rip = CODE };
    PUT(syscall, 0);
    run(c, as, &first);
    const gaddr_t base = USER_TEXT(start);
    struct watchdog w = { .c = c }; /* the stub's loop may be entered with a large count */
    watchdog_start(&w, w.c);
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
    watchdog_end(&w);
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

    watchdog_start(&w, w.c);
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
    watchdog_end(&w);
    check_bystander();
    print_message("random code: %u calls, %u faults, %u exceptions, %u kicks\n", events[PLATFORM_SYSCALL], events[PLATFORM_FAULT],
                  events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED]);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

const struct CMUnitTest kvm_attack_tests[] = {
    cmocka_unit_test(test_ring0_is_out_of_reach),
    cmocka_unit_test(test_ports),
    cmocka_unit_test(test_stub_at_ring3),
    cmocka_unit_test(test_privileged),
    cmocka_unit_test(test_odd_stack_pointers),
    cmocka_unit_test(test_random_code),
    { 0 },
};
