/*
 * `sundog learn`: runs a command over a copy-on-write view of the whole host, secrets kept away, and writes the profile
 * that the same run needs. What it read, wrote, executed and connected to is in the record; paths become directories and
 * variables where that grants nothing private, so that the next version of a file is covered too.
 */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/profile/apply.h"
#include "runtime/profile/parse.h"
#include "runtime/profile/runlog.h"
#include "runtime/run.h"
#include "sentry/base/alloc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const home_secrets[] = { ".ssh", ".gnupg", ".aws", ".kube", ".docker", ".netrc", ".pypirc", ".password-store", ".git-credentials",
                                            ".bash_history", ".config/gh", ".config/gcloud", ".config/google-chrome", ".mozilla" };
static const char *const system_secrets[] = { "/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-", "/etc/ssl/private", "/root/.ssh" };
static const char *const project_secrets[] = { ".env", ".env.local", ".npmrc", ".netrc" };

/* The rules of the learning run itself. */
static struct profile *learning(const char *home)
{
    struct profile *p = xnew(struct profile);
    p->name = xstrdup("learn");
    profile_add(p, PS_FILES, PK_OVERLAY, "/", NULL, "learn", 1, 0);
    for (size_t i = 0; i < ARRAY_LEN(system_secrets); i++) profile_add(p, PS_FILES, PK_DENY, system_secrets[i], NULL, "learn", 2, 0);
    for (size_t i = 0; home && i < ARRAY_LEN(home_secrets); i++) {
        AUTO_FREE char *path = xasprintf("%s/%s", home, home_secrets[i]);
        profile_add(p, PS_FILES, PK_DENY, path, NULL, "learn", 3, 0);
    }
    profile_add(p, PS_NET, PK_CONNECT, "*:*", NULL, "learn", 4, 0);
    profile_add(p, PS_NET, PK_LISTEN, "*:*", NULL, "learn", 5, 0);
    return p;
}

struct grant { char *path; u32 perms; };
struct learnt {
    struct grant *g; unsigned n;
    char **net; unsigned nnet;
    char **denied; unsigned ndenied;
    char **created; unsigned ncreated;
    char *home; char cwd[PATH_MAX];
    bool cwd_ok;                        /* may be granted whole: neither a home nor a root */
    u32 cwd_perms;
};

static void once(char ***list, unsigned *n, const char *s)
{
    for (unsigned i = 0; i < *n; i++)
        if (!strcmp((*list)[i], s)) return;
    *list = xrealloc(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = xstrdup(s);
}

static void grant(struct learnt *l, const char *path, u32 perms)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!strcmp(l->g[i].path, path)) {
            l->g[i].perms |= perms;
            return;
        }
    l->g = xrealloc(l->g, (l->n + 1) * sizeof(*l->g));
    l->g[l->n++] = (struct grant){ xstrdup(path), perms };
}

static bool beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1) return true;
    return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

/* The first k components of path. malloc'ed; NULL: it has not more than k */
static char *prefix(const char *path, unsigned k)
{
    const char *s = path;
    for (; k && *s == '/'; k--) {
        s++;
        s += strcspn(s, "/");
    }
    return k || !*s ? NULL : xstrndup(path, (size_t)(s - path));
}

static unsigned depth(const char *path) { return pathrules_pattern_depth(path, NULL); }

static bool is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* How many components of a path outside the current directory are kept: what is below is granted as a whole. */
static char *generalised(struct learnt *l, const char *path)
{
    static const struct { const char *dir; unsigned keep; } wide[] = { { "/etc", 2 }, { "/var/lib", 3 }, { "/var/cache", 3 }, { "/var/log", 3 },
        { "/var/spool", 3 }, { "/srv", 2 }, { "/run", 2 }, { "/var/run", 3 } };
    unsigned keep = 0;
    if (l->home && beneath(path, l->home) && strcmp(l->home, "/")) {
        static const char *const two[] = { ".config", ".cache", ".local/share", ".local/state", ".local/lib", ".local/bin" };
        const char *rest = path + strlen(l->home);
        keep = depth(l->home) + 1;
        if (*rest == '/' && rest[1] != '.') keep = depth(path); /* files of the user's own: one by one */
        for (size_t i = 0; *rest && i < ARRAY_LEN(two); i++)
            if (beneath(rest + 1, two[i])) keep = depth(l->home) + depth(two[i]) + 1 + (two[i][0] != '/');
    }
    for (size_t i = 0; !keep && i < ARRAY_LEN(wide); i++)
        if (beneath(path, wide[i].dir)) keep = wide[i].keep;
    char *p = keep ? prefix(path, keep) : NULL;
    return p ? p : xstrdup(path);
}

