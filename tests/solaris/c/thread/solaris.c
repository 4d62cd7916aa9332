/* Source: thr_create(3C), thr_join(3C), mutex_init(3C), cond_init(3C), sema_init(3C), thr_keycreate(3C), thr_suspend(3C). */
#include <stdio.h>
#include <thread.h>
#include <synch.h>
#include <errno.h>
static mutex_t m = DEFAULTMUTEX;
static cond_t c = DEFAULTCV;
static sema_t s;
static int n, go;
static void *work(void *v)
{
    mutex_lock(&m);
    while (!go) cond_wait(&c, &m);
    n++;
    mutex_unlock(&m);
    sema_post(&s);
    return v;
}
int main(void)
{
    thread_t t[3], who; void *r;
    sema_init(&s, 0, USYNC_THREAD, NULL);
    for (long i = 0; i < 3; i++) printf("%d ", thr_create(NULL, 0, work, (void *)i, i == 2 ? THR_SUSPENDED : 0, &t[i]));
    thr_continue(t[2]);
    mutex_lock(&m);
    go = 1;
    cond_broadcast(&c);
    mutex_unlock(&m);
    for (int i = 0; i < 3; i++) sema_wait(&s);
    for (int i = 0; i < 3; i++) thr_join(0, &who, &r);
    printf("%d %d\n", n, thr_join(0, NULL, NULL) != 0);
    printf("%d %d\n", thr_self() == 1, thr_main());
    printf("%d %d\n", sema_trywait(&s) == EBUSY, mutex_trylock(&m));
    return 0;
}
