/*
 * What ptrace_ctx_run adds to a bare PTRACE_SYSEMU round trip. Both drive a loop of getppid; the bare one has tracer and
 * tracee on one CPU and does SYSEMU, wait4, GETREGSET, SETREGSET by hand. Prints microseconds per call (best and
 * median of several rounds) and the ratio. Arguments: [threads]: also so many guest threads at once, calls per second.
 */
#include "platform/platform.h"

#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15
#define CALLS 8000

/* 1: mov $110,%eax; syscall; jmp 1b */
static const u8 loop_code[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7 };
/* 1: mov $20000,%ecx; 2: dec %ecx; jnz 2b; mov $110,%eax; syscall; jmp 1b */
static const u8 work_code[] = { 0xb9, 0x20, 0x4e, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xee };
#define CODE 0x100000ULL

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void bare_child(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (;;) __asm__ volatile("syscall" : : "a"(110) : "rcx", "r11", "memory");
}

static void bare_round(pid_t pid, int n)
{
    struct user_regs_struct r;
    struct iovec iov = { &r, sizeof(r) };
    int st;

    for (int i = 0; i < n; i++) {
        if (ptrace(PTRACE_SYSEMU, pid, 0, 0) || wait4(pid, &st, __WALL, NULL) != pid) die("SYSEMU");
        if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov)) die("GETREGSET");
        r.rax = 1;
        if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov)) die("SETREGSET");
    }
}

static void run_round(const struct platform_ops *ops, struct platform_ctx *ctx, struct platform_as *as,
                      struct guest_regs *regs, int n)
{
    struct platform_exit exit;

    for (int i = 0; i < n; i++) {
        ops->ctx_run(ctx, as, regs, &exit);
        if (exit.event != PLATFORM_SYSCALL) {
            fprintf(stderr, "event %d\n", exit.event);
            _exit(1);
        }
        regs->rax = 1;
    }
}

static const struct platform_ops *ops;
static struct platform *plat;
static int memfd;
static double stop_at;

static struct platform_as *new_space(u64 off)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = PLATFORM_PROT_READ | PLATFORM_PROT_EXEC, .fd = memfd,
                                 .addr = CODE, .len = GPAGE_SIZE, .off = off };
    struct platform_as *as;
    if (ops->as_new(plat, &as) || ops->as_update(as, &op, 1)) die("as_new");
    return as;
}

static void *worker(void *arg)
{
    struct platform_as *as = new_space(GPAGE_SIZE);
    struct platform_ctx *ctx;
    struct guest_regs regs = { .rip = CODE };
    long *calls = arg;

    ops->ctx_new(plat, &ctx);
    while (now() < stop_at) {
        run_round(ops, ctx, as, &regs, 50);
        *calls += 50;
    }
    ops->ctx_free(ctx);
    ops->as_free(as);
    return NULL;
}

static void many(int n)
{
    pthread_t t[64];
    long calls[64] = { 0 }, sum = 0, least = -1, most = 0;

    stop_at = now() + 2e6;
    for (int i = 0; i < n; i++) pthread_create(&t[i], NULL, worker, &calls[i]);
    for (int i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        sum += calls[i];
        if (least < 0 || calls[i] < least) least = calls[i];
        if (calls[i] > most) most = calls[i];
    }
    printf("%2d guests with work between calls: %7.0f calls/s (per guest %ld to %ld)\n", n, (double)sum / 2.0, least / 2, most / 2);
}

int main(int argc, char **argv)
{
    double bare[ROUNDS], plain[ROUNDS];
    char why[256];
    cpu_set_t one, all;
    struct platform_config cfg = { .memfile_size = 2 * GPAGE_SIZE };
    struct platform_ctx *ctx;
    struct guest_regs regs = { .rip = CODE };

    ops = platform_select(argc > 2 ? argv[2] : "ptrace", why, sizeof(why));
    if (!ops) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    memfd = memfd_create("guest", 0);
    if (ftruncate(memfd, 2 * GPAGE_SIZE) || pwrite(memfd, loop_code, sizeof(loop_code), 0) < 0 ||
        pwrite(memfd, work_code, sizeof(work_code), GPAGE_SIZE) < 0)
        die("memfd");
    cfg.memfile_fd = memfd;
    if (ops->init(&cfg, &plat)) return 1;

    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    pid_t pid = fork();
    if (pid == 0) bare_child();
    int st;
    waitpid(pid, &st, 0);
    struct platform_as *as = new_space(0);
    ops->ctx_new(plat, &ctx);
    bare_round(pid, 2000);
    run_round(ops, ctx, as, &regs, 2000);
    for (int i = 0; i < ROUNDS; i++) { /* in turn, so that other load meets both */
        double t = now();
        bare_round(pid, CALLS);
        bare[i] = (now() - t) / CALLS;
        t = now();
        run_round(ops, ctx, as, &regs, CALLS);
        plain[i] = (now() - t) / CALLS;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    qsort(bare, ROUNDS, sizeof(double), cmp);
    qsort(plain, ROUNDS, sizeof(double), cmp);
    printf("bare SYSEMU  %.2f us (best %.2f)\nctx_run      %.2f us (best %.2f)\nratio        %.2f (best %.2f)\n",
           bare[ROUNDS / 2], bare[0], plain[ROUNDS / 2], plain[0], plain[ROUNDS / 2] / bare[ROUNDS / 2], plain[0] / bare[0]);
    double t = now();
    for (int i = 0; i < 200; i++) {
        struct platform_as *a = new_space(0);
        ops->as_free(a);
    }
    printf("address space made, one page mapped, freed: %.0f us\n", (now() - t) / 200);
    t = now();
    for (int i = 0; i < 200; i++) {
        struct platform_as *a = new_space(0);
        struct guest_regs r = { .rip = CODE };
        run_round(ops, ctx, a, &r, 1);
        ops->as_free(a);
    }
    printf("the same with a thread that makes one call: %.0f us\n", (now() - t) / 200);
    struct platform_mapop m[2] = {
        { .kind = PLATFORM_MAP, .prot = 1, .fd = memfd, .addr = 0x200000, .len = GPAGE_SIZE },
        { .kind = PLATFORM_UNMAP, .addr = 0x200000, .len = GPAGE_SIZE },
    };
    t = now();
    for (int i = 0; i < 2000; i++) ops->as_update(as, m, 2);
    printf("as_update of a map and an unmap: %.1f us\n", (now() - t) / 2000);
    ops->ctx_free(ctx);
    ops->as_free(as);
    sched_setaffinity(0, sizeof(all), &all);
    for (int n = 1; argc > 1 && n <= atoi(argv[1]) && n <= 64; n *= 2) many(n);
    ops->free(plat);
    return 0;
}
