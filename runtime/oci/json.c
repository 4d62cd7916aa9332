#include "runtime/oci/json.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define ARRAY_MAX 65536

json_object *json_parse_text(const char *name, const char *text, size_t len)
{
    struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *o = len <= INT32_MAX ? json_tokener_parse_ex(t, text, (int)len) : NULL;
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t end = json_tokener_get_parse_end(t);
    if (e == json_tokener_continue) {
        /* A bare number or an unfinished text: a final NUL tells the parser that nothing follows. */
        o = json_tokener_parse_ex(t, "", 1);
        e = json_tokener_get_error(t);
        end = len;
    }
    json_tokener_free(t);
    if (e != json_tokener_success) {
        if (o) json_object_put(o);
        oci_fail("%s: invalid JSON at byte %zu: %s", name, end,
                 e == json_tokener_continue ? "the text ends too early" : json_tokener_error_desc(e));
        return NULL;
    }
    for (size_t i = end; i < len; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i]) {
            json_object_put(o);
            oci_fail("%s: invalid JSON at byte %zu: something follows the document", name, i);
            return NULL;
        }
    if (!o) oci_fail("%s: the document is null", name);
    return o;
}

json_object *json_load(int dirfd, const char *path, const char *name)
{
    struct stat st;
    /* NONBLOCK: a FIFO in its place must not hang us */
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st)) {
        oci_fail("open %s: %s", path, errno == ENOENT ? "no such file or directory" : strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    json_object *o = NULL;
    bool pipe_ok = S_ISFIFO(st.st_mode) && !strncmp(path, "/dev/", 5); /* --process /dev/stdin */
    if (!S_ISREG(st.st_mode) && !pipe_ok) oci_fail("%s: not a regular file", path);
    else if (st.st_size > JSON_FILE_MAX) oci_fail("%s: larger than %u MiB", path, JSON_FILE_MAX >> 20);
    else {
        size_t n = 0, cap = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 65536;
        char *buf = xzalloc(cap);
        ssize_t r;
        if (pipe_ok) fcntl(fd, F_SETFL, O_RDONLY);
        while ((r = read(fd, buf + n, cap - n)) > 0) {
            n += (size_t)r;
            if (n > JSON_FILE_MAX) break;
            if (n == cap) buf = xrealloc(buf, cap *= 2);
        }
        if (r < 0) oci_fail("read %s: %s", path, strerror(errno));
        else if (n > JSON_FILE_MAX) oci_fail("%s: larger than %u MiB", path, JSON_FILE_MAX >> 20);
        else o = json_parse_text(name, buf, n);
        free(buf);
    }
    close(fd);
    return o;
}

static size_t path_text(const struct jn *n, char *buf, size_t size)
{
    size_t at = n->up ? path_text(n->up, buf, size) : 0;
    int m;
    if (n->key) m = snprintf(buf + at, size - at, "%s%.64s", n->up && n->up->up ? "." : at ? ": " : "", n->key);
    else m = snprintf(buf + at, size - at, "[%d]", n->index);
    at += m > 0 ? (size_t)m : 0;
    return MIN(at, size - 1);
}

int jn_fail(const struct jn *n, const char *fmt, ...)
{
    char path[512], text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    path[0] = 0;
    path_text(n, path, sizeof(path));
    return oci_fail("%s: %s", path, text);
}

static const char *type_name(json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_null: return "null";
    case json_type_boolean: return "a boolean";
    case json_type_double: return "a fraction";
    case json_type_int: return "a number";
    case json_type_object: return "an object";
    case json_type_array: return "an array";
    case json_type_string: return "a string";
    }
    return "something else";
}

static int wanted(const struct jn *n, const char *what) { return jn_fail(n, "%s is wanted, this is %s", what, type_name(n->o)); }

bool jn_get(const struct jn *obj, const char *key, struct jn *out)
{
    *out = (struct jn){ .key = key, .up = obj };
    return json_object_is_type(obj->o, json_type_object) && json_object_object_get_ex(obj->o, key, &out->o) && out->o;
}

