/*
 * One run of guest code: registers onto the request page, an answer to the runner's last event, wait for the next one.
 * Two system calls here and two in the stub, all futex, on one CPU.
 *
 * Why futex and not SECCOMP_RET_USER_NOTIF for the sleep: on one CPU both cost the same (6.9 and 6.2 to 7.1 us a round
 * trip with the signal), and futex needs no descriptor per thread and no kernel 6.6.
 */
#include "platform/trap/internal.h"
#include "platform/xstate.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <linux/audit.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

HOSTCALL(futex, "hand-over to and from guest threads");
HOSTCALL(tgkill, "a kick interrupts guest code");

_Static_assert(sizeof(struct guest_regs) == sizeof(struct user_regs_struct), "same layout as the host's");

#define USER_CS 0x33
#define USER_SS 0x2b
/* CF PF AF ZF SF TF DF OF RF AC; the rest is the kernel's. */
#define USER_EFLAGS 0x50dd5u
#define EFLAGS_TF 0x100u
#define VSYSCALL_PAGE 0xffffffffff600000ULL
#define PF_WRITE 2u
#define PF_FETCH 16u

/* How often to ask whether a silent stub still lives, and how many such periods it may leave a kick unanswered. */
#define SILENCE_NS (100 * NSEC_PER_MSEC)
#define MAX_UNANSWERED 50

static void exception(struct platform_exit *exit, int signo, int code, gaddr_t addr, u32 trapno, u32 error)
{
    *exit = (struct platform_exit){ .event = PLATFORM_EXCEPTION, .signo = signo, .code = code, .fault_addr = addr,
                                    .trapno = trapno, .error_code = error };
}

static void from_sigsys(const struct request_page *ev, struct guest_regs *regs, struct platform_exit *exit)
{
    if ((ev->addr & GPAGE_MASK) == VSYSCALL_PAGE) {
        /* The host had popped the return address already; it is still there. */
        regs->rip = ev->addr;
        regs->rsp -= 8;
        *exit = (struct platform_exit){
            .event = PLATFORM_FAULT, .access = PLATFORM_PROT_EXEC, .fault_addr = ev->addr, .trapno = 14
        };
    } else if (ev->call_arch != AUDIT_ARCH_X86_64) {
        regs->rip -= 2; /* what a kernel without 32-bit emulation does */
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0x80 * 8 + 2);
    } else {
        /*
         * A number that looks like -ERESTART* to the host's signal code has been taken for a result (rax) or made it
         * go back to the instruction (rip).
         */
        s32 nr = (s32)ev->call_nr;
        if (unlikely(nr >= -516 && nr <= -512)) {
            if (regs->rax == (u64)-EINTR) regs->rax = (u64)(s64)nr;
            regs->rip = ev->addr;
        }
        regs->orig_rax = regs->rax;
        regs->rax = (u64)-ENOSYS;
        exit->event = PLATFORM_SYSCALL;
    }
}

/* What an event means. `ev` is a private copy, still hostile. False: nothing our handlers ever write. */
static bool decode(const struct request_page *ev, struct guest_regs *regs, struct platform_exit *exit)
{
    u32 trapno = ev->trapno < 32 ? (u32)ev->trapno : 0, error = (u32)ev->error;

    *regs = ev->regs;
    regs->orig_rax = (u64)-1;
    regs->eflags = (regs->eflags & USER_EFLAGS) | 0x202;
    regs->cs = USER_CS;
    regs->ss = USER_SS;
    regs->ds = regs->es = regs->fs = regs->gs = 0;
    *exit = (struct platform_exit){ .event = PLATFORM_KICKED };
    if (ev->signo == REQ_PATCHED_CALL) {
        regs->orig_rax = regs->rax;
        regs->rax = (u64)-ENOSYS;
        regs->rcx = regs->rip; /* what the instruction does */
        regs->r11 = regs->eflags;
        exit->event = PLATFORM_SYSCALL;
        exit->patched = true;
        return true;
    }
    if (ev->signo == REQ_KICK_SIGNAL) return true;
    if (ev->restore) {
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13, 0); /* a register value the processor refuses */
        return true;
    }
    switch (ev->signo) {
    case SIGSYS:
        from_sigsys(ev, regs, exit);
        return true;
    case SIGSEGV:
        if (ev->code == SEGV_MAPERR || ev->code == SEGV_ACCERR) {
            *exit = (struct platform_exit){ .event = PLATFORM_FAULT, .fault_addr = ev->addr, .trapno = 14,
                                            .access = error & PF_FETCH ? PLATFORM_PROT_EXEC :
                                                      error & PF_WRITE ? PLATFORM_PROT_WRITE : PLATFORM_PROT_READ };
            return true;
        }
        exception(exit, SIGSEGV, SI_KERNEL, 0, trapno ? trapno : 13, trapno == 14 ? 0 : error);
        return true;
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
        if (ev->code <= 0) return false;
        exception(exit, (int)ev->signo, ev->code, ev->addr, trapno, 0);
        return true;
    default:
        return false;
    }
}

