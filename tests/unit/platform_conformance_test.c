/*
 * What every platform owes (platform/platform.h), run against each one whose probe succeeds here. The subjects:
 * platform_registers_test.c, platform_memory_test.c, platform_threads_test.c, platform_attacks_test.c.
 */
#include "tests/unit/platform_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

BLOB(syscall, "syscall\n nop\n syscall\n ud2");

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
    if (!ops->start) SKIP("the platform has no start of its own");
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

/* One group of tests after the other, each ended by an empty entry. */
extern const struct CMUnitTest platform_register_tests[], platform_memory_tests[], platform_thread_tests[],
    platform_attack_tests[];

static const struct CMUnitTest start_tests[] = {
    cmocka_unit_test(test_select),
    cmocka_unit_test(test_start),
    { 0 },
};

static int run_all(void)
{
    const struct { const char *name; const struct CMUnitTest *tests; } group[] = {
        { "registers", platform_register_tests }, { "memory", platform_memory_tests }, { "threads", platform_thread_tests },
        { "attacks", platform_attack_tests },     { "start", start_tests },
    };
    char name[64];
    int failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(group); i++) {
        size_t n = 0;
        while (group[i].tests[n].name) n++;
        snprintf(name, sizeof(name), "platform %s, %s", ops->name, group[i].name);
        failed += _cmocka_run_group_tests(name, group[i].tests, n, NULL, NULL);
    }
    return failed;
}

/* What is left of processes and descriptors; told, and counted as a failure. */
static int left_over(unsigned fds, const char *when)
{
    unsigned kids = children(NULL, 0), now = count_dir("/proc/self/fd");

    if (!kids && now == fds) return 0;
    printf("%s: something left after %s: %u processes, %u descriptors\n", ops->name, when, kids, now - fds);
    return 1;
}

int main(void)
{
    const struct platform_ops *all[] = { &platform_ptrace_ops, &platform_trap_ops, &platform_kvm_ops };
    char why[256];
    int failed = 0;

    if (!fixture_memory()) return 1;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        unsigned fds = count_dir("/proc/self/fd");
        ops = all[i];
        if (getenv("PLATFORM") && strcmp(getenv("PLATFORM"), ops->name) != 0) continue;
        if (ops->probe(why, sizeof(why))) {
            printf("%s: not here: %s\n", ops->name, why);
            continue;
        }
        failed += left_over(fds, "probe");
        if (ops->init(&cfg, &plat)) return 1;
        failed += run_all();
        ops->free(plat);
        failed += left_over(fds, "free");
    }
    return failed ? 1 : 0;
}
