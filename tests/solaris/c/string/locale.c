/* Source: setlocale(3C), localeconv(3C), nl_langinfo(3C), ctype(3C); the C locale. */
#include <stdio.h>
#include <locale.h>
#include <langinfo.h>
#include <ctype.h>
#include <stdlib.h>
int main(void)
{
    printf("%s %s\n", setlocale(LC_ALL, NULL), localeconv()->decimal_point);
    printf("%s %s %s\n", nl_langinfo(DAY_1), nl_langinfo(MON_12), nl_langinfo(RADIXCHAR));
    printf("%d %d %d %c %c\n", !!isalpha('x'), !!isdigit('x'), !!ispunct('!'), toupper('q'), tolower('Q'));
    printf("%d %s\n", setlocale(LC_ALL, "xx_YY.nope") == NULL, setlocale(LC_ALL, "C"));
    printf("%zu\n", (size_t)MB_CUR_MAX);
    return 0;
}
