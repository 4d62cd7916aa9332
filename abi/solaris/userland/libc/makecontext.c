/* libc.so.1: makecontext(3C). The arguments are ints or pointers, at most six of them here come in registers, the rest on the stack. */
#include "impl.h"
#include <stdarg.h>

extern char context_return[] __attribute__((visibility("hidden")));

void makecontext(ucontext_t *uc, void (*fn)(void), int argc, ...)
{
    static const int reg[6] = { REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9 };
    uint64_t *sp = (uint64_t *)(((uintptr_t)uc->uc_stack.ss_sp + uc->uc_stack.ss_size) & ~(uintptr_t)15);
    greg_t *g = uc->uc_mcontext.gregs;
    int extra = argc > 6 ? argc - 6 : 0;
    va_list ap;

    sp -= (extra + 1) & ~1;
    sp--; /* the return address: %rsp is 8 modulo 16 at the function's entry */
    *sp = (uintptr_t)context_return;
    va_start(ap, argc);
    for (int i = 0; i < argc; i++) {
        uint64_t v = va_arg(ap, uint64_t);
        if (i < 6)
            g[reg[i]] = (greg_t)v;
        else
            sp[1 + i - 6] = v;
    }
    va_end(ap);
    g[REG_RAX] = argc;
    g[REG_RBX] = (greg_t)uc;
    g[REG_RBP] = 0;
    g[REG_RIP] = (greg_t)fn;
    g[REG_RSP] = (greg_t)sp;
}
