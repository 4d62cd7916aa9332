/*
 * Views and rules of a profile. What is granted and has nothing granted around it becomes a root of the gofer and a
 * mount; rules inside a root are kept by the automaton, in the sentry and again in the gofer.
 */
#include "runtime/profile/apply.h"
#include "runtime/plan_build_int.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct root { char *host, *at; u32 perms, all; bool overlay; };
struct view {
    struct builder *b;
    struct profile *p;
    struct compiled c;
    struct root *roots; unsigned nroots;
};

static u32 state_at(struct view *v, const char *path) { return pathrules_walk(v->c.paths, pathrules_start(v->c.paths), path); }

/* What is granted around a path by the rules of its parents. */
static u32 around(struct view *v, const char *path)
{
    AUTO_FREE char *up = xstrdup(path);
    char *slash = strrchr(up, '/');
    if (!strcmp(path, "/")) return 0;
    if (slash == up) up[1] = 0;
    else *slash = 0;
    return pathrules_perms(v->c.paths, state_at(v, up));
}

static bool beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1) return true;
    return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

static struct root *root_of(struct view *v, const char *path)
{
    struct root *best = NULL;
    for (unsigned i = 0; i < v->nroots; i++)
        if (beneath(path, v->roots[i].at) && (!best || strlen(v->roots[i].at) > strlen(best->at))) best = &v->roots[i];
    return best;
}

static void add_root(struct view *v, const char *host, const char *at, u32 perms)
{
    for (unsigned i = 0; i < v->nroots; i++)
        if (!strcmp(v->roots[i].at, at)) return;
    v->roots = xrealloc(v->roots, (v->nroots + 1) * sizeof(*v->roots));
    v->roots[v->nroots++] = (struct root){ xstrdup(host), xstrdup(at), perms, perms, perms & PR_OVERLAY };
}

static bool shown_kind(const char *path)
{
    struct stat st;
    if (beneath(path, "/proc") || beneath(path, "/sys") || beneath(path, "/dev")) return false; /* the sandbox has its own */
    return !stat(path, &st) && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode));
}

static void consider(struct view *v, const char *path, u32 perms, const char *host)
{
    if (host) {
        add_root(v, host, path, perms);
        return;
    }
    u32 have = around(v, path);
    bool needs = !have || (have & PR_OVERLAY) != (perms & PR_OVERLAY) || (!(have & PR_WRITE) && (perms & PR_WRITE));
    struct stat st;
    if ((perms & PR_OVERLAY) && !stat(path, &st) && !S_ISDIR(st.st_mode)) needs = needs && !have; /* only directories have layers */
    if (needs && shown_kind(path)) add_root(v, path, path, perms);
}

static void find_roots(struct view *v)
{
    for (unsigned i = 0; i < v->c.nlist; i++) {
        const char *path = v->c.list[i].path;
        u32 perms = v->c.list[i].perms;
        const struct prule *r = &v->p->rules[v->c.list[i].id - 1];
        if (!perms) continue;
        if (r->section == PS_FILES && r->value) {
            consider(v, path, perms, r->value);
            continue;
        }
        if (!strpbrk(path, "*?[")) {
            consider(v, path, perms, NULL);
            continue;
        }
        glob_t g;
        if (glob(path, GLOB_NOSORT, NULL, &g)) continue;
        for (size_t k = 0; k < g.gl_pathc; k++)
            if (pathrules_rule(v->c.paths, state_at(v, g.gl_pathv[k])) == v->c.list[i].id) consider(v, g.gl_pathv[k], perms, NULL);
        globfree(&g);
    }
    for (unsigned i = 0; i < v->c.nlist; i++) {
        struct root *r = root_of(v, v->c.list[i].path);
        if (r) r->all |= v->c.list[i].perms;
    }
}

/* A symbolic link on the way to something shown, where the sandbox's own root file system stands in for the host's. */
static void add_link(struct view *v, const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    if (n <= 0 || root_of(v, path)) return;
    target[n] = 0;
    AUTO_FREE char *up = xstrdup(path);
    char *slash = strrchr(up, '/');
    if (slash != up) {
        *slash = 0;
        builder_dir(v->b, up, 0755);
    }
    builder_symlink(v->b, target, path);
}

/* /bin -> usr/bin and its like, when what they lead to is shown. */
static void add_top_links(struct view *v)
{
    DIR *d = opendir("/");
    struct dirent *e;
    char full[PATH_MAX];
    while (d && (e = readdir(d))) {
        AUTO_FREE char *path = xasprintf("/%s", e->d_name);
        struct stat st;
        if (lstat(path, &st) || !S_ISLNK(st.st_mode) || !realpath(path, full)) continue;
        if (root_of(v, full) && pathrules_perms(v->c.paths, state_at(v, full))) add_link(v, path);
    }
    if (d) closedir(d);
}

