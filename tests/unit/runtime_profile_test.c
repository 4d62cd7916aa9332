/* The profile language: what parses, what is refused and how it is said, layers, ties, locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/profile/apply.h"
#include "sentry/base/alloc.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "profile 1 t\n"

static void accepted(const char *text, unsigned rules)
{
    char *error = NULL;
    struct profile *p = profile_parse_text(text, strlen(text), "t", &error);
    if (!p) fail_msg("refused: %s\n%s", error, text);
    assert_int_equal(p->nrules, rules);
    profile_free(p);
}

static void refused(const char *text, const char *part)
{
    char *error = NULL;
    struct profile *p = profile_parse_text(text, strlen(text), "t", &error);
    if (p) fail_msg("accepted: %s", text);
    assert_non_null(error);
    if (!strstr(error, part)) fail_msg("`%s` does not say `%s`", error, part);
    free(error);
}

static void test_accepts(void **state UNUSED)
{
    accepted(HEAD, 0);
    accepted("profile 1 t   # comment\n\n# more\n[files]  # here\nro /a\nrw \"/b c\" # why\n", 2);
    accepted(HEAD "[net]\nconnect example.org:443 tcp\nconnect *.Example.org:80-90\nconnect [::1]:*\nconnect 10.0.0.0/8:53 udp\nlisten *:80 tcp\n", 5);
    accepted(HEAD "[net]\nconnect [2001:db8::]/32:443\ndeny loopback:*\nconnect xn--bcher-kva.example:443\n", 3);
    accepted(HEAD "[sys]\ndeny @debug @keyring ptrace\nallow ptrace\n[ipc]\ndeny sysv\nallow mqueue\n", 6);
    accepted(HEAD "[limit]\nmemory 512M\nprocesses 10\nopen-files 64\ncpu-time 2h\nfile-size 1G\n", 5);
    accepted(HEAD "[env]\npass TERM LC_* LANG\nset A=b\nset \"B=c d\"\n", 5);
    accepted(HEAD "param X = /srv\ninherit default\ninclude system\nlocked\n[files]\nro ${X}/a\n[files]\nro ${X}b\n", 2);
    accepted(HEAD "[files]\r\nro /a\r\n", 1);
    accepted(HEAD "[files]\nro /a//b/\n", 1);
}

static void test_refuses(void **state UNUSED)
{
    refused("", "first line");
    refused("[files]\n", "first line");
    refused("profile 2 t\n", "version");
    refused("profile 1 t/u\n", "letters");
    refused(HEAD HEAD, "once");
    refused(HEAD "[file]\n", "t:2: there is no section [file]: did you mean [files]?");
    refused(HEAD "[files\n", "alone");
    refused(HEAD "[files]\nr0 /a\n", "t:3: `r0` is not known in the section files: did you mean `ro`?");
    refused(HEAD "[files]\nconnect a:1\n", "does not belong in the section files: it is a key of [net]");
    refused(HEAD "rw /a\n", "key of [files]");
    refused(HEAD "[files]\nro a\n", "begin with /");
    refused(HEAD "[files]\nro ~/a\n", "${HOME}");
    refused(HEAD "[files]\nro /a/../b\n", "..");
    refused(HEAD "[files]\nro /a/**\n", "**");
    refused(HEAD "[files]\nro /a /b\n", "`ro PATH` is wanted");
    refused(HEAD "[files]\nro \"/a\n", "closing quote");
    refused(HEAD "[files]\nro ${HOME/a\n", "}");
    refused(HEAD "[net]\nconnect example.org\n", "port");
    refused(HEAD "[net]\nconnect example.org:0\n", "port");
    refused(HEAD "[net]\nconnect example.org:70000\n", "port");
    refused(HEAD "[net]\nconnect example.org:443 sctp\n", "tcp or udp");
    refused(HEAD "[net]\nconnect ex\xc3\xa4mple.org:443\n", "xn--");
    refused(HEAD "[net]\nconnect \xd0\xb0pple.com:443\n", "look-alikes");
    refused(HEAD "[net]\nconnect ::1:443\n", "brackets");
    refused(HEAD "[net]\nconnect [example.org]:443\n", "brackets");
    refused(HEAD "[net]\nconnect 10.0.0.256:443\n", "neither");
    refused(HEAD "[net]\nconnect 10.0.0.0/33:443\n", "neither");
    refused(HEAD "[net]\nconnect a..b:443\n", "label");
    refused(HEAD "[net]\nconnect *.*.b:443\n", "letters");
    refused(HEAD "[net]\nlisten example.org:80\n", "address");
    refused(HEAD "[sys]\ndeny @debgu\n", "did you mean @debug");
    refused(HEAD "[ipc]\ndeny pipes\n", "sysv or mqueue");
    refused(HEAD "[limit]\nmemory 5X\n", "512M");
    refused(HEAD "[limit]\nmemory 1K\n", "too little");
    refused(HEAD "[limit]\ncpu-time soon\n", "duration");
    refused(HEAD "[env]\nset A\n", "NAME=VALUE");
    refused(HEAD "[env]\npass *\n", "*");
    refused(HEAD "[env]\npass A=b\n", "set NAME=VALUE");
    refused(HEAD "param X /a\n", "param NAME = VALUE");
}

/* --- layers: a directory of our own --- */

