/* seccomp(2). */
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int in_child(void (*fn)(void))
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        fn();
        syscall(SYS_exit, 0);
    }
    CHECK(waitpid(k, &st, 0) == k);
    return WIFSIGNALED(st) ? -WTERMSIG(st) : WEXITSTATUS(st);
}

/* getppid gets `action`, everything else goes on. */
static void load(unsigned action)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) == 0);
    CHECK(prctl(PR_GET_SECCOMP) == 2);
}

static void f_errno(void)
{
    load(SECCOMP_RET_ERRNO | EXDEV);
    CHECK_ERR(syscall(SYS_getppid), EXDEV);
    load(SECCOMP_RET_ERRNO | ENOTTY);   /* equal actions: the newest decides */
    CHECK_ERR(syscall(SYS_getppid), ENOTTY);
    load(SECCOMP_RET_ALLOW);
    CHECK_ERR(syscall(SYS_getppid), ENOTTY);
}
static void f_kill(void) { load(SECCOMP_RET_KILL_PROCESS); syscall(SYS_getppid); }
static void f_trace(void) { load(SECCOMP_RET_TRACE); CHECK_ERR(syscall(SYS_getppid), ENOSYS); }
static void f_strict(void)
{
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    syscall(SYS_getppid);
}
static volatile int trapped;
static void on_sys(int s, siginfo_t *i, void *u)
{
    (void)s, (void)u;
    trapped = i->si_code == 1 && i->si_syscall == SYS_getppid && i->si_arch == AUDIT_ARCH_X86_64 && i->si_errno == 5;
}
static void f_trap(void)
{
    struct sigaction a = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &a, NULL);
    load(SECCOMP_RET_TRAP | 5);
    syscall(SYS_getppid);
    CHECK(trapped);
}

static void actions(void)
{
    CHECK(in_child(f_errno) == 0);
    CHECK(in_child(f_kill) == -SIGSYS);
    CHECK(in_child(f_trace) == 0);
    CHECK(in_child(f_trap) == 0);
    CHECK(in_child(f_strict) == -SIGKILL);
}

static void rules(void)
{
    struct sock_filter bad[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sock_filter unwritten[] = { BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_A, 0) };
    struct sock_filter endless[] = { BPF_STMT(BPF_LD | BPF_IMM, 0) };
    struct sock_fprog p = { 2, bad };
    unsigned act = SECCOMP_RET_ERRNO;
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EINVAL);
    p.filter = unwritten;
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EINVAL);
    p = (struct sock_fprog){ 1, endless };
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EINVAL);
    p.len = 0;
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EINVAL);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8), EFAULT);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x10000, &p), EINVAL);
    CHECK_ERR(syscall(SYS_seccomp, 99, 0, NULL), EINVAL);
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act) == 0);
    act = 0x12340000;
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act), EOPNOTSUPP);
}

TEST_MAIN(CASE(actions), CASE(rules))
