/* libc.so.1: atomic_ops(3C), membar_ops(3C). */
#include <atomic.h>

#define OPS(T, S, N)                                                                                    \
    T atomic_add_##N##_nv(volatile T *p, S v) { return __atomic_add_fetch(p, (T)v, __ATOMIC_SEQ_CST); } \
    void atomic_add_##N(volatile T *p, S v) { (void)atomic_add_##N##_nv(p, v); }                        \
    T atomic_inc_##N##_nv(volatile T *p) { return __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST); }         \
    void atomic_inc_##N(volatile T *p) { (void)atomic_inc_##N##_nv(p); }                                \
    T atomic_dec_##N##_nv(volatile T *p) { return __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST); }         \
    void atomic_dec_##N(volatile T *p) { (void)atomic_dec_##N##_nv(p); }                                \
    T atomic_or_##N##_nv(volatile T *p, T v) { return __atomic_or_fetch(p, v, __ATOMIC_SEQ_CST); }      \
    void atomic_or_##N(volatile T *p, T v) { (void)atomic_or_##N##_nv(p, v); }                          \
    T atomic_and_##N##_nv(volatile T *p, T v) { return __atomic_and_fetch(p, v, __ATOMIC_SEQ_CST); }    \
    void atomic_and_##N(volatile T *p, T v) { (void)atomic_and_##N##_nv(p, v); }                        \
    T atomic_swap_##N(volatile T *p, T v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }       \
    T atomic_cas_##N(volatile T *p, T old, T new_)                                                      \
    {                                                                                                   \
        __atomic_compare_exchange_n(p, &old, new_, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
        return old;                                                                                     \
    }
OPS(uint8_t, int8_t, 8)
OPS(uint16_t, int16_t, 16)
OPS(uint32_t, int32_t, 32)
OPS(uint64_t, int64_t, 64)
OPS(unsigned char, signed char, char)
OPS(unsigned short, short, short)
OPS(unsigned int, int, int)
OPS(unsigned long, long, long)

void *atomic_cas_ptr(volatile void *p, void *old, void *new_) { return (void *)atomic_cas_64(p, (uint64_t)old, (uint64_t)new_); }
void *atomic_swap_ptr(volatile void *p, void *v) { return (void *)atomic_swap_64(p, (uint64_t)v); }
void *atomic_add_ptr_nv(volatile void *p, ssize_t v) { return (void *)atomic_add_64_nv(p, v); }
void atomic_add_ptr(volatile void *p, ssize_t v) { (void)atomic_add_64_nv(p, v); }
int atomic_set_long_excl(volatile unsigned long *p, unsigned int bit)
{
    return __atomic_fetch_or(p, 1UL << bit, __ATOMIC_SEQ_CST) >> bit & 1 ? -1 : 0;
}
int atomic_clear_long_excl(volatile unsigned long *p, unsigned int bit)
{
    return __atomic_fetch_and(p, ~(1UL << bit), __ATOMIC_SEQ_CST) >> bit & 1 ? 0 : -1;
}
void membar_enter(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void membar_exit(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void membar_producer(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
void membar_consumer(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
