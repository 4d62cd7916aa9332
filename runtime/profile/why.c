/* `sundog why`: the denials of a run, the rule behind each, and the smallest line that would allow it. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/profile/runlog.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"

#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The verdict that grants what `rule` grants and `want` too. */
static const char *verdict_with(const char *rule, u32 want)
{
    static const struct { const char *text; u32 perms; } v[] = { { "[files] rox ", PR_READ | PR_EXEC }, { "[files] rwx ", PR_ALL },
        { "[files] rw ", PR_READ | PR_WRITE }, { "[files] ro ", PR_READ }, { "[files] overlay ", PR_READ | PR_EXEC } };
    u32 have = PR_READ;
    for (size_t i = 0; rule && i < ARRAY_LEN(v); i++)
        if (!strncmp(rule, v[i].text, strlen(v[i].text))) have |= v[i].perms;
    have |= want;
    return have & PR_WRITE ? (have & PR_EXEC ? "rwx" : "rw") : have & PR_EXEC ? "rox" : "ro";
}

static bool plain(const char *s)
{
    for (; *s; s++)
        if (*s == ' ' || *s == '"' || *s == '#' || *s == '\'' || *s == '\\') return false;
    return true;
}

/* malloc'ed "[section] line", or NULL where no line helps */
static char *allowing(const struct evlog_rec *e, const char *object, const char *rule)
{
    const char *q = plain(object) ? "" : "\"";
    switch (e->op) {
    case EV_READ:
    case EV_WRITE:
    case EV_EXEC:
    case EV_ABSENT: {
        const char *arrow = strstr(object, " -> ");
        if (arrow) return NULL; /* a move between two places with different rules */
        if (e->op == EV_EXEC && rule && !strncmp(rule, "[exec] deny", 11)) return xasprintf("[exec] allow %s%s%s", q, object, q);
        return xasprintf("[files] %s %s%s%s", verdict_with(rule, e->op == EV_WRITE ? PR_WRITE : e->op == EV_EXEC ? PR_EXEC : PR_READ), q, object, q);
    }
    case EV_CONNECT:
    case EV_LISTEN: {
        AUTO_FREE char *host = xstrdup(object);
        char *slash = strrchr(host, '/');
        if (!slash) return NULL;
        *slash = ' ';
        return xasprintf("[net] %s %s", e->op == EV_LISTEN ? "listen" : "connect", host);
    }
    case EV_RESOLVE: {
        const char *arrow = strstr(object, " -> "), *v6 = arrow && strchr(arrow, ':') ? arrow : NULL;
        if (*object == '(') return NULL;
        /* Left out of an answer: a name of the public DNS with an address that is not public. */
        return xasprintf(v6 ? "[net] connect [%s]:443 tcp" : "[net] connect %s:443 tcp", arrow ? arrow + 4 : object);
    }
    case EV_SYSCALL: return rule && !strncmp(rule, "[ipc]", 5) ? xasprintf("[ipc] allow%s", strrchr(rule, ' ')) : xasprintf("[sys] allow %s", object);
    case EV_LIMIT: return xasprintf("[limit] %s N", object);
    }
    return NULL;
}

static bool exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

struct row { const struct evlog_rec *e; char *object; const struct runrule *rule; char *allow; };

static void print_row(const struct row *w)
{
    const struct evlog_rec *e = w->e;
    printf("%s: %s %s", e->op == EV_ABSENT ? "not shown" : evlog_verdict_name(e->verdict), e->op == EV_ABSENT ? "path" : evlog_op_name(e->op), w->object);
    if (e->count > 1) printf("  (%u times)", e->count);
    printf("\n  when:  %.3f s after the start, task %d\n", (double)e->first / 1e9, e->tid);
    if (w->rule) printf("  rule:  %s: %s\n", w->rule->where, w->rule->text);
    else if (e->op == EV_RESOLVE && e->verdict == EV_DENIED && strstr(w->object, " -> "))
        printf("  rule:  none: a name of the public DNS has no private or loopback address, unless a rule allows the address itself\n");
    else if (e->op == EV_LIMIT) printf("  rule:  the limit of [limit] %s was reached\n", w->object);
    else printf("  rule:  none: what no rule names is denied\n");
    if (w->allow) printf("  allow: %s\n", w->allow);
    else printf(w->e->op == EV_RESOLVE ? "  allow: none\n" : "  allow: no single line: the two places have different rules\n");
}

