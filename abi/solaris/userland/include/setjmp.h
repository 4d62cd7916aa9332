#ifndef _SETJMP_H
#define _SETJMP_H
typedef long jmp_buf[8];
typedef long sigjmp_buf[128];
int setjmp(jmp_buf) __attribute__((returns_twice));
int _setjmp(jmp_buf) __attribute__((returns_twice));
int sigsetjmp(sigjmp_buf, int) __attribute__((returns_twice));
__attribute__((noreturn)) void longjmp(jmp_buf, int);
__attribute__((noreturn)) void _longjmp(jmp_buf, int);
__attribute__((noreturn)) void siglongjmp(sigjmp_buf, int);
#define setjmp setjmp
#define sigsetjmp sigsetjmp
#endif
