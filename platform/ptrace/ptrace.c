/*
 * The ptrace platform: guests run in stub processes under PTRACE_SYSEMU. Needs no hardware and no privilege; the
 * reference the other platforms are compared with.
 *
 * Per guest process one stub process (platform/stub), per guest task one thread in it, traced by the sentry thread
 * that runs the task. Mapping changes go through the stub's mapper, so they need no traced thread to cooperate.
 */
#include "platform/ptrace/internal.h"
#include "platform/stub/stub_layout.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    struct platform *p = xnew(struct platform);
    int rc;

    p->cfg = *cfg;
    rc = place_init(&p->place, cfg->ncpus);
    if (rc) snprintf(why, why_len, "cannot read the CPU set: %s", strerror(-rc));
    if (!rc) {
        rc = stub_template_start(&p->stubs, cfg->memfile_fd, false, why, why_len);
        if (rc) place_fini(&p->place);
    }
    if (rc) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

/* Every stop of a tracee would otherwise raise SIGCHLD in this process. */
static void no_signal_for_stops(void)
{
    struct sigaction sa;

    if (sigaction(SIGCHLD, NULL, &sa)) return;
    sa.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &sa, NULL);
}

static int ptrace_init(const struct platform_config *cfg, struct platform **out)
{
    char why[256] = "";
    int rc = start(cfg, out, why, sizeof(why));

    if (rc) log_error("ptrace platform: %s", why);
    else no_signal_for_stops();
    return rc;
}

static void ptrace_as_free(struct platform_as *as)
{
    stub_proc_kill(as->proc);
    stub_proc_put(as->proc);
    free(as);
}

static void ptrace_free(struct platform *p)
{
    if (p->spare) ptrace_as_free(p->spare);
    place_fini(&p->place);
    stub_template_stop(&p->stubs);
    free(p);
}

static u32 ptrace_abilities(const struct platform *p UNUSED)
{
    return PLATFORM_CAN_PREEMPT | PLATFORM_CAN_SINGLE_STEP | PLATFORM_HOST_TSC;
}

static int ptrace_as_new(struct platform *p, struct platform_as **out)
{
    struct stub_proc *proc;
    int rc;

    *out = __atomic_exchange_n(&p->spare, NULL, __ATOMIC_ACQ_REL);
    if (*out) return 0;
    rc = stub_proc_new(&p->stubs, &proc);
    if (rc) return rc == -ENOMEM ? rc : -EAGAIN;
    *out = xnew(struct platform_as);
    (*out)->p = p;
    (*out)->proc = proc;
    return 0;
}

static int ptrace_as_update(struct platform_as *as, const struct platform_mapop *ops, size_t n)
{
    return stub_proc_update(as->proc, ops, n);
}

static int ptrace_ctx_new(struct platform *p, struct platform_ctx **out)
{
    struct platform_ctx *ctx = xnew(struct platform_ctx);

    ctx->p = p;
    ctx->xstate = xzalloc(platform_xstate_size());
    platform_xstate_init(ctx->xstate);
    ctx->xstate_pending = true;
    place_add(&p->place, &ctx->place);
    *out = ctx;
    return 0;
}

static void ptrace_ctx_free(struct platform_ctx *ctx)
{
    struct platform *p = ctx->p;

    place_remove(&p->place, &ctx->place);
    ptrace_thread_drop(ctx);
    free(ctx->xstate);
    free(ctx);
}

static int ptrace_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len)
{
    size_t size = platform_xstate_size();
    struct iovec iov = { buf, size };

    if (len < size) return -EINVAL;
    if (ctx->xstate_pending) {
        memcpy(buf, ctx->xstate, size);
        return 0;
    }
    /* A component the guest has not touched is left out by the kernel; what the buffer held must not show. */
    platform_xstate_init(buf);
    if (!ctx->th || ptrace(PTRACE_GETREGSET, ctx->th->tid, (void *)NT_X86_XSTATE, &iov)) return -EFAULT;
    return 0;
}

static int ptrace_ctx_set_xstate(struct platform_ctx *ctx, const void *buf, size_t len)
{
    int rc = platform_xstate_check(buf, len);

    if (rc) return rc;
    memcpy(ctx->xstate, buf, len);
    ctx->xstate_pending = true;
    return 0;
}

