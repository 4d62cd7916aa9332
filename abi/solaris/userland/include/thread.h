#ifndef _THREAD_H
#define _THREAD_H
#include <sys/types.h>
#include <synch.h>
#include <signal.h>
#define THR_BOUND 1
#define THR_NEW_LWP 2
#define THR_DETACHED 0x40
#define THR_SUSPENDED 0x80
#define THR_DAEMON 0x100
#define THR_ONCE_KEY ((thread_key_t)-1)
int thr_create(void *, size_t, void *(*)(void *), void *, long, thread_t *);
__attribute__((noreturn)) void thr_exit(void *);
int thr_join(thread_t, thread_t *, void **);
thread_t thr_self(void);
int thr_main(void);
int thr_suspend(thread_t);
int thr_continue(thread_t);
void thr_yield(void);
int thr_keycreate(thread_key_t *, void (*)(void *));
int thr_keycreate_once(thread_key_t *, void (*)(void *));
int thr_setspecific(thread_key_t, void *);
int thr_getspecific(thread_key_t, void **);
int thr_setprio(thread_t, int);
int thr_getprio(thread_t, int *);
int thr_getconcurrency(void);
int thr_setconcurrency(int);
size_t thr_min_stack(void);
int thr_stksegment(stack_t *);
int thr_setname(thread_t, const char *);
int thr_getname(thread_t, char *, size_t);
#endif
