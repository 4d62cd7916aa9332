/* Source: pthread_create(3C), pthread_join(3C), pthread_mutex_lock(3C), pthread_key_create(3C), pthread_once(3C). */
#include <stdio.h>
#include <pthread.h>
#include <errno.h>
#include <stdint.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int count, inits, destroyed;
static void init(void) { inits++; }
static void gone(void *v) { __sync_fetch_and_add(&destroyed, (int)(intptr_t)v); }
static void *work(void *arg)
{
    pthread_once(&once, init);
    pthread_setspecific(key, arg);
    for (int i = 0; i < 20000; i++) { pthread_mutex_lock(&m); count++; pthread_mutex_unlock(&m); }
    return (void *)((intptr_t)pthread_getspecific(key) * 2);
}
static void *leave(void *v) { pthread_exit(v); }
int main(void)
{
    pthread_t t[8]; void *r; long sum = 0; pthread_mutexattr_t ma; pthread_mutex_t e; pthread_attr_t at;
    pthread_key_create(&key, gone);
    for (intptr_t i = 0; i < 8; i++) pthread_create(&t[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < 8; i++) { pthread_join(t[i], &r); sum += (intptr_t)r; }
    printf("%d %d %d %ld\n", count, inits, destroyed, sum);
    printf("%d %d\n", pthread_self() == 1, t[0] > 1);
    pthread_create(&t[0], NULL, leave, (void *)5);
    pthread_join(t[0], &r);
    printf("%d\n", (int)(intptr_t)r);
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&e, &ma);
    printf("%d %d", pthread_mutex_lock(&e), pthread_mutex_lock(&e) == EDEADLK);
    printf(" %d", pthread_mutex_unlock(&e));
    printf(" %d\n", pthread_mutex_unlock(&e) == EPERM);
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&e, &ma);
    pthread_mutex_lock(&e);
    printf("%d %d\n", pthread_mutex_lock(&e), pthread_mutex_trylock(&e));
    pthread_attr_init(&at);
    pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&at, 1 << 20);
    pthread_create(&t[0], &at, leave, NULL);
    printf("%d\n", pthread_join(t[0], NULL) != 0);
    printf("%d\n", pthread_kill(12345, 0) == ESRCH);
    return 0;
}