/* Words for the step at which the trial in probe failed. */
static void explain(const struct platform_ctx *ctx, char *why, size_t why_len)
{
    char buf[8] = "";
    int fd;

    if (strncmp(ctx->failed_step, "PTRACE_SEIZE", 12) != 0) {
        snprintf(why, why_len, "%s: %s", ctx->failed_step, strerror(ctx->failed_errno));
        return;
    }
    fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, buf, sizeof(buf) - 1) < 0) buf[0] = 0;
        close(fd);
    }
    if (buf[0] == '2' || buf[0] == '3')
        snprintf(why, why_len, "ptrace is switched off on this host (sysctl kernel.yama.ptrace_scope is %c, needs 0 or 1)",
                 buf[0]);
    else
        snprintf(why, why_len, "ptrace is refused (%s): a seccomp profile or security module of the surrounding "
                               "container forbids it; allow the ptrace system call there", strerror(ctx->failed_errno));
}

/* mov $39,%eax; syscall */
static const u8 trial_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05 };

/* What works is kept, empty again, as the first address space. */
static int trial(struct platform *p, int fd, char *why, size_t why_len)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = PLATFORM_PROT_READ | PLATFORM_PROT_EXEC, .fd = fd,
                                 .addr = 0x100000, .len = GPAGE_SIZE };
    struct guest_regs regs = { .rip = 0x100000 };
    struct platform_exit exit;
    struct platform_as *as;
    struct platform_ctx *ctx;
    int rc = ptrace_as_new(p, &as);

    if (rc) {
        snprintf(why, why_len, "cannot make a stub process: %s", strerror(-rc));
        return rc;
    }
    rc = ptrace_as_update(as, &op, 1);
    if (rc) {
        snprintf(why, why_len, "cannot map an executable page of memory into a stub process: %s", strerror(-rc));
    } else {
        ptrace_ctx_new(p, &ctx);
        ctx->place.home = -2; /* the caller's CPU set stays as it is */
        ptrace_ctx_run(ctx, as, &regs, &exit);
        if (exit.event == PLATFORM_SYSCALL && regs.orig_rax == 39) {
            rc = 0;
        } else {
            rc = ctx->failed_step ? -ctx->failed_errno : -ENOSYS;
            if (ctx->failed_step) explain(ctx, why, why_len);
            else snprintf(why, why_len, "the host does not stop a traced process at its system calls (PTRACE_SYSEMU)");
        }
        ptrace_ctx_free(ctx);
    }
    if (!rc) {
        op.kind = PLATFORM_UNMAP;
        rc = ptrace_as_update(as, &op, 1);
    }
    if (rc) ptrace_as_free(as);
    else p->spare = as;
    return rc;
}

static int start_with_trial(const struct platform_config *cfg, int trial_fd, struct platform **out, char *why, size_t why_len)
{
    int rc = start(cfg, out, why, why_len);

    if (rc) return rc;
    (*out)->probing = true;
    rc = trial(*out, trial_fd, why, why_len);
    (*out)->probing = false;
    if (rc) ptrace_free(*out);
    return rc;
}

static int trial_and_start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    int fd = memfd_create("trial", MFD_CLOEXEC), rc;

    if (fd < 0 || ftruncate(fd, GPAGE_SIZE) || pwrite(fd, trial_code, sizeof(trial_code), 0) != (ssize_t)sizeof(trial_code)) {
        rc = -errno;
        snprintf(why, why_len, "memfd_create: %s", strerror(-rc));
    } else {
        rc = start_with_trial(cfg, fd, out, why, why_len);
    }
    if (fd >= 0) close(fd);
    return rc;
}

static int ptrace_start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    int rc = trial_and_start(cfg, out, why, why_len);

    if (!rc) no_signal_for_stops();
    return rc;
}

static int ptrace_probe(char *why, size_t why_len)
{
    struct platform_config cfg = { .memfile_fd = memfd_create("probe", MFD_CLOEXEC), .memfile_size = GPAGE_SIZE };
    struct platform *p;
    int rc;

    if (cfg.memfile_fd < 0) {
        rc = -errno;
        snprintf(why, why_len, "memfd_create: %s", strerror(-rc));
        return rc;
    }
    rc = trial_and_start(&cfg, &p, why, why_len);
    if (!rc) ptrace_free(p);
    close(cfg.memfile_fd);
    return rc;
}

const struct platform_ops platform_ptrace_ops = {
    .name = "ptrace",
    .probe = ptrace_probe,
    .init = ptrace_init,
    .start = ptrace_start,
    .free = ptrace_free,
    .abilities = ptrace_abilities,
    .as_new = ptrace_as_new,
    .as_free = ptrace_as_free,
    .as_update = ptrace_as_update,
    .ctx_new = ptrace_ctx_new,
    .ctx_free = ptrace_ctx_free,
    .ctx_run = ptrace_ctx_run,
    .ctx_kick = ptrace_ctx_kick,
    .ctx_woken = ptrace_ctx_woken,
    .ctx_get_xstate = ptrace_ctx_get_xstate,
    .ctx_set_xstate = ptrace_ctx_set_xstate,
};
