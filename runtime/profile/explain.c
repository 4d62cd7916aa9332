/* `sundog explain`: the decision the sentry would make, by the same automata, with the rule behind it. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/profile/apply.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"

#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct answer { bool allowed; const struct prule *rule; const char *note; char *object; };

static int explain_path(struct profile *p, struct compiled *c, const char *path, u32 want, struct answer *a)
{
    char full[PATH_MAX];
    if (*path != '/') return fail("explain: %s: an absolute path is wanted", path);
    if (realpath(path, full)) path = full;
    a->object = xstrdup(path);
    u32 state = pathrules_walk(c->paths, pathrules_start(c->paths), path), have = pathrules_perms(c->paths, state), id = pathrules_rule(c->paths, state);
    if (have & PR_OVERLAY) have |= PR_WRITE;
    a->allowed = (have & want) == want;
    a->rule = id ? &p->rules[id - 1] : NULL;
    if (a->allowed && (want & PR_WRITE) && (have & PR_OVERLAY)) a->note = "changes go to the layer, not to the host";
    static const char *const own[] = { "/proc", "/sys", "/dev", "/tmp" };
    for (size_t i = 0; !id && i < ARRAY_LEN(own); i++) {
        size_t n = strlen(own[i]);
        if (strncmp(path, own[i], n) || (path[n] && path[n] != '/')) continue;
        a->allowed = true;
        a->note = "the sandbox has its own there; the host's is not shown";
    }
    return 0;
}

static int explain_net(struct profile *p, struct compiled *c, const char *text, enum connrule_op op, struct answer *a)
{
    AUTO_FREE char *host = xstrdup(text);
    char *slash = strrchr(host, '/');
    unsigned proto = CR_TCP;
    if (slash && (!strcmp(slash, "/udp") || !strcmp(slash, "/tcp"))) {
        proto = !strcmp(slash, "/udp") ? CR_UDP : CR_TCP;
        *slash = 0;
    }
    struct phost h;
    const char *why;
    if (profile_host_parse(host, &h, &why)) return fail("explain: %s: %s", text, why);
    a->object = xstrdup(text);
    const struct connrule *r;
    if (h.name) r = connrules_decide_host(c->nets, op, proto, h.name, h.lo);
    else r = connrules_decide(c->nets, op, proto, h.ip, h.lo);
    a->rule = r ? &p->rules[r->id - 1] : NULL;
    a->allowed = r ? r->allow : !h.name && connrule_ip_is_loopback(h.ip);
    if (!r && a->allowed) a->note = "the loopback inside is the sandbox's own";
    free(h.name);
    return 0;
}

static void explain_call(struct profile *p, const char *name, struct answer *a)
{
    a->object = xstrdup(name);
    a->allowed = true;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        if (r->section != PS_SYS && r->section != PS_IPC) continue;
        AUTO_FREE char *ipc = r->section == PS_IPC ? xasprintf("@%s", r->object) : NULL;
        const char *object = ipc ? ipc : r->object;
        const char *const *call = *object == '@' ? profile_call_group(object) : NULL;
        bool hit = !call && !strcmp(object, name);
        for (; call && *call; call++) hit |= !strcmp(*call, name);
        if (!hit) continue;
        if (r->key == PK_ALLOW && r->section == PS_SYS) {
            a->allowed = true;
            a->rule = r;
            return;
        }
        if (r->key == PK_DENY) a->allowed = false, a->rule = r;
    }
}

static int explain_one(struct profile *p, struct compiled *c, const char *q, struct answer *a)
{
    static const struct { const char *prefix; u32 want; } files[] = { { "open:r:", PR_READ }, { "open:w:", PR_WRITE }, { "open:rw:", PR_READ | PR_WRITE },
                                                                      { "read:", PR_READ }, { "write:", PR_WRITE }, { "exec:", PR_EXEC } };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (!strncmp(q, files[i].prefix, strlen(files[i].prefix))) return explain_path(p, c, q + strlen(files[i].prefix), files[i].want, a);
    if (!strncmp(q, "connect:", 8)) return explain_net(p, c, q + 8, CR_CONNECT, a);
    if (!strncmp(q, "listen:", 7)) return explain_net(p, c, q + 7, CR_LISTEN, a);
    if (!strncmp(q, "call:", 5)) {
        explain_call(p, q + 5, a);
        return 0;
    }
    if (!strncmp(q, "resolve:", 8)) {
        const struct connrule *r = connrules_decide_name(c->nets, q + 8);
        a->object = xstrdup(q + 8);
        a->allowed = r && r->allow;
        a->rule = r ? &p->rules[r->id - 1] : NULL;
        return 0;
    }
    return fail("explain: %s: open:r:PATH, open:rw:PATH, exec:PATH, connect:HOST:PORT, listen:ADDRESS:PORT, resolve:HOST or call:NAME is wanted", q);
}

int cmd_explain(int argc, char **argv)
{
    const char *name = "default", *params[64], *extra[64], *questions[256];
    unsigned np = 0, ne = 0, nq = 0;
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "explain", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_PROFILE) name = w.val;
        else if (id == O_PARAM && np < ARRAY_LEN(params)) params[np++] = w.val;
        else if (id == O_RULE && ne < ARRAY_LEN(extra)) extra[ne++] = w.val;
        else if (id == VERB_WORD && nq < ARRAY_LEN(questions)) questions[nq++] = w.val;
        else return id == VERB_HELPED ? 0 : id == VERB_BAD ? EXIT_SANDBOX : fail("explain: too many arguments");
    }
    if (!nq) return fail("explain: what? Such as open:rw:$HOME/x or connect:example.org:443 (`sundog help explain`)");
    struct profile *p = profile_load(name, params, np, extra, ne);
    struct compiled c;
    if (!p || profile_flatten(p) || profile_compile(p, &c)) {
        profile_free(p);
        return EXIT_SANDBOX;
    }
    int status = 0;
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < nq; i++) {
        struct answer a = { 0 };
        int r = explain_one(p, &c, questions[i], &a);
        if (r) {
            status = r;
            break;
        }
        if (!a.allowed) status = 1;
        AUTO_FREE char *text = a.rule ? prule_text(a.rule) : NULL;
        if (json) {
            struct json_object *o = json_object_new_object();
            json_object_object_add(o, "question", json_object_new_string(questions[i]));
            json_object_object_add(o, "allowed", json_object_new_boolean(a.allowed));
            json_object_object_add(o, "rule", text ? json_object_new_string(text) : NULL);
            json_object_object_add(o, "file", a.rule ? json_object_new_string(a.rule->file) : NULL);
            json_object_object_add(o, "line", a.rule ? json_object_new_int((int)a.rule->line) : NULL);
            json_object_object_add(o, "note", a.note ? json_object_new_string(a.note) : NULL);
            json_object_array_add(list, o);
        } else {
            printf("%s: %s", a.allowed ? "allowed" : "denied", questions[i]);
            if (a.rule) printf("\n  rule: %s:%u: [%s] %s", a.rule->file, a.rule->line, profile_sections[a.rule->section], text);
            else if (!a.note) printf("\n  rule: none%s", a.allowed ? "" : ": what no rule names is denied");
            if (a.note) printf("\n  note: %s", a.note);
            putchar('\n');
        }
        free(a.object);
    }
    if (json && status <= 1) puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(list);
    compiled_fini(&c);
    profile_free(p);
    return status;
}
