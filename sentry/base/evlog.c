#include "sentry/base/evlog.h"

#include <string.h>

const struct evlog_rec *evlog_next(const u8 *file, size_t len, size_t *pos)
{
    const struct evlog_hdr *h = (const void *)file;
    if (len < sizeof(*h) || h->magic != EVLOG_MAGIC || h->version != EVLOG_VERSION) return NULL;
    size_t used = MIN((size_t)h->used, len - sizeof(*h));
    if (*pos > used || used - *pos < sizeof(struct evlog_rec) + 1) return NULL;
    const struct evlog_rec *r = (const void *)(file + sizeof(*h) + *pos);
    u32 n = r->len;
    if (n < sizeof(*r) + 1 || n % 8 || n > used - *pos || n > sizeof(*r) + EVLOG_OBJECT_MAX + 8) return NULL;
    if (r->op >= EV_OP_N || r->verdict >= EV_VERDICT_N || !memchr(r->object, 0, n - sizeof(*r))) return NULL;
    *pos += n;
    return r;
}

const char *evlog_op_name(unsigned op)
{
    static const char *const names[] = { "read", "write", "exec", "connect", "listen", "resolve", "syscall", "limit", "absent", "fork", "program", "exit" };
    return op < ARRAY_LEN(names) ? names[op] : "?";
}

const char *evlog_verdict_name(unsigned v)
{
    static const char *const names[] = { "allowed", "denied", "warned" };
    return v < ARRAY_LEN(names) ? names[v] : "?";
}
