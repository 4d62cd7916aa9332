/* signalfd(2). */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void takes_signals(void)
{
    sigset_t m;
    struct signalfd_siginfo s[2];
    sigemptyset(&m);
    sigaddset(&m, SIGUSR1);
    sigaddset(&m, SIGRTMIN);
    sigaddset(&m, SIGCHLD);
    sigprocmask(SIG_BLOCK, &m, NULL);
    int f = signalfd(-1, &m, SFD_NONBLOCK);
    CHECK(f >= 0);
    CHECK_ERR(read(f, s, sizeof s), EAGAIN);
    CHECK_ERR(read(f, s, 100), EINVAL);
    raise(SIGUSR1);
    union sigval v = { .sival_int = 42 };
    CHECK(sigqueue(getpid(), SIGRTMIN, v) == 0);
    struct pollfd p = { f, POLLIN, 0 };
    CHECK(poll(&p, 1, 0) == 1);
    CHECK(read(f, s, sizeof s) == (ssize_t)sizeof s);
    CHECK(s[0].ssi_signo == SIGUSR1 && s[0].ssi_pid == (uint32_t)getpid());
    CHECK(s[1].ssi_signo == (uint32_t)SIGRTMIN && s[1].ssi_int == 42 && s[1].ssi_code == SI_QUEUE);
    pid_t c = fork();
    if (!c) _exit(3);
    CHECK(poll(&p, 1, 5000) == 1);
    CHECK(read(f, s, sizeof s) == (ssize_t)sizeof s[0]);
    CHECK(s[0].ssi_signo == SIGCHLD && s[0].ssi_pid == (uint32_t)c && s[0].ssi_status == 3 && s[0].ssi_code == CLD_EXITED);
    CHECK(waitpid(c, NULL, 0) == c);
    sigemptyset(&m);
    CHECK(signalfd(f, &m, 0) == f);
    raise(SIGUSR1);
    CHECK_ERR(read(f, s, sizeof s), EAGAIN);
    close(f);
}

static void errors(void)
{
    sigset_t m;
    int p[2];
    sigemptyset(&m);
    CHECK(pipe(p) == 0);
    CHECK_ERR(signalfd(p[0], &m, 0), EINVAL);
    CHECK_ERR(signalfd(999, &m, 0), EBADF);
    CHECK_ERR(signalfd(-1, &m, 0x4000), EINVAL);
}

TEST_MAIN(CASE(takes_signals), CASE(errors))
