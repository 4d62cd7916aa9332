#ifndef _SYS_UCONTEXT_H
#define _SYS_UCONTEXT_H
#include <sys/types.h>
#include <signal.h>
#define REG_R15 0
#define REG_R14 1
#define REG_R13 2
#define REG_R12 3
#define REG_R11 4
#define REG_R10 5
#define REG_R9 6
#define REG_R8 7
#define REG_RDI 8
#define REG_RSI 9
#define REG_RBP 10
#define REG_RBX 11
#define REG_RDX 12
#define REG_RCX 13
#define REG_RAX 14
#define REG_TRAPNO 15
#define REG_ERR 16
#define REG_RIP 17
#define REG_CS 18
#define REG_RFL 19
#define REG_RSP 20
#define REG_SS 21
#define REG_FS 22
#define REG_GS 23
#define REG_ES 24
#define REG_DS 25
#define REG_FSBASE 26
#define REG_GSBASE 27
#define _NGREG 28
#define REG_PC REG_RIP
#define REG_SP REG_RSP
#define UC_SIGMASK 1
#define UC_STACK 2
#define UC_CPU 4
#define UC_FPU 8
#define UC_MCONTEXT 12
#define UC_ALL 15
typedef long greg_t;
typedef greg_t gregset_t[_NGREG];
typedef struct {
    uint16_t cw, sw;
    uint8_t fctw, __fx_rsvd;
    uint16_t fop;
    uint64_t rip, rdp;
    uint32_t mxcsr, mxcsr_mask;
    uint32_t st[8][4], xmm[16][4], __fx_ign2[6][4];
    uint32_t status, xstatus;
} fpregset_t __attribute__((aligned(8)));
typedef struct { gregset_t gregs; fpregset_t fpregs; } mcontext_t;
typedef struct ucontext {
    unsigned long uc_flags;
    struct ucontext *uc_link;
    sigset_t uc_sigmask;
    stack_t uc_stack;
    mcontext_t uc_mcontext __attribute__((aligned(16)));
    long uc_filler[6];
} ucontext_t;
int getcontext(ucontext_t *) __attribute__((returns_twice));
int setcontext(const ucontext_t *);
int swapcontext(ucontext_t *, const ucontext_t *);
void makecontext(ucontext_t *, void (*)(void), int, ...);
#endif
