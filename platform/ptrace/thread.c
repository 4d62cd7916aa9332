/*
 * Stub threads as tracees: seized once, by the sentry thread that will drive them, and made to exit by it. A tracee
 * answers to no other thread.
 */
#include "platform/ptrace/internal.h"
#include "platform/xstate.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

HOSTCALL(ptrace, "guest threads are run and stopped by it");
HOSTCALL(tgkill, "a kick interrupts guest code");
HOSTCALL(gettid, "a tracee answers only to the thread that traces it");

/* The number of stops a thread may make on its way through the start code (signals from outside). */
#define MAX_START_STOPS 64

bool ptrace_thread_wait(struct stub_thread *th, int *status)
{
    for (;;) {
        pid_t r = wait4(th->tid, status, __WALL, NULL);
        if (r == th->tid && WIFSTOPPED(*status)) return true;
        if (r < 0 && errno == EINTR) continue;
        stub_thread_set_gone(th);
        return false;
    }
}

static int get_regs(pid_t tid, struct guest_regs *r)
{
    struct iovec iov = { r, sizeof(*r) };
    return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) ? -errno : 0;
}

int ptrace_xstate_load(struct platform_ctx *ctx, const void *buf)
{
    struct iovec iov = { (void *)(uintptr_t)buf, platform_xstate_size() };
    return ptrace(PTRACE_SETREGSET, ctx->th->tid, (void *)NT_X86_XSTATE, &iov) ? -errno : 0;
}

static int fail(struct platform_ctx *ctx, const char *step, int err)
{
    ctx->failed_step = step;
    ctx->failed_errno = err;
    return -(err ? err : EFAULT);
}

/*
 * Stops the seized thread somewhere behind the installation of its filter. Usually it sleeps in pause() already; if not,
 * the filter itself hands it over when it gets there. Nothing is polled.
 */
static int reach_pause(struct platform_ctx *ctx, struct stub_thread *th)
{
    u64 base = th->proc->tmpl->base;
    u64 first = base + (u64)(stub_text_trace_ret - stub_text_start), last = base + (u64)(stub_text_pause_ret - stub_text_start);
    struct guest_regs r;
    int st;

    if (ptrace(PTRACE_INTERRUPT, th->tid, 0, 0)) return fail(ctx, "PTRACE_INTERRUPT", errno);
    for (int i = 0; i < MAX_START_STOPS; i++) {
        if (!ptrace_thread_wait(th, &st)) return fail(ctx, "waiting for the new thread", ECHILD);
        if (get_regs(th->tid, &r)) return fail(ctx, "PTRACE_GETREGSET", errno);
        if (r.rip >= first && r.rip <= last) return 0;
        if (ptrace(PTRACE_CONT, th->tid, 0, 0)) return fail(ctx, "PTRACE_CONT", errno);
    }
    return fail(ctx, "start of the guest thread", EFAULT);
}

int ptrace_thread_switch(struct platform_ctx *ctx, struct platform_as *as)
{
    struct stub_thread *th = NULL;
    int rc;

    ptrace_thread_drop(ctx);
    ctx->tracer = gettid();
    rc = stub_thread_new(as->proc, &th);
    if (rc) return fail(ctx, "clone of a guest thread", -rc);
    ctx->th = th;
    __atomic_store_n(&ctx->place.th_cpu, th->cpu, __ATOMIC_RELAXED);
    /* The kernel told the tid, through the mapper; still, nothing but a guest thread of this process is ever traced. */
    if (th->tid == as->proc->pid || syscall(SYS_tgkill, as->proc->pid, th->tid, 0))
        return fail(ctx, "identity of the guest thread", errno);
    if (ptrace(PTRACE_SEIZE, th->tid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP))
        return fail(ctx, "PTRACE_SEIZE", errno);
    rc = reach_pause(ctx, th);
    if (rc) return rc;
    /* Its extended state is what the sentry had when it forked the template: always replaced. */
    if (!ctx->xstate_pending) platform_xstate_init(ctx->xstate);
    ctx->xstate_pending = true;
    ctx->last_valid = false;
    return 0;
}

void ptrace_thread_drop(struct platform_ctx *ctx)
{
    struct stub_thread *th = ctx->th;
    struct guest_regs r;
    int st;

    if (!th) return;
    ctx->th = NULL;
    ctx->last_valid = false;
    /* Not our tracee (the owner ended without ctx_free): PTRACE_O_EXITKILL has ended the process. */
    if (ctx->tracer == gettid() && !atomic_load(&th->proc->dead) && !th->gone && get_regs(th->tid, &r) == 0) {
        struct iovec iov = { &r, sizeof(r) };
        r.rip = th->proc->tmpl->base + (u64)(stub_text_exit - stub_text_start);
        r.orig_rax = (u64)-1;
        r.cs = 0x33;
        r.ss = 0x2b;
        r.eflags = 0x202;
        r.fs_base = r.gs_base = r.ds = r.es = r.fs = r.gs = 0;
        if (ptrace(PTRACE_SETREGSET, th->tid, (void *)NT_PRSTATUS, &iov) == 0) {
            do ptrace(PTRACE_CONT, th->tid, 0, 0);
            while (ptrace_thread_wait(th, &st));
        }
    }
    stub_thread_release(th);
}
