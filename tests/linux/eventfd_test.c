/* eventfd(2). */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <sys/uio.h>

static void counter(void)
{
    int f = eventfd(3, EFD_NONBLOCK);
    uint64_t v = 4;
    CHECK(f >= 0 && write(f, &v, 8) == 8);
    CHECK(read(f, &v, 8) == 8 && v == 7);
    CHECK_ERR(read(f, &v, 8), EAGAIN);
    CHECK_ERR(read(f, &v, 4), EINVAL);
    v = UINT64_MAX;
    CHECK_ERR(write(f, &v, 8), EINVAL);
    v = UINT64_MAX - 1;
    CHECK(write(f, &v, 8) == 8);
    struct pollfd p = { f, POLLIN | POLLOUT, 0 };
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    v = 1;
    CHECK_ERR(write(f, &v, 8), EAGAIN);
    close(f);
    CHECK_ERR(eventfd(0, 0x1000), EINVAL);
}

static void semaphore(void)
{
    int f = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
    uint64_t v;
    CHECK(read(f, &v, 8) == 8 && v == 1);
    CHECK(read(f, &v, 8) == 8 && v == 1);
    CHECK_ERR(read(f, &v, 8), EAGAIN);
    close(f);
}

static void *post(void *arg)
{
    usleep(30000);
    CHECK(write(*(int *)arg, &(uint64_t){ 5 }, 8) == 8);
    return NULL;
}

static void blocks(void)
{
    int f = eventfd(0, 0);
    pthread_t t;
    uint64_t v;
    pthread_create(&t, NULL, post, &f);
    CHECK(read(f, &v, 8) == 8 && v == 5);
    pthread_join(t, NULL);
    close(f);
}

static void longer_writes(void)
{
    if (!kernel_since(6, 9, "the refusal of longer writes")) return;
    int f = eventfd(0, EFD_NONBLOCK);
    uint64_t v[2] = { 3, 4 };
    CHECK_ERR(write(f, v, sizeof v), EINVAL);
    struct iovec two[2] = { { &v[0], 8 }, { &v[1], 8 } };
    CHECK(writev(f, two, 2) == 16);
    CHECK(read(f, v, 8) == 8 && v[0] == 7);
    close(f);
}

TEST_MAIN(CASE(counter), CASE(semaphore), CASE(blocks), CASE(longer_writes))