static long futex(u32 *word, int op, u32 val, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op, val, timeout, NULL, 0);
}

/* Waits until the runner has published something. False: it never will, or does not `soon`. */
static bool await_event(struct platform_ctx *ctx, struct stub_runner *r, bool soon)
{
    static const struct timespec period = { 0, SILENCE_NS };
    struct request_page *req = trap_request(r);

    if (ctx->spin.on) {
        for (u32 i = trap_spin_budget(ctx); i; i--) {
            if (__atomic_load_n(&req->seq, __ATOMIC_ACQUIRE) != r->seq) {
                if (ctx->spin.settle) ctx->spin.settle--;
                return true;
            }
            __builtin_ia32_pause();
        }
        ctx->spin.fails++;
        ctx->spin.settle = TRAP_SPIN_SETTLE;
        __atomic_store_n(&req->sentry_sleeps, 1, __ATOMIC_SEQ_CST);
    }
    if (ctx->p->cfg.before_sleep) ctx->p->cfg.before_sleep();
    for (unsigned unanswered = 0;;) {
        if (__atomic_load_n(&req->seq, __ATOMIC_SEQ_CST) != r->seq) {
            if (ctx->spin.on) __atomic_store_n(&req->sentry_sleeps, 0, __ATOMIC_RELAXED);
            return true;
        }
        if (futex(&req->seq, FUTEX_WAIT, r->seq, &period) == 0 || errno != ETIMEDOUT) continue;
        if (!stub_proc_check(r->proc)) return false;
        if (!soon && !atomic_load(&ctx->kicked)) continue;
        /* A guest can stay in the stub's own code, where it is not interrupted: then there is only one way. */
        if (++unanswered > MAX_UNANSWERED) {
            log_warn("trap: a guest thread does not answer; its process is killed");
            return false;
        }
        syscall(SYS_tgkill, r->proc->pid, r->tid, REQ_KICK_SIGNAL);
    }
}

static void answer(struct platform_ctx *ctx, struct stub_runner *r)
{
    struct request_page *req = trap_request(r);

    __atomic_store_n(&req->ack, r->seq, __ATOMIC_SEQ_CST);
    /* If the guest lies about sleeping, it sleeps until a kick. */
    if (__atomic_load_n(&req->sleeps, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&req->sleeps, 0, __ATOMIC_RELAXED);
        if (!ctx->leaves) {
            ctx->spin.fails++;
            ctx->spin.settle = TRAP_SPIN_SETTLE;
        }
        futex(&req->ack, FUTEX_WAKE, 1, NULL);
    }
}

static bool take_event(struct platform_ctx *ctx, struct guest_regs *regs, struct platform_exit *exit)
{
    struct stub_runner *r = ctx->runner;
    struct request_page *req = trap_request(r), ev;

    if (!await_event(ctx, r, false)) return false;
    for (size_t at = REQ_REGS; at < REQ_SS; at += 64) __asm__("prefetchw %0" : : "m"(((u8 *)req)[at]));
    r->seq = __atomic_load_n(&req->seq, __ATOMIC_ACQUIRE);
    memcpy(&ev, req, sizeof(ev));
    __asm__ volatile("" ::: "memory"); /* no second look at the page */
    ctx->live = ev.live;
    ctx->saved = ev.live == REQ_LIVE_SAVED;
    if (!decode(&ev, regs, exit)) return false;
    if (!r->proc->tmpl->fsgsbase) {
        regs->fs_base = r->fs_base;
        regs->gs_base = r->gs_base;
        if (ev.restore) r->bases_known = false; /* perhaps refused */
    }
    return true;
}

/*
 * Without FSGSBASE only the host can set a base, on our order, so what we ordered is what it is. (A guest that loads a
 * selector into fs or gs changes its base without our knowing, as it would natively; the next order repairs it.)
 */
static void order_bases(struct stub_runner *r, const struct guest_regs *regs)
{
    u32 set = 0;

    if (!r->bases_known || r->fs_base != regs->fs_base) set |= REQ_SET_FS;
    if (!r->bases_known || r->gs_base != regs->gs_base) set |= REQ_SET_GS;
    if (likely(!set)) return;
    r->fs_base = regs->fs_base;
    r->gs_base = regs->gs_base;
    r->bases_known = true;
    trap_request(r)->orders |= set; /* an order may be left from a run that was kicked before it began */
}

