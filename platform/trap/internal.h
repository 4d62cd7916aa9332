/* Inside platform/trap only. */
#ifndef SUNDOG_TRAP_INTERNAL_H
#define SUNDOG_TRAP_INTERNAL_H

#include "platform/platform.h"
#include "platform/stub/place.h"
#include "platform/stub/request.h"
#include "platform/stub/stub.h"

#include <string.h>

struct platform {
    struct platform_config cfg;  /* (c) */
    struct stub_template stubs;
    bool probing;                /* (c) a trial: failures go to its caller, not to the log */
    struct placement place;
    u32 spin_budget;             /* (a) in turns of a loop with one pause; 0: not measured yet */
    struct platform_as *spare;   /* (a) of the trial at start, for the first as_new */
};

/* Runs between two looks at whether spinning pays. */
#define TRAP_SPIN_WINDOW 64
#define TRAP_SPIN_TURNS 8 /* or sleeps in turn with another context, while it is off */

#define TRAP_SPIN_SETTLE 16
#define TRAP_SPIN_LONGER 8

/* See spin.c. All (t). */
struct trap_spin {
    bool on;
    u32 count;          /* runs since the last look */
    u32 fails;          /* waits among them that ran out of budget */
    u32 max_fails;
    u32 slept;          /* times since the last look that the task slept before it answered */
    u32 in_turn;        /* times that it slept, and would not have, had its partner been kept for this thread */
    u32 settle;         /* waits still to be given more time, after one that failed */
    u32 good;           /* windows without too many */
    ktime_t since;      /* of the last look, while off */
    ktime_t retry_at;   /* not before this */
    ktime_t backoff;
};

struct platform_as {
    struct platform *p;      /* (c) */
    struct stub_proc *proc;  /* (c) one reference */
};

struct platform_ctx {
    struct platform *p;          /* (c) */
    struct place_ctx place;
    struct stub_runner *runner;  /* (t) of the address space run last; NULL before the first run */
    u8 *xstate;                  /* (t) platform_xstate_size() bytes */
    bool xstate_pending;         /* (t) xstate is to be loaded by the next run */
    bool live;                   /* (t) the runner has the guest's extended registers in the processor */
    bool saved;                  /* (t) and has saved them too */
    bool eager;                  /* (t) it does so at the next call */
    struct trap_spin spin;
    u32 *leaves;                 /* (t) the spin budget of the runner this thread drove before: to be 0 once ours is awake */
    u32 kicked;                  /* (a) */
    int failed_errno;            /* (t) why no runner could be had, for probe */
};

static inline struct request_page *trap_request(const struct stub_runner *r)
{
    return (struct request_page *)(void *)r->area;
}

/* Before extended state is saved: xsave leaves most of the header as it is. (A sibling can spoil it, as what is saved.) */
static inline void trap_state_clean(struct stub_runner *r)
{
    if (!r->state_clean) memset(r->state + 512, 0, 64);
    r->state_clean = true;
}

/* Of the next wait. */
static inline u32 trap_spin_budget(const struct platform_ctx *ctx)
{
    return ctx->spin.settle ? ctx->p->spin_budget * TRAP_SPIN_LONGER : ctx->p->spin_budget;
}

/* run.c */
void trap_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit);
void trap_ctx_kick(struct platform_ctx *ctx);
void trap_ctx_woken(struct platform_ctx *ctx, int cpu, bool in_turn);
/* Has the runner save the extended registers that it has in the processor; what happens then is an event of its own. */
void trap_xstate_save(struct platform_ctx *ctx);
/* The context lets go of its runner. */
void trap_runner_drop(struct platform_ctx *ctx);

/* patch.c */
size_t trap_as_call_site(struct platform_as *as, gaddr_t at, gaddr_t ret, const u8 *insns, size_t n, u8 *out, size_t room);

/* spin.c */
u32 trap_spin_calibrate(void);
/* Every TRAP_SPIN_WINDOW runs, before one: enter or leave spin mode? */
void trap_spin_look(struct platform_ctx *ctx);
void trap_spin_leave(struct platform_ctx *ctx);
void trap_ctx_missed(struct platform_ctx *ctx);

/* change.c */
bool trap_ctx_keeps(struct platform_ctx *ctx);
void trap_ctx_take_over(struct platform_ctx *from, struct platform_ctx *to);

/* xstate.c */
int trap_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len);
int trap_ctx_set_xstate(struct platform_ctx *ctx, const void *buf, size_t len);
/* Takes the extended state from the runner to ctx->xstate, for any runner to load. */
void trap_xstate_pull(struct platform_ctx *ctx);
/*
 * Before an exchange of runners. True: the state is saved in the room that the runner has for it. False: it is in
 * ctx->xstate. And after it, and after the exchange of the rooms.
 */
bool trap_xstate_settle(struct platform_ctx *ctx);
void trap_xstate_exchanged(struct platform_ctx *ctx, bool settled);
/* Puts ctx->xstate where the runner loads it from. */
void trap_xstate_push(struct platform_ctx *ctx);

#endif
