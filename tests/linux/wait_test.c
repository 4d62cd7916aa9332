/* wait4(2), waitid(2), exit statuses. */
#include "check.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child(int code)
{
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) _exit(code);
    return k;
}

static void exits(void)
{
    int st;
    siginfo_t i;
    pid_t k = child(42);
    CHECK(waitid(P_PID, (id_t)k, &i, WEXITED | WNOWAIT) == 0);
    CHECK(i.si_signo == SIGCHLD && i.si_code == CLD_EXITED && i.si_pid == k && i.si_status == 42 && i.si_uid == getuid());
    CHECK(waitpid(k, &st, 0) == k && WIFEXITED(st) && WEXITSTATUS(st) == 42);
    CHECK_ERR(waitpid(k, &st, 0), ECHILD);
    CHECK_ERR(waitpid(-1, &st, 0), ECHILD);
    CHECK_ERR(wait4(-1, &st, 0x100, NULL), EINVAL);
    CHECK_ERR(waitid(P_PID, (id_t)k, &i, 0), EINVAL);
    CHECK_ERR(waitid(99, 0, &i, WEXITED), EINVAL);
}

static void nohang_and_signals(void)
{
    int st;
    siginfo_t i;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k)
        for (;;) pause();
    CHECK(waitpid(k, &st, WNOHANG) == 0);
    memset(&i, 1, sizeof(i));
    CHECK(waitid(P_PID, (id_t)k, &i, WEXITED | WNOHANG) == 0 && i.si_signo == 0 && i.si_pid == 0);
    CHECK(kill(k, SIGSTOP) == 0);
    CHECK(waitpid(k, &st, WUNTRACED) == k && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
    CHECK(kill(k, SIGCONT) == 0);
    CHECK(waitpid(k, &st, WCONTINUED) == k && WIFCONTINUED(st));
    CHECK(kill(k, SIGTERM) == 0);
    CHECK(waitid(P_ALL, 0, &i, WEXITED) == 0 && i.si_code == CLD_KILLED && i.si_status == SIGTERM && i.si_pid == k);
}

/* Who asks for stops alone hears ECHILD once no child is left that could stop, also while waiting. */
static void stops_of_the_dead(void)
{
    siginfo_t i;
    pid_t k = child(3), late;
    CHECK(waitid(P_PID, (id_t)k, &i, WEXITED | WNOWAIT) == 0);
    CHECK_ERR(waitid(P_PID, (id_t)k, &i, WSTOPPED), ECHILD);
    CHECK_ERR(waitid(P_ALL, 0, &i, WSTOPPED | WCONTINUED | WNOHANG), ECHILD);
    late = fork();
    CHECK(late >= 0);
    if (!late) {
        usleep(50000);
        _exit(4);
    }
    i.si_pid = -1;
    CHECK(waitid(P_ALL, 0, &i, WSTOPPED | WNOHANG) == 0 && i.si_pid == 0);
    CHECK_ERR(waitid(P_ALL, 0, &i, WSTOPPED), ECHILD);
    CHECK(waitid(P_PID, (id_t)k, &i, WEXITED) == 0 && i.si_status == 3);
    CHECK(waitid(P_PID, (id_t)late, &i, WEXITED) == 0 && i.si_status == 4);
}

static void ignored_children(void)
{
    signal(SIGCHLD, SIG_IGN);
    child(1);
    CHECK_ERR(wait(NULL), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

TEST_MAIN(CASE(exits), CASE(nohang_and_signals), CASE(stops_of_the_dead), CASE(ignored_children))
