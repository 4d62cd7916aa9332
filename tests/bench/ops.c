/*
 * Costs of single operations as a program sees them: the same static binary runs natively, in the sandbox on each
 * platform, and in the peer. Prints one line an operation: name, nanoseconds (median of several rounds).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_ZLIB
#include <zlib.h>
#endif

#define ROUNDS 5
#define READ_FILE (64L << 20) /* sparse: reading it costs no disk */

static const char *self;
static char scratch[64] = "bench.tmp";
static int fd, rfd, ep, pp[2];
static volatile int sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void op_getppid(long n) { while (n--) sink = (int)syscall(SYS_getppid); }
static void op_pread(long n)
{
    char buf[4096];
    while (n--) if (pread(fd, buf, sizeof(buf), 0) != sizeof(buf)) die("pread");
}
static void op_read(long n)
{
    char buf[4096];
    if (lseek(rfd, 0, SEEK_SET)) die("lseek");
    while (n--) if (read(rfd, buf, sizeof(buf)) != sizeof(buf)) die("read");
}
static void op_write(long n)
{
    char buf[4096] = { 0 };
    while (n--) if (pwrite(fd, buf, sizeof(buf), 4096) != sizeof(buf)) die("pwrite");
}
static void op_stat(long n)
{
    struct stat st;
    while (n--) if (stat(scratch, &st)) die("stat");
}
static void op_open(long n)
{
    while (n--) {
        int f = open(scratch, O_RDONLY);
        if (f < 0) die("open");
        close(f);
    }
}
static void op_epoll(long n)
{
    struct epoll_event e;
    char c = 0;
    while (n--) {
        if (write(pp[1], &c, 1) != 1 || epoll_wait(ep, &e, 1, -1) != 1 || read(pp[0], &c, 1) != 1) die("epoll");
    }
}
static void op_fork(long n)
{
    while (n--) {
        pid_t p = fork();
        if (p < 0) die("fork");
        if (!p) _exit(0);
        waitpid(p, NULL, 0);
    }
}
static void op_exec(long n)
{
    while (n--) {
        pid_t p = vfork();
        if (p < 0) die("vfork");
        if (!p) {
            execl(self, self, "--exit", NULL);
            _exit(127);
        }
        waitpid(p, NULL, 0);
    }
}
static void *thread_body(void *a) { return a; }
static void op_thread(long n)
{
    while (n--) {
        pthread_t t;
        if (pthread_create(&t, NULL, thread_body, NULL)) die("pthread_create");
        pthread_join(t, NULL);
    }
}
static void op_mmap(long n)
{
    while (n--) {
        char *p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) die("mmap");
        for (int i = 0; i < 16; i++) p[i * 4096] = 1;
        munmap(p, 16 * 4096);
    }
}
static void op_fault(long n)
{
    size_t len = (size_t)n * 4096;
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    for (size_t i = 0; i < len; i += 4096) p[i] = 1;
    munmap(p, len);
}
static void op_signal(long n) { while (n--) raise(SIGUSR1); }
static void on_signal(int s) { sink = s; }

/* Ping-pong: the child answers until it reads EOF. */
static void pingpong(int to, int from, long n)
{
    char c = 0;
    while (n--) if (write(to, &c, 1) != 1 || read(from, &c, 1) != 1) die("ping-pong");
}
static void echo_child(int from, int to)
{
    char c;
    while (read(from, &c, 1) == 1) if (write(to, &c, 1) != 1) break;
    _exit(0);
}
static void op_pipe(long n)
{
    int a[2], b[2];
    if (pipe(a) || pipe(b)) die("pipe");
    pid_t p = fork();
    if (!p) {
        close(a[1]);
        close(b[0]);
        echo_child(a[0], b[1]);
    }
    close(a[0]);
    close(b[1]);
    pingpong(a[1], b[0], n);
    close(a[1]);
    close(b[0]);
    waitpid(p, NULL, 0);
}
static void op_tcp(long n)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sa);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    if (l < 0 || bind(l, (struct sockaddr *)&sa, len) || listen(l, 1) || getsockname(l, (struct sockaddr *)&sa, &len)) die("listen");
    pid_t p = fork();
    if (!p) {
        int s = accept(l, NULL, NULL);
        close(l);
        echo_child(s, s);
    }
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&sa, len)) die("connect");
    close(l);
    pingpong(s, s, n);
    close(s);
    waitpid(p, NULL, 0);
}

/* The call alone: a datagram socket takes another address each time, and nothing goes over the wire. */
static void op_connect(long n)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (s < 0) die("socket");
    while (n--) if (connect(s, (struct sockaddr *)&sa, sizeof(sa))) die("connect");
    close(s);
}

