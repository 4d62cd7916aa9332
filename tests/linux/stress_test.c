/*
 * Many processes and threads, each checking its own registers, while signals fly between them, faults are handled, files of
 * memory come and go, and processes fork. A lost wake-up shows as a run that does not end, a mixed-up register as a wrong sum.
 * SUNDOG_STRESS_SECONDS: how long (5); SUNDOG_STRESS_PROCESSES, SUNDOG_STRESS_THREADS: how many in all (24, 200).
 */
#include "check.h"

#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <linux/futex.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64

struct shared {
    int stop;                 /* (a) */
    long rounds, signals, faults, forks, wakes; /* (a) */
    long bad;                 /* (a) */
    int turn[128];            /* futexes between threads of two processes */
};
static struct shared *sh;
static int have_avx, have_avx512;
static pthread_t threads[MAX_THREADS];
static int nthreads, seconds, started;

static long env(const char *name, long otherwise)
{
    const char *s = getenv(name);
    return s && *s ? atol(s) : otherwise;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define ADD(field) __atomic_add_fetch(&sh->field, 1, __ATOMIC_RELAXED)

static void wrong(const char *what)
{
    ADD(bad);
    fprintf(stderr, "stress: process %d, thread %d: %s\n", (int)getpid(), (int)syscall(SYS_gettid), what);
}

/* General registers and the low vector registers hold functions of the seed across a call, a fault, and whatever comes. */
static int check_general(uint64_t seed, long nr, volatile char *page)
{
    uint64_t in[4] = { seed, (uint64_t)nr, (uint64_t)(uintptr_t)page, 0 }, *at = in;

    __asm__ volatile(
        "add $-128, %%rsp\n push %%rbp\n sub $256, %%rsp\n mov %[in], 240(%%rsp)\n"
        "mov (%[in]), %%rbp\n mov 8(%[in]), %%rax\n mov 16(%[in]), %%r15\n"
        "lea 1(%%rbp), %%rbx\n lea 2(%%rbp), %%rsi\n mov $-1, %%rdi\n lea 4(%%rbp), %%r8\n lea 5(%%rbp), %%r9\n"
        "lea 6(%%rbp), %%r10\n lea 7(%%rbp), %%rdx\n lea 8(%%rbp), %%r12\n lea 9(%%rbp), %%r13\n lea 10(%%rbp), %%r14\n"
        "movq %%rbp, %%xmm0\n movq %%rbx, %%xmm5\n movq %%r12, %%xmm9\n movq %%r13, %%xmm15\n"
        "mov %%rbp, -8(%%rsp)\n mov %%rbx, -120(%%rsp)\n"
        "syscall\n"
        "movb $1, (%%r15)\n" /* perhaps a fault */
        "xor %%eax, %%eax\n"
        "lea 1(%%rbp), %%rcx\n cmp %%rcx, %%rbx\n jne 2f\n lea 2(%%rbp), %%rcx\n cmp %%rcx, %%rsi\n jne 2f\n"
        "cmp $-1, %%rdi\n jne 2f\n lea 4(%%rbp), %%rcx\n cmp %%rcx, %%r8\n jne 2f\n"
        "lea 5(%%rbp), %%rcx\n cmp %%rcx, %%r9\n jne 2f\n lea 6(%%rbp), %%rcx\n cmp %%rcx, %%r10\n jne 2f\n"
        "lea 7(%%rbp), %%rcx\n cmp %%rcx, %%rdx\n jne 2f\n lea 8(%%rbp), %%rcx\n cmp %%rcx, %%r12\n jne 2f\n"
        "lea 9(%%rbp), %%rcx\n cmp %%rcx, %%r13\n jne 2f\n lea 10(%%rbp), %%rcx\n cmp %%rcx, %%r14\n jne 2f\n"
        "movq %%xmm0, %%rcx\n cmp %%rcx, %%rbp\n jne 2f\n movq %%xmm5, %%rcx\n cmp %%rcx, %%rbx\n jne 2f\n"
        "movq %%xmm9, %%rcx\n cmp %%rcx, %%r12\n jne 2f\n movq %%xmm15, %%rcx\n cmp %%rcx, %%r13\n jne 2f\n"
        "cmp -8(%%rsp), %%rbp\n jne 2f\n cmp -120(%%rsp), %%rbx\n jne 2f\n"
        "mov 240(%%rsp), %%rcx\n cmp (%%rcx), %%rbp\n je 1f\n"
        "2: mov $1, %%eax\n 1: mov 240(%%rsp), %%rcx\n mov %%rax, 24(%%rcx)\n add $256, %%rsp\n pop %%rbp\n sub $-128, %%rsp\n"
        : [in] "+c"(at)
        :
        : "rax", "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm5", "xmm9", "xmm15",
          "memory", "cc");
    return in[3] == 0;
}

/* The upper halves, and the registers only AVX-512 has. */
__attribute__((target("avx"))) static int check_avx(uint64_t seed)
{
    uint64_t a[4] = { seed, ~seed, seed * 3, seed ^ 0x5555 }, b[4] = { 0 }, c[4] = { 0 };
    __asm__ volatile("vmovups (%1), %%ymm3\n vmovups (%1), %%ymm14\n mov $39, %%eax\n syscall\n vmovups %%ymm3, (%2)\n vmovups %%ymm14, (%3)"
                     : : "a"(0), "r"(a), "r"(b), "r"(c) : "rcx", "r11", "xmm3", "xmm14", "memory");
    return !memcmp(a, b, sizeof(a)) && !memcmp(a, c, sizeof(a));
}

__attribute__((target("avx512f"))) static int check_avx512(uint64_t seed)
{
    uint64_t a[8], b[8] = { 0 }, k = 0;
    for (int i = 0; i < 8; i++) a[i] = seed * (uint64_t)(i + 1);
    __asm__ volatile("vmovups (%2), %%zmm20\n kmovw %k4, %%k3\n mov $39, %%eax\n syscall\n vmovups %%zmm20, (%3)\n kmovw %%k3, %k0"
                     : "=r"(k) : "a"(0), "r"(a), "r"(b), "r"((uint32_t)seed & 0xffff) : "rcx", "r11", "xmm20", "k3", "memory");
    return !memcmp(a, b, sizeof(a)) && k == (seed & 0xffff);
}

static void on_signal(int s)
{
    uint64_t x = (uint64_t)s * 0x1020304050607ULL;
    static char page[4096];
    if (!check_general(x, SYS_getpid, page)) wrong("registers in a handler");
    if (have_avx && !check_avx(x)) wrong("AVX registers in a handler");
    ADD(signals);
}

/* A fault that the program itself mends: its page was made unreadable. */
static _Thread_local char *own_page;
static void on_segv(int s, siginfo_t *si, void *u)
{
    (void)s;
    (void)u;
    char *p = own_page;
    if (!p || (char *)si->si_addr < p || (char *)si->si_addr >= p + 4096) {
        static const char m[] = "stress: a fault at an address of nobody\n";
        ADD(bad);
        if (write(2, m, sizeof(m) - 1) < 0) {}
        _exit(1);
    }
    mprotect(p, 4096, PROT_READ | PROT_WRITE);
    ADD(faults);
}

static int stopped(void) { return __atomic_load_n(&sh->stop, __ATOMIC_ACQUIRE); }

/* Two threads take turns on one word, across processes. */
static void take_turn(int pair, int side)
{
    int *w = &sh->turn[pair];
    struct timespec t = { 0, 100000000 };

    for (int i = 0; i < 20 && !stopped(); i++) {
        int v = __atomic_load_n(w, __ATOMIC_SEQ_CST);
        if ((v & 1) == side) {
            __atomic_store_n(w, v + 1, __ATOMIC_SEQ_CST);
            syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0);
            ADD(wakes);
        } else {
            syscall(SYS_futex, w, FUTEX_WAIT, v, &t, NULL, 0); /* nobody may be there any more: the time limit */
        }
    }
}

