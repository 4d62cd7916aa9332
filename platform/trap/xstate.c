/*
 * Extended registers. On entry the host's kernel saves them with the signal frame, in shared memory, and from there the
 * runner loads them again: a system call moves nothing. Only signals, fork and debuggers make the sentry look.
 */
#include "platform/trap/internal.h"
#include "platform/xstate.h"

#include <cpuid.h>
#include <string.h>

#define XS_SW_RESERVED 464 /* filled in by the kernel for signal frames; not part of the processor's state */
#define XS_LEGACY 512
#define XS_BV 512

static struct {
    u32 off, size;
} component[63]; /* (c) after trap_xstate_start */

void trap_xstate_start(void)
{
    u32 c, d;

    for (unsigned i = 2; i < ARRAY_LEN(component); i++)
        if (platform_xstate_features() >> i & 1) /* cpuid costs a VM exit, so it is asked once */
            __get_cpuid_count(0xd, i, &component[i].size, &component[i].off, &c, &d);
}

/* Memory of a component that is in its initial state is whatever it was; readers expect the initial values. */
static void fill_unused(u8 *buf, const u8 *init, u64 bv)
{
    u64 absent = platform_xstate_features() & ~bv;

    if (absent & 1) {
        memcpy(buf, init, 24); /* x87 control, up to mxcsr */
        memcpy(buf + 32, init + 32, 128);
    }
    if (absent & 2) memcpy(buf + 160, init + 160, 256);
    for (unsigned i = 2; i < ARRAY_LEN(component); i++) {
        u64 end = (u64)component[i].off + component[i].size;
        if (absent >> i & 1 && component[i].off >= XS_LEGACY + 64 && end <= platform_xstate_size())
            memset(buf + component[i].off, 0, component[i].size);
    }
}

int trap_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len)
{
    size_t size = platform_xstate_size();
    u8 *p = buf;
    u64 off, bv;

    if (len < size) return -EINVAL;
    if (ctx->xstate_pending) {
        memcpy(buf, ctx->xstate, size);
        return 0;
    }
    if (!ctx->runner) return -EFAULT;
    if (ctx->live) trap_xstate_save(ctx);
    platform_xstate_init(ctx->xstate); /* not pending, so free for use */
    off = __atomic_load_n(&trap_request(ctx->runner)->xstate, __ATOMIC_RELAXED) - ctx->runner->addr;
    if (off >= REQ_STACK && off <= REQ_AREA_SIZE - size && !(off & 63)) {
        memcpy(buf, ctx->runner->area + off, size);
        __asm__ volatile("" ::: "memory"); /* from here on the copy, not what a guest thread may be changing */
        memset(p + XS_SW_RESERVED, 0, XS_LEGACY - XS_SW_RESERVED);
        if (platform_xstate_check(buf, size) == 0) {
            memcpy(&bv, p + XS_BV, sizeof(bv));
            fill_unused(p, ctx->xstate, bv);
            return 0;
        }
    }
    memcpy(buf, ctx->xstate, size); /* the guest's other threads have destroyed it */
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

void trap_xstate_push(struct platform_ctx *ctx)
{
    struct stub_runner *r = ctx->runner;
    struct request_page *req = trap_request(r);
    size_t off = stub_state_offset();

    memcpy(r->area + off, ctx->xstate, platform_xstate_size());
    req->xstate = r->addr + off;
    req->frame = r->addr + off - REQ_FRAME_GAP;
    req->live = 0;
    ctx->live = false;
    ctx->xstate_pending = false;
}
