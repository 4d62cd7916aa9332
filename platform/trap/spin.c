/*
 * Spin mode: instead of sleeping, sentry thread and runner watch each other's word for a while, each on a CPU of its own. A
 * round trip then costs about 2 us instead of 7. It pays only while the other side really runs: on a busy machine it
 * costs twice the budget a call, and a guest that computes between calls makes the sentry spin for nothing. So it is entered by
 * measurement, for one pair at a time:
 *
 * - entered when the context makes calls in quick succession without sleeping in them, or sleeping only in turn with another
 *   (then one thread serves both, see change.c), and there is a CPU that none of our guests uses;
 * - left when more than MAX_FAILS of a window's waits ran out of budget (somebody else has the CPU, or calls became rare), or our
 *   own guests need the CPU; tried again after 10 ms, doubling to 1 s while it keeps failing.
 *
 * A wait that runs out of budget ends in futex: idle is idle. Then the other side has to be woken across CPUs, which takes longer
 * than the budget on many machines, so that its partner would give up in turn, and so on: for some turns after a
 * failure both look for longer, until they have met again.
 */
#include "platform/trap/internal.h"
#include "sentry/base/clock.h"

#define BUDGET_NS (20 * NSEC_PER_USEC)
#define MAX_FAILS 8
#define FIRST_FAILS 16 /* the first hand-overs cross CPUs by a wake-up, which takes longer than the budget */
#define MAX_SLEEPS 8   /* of a window */
#define QUICK_NS (100 * NSEC_PER_USEC) /* a hand-over on one CPU takes 25 of them on some virtual machines */
#define RETRY_MIN (10 * NSEC_PER_MSEC)
#define RETRY_MAX NSEC_PER_SEC
#define PAUSE_NS (50 * NSEC_PER_USEC)
/* Windows without fault after which an old failure is forgotten. */
#define GOOD_WINDOWS 1000

u32 trap_spin_calibrate(void)
{
    ktime_t best = 0;
    const u32 n = 500;

    for (int round = 0; round < 3; round++) { /* the shortest: the others were interrupted */
        ktime_t t = clock_mono();
        for (u32 i = 0; i < n; i++) __builtin_ia32_pause();
        t = clock_mono() - t;
        if (!best || t < best) best = t;
    }
    return (u32)((u64)BUDGET_NS * n / (u64)(best > 0 ? best : 1)) + 1;
}

static int other_cpu(struct platform_ctx *ctx)
{
    struct placement *pl = &ctx->p->place;
    int busy = 0, found = -1;

    for (int i = 0; i < pl->ncpu; i++) {
        int n = __atomic_load_n(&pl->load[i].running, __ATOMIC_RELAXED);
        busy += n;
        if (i != ctx->place.home && n == 0) found = i;
    }
    return busy + 2 <= pl->ncpu && found >= 0 ? pl->cpu[found] : -1;
}


static void enter(struct platform_ctx *ctx, int cpu)
{
    struct request_page *req = trap_request(ctx->runner);

    if (!ctx->p->spin_budget) __atomic_store_n(&ctx->p->spin_budget, trap_spin_calibrate(), __ATOMIC_RELAXED);
    place_pin_self(cpu);
    ctx->spin.on = ctx->place.apart = true;
    ctx->spin.count = 0;
    ctx->spin.fails = 0;
    ctx->spin.settle = TRAP_SPIN_SETTLE;
    ctx->spin.max_fails = FIRST_FAILS;
    ctx->spin.good = 0;
    req->sentry_sleeps = 0;
    req->spin = trap_spin_budget(ctx);
}

void trap_spin_leave(struct platform_ctx *ctx)
{
    struct request_page *req = trap_request(ctx->runner);

    ctx->spin.on = ctx->place.apart = false;
    ctx->spin.count = 0;
    ctx->spin.since = clock_mono();
    place_pin_self(ctx->p->place.cpu[ctx->place.home]);
    req->spin = req->eager = 0;
    req->sentry_sleeps = 1;
}

static void look_while_on(struct platform_ctx *ctx)
{
    struct trap_spin *s = &ctx->spin;
    bool failed = s->fails + s->in_turn > s->max_fails, asleep = s->slept > MAX_SLEEPS;

    s->slept = s->in_turn = 0;
    if (failed && asleep) {
        failed = false; /* says nothing about what spinning is worth while the task does not sleep */
    } else if (failed) {
        s->backoff = s->backoff ? MIN(s->backoff * 2, RETRY_MAX) : RETRY_MIN;
    } else if (!asleep && other_cpu(ctx) >= 0) {
        s->count = s->fails = 0;
        s->max_fails = MAX_FAILS;
        if (++s->good >= GOOD_WINDOWS) s->backoff = 0;
        return;
    }
    s->retry_at = clock_mono() + (failed ? s->backoff : RETRY_MIN);
    trap_spin_leave(ctx);
}

void trap_spin_look(struct platform_ctx *ctx)
{
    struct trap_spin *s = &ctx->spin;

    if (s->on) {
        look_while_on(ctx);
        return;
    }
    ktime_t now = clock_mono(), took = now - s->since;
    bool asleep = s->slept > MAX_SLEEPS, slow = took > s->count * QUICK_NS;

    s->count = s->slept = s->in_turn = 0;
    s->since = now;
    if (asleep || slow || now < s->retry_at || ctx->place.home < 0 || ctx->p->place.ncpu < 2) return;
    int cpu = other_cpu(ctx);
    if (cpu >= 0) enter(ctx, cpu);
}

/*
 * Side by side each call of the two costs a hand-over on its own CPU, which takes longer than what they do for each other, so
 * none ever waits. A pause, in which the other one comes to wait for us, and we are where they do.
 */
void trap_ctx_missed(struct platform_ctx *ctx)
{
    struct trap_spin *s = &ctx->spin;
    struct timespec pause = { 0, PAUSE_NS };
    ktime_t now = clock_mono();

    if (s->on || !ctx->runner || now < s->retry_at || ctx->place.home < 0 || ctx->p->place.ncpu < 2) return;
    s->retry_at = now + MAX(s->backoff, RETRY_MIN);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    int cpu = other_cpu(ctx);
    if (cpu >= 0) enter(ctx, cpu);
}
