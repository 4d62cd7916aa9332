/*
 * One run of guest code: registers into the shared page, KVM_RUN, and what the exit means.
 *
 * A vCPU leaves the machine in one of two places. In the stub, at ring 0, behind a port write: the guest made a system call
 * or an exception; it goes back by the stub's own sysret or iret, for which only general registers have to be set. Or
 * in guest code, at ring 3, when a kick came: it goes on there.
 */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

HOSTCALL_ARG(ioctl, "guest code runs", 1, KVM_RUN);
HOSTCALL_ARG(ioctl, "was an exception under way when guest code was interrupted?", 1, KVM_GET_VCPU_EVENTS);
HOSTCALL(rt_sigtimedwait, "the signal of a kick is taken back");

#define USER_END (1ULL << 47)
#define PF_WRITE 2u
#define PF_FETCH 16u
/* Faults in a row that the tables permit before the process is given up. */
#define MAX_SPURIOUS 100

#define VEC_DE 0
#define VEC_DB 1
#define VEC_BP 3
#define VEC_UD 6
#define VEC_SS 12
#define VEC_NP 11
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_XM 19

static void exception(struct platform_exit *exit, int signo, int code, gaddr_t addr, u32 trapno, u64 error)
{
    *exit = (struct platform_exit){ .event = PLATFORM_EXCEPTION, .signo = signo, .code = code, .fault_addr = addr,
                                    .trapno = trapno, .error_code = error };
}

static bool canonical(u64 a)
{
    return (u64)((s64)(a << 16) >> 16) == a;
}

static void get_general(const struct kvm_regs *k, struct guest_regs *r)
{
    r->r15 = k->r15;
    r->r14 = k->r14;
    r->r13 = k->r13;
    r->r12 = k->r12;
    r->rbp = k->rbp;
    r->rbx = k->rbx;
    r->r11 = k->r11;
    r->r10 = k->r10;
    r->r9 = k->r9;
    r->r8 = k->r8;
    r->rax = k->rax;
    r->rcx = k->rcx;
    r->rdx = k->rdx;
    r->rsi = k->rsi;
    r->rdi = k->rdi;
}

static void set_general(struct kvm_regs *k, const struct guest_regs *r)
{
    k->r15 = r->r15;
    k->r14 = r->r14;
    k->r13 = r->r13;
    k->r12 = r->r12;
    k->rbp = r->rbp;
    k->rbx = r->rbx;
    k->r11 = r->r11;
    k->r10 = r->r10;
    k->r9 = r->r9;
    k->r8 = r->r8;
    k->rax = r->rax;
    k->rcx = r->rcx;
    k->rdx = r->rdx;
    k->rsi = r->rsi;
    k->rdi = r->rdi;
}

static void to_ring3(struct kvm_vcpu *v, struct kvm_sregs *s)
{
    s->cs.selector = SEL_UCS;
    s->cs.dpl = 3;
    s->cs.type = 11;
    s->ss.selector = SEL_UDS;
    s->ss.dpl = 3;
    s->ss.type = 3;
    v->ring3 = true;
}

static void to_ring0(struct kvm_vcpu *v, struct kvm_sregs *s)
{
    s->cs.selector = SEL_KCS;
    s->cs.dpl = 0;
    s->cs.type = 11;
    s->ss.selector = SEL_KDS;
    s->ss.dpl = 0;
    s->ss.type = 3;
    v->ring3 = false;
}

void kvm_clean_segments(struct kvm_sregs *s)
{
    u64 fs = s->fs.base, gs = s->gs.base;

    s->ds = (struct kvm_segment){ .selector = SEL_UDS, .limit = 0xffffffff, .type = 3, .present = 1, .dpl = 3, .db = 1, .s = 1, .g = 1 };
    s->es = s->fs = s->gs = s->ds;
    s->fs.base = fs;
    s->gs.base = gs;
}

