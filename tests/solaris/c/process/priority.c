/* Source: getpriority(3C), setpriority(3C), nice(2): values -20..19 clamped, ESRCH for nobody, EINVAL for another kind; a child inherits it. */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    errno = 0;
    printf("%d %d\n", getpriority(PRIO_PROCESS, 0), errno);
    printf("%d %d\n", setpriority(PRIO_PROCESS, 0, 5), getpriority(PRIO_PROCESS, getpid()));
    printf("%d %d\n", setpriority(PRIO_PGRP, 0, 7), getpriority(PRIO_PGRP, getpgrp()));
    printf("%d %d\n", setpriority(PRIO_PROCESS, 0, 100), getpriority(PRIO_PROCESS, 0));
    errno = 0;
    printf("%d %d\n", setpriority(PRIO_PROCESS, 29999, 5), errno == ESRCH);
    errno = 0;
    printf("%d %d\n", getpriority(99, 0), errno == EINVAL);
    fflush(stdout);
    if (!fork()) _exit(getpriority(PRIO_PROCESS, 0));
    int st;
    wait(&st);
    printf("child %d\n", WEXITSTATUS(st));
    return 0;
}
