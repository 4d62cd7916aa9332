/* Growing text, always NUL-terminated once something was added. Zero-initialise; owner calls strbuf_fini. */
#ifndef SUNDOG_BASE_STRBUF_H
#define SUNDOG_BASE_STRBUF_H

#include "sentry/base/types.h"

struct strbuf { char *s; size_t len, cap; };
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
void strbuf_fini(struct strbuf *b);

#endif
