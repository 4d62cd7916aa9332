/* Process groups and sessions; vhangup(2). */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
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

static volatile sig_atomic_t hups;
static void on_hup(int sig) { hups += sig == SIGHUP; }

static void hang_up_own(void)
{
    char c, *name;
    int m = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(m >= 0 && grantpt(m) == 0 && unlockpt(m) == 0 && (name = ptsname(m)) && setsid() == getpid());
    CHECK(syscall(SYS_vhangup) == 0);                   /* there is none yet */
    signal(SIGHUP, on_hup);
    int s = open(name, O_RDWR), t;
    CHECK(s >= 0 && (t = open("/dev/tty", O_RDWR)) >= 0 && close(t) == 0);
    CHECK(syscall(SYS_vhangup) == 0 && hups == 1);
    CHECK(read(s, &c, 1) == 0);
    CHECK_ERR(write(s, "x", 1), EIO);
    CHECK_ERR(tcgetpgrp(s), EIO);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK(setuid(65534) == 0);
    CHECK_ERR(syscall(SYS_vhangup), EPERM);
    _exit(0);
}

static void hang_up(void)
{
    int st;
    if (geteuid()) {
        CHECK_ERR(syscall(SYS_vhangup), EPERM);
        return;
    }
    pid_t k = fork();
    if (!k) hang_up_own();
    CHECK(waitpid(k, &st, 0) == k && st == 0);
}

TEST_MAIN(CASE(hang_up), CASE(groups), CASE(sessions))