static struct json_object *json_row(const struct row *w)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "verdict", json_object_new_string(w->e->op == EV_ABSENT ? "absent" : evlog_verdict_name(w->e->verdict)));
    json_object_object_add(o, "operation", json_object_new_string(evlog_op_name(w->e->op)));
    json_object_object_add(o, "object", json_object_new_string(w->object));
    json_object_object_add(o, "count", json_object_new_int64(w->e->count));
    json_object_object_add(o, "seconds", json_object_new_double((double)w->e->first / 1e9));
    json_object_object_add(o, "task", json_object_new_int(w->e->tid));
    json_object_object_add(o, "rule", w->rule ? json_object_new_string(w->rule->text) : NULL);
    json_object_object_add(o, "where", w->rule ? json_object_new_string(w->rule->where) : NULL);
    json_object_object_add(o, "allow", w->allow ? json_object_new_string(w->allow) : NULL);
    return o;
}

int cmd_why(int argc, char **argv)
{
    const char *wanted = NULL;
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "why", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_LAST) wanted = NULL;
        else if (id == VERB_WORD && !wanted) wanted = w.val;
        else if (id == VERB_WORD) return fail("why: one ID is wanted");
        else return id == VERB_HELPED ? 0 : EXIT_SANDBOX;
    }
    struct runrec *r = runrec_load(wanted);
    if (!r) return EXIT_SANDBOX;
    struct json_object *doc = json_object_new_object(), *list = json_object_new_array();
    if (!json) printf("run %s: %s\nprofile %s, %s\n", r->id, r->command ? r->command : "?", r->profile && *r->profile ? r->profile : "none",
                      r->status < 0 ? "still running" : r->status ? "exit status not 0" : "exit status 0");
    size_t pos = 0;
    unsigned denied = 0, absent = 0;
    const struct evlog_rec *e;
    while (r->events && (e = evlog_next(r->events, r->len, &pos))) {
        if (e->verdict == EV_ALLOWED) continue;
        struct row row = { .e = e, .object = xstrdup(e->object), .rule = runrec_rule(r, e->rule) };
        runlog_printable(row.object);
        /* Programs look for many files that are nowhere: only what the host has is worth a word. */
        if (e->op == EV_ABSENT && !exists(e->object)) {
            free(row.object);
            continue;
        }
        row.allow = allowing(e, row.object, row.rule ? row.rule->text : NULL);
        if (e->op == EV_ABSENT) absent++;
        else denied++;
        if (json) {
            json_object_array_add(list, json_row(&row));
        } else {
            putchar('\n');
            print_row(&row);
        }
        free(row.object);
        free(row.allow);
    }
    if (json) {
        json_object_object_add(doc, "run", json_object_new_string(r->id));
        json_object_object_add(doc, "profile", json_object_new_string(r->profile ? r->profile : ""));
        json_object_object_add(doc, "status", json_object_new_int(r->status));
        json_object_object_add(doc, "denials", json_object_get(list));
        puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else if (!r->events) {
        printf("\nits record was lost: sundog was killed\n");
    } else if (denied + absent == 0) {
        printf("\nnothing was denied\n");
    } else {
        printf("\nAn `allow` line goes into the profile, or for one run: sundog run --rule 'LINE' ...\n");
    }
    json_object_put(list);
    json_object_put(doc);
    runrec_free(r);
    return denied ? 1 : 0;
}
