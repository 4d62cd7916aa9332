/* timerfd_create(2). */
#include "check.h"
#include <poll.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static struct itimerspec ms(long value, long interval)
{
    return (struct itimerspec){ { interval / 1000, interval % 1000 * 1000000 }, { value / 1000, value % 1000 * 1000000 } };
}

static void one_shot(void)
{
    int f = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec t = ms(50, 0), cur;
    uint64_t n;
    CHECK(f >= 0);
    CHECK_ERR(read(f, &n, 8), EAGAIN);
    CHECK(timerfd_settime(f, 0, &t, NULL) == 0);
    CHECK(timerfd_gettime(f, &cur) == 0 && cur.it_value.tv_sec == 0 && cur.it_value.tv_nsec > 0);
    struct pollfd p = { f, POLLIN, 0 };
    CHECK(poll(&p, 1, 2000) == 1);
    CHECK(read(f, &n, 8) == 8 && n == 1);
    CHECK_ERR(read(f, &n, 8), EAGAIN);
    CHECK(timerfd_gettime(f, &cur) == 0 && cur.it_value.tv_nsec == 0);
    close(f);
}

static void interval_counts(void)
{
    int f = timerfd_create(CLOCK_BOOTTIME, 0);
    struct itimerspec t = ms(10, 10), old;
    uint64_t n;
    CHECK(timerfd_settime(f, 0, &t, NULL) == 0);
    usleep(105000);
    CHECK(read(f, &n, 8) == 8 && n >= 9 && n < 60);
    CHECK(read(f, &n, 8) == 8 && n >= 1);
    t = ms(0, 0);
    CHECK(timerfd_settime(f, 0, &t, &old) == 0 && old.it_interval.tv_nsec == 10000000);
    close(f);
}

static void absolute(void)
{
    int f = timerfd_create(CLOCK_REALTIME, 0);
    struct itimerspec t = { { 0, 0 }, { 0, 0 } };
    uint64_t n;
    clock_gettime(CLOCK_REALTIME, &t.it_value);
    t.it_value.tv_sec -= 1;
    CHECK(timerfd_settime(f, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) == 0);
    CHECK(read(f, &n, 8) == 8 && n == 1);
    close(f);
}

static void errors(void)
{
    int p[2];
    struct itimerspec t = ms(1, 0), bad = { { 0, 0 }, { 0, 1000000000 } };
    CHECK_ERR(timerfd_create(99, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 0x1234), EINVAL);
    CHECK(pipe(p) == 0);
    CHECK_ERR(timerfd_settime(p[0], 0, &t, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(999, 0, &t, NULL), EBADF);
    int f = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK_ERR(timerfd_settime(f, 0, &bad, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(f, 0x100, &t, NULL), EINVAL);
    close(f);
}

TEST_MAIN(CASE(one_shot), CASE(interval_counts), CASE(absolute), CASE(errors))
