/* What counts per user: real user ids, numbers of the initial user namespace. An entry lives while it counts. */
#ifndef SUNDOG_KERNEL_USER_H
#define SUNDOG_KERNEL_USER_H

#include "sentry/base/types.h"

enum user_count { USER_NPROC, USER_SIGPENDING, USER_INOTIFY_INSTANCES, USER_INOTIFY_WATCHES, USER_PIPE_PAGES, USER_NCOUNTS };
/* Adds one unless the count has reached limit (RLIM_INFINITY: always). */
bool user_charge(u32 uid, enum user_count which, u64 limit);
void user_uncharge(u32 uid, enum user_count which);
/* Adds n, which may be negative, whatever the limits are: the new count. */
u64 user_add(u32 uid, enum user_count which, s64 n);

#endif
