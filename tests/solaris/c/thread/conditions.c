/* Source: pthread_cond_wait(3C), pthread_cond_timedwait(3C), pthread_rwlock_rdlock(3C), pthread_barrier_wait(3C), sem_wait(3C). */
#include <stdio.h>
#include <pthread.h>
#include <semaphore.h>
#include <errno.h>
#include <time.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t bar;
static sem_t s;
static int queue, taken, serial;
static void *consumer(void *v)
{
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&m);
        while (!queue) pthread_cond_wait(&c, &m);
        queue--, taken++;
        pthread_mutex_unlock(&m);
    }
    if (pthread_barrier_wait(&bar) == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
    sem_post(&s);
    return NULL;
}
int main(void)
{
    pthread_t t[4]; struct timespec ts;
    sem_init(&s, 0, 0);
    pthread_barrier_init(&bar, NULL, 4);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, consumer, NULL);
    for (int i = 0; i < 4000; i++) { pthread_mutex_lock(&m); queue++; pthread_cond_signal(&c); pthread_mutex_unlock(&m); }
    for (int i = 0; i < 4; i++) sem_wait(&s);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    printf("%d %d %d\n", taken, queue, serial);
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 10000000;
    if (ts.tv_nsec >= 1000000000) ts.tv_sec++, ts.tv_nsec -= 1000000000;
    pthread_mutex_lock(&m);
    printf("%d\n", pthread_cond_timedwait(&c, &m, &ts) == ETIMEDOUT);
    printf("%d %d\n", sem_trywait(&s), errno == EAGAIN);
    printf("%d %d\n", sem_timedwait(&s, &ts), errno == ETIMEDOUT);
    ts = (struct timespec){ 0, 1000000 };
    printf("%d %d\n", sem_reltimedwait_np(&s, &ts), errno == ETIMEDOUT);
    printf("%d %d %d\n", pthread_rwlock_rdlock(&rw), pthread_rwlock_tryrdlock(&rw), pthread_rwlock_trywrlock(&rw) == EBUSY);
    pthread_rwlock_unlock(&rw);
    pthread_rwlock_unlock(&rw);
    printf("%d %d\n", pthread_rwlock_wrlock(&rw), pthread_rwlock_tryrdlock(&rw) == EBUSY);
    return 0;
}
