/* Small files read whole. */
#ifndef SUNDOG_RUNTIME_TEXTFILE_H
#define SUNDOG_RUNTIME_TEXTFILE_H

#include "sentry/base/types.h"

/*
 * The bytes of a regular file of at most max, and a NUL behind them; the caller frees. *len: without the NUL.
 * NULL with errno: EFBIG above max, EISDIR, EINVAL for what is no regular file, else as open(2).
 */
char *textfile_read(const char *path, size_t max, size_t *len);

#endif
