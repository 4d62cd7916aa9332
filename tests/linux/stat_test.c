/* stat, utimensat, truncate, statx, xattrs. */
#include "tmpdir.h"
#include <sys/time.h>
#include <sys/xattr.h>

static void fields(void)
{
    struct stat st;
    put_file("f", "hello");
    CHECK(stat("f", &st) == 0 && st.st_size == 5 && st.st_nlink == 1 && (st.st_mode & 07777) == 0644);
    CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    CHECK_ERR(stat("", &st), ENOENT);
    CHECK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode));
    int fd = open("f", O_RDONLY);
    CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && st.st_size == 5);
    CHECK_ERR(fstatat(AT_FDCWD, "f", &st, 0x40000), EINVAL);
    struct statx sx;
    CHECK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx) == 0 && sx.stx_size == 5 && sx.stx_ino == st.st_ino);
}

static void times(void)
{
    struct stat st;
    struct timespec ts[2] = { { 1000, 5 }, { 2000, 7 } };
    CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0 && stat("f", &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_nsec == 7);
    ts[0].tv_nsec = UTIME_OMIT, ts[1].tv_nsec = UTIME_NOW;
    CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0 && stat("f", &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 100000);
    ts[0].tv_nsec = 1000000000;
    CHECK_ERR(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
    ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
    CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0);
    CHECK(symlink("f", "l") == 0);
    ts[0] = ts[1] = (struct timespec){ 77, 0 };
    CHECK(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &st) == 0 && st.st_mtim.tv_sec == 77);
}

static void truncation(void)
{
    struct stat st;
    CHECK(truncate("f", 100000) == 0 && stat("f", &st) == 0 && st.st_size == 100000);
    CHECK_ERR(truncate("f", -1), EINVAL);
    CHECK_ERR(truncate("d", 0), EISDIR);
    int fd = open("f", O_RDONLY);
    CHECK_ERR(ftruncate(fd, 0), EINVAL);
    fd = open("f", O_RDWR);
    char c = 1;
    CHECK(pread(fd, &c, 1, 50000) == 1 && c == 0 && ftruncate(fd, 3) == 0 && ftruncate(fd, 10) == 0);
    char b[16];
    CHECK(pread(fd, b, 16, 0) == 10 && !memcmp(b, "hel\0\0\0\0\0\0", 10));
}

static void xattrs(void)
{
    char b[64];
    put_file("x", "");
    if (setxattr("x", "user.a", "1", 1, 0) < 0 && errno == EOPNOTSUPP) return;
    CHECK_ERR(setxattr("x", "user.a", "2", 1, XATTR_CREATE), EEXIST);
    CHECK_ERR(setxattr("x", "user.b", "2", 1, XATTR_REPLACE), ENODATA);
    CHECK(setxattr("x", "user.b", "long value", 10, 0) == 0);
    CHECK(getxattr("x", "user.b", NULL, 0) == 10);
    CHECK_ERR(getxattr("x", "user.b", b, 3), ERANGE);
    CHECK_ERR(getxattr("x", "user.c", b, 3), ENODATA);
    CHECK_ERR(setxattr("x", "nonsense", "1", 1, 0), EOPNOTSUPP);
    CHECK(getxattr("x", "user.b", b, 64) == 10 && !memcmp(b, "long value", 10));
    CHECK(removexattr("x", "user.a") == 0);
    CHECK_ERR(removexattr("x", "user.a"), ENODATA);
    CHECK(symlink("x", "xl") == 0);
    CHECK_ERR(lsetxattr("xl", "user.q", "1", 1, 0), EPERM);
}

TMPDIR_MAIN(CASE(fields), CASE(times), CASE(truncation), CASE(xattrs))
