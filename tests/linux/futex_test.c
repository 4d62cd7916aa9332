/* futex(2), futex_waitv(2), robust lists. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long fx(uint32_t *a, int op, uint32_t v, const void *t, uint32_t *b, uint32_t v3) { return syscall(SYS_futex, a, op, v, t, b, v3); }
static uint32_t word, word2;
static void msleep(int ms) { usleep((useconds_t)ms * 1000); }

static void *waiter(void *arg)
{
    return (void *)(fx(&word, FUTEX_WAIT_PRIVATE, (uint32_t)(uintptr_t)arg, NULL, NULL, 0) == 0 ? 0L : (long)errno);
}

static void wait_values(void)
{
    struct timespec t = { 0, 20000000 }, bad = { 0, 1000000000 };
    word = 1;
    CHECK_ERR(fx(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
    CHECK_ERR(fx(&word, FUTEX_WAIT, 1, &t, NULL, 0), ETIMEDOUT);
    CHECK_ERR(fx(&word, FUTEX_WAIT, 1, &bad, NULL, 0), EINVAL);
    CHECK_ERR(fx((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 1, &t, NULL, 0), EINVAL);
    CHECK_ERR(fx((uint32_t *)8, FUTEX_WAIT, 1, &t, NULL, 0), EFAULT);
    CHECK_ERR(fx(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERR(fx(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(fx(&word, 99, 1, NULL, NULL, 0), ENOSYS);
    CHECK(fx(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    struct timespec past = { 1, 0 };
    CHECK_ERR(fx(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &past, NULL, 1), ETIMEDOUT);
}

static void wake_one_of_three(void)
{
    pthread_t th[3];
    void *r;
    word = 7;
    for (int i = 0; i < 3; i++) pthread_create(&th[i], NULL, waiter, (void *)7);
    msleep(100);
    CHECK(fx(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
    CHECK(fx(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 2);
    for (int i = 0; i < 3; i++) {
        pthread_join(th[i], &r);
        CHECK(r == NULL);
    }
}

static void requeue(void)
{
    pthread_t th[3];
    word = 5;
    for (int i = 0; i < 3; i++) pthread_create(&th[i], NULL, waiter, (void *)5);
    msleep(100);
    CHECK_ERR(fx(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)5, &word2, 4), EAGAIN);
    CHECK(fx(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)5, &word2, 5) == 3);
    CHECK(fx(&word, FUTEX_WAKE_PRIVATE, 5, NULL, NULL, 0) == 0);
    CHECK(fx(&word2, FUTEX_WAKE_PRIVATE, 5, NULL, NULL, 0) == 2);
    for (int i = 0; i < 3; i++) pthread_join(th[i], NULL);
}

static void wake_op(void)
{
    pthread_t th;
    word = 3;
    word2 = 10;
    pthread_create(&th, NULL, waiter, (void *)3);
    msleep(50);
    CHECK(fx(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 10)) == 1);
    CHECK(word2 == 15);
    pthread_join(th, NULL);
}

static void shared_between_processes(void)
{
    uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(w != MAP_FAILED);
    pid_t p = fork();
    if (!p) _exit(fx(w, FUTEX_WAIT, 0, NULL, NULL, 0) ? 1 : 0);
    int st, n = 0;
    while (fx(w, FUTEX_WAKE, 1, NULL, NULL, 0) == 0 && n++ < 1000) msleep(2);
    CHECK(waitpid(p, &st, 0) == p && st == 0);
}

struct waitv { uint64_t val, addr; uint32_t flags, pad; };
static void *wake_later(void *a)
{
    msleep(50);
    fx(a, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

static void waitv(void)
{
    uint32_t f[3] = { 0, 1, 2 };
    struct waitv v[3];
    pthread_t th;
    for (int i = 0; i < 3; i++) v[i] = (struct waitv){ f[i], (uint64_t)(uintptr_t)&f[i], 2 | 128, 0 };
    pthread_create(&th, NULL, wake_later, &f[1]);
    long r = syscall(449, v, 3, 0, NULL, CLOCK_MONOTONIC);
    pthread_join(th, NULL);
    if (r < 0 && errno == ENOSYS) return;
    CHECK(r == 1);
    v[2].val = 9;
    CHECK_ERR(syscall(449, v, 3, 0, NULL, CLOCK_MONOTONIC), EAGAIN);
    CHECK_ERR(syscall(449, v, 0, 0, NULL, CLOCK_MONOTONIC), EINVAL);
}

static pthread_mutex_t pim;
static void *take_pi(void *arg)
{
    (void)arg;
    CHECK(pthread_mutex_lock(&pim) == 0);
    CHECK(pthread_mutex_unlock(&pim) == 0);
    return NULL;
}

static void pi_mutex(void)
{
    pthread_mutexattr_t a;
    pthread_t th[4];
    uint32_t w = 0;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&pim, &a);
    pthread_mutex_lock(&pim);
    for (int i = 0; i < 4; i++) pthread_create(&th[i], NULL, take_pi, NULL);
    msleep(50);
    pthread_mutex_unlock(&pim);
    for (int i = 0; i < 4; i++) pthread_join(th[i], NULL);
    CHECK(fx(&w, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    CHECK(w == (uint32_t)syscall(SYS_gettid));
    CHECK_ERR(fx(&w, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK(fx(&w, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
    CHECK(w == 0);
    CHECK_ERR(fx(&w, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
}

static pthread_mutex_t robust;
static void *die_with_it(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void robust_owner_dies(void)
{
    for (int pi = 0; pi < 2; pi++) {
        pthread_mutexattr_t a;
        pthread_t th;
        pthread_mutexattr_init(&a);
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        pthread_mutexattr_setprotocol(&a, pi ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
        pthread_mutex_init(&robust, &a);
        pthread_create(&th, NULL, die_with_it, NULL);
        pthread_join(th, NULL);
        CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD);
        CHECK(pthread_mutex_consistent(&robust) == 0);
        CHECK(pthread_mutex_unlock(&robust) == 0);
    }
}

static pthread_mutex_t cm = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cc = PTHREAD_COND_INITIALIZER;
static int turn;
static void *player(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&cm);
        while (turn % 3 != me) pthread_cond_wait(&cc, &cm);
        turn++;
        pthread_cond_broadcast(&cc);
        pthread_mutex_unlock(&cm);
    }
    return NULL;
}

static void condition_ring(void)
{
    pthread_t th[3];
    for (long i = 0; i < 3; i++) pthread_create(&th[i], NULL, player, (void *)i);
    for (int i = 0; i < 3; i++) pthread_join(th[i], NULL);
    CHECK(turn == 1500);
}

static void *wait_private(void *w)
{
    struct timespec t = { 0, 300000000 };
    return (void *)(intptr_t)(syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, 7, &t, NULL, 0) ? errno : 0);
}
/* On a private page, too, a private waiter is not woken by a shared wake. */
static void private_and_shared_apart(void)
{
    static int apart = 7;
    pthread_t t;
    void *r;
    CHECK(pthread_create(&t, NULL, wait_private, &apart) == 0);
    for (int i = 0; i < 20; i++, usleep(5000)) CHECK(syscall(SYS_futex, &apart, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK(pthread_join(t, &r) == 0 && r == (void *)ETIMEDOUT);
}

/* Of a shared mapping the page is looked up: behind the end of the file there is none. */
static void behind_the_end(void)
{
    int fd = memfd_create("f", 0);
    CHECK(fd >= 0 && ftruncate(fd, 8192) == 0);
    uint32_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *q = p + 1024;
    CHECK(p != MAP_FAILED);
    CHECK(fx(p, FUTEX_WAKE, 1, NULL, NULL, 0) == 0 && fx(q, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    *p = *q = 1;
    CHECK(fx(q, FUTEX_WAKE, 1, NULL, NULL, 0) == 0 && ftruncate(fd, 4096) == 0);
    CHECK(fx(p, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK_ERR(fx(q, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
    CHECK(fx(q, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) == 0);
    CHECK(ftruncate(fd, 8192) == 0 && fx(q, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK(munmap(p, 8192) == 0 && close(fd) == 0);
}

TEST_MAIN(CASE(behind_the_end), CASE(wait_values), CASE(wake_one_of_three), CASE(requeue), CASE(wake_op), CASE(shared_between_processes), CASE(waitv),
          CASE(pi_mutex), CASE(robust_owner_dies), CASE(condition_ring), CASE(private_and_shared_apart))