static char dir[64];

static void put(const char *name, const char *text)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state UNUSED)
{
    strcpy(dir, "/tmp/sundog-profile-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    static const char *const below[] = { "etc", "etc/profiles", "pack", "pack/fragments", "home", "home/sundog", "home/sundog/profiles", "w" };
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        AUTO_FREE char *d = xasprintf("%s/%s", dir, below[i]);
        if (mkdir(d, 0700)) return -1;
    }
    AUTO_FREE char *etc = xasprintf("%s/etc", dir), *pack = xasprintf("%s/pack", dir), *home = xasprintf("%s/home", dir);
    setenv("SUNDOG_SYSCONF", etc, 1);
    setenv("SUNDOG_PROFILES", pack, 1);
    setenv("XDG_CONFIG_HOME", home, 1);
    return 0;
}

static int teardown(void **state UNUSED)
{
    AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", dir);
    return system(cmd);
}

static const struct prule *find(const struct profile *p, const char *object)
{
    for (unsigned i = 0; i < p->nrules; i++)
        if (!strcmp(p->rules[i].object, object)) return &p->rules[i];
    return NULL;
}

static void test_layers(void **state UNUSED)
{
    put("pack/base.profile", "profile 1 base\n[files]\nro /p/a\nro /p/b\nro /p/c\nro /p/d\n");
    put("pack/fragments/frag", "[files]\nro /p/f\n");
    put("pack/child.profile", "profile 1 child\ninherit base\ninclude frag\n[files]\nrw /p/b\n");
    put("etc/profiles/child.local", "[files]\nrwx /p/c\n");
    put("home/sundog/profiles/child.local", "[files]\nrox /p/d\ndeny /p/a\n");
    const char *const extra[] = { "[files] rw /p/a" };
    struct profile *p = profile_load("child", NULL, 0, extra, 1);
    assert_non_null(p);
    assert_int_equal(profile_flatten(p), 0);
    assert_int_equal(find(p, "/p/a")->key, PK_RW);          /* command line over the user */
    assert_string_equal(find(p, "/p/a")->file, "command line");
    assert_int_equal(find(p, "/p/b")->key, PK_RW);          /* child over parent */
    assert_int_equal(find(p, "/p/c")->key, PK_RWX);         /* /etc over packaged */
    assert_int_equal(find(p, "/p/d")->key, PK_ROX);         /* user over packaged */
    assert_int_equal(find(p, "/p/f")->key, PK_RO);
    assert_int_equal(p->nrules, 5);
    profile_free(p);
    assert_null(profile_load("no-such", NULL, 0, NULL, 0));
}

