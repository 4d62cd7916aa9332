/* libc.so.1: formatted wide output and the rest of wide streams. A stream's orientation is not kept apart (fwide). */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include "impl.h"
#include <stdio.h>
#include <wchar.h>

int vfwprintf(FILE *f, const wchar_t *fmt, va_list ap)
{
    for (size_t n = 256; n <= 1u << 22; n *= 4) {
        wchar_t *b = malloc(n * sizeof(*b));
        va_list aq;
        int r;

        if (!b)
            return -1;
        va_copy(aq, ap);
        r = vswprintf(b, n, fmt, aq); /* -1 also when it did not fit */
        va_end(aq);
        if (r >= 0 && fputws(b, f) < 0)
            r = -1;
        free(b);
        if (r >= 0 || ferror(f))
            return r;
    }
    return -1;
}
int fwprintf(FILE *f, const wchar_t *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = vfwprintf(f, fmt, ap);
    va_end(ap);
    return r;
}
int vwprintf(const wchar_t *fmt, va_list ap) { return vfwprintf(stdout, fmt, ap); }
int wprintf(const wchar_t *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = vfwprintf(stdout, fmt, ap);
    va_end(ap);
    return r;
}
wint_t putwc(wchar_t w, FILE *f) { return fputwc(w, f); }
wint_t putwchar(wchar_t w) { return fputwc(w, stdout); }
wint_t getwc(FILE *f) { return fgetwc(f); }
wint_t getwchar(void) { return fgetwc(stdin); }
wint_t ungetwc(wint_t w, FILE *f)
{
    char b[8];
    size_t n;

    if (w == WEOF || (n = wcrtomb(b, (wchar_t)w, NULL)) == (size_t)-1)
        return WEOF;
    while (n)
        if (ungetc((unsigned char)b[--n], f) == EOF)
            return WEOF;
    return w;
}
wchar_t *fgetws(wchar_t *s, int n, FILE *f)
{
    int i = 0;
    wint_t w;

    while (i < n - 1 && (w = fgetwc(f)) != WEOF)
        if ((s[i++] = (wchar_t)w) == L'\n')
            break;
    if (n <= 0 || (!i && n > 1))
        return NULL;
    s[i] = 0;
    return s;
}
int fwide(FILE *f, int mode) { return mode; }
