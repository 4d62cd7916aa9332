/*
 * A program that goes for what a sandbox may keep at the top of its address space: it writes there, jumps there, asks for it to be
 * unmapped, replaced, made writable. Each attempt is made by a child of its own, which may die of it; its parent and a witness,
 * another process that works meanwhile, must not notice. On a real kernel there is nothing, and the children get SIGSEGV.
 */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOW 0x7ffff0000000ULL
#define HIGH 0x7ffffffff000ULL

static struct { uintptr_t start, end; } own[256];
static int nown;

/* What the program really has there: not to be touched. */
static void read_maps(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long a, b;

    CHECK(f);
    while (fgets(line, sizeof(line), f) && nown < 256)
        if (sscanf(line, "%lx-%lx", &a, &b) == 2 && b > LOW) {
            own[nown].start = a - (1 << 20);
            own[nown++].end = b;
        }
    fclose(f);
}

static int is_own(uintptr_t p)
{
    for (int i = 0; i < nown; i++)
        if (p >= own[i].start && p < own[i].end) return 1;
    return 0;
}

/* Pages a sandbox may have: the first ones of aligned regions, and what follows at some distance. */
static uintptr_t candidate(unsigned i)
{
    static const uintptr_t off[] = { 0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x10000, 0x11000, 0x17000, 0x18000, 0x20000 };
    uintptr_t region = LOW + (uintptr_t)(i / (sizeof(off) / sizeof(*off)) + 1) * 0x1000000;
    uintptr_t p = region + off[i % (sizeof(off) / sizeof(*off))];
    return p < HIGH && !is_own(p) ? p : 0;
}
#define CANDIDATES (15 * 11)

static sigjmp_buf back;
static void on_signal(int s) { siglongjmp(back, s); }

static void catch_all(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_ONSTACK };
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
    const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++) sigaction(sigs[i], &sa, NULL);
}

static void write_everywhere(void)
{
    for (volatile unsigned i = 0; i < CANDIDATES; i++) {
        uintptr_t p = candidate(i);
        if (!p || sigsetjmp(back, 1)) continue;
        for (unsigned k = 0; k < 4096; k += 8) ((volatile uint64_t *)p)[k / 8] = 0x4141414141414141ULL * (k & 1) + k;
        for (int n = 0; n < 20; n++) syscall(SYS_getppid);
    }
}

static void jump_everywhere(void)
{
    for (volatile unsigned i = 0; i < CANDIDATES; i++) {
        uintptr_t p = candidate(i);
        if (!p) continue;
        for (volatile unsigned k = 0; k < 4096; k += 61) {
            if (sigsetjmp(back, 1)) {
                if (k == 0) break; /* not executable: nor is the rest */
                continue;
            }
            /* Numbers a host kernel would obey: exit_group, kill, unmapping. */
            static const long nr[] = { SYS_exit_group, SYS_kill, SYS_munmap, SYS_rt_sigaction, SYS_mprotect, SYS_execve };
            __asm__ volatile("mov %%rsp, %%rbp\n jmp *%0" : : "r"(p + k), "a"(nr[k % 6]), "D"(0x7ffffff0L), "S"(9L), "d"(0L), "b"(p & ~0xffffffUL) : "memory");
        }
    }
}

static void ask_for_it(void)
{
    for (volatile unsigned i = 0; i < CANDIDATES; i++) {
        uintptr_t p = candidate(i);
        if (!p) continue;
        void *v = (void *)p;
        mprotect(v, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        madvise(v, 4096, MADV_DONTNEED);
        mremap(v, 4096, 8192, MREMAP_MAYMOVE);
        munmap(v, 4096);
        CHECK(syscall(SYS_getppid) > 0);
    }
    munmap((void *)LOW, 0x1000); /* and the border itself */
    CHECK(syscall(SYS_getppid) > 0);
}

/* The program's handlers are its own business: those by which the sandbox works are not reached by sigaction. */
static void take_handlers(void)
{
    struct sigaction ign = { .sa_handler = SIG_IGN }, dfl = { .sa_handler = SIG_DFL };
    sigset_t all;

    for (int s = 1; s < 65; s++) sigaction(s, &ign, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int n = 0; n < 100; n++) CHECK(syscall(SYS_getppid) > 0);
    for (int s = 1; s < 65; s++) sigaction(s, &dfl, NULL);
    CHECK(syscall(SYS_getppid) > 0);
    stack_t none = { .ss_flags = SS_DISABLE };
    sigaltstack(&none, NULL);
    CHECK(syscall(SYS_getppid) > 0);
}

/* es and the other selectors say nothing to a program, but it may load them. */
static void load_selectors(void)
{
    for (volatile unsigned s = 0; s < 128; s++) {
        if (sigsetjmp(back, 1)) continue;
        __asm__ volatile("mov %0, %%es" : : "r"(s));
        for (int n = 0; n < 60; n++) syscall(SYS_getppid);
    }
    __asm__ volatile("mov %0, %%es" : : "r"(0));
    CHECK(syscall(SYS_getppid) > 0);
}

static void attempt(void (*fn)(void), int may_die)
{
    pid_t p = fork();
    int st, r = 0;

    CHECK(p >= 0);
    if (!p) {
        catch_all();
        fn();
        _exit(0);
    }
    /* One that may tie itself up is given a moment only. */
    for (int i = 0; i < (may_die ? 300 : 12000) && (r = waitpid(p, &st, WNOHANG)) == 0; i++) usleep(10000);
    if (r == 0) { /* it has tied itself up: then it must at least be possible to end it */
        CHECK(may_die && kill(p, SIGKILL) == 0);
        r = waitpid(p, &st, 0);
    }
    CHECK(r == p);
    if (!may_die) CHECK(st == 0);
}

static int witness_stop[2], witness_says[2];
static pid_t start_witness(void)
{
    CHECK(pipe(witness_stop) == 0 && pipe(witness_says) == 0);
    pid_t p = fork();
    CHECK(p >= 0);
    if (p) return p;
    close(witness_stop[1]);
    pid_t me = getpid();
    for (long n = 0;; n++) {
        char *m = malloc(4096 * 4);
        memset(m, (int)n, 4096 * 4);
        for (int i = 0; i < 4096 * 4; i += 777)
            if (m[i] != (char)n) _exit(1);
        free(m);
        if (syscall(SYS_getpid) != me) _exit(2);
        if (n % 500 == 0) {
            struct timespec t = { 0, 1000000 };
            fd_set s;
            struct timeval zero = { 0, 0 };
            nanosleep(&t, NULL);
            FD_ZERO(&s);
            FD_SET(witness_stop[0], &s);
            if (select(witness_stop[0] + 1, &s, NULL, NULL, &zero) > 0) _exit(0);
        }
    }
}

static void attacks(void)
{
    int st;

    read_maps();
    pid_t w = start_witness();
    attempt(take_handlers, 0);
    attempt(ask_for_it, 0);
    attempt(load_selectors, 1);
    attempt(write_everywhere, 1);
    attempt(jump_everywhere, 1);
    CHECK(waitpid(w, &st, WNOHANG) == 0);
    CHECK(write(witness_stop[1], "x", 1) == 1);
    CHECK(waitpid(w, &st, 0) == w && st == 0);
    CHECK(system("exit 7") == 7 << 8); /* and new processes can be made */
}

TEST_MAIN(CASE(attacks))
