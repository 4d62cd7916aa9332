/* ld.so.1: memory, strings and messages, without libc. */
#include "rtld.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

/* A bump allocator with size-class free lists: the linker's data is small, lives long, and must need nobody. */
static char *heap, *heap_end;
static void *free_list[48];

static int size_class(size_t n)
{
    int c = 0;

    while (((size_t)32 << c) < n)
        c++;
    return c;
}

void *rt_alloc(size_t n)
{
    int c = size_class(n + 16);
    size_t total = (size_t)32 << c;
    char *p = free_list[c];

    if (p) {
        free_list[c] = *(void **)(p + 16);
    } else {
        if ((size_t)(heap_end - heap) < total) {
            size_t want = total > 65536 ? total : 65536;
            long m = RAW(SYS_mmap, 0, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

            if (RAW_FAILED(m)) {
                rt_message("%s: fatal: mmap anon failed: %s", rt_progname, rt_strerror((int)-m));
                rt_die();
            }
            heap = (char *)m;
            heap_end = heap + want;
        }
        p = heap;
        heap += total;
    }
    *(size_t *)p = (size_t)c;
    return memset(p + 16, 0, total - 16);
}

void rt_free(void *q)
{
    char *p = q;

    if (!p)
        return;
    size_t c = *(size_t *)(p - 16);
    *(void **)p = free_list[c];
    free_list[c] = p - 16;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *r = d;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return r;
}

void *memset(void *d, int c, size_t n)
{
    void *r = d;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return r;
}

void *memmove(void *d, const void *s, size_t n)
{
    if ((uintptr_t)d - (uintptr_t)s >= n)
        return memcpy(d, s, n);
    while (n--)
        ((volatile char *)d)[n] = ((const char *)s)[n];
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (((const volatile char *)s)[n])
        n++;
    return n;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

int rt_streq(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

char *rt_strdup(const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(rt_alloc(n), s, n);
}

static size_t vformat(char *out, size_t size, const char *f, va_list ap)
{
    size_t n = 0;
#define PUT(ch) \
    do { \
        if (n + 1 < size) \
            out[n] = (ch); \
        n++; \
    } while (0)
    for (; *f; f++) {
        if (*f != '%') {
            PUT(*f);
            continue;
        }
        int wide = 0;
        for (f++; *f == 'l' || *f == 'z'; f++)
            wide = 1;
        if (*f == 's') {
            const char *s = va_arg(ap, const char *);
            for (s = s ? s : "(null)"; *s; s++)
                PUT(*s);
        } else if (*f == 'd' || *f == 'x' || *f == 'u') {
            unsigned long v = wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);
            char tmp[24];
            int k = 0;
            unsigned base = *f == 'x' ? 16 : 10;
            do
                tmp[k++] = "0123456789abcdef"[v % base];
            while ((v /= base));
            while (k)
                PUT(tmp[--k]);
        } else {
            PUT(*f);
        }
    }
    if (size)
        out[n < size ? n : size - 1] = 0;
    return n;
}

size_t rt_snprintf(char *out, size_t size, const char *f, ...)
{
    va_list ap;

    va_start(ap, f);
    size_t n = vformat(out, size, f, ap);
    va_end(ap);
    return n;
}

char rt_error[1024];

void rt_fail(const char *f, ...)
{
    va_list ap;

    va_start(ap, f);
    vformat(rt_error, sizeof(rt_error), f, ap);
    va_end(ap);
}

/* one line on standard error: "ld.so.1: " TEXT */
void rt_message(const char *f, ...)
{
    char line[1200] = "ld.so.1: ";
    va_list ap;

    va_start(ap, f);
    size_t n = 9 + vformat(line + 9, sizeof(line) - 10, f, ap);
    va_end(ap);
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n++] = '\n';
    (void)RAW(SYS_write, 2, line, n);
}

/* The real linker ends a process it cannot start with SIGKILL, so that no handler or exit status hides it. */
void rt_die(void)
{
    (void)RAW(SYS_kill, RAW(SYS_getpid), 9);
    for (;;)
        (void)RAW(SYS_exit, 1);
}

const char *rt_strerror(int e)
{
    static char other[24];

    switch (e) {
    case EPERM: return "Not owner";
    case ENOENT: return "No such file or directory";
    case EIO: return "I/O error";
    case EAGAIN: return "Resource temporarily unavailable";
    case ENOMEM: return "Not enough space";
    case EACCES: return "Permission denied";
    case ENOTDIR: return "Not a directory";
    case EINVAL: return "Invalid argument";
    case EMFILE: return "Too many open files";
    case ELOOP: return "Number of symbolic links encountered during path name traversal exceeds MAXSYMLINKS";
    case ENAMETOOLONG: return "File name too long";
    default: rt_snprintf(other, sizeof(other), "Error %d", e); return other;
    }
}
