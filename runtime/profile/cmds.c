/* `sundog check` and `sundog show`. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/profile/apply.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- check --- */

struct lint {
    struct profile *p;
    struct compiled c;
    struct json_object *list;     /* NULL: text */
    unsigned warnings, score;
};

static void warn(struct lint *l, const struct prule *r, unsigned points, const char *text)
{
    l->warnings++;
    l->score += points;
    AUTO_FREE char *rule = prule_text(r);
    if (!l->list) {
        printf("%s:%u: warning: `%s`: %s\n", r->file, r->line, rule, text);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "file", json_object_new_string(r->file));
    json_object_object_add(o, "line", json_object_new_int((int)r->line));
    json_object_object_add(o, "rule", json_object_new_string(rule));
    json_object_object_add(o, "warning", json_object_new_string(text));
    json_object_array_add(l->list, o);
}

static const char *const secrets[] = { ".ssh", ".gnupg", ".aws", ".kube", ".docker/config.json", ".netrc", ".npmrc", ".pypirc", ".config/gh", ".config/gcloud",
                                       ".mozilla", ".config/google-chrome", ".password-store", ".git-credentials", ".bash_history", ".cargo/credentials.toml" };

static void lint_file(struct lint *l, const struct prule *r, const char *home)
{
    u32 perms = prule_perms(r->key);
    struct stat st;
    bool literal = !strpbrk(r->object, "*?[");
    if (literal && perms && lstat(r->object, &st)) {
        warn(l, r, 0, "there is no such path on this host; nothing will be shown");
        return;
    }
    if (!perms) return;
    if (!strcmp(r->object, "/")) warn(l, r, perms & PR_WRITE ? 60 : 40, "the whole host file system");
    else if (home && !strcmp(r->object, home)) warn(l, r, perms & PR_WRITE ? 40 : 25, "a whole home directory");
    else if (!strcmp(r->object, "/home") || !strcmp(r->object, "/root")) warn(l, r, perms & PR_WRITE ? 40 : 30, "whole home directories");
    else if (!strcmp(r->object, "/var/run") || !strcmp(r->object, "/run")) warn(l, r, 10, "sockets and state of the host's services");
    if ((perms & PR_WRITE) && (perms & PR_EXEC)) warn(l, r, 5, "what is written there can be executed; `rw` would do for data");
    else if (perms & PR_WRITE) l->score += 3;
    else l->score += 1;
}

static void lint_secrets(struct lint *l, const char *home)
{
    for (size_t i = 0; home && i < ARRAY_LEN(secrets); i++) {
        AUTO_FREE char *path = xasprintf("%s/%s", home, secrets[i]);
        u32 state = pathrules_walk(l->c.paths, pathrules_start(l->c.paths), path), id = pathrules_rule(l->c.paths, state);
        if (!id || !pathrules_perms(l->c.paths, state)) continue;
        AUTO_FREE char *text = xasprintf("secrets are within reach: %s (add `deny ${HOME}/%s`)", path, secrets[i]);
        warn(l, &l->p->rules[id - 1], 10, text);
    }
}

static void lint(struct lint *l)
{
    const char *home = getenv("HOME");
    for (unsigned i = 0; i < l->p->nrules; i++) {
        const struct prule *r = &l->p->rules[i];
        struct phost h;
        const char *why;
        if (r->section == PS_FILES) lint_file(l, r, home);
        if (r->section == PS_NET && r->key != PK_DENY && !profile_host_parse(r->object, &h, &why)) {
            if (h.any && r->key == PK_CONNECT) warn(l, r, 20, "connections to every host");
            else if (h.hi - h.lo > 1000) warn(l, r, 5, "many ports");
            else l->score += 2;
            if (h.any && r->key == PK_LISTEN) warn(l, r, 5, "listens on every address");
            free(h.name);
        }
        if (r->section == PS_ENV && r->key == PK_PASS && (strstr(r->object, "TOKEN") || strstr(r->object, "SECRET") || strstr(r->object, "PASSWORD") ||
                                                           strstr(r->object, "KEY") || !strcmp(r->object, "SSH_AUTH_SOCK")))
            warn(l, r, 5, "this variable looks like a secret");
    }
    lint_secrets(l, home);
    l->score = MIN(l->score, 100u);
}

