/* Source: strerror(3C), strsignal(3C), sys/errno.h, perror(3C). */
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>
int main(void)
{
    printf("%d %d %d %d %d %d\n", ENOSYS, ENOTSUP, EOPNOTSUPP, EWOULDBLOCK, EINPROGRESS, ENAMETOOLONG);
    printf("%d %d %d %d %d\n", ETIMEDOUT, ECONNREFUSED, EADDRINUSE, ELOOP, EDEADLK);
    printf("%s\n%s\n", strerror(ENOENT), strerror(EACCES));
    printf("%d %d %d %d %d %d\n", SIGBUS, SIGSYS, SIGUSR1, SIGCHLD, SIGCONT, SIGRTMIN);
    errno = 0;
    printf("%d", close(99));
    printf(" %d\n", errno);
    return 0;
}