struct job { int process, index; };

static void *worker(void *arg)
{
    struct job *j = arg;
    uint64_t seed = (uint64_t)j->process << 32 ^ (uint64_t)j->index << 16 ^ 0x9e3779b97f4a7c15ULL;
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    own_page = page;
    while (!stopped()) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        if (!check_general(seed, seed & 1 ? SYS_getppid : SYS_sched_yield, page)) wrong("general registers");
        if (have_avx && !check_avx(seed)) wrong("AVX registers");
        if (have_avx512 && !check_avx512(seed)) wrong("AVX-512 registers");
        switch (seed >> 60) {
        case 0: mprotect(page, 4096, PROT_NONE); break;
        case 1: madvise(page, 4096, MADV_DONTNEED); break;
        case 2: {
            int n = __atomic_load_n(&started, __ATOMIC_ACQUIRE);
            if (n) pthread_kill(threads[(seed >> 8) % (unsigned)n], SIGUSR1);
            break;
        }
        case 3: take_turn((j->process / 2 * 5 + j->index % 5) % 128, j->process & 1); break;
        default: break;
        }
        ADD(rounds);
    }
    return NULL;
}

static void process(int number, int n)
{
    static struct job jobs[MAX_THREADS];
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, segv = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };
    struct itimerval it = { { 0, 3000 }, { 0, 3000 } };

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    sigaction(SIGSEGV, &segv, NULL);
    nthreads = n;
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){ number, i };
        CHECK(pthread_create(&threads[i], NULL, worker, &jobs[i]) == 0);
        __atomic_store_n(&started, i + 1, __ATOMIC_RELEASE);
    }
    setitimer(ITIMER_REAL, &it, NULL);
    for (double end = now() + seconds; now() < end;) {
        if (number % 6 == 0) {
            pid_t p = fork();
            if (p == 0) {
                static char page[4096];
                _exit(check_general((uint64_t)getpid() << 20, SYS_getppid, page) ? 0 : 1);
            }
            int st = 0;
            while (p > 0 && waitpid(p, &st, 0) < 0 && errno == EINTR) {}
            if (p > 0 && st) wrong("a child's registers");
            ADD(forks);
        }
        usleep(20000);
    }
    __atomic_store_n(&sh->stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    it.it_interval.tv_usec = it.it_value.tv_usec = 0;
    setitimer(ITIMER_REAL, &it, NULL);
}

