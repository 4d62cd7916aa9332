/*
 * Which CPU: a sentry thread and the stub thread it drives share one *home* CPU; pairs spread over the CPUs. For platforms
 * that hand over between two host threads. See place.c for the measured reasons.
 */
#ifndef SUNDOG_STUB_PLACE_H
#define SUNDOG_STUB_PLACE_H

#include "sentry/base/list.h"
#include "sentry/base/lock.h"

#include <sched.h>

/* How many contexts are in guest code, per CPU; each counter is written mostly by threads on that CPU. */
struct cpu_load {
    int running; /* (a) */
} __attribute__((aligned(64)));

/* The part of a platform context that placement needs. */
struct place_ctx {
    LIST_ENTRY(place_ctx) link;  /* placement's lock */
    u64 running;                 /* (a) owner: pid << 32 | tid while the stub thread may run guest code, else 0 */
    bool apart;                  /* (t) the owner drives the stub thread from another CPU: leave both where they are */
    int home;                    /* (t) index into placement.cpu, -1: none yet, -2: pinning does not work here */
    s64 tick;                    /* (t) coarse clock at the last look at the load */
    unsigned crowded;            /* (t) looks in a row that found a better CPU */
    unsigned pulls;              /* (t) wake-ups in a row from one other CPU while no guest code ran */
    bool pulled;                 /* (t) it is where it is for that reason */
    int th_cpu;                  /* (a) CPU the stub thread is pinned to, -1: not pinned */
    int counted;                 /* (a) CPU index in whose load this context counts, -1: none */
    u32 runs;                    /* (a) written by the owner */
    u32 runs_seen;               /* balancer */
};

struct placement {
    int ncpu;                 /* (c) */
    int cpu[CPU_SETSIZE];     /* (c) numbers of the CPUs we may use */
    cpu_set_t all;            /* (c) the same as a set */
    struct cpu_load *load;    /* (c) ncpu of them */
    int balancer_asleep;      /* (a) futex: 1 while there is nothing to balance, 2: end */
    lock_t lock;              /* LC_PLATFORM */
    LIST_HEAD(, place_ctx) ctxs; /* (lock) */
    unsigned nctx;            /* (lock) */
    bool balancer_started;    /* (lock) */
    pthread_t balancer;
};

int place_init(struct placement *pl, unsigned ncpus);
void place_fini(struct placement *pl);
/* The balancer starts with the second context. */
void place_add(struct placement *pl, struct place_ctx *pc);
void place_remove(struct placement *pl, struct place_ctx *pc);
/* Around the time in guest code; tid is the stub thread's. */
void place_enter(struct placement *pl, struct place_ctx *pc, pid_t tid);
void place_leave(struct placement *pl, struct place_ctx *pc);
/* The calling thread, to the CPU of that number. It remembers, and place_enter takes it home when it is elsewhere. */
void place_pin_self(int cpu);
/* platform_ops.ctx_woken. */
void place_woken(struct placement *pl, struct place_ctx *pc, int cpu);

#endif
