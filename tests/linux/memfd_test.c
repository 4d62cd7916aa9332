/* memfd_create(2), seals, fallocate on memory files. */
#include "check.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void seals(void)
{
    int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_GET_SEALS) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    char link[64], to[128];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, to, sizeof to - 1);
    CHECK(n > 0 && (to[n] = 0, !strcmp(to, "/memfd:name (deleted)")));
    CHECK(ftruncate(fd, 8192) == 0);
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(m != MAP_FAILED);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    munmap(m, 8192);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    CHECK_ERR(ftruncate(fd, 4096), EPERM);
    CHECK_ERR(ftruncate(fd, 16384), EPERM);
    CHECK(pwrite(fd, "x", 1, 8191) == 1);
    CHECK_ERR(pwrite(fd, "x", 1, 8192), EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0);
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(fcntl(memfd_create("q", 0), F_GET_SEALS) == F_SEAL_SEAL);
    CHECK_ERR(memfd_create("q", 0x4000), EINVAL);
}
static void holes(void)
{
    int fd = memfd_create("h", 0);
    struct stat st;
    char c;
    CHECK(fallocate(fd, 0, 0, 65536) == 0 && fstat(fd, &st) == 0 && st.st_size == 65536 && st.st_blocks == 128);
    static char full[65536];
    CHECK(pwrite(fd, full, sizeof full, 0) == sizeof full && pwrite(fd, "zzzz", 4, 8190) == 4);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 112);
    CHECK(pread(fd, &c, 1, 8191) == 1 && c == 0);
    CHECK(lseek(fd, 0, SEEK_HOLE) == 4096 && lseek(fd, 4096, SEEK_DATA) == 12288 && lseek(fd, 12288, SEEK_HOLE) == 65536);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 4096) == 0 && fstat(fd, &st) == 0 && st.st_size == 65536);
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
    CHECK_ERR(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
}
/* A write across the end under F_SEAL_GROW keeps whole pages only: the piece with the end in it is refused. */
static void sealed_end(void)
{
    static char b[8192];
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
    CHECK(ftruncate(fd, 4096 + 3072) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
    CHECK_ERR(pwrite(fd, b, 2048, 4096 + 2048), EPERM);
    CHECK(pwrite(fd, b, 1024, 4096 + 2048) == 1024);
    CHECK(pwrite(fd, b, 8192, 2048) == 2048);
    close(fd);
}

TEST_MAIN(CASE(sealed_end), CASE(seals), CASE(holes))
