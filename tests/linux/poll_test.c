/* poll(2), ppoll(2), select(2), pselect(2). */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int pfd[2];
static void *later(void *a)
{
    usleep(30000);
    CHECK(write(pfd[1], "x", 1) == 1);
    return a;
}
static void on(int s) { (void)s; }

static void poll_basic(void)
{
    pthread_t t;
    char c;
    CHECK(pipe(pfd) == 0);
    struct pollfd p[4] = { { pfd[0], POLLIN, 0 }, { -1, POLLIN, 7 }, { 999, POLLIN, 0 }, { pfd[1], POLLOUT, 0 } };
    CHECK(poll(p, 4, 0) == 2 && p[0].revents == 0 && p[1].revents == 0 && p[2].revents == POLLNVAL && p[3].revents == POLLOUT);
    CHECK(poll(p, 1, 10) == 0);
    pthread_create(&t, NULL, later, NULL);
    CHECK(poll(p, 2, -1) == 1 && p[0].revents == POLLIN);
    pthread_join(t, NULL);
    CHECK(read(pfd[0], &c, 1) == 1);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    CHECK_ERR(poll(p, (nfds_t)rl.rlim_cur + 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_poll, 8L, 1, 0), EFAULT);
    CHECK(poll(NULL, 0, 1) == 0);
    int reg = open("/proc/self/exe", O_RDONLY);
    struct pollfd r = { reg, POLLIN | POLLOUT, 0 };
    CHECK(poll(&r, 1, 0) == 1 && r.revents == (POLLIN | POLLOUT));
    close(reg);
}

static void select_basic(void)
{
    fd_set r, w, x;
    struct timeval tv = { 0, 10000 };
    char c;
    FD_ZERO(&r);
    FD_SET(pfd[0], &r);
    CHECK(select(pfd[0] + 1, &r, NULL, NULL, &tv) == 0 && !FD_ISSET(pfd[0], &r) && tv.tv_sec == 0 && tv.tv_usec == 0);
    CHECK(write(pfd[1], "a", 1) == 1);
    FD_ZERO(&w);
    FD_ZERO(&x);
    FD_SET(pfd[0], &r);
    FD_SET(pfd[1], &w);
    FD_SET(pfd[0], &x);
    CHECK(select(pfd[1] + 1, &r, &w, &x, NULL) == 2 && FD_ISSET(pfd[0], &r) && FD_ISSET(pfd[1], &w) && !FD_ISSET(pfd[0], &x));
    CHECK(read(pfd[0], &c, 1) == 1);
    int d = dup(0);
    close(d);
    FD_ZERO(&r);
    FD_SET(d, &r);
    tv = (struct timeval){ 0, 0 };
    CHECK_ERR(select(d + 1, &r, NULL, NULL, &tv), EBADF);
    CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
    tv.tv_sec = -1;
    CHECK_ERR(select(0, NULL, NULL, NULL, &tv), EINVAL);
}

static void masks_and_signals(void)
{
    struct sigaction sa = { .sa_handler = on };
    sigset_t block, none;
    struct timespec ts = { 5, 0 };
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
    raise(SIGUSR1);
    CHECK_ERR(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    ualarm(20000, 0);
    CHECK_ERR(poll(NULL, 0, 5000), EINTR);
    ts = (struct timespec){ 0, 1000000000 };
    CHECK_ERR(ppoll(NULL, 0, &ts, NULL), EINVAL);
}

static void many(void)
{
    enum { N = 500 };
    static struct pollfd p[N];
    for (int i = 0; i < N; i++) {
        int d = dup(pfd[0]);
        CHECK(d >= 0);
        p[i] = (struct pollfd){ d, POLLIN, 0 };
    }
    pthread_t t;
    pthread_create(&t, NULL, later, NULL);
    CHECK(poll(p, N, 5000) >= 1);
    pthread_join(t, NULL);
    CHECK(poll(p, N, 0) == N);
    for (int i = 0; i < N; i++) close(p[i].fd);
}

static void *hang_up(void *a)
{
    usleep(30000);
    close(*(int *)a);
    return NULL;
}

/* What happens to a descriptor in a way that no set asks for does not end the wait, nor harm it. */
static void not_asked_for(void)
{
    int p[2], q[2];
    pthread_t t;
    fd_set ex, in;
    struct timeval tv = { 0, 200000 };
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    FD_ZERO(&ex);
    FD_SET(p[0], &ex);                     /* a hang-up is no exception */
    CHECK(pthread_create(&t, NULL, hang_up, &p[1]) == 0);
    CHECK(select(p[0] + 1, NULL, NULL, &ex, &tv) == 0);
    pthread_join(t, NULL);
    FD_ZERO(&ex);
    FD_ZERO(&in);
    FD_SET(p[0], &ex);
    FD_SET(q[0], &in);
    tv = (struct timeval){ 5, 0 };
    CHECK(pthread_create(&t, NULL, hang_up, &q[1]) == 0);
    CHECK(select(q[0] + 1, &in, NULL, &ex, &tv) == 1 && FD_ISSET(q[0], &in) && !FD_ISSET(p[0], &ex));
    pthread_join(t, NULL);
    close(p[0]), close(q[0]);
}

TEST_MAIN(CASE(not_asked_for), CASE(poll_basic), CASE(select_basic), CASE(masks_and_signals), CASE(many))
