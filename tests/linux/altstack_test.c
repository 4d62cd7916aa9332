/* sigaltstack(2). */
#include "check.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *alt;
#define SIZE 65536
static volatile int on_alt, was_flags;
static void handler(int s)
{
    char here;
    stack_t now;
    (void)s;
    on_alt = &here >= alt && &here < alt + SIZE;
    CHECK(sigaltstack(NULL, &now) == 0);
    was_flags = now.ss_flags;
    stack_t off = { .ss_flags = SS_DISABLE };
    if (now.ss_flags & SS_ONSTACK) CHECK_ERR(sigaltstack(&off, NULL), EPERM);
}

static void basics(void)
{
    stack_t old, ss = { .ss_sp = alt, .ss_size = SIZE };
    struct sigaction a = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(&ss, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && on_alt && was_flags == SS_ONSTACK);
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0 && old.ss_sp == alt && old.ss_size == SIZE);
    a.sa_flags = 0;
    CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && !on_alt && was_flags == 0);
    ss.ss_size = 100;
    CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
    ss.ss_size = SIZE;
    ss.ss_flags = 0x40;
    CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
}

static void autodisarm(void)
{
    stack_t old, ss = { .ss_sp = alt, .ss_size = SIZE, .ss_flags = (int)(1u << 31) };
    struct sigaction a = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
    CHECK(sigaltstack(&ss, NULL) == 0 && sigaction(SIGUSR1, &a, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && on_alt && was_flags == SS_DISABLE);
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == (int)(1u << 31) && old.ss_size == SIZE);
}

static void overflow_kills(void)
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        stack_t ss = { .ss_sp = alt, .ss_size = MINSIGSTKSZ };
        struct sigaction a = { .sa_handler = handler };
        sigaction(SIGSEGV, &a, NULL);
        ss.ss_sp = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ss.ss_size = 4096;
        a.sa_flags = SA_ONSTACK;
        sigaltstack(&ss, NULL);
        sigaction(SIGUSR1, &a, NULL);
        sigaction(SIGSEGV, &a, NULL);
        raise(SIGUSR1);
        _exit(0);
    }
    CHECK(waitpid(k, &st, 0) == k && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(basics), CASE(autodisarm), CASE(overflow_kills) };
    alt = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(alt != MAP_FAILED);
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
