/* mremap(2). */
#include "check.h"
#include <sys/mman.h>
#define P 4096UL

static void grow_move_shrink(void)
{
    char *p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q, *to;
    CHECK(p != MAP_FAILED);
    memset(p, 'x', 4 * P);
    CHECK(munmap(p + 2 * P, P) == 0);
    CHECK(mremap(p, 2 * P, 3 * P, MREMAP_MAYMOVE) != MAP_FAILED);
    q = mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(q, 'y', 8 * P);
    CHECK(mremap(q, 8 * P, 4 * P, 0) == q && q[4 * P - 1] == 'y');
    to = mmap(NULL, 4 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mremap(q, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to && to[0] == 'y' && to[4 * P - 1] == 'y');
    CHECK(mremap(to, 4 * P, 16 * P, MREMAP_MAYMOVE) != MAP_FAILED);
}

static void errors(void)
{
    char *p = mmap(NULL, 2 * P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mremap(p + 1, P, P, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mremap(p, P, 0, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mremap(p, P, P, 0x10) == MAP_FAILED && errno == EINVAL);
    CHECK(mremap(p, P, P, MREMAP_FIXED, p) == MAP_FAILED && errno == EINVAL);
    CHECK(munmap(p, 2 * P) == 0);
    CHECK(mremap(p, P, 2 * P, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}

TEST_MAIN(CASE(grow_move_shrink), CASE(errors))