static void emit_rules(struct view *v)
{
    struct plan_writer *se = &v->b->p->sentry, *go = &v->b->p->gofer;
    const struct run_options *o = v->b->o;
    struct plan_policy pp = { .flags = PLAN_POLICY_ROOT | PLAN_POLICY_NET_DENY | (o->warn ? PLAN_POLICY_WARN : 0) | (o->learn ? PLAN_POLICY_LOOK : 0) |
                                    (v->b->p->net_host ? PLAN_POLICY_NET_HOST : 0), .event_fd = o->event_fd };
    for (unsigned i = 0; i < v->p->nrules; i++) {
        u64 n = 0;
        if (v->p->rules[i].section == PS_LIMIT && v->p->rules[i].key == PK_PROCESSES && !profile_size_parse(v->p->rules[i].value, &n)) pp.max_tasks = (u32)n;
    }
    if (o->event_fd >= 0) { /* its own copy for the plan, which closes it */
        pp.event_fd = fcntl(o->event_fd, F_DUPFD_CLOEXEC, 3);
        if (pp.event_fd >= 0) builder_sentry_fd(v->b, pp.event_fd);
    }
    plan_add(se, PLAN_POLICY, &pp, sizeof(pp));
    for (unsigned i = 0; i < v->c.nlist; i++) {
        struct plan_path_rule pr = { v->c.list[i].id, v->c.list[i].perms };
        plan_add2(se, PLAN_PATH_RULE, &pr, sizeof(pr), &v->c.list[i].path, 1);
        if (!o->warn) plan_add2(go, PLAN_PATH_RULE, &pr, sizeof(pr), &v->c.list[i].path, 1);
    }
    /* The gofer's rule for what it was given without a profile rule (the pieces of Solaris): it is asked for by index. */
    for (unsigned i = 0; i < v->p->nrules; i++) {
        const struct prule *r = &v->p->rules[i];
        u32 id = i + 1;
        struct connrule c;
        if (r->section == PS_NET && prule_connrule(r, id, &c)) {
            struct plan_conn_rule nr = { .id = id, .op = c.op, .allow = c.allow, .prefix = c.prefix, .lo = c.lo, .hi = c.hi, .protos = c.protos };
            memcpy(nr.ip, c.ip, 16);
            const char *name = c.name ? c.name : "";
            plan_add2(se, PLAN_CONN_RULE, &nr, sizeof(nr), &name, 1);
            free(c.name);
        }
        if ((r->section != PS_SYS && r->section != PS_IPC) || r->key != PK_DENY) continue;
        AUTO_FREE char *ipc = r->section == PS_IPC ? xasprintf("@%s", r->object) : NULL;
        const char *object = ipc ? ipc : r->object;
        const char *const one[] = { object, NULL };
        for (const char *const *call = *object == '@' ? profile_call_group(object) : one; call && *call; call++) {
            bool allowed = false;
            for (unsigned k = 0; k < v->p->nrules; k++) {
                const struct prule *q = &v->p->rules[k];
                allowed |= q->section == PS_SYS && q->key == PK_ALLOW && !strcmp(q->object, *call);
            }
            if (!allowed) plan_add2(se, PLAN_SYS_RULE, &id, sizeof(id), call, 1);
        }
    }
}

static int add_roots(struct view *v)
{
    for (unsigned i = 0; i < v->nroots; i++) {
        struct root *r = &v->roots[i];
        u32 flags = MNT_NODEV | MNT_NOSUID | (r->overlay || (r->all & PR_WRITE) ? 0 : MNT_RDONLY) | (r->all & PR_EXEC ? 0 : MNT_NOEXEC);
        if (v->b->nmounts > MAX_MOUNTS - 24) return fail("the profile shows more than %u separate places; grant a directory above them", MAX_MOUNTS - 24);
        int e = builder_host(v->b, r->host, r->at, r->overlay, flags);
        if (e) return e;
    }
    return 0;
}

