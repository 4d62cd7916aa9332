/*
 * The KVM platform: guests run in a virtual machine of the host's KVM, by VT-x, AMD-V or PVM. No host process per
 * guest process; changes of mappings are edits of page tables. How: internal.h.
 */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <cpuid.h>
#include <stdio.h>

static int kvm_init(const struct platform_config *cfg, struct platform **out)
{
    char why[256] = "";
    int rc = kvm_found() ? 0 : kvm_probe(why, sizeof(why));

    if (!rc) rc = kvm_vm_start(cfg, kvm_found(), out, why, sizeof(why));

    if (rc) log_error("kvm platform: %s", why);
    return rc;
}

static u32 kvm_abilities(const struct platform *p)
{
    return PLATFORM_CAN_PREEMPT | PLATFORM_CAN_SINGLE_STEP | PLATFORM_CAN_FAULT_ACCESS |
           (p->var.own_cpuid ? PLATFORM_CAN_HIDE_CPUID : 0u) | (p->var.host_tsc ? PLATFORM_HOST_TSC : 0u);
}

static int kvm_ctx_new(struct platform *p, struct platform_ctx **out)
{
    struct platform_ctx *ctx = xnew(struct platform_ctx);

    ctx->p = p;
    ctx->xstate = xzalloc(platform_xstate_size());
    platform_xstate_init(ctx->xstate);
    ctx->xstate_pending = true;
    *out = ctx;
    return 0;
}

static void kvm_ctx_free(struct platform_ctx *ctx)
{
    kvm_session_end(ctx);
    kvm_vcpu_forget(ctx);
    free(ctx->xstate);
    free(ctx);
}

bool kvm_hardware(void)
{
    u32 a, b, c = 0, d;

    if (__get_cpuid(1, &a, &b, &c, &d) && (c >> 5 & 1)) return true;
    c = 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 2 & 1);
}

/* A KVM that is there nevertheless works in software (PVM): an exit costs tens of microseconds. */
static bool kvm_declines_early(char *why, size_t why_len)
{
    if (kvm_hardware()) return false;
    snprintf(why, why_len, "the processor shows neither VT-x nor AMD-V, so that a call costs more than elsewhere");
    return true;
}

const struct platform_ops platform_kvm_ops = {
    .name = "kvm",
    .probe = kvm_probe,
    .declines = kvm_declines,
    .declines_early = kvm_declines_early,
    .findings = kvm_findings,
    .init = kvm_init,
    .start = kvm_trial_start, /* the probe costs as much as all the rest of a sandbox's start */
    .free = kvm_vm_stop,
    .abilities = kvm_abilities,
    .as_new = kvm_as_new,
    .as_free = kvm_as_free,
    .as_update = kvm_as_update,
    .as_call_site = kvm_as_call_site,
    .ctx_new = kvm_ctx_new,
    .ctx_free = kvm_ctx_free,
    .ctx_run = kvm_ctx_run,
    .ctx_kick = kvm_ctx_kick,
    .ctx_woken = kvm_ctx_woken,
    .ctx_sleeps = kvm_ctx_sleeps,
    .ctx_keeps = kvm_ctx_keeps,
    .ctx_take_over = kvm_ctx_take_over,
    .ctx_get_xstate = kvm_ctx_get_xstate,
    .ctx_set_xstate = kvm_ctx_set_xstate,
};
