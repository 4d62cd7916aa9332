/* From options to the two plans: what is shown where, as whom, with which descriptors. */
#ifndef SUNDOG_RUNTIME_PLAN_BUILD_H
#define SUNDOG_RUNTIME_PLAN_BUILD_H

#include "runtime/console.h"
#include "runtime/options.h"
#include "runtime/spawn.h"

/* 0, or an exit status after a message. open_mask: bit n: the caller had descriptor n (0..2) open. */
int plan_build(struct spawn_plan *p, const struct run_options *o, const struct console *c, unsigned open_mask);
/* Parts that the OCI runtime uses too. */
void plan_keep_fd(int **list, unsigned *n, int fd);
void plan_std_fds(struct spawn_plan *p, const struct console *c, unsigned open_mask);
void plan_solaris_pieces(struct spawn_plan *p, u32 *next_root);
u32 plan_cpu_count(void);
/*
 * The network: none, loopback or host. Both who asks the broker and the broker itself hold the rules (docs/net-broker.md);
 * here are none: a sandbox with the host's network may do all that its user may.
 */
void plan_net(struct spawn_plan *p, const char *kind);
void plan_build_fini(struct spawn_plan *p);   /* closes the descriptors that were opened for the plans */

#endif