int cmd_check(int argc, char **argv)
{
    const char *params[64], *names[256];
    unsigned np = 0, n = 0;
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "check", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_PARAM && np < ARRAY_LEN(params)) params[np++] = w.val;
        else if (id == VERB_WORD && n < ARRAY_LEN(names)) names[n++] = w.val;
        else return id == VERB_HELPED ? 0 : id == VERB_BAD ? EXIT_SANDBOX : fail("check: too many arguments");
    }
    if (!n) return fail("check: which profile? A NAME or a file");
    int status = 0;
    struct json_object *all = json_object_new_array();
    for (unsigned i = 0; i < n; i++) {
        struct lint l = { .p = profile_load(names[i], params, np, NULL, 0), .list = json ? json_object_new_array() : NULL };
        bool ok = l.p && !profile_flatten(l.p) && !profile_compile(l.p, &l.c);
        if (ok) lint(&l);
        else status = 1;
        if (json) {
            struct json_object *o = json_object_new_object();
            json_object_object_add(o, "profile", json_object_new_string(names[i]));
            json_object_object_add(o, "valid", json_object_new_boolean(ok));
            json_object_object_add(o, "rules", json_object_new_int(ok ? (int)l.p->nrules : 0));
            json_object_object_add(o, "score", ok ? json_object_new_int((int)l.score) : NULL);
            json_object_object_add(o, "warnings", l.list);
            json_object_array_add(all, o);
        } else if (ok) {
            printf("%s: %u rules, %u warning%s, exposure %u of 100\n", names[i], l.p->nrules, l.warnings, l.warnings == 1 ? "" : "s", l.score);
        }
        if (ok) compiled_fini(&l.c);
        profile_free(l.p);
    }
    if (json) puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
    return status;
}

/* --- show --- */

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void list_installed(struct json_object *json)
{
    static const char *const layers[] = { "packaged", "system", "user", "command line" };
    enum player layer;
    char *d;
    for (unsigned k = 0; (d = profile_dir(k, &layer)); k++) {
        struct dirent **e;
        int n = scandir(d, &e, NULL, by_name);
        if (!json) printf("%s (%s)\n", d, layers[layer]);
        for (int i = 0; i < n; i++) {
            char *dot = strstr(e[i]->d_name, ".profile");
            if (dot && !dot[8]) {
                *dot = 0;
                if (json) {
                    struct json_object *o = json_object_new_object();
                    json_object_object_add(o, "name", json_object_new_string(e[i]->d_name));
                    json_object_object_add(o, "directory", json_object_new_string(d));
                    json_object_object_add(o, "layer", json_object_new_string(layers[layer]));
                    json_object_array_add(json, o);
                } else {
                    printf("  %s\n", e[i]->d_name);
                }
            }
            free(e[i]);
        }
        if (n >= 0) free(e);
        free(d);
    }
}

static void print_effective(const struct profile *p, struct json_object *json)
{
    if (!json) printf("profile 1 %s\n", p->name ? p->name : "unnamed");
    for (int s = PS_FILES; s < PS_N; s++) {
        bool head = false;
        for (unsigned i = 0; i < p->nrules; i++) {
            const struct prule *r = &p->rules[i];
            if ((int)r->section != s) continue;
            AUTO_FREE char *text = prule_text(r);
            if (json) {
                struct json_object *o = json_object_new_object();
                json_object_object_add(o, "section", json_object_new_string(profile_sections[s]));
                json_object_object_add(o, "rule", json_object_new_string(text));
                json_object_object_add(o, "file", json_object_new_string(r->file));
                json_object_object_add(o, "line", json_object_new_int((int)r->line));
                json_object_object_add(o, "locked", json_object_new_boolean(r->locked));
                json_object_array_add(json, o);
                continue;
            }
            if (!head) printf("\n[%s]\n", profile_sections[s]);
            head = true;
            printf("%-40s # %s:%u%s\n", text, r->file, r->line, r->locked ? ", locked" : "");
        }
    }
}

int cmd_show(int argc, char **argv)
{
    const char *name = NULL, *params[64], *extra[64];
    unsigned np = 0, ne = 0;
    bool json = false, effective = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "show", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_EFFECTIVE) effective = true;
        else if (id == O_PARAM && np < ARRAY_LEN(params)) params[np++] = w.val;
        else if (id == O_RULE && ne < ARRAY_LEN(extra)) extra[ne++] = w.val;
        else if (id == VERB_WORD && !name) name = w.val;
        else return id == VERB_HELPED ? 0 : id == VERB_BAD ? EXIT_SANDBOX : fail("show: one profile is wanted");
    }
    struct json_object *doc = json ? json_object_new_array() : NULL;
    int status = 0;
    if (!name) {
        list_installed(doc);
    } else {
        struct profile *p = profile_load(name, params, np, extra, ne);
        if (!p || ((effective || json) && profile_flatten(p))) {
            status = EXIT_SANDBOX;
        } else if (effective || json) {
            print_effective(p, doc);
        } else {
            for (unsigned i = 0; i < p->nfiles; i++) {
                FILE *f = fopen(p->files[i], "re");
                int c;
                if (!f) continue;
                printf("# %s\n", p->files[i]);
                while ((c = getc(f)) != EOF) putchar(c);
                fclose(f);
            }
        }
        profile_free(p);
    }
    if (json && !status) puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(doc);
    return status;
}
