/*
 * libc.so.1: vsnprintf over musl's. Solaris prints pointers as bare hexadecimal digits (musl adds 0x): a format that has %p
 * is copied with %lx in its place.
 */
#include "impl.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern int __musl_vsnprintf(char *, size_t, const char *, va_list) __attribute__((visibility("hidden")));

/* The conversion character of the directive whose % is at s. */
static const char *conversion(const char *s) { return s + 1 + strspn(s + 1, "-+ #0123456789.*$'hlLqjzt"); }

int vsnprintf(char *b, size_t n, const char *f, va_list ap)
{
    size_t pointers = 0;
    const char *s, *c;

    for (s = f; (s = strchr(s, '%')); s = c + (*c != 0)) {
        c = conversion(s);
        pointers += *c == 'p';
    }
    if (__builtin_expect(!pointers, 1))
        return __musl_vsnprintf(b, n, f, ap);
    char small[256], *copy = strlen(f) + pointers < sizeof(small) ? small : malloc(strlen(f) + pointers + 1), *o = copy;
    if (!copy)
        return -1;
    for (s = f; *s;) {
        if (*s != '%') {
            *o++ = *s++;
            continue;
        }
        for (c = conversion(s); s < c;)
            *o++ = *s++;
        if (*c == 'p')
            *o++ = 'l', *o++ = 'x', s++;
        else if (*c)
            *o++ = *s++;
    }
    *o = 0;
    int r = __musl_vsnprintf(b, n, copy, ap);
    if (copy != small)
        free(copy);
    return r;
}
int vsprintf(char *b, const char *f, va_list ap) { return vsnprintf(b, INT_MAX, f, ap); }
