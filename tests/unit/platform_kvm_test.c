/*
 * What a hostile guest can do to the machine it shares with other processes of its sandbox: nothing. And what only the kvm
 * platform has: a pool of vCPUs smaller than the number of threads, files that shrink under the machine's feet, sessions.
 * Skipped, with the reason, where KVM cannot be had. The subjects: platform_kvm_attacks_test.c, platform_kvm_vcpus_test.c,
 * platform_kvm_sessions_test.c. Conformance to the contract: platform_conformance_test.c.
 */
#include "tests/unit/platform_kvm_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

BLOB(syscall, "syscall\n ud2");

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

void check_bystander(void)
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

static int run_group(const char *name, const struct CMUnitTest *tests)
{
    size_t n = 0;

    while (tests[n].name) n++;
    return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

int main(void)
{
    char why[256];
    int failed = 0;

    ops = &platform_kvm_ops;
    if (ops->probe(why, sizeof(why))) {
        printf("skipped: %s\n", why);
        return 77;
    }
    cfg.ncpus = 2;
    if (!fixture_memory() || ops->init(&cfg, &plat)) return 1;
    start_bystander();
    failed += run_group("kvm, attacks", kvm_attack_tests);
    failed += run_group("kvm, vCPUs and files", kvm_vcpu_tests);
    failed += run_group("kvm, sessions", kvm_session_tests);
    ops->ctx_free(bystander);
    ops->as_free(bystander_as);
    ops->free(plat);
    return failed ? 1 : 0;
}
