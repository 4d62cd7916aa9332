/* ptrace(2) of one process by another. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long word = 0x1122334455667788;

static int wait_for(pid_t p)
{
    int st;
    CHECK(waitpid(p, &st, __WALL) == p);
    return st;
}
static int stopped_by(int st, int sig) { return WIFSTOPPED(st) && WSTOPSIG(st) == sig; }
static int event_of(int st) { return st >> 16; }

/* A traced child that has stopped itself. */
static pid_t child_traced(void)
{
    pid_t p = fork();
    if (!p) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        return 0;
    }
    CHECK(stopped_by(wait_for(p), SIGSTOP));
    return p;
}

static void memory_and_registers(void)
{
    pid_t p = child_traced();
    if (!p) _exit(word == 42 ? 7 : 1);
    struct user_regs_struct r, r2;
    CHECK(ptrace(PTRACE_PEEKDATA, p, &word, 0) == 0x1122334455667788);
    CHECK(ptrace(PTRACE_POKEDATA, p, &word, 42L) == 0);
    CHECK(word == 0x1122334455667788);
    CHECK_ERR(ptrace(PTRACE_PEEKDATA, p, 8, 0), EIO);
    CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0 && r.rip && r.rsp);
    struct iovec v = { &r2, sizeof r2 };
    CHECK(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &v) == 0 && v.iov_len == sizeof r2 && !memcmp(&r, &r2, sizeof r));
    errno = 0;
    CHECK((unsigned long)ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rip), 0) == r.rip && !errno);
    struct user_fpregs_struct fp;
    CHECK(ptrace(PTRACE_GETFPREGS, p, 0, &fp) == 0 && fp.mxcsr == 0x1f80);
    CHECK(ptrace(PTRACE_SETFPREGS, p, 0, &fp) == 0);
    CHECK(ptrace(PTRACE_SETREGS, p, 0, &r) == 0);
    siginfo_t si;
    CHECK(ptrace(PTRACE_GETSIGINFO, p, 0, &si) == 0 && si.si_signo == SIGSTOP);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    int st = wait_for(p);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 0), ESRCH);
}

static void syscalls(void)
{
    pid_t p = child_traced();
    if (!p) {
        long r = syscall(SYS_getppid);
        _exit(r == 1234 ? 0 : 1);
    }
    CHECK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    for (;;) {
        struct user_regs_struct r;
        CHECK(ptrace(PTRACE_SYSCALL, p, 0, 0) == 0);
        CHECK(stopped_by(wait_for(p), SIGTRAP | 0x80));
        CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0);
        CHECK((long)r.rax == -ENOSYS);
        int ours = r.orig_rax == SYS_getppid;
        if (r.orig_rax == SYS_exit_group) break;
        CHECK(ptrace(PTRACE_SYSCALL, p, 0, 0) == 0);
        CHECK(stopped_by(wait_for(p), SIGTRAP | 0x80));
        CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0);
        if (!ours) continue;
        CHECK((long)r.rax == getpid());
        r.rax = 1234;
        CHECK(ptrace(PTRACE_SETREGS, p, 0, &r) == 0);
    }
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(wait_for(p) == 0);
}

static volatile int handled;
static void on_usr1(int s) { handled = s; }

static void signals(void)
{
    pid_t p = child_traced();
    if (!p) {
        signal(SIGUSR1, on_usr1);
        kill(getpid(), SIGUSR1);     /* suppressed */
        if (handled) _exit(1);
        kill(getpid(), SIGUSR2);     /* turned into SIGUSR1 */
        _exit(handled == SIGUSR1 ? 0 : 2);
    }
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGUSR1));
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGUSR2));
    CHECK(ptrace(PTRACE_CONT, p, 0, SIGUSR1) == 0);
    CHECK(wait_for(p) == 0);
    /* SIGKILL goes past the tracer. */
    p = child_traced();
    if (!p) _exit(0);
    CHECK(kill(p, SIGKILL) == 0);
    CHECK(wait_for(p) == SIGKILL);
}

