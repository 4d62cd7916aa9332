/* Guests that attack the stub they share an address space with. Part of platform_conformance_test.c. */
#include "tests/unit/platform_fixture.h"
#include "platform/stub/stub.h"
#include "platform/stub/stub_layout.h"
#include "platform/xstate.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

BLOB(syscall, "syscall\n nop\n syscall\n ud2");
BLOB(load, "mov (%rsi), %rax\n syscall\n ud2");
BLOB(store, "mov %rax, (%rsi)\n syscall\n ud2");
BLOB(jump, "jmp *%rsi");
BLOB(fsgs, "mov %fs:0, %rax\n mov %gs:8, %rbx\n syscall\n ud2");
BLOB(loop, "1: mov $39, %eax\n syscall\n jmp 1b");
BLOB(scribble, "1: mov %rax, 40(%rsi)\n mov %rbx, 48(%rsi)\n movl $0, 256(%rsi)\n movl $0, 272(%rsi)\n jmp 1b");
BLOB(mess, "1: imul %rbx, %rax\n add $12345, %rax\n mov %rax, %rcx\n shr $33, %rcx\n and $0x7ff8, %ecx\n"
           " mov %rax, (%rsi,%rcx)\n jmp 1b");

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

/* The platform answers as ever, in a new space. */
static void check_new_space(struct platform_ctx *c)
{
    struct platform_as *as;
    struct guest_regs r = { .rip = CODE, .rax = 39 };

    PUT(syscall, 0);
    as = ready();
    assert_int_equal(run(c, as, &r).event, PLATFORM_SYSCALL);
    assert_int_equal(r.orig_rax, 39);
    ops->as_free(as);
}

/*
 * The guest looks for mapped pages above GUEST_ADDR_MAX, then jumps to every byte of what is executable there, with
 * registers set for calls that would do harm if the host executed one: exit_group and kill of our own process.
 */
static void test_attack_on_stub(void **state UNUSED)
{
    struct platform_as *as;
    struct platform_ctx *c;
    struct platform_exit e;
    unsigned calls = 0, jumps = 0;

    if (strcmp(ops->name, "kvm") == 0) SKIP("the platform has no stub in the address space of the guest");
    as = ready();
    c = context();
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
    if (strcmp(ops->name, "kvm") == 0) SKIP("the platform has no mapper that reads messages");
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

    if (strcmp(ops->name, "trap") != 0) SKIP("only the trap platform has signal handlers in its stub");
    w.c = context();
    as = ready();
    gaddr_t region = stub_region(w.c, as), area = region + STUB_AREAS;
    PUT(jump, 0);
    watchdog_start(&w, w.c);
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
    watchdog_end(&w);
    print_message("jumps into handlers: %u calls, %u faults, %u exceptions, %u kicks, %u deaths\n", events[PLATFORM_SYSCALL],
                  events[PLATFORM_FAULT], events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED], events[PLATFORM_DEAD]);
    ops->as_free(as);
    check_new_space(w.c);
    ops->ctx_free(w.c);
}

/* The handlers' one system call, made by the guest: sleeping in it is no way out, and nothing but that passes. */
static void test_attack_sleep(void **state UNUSED)
{
    struct platform_as *as;
    struct watchdog w = { .stop = 0 };
    struct platform_exit e;

    if (strcmp(ops->name, "trap") != 0) SKIP("only the trap platform lets guest threads make a system call");
    w.c = context();
    as = ready();
    gaddr_t region = stub_region(w.c, as), site = region + STUB_TRAP + (gaddr_t)(trap_text_futex_ret - trap_text_start) - 2;
    gaddr_t mask = region + STUB_TRAP + (gaddr_t)(trap_text_unmask_ret - trap_text_start) - 2;
    gaddr_t base = region + STUB_TRAP + (gaddr_t)(trap_text_base_ret - trap_text_start) - 2;
    /* rdi: a word that stays zero; the area beyond what is used of it */
    struct guest_regs r = { .rip = site, .rax = SYS_futex, .rdi = region + STUB_AREAS + 2048, .rsp = DATA };
    watchdog_start(&w, w.c);
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
    watchdog_end(&w);
    ops->ctx_free(w.c);
    ops->as_free(as);
}

/* One guest thread fills the request pages of its siblings, and its own, with noise while they run. */
static void test_attack_on_requests(void **state UNUSED)
{
    unsigned deaths = 0, events = 0;

    if (strcmp(ops->name, "trap") != 0) SKIP("only the trap platform keeps request pages where guests can write");
    for (unsigned round = 0; round < 12; round++) {
        struct platform_as *as = ready();
        struct watchdog w = { .c = context() };
        struct platform_exit e = { .event = PLATFORM_KICKED };
        struct spinner s;
        gaddr_t region = stub_region(w.c, as);

        PUT(loop, 0);
        memcpy(cfg.memfile_base + 12288, blob_mess, (size_t)(blob_mess_end - blob_mess));
        assert_int_equal(map(as, CODE + 4096, 4096, 12288, R | X), 0);
        watchdog_start(&w, w.c);
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
        watchdog_end(&w);
        while (!__atomic_load_n(&s.c, __ATOMIC_SEQ_CST)) sched_yield();
        spinner_end(&s);
        ops->ctx_free(w.c);
        ops->as_free(as);
    }
    print_message("noise on request pages: %u events, %u of 12 processes killed\n", events, deaths);
    struct platform_ctx *c = context();
    check_new_space(c);
    ops->ctx_free(c);
}

const struct CMUnitTest platform_attack_tests[] = {
    cmocka_unit_test(test_attack_on_stub),
    cmocka_unit_test(test_scribble_on_messages),
    cmocka_unit_test(test_attack_on_handlers),
    cmocka_unit_test(test_attack_sleep),
    cmocka_unit_test(test_attack_on_requests),
    { 0 },
};