static void test_ties_and_locks(void **state UNUSED)
{
    put("pack/tie.profile", "profile 1 tie\n[files]\nro /a\nrw /a\n");
    struct profile *p = profile_load("tie", NULL, 0, NULL, 0);
    assert_int_not_equal(profile_flatten(p), 0);
    profile_free(p);
    put("pack/glob.profile", "profile 1 glob\n[files]\nro /a/x*\nrw /a/*y\n");
    p = profile_load("glob", NULL, 0, NULL, 0);
    assert_int_not_equal(profile_flatten(p), 0);
    profile_free(p);
    put("pack/fine.profile", "profile 1 fine\n[files]\nro /a/x*\nrw /a/y*\nrw /a/xy\nro /a/x*\n");
    p = profile_load("fine", NULL, 0, NULL, 0);
    assert_int_equal(profile_flatten(p), 0);
    assert_int_equal(p->nrules, 3);
    profile_free(p);
    put("pack/lock.profile", "profile 1 lock\n[files]\nro /a\n[net]\nconnect x.org:443\n");
    put("etc/profiles/lock.local", "locked\n[files]\ndeny /a/secret\n[net]\ndeny x.org:443\n");
    static const char *const loosen[] = { "[files] ro /a/secret/x", "[files] rw /a/secret", "[net] connect x.org:443" };
    for (size_t i = 0; i < ARRAY_LEN(loosen); i++) {
        p = profile_load("lock", NULL, 0, &loosen[i], 1);
        assert_int_not_equal(profile_flatten(p), 0);
        profile_free(p);
    }
    static const char *const tighten[] = { "[files] deny /a/other" };
    p = profile_load("lock", NULL, 0, tighten, 1);
    assert_int_equal(profile_flatten(p), 0);
    profile_free(p);
    /* A profile of the user's with the same name does not escape it. */
    put("etc/profiles/lock.profile", "profile 1 lock\nlocked\n[files]\ndeny /b\n");
    put("home/sundog/profiles/lock.profile", "profile 1 lock\n[files]\nrw /b\n");
    p = profile_load("lock", NULL, 0, NULL, 0);
    assert_int_not_equal(profile_flatten(p), 0);
    profile_free(p);
    put("pack/circle.profile", "profile 1 circle\ninherit circle\n");
    assert_null(profile_load("circle", NULL, 0, NULL, 0));
}

static void test_params(void **state UNUSED)
{
    put("pack/par.profile", "profile 1 par\nparam DIR = /srv\n[files]\nro ${DIR}/x\n");
    struct profile *p = profile_load("par", NULL, 0, NULL, 0);
    assert_non_null(find(p, "/srv/x"));
    profile_free(p);
    const char *const set[] = { "DIR=/opt" };
    p = profile_load("par", set, 1, NULL, 0);
    assert_non_null(find(p, "/opt/x"));
    profile_free(p);
}

static void test_symlinks(void **state UNUSED)
{
    AUTO_FREE char *real = xasprintf("%s/w/real", dir), *link = xasprintf("%s/w/link", dir);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink("real", link), 0);
    AUTO_FREE char *text = xasprintf("profile 1 s\n[files]\nrw %s/deep\n[exec]\nallow %s/deep/bin\n", link, link);
    put("pack/s.profile", text);
    struct profile *p = profile_load("s", NULL, 0, NULL, 0);
    struct compiled c;
    assert_int_equal(profile_flatten(p), 0);
    assert_int_equal(profile_compile(p, &c), 0);
    AUTO_FREE char *deep = xasprintf("%s/deep/x", real), *bin = xasprintf("%s/deep/bin/x", real);
    assert_int_equal(pathrules_perms(c.paths, pathrules_walk(c.paths, pathrules_start(c.paths), deep)), PR_READ | PR_WRITE);
    assert_int_equal(pathrules_perms(c.paths, pathrules_walk(c.paths, pathrules_start(c.paths), bin)), PR_ALL);
    compiled_fini(&c);
    profile_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_accepts), cmocka_unit_test(test_refuses), cmocka_unit_test(test_layers),
                                        cmocka_unit_test(test_ties_and_locks), cmocka_unit_test(test_params), cmocka_unit_test(test_symlinks) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
