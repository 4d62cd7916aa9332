/* Inside platform/ptrace only. */
#ifndef SUNDOG_PTRACE_INTERNAL_H
#define SUNDOG_PTRACE_INTERNAL_H

#include "platform/platform.h"
#include "platform/stub/stub.h"

#include <sched.h>
#include <signal.h>

/* A signal whose default is to be ignored: one that hits a stub thread before it is traced does no harm. */
#define KICK_SIGNAL SIGURG

/* How many contexts are in guest code, per CPU; each counter is written mostly by threads on that CPU. */
struct cpu_load {
    int running; /* (a) */
} __attribute__((aligned(64)));

struct placement {
    int ncpu;                 /* (c) */
    int cpu[CPU_SETSIZE];     /* (c) numbers of the CPUs we may use */
    cpu_set_t all;            /* (c) the same as a set */
    struct cpu_load *load;    /* (c) ncpu of them */
    int balancer_asleep;      /* (a) futex: 1 while there is nothing to balance, 2: end */
    bool balancer_started;    /* platform lock */
    pthread_t balancer;
};

struct platform {
    struct platform_config cfg;  /* (c) */
    struct stub_template stubs;
    bool probing;                /* (c) a trial: failures go to its caller, not to the log */
    struct placement place;
    lock_t lock;                 /* LC_PLATFORM */
    LIST_HEAD(, platform_ctx) ctxs; /* (lock) */
    unsigned nctx;               /* (lock) */
};

struct platform_as {
    struct platform *p;      /* (c) */
    struct stub_proc *proc;  /* (c) one reference */
};

struct platform_ctx {
    struct platform *p;          /* (c) */
    LIST_ENTRY(platform_ctx) link; /* platform lock */
    struct stub_thread *th;      /* (t) of the address space run last; NULL before the first run */
    pid_t tracer;                /* (t) the only host thread that may talk to th */
    bool last_valid;             /* (t) `last` is what th's registers are */
    bool last_syscall;           /* (t) th stands in a system call stop */
    struct guest_regs last;      /* (t) */
    u8 *xstate;                  /* (t) platform_xstate_size() bytes */
    bool xstate_pending;         /* (t) xstate is to be loaded before the next run */
    const char *failed_step;     /* (t) why a thread could not be had, for probe */
    int failed_errno;

    u64 running;                 /* (a) pid << 32 | tid while th may run guest code, else 0 */
    u32 kicked;                  /* (a) */

    int home;                    /* (t) index into placement.cpu, -1: none yet, -2: pinning does not work here */
    s64 tick;                    /* (t) coarse clock at the last look at the load */
    unsigned crowded;            /* (t) looks in a row that found a better CPU */
    int th_cpu;                  /* (a) CPU th is pinned to, -1: not pinned */
    int counted;                 /* (a) CPU index in whose load this context counts, -1: none */
    u32 runs;                    /* (a) written by the owner */
    u32 runs_seen;               /* balancer */
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

/* place.c */
int ptrace_place_init(struct placement *pl, unsigned ncpus);
void ptrace_place_fini(struct placement *pl);
void ptrace_place_start(struct platform *p); /* from the second context on */
/* Around the time in guest code. */
void ptrace_place_enter(struct platform_ctx *ctx);
void ptrace_place_leave(struct platform_ctx *ctx);

#endif
