/*
 * Tasks that wake each other in turn, by futexes and by pipes: no wake is lost, no register, no signal, whatever comes between;
 * and one that is woken by a task which then does not wait as it always did starts all the same.
 */
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 20 /* for what takes no time at all */

static uint32_t fw[3];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * The call with its own pattern in registers that it must not change, vector registers among them. Returns what the kernel
 * does; a lost register ends the program.
 */
static long futex_call(uint32_t *word, long op, uint32_t val)
{
    register const struct timespec *timeout __asm__("r10") = NULL;
    uint64_t in[4] = { (uintptr_t)word * 3, val * 7u + (unsigned)op, (uintptr_t)&val, val }, out[4] = { 0 };
    long ret = SYS_futex;

    __asm__ volatile("movdqu (%[in]), %%xmm7\n\t movdqu 16(%[in]), %%xmm15\n\t"
                     "syscall\n\t"
                     "movdqu %%xmm7, (%[out])\n\t movdqu %%xmm15, 16(%[out])"
                     : "+a"(ret)
                     : [in] "r"(in), [out] "r"(out), "D"(word), "S"(op), "d"(val), "r"(timeout)
                     : "rcx", "r11", "memory", "xmm7", "xmm15");
    CHECK(memcmp(in, out, sizeof(in)) == 0);
    return ret;
}

static void fwait(uint32_t *w, uint32_t v)
{
    while (__atomic_load_n(w, __ATOMIC_ACQUIRE) == v) {
        long r = futex_call(w, FUTEX_WAIT_PRIVATE, v);
        CHECK(r == 0 || r == -EAGAIN || r == -EINTR);
    }
}

static void fset(uint32_t *w, uint32_t v)
{
    __atomic_store_n(w, v, __ATOMIC_RELEASE);
    CHECK(futex_call(w, FUTEX_WAKE_PRIVATE, 1) >= 0);
}

struct ring { uint32_t *from, *to; long n; };

static void *pass_on(void *arg)
{
    struct ring *r = arg;
    for (long i = 1; i <= r->n; i++) {
        fwait(r->from, (uint32_t)i - 1);
        fset(r->to, (uint32_t)i);
    }
    return NULL;
}

static void rounds(uint32_t *to, uint32_t *from, long first, long last)
{
    for (long i = first; i <= last; i++) {
        fset(to, (uint32_t)i);
        fwait(from, (uint32_t)i - 1);
    }
}

static void futex_two(void)
{
    for (int k = 0; k < 2; k++) {
        struct ring r = { &fw[0], &fw[1], 2000 };
        pthread_t t;
        fw[0] = fw[1] = 0;
        CHECK(pthread_create(&t, NULL, pass_on, &r) == 0);
        rounds(&fw[0], &fw[1], 1, r.n);
        CHECK(pthread_join(t, NULL) == 0);
    }
}

static void futex_three(void)
{
    struct ring r[2] = { { &fw[0], &fw[1], 2000 }, { &fw[1], &fw[2], 2000 } };
    pthread_t t[2];
    fw[0] = fw[1] = fw[2] = 0;
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&t[i], NULL, pass_on, &r[i]) == 0);
    rounds(&fw[0], &fw[2], 1, 2000);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
}

static volatile int alarms;
static void on_alarm(int s) { alarms += s == SIGALRM; }

/* Signals that interrupt the waits, with and without a restart. */
static void futex_signals(void)
{
    for (int flags = 0; flags < 2; flags++) {
        struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags ? SA_RESTART : 0 };
        struct itimerval it = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
        alarms = 0;
        CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
        futex_two();
        CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
        CHECK(alarms > 0);
    }
}

/* A pair that has found its pace, then one of the two does something else after the wake. */
static uint32_t done;

static void *partner(void *arg)
{
    long n = (long)arg;
    for (long i = 1; i <= n; i++) {
        fwait(&fw[0], (uint32_t)i - 1);
        if (i == n) __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
        fset(&fw[1], (uint32_t)i);
    }
    return NULL;
}

