/* Inside platform/ptrace only. */
#ifndef SUNDOG_PTRACE_INTERNAL_H
#define SUNDOG_PTRACE_INTERNAL_H

#include "platform/platform.h"
#include "platform/stub/place.h"
#include "platform/stub/stub.h"

#include <sched.h>
#include <signal.h>

/* A signal whose default is to be ignored: one that hits a stub thread before it is traced does no harm. */
#define KICK_SIGNAL SIGURG

struct platform {
    struct platform_config cfg;  /* (c) */
    struct stub_template stubs;
    bool probing;                /* (c) a trial: failures go to its caller, not to the log */
    struct placement place;
    struct platform_as *spare;   /* (a) of the trial at start, for the first as_new */
};

struct platform_as {
    struct platform *p;      /* (c) */
    struct stub_proc *proc;  /* (c) one reference */
};

struct platform_ctx {
    struct platform *p;          /* (c) */
    struct place_ctx place;
    struct stub_thread *th;      /* (t) of the address space run last; NULL before the first run */
    pid_t tracer;                /* (t) the only host thread that may talk to th */
    bool last_valid;             /* (t) `last` is what th's registers are */
    bool last_syscall;           /* (t) th stands in a system call stop */
    struct guest_regs last;      /* (t) */
    u8 *xstate;                  /* (t) platform_xstate_size() bytes */
    bool xstate_pending;         /* (t) xstate is to be loaded before the next run */
    const char *failed_step;     /* (t) why a thread could not be had, for probe */
    int failed_errno;

    u32 kicked;                  /* (a) */
};

/* thread.c: see to it that ctx->th is a seized, stopped thread of as. 0, or -errno (ctx->failed_step says where). */
int ptrace_thread_switch(struct platform_ctx *ctx, struct platform_as *as);
/* Ends ctx->th, or leaves it to whoever reaps a dead process. */
void ptrace_thread_drop(struct platform_ctx *ctx);
/* Waits for th's next stop. False: it is gone (and marked so). */
bool ptrace_thread_wait(struct stub_thread *th, int *status);
int ptrace_xstate_load(struct platform_ctx *ctx, const void *buf);

/* run.c */
void ptrace_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit);
void ptrace_ctx_kick(struct platform_ctx *ctx);
void ptrace_ctx_woken(struct platform_ctx *ctx, int cpu, bool in_turn);

#endif
