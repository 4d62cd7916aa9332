/* libc.so.1: clocks and timers, system information, event ports, resource controls. */
#include "impl.h"
#include <limits.h>
#include <port.h>
#include <rctl.h>
#include <sched.h>
#include <stdlib.h>
#include <stropts.h>
#include <sys/resource.h>
#include <sys/systeminfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define R(expr) return (int)ret_errno(expr)

/* fast trap: %eax = function, result in rax (and rdx) */
static inline long fast_trap(int fn, long *b)
{
    long a = fn, d;

    __asm__ volatile("int $0xd2" : "+a"(a), "=d"(d)::"rcx", "r11", "memory", "cc");
    if (b)
        *b = d;
    return a;
}
hrtime_t gethrtime(void)
{
    struct timespec t;

    (void)RAW(SYS_clock_gettime, CLOCK_HIGHRES, &t); /* a plain call is cheaper than the trap's fault on a Linux host */
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
hrtime_t gethrvtime(void) { return fast_trap(4, NULL); }

int clock_gettime(clockid_t c, struct timespec *t) { R(RAW(SYS_clock_gettime, c, t)); }
int clock_settime(clockid_t c, const struct timespec *t) { R(RAW(SYS_clock_settime, c, t)); }
int clock_getres(clockid_t c, struct timespec *t) { R(RAW(SYS_clock_getres, c, t)); }
int clock_getcpuclockid(pid_t p, clockid_t *c)
{
    if (p != 0 && p != getpid())
        return EPERM;
    *c = CLOCK_PROCESS_CPUTIME_ID;
    return 0;
}
int nanosleep(const struct timespec *a, struct timespec *b) { R(CANCELABLE(RAW(SYS_nanosleep, a, b))); }
int clock_nanosleep(clockid_t c, int fl, const struct timespec *t, struct timespec *left)
{
    struct timespec rel = *t;

    if (c != CLOCK_REALTIME && c != CLOCK_HIGHRES && c != 0)
        return c == CLOCK_THREAD_CPUTIME_ID || c == CLOCK_PROCESS_CPUTIME_ID || c == CLOCK_VIRTUAL ? ENOTSUP : EINVAL;
    if (t->tv_nsec < 0 || t->tv_nsec >= 1000000000)
        return EINVAL;
    if (!(fl & TIMER_ABSTIME))
        return ret_value(CANCELABLE(RAW(SYS_nanosleep, &rel, left)));
    for (;;) {
        int r = abs_to_rel(c, t, &rel);
        if (r)
            return r == ETIMEDOUT ? 0 : r;
        if ((r = ret_value(CANCELABLE(RAW(SYS_nanosleep, &rel, 0)))))
            return r;
    }
}
int usleep(useconds_t us)
{
    struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };
    R(CANCELABLE(RAW(SYS_nanosleep, &t, 0)));
}
unsigned int sleep(unsigned int s)
{
    struct timespec t = { s, 0 }, left = { 0, 0 };

    if (!RAW_FAILED(CANCELABLE(RAW(SYS_nanosleep, &t, &left))))
        return 0;
    return (unsigned)(left.tv_sec + (left.tv_nsec >= 500000000));
}
time_t time(time_t *p)
{
    long t = RAW(13);

    if (p)
        *p = t;
    return t;
}
int gettimeofday(struct timeval *tv, void *tz) { R(tv ? RAW(SYS_gettimeofday, tv) : 0); }
int settimeofday(struct timeval *tv, void *tz)
{
    struct timespec t;

    if (!tv)
        return 0;
    t.tv_sec = tv->tv_sec;
    t.tv_nsec = tv->tv_usec * 1000;
    return clock_settime(CLOCK_REALTIME, &t);
}
int adjtime(struct timeval *d, struct timeval *o) { R(RAW(SYS_adjtime, d, o)); }
int getitimer(int w, struct itimerval *v) { R(RAW(SYS_getitimer, w, v)); }
int setitimer(int w, const struct itimerval *v, struct itimerval *o) { R(RAW(SYS_setitimer, w, v, o)); }
clock_t clock(void)
{
    struct timespec t;

    return RAW_FAILED(RAW(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &t)) ? -1 : t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
int timespec_get(struct timespec *t, int base) { return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, t) ? base : 0; }

