/* Source: select(3C), pselect(3C): sets of ready descriptors and their number; a 64-bit program has sets of 65536; EBADF, EINVAL; a mask for pselect. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t hits;
static void on(int s) { hits++; }

int main(void)
{
    int p[2], high;
    fd_set r, w;
    struct timeval zero = { 0, 0 }, bad = { 0, 2000000 };
    struct timespec brief = { 0, 20000000 };
    struct rlimit l;

    printf("set size %d\n", FD_SETSIZE);
    pipe(p);
    FD_ZERO(&r), FD_ZERO(&w);
    FD_SET(p[0], &r), FD_SET(p[1], &w);
    printf("%d", select(p[1] + 1, &r, &w, NULL, &zero));
    printf(" %d %d\n", !!FD_ISSET(p[0], &r), !!FD_ISSET(p[1], &w));
    write(p[1], "x", 1);
    FD_SET(p[0], &r);
    printf("%d", select(p[1] + 1, &r, NULL, NULL, NULL));
    printf(" %d\n", !!FD_ISSET(p[0], &r));
    getrlimit(RLIMIT_NOFILE, &l);
    high = l.rlim_cur > 2000 ? 1999 : (int)l.rlim_cur - 1;
    dup2(p[0], high);
    FD_ZERO(&r);
    FD_SET(high, &r);
    printf("%d %d\n", select(high + 1, &r, NULL, NULL, &zero), !!FD_ISSET(high, &r));
    close(high);
    errno = 0;
    printf("%d %d\n", select(high + 1, &r, NULL, NULL, &zero), errno == EBADF);
    errno = 0;
    printf("%d %d\n", select(1, NULL, NULL, NULL, &bad), errno == EINVAL);

    /* A signal that is blocked, and let in by pselect alone. */
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    signal(SIGUSR1, on);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    printf("%d %d\n", pselect(0, NULL, NULL, NULL, &brief, NULL), hits);
    errno = 0;
    int n = pselect(0, NULL, NULL, NULL, &brief, &none);
    printf("%d %d %d\n", n, errno == EINTR, hits);
    return 0;
}
