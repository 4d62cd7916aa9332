/* mseal(2): mappings that stay as they are. */
#include "check.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGE 4096UL

static int seal(void *p, size_t n, unsigned long flags) { return (int)syscall(SYS_mseal, p, n, flags); }

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void arguments(void)
{
    char *p = map(4, PROT_READ);
    CHECK_ERR(seal(p, PAGE, 1), EINVAL);
    CHECK_ERR(seal(p + 1, PAGE, 0), EINVAL);
    CHECK_ERR(seal(p, SIZE_MAX, 0), EINVAL);
    CHECK(seal(p, 0, 0) == 0);
    CHECK(munmap(p + PAGE, PAGE) == 0);
    CHECK_ERR(seal(p, 4 * PAGE, 0), ENOMEM);
    CHECK_ERR(seal(p + PAGE, PAGE, 0), ENOMEM);
    CHECK(munmap(p, 4 * PAGE) == 0);           /* a refused seal seals nothing */
}

static void stays(void)
{
    char *p = map(6, PROT_READ), *q = p + 2 * PAGE;
    CHECK(seal(q, 2 * PAGE, 0) == 0 && seal(q, 2 * PAGE, 0) == 0);
    CHECK_ERR(munmap(p, 6 * PAGE), EPERM);
    CHECK_ERR(munmap(q + PAGE, PAGE), EPERM);
    CHECK_ERR(mprotect(q, PAGE, PROT_READ | PROT_WRITE), EPERM);
    CHECK_ERR(mprotect(q, PAGE, PROT_READ), EPERM);
    CHECK(mmap(q, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
    CHECK(mremap(q, 2 * PAGE, PAGE, 0) == MAP_FAILED && errno == EPERM);
    CHECK(mremap(q, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
    char *to = map(2, PROT_NONE);
    CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED && errno == EPERM);
    CHECK(mremap(to, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED && errno == EPERM);
    /* Throwing away what cannot be written back is a change too; advice is not. */
    int gone[] = { MADV_DONTNEED, MADV_DONTFORK, MADV_WIPEONFORK };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) CHECK_ERR(madvise(q, PAGE, gone[i]), EPERM);
    CHECK(madvise(q, PAGE, MADV_NORMAL) == 0);
    /* The neighbours are free. */
    CHECK(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE) == 0 && munmap(q + 2 * PAGE, 2 * PAGE) == 0);
    /* A mapping that can be written may be emptied as well. */
    char *w = map(1, PROT_READ | PROT_WRITE);
    *w = 7;
    CHECK(seal(w, PAGE, 0) == 0 && madvise(w, PAGE, MADV_DONTNEED) == 0 && *w == 0);
}

static void inherited(void)
{
    char *p = map(1, PROT_READ);
    int st;
    CHECK(seal(p, PAGE, 0) == 0);
    pid_t c = fork();
    if (c == 0) _exit(munmap(p, PAGE) == -1 && errno == EPERM ? 0 : 1);
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void heap(void)
{
    char *top = sbrk(0);
    CHECK(sbrk(2 * PAGE) == top);
    char *page = (char *)(((uintptr_t)top + PAGE - 1) & ~(PAGE - 1));
    CHECK(seal(page, PAGE, 0) == 0);
    CHECK(syscall(SYS_brk, top) == (long)(top + 2 * PAGE));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(arguments), CASE(stays), CASE(inherited), CASE(heap) };
    if (seal(NULL, 0, 0) == -1 && errno == ENOSYS) {
        puts("skip: this kernel has no mseal (Linux 6.10)");
        return 77;
    }
    return run_cases(cases, sizeof cases / sizeof *cases, argc, argv);
}
