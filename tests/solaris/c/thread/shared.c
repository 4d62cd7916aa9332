/* Source: pthread_mutexattr_setpshared(3C), sem_init(3C) with pshared, sem_open(3C): between processes. */
#include <stdio.h>
#include <pthread.h>
#include <semaphore.h>
#include <fcntl.h>
#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
struct sh { pthread_mutex_t m; pthread_cond_t c; sem_t s; int n, ready; };
int main(void)
{
    struct sh *h = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0); int st;
    pthread_mutexattr_t ma; pthread_condattr_t ca;
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&h->m, &ma);
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&h->c, &ca);
    sem_init(&h->s, 1, 0);
    for (int p = 0; p < 3; p++)
        if (fork() == 0) {
            sem_wait(&h->s);
            for (int i = 0; i < 1000; i++) { pthread_mutex_lock(&h->m); h->n++; pthread_mutex_unlock(&h->m); }
            pthread_mutex_lock(&h->m);
            h->ready++;
            pthread_cond_signal(&h->c);
            pthread_mutex_unlock(&h->m);
            _exit(0);
        }
    for (int p = 0; p < 3; p++) sem_post(&h->s);
    pthread_mutex_lock(&h->m);
    while (h->ready < 3) pthread_cond_wait(&h->c, &h->m);
    pthread_mutex_unlock(&h->m);
    while (wait(&st) > 0) ;
    printf("%d\n", h->n);
    sem_t *a = sem_open("/sundog-test", O_CREAT | O_EXCL, 0600, 1), *b = sem_open("/sundog-test", 0);
    printf("%d %d\n", a != SEM_FAILED, a == b);
    printf("%d %d\n", sem_open("/sundog-test", O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED, errno == EEXIST);
    if (fork() == 0) { sem_wait(a); _exit(0); }
    wait(&st);
    printf("%d %d\n", sem_trywait(a), errno == EAGAIN);
    printf("%d %d %d\n", sem_close(a), sem_close(b), sem_unlink("/sundog-test"));
    printf("%d %d\n", sem_open("/sundog-test", 0) == SEM_FAILED, errno == ENOENT);
    return 0;
}
