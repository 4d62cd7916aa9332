/*
 * Where profiles are found, layers, parents and fragments; then the flattening: of rules about the same object the
 * strongest stays, a locked one stays unless it is tightened, a tie with two verdicts is an error.
 */
#include "runtime/options.h"
#include "runtime/profile/parse.h"
#include "runtime/textfile.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SUNDOG_DATADIR
#define SUNDOG_DATADIR "/usr/local/share"
#endif
#define LAYER_RANK 1000u

static bool is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Beside the program in a build tree, else where it was installed. */
static char *packaged_dir(void)
{
    static const char *const where[] = { "../share/sundog/profiles", "../profiles", "../../profiles" };
    const char *env = getenv("SUNDOG_PROFILES");
    if (env) return xstrdup(env);
    char self[PATH_MAX], full[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? (self[n] = 0, strrchr(self, '/')) : NULL;
    if (slash) *slash = 0;
    for (size_t i = 0; slash && i < ARRAY_LEN(where); i++) {
        AUTO_FREE char *d = xasprintf("%s/%s", self, where[i]);
        AUTO_FREE char *probe = xasprintf("%s/default.profile", d);
        if (!access(probe, R_OK) && realpath(d, full)) return xstrdup(full);
    }
    return xstrdup(SUNDOG_DATADIR "/sundog/profiles");
}

static char *user_dir(void)
{
    const char *x = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (x && *x == '/') return xasprintf("%s/sundog/profiles", x);
    return home && *home == '/' ? xasprintf("%s/.config/sundog/profiles", home) : NULL;
}

static char *system_dir(void)
{
    const char *env = getenv("SUNDOG_SYSCONF"); /* tests */
    return env ? xasprintf("%s/profiles", env) : xstrdup("/etc/sundog/profiles");
}

char *profile_dir(unsigned k, enum player *layer)
{
    char *dirs[3] = { user_dir(), system_dir(), packaged_dir() }, *out = NULL;
    for (unsigned i = 0, at = 0; i < 3; i++) {
        if (!out && dirs[i] && is_dir(dirs[i]) && at++ == k) {
            out = dirs[i];
            if (layer) *layer = i == 0 ? PL_USER : i == 1 ? PL_SYSTEM : PL_PACKAGED;
        } else {
            free(dirs[i]);
        }
    }
    return out;
}

static int follow_inherit(struct pparse *s, const char *name);
static int follow_include(struct pparse *s, const char *name);

static int parse_file(struct pparse *up, struct profile *p, const char *path, u32 rank, unsigned depth, bool fragment)
{
    size_t len;
    AUTO_FREE char *text = textfile_read(path, PROFILE_MAX, &len);
    struct pparse s = { .p = p, .rank = rank, .depth = depth, .fragment = fragment, .inherit = follow_inherit, .include = follow_include };
    if (up) s.overrides = up->overrides, s.noverrides = up->noverrides, s.locked = fragment && up->locked;
    if (!text) {
        if (up) return pparse_fail(up, "%s: %s", path, strerror(errno));
        return fail("profile %s: %s", path, strerror(errno));
    }
    s.file = profile_intern_file(p, path);
    return pparse_text(&s, text, len);
}

/* An installed profile by name: the strongest layer that has it. malloc'ed path or NULL. */
static char *find_profile(const char *name, enum player *layer)
{
    char *d;
    for (unsigned k = 0; (d = profile_dir(k, layer)); k++) {
        char *path = xasprintf("%s/%s.profile", d, name);
        free(d);
        if (!access(path, R_OK)) return path;
        free(path);
    }
    return NULL;
}

static int follow_inherit(struct pparse *s, const char *name)
{
    if (s->depth >= PROFILE_DEPTH_MAX) return pparse_fail(s, "profiles inherit more than %u deep: in a circle?", PROFILE_DEPTH_MAX);
    AUTO_FREE char *path = NULL;
    enum player layer;
    if (strchr(name, '/')) {
        AUTO_FREE char *dir = xstrdup(s->file);
        char *slash = strrchr(dir, '/');
        if (slash) *slash = 0;
        path = *name == '/' ? xstrdup(name) : xasprintf("%s/%s", slash ? dir : ".", name);
    } else if (!(path = find_profile(name, &layer))) {
        return pparse_fail(s, "there is no profile %s to inherit from (`sundog check` lists where they are sought)", name);
    }
    /* parents are weaker than their children */
    return parse_file(s, s->p, path, s->rank - 1, s->depth + 1, false);
}

static int follow_include(struct pparse *s, const char *name)
{
    if (s->depth >= PROFILE_DEPTH_MAX) return pparse_fail(s, "files include one another more than %u deep: in a circle?", PROFILE_DEPTH_MAX);
    if (strstr(name, "..")) return pparse_fail(s, "`%s`: `..` is not allowed in an include", name);
    AUTO_FREE char *path = NULL;
    if (*name == '/') path = xstrdup(name);
    AUTO_FREE char *beside = xstrdup(s->file);
    char *slash = strrchr(beside, '/');
    if (slash) *slash = 0;
    if (!path) {
        path = xasprintf("%s/%s", slash ? beside : ".", name);
        if (access(path, R_OK)) {
            free(path);
            path = NULL;
        }
    }
    char *d;
    for (unsigned k = 0; !path && (d = profile_dir(k, NULL)); k++) {
        path = xasprintf("%s/fragments/%s", d, name);
        free(d);
        if (access(path, R_OK)) {
            free(path);
            path = NULL;
        }
    }
    if (!path) return pparse_fail(s, "there is no fragment %s, neither beside this file nor in fragments/ of the installed profiles", name);
    enum psection keep = s->section;
    int r = parse_file(s, s->p, path, s->rank, s->depth + 1, true);
    s->section = keep;
    return r;
}

/* NAME.local of a layer's directory, if there is one. */
static int parse_local(struct profile *p, char *dir, const char *name, u32 rank)
{
    AUTO_FREE char *d = dir;
    AUTO_FREE char *path = d ? xasprintf("%s/%s.local", d, name) : NULL;
    return !path || access(path, R_OK) ? 0 : parse_file(NULL, p, path, rank, 1, true);
}

struct profile *profile_load(const char *name, const char *const *params, unsigned nparams, const char *const *extra, unsigned nextra)
{
    size_t n = strlen(name);
    bool file = strchr(name, '/') || (n > 8 && !strcmp(name + n - 8, ".profile"));
    enum player layer = PL_USER;
    AUTO_FREE char *path = file ? xstrdup(name) : find_profile(name, &layer);
    if (!path) {
        fail("there is no profile %s: a path, or NAME for NAME.profile in ~/.config/sundog/profiles, /etc/sundog/profiles or the packaged ones "
             "(`sundog show` lists them)", name);
        return NULL;
    }
    struct profile *p = xnew(struct profile);
    for (unsigned i = 0; i < nparams; i++) {
        const char *eq = strchr(params[i], '=');
        if (!eq || eq == params[i]) {
            fail("--param %s: NAME=VALUE is wanted", params[i]);
            goto bad;
        }
        AUTO_FREE char *key = xstrndup(params[i], (size_t)(eq - params[i]));
        profile_set_param(p, key, eq + 1, UINT32_MAX);
    }
    if (parse_file(NULL, p, path, (u32)layer * LAYER_RANK + LAYER_RANK / 2, 0, false)) goto bad;
    if (!file) {
        if (parse_local(p, system_dir(), name, PL_SYSTEM * LAYER_RANK + 900) || parse_local(p, user_dir(), name, PL_USER * LAYER_RANK + 900)) goto bad;
        /* What the administrator locked stays, also when the user has a profile of the same name. */
        if (layer == PL_USER) {
            AUTO_FREE char *d = system_dir();
            AUTO_FREE char *sys = xasprintf("%s/%s.profile", d, name);
            if (!access(sys, R_OK)) {
                unsigned from = p->nrules, to = from;
                if (parse_file(NULL, p, sys, PL_SYSTEM * LAYER_RANK + 500, 1, false)) goto bad;
                for (unsigned i = from; i < p->nrules; i++) {
                    if (p->rules[i].locked) p->rules[to++] = p->rules[i];
                    else free(p->rules[i].object), free(p->rules[i].value);
                }
                p->nrules = to;
            }
        }
    }
    for (unsigned i = 0; i < nextra; i++) {
        struct pparse s = { .p = p, .file = profile_intern_file(p, "command line"), .line = i + 1, .rank = PL_COMMAND_LINE * LAYER_RANK, .fragment = true };
        AUTO_FREE char *line = xstrdup(extra[i]);
        char *rest = line, *end = strchr(line, ']');
        if (*line == '[' && end) {
            rest = end + 1;
            AUTO_FREE char *sec = xstrndup(line, (size_t)(end + 1 - line));
            if (pparse_line(&s, sec)) goto bad;
        }
        if (pparse_line(&s, rest)) goto bad;
    }
    return p;
bad:
    profile_free(p);
    return NULL;
}

struct profile *profile_load_lines(const char *const *lines, unsigned n)
{
    struct profile *p = xnew(struct profile);
    struct pparse s = { .p = p, .file = profile_intern_file(p, "built in"), .fragment = true, .inherit = follow_inherit, .include = follow_include };
    for (unsigned i = 0; i < n; i++) {
        AUTO_FREE char *line = xstrdup(lines[i]);
        s.line = i + 1;
        if (pparse_line(&s, line)) {
            profile_free(p);
            return NULL;
        }
    }
    return p;
}

/* --- flattening --- */

/* How much a rule lets through: of two about the same object, larger is looser. */
static u64 looseness(const struct prule *r)
{
    u64 v = 0;
    switch (r->section) {
    case PS_FILES: return prule_perms(r->key) & PR_ALL;
    case PS_LIMIT:
        if (r->key == PK_CPU_TIME) profile_duration_parse(r->value, &v);
        else if (r->key == PK_CPU_SHARE) profile_percent_parse(r->value, &v);
        else profile_size_parse(r->value, &v);
        return v;
    case PS_NET: return r->key != PK_DENY;
    default: return r->key == PK_ALLOW;
    }
}

static bool looser(const struct prule *a, const struct prule *b)
{
    if (a->section == PS_FILES) return prule_perms(a->key) & PR_ALL & ~prule_perms(b->key);
    return looseness(a) > looseness(b);
}

/* Do the two speak about the same object? */
static bool same_object(const struct prule *a, const struct prule *b)
{
    if (a->section != b->section || strcmp(a->object, b->object)) return false;
    if (a->section == PS_NET) return (a->key == PK_LISTEN) == (b->key == PK_LISTEN) && !strcmp(a->value ? a->value : "", b->value ? b->value : "");
    return true;
}

static bool same_verdict(const struct prule *a, const struct prule *b)
{
    return a->key == b->key && (a->section == PS_NET || !strcmp(a->value ? a->value : "", b->value ? b->value : ""));
}

static int conflict(const struct prule *a, const struct prule *b, const char *why)
{
    AUTO_FREE char *x = prule_text(a), *y = prule_text(b);
    return fail("%s:%u: `%s` and %s:%u: `%s` %s", b->file, b->line, y, a->file, a->line, x, why);
}

static bool beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1) return true;
    return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

