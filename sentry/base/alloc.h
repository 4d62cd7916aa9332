/*
 * Allocation. xalloc family never returns NULL: the host being out of memory ends the sandbox with a message
 * (the sentry's own objects are small and bounded by guest limits). Sizes that come from a guest use try_alloc.
 */
#ifndef SUNDOG_BASE_ALLOC_H
#define SUNDOG_BASE_ALLOC_H

#include "sentry/base/types.h"
#include <stdlib.h>

void *xzalloc(size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *xrealloc(void *p, size_t size) MUST_CHECK __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF(1, 2) __attribute__((malloc, returns_nonnull));
void *try_zalloc(size_t n, size_t size) MUST_CHECK; /* n*size checked for overflow; NULL on failure */
#define xnew(type) ((type *)xzalloc(sizeof(type)))

static inline void cleanup_free(void *p) { free(*(void **)p); }
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))

#endif
