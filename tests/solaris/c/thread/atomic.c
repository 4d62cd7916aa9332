/* Source: atomic_ops(3C), membar_ops(3C). */
#include <stdio.h>
#include <pthread.h>
#include <atomic.h>
static volatile uint32_t n32;
static volatile uint64_t n64;
static void *work(void *v) { for (int i = 0; i < 50000; i++) { atomic_inc_32(&n32); atomic_add_64(&n64, 3); } return NULL; }
int main(void)
{
    pthread_t t[4]; volatile unsigned long bits = 0; volatile uint8_t u8 = 250;
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, work, NULL);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    printf("%u %lu\n", n32, (unsigned long)n64);
    printf("%u", atomic_cas_32(&n32, 200000, 7));
    printf(" %u", atomic_cas_32(&n32, 1, 2));
    printf(" %u", atomic_swap_32(&n32, 9));
    printf(" %u\n", atomic_dec_32_nv(&n32));
    printf("%d", atomic_set_long_excl(&bits, 5));
    printf(" %d %lu\n", atomic_set_long_excl(&bits, 5), bits);
    atomic_add_8(&u8, 10);
    printf("%u\n", u8);
    membar_producer();
    membar_consumer();
    return 0;
}
