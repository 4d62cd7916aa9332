/*
 * A sentry thread in spin mode that goes on with another context: of two guests that wake each other in turn, whose calls this
 * one thread serves then. The mode stays with the thread and its CPU. The guests share the other CPU, where changing from
 * one runner to the next would be a change of host threads. Within one process that is not needed either: runners are all
 * alike but for the registers they load, so the contexts exchange theirs, and the one that is spinning goes on. Extended
 * registers do not pass through the sentry: the runner saves them with the call that will probably wait (eager), and they
 * lie in the room that goes with the context until it is loaded by whichever runner it has then.
 */
#include "platform/trap/internal.h"

bool trap_ctx_keeps(struct platform_ctx *ctx)
{
    ctx->eager = ctx->spin.on;
    return ctx->spin.on;
}

/* What is saved stays where it is: the room for it goes with the context. */
static void exchange_rooms(struct stub_runner *a, struct stub_runner *b)
{
    u8 *state = a->state;
    u64 addr = a->state_addr;
    bool clean = a->state_clean;

    a->state = b->state;
    a->state_addr = b->state_addr;
    a->state_clean = b->state_clean;
    b->state = state;
    b->state_addr = addr;
    b->state_clean = clean;
}

static void exchange(struct platform_ctx *a, struct platform_ctx *b)
{
    struct stub_runner *r = a->runner;
    int cpu = __atomic_load_n(&a->place.th_cpu, __ATOMIC_RELAXED);
    bool settled_a = trap_xstate_settle(a), settled_b = trap_xstate_settle(b);

    a->runner = b->runner;
    b->runner = r;
    if (stub_state_stays()) exchange_rooms(a->runner, b->runner);
    trap_xstate_exchanged(a, settled_a);
    trap_xstate_exchanged(b, settled_b);
    __atomic_store_n(&a->place.th_cpu, __atomic_load_n(&b->place.th_cpu, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(&b->place.th_cpu, cpu, __ATOMIC_RELAXED);
    a->runner->bases_known = b->runner->bases_known = false;
}

/* Not trap_spin_leave: the context's thread is another one now. */
static void stop_spinning(struct platform_ctx *ctx)
{
    struct trap_spin *s = &ctx->spin;
    struct request_page *req = trap_request(ctx->runner);

    *s = (struct trap_spin){ .retry_at = s->retry_at, .backoff = s->backoff };
    ctx->place.apart = ctx->eager = false;
    req->eager = 0;
    __atomic_store_n(&req->sentry_sleeps, 1, __ATOMIC_RELAXED);
}

void trap_ctx_take_over(struct platform_ctx *from, struct platform_ctx *to)
{
    struct trap_spin mode = from->spin;

    if (!mode.on) return; /* place_enter sees to where the thread belongs */
    if (!to->runner) {
        trap_spin_leave(from);
        return;
    }
    if (from->runner->proc == to->runner->proc) {
        exchange(from, to);
        if (to->spin.on) stop_spinning(to);
        __atomic_store_n(&trap_request(from->runner)->spin, 0, __ATOMIC_RELAXED); /* it slept, and so it will the next time */
    } else {
        to->leaves = &trap_request(from->runner)->spin;
    }
    stop_spinning(from);
    to->spin = mode;
    to->place.home = from->place.home;
    to->place.apart = true;
    trap_request(to->runner)->sentry_sleeps = 0;
}
