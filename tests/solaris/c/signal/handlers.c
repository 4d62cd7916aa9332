/* Source: sigaction(2), siginfo.h(3HEAD), sigprocmask(2), sigpending(2), sigsuspend(2). */
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <errno.h>
static volatile sig_atomic_t n, last, code, pid, nested;
static void on(int s, siginfo_t *si, void *u) { n++; last = s; code = si->si_code; pid = si->si_pid; }
static void deep(int s) { nested++; if (nested == 1) { raise(SIGUSR1); n = nested; } }
int main(void)
{
    struct sigaction sa; sigset_t m, old, p;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &sa, NULL);
    kill(getpid(), SIGUSR1);
    printf("%d %d %d %d\n", n, last == SIGUSR1, code == SI_USER, pid == getpid());
    sigemptyset(&m);
    sigaddset(&m, SIGUSR1);
    sigprocmask(SIG_BLOCK, &m, &old);
    kill(getpid(), SIGUSR1);
    sigpending(&p);
    printf("%d %d\n", n, sigismember(&p, SIGUSR1));
    sigsuspend(&old);
    printf("%d %d\n", n, errno == EINTR);
    sigprocmask(SIG_SETMASK, &old, NULL);
    sa.sa_handler = deep;
    sa.sa_flags = 0;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    printf("%d %d\n", n, nested);            /* blocked while it runs: once inside, then again */
    nested = 0;
    sa.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    printf("%d\n", n);
    sa.sa_flags = SA_RESETHAND;
    sigaction(SIGUSR2, &sa, NULL);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &sa);
    printf("%d\n", sa.sa_handler == SIG_DFL);
    printf("%d %d\n", sigaction(SIGKILL, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL), errno == EINVAL);
    printf("%d %d\n", signal(SIGHUP, SIG_IGN) == SIG_DFL, signal(SIGHUP, SIG_DFL) == SIG_IGN);
    return 0;
}
