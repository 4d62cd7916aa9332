/*
 * Busy system-call sites. A sandbox may replace the instructions around one that is executed often; the program must not be able
 * to tell: registers, flags, red zone and vector registers survive, signals and faults may come anywhere, code that is changed
 * or replaced afterwards is what runs, and what is read through files is what was written.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define HOT 300 /* calls that make a site busy */

/* mov $SYS_getppid, %eax; syscall; ret, alone on its page. */
extern uint8_t text_page[], text_call[];
__asm__(".pushsection .text\n .balign 4096\n text_page:\n .fill 64, 1, 0x90\n text_call:\n mov $110, %eax\n syscall\n ret\n"
        ".balign 4096\n .popsection\n");

static long call(const uint8_t *code)
{
    long r;
    __asm__ volatile("call *%1" : "=a"(r) : "r"(code) : "rcx", "r11", "memory");
    return r;
}

static void heat(const uint8_t *code, long want)
{
    for (int i = 0; i < HOT; i++) CHECK(call(code) == want);
}

static long bad;

/* One call with everything filled from `seed`; counts what did not survive. */
static void whole(uint64_t seed)
{
    uint64_t in[2] = { seed, 0 }, *at = in;

    __asm__ volatile(
        "add $-128, %%rsp\n push %%rbp\n sub $256, %%rsp\n" /* below the compiler's red zone */
        "mov (%[in]), %%rbp\n mov %[in], 200(%%rsp)\n"
        "lea 1(%%rbp), %%rbx\n lea 2(%%rbp), %%rsi\n lea 3(%%rbp), %%rdi\n lea 4(%%rbp), %%r8\n lea 5(%%rbp), %%r9\n"
        "lea 6(%%rbp), %%r10\n lea 7(%%rbp), %%rdx\n lea 8(%%rbp), %%r12\n lea 9(%%rbp), %%r13\n lea 10(%%rbp), %%r14\n"
        "lea 11(%%rbp), %%r15\n"
        "movq %%rbp, %%xmm3\n movq %%rbx, %%xmm14\n"
        "mov %%rbp, -8(%%rsp)\n mov %%rbx, -64(%%rsp)\n mov %%r8, -128(%%rsp)\n" /* the red zone */
        "stc\n mov $0x7fffffff, %%eax\n inc %%eax\n stc\n"                       /* CF, OF, SF, AF */
        "mov $39, %%eax\n syscall\n"
        "3: pushfq\n popq 208(%%rsp)\n"
        "xor %%eax, %%eax\n"
        /* The flags as they were made, and as the instruction leaves them in r11. */
        "mov 208(%%rsp), %%rax\n and $0xcd5, %%eax\n cmp $0x895, %%eax\n mov $0, %%eax\n je 1f\n or $1, %%rax\n 1:"
        "and $0xcd5, %%r11d\n cmp $0x895, %%r11d\n je 1f\n or $2, %%rax\n 1:"
        "lea 3b(%%rip), %%r11\n cmp %%r11, %%rcx\n je 1f\n or $4, %%rax\n 1:"
        "cmp -128(%%rsp), %%r8\n je 1f\n or $8, %%rax\n 1:"
        "lea 1(%%rbp), %%rcx\n cmp %%rcx, %%rbx\n jne 2f\n lea 2(%%rbp), %%rcx\n cmp %%rcx, %%rsi\n jne 2f\n"
        "lea 3(%%rbp), %%rcx\n cmp %%rcx, %%rdi\n jne 2f\n lea 4(%%rbp), %%rcx\n cmp %%rcx, %%r8\n jne 2f\n"
        "lea 5(%%rbp), %%rcx\n cmp %%rcx, %%r9\n jne 2f\n lea 6(%%rbp), %%rcx\n cmp %%rcx, %%r10\n jne 2f\n"
        "lea 7(%%rbp), %%rcx\n cmp %%rcx, %%rdx\n jne 2f\n lea 8(%%rbp), %%rcx\n cmp %%rcx, %%r12\n jne 2f\n"
        "lea 9(%%rbp), %%rcx\n cmp %%rcx, %%r13\n jne 2f\n lea 10(%%rbp), %%rcx\n cmp %%rcx, %%r14\n jne 2f\n"
        "lea 11(%%rbp), %%rcx\n cmp %%rcx, %%r15\n jne 2f\n"
        "movq %%xmm3, %%rcx\n cmp %%rcx, %%rbp\n jne 2f\n movq %%xmm14, %%rcx\n cmp %%rcx, %%rbx\n jne 2f\n"
        "mov 200(%%rsp), %%rcx\n cmp (%%rcx), %%rbp\n je 1f\n"
        "2: or $16, %%rax\n"
        "1: mov 200(%%rsp), %%rcx\n mov %%rax, 8(%%rcx)\n add $256, %%rsp\n pop %%rbp\n sub $-128, %%rsp\n"
        : [in] "+c"(at)
        :
        : "rax", "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm3", "xmm14", "memory", "cc");
    if (in[1]) {
        __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
        fprintf(stderr, "text_test: lost: %lx\n", (unsigned long)in[1]);
    }
}

