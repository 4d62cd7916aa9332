/*
 * Machine contexts: what a handler finds on its stack, getcontext and setcontext. A context that comes back is hostile
 * input: copied once; selectors and system flags in it are ignored.
 * Source: uts/intel/ia32/os/sendsig.c (sendsig), archdep.c (setgregs, setfpregs), uts/common/syscall/context.c.
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/trace/event.h"
#include <stdlib.h>

#define EFLAGS_USER 0x0cd5ULL          /* OF DF SF ZF AF PF CF; TF is not a context's to set */
#define EFLAGS_ENTRY_CLEAR 0x10500ULL  /* RF DF TF */
#define RED_ZONE 128
#define XSAVE_HDR 512                  /* XSTATE_BV in an XSAVE area */
#define XFRAME_MAGIC 0x53554e58        /* our own header of what uc_xsave points to */

struct sol_sigframe { u64 retaddr; s64 signo; u64 info; struct sol_ucontext uc; };
SOL_SIZE(sol_sigframe, 24 + 864);
struct xframe { u32 magic, len; u64 bv; u64 pad[6]; };

static const u8 greg_off[15] = {
#define OFF(f) offsetof(struct guest_regs, f)
    OFF(r15), OFF(r14), OFF(r13), OFF(r12), OFF(r11), OFF(r10), OFF(r9), OFF(r8), OFF(rdi), OFF(rsi), OFF(rbp), OFF(rbx), OFF(rdx), OFF(rcx), OFF(rax),
};

static u64 *greg(struct guest_regs *r, unsigned i) { return (u64 *)(void *)((u8 *)r + greg_off[i]); }

void sol_gregs_out(u64 *g, const struct guest_regs *regs)
{
    struct guest_regs r = *regs;

    for (unsigned i = 0; i < ARRAY_LEN(greg_off); i++) g[i] = *greg(&r, i);
    g[SOL_RIP] = r.rip;
    g[SOL_RFL] = r.eflags;
    g[SOL_RSP] = r.rsp;
    g[SOL_CS] = SOL_UCS_SEL;
    g[SOL_SS] = SOL_UDS_SEL;
    g[SOL_FSBASE] = r.fs_base;
    g[SOL_GSBASE] = r.gs_base;
}

static void regs_out(struct task *t, struct sol_ucontext *uc) { sol_gregs_out(uc->gregs, &t->regs); }

int sol_regs_in(struct guest_regs *r, const struct sol_ucontext *uc)
{
    const u64 *g = uc->gregs;

    if (g[SOL_RIP] >= GUEST_ADDR_MAX || g[SOL_FSBASE] >= GUEST_ADDR_MAX || g[SOL_GSBASE] >= GUEST_ADDR_MAX) return -EINVAL;
    for (unsigned i = 0; i < ARRAY_LEN(greg_off); i++) *greg(r, i) = g[i];
    r->rip = g[SOL_RIP];
    r->rsp = g[SOL_RSP];
    r->eflags = (r->eflags & ~EFLAGS_USER) | (g[SOL_RFL] & EFLAGS_USER) | 0x202;
    /* A context that libc has made by hand names no bases: they stay. */
    if (g[SOL_FSBASE]) r->fs_base = g[SOL_FSBASE];
    if (g[SOL_GSBASE]) r->gs_base = g[SOL_GSBASE];
    r->orig_rax = ~0ULL;
    return 0;
}

/* uc_stack: what setustack told, else the alternate stack in use, else the main stack. */
static void stack_out(struct task *t, struct sol_stack *s)
{
    struct sol_lwp *lw = sol_self();

    memset(s, 0, sizeof(*s));
    if (lw->ustack && !copy_in(s, lw->ustack, sizeof(*s)) && s->size) return;
    memset(s, 0, sizeof(*s));
    if (t->altstack_size && (t->altstack_flags & SS_ONSTACK)) {
        *s = (struct sol_stack){ .sp = t->altstack_sp, .size = t->altstack_size, .flags = SS_ONSTACK };
    } else if (t->mm) {
        s->size = MIN(current_rlimit(RLIMIT_STACK), 10ULL << 20);
        s->sp = gpage_up(t->mm->env_end) - s->size;
    }
}

