/* Source: pthread_cancel(3C), pthread_cleanup_push(3C), pthread_setcancelstate(3C); PTHREAD_CANCELED is -19. */
#include <stdio.h>
#include <pthread.h>
#include <unistd.h>
#include <stdint.h>
static int cleaned;
static int p[2];
static void clean(void *v) { cleaned += (int)(intptr_t)v; }
static void *blocked(void *v)
{
    char c;
    pthread_cleanup_push(clean, (void *)1);
    pthread_cleanup_push(clean, (void *)10);
    read(p[0], &c, 1);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *refuses(void *v)
{
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    usleep(20000);
    pthread_testcancel();
    return (void *)77;
}
int main(void)
{
    pthread_t t; void *r;
    pipe(p);
    pthread_create(&t, NULL, blocked, NULL);
    usleep(20000);
    pthread_cancel(t);
    pthread_join(t, &r);
    printf("%d %ld %d\n", r == PTHREAD_CANCELED, (long)(intptr_t)r, cleaned);
    pthread_create(&t, NULL, refuses, NULL);
    usleep(5000);
    pthread_cancel(t);
    pthread_join(t, &r);
    printf("%d\n", (int)(intptr_t)r);
    return 0;
}