/* Everything for the next KVM_RUN. `flush`: no old mapping may be used. */
static void load(struct kvm_vcpu *v, const struct kvm_root *root, const struct guest_regs *r, bool user_stub, bool flush)
{
    struct kvm_run *run = v->run;
    struct kvm_regs *k = &run->s.regs.regs;
    struct kvm_sregs *s = &run->s.regs.sregs;
    struct kvm_frame *f = (struct kvm_frame *)(void *)(v->page + VCPU_FRAME);
    u64 flags = (r->eflags & USER_EFLAGS) | 0x202;

    run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    set_general(k, r);
    if (unlikely(s->fs.base != r->fs_base || s->gs.base != r->gs_base || !v->clean_segments)) {
        if (!v->clean_segments) {
            kvm_clean_segments(s);
            v->clean_segments = true;
        }
        s->fs.base = r->fs_base;
        s->gs.base = r->gs_base;
        run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    }
    if (user_stub) { /* nothing runs at ring 0, and there is nothing to flush (pt.c) */
        if (!v->ring3) {
            to_ring3(v, s);
            run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
        }
        if (s->cr3 != root->gpa) {
            s->cr3 = root->gpa;
            run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
        }
    } else if (v->ring3 && flush) {
        to_ring0(v, s);
        run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    }
    if (!v->root) { /* first run: a root that the stub can be fetched through */
        s->cr3 = root->gpa;
        run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    }
    if (v->ring3) {
        k->rip = r->rip;
        k->rsp = r->rsp;
        k->rflags = flags;
        return;
    }
    k->rflags = 2;
    if (!flush && r->rcx == r->rip && r->r11 == flags && r->rip < USER_END && !(flags & (EFLAGS_TF | EFLAGS_RF))) {
        k->rip = TEXT(sysret);
        k->rsp = r->rsp;
        return;
    }
    *f = (struct kvm_frame){ .rax = r->rax, .rip = r->rip, .cs = SEL_UCS, .rflags = flags, .rsp = r->rsp, .ss = SEL_UDS };
    k->rsp = KVA_VCPU(v->id) + VCPU_FRAME + (flush ? 0 : offsetof(struct kvm_frame, rip));
    k->rip = flush ? TEXT(flush) : TEXT(iret);
    if (flush) k->rax = root->gpa;
}

/* Guest code had the registers of `k` at ring 3. */
static void save(struct kvm_vcpu *v, struct guest_regs *r, u64 rip, u64 rflags, u64 rsp)
{
    const struct kvm_run *run = v->run;

    get_general(&run->s.regs.regs, r);
    r->rip = rip;
    r->eflags = (rflags & USER_EFLAGS) | 0x202;
    r->rsp = rsp;
    r->orig_rax = (u64)-1;
    r->cs = SEL_UCS;
    r->ss = SEL_UDS;
    r->fs_base = run->s.regs.sregs.fs.base;
    r->gs_base = run->s.regs.sregs.gs.base;
    r->ds = r->es = r->fs = r->gs = 0;
}

static void system_call(struct kvm_vcpu *v, struct guest_regs *r, struct platform_exit *exit, u64 rsp)
{
    const struct kvm_regs *k = &v->run->s.regs.regs;

    save(v, r, k->rcx, k->r11, rsp);
    r->orig_rax = r->rax;
    r->rax = (u64)-ENOSYS;
    exit->event = PLATFORM_SYSCALL;
}

/* The stub at ring 3 has published a call, or left to make one. `rip`, `flags`: of behind it. */
static void user_call(struct kvm_vcpu *v, struct guest_regs *r, struct platform_exit *exit, u64 rip, u64 flags, u64 rsp)
{
    save(v, r, rip, flags, rsp);
    r->rcx = rip;
    r->r11 = r->eflags;
    r->orig_rax = r->rax;
    r->rax = (u64)-ENOSYS;
    exit->event = PLATFORM_SYSCALL;
}

