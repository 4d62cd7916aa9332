/*
 * One run of guest code. In the common case four system calls and nothing else: PTRACE_SETREGSET, PTRACE_SYSEMU,
 * wait4, PTRACE_GETREGSET.
 *
 * Quirks (ptrace(2), arch/x86/kernel/ptrace.c, arch/x86/entry/vsyscall/vsyscall_64.c):
 * - SYSEMU stops a thread at the entry of a system call and skips the call, before seccomp is asked. The vsyscall
 *   page does not pass there: the host runs those calls itself, if the thread's seccomp filter lets it. Ours does
 *   not, so they arrive as SIGSYS, which is turned back into the fetch fault it began as.
 * - int $0x80 arrives as a system call too. `syscall` leaves rip in rcx; when that does not hold, ask the kernel.
 * - A signal that meets orig_rax >= 0 and rax = -ERESTART* makes the host restart "the system call": orig_rax is
 *   therefore always written as -1.
 */
#include "platform/ptrace/internal.h"
#include "platform/xstate.h"
#include "sentry/base/log.h"

#include <elf.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert(sizeof(struct guest_regs) == sizeof(struct user_regs_struct), "same layout as the host's");
_Static_assert(offsetof(struct guest_regs, fs_base) == offsetof(struct user_regs_struct, fs_base), "same layout");

#define USER_CS 0x33
#define USER_SS 0x2b
/* CF PF AF ZF SF TF DF OF RF AC; the rest is the kernel's. */
#define USER_EFLAGS 0x50dd5u
#define VSYSCALL_PAGE 0xffffffffff600000ULL
#define USER_BASE_END 0x7ffffffff000ULL
/* Registers before fs_base, and all. A shorter set leaves the bases and selectors alone, and costs less. */
#define REGS_GENERAL offsetof(struct guest_regs, fs_base)

static int set_regs(struct platform_ctx *ctx, struct guest_regs *regs)
{
    struct guest_regs r;
    struct iovec iov = { &r, REGS_GENERAL };
    const u8 *now = (const u8 *)regs, *last = (const u8 *)&ctx->last;

    regs->orig_rax = (u64)-1;
    bool tail = !ctx->last_valid || memcmp(now + REGS_GENERAL, last + REGS_GENERAL, sizeof(*regs) - REGS_GENERAL);
    if (!tail && !ctx->last_syscall && memcmp(now, last, REGS_GENERAL) == 0) return 0;
    r = *regs;
    r.eflags = (r.eflags & USER_EFLAGS) | 0x202;
    r.cs = USER_CS;
    r.ss = USER_SS;
    if (tail) {
        /*
         * A guest may load any canonical base by wrfsbase, but the host takes only user addresses from us: what it
         * has is kept when only something else changed.
         */
        if (r.fs_base >= USER_BASE_END || r.gs_base >= USER_BASE_END) return -EIO;
        r.ds = r.es = r.fs = r.gs = 0;
        iov.iov_len = sizeof(r);
    }
    return ptrace(PTRACE_SETREGSET, ctx->th->tid, (void *)NT_PRSTATUS, &iov) ? -errno : 0;
}

static bool read_regs(struct platform_ctx *ctx, struct guest_regs *regs)
{
    struct iovec iov = { regs, sizeof(*regs) };

    if (ptrace(PTRACE_GETREGSET, ctx->th->tid, (void *)NT_PRSTATUS, &iov)) return false;
    ctx->last = *regs;
    ctx->last.orig_rax = (u64)-1;
    ctx->last_valid = true;
    ctx->last_syscall = false;
    return true;
}

static void exception(struct platform_exit *exit, int signo, int code, gaddr_t addr, u32 trapno)
{
    *exit = (struct platform_exit){
        .event = PLATFORM_EXCEPTION, .signo = signo, .code = code, .fault_addr = addr, .trapno = trapno
    };
}

/* A system call that did not come by `syscall`: what a kernel without 32-bit emulation does. */
static void foreign_syscall(struct platform_ctx *ctx, struct guest_regs *regs, struct platform_exit *exit)
{
    struct __ptrace_syscall_info info;
    long n = ptrace(PTRACE_GET_SYSCALL_INFO, ctx->th->tid, (void *)sizeof(info), &info);

    if (n < (long)offsetof(struct __ptrace_syscall_info, instruction_pointer) || info.arch == AUDIT_ARCH_X86_64) return;
    regs->rip -= 2;
    regs->rax = regs->orig_rax;
    regs->orig_rax = (u64)-1;
    exception(exit, SIGSEGV, SI_KERNEL, 0, 13);
    exit->error_code = 0x80 * 8 + 2;
}

/* Vector of a synchronous signal, as far as its code tells. */
static u32 trapno_of(const siginfo_t *si)
{
    switch (si->si_signo) {
    case SIGSEGV: return si->si_code == SI_KERNEL ? 13 : 14;
    case SIGILL: return 6;
    case SIGTRAP: return si->si_code == SI_KERNEL ? 3 : 1;
    case SIGFPE: return si->si_code == FPE_INTDIV ? 0 : 16;
    case SIGBUS: return si->si_code == BUS_ADRALN ? 17 : 14;
    default: return 0;
    }
}

