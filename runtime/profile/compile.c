/* Rules to automata: symlinks resolved, [exec] merged into the file verdicts. */
#include "runtime/options.h"
#include "runtime/profile/apply.h"
#include "sentry/base/alloc.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

char *profile_path_resolved(const char *path)
{
    char full[PATH_MAX];
    size_t lit = strcspn(path, "*?[");
    if (path[lit])
        while (lit > 1 && path[lit - 1] != '/') lit--;     /* whole components before the glob */
    AUTO_FREE char *head = xstrndup(path, lit);
    for (size_t n = lit;;) {
        while (n > 1 && head[n - 1] == '/') n--;
        head[n] = 0;
        if (realpath(head, full)) {
            const char *rest = path + n;
            return xasprintf("%s%s%s", strcmp(full, "/") ? full : "", *rest && *rest != '/' ? "/" : "", *rest || strcmp(full, "/") ? rest : "/");
        }
        if (n <= 1) return xstrdup(path);
        while (n > 1 && head[n - 1] != '/') n--;
    }
}

static int add_path(struct profile *p, struct compiled *c, const struct prule *r, u32 perms)
{
    u32 id = (u32)(r - p->rules) + 1;
    for (unsigned i = 0; i < c->nlist; i++) {
        if (strcmp(c->list[i].path, r->object)) continue;
        const struct prule *q = &p->rules[c->list[i].id - 1];
        if (c->list[i].perms == perms) return 0;
        if (q->rank == r->rank && q->section == r->section)
            return fail("%s:%u and %s:%u: both name %s, by a symbolic link, with different verdicts", q->file, q->line, r->file, r->line, r->object);
        if (q->section != r->section || r->rank > q->rank) c->list[i].perms = perms, c->list[i].id = id;
        return 0;
    }
    c->list = xrealloc(c->list, (c->nlist + 1) * sizeof(*c->list));
    c->list[c->nlist].path = r->object;
    c->list[c->nlist].perms = perms;
    c->list[c->nlist++].id = id;
    return 0;
}

static void build_paths(struct compiled *c)
{
    pathrules_free(c->paths);
    c->paths = pathrules_new();
    for (unsigned i = 0; i < c->nlist; i++) pathrules_add(c->paths, c->list[i].path, c->list[i].perms, c->list[i].id);
}

bool prule_connrule(const struct prule *p, u32 id, struct connrule *r)
{
    struct phost h;
    const char *why;
    if (profile_host_parse(p->object, &h, &why)) return false;
    *r = (struct connrule){ .id = id, .op = p->key == PK_LISTEN ? CR_LISTEN : CR_CONNECT, .allow = p->key != PK_DENY, .lo = h.lo, .hi = h.hi,
                            .prefix = h.prefix, .name = h.name,
                            .protos = !p->value ? CR_TCP | CR_UDP : !strcmp(p->value, "udp") ? CR_UDP : CR_TCP };
    memcpy(r->ip, h.ip, 16);
    return true;
}

static void add_net(struct compiled *c, const struct prule *r, u32 id)
{
    struct connrule n;
    if (!prule_connrule(r, id, &n)) return; /* was checked when read */
    connrules_add(c->nets, &n);
    free(n.name);
}

int profile_compile(struct profile *p, struct compiled *c)
{
    *c = (struct compiled){ .nets = connrules_new() };
    int r = 0;
    for (unsigned i = 0; i < p->nrules; i++) {
        struct prule *u = &p->rules[i];
        if (u->section == PS_NET) add_net(c, u, i + 1);
        if (u->section != PS_FILES && u->section != PS_EXEC) continue;
        if (!(u->section == PS_FILES && u->value)) { /* value: shown at another place, which is as written */
            char *real = profile_path_resolved(u->object);
            if (strcmp(real, u->object) && !u->link) u->link = u->object;
            else free(u->object);
            u->object = real;
        }
    }
    for (unsigned i = 0; i < p->nrules && !r; i++)
        if (p->rules[i].section == PS_FILES) r = add_path(p, c, &p->rules[i], prule_perms(p->rules[i].key));
    if (!r) build_paths(c);
    /* [exec]: what [files] says there, with or without the right to execute. */
    unsigned nfiles = c->nlist;
    for (unsigned i = 0; i < p->nrules && !r; i++) {
        const struct prule *u = &p->rules[i];
        if (u->section != PS_EXEC) continue;
        u32 have = pathrules_perms(c->paths, pathrules_walk(c->paths, pathrules_start(c->paths), u->object));
        if (!have) continue;
        r = add_path(p, c, u, u->key == PK_ALLOW ? have | PR_EXEC : have & ~PR_EXEC);
    }
    if (!r && c->nlist + nfiles) build_paths(c);
    if (r) compiled_fini(c);
    return r;
}

void compiled_fini(struct compiled *c)
{
    pathrules_free(c->paths);
    connrules_free(c->nets);
    free(c->list);
    *c = (struct compiled){ 0 };
}