static uint32_t fw[2];
static void fwait(uint32_t *w, uint32_t v) { while (__atomic_load_n(w, __ATOMIC_ACQUIRE) == v) syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0); }
static void fset(uint32_t *w, uint32_t v)
{
    __atomic_store_n(w, v, __ATOMIC_RELEASE);
    syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static void *futex_echo(void *arg)
{
    long n = (long)arg;
    for (long i = 1; i <= n; i++) {
        fwait(&fw[0], (uint32_t)(i - 1));
        fset(&fw[1], (uint32_t)i);
    }
    return NULL;
}
static void op_futex(long n)
{
    pthread_t t;
    fw[0] = fw[1] = 0;
    if (pthread_create(&t, NULL, futex_echo, (void *)n)) die("pthread_create");
    for (long i = 1; i <= n; i++) {
        fset(&fw[0], (uint32_t)i);
        fwait(&fw[1], (uint32_t)(i - 1));
    }
    pthread_join(t, NULL);
}
static void op_cpu(long n)
{
    uint64_t x = 88172645463325252ULL;
    while (n--) for (int i = 0; i < 1000; i++) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    sink = (int)x;
}
/* Sums of 64-bit products in the widest registers there are. */
typedef uint64_t vec __attribute__((vector_size(64)));
#define PRODUCTS(name, isa)                                                  \
    __attribute__((target(isa))) static void name(long n)                    \
    {                                                                        \
        vec x = { 1, 2, 3, 4, 5, 6, 7, 8 }, sum = x;                         \
        while (n--) {                                                        \
            for (int i = 0; i < 1000; i++) {                                 \
                x = x * 6364136223846793005ULL + 1442695040888963407ULL;     \
                sum ^= x >> 17;                                              \
            }                                                                \
            sink = (int)(sum[0] ^ sum[7]);                                   \
        }                                                                    \
    }
PRODUCTS(op_avx512, "avx512f,avx512dq")
PRODUCTS(op_avx2, "avx2")
static int has_avx512(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"); }
static int only_avx2(void) { return __builtin_cpu_supports("avx2") && !has_avx512(); }
#ifdef WITH_ZLIB
static void op_zlib(long n)
{
    enum { SIZE = 256 << 10 };
    static uint8_t in[SIZE], out[SIZE + SIZE / 100 + 1024];
    uint32_t x = 1;
    for (int i = 0; i < SIZE; i++) in[i] = "the quick brown fox\n"[(x = x * 1103515245 + 12345) >> 16 & 7];
    while (n--) {
        uLongf len = sizeof(out);
        if (compress2(out, &len, in, SIZE, 6) != Z_OK) die("compress2");
        sink = (int)len;
    }
}
#endif
static void op_clock(long n)
{
    struct timespec t;
    while (n--) clock_gettime(CLOCK_MONOTONIC, &t);
}

static const struct op { const char *name; void (*fn)(long); long n; } ops[] = {
    { "getppid", op_getppid, 5000 }, { "clock_gettime", op_clock, 5000 }, { "pread4k", op_pread, 5000 }, { "read4k", op_read, 5000 }, { "write4k", op_write, 5000 },
    { "stat", op_stat, 3000 }, { "open+close", op_open, 2000 }, { "epoll+pipe", op_epoll, 1500 }, { "pipe", op_pipe, 1000 },
    { "futex", op_futex, 1000 }, { "signal", op_signal, 1000 }, { "thread", op_thread, 200 }, { "fork+wait", op_fork, 50 },
    { "fork+exec", op_exec, 30 }, { "mmap+touch", op_mmap, 300 }, { "fault", op_fault, 4096 }, { "tcp", op_tcp, 1000 }, { "connect", op_connect, 2000 }, { "cpu", op_cpu, 4000 },
    { "avx512", op_avx512, 4000 }, { "avx2", op_avx2, 4000 },
#ifdef WITH_ZLIB
    { "zlib", op_zlib, 4 },
#endif
};

static int cmp(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }

static int possible(const struct op *o) { return o->fn == op_avx512 ? has_avx512() : o->fn == op_avx2 ? only_avx2() : 1; }

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--exit")) return 0;
    if (argc > 1 && !strcmp(argv[1], "--spin")) for (;;) op_cpu(1);
    self = "/proc/self/exe";
    signal(SIGUSR1, on_signal);
    fd = open(scratch, O_RDWR | O_CREAT | O_TRUNC, 0600);
    char buf[8192] = { 1 };
    if (fd < 0 || write(fd, buf, sizeof(buf)) != sizeof(buf)) die(scratch);
    rfd = open("bench-read.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (rfd < 0 || ftruncate(rfd, READ_FILE)) die("bench-read.tmp");
    ep = epoll_create1(0);
    if (pipe(pp)) die("pipe");
    struct epoll_event e = { .events = EPOLLIN };
    if (epoll_ctl(ep, EPOLL_CTL_ADD, pp[0], &e)) die("epoll_ctl");
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        int wanted = argc == 1;
        for (int a = 1; a < argc; a++) wanted |= !strcmp(argv[a], ops[i].name);
        if (!wanted || !possible(&ops[i])) continue;
        double t[ROUNDS];
        ops[i].fn(ops[i].n / 10 + 1);
        for (int r = 0; r < ROUNDS; r++) {
            double start = now();
            ops[i].fn(ops[i].n);
            t[r] = (now() - start) / (double)ops[i].n;
        }
        qsort(t, ROUNDS, sizeof(*t), cmp);
        printf("%s %.0f\n", ops[i].name, t[ROUNDS / 2]);
        fflush(stdout);
    }
    unlink(scratch);
    unlink("bench-read.tmp");
    return 0;
}
