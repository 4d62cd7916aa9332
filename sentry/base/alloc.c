#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

HOSTCALL(brk, "heap");
HOSTCALL(mmap, "heap, thread stacks, views of the memory file");
HOSTCALL(munmap, "heap, thread stacks");
HOSTCALL(mremap, "heap");
HOSTCALL(madvise, "heap trimming");

static void *must(void *p)
{
    if (unlikely(!p)) panic("the host is out of memory");
    return p;
}

void *xzalloc(size_t size) { return must(calloc(1, size ? size : 1)); }
void *xrealloc(void *p, size_t size) { return must(realloc(p, size ? size : 1)); }
char *xstrdup(const char *s) { return must(strdup(s)); }
char *xstrndup(const char *s, size_t n) { return must(strndup(s, n)); }
void *try_zalloc(size_t n, size_t size) { return calloc(n ? n : 1, size ? size : 1); }

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : s);
}
