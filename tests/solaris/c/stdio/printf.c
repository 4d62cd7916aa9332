/* Source: printf(3C): conversions, flags, precision; %p is implementation-defined: Solaris prints the hexadecimal digits alone. */
#include <stdio.h>
#include <stdint.h>
int main(void)
{
    int n;
    printf("[%d|%5d|%-5d|%05d|%+d|% d]\n", 42, 42, 42, 42, 42, 42);
    printf("[%x|%#X|%o|%#o|%u|%ld|%lld|%hhd|%hd]\n", 255, 255, 8, 8, 3000000000u, -1L, 1LL << 40, 300, 70000);
    printf("[%s|%10s|%-10s|%.2s|%c|%%]\n", "abc", "abc", "abc", "abc", 'z');
    printf("[%f|%.2f|%e|%g|%g|%a]\n", 3.5, 2.005, 12345.678, 1e-5, 100000.0, 1.0);
    printf("[%*d|%-*d|%.*f]\n", 6, 7, 6, 7, 1, 2.25);
    printf("[%zu|%jd|%td|%p|%10p|%-6p|%%p]\n", (size_t)7, (intmax_t)-8, (ptrdiff_t)9, (void *)0xabc, (void *)0x12, (void *)0);
    printf("four%n ", &n);
    printf("%d\n", n);
    printf("%2$s-%1$s\n", "a", "b");
    printf("%d\n", snprintf(NULL, 0, "%s", "count me"));
    return 0;
}