/* The whole extended state of t, and its x87 and SSE part into the context. NULL: the platform has none to give. */
static u8 *fp_out(struct task *t, struct sol_ucontext *uc)
{
    size_t size = platform_xstate_size();
    u8 *x = xzalloc(MAX(size, (size_t)XSAVE_HDR + 64));
    u64 bv;

    if (kernel.pops->ctx_get_xstate(t->ctx, x, size)) {
        free(x);
        return NULL;
    }
    memcpy(&bv, x + XSAVE_HDR, 8);
    if (!(bv & 1)) x[0] = 0x7f, x[1] = 3;              /* FCW of a state never touched */
    if (!(bv & 2)) {
        u32 mxcsr = 0x1f80;
        memcpy(x + 24, &mxcsr, 4);
    }
    memcpy(uc->fxsave, x, 416);
    return x;
}

/* Extended state from a context; xs: what uc_xsave points to, may be NULL. */
static int fp_in(struct task *t, const struct sol_ucontext *uc, const u8 *xs, u64 bv)
{
    size_t size = platform_xstate_size();
    AUTO_FREE u8 *x = xzalloc(MAX(size, (size_t)XSAVE_HDR + 64));
    u32 mxcsr;

    if (xs) memcpy(x, xs, size);
    memcpy(x, uc->fxsave, 416);
    memset(x + 416, 0, 96);
    memcpy(&mxcsr, x + 24, 4);
    mxcsr &= 0xffbf;
    memcpy(x + 24, &mxcsr, 4);
    bv = (bv & platform_xstate_features()) | 3;
    memset(x + XSAVE_HDR, 0, 64);
    memcpy(x + XSAVE_HDR, &bv, 8);
    return kernel.pops->ctx_set_xstate(t->ctx, x, size) ? -EINVAL : 0;
}

void sol_context_save(struct task *t, struct sol_ucontext *uc, const ksigset_t *mask)
{
    uc->flags = SOL_UC_ALL;
    uc->link = sol_self()->oldcontext;
    sol_sigset_out(&uc->sigmask, mask);
    stack_out(t, &uc->stack);
    regs_out(t, uc);
}

/* The stack libc looks at (getustack) follows onto and off the alternate stack. */
static void tell_ustack(const struct sol_stack *s)
{
    struct sol_lwp *lw = sol_self();

    if (lw->ustack && copy_out(lw->ustack, s, sizeof(*s))) lw->ustack = 0;
}

