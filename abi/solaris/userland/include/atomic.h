#ifndef _ATOMIC_H
#define _ATOMIC_H
#include <sys/types.h>
void atomic_inc_32(volatile uint32_t *), atomic_dec_32(volatile uint32_t *);
void atomic_inc_64(volatile uint64_t *), atomic_dec_64(volatile uint64_t *);
void atomic_add_32(volatile uint32_t *, int32_t), atomic_add_64(volatile uint64_t *, int64_t);
uint32_t atomic_inc_32_nv(volatile uint32_t *), atomic_dec_32_nv(volatile uint32_t *);
uint64_t atomic_inc_64_nv(volatile uint64_t *), atomic_dec_64_nv(volatile uint64_t *);
uint32_t atomic_add_32_nv(volatile uint32_t *, int32_t);
uint64_t atomic_add_64_nv(volatile uint64_t *, int64_t);
uint32_t atomic_cas_32(volatile uint32_t *, uint32_t, uint32_t);
uint64_t atomic_cas_64(volatile uint64_t *, uint64_t, uint64_t);
void *atomic_cas_ptr(volatile void *, void *, void *);
uint32_t atomic_swap_32(volatile uint32_t *, uint32_t);
uint64_t atomic_swap_64(volatile uint64_t *, uint64_t);
void *atomic_swap_ptr(volatile void *, void *);
void membar_enter(void), membar_exit(void), membar_producer(void), membar_consumer(void);
#endif