int timer_create(clockid_t c, struct sigevent *e, timer_t *t)
{
    if (e && e->sigev_notify == SIGEV_THREAD) { /* needs a delivery thread, which this library does not keep */
        errno = ENOTSUP;
        return -1;
    }
    R(RAW(SYS_timer_create, c, e, t));
}
int timer_delete(timer_t t) { R(RAW(SYS_timer_delete, t)); }
int timer_settime(timer_t t, int fl, const struct itimerspec *v, struct itimerspec *o) { R(RAW(SYS_timer_settime, t, fl, v, o)); }
int timer_gettime(timer_t t, struct itimerspec *v) { R(RAW(SYS_timer_gettime, t, v)); }
int timer_getoverrun(timer_t t) { R(RAW(SYS_timer_getoverrun, t)); }

/* --- scheduling --- */

int sched_get_priority_max(int p)
{
    if (p < 0 || p > SCHED_FX) {
        errno = EINVAL;
        return -1;
    }
    return p == SCHED_FIFO || p == SCHED_RR ? 59 : p == SCHED_SYS ? 0 : 60;
}
int sched_get_priority_min(int p)
{
    if (p < 0 || p > SCHED_FX) {
        errno = EINVAL;
        return -1;
    }
    return p == SCHED_OTHER || p == SCHED_IA || p == SCHED_FSS ? -60 : 0;
}
int sched_rr_get_interval(pid_t p, struct timespec *t)
{
    t->tv_sec = 0;
    t->tv_nsec = 100000000;
    return 0;
}

/* --- what the system is --- */

