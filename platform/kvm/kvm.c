/* The KVM platform: so far a probe. */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"

static int kvm_init(const struct platform_config *cfg UNUSED, struct platform **out UNUSED)
{
    return -ENOSYS;
}

static void kvm_free(struct platform *p UNUSED) {}

static u32 kvm_abilities(const struct platform *p UNUSED)
{
    return 0;
}

static int kvm_as_new(struct platform *p UNUSED, struct platform_as **out UNUSED)
{
    return -ENOSYS;
}

static void kvm_as_free(struct platform_as *as UNUSED) {}

static int kvm_as_update(struct platform_as *as UNUSED, const struct platform_mapop *ops UNUSED, size_t n UNUSED)
{
    return -ENOSYS;
}

static int kvm_ctx_new(struct platform *p UNUSED, struct platform_ctx **out UNUSED)
{
    return -ENOSYS;
}

static void kvm_ctx_free(struct platform_ctx *ctx UNUSED) {}

static void kvm_ctx_run(struct platform_ctx *ctx UNUSED, struct platform_as *as UNUSED,
                             struct guest_regs *regs UNUSED, struct platform_exit *exit)
{
    *exit = (struct platform_exit){ .event = PLATFORM_DEAD };
}

static void kvm_ctx_kick(struct platform_ctx *ctx UNUSED) {}

static int kvm_ctx_get_xstate(struct platform_ctx *ctx UNUSED, void *buf UNUSED, size_t len UNUSED)
{
    return -ENOSYS;
}

static int kvm_ctx_set_xstate(struct platform_ctx *ctx UNUSED, const void *buf, size_t len)
{
    int rc = platform_xstate_check(buf, len);
    return rc ? rc : -ENOSYS;
}

const struct platform_ops platform_kvm_ops = {
    .name = "kvm",
    .probe = kvm_probe,
    .init = kvm_init,
    .free = kvm_free,
    .abilities = kvm_abilities,
    .as_new = kvm_as_new,
    .as_free = kvm_as_free,
    .as_update = kvm_as_update,
    .ctx_new = kvm_ctx_new,
    .ctx_free = kvm_ctx_free,
    .ctx_run = kvm_ctx_run,
    .ctx_kick = kvm_ctx_kick,
    .ctx_get_xstate = kvm_ctx_get_xstate,
    .ctx_set_xstate = kvm_ctx_set_xstate,
};