static int build_frame(struct task *t, const struct ksiginfo *info, const struct ksigaction *act)
{
    struct guest_regs *r = &t->regs;
    const ksigset_t *mask = t->has_saved_mask ? &t->saved_mask : &t->blocked;
    struct sol_lwp *lw = sol_self();
    size_t xsize = platform_xstate_size();
    struct sol_sigframe f;
    struct sol_siginfo si;
    bool onto = (act->flags & SA_ONSTACK) && t->altstack_size && !(t->altstack_flags & (SS_ONSTACK | SS_DISABLE));
    gaddr_t sp = onto ? t->altstack_sp + t->altstack_size - 16 : r->rsp - RED_ZONE, at_info = 0, frame, low;
    AUTO_FREE u8 *x = NULL;

    memset(&f, 0, sizeof(f));
    f.retaddr = ~0ULL;
    f.signo = sol_signo_out(info->signo);
    sol_context_save(t, &f.uc, mask);
    x = fp_out(t, &f.uc);
    sp &= ~63ULL;
    low = sp - sizeof(f) - sizeof(si) - 64;
    if (x && (!onto || low - (xsize + sizeof(struct xframe)) > t->altstack_sp)) {
        struct xframe xf = { .magic = XFRAME_MAGIC, .len = (u32)xsize };
        memcpy(&xf.bv, x + XSAVE_HDR, 8);
        sp = (sp - xsize - sizeof(xf)) & ~63ULL;
        if (copy_out(sp, &xf, sizeof(xf)) || copy_out(sp + sizeof(xf), x, xsize)) return -EFAULT;
        f.uc.xsave = sp;
        f.uc.flags |= SOL_UC_XSAVE;
    }
    if (act->flags & SA_SIGINFO) {
        sp -= sizeof(si);
        at_info = sp;
        memset(&si, 0, sizeof(si));
        sol_siginfo_fill(&si, info);
        if (copy_out(at_info, &si, sizeof(si))) return -EFAULT;
    }
    f.info = at_info;
    if (info->trapno) {
        f.uc.gregs[SOL_TRAPNO] = info->trapno;
        f.uc.gregs[SOL_ERRC] = info->error_code;
    }
    frame = ((sp - sizeof(f.uc)) & ~15ULL) - 24;     /* the ucontext is aligned, the frame 8 below a multiple of 16 */
    if (onto && frame <= t->altstack_sp) return -EFAULT;
    if (copy_out(frame, &f, sizeof(f))) return -EFAULT;

    if (onto) {
        struct sol_stack s = { .sp = t->altstack_sp, .size = t->altstack_size, .flags = SS_ONSTACK };
        t->altstack_flags |= SS_ONSTACK;
        tell_ustack(&s);
    }
    lw->oldcontext = frame + offsetof(struct sol_sigframe, uc);
    r->rdi = (u64)f.signo;
    r->rsi = at_info;
    r->rdx = lw->oldcontext;
    r->rip = act->handler;
    r->rsp = frame;
    r->eflags &= ~EFLAGS_ENTRY_CLEAR;
    return 0;
}

/* A frame that cannot be built ends the process with SIGSEGV, whatever its disposition says. */
static void frame_failed(struct task *t)
{
    struct ksiginfo info = { .signo = SIGSEGV, .code = SEGV_MAPERR, .addr = t->regs.rsp };
    struct ksigaction dfl = { 0 };

    signal_action(SIGSEGV, &dfl, NULL);
    signal_force(t, &info);
}

/* Runs the call again: nothing the program can see happened. Both call instructions are two bytes long. */
static void replay(struct task *t, sysret_t restart)
{
    struct guest_regs *r = &t->regs;

    r->rax = (u32)r->orig_rax;
    r->rip -= 2;
    sol_self()->restart_block = restart == -ERESTART_RESTARTBLOCK;
}

/*
 * restart: 0, or the result of the call in service: a restart class or -EINTR. An interrupted call is over: its handler
 * finds ERESTART or EINTR in the context it returns to.
 */
void solaris_deliver(struct task *t, sysret_t restart)
{
    struct ksiginfo info;
    struct ksigaction act;

    while (signal_dequeue_for_delivery(&info, &act)) {
        if (restart == -ERESTARTNOINTR) replay(t, restart);
        else if (restart) solaris_encode(&t->regs, act.flags & SA_RESTART ? -ERESTART : -EINTR);
        restart = 0;
        if (build_frame(t, &info, &act)) {
            frame_failed(t);
            continue;
        }
        t->has_saved_mask = false;   /* its frame holds the mask to come back to */
        signal_delivered(info.signo, &act);
    }
    if (restart == -EINTR) solaris_encode(&t->regs, restart);
    else if (restart) replay(t, restart);
    if (t->has_saved_mask) signal_restore_temp_mask();
}

void solaris_deliver_signals(struct task *t) { solaris_deliver(t, 0); }

/* --- context(2) --- */

enum { GETCONTEXT, SETCONTEXT, GETUSTACK, SETUSTACK };

static sysret_t do_getcontext(gaddr_t p)
{
    struct task *t = current;
    struct sol_ucontext uc;

    /* What the caller has put into the parts that are not ours stays. */
    if (copy_in(&uc, p, sizeof(uc))) return -EFAULT;
    sol_context_save(t, &uc, &t->blocked);
    AUTO_FREE u8 *x = fp_out(t, &uc);
    return copy_out(p, &uc, sizeof(uc));
}

