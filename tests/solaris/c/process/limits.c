/* Source: getrlimit(2): RLIM_INFINITY is -3, seven limits; getrusage(3C), nice(2), ulimit(2). */
#include <stdio.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/resource.h>
int main(void)
{
    struct rlimit r; struct rusage u; int fd;
    printf("%lx %d %d\n", (unsigned long)RLIM_INFINITY, RLIMIT_NOFILE, RLIMIT_VMEM);
    printf("%d\n", getrlimit(RLIMIT_NOFILE, &r));
    r.rlim_cur = 20;
    printf("%d\n", setrlimit(RLIMIT_NOFILE, &r));
    while ((fd = dup(1)) >= 0 && fd < 19) ;
    printf("%d", fd);
    fd = dup(1);
    printf(" %d %d\n", fd, errno == EMFILE);
    printf("%d %d\n", getrlimit(7, &r), errno == EINVAL);
    r.rlim_cur = 5, r.rlim_max = 4;
    printf("%d %d\n", setrlimit(RLIMIT_CORE, &r), errno == EINVAL);
    printf("%d %d\n", getrusage(RUSAGE_SELF, &u), u.ru_utime.tv_sec < 60);
    return 0;
}
