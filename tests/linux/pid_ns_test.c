/* Pid namespaces: numbers in each, process 1 and its end, /proc. pid_namespaces(7) */
#include "tmpdir.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void become_root(int flags)
{
    char text[64];
    uid_t uid = geteuid();
    CHECK(unshare(CLONE_NEWUSER | flags) == 0);
    put("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", uid);
    put("/proc/self/uid_map", text);
}

/* Forks the first process of a new namespace; its number here. */
static pid_t fork_init(void)
{
    CHECK(unshare(CLONE_NEWPID) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    return pid;
}

static int end_of(pid_t pid)
{
    int st;
    CHECK(waitpid(pid, &st, 0) == pid);
    return st;
}

static void numbers(void)
{
    become_root(0);
    pid_t before = getpid(), pid = fork_init();
    if (pid == 0) {
        CHECK(getpid() == 1 && getppid() == 0 && syscall(SYS_gettid) == 1);
        CHECK(getpgid(0) == 0 && getsid(0) == 0);          /* those are seen from outside only */
        pid_t kid = fork();
        CHECK(kid >= 0);
        if (kid == 0) {
            CHECK(getpid() == 2 && getppid() == 1);
            CHECK(setsid() == 2 && getpgrp() == 2 && getsid(0) == 2);
            _exit(7);
        }
        CHECK(kid == 2);
        siginfo_t si;
        CHECK(waitid(P_PID, 2, &si, WEXITED | WNOWAIT) == 0 && si.si_pid == 2 && si.si_status == 7);
        CHECK(WEXITSTATUS(end_of(2)) == 7);
        CHECK_ERR(kill(before, 0), ESRCH);
        _exit(0);
    }
    CHECK(pid > 2 && getpid() == before);
    CHECK(end_of(pid) == 0);
    /* Its process 1 has ended: nobody can be born there. */
    CHECK_ERR(fork(), ENOMEM);
}
static void case_numbers(void) { in_child(numbers, 0); }

static volatile sig_atomic_t got, from;
static void note(int s, siginfo_t *si, void *u)
{
    (void)u;
    got = s;
    from = si->si_pid;
}

static void protection(void)
{
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    become_root(0);
    pid_t pid = fork_init();
    if (pid == 0) {
        struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART };
        /* Signals from inside that process 1 has no handler for are dropped, also SIGKILL. */
        pid_t kid = fork();
        CHECK(kid >= 0);
        if (kid == 0) _exit(kill(1, SIGKILL) == 0 && kill(1, SIGTERM) == 0 && kill(-1, SIGTERM) == -1 && errno == ESRCH ? 0 : 1);
        CHECK(end_of(kid) == 0);
        CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
        kid = fork();
        CHECK(kid >= 0);
        if (kid == 0) _exit(kill(1, SIGUSR1));
        CHECK(end_of(kid) == 0 && got == SIGUSR1 && from == kid);
        got = 0;
        CHECK(write(p[1], "x", 1) == 1);
        while (!got) usleep(1000);
        CHECK(from == 0);                                   /* the sender is not seen here */
        CHECK(write(p[1], "x", 1) == 1);
        for (;;) pause();
    }
    close(p[1]);
    CHECK(read(p[0], &c, 1) == 1 && kill(pid, SIGUSR1) == 0);
    CHECK(read(p[0], &c, 1) == 1);
    CHECK(kill(pid, SIGTERM) == 0);                         /* from above too, without a handler */
    CHECK(kill(pid, SIGKILL) == 0);
    int st = end_of(pid);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
}
static void case_protection(void) { in_child(protection, 0); }

/* All go with process 1: each holds the pipe open until then. */
static void end(void)
{
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    become_root(0);
    pid_t pid = fork_init();
    if (pid == 0) {
        for (int i = 0; i < 3; i++) {
            pid_t kid = fork();
            CHECK(kid >= 0);
            if (kid == 0) {
                if (i == 0 && unshare(CLONE_NEWPID) == 0 && fork() > 0) pause();
                if (i == 1) setsid();
                for (;;) pause();
            }
        }
        usleep(50000);
        _exit(9);
    }
    close(p[1]);
    CHECK(WEXITSTATUS(end_of(pid)) == 9);
    CHECK(read(p[0], &c, 1) == 0);
}
static void case_end_of_init(void) { in_child(end, 0); }

