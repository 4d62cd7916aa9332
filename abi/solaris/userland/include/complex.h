#ifndef _COMPLEX_H
#define _COMPLEX_H
#define complex _Complex
#define _Complex_I (__extension__(0.0F + 1.0iF))
#define I _Complex_I
double cabs(double complex), carg(double complex), cimag(double complex), creal(double complex);
double complex cexp(double complex), clog(double complex), csqrt(double complex), conj(double complex);
double complex cpow(double complex, double complex), csin(double complex), ccos(double complex);
#endif
