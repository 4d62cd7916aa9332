/* The error of this process, its log file, and options of verbs. */
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <ctype.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct oci_global oci;
static char error_text[8192];
static int log_fd = -1;

int oci_fail(const char *fmt, ...)
{
    char buf[sizeof(error_text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    memcpy(error_text, buf, sizeof(error_text)); /* the arguments may hold the previous text */
    return -1;
}

const char *oci_error(void) { return error_text; }
void oci_error_clear(void) { error_text[0] = 0; }

static void now_text(char *buf, size_t size)
{
    struct timeval tv;
    struct tm tm;
    gettimeofday(&tv, NULL);
    gmtime_r(&tv.tv_sec, &tm);
    size_t n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, size - n, ".%06ldZ", (long)tv.tv_usec);
}

/* One line in the form that engines parse: {"level":…,"msg":…,"time":…}, or key=value text. */
static void log_line(int fd, bool json, const char *level, const char *msg)
{
    char when[64];
    now_text(when, sizeof(when));
    json_object *m = json_object_new_string(msg);
    const char *quoted = json_object_to_json_string_ext(m, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    AUTO_FREE char *line = json ? xasprintf("{\"level\":\"%s\",\"msg\":%s,\"time\":\"%s\"}\n", level, quoted, when) :
                                  xasprintf("time=\"%s\" level=%s msg=%s\n", when, level, quoted);
    json_object_put(m);
    ssize_t r = write(fd, line, strlen(line));
    (void)r;
}

void oci_log(const char *level, const char *fmt, ...)
{
    char buf[sizeof(error_text)];
    va_list ap;
    if (!oci.log) return;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    int fd = log_fd >= 0 ? log_fd : open(oci.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return;
    log_line(fd, oci.log_json, level, buf);
    if (fd != log_fd) close(fd);
}

void oci_log_keep_open(void)
{
    if (oci.log) log_fd = open(oci.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

int oci_report(int status)
{
    oci_log("error", "%s", error_text);
    if (oci.log_json && !oci.log) log_line(2, true, "error", error_text);
    else dprintf(2, "sundog: %s\n", error_text);
    return status;
}

static const struct oci_opt *find(const struct oci_opt *opts, unsigned n, const char *name, size_t len)
{
    for (unsigned i = 0; i < n; i++)
        if (strlen(opts[i].name) == len && !strncmp(opts[i].name, name, len)) return &opts[i];
    return NULL;
}

static int set(const struct oci_opt *o, const char *val)
{
    struct oci_strs *l = o->to;
    if (!o->to) return 0; /* known, without meaning here */
    switch (o->kind) {
    case OPT_FLAG:
        if (val && strcmp(val, "true") && strcmp(val, "false") && strcmp(val, "auto"))
            return oci_fail("invalid value \"%s\" for flag --%s: true or false is wanted", val, o->name);
        *(bool *)o->to = !val || !strcmp(val, "true");
        return 0;
    case OPT_STR: *(const char **)o->to = val; return 0;
    case OPT_LIST:
        l->s = xrealloc(l->s, (l->n + 1) * sizeof(*l->s));
        l->s[l->n++] = val;
        return 0;
    }
    return 0;
}

void (*oci_options_seen)(const struct oci_opt *opts, unsigned n);

int oci_options(const struct oci_opt *opts, unsigned n, int argc, char **argv, bool stop, int *nrest)
{
    int out = 0, i = 0;
    if (oci_options_seen) oci_options_seen(opts, n);
    for (; i < argc; i++) {
        const char *w = argv[i];
        if (!strcmp(w, "--")) {
            i++;
            break;
        }
        if (w[0] != '-' || !w[1]) {
            if (stop) break;
            argv[out++] = argv[i];
            continue;
        }
        if (!strcmp(w, "--help") || !strcmp(w, "-h")) return 1;
        const struct oci_opt *o = NULL;
        const char *val = NULL;
        w += 1 + (w[1] == '-'); /* Go's flag package takes one dash as well as two */
        size_t len = strcspn(w, "=");
        if (w[len]) val = w + len + 1;
        o = find(opts, n, w, len);
        if (!o && w == argv[i] + 1) {
            for (unsigned k = 0; k < n; k++)
                if (opts[k].letter && opts[k].letter == w[0]) o = &opts[k];
            if (o && len > 1) {
                /* -it, or -u1000 */
                if (o->kind != OPT_FLAG) val = w + 1;
                else {
                    for (const char *c = w; *c; c++) {
                        o = NULL;
                        for (unsigned k = 0; k < n; k++)
                            if (opts[k].letter == *c && opts[k].kind == OPT_FLAG) o = &opts[k];
                        if (!o) break;
                        if (set(o, NULL)) return -1;
                    }
                    if (o) continue;
                }
            }
        }
        if (!o) return oci_fail("flag provided but not defined: -%s", w);
        if (o->kind != OPT_FLAG && !val) {
            if (++i == argc) return oci_fail("flag needs an argument: --%s", o->name);
            val = argv[i];
        }
        if (set(o, val)) return -1;
    }
    for (; i < argc; i++) argv[out++] = argv[i];
    *nrest = out;
    return 0;
}

bool oci_id_valid(const char *id)
{
    size_t n = strlen(id);
    if (!n || n > 255 || !strcmp(id, ".") || !strcmp(id, "..")) return false;
    for (const char *c = id; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_+-.", *c)) return false;
    return true;
}

int oci_one_id(int nrest, char **argv, const char **id)
{
    if (nrest != 1) return oci_fail(nrest ? "exactly one container id is wanted, %d words were given" : "container id cannot be empty", nrest);
    if (!oci_id_valid(argv[0])) return oci_fail("invalid container id format: %s", argv[0]);
    *id = argv[0];
    return 0;
}
