/* One run from parsed options to exit status: `sundog run` and `sundog learn`. */
#ifndef SUNDOG_RUNTIME_RUN_H
#define SUNDOG_RUNTIME_RUN_H

#include "runtime/options.h"

/*
 * o->profile is loaded and flattened, or NULL. events: gets a copy of the record (malloc'ed), NULL where there is none;
 * may be NULL. Once in a process.
 */
int run_execute(struct run_options *o, u8 **events, size_t *len);

#endif
