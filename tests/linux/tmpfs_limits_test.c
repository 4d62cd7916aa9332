/* A size-limited tmpfs fills up, says so, and recovers. Skipped where mounting is not allowed. */
#include "tmpdir.h"
#include <sys/mount.h>
#include <sys/statfs.h>

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
TMPDIR_MAIN(CASE(full))
