/* Sessions and patched call sites. Part of platform_kvm_test.c. */
#include "tests/unit/platform_kvm_test.h"
#include "platform/xstate.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

BLOB(bare, "1: syscall\n jmp 1b");

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
    unsigned in_session = 0, kicks = 0, loaded = 0, saved = 0, left = 0;
    size_t size = platform_xstate_size();
    u8 *x = aligned_alloc(64, (size + 63) & ~63ULL), *y = aligned_alloc(64, (size + 63) & ~63ULL);

    if (!plat->spin_budget) SKIP("no sessions on this machine: an exit costs little");
    plat->spin_budget *= 100; /* so that sessions last while others have the CPUs */
    PUT(bare, 0);
    random_regs(&r, seed);
    platform_xstate_init(x);
    watchdog_start(&w, w.c);
    for (unsigned i = 0; i < CALLS;) {
        struct platform_exit e;
        want = r;
        if (i % 25 == 7) { /* other extended registers, by the stub if there is a session */
            for (size_t k = 160; k < 416; k++) x[k] = (u8)(i + i / 256 + k);
            x[512] |= 2;
            assert_int_equal(ops->ctx_set_xstate(c, x, size), 0);
            loaded += c->session.on;
        }
        if (i % 30 == 10) { /* before other registers are asked for, too (i % 10 == 9) */
            left += c->session.on;
            ops->ctx_sleeps(c);
            if (i % 60 == 10) usleep(100);
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
        if (i % 10 == 9) {
            if (i % 50 == 49) ops->ctx_sleeps(c);
            assert_int_equal(ops->ctx_get_xstate(c, y, size), 0);
            saved += c->session.on;
            assert_memory_equal(x + 160, y + 160, 256);
        }
        random_regs(&r, seed);
        i++;
    }
    watchdog_end(&w);
    print_message("%u calls, of these %u in sessions, %u kicks; extended registers loaded %u times, saved %u times in sessions; %u of them "
                  "left for a sleep\n", CALLS, in_session, kicks, loaded, saved, left);
    assert_true(in_session > 0 && loaded > 0 && saved > 0 && left > 0);
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

    if (!plat->spin_budget) SKIP("call sites are not patched on this machine: an exit costs little");
    plat->spin_budget *= 100;
    assert_true(ops->as_call_site(as, tramp, ret, displaced, sizeof(displaced), code + 1024, 64) > 0);
    code[0] = code[12] = 0xe9;
    memcpy(code + 1, &to_tramp, 4);
    memcpy(code + 13, &back, 4);
    memcpy(code + 10, "\x0f\x05", 2);
    random_regs(&r, seed);
    watchdog_start(&w, w.c);
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
    watchdog_end(&w);
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
    size_t size = platform_xstate_size();
    u8 *x = aligned_alloc(64, (size + 63) & ~63ULL);

    if (!plat->spin_budget) SKIP("no sessions on this machine: an exit costs little");
    PUT(bare, 0);
    run(w.c, as, &r);
    s.page = (u32 *)(void *)w.c->vcpu->root->req;
    pthread_create(&s.t, NULL, scribbler_main, &s);
    watchdog_start(&w, w.c);
    for (unsigned i = 0; i < 2000; i++) {
        struct platform_exit e;
        if (i % 8 == 0) r = (struct guest_regs){ .rip = CODE, .rsp = DATA };
        want_session(w.c);
        if (i % 16 == 5) { /* may be wrong, but never malformed */
            assert_int_equal(ops->ctx_get_xstate(w.c, x, size), 0);
            assert_int_equal(platform_xstate_check(x, size), 0);
        } else if (i % 16 == 11) {
            platform_xstate_init(x);
            assert_int_equal(ops->ctx_set_xstate(w.c, x, size), 0);
        }
        ops->ctx_run(w.c, as, &r, &e);
        events[e.event]++;
        assert_int_not_equal(e.event, PLATFORM_DEAD);
        if (i % 100 == 0) check_bystander();
    }
    watchdog_end(&w);
    __atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(s.t, NULL);
    check_bystander();
    print_message("scribbled: %u calls, %u faults, %u exceptions, %u kicks\n", events[PLATFORM_SYSCALL], events[PLATFORM_FAULT],
                  events[PLATFORM_EXCEPTION], events[PLATFORM_KICKED]);
    ops->ctx_free(w.c);
    ops->as_free(as);
    free(x);
}

/* A guest that would wait for its answer for minutes does not outlive its address space, nor holds up its context. */
static void test_session_ends_with_space(void **state UNUSED)
{
    struct platform_ctx *c = context();
    struct guest_regs r;

    if (!plat->spin_budget) SKIP("no sessions on this machine: an exit costs little");
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

const struct CMUnitTest kvm_session_tests[] = {
    cmocka_unit_test(test_session_registers),
    cmocka_unit_test(test_call_site),
    cmocka_unit_test(test_scribble_on_session),
    cmocka_unit_test(test_session_ends_with_space),
    { 0 },
};