static void stepping(void)
{
    pid_t p = child_traced();
    if (!p) _exit(3);
    unsigned long last = 0;
    int moved = 0;
    for (int i = 0; i < 20; i++) {
        struct user_regs_struct r;
        CHECK(ptrace(PTRACE_SINGLESTEP, p, 0, 0) == 0);
        CHECK(stopped_by(wait_for(p), SIGTRAP));
        CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0);
        moved += r.rip != last;
        last = r.rip;
    }
    CHECK(moved >= 18);
    CHECK(ptrace(PTRACE_DETACH, p, 0, 0) == 0);
    int st = wait_for(p);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 3);
}

static void events(void)
{
    pid_t p = child_traced();
    unsigned long msg;
    int st;
    if (!p) {
        pid_t c = fork();
        if (!c) _exit(5);
        CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 5);
        execl("/bin/true", "true", NULL);
        _exit(99);
    }
    CHECK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT) == 0);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    st = wait_for(p);
    CHECK(stopped_by(st, SIGTRAP) && event_of(st) == PTRACE_EVENT_FORK);
    CHECK(ptrace(PTRACE_GETEVENTMSG, p, 0, &msg) == 0);
    pid_t c = (pid_t)msg;
    CHECK(stopped_by(wait_for(c), SIGSTOP));
    CHECK(ptrace(PTRACE_CONT, c, 0, 0) == 0 && ptrace(PTRACE_CONT, p, 0, 0) == 0);
    st = wait_for(c);
    CHECK(stopped_by(st, SIGTRAP) && event_of(st) == PTRACE_EVENT_EXIT);
    CHECK(ptrace(PTRACE_GETEVENTMSG, c, 0, &msg) == 0 && msg == 5 << 8);
    CHECK(ptrace(PTRACE_CONT, c, 0, 0) == 0);
    st = wait_for(c);                        /* our tracee, not our child */
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 5);
    int exec_seen = 0, exit_seen = 0;
    for (;;) {
        st = wait_for(p);
        if (!WIFSTOPPED(st)) break;
        int sig = 0;
        if (event_of(st) == PTRACE_EVENT_EXEC) exec_seen++;
        else if (event_of(st) == PTRACE_EVENT_EXIT) exit_seen++;
        else sig = WSTOPSIG(st);             /* SIGCHLD */
        CHECK(ptrace(PTRACE_CONT, p, 0, sig) == 0);
    }
    CHECK(st == 0 && exec_seen == 1 && exit_seen == 1);
}

static void seizing(void)
{
    pid_t p = fork();
    int st;
    if (!p) {
        for (;;) pause();
    }
    CHECK(ptrace(PTRACE_SEIZE, p, 0, PTRACE_O_TRACESYSGOOD) == 0);
    CHECK_ERR(ptrace(PTRACE_SEIZE, p, 0, 0), EPERM);
    CHECK(waitpid(p, &st, WNOHANG) == 0);
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 0), ESRCH);      /* it runs */
    CHECK(ptrace(PTRACE_INTERRUPT, p, 0, 0) == 0);
    st = wait_for(p);
    CHECK(stopped_by(st, SIGTRAP) && event_of(st) == PTRACE_EVENT_STOP);
    char path[64], line[128];
    int tracer = -1;
    snprintf(path, sizeof path, "/proc/%d/status", p);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "TracerPid: %d", &tracer);
    CHECK(f && tracer == getpid());
    fclose(f);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    /* A group stop, listened to until SIGCONT. */
    CHECK(kill(p, SIGSTOP) == 0);
    st = wait_for(p);
    CHECK(stopped_by(st, SIGSTOP) && event_of(st) == 0);
    CHECK(ptrace(PTRACE_CONT, p, 0, SIGSTOP) == 0);
    st = wait_for(p);
    CHECK(stopped_by(st, SIGSTOP) && event_of(st) == PTRACE_EVENT_STOP);
    CHECK(ptrace(PTRACE_LISTEN, p, 0, 0) == 0);
    CHECK(kill(p, SIGCONT) == 0);
    st = wait_for(p);
    CHECK(stopped_by(st, SIGTRAP) && event_of(st) == PTRACE_EVENT_STOP);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGCONT));
    CHECK(ptrace(PTRACE_DETACH, p, 0, 0) == 0);
    kill(p, SIGKILL);
    CHECK(wait_for(p) == SIGKILL);
}

