/* Permission, ownership, sticky directories, set-id bits. Runs as root. */
#include "tmpdir.h"
#include <sys/xattr.h>

static void as_other(void)
{
    struct stat st;
    CHECK_ERR(open("t/root", O_RDWR), EACCES);
    CHECK(open("t/root", O_RDONLY) >= 0);
    CHECK_ERR(open("t/root", O_RDONLY | O_NOATIME), EPERM);
    CHECK_ERR(open("p/f", O_RDONLY), EACCES);
    CHECK_ERR(stat("p/f", &st), EACCES);
    CHECK_ERR(unlink("t/root"), EPERM);
    CHECK_ERR(rename("t/root", "t/r2"), EPERM);
    CHECK_ERR(chmod("t/root", 0777), EPERM);
    CHECK_ERR(access("t/root", W_OK), EACCES);
    CHECK_ERR(utimensat(AT_FDCWD, "t/root", NULL, 0), EACCES);
    struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };
    CHECK_ERR(utimensat(AT_FDCWD, "t/root", ts, 0), EPERM);
    put_file("t/mine", "m");
    CHECK_ERR(chown("t/mine", 0, -1), EPERM);
    CHECK_ERR(chown("t/mine", -1, 0), EPERM);
    CHECK(chown("t/mine", -1, 1000) == 0);
    CHECK(chmod("t/mine", 06775) == 0 && stat("t/mine", &st) == 0 && (st.st_mode & 07777) == 06775);
    int fd = open("t/mine", O_WRONLY);
    CHECK(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0775);
    CHECK_ERR(mkdir("p/d", 0755), EACCES);
    CHECK_ERR(mknod("t/dev", S_IFCHR | 0600, 0x103), EPERM);
    CHECK_ERR(chroot("t"), EPERM);
    CHECK(unlink("t/mine") == 0);
}

static void other_user(void)
{
    CHECK(mkdir("t", 0777) == 0 && chmod("t", 01777) == 0 && mkdir("p", 0700) == 0);
    put_file("t/root", "r"), put_file("p/f", "f");
    CHECK(chmod(".", 0755) == 0);
    in_child(as_other, 1000);
}

static void root_rules(void)
{
    struct stat st;
    put_file("s", "x");
    CHECK(chmod("s", 06755) == 0 && chown("s", 1, 1) == 0 && stat("s", &st) == 0 && (st.st_mode & 07777) == 0755);
    CHECK(chmod("s", 0) == 0 && open("s", O_RDWR) >= 0);
    CHECK_ERR(access("s", X_OK), EACCES);
    CHECK(chmod("s", 0100) == 0 && access("s", X_OK) == 0);
    CHECK_ERR(access("s", 8), EINVAL);
    CHECK_ERR(chmod("nope", 0), ENOENT);
}

static void chown_drops_capabilities(void)
{
    static const unsigned char caps[20] = { 1, 0, 0, 2, 1 };   /* VFS_CAP_REVISION_2, effective; CAP_CHOWN permitted */
    char b[32];
    put_file("cap", "x");
    if (setxattr("cap", "security.capability", caps, sizeof caps, 0)) {
        printf("skipped: this user or file system sets no file capabilities: %s\n", strerror(errno));
        return;
    }
    CHECK(chown("cap", 1, -1) == 0);
    CHECK_ERR(getxattr("cap", "security.capability", b, sizeof b), ENODATA);
}

TMPDIR_MAIN(CASE(other_user), CASE(root_rules), CASE(chown_drops_capabilities))
