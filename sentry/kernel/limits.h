/*
 * Limits of the whole sandbox that its superuser may set below /proc/sys. proc_sys_fs(5), proc_sys_vm(5), proc_sys_kernel(5)
 * Read and written whole; whoever applies one takes the value of that moment. What the sentry's own memory pays for has a
 * ceiling of its own (*_CEILING): a setting above it is refused with -EINVAL.
 */
#ifndef SUNDOG_KERNEL_LIMITS_H
#define SUNDOG_KERNEL_LIMITS_H

#include "sentry/base/types.h"

struct kernel_limits {             /* (a) each field */
    u32 max_map_count;             /* vm.max_map_count: mappings of one address space */
    u32 nr_open;                   /* fs.nr_open: descriptors of one process */
    u32 threads_max;               /* kernel.threads-max; 0: kernel.max_tasks */
    u32 inotify_max_queued_events, inotify_max_user_instances, inotify_max_user_watches;
    u32 pipe_max_size;             /* bytes, a power of two */
    u64 pipe_user_pages_soft, pipe_user_pages_hard;     /* 0: none */
    u64 file_max;                  /* open files of all */
};
extern struct kernel_limits kernel_limits;
#define kernel_limit(field) __atomic_load_n(&kernel_limits.field, __ATOMIC_RELAXED)

#define MAX_MAP_COUNT_CEILING (1u << 22)
#define NR_OPEN_CEILING (1u << 24)
#define INOTIFY_CEILING (1u << 20)
#define PIPE_SIZE_CEILING (1u << 31)

/* Has this many open files been made (vfs/file.c). Exact only while nobody opens or closes. */
u64 files_open(void);

#endif
