/* `sundog import`: the verb. What it prints or writes was loaded once as `check` and `run` would load it. */
#include "runtime/commands.h"
#include "runtime/import/import.h"
#include "runtime/options.h"
#include "runtime/profile/apply.h"
#include "runtime/textfile.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"

#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct format { const char *name; int (*read)(struct import *im, const char *text, size_t len); } formats[] = {
    { "firejail", import_firejail }, { "flatpak", import_flatpak }, { "oci", import_oci },
};

static char *name_from(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *n = xstrdup(slash ? slash + 1 : path), *dot = strrchr(n, '.');
    if (dot && dot != n) *dot = 0;
    return n;
}

static char refused[1024];
static void keep_message(const char *text) { snprintf(refused, sizeof(refused), "%s", text); }

/* The text as a profile: read, flattened and compiled. 0, or an exit status after a message. */
static int verify(const char *text, unsigned *rules)
{
    char path[64];
    int fd = memfd_create("imported", MFD_CLOEXEC);
    size_t n = strlen(text);
    if (fd < 0) return fail("import: %s", strerror(errno));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    refused[0] = 0;
    fail_sink = keep_message;
    struct profile *p = write(fd, text, n) == (ssize_t)n ? profile_load(path, NULL, 0, NULL, 0) : NULL;
    struct compiled c;
    bool ok = p && !profile_flatten(p) && !profile_compile(p, &c);
    fail_sink = NULL;
    close(fd);
    if (ok) {
        *rules = p->nrules;
        compiled_fini(&c);
    }
    profile_free(p);
    return ok ? 0 : fail("import: the result is no valid profile, so nothing was written: %s", refused);
}

static struct json_object *document(const struct import *im, const char *text, unsigned rules)
{
    struct json_object *doc = json_object_new_object(), *list = json_object_new_array();
    json_object_object_add(doc, "format", json_object_new_string(im->format));
    json_object_object_add(doc, "source", json_object_new_string(im->source));
    json_object_object_add(doc, "name", json_object_new_string(im->name));
    json_object_object_add(doc, "rules", json_object_new_int((int)rules));
    json_object_object_add(doc, "held", json_object_new_int((int)im->held));
    json_object_object_add(doc, "profile", json_object_new_string(text));
    for (unsigned i = 0; i < im->ndropped; i++) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "file", json_object_new_string(im->dropped[i].file));
        json_object_object_add(o, "line", im->dropped[i].line ? json_object_new_int((int)im->dropped[i].line) : NULL);
        json_object_object_add(o, "setting", json_object_new_string(im->dropped[i].what));
        json_object_object_add(o, "reason", json_object_new_string(im->dropped[i].why));
        json_object_array_add(list, o);
    }
    json_object_object_add(doc, "dropped", list);
    return doc;
}

static int write_out(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    if (!f) return fail("import -o %s: %s", path, strerror(errno));
    fputs(text, f);
    return fclose(f) ? fail("import -o %s: %s", path, strerror(errno)) : 0;
}

int cmd_import(int argc, char **argv)
{
    const char *format = NULL, *file = NULL, *out = NULL;
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "import", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_OUTPUT) out = w.val;
        else if (id == VERB_WORD && !format) format = w.val;
        else if (id == VERB_WORD && !file) file = w.val;
        else return id == VERB_HELPED ? 0 : id == VERB_BAD ? EXIT_SANDBOX : fail("import: one FILE is wanted");
    }
    const struct format *fm = NULL;
    const char *names[ARRAY_LEN(formats) + 1] = { NULL };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        names[i] = formats[i].name;
        if (format && !strcmp(formats[i].name, format)) fm = &formats[i];
    }
    if (!format || !file) return fail("import: sundog import firejail|flatpak|oci FILE");
    if (!fm) {
        const char *near = options_nearest(format, names);
        return fail("import: `%s` is no format%s%s%s", format, near ? ": did you mean " : " (firejail, flatpak and oci are)", near ? near : "", near ? "?" : "");
    }
    size_t len;
    AUTO_FREE char *text = textfile_read(file, IMPORT_FILE_MAX, &len);
    if (!text) return fail("import %s: %s: %s", format, file, strerror(errno));
    struct import im = { .format = fm->name, .source = file, .name = fm->read == import_firejail ? name_from(file) : NULL };
    unsigned rules = 0;
    int r = fm->read(&im, text, len);
    AUTO_FREE char *profile = r ? NULL : import_text(&im);
    if (!r) r = verify(profile, &rules);
    if (!r && out) r = write_out(out, profile);
    if (!r && json) {
        struct json_object *doc = document(&im, profile, rules);
        puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(doc);
    } else if (!r && !out) fputs(profile, stdout);
    if (!r && !json) fail("%s%s%u rules; %u settings dropped (comments at the end say which and why), %u hold anyway", out ? out : "", out ? ": " : "", rules, im.ndropped, im.held);
    import_fini(&im);
    return r;
}
