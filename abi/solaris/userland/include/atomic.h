#ifndef _ATOMIC_H
#define _ATOMIC_H
#include <sys/types.h>
#define __ATOMIC_OPS(T, S, N)                                                                          \
    void atomic_inc_##N(volatile T *), atomic_dec_##N(volatile T *), atomic_add_##N(volatile T *, S);  \
    void atomic_or_##N(volatile T *, T), atomic_and_##N(volatile T *, T);                              \
    T atomic_inc_##N##_nv(volatile T *), atomic_dec_##N##_nv(volatile T *), atomic_add_##N##_nv(volatile T *, S); \
    T atomic_or_##N##_nv(volatile T *, T), atomic_and_##N##_nv(volatile T *, T);                       \
    T atomic_cas_##N(volatile T *, T, T), atomic_swap_##N(volatile T *, T);
__ATOMIC_OPS(uint8_t, int8_t, 8)
__ATOMIC_OPS(uint16_t, int16_t, 16)
__ATOMIC_OPS(uint32_t, int32_t, 32)
__ATOMIC_OPS(uint64_t, int64_t, 64)
__ATOMIC_OPS(unsigned char, signed char, char)
__ATOMIC_OPS(unsigned short, short, short)
__ATOMIC_OPS(unsigned int, int, int)
__ATOMIC_OPS(unsigned long, long, long)
void *atomic_cas_ptr(volatile void *, void *, void *);
void *atomic_swap_ptr(volatile void *, void *);
void *atomic_add_ptr_nv(volatile void *, ssize_t);
void atomic_add_ptr(volatile void *, ssize_t);
int atomic_set_long_excl(volatile unsigned long *, unsigned int);
int atomic_clear_long_excl(volatile unsigned long *, unsigned int);
void membar_enter(void), membar_exit(void), membar_producer(void), membar_consumer(void);
#endif
