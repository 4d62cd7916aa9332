/* rseq(2): registration, and what critical sections are for: per-CPU data without locks or atomic instructions. */
#include "check.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIG 0x53053053u

/* With the fields that came later; what glibc calls struct rseq ends before them. */
struct area { uint32_t cpu_id_start, cpu_id; uint64_t rseq_cs; uint32_t flags, node_id, mm_cid, pad; } __attribute__((aligned(32)));
struct section { uint32_t version, flags; uint64_t start_ip, post_commit_offset, abort_ip; } __attribute__((aligned(32)));

static long rseq(void *p, uint32_t len, int flags, uint32_t sig) { return syscall(SYS_rseq, p, len, flags, sig); }

/* The registration that the C library made for this thread, taken back. */
static void forget(void)
{
    char *p = (char *)__builtin_thread_pointer() + __rseq_offset;
    CHECK(rseq(p, 32, 1, SIG) == 0);
    struct area *a = (void *)p;
    CHECK(a->cpu_id_start == 0 && a->cpu_id == (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
}

static void registration(void)
{
    static struct area a, b;
    static char raw[256] __attribute__((aligned(64)));

    CHECK(__rseq_size > 0);
    CHECK(getauxval(27 /* AT_RSEQ_FEATURE_SIZE */) >= 28 && getauxval(28 /* AT_RSEQ_ALIGN */) >= 32);
    CHECK_ERR(rseq(&a, 32, 0, SIG), EINVAL);    /* another one is registered */
    forget();
    CHECK_ERR(rseq(&a, 32, 1, SIG), EINVAL);
    CHECK_ERR(rseq(&a, 32, 2, SIG), EINVAL);
    CHECK_ERR(rseq(&a, 32, 3, SIG), EINVAL);
    CHECK_ERR(rseq(&a, 31, 0, SIG), EINVAL);
    CHECK_ERR(rseq(raw + 8, 32, 0, SIG), EINVAL);
    CHECK_ERR(rseq((void *)0xffffffffffff0000, 32, 0, SIG), EFAULT);
    struct utsname u;
    CHECK(uname(&u) == 0);
    if (strstr(u.release, "sundog") || kernel_since(6, 15, "rseq(2) that looks at rseq_cs")) {
        CHECK_ERR(rseq(NULL, 32, 0, SIG), EFAULT);
        a.rseq_cs = 16;
    }
    CHECK(rseq(&a, 32, 0, SIG) == 0 && a.rseq_cs == 0);
    CHECK(a.cpu_id == (uint32_t)sched_getcpu() && a.cpu_id_start == a.cpu_id);
    CHECK_ERR(rseq(&a, 32, 0, SIG), EBUSY);
    CHECK_ERR(rseq(&a, 32, 0, SIG + 1), EPERM);
    CHECK_ERR(rseq(&a, 64, 0, SIG), EINVAL);
    CHECK_ERR(rseq(&b, 32, 0, SIG), EINVAL);
    CHECK_ERR(rseq(&b, 32, 1, SIG), EINVAL);
    CHECK_ERR(rseq(&a, 32, 1, SIG + 1), EPERM);
    CHECK(rseq(&a, 32, 1, SIG) == 0);
    CHECK(a.cpu_id == (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
    CHECK(rseq(raw, 64, 0, SIG) == 0 && rseq(raw, 64, 1, SIG) == 0);
}

/* The number is one of the CPUs that the thread is allowed, getcpu and the area agree, and a fork keeps the registration. */
static void numbers(void)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    cpu_set_t all, one;

    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
        unsigned cpu_now, node;
        CHECK(syscall(SYS_getcpu, &cpu_now, &node, NULL) == 0);
        CHECK((int)a->cpu_id == cpu && (int)a->cpu_id_start == cpu && (int)cpu_now == cpu && a->node_id == node);
        CHECK(a->mm_cid == 0);   /* one thread, one id */
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (!pid) {
            CHECK((int)a->cpu_id == cpu);
            CHECK_ERR(rseq(a, 32, 0, SIG), EBUSY);
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}

/* Adds 1 to counters[cpu * 8], a plain addition that nobody else may interrupt. 0: done, 1: aborted. */
static int add_here(struct area *a, volatile uint64_t *counters, unsigned spin)
{
    int aborted = 0;

    __asm__ volatile(
        ".pushsection .data.rel.ro, \"aw\"\n"
        ".balign 32\n"
        "3: .long 0, 0\n"
        ".quad 1f, 2f - 1f, 4f\n"
        ".popsection\n"
        "leaq 3b(%%rip), %%rax\n"
        "movq %%rax, 8(%[a])\n"
        "1: movl 4(%[a]), %%ecx\n"
        "shlq $6, %%rcx\n"
        "movq (%[c], %%rcx), %%rax\n"
        "movl %[spin], %%edx\n"
        "6: incq %%rax\n"
        "decq %%rax\n"
        "decl %%edx\n"
        "jnz 6b\n"
        "incq %%rax\n"
        "movq %%rax, (%[c], %%rcx)\n"
        "2: jmp 5f\n"
        ".byte 0x0f, 0xb9, 0x3d\n"
        ".long 0x53053053\n"
        "4: movl $1, %[aborted]\n"
        "5:\n"
        : [aborted] "+r"(aborted)
        : [a] "r"(a), [c] "r"(counters), [spin] "r"(spin)
        : "rax", "rcx", "rdx", "memory", "cc");
    return aborted;
}

#define THREADS 8
#define TIMES 6000
#define TIMES_MAX (200 * TIMES)    /* until somebody was interrupted at the wrong moment */
static volatile uint64_t counters[1024 * 8] __attribute__((aligned(64)));
static uint64_t aborts, done;

static void *adder(void *arg)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    unsigned seed = (unsigned)(uintptr_t)arg;

    int i;

    for (i = 0; i < TIMES || (i < TIMES_MAX && !__atomic_load_n(&aborts, __ATOMIC_RELAXED)); i++) {
        /* Now and then long enough for a time slice of some milliseconds to end in it; the second try need not be. */
        unsigned spin = i % 2000 == 1999 ? 30000000 : i % 100 ? 200 : 50000;
        for (; add_here(a, counters, spin); spin = 200) __atomic_add_fetch(&aborts, 1, __ATOMIC_RELAXED);
        if (i % 500 == 0) sched_yield();
        if (i % 300 == (int)seed) nanosleep(&(struct timespec){ 0, 1000 }, NULL);
    }
    __atomic_add_fetch(&done, (uint64_t)i, __ATOMIC_RELAXED);
    return NULL;
}

static void exclusion(void)
{
    pthread_t t[THREADS];
    uint64_t sum = 0;

    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&t[i], NULL, adder, (void *)(uintptr_t)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(t[i], NULL) == 0);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) sum += counters[i];
    CHECK(sum == done && done >= (uint64_t)THREADS * TIMES);
    CHECK(__atomic_load_n(&aborts, __ATOMIC_RELAXED) > 0);
}

/* A section that never ends is aborted, by its time slice or by a signal; the handler sees the abort handler's address. */
static volatile uintptr_t seen_ip, abort_at;
static void on_alarm(int sig, siginfo_t *si, void *ctx)
{
    (void)sig;
    (void)si;
    seen_ip = (uintptr_t)((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
}

static void spin_forever(struct area *a)
{
    __asm__ volatile(
        ".pushsection .data.rel.ro, \"aw\"\n"
        ".balign 32\n"
        "3: .long 0, 0\n"
        ".quad 1f, 2f - 1f, 4f\n"
        ".popsection\n"
        "leaq 4f(%%rip), %%rax\n"
        "movq %%rax, %[at]\n"
        "leaq 3b(%%rip), %%rax\n"
        "movq %%rax, 8(%[a])\n"
        "1: jmp 1b\n"
        "2: ud2\n"
        ".byte 0x0f, 0xb9, 0x3d\n"
        ".long 0x53053053\n"
        "4:\n"
        : [at] "=m"(abort_at)
        : [a] "r"(a)
        : "rax", "memory");
}

static void aborted(void)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    struct sigaction sa = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO };
    timer_t id;

    spin_forever(a);
    CHECK(a->rseq_cs == 0);
    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && timer_create(CLOCK_MONOTONIC, NULL, &id) == 0);
    /* Either may come first, so more than once. */
    for (int i = 0; i < 500 && seen_ip != abort_at; i++) {
        CHECK(timer_settime(id, 0, &(struct itimerspec){ .it_value = { 0, 200000 } }, NULL) == 0);
        spin_forever(a);
    }
    CHECK(seen_ip == abort_at && a->rseq_cs == 0);
    CHECK(timer_delete(id) == 0);
}

