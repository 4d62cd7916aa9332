/* From text to rules: one line, one rule. Errors name file and line, and the nearest word that is known. */
#include "runtime/profile/parse.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"
#include "sentry/base/strbuf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 64

int pparse_fail(const struct pparse *s, const char *fmt, ...)
{
    char text[1500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    if (!s->error) return fail("%s:%u: %s", s->file, s->line, text);
    if (!*s->error) *s->error = xasprintf("%s:%u: %s", s->file, s->line, text);
    return EXIT_SANDBOX;
}

const char *profile_intern_file(struct profile *p, const char *file)
{
    for (unsigned i = 0; i < p->nfiles; i++)
        if (!strcmp(p->files[i], file)) return p->files[i];
    p->files = xrealloc(p->files, (p->nfiles + 1) * sizeof(*p->files));
    return p->files[p->nfiles++] = xstrdup(file);
}

void profile_add(struct profile *p, enum psection sec, enum pkey k, const char *object, const char *value, const char *file, unsigned line, u32 rank)
{
    if (!(p->nrules & (p->nrules - 1))) p->rules = xrealloc(p->rules, (p->nrules ? p->nrules * 2 : 1) * sizeof(*p->rules));
    p->rules[p->nrules++] = (struct prule){ .section = sec, .key = k, .object = xstrdup(object), .value = value ? xstrdup(value) : NULL,
                                            .file = profile_intern_file(p, file), .line = line, .rank = rank };
}

void profile_set_param(struct profile *p, const char *name, const char *value, u32 rank)
{
    for (unsigned i = 0; i < p->nparams; i++) {
        struct pparam *q = &p->params[i];
        if (strcmp(q->name, name)) continue;
        if (rank >= q->rank) {
            free(q->value);
            q->value = xstrdup(value);
            q->rank = rank;
        }
        return;
    }
    p->params = xrealloc(p->params, (p->nparams + 1) * sizeof(*p->params));
    p->params[p->nparams++] = (struct pparam){ xstrdup(name), xstrdup(value), rank };
}

/* --- variables --- */

const char *profile_variable(const struct profile *p, const char *name, size_t n, char buf[4096])
{
    for (unsigned i = 0; i < p->nparams; i++)
        if (strlen(p->params[i].name) == n && !strncmp(p->params[i].name, name, n)) return p->params[i].value;
    if (n == 3 && !strncmp(name, "CWD", 3)) return getcwd(buf, 4096);
    if (n == 3 && !strncmp(name, "UID", 3)) return snprintf(buf, 4096, "%u", geteuid()), buf;
    if (n == 4 && !strncmp(name, "HOME", 4)) return getenv("HOME");
    if (n == 4 && !strncmp(name, "USER", 4)) return getenv("USER");
    if (n == 7 && !strncmp(name, "XDG_RUN", 7)) return getenv("XDG_RUNTIME_DIR");
    static const struct { const char *name, *env, *below; } xdg[] = { { "CONFIG", "XDG_CONFIG_HOME", ".config" }, { "CACHE", "XDG_CACHE_HOME", ".cache" },
                                                                      { "DATA", "XDG_DATA_HOME", ".local/share" } };
    for (size_t i = 0; i < ARRAY_LEN(xdg); i++) {
        if (strlen(xdg[i].name) != n || strncmp(xdg[i].name, name, n)) continue;
        const char *e = getenv(xdg[i].env);
        if (e && *e == '/') return e;
        if (!getenv("HOME")) return NULL;
        snprintf(buf, 4096, "%s/%s", getenv("HOME"), xdg[i].below);
        return buf;
    }
    return NULL;
}

/* ${NAME} replaced. malloc'ed, or NULL after a message. */
static char *expand(struct pparse *s, const char *text)
{
    struct strbuf out = { 0 };
    char buf[4096];
    strbuf_add(&out, "", 0);
    for (const char *c = text; *c;) {
        const char *d = strstr(c, "${");
        strbuf_add(&out, c, d ? (size_t)(d - c) : strlen(c));
        if (!d) break;
        const char *end = strchr(d, '}');
        if (!end) {
            pparse_fail(s, "`%s`: the } of a variable is missing", text);
            strbuf_fini(&out);
            return NULL;
        }
        size_t n = (size_t)(end - d - 2);
        const char *v = s->single ? "/x" : profile_variable(s->p, d + 2, n, buf);
        if (!v) {
            static const char *const known[] = { "HOME", "CWD", "USER", "UID", "CONFIG", "CACHE", "DATA", NULL };
            AUTO_FREE char *w = xstrndup(d + 2, n);
            const char *near = options_nearest(w, known);
            pparse_fail(s, "variable ${%s} is not set%s%s%s; `param %s = VALUE` gives it one", w, near ? " (did you mean ${" : "", near ? near : "",
                        near ? "}?)" : "", w);
            strbuf_fini(&out);
            return NULL;
        }
        strbuf_add(&out, v, strlen(v));
        if (out.len > 8192) {
            pparse_fail(s, "the line grows too long by its variables");
            strbuf_fini(&out);
            return NULL;
        }
        c = end + 1;
    }
    return out.s ? out.s : xstrdup("");
}

/* --- words --- */

/* Splits in place: blanks, "quotes" with \" and \\, # comments. -1 after a message. */
static int split(struct pparse *s, char *line, char *words[WORDS_MAX])
{
    int n = 0;
    char *in = line;
    for (;;) {
        while (*in == ' ' || *in == '\t') in++;
        if (!*in || *in == '#') return n;
        if (n == WORDS_MAX) {
            pparse_fail(s, "more than %d words in a line", WORDS_MAX);
            return -1;
        }
        char *out = words[n++] = in;
        bool quoted = false, ended;
        for (;; in++) {
            if (!*in) {
                if (quoted) {
                    pparse_fail(s, "the closing quote is missing");
                    return -1;
                }
                ended = true;
                break;
            }
            if (*in == '"') {
                quoted = !quoted;
            } else if (quoted && *in == '\\' && (in[1] == '"' || in[1] == '\\')) {
                *out++ = *++in;
            } else if (!quoted && (*in == ' ' || *in == '\t')) {
                ended = false;
                break;
            } else {
                *out++ = *in;
            }
        }
        *out = 0;
        if (ended) return n;
        in++;
    }
}

static const char *nearest_key(enum psection sec, const char *word)
{
    const char *names[32];
    unsigned n = 0;
    for (unsigned i = 0; i < profile_nkeywords; i++)
        if (profile_keywords[i].section == sec) names[n++] = profile_keywords[i].name;
    names[n] = NULL;
    return options_nearest(word, names);
}

static int unknown_key(struct pparse *s, const char *word)
{
    const char *near = nearest_key(s->section, word);
    const char *where = s->section == PS_HEAD ? "at the head of a profile" : "in the section";
    if (near) return pparse_fail(s, "`%s` is not known %s%s%s: did you mean `%s`?", word, where, s->section ? " " : "", profile_sections[s->section], near);
    for (int sec = PS_HEAD; sec < PS_N; sec++)
        for (unsigned i = 0; i < profile_nkeywords; i++)
            if ((int)profile_keywords[i].section == sec && !strcmp(profile_keywords[i].name, word))
                return pparse_fail(s, "`%s` does not belong %s%s%s: it is a key of %s%s%s", word, where, s->section ? " " : "", profile_sections[s->section],
                                   sec ? "[" : "the head", profile_sections[sec], sec ? "]" : " (before the first section)");
    return pparse_fail(s, "`%s` is not known %s%s%s (sundog-profile(5) lists the keys)", word, where, s->section ? " " : "", profile_sections[s->section]);
}

static int wants(struct pparse *s, enum pkey k)
{
    const struct pkeyword *w = profile_keyword(s->section, k);
    return pparse_fail(s, "`%s %s` is wanted", w->name, w->args);
}

static void add(struct pparse *s, enum pkey k, const char *object, const char *value)
{
    profile_add(s->p, s->section, k, object, value, s->file, s->line, s->rank);
    s->p->rules[s->p->nrules - 1].locked = s->locked;
}

/* --- one line of each section --- */

static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    if (!n || n > 64) return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '-' && *s != '_' && *s != '.' && *s != '+') return false;
    return true;
}

