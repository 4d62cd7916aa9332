/* `sundog diff A B`: which rules of two flattened profiles differ. 0 none, 1 some, or an exit status after a message. */
#ifndef SUNDOG_RUNTIME_PROFILE_DIFF_H
#define SUNDOG_RUNTIME_PROFILE_DIFF_H

#include "sentry/base/types.h"

int profile_diff(const char *a, const char *b, const char *const *params, unsigned nparams, bool json);

#endif
