#include "runtime/profile/diff.h"
#include "runtime/options.h"
#include "runtime/profile/profile.h"
#include "sentry/base/alloc.h"

#include <json.h>
#include <stdio.h>
#include <string.h>

static bool has(const struct profile *p, const struct prule *r)
{
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *q = &p->rules[i];
        if (q->section == r->section && q->key == r->key && !strcmp(q->object, r->object) &&
            !strcmp(q->value ? q->value : "", r->value ? r->value : ""))
            return true;
    }
    return false;
}

static unsigned only_in(const struct profile *a, const struct profile *b, const char *sign, struct json_object *list)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->nrules; i++) {
        const struct prule *r = &a->rules[i];
        if (has(b, r)) continue;
        n++;
        AUTO_FREE char *text = prule_text(r);
        if (!list) {
            printf("%s [%s] %s   # %s:%u\n", sign, profile_sections[r->section], text, r->file, r->line);
            continue;
        }
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "side", json_object_new_string(sign));
        json_object_object_add(o, "section", json_object_new_string(profile_sections[r->section]));
        json_object_object_add(o, "rule", json_object_new_string(text));
        json_object_object_add(o, "file", json_object_new_string(r->file));
        json_object_object_add(o, "line", json_object_new_int((int)r->line));
        json_object_array_add(list, o);
    }
    return n;
}

int profile_diff(const char *a, const char *b, const char *const *params, unsigned nparams, bool json)
{
    struct profile *p = profile_load(a, params, nparams, NULL, 0), *q = p ? profile_load(b, params, nparams, NULL, 0) : NULL;
    int r = EXIT_SANDBOX;
    if (q && !profile_flatten(p) && !profile_flatten(q)) {
        struct json_object *list = json ? json_object_new_array() : NULL;
        r = only_in(p, q, "-", list) + only_in(q, p, "+", list) ? 1 : 0;
        if (json) puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(list);
    }
    profile_free(p);
    profile_free(q);
    return r;
}