/* What the stub has put down of the registers it uses itself: of a session, or whatever a guest wrote there. */
struct put_down { u64 rip, flags, rsp; };

static struct put_down put_down(const struct kvm_vcpu *v)
{
    const struct request_page *req = v->root->req;

    return (struct put_down){ __atomic_load_n(&req->regs.rip, __ATOMIC_RELAXED), __atomic_load_n(&req->regs.eflags, __ATOMIC_RELAXED),
                              __atomic_load_n(&req->regs.rsp, __ATOMIC_RELAXED) };
}

/* The answer to the session's last call has not been taken by the guest. */
static bool unanswered(const struct platform_ctx *ctx)
{
    const struct kvm_session *s = &ctx->session;
    return s->ended && s->answered && __atomic_load_n(&s->req->seq, __ATOMIC_ACQUIRE) == s->seq;
}

/* Back to the caller with the registers of the answer: extended ones too. It may have loaded those; to do that again is the same. */
static void not_taken(struct platform_ctx *ctx)
{
    if (ctx->session.loading) ctx->xstate_pending = true;
}

static u64 stub_offset(u64 rip) { return rip - USER_TEXT(start); }
static bool unpublished(u64 off) { return off < USER_OFF(published); }

/* In the stub at ring 3, before a call was published: back to the guest's `syscall`, which follows patched sites too. */
static void back_to_site(struct kvm_vcpu *v, struct guest_regs *r, u64 off, u64 flags, u64 rsp)
{
    const struct kvm_regs *k = &v->run->s.regs.regs;
    struct put_down d = put_down(v);

    if (off < USER_OFF(patched)) {
        if (off <= USER_OFF(flags_kept)) d.flags = k->r11;
        d.rsp = rsp;
    } else if (off < USER_OFF(common)) {
        if (off <= USER_OFF(patched_flags)) d.flags = flags;
        if (off <= USER_OFF(patched_stack)) d.rsp = rsp;
    }
    save(v, r, k->rcx - 2, d.flags, d.rsp);
}

/* Interrupted in the stub at ring 3. */
static void interrupted_in_stub(struct platform_ctx *ctx, struct kvm_vcpu *v, struct guest_regs *r, struct platform_exit *exit, u64 off)
{
    const struct kvm_regs *k = &v->run->s.regs.regs;

    if (unpublished(off)) {
        back_to_site(v, r, off, k->rflags, k->rsp);
        return;
    }
    /* It has not begun to take the answer, or is not through with it: *r is what it would have had. */
    if (off < USER_OFF(resume) ? unanswered(ctx) : ctx->session.ended && ctx->session.answered) {
        not_taken(ctx);
        return;
    }
    struct put_down d = put_down(v);
    user_call(v, r, exit, d.rip, d.flags, d.rsp);
}

/* What Linux makes of the x87 and SSE status (math_error in arch/x86/kernel/traps.c; SDM volume 1, 8.5 and 11.5). */
static int fpe_code(struct platform_ctx *ctx, struct kvm_vcpu *v, u32 vector)
{
    struct kvm_xsave x;
    u16 cwd, swd;
    u32 mxcsr, err;

    if (ctx->xstate_pending || ioctl(v->fd, KVM_GET_XSAVE, &x)) return FPE_FLTUNK;
    memcpy(&cwd, (u8 *)&x, 2);
    memcpy(&swd, (u8 *)&x + 2, 2);
    memcpy(&mxcsr, (u8 *)&x + 24, 4);
    err = vector == VEC_MF ? swd & ~cwd : ~(mxcsr >> 7) & mxcsr;
    if (err & 1) return FPE_FLTINV;
    if (err & 4) return FPE_FLTDIV;
    if (err & 8) return FPE_FLTOVF;
    if (err & 0x12) return FPE_FLTUND;
    if (err & 0x20) return FPE_FLTRES;
    return FPE_FLTUNK;
}

