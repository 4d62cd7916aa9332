/*
 * JSON with the path of whatever is wrong. A node knows its way from the document's root, so that an error reads
 * `config.json: process.user.uid: a number is wanted, this is a string`. Strings are borrowed from the document.
 */
#ifndef SUNDOG_OCI_JSON_H
#define SUNDOG_OCI_JSON_H

#include "sentry/base/types.h"

#include <json-c/json.h>

struct jn { json_object *o; const char *key; int index; const struct jn *up; };

#define JSON_FILE_MAX (16u << 20)

/* Parses a whole text (one value, valid UTF-8, no control bytes after it). Counted; NULL after oci_fail. */
json_object *json_parse_text(const char *name, const char *text, size_t len);
json_object *json_load(int dirfd, const char *path, const char *name);     /* a regular file of at most JSON_FILE_MAX */

int jn_fail(const struct jn *n, const char *fmt, ...) PRINTF(2, 3);        /* -1 */
/* Member of an object; null counts as absent, as in Go. */
bool jn_get(const struct jn *obj, const char *key, struct jn *out);
int jn_object(const struct jn *n);
int jn_array(const struct jn *n, unsigned *len);                           /* at most 65536 */
void jn_at(const struct jn *arr, unsigned i, struct jn *out);
int jn_str(const struct jn *n, const char **out);                          /* no NUL inside */
int jn_bool(const struct jn *n, bool *out);
int jn_int(const struct jn *n, s64 min, s64 max, s64 *out);
int jn_u64(const struct jn *n, u64 *out);
/* Optional members: absent leaves *out. 0 or -1; the has variants tell presence. */
int jn_opt_str(const struct jn *obj, const char *key, const char **out);
int jn_opt_bool(const struct jn *obj, const char *key, bool *out);
int jn_opt_u32(const struct jn *obj, const char *key, u32 *out, bool *has);
int jn_opt_s64(const struct jn *obj, const char *key, s64 *out, bool *has);
int jn_opt_u64(const struct jn *obj, const char *key, u64 *out, bool *has);
int jn_opt_strs(const struct jn *obj, const char *key, const char ***out, unsigned *n);   /* malloc'ed list, NULL-terminated */

#endif
