/*
 * A platform that does nothing: the place to start a new one from, and proof in every build that the contract still
 * compiles. Copy the file, then make tests/unit/platform_conformance_test.c pass. Contract: platform.h.
 */
#include "platform/platform.h"
#include "platform/xstate.h"

#include <stdio.h>

/* Owes: a real trial of what it needs (open the device, trace a child), and a sentence a user can act on. */
static int skeleton_probe(char *why, size_t why_len)
{
    snprintf(why, why_len, "the skeleton platform runs nothing");
    return -ENOSYS;
}

/* Owes: all that needs privilege, paths or a single-threaded process; later only what it declares by HOSTCALL. */
static int skeleton_init(const struct platform_config *cfg UNUSED, struct platform **out UNUSED)
{
    return -ENOSYS;
}

/* Owes: no process, thread, descriptor or mapping left. */
static void skeleton_free(struct platform *p UNUSED) {}

/* Owes: only what holds on this host. */
static u32 skeleton_abilities(const struct platform *p UNUSED)
{
    return 0;
}

/* Owes: a space in which every guest address faults, and no register, page or descriptor of another space. */
static int skeleton_as_new(struct platform *p UNUSED, struct platform_as **out UNUSED)
{
    return -ENOSYS;
}

static void skeleton_as_free(struct platform_as *as UNUSED) {}

/* Owes: effect on all contexts, on all CPUs, before it returns. Refuses addresses at or above GUEST_ADDR_MAX. */
static int skeleton_as_update(struct platform_as *as UNUSED, const struct platform_mapop *ops UNUSED, size_t n UNUSED)
{
    return -ENOSYS;
}

static int skeleton_ctx_new(struct platform *p UNUSED, struct platform_ctx **out UNUSED)
{
    return -ENOSYS;
}

static void skeleton_ctx_free(struct platform_ctx *ctx UNUSED) {}

/* Owes: any register values going in (the guest chose them) end as an event coming out, never as an error of ours. */
static void skeleton_ctx_run(struct platform_ctx *ctx UNUSED, struct platform_as *as UNUSED,
                             struct guest_regs *regs UNUSED, struct platform_exit *exit)
{
    *exit = (struct platform_exit){ .event = PLATFORM_DEAD };
}

/* Owes: no kick is lost, whether it comes before, during or between runs; a kick too many is allowed. */
static void skeleton_ctx_kick(struct platform_ctx *ctx UNUSED) {}

/* Owe: nothing of the sentry's own registers in what the guest or its debugger sees; platform_xstate_check on what is set. */
static int skeleton_ctx_get_xstate(struct platform_ctx *ctx UNUSED, void *buf UNUSED, size_t len UNUSED)
{
    return -ENOSYS;
}

static int skeleton_ctx_set_xstate(struct platform_ctx *ctx UNUSED, const void *buf, size_t len)
{
    int rc = platform_xstate_check(buf, len);
    return rc ? rc : -ENOSYS;
}

const struct platform_ops platform_skeleton_ops = {
    .name = "skeleton",
    .probe = skeleton_probe,
    .init = skeleton_init,
    .free = skeleton_free,
    .abilities = skeleton_abilities,
    .as_new = skeleton_as_new,
    .as_free = skeleton_as_free,
    .as_update = skeleton_as_update,
    .ctx_new = skeleton_ctx_new,
    .ctx_free = skeleton_ctx_free,
    .ctx_run = skeleton_ctx_run,
    .ctx_kick = skeleton_ctx_kick,
    .ctx_get_xstate = skeleton_ctx_get_xstate,
    .ctx_set_xstate = skeleton_ctx_set_xstate,
};
