/*
 * The trap platform: guests run in stub processes whose seccomp filter turns every system call into SIGSYS; the handler
 * in the stub (platform/stub/trap_text.S) hands it over through shared memory. Needs no hardware and no ptrace.
 *
 * Per guest process one stub process (platform/stub), per guest task one runner in it. Mapping changes go through the
 * stub's mapper. What a hostile guest can do with this: docs/threat-model.md.
 */
#include "platform/trap/internal.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    struct platform *p = xnew(struct platform);
    int rc;

    p->cfg = *cfg;
    platform_xstate_start();
    rc = place_init(&p->place, cfg->ncpus);
    if (rc) snprintf(why, why_len, "cannot read the CPU set: %s", strerror(-rc));
    if (!rc) {
        rc = stub_template_start(&p->stubs, cfg->memfile_fd, true, why, why_len);
        if (rc) place_fini(&p->place);
    }
    if (rc) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

static int trap_init(const struct platform_config *cfg, struct platform **out)
{
    char why[256] = "";
    int rc = start(cfg, out, why, sizeof(why));

    if (rc) log_error("trap platform: %s", why);
    return rc;
}

static void trap_as_free(struct platform_as *as)
{
    stub_proc_kill(as->proc);
    stub_proc_put(as->proc);
    free(as);
}

static void trap_free(struct platform *p)
{
    if (p->spare) trap_as_free(p->spare);
    place_fini(&p->place);
    stub_template_stop(&p->stubs);
    free(p);
}

static u32 trap_abilities(const struct platform *p UNUSED)
{
    return PLATFORM_CAN_PREEMPT | PLATFORM_CAN_SINGLE_STEP | PLATFORM_CAN_FAULT_ACCESS | PLATFORM_HOST_TSC;
}

static int trap_as_new(struct platform *p, struct platform_as **out)
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

static int trap_as_update(struct platform_as *as, const struct platform_mapop *ops, size_t n)
{
    return stub_proc_update(as->proc, ops, n);
}

static int trap_ctx_new(struct platform *p, struct platform_ctx **out)
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

static void trap_ctx_free(struct platform_ctx *ctx)
{
    place_remove(&ctx->p->place, &ctx->place);
    trap_runner_drop(ctx);
    free(ctx->xstate);
    free(ctx);
}

/* mov $39,%eax; syscall */
static const u8 trial_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05 };

/* One system call of a guest, seen as one. */
static int trial_run(struct platform *p, struct platform_as *as, char *why, size_t why_len)
{
    struct guest_regs regs = { .rip = 0x100000, .rbx = 0x1234567890ULL };
    struct platform_exit exit = { .event = PLATFORM_KICKED };
    struct platform_ctx *ctx;
    int rc = trap_ctx_new(p, &ctx);

    if (rc) return rc;
    ctx->place.home = -2; /* the caller's CPU set stays as it is */
    for (int i = 0; i < 100 && exit.event == PLATFORM_KICKED; i++) trap_ctx_run(ctx, as, &regs, &exit);
    if (exit.event != PLATFORM_SYSCALL || regs.orig_rax != 39 || regs.rbx != 0x1234567890ULL) {
        rc = -EPERM;
        if (ctx->failed_errno)
            snprintf(why, why_len, "cannot start a guest thread: %s", strerror(ctx->failed_errno));
        else
            snprintf(why, why_len, "a trial system call did not arrive as SIGSYS: seccomp filters do not work here, or the "
                                   "surrounding container's own filter answers first");
    }
    trap_ctx_free(ctx);
    return rc;
}

/* What works is kept, empty again, as the first address space. */
static int trial(struct platform *p, int fd, char *why, size_t why_len)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = PLATFORM_PROT_READ | PLATFORM_PROT_EXEC, .fd = fd,
                                 .addr = 0x100000, .len = GPAGE_SIZE };
    struct platform_as *as;
    int rc = trap_as_new(p, &as);

    if (rc) {
        snprintf(why, why_len, "cannot make a stub process: %s", strerror(-rc));
        return rc;
    }
    rc = trap_as_update(as, &op, 1);
    if (rc) snprintf(why, why_len, "cannot map an executable page of memory into a stub process: %s", strerror(-rc));
    else rc = trial_run(p, as, why, why_len);
    if (!rc) {
        op.kind = PLATFORM_UNMAP;
        rc = trap_as_update(as, &op, 1);
    }
    if (rc) trap_as_free(as);
    else p->spare = as;
    return rc;
}

/* What the handlers' instructions need, and room for their frames (two deep: a kick may hit a handler). */
static int check_cpu(char *why, size_t why_len)
{
    u32 a, b, c = 0, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) {
        snprintf(why, why_len, "the processor has no XSAVE");
        return -ENOSYS;
    }
    if (2 * (platform_xstate_size() + 64 + 2 * REQ_FRAME_GAP) > REQ_AREA_SIZE - REQ_STACK) {
        snprintf(why, why_len, "this processor's register state (%zu bytes) is larger than this build provides for",
                 platform_xstate_size());
        return -ENOSYS;
    }
    return 0;
}

static int start_with_trial(const struct platform_config *cfg, int trial_fd, struct platform **out, char *why, size_t why_len)
{
    int rc = start(cfg, out, why, why_len);

    if (rc) return rc;
    (*out)->probing = true;
    rc = trial(*out, trial_fd, why, why_len);
    (*out)->probing = false;
    if (rc) trap_free(*out);
    return rc;
}

static int trap_start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    int rc = check_cpu(why, why_len), fd;

    if (rc) return rc;
    fd = memfd_create("trial", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, GPAGE_SIZE) || pwrite(fd, trial_code, sizeof(trial_code), 0) != (ssize_t)sizeof(trial_code)) {
        rc = -errno;
        snprintf(why, why_len, "memfd_create: %s", strerror(-rc));
    } else {
        rc = start_with_trial(cfg, fd, out, why, why_len);
    }
    if (fd >= 0) close(fd);
    return rc;
}

static int trap_probe(char *why, size_t why_len)
{
    struct platform_config cfg = { .memfile_fd = memfd_create("probe", MFD_CLOEXEC), .memfile_size = GPAGE_SIZE, .ncpus = 1 };
    struct platform *p;
    int rc;

    if (cfg.memfile_fd < 0) {
        rc = -errno;
        snprintf(why, why_len, "memfd_create: %s", strerror(-rc));
        return rc;
    }
    rc = trap_start(&cfg, &p, why, why_len);
    if (!rc) trap_free(p);
    close(cfg.memfile_fd);
    return rc;
}

const struct platform_ops platform_trap_ops = {
    .name = "trap",
    .probe = trap_probe,
    .init = trap_init,
    .start = trap_start,
    .free = trap_free,
    .abilities = trap_abilities,
    .as_new = trap_as_new,
    .as_free = trap_as_free,
    .as_update = trap_as_update,
    .as_call_site = trap_as_call_site,
    .ctx_new = trap_ctx_new,
    .ctx_free = trap_ctx_free,
    .ctx_run = trap_ctx_run,
    .ctx_kick = trap_ctx_kick,
    .ctx_woken = trap_ctx_woken,
    .ctx_missed = trap_ctx_missed,
    .ctx_keeps = trap_ctx_keeps,
    .ctx_take_over = trap_ctx_take_over,
    .ctx_get_xstate = trap_ctx_get_xstate,
    .ctx_set_xstate = trap_ctx_set_xstate,
};