int uname(struct utsname *u)
{
    R(RAW(SYS_uname, u));
}
int sysinfo(int cmd, char *b, long n) { R(RAW(SYS_systeminfo, cmd, b, n)); }
int gethostname(char *b, size_t n) { return ret_errno(RAW(SYS_systeminfo, SI_HOSTNAME, b, n)) < 0 ? -1 : 0; }
int sethostname(char *b, int n) { return ret_errno(RAW(SYS_systeminfo, SI_SET_HOSTNAME, b, n)) < 0 ? -1 : 0; }
int getdomainname(char *b, int n) { return ret_errno(RAW(SYS_systeminfo, SI_SRPC_DOMAIN, b, n)) < 0 ? -1 : 0; }
long gethostid(void)
{
    char b[32];
    return RAW_FAILED(RAW(SYS_systeminfo, SI_HW_SERIAL, b, sizeof(b))) ? -1 : strtol(b, NULL, 10);
}
int getpagesize(void) { return 4096; }
int getloadavg(double v[], int n)
{
    int k[3];

    if (n > 3)
        n = 3;
    if (ret_errno(RAW(SYS_getloadavg, k, n)) < 0)
        return -1;
    for (int i = 0; i < n; i++)
        v[i] = k[i] / 256.0;
    return n;
}
/* sysconf name -> sysconfig() code of the kernel, or a constant */
static long conf(int code) { return ret_errno(RAW(SYS_sysconfig, code)); }
long sysconf(int name)
{
    struct rlimit rl;

    switch (name) {
    case _SC_ARG_MAX: return ARG_MAX;
    case _SC_CHILD_MAX: return conf(3);
    case _SC_CLK_TCK: return 100;
    case _SC_NGROUPS_MAX: return conf(2);
    case _SC_OPEN_MAX:
        if (getrlimit(RLIMIT_NOFILE, &rl))
            return -1;
        return rl.rlim_cur == RLIM_INFINITY ? -1 : (long)rl.rlim_cur;
    case _SC_JOB_CONTROL: case _SC_SAVED_IDS: case _SC_2_C_BIND: case _SC_2_CHAR_TERM: case _SC_XOPEN_UNIX: return 1;
    case _SC_VERSION: case _SC_2_VERSION: return 200112;
    case _SC_PASS_MAX: return PASS_MAX;
    case _SC_LOGNAME_MAX: return 32;
    case _SC_PAGESIZE: return 4096;
    case _SC_XOPEN_VERSION: return 600;
    case _SC_NPROCESSORS_CONF: return conf(11);
    case _SC_NPROCESSORS_ONLN: return conf(12);
    case _SC_NPROCESSORS_MAX: return conf(44);
    case _SC_CPUID_MAX: return conf(45);
    case _SC_STREAM_MAX: return 256;
    case _SC_TZNAME_MAX: return -1;
    case _SC_DELAYTIMER_MAX: return INT_MAX;
    case _SC_FSYNC: case _SC_MAPPED_FILES: case _SC_MEMLOCK: case _SC_MEMLOCK_RANGE: case _SC_MEMORY_PROTECTION:
    case _SC_REALTIME_SIGNALS: case _SC_SEMAPHORES: case _SC_TIMERS: case _SC_SYNCHRONIZED_IO:
    case _SC_THREADS: case _SC_THREAD_ATTR_STACKADDR: case _SC_THREAD_ATTR_STACKSIZE: case _SC_THREAD_PROCESS_SHARED:
    case _SC_THREAD_SAFE_FUNCTIONS: case _SC_BARRIERS: case _SC_CLOCK_SELECTION: case _SC_CPUTIME:
    case _SC_MONOTONIC_CLOCK: case _SC_READER_WRITER_LOCKS: case _SC_SPAWN: case _SC_SPIN_LOCKS:
    case _SC_THREAD_CPUTIME: case _SC_TIMEOUTS: case _SC_IPV6: case _SC_RAW_SOCKETS: return 200112;
    case _SC_REGEXP: case _SC_SHELL: return 1;
    case _SC_RTSIG_MAX: return 32;
    case _SC_SIGRT_MIN: return SIGRTMIN;
    case _SC_SIGRT_MAX: return SIGRTMAX;
    case _SC_SEM_NSEMS_MAX: return INT_MAX;
    case _SC_SEM_VALUE_MAX: return INT_MAX;
    case _SC_SIGQUEUE_MAX: return conf(22);
    case _SC_TIMER_MAX: return conf(25);
    case _SC_BC_BASE_MAX: case _SC_BC_SCALE_MAX: return 99;
    case _SC_BC_DIM_MAX: return 2048;
    case _SC_BC_STRING_MAX: return 1000;
    case _SC_COLL_WEIGHTS_MAX: return 10;
    case _SC_EXPR_NEST_MAX: return 32;
    case _SC_LINE_MAX: return LINE_MAX;
    case _SC_RE_DUP_MAX: return 255;
    case _SC_XOPEN_CRYPT: case _SC_XOPEN_ENH_I18N: case _SC_XOPEN_SHM: return 1;
    case _SC_XOPEN_XCU_VERSION: return 4;
    case _SC_ATEXIT_MAX: return -1;
    case _SC_IOV_MAX: return 1024;
    case _SC_PHYS_PAGES: return conf(26);
    case _SC_AVPHYS_PAGES: return conf(27);
    case _SC_STACK_PROT: return 3;
    case _SC_THREAD_DESTRUCTOR_ITERATIONS: return 4;
    case _SC_GETGR_R_SIZE_MAX: return 7296;
    case _SC_GETPW_R_SIZE_MAX: return 1024;
    case _SC_LOGIN_NAME_MAX: return LOGIN_NAME_MAX;
    case _SC_THREAD_KEYS_MAX: return PTHREAD_KEYS_MAX;
    case _SC_THREAD_STACK_MIN: return PTHREAD_STACK_MIN;
    case _SC_THREAD_THREADS_MAX: return -1;
    case _SC_TTY_NAME_MAX: return TTY_NAME_MAX;
    case _SC_HOST_NAME_MAX: return HOST_NAME_MAX;
    case _SC_SYMLOOP_MAX: return conf(46);
    case _SC_AIO_LISTIO_MAX: case _SC_AIO_MAX: case _SC_AIO_PRIO_DELTA_MAX: case _SC_ASYNCHRONOUS_IO:
    case _SC_MESSAGE_PASSING: case _SC_MQ_OPEN_MAX: case _SC_MQ_PRIO_MAX: case _SC_PRIORITIZED_IO:
    case _SC_PRIORITY_SCHEDULING: case _SC_SHARED_MEMORY_OBJECTS: case _SC_2_C_DEV: case _SC_2_C_VERSION:
    case _SC_2_LOCALEDEF: case _SC_2_SW_DEV: case _SC_2_UPE: case _SC_THREAD_PRIORITY_SCHEDULING:
    case _SC_THREAD_PRIO_INHERIT: case _SC_THREAD_PRIO_PROTECT: return -1;
    default: errno = EINVAL; return -1;
    }
}
size_t confstr(int name, char *b, size_t n)
{
    static const char path[] = "/usr/xpg4/bin:/usr/ccs/bin:/usr/bin:/opt/SUNWspro/bin";

    if (name != _CS_PATH) {
        errno = EINVAL;
        return 0;
    }
    if (n)
        strlcpy(b, path, n);
    return sizeof(path);
}

long syscall(int nr, ...)
{
    __builtin_va_list ap;

    __builtin_va_start(ap, nr);
    long a = __builtin_va_arg(ap, long), b = __builtin_va_arg(ap, long), c = __builtin_va_arg(ap, long),
         d = __builtin_va_arg(ap, long), e = __builtin_va_arg(ap, long), f = __builtin_va_arg(ap, long);
    __builtin_va_end(ap);
    return ret_errno(raw_call(NULL, nr, a, b, c, d, e, f));
}