static int seen(void) { return __atomic_load_n(&done, __ATOMIC_SEQ_CST) != 0; }
static void computes(void)
{
    double end = now() + LIMIT_S;
    while (!seen() && now() < end) ;
}
static void makes_calls(void)
{
    double end = now() + LIMIT_S;
    while (!seen() && now() < end) syscall(SYS_getppid);
}
static void sleeps(void)
{
    double end = now() + LIMIT_S;
    struct timespec t = { 0, 10000000 };
    while (!seen() && now() < end) nanosleep(&t, NULL);
}
static void *poke_one(void *arg)
{
    char c = 1;
    while (!seen()) usleep(100);
    CHECK(write(*(int *)arg, &c, 1) == 1);
    return NULL;
}
static void waits_for_a_third(void)
{
    int p[2];
    char c;
    pthread_t t;
    CHECK(pipe(p) == 0 && pthread_create(&t, NULL, poke_one, &p[1]) == 0);
    CHECK(read(p[0], &c, 1) == 1);
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static void woken_starts_anyway(void)
{
    static void (*const instead[])(void) = { computes, makes_calls, sleeps, waits_for_a_third };
    for (unsigned k = 0; k < 4 * sizeof(instead) / sizeof(*instead); k++) {
        enum { N = 500 };
        pthread_t t;
        fw[0] = fw[1] = done = 0;
        CHECK(pthread_create(&t, NULL, partner, (void *)N) == 0);
        rounds(&fw[0], &fw[1], 1, N - 1);
        fset(&fw[0], N);
        instead[k % (sizeof(instead) / sizeof(*instead))]();
        CHECK(seen());
        fwait(&fw[1], N - 1);
        pthread_join(t, NULL);
    }
}

static void echo_child(int from, int to, int leave_after)
{
    char c;
    for (int i = 0; read(from, &c, 1) == 1; i++) {
        if (i == leave_after) _exit(7);
        c++;
        if (write(to, &c, 1) != 1) break;
    }
    _exit(0);
}

static pid_t start_echo(int *to, int *from, int leave_after)
{
    int a[2], b[2];
    CHECK(pipe(a) == 0 && pipe(b) == 0);
    pid_t p = fork();
    CHECK(p >= 0);
    if (!p) {
        close(a[1]);
        close(b[0]);
        echo_child(a[0], b[1], leave_after);
    }
    close(a[0]);
    close(b[1]);
    *to = a[1];
    *from = b[0];
    return p;
}

static int one_round(int to, int from, int i)
{
    char c = (char)i, d = 0;
    if (write(to, &c, 1) != 1) return -1;
    ssize_t r = read(from, &d, 1);
    if (r == 1) CHECK(d == (char)(i + 1));
    return (int)r;
}

static void pipe_two(void)
{
    int to, from, status;
    pid_t p = start_echo(&to, &from, -1);
    for (int i = 0; i < 1000; i++) CHECK(one_round(to, from, i) == 1);
    close(to);
    CHECK(waitpid(p, &status, 0) == p && status == 0);
    close(from);
}

/* The partner ends by itself, or is killed while one of the two waits for the other. */
static void pipe_partner_ends(void)
{
    for (int k = 0; k < 10; k++) {
        int to, from, status, r = 1;
        signal(SIGPIPE, SIG_IGN);
        pid_t p = start_echo(&to, &from, k & 1 ? 300 + k : -1), killer = 0;
        if (!(k & 1)) {
            killer = fork();
            if (!killer) {
                usleep(5000 + (useconds_t)k * 600);
                kill(p, SIGKILL);
                _exit(0);
            }
        }
        for (int i = 0; r == 1; i++) r = one_round(to, from, i);
        CHECK(r == 0 || (r == -1 && errno == EPIPE));
        CHECK(waitpid(p, &status, 0) == p);
        CHECK(k & 1 ? WIFEXITED(status) && WEXITSTATUS(status) == 7 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (killer) CHECK(waitpid(killer, NULL, 0) == killer);
        close(to);
        close(from);
    }
}

/* Stopped and continued in the middle; and with signals to both. */
static void pipe_stops(void)
{
    int to, from, status;
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct itimerval it = { { 0, 900 }, { 0, 900 } }, off = { { 0, 0 }, { 0, 0 } };
    pid_t p = start_echo(&to, &from, -1);
    pid_t stopper = fork();
    if (!stopper) {
        for (int i = 0; i < 30; i++) {
            usleep(1000);
            kill(p, SIGSTOP);
            usleep(500);
            kill(p, SIGCONT);
        }
        _exit(0);
    }
    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
    for (int i = 0; i < 1200; i++) CHECK(one_round(to, from, i) == 1);
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    CHECK(waitpid(stopper, NULL, 0) == stopper);
    close(to);
    CHECK(waitpid(p, &status, 0) == p && status == 0);
    close(from);
}

/* The descriptor is closed while a read waits on it: the read keeps the pipe, and gets what is written. */
struct reader { int fd; ssize_t r; char c; };
static void *read_one(void *arg)
{
    struct reader *r = arg;
    r->r = read(r->fd, &r->c, 1);
    return NULL;
}

static void closed_while_waiting(void)
{
    int p[2], to, from, status;
    struct reader r = { .r = -2 };
    pthread_t t;
    pid_t child = start_echo(&to, &from, -1);
    for (int i = 0; i < 500; i++) CHECK(one_round(to, from, i) == 1); /* waits in turn, so that the read below may be of that kind */
    CHECK(pipe(p) == 0);
    r.fd = p[0];
    CHECK(pthread_create(&t, NULL, read_one, &r) == 0);
    usleep(50000);
    close(p[0]);
    /* The last reader is that thread, if the kernel keeps it; natively it does. */
    CHECK(write(p[1], "x", 1) == 1);
    pthread_join(t, NULL);
    CHECK(r.r == 1 && r.c == 'x');
    close(p[1]);
    close(to);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(from);
}

/* A buffer that is not there, once there is something to read. */
static void bad_buffer(void)
{
    int to, from, status;
    pid_t p = start_echo(&to, &from, -1);
    for (int i = 0; i < 1000; i++) {
        CHECK(one_round(to, from, i) == 1);
        if (i % 100 != 99) continue;
        CHECK(write(to, "y", 1) == 1);
        CHECK_ERR(syscall(SYS_read, from, 16L, 1L), EFAULT);
        char c;
        CHECK(read(from, &c, 1) == 1 && c == 'z');
    }
    close(to);
    CHECK(waitpid(p, &status, 0) == p && status == 0);
    close(from);
}

/* Several pairs at once, more than there are CPUs. */
static void many_pairs(void)
{
    pid_t p[4];
    int status;
    for (int i = 0; i < 4; i++) {
        p[i] = fork();
        CHECK(p[i] >= 0);
        if (p[i]) continue;
        pipe_two();
        futex_two();
        exit(0);
    }
    for (int i = 0; i < 4; i++) CHECK(waitpid(p[i], &status, 0) == p[i] && status == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(futex_two), CASE(futex_three), CASE(futex_signals), CASE(woken_starts_anyway), CASE(pipe_two),
        CASE(pipe_partner_ends), CASE(pipe_stops), CASE(closed_while_waiting), CASE(bad_buffer), CASE(many_pairs),
    };
    return run_cases(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
