/* The vDSO and the clocks it shares with the system calls. */
#ifndef SUNDOG_LINUX_VDSO_H
#define SUNDOG_LINUX_VDSO_H

#include "sentry/base/types.h"

struct mm;

/* Runs by itself at start: finds out whether the host's clock is the TSC. If not, the vDSO always makes the system call. */
void linux_vdso_init(void);
/* Maps [vvar] and [vdso] into a fresh address space; sets mm->vdso_base. -errno */
int linux_vdso_map(struct mm *mm);
/* CLOCK_REALTIME, CLOCK_MONOTONIC or CLOCK_BOOTTIME as every guest sees it; false: not one of these. */
bool linux_vdso_clock(int id, ktime_t *out);

#endif
