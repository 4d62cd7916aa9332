/* Source: scanf(3C). */
#include <stdio.h>
int main(void)
{
    int a, b; char w[16], set[16]; double d; long l; unsigned x;
    printf("%d", sscanf("12 -7 word 3.25 99 0x1f", "%d %d %15s %lf %ld %x", &a, &b, w, &d, &l, &x));
    printf(" %d %d %s %g %ld %u\n", a, b, w, d, l, x);
    printf("%d %s\n", sscanf("abc123", "%15[a-z]%d", set, &a), set);
    printf("%d\n", sscanf("", "%d", &a));
    printf("%d\n", sscanf("x", "%d", &a));
    printf("%d %d\n", sscanf("7,8", "%d,%*d", &a), a);
    return 0;
}