/* A rule that the `system` fragment has already. */
static bool covered(struct compiled *base, const char *path, u32 perms)
{
    u32 have = pathrules_perms(base->paths, pathrules_walk(base->paths, pathrules_start(base->paths), path));
    return have && (have & perms) == perms;
}

static void take_file(struct learnt *l, struct compiled *base, const struct evlog_rec *e)
{
    static const char *const own[] = { "/proc", "/sys", "/dev" };
    const char *path = e->object;
    u32 want = e->op == EV_WRITE ? PR_READ | PR_WRITE : e->op == EV_EXEC ? PR_READ | PR_EXEC : e->want & PR_READ;
    if (*path != '/' || strstr(path, " -> ")) return;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (beneath(path, own[i])) return;
    if (e->verdict != EV_ALLOWED) {
        once(&l->denied, &l->ndenied, path);
        return;
    }
    if (covered(base, path, want | PR_READ)) return;
    struct stat st;
    bool there = !lstat(path, &st);
    if (l->cwd_ok && beneath(path, l->cwd)) {
        for (size_t i = 0; i < ARRAY_LEN(project_secrets); i++) {
            AUTO_FREE char *secret = xasprintf("%s/%s", l->cwd, project_secrets[i]);
            if (!strcmp(secret, path)) {
                if (want) grant(l, path, want);
                return;
            }
        }
        l->cwd_perms |= want | PR_READ;
        return;
    }
    /* Only looked at: the thing itself, if it is a file; a directory's mere existence is not worth its contents. */
    if (!want && (!there || !S_ISREG(st.st_mode))) return;
    if (!want) want = PR_READ;
    if (!there) {
        once(&l->created, &l->ncreated, path);
        AUTO_FREE char *wide = generalised(l, path);
        if (strcmp(wide, path) && is_dir(wide) && !(l->home && !strcmp(wide, l->home))) grant(l, wide, want);
        return;
    }
    if (S_ISDIR(st.st_mode) && (!strcmp(path, "/") || !strcmp(path, "/home") || !strcmp(path, "/root") || (l->home && beneath(l->home, path)))) return; /* reading a home's or the root's names */
    AUTO_FREE char *wide = generalised(l, path);
    bool secret = false;
    for (size_t i = 0; i < ARRAY_LEN(system_secrets); i++) secret |= beneath(system_secrets[i], wide) && strcmp(system_secrets[i], wide);
    grant(l, secret || (l->home && !strcmp(wide, l->home)) ? path : wide, want);
}

/*
 * The name behind an address: of hosts named on the command line and of usual registries, the one that has it now. NULL:
 * none of them.
 */
static char *name_of(char **argv, const char *ip)
{
    static const char *const usual[] = { "registry.npmjs.org", "pypi.org", "files.pythonhosted.org", "github.com", "index.crates.io", "static.crates.io",
                                         "proxy.golang.org", "deb.debian.org" };
    char **names = NULL;
    unsigned n = 0;
    for (char **a = argv; *a; a++)
        for (const char *s = *a; *s;) {
            size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
            AUTO_FREE char *word = xstrndup(s, len);
            const char *why, *dot = strchr(word, '.');
            if (dot && dot[1] && profile_host_ok(word, len, &why) && strspn(word, "0123456789.") != len && n < 32) once(&names, &n, word);
            s += len + (s[len] != 0);
        }
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) once(&names, &n, usual[i]);
    char *found = NULL;
    for (unsigned i = 0; i < n; i++) {
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *a;
        char text[INET6_ADDRSTRLEN + 2], v6[INET6_ADDRSTRLEN];
        if (!found && !getaddrinfo(names[i], NULL, &hints, &list))
            for (a = list; a; a = a->ai_next) {
                if (a->ai_family == AF_INET) inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, text, sizeof(text));
                else if (a->ai_family == AF_INET6 && inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, v6, sizeof(v6)))
                    snprintf(text, sizeof(text), "[%s]", v6);
                else continue;
                if (!found && !strcmp(text, ip)) found = xstrdup(names[i]);
            }
        if (list) freeaddrinfo(list);
        free(names[i]);
    }
    free(names);
    return found;
}