static int head_line(struct pparse *s, enum pkey k, char **w, int n)
{
    switch (k) {
    case PK_PROFILE:
        if (n != 3) return wants(s, k);
        if (strcmp(w[1], "1")) return pparse_fail(s, "version `%s` of the language is not known to this sundog; 1 is", w[1]);
        if (!name_ok(w[2])) return pparse_fail(s, "`%s`: a profile's name is of 1 to 64 letters, digits and -_.+", w[2]);
        if (s->seen_head) return pparse_fail(s, "`profile` stands once, in the first line");
        s->seen_head = true;
        if (!s->p->name) s->p->name = xstrdup(w[2]);
        return 0;
    case PK_INHERIT:
        if (n != 2) return wants(s, k);
        if (s->fragment) return pparse_fail(s, "a fragment cannot inherit");
        return s->single ? 0 : s->inherit(s, w[1]);
    case PK_INCLUDE:
        if (n != 2) return wants(s, k);
        return s->single ? 0 : s->include(s, w[1]);
    case PK_PARAM: {
        if (n != 4 || strcmp(w[2], "=") || !name_ok(w[1])) return wants(s, k);
        AUTO_FREE char *v = expand(s, w[3]);
        if (!v) return EXIT_SANDBOX;
        profile_set_param(s->p, w[1], v, s->rank);
        return 0;
    }
    case PK_LOCKED:
        if (n != 1) return wants(s, k);
        s->locked = true;
        return 0;
    default: return unknown_key(s, w[0]);
    }
}

