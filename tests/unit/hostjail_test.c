/* What the jail takes away is gone: an undeclared call kills, capabilities and paths are lost; a crash is reported. */
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/hostjail/hostjail.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

HOSTCALL(capget, "the test looks at its capabilities");
HOSTCALL(openat, "the test looks for files");
HOSTCALL(getrlimit, "the test looks at limits");
HOSTCALL(prlimit64, "the test looks at limits");
HOSTCALL_ARG(fcntl, "only F_GETFD", 1, F_GETFD);

static bool privileged;            /* the empty root needs privilege */
static const struct hostjail_opts opts = { .name = "jailtest", .keep_caps = 0, .empty_root = true };

/* Runs fn in a jailed child; wait status. Its stderr goes to out. */
static int jailed(int (*fn)(void), bool trap, char *out, size_t size)
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 2);
        close(p[0]);
        struct hostjail_opts o = opts;
        o.trap = trap;
        signal(SIGSEGV, SIG_DFL); /* cmocka's own */
        signal(SIGABRT, SIG_DFL);
        signal(SIGSYS, SIG_DFL);
        if (hostjail_enter(&o) || hostjail_load_filter(&o)) _exit(99);
        _exit(fn());
    }
    close(p[1]);
    size_t n = 0;
    ssize_t r;
    while ((r = read(p[0], out + n, size - 1 - n)) > 0) n += (size_t)r;
    out[n] = 0;
    close(p[0]);
    int status;
    waitpid(pid, &status, 0);
    return status;
}

static int do_socket(void) { return syscall(SYS_socket, 1, 1, 0) < 0 ? 1 : 0; }
static int do_fork(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? 1 : 0; }
static int do_bad_fcntl(void) { return fcntl(0, F_SETFD, 0) < 0; }
static int do_exec(void) { return execl("/bin/true", "true", NULL) < 0; }

static void undeclared_calls_kill(void **state UNUSED)
{
    int (*const fns[])(void) = { do_socket, do_fork, do_bad_fcntl, do_exec };
    char out[4096];
    for (unsigned i = 0; i < ARRAY_LEN(fns); i++) {
        int st = jailed(fns[i], false, out, sizeof out);
        assert_true(WIFSIGNALED(st));
        assert_int_equal(WTERMSIG(st), SIGSYS);
    }
}

static void *thread(void *arg) { return arg; }

static int do_allowed(void)
{
    pthread_t t;
    void *r = NULL;
    struct rlimit rl;
    if (fcntl(0, F_GETFD) < 0 && errno != EBADF) return 1;
    if (pthread_create(&t, NULL, thread, &rl) || pthread_join(t, &r) || r != &rl) return 2;
    free(malloc(10 << 20));
    if (open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/status", O_RDONLY) >= 0 || open("/tmp", O_RDONLY) >= 0) return privileged ? 3 : 0;
    getrlimit(RLIMIT_CORE, &rl);
    if (rl.rlim_cur) return 4;
    getrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur != rl.rlim_max) return 5;
    struct { u32 version; int pid; } h = { 0x20080522, 0 };
    struct { u32 e, p, i; } d[2];
    if (syscall(SYS_capget, &h, d)) return 6;
    return d[0].e | d[0].p | d[0].i | d[1].e | d[1].p | d[1].i ? 7 : 0;
}

static void declared_calls_work_and_nothing_else_is_left(void **state UNUSED)
{
    char out[4096];
    int st = jailed(do_allowed, false, out, sizeof out);
    assert_true(WIFEXITED(st));
    assert_int_equal(WEXITSTATUS(st), 0);
}

/* Without privilege: as nobody, with one tree left. */
static int tree_fd;
static int do_unprivileged(void)
{
    if (open("/etc/passwd", O_RDONLY) >= 0) return 1;
    if (openat(tree_fd, "inside", O_RDONLY) < 0) return 2;
    if (openat(tree_fd, "inside", O_WRONLY) >= 0) return 3;
    return 0;
}

static void paths_are_closed_without_privilege(void **state UNUSED)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0) skip();
    char dir[] = "/tmp/hostjail-test-XXXXXX", file[64];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(file, sizeof file, "%s/inside", dir);
    close(open(file, O_CREAT | O_WRONLY, 0666));
    chmod(file, 0666);
    tree_fd = open(dir, O_PATH);
    pid_t pid = fork();
    if (pid == 0) {
        struct hostjail_tree t = { tree_fd, false };
        struct hostjail_opts o = opts;
        o.trees = &t;
        o.ntrees = 1;
        if (privileged && (setgid(65534) || setuid(65534))) _exit(98);
        if (hostjail_enter(&o) || hostjail_load_filter(&o)) _exit(99);
        _exit(do_unprivileged());
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(dir), 0);
    close(tree_fd);
    assert_int_equal(status, 0);
}

static const char *note(void) { return "openat(AT_FDCWD, \"x\")"; }

__attribute__((noinline)) static int crash_here(void)
{
    static volatile uintptr_t bad = 8;
    return *(volatile int *)bad;
}
static int do_crash(void)
{
    hostjail_crash_note = note;
    return crash_here() + 1;
}

static void a_crash_is_reported(void **state UNUSED)
{
    char out[8192];
    int st = jailed(do_crash, false, out, sizeof out);
    assert_true(WIFSIGNALED(st));
    assert_int_equal(WTERMSIG(st), SIGSEGV);
    assert_non_null(strstr(out, "jailtest: crashed: Segmentation fault"));
    assert_non_null(strstr(out, "while serving openat"));
    assert_non_null(strstr(out, "#0 crash_here+"));
    assert_non_null(strstr(out, " do_crash+"));
    st = jailed(do_socket, true, out, sizeof out);
    assert_true(WIFSIGNALED(st));
    assert_non_null(strstr(out, "host system call 41 is not declared"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undeclared_calls_kill), cmocka_unit_test(declared_calls_work_and_nothing_else_is_left),
        cmocka_unit_test(paths_are_closed_without_privilege), cmocka_unit_test(a_crash_is_reported),
    };
    privileged = geteuid() == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
