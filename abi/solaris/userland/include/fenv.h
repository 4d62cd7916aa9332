#ifndef _FENV_H
#define _FENV_H
#define FE_INVALID 1
#define FE_DIVBYZERO 4
#define FE_OVERFLOW 8
#define FE_UNDERFLOW 16
#define FE_INEXACT 32
#define FE_ALL_EXCEPT 61
#define FE_TONEAREST 0
#define FE_DOWNWARD 0x400
#define FE_UPWARD 0x800
#define FE_TOWARDZERO 0xc00
typedef unsigned short fexcept_t;
typedef struct { unsigned short __cw, __u1, __sw, __u2, __tags, __u3; unsigned int __eip; unsigned short __cs; unsigned int __op : 11, __u4 : 5; unsigned int __off; unsigned short __ds, __u5; unsigned int __mxcsr; } fenv_t;
#define FE_DFL_ENV ((const fenv_t *)-1)
int feclearexcept(int), fegetexceptflag(fexcept_t *, int), feraiseexcept(int), fesetexceptflag(const fexcept_t *, int);
int fetestexcept(int), fegetround(void), fesetround(int), fegetenv(fenv_t *), feholdexcept(fenv_t *);
int fesetenv(const fenv_t *), feupdateenv(const fenv_t *);
#endif
