/* Scheduling calls, priorities, affinity, membarrier. */
#include "check.h"
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void policies(void)
{
    struct sched_param p = { 0 };
    struct timespec ts;
    CHECK(sched_yield() == 0);
    CHECK(sched_getscheduler(0) == SCHED_OTHER && sched_setscheduler(0, SCHED_BATCH, &p) == 0 && sched_getscheduler(0) == SCHED_BATCH);
    CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0 && sched_getparam(0, &p) == 0 && p.sched_priority == 0);
    p.sched_priority = 5;
    CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    CHECK_ERR(sched_setscheduler(0, 77, &p), EINVAL);
    CHECK_ERR(sched_getscheduler(-1), EINVAL);
    CHECK_ERR(sched_getscheduler(0x3ffffff), ESRCH);
    CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1 && sched_get_priority_max(SCHED_OTHER) == 0);
    CHECK(sched_rr_get_interval(0, &ts) == 0);
}

static void affinity(void)
{
    cpu_set_t s, one;
    unsigned cpu, node;
    CHECK(sched_getaffinity(0, sizeof(s), &s) == 0 && CPU_COUNT(&s) > 0);
    for (cpu = 0; !CPU_ISSET(cpu, &s); cpu++) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(syscall(SYS_getcpu, &node, NULL, NULL) == 0 && node == cpu);
    CHECK(sched_getaffinity(0, sizeof(one), &one) == 0 && CPU_COUNT(&one) == 1);
    CHECK(sched_setaffinity(0, sizeof(s), &s) == 0);
    CPU_ZERO(&one);
    CHECK_ERR(sched_setaffinity(0, sizeof(one), &one), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 3, &one), EINVAL);
}

static void nice_values(void)
{
    errno = 0;
    int n = getpriority(PRIO_PROCESS, 0);
    CHECK(errno == 0 && setpriority(PRIO_PROCESS, 0, n + 1) == 0 && getpriority(PRIO_PROCESS, 0) == n + 1);
    CHECK_ERR(setpriority(9, 0, 0), EINVAL);
    CHECK_ERR(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
    CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5) == 0 && syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 5));
    CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
}

static void barriers(void)
{
    long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(q & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
    CHECK_ERR(syscall(SYS_membarrier, 0x40000000, 0, 0), EINVAL);
}

TEST_MAIN(CASE(policies), CASE(affinity), CASE(nice_values), CASE(barriers))
