/* Threads of the sentry's own that serve no task: pollers, timers, the control socket. */
#ifndef SUNDOG_BASE_SERVICE_H
#define SUNDOG_BASE_SERVICE_H

#include "sentry/base/types.h"

/*
 * Starts main(arg) in a detached thread with a stack of that many bytes. Host signals are for task threads (kicks): this
 * one takes none but those of its own faults, which the crash report wants. 0 or -errno: the host refuses threads.
 */
int service_start(void *(*main)(void *), void *arg, size_t stack);

#endif