static int path_line(struct pparse *s, enum pkey k, char **w, int n)
{
    if (n != 2) return wants(s, k);
    AUTO_FREE char *path = expand(s, w[1]);
    if (!path) return EXIT_SANDBOX;
    const char *why;
    if (*path == '~') return pparse_fail(s, "`%s`: write ${HOME} for your home directory", path);
    if (pathrules_pattern_check(path, &why)) return pparse_fail(s, "`%s`: %s", path, why);
    /* one slash each, none at the end, so that equal paths are equal text */
    char *out = path;
    for (const char *in = path; *in; in++)
        if (!(*in == '/' && (in[1] == '/' || !in[1]))) *out++ = *in;
    *out = 0;
    add(s, k, *path ? path : "/", NULL);
    return 0;
}

static int net_line(struct pparse *s, enum pkey k, char **w, int n)
{
    if (n != 2 && n != 3) return wants(s, k);
    if (n == 3 && strcmp(w[2], "tcp") && strcmp(w[2], "udp")) return pparse_fail(s, "`%s`: the protocol is tcp or udp, or left out for both", w[2]);
    AUTO_FREE char *host = expand(s, w[1]);
    if (!host) return EXIT_SANDBOX;
    struct phost h;
    const char *why;
    if (profile_host_parse(host, &h, &why)) return pparse_fail(s, "`%s`: %s", host, why);
    bool name = h.name != NULL;
    free(h.name);
    if (name && k == PK_LISTEN) return pparse_fail(s, "`%s`: an address is wanted to listen on, such as 127.0.0.1 or *", host);
    for (char *c = host; *c; c++) *c = (char)tolower((unsigned char)*c);
    add(s, k, host, n == 3 ? w[2] : NULL);
    return 0;
}

