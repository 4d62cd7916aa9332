/* getrlimit(2), prlimit(2), getrusage(2), times(2), sysinfo(2). */
#include "check.h"
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <unistd.h>

static void limits(void)
{
    struct rlimit l, m;
    CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur <= l.rlim_max);
    m = (struct rlimit){ 100, l.rlim_max };
    CHECK(prlimit(0, RLIMIT_NOFILE, &m, &l) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &m) == 0 && m.rlim_cur == 100);
    CHECK_ERR(dup2(0, 100), EBADF);
    m = (struct rlimit){ 200, 100 };
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &m), EINVAL);
    CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
    CHECK_ERR(getrlimit(99, &m), EINVAL);
    CHECK_ERR(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &m), ESRCH);
}

static void usage(void)
{
    struct rusage a, b;
    struct tms t;
    struct sysinfo s;
    CHECK(getrusage(RUSAGE_SELF, &a) == 0);
    for (volatile long i = 0; i < 100000000; i++) continue;
    CHECK(getrusage(RUSAGE_SELF, &b) == 0);
    CHECK(timercmp(&b.ru_utime, &a.ru_utime, >) && b.ru_maxrss > 0);
    CHECK(getrusage(RUSAGE_THREAD, &b) == 0 && getrusage(RUSAGE_CHILDREN, &b) == 0);
    CHECK_ERR(getrusage(7, &b), EINVAL);
    CHECK(times(&t) != -1 && sysinfo(&s) == 0 && s.totalram > 0 && s.procs > 0 && s.mem_unit > 0);
}

TEST_MAIN(CASE(limits), CASE(usage))
