/* libc.so.1: processes: identity, fork, exec, wait. */
#include "impl.h"
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/fork.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(expr) return (int)ret_errno(expr)

static long second(long nr)
{
    long b;

    (void)raw_call(&b, nr, 0, 0, 0, 0, 0, 0);
    return b;
}
pid_t getpid(void) { return (pid_t)RAW(SYS_getpid); }
pid_t getppid(void) { return (pid_t)second(SYS_getpid); }
uid_t getuid(void) { return (uid_t)RAW(SYS_getuid); }
uid_t geteuid(void) { return (uid_t)second(SYS_getuid); }
gid_t getgid(void) { return (gid_t)RAW(SYS_getgid); }
gid_t getegid(void) { return (gid_t)second(SYS_getgid); }
int setuid(uid_t u) { R(RAW(SYS_setuid, u)); }
int seteuid(uid_t u) { R(RAW(SYS_seteuid, u)); }
int setgid(gid_t g) { R(RAW(SYS_setgid, g)); }
int setegid(gid_t g) { R(RAW(SYS_setegid, g)); }
int setreuid(uid_t a, uid_t b) { R(RAW(SYS_setreuid, a, b)); }
int setregid(gid_t a, gid_t b) { R(RAW(SYS_setregid, a, b)); }
int getgroups(int n, gid_t *g) { R(RAW(SYS_getgroups, n, g)); }
int setgroups(int n, const gid_t *g) { R(RAW(SYS_setgroups, n, g)); }
int issetugid(void) { return (int)RAW(SYS_privsys, 5, 0, 0, 0, 0, 0); }
pid_t getpgrp(void) { return (pid_t)RAW(SYS_pgrpsys, 0); }
pid_t setpgrp(void) { R(RAW(SYS_pgrpsys, 1)); }
pid_t getsid(pid_t p) { R(RAW(SYS_pgrpsys, 2, p)); }
pid_t setsid(void) { R(RAW(SYS_pgrpsys, 3)); }
pid_t getpgid(pid_t p) { R(RAW(SYS_pgrpsys, 4, p)); }
int setpgid(pid_t p, pid_t g) { R(RAW(SYS_pgrpsys, 5, p, g)); }
int nice(int n) { R(RAW(SYS_nice, n)); }
unsigned int alarm(unsigned int s) { return (unsigned)RAW(SYS_alarm, s); }
int getrlimit(int r, struct rlimit *l) { R(RAW(SYS_getrlimit, r, l)); }
int setrlimit(int r, const struct rlimit *l) { R(RAW(SYS_setrlimit, r, l)); }
int getrusage(int who, struct rusage *u)
{
    int op = who == RUSAGE_SELF ? 0 : who == RUSAGE_CHILDREN ? 1 : who == RUSAGE_LWP ? 2 : -1;

    if (op < 0) {
        errno = EINVAL;
        return -1;
    }
    R(RAW(SYS_rusagesys, op, u));
}
clock_t times(struct tms *t) { return ret_errno(RAW(SYS_times, t)); }
int getdtablesize(void)
{
    struct rlimit l;
    return getrlimit(RLIMIT_NOFILE, &l) ? -1 : l.rlim_cur > INT_MAX ? INT_MAX : (int)l.rlim_cur;
}

struct procset { int op, lidtype; id_t lid; int ridtype; id_t rid; };
/* priocntl PC_DONICE: { pid op set } */
static int donice(int which, id_t who, int *value, int set)
{
    static const int kind[] = { P_PID, P_PGID, P_UID };
    struct { int val; int op; } arg = { value ? *value : 0, set };

    if (which < 0 || which > 2) {
        errno = EINVAL;
        return -1;
    }
    struct procset ps = { .op = 2, .lidtype = kind[which], .lid = who ? who : -1, .ridtype = P_ALL, .rid = -1 };
    if (ret_errno(RAW(SYS_priocntlsys, 1, &ps, 6, &arg, 0)) < 0)
        return -1;
    if (value)
        *value = arg.val;
    return 0;
}
int getpriority(int which, id_t who)
{
    int v = 0;
    return donice(which, who, &v, 0) ? -1 : v;
}
int setpriority(int which, id_t who, int prio) { return donice(which, who, &prio, 1); }

/* --- fork --- */

static pid_t do_fork(int op, int flags)
{
    long b, r;
    sigset_t all, old;

    atfork_run(0);
    malloc_fork_lock();
    stdio_fork_lock();
    rtld->fork_lock();
    sigfillset(&all);
    raw_sigmask(SIG_SETMASK, &all, &old);
    r = raw_call(&b, SYS_forksys, op, flags, 0, 0, 0, 0);
    int child = !RAW_FAILED(r) && b;
    if (child)
        threads_after_fork();
    rtld->fork_unlock();
    stdio_fork_unlock(child);
    malloc_fork_unlock(child);
    raw_sigmask(SIG_SETMASK, &old, NULL);
    if (child) {
        atfork_run(2);
        return 0;
    }
    atfork_run(1);
    return (pid_t)ret_errno(r);
}
pid_t forkx(int flags) { return do_fork(0, flags); }
pid_t fork(void) { return do_fork(0, 0); }
pid_t fork1(void) { return do_fork(0, 0); }
pid_t forkallx(int flags) { return do_fork(1, flags); }
pid_t forkall(void) { return do_fork(1, 0); }