static int restore_fp(struct task *t, const struct sol_ucontext *uc)
{
    size_t size = platform_xstate_size();
    AUTO_FREE u8 *x = NULL;
    struct xframe xf;

    if (!(uc->flags & SOL_UC_FPU)) return 0;
    if (!(uc->flags & SOL_UC_XSAVE) || !uc->xsave) return fp_in(t, uc, NULL, 3);
    if (copy_in(&xf, uc->xsave, sizeof(xf))) return -EFAULT;
    if (xf.magic != XFRAME_MAGIC || xf.len != size) return -EINVAL;
    x = xzalloc(size);
    if (copy_in(x, uc->xsave + sizeof(xf), size)) return -EFAULT;
    return fp_in(t, uc, x, xf.bv);
}

static sysret_t do_setcontext(gaddr_t p)
{
    struct task *t = current;
    struct sol_lwp *lw = sol_self();
    struct sol_ucontext uc;
    ksigset_t mask;
    int r;

    if (!p) task_exit(0);
    if (copy_in(&uc, p, sizeof(uc))) return -EFAULT;
    if (uc.flags & ~(u64)(SOL_UC_ALL | SOL_UC_XSAVE)) uc.flags &= SOL_UC_ALL;
    if ((r = restore_fp(t, &uc))) return r;
    if (uc.flags & SOL_UC_CPU) {
        if ((r = sol_regs_in(&t->regs, &uc))) return r;
        lw->full_restore = true;
    }
    lw->oldcontext = uc.link;
    if (uc.flags & SOL_UC_STACK) {
        if (uc.stack.flags == SS_ONSTACK) {
            t->altstack_sp = uc.stack.sp;
            t->altstack_size = uc.stack.size;
            t->altstack_flags = SS_ONSTACK;
        } else {
            t->altstack_flags &= ~(u32)SS_ONSTACK;
        }
        tell_ustack(&uc.stack);
    }
    if (uc.flags & SOL_UC_SIGMASK) {
        sol_sigset_in(&mask, &uc.sigmask);
        t->has_saved_mask = false;
        signal_set_mask(&mask);
    }
    return 0;
}

sysret_t solaris_context(const struct syscall_args *a)
{
    struct sol_lwp *lw = sol_self();

    switch (ARG_INT(0)) {
    case GETCONTEXT: return do_getcontext(a->a[1]);
    case SETCONTEXT: return do_setcontext(a->a[1]);
    case GETUSTACK: return copy_out(a->a[1], &lw->ustack, sizeof(lw->ustack));
    case SETUSTACK: {
        struct sol_stack s;
        if (copy_in(&s, a->a[1], sizeof(s))) return -EFAULT;
        lw->ustack = a->a[1];
        return 0;
    }
    default: return -EINVAL;
    }
}

sysret_t solaris_sigaltstack(const struct syscall_args *a)
{
    struct task *t = current;
    struct sol_stack in, out = { .sp = t->altstack_sp, .size = t->altstack_size, .flags = (s32)(t->altstack_flags & 3) };

    if (a->a[0]) {
        if (copy_in(&in, a->a[0], sizeof(in))) return -EFAULT;
        if (t->altstack_flags & SS_ONSTACK) return -EPERM;
        if (in.flags & ~SS_DISABLE) return -EINVAL;
        if (!(in.flags & SS_DISABLE) && in.size < 2048) return -ENOMEM;
        if (in.sp >= GUEST_ADDR_MAX || in.size > GUEST_ADDR_MAX - in.sp) return -EFAULT;
    }
    if (!out.size && !(out.flags & SS_ONSTACK)) out.flags = SS_DISABLE;
    if (a->a[1] && copy_out(a->a[1], &out, sizeof(out))) return -EFAULT;
    if (a->a[0]) {
        t->altstack_sp = in.sp;
        t->altstack_size = in.flags & SS_DISABLE ? 0 : in.size;
        t->altstack_flags = (u32)in.flags;
    }
    return 0;
}
