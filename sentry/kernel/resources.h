/*
 * What the whole sandbox may use, and shows: memory, CPUs, tasks. Set at start, and by CTL_LIMITS (the control thread) while
 * tasks run; no lock: each value is read as it is at that moment. Call after memfile_init and kernel_init.
 */
#ifndef SUNDOG_KERNEL_RESOURCES_H
#define SUNDOG_KERNEL_RESOURCES_H

#include "sentry/base/types.h"

struct super;

u64 resources_memory_shown(u64 limit);       /* bytes that a limit comes to on this host; 0: none */
/* in_cgroup: a cgroup of the host has the same limit of memory, and counts us too. */
void resources_start(u64 memory, u32 pids, bool in_cgroup);
void resources_set_memory(u64 limit);        /* bytes, 0: none; what is in use stays so */
void resources_set_pids(u32 n);              /* tasks, 0: none; those there are stay */
void resources_set_cpus(u32 n);              /* numbered from 0; 1 to CPUS_MAX, more are cut */

/* pids.max and pids.current as files to be mounted over those of the host's cgroup, which counts our own tasks. cgroup-v2.rst "PID" */
int resources_pids_file_new(bool max, struct super **out);

#endif