static void attaching(void)
{
    pid_t p = fork();
    if (!p) {
        for (;;) pause();
    }
    CHECK(ptrace(PTRACE_ATTACH, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGSTOP));
    CHECK(ptrace(PTRACE_DETACH, p, 0, 0) == 0);
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 0), ESRCH);
    kill(p, SIGTERM);
    CHECK(wait_for(p) == SIGTERM);
    CHECK_ERR(ptrace(PTRACE_ATTACH, p, 0, 0), ESRCH);
    CHECK_ERR(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
}

static void tracer_dies(void)
{
    /* The tracee goes on; with EXITKILL it goes along. */
    int fd[2];
    char b;
    CHECK(pipe(fd) == 0);
    pid_t tracee = fork();
    if (!tracee) {
        for (;;) pause();
    }
    for (int kill_it = 0; kill_it < 2; kill_it++) {
        pid_t tracer = fork();
        if (!tracer) {
            CHECK(ptrace(PTRACE_SEIZE, tracee, 0, kill_it ? PTRACE_O_EXITKILL : 0) == 0);
            CHECK(write(fd[1], "", 1) == 1);
            _exit(0);
        }
        CHECK(read(fd[0], &b, 1) == 1);
        CHECK(wait_for(tracer) == 0);
        if (!kill_it) CHECK(kill(tracee, 0) == 0);
    }
    CHECK(wait_for(tracee) == SIGKILL);
}

/* Calls that only the tracer makes: SYSEMU stops before each, once, and nothing is done. */
static void emulation(void)
{
    struct user_regs_struct r;
    pid_t p = fork();
    if (!p) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(9);
        raise(SIGSTOP);
        long v = syscall(SYS_getppid), w = syscall(SYS_exit_group, 7);
        _exit(v == 1234 && w == -1 && errno == 111 ? 3 : 4);
    }
    CHECK(stopped_by(wait_for(p), SIGSTOP));
    CHECK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    CHECK(ptrace(PTRACE_SYSEMU, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGTRAP | 0x80));
    CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0 && r.orig_rax == SYS_getppid && (long)r.rax == -ENOSYS);
    r.rax = 1234;
    CHECK(ptrace(PTRACE_SETREGS, p, 0, &r) == 0 && ptrace(PTRACE_SYSEMU_SINGLESTEP, p, 0, 0) == 0);
    /* No stop behind the call; then instructions, one by one, up to the next. */
    int st, steps = 0;
    unsigned long last = r.rip;
    while (stopped_by(st = wait_for(p), SIGTRAP)) {
        CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0 && r.rip != last);
        last = r.rip;
        steps++;
        CHECK(ptrace(PTRACE_SYSEMU_SINGLESTEP, p, 0, 0) == 0);
    }
    CHECK(steps > 3 && stopped_by(st, SIGTRAP | 0x80));
    CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0 && r.orig_rax == SYS_exit_group && r.rdi == 7);
    r.rax = (unsigned long)-111L;
    /* With PTRACE_SYSCALL from here its end is told after all, though it was not made. */
    CHECK(ptrace(PTRACE_SETREGS, p, 0, &r) == 0 && ptrace(PTRACE_SYSCALL, p, 0, 0) == 0);
    CHECK(stopped_by(wait_for(p), SIGTRAP | 0x80));
    CHECK(ptrace(PTRACE_GETREGS, p, 0, &r) == 0 && (long)r.rax == -111);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(WEXITSTATUS(wait_for(p)) == 3);
}

static void *exec_self(void *arg)
{
    char *argv[] = { "true", NULL };
    execv("/bin/true", argv);
    _exit(arg ? 1 : 2);
}

