/* A size-limited tmpfs fills up, says so, and recovers. Skipped where mounting is not allowed. */
#include "tmpdir.h"
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static void full(void)
{
    CHECK(mkdir("m", 0755) == 0);
    if (mount("t", "m", "tmpfs", 0, "size=64k") < 0) {
        CHECK(errno == EPERM || errno == EACCES || errno == ENOSYS);
        printf("skipped: no mounts here\n");
        return;
    }
    struct statfs sf;
    static char big[131072];
    int fd = open("m/f", O_CREAT | O_RDWR, 0600);
    CHECK(statfs("m", &sf) == 0 && sf.f_type == 0x01021994 && sf.f_blocks == 16);
    CHECK(write(fd, big, sizeof big) == 65536);
    CHECK_ERR(write(fd, big, 1), ENOSPC);
    CHECK(ftruncate(fd, 4096) == 0 && lseek(fd, 4096, SEEK_SET) == 4096 && write(fd, big, 4096) == 4096);
    CHECK_ERR(fallocate(fd, 0, 0, 1 << 20), ENOSPC);
    CHECK_ERR(rename("m/f", "out"), EXDEV);
    CHECK_ERR(link("m/f", "out"), EXDEV);
    CHECK_ERR(rmdir("m"), EBUSY);
    CHECK_ERR(umount("m"), EBUSY);
    close(fd);
    CHECK(umount("m") == 0 && access("m/f", F_OK) < 0);
}
/* Extended attributes take of the room for inodes, 1 KiB each. */
static void attributes(void)
{
    static char value[8000];
    if (!kernel_since(6, 6, "the limit")) return;
    CHECK(mkdir("x", 0755) == 0);
    if (mount("t", "x", "tmpfs", 0, "size=64k,nr_inodes=20") < 0) {
        CHECK(errno == EPERM || errno == EACCES || errno == ENOSYS);
        printf("skipped: no mounts here\n");
        return;
    }
    struct statfs sf;
    CHECK(mkdir("x/a", 0700) == 0 && mkdir("x/b", 0700) == 0);
    CHECK(setxattr("x/a", "user.one", value, sizeof value, 0) == 0);
    CHECK(setxattr("x/a", "user.one", value, sizeof value, XATTR_REPLACE) == 0);
    CHECK(statfs("x", &sf) == 0 && sf.f_files == 20 && sf.f_ffree >= 8 && sf.f_ffree <= 9);
    CHECK(setxattr("x/b", "user.two", value, sizeof value, 0) == 0);
    CHECK_ERR(setxattr("x/b", "user.three", value, sizeof value, 0), ENOSPC);
    CHECK_ERR(setxattr("x/a", "user.one", value, sizeof value, 0), ENOSPC); /* the old one counts until the new one is there */
    int made = 0;
    for (char d[] = "x/0"; made < 5 && mkdir(d, 0700) == 0; d[2]++) made++;
    CHECK(made < 5 && errno == ENOSPC);
    CHECK(removexattr("x/a", "user.one") == 0);
    CHECK(mkdir("x/4", 0700) == 0);
    CHECK(rmdir("x/b") == 0 && setxattr("x/4", "user.four", value, sizeof value, 0) == 0);
    CHECK(umount("x") == 0);
}
TMPDIR_MAIN(CASE(full), CASE(attributes))