void trap_xstate_save(struct platform_ctx *ctx)
{
    struct stub_runner *r = ctx->runner;
    struct request_page *req = trap_request(r);

    trap_state_clean(r);
    req->orders |= REQ_SAVE_STATE;
    answer(ctx, r);
    /* It waits in the stub's code, so there is an answer at once, or its siblings have spoilt the page. */
    if (await_event(ctx, r, true)) r->seq = __atomic_load_n(&req->seq, __ATOMIC_ACQUIRE);
    else stub_proc_mark_dead(r->proc);
    ctx->live = false; /* whatever it did: the next look checks what is there */
}

void trap_runner_drop(struct platform_ctx *ctx)
{
    if (!ctx->runner) return;
    if (ctx->spin.on) trap_spin_leave(ctx);
    ctx->runner->cpu = __atomic_load_n(&ctx->place.th_cpu, __ATOMIC_RELAXED);
    stub_runner_put(ctx->runner);
    ctx->runner = NULL;
}

static int runner_switch(struct platform_ctx *ctx, struct platform_as *as)
{
    int rc;

    trap_runner_drop(ctx);
    rc = stub_runner_get(as->proc, &ctx->runner);
    if (rc) {
        ctx->runner = NULL;
        ctx->failed_errno = -rc;
        if (!atomic_load(&as->proc->dead) && !ctx->p->probing)
            log_warn("trap: no guest thread: %s", strerror(-rc));
        return rc;
    }
    __atomic_store_n(&ctx->place.th_cpu, ctx->runner->cpu, __ATOMIC_RELAXED);
    ctx->live = false;
    if (!ctx->xstate_pending) platform_xstate_init(ctx->xstate);
    ctx->xstate_pending = true;
    trap_request(ctx->runner)->sentry_sleeps = 1;
    return 0;
}

void trap_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit)
{
    struct stub_runner *r;
    struct request_page *req;

    *exit = (struct platform_exit){ .event = PLATFORM_KICKED };
    if (unlikely(atomic_load(&as->proc->dead))) goto dead;
    if (unlikely(!ctx->runner || ctx->runner->proc != as->proc) && runner_switch(ctx, as)) goto dead;
    r = ctx->runner;
    req = trap_request(r);

    req->regs = *regs;
    req->regs.eflags = (regs->eflags & USER_EFLAGS) | 0x202;
    if (!r->proc->tmpl->fsgsbase) order_bases(r, regs);
    if (unlikely(ctx->xstate_pending)) trap_xstate_push(ctx);
    req->quick = ctx->live && regs->rip == regs->rcx && !(regs->eflags & EFLAGS_TF);
    if (unlikely(++ctx->spin.count >= TRAP_SPIN_WINDOW || (ctx->spin.in_turn >= TRAP_SPIN_TURNS && !ctx->spin.on)))
        trap_spin_look(ctx);
    if (ctx->spin.on) {
        req->spin = trap_spin_budget(ctx);
        if (unlikely(ctx->eager)) trap_state_clean(r);
        req->eager = ctx->eager;
        ctx->eager = false;
    }
    place_enter(&ctx->p->place, &ctx->place, r->tid);
    /* Kick: store kicked, load running. Here: store running, load kicked. One of the two sees the other. */
    __atomic_store_n(&ctx->place.running, (u64)(u32)r->proc->pid << 32 | (u32)r->tid, __ATOMIC_SEQ_CST);
    bool alive = true;
    if (likely(!__atomic_load_n(&ctx->kicked, __ATOMIC_SEQ_CST))) {
        answer(ctx, r);
        if (unlikely(ctx->leaves)) {
            __atomic_store_n(ctx->leaves, 0, __ATOMIC_RELAXED);
            ctx->leaves = NULL;
        }
        alive = take_event(ctx, regs, exit);
    }
    atomic_store(&ctx->place.running, 0);
    place_leave(&ctx->p->place, &ctx->place);
    if (exit->event == PLATFORM_KICKED) __atomic_store_n(&ctx->kicked, 0, __ATOMIC_SEQ_CST);
    if (likely(alive)) return;
dead:
    stub_proc_mark_dead(as->proc);
    exit->event = PLATFORM_DEAD;
}

void trap_ctx_woken(struct platform_ctx *ctx, int cpu, bool in_turn)
{
    if (in_turn) ctx->spin.in_turn++;
    else ctx->spin.slept++;
    place_woken(&ctx->p->place, &ctx->place, cpu);
}

void trap_ctx_kick(struct platform_ctx *ctx)
{
    u64 r;

    __atomic_store_n(&ctx->kicked, 1, __ATOMIC_SEQ_CST);
    r = __atomic_load_n(&ctx->place.running, __ATOMIC_SEQ_CST);
    if (r) syscall(SYS_tgkill, (pid_t)(r >> 32), (pid_t)(u32)r, REQ_KICK_SIGNAL);
}
