#ifndef _MATH_H
#define _MATH_H
#define HUGE_VAL __builtin_huge_val()
#define HUGE_VALF __builtin_huge_valf()
#define HUGE_VALL __builtin_huge_vall()
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define FP_NAN 0
#define FP_INFINITE 1
#define FP_ZERO 2
#define FP_SUBNORMAL 3
#define FP_NORMAL 4
#define MATH_ERRNO 1
#define MATH_ERREXCEPT 2
#define math_errhandling MATH_ERREXCEPT
#define FP_ILOGB0 (-2147483647 - 1)
#define FP_ILOGBNAN (-2147483647 - 1)
#define fpclassify(x) __builtin_fpclassify(FP_NAN, FP_INFINITE, FP_NORMAL, FP_SUBNORMAL, FP_ZERO, x)
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define isnormal(x) __builtin_isnormal(x)
#define signbit(x) __builtin_signbit(x)
#define isgreater(x, y) __builtin_isgreater(x, y)
#define isless(x, y) __builtin_isless(x, y)
#define isunordered(x, y) __builtin_isunordered(x, y)
#define M_E 2.7182818284590452354
#define M_LOG2E 1.4426950408889634074
#define M_LOG10E 0.43429448190325182765
#define M_LN2 0.69314718055994530942
#define M_LN10 2.30258509299404568402
#define M_PI 3.14159265358979323846
#define M_PI_2 1.57079632679489661923
#define M_PI_4 0.78539816339744830962
#define M_SQRT2 1.41421356237309504880
#define M_SQRT1_2 0.70710678118654752440
typedef float float_t;
typedef double double_t;
extern int signgam;
#define __MATH1(n) double n(double); float n##f(float); long double n##l(long double);
#define __MATH2(n) double n(double, double); float n##f(float, float); long double n##l(long double, long double);
__MATH1(acos) __MATH1(acosh) __MATH1(asin) __MATH1(asinh) __MATH1(atan) __MATH1(atanh) __MATH1(cbrt) __MATH1(ceil)
__MATH1(cos) __MATH1(cosh) __MATH1(erf) __MATH1(erfc) __MATH1(exp) __MATH1(exp2) __MATH1(expm1) __MATH1(fabs)
__MATH1(floor) __MATH1(lgamma) __MATH1(log) __MATH1(log10) __MATH1(log1p) __MATH1(log2) __MATH1(logb)
__MATH1(nearbyint) __MATH1(rint) __MATH1(round) __MATH1(sin) __MATH1(sinh) __MATH1(sqrt) __MATH1(tan) __MATH1(tanh)
__MATH1(tgamma) __MATH1(trunc)
__MATH2(atan2) __MATH2(copysign) __MATH2(fdim) __MATH2(fmax) __MATH2(fmin) __MATH2(fmod) __MATH2(hypot)
__MATH2(nextafter) __MATH2(pow) __MATH2(remainder)
double fma(double, double, double);
float fmaf(float, float, float);
long double fmal(long double, long double, long double);
double frexp(double, int *), ldexp(double, int), modf(double, double *), scalbn(double, int), scalbln(double, long);
float frexpf(float, int *), ldexpf(float, int), modff(float, float *), scalbnf(float, int);
long double frexpl(long double, int *), ldexpl(long double, int), modfl(long double, long double *);
long double scalbnl(long double, int);
int ilogb(double), ilogbf(float), ilogbl(long double);
long lrint(double), lrintf(float), lrintl(long double), lround(double), lroundf(float), lroundl(long double);
long long llrint(double), llrintf(float), llround(double), llroundf(float);
double nan(const char *);
double remquo(double, double, int *);
double j0(double), j1(double), jn(int, double), y0(double), y1(double), yn(int, double);
double lgamma_r(double, int *), gamma(double), drem(double, double), scalb(double, double), significand(double);
int finite(double);
#endif
