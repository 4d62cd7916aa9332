/* The first program of the sandbox, as the plan describes it. */
#ifndef SUNDOG_KERNEL_INIT_H
#define SUNDOG_KERNEL_INIT_H

#include "sentry/base/types.h"

struct gofer_client;
struct task;

/*
 * Builds the mounts, the first task with its credentials, descriptors and limits, and loads its image; it does not run
 * yet (task_start). NULL after control_report_failed with the exit status a shell would give. Runs on the main thread.
 */
struct task *init_prepare(const u8 *plan, size_t len, u32 options /* PLAN_OPT_* */, struct gofer_client *gofer);

/*
 * Another process beside it, as a plan of CTL_EXEC describes; not yet running. The descriptors of the message are taken
 * out of fds (-1). NULL: *status is what a shell would give, why says the rest. Any thread that is no task.
 */
struct task *init_exec(const u8 *plan, size_t len, int *fds, unsigned nfds, int *status, char *why, size_t why_size);

#endif