/* False: nothing for the caller, run again. */
static bool page_fault(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as, struct platform_exit *exit, u32 error)
{
    gaddr_t addr = v->run->s.regs.sregs.cr2;

    switch (kvm_as_fault(as, addr, error)) {
    case KVM_FAULT_FILLED:
        return false;
    case KVM_FAULT_SPURIOUS:
        v->gen = 0; /* flush */
        if (++ctx->spurious <= MAX_SPURIOUS) return false;
        log_warn("kvm: a guest faults without end at %#llx (error %#x), where it has access; its process is killed",
                 (unsigned long long)addr, error);
        exit->event = PLATFORM_DEAD;
        return true;
    case KVM_FAULT_BUS:
        exception(exit, SIGBUS, BUS_ADRERR, addr, VEC_PF, error);
        return true;
    case KVM_FAULT_REAL:
        break;
    }
    *exit = (struct platform_exit){ .event = PLATFORM_FAULT, .fault_addr = addr, .trapno = VEC_PF, .error_code = error,
                                    .access = error & PF_FETCH ? PLATFORM_PROT_EXEC :
                                              error & PF_WRITE ? PLATFORM_PROT_WRITE : PLATFORM_PROT_READ };
    return true;
}

static bool has_error_code(u32 vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* KVM's emulator, which PVM hosts leave `int` to, does not know it and calls it invalid. What it would have been: */
static void invalid(struct platform_as *as, struct guest_regs *r, struct platform_exit *exit)
{
    u8 code[2] = { 0 };

    if (as->p->var.user_stub && kvm_as_peek(as, r->rip, code, 1) && code[0] == 0xcd) kvm_as_peek(as, r->rip + 1, code + 1, 1);
    if (code[0] == 0xcc || (code[0] == 0xcd && code[1] == VEC_BP)) {
        r->rip += code[0] == 0xcc ? 1 : 2;
        exception(exit, SIGTRAP, SI_KERNEL, 0, VEC_BP, 0);
    } else if (code[0] == 0xcd) {
        exception(exit, SIGSEGV, SI_KERNEL, 0, VEC_GP, code[1] * 8u + 2);
    } else {
        exception(exit, SIGILL, ILL_ILLOPN, r->rip, VEC_UD, 0);
    }
}

/* An exception's handler has left the machine. The frame lies where only the processor and the sentry write. */
static bool trapped(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as, struct guest_regs *r,
                    struct platform_exit *exit, u32 vector)
{
    struct { u64 rip, cs, rflags, rsp, ss; } f;
    u64 error = 0;

    memcpy(&f, v->page + GPAGE_SIZE - sizeof(f), sizeof(f));
    if (has_error_code(vector)) memcpy(&error, v->page + GPAGE_SIZE - sizeof(f) - 8, sizeof(error));
    if (unlikely(f.cs != SEL_UCS)) {
        /* `mov ss` before `syscall` can carry a debug exception over to ring 0's first instruction. */
        if (vector == VEC_DB && f.rip == TEXT(syscall)) {
            system_call(v, r, exit, f.rsp);
            return true;
        }
        log_warn("kvm: exception %u in ring 0 at %#llx, error %#llx", vector, (unsigned long long)f.rip, (unsigned long long)error);
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0);
        return true;
    }
    if (ctx->p->var.user_stub && stub_offset(f.rip) == USER_OFF(load) && unanswered(ctx)) {
        exception(exit, SIGSEGV, SI_KERNEL, 0, VEC_GP, 0); /* extended state that the processor refuses */
        return true;
    }
    if (ctx->p->var.user_stub && vector == VEC_DB && stub_offset(f.rip) < USER_OFF(published)) /* a step from a patched site */
        back_to_site(v, r, stub_offset(f.rip), f.rflags, f.rsp);
    else
        save(v, r, f.rip, f.rflags, f.rsp);
    switch (vector) {
    case VEC_PF: return page_fault(ctx, v, as, exit, (u32)error);
    case VEC_DE: exception(exit, SIGFPE, FPE_INTDIV, f.rip, vector, 0); break;
    case VEC_DB: exception(exit, SIGTRAP, f.rflags & EFLAGS_TF ? TRAP_TRACE : TRAP_BRKPT, f.rip, vector, 0); break;
    case VEC_BP: exception(exit, SIGTRAP, SI_KERNEL, 0, vector, 0); break;
    case VEC_UD: invalid(as, r, exit); break;
    case VEC_MF:
    case VEC_XM: exception(exit, SIGFPE, fpe_code(ctx, v, vector), f.rip, vector, 0); break;
    case VEC_AC: exception(exit, SIGBUS, BUS_ADRALN, 0, vector, error); break;
    case VEC_NP:
    case VEC_SS: exception(exit, SIGBUS, SI_KERNEL, 0, vector, error); break;
    default: exception(exit, SIGSEGV, SI_KERNEL, 0, vector, error); break;
    }
    return true;
}