/* A locked rule holds for all beneath its path: a stronger layer may only tighten there. */
static int check_locks(const struct profile *p)
{
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *l = &p->rules[i];
        if (!l->locked) continue;
        for (unsigned k = 0; k < p->nrules; k++) {
            const struct prule *r = &p->rules[k];
            if (r->rank <= l->rank || r->section != l->section || !looser(r, l)) continue;
            bool touches = r->section == PS_FILES ? beneath(r->object, l->object) || pathrules_patterns_meet(r->object, l->object)
                                                  : !strcmp(r->object, l->object);
            if (touches) return conflict(l, r, "the second is locked by the administrator and cannot be loosened");
        }
    }
    return 0;
}

int profile_flatten(struct profile *p)
{
    int err = check_locks(p);
    if (err) return err;
    unsigned n = 0;
    for (unsigned i = 0; i < p->nrules; i++) {
        struct prule *r = &p->rules[i];
        unsigned k = 0;
        while (k < n && !same_object(&p->rules[k], r)) k++;
        if (k == n) {
            p->rules[n++] = *r;
            continue;
        }
        struct prule *q = &p->rules[k];
        if (q->rank == r->rank && !same_verdict(q, r)) return conflict(q, r, "say different things about the same object");
        /* the stronger stays, at the place of the first */
        struct prule gone = r->rank > q->rank ? *q : *r;
        if (r->rank > q->rank) *q = *r;
        free(gone.object);
        free(gone.value);
    }
    p->nrules = n;
    for (unsigned i = 0; i < n; i++) {
        struct prule *a = &p->rules[i];
        if ((a->section != PS_FILES && a->section != PS_EXEC) || !strpbrk(a->object, "*?[")) continue;
        unsigned la, da = pathrules_pattern_depth(a->object, &la);
        for (unsigned k = 0; k < n; k++) {
            struct prule *b = &p->rules[k];
            unsigned lb;
            if (k == i || b->section != a->section || b->key == a->key || pathrules_pattern_depth(b->object, &lb) != da || la != lb) continue;
            if (pathrules_patterns_meet(a->object, b->object))
                return conflict(a, b, "are equally specific, can match the same path, and differ; make one of them more specific");
        }
    }
    return 0;
}