static void registers(void)
{
    for (uint64_t i = 0; i < 3000; i++) whole(i * 0x123456789abcdULL + 77);
    CHECK(bad == 0);
}

static long signals;
static void on_signal(int s)
{
    for (int i = 0; i < 3; i++) whole((uint64_t)s * 0x9876543210fULL);
    CHECK(syscall(SYS_getppid) == getppid());
    __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

static void *busy(void *arg)
{
    long n = (long)arg;
    while (n--) {
        whole((uint64_t)n << 20 | 5);
        CHECK(syscall(SYS_gettid) > 0);
    }
    return NULL;
}

/* More threads than can be told apart by whatever means, all at one site, with signals at any instruction. */
static void threads_and_signals(void)
{
    pthread_t t[24];
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct itimerval it = { { 0, 500 }, { 0, 500 } }, none = { { 0, 0 }, { 0, 0 } };

    sigaction(SIGALRM, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    for (long i = 0; i < 24; i++) CHECK(pthread_create(&t[i], NULL, busy, (void *)400) == 0);
    for (int k = 0; k < 100; k++)
        for (int i = 0; i < 24; i += 5) pthread_kill(t[i], SIGUSR1);
    for (int i = 0; i < 24; i++) CHECK(pthread_join(t[i], NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    CHECK(signals > 0 && bad == 0);
}

static void children(void)
{
    int st;

    heat(text_call, getppid());
    for (int i = 0; i < 5; i++) {
        pid_t me = getpid(), p = fork();
        CHECK(p >= 0);
        if (!p) {
            heat(text_call, me);
            for (int k = 0; k < 100; k++) whole(4711);
            _exit(bad ? 1 : 0);
        }
        heat(text_call, getppid());
        CHECK(waitpid(p, &st, 0) == p && st == 0);
    }
}

/* Through files and calls the text is what it always was. */
static void read_by_calls(void)
{
    static const uint8_t want[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3 };
    uint8_t got[8];
    int fd = open("/proc/self/mem", O_RDONLY), p[2];
    struct iovec l = { got, 8 }, r = { text_call, 8 };

    heat(text_call, getppid());
    CHECK(fd >= 0 && pread(fd, got, 8, (off_t)(uintptr_t)text_call) == 8 && !memcmp(got, want, 8));
    memset(got, 0, 8);
    CHECK(process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 8 && !memcmp(got, want, 8));
    CHECK(pipe(p) == 0 && write(p[1], text_call, 8) == 8 && read(p[0], got, 8) == 8 && !memcmp(got, want, 8));
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void rewritten(void)
{
    heat(text_call, getppid());
    for (int i = 0; i < 4; i++) {
        CHECK(mprotect(text_page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
        CHECK(text_call[0] == 0xb8 && text_call[5] == 0x0f); /* its own loads, now that it may write */
        text_call[1] = i & 1 ? SYS_getppid : SYS_getpid;
        CHECK(call(text_call) == (i & 1 ? getppid() : getpid()));
        CHECK(mprotect(text_page, 4096, PROT_READ | PROT_EXEC) == 0);
        heat(text_call, i & 1 ? getppid() : getpid());
    }
}

static uint8_t *map_code(int nr, void *at)
{
    uint8_t code[4096] = { [100] = 0xb8, [101] = (uint8_t)nr, [105] = 0x0f, [106] = 0x05, [107] = 0xc3 };
    char name[] = "/tmp/text_test.XXXXXX";
    int fd = mkstemp(name);

    CHECK(fd >= 0 && unlink(name) == 0 && write(fd, code, sizeof(code)) == (ssize_t)sizeof(code));
    uint8_t *p = mmap(at, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

/* Other code at the same place, also where the code was that a site jumped to. */
static void replaced(void)
{
    uint8_t *p = map_code(SYS_getpid, NULL);

    heat(p + 100, getpid());
    map_code(SYS_getppid, p);
    heat(p + 100, getppid());
    map_code(SYS_getpid, p);
    heat(p + 100, getpid());
    /* A gigabyte in each direction, page by page: nothing the sandbox keeps there may be in the way, or stay. */
    for (uint64_t d = 1; d < 32; d++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            uint8_t *at = p + sign * (int64_t)(d << 26);
            uint8_t *q = mmap(at, 1 << 26, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (q == MAP_FAILED) continue;
            CHECK(*(volatile uint64_t *)q == 0);
            for (int i = 0; i < 50; i++) CHECK(call(p + 100) == getpid());
            CHECK(munmap(q, 1 << 26) == 0);
        }
    }
    heat(p + 100, getpid());
    CHECK(munmap(p, 4096) == 0);
}

static volatile sig_atomic_t steps, stepping_bad;
static void on_trap(int s, siginfo_t *si, void *u)
{
    ucontext_t *c = u;
    uint64_t ip = (uint64_t)c->uc_mcontext.gregs[REG_RIP];

    (void)s;
    (void)si;
    steps++;
    if (ip >= (uint64_t)text_call && ip < (uint64_t)text_call + 8 && ip != (uint64_t)text_call && ip != (uint64_t)text_call + 5 &&
        ip != (uint64_t)text_call + 7)
        stepping_bad++;
    if (steps > 200) c->uc_mcontext.gregs[REG_EFL] &= ~0x100LL;
}

/* A program that steps through a busy site sees its own instructions. */
static void stepped(void)
{
    struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    long r;

    heat(text_call, getppid());
    sigaction(SIGTRAP, &sa, NULL);
    __asm__ volatile("pushfq\n orl $0x100, (%%rsp)\n popfq\n call *%1\n pushfq\n andl $~0x100, (%%rsp)\n popfq"
                     : "=a"(r) : "r"(text_call) : "rcx", "r11", "memory", "cc");
    CHECK(r == getppid());
    CHECK(steps >= 4 && steps < 20 && !stepping_bad);
    heat(text_call, getppid());
}

/* A call that waits, interrupted and restarted, at a busy site. */
static void *later(void *arg)
{
    usleep(20000);
    for (int i = 0; i < 5; i++) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        usleep(2000);
    }
    return NULL;
}

static void restarted(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    pthread_t self = pthread_self(), t;
    int p[2], q[2];
    char c = 0;

    sigaction(SIGUSR1, &sa, NULL);
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    for (int i = 0; i < HOT; i++) CHECK(syscall(SYS_write, p[1], &c, 1L) == 1 && syscall(SYS_read, p[0], &c, 1L) == 1);
    for (int k = 0; k < 3; k++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            usleep(100000);
            CHECK(write(q[1], "y", 1) == 1);
            _exit(0);
        }
        CHECK(pthread_create(&t, NULL, later, &self) == 0);
        CHECK(syscall(SYS_read, q[0], &c, 1L) == 1 && c == 'y');
        pthread_join(t, NULL);
        int st;
        while (waitpid(child, &st, 0) != child) {}
    }
    CHECK(bad == 0);
}

TEST_MAIN(CASE(registers), CASE(threads_and_signals), CASE(children), CASE(read_by_calls), CASE(replaced), CASE(restarted),
          CASE(stepped), CASE(rewritten))