/* A stop by signal. True: an event for the caller, registers read. False: nothing the guest did; go on. */
static bool signal_stop(struct platform_ctx *ctx, int sig, struct guest_regs *regs, struct platform_exit *exit)
{
    siginfo_t si;

    switch (sig) {
    case KICK_SIGNAL:
        /* With no kick outstanding this is the signal of one that was reported already. */
        if (!__atomic_exchange_n(&ctx->kicked, 0, __ATOMIC_SEQ_CST)) return false;
        exit->event = PLATFORM_KICKED;
        return read_regs(ctx, regs);
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGSYS:
        break;
    default:
        return false; /* from outside the sandbox */
    }
    if (ptrace(PTRACE_GETSIGINFO, ctx->th->tid, 0, &si) || si.si_code <= 0) return false;
    if (!read_regs(ctx, regs)) return false;
    if (sig == SIGSEGV && (si.si_code == SEGV_MAPERR || si.si_code == SEGV_ACCERR)) {
        *exit = (struct platform_exit){ .event = PLATFORM_FAULT, .fault_addr = (u64)(uintptr_t)si.si_addr, .trapno = 14 };
    } else if (sig == SIGSYS) {
        u64 at = (u64)(uintptr_t)si.si_call_addr;
        if ((at & GPAGE_MASK) != VSYSCALL_PAGE) {
            /* SYSEMU comes before seccomp, so no other call can get here. */
            exception(exit, SIGSYS, si.si_code, at, 0);
            return true;
        }
        /* The host had popped the return address already; it is still there. */
        regs->rip = at;
        regs->rsp -= 8;
        *exit = (struct platform_exit){
            .event = PLATFORM_FAULT, .access = PLATFORM_PROT_EXEC, .fault_addr = at, .trapno = 14
        };
    } else {
        exception(exit, sig, si.si_code, (u64)(uintptr_t)si.si_addr, trapno_of(&si));
    }
    return true;
}

static void guest_run(struct platform_ctx *ctx, struct guest_regs *regs, struct platform_exit *exit)
{
    struct stub_thread *th = ctx->th;
    int status;

    for (;;) {
        ptrace(PTRACE_SYSEMU, th->tid, 0, 0); /* ESRCH: it is being killed, wait4 will tell */
        if (!ptrace_thread_wait(th, &status)) break;
        int sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80)) {
            if (!read_regs(ctx, regs)) continue;
            ctx->last_syscall = true;
            exit->event = PLATFORM_SYSCALL;
            if (unlikely(regs->rcx != regs->rip || regs->cs != USER_CS)) foreign_syscall(ctx, regs, exit);
            return;
        }
        if (status >> 16) continue; /* PTRACE_EVENT_STOP: stopped and continued from outside */
        if (signal_stop(ctx, sig, regs, exit)) return;
    }
    exit->event = PLATFORM_DEAD;
}

void ptrace_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit)
{
    struct stub_thread *th = ctx->th;
    int rc;

    *exit = (struct platform_exit){ .event = PLATFORM_KICKED };
    if (unlikely(!th || th->proc != as->proc)) {
        rc = ptrace_thread_switch(ctx, as);
        if (rc) {
            if (!atomic_load(&as->proc->dead) && !ctx->p->probing)
                log_warn("ptrace: no guest thread: %s: %s", ctx->failed_step, strerror(ctx->failed_errno));
            goto dead;
        }
        th = ctx->th;
    }
    if (unlikely(ctx->xstate_pending)) {
        rc = ptrace_xstate_load(ctx, ctx->xstate);
        if (rc == -ESRCH) goto dead;
        ctx->xstate_pending = false;
        if (rc) {
            exception(exit, SIGSEGV, SI_KERNEL, 0, 13);
            return;
        }
    }
    rc = set_regs(ctx, regs);
    if (unlikely(rc)) {
        if (rc == -ESRCH) goto dead;
        exception(exit, SIGSEGV, SI_KERNEL, 0, 13); /* a register value the processor would refuse */
        return;
    }
    place_enter(&ctx->p->place, &ctx->place, th->tid);
    /* Kick: store kicked, load running. Here: store running, load kicked. One of the two sees the other. */
    __atomic_store_n(&ctx->place.running, (u64)(u32)th->proc->pid << 32 | (u32)th->tid, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&ctx->kicked, __ATOMIC_SEQ_CST))) {
        __atomic_store_n(&ctx->kicked, 0, __ATOMIC_SEQ_CST);
        ctx->last = *regs; /* that is what it has now */
        ctx->last_valid = true;
        ctx->last_syscall = false;
    } else {
        guest_run(ctx, regs, exit);
    }
    atomic_store(&ctx->place.running, 0);
    place_leave(&ctx->p->place, &ctx->place);
    if (likely(exit->event != PLATFORM_DEAD)) return;
dead:
    stub_proc_mark_dead(as->proc);
    exit->event = PLATFORM_DEAD;
}

void ptrace_ctx_woken(struct platform_ctx *ctx, int cpu, bool in_turn UNUSED) { place_woken(&ctx->p->place, &ctx->place, cpu); }

void ptrace_ctx_kick(struct platform_ctx *ctx)
{
    u64 r;

    __atomic_store_n(&ctx->kicked, 1, __ATOMIC_SEQ_CST);
    r = __atomic_load_n(&ctx->place.running, __ATOMIC_SEQ_CST);
    if (r) syscall(SYS_tgkill, (pid_t)(r >> 32), (pid_t)(u32)r, KICK_SIGNAL);
}
