/*
 * libc.so.1: what the functions linked in from musl's libc.a ask of their own libc. Their streams only ever exist on the
 * stack of vsnprintf and vsscanf, in memory, so nothing here locks or reads.
 */
#include "impl.h"
#include <stdio.h>

#pragma GCC visibility push(hidden)
typedef struct musl_file musl_file;
int __lockfile(musl_file *f);
void __unlockfile(musl_file *f);
void __lock(volatile int *l);
void __unlock(volatile int *l);
int __uflow(musl_file *f);
int __overflow(musl_file *f, int c);
const char *__lctrans_cur(const char *s);
const char *__lctrans(const char *s, void *lm);
#pragma GCC visibility pop
int __lockfile(musl_file *f) { return 0; }
void __unlockfile(musl_file *f) { }
void __lock(volatile int *l)
{
    while (__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
        (void)RAW(SYS_yield);
}
void __unlock(volatile int *l) { __atomic_store_n(l, 0, __ATOMIC_RELEASE); }
const char *__lctrans_cur(const char *s) { return s; }
const char *__lctrans(const char *s, void *lm) { return s; }