static void orphans(void)
{
    become_root(0);
    pid_t pid = fork_init();
    if (pid == 0) {
        int p[2];
        char c;
        CHECK(pipe(p) == 0);
        pid_t kid = fork();
        CHECK(kid >= 0);
        if (kid == 0) {
            if (fork() == 0) {
                CHECK(read(p[0], &c, 1) == 1);
                _exit(getppid() == 1 ? 5 : 6);
            }
            _exit(0);
        }
        CHECK(end_of(kid) == 0);
        CHECK(write(p[1], "x", 1) == 1);
        int st;
        CHECK(wait(&st) == 3 && WEXITSTATUS(st) == 5);
        _exit(0);
    }
    CHECK(end_of(pid) == 0);
}
static void case_orphans(void) { in_child(orphans, 0); }

static void proc(void)
{
    become_root(CLONE_NEWNS);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    pid_t pid = fork_init();
    if (pid == 0) {
        char link[32] = "";
        CHECK(mkdir("p", 0755) == 0);
        if (mount("proc", "p", "proc", 0, NULL) < 0) {
            CHECK(errno == EPERM);                          /* natively in a container that hides parts of /proc */
            _exit(0);
        }
        CHECK(readlink("p/self", link, sizeof link - 1) == 1 && !strcmp(link, "1"));
        CHECK(access("p/1/status", R_OK) == 0 && access("p/2", F_OK) < 0);
        const char *ns = strstr(get_file("p/self/status"), "NSpid:\t1\n");
        CHECK(ns != NULL);
        CHECK(!strncmp(get_file("p/self/stat"), "1 (", 3));
        _exit(0);
    }
    CHECK(end_of(pid) == 0);
    /* Seen from here it has two numbers. */
    rmdir("p");
}
static void case_proc(void) { in_child(proc, 0); }

static void credentials(void)
{
    int s[2], p[2];
    char c, buf[CMSG_SPACE(sizeof(struct ucred))];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    int on = 1;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    become_root(0);
    pid_t pid = fork_init();
    if (pid == 0) {
        CHECK(write(s[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
        _exit(0);
    }
    struct iovec v = { &c, 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof buf };
    CHECK(recvmsg(s[0], &m, 0) == 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_type == SCM_CREDENTIALS);
    struct ucred u;
    memcpy(&u, CMSG_DATA(h), sizeof u);
    CHECK(u.pid == pid);
    CHECK(write(p[1], "x", 1) == 1 && end_of(pid) == 0);
}
static void case_credentials(void) { in_child(credentials, 0); }

static void enter(void)
{
    char path[64];
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    become_root(0);
    pid_t pid = fork_init();
    if (pid == 0) {
        CHECK(read(p[0], &c, 1) == 1);
        _exit(0);
    }
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(setns(fd, CLONE_NEWPID) == 0);
    pid_t kid = fork();
    CHECK(kid >= 0);
    if (kid == 0) _exit(getpid() == 2 && getppid() == 0 ? 4 : 1);
    CHECK(WEXITSTATUS(end_of(kid)) == 4);
    CHECK(write(p[1], "x", 1) == 1 && end_of(pid) == 0);
}
static void case_setns(void) { in_child(enter, 0); }

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(case_numbers), CASE(case_protection), CASE(case_end_of_init), CASE(case_orphans),
        CASE(case_proc), CASE(case_credentials), CASE(case_setns) };
    pid_t pid = fork();
    if (pid == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? 0 : errno);
    int st;
    CHECK(waitpid(pid, &st, 0) == pid);
    if (st) {
        printf("skipped: this host does not let the caller make pid namespaces (%s)\n", strerror(WEXITSTATUS(st)));
        return 77;
    }
    tmpdir_enter();
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
