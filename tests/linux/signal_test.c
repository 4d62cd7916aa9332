/* Dispositions, masks, frames, siginfo, restarts. signal(7), sigaction(2), sigreturn(2). */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <stdint.h>

static volatile sig_atomic_t hits, last_code, last_value;
static siginfo_t last;
static void on_info(int s, siginfo_t *i, void *u)
{
    (void)s, (void)u;
    hits++;
    last = *i;
    last_code = i->si_code;
    last_value = i->si_value.sival_int;
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction a = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };
    CHECK(sigaction(sig, &a, NULL) == 0);
}

static void kill_and_codes(void)
{
    install(SIGUSR1, on_info, 0);
    hits = 0;
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(hits == 1 && last_code == SI_USER && last.si_pid == getpid() && last.si_uid == getuid());
    CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1) == 0);
    CHECK(hits == 2 && last_code == SI_TKILL);
    CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 }) == 0);
    CHECK(hits == 3 && last_code == SI_QUEUE && last_value == 77);
    CHECK_ERR(kill(getpid(), 65), EINVAL);
    CHECK_ERR(kill(0x3ffffff, 0), ESRCH);
    CHECK(kill(getpid(), 0) == 0);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    struct sigaction a = { .sa_handler = SIG_IGN };
    CHECK_ERR(sigaction(SIGKILL, &a, NULL), EINVAL);
}

static void masks_and_realtime_order(void)
{
    sigset_t set, old, pend;
    siginfo_t info;
    struct timespec zero = { 0, 0 };
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    for (int i = 0; i < 3; i++) CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 9 }) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
    CHECK(sigpending(&pend) == 0 && sigismember(&pend, SIGUSR1) && sigismember(&pend, SIGRTMIN));
    CHECK(sigtimedwait(&set, &info, &zero) == SIGUSR1);
    CHECK(sigtimedwait(&set, &info, &zero) == SIGRTMIN && info.si_value.sival_int == 9);
    for (int i = 0; i < 3; i++) CHECK(sigtimedwait(&set, &info, &zero) == SIGRTMIN + 1 && info.si_value.sival_int == i);
    CHECK_ERR(sigtimedwait(&set, &info, &zero), EAGAIN);
    struct timespec t0, t1, tmo = { 0, 30000000 };
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_ERR(sigtimedwait(&set, NULL, &tmo), EAGAIN);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CHECK((t1.tv_sec - t0.tv_sec) * 1000000000L + t1.tv_nsec - t0.tv_nsec >= 30000000);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

