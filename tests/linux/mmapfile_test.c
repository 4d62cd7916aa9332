/* Mapped files agree with read and write; truncation under a mapping is SIGBUS. */
#include "tmpdir.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <stdint.h>

static sigjmp_buf env;
static void bus(int s) { siglongjmp(env, s); }

static void coherence(void)
{
    int fd = open("m", O_CREAT | O_RDWR, 0600);
    CHECK(ftruncate(fd, 8192) == 0);
    char *s = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), b[8];
    CHECK(s != MAP_FAILED && p != MAP_FAILED);
    CHECK(pwrite(fd, "abc", 3, 4094) == 3 && !memcmp(s + 4094, "abc", 3) && !memcmp(p + 4094, "abc", 3));
    s[0] = 'S';
    CHECK(pread(fd, b, 1, 0) == 1 && b[0] == 'S');    /* what p shows is unspecified, mmap(2) */
    p[0] = 'P';
    CHECK(s[0] == 'S' && pread(fd, b, 1, 0) == 1 && b[0] == 'S');
    CHECK(pwrite(fd, s + 4094, 3, 0) == 3 && !memcmp(s, "abc", 3) && p[0] == 'P');
    CHECK(msync(s, 8192, MS_SYNC) == 0);
    signal(SIGBUS, bus);
    CHECK(ftruncate(fd, 10) == 0);
    if (sigsetjmp(env, 1) == 0) {
        b[0] = ((volatile char *)s)[4096];
        CHECK(!"no SIGBUS");
    }
    CHECK(s[9] == 0 && s[20] == 0);
    CHECK(ftruncate(fd, 8192) == 0 && s[4096] == 0);
}
static void modes(void)
{
    int ro = open("m", O_RDONLY), wo = open("m", O_WRONLY);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERR(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    int d = open(".", O_RDONLY);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, d, 0) == MAP_FAILED && errno == ENODEV);
}

static void offset_range(void)
{
    int f = open("f-range", O_CREAT | O_RDWR, 0600);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, f, INT64_MAX & ~4095LL) == MAP_FAILED && errno == EOVERFLOW);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, f, INT64_MIN) == MAP_FAILED && errno == EOVERFLOW);
    close(f);
}

TMPDIR_MAIN(CASE(coherence), CASE(modes), CASE(offset_range))
