/* What the readers of foreign formats share: the rules so far, the list of what was dropped, and the text in the end. */
#include "runtime/import/import.h"
#include "runtime/profile/parse.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool import_beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (path[n] == '/' || !path[n] || (n && dir[n - 1] == '/'));
}

void import_drop(struct import *im, const char *what, const char *why)
{
    if (im->ndropped == IMPORT_RULES_MAX) return;
    im->dropped = xrealloc(im->dropped, (im->ndropped + 1) * sizeof(*im->dropped));
    im->dropped[im->ndropped++] = (struct inote){ xstrdup(im->file ? im->file : im->source), im->line, xstrdup(what), why };
}

void import_hint(struct import *im, const char *fmt, ...)
{
    char buf[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    im->hints = xrealloc(im->hints, (im->nhints + 1) * sizeof(*im->hints));
    im->hints[im->nhints++] = xstrdup(buf);
}

struct irule *import_find(struct import *im, enum psection s, enum pkey k, const char *object)
{
    for (unsigned i = 0; i < im->nrules; i++) {
        struct irule *r = &im->rules[i];
        if (r->section == s && !strcmp(r->object, object) && (s != PS_NET || r->key == k)) return r;
    }
    return NULL;
}

/* --- text --- */

/* A word of the language: quoted when it must be. */
static void put_word(struct strbuf *b, const char *s)
{
    bool quote = !*s || strpbrk(s, " \t\"#\\") != NULL;
    if (quote) strbuf_add(b, "\"", 1);
    for (; *s; s++) {
        if (quote && (*s == '"' || *s == '\\')) strbuf_add(b, "\\", 1);
        strbuf_add(b, s, 1);
    }
    if (quote) strbuf_add(b, "\"", 1);
}

/* In a comment: one line of printable text. */
static void put_comment(struct strbuf *b, const char *s)
{
    for (unsigned n = 0; *s && n < 200; s++, n++) {
        char c = (unsigned char)*s < ' ' || *s == 127 ? '?' : *s;
        strbuf_add(b, &c, 1);
    }
}

static void put_rule(struct strbuf *b, enum psection s, enum pkey k, const char *object, const char *value)
{
    const struct pkeyword *w = profile_keyword(s, k);
    strbuf_printf(b, "%-7s ", w->name);
    if (s == PS_LIMIT) strbuf_add(b, value, strlen(value));
    else if (s == PS_ENV && k == PK_SET) {
        AUTO_FREE char *both = xasprintf("%s=%s", object, value);
        put_word(b, both);
    } else {
        put_word(b, object);
        if (value) strbuf_printf(b, " %s", value);
    }
}

/* Does the profile language take it? Asked of the parser itself, so that the two cannot drift apart. */
static bool accepted(enum psection s, enum pkey k, const char *object, const char *value)
{
    struct strbuf b = { 0 };
    char *error = NULL;
    strbuf_printf(&b, "profile 1 x\n[%s]\n", profile_sections[s]);
    put_rule(&b, s, k, object, value);
    struct profile *p = strchr(object, '\n') || (value && strchr(value, '\n')) ? NULL : profile_parse_text(b.s, b.len, "x", &error);
    bool ok = p && p->nrules == 1;
    free(error);
    profile_free(p);
    strbuf_fini(&b);
    return ok;
}

bool import_rule(struct import *im, enum psection s, enum pkey k, const char *object, const char *value)
{
    AUTO_FREE char *clean = xstrdup(object);
    if (s == PS_FILES || s == PS_EXEC) { /* one slash each, none at the end */
        char *out = clean;
        for (const char *in = clean; *in; in++)
            if (!(*in == '/' && (in[1] == '/' || (!in[1] && out != clean)))) *out++ = *in;
        *out = 0;
    }
    for (const char *c = clean; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) {
            import_drop(im, clean, "it holds control characters");
            return false;
        }
    if (!accepted(s, k, clean, value)) {
        import_drop(im, clean, s == PS_FILES || s == PS_EXEC ? "not a path that a profile can hold" : "not a value that a profile can hold");
        return false;
    }
    struct irule *r = import_find(im, s, k, clean);
    if (!r) {
        if (im->nrules == IMPORT_RULES_MAX) {
            import_drop(im, clean, "there are too many rules");
            return false;
        }
        im->rules = xrealloc(im->rules, (im->nrules + 1) * sizeof(*im->rules));
        r = &im->rules[im->nrules++];
        *r = (struct irule){ .section = s, .object = xstrdup(clean) };
    }
    free(r->value);
    r->key = k;
    r->value = value ? xstrdup(value) : NULL;
    return true;
}

/* The object with its variables replaced and its symbolic links followed: two rules about one place are found by it. */
static char *real_object(const char *object)
{
    struct strbuf b = { 0 };
    char buf[4096];
    struct profile none = { 0 };
    strbuf_add(&b, "", 0);
    for (const char *c = object; *c;) {
        const char *d = strstr(c, "${"), *end = d ? strchr(d, '}') : NULL;
        strbuf_add(&b, c, end ? (size_t)(d - c) : strlen(c));
        if (!end) break;
        const char *v = profile_variable(&none, d + 2, (size_t)(end - d - 2), buf);
        strbuf_add(&b, v ? v : "/", v ? strlen(v) : 1);
        c = end + 1;
    }
    char *real = profile_path_resolved(b.s ? b.s : "/");
    strbuf_fini(&b);
    return real;
}

static bool is_path(enum psection s) { return s == PS_FILES || s == PS_EXEC; }

/* Rules that are one by a symbolic link or a variable, with two verdicts: the tighter stays. */
static void settle(struct import *im)
{
    AUTO_FREE bool *gone = xzalloc((im->nrules + 1) * sizeof(bool));
    for (unsigned i = 0; i < im->nrules; i++)
        if (!im->rules[i].real) im->rules[i].real = is_path(im->rules[i].section) ? real_object(im->rules[i].object) : xstrdup(im->rules[i].object);
    for (unsigned i = 0; i < im->nrules; i++) {
        struct irule *a = &im->rules[i];
        if (!is_path(a->section) || gone[i]) continue;
        for (unsigned k = i + 1; k < im->nrules && !gone[i]; k++) {
            struct irule *b = &im->rules[k];
            if (gone[k] || a->section != b->section || a->key == b->key) continue;
            unsigned la, lb;
            bool same = !strcmp(a->real, b->real);
            bool glob = strpbrk(a->real, "*?[") || strpbrk(b->real, "*?[");
            if (!same && !(glob && pathrules_pattern_depth(a->real, &la) == pathrules_pattern_depth(b->real, &lb) && la == lb &&
                           pathrules_patterns_meet(a->real, b->real)))
                continue;
            u32 pa = a->section == PS_FILES ? prule_perms(a->key) : a->key == PK_ALLOW, pb = b->section == PS_FILES ? prule_perms(b->key) : b->key == PK_ALLOW;
            unsigned loser = (pb & ~pa) ? k : i;
            gone[loser] = true;
            AUTO_FREE char *what = xasprintf("%s %s", profile_keyword(im->rules[loser].section, im->rules[loser].key)->name, im->rules[loser].object);
            im->line = 0;
            import_drop(im, what, same ? "another rule about the same place (by a symbolic link) grants less" :
                                         "another pattern that can match the same path, and is no less specific, grants less");
        }
    }
    unsigned n = 0;
    for (unsigned i = 0; i < im->nrules; i++) {
        if (gone[i]) free(im->rules[i].object), free(im->rules[i].value), free(im->rules[i].real);
        else im->rules[n++] = im->rules[i];
    }
    im->nrules = n;
}

static void put_path(struct strbuf *b, const char *path)
{
    const char *home = getenv("HOME");
    AUTO_FREE char *s = home && strlen(home) > 1 && import_beneath(path, home) ? xasprintf("${HOME}%s", path + strlen(home)) : xstrdup(path);
    put_word(b, s);
}

/*
 * A fragment by name (plain), unless the import says something else about what it names: then its other rules are
 * written out (not plain). The two come in two rounds, since an `include` cannot stand behind a section.
 */
static void put_fragment(struct import *im, struct strbuf *b, const char *name, bool plain)
{
    AUTO_FREE char *line = xasprintf("include %s", name);
    const char *lines[] = { line };
    struct profile *p = im->no_files ? NULL : profile_load_lines(lines, 1);
    if (!p) return;
    AUTO_FREE bool *clash = xzalloc((p->nrules + 1) * sizeof(bool));
    bool any = false;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        AUTO_FREE char *real = is_path(r->section) ? real_object(r->object) : xstrdup(r->object);
        for (unsigned k = 0; k < im->nrules && !clash[i]; k++)
            clash[i] = im->rules[k].section == r->section && im->rules[k].key != r->key && !strcmp(real, im->rules[k].real);
        any |= clash[i];
    }
    if (!any && plain) strbuf_printf(b, "include %s\n", name);
    if (any && !plain) {
        strbuf_printf(b, "\n# The fragment `%s`, without what is said otherwise below.\n", name);
        enum psection sec = PS_HEAD;
        for (unsigned i = 0; i < p->nrules; i++) {
            const struct prule *r = &p->rules[i];
            if (clash[i]) continue;
            if (r->section != sec) strbuf_printf(b, "[%s]\n", profile_sections[sec = r->section]);
            strbuf_printf(b, "%-7s ", profile_keyword(r->section, r->key)->name);
            put_path(b, r->object);
            strbuf_add(b, "\n", 1);
        }
    }
    profile_free(p);
}

