/* Process groups and sessions. */
#include "check.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void groups(void)
{
    int st, p[2];
    char c;
    CHECK(pipe(p) == 0);
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        close(p[1]);
        if (read(p[0], &c, 1) < 0) _exit(9);
        if (getpgrp() != getpid()) _exit(1);
        if (setsid() != -1 || errno != EPERM) _exit(2);
        pause();
        _exit(3);
    }
    CHECK(setpgid(k, k) == 0 && getpgid(k) == k && getsid(k) == getsid(0));
    CHECK_ERR(setpgid(k, -1), EINVAL);
    CHECK_ERR(setpgid(0x3ffffff, 0), ESRCH);
    CHECK_ERR(setpgid(k, 0x3ffffff), EPERM);
    CHECK_ERR(getpgid(0x3ffffff), ESRCH);
    close(p[1]);
    usleep(20000);
    CHECK(kill(-k, SIGTERM) == 0);
    CHECK(waitpid(-k, &st, 0) == k && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
    CHECK_ERR(kill(-k, 0), ESRCH);
}

static void sessions(void)
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        pid_t s = setsid();
        _exit(s == getpid() && getsid(0) == s && getpgrp() == s && setpgid(0, 0) == -1 && errno == EPERM ? 0 : 1);
    }
    CHECK(waitpid(k, &st, 0) == k && st == 0);
}

TEST_MAIN(CASE(groups), CASE(sessions))
