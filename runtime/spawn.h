/*
 * Starting the sentry, the gofer and, for the host's network, the broker: descriptors, namespaces, identity maps, and who dies with whom.
 *
 * sundog --control socket-- sentry --channels-- gofer (and network broker). Each of them notices the end of another by its socket's
 * hang-up; PDEATHSIG makes the end of sundog the end of the others even if they hang.
 */
#ifndef SUNDOG_RUNTIME_SPAWN_H
#define SUNDOG_RUNTIME_SPAWN_H

#include "sentry/base/plan.h"

#define GOFER_CHANNELS 3           /* requests served at the same time */
#define BROKER_CHANNELS 1          /* in one order: a port is free again when the next request is served */

struct spawn_plan {
    struct plan_writer sentry, gofer, broker;
    int *sentry_fds; unsigned n_sentry_fds;      /* stay open in the sentry: PLAN_FD, PLAN_CONSOLE; borrowed */
    int *gofer_fds; unsigned n_gofer_fds;        /* PLAN_ROOT */
    int *broker_fds; unsigned n_broker_fds;      /* PLAN_DNS */
    bool net_host;                               /* a network broker is needed; `broker` is its plan */
    bool debug;
    int nice;                                    /* added to the priority of the sandbox's processes */
};

struct sandbox {
    pid_t sentry, gofer, broker;                 /* 0 once reaped, or never started */
    int control;                                 /* SOCK_SEQPACKET, nonblocking */
};

/* Starts all at once; consumes the plans. 0, or an exit status after a message. */
int spawn_sandbox(struct sandbox *s, struct spawn_plan *p);
/* Kills what still runs and reaps it. */
void spawn_kill(struct sandbox *s);
/* The number that /proc knows a child, or the caller, by: the caller may be in a pid namespace that /proc is not of. */
pid_t spawn_proc_pid(pid_t pid);
/* Opens one of our helper programs (O_PATH), for --print-syscalls and the spawner. -1 after a message. */
int spawn_find_program(const char *name);

#endif