/* The names that the sandbox's resolver answered with this address. */
static unsigned names_told(const u8 *events, size_t len, const char *ip, const char **names, unsigned max)
{
    const struct evlog_rec *e;
    size_t pos = 0, n = strlen(ip);
    unsigned found = 0;
    if (*ip == '[') ip++, n -= 2;
    while (found < max && (e = evlog_next(events, len, &pos))) {
        const char *arrow = e->op == EV_RESOLVE ? strstr(e->object, " -> ") : NULL;
        if (!arrow || strncmp(arrow + 4, ip, n) || arrow[4 + n]) continue;
        bool there = false;
        for (unsigned i = 0; i < found; i++) there |= !strcmp(names[i], e->object);
        if (!there) names[found++] = e->object;
    }
    return found;
}

static bool was_refused_as_private(const u8 *events, size_t len, const char *object)
{
    const struct evlog_rec *e;
    size_t pos = 0;
    while ((e = evlog_next(events, len, &pos)))
        if (e->op == EV_RESOLVE && e->verdict == EV_WARNED && !strcmp(e->object, object)) return true;
    return false;
}

static void take_net(struct learnt *l, const struct evlog_rec *e, char **argv, const u8 *events, size_t len)
{
    char text[EVLOG_OBJECT_MAX];
    const char *names[8], *why;
    snprintf(text, sizeof(text), "%s", e->object);
    char *slash = strrchr(text, '/');
    if (!slash) return;
    *slash = ' ';
    char *port = strrchr(text, ':');
    AUTO_FREE char *ip = port ? xstrndup(text, (size_t)(port - text)) : NULL;
    if (!ip) return;
    unsigned n = e->op == EV_CONNECT ? names_told(events, len, ip, names, ARRAY_LEN(names)) : 0;
    bool inside = !strncmp(text, "127.", 4) || !strncmp(text, "[::1]", 5);
    for (unsigned i = 0; i < n; i++) {
        size_t k = strcspn(names[i], " ");
        if (!profile_host_ok(names[i], k, &why)) continue;
        AUTO_FREE char *line = xasprintf("connect %.*s%s", (int)k, names[i], port);
        once(&l->net, &l->nnet, line);
        /* A public name with an address that is not: the resolver answers so only where a rule allows the address too. */
        AUTO_FREE char *both = was_refused_as_private(events, len, names[i]) ? xasprintf("connect %s", text) : NULL;
        if (both) once(&l->net, &l->nnet, both);
    }
    if (n) return;
    AUTO_FREE char *name = e->op == EV_CONNECT ? name_of(argv, ip) : NULL;
    if (inside && !name) return;                                          /* the sandbox's own */
    if (e->op == EV_LISTEN && strstr(text, ":0 ")) return;                /* any free port */
    if (e->op == EV_LISTEN && (!strncmp(text, "0.0.0.0:", 8) || !strncmp(text, "[::]:", 5))) {
        AUTO_FREE char *any = xasprintf("listen *%s", port);
        once(&l->net, &l->nnet, any);
        return;
    }
    AUTO_FREE char *line = name ? xasprintf("connect %s%s", name, port) : xasprintf("%s %s", e->op == EV_LISTEN ? "listen" : "connect", text);
    once(&l->net, &l->nnet, line);
}

