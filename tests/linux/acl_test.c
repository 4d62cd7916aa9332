/* POSIX access control lists: acl(5), as extended attributes of a tmpfs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include "tmpdir.h"
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
struct entry { unsigned short tag, perm; unsigned id; };
struct list { unsigned version; struct entry e[8]; };
#define SIZE(n) (4 + (size_t)(n) * 8)
#define NOBODY 0xffffffffu

static const struct list named = { 2, { { USER_OBJ, 6, NOBODY }, { USER, 6, 1001 }, { GROUP_OBJ, 4, NOBODY }, { GROUP, 7, 2001 }, { MASK, 6, NOBODY }, { OTHER, 0, NOBODY } } };

static mode_t mode_of(const char *p)
{
    struct stat st;
    CHECK(stat(p, &st) == 0);
    return st.st_mode & 07777;
}
static void make(const char *p) { CHECK(close(open(p, O_CREAT | O_EXCL | O_RDWR, 0644)) == 0); }

/* Does open with these flags work for this user and group: 0 or errno. */
static int as(unsigned uid, unsigned gid, const char *p, int flags)
{
    int st;
    pid_t c = fork();
    if (!c) {
        CHECK(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
        _exit(open(p, flags) < 0 ? errno : 0);
    }
    CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st));
    return WEXITSTATUS(st);
}

static void access_lists(void)
{
    struct list got;
    make("f");
    CHECK_ERR(getxattr("f", ACCESS, &got, sizeof got), ENODATA);
    CHECK(setxattr("f", ACCESS, &named, SIZE(6), 0) == 0);
    CHECK(getxattr("f", ACCESS, NULL, 0) == (ssize_t)SIZE(6) && getxattr("f", ACCESS, &got, sizeof got) == (ssize_t)SIZE(6) && !memcmp(&got, &named, SIZE(6)));
    CHECK_ERR(getxattr("f", ACCESS, &got, 12), ERANGE);
    CHECK(mode_of("f") == 0660);                       /* the group bits are the mask */
    char names[128];
    ssize_t n = listxattr("f", names, sizeof names);
    CHECK(n >= (ssize_t)sizeof ACCESS && memmem(names, (size_t)n, ACCESS, sizeof ACCESS));
    if (!geteuid()) {
        CHECK(as(1001, 5000, "f", O_RDWR) == 0);       /* named user */
        CHECK(as(1002, 5000, "f", O_RDONLY) == EACCES);/* others */
        CHECK(as(1002, 2001, "f", O_RDWR) == 0);       /* named group */
        CHECK(as(1002, 0, "f", O_RDONLY) == 0 && as(1002, 0, "f", O_RDWR) == EACCES);   /* the file's group: r */
        CHECK(chmod("f", 0640) == 0 && as(1001, 5000, "f", O_RDWR) == EACCES && as(1001, 5000, "f", O_RDONLY) == 0);
        CHECK(getxattr("f", ACCESS, &got, sizeof got) == (ssize_t)SIZE(6) && got.e[4].perm == 4 && got.e[1].perm == 6);
        CHECK(chmod("f", 0604) == 0 && as(1002, 0, "f", O_RDONLY) == EACCES && as(7, 7, "f", O_RDONLY) == 0);
    }
    /* What the mode can say alone is not kept. */
    const struct list plain = { 2, { { USER_OBJ, 7, NOBODY }, { GROUP_OBJ, 5, NOBODY }, { OTHER, 1, NOBODY } } };
    CHECK(setxattr("f", ACCESS, &plain, SIZE(3), 0) == 0 && mode_of("f") == 0751);
    CHECK_ERR(getxattr("f", ACCESS, &got, sizeof got), ENODATA);
    CHECK(setxattr("f", ACCESS, &named, SIZE(6), 0) == 0 && removexattr("f", ACCESS) == 0);
    CHECK_ERR(getxattr("f", ACCESS, &got, sizeof got), ENODATA);
}

static void malformed(void)
{
    struct list l = named;
    make("m");
    l.version = 3;
    CHECK_ERR(setxattr("m", ACCESS, &l, SIZE(6), 0), EOPNOTSUPP);
    CHECK_ERR(setxattr("m", ACCESS, &named, SIZE(6) - 1, 0), EINVAL);
    CHECK_ERR(setxattr("m", ACCESS, &named, SIZE(5), 0), EINVAL);     /* no OTHER */
    l = named, l.e[4] = l.e[5];
    CHECK_ERR(setxattr("m", ACCESS, &l, SIZE(5), 0), EINVAL);         /* somebody named, no mask */
    l = named, l.e[0].perm = 8;
    CHECK_ERR(setxattr("m", ACCESS, &l, SIZE(6), 0), EINVAL);
    l = named, l.e[0] = named.e[1], l.e[1] = named.e[0];
    CHECK_ERR(setxattr("m", ACCESS, &l, SIZE(6), 0), EINVAL);
    CHECK_ERR(setxattr("m", DEFAULT, &named, SIZE(6), 0), EACCES);    /* of a file */
    if (!geteuid()) {
        int st;
        pid_t c = fork();
        if (!c) {
            CHECK(setresuid(1001, 1001, 1001) == 0);
            CHECK_ERR(setxattr("m", ACCESS, &named, SIZE(6), 0), EPERM);
            _exit(0);
        }
        CHECK(waitpid(c, &st, 0) == c && st == 0);
    }
}

static void inherited(void)
{
    struct list got;
    CHECK(mkdir("d", 0755) == 0 && setxattr("d", DEFAULT, &named, SIZE(6), 0) == 0 && mode_of("d") == 0755);
    make("d/f");                                       /* 0644, and the umask does not count */
    CHECK(mode_of("d/f") == 0640 && getxattr("d/f", ACCESS, &got, sizeof got) == (ssize_t)SIZE(6) && got.e[4].perm == 4 && got.e[3].perm == 7);
    CHECK_ERR(getxattr("d/f", DEFAULT, &got, sizeof got), ENODATA);
    CHECK(mkdir("d/s", 0777) == 0 && mode_of("d/s") == 0660 && getxattr("d/s", DEFAULT, &got, sizeof got) == (ssize_t)SIZE(6) && !memcmp(&got, &named, SIZE(6)));
    umask(077);
    CHECK(close(open("d/g", O_CREAT | O_RDWR, 0666)) == 0 && mode_of("d/g") == 0660 && symlink("x", "d/l") == 0);
    umask(022);
    CHECK_ERR(lgetxattr("d/l", ACCESS, &got, sizeof got), EOPNOTSUPP);
    CHECK(removexattr("d", DEFAULT) == 0);
    make("d/h");
    CHECK_ERR(getxattr("d/h", ACCESS, &got, sizeof got), ENODATA);
    CHECK(mode_of("d/h") == 0644);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(access_lists), CASE(malformed), CASE(inherited) };
    if (chdir("/dev/shm")) {
        printf("skipped: no /dev/shm\n");
        return 0;
    }
    tmpdir_enter();
    if (setxattr(".", ACCESS, &named, SIZE(6), 0) && errno == EOPNOTSUPP) {
        printf("skipped: this tmpfs has no ACLs\n");
        return 0;
    }
    CHECK(chmod(".", 0777) == 0 && removexattr(".", ACCESS) == 0 && chmod(".", 0777) == 0);
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