/* The machine is not to be trusted with this process any more: say so, once, with what there is to see. */
static bool broken(struct kvm_vcpu *v, struct platform_exit *exit, int err)
{
    const struct kvm_run *run = v->run;

    log_warn("kvm: KVM_RUN ended with %s, exit reason %u (%u), rip %#llx, cs %#x, cr2 %#llx; the guest process is killed",
             err ? strerror(err) : "no error", run->exit_reason, run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? run->internal.suberror : 0,
             (unsigned long long)run->s.regs.regs.rip, run->s.regs.sregs.cs.selector, (unsigned long long)run->s.regs.sregs.cr2);
    v->broken = true;
    exit->event = PLATFORM_DEAD;
    return true;
}

static void drain_kicks(void)
{
    static const struct timespec zero = { 0, 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    while (sigtimedwait(&set, NULL, &zero) == KVM_KICK_SIGNAL) continue;
}

/*
 * Is an exception on its way to the guest? If not, the shadow that `mov ss` may have cast is lifted: where the vCPU goes
 * on, it would hit another instruction.
 */
static bool event_pending(struct kvm_vcpu *v)
{
    struct kvm_vcpu_events ev = { .flags = 0 };

    if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &ev)) return false;
    if (ev.exception.injected || ev.exception.pending || ev.interrupt.injected || ev.nmi.injected) return true;
    if (ev.interrupt.shadow) {
        ev = (struct kvm_vcpu_events){ .flags = KVM_VCPUEVENT_VALID_SHADOW };
        ioctl(v->fd, KVM_SET_VCPU_EVENTS, &ev);
    }
    return false;
}

enum interrupted { STOPPED, UNDER_WAY };

/* A signal ended the run. UNDER_WAY: an event of the guest has begun and must end first; nothing may be changed. */
static enum interrupted interrupted(struct platform_ctx *ctx, struct kvm_vcpu *v, struct guest_regs *r, struct platform_exit *exit)
{
    const struct kvm_regs *k = &v->run->s.regs.regs;
    u64 rip = k->rip;

    drain_kicks();
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (event_pending(v)) return UNDER_WAY;
    v->ring3 = v->run->s.regs.sregs.cs.selector & 3;
    if (ctx->p->var.user_stub && stub_offset(rip) < USER_OFF(resume_end)) {
        interrupted_in_stub(ctx, v, r, exit, stub_offset(rip));
        return STOPPED;
    }
    if (v->ring3) {
        save(v, r, rip, k->rflags, k->rsp);
        return STOPPED;
    }
    /* Still on its way out of ring 0: *r is what it would have had. */
    return rip >= TEXT(sysret) && rip < TEXT(return_end) ? STOPPED : UNDER_WAY;
}

