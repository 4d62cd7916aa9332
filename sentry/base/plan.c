#include "sentry/base/plan.h"
#include "sentry/base/alloc.h"

#include <string.h>
#include <unistd.h>

#define PLAN_MAX (64u << 20)

static void plan_reserve(struct plan_writer *w, size_t n)
{
    if (w->len + n <= w->cap) return;
    size_t cap = w->cap ? w->cap : 4096;
    while (cap < w->len + n) cap *= 2;
    w->buf = xrealloc(w->buf, cap);
    w->cap = cap;
}

static void plan_put(struct plan_writer *w, const void *p, size_t n)
{
    plan_reserve(w, n);
    if (n) memcpy(w->buf + w->len, p, n);
    w->len += n;
}

static void plan_pad(struct plan_writer *w)
{
    static const u8 zero[8];
    plan_put(w, zero, (8 - w->len % 8) % 8);
}

void plan_begin(struct plan_writer *w) { memset(w, 0, sizeof(*w)); }

void plan_add(struct plan_writer *w, enum plan_kind kind, const void *data, size_t len)
{
    struct plan_record r = { .kind = (u16)kind, .len = (u32)len };
    plan_put(w, &r, sizeof(r));
    plan_put(w, data, len);
    plan_pad(w);
}

void plan_add_str(struct plan_writer *w, enum plan_kind kind, const char *s) { plan_add(w, kind, s, strlen(s) + 1); }

void plan_add2(struct plan_writer *w, enum plan_kind kind, const void *fixed, size_t fixed_len, const char *const *strings, size_t n)
{
    size_t len = fixed_len;
    for (size_t i = 0; i < n; i++) len += strlen(strings[i]) + 1;
    struct plan_record r = { .kind = (u16)kind, .len = (u32)len };
    plan_put(w, &r, sizeof(r));
    plan_put(w, fixed, fixed_len);
    for (size_t i = 0; i < n; i++) plan_put(w, strings[i], strlen(strings[i]) + 1);
    plan_pad(w);
}

int plan_send(struct plan_writer *w, int fd)
{
    struct plan_record end = { .kind = PLAN_END };
    plan_put(w, &end, sizeof(end));
    size_t done = 0;
    int err = 0;
    while (done < w->len) {
        ssize_t n = write(fd, w->buf + done, w->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            err = n < 0 ? -errno : -EIO;
            break;
        }
        done += (size_t)n;
    }
    plan_writer_fini(w);
    return err;
}

void plan_writer_fini(struct plan_writer *w)
{
    free(w->buf);
    memset(w, 0, sizeof(*w));
}

int plan_read_fd(int fd, u8 **buf, size_t *len)
{
    size_t cap = 16384, n = 0;
    u8 *b = xzalloc(cap);
    for (;;) {
        ssize_t r = read(fd, b + n, cap - n);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) {
            int err = -errno;
            free(b);
            return err;
        }
        if (r == 0) break;
        n += (size_t)r;
        if (n == cap) {
            if (cap >= PLAN_MAX) {
                free(b);
                return -E2BIG;
            }
            b = xrealloc(b, cap *= 2);
        }
    }
    *buf = b;
    *len = n;
    return 0;
}

int plan_next(struct plan_reader *r, struct plan_record *rec, const u8 **data)
{
    if (r->len - r->pos < sizeof(*rec)) return -EINVAL;
    memcpy(rec, r->buf + r->pos, sizeof(*rec));
    if (rec->kind == PLAN_END) return 0;
    size_t room = r->len - r->pos - sizeof(*rec);
    if (rec->len > room) return -EINVAL;
    *data = r->buf + r->pos + sizeof(*rec);
    size_t padded = ((size_t)rec->len + 7) & ~7UL;
    r->pos += sizeof(*rec) + MIN(padded, room);
    return 1;
}

const char *plan_string(const u8 *data, size_t len, size_t fixed, unsigned n)
{
    size_t pos = fixed;
    for (;;) {
        if (pos >= len) return NULL;
        const u8 *nul = memchr(data + pos, 0, len - pos);
        if (!nul) return NULL;
        if (n-- == 0) return (const char *)data + pos;
        pos = (size_t)(nul - data) + 1;
    }
}