int jn_object(const struct jn *n) { return json_object_is_type(n->o, json_type_object) ? 0 : wanted(n, "an object"); }

int jn_array(const struct jn *n, unsigned *len)
{
    if (!json_object_is_type(n->o, json_type_array)) return wanted(n, "an array");
    size_t k = json_object_array_length(n->o);
    if (k > ARRAY_MAX) return jn_fail(n, "more than %d elements", ARRAY_MAX);
    *len = (unsigned)k;
    return 0;
}

void jn_at(const struct jn *arr, unsigned i, struct jn *out)
{
    *out = (struct jn){ .o = json_object_array_get_idx(arr->o, i), .index = (int)i, .up = arr };
}

int jn_str(const struct jn *n, const char **out)
{
    if (!json_object_is_type(n->o, json_type_string)) return wanted(n, "a string");
    *out = json_object_get_string(n->o);
    if (strlen(*out) != (size_t)json_object_get_string_len(n->o)) return jn_fail(n, "a NUL character inside");
    return 0;
}

int jn_bool(const struct jn *n, bool *out)
{
    if (!json_object_is_type(n->o, json_type_boolean)) return wanted(n, "true or false");
    *out = json_object_get_boolean(n->o);
    return 0;
}

int jn_int(const struct jn *n, s64 min, s64 max, s64 *out)
{
    if (!json_object_is_type(n->o, json_type_int)) return wanted(n, "a whole number");
    s64 v = json_object_get_int64(n->o);
    /* json-c saturates: what does not fit reads as the limit */
    if (v < min || v > max || (v == INT64_MAX && json_object_get_uint64(n->o) > INT64_MAX))
        return jn_fail(n, "out of range: %" PRId64 " to %" PRId64 " is wanted", min, max);
    *out = v;
    return 0;
}

int jn_u64(const struct jn *n, u64 *out)
{
    if (!json_object_is_type(n->o, json_type_int)) return wanted(n, "a whole number");
    if (json_object_get_int64(n->o) < 0) return jn_fail(n, "out of range: a number of at least 0 is wanted");
    *out = json_object_get_uint64(n->o);
    return 0;
}

int jn_opt_str(const struct jn *obj, const char *key, const char **out)
{
    struct jn n;
    return jn_get(obj, key, &n) ? jn_str(&n, out) : 0;
}

int jn_opt_bool(const struct jn *obj, const char *key, bool *out)
{
    struct jn n;
    return jn_get(obj, key, &n) ? jn_bool(&n, out) : 0;
}

int jn_opt_u32(const struct jn *obj, const char *key, u32 *out, bool *has)
{
    struct jn n;
    s64 v;
    if (!jn_get(obj, key, &n)) return 0;
    if (jn_int(&n, 0, UINT32_MAX, &v)) return -1;
    *out = (u32)v;
    if (has) *has = true;
    return 0;
}

int jn_opt_s64(const struct jn *obj, const char *key, s64 *out, bool *has)
{
    struct jn n;
    if (!jn_get(obj, key, &n)) return 0;
    if (jn_int(&n, INT64_MIN, INT64_MAX, out)) return -1;
    if (has) *has = true;
    return 0;
}

int jn_opt_u64(const struct jn *obj, const char *key, u64 *out, bool *has)
{
    struct jn n;
    if (!jn_get(obj, key, &n)) return 0;
    if (jn_u64(&n, out)) return -1;
    if (has) *has = true;
    return 0;
}

int jn_opt_strs(const struct jn *obj, const char *key, const char ***out, unsigned *n)
{
    struct jn a, e;
    if (!jn_get(obj, key, &a)) return 0;
    unsigned len;
    if (jn_array(&a, &len)) return -1;
    *out = xzalloc((len + 1) * sizeof(**out));
    *n = len;
    for (unsigned i = 0; i < len; i++) {
        jn_at(&a, i, &e);
        if (jn_str(&e, &(*out)[i])) return -1;
    }
    return 0;
}
