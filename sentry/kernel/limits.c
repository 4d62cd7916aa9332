/* The values that Linux starts with on a machine of some size. */
#include "sentry/kernel/limits.h"

struct kernel_limits kernel_limits = {
    .max_map_count = 65530, .nr_open = 1u << 20, .inotify_max_queued_events = 16384, .inotify_max_user_instances = 128,
    .inotify_max_user_watches = 65536, .pipe_max_size = 1u << 20, .pipe_user_pages_soft = 16384, .file_max = INT64_MAX,
};
