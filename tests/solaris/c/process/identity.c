/* Source: getpid(2), setpgid(2), setsid(2), getgroups(2), uname(2), sysinfo(2), sysconf(3C), getpagesize(3C). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/utsname.h>
#include <sys/systeminfo.h>
#include <sys/wait.h>
int main(void)
{
    struct utsname u; char b[64]; int s;
    printf("%d\n", uname(&u) >= 0);
    printf("%s %s %s\n", u.sysname, u.release, u.machine);
    printf("%ld %s\n", (long)sysinfo(SI_ARCHITECTURE, b, sizeof b), b);
    sysinfo(SI_SYSNAME, b, sizeof b);
    puts(b);
    printf("%ld %ld %d\n", sysconf(_SC_PAGESIZE), sysconf(_SC_CLK_TCK), sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    errno = 0;
    printf("%ld %d\n", sysconf(99999), errno == EINVAL);
    fflush(stdout);
    if (fork() == 0) {
        printf("%d", setsid() == getpid());
        printf(" %d %d\n", getpgrp() == getpid(), getsid(0) == getpid());
        printf("%d %d\n", (int)setsid(), errno == EPERM);
        fflush(stdout);
        _exit(0);
    }
    wait(&s);
    printf("%d\n", getppid() > 0 && getuid() == geteuid() && getgroups(0, NULL) >= 0);
    return 0;
}
