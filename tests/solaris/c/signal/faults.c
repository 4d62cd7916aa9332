/* Source: siginfo.h(3HEAD): codes of SIGSEGV, SIGFPE, SIGILL, SIGTRAP; sigaltstack(2); ucontext.h(3HEAD): REG_RIP can be changed. */
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
static volatile int code, sig, on_alt;
static void *volatile addr;
static char alt[65536];
static void on(int s, siginfo_t *si, void *v)
{
    ucontext_t *u = v;
    sig = s;
    code = si->si_code;
    addr = si->si_addr;
    on_alt = (char *)&u > alt && (char *)&u < alt + sizeof alt;
    u->uc_mcontext.gregs[REG_RIP] = u->uc_mcontext.gregs[REG_RBX];
}
#define TRY(insn) __asm__ volatile("leaq 1f(%%rip), %%rbx; " insn "; 1:" : : "r"(0L) : "rax", "rbx", "rcx", "rdx", "memory", "cc")
int main(void)
{
    struct sigaction sa; stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt };
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    TRY("movl $1, 16");
    printf("%d %d %d %d\n", sig == SIGSEGV, code == SEGV_MAPERR, addr == (void *)16, on_alt);
    TRY("xorl %%ecx, %%ecx; xorl %%edx, %%edx; movl $1, %%eax; idivl %%ecx");
    printf("%d %d\n", sig == SIGFPE, code == FPE_INTDIV);
    TRY("ud2");
    printf("%d %d\n", sig == SIGILL, code > 0);
    sigaltstack(NULL, &ss);
    printf("%d %d\n", ss.ss_sp == alt, ss.ss_flags);
    return 0;
}
