/* Source: mbrtowc(3C), wcrtomb(3C), mbstowcs(3C) with LC_CTYPE C.UTF-8 (illumos has it). */
#include <stdio.h>
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>
int main(void)
{
    wchar_t w[16]; char b[32];
    printf("%d\n", setlocale(LC_ALL, "C.UTF-8") != NULL);
    printf("%zu %x %x\n", mbstowcs(w, "a\xc3\xa9\xe4\xb8\xad", 16), (unsigned)w[1], (unsigned)w[2]);
    printf("%zu %zu\n", wcstombs(b, w, 32), wcslen(w));
    printf("%d %d\n", mblen("\xc3\xa9", 2), mblen("\xff", 1));
    printf("%d %lc\n", iswalpha(w[1]) != 0, (wint_t)towupper(L'b'));
    return 0;
}
