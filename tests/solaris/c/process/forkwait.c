/* Source: fork(2), waitid(2), wait(3C), wait.h(3HEAD): numbers of sys/wait.h. */
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <errno.h>
#include <unistd.h>
#include <sys/wait.h>
int main(void)
{
    int s; siginfo_t si; pid_t p;
    printf("%d %d %d %d\n", WNOHANG, WUNTRACED, WCONTINUED, WNOWAIT);
    fflush(stdout);
    if ((p = fork()) == 0) _exit(9);
    printf("%d", waitpid(p, &s, 0) == p);
    printf(" %d %d\n", WIFEXITED(s), WEXITSTATUS(s));
    fflush(stdout);
    if ((p = fork()) == 0) for (;;) pause();
    printf("%d\n", waitpid(p, &s, WNOHANG));
    kill(p, SIGUSR2);
    waitid(P_PID, p, &si, WEXITED | WNOWAIT);
    printf("%d %d %d %d\n", si.si_signo == SIGCHLD, si.si_code == CLD_KILLED, si.si_pid == p, si.si_status == SIGUSR2);
    waitpid(-1, &s, 0);
    printf("%d %d\n", WIFSIGNALED(s), WTERMSIG(s));
    fflush(stdout);
    if ((p = fork()) == 0) { raise(SIGSTOP); _exit(4); }
    waitpid(p, &s, WUNTRACED);
    printf("%d %d\n", WIFSTOPPED(s), WSTOPSIG(s) == SIGSTOP);
    kill(p, SIGCONT);
    waitpid(p, &s, WCONTINUED);
    printf("%d\n", WIFCONTINUED(s));
    waitpid(p, &s, 0);
    printf("%d\n", WEXITSTATUS(s));
    printf("%d %d\n", wait(&s), errno == ECHILD);
    return 0;
}
