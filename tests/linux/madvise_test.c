/* madvise(2). */
#include "check.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#define P 4096UL

static void dontneed(void)
{
    char *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 2 * P);
    CHECK(madvise(p, P, MADV_DONTNEED) == 0 && p[0] == 0 && p[P] == 1);
    CHECK(madvise(p, 2 * P, MADV_WILLNEED) == 0 && madvise(p, 2 * P, MADV_NORMAL) == 0 && madvise(p, 2 * P, MADV_FREE) == 0);
    CHECK_ERR(madvise(p + 1, P, MADV_NORMAL), EINVAL);
    CHECK_ERR(madvise(p, P, 9999), EINVAL);
    CHECK(munmap(p, 2 * P) == 0);
    CHECK_ERR(madvise(p, P, MADV_DONTNEED), ENOMEM);
}

static void fork_advice(void)
{
    int st;
    char *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[0] = p[P] = 1;
    CHECK(madvise(p, P, MADV_WIPEONFORK) == 0);
    pid_t k = fork();
    if (!k) _exit(p[0] == 0 && p[P] == 1 ? 0 : 1);
    CHECK(waitpid(k, &st, 0) == k && st == 0 && p[0] == 1);
    CHECK(madvise(p, P, MADV_KEEPONFORK) == 0);
}

TEST_MAIN(CASE(dontneed), CASE(fork_advice))
