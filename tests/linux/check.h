/* Smallest test kit for programs that run natively first, then on every platform. */
#ifndef SUNDOG_TESTS_LINUX_CHECK_H
#define SUNDOG_TESTS_LINUX_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define CHECK(cond)                                                                                 \
    do {                                                                                            \
        if (!(cond)) {                                                                              \
            int e_ = errno;                                                                         \
            fprintf(stderr, "%s:%d: check failed: %s (errno %d: %s)\n", __FILE__, __LINE__, #cond, e_, strerror(e_)); \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)
/* The call fails, and with this errno. */
#define CHECK_ERR(expr, err) do { errno = 0; CHECK((expr) == -1); CHECK(errno == (err)); } while (0)

/* For behaviour that came with a kernel: skipped aloud on older ones. */
static inline int kernel_since(int major, int minor, const char *what)
{
    struct utsname u;
    int a = 0, b = 0;
    CHECK(uname(&u) == 0 && sscanf(u.release, "%d.%d", &a, &b) == 2);
    int ok = a > major || (a == major && b >= minor);
    if (!ok) printf("skipped: %s needs Linux %d.%d, this is %s\n", what, major, minor, u.release);
    return ok;
}

struct test_case { const char *name; void (*fn)(void); };
#define CASE(f) { #f, f }

/* All cases, or those named on the command line; one line each. */
static inline int run_cases(const struct test_case *c, size_t n, int argc, char **argv)
{
    for (size_t i = 0; i < n; i++) {
        int want = argc < 2;
        for (int k = 1; k < argc; k++) want |= !strcmp(argv[k], c[i].name);
        if (!want) continue;
        c[i].fn();
        printf("ok %s\n", c[i].name);
        fflush(stdout);
    }
    return 0;
}
#define TEST_MAIN(...)                                                                              \
    int main(int argc, char **argv)                                                                 \
    {                                                                                               \
        static const struct test_case cases[] = { __VA_ARGS__ };                                    \
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);                      \
    }

#endif
