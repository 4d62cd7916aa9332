/*
 * [limit] cpu-share: the host processes of a sandbox run in a cgroup of their own, with a quota of CPU time. Version 1 (controller cpu)
 * and version 2, at their usual places, where the caller may make a group: root, or a user whose group was delegated.
 */
#ifndef SUNDOG_RUNTIME_CPU_SHARE_H
#define SUNDOG_RUNTIME_CPU_SHARE_H

#include "sentry/base/types.h"

struct cpu_share { char *group, *before; };   /* owned: directory of the group; of the group this process was in */
/*
 * Makes the group and puts the calling process in it, so that what it starts is in it from the beginning. False: the host does not
 * let us; nothing was changed.
 */
bool cpu_share_enter(struct cpu_share *s, u64 percent);
void cpu_share_back(struct cpu_share *s);     /* this process alone goes back where it was */
void cpu_share_end(struct cpu_share *s);      /* the others are gone: removes the group */

#endif
