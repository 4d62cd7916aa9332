/* The command line of `sundog run` and what the plan says for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* the runtime has a function of that name */

#include "runtime/options.h"
#include "runtime/plan_build.h"
#include "sentry/vfs/mount_flags.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct run_options o;
static bool helped;

#define PARSE(...)                                                                                                     \
    ({                                                                                                                 \
        static char *argv_[] = { __VA_ARGS__ }; /* the options keep pointing into it */                                \
        options_parse_run(&o, "run", (int)ARRAY_LEN(argv_), argv_, &helped);                                                  \
    })

/* Messages of expected failures would only confuse the log. */
static int quiet(void **state UNUSED)
{
    if (getenv("VERBOSE")) return 0;
    int null = open("/dev/null", O_WRONLY);
    int r = dup2(null, 2);
    close(null);
    return r < 0;
}

static void test_command(void **state UNUSED)
{
    assert_int_equal(PARSE("--uid", "7", "--memory=1G", "--", "ls", "-l", NULL), 0);
    assert_string_equal(o.argv[0], "ls");
    assert_string_equal(o.argv[1], "-l");
    assert_true(o.has_uid && o.uid == 7 && !o.has_gid);
    assert_int_equal(o.memory, 1u << 30);
    options_fini(&o);
    assert_int_equal(PARSE("ls", "--strace", NULL), 0);
    assert_false(o.strace);
    options_fini(&o);
    assert_int_equal(PARSE("--strace=json", "ls", NULL), 0);
    assert_true(o.strace && o.strace_json);
    options_fini(&o);
}

static void test_refusals(void **state UNUSED)
{
    assert_int_equal(PARSE("--strac", "ls"), 125);
    assert_int_equal(PARSE("--uid", "-1", "ls"), 125);
    assert_int_equal(PARSE("--uid", "4294967295", "ls"), 125);
    assert_int_equal(PARSE("--memory", "12X", "ls"), 125);
    assert_int_equal(PARSE("--memory", "99999999999T", "ls"), 125);
    assert_int_equal(PARSE("--platform", "xen", "ls"), 125);
    assert_int_equal(PARSE("--timing=yes", "ls"), 125);
    assert_int_equal(PARSE("--cwd", "relative", "ls"), 125);
    assert_int_equal(PARSE("--ro", "/no/such/path", "ls"), 125);
    assert_int_equal(PARSE("--ro", "/usr:relative", "ls"), 125);
    assert_int_equal(PARSE("--uid"), 125);
    assert_int_equal(PARSE("--"), 125);
}

static void test_nearest(void **state UNUSED)
{
    static const char *const list[] = { "--strace", "--backtrace", "run", "syscalls", NULL };
    assert_string_equal(options_nearest("--strac", list), "--strace");
    assert_string_equal(options_nearest("rnu", list), "run");
    assert_null(options_nearest("--zzzzzz", list));
    assert_null(options_nearest("ls", list));
}

static void test_mounts(void **state UNUSED)
{
    assert_int_equal(PARSE("--rox", "/usr:/data", "--rw", "/etc/hostname", "ls", NULL), 0);
    assert_int_equal(o.nmounts, 2);
    assert_string_equal(o.mounts[0].host, "/usr");
    assert_string_equal(o.mounts[0].at, "/data");
    assert_true(!o.mounts[0].writable && o.mounts[0].exec);
    assert_string_equal(o.mounts[1].at, "/etc/hostname");
    assert_true(o.mounts[1].writable && !o.mounts[1].exec);
    options_fini(&o);
}

static void test_plan(void **state UNUSED)
{
    assert_int_equal(PARSE("--ro", "/usr:/data/deep", "--env", "A=1", "--env", "A=2", "true", NULL), 0);
    struct console c = { .fd = -1 };
    struct spawn_plan p;
    assert_int_equal(plan_build(&p, &o, &c, 7), 0);
    struct plan_record end = { .kind = PLAN_END };
    plan_add(&p.sentry, PLAN_END, &end, 0);
    struct plan_reader r = { .buf = p.sentry.buf, .len = p.sentry.len };
    struct plan_record rec;
    const u8 *data;
    int k, mounts = 0, a1 = 0, a2 = 0, fds = 0;
    unsigned depth = 0;
    bool saw_data = false;
    while ((k = plan_next(&r, &rec, &data)) == 1) {
        if (rec.kind == PLAN_MOUNT) {
            struct plan_mount m;
            memcpy(&m, data, sizeof m);
            const char *at = plan_string(data, rec.len, sizeof m, 0);
            unsigned d = 0;
            for (const char *s = at; *s; s++) d += *s == '/' && s[1];
            assert_true(mounts++ ? d >= depth : !strcmp(at, "/"));
            depth = d;
            if (!strcmp(at, "/data/deep")) {
                saw_data = true;
                assert_int_equal(m.flags & (MNT_RDONLY | MNT_NOEXEC), MNT_RDONLY | MNT_NOEXEC);
            }
        }
        if (rec.kind == PLAN_ENV && !strcmp((const char *)data, "A=1")) a1++;
        if (rec.kind == PLAN_ENV && !strcmp((const char *)data, "A=2")) a2++;
        if (rec.kind == PLAN_FD) fds++;
    }
    assert_int_equal(k, 0);
    assert_true(saw_data);
    assert_int_equal(a1, 0);
    assert_int_equal(a2, 1);
    assert_int_equal(fds, 3);
    plan_build_fini(&p);
    options_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command), cmocka_unit_test(test_refusals), cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_mounts), cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
