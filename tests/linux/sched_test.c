/* Scheduling calls, priorities, affinity, membarrier. */
#include "check.h"
#include <sys/wait.h>
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

struct dl_attr { unsigned size, policy; unsigned long long flags; int nice; unsigned prio; unsigned long long runtime, deadline, period; };
static int set_dl(const struct dl_attr *a) { return (int)syscall(SYS_sched_setattr, 0, a, 0); }

/* SCHED_DEADLINE: sched(7). In a child: it cannot be left by everybody. */
static void deadline_child(void)
{
    const unsigned long long ms = 1000000;
    struct dl_attr a = { .size = sizeof a, .policy = 6, .runtime = 10 * ms, .deadline = 30 * ms, .period = 30 * ms }, b = a, got = { 0 };
    if (set_dl(&a) && errno == EPERM) {
        printf("skipped: SCHED_DEADLINE: not privileged\n");
        return;
    }
    CHECK(syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) == 0);
    CHECK(got.policy == 6 && got.runtime == a.runtime && got.deadline == a.deadline && got.period == a.period);
    CHECK(sched_getscheduler(0) == 6);
    CHECK_ERR(fork(), EAGAIN);                         /* a promise is not shared out */
    b.runtime = 40 * ms;
    CHECK_ERR(set_dl(&b), EINVAL);                     /* runtime <= deadline <= period */
    b = a, b.period = 20 * ms;
    CHECK_ERR(set_dl(&b), EINVAL);
    b = a, b.runtime = 1000;
    CHECK_ERR(set_dl(&b), EINVAL);
    b = a, b.flags = 1ULL << 20;
    CHECK_ERR(set_dl(&b), EINVAL);
    b = a, b.flags = 1;                                /* SCHED_FLAG_RESET_ON_FORK */
    CHECK(set_dl(&b) == 0);
    int st;
    pid_t c = fork();
    if (!c) _exit(sched_getscheduler(0) != SCHED_OTHER);
    CHECK(c > 0 && waitpid(c, &st, 0) == c && st == 0);
    struct sched_param p = { 0 };
    CHECK_ERR(sched_setscheduler(0, 6, &p), EINVAL);
    CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0 && sched_getscheduler(0) == SCHED_OTHER);
}
static void deadlines(void)
{
    int st;
    pid_t c = fork();
    if (!c) {
        deadline_child();
        exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

TEST_MAIN(CASE(deadlines), CASE(policies), CASE(affinity), CASE(nice_values), CASE(barriers))