static void stress(void)
{
    int processes = (int)env("SUNDOG_STRESS_PROCESSES", 24), all = (int)env("SUNDOG_STRESS_THREADS", 200), left = all;
    unsigned a, b = 0, c = 0, d;

    seconds = (int)env("SUNDOG_STRESS_SECONDS", 5);
    if (__get_cpuid(1, &a, &b, &c, &d)) have_avx = (c >> 28 & 1) && (c >> 27 & 1);
    if (have_avx && __get_cpuid_count(7, 0, &a, &b, &c, &d)) have_avx512 = b >> 16 & 1;
    if (have_avx) {
        uint32_t lo, hi;
        __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        have_avx = (lo & 6) == 6;
        have_avx512 = have_avx512 && (lo & 0xe6) == 0xe6;
    }
    sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sh != MAP_FAILED);
    for (int i = 0; i < processes; i++) {
        int n = left / (processes - i);
        left -= n;
        pid_t p = fork();
        CHECK(p >= 0);
        if (p) continue;
        CHECK(n <= MAX_THREADS);
        process(i, n);
        exit(0);
    }
    int st, failed = 0;
    for (int i = 0; i < processes; i++) {
        while (wait(&st) < 0) CHECK(errno == EINTR);
        failed += st != 0;
    }
    printf("%d processes, %d threads, %d s: %ld rounds, %ld signals, %ld faults, %ld forks, %ld turns, %ld wrong%s%s\n", processes, all,
           seconds, sh->rounds, sh->signals, sh->faults, sh->forks, sh->wakes, sh->bad, have_avx ? ", AVX" : "", have_avx512 ? ", AVX-512" : "");
    CHECK(!failed && !sh->bad && sh->rounds > 0 && sh->signals > 0);
}

TEST_MAIN(CASE(stress))
