/* Source: strtol(3C), strtod(3C), atoi(3C), a64l(3C), ecvt(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <limits.h>
int main(void)
{
    char *e;
    printf("%ld %ld %ld\n", strtol("  -42xyz", &e, 10), strtol("0x7f", NULL, 0), strtol("077", NULL, 0));
    printf("%s\n", e);
    errno = 0;
    printf("%d", strtol("99999999999999999999", NULL, 10) == LONG_MAX);
    printf(" %d\n", errno == ERANGE);
    printf("%g %g %g\n", strtod("1.5e3", NULL), strtod("inf", NULL), strtod("0x1p4", NULL));
    printf("%d %lld %.3f\n", atoi("12abc"), atoll("-9000000000"), atof("2.5"));
    printf("%llu\n", strtoull("18446744073709551615", NULL, 10));
    printf("%d %d\n", div(17, 5).quot, div(-17, 5).rem);
    return 0;
}