/* ${CWD} and ${HOME} where they fit; quoted when needed. */
static void put_path(FILE *f, const struct learnt *l, const char *path)
{
    const char *rest = path, *var = "";
    if (beneath(path, l->cwd) && strcmp(l->cwd, "/")) var = "${CWD}", rest += strlen(l->cwd);
    else if (l->home && beneath(path, l->home) && strcmp(l->home, "/")) var = "${HOME}", rest += strlen(l->home);
    bool quote = strpbrk(rest, " \t\"#\\") != NULL;
    fprintf(f, "%s%s", quote ? "\"" : "", var);
    for (; *rest; rest++) {
        if (*rest == '"' || *rest == '\\') fputc('\\', f);
        fputc((unsigned char)*rest < ' ' ? '?' : *rest, f);
    }
    fprintf(f, "%s", quote ? "\"" : "");
}

static const char *verdict(u32 perms)
{
    return perms & PR_WRITE ? (perms & PR_EXEC ? "rwx" : "rw") : perms & PR_EXEC ? "rox" : "ro";
}

static int by_path(const void *a, const void *b) { return strcmp(((const struct grant *)a)->path, ((const struct grant *)b)->path); }

static void write_profile(FILE *f, struct learnt *l, const struct run_options *o, const char *name)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof(date), "%Y-%m-%d", localtime_r(&now, &tm));
    fprintf(f, "profile 1 %s\n# Learned on %s from:", name, date);
    for (char **a = o->argv; *a; a++) {
        fputc(' ', f);
        for (const char *c = *a; *c; c++) fputc((unsigned char)*c < ' ' ? ' ' : *c, f);
    }
    fprintf(f, "\n# Look it over: what the run did is allowed from now on, whether it should have or not.\ninclude system\ninclude secrets\n");
    if (l->nnet) fprintf(f, "include network\n");
    fprintf(f, "\n[files]\n");
    if (l->cwd_perms) {
        fprintf(f, "%-7s ${CWD}\n", verdict(l->cwd_perms));
        for (size_t i = 0; i < ARRAY_LEN(project_secrets); i++) {
            AUTO_FREE char *s = xasprintf("%s/%s", l->cwd, project_secrets[i]);
            bool used = false;
            for (unsigned k = 0; k < l->n; k++) used |= !strcmp(l->g[k].path, s);
            if (!used) fprintf(f, "deny    ${CWD}/%s\n", project_secrets[i]);
        }
    }
    if (l->n) qsort(l->g, l->n, sizeof(*l->g), by_path);
    for (unsigned i = 0; i < l->n; i++) {
        bool inside = false;        /* a wider grant says it already */
        for (unsigned k = 0; k < l->n; k++)
            inside |= k != i && strcmp(l->g[k].path, l->g[i].path) && beneath(l->g[i].path, l->g[k].path) && (l->g[k].perms & l->g[i].perms) == l->g[i].perms;
        if (inside) continue;
        fprintf(f, "%-7s ", verdict(l->g[i].perms));
        put_path(f, l, l->g[i].path);
        fputc('\n', f);
    }
    for (unsigned i = 0; i < l->ncreated; i++) {
        fprintf(f, "# made by the run, and left out: ");
        put_path(f, l, l->created[i]);
        fputc('\n', f);
    }
    for (unsigned i = 0; i < l->ndenied; i++) {
        fprintf(f, "# asked for, and kept denied: ");
        put_path(f, l, l->denied[i]);
        fputc('\n', f);
    }
    if (l->nnet) fprintf(f, "\n[net]\n");
    for (unsigned i = 0; i < l->nnet; i++) fprintf(f, "%s\n", l->net[i]);
}

/* Standard output of sundog, while that of the command goes to standard error. */
static FILE *json_out;