/* Ring 3 has used the one port it may: in the stub, for a system call, or the guest did so itself. */
static bool user_port(struct platform_ctx *ctx, struct kvm_vcpu *v, struct guest_regs *r, struct platform_exit *exit)
{
    struct kvm_run *run = v->run;
    u64 off = stub_offset(run->s.regs.regs.rip), rcx = run->s.regs.regs.rcx, rsp = run->s.regs.regs.rsp;

    /* A `syscall` that the host emulates, instead of having the processor do it, does enter ring 0. */
    v->ring3 = run->s.regs.sregs.cs.selector & 3;
    if (likely(run->io.direction == KVM_EXIT_IO_OUT && off == USER_OFF(syscall_out))) {
        system_call(v, r, exit, run->s.regs.regs.rsp);
        return true;
    }
    if (run->io.direction == KVM_EXIT_IO_OUT && (off == USER_OFF(left) || off == USER_OFF(ring0_out) || off == USER_OFF(patched_out))) {
        struct put_down d = put_down(v);
        if (off == USER_OFF(left) && unanswered(ctx)) {
            not_taken(ctx);
            return true; /* as KICKED */
        }
        if (off == USER_OFF(left)) user_call(v, r, exit, d.rip, d.flags, d.rsp);
        else user_call(v, r, exit, rcx, d.flags, off == USER_OFF(patched_out) ? d.rsp : rsp);
        exit->patched = off == USER_OFF(patched_out) || (off == USER_OFF(left) && v->root->req->signo == REQ_PATCHED_CALL);
        return true;
    }
    if (!v->ring3 && off != USER_OFF(cstar_out)) return broken(v, exit, 0);
    /* What is left of the instruction is to be over before the registers are looked at. */
    __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    ioctl(v->fd, KVM_RUN, 0);
    __atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    save(v, r, run->s.regs.regs.rip, run->s.regs.regs.rflags, run->s.regs.regs.rsp);
    exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0);
    return true;
}

/* What ended KVM_RUN. False: nothing for the caller, run again. */
static bool decode(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as, struct guest_regs *r,
                   struct platform_exit *exit, int err)
{
    const struct kvm_run *run = v->run;
    u32 port = run->io.port;

    if (unlikely(err == EFAULT)) {
        v->ring3 = run->s.regs.sregs.cs.selector & 3;
        if (!v->ring3 || event_pending(v)) return broken(v, exit, err);
        save(v, r, run->s.regs.regs.rip, run->s.regs.regs.rflags, run->s.regs.regs.rsp);
        if (kvm_as_revalidate(as)) return false;
        exception(exit, SIGBUS, BUS_ADRERR, 0, VEC_PF, 0); /* the host is out of memory or disk; where is not told */
        return true;
    }
    if (!err && as->p->var.user_stub && run->exit_reason == KVM_EXIT_IO && port == PORT_USER)
        return user_port(ctx, v, r, exit);
    if (unlikely(err || run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT || run->io.size != 1 ||
                 (run->s.regs.sregs.cs.selector & 3)))
        return broken(v, exit, err);
    v->ring3 = false;
    if (likely(port == PORT_SYSCALL)) {
        system_call(v, r, exit, run->s.regs.regs.rsp);
        return true;
    }
    if (port >= PORT_VECTOR && port < PORT_VECTOR + 32) return trapped(ctx, v, as, r, exit, port - PORT_VECTOR);
    return broken(v, exit, 0);
}

void kvm_root_loaded(struct platform *p, struct kvm_vcpu *v, struct kvm_root *root)
{
    if (v->root == root) return;
    if (v->root) kvm_root_put(p, v->root);
    ref_get(&root->refs);
    v->root = root;
}

static int run_vcpu(struct kvm_vcpu *v)
{
    int err = ioctl(v->fd, KVM_RUN, 0) ? errno : 0;

    v->run->kvm_dirty_regs = 0;
    return err;
}