/* A thread other than the leader execs: the leader, a tracee too, goes without notice, and its tracer lives on. */
static void thread_execs(void)
{
    int st, execs = 0;
    pid_t p = fork();
    if (!p) {
        pthread_t t;
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(9);
        raise(SIGSTOP);
        pthread_create(&t, NULL, exec_self, NULL);
        for (;;) pause();
    }
    CHECK(stopped_by(wait_for(p), SIGSTOP));
    CHECK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) == 0);
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0);
    for (pid_t w; (w = waitpid(-1, &st, __WALL)) > 0;) {
        if (!WIFSTOPPED(st)) {
            CHECK(w != p || st == 0);
            continue;
        }
        if (st >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
            unsigned long old = 0;
            CHECK(w == p && ptrace(PTRACE_GETEVENTMSG, p, 0, &old) == 0 && old != (unsigned long)p);
            execs++;
        }
        CHECK(ptrace(PTRACE_CONT, w, 0, 0) == 0);
    }
    CHECK(errno == ECHILD && execs == 1);
}

/* A process whose parent is not its tracer: the tracer hears of its end first, and the parent when the tracer has waited. */
static void end_of_a_grandchild(void)
{
    unsigned long who;
    siginfo_t si;
    int st;
    pid_t p = fork();
    if (!p) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        pid_t g = fork();
        if (!g) _exit(5);
        CHECK(waitpid(g, &st, 0) == g && WEXITSTATUS(st) == 5);
        _exit(6);
    }
    CHECK(waitpid(p, &st, 0) == p && WIFSTOPPED(st));
    CHECK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEFORK) == 0 && ptrace(PTRACE_CONT, p, 0, 0) == 0);
    CHECK(waitpid(p, &st, 0) == p && st >> 8 == (SIGTRAP | PTRACE_EVENT_FORK << 8));
    CHECK(ptrace(PTRACE_GETEVENTMSG, p, 0, &who) == 0);
    CHECK(waitpid((pid_t)who, &st, 0) == (pid_t)who && WIFSTOPPED(st));
    CHECK(ptrace(PTRACE_CONT, p, 0, 0) == 0 && ptrace(PTRACE_CONT, (pid_t)who, 0, 0) == 0);
    CHECK(waitid(P_PID, (id_t)who, &si, WEXITED | WNOWAIT) == 0 && si.si_code == CLD_EXITED && si.si_status == 5);
    usleep(100000);
    CHECK(waitpid(p, &st, WNOHANG) == 0);
    CHECK(waitpid((pid_t)who, &st, 0) == (pid_t)who && WEXITSTATUS(st) == 5);
    CHECK(waitpid(p, &st, 0) == p);
    if (WIFSTOPPED(st)) { /* only now the parent's SIGCHLD */
        CHECK(WSTOPSIG(st) == SIGCHLD && ptrace(PTRACE_CONT, p, 0, 0) == 0);
        CHECK(waitpid(p, &st, 0) == p);
    }
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 6);
}

/* Likewise when the tracer ends instead of waiting. */
static void tracer_ends_unheard(void)
{
    int st, fd[2];
    char c;
    CHECK(!pipe(fd));
    pid_t p = fork();
    if (!p) {
        pid_t g = fork();
        if (!g) {
            pause();
            _exit(0);
        }
        pid_t tracer = fork();
        if (!tracer) {
            siginfo_t si;
            CHECK(ptrace(PTRACE_ATTACH, g, 0, 0) == 0 && waitpid(g, &st, 0) == g);
            CHECK(kill(g, SIGKILL) == 0 && waitid(P_PID, (id_t)g, &si, WEXITED | WNOWAIT) == 0);
            CHECK(write(fd[1], "x", 1) == 1);
            usleep(100000);
            _exit(0);
        }
        CHECK(read(fd[0], &c, 1) == 1);
        CHECK(waitpid(g, &st, WNOHANG) == 0);
        CHECK(waitpid(g, &st, 0) == g && WTERMSIG(st) == SIGKILL);
        CHECK(waitpid(tracer, &st, 0) == tracer && st == 0);
        _exit(7);
    }
    CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 7);
    close(fd[0]), close(fd[1]);
}

TEST_MAIN(CASE(memory_and_registers), CASE(syscalls), CASE(signals), CASE(stepping), CASE(emulation), CASE(events), CASE(seizing), CASE(attaching),
          CASE(tracer_dies), CASE(thread_execs), CASE(end_of_a_grandchild),
          CASE(tracer_ends_unheard))