static void print_json(const struct learnt *l, const char *output)
{
    struct json_object *o = json_object_new_object(), *paths = json_object_new_array(), *net = json_object_new_array(), *denied = json_object_new_array();
    json_object_object_add(o, "profile", json_object_new_string(output));
    for (unsigned i = 0; i < l->n; i++) {
        struct json_object *e = json_object_new_object();
        json_object_object_add(e, "verdict", json_object_new_string(verdict(l->g[i].perms)));
        json_object_object_add(e, "path", json_object_new_string(l->g[i].path));
        json_object_array_add(paths, e);
    }
    for (unsigned i = 0; i < l->nnet; i++) json_object_array_add(net, json_object_new_string(l->net[i]));
    for (unsigned i = 0; i < l->ndenied; i++) json_object_array_add(denied, json_object_new_string(l->denied[i]));
    json_object_object_add(o, "directory", l->cwd_perms ? json_object_new_string(verdict(l->cwd_perms)) : NULL);
    json_object_object_add(o, "paths", paths);
    json_object_object_add(o, "net", net);
    json_object_object_add(o, "denied", denied);
    fprintf(json_out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    fclose(json_out);
    json_object_put(o);
}

static int digest(const struct run_options *o, const u8 *events, size_t len, const char *output)
{
    struct learnt l = { .home = getenv("HOME") && *getenv("HOME") == '/' ? getenv("HOME") : NULL };
    const char *const extra[] = { "include system", "include secrets" };
    if (!getcwd(l.cwd, sizeof(l.cwd))) return fail("the current directory is gone (%s)", strerror(errno));
    l.cwd_ok = strcmp(l.cwd, "/") && strcmp(l.cwd, "/home") && !(l.home && beneath(l.home, l.cwd)) && depth(l.cwd) > 1;
    struct profile *base = profile_load_lines(extra, 2);
    struct compiled c;
    if (!base || profile_flatten(base) || profile_compile(base, &c)) {
        profile_free(base);
        return EXIT_SANDBOX;
    }
    size_t pos = 0;
    const struct evlog_rec *e;
    while ((e = evlog_next(events, len, &pos))) {
        if (e->op <= EV_EXEC) take_file(&l, &c, e);
        else if (e->op == EV_CONNECT || e->op == EV_LISTEN) take_net(&l, e, o->argv, events, len);
    }
    const struct evlog_hdr *h = (const void *)events;
    if (len >= sizeof(*h) && h->dropped) fail("warning: the record was full, %llu kinds of access are not in it", (unsigned long long)h->dropped);
    if (l.cwd_ok && !l.cwd_perms) l.cwd_perms = PR_READ;
    AUTO_FREE char *name = xstrdup(strrchr(output, '/') ? strrchr(output, '/') + 1 : output);
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
    for (char *s = name; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-_.+", *s))) *s = '-';
    int r = 0;
    FILE *f = fopen(output, "we");
    if (!f) r = fail("learn -o %s: %s", output, strerror(errno));
    else {
        write_profile(f, &l, o, *name ? name : "learned");
        if (fclose(f)) r = fail("learn -o %s: %s", output, strerror(errno));
        else if (json_out) print_json(&l, output);
        else fail("wrote %s: %u paths, %u connections; `sundog check %s%s` looks it over", output, l.n + (l.cwd_perms != 0), l.nnet,
                  strchr(output, '/') ? "" : "./", output);
    }
    for (unsigned i = 0; i < l.n; i++) free(l.g[i].path);
    for (unsigned i = 0; i < l.nnet; i++) free(l.net[i]);
    for (unsigned i = 0; i < l.ndenied; i++) free(l.denied[i]);
    for (unsigned i = 0; i < l.ncreated; i++) free(l.created[i]);
    free(l.g);
    free(l.net);
    free(l.denied);
    free(l.created);
    compiled_fini(&c);
    profile_free(base);
    return r;
}

int cmd_learn(int argc, char **argv)
{
    static struct run_options o;
    bool helped;
    int status = options_parse_run(&o, "learn", argc, argv, &helped);
    if (status || helped) return status;
    if (!o.output) return fail("learn: where to? sundog learn -o FILE -- COMMAND");
    if (o.json) {
        int fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
        if (fd < 0 || !(json_out = fdopen(fd, "w")) || dup2(2, 1) < 0) return fail("learn --json: %s", strerror(errno));
    }
    o.profile = learning(getenv("HOME"));
    o.learn = true;
    if (profile_flatten(o.profile)) return EXIT_SANDBOX;
    u8 *events = NULL;
    size_t len = 0;
    status = run_execute(&o, &events, &len);
    if (status == EXIT_SANDBOX && !events) {
        options_fini(&o);
        return status;
    }
    int r = events ? digest(&o, events, len, o.output) : fail("learn: there is no record of the run");
    free(events);
    options_fini(&o);
    return r ? r : status;
}