static void out_of_guest(struct platform_ctx *ctx, struct kvm_vcpu *v)
{
    __atomic_store_n(&ctx->running, NULL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->in_as, 0, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&v->run_seq, 1, __ATOMIC_SEQ_CST);
}

/* The vCPU has been run and is ours. True: *exit is complete. */
static bool finish(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as, struct guest_regs *r,
                   struct platform_exit *exit, struct kvm_root *root, u64 gen, int err)
{
    bool complete = true;

    while (unlikely(err == EINTR) && interrupted(ctx, v, r, exit) == UNDER_WAY) err = run_vcpu(v);
    if (v->run->s.regs.sregs.cr3 == root->gpa) {
        kvm_root_loaded(ctx->p, v, root);
        /* If it still stands at the flush, that has not happened. */
        if (v->ring3 || v->run->s.regs.regs.rip != TEXT(flush)) v->gen = gen;
    }
    out_of_guest(ctx, v);
    if (err != EINTR) complete = decode(ctx, v, as, r, exit, err);
    ctx->session.ended = false;
    return complete;
}

/* A session is on: until the guest makes a call, or the session ends. As enter(). */
static bool in_session(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *r, struct platform_exit *exit)
{
    struct kvm_session *s = &ctx->session;

    if (!kvm_session_wait(ctx)) return finish(ctx, ctx->vcpu, as, r, exit, ctx->vcpu->root, 0, s->runner->err);
    __atomic_store_n(&ctx->running, NULL, __ATOMIC_SEQ_CST);
    *r = s->ev.regs;
    r->eflags = (r->eflags & USER_EFLAGS) | 0x202;
    r->rcx = r->rip;
    r->r11 = r->eflags;
    r->orig_rax = r->rax;
    r->rax = (u64)-ENOSYS;
    r->cs = SEL_UCS;
    r->ss = SEL_UDS;
    r->ds = r->es = r->fs = r->gs = 0;
    exit->event = PLATFORM_SYSCALL;
    exit->patched = s->ev.signo == REQ_PATCHED_CALL;
    return true;
}

/* One entry into the machine. True: *exit is complete. */
static bool enter(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as, struct guest_regs *r, struct platform_exit *exit)
{
    struct kvm_root *root = v->root && v->root->as_id == as->id ? v->root : kvm_as_root(as, v->id);
    bool flush;
    u64 gen;

    if (!root) {
        log_warn("kvm: no memory for page tables; a guest process is killed");
        exit->event = PLATFORM_DEAD;
        return true;
    }

    /* The order matters, see shoot() in pt.c and kvm_ctx_kick. */
    __atomic_store_n(&v->in_as, (u64)(uintptr_t)as, __ATOMIC_SEQ_CST);
    __atomic_store_n(&ctx->running, v, __ATOMIC_SEQ_CST);
    gen = __atomic_load_n(&as->gen, __ATOMIC_SEQ_CST);
    flush = v->root != root || v->gen != gen;
    exit->event = PLATFORM_KICKED;
    if (likely(!__atomic_load_n(&ctx->kicked, __ATOMIC_SEQ_CST))) {
        load(v, root, r, as->p->var.user_stub, flush);
        if (as->p->var.user_stub) {
            kvm_root_loaded(ctx->p, v, root); /* whatever happens, it is not used for anything else before */
            if (ctx->session.wanted && kvm_session_begin(ctx, v, as)) return in_session(ctx, as, r, exit);
        }
        kvm_before_sleep(ctx->p); /* how long it stays in the guest is not known */
        return finish(ctx, v, as, r, exit, root, gen, run_vcpu(v));
    }
    out_of_guest(ctx, v);
    return true;
}

