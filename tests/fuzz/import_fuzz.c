/*
 * Foreign settings: the first byte chooses the format. Whatever the rest is, it is refused with a message or becomes a
 * text that the parser of profiles accepts. (config.json itself has a target of its own.)
 */
#include "runtime/import/import.h"
#include "runtime/options.h"
#include "runtime/profile/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned messages;
static char message[256];
static void count(const char *text)
{
    messages++;
    snprintf(message, sizeof(message), "%s", text);
}

/* Variables by their values: profile_parse_text, which opens nothing, takes all of them for one place. */
static char *valued(const char *text)
{
    struct strbuf b = { 0 };
    struct profile none = { 0 };
    char buf[4096];
    for (const char *c = text; *c;) {
        const char *d = strstr(c, "${"), *end = d ? strchr(d, '}') : NULL, *v = NULL;
        if (end) v = profile_variable(&none, d + 2, (size_t)(end - d - 2), buf);
        size_t n = end ? (size_t)((v ? d : d + 1) - c) : strlen(c);
        strbuf_add(&b, c, n);
        if (v) strbuf_add(&b, v, strlen(v));
        c = v ? end + 1 : c + n;
    }
    return b.s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const formats[])(struct import *, const char *, size_t) = { import_firejail, import_flatpak, import_oci };
    if (!size) return 0;
    fail_sink = count;
    messages = 0;
    struct import im = { .format = "fuzz", .source = "input", .no_files = true };
    char *copy = malloc(size);
    for (size_t i = 1; i < size; i++) copy[i - 1] = (char)data[i];
    int r = formats[data[0] % 3](&im, copy, size - 1);
    if (r && !messages) abort();
    if (!r) {
        char *raw = import_text(&im), *text = valued(raw), *error = NULL;
        struct profile *p = profile_parse_text(text, strlen(text), "out", &error);
        if (!p || profile_flatten(p)) {
            fprintf(stderr, "%s\n%s\n", error ? error : message, text);
            abort();
        }
        profile_free(p);
        free(error);
        free(text);
        free(raw);
    }
    import_fini(&im);
    free(copy);
    return 0;
}
