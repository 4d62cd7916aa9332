/* Between sched.c and sched_deadline.c. */
#ifndef SUNDOG_ABI_LINUX_SCHED_H
#define SUNDOG_ABI_LINUX_SCHED_H

#include "abi/linux/uapi_process.h"
#include "sentry/kernel/task.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
/* sched_attr.flags */
#define FLAG_RESET_ON_FORK 1ULL
#define FLAG_KEEP_POLICY 8ULL
#define FLAG_KEEP_PARAMS 16ULL

struct task *linux_sched_task_get(s32 pid);              /* counted; 0: current; NULL: there is none */
/* sched_setattr(2) with SCHED_DEADLINE: 0 -EINVAL -EPERM -EBUSY -ESRCH */
sysret_t linux_sched_set_deadline(s32 pid, const struct linux_sched_attr *at);
void linux_sched_get_deadline(struct task *t, struct linux_sched_attr *at);
bool linux_sched_all_cpus(const u8 *mask);               /* of the sandbox, in a mask of the size of task.cpus_allowed */

#endif