static int call_line(struct pparse *s, enum pkey k, char **w, int n)
{
    if (n < 2) return wants(s, k);
    for (int i = 1; i < n; i++) {
        if (s->section == PS_IPC) {
            if (strcmp(w[i], "sysv") && strcmp(w[i], "mqueue")) return pparse_fail(s, "`%s`: sysv or mqueue is wanted", w[i]);
        } else if (w[i][0] == '@') {
            if (!profile_call_group(w[i])) {
                const char *near = NULL;
                for (unsigned g = 0; profile_groups[g] && !near; g++) {
                    const char *const one[] = { profile_groups[g] + 1, NULL };
                    if (options_nearest(w[i] + 1, one)) near = profile_groups[g];
                }
                return pparse_fail(s, "there is no group %s of system calls%s%s%s", w[i], near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
            }
        } else if (!name_ok(w[i])) {
            return pparse_fail(s, "`%s` is not the name of a system call", w[i]);
        }
        add(s, k, w[i], NULL);
    }
    return 0;
}

static int limit_line(struct pparse *s, enum pkey k, char **w, int n)
{
    u64 v;
    if (n != 2) return wants(s, k);
    int r = k == PK_CPU_TIME ? profile_duration_parse(w[1], &v) : k == PK_CPU_SHARE ? profile_percent_parse(w[1], &v) : profile_size_parse(w[1], &v);
    if (r) return pparse_fail(s, "`%s`: %s is wanted", w[1], k == PK_CPU_TIME ? "a duration such as 90s, 10m or 2h" :
                              k == PK_CPU_SHARE ? "a percentage of one CPU such as 50%" : "a number or a size such as 512M");
    if (k == PK_MEMORY && v < 1u << 20) return pparse_fail(s, "`%s`: less than 1M is too little for any program", w[1]);
    if (!v || (k == PK_PROCESSES && v > 1u << 22) || (k == PK_OPEN_FILES && (v < 8 || v > 1u << 20)))
        return pparse_fail(s, "`%s`: this limit is of no use", w[1]);
    add(s, k, profile_keyword(PS_LIMIT, k)->name, w[1]);
    return 0;
}

static int env_line(struct pparse *s, enum pkey k, char **w, int n)
{
    if (n < 2 || (k == PK_SET && n != 2)) return wants(s, k);
    if (k == PK_SET) {
        char *eq = strchr(w[1], '=');
        if (!eq || eq == w[1]) return wants(s, k);
        *eq = 0;
        AUTO_FREE char *v = expand(s, eq + 1);
        if (!v) return EXIT_SANDBOX;
        add(s, k, w[1], v);
        return 0;
    }
    for (int i = 1; i < n; i++) {
        const char *star = strchr(w[i], '*');
        if (star && (star[1] || star == w[i])) return pparse_fail(s, "`%s`: a * may stand only at the end of a longer name", w[i]);
        if (strchr(w[i], '=')) return pparse_fail(s, "`%s`: `pass` takes names; `set NAME=VALUE` sets one", w[i]);
        add(s, k, w[i], NULL);
    }
    return 0;
}

static int section_line(struct pparse *s, char *line)
{
    char *end = strchr(line, ']');
    size_t rest = end ? strspn(end + 1, " \t") : 0;
    if (!end || (end[1 + rest] && end[1 + rest] != '#')) return pparse_fail(s, "`%s`: a section is [NAME] alone in its line", line);
    *end = 0;
    for (int i = PS_FILES; i < PS_N; i++)
        if (!strcmp(line + 1, profile_sections[i])) {
            s->section = (enum psection)i;
            return 0;
        }
    const char *names[PS_N];
    for (int i = PS_FILES; i < PS_N; i++) names[i - 1] = profile_sections[i];
    names[PS_N - 1] = NULL;
    const char *near = options_nearest(line + 1, names);
    return pparse_fail(s, "there is no section [%s]%s%s%s", line + 1, near ? ": did you mean [" : " (files, exec, net, ipc, sys, limit, env)", near ? near : "",
                       near ? "]?" : "");
}

int pparse_line(struct pparse *s, char *line)
{
    char *w[WORDS_MAX];
    line += strspn(line, " \t");
    if (*line == '[') return section_line(s, line);
    int n = split(s, line, w);
    if (n < 0) return EXIT_SANDBOX;
    if (!n) return 0;
    enum pkey k = PK_NONE;
    for (unsigned i = 0; i < profile_nkeywords; i++)
        if (profile_keywords[i].section == s->section && !strcmp(profile_keywords[i].name, w[0])) k = profile_keywords[i].key;
    if (!k) return unknown_key(s, w[0]);
    if (!s->seen_head && !s->fragment && k != PK_PROFILE) return pparse_fail(s, "the first line must be `profile 1 NAME`");
    if (s->p->nrules > PROFILE_RULES_MAX) return pparse_fail(s, "more than %u rules", PROFILE_RULES_MAX);
    switch (s->section) {
    case PS_HEAD: return head_line(s, k, w, n);
    case PS_FILES:
    case PS_EXEC: return path_line(s, k, w, n);
    case PS_NET: return net_line(s, k, w, n);
    case PS_IPC:
    case PS_SYS: return call_line(s, k, w, n);
    case PS_LIMIT: return limit_line(s, k, w, n);
    case PS_ENV: return env_line(s, k, w, n);
    case PS_N: break;
    }
    return 0;
}

int pparse_text(struct pparse *s, const char *text, size_t len)
{
    s->line = 0;
    s->section = PS_HEAD;
    if (memchr(text, 0, len)) {
        s->line = 1;
        return pparse_fail(s, "this is not a text file (it holds a zero byte)");
    }
    while (len) {
        const char *nl = memchr(text, '\n', len);
        size_t n = nl ? (size_t)(nl - text) : len;
        s->line++;
        if (n > 8192) return pparse_fail(s, "the line is longer than 8192 characters");
        AUTO_FREE char *line = xstrndup(text, n);
        if (n && line[n - 1] == '\r') line[n - 1] = 0;
        int r = pparse_line(s, line);
        if (r) return r;
        text += n + (nl != NULL);
        len -= n + (nl != NULL);
    }
    if (!s->seen_head && !s->fragment) {
        s->line = MAX(s->line, 1u);
        return pparse_fail(s, "the file is empty: its first line must be `profile 1 NAME`");
    }
    return 0;
}

struct profile *profile_parse_text(const char *text, size_t len, const char *file, char **error)
{
    struct profile *p = xnew(struct profile);
    struct pparse s = { .p = p, .file = profile_intern_file(p, file), .error = error, .single = true };
    if (pparse_text(&s, text, len)) {
        profile_free(p);
        return NULL;
    }
    return p;
}

void profile_free(struct profile *p)
{
    if (!p) return;
    for (unsigned i = 0; i < p->nrules; i++) free(p->rules[i].object), free(p->rules[i].value), free(p->rules[i].link);
    for (unsigned i = 0; i < p->nfiles; i++) free(p->files[i]);
    for (unsigned i = 0; i < p->nparams; i++) free(p->params[i].name), free(p->params[i].value);
    free(p->rules);
    free(p->files);
    free(p->params);
    free(p->name);
    free(p);
}
