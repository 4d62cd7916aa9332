/* The vDSO and the system calls must show one time, which never runs backwards. */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ns(const struct timespec *t) { return t->tv_sec * 1000000000L + t->tv_nsec; }

static void one_clock(clockid_t id)
{
    struct timespec t;
    long last = 0;
    for (int i = 0; i < 3000; i++) {
        CHECK((i & 1 ? clock_gettime(id, &t) : (int)syscall(SYS_clock_gettime, id, &t)) == 0);
        CHECK(ns(&t) >= last && t.tv_nsec < 1000000000);
        last = ns(&t);
        if (i % 500 == 0) usleep(30000);
    }
}

static void never_backwards(void)
{
    one_clock(CLOCK_MONOTONIC);
    one_clock(CLOCK_BOOTTIME);
    one_clock(CLOCK_REALTIME);
}

static void same_answers(void)
{
    struct timeval tv;
    struct timespec ts, res;
    time_t t = time(NULL);
    CHECK(gettimeofday(&tv, NULL) == 0 && clock_gettime(CLOCK_REALTIME, &ts) == 0);
    CHECK(tv.tv_sec - t <= 1 && ts.tv_sec - tv.tv_sec <= 1 && labs(syscall(SYS_time, NULL) - t) <= 1);
    CHECK(clock_getres(CLOCK_MONOTONIC, &res) == 0 && res.tv_sec == 0 && res.tv_nsec == 1);
    CHECK_ERR(syscall(SYS_clock_gettime, 99, &ts), EINVAL);
    CHECK_ERR(syscall(SYS_clock_gettime, 0, 8), EFAULT);
}

static void long_run(void)
{
    struct timespec a, b, tenth = { 0, 100000000 };
    for (int i = 0; i < 5; i++) {
        CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
        nanosleep(&tenth, NULL);
        CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
        CHECK(ns(&b) - ns(&a) >= 100000000 && ns(&b) - ns(&a) < 3000000000L);
    }
}

static void image(void)
{
    const Elf64_Ehdr *e = (const void *)getauxval(AT_SYSINFO_EHDR);
    CHECK(e && !memcmp(e->e_ident, ELFMAG, SELFMAG) && e->e_type == ET_DYN);
}

TEST_MAIN(CASE(image), CASE(same_answers), CASE(never_backwards), CASE(long_run))