int getentropy(void *b, size_t n)
{
    if (n > 256) {
        errno = EIO;
        return -1;
    }
    return ret_errno(RAW(SYS_getrandom, b, n, 0)) < 0 ? -1 : 0;
}
ssize_t getrandom(void *, size_t, unsigned int);
ssize_t getrandom(void *b, size_t n, unsigned int fl) { return ret_errno(CANCELABLE(RAW(SYS_getrandom, b, n, fl))); }
void arc4random_buf(void *b, size_t n)
{
    for (char *p = b; n;) {
        long r = RAW(SYS_getrandom, p, n > 1024 ? 1024 : n, 0);
        if (RAW_FAILED(r))
            abort();
        p += r;
        n -= (size_t)r;
    }
}
uint32_t arc4random(void)
{
    uint32_t v;

    arc4random_buf(&v, sizeof(v));
    return v;
}
uint32_t arc4random_uniform(uint32_t n)
{
    uint32_t v;

    if (n < 2)
        return 0;
    do
        v = arc4random();
    while (v < -n % n);
    return v % n;
}

/* --- event ports --- */

int port_create(void) { R(RAW(SYS_port, 0x100, 0, 0, 0, 0, 0)); }
int port_associate(int p, int src, uintptr_t o, int ev, void *u) { R(RAW(SYS_port, 1, p, src, o, ev, u)); }
int port_dissociate(int p, int src, uintptr_t o) { R(RAW(SYS_port, 2, p, src, o, 0, 0)); }
int port_send(int p, int ev, void *u) { R(RAW(SYS_port, 3, p, ev, u, 0, 0)); }
int port_sendn(int p[], int err[], unsigned n, int ev, void *u) { R(RAW(SYS_port, 4 | 0x100, p, err, n, ev, u)); }
int port_get(int p, port_event_t *e, struct timespec *t)
{
    /* the call takes the timeout in pieces: seconds, nanoseconds, pointer */
    R(CANCELABLE(t ? RAW(SYS_port, 5, p, e, t->tv_sec, t->tv_nsec, t) : RAW(SYS_port, 5, p, e, 0, 0, 0)));
}
int port_getn(int p, port_event_t l[], unsigned max, unsigned *n, struct timespec *t)
{
    long r = CANCELABLE(RAW(SYS_port, 6, p, l, max, *n, t));

    if (RAW_FAILED(r))
        return (int)ret_errno(r);
    *n = (unsigned)r;           /* low half: events delivered */
    if ((int)(r >> 32)) {       /* high half: ETIME, with events delivered all the same */
        errno = (int)(r >> 32);
        return -1;
    }
    return 0;
}
int port_alert(int p, int fl, int ev, void *u) { R(RAW(SYS_port, 7, p, fl, ev, u, 0)); }

/* --- resource controls --- */

struct rctlblk {
    uint64_t value, enforced;
    int privilege;
    unsigned global_flags, syslog, local_action;
    int local_signal, pid;
    uint64_t firing_time;
};
size_t rctlblk_size(void) { return sizeof(struct rctlblk); }
int getrctl(const char *name, rctlblk_t *o, rctlblk_t *n, int fl) { R(RAW(SYS_rctlsys, 0, name, o, n, 0, fl)); }
int setrctl(const char *name, rctlblk_t *o, rctlblk_t *n, int fl) { R(RAW(SYS_rctlsys, 1, name, o, n, 0, fl)); }
rctl_qty_t rctlblk_get_value(rctlblk_t *b) { return b->value; }
rctl_priv_t rctlblk_get_privilege(rctlblk_t *b) { return b->privilege; }
unsigned rctlblk_get_local_action(rctlblk_t *b, int *sig)
{
    if (sig)
        *sig = b->local_signal;
    return b->local_action & 0x0fffffff;
}
unsigned rctlblk_get_local_flags(rctlblk_t *b) { return b->local_action & 0xf0000000; }
unsigned rctlblk_get_global_flags(rctlblk_t *b) { return b->global_flags; }

int getmsg(int fd, struct strbuf *c, struct strbuf *d, int *fl) { R(CANCELABLE(RESTART(RAW(SYS_getmsg, fd, c, d, fl)))); }
int putmsg(int fd, const struct strbuf *c, const struct strbuf *d, int fl) { R(CANCELABLE(RESTART(RAW(SYS_putmsg, fd, c, d, fl)))); }
int isastream(int fd)
{
    long r = RAW(SYS_ioctl, fd, 0x5322, 0); /* I_CANPUT: only streams know it */
    if (r == -EBADF) {
        errno = EBADF;
        return -1;
    }
    return !RAW_FAILED(r);
}
