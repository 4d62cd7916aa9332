/*
 * `int` instructions that Solaris gives a meaning: $0x91, the other system call instruction, and $0xd2, the fast traps. The
 * processor reports both as a protection fault at the instruction. Source: sys/trap.h, i86pc/ml/fast_trap; desctbls.c.
 */
#include "abi/solaris/solaris.h"

#define CARRY 1ULL
enum { T_FNULL, T_FGETFP, T_FSETFP, T_GETHRTIME, T_GETHRVTIME, T_GETHRESTIME, T_GETLGRP };

static bool fast_trap(struct task *t)
{
    struct guest_regs *r = &t->regs;
    u64 u, s;
    ktime_t now;

    switch ((u32)r->rax) {
    case T_FNULL: case T_FGETFP: case T_FSETFP:
        r->eflags |= CARRY;
        return true;
    case T_GETHRTIME:
        r->rax = (u64)clock_mono();
        return true;
    case T_GETHRVTIME:
        task_account(t, &u, &s);
        r->rax = u + s;
        return true;
    case T_GETHRESTIME:
        now = clock_real();
        r->rax = (u64)(now / NSEC_PER_SEC);
        r->rdx = (u64)(now % NSEC_PER_SEC);
        return true;
    case T_GETLGRP:
        r->rax = t->cpu_shown;
        r->rdx = 0;
        return true;
    default:
        return false;
    }
}

bool solaris_exception(struct task *t, const struct platform_exit *e)
{
    struct guest_regs *r = &t->regs;
    u8 code[2];

    if (e->signo != SIGSEGV || (e->trapno && e->trapno != 13)) return false;
    if (copy_in(code, r->rip, sizeof(code)) || code[0] != 0xcd) return false;
    if (code[1] == 0xd2) {
        if (!fast_trap(t)) return false;
        r->rip += 2;
        return true;
    }
    if (code[1] == 0x91) {
        r->rip += 2;
        solaris_dispatch(t, (u32)r->rax);
        return true;
    }
    return false;
}
