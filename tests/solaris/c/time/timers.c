/* Source: timer_create(3C), timer_settime(3C), setitimer(2), alarm(2). */
#include <stdio.h>
#include <signal.h>
#include <time.h>
#include <sys/time.h>
#include <unistd.h>
#include <string.h>
static volatile sig_atomic_t got, value, code;
static void on(int s, siginfo_t *si, void *u) { got = s; code = si->si_code; value = si->si_value.sival_int; }
int main(void)
{
    struct sigaction sa; struct sigevent ev; timer_t t; struct itimerspec its = { { 0, 0 }, { 0, 20000000 } };
    sigset_t none, block;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = SIGUSR1;
    ev.sigev_value.sival_int = 77;
    printf("%d\n", timer_create(CLOCK_REALTIME, &ev, &t));
    printf("%d\n", timer_settime(t, 0, &its, NULL));
    while (!got) sigsuspend(&none);
    printf("%d %d %d\n", got == SIGUSR1, code == SI_TIMER, value);
    printf("%d %d\n", timer_gettime(t, &its), its.it_value.tv_sec == 0 && its.it_value.tv_nsec == 0);
    printf("%d\n", timer_delete(t));
    got = 0;
    struct itimerval iv = { { 0, 0 }, { 0, 20000 } };
    setitimer(ITIMER_REAL, &iv, NULL);
    while (!got) sigsuspend(&none);
    printf("%d\n", got == SIGALRM);
    alarm(100);
    printf("%d\n", alarm(0) > 90);
    return 0;
}
