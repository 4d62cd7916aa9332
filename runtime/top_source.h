/* The sandboxes that `sundog top` sees: of `sundog run` (runtime/watch.h) and containers, one connection each. */
#ifndef SUNDOG_RUNTIME_TOP_SOURCE_H
#define SUNDOG_RUNTIME_TOP_SOURCE_H

#include "sentry/base/evlog.h"
#include "sentry/control/control.h"

#define TOP_FILES 8u                 /* newest objects kept for display */

struct top_object { char *text; u8 op, verdict; u32 count; s64 last; };
struct top_box {
    bool container, lost;
    s32 pid;                         /* of `sundog run`, or of the supervisor */
    char *id;                        /* of a container; "run PID" otherwise. owned */
    char *command;                   /* owned, printable */
    int sock;
    const u8 *record;                /* mapped, EVLOG_SIZE; written by a sentry that is not trusted. NULL: none */
    struct control_stats stats;
    struct control_proc *procs; unsigned nprocs;
    s64 sampled;                     /* CLOCK_MONOTONIC ns; 0: never */
    /* since the sample before */
    double seconds, calls_per_s, cpu;            /* cpu: share of one processor */
    u64 calls, cpu_ns;
    struct { u32 nr; bool solaris; double per_s; } busiest[5]; unsigned nbusiest;
    u64 last_calls[2][EVLOG_CALLS];
    /* from the record, as a whole */
    unsigned files, hosts, denials, warnings; u64 dropped;
    struct top_object recent[TOP_FILES]; unsigned nrecent;        /* files and hosts, newest first */
    struct top_object denied[TOP_FILES]; unsigned ndenied;        /* newest first */
};
struct top { struct top_box **box; unsigned n; };

/* Finds new sandboxes, samples all, drops what ended. */
void top_refresh(struct top *t);
void top_fini(struct top *t);

#endif
