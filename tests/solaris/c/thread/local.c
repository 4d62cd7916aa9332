/* Source: the linker and libraries guide, "thread-local storage": each thread starts with the initial image. */
#include <stdio.h>
#include <pthread.h>
static __thread int a = 5;
static __thread char zero[100];
static __thread struct { long x, y; } s __attribute__((aligned(64))) = { 1, 2 };
static void *work(void *v)
{
    int ok = a == 5 && !zero[50] && s.y == 2 && ((unsigned long)&s & 63) == 0;
    a = 9;
    zero[50] = 1;
    return (void *)(long)ok;
}
int main(void)
{
    pthread_t t; void *r; int n = 0;
    for (int i = 0; i < 5; i++) { pthread_create(&t, NULL, work, NULL); pthread_join(t, &r); n += (int)(long)r; }
    printf("%d %d %d\n", n, a, zero[50]);
    return 0;
}