/* --- exec --- */

int execve(const char *p, char *const *a, char *const *e) { R(RAW(SYS_execve, p, a, e, 0)); }
int execv(const char *p, char *const *a) { return execve(p, a, environ); }
int fexecve(int fd, char *const *a, char *const *e)
{
    char p[32] = "/dev/fd/";
    int n = 8, d = 1;

    if (fd < 0) {
        errno = EBADF;
        return -1;
    }
    while (fd / d >= 10)
        d *= 10;
    for (; d; d /= 10)
        p[n++] = (char)('0' + fd / d % 10);
    p[n] = 0;
    return execve(p, a, e);
}

static int exec_script(const char *path, char *const *argv, char *const *env)
{
    int n = 0;

    while (argv[n])
        n++;
    char *v[n + 3];
    v[0] = (char *)"sh";
    v[1] = (char *)path;
    for (int i = 1; i <= n; i++)
        v[i + 1] = argv[i];
    if (!n)
        v[2] = NULL;
    return execve("/bin/sh", v, env);
}

int __execvpe(const char *, char *const *, char *const *) __attribute__((visibility("hidden")));
int __execvpe(const char *file, char *const *argv, char *const *env)
{
    char buf[1100];
    int denied = 0;

    if (!*file) {
        errno = ENOENT;
        return -1;
    }
    const char *path = strchr(file, '/') ? "" : getenv("PATH");
    if (!path)
        path = "/usr/bin:";
    for (const char *p = path;; p++) {
        const char *end = strchr(p, ':');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        if (n + strlen(file) + 2 <= sizeof(buf)) {
            memcpy(buf, p, n);
            if (n)
                buf[n++] = '/';
            strcpy(buf + n, file);
            execve(buf, argv, env);
            if (errno == ENOEXEC)
                return exec_script(buf, argv, env);
            if (errno == EACCES)
                denied = 1;
            else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE)
                return -1;
        }
        if (!end)
            break;
        p = end;
    }
    if (denied)
        errno = EACCES;
    return -1;
}
int execvp(const char *f, char *const *a) { return __execvpe(f, a, environ); }

#define COLLECT(first) \
    int n = 1; \
    va_list ap; \
    va_start(ap, first); \
    while (va_arg(ap, char *)) \
        n++; \
    va_end(ap); \
    char *v[n + 1]; \
    v[0] = (char *)(first); \
    va_start(ap, first); \
    for (int i = 1; i <= n; i++) \
        v[i] = va_arg(ap, char *)
int execl(const char *p, const char *a, ...)
{
    COLLECT(a);
    va_end(ap);
    return execve(p, v, environ);
}
int execlp(const char *p, const char *a, ...)
{
    COLLECT(a);
    va_end(ap);
    return execvp(p, v);
}
int execle(const char *p, const char *a, ...)
{
    COLLECT(a);
    char *const *env = va_arg(ap, char *const *);
    va_end(ap);
    return execve(p, v, env);
}

/* --- wait --- */

int waitid(idtype_t t, id_t id, siginfo_t *si, int opt) { R(CANCELABLE(RESTART(RAW(SYS_waitid, t, id, si, opt)))); }

static int status_of(const siginfo_t *s)
{
    switch (s->si_code) {
    case CLD_EXITED: return (s->si_status & 0xff) << 8;
    case CLD_KILLED: return s->si_status & 0x7f;
    case CLD_DUMPED: return (s->si_status & 0x7f) | 0x80;
    case CLD_STOPPED:
    case CLD_TRAPPED: return (s->si_status & 0xff) << 8 | 0x7f;
    default: return 0xffff; /* continued */
    }
}
static void add_ticks(struct timeval *t, clock_t ticks)
{
    t->tv_sec = ticks / 100;
    t->tv_usec = ticks % 100 * 10000;
}
pid_t wait4(pid_t pid, int *status, int opt, struct rusage *ru)
{
    siginfo_t si;
    idtype_t t = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;
    id_t id = pid > 0 ? pid : pid == -1 ? 0 : pid == 0 ? getpgrp() : -pid;

    if (opt & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOWAIT)) {
        errno = EINVAL;
        return -1;
    }
    memset(&si, 0, sizeof(si));
    if (waitid(t, id, &si, opt | WEXITED | WTRAPPED) < 0)
        return -1;
    if (!si.si_pid)
        return 0;
    if (status)
        *status = status_of(&si);
    if (ru) {
        memset(ru, 0, sizeof(*ru));
        add_ticks(&ru->ru_utime, si.si_utime);
        add_ticks(&ru->ru_stime, si.si_stime);
    }
    return si.si_pid;
}
pid_t waitpid(pid_t pid, int *status, int opt) { return wait4(pid, status, opt, NULL); }
pid_t wait(int *status) { return wait4(-1, status, 0, NULL); }
pid_t wait3(int *status, int opt, struct rusage *ru) { return wait4(-1, status, opt, ru); }
