/*
 * libc.so.1: signals. Every caught signal enters sig_enter(): it defers the signal if the thread is inside one of libc's
 * critical regions, else calls the program's handler, and always leaves by setcontext (there is no sigreturn).
 */
#include "impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct { volatile uintptr_t handler; volatile int flags; } table[NSIG];
static llock_t table_lock;

static int reserved(int s) { return s == SIGCANCEL || s == SIGLWP; }

void raw_sigmask(int how, const sigset_t *set, sigset_t *old) { (void)RAW(95, how, set, old); }

static __attribute__((noreturn)) void resume(ucontext_t *uc)
{
    (void)RAW(SYS_context, 1, uc);
    (void)RAW(SYS_exit, 127);
    __builtin_unreachable();
}

static void sig_enter(int sig, siginfo_t *si, void *vuc)
{
    ucontext_t *uc = vuc;
    struct ulwp *u = curself();

    if (u->critical) {
        u->deferred_mask = uc->uc_sigmask;
        if (si)
            u->deferred_info = *si;
        else
            memset(&u->deferred_info, 0, sizeof(u->deferred_info));
        u->deferred_info.si_signo = sig;
        u->deferred = sig;
        memset(&uc->uc_sigmask, 0xff, sizeof(uc->uc_sigmask)); /* nothing more until it is taken */
        uc->uc_flags |= UC_SIGMASK;
        resume(uc);
    }
    int err = u->err;
    if (sig == SIGCANCEL) {
        if (u->cancel_pending && !u->cancel_state && (u->cancel_point || u->cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)) {
            u->cancel_point = 0;
            raw_sigmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
            cancel_act();
        }
    } else {
        uintptr_t h = table[sig].handler;
        if (h > 2)
            ((void (*)(int, siginfo_t *, void *))h)(sig, si, uc);
    }
    u->err = err;
    resume(uc);
}

/* the last critical region was left with a signal waiting: hand it back to the kernel with the mask of then */
void critical_leave_slow(struct ulwp *u)
{
    siginfo_t si = u->deferred_info;
    sigset_t mask = u->deferred_mask;
    int sig = u->deferred;

    u->deferred = 0;
    if (RAW_FAILED(RAW(SYS_sigresend, sig, &si, &mask))) {
        (void)RAW(SYS_lwp_kill, u->tid, sig);
        raw_sigmask(SIG_SETMASK, &mask, NULL);
    }
}

void signal_init(void)
{
    struct sigaction k = { .sa_flags = SA_SIGINFO | SA_RESTART };

    k.sa_sigaction = sig_enter;
    sigfillset(&k.sa_mask);
    (void)RAW(SYS_sigaction, SIGCANCEL, &k, 0);
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    struct sigaction k, was;

    if (sig <= 0 || sig >= NSIG || reserved(sig)) {
        errno = EINVAL;
        return -1;
    }
    if (act) {
        k = *act;
        if (k.sa_handler != SIG_DFL && k.sa_handler != SIG_IGN) {
            k.sa_sigaction = sig_enter;
            k.sa_flags |= SA_SIGINFO;
        }
        sigdelset(&k.sa_mask, SIGCANCEL);
    }
    /* the table and the kernel change together; signals wait, so a handler never sees one without the other */
    struct ulwp *u = curself();
    critical_enter(u);
    llock(&table_lock);
    uintptr_t handler = table[sig].handler;
    int flags = table[sig].flags;
    if (act && k.sa_sigaction == sig_enter) {
        table[sig].handler = (uintptr_t)act->sa_handler;
        table[sig].flags = act->sa_flags;
    }
    long r = RAW(SYS_sigaction, sig, act ? &k : NULL, &was);
    if (r < 0 && act) {
        table[sig].handler = handler;
        table[sig].flags = flags;
    }
    lunlock(&table_lock);
    critical_leave(u);
    if (r < 0)
        return (int)ret_errno(r);
    if (old) {
        if (was.sa_sigaction == sig_enter) {
            was.sa_handler = (void (*)(int))handler;
            was.sa_flags = (was.sa_flags & ~SA_SIGINFO) | (flags & SA_SIGINFO);
        }
        *old = was;
    }
    return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t s;

    if (set) {
        s = *set;
        if (how != SIG_UNBLOCK) {
            sigdelset(&s, SIGCANCEL);
            sigdelset(&s, SIGLWP);
        }
    }
    return ret_value(RAW(95, how, set ? &s : NULL, old));
}
int thr_sigsetmask(int how, const sigset_t *set, sigset_t *old) { return pthread_sigmask(how, set, old); }
int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    int r = pthread_sigmask(how, set, old);

    if (r)
        errno = r;
    return r ? -1 : 0;
}