/* What Linux makes of a program that breaks the rules. */
static int dies(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        fn();
        for (int i = 0; i < 2000; i++) nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct section bad;
static void spin_in(void)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    *(volatile uint64_t *)&a->rseq_cs = (uintptr_t)&bad;
    for (volatile uint64_t i = 0; i < 1ull << 36 && *(volatile uint64_t *)&a->rseq_cs; i++) continue;
}
static void bad_version(void) { bad = (struct section){ .version = 1 }; spin_in(); }
static void no_signature(void) { bad = (struct section){ .start_ip = (uintptr_t)spin_in, .post_commit_offset = 4096, .abort_ip = (uintptr_t)raise }; spin_in(); }
static void abort_inside(void) { bad = (struct section){ .start_ip = (uintptr_t)spin_in, .post_commit_offset = 4096, .abort_ip = (uintptr_t)spin_in + 8 }; spin_in(); }
static void bad_pointer(void)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    *(volatile uint64_t *)&a->rseq_cs = 0x10;
    for (volatile uint64_t i = 0; i < 1ull << 36 && *(volatile uint64_t *)&a->rseq_cs; i++) continue;
}
static void area_gone(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    forget();
    CHECK(p != MAP_FAILED && rseq(p, 32, 0, SIG) == 0 && munmap(p, 4096) == 0);
    raise(SIGUSR1);
}

