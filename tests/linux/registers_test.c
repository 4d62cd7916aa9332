/*
 * Registers survive whatever interrupts a program: threads compute in all general, x87, SSE and AVX registers while signals hit
 * them at any instruction, faults are handled in between, and system calls are made. A platform that loses or mixes up
 * one register in one of a million switches fails here.
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define SECONDS 2

static int stop;
static long signals, bad, rounds;
static pthread_t threads[THREADS];

static void on_signal(int sig)
{
    /* Leaves its mark in every register a caller might hope to keep. */
    double x = (double)sig;
    for (int i = 0; i < 8; i++) x = x * 1.5 + 1;
    __asm__ volatile("pxor %%xmm0,%%xmm0; pcmpeqb %%xmm7,%%xmm7; pcmpeqb %%xmm15,%%xmm15; xor %%r8d,%%r8d" ::: "xmm0", "xmm7",
                     "xmm15", "r8");
    if (x > 0) __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

/*
 * All registers but rsp hold functions of `seed`; a loop long enough to be interrupted; then their combination. With nr >= 0
 * also a system call in each turn.
 */
static uint64_t churn(uint64_t seed, uint64_t turns, uint64_t call)
{
    uint64_t out, in[3] = { seed, turns, call }, *at = in;

    __asm__ volatile(
        "push %%rbp\n"
        "mov 0(%[in]), %%rbp\n"
        "mov 16(%[in]), %%r13\n"
        "mov 8(%[in]), %%r12\n"
        "lea 1(%%rbp), %%rbx\n lea 2(%%rbp), %%rsi\n lea 3(%%rbp), %%rdi\n lea 4(%%rbp), %%r8\n"
        "lea 5(%%rbp), %%r9\n lea 6(%%rbp), %%r10\n lea 7(%%rbp), %%rdx\n lea 8(%%rbp), %%r14\n lea 9(%%rbp), %%r15\n"
        "movq %%rbp, %%xmm0\n movq %%rbx, %%xmm1\n movq %%rsi, %%xmm7\n movq %%rdi, %%xmm15\n movq %%r8, %%mm3\n"
        "punpcklqdq %%xmm1, %%xmm0\n punpcklqdq %%xmm15, %%xmm7\n"
        "1:\n"
        "add %%rbx, %%rbp\n rol $7, %%rbp\n xor %%rsi, %%rbx\n add %%rdi, %%rsi\n rol $3, %%rsi\n xor %%r8, %%rdi\n"
        "add %%r9, %%r8\n adc %%r10, %%r9\n sbb %%rdx, %%r10\n rcl $1, %%rdx\n xor %%r14, %%rdx\n add %%r15, %%r14\n"
        "ror $11, %%r14\n add %%rbp, %%r15\n"
        "paddq %%xmm7, %%xmm0\n pxor %%xmm0, %%xmm7\n paddq %%xmm15, %%xmm7\n paddq %%mm3, %%mm3\n"
        "test %%r13, %%r13\n js 2f\n"
        "mov %%r13, %%rax\n syscall\n"
        "2: dec %%r12\n jnz 1b\n"
        "movq %%xmm0, %%rax\n xor %%rax, %%rbp\n punpckhqdq %%xmm7, %%xmm7\n movq %%xmm7, %%rax\n xor %%rax, %%rbp\n"
        "movq %%mm3, %%rax\n xor %%rax, %%rbp\n emms\n"
        "xor %%rbx, %%rbp\n xor %%rsi, %%rbp\n xor %%rdi, %%rbp\n xor %%r8, %%rbp\n xor %%r9, %%rbp\n xor %%r10, %%rbp\n"
        "xor %%rdx, %%rbp\n xor %%r14, %%rbp\n xor %%r15, %%rbp\n"
        "mov %%rbp, %%rax\n pop %%rbp\n"
        : "=a"(out), [in] "+c"(at)
        :
        : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm7",
          "xmm15", "mm3", "memory", "cc");
    return out;
}

/* The upper halves of AVX registers, over a while of computing. True: kept. */
static int wide_kept(uint64_t seed)
{
    uint64_t in[4] = { seed, ~seed, seed * 3, seed * 5 }, out[8] = { 0 };

    if (!__builtin_cpu_supports("avx")) return 1;
    __asm__ volatile("vmovdqu (%0), %%ymm9\n vmovdqu (%0), %%ymm14\n mov $30000, %%ecx\n 1: dec %%ecx\n jnz 1b\n"
                     "mov $110, %%eax\n syscall\n"
                     "vmovdqu %%ymm9, (%1)\n vmovdqu %%ymm14, 32(%1)\n vzeroupper\n"
                     :: "r"(in), "r"(out) : "rax", "rcx", "r11", "xmm9", "xmm14", "memory");
    return memcmp(in, out, 32) == 0 && memcmp(in, out + 4, 32) == 0;
}

static void *worker(void *arg)
{
    uint64_t seed = 0x9e3779b97f4a7c15ull * ((uintptr_t)arg + 1);
    /* rdi, rsi, rdx... are arguments; getppid takes none. */
    uint64_t quiet = churn(seed, 20000, ~0ull), calls = churn(seed, 50, SYS_getppid);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        if (churn(seed, 20000, ~0ull) != quiet) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
        if (churn(seed, 50, SYS_getppid) != calls) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
        if (!wide_kept(seed + (uint64_t)rounds)) __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
        madvise(page, 4096, MADV_DONTNEED);
        *(volatile char *)page = 1;
        __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_registers_under_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct itimerval tick = { { 0, 1000 }, { 0, 1000 } };
    time_t end;

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, worker, (void *)i) == 0);
    setitimer(ITIMER_REAL, &tick, NULL);
    for (end = time(NULL) + SECONDS; time(NULL) < end;) {
        for (int i = 0; i < THREADS; i++) pthread_kill(threads[i], SIGUSR1);
        usleep(300);
    }
    memset(&tick, 0, sizeof(tick));
    setitimer(ITIMER_REAL, &tick, NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    printf("%ld signals, %ld rounds\n", signals, rounds);
    CHECK(bad == 0);
    CHECK(signals > 10 && rounds > 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(test_registers_under_signals) };
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
