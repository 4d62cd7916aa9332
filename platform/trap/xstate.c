/*
 * Extended registers. On entry the host's kernel saves them with the signal frame, in shared memory, and from there the
 * runner loads them again: a system call moves nothing. Only signals, fork and debuggers make the sentry look.
 */
#include "platform/trap/internal.h"
#include "platform/xstate.h"

#include <string.h>

int trap_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len)
{
    size_t size = platform_xstate_size();
    u64 off;

    if (len < size) return -EINVAL;
    if (ctx->xstate_pending) {
        memcpy(buf, ctx->xstate, size);
        return 0;
    }
    if (!ctx->runner) return -EFAULT;
    if (ctx->live) trap_xstate_save(ctx);
    off = __atomic_load_n(&trap_request(ctx->runner)->xstate, __ATOMIC_RELAXED);
    if (off == ctx->runner->state_addr && platform_xstate_take(buf, ctx->runner->state)) return 0;
    off -= ctx->runner->addr; /* in a signal's frame */
    if (off >= REQ_STACK && off <= REQ_AREA_SIZE - size && !(off & 63) && platform_xstate_take(buf, ctx->runner->area + off))
        return 0;
    platform_xstate_init(buf); /* the guest's other threads have destroyed it */
    return 0;
}

int trap_ctx_set_xstate(struct platform_ctx *ctx, const void *buf, size_t len)
{
    int rc = platform_xstate_check(buf, len);

    if (rc) return rc;
    memcpy(ctx->xstate, buf, len);
    ctx->xstate_pending = true;
    return 0;
}

void trap_xstate_pull(struct platform_ctx *ctx)
{
    if (ctx->xstate_pending || !ctx->runner) return;
    (void)trap_ctx_get_xstate(ctx, ctx->xstate, platform_xstate_size());
    ctx->xstate_pending = true;
}

static void load_from_state(struct request_page *req, const struct stub_runner *r)
{
    req->xstate = r->state_addr;
    req->frame = r->addr + stub_state_offset() - REQ_FRAME_GAP;
    req->live = 0;
}

void trap_xstate_push(struct platform_ctx *ctx)
{
    struct stub_runner *r = ctx->runner;
    struct request_page *req = trap_request(r);

    memcpy(r->state, ctx->xstate, platform_xstate_size());
    r->state_clean = true;
    ctx->live = false;
    ctx->xstate_pending = false;
    load_from_state(req, r);
}

bool trap_xstate_settle(struct platform_ctx *ctx)
{
    if (ctx->live && ctx->saved) ctx->live = false;
    if (ctx->live) trap_xstate_save(ctx);
    if (stub_state_stays() && !ctx->xstate_pending && __atomic_load_n(&trap_request(ctx->runner)->xstate, __ATOMIC_RELAXED) == ctx->runner->state_addr)
        return true;
    trap_xstate_pull(ctx);
    return false;
}

void trap_xstate_exchanged(struct platform_ctx *ctx, bool settled)
{
    struct request_page *req = trap_request(ctx->runner);

    req->save_to = ctx->runner->state_addr;
    if (settled) load_from_state(req, ctx->runner);
}