static void rules(void)
{
    struct sigaction sa = { .sa_handler = SIG_IGN };
    CHECK(dies(bad_version) == SIGSEGV);
    CHECK(dies(no_signature) == SIGSEGV);
    CHECK(dies(abort_inside) == SIGSEGV);
    CHECK(dies(bad_pointer) == SIGSEGV);
    sa.sa_flags = SA_SIGINFO;
    sa.sa_sigaction = on_alarm;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK(dies(area_gone) == SIGSEGV);
}

/* The fence: after it no thread is in a section that it was in before. */
static volatile int stop, running;
static volatile uint32_t restarts;
static void *spinner(void *arg)
{
    struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    running = 1;
    while (!stop) {
        spin_forever(a);
        restarts++;
    }
    return arg;
}

static void fence(void)
{
    pthread_t t;
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0), EPERM);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
    CHECK(pthread_create(&t, NULL, spinner, NULL) == 0);
    while (!running) sched_yield();
    for (int i = 0; i < 50; i++) {
        uint32_t was = restarts;
        CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
        /* It counts the abort as soon as it runs again. */
        for (int k = 0; k < 5000 && restarts == was; k++) nanosleep(&(struct timespec){ 0, 100000 }, NULL);
        CHECK(restarts != was);
    }
    stop = 1;
    CHECK(pthread_join(t, NULL) == 0);
}

/* exec forgets it: a fresh image registers anew. */
static void exec_forgets(void)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        execl("/proc/self/exe", "rseq", "numbers", NULL);
        _exit(9);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

TEST_MAIN(CASE(numbers), CASE(exclusion), CASE(aborted), CASE(rules), CASE(fence), CASE(exec_forgets), CASE(registration))
