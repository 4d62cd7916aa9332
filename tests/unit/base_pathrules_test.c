/* The automaton of path rules: depth, globs, ties, what may move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sentry/base/pathrules.h"
#include <stdio.h>

static u32 perms(struct pathrules *p, const char *path) { return pathrules_perms(p, pathrules_walk(p, pathrules_start(p), path)); }
static u32 rule(struct pathrules *p, const char *path) { return pathrules_rule(p, pathrules_walk(p, pathrules_start(p), path)); }

static void test_deepest_wins(void **state UNUSED)
{
    struct pathrules *p = pathrules_new();
    assert_int_equal(pathrules_add(p, "/home/u/w", PR_READ | PR_WRITE, 1), 0);
    assert_int_equal(pathrules_add(p, "/home/u/w/.ssh", 0, 2), 0);
    assert_int_equal(pathrules_add(p, "/usr", PR_READ | PR_EXEC, 3), 0);
    assert_int_equal(pathrules_add(p, "/home/u/w/.ssh/known_hosts", PR_READ, 4), 0);
    assert_int_equal(pathrules_add(p, "/usr/", 0, 5), -EEXIST);
    assert_int_equal(perms(p, "/"), 0);
    assert_int_equal(rule(p, "/"), 0);
    assert_int_equal(perms(p, "/home/u"), 0);
    assert_int_equal(rule(p, "/home/u/w"), 1);
    assert_int_equal(rule(p, "/home/u/w/a/b/c"), 1);
    assert_int_equal(rule(p, "/home/u/w/.ssh/id"), 2);
    assert_int_equal(rule(p, "/home/u/w/.ssh/known_hosts"), 4);
    assert_int_equal(rule(p, "/home/u/w/.sshx"), 1);
    assert_int_equal(rule(p, "/home/u/wx"), 0);
    assert_int_equal(perms(p, "//usr//lib/./x"), PR_READ | PR_EXEC);
    u32 s = pathrules_walk(p, pathrules_start(p), "/home/u");
    assert_true(pathrules_passable(p, s));
    assert_true(pathrules_below(p, s));
    assert_false(pathrules_passable(p, pathrules_walk(p, pathrules_start(p), "/home/v")));
    assert_true(pathrules_passable(p, pathrules_walk(p, pathrules_start(p), "/home/u/w/.ssh")));
    assert_false(pathrules_passable(p, pathrules_walk(p, pathrules_start(p), "/home/u/w/.ssh/id")));
    pathrules_free(p);
}

static void test_globs(void **state UNUSED)
{
    struct pathrules *p = pathrules_new();
    pathrules_add(p, "/w", PR_READ | PR_WRITE, 1);
    pathrules_add(p, "/w/*/.env", 0, 2);
    pathrules_add(p, "/w/keep/.env", PR_READ, 3);
    pathrules_add(p, "/w/*.key", 0, 4);
    assert_int_equal(rule(p, "/w/a/.env"), 2);
    assert_int_equal(rule(p, "/w/keep/.env"), 3);
    assert_int_equal(rule(p, "/w/a/b/.env"), 1);
    assert_int_equal(rule(p, "/w/x.key"), 4);
    assert_int_equal(rule(p, "/w/x.key/under"), 4);
    assert_int_equal(rule(p, "/w/x.keys"), 1);
    u32 w = pathrules_walk(p, pathrules_start(p), "/w");
    u32 a = pathrules_step(p, w, "a", 1), b = pathrules_step(p, w, "b", 1), keep = pathrules_step(p, w, "keep", 4);
    assert_int_equal(a, b);                          /* the same rules beneath: may change places */
    assert_true(pathrules_same(p, a, b, true));
    assert_false(pathrules_same(p, a, keep, true));  /* other rules beneath */
    assert_true(pathrules_same(p, a, keep, false));
    assert_false(pathrules_same(p, a, pathrules_walk(p, a, "deep"), true));
    assert_false(pathrules_same(p, a, pathrules_step(p, w, "x.key", 5), false));
    pathrules_free(p);
}

static void test_ties_and_patterns(void **state UNUSED)
{
    struct pathrules *p = pathrules_new();
    pathrules_add(p, "/w/a*", PR_READ, 1);
    pathrules_add(p, "/w/*b", PR_READ | PR_WRITE, 2);
    assert_int_equal(rule(p, "/w/ab"), 1);           /* the stricter */
    assert_true(pathrules_patterns_meet("/w/a*", "/w/*b"));
    assert_false(pathrules_patterns_meet("/w/a*", "/w/b*"));
    assert_false(pathrules_patterns_meet("/w/a", "/w/a/b"));
    assert_true(pathrules_patterns_meet("/*/x", "/a/?"));
    assert_int_equal(pathrules_add(p, "rel", PR_READ, 3), -EINVAL);
    assert_int_equal(pathrules_add(p, "/a/../b", PR_READ, 3), -EINVAL);
    assert_int_equal(pathrules_add(p, "/a/**", PR_READ, 3), -EINVAL);
    assert_int_equal(pathrules_add(p, "/a", PR_READ, 0), -EINVAL);
    unsigned lits;
    assert_int_equal(pathrules_pattern_depth("/a/*/c", &lits), 3);
    assert_int_equal(lits, 2);
    assert_int_equal(pathrules_perms(p, 0), PR_ALL); /* no policy */
    pathrules_free(p);
}

static void test_many(void **state UNUSED)
{
    struct pathrules *p = pathrules_new();
    char path[64];
    for (u32 i = 1; i <= 2000; i++) {
        snprintf(path, sizeof(path), "/r/%u/d%u", i % 40, i);
        assert_int_equal(pathrules_add(p, path, i % 2 ? PR_READ : 0, i), 0);
    }
    for (u32 i = 1; i <= 2000; i++) {
        snprintf(path, sizeof(path), "/r/%u/d%u/x/y", i % 40, i);
        assert_int_equal(rule(p, path), i);
    }
    pathrules_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_deepest_wins), cmocka_unit_test(test_globs),
                                        cmocka_unit_test(test_ties_and_patterns), cmocka_unit_test(test_many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
