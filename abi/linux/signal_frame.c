/*
 * Signal frames: what a handler finds on its stack and what rt_sigreturn takes back. A frame that comes back is hostile
 * input: it is copied once, and whatever in it the processor would refuse ends in SIGSEGV, as on Linux.
 * Source: arch/x86/kernel/signal_64.c, arch/x86/kernel/fpu/signal.c.
 */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_signal.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/trace/event.h"
#include <string.h>

#define EFLAGS_RESTORED 0x50dd5ULL     /* AC RF OF DF TF SF ZF AF PF CF */
#define EFLAGS_CLEARED 0x10500ULL      /* RF DF TF, at handler entry */
#define USER_CS 0x33
#define USER_SS 0x2b

static bool altstack_contains(const struct task *t, gaddr_t sp)
{
    return sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size;
}

/* on_sig_stack(): a stack that disarms itself never counts as in use. */
static bool on_altstack(const struct task *t, gaddr_t sp)
{
    return !(t->altstack_flags & LINUX_SS_AUTODISARM) && altstack_contains(t, sp);
}

static void altstack_save(const struct task *t, struct linux_stack *out)
{
    memset(out, 0, sizeof(*out));
    out->sp = t->altstack_sp;
    out->size = t->altstack_size;
    out->flags = (s32)(t->altstack_size ? t->altstack_flags & LINUX_SS_AUTODISARM : LINUX_SS_DISABLE);
}

/* do_sigaltstack(). The limit is the caller's: sigaltstack(2) and rt_sigreturn differ in nothing but reporting. */
static int altstack_set(struct task *t, const struct linux_stack *ss, gaddr_t sp)
{
    u32 flags = (u32)ss->flags, mode = flags & ~LINUX_SS_AUTODISARM;

    if (on_altstack(t, sp)) return -EPERM;
    if (mode != LINUX_SS_DISABLE && mode != LINUX_SS_ONSTACK && mode != 0) return -EINVAL;
    if (mode == LINUX_SS_DISABLE) {
        t->altstack_sp = t->altstack_size = 0;
        t->altstack_flags = LINUX_SS_DISABLE | (flags & LINUX_SS_AUTODISARM);
        return 0;
    }
    if (ss->size < LINUX_MINSIGSTKSZ) return -ENOMEM;
    t->altstack_sp = ss->sp;
    t->altstack_size = ss->size;
    t->altstack_flags = flags;
    return 0;
}

sysret_t linux_sigaltstack(const struct syscall_args *a)
{
    struct task *t = current;
    struct linux_stack in, out;
    gaddr_t sp = t->regs.rsp;

    if (a->a[0] && copy_in(&in, a->a[0], sizeof(in))) return -EFAULT;
    altstack_save(t, &out);
    if (t->altstack_size)
        out.flags = (s32)((on_altstack(t, sp) ? LINUX_SS_ONSTACK : 0) | (t->altstack_flags & LINUX_SS_AUTODISARM));
    else
        out.flags = (s32)(LINUX_SS_DISABLE | (t->altstack_flags & LINUX_SS_AUTODISARM));
    if (a->a[0]) {
        int r = altstack_set(t, &in, sp);
        if (r) return r;
    }
    if (a->a[1] && copy_out(a->a[1], &out, sizeof(out))) return -EFAULT;
    return 0;
}

static void fault_context(const struct ksiginfo *info, struct linux_sigcontext *mc)
{
    bool fault = info->code > 0 && (info->signo == SIGSEGV || info->signo == SIGBUS || info->signo == SIGILL ||
                                    info->signo == SIGFPE || info->signo == SIGTRAP);

    mc->err = info->error_code;
    mc->trapno = info->trapno;
    if (fault && info->trapno == 14) mc->cr2 = info->addr;
}

/* The extended state, below *sp and aligned for XRSTOR. 0 or -EFAULT. */
static int push_xstate(struct task *t, gaddr_t *sp, gaddr_t *fpstate)
{
    size_t size = platform_xstate_size();
    gaddr_t at = (*sp - size - 4) & ~63ULL;
    AUTO_FREE u8 *buf = NULL;
    struct linux_fpx_sw sw = { .magic1 = LINUX_FP_XSTATE_MAGIC1, .extended_size = (u32)size + 4,
                               .xfeatures = platform_xstate_features(), .xstate_size = (u32)size };
    u32 magic2 = LINUX_FP_XSTATE_MAGIC2;
    u64 bv;

    if (at > *sp) return -EFAULT;   /* wrapped */
    buf = xzalloc(size + 4);
    if (kernel.pops->ctx_get_xstate(t->ctx, buf, size)) return -EFAULT;
    memcpy(buf + LINUX_FPX_SW_OFFSET, &sw, sizeof(sw));
    /* x87 and SSE are always in the image: programs that know only FXSAVE read them without looking at the header. */
    memcpy(&bv, buf + LINUX_XSAVE_HDR_OFFSET, 8);
    bv |= 3;
    memcpy(buf + LINUX_XSAVE_HDR_OFFSET, &bv, 8);
    memcpy(buf + size, &magic2, 4);
    if (copy_out(at, buf, size + 4)) return -EFAULT;
    *fpstate = *sp = at;
    return 0;
}

