/* Source: fwprintf(3C), fgetws(3C), ungetwc(3C), swprintf(3C), wcstol(3C). */
#include <stdio.h>
#include <wchar.h>
#include <stdlib.h>
int main(void)
{
    wchar_t b[64]; wint_t c; int n;
    n = swprintf(b, 64, L"<%d|%ls|%5.2f>", 42, L"wide", 1.5);
    wprintf(L"%d %ls\n", n, b);
    wprintf(L"%d\n", swprintf(b, 3, L"%s", "too long"));
    FILE *f = tmpfile();
    fputws(L"line one\nline two\n", f);
    rewind(f);
    wprintf(L"%ls", fgetws(b, 64, f));
    c = fgetwc(f);
    ungetwc(c, f);
    wprintf(L"%lc ", c);
    wprintf(L"%ls", fgetws(b, 64, f));
    wprintf(L"%ld %lu %g\n", wcstol(L"-12x", NULL, 10), wcstoul(L"ff", NULL, 16), wcstod(L"2.5e3", NULL));
    return 0;
}