static void fit_name(struct import *im)
{
    if (!im->name) im->name = xstrdup("imported");
    for (char *c = im->name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.+", *c)) *c = '-';
    if (strlen(im->name) > 64) im->name[64] = 0;
    if (!*im->name) {
        free(im->name);
        im->name = xstrdup("imported");
    }
}

char *import_text(struct import *im)
{
    struct strbuf b = { 0 };
    fit_name(im);
    settle(im);
    strbuf_printf(&b, "profile 1 %s\n# Imported from %s: ", im->name, im->format);
    put_comment(&b, im->source);
    strbuf_printf(&b, "\n# Look it over: the two sandboxes do not say the same things. `sundog check` tells what it exposes.\n");
    for (unsigned i = 0; i < im->nhints; i++) {
        strbuf_printf(&b, "# ");
        put_comment(&b, im->hints[i]);
        strbuf_add(&b, "\n", 1);
    }
    for (int plain = 1; plain >= 0; plain--) {
        put_fragment(im, &b, "system", plain);
        put_fragment(im, &b, "secrets", plain);
        if (im->network) put_fragment(im, &b, "network", plain);
    }
    for (int s = PS_FILES; s < PS_N; s++) {
        bool head = false;
        for (unsigned i = 0; i < im->nrules; i++) {
            const struct irule *r = &im->rules[i];
            if ((int)r->section != s) continue;
            if (!head) strbuf_printf(&b, "\n[%s]\n", profile_sections[s]);
            head = true;
            put_rule(&b, r->section, r->key, r->object, r->value);
            strbuf_add(&b, "\n", 1);
        }
    }
    if (im->ndropped) strbuf_printf(&b, "\n# Dropped, with the reason:\n");
    for (unsigned i = 0; i < im->ndropped; i++) {
        const struct inote *n = &im->dropped[i];
        strbuf_printf(&b, "#   ");
        put_comment(&b, n->file);
        if (n->line) strbuf_printf(&b, ":%u", n->line);
        strbuf_printf(&b, ": ");
        put_comment(&b, n->what);
        strbuf_printf(&b, ": %s\n", n->why);
    }
    return b.s;
}

void import_fini(struct import *im)
{
    for (unsigned i = 0; i < im->nrules; i++) free(im->rules[i].object), free(im->rules[i].value), free(im->rules[i].real);
    for (unsigned i = 0; i < im->ndropped; i++) free(im->dropped[i].file), free(im->dropped[i].what);
    for (unsigned i = 0; i < im->nhints; i++) free(im->hints[i]);
    free(im->rules);
    free(im->dropped);
    free(im->hints);
    free(im->name);
}