static int build_frame(struct task *t, const struct ksiginfo *info, const struct ksigaction *act)
{
    struct guest_regs *r = &t->regs;
    const ksigset_t *mask = t->has_saved_mask ? &t->saved_mask : &t->blocked;
    struct linux_rt_sigframe f;
    gaddr_t sp = r->rsp, fpstate = 0, frame;
    bool nested = on_altstack(t, sp), entering = false;

    if (!(act->flags & LINUX_SA_RESTORER)) return -EFAULT;
    sp -= 128;   /* the red zone of leaf functions */
    if ((act->flags & SA_ONSTACK) && t->altstack_size && !nested) {
        sp = t->altstack_sp + t->altstack_size;
        entering = true;
    }
    if (push_xstate(t, &sp, &fpstate)) return -EFAULT;
    frame = ((sp - sizeof(f)) & ~15ULL) - 8;
    if (frame > sp) return -EFAULT;
    if ((nested || entering) && !altstack_contains(t, frame)) return -EFAULT;   /* it would overflow */

    memset(&f, 0, sizeof(f));
    f.pretcode = act->restorer;
    f.uc.flags = LINUX_UC_FP_XSTATE | LINUX_UC_SIGCONTEXT_SS | LINUX_UC_STRICT_RESTORE_SS;
    altstack_save(t, &f.uc.stack);
    f.uc.mc = (struct linux_sigcontext){
        .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
        .r15 = r->r15, .rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp, .rbx = r->rbx, .rdx = r->rdx, .rax = r->rax,
        .rcx = r->rcx, .rsp = r->rsp, .rip = r->rip, .eflags = r->eflags, .cs = USER_CS, .ss = USER_SS,
        .oldmask = mask->w[0], .fpstate = fpstate,
    };
    fault_context(info, &f.uc.mc);
    f.uc.sigmask = mask->w[0];
    if (act->flags & SA_SIGINFO) linux_siginfo_fill(&f.info, info);
    if (copy_out(frame, &f, sizeof(f))) return -EFAULT;
    if (task_reset_xstate(t)) return -EFAULT;   /* fpu__clear_user_states(): a handler starts with a fresh FPU */

    if (t->altstack_flags & LINUX_SS_AUTODISARM) {
        t->altstack_sp = t->altstack_size = 0;
        t->altstack_flags = LINUX_SS_DISABLE;
    }
    r->rdi = (u64)info->signo;
    r->rsi = frame + offsetof(struct linux_rt_sigframe, info);
    r->rdx = frame + offsetof(struct linux_rt_sigframe, uc);
    r->rax = 0;
    r->rip = act->handler;
    r->rsp = frame;
    r->cs = USER_CS;
    r->ss = USER_SS;
    r->eflags &= ~EFLAGS_CLEARED;
    return 0;
}

/* force_sigsegv(): a frame could not be built or was not a frame. A bad frame for SIGSEGV itself is fatal. */
static void force_segv(struct task *t, int failed_signo)
{
    struct ksiginfo info = { .signo = SIGSEGV, .code = SI_KERNEL };

    if (failed_signo == SIGSEGV) {
        struct ksigaction dfl = { 0 };
        signal_action(SIGSEGV, &dfl, NULL);
    }
    signal_force(t, &info);
}

/* Arranges for the interrupted call to run again; nr: what its number will be. */
static void restart_call(struct guest_regs *r, u64 nr)
{
    r->rax = nr;
    r->rip -= 2;   /* back onto the `syscall` instruction */
}

void linux_deliver(struct task *t, int restart)
{
    struct guest_regs *r = &t->regs;
    u64 nr = (u32)r->orig_rax;
    struct ksiginfo info;
    struct ksigaction act;

    while (signal_dequeue_for_delivery(&info, &act)) {
        bool stepped = false;
        if (unlikely(t->ptrace)) {
            if (r->orig_rax == ~0ULL) restart = 0;   /* the tracer put other registers in place */
            stepped = ptrace_step_pause();
        }
        switch (restart) {
        case -ERESTARTSYS:
            if (act.flags & SA_RESTART)
                restart_call(r, nr);
            else
                r->rax = (u64)-EINTR;
            break;
        case -ERESTARTNOINTR:
            restart_call(r, nr);
            break;
        case -ERESTARTNOHAND:
        case -ERESTART_RESTARTBLOCK:
            r->rax = (u64)-EINTR;
            break;
        default:
            break;
        }
        restart = 0;
        if (unlikely(t->rseq_addr && !linux_rseq_signal(t)) || build_frame(t, &info, &act)) {
            force_segv(t, info.signo);
            continue;
        }
        t->has_saved_mask = false;   /* its frame holds the mask to come back to */
        signal_delivered(info.signo, &act);
        if (unlikely(stepped)) ptrace_step_done();
    }
    if (unlikely(t->ptrace) && r->orig_rax == ~0ULL) restart = 0;
    if (restart) restart_call(r, restart == -ERESTART_RESTARTBLOCK ? LINUX_NR_restart_syscall : nr);
    if (t->has_saved_mask) signal_restore_temp_mask();
}

