/* nanosleep, clock_nanosleep, setitimer, alarm, POSIX timers, clocks. */
#include "check.h"
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t hits;
static volatile int last_value, last_code;
static void on(int s, siginfo_t *i, void *u)
{
    (void)s;
    (void)u;
    hits++;
    last_value = i->si_value.sival_int;
    last_code = i->si_code;
}
static void catch(int sig, int flags)
{
    struct sigaction sa = { .sa_sigaction = on, .sa_flags = SA_SIGINFO | flags };
    sigaction(sig, &sa, NULL);
    hits = 0;
}
static int64_t now(clockid_t c)
{
    struct timespec t;
    CHECK(clock_gettime(c, &t) == 0);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleeping(void)
{
    struct timespec t = { 0, 20000000 }, bad = { 0, -1 }, rem;
    int64_t a = now(CLOCK_MONOTONIC);
    CHECK(nanosleep(&t, NULL) == 0);
    CHECK(now(CLOCK_MONOTONIC) - a >= 20000000);
    CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL) == EINVAL);
    CHECK(clock_nanosleep(77, 0, &t, NULL) == EINVAL);
    clock_gettime(CLOCK_REALTIME, &t);
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == 0);
    catch(SIGALRM, SA_RESTART);
    ualarm(20000, 0);
    t = (struct timespec){ 5, 0 };
    CHECK_ERR(nanosleep(&t, &rem), EINTR);
    CHECK(rem.tv_sec == 4 && hits == 1);
}

static void itimers(void)
{
    struct itimerval it = { { 0, 10000 }, { 0, 10000 } }, old;
    catch(SIGALRM, 0);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    while (hits < 3) pause();
    CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 10000);
    it = (struct itimerval){ { 0, 0 }, { 0, 0 } };
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK(alarm(10) == 0);
    CHECK(alarm(0) == 10);
    it.it_value.tv_usec = 1000000;
    CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    CHECK_ERR(getitimer(9, &old), EINVAL);
    catch(SIGVTALRM, 0);
    it = (struct itimerval){ { 0, 0 }, { 0, 20000 } };
    CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
    int64_t end = now(CLOCK_MONOTONIC) + 5000000000LL;
    while (!hits && now(CLOCK_MONOTONIC) < end)
        for (volatile int i = 0; i < 100000; i++) continue;
    CHECK(hits == 1);
}

static void posix_timers(void)
{
    timer_t t;
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77 };
    struct itimerspec it = { { 0, 5000000 }, { 0, 5000000 } }, cur;
    sigset_t m;
    catch(SIGRTMIN, 0);
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &it, NULL) == 0);
    while (hits < 3) pause();
    CHECK(last_value == 77 && last_code == SI_TIMER);
    sigemptyset(&m);
    sigaddset(&m, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &m, NULL);
    usleep(60000);
    hits = 0;
    sigprocmask(SIG_UNBLOCK, &m, NULL);
    CHECK(hits >= 1);
    int over = timer_getoverrun(t);
    CHECK(over >= 8 && over < 100);
    CHECK(timer_gettime(t, &cur) == 0 && cur.it_interval.tv_nsec == 5000000 && cur.it_value.tv_nsec > 0);
    CHECK(timer_delete(t) == 0);
    long id = 12345;
    CHECK_ERR(syscall(SYS_timer_delete, id), EINVAL);
    CHECK_ERR(syscall(SYS_timer_gettime, id, &cur), EINVAL);
    ev.sigev_signo = 99;
    CHECK_ERR(timer_create(CLOCK_MONOTONIC, &ev, &t), EINVAL);
    ev = (struct sigevent){ .sigev_notify = SIGEV_NONE };
    CHECK_ERR(timer_create(88, &ev, &t), EINVAL);
    CHECK(timer_create(CLOCK_REALTIME, &ev, &t) == 0);
    it = (struct itimerspec){ { 0, 0 }, { 100, 0 } };
    CHECK(timer_settime(t, 0, &it, NULL) == 0);
    CHECK(timer_gettime(t, &cur) == 0 && cur.it_value.tv_sec >= 99);
    CHECK(timer_delete(t) == 0);
}

static void cpu_clock_timer(void)
{
    timer_t t;
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
    struct itimerspec it = { { 0, 0 }, { 0, 30000000 } };
    catch(SIGUSR2, 0);
    CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &it, NULL) == 0);
    int64_t end = now(CLOCK_MONOTONIC) + 5000000000LL;
    while (!hits && now(CLOCK_MONOTONIC) < end)
        for (volatile int i = 0; i < 100000; i++) continue;
    CHECK(hits == 1);
    CHECK(timer_delete(t) == 0);
}

static void clocks(void)
{
    struct timespec r;
    static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                                     CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID,
                                     CLOCK_THREAD_CPUTIME_ID };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        int64_t a = now(ids[i]);
        CHECK(now(ids[i]) >= a);
        CHECK(clock_getres(ids[i], &r) == 0 && r.tv_sec == 0 && r.tv_nsec > 0);
    }
    clockid_t c;
    CHECK(clock_getcpuclockid(0, &c) == 0 && now(c) > 0);
    CHECK_ERR(clock_gettime(99, &r), EINVAL);
    int64_t a = now(CLOCK_PROCESS_CPUTIME_ID);
    usleep(50000);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - a < 40000000);
}

TEST_MAIN(CASE(sleeping), CASE(itimers), CASE(posix_timers), CASE(cpu_clock_timer), CASE(clocks))
