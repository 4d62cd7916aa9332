/* --timing: what start-up cost, as a tree on stderr. All times are CLOCK_MONOTONIC, so processes can be compared. */
#ifndef SUNDOG_RUNTIME_TIMING_H
#define SUNDOG_RUNTIME_TIMING_H

#include "sentry/base/types.h"

void timing_start(void);                             /* first thing in main */
void timing_mark(const char *name);                  /* static string: the step that ends now */
/* Steps of the sentry, as it reports them with CTL_STARTED: struct control_timing[] (untrusted: checked). */
void timing_add_sentry(const void *data, size_t len);
void timing_print(void);

#endif