void linux_deliver_signals(struct task *t)
{
    linux_deliver(t, 0);
}

/* Takes the extended state of a frame back. 0, -EFAULT, -EINVAL. */
static int pop_xstate(struct task *t, gaddr_t fpstate)
{
    size_t size = platform_xstate_size();
    AUTO_FREE u8 *buf = xzalloc(size);
    struct linux_fpx_sw sw;
    u32 magic2 = 0, mxcsr = 0x1f80;
    u16 fcw = 0x37f;
    u64 bv = 3;

    if (!fpstate) {
        memcpy(buf, &fcw, 2);
        memcpy(buf + 24, &mxcsr, 4);
        return kernel.pops->ctx_set_xstate(t->ctx, buf, size);
    }
    if (copy_in(buf, fpstate, LINUX_FXSAVE_SIZE)) return -EFAULT;
    memcpy(&sw, buf + LINUX_FPX_SW_OFFSET, sizeof(sw));
    memset(buf + LINUX_FPX_SW_OFFSET, 0, sizeof(sw));
    /* An image that is not marked, or inconsistent, counts as plain FXSAVE; the rest of the state becomes initial. */
    if (sw.magic1 == LINUX_FP_XSTATE_MAGIC1 && sw.xstate_size >= LINUX_XSAVE_MIN && sw.xstate_size <= size &&
        sw.xstate_size <= sw.extended_size) {
        if (copy_in(&magic2, fpstate + sw.xstate_size, 4)) return -EFAULT;
        if (magic2 == LINUX_FP_XSTATE_MAGIC2) {
            if (copy_in(buf + LINUX_FXSAVE_SIZE, fpstate + LINUX_FXSAVE_SIZE, sw.xstate_size - LINUX_FXSAVE_SIZE))
                return -EFAULT;
            memcpy(&bv, buf + LINUX_XSAVE_HDR_OFFSET, 8);
            bv &= sw.xfeatures & platform_xstate_features();
        }
    }
    memcpy(buf + LINUX_XSAVE_HDR_OFFSET, &bv, 8);
    return kernel.pops->ctx_set_xstate(t->ctx, buf, size);
}

static bool canonical(u64 a)
{
    return (u64)((s64)(a << 16) >> 16) == a;
}

sysret_t linux_rt_sigreturn(const struct syscall_args *a)
{
    struct task *t = current;
    struct guest_regs *r = &t->regs;
    struct linux_ucontext uc;
    struct linux_sigcontext *mc = &uc.mc;
    ksigset_t mask = { { 0 } };

    (void)a;
    /* The restorer was reached by `ret`, which took pretcode off the stack. */
    if (copy_in(&uc, r->rsp - 8 + offsetof(struct linux_rt_sigframe, uc), sizeof(uc))) goto bad;
    mask.w[0] = uc.sigmask;
    signal_set_mask(&mask);
    if (!canonical(mc->rip)) goto bad;
    if (pop_xstate(t, mc->fpstate)) goto bad;
    r->r8 = mc->r8, r->r9 = mc->r9, r->r10 = mc->r10, r->r11 = mc->r11, r->r12 = mc->r12, r->r13 = mc->r13;
    r->r14 = mc->r14, r->r15 = mc->r15, r->rdi = mc->rdi, r->rsi = mc->rsi, r->rbp = mc->rbp, r->rbx = mc->rbx;
    r->rdx = mc->rdx, r->rax = mc->rax, r->rcx = mc->rcx, r->rsp = mc->rsp, r->rip = mc->rip;
    r->eflags = (r->eflags & ~EFLAGS_RESTORED) | (mc->eflags & EFLAGS_RESTORED);
    r->cs = USER_CS;
    r->ss = USER_SS;
    r->orig_rax = ~0ULL;
    (void)altstack_set(t, &uc.stack, r->rsp);   /* as in Linux, its errors are nobody's */
    return (sysret_t)r->rax;
bad:
    r->orig_rax = ~0ULL;
    force_segv(t, 0);
    return (sysret_t)r->rax;
}
