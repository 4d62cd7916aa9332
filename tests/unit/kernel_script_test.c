/* First lines of interpreter scripts; expectations from fs/binfmt_script.c of Linux 5.10. */
#include "sentry/kernel/exec_script.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *s, struct script_line *l) { return script_parse((const u8 *)s, strlen(s), l); }

static void lines(void **state)
{
    struct script_line l;
    (void)state;
    assert_int_equal(parse("#!/bin/sh\n", &l), 0);
    assert_string_equal(l.interp, "/bin/sh");
    assert_false(l.has_arg);
    assert_int_equal(parse("#! \t/usr/bin/env   python3 -u  \t\nprint()", &l), 0);
    assert_string_equal(l.interp, "/usr/bin/env");
    assert_true(l.has_arg);
    assert_string_equal(l.arg, "python3 -u");   /* one argument, trailing blanks cut */
    assert_int_equal(parse("#!/bin/sh", &l), 0); /* no newline: the end of the file ends it */
    assert_string_equal(l.interp, "/bin/sh");
    assert_int_equal(parse("#!/bin/sh -x", &l), 0);
    assert_string_equal(l.arg, "-x");
    assert_int_equal(parse("#!\n", &l), -ENOEXEC);
    assert_int_equal(parse("#!   \n", &l), -ENOEXEC);
    assert_int_equal(parse("#!", &l), -ENOEXEC);
    assert_int_equal(parse("", &l), -ENOEXEC);
    assert_int_equal(parse("#/bin/sh\n", &l), -ENOEXEC);
}

static void long_lines(void **state)
{
    struct script_line l;
    char buf[600];
    (void)state;
    memset(buf, 'a', sizeof buf);
    memcpy(buf, "#!/", 3);
    buf[599] = 0;
    assert_int_equal(parse(buf, &l), -ENOEXEC);  /* the name may be cut */
    buf[100] = ' ';
    assert_int_equal(parse(buf, &l), 0);         /* the argument may be cut, as Linux has it */
    assert_int_equal(strlen(l.interp), 98);
    assert_int_equal(strlen(l.arg), 255 - 101);
}

static void arguments(void **state)
{
    struct script_line l;
    char *argv[] = { "s", "1", "2", NULL };
    int n;
    (void)state;
    assert_int_equal(parse("#!/bin/sh -x\n", &l), 0);
    char **v = script_argv(argv, 3, &l, "./s.sh", &n);
    assert_int_equal(n, 5);
    assert_string_equal(v[0], "/bin/sh");
    assert_string_equal(v[1], "-x");
    assert_string_equal(v[2], "./s.sh");
    assert_string_equal(v[4], "2");
    assert_null(v[5]);
    script_argv_free(v);
    v = script_argv(argv, 0, &l, "./s.sh", &n);
    assert_int_equal(n, 3);
    script_argv_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(long_lines), cmocka_unit_test(arguments) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