int profile_apply(struct builder *b, char *cwd, const char *home)
{
    const struct run_options *o = b->o;
    struct view v = { .b = b, .p = o->profile };
    int r = profile_compile(v.p, &v.c);
    if (r) return r;
    find_roots(&v);
    emit_rules(&v);
    bool root_shown = root_of(&v, "/") != NULL;
    if (!root_shown && o->warn) r = builder_host(b, "/", "/", true, MNT_NODEV | MNT_NOSUID);
    else if (!root_shown) builder_mount(b, PM_TMPFS, "/", "root", MNT_NOSUID | MNT_NODEV);
    if (root_shown || o->warn) builder_mount(b, PM_TMPFS, "/tmp", "tmpfs", MNT_NOSUID | MNT_NODEV)->m.mode = 01777;
    else builder_empty_places(b, home);
    if (!root_shown && !o->warn) {
        add_top_links(&v);
        for (unsigned i = 0; i < v.p->nrules; i++)
            if (v.p->rules[i].link && v.p->rules[i].section == PS_FILES && prule_perms(v.p->rules[i].key)) add_link(&v, v.p->rules[i].link);
    }
    builder_kernel_mounts(b);
    if (!r) r = add_roots(&v);
    char here[PATH_MAX];
    snprintf(cwd, PATH_MAX, "/");
    if (o->cwd) {
        snprintf(cwd, PATH_MAX, "%s", o->cwd);
    } else if (!r && getcwd(here, sizeof(here))) {
        if (strcmp(here, "/") && (o->warn || (root_of(&v, here) && pathrules_passable(v.c.paths, state_at(&v, here))))) {
            /* A private /tmp covers the host's: what was started there is shown all the same. */
            if (beneath(here, "/tmp") && (!root_of(&v, here) || !strcmp(root_of(&v, here)->at, "/"))) r = builder_host(b, here, here, true, MNT_NODEV | MNT_NOSUID);
            snprintf(cwd, PATH_MAX, "%s", here);
        } else if (strcmp(here, "/") && home && *home == '/') {
            /* A home below /tmp is covered by the sandbox's own /tmp. */
            snprintf(cwd, PATH_MAX, "%s", root_shown || o->warn || beneath(home, "/tmp") ? "/" : home);
            if (o->debug) fail("debug: the profile does not show the current directory %s; the program starts in %s", here, cwd);
        }
    }
    for (unsigned i = 0; i < v.nroots; i++) free(v.roots[i].host), free(v.roots[i].at);
    free(v.roots);
    compiled_fini(&v.c);
    return r;
}

void profile_apply_limits(struct builder *b)
{
    const struct profile *p = b->o->profile;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        u64 n = 0;
        struct plan_rlimit l = { 0 };
        if (r->section != PS_LIMIT) continue;
        if (r->key == PK_OPEN_FILES) l.which = RLIMIT_NOFILE, profile_size_parse(r->value, &n);
        else if (r->key == PK_FILE_SIZE) l.which = RLIMIT_FSIZE, profile_size_parse(r->value, &n);
        else if (r->key == PK_CPU_TIME) l.which = RLIMIT_CPU, profile_duration_parse(r->value, &n);
        else continue;
        l.soft = l.hard = n;
        plan_add(&b->p->sentry, PLAN_RLIMIT, &l, sizeof(l));
    }
}

extern char **environ;

void profile_apply_env(const struct profile *p, struct run_options *o)
{
    const char **own = o->env;
    unsigned nown = o->nenv;
    o->env = NULL;
    o->nenv = 0;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        if (r->section != PS_ENV) continue;
        size_t n = strcspn(r->object, "*");
        for (char **e = environ; r->key == PK_PASS && *e; e++) {
            if (strncmp(*e, r->object, n) || (r->object[n] != '*' && (*e)[n] != '=')) continue;
            o->env = xrealloc(o->env, (o->nenv + 1) * sizeof(*o->env));
            o->env[o->nenv++] = *e;
        }
        if (r->key != PK_SET) continue;
        o->env = xrealloc(o->env, (o->nenv + 1) * sizeof(*o->env));
        o->env[o->nenv++] = xasprintf("%s=%s", r->object, r->value); /* lives as long as the run */
    }
    o->env = xrealloc(o->env, (o->nenv + nown + 1) * sizeof(*o->env));
    for (unsigned i = 0; i < nown; i++) o->env[o->nenv++] = own[i];
    free(own);
}

u64 profile_cpu_share(const struct profile *p)
{
    u64 n = 0;
    for (unsigned i = 0; p && i < p->nrules; i++)
        if (p->rules[i].section == PS_LIMIT && p->rules[i].key == PK_CPU_SHARE) profile_percent_parse(p->rules[i].value, &n);
    return n;
}

u64 profile_memory(const struct profile *p)
{
    u64 n = 0;
    for (unsigned i = 0; p && i < p->nrules; i++)
        if (p->rules[i].section == PS_LIMIT && p->rules[i].key == PK_MEMORY) profile_size_parse(p->rules[i].value, &n);
    return n;
}
