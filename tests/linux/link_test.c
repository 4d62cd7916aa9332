/* link, symlink, readlink, unlink, mkdir, rmdir, mknod. */
#include "tmpdir.h"
#include <sys/sysmacros.h>

static void links(void)
{
    struct stat a, b;
    char buf[16];
    put_file("f", "x");
    CHECK(mkdir("d", 0755) == 0 && link("f", "d/h") == 0);
    CHECK(stat("f", &a) == 0 && stat("d/h", &b) == 0 && a.st_ino == b.st_ino && a.st_nlink == 2);
    CHECK_ERR(link("f", "d/h"), EEXIST);
    CHECK_ERR(link("d", "d2"), EPERM);
    CHECK_ERR(link("nope", "n"), ENOENT);
    CHECK_ERR(link("f", "new/"), ENOENT);
    CHECK(symlink("f", "s") == 0 && link("s", "s2") == 0 && lstat("s2", &a) == 0 && S_ISLNK(a.st_mode));
    CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW) == 0 && lstat("s3", &a) == 0 && S_ISREG(a.st_mode));
    CHECK_ERR(symlink("", "e"), ENOENT);
    CHECK_ERR(symlink("x", "s"), EEXIST);
    CHECK(lstat("s", &a) == 0 && a.st_size == 1 && (a.st_mode & 0777) == 0777);
    CHECK(readlink("s", buf, 16) == 1 && buf[0] == 'f');
    CHECK_ERR(readlink("f", buf, 16), EINVAL);
    CHECK_ERR(linkat(AT_FDCWD, "f", AT_FDCWD, "q", 0x8000), EINVAL);
    char path[300] = "d";
    CHECK(symlink("d", "loop0") == 0);
    for (int i = 1; i <= 41; i++) {
        char to[16];
        snprintf(to, sizeof to, "loop%d", i - 1), snprintf(path, sizeof path, "loop%d", i);
        CHECK(symlink(to, path) == 0);
    }
    CHECK(access("loop39", F_OK) == 0);
    CHECK_ERR(access("loop40", F_OK), ELOOP);
}

static void removal(void)
{
    CHECK(mkdir("r", 0755) == 0 && mkdir("r/s", 0755) == 0);
    put_file("rf", "x");
    CHECK_ERR(unlink("r"), EISDIR);
    CHECK_ERR(rmdir("r"), ENOTEMPTY);
    CHECK_ERR(rmdir("rf"), ENOTDIR);
    CHECK_ERR(rmdir("r/."), EINVAL);
    CHECK_ERR(rmdir("r/s/.."), ENOTEMPTY);
    CHECK_ERR(rmdir("/"), EBUSY);
    CHECK_ERR(unlink("rf/"), ENOTDIR);
    CHECK_ERR(unlink("nope"), ENOENT);
    CHECK_ERR(unlinkat(AT_FDCWD, "rf", 1), EINVAL);
    CHECK(rmdir("r/s/") == 0 && unlinkat(AT_FDCWD, "r", AT_REMOVEDIR) == 0);
    int fd = open("rf", O_RDWR);
    struct stat st;
    char c;
    CHECK(unlink("rf") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && read(fd, &c, 1) == 1);
    CHECK(symlink("nowhere", "dang") == 0 && unlink("dang") == 0);
    CHECK_ERR(mkdir(".", 0755), EEXIST);
    CHECK_ERR(mkdir("/", 0755), EEXIST);
    CHECK(mknod("reg", S_IFREG | 0600, 0) == 0 && mknod("sock", S_IFSOCK | 0600, 0) == 0);
    CHECK_ERR(open("sock", O_RDONLY), ENXIO);
    CHECK_ERR(mknod("dir", S_IFDIR | 0600, 0), EPERM);
    CHECK(stat("reg", &st) == 0 && S_ISREG(st.st_mode));
}

static void by_descriptor(void)
{
    if (!kernel_since(6, 10, "linkat of an open file without a capability")) return;
    put_file("opened", "x");
    pid_t c = fork();
    CHECK(c >= 0);
    if (!c) {
        if (geteuid() == 0) CHECK(chown(".", 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        int f = open("opened2", O_CREAT | O_RDWR, 0600);
        CHECK(f >= 0 && linkat(f, "", AT_FDCWD, "second", AT_EMPTY_PATH) == 0);
        _exit(0);
    }
    int st;
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}
static void followed_link_atime(void)
{
    struct stat a, b;
    put_file("target", "x");
    CHECK(symlink("target", "sym") == 0 && lstat("sym", &a) == 0);
    usleep(50000);
    close(open("sym", O_RDONLY));
    CHECK(lstat("sym", &b) == 0);
    CHECK(b.st_atim.tv_sec > a.st_atim.tv_sec || b.st_atim.tv_nsec > a.st_atim.tv_nsec);
}

TMPDIR_MAIN(CASE(links), CASE(removal), CASE(by_descriptor), CASE(followed_link_atime))
