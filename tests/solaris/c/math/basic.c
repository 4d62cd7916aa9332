/* Source: libm(3LIB): sqrt(3M), pow(3M), fmod(3M), frexp(3C), isnan(3M); values exact or rounded to six digits. */
#include <stdio.h>
#include <math.h>
int main(void)
{
    volatile double two = 2, neg = -1, x = 0.5;
    printf("%.6f %.6f %.6f %.6f\n", sqrt(two), pow(two, 10), exp(1.0), log(10.0));
    printf("%.6f %.6f %.6f %.6f\n", sin(x), cos(x), tan(x), atan2(1.0, 2.0));
    printf("%g %g %g %g\n", floor(-1.5), ceil(1.2), round(2.5), trunc(-2.7));
    printf("%g %g %d %g\n", fmod(7.5, 2), fabs(neg), isnan(sqrt(neg)), hypot(3, 4));
    int e;
    double m = frexp(48.0, &e);
    printf("%g %d %g\n", m, e, ldexp(0.75, 6));
    printf("%d %d %ld\n", isinf(HUGE_VAL), signbit(neg) != 0, lrint(2.5));
    printf("%.6f %.6f\n", tgamma(5.0), erf(0.5));
    return 0;
}