int kill(pid_t pid, int sig) { return (int)ret_errno(RAW(SYS_kill, pid, sig)); }
int killpg(pid_t pg, int sig)
{
    if (pg <= 1 && pg != 0) {
        errno = EINVAL;
        return -1;
    }
    return kill(-pg, sig);
}
int pthread_kill(pthread_t t, int sig)
{
    if (sig < 0 || sig >= NSIG)
        return EINVAL;
    return ret_value(RAW(SYS_lwp_kill, t, sig));
}
int thr_kill(thread_t t, int sig) { return pthread_kill(t, sig); }
int raise(int sig)
{
    int r = pthread_kill(curself()->tid, sig);

    if (r)
        errno = r;
    return r ? -1 : 0;
}
int sigqueue(pid_t pid, int sig, union sigval v)
{
    return (int)ret_errno(RAW(SYS_sigqueue, pid, sig, v.sival_ptr, SI_QUEUE, 0));
}
int sigaltstack(const stack_t *s, stack_t *o) { return (int)ret_errno(RAW(SYS_sigaltstack, s, o)); }
int sigpending(sigset_t *s) { return (int)ret_errno(RAW(SYS_sigpending, 1, s)); }
int sigsuspend(const sigset_t *s)
{
    sigset_t m = *s;

    sigdelset(&m, SIGCANCEL);
    return (int)ret_errno(CANCELABLE(RAW(SYS_sigsuspend, &m)));
}
int sigtimedwait(const sigset_t *s, siginfo_t *si, const struct timespec *t)
{
    siginfo_t tmp;
    return (int)ret_errno(CANCELABLE(RAW(SYS_sigtimedwait, s, si ? si : &tmp, t)));
}
int sigwaitinfo(const sigset_t *s, siginfo_t *si) { return sigtimedwait(s, si, NULL); }
int sigwait(const sigset_t *s, int *sig)
{
    int r;

    do
        r = sigtimedwait(s, NULL, NULL);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno;
    *sig = r;
    return 0;
}
/* standards before SUSv3: the one-argument form, still found in objects built for Solaris */
int pause(void) { return (int)ret_errno(CANCELABLE(RAW(SYS_pause))); }

int sigemptyset(sigset_t *s) { memset(s, 0, sizeof(*s)); return 0; }
int sigfillset(sigset_t *s)
{
    s->__sigbits[0] = s->__sigbits[1] = ~0u;
    s->__sigbits[2] = 0x1ff; /* 73 signals */
    s->__sigbits[3] = 0;
    return 0;
}
static int bad_signal(int n)
{
    if (n > 0 && n < NSIG)
        return 0;
    errno = EINVAL;
    return 1;
}
int sigaddset(sigset_t *s, int n)
{
    if (bad_signal(n))
        return -1;
    s->__sigbits[(n - 1) >> 5] |= 1u << ((n - 1) & 31);
    return 0;
}
int sigdelset(sigset_t *s, int n)
{
    if (bad_signal(n))
        return -1;
    s->__sigbits[(n - 1) >> 5] &= ~(1u << ((n - 1) & 31));
    return 0;
}
int sigismember(const sigset_t *s, int n)
{
    return bad_signal(n) ? -1 : (int)(s->__sigbits[(n - 1) >> 5] >> ((n - 1) & 31) & 1);
}

