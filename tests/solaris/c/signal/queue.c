/* Source: sigqueue(3C), sigtimedwait(3C), sigwait(2); queued signals come in order with their values, the lowest number first. */
#include <stdio.h>
#include <signal.h>
#include <errno.h>
#include <unistd.h>
int main(void)
{
    sigset_t m; siginfo_t si; struct timespec t = { 0, 1000000 };
    sigemptyset(&m);
    sigaddset(&m, SIGRTMIN);
    sigaddset(&m, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &m, NULL);
    for (int i = 1; i <= 3; i++) sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i });
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 9 });
    for (int i = 0; i < 4; i++) {
        int s = sigwaitinfo(&m, &si);
        printf("%d %d %d\n", s - SIGRTMIN, si.si_code == SI_QUEUE, si.si_value.sival_int);
    }
    printf("%d %d\n", sigtimedwait(&m, &si, &t), errno == EAGAIN);
    printf("%d %d\n", SIGRTMIN, SIGRTMAX);
    return 0;
}