static void alarm_restart(int flags, int want_errno)
{
    int p[2];
    char c;
    struct itimerval it = { .it_value = { 0, 20000 } };
    CHECK(pipe(p) == 0);
    install(SIGALRM, on_info, flags);
    hits = 0;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        struct timespec ts = { 0, 150000000 };
        nanosleep(&ts, NULL);
        if (write(p[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    errno = 0;
    ssize_t r = read(p[0], &c, 1);
    CHECK(hits == 1);
    CHECK(want_errno ? r == -1 && errno == want_errno : r == 1);
    CHECK(waitpid(k, NULL, 0) == k);
    close(p[0]);
    close(p[1]);
}

static void restart(void)
{
    alarm_restart(SA_RESTART, 0);
    alarm_restart(0, EINTR);
}

static volatile double fp_seen;
static void clobber(int s, siginfo_t *i, void *u)
{
    ucontext_t *uc = u;
    (void)s, (void)i;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm15, %%xmm15; fninit" : : : "xmm0", "xmm15");
    CHECK(uc->uc_mcontext.fpregs != NULL && ((unsigned long)uc->uc_mcontext.fpregs & 63) == 0);
    hits++;
}

static void registers_survive(void)
{
    unsigned long in[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, out[2] = { 0, 0 }, r12 = 0x1212121212121212, r12_out;
    install(SIGUSR1, clobber, 0);
    hits = 0;
    long pid = getpid(), ret;
    __asm__ volatile("movdqu %3, %%xmm15\n\tmov %4, %%r12\n\tsyscall\n\tmov %%r12, %1\n\tmovdqu %%xmm15, %2"
                     : "=a"(ret), "=&r"(r12_out), "=m"(out)
                     : "m"(in), "m"(r12), "0"((long)SYS_kill), "D"(pid), "S"((long)SIGUSR1)
                     : "rcx", "r11", "r12", "xmm15", "memory");
    CHECK(ret == 0 && hits == 1 && r12_out == r12 && out[0] == in[0] && out[1] == in[1]);
}

static void skip_fault(int s, siginfo_t *i, void *u)
{
    ucontext_t *uc = u;
    (void)s;
    last = *i;
    hits++;
    uc->uc_mcontext.gregs[REG_RIP] = uc->uc_mcontext.gregs[REG_RBX];
    last_value = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
    last_code = (uc->uc_mcontext.gregs[REG_CR2] == 0x1000);
}

static void fault_frame(void)
{
    install(SIGSEGV, skip_fault, 0);
    hits = 0;
    __asm__ volatile("lea 1f(%%rip), %%rbx\n\tmov $0x1000, %%eax\n\tmovl $1, (%%rax)\n1:" : : : "rax", "rbx", "memory");
    CHECK(hits == 1 && last.si_signo == SIGSEGV && last.si_code == SEGV_MAPERR && last.si_addr == (void *)0x1000);
    CHECK(last_value == 14 && last_code);
    install(SIGILL, skip_fault, 0);
    __asm__ volatile("lea 1f(%%rip), %%rbx\n\tud2\n1:" : : : "rbx", "memory");
    CHECK(hits == 2 && last.si_signo == SIGILL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGILL, SIG_DFL);
}

static void suspend_mask(void)
{
    sigset_t block, none, now;
    install(SIGUSR1, on_info, 0);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &block, NULL) == 0);
    hits = 0;
    CHECK(kill(getpid(), SIGUSR1) == 0 && hits == 0);
    CHECK_ERR(sigsuspend(&none), EINTR);
    CHECK(hits == 1);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
    CHECK(sigprocmask(SIG_UNBLOCK, &block, NULL) == 0);
}

static void hostile_sigreturn(void)
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        __asm__ volatile("mov $0x5000, %%rsp\n\tmov $15, %%eax\n\tsyscall" : : : "memory");
        _exit(1);
    }
    CHECK(waitpid(k, &st, 0) == k && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static void reset_nodefer(void)
{
    struct sigaction a;
    install(SIGUSR2, on_info, (int)SA_RESETHAND);
    CHECK(raise(SIGUSR2) == 0);
    CHECK(sigaction(SIGUSR2, NULL, &a) == 0 && a.sa_handler == SIG_DFL);
}

static uint64_t seen_xmm[2];
static uint32_t seen_mxcsr;
static void look_at_fpu(int s)
{
    (void)s;
    __asm__ volatile("movups %%xmm7, %0\n\tstmxcsr %1" : "=m"(seen_xmm), "=m"(seen_mxcsr));
}
/* A handler finds a fresh FPU, the interrupted code its own again. */
static void fresh_fpu(void)
{
    struct sigaction sa = { .sa_handler = look_at_fpu }, old;
    uint64_t put[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, got[2];
    uint32_t mxcsr = 0x1f80 | 0x2000, mxcsr_after, dflt = 0x1f80;
    long r = SYS_tgkill;
    CHECK(sigaction(SIGUSR2, &sa, &old) == 0);
    memset(seen_xmm, 0xff, sizeof seen_xmm);
    __asm__ volatile("ldmxcsr %[m]\n\tmovups %[put], %%xmm7\n\tsyscall\n\tmovups %%xmm7, %[got]\n\tstmxcsr %[after]\n\tldmxcsr %[d]"
                     : "+a"(r), [got] "=m"(got), [after] "=m"(mxcsr_after)
                     : "D"(getpid()), "S"(syscall(SYS_gettid)), "d"(SIGUSR2), [put] "m"(put), [m] "m"(mxcsr), [d] "m"(dflt)
                     : "rcx", "r11", "xmm7", "memory");
    CHECK(r == 0 && seen_xmm[0] == 0 && seen_xmm[1] == 0 && seen_mxcsr == 0x1f80);
    CHECK(got[0] == put[0] && got[1] == put[1] && mxcsr_after == mxcsr);
    sigaction(SIGUSR2, &old, NULL);
}

TEST_MAIN(CASE(kill_and_codes), CASE(masks_and_realtime_order), CASE(restart), CASE(registers_survive), CASE(fault_frame),
    CASE(suspend_mask), CASE(hostile_sigreturn), CASE(reset_nodefer), CASE(fresh_fpu))
