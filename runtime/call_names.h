/* Names of system calls by number: from the sentry's own tables, which only the sentry links. */
#ifndef SUNDOG_RUNTIME_CALL_NAMES_H
#define SUNDOG_RUNTIME_CALL_NAMES_H

#include "sentry/base/types.h"

/* Asks sundog-sentry once for each ABI. "call 423" where there is no name; the text is good until the next but 7. */
const char *call_name(bool solaris, u32 nr);

#endif
