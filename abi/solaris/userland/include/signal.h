#ifndef _SIGNAL_H
#define _SIGNAL_H
#include <sys/types.h>
#include <sys/siginfo.h>
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGIOT 6
#define SIGABRT 6
#define SIGEMT 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGBUS 10
#define SIGSEGV 11
#define SIGSYS 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGUSR1 16
#define SIGUSR2 17
#define SIGCLD 18
#define SIGCHLD 18
#define SIGPWR 19
#define SIGWINCH 20
#define SIGURG 21
#define SIGPOLL 22
#define SIGIO 22
#define SIGSTOP 23
#define SIGTSTP 24
#define SIGCONT 25
#define SIGTTIN 26
#define SIGTTOU 27
#define SIGVTALRM 28
#define SIGPROF 29
#define SIGXCPU 30
#define SIGXFSZ 31
#define SIGWAITING 32
#define SIGLWP 33
#define SIGFREEZE 34
#define SIGTHAW 35
#define SIGCANCEL 36
#define SIGLOST 37
#define SIGXRES 38
#define SIGJVM1 39
#define SIGJVM2 40
#define SIGINFO 41
#define _SIGRTMIN 42
#define _SIGRTMAX 73
#define SIGRTMIN 42
#define SIGRTMAX 73
#define NSIG 74
#define _NSIG 74
#define SIG2STR_MAX 32
typedef int sig_atomic_t;
typedef void (*sighandler_t)(int);
#define SIG_DFL ((void (*)(int))0)
#define SIG_IGN ((void (*)(int))1)
#define SIG_HOLD ((void (*)(int))2)
#define SIG_ERR ((void (*)(int))-1)
#define SIG_BLOCK 1
#define SIG_UNBLOCK 2
#define SIG_SETMASK 3
#define SA_ONSTACK 1
#define SA_RESETHAND 2
#define SA_RESTART 4
#define SA_SIGINFO 8
#define SA_NODEFER 0x10
#define SA_NOCLDWAIT 0x10000
#define SA_NOCLDSTOP 0x20000
#define SS_ONSTACK 1
#define SS_DISABLE 2
#define MINSIGSTKSZ 2048
#define SIGSTKSZ 8192
typedef struct sigaltstack { void *ss_sp; size_t ss_size; int ss_flags; } stack_t;
struct sigaction {
    int sa_flags;
    union {
        void (*_handler)(int);
        void (*_sigaction)(int, siginfo_t *, void *);
    } _funcptr;
    sigset_t sa_mask;
};
#define sa_handler _funcptr._handler
#define sa_sigaction _funcptr._sigaction
#include <sys/ucontext.h>
extern const char *_sys_siglist[];
void (*signal(int, void (*)(int)))(int);
void (*sigset(int, void (*)(int)))(int);
int sighold(int);
int sigrelse(int);
int sigignore(int);
int sigpause(int);
int kill(pid_t, int);
int killpg(pid_t, int);
int raise(int);
int sigaction(int, const struct sigaction *, struct sigaction *);
int sigprocmask(int, const sigset_t *, sigset_t *);
int sigsuspend(const sigset_t *);
int sigpending(sigset_t *);
int sigaltstack(const stack_t *, stack_t *);
int sigwait(const sigset_t *, int *);
int sigwaitinfo(const sigset_t *, siginfo_t *);
int sigtimedwait(const sigset_t *, siginfo_t *, const struct timespec *);
int sigqueue(pid_t, int, union sigval);
int sigemptyset(sigset_t *);
int sigfillset(sigset_t *);
int sigaddset(sigset_t *, int);
int sigdelset(sigset_t *, int);
int sigismember(const sigset_t *, int);
int siginterrupt(int, int);
int sig2str(int, char *);
int str2sig(const char *, int *);
void psignal(int, const char *);
int pthread_kill(pthread_t, int);
int pthread_sigmask(int, const sigset_t *, sigset_t *);
int thr_kill(thread_t, int);
int thr_sigsetmask(int, const sigset_t *, sigset_t *);
#endif