static void (*set_handler(int sig, void (*fn)(int), int flags))(int)
{
    struct sigaction a = { .sa_flags = flags }, old;

    a.sa_handler = fn;
    if (sig == SIGCHLD && fn == SIG_IGN)
        a.sa_flags |= SA_NOCLDWAIT;
    return sigaction(sig, &a, &old) ? SIG_ERR : old.sa_handler;
}
/* System V semantics: reset on delivery, not blocked meanwhile */
void (*signal(int sig, void (*fn)(int)))(int) { return set_handler(sig, fn, SA_RESETHAND | SA_NODEFER); }
int sigignore(int sig) { return set_handler(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0; }
static int mask_one(int how, int sig, sigset_t *old)
{
    sigset_t s;

    sigemptyset(&s);
    return sigaddset(&s, sig) ? -1 : sigprocmask(how, &s, old);
}
int sighold(int sig) { return mask_one(SIG_BLOCK, sig, NULL); }
int sigrelse(int sig) { return mask_one(SIG_UNBLOCK, sig, NULL); }
int sigpause(int sig)
{
    sigset_t s;

    raw_sigmask(SIG_BLOCK, NULL, &s);
    return sigdelset(&s, sig) ? -1 : sigsuspend(&s);
}
void (*sigset(int sig, void (*fn)(int)))(int)
{
    sigset_t old;
    struct sigaction was;

    if (fn == SIG_HOLD) {
        if (mask_one(SIG_BLOCK, sig, &old) || sigaction(sig, NULL, &was))
            return SIG_ERR;
        return sigismember(&old, sig) ? SIG_HOLD : was.sa_handler;
    }
    void (*prev)(int) = set_handler(sig, fn, 0);
    if (prev == SIG_ERR || mask_one(SIG_UNBLOCK, sig, &old))
        return SIG_ERR;
    return sigismember(&old, sig) ? SIG_HOLD : prev;
}
int siginterrupt(int sig, int on)
{
    struct sigaction a;

    if (sigaction(sig, NULL, &a))
        return -1;
    a.sa_flags = on ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
    return sigaction(sig, &a, NULL);
}

static const char *const names[NSIG] = {
    "EXIT", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "EMT", "FPE", "KILL", "BUS", "SEGV", "SYS", "PIPE", "ALRM",
    "TERM", "USR1", "USR2", "CLD", "PWR", "WINCH", "URG", "POLL", "STOP", "TSTP", "CONT", "TTIN", "TTOU", "VTALRM",
    "PROF", "XCPU", "XFSZ", "WAITING", "LWP", "FREEZE", "THAW", "CANCEL", "LOST", "XRES", "JVM1", "JVM2", "INFO"
};
static const char *const texts[] = {
    "UNKNOWN SIGNAL", "Hangup", "Interrupt", "Quit", "Illegal Instruction", "Trace/Breakpoint Trap", "Abort",
    "Emulation Trap", "Arithmetic Exception", "Killed", "Bus Error", "Segmentation Fault", "Bad System Call",
    "Broken Pipe", "Alarm Clock", "Terminated", "User Signal 1", "User Signal 2", "Child Status Changed",
    "Power-Fail/Restart", "Window Size Change", "Urgent Socket Condition", "Pollable Event", "Stopped (signal)",
    "Stopped (user)", "Continued", "Stopped (tty input)", "Stopped (tty output)", "Virtual Timer Expired",
    "Profiling Timer Expired", "Cpu Limit Exceeded", "File Size Limit Exceeded", "No runnable lwp",
    "Inter-lwp signal", "Checkpoint Freeze", "Checkpoint Thaw", "Thread Cancellation", "Resource Lost",
    "Resource Control Exceeded", "Reserved for JVM 1", "Reserved for JVM 2", "Information Request"
};
char *strsignal(int sig)
{
    static char real[32];

    if (sig > 0 && sig <= SIGINFO)
        return (char *)texts[sig];
    if (sig >= SIGRTMIN && sig <= SIGRTMAX) {
        snprintf(real, sizeof(real), sig == SIGRTMIN ? "First Realtime Signal" : sig == SIGRTMAX ? "Last Realtime Signal"
                 : "Realtime Signal %d", sig - SIGRTMIN);
        return real;
    }
    return NULL;
}
void psignal(int sig, const char *s)
{
    const char *t = strsignal(sig);

    fprintf(stderr, "%s%s%s\n", s ? s : "", s && *s ? ": " : "", t ? t : texts[0]);
}
int sig2str(int sig, char *out)
{
    if (sig < 0 || sig >= NSIG)
        return -1;
    if (sig <= SIGINFO)
        strcpy(out, names[sig]);
    else if (sig == SIGRTMIN || sig == SIGRTMAX)
        strcpy(out, sig == SIGRTMIN ? "RTMIN" : "RTMAX");
    else if (sig < SIGRTMIN + 16)
        sprintf(out, "RTMIN+%d", sig - SIGRTMIN);
    else
        sprintf(out, "RTMAX-%d", SIGRTMAX - sig);
    return 0;
}
int str2sig(const char *s, int *sig)
{
    char buf[SIG2STR_MAX], *end;
    long n = strtol(s, &end, 10);

    if (*s && !*end) {
        if (n < 0 || n >= NSIG)
            return -1;
        *sig = (int)n;
        return 0;
    }
    for (int i = 0; i < NSIG; i++)
        if (!sig2str(i, buf) && !strcmp(buf, s)) {
            *sig = i;
            return 0;
        }
    static const struct { const char *n; int s; } also[] = { { "CHLD", SIGCHLD }, { "IO", SIGIO }, { "IOT", SIGIOT } };
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(also[i].n, s)) {
            *sig = also[i].s;
            return 0;
        }
    return -1;
}