/* Goes on with a session. False: it is over, and its vCPU free. Else as enter(), in *complete. */
static bool go_on(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *r, struct platform_exit *exit, bool *complete)
{
    /* The order matters, see kvm_ctx_kick. */
    __atomic_store_n(&ctx->running, ctx->vcpu, __ATOMIC_SEQ_CST);
    *complete = true;
    exit->event = PLATFORM_KICKED;
    if (unlikely(__atomic_load_n(&ctx->kicked, __ATOMIC_SEQ_CST))) {
        __atomic_store_n(&ctx->running, NULL, __ATOMIC_SEQ_CST);
        return true;
    }
    if (!kvm_session_resume(ctx, as, r)) {
        __atomic_store_n(&ctx->running, NULL, __ATOMIC_SEQ_CST);
        return false;
    }
    *complete = in_session(ctx, as, r, exit);
    return true;
}

/* Values that no processor would load. */
static bool impossible(const struct guest_regs *r)
{
    return !canonical(r->rip) || !canonical(r->fs_base) || !canonical(r->gs_base);
}

static void run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit)
{
    bool complete = false;
    struct kvm_vcpu *v;

    *exit = (struct platform_exit){ .event = PLATFORM_KICKED };
    if (unlikely(atomic_load(&as->dead))) goto dead;
    if (unlikely(impossible(regs))) {
        regs->orig_rax = (u64)-1;
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0);
        return;
    }
    if (ctx->p->spin_budget && unlikely(++ctx->session.count >= SESSION_WINDOW || ctx->session.fails > SESSION_MAX_FAILS))
        kvm_session_look(ctx);
    if (ctx->session.on && go_on(ctx, as, regs, exit, &complete)) {
        v = ctx->vcpu;
        goto running;
    }
    v = kvm_vcpu_take(ctx);
    if (!v) {
        if (!ctx->p->probing) log_warn("kvm: no vCPU for a guest thread: %s", strerror(errno));
        goto dead;
    }
    if (unlikely(ctx->as_id != as->id)) { /* exec */
        if (!ctx->xstate_pending) platform_xstate_init(ctx->xstate);
        ctx->xstate_pending = true;
        ctx->as_id = as->id;
    }
    if (unlikely(v->broken) && kvm_vcpu_setup(ctx->p, v)) goto dead_give;
    if (unlikely(ctx->xstate_pending) && kvm_xstate_push(ctx, v)) {
        kvm_vcpu_give(ctx, v);
        ctx->xstate_pending = false;
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0); /* extended state that the processor refuses */
        return;
    }
running:
    while (!complete) complete = enter(ctx, v, as, regs, exit);
    if (likely(exit->event == PLATFORM_SYSCALL)) ctx->spurious = 0;
    if (unlikely(exit->event == PLATFORM_DEAD)) goto dead_give;
    if (exit->event == PLATFORM_KICKED) __atomic_store_n(&ctx->kicked, 0, __ATOMIC_SEQ_CST);
    if (!ctx->session.on) kvm_vcpu_give(ctx, v);
    return;
dead_give:
    v->broken = true;
    ctx->xstate_pending = true;
    kvm_vcpu_give(ctx, v);
dead:
    __atomic_store_n(&as->dead, true, __ATOMIC_SEQ_CST);
    exit->event = PLATFORM_DEAD;
}

void kvm_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit)
{
    if (!ctx->p->spin_budget) {
        run(ctx, as, regs, exit);
        return;
    }
    __atomic_add_fetch(&ctx->p->busy, 1, __ATOMIC_RELAXED);
    run(ctx, as, regs, exit);
    __atomic_sub_fetch(&ctx->p->busy, 1, __ATOMIC_RELAXED);
}

void kvm_ctx_kick(struct platform_ctx *ctx)
{
    struct kvm_vcpu *v;

    /* Here: store kicked, load running. Entering: store running, load kicked. One of the two sees the other. */
    __atomic_store_n(&ctx->kicked, 1, __ATOMIC_SEQ_CST);
    v = __atomic_load_n(&ctx->running, __ATOMIC_SEQ_CST);
    if (v) kvm_vcpu_kick(v);
}
