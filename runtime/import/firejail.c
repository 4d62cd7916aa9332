/*
 * Profiles of firejail (firejail-profile(5), 0.9.72). Firejail shows the host and takes away (`blacklist`), except beneath
 * a directory with a `whitelist`; a profile of ours shows nothing and grants. So the reader first collects, and then
 * says for each place that firejail would show what is granted there; a blacklist entry becomes a rule only where
 * something around it is granted.
 */
#include "runtime/import/import.h"
#include "runtime/options.h"
#include "runtime/textfile.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 16

struct list { struct fitem { char *path, *file; unsigned line; } *v; unsigned n; };
struct firejail {
    struct import *im;
    struct list black, noblack, white, nowhite, ro, rw, noexec, ignore, bins, etc, opt, srv;
    bool net_none, protocols, inet, private_home, private_etc, private_opt, private_srv, no_mnt, writable_var, seccomp, private_cache;
    unsigned depth, lines;
};

static void list_add(struct firejail *f, struct list *l, const char *path)
{
    if (l->n >= 4 * IMPORT_RULES_MAX) return;
    l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n++] = (struct fitem){ xstrdup(path), xstrdup(f->im->file ? f->im->file : f->im->source), f->im->line };
}

static void list_fini(struct list *l)
{
    for (unsigned i = 0; i < l->n; i++) free(l->v[i].path), free(l->v[i].file);
    free(l->v);
}

static bool list_has(const struct list *l, const char *path)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!strcmp(l->v[i].path, path)) return true;
    return false;
}

/* --- reading --- */

static const char *const bin_dirs[] = { "/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin" };

/* ~ and firejail's macros to paths of ours; ${PATH} stays for add_paths. malloc'ed */
static char *expand(const char *s)
{
    static const struct { const char *macro, *text; } m[] = {
        { "~/", "${HOME}/" }, { "${DOCUMENTS}", "${HOME}/Documents" }, { "${DOWNLOADS}", "${HOME}/Downloads" }, { "${DESKTOP}", "${HOME}/Desktop" },
        { "${MUSIC}", "${HOME}/Music" }, { "${PICTURES}", "${HOME}/Pictures" }, { "${VIDEOS}", "${HOME}/Videos" }, { "${CFG}", "/etc/firejail" },
        { "${RUNUSER}", "/run/user/${UID}" }, { "/bin/", "/usr/bin/" }, { "/sbin/", "/usr/sbin/" }, { "/lib/", "/usr/lib/" }, { "/lib64/", "/usr/lib64/" },
        { "/var/run/", "/run/" },
    };
    if (!strcmp(s, "~")) return xstrdup("${HOME}");
    if (!strcmp(s, "/var/run")) return xstrdup("/run");
    for (size_t i = 0; i < ARRAY_LEN(m); i++)
        if (!strncmp(s, m[i].macro, strlen(m[i].macro))) return xasprintf("%s%s", m[i].text, s + strlen(m[i].macro));
    return xstrdup(s);
}

static void add_path(struct firejail *f, struct list *l, const char *arg)
{
    if (!strncmp(arg, "${PATH}/", 8)) {
        for (size_t i = 0; i < ARRAY_LEN(bin_dirs); i++) {
            AUTO_FREE char *p = xasprintf("%s/%s", bin_dirs[i], arg + 8);
            list_add(f, l, p);
        }
        return;
    }
    AUTO_FREE char *p = expand(arg);
    list_add(f, l, p);
}

static void add_names(struct firejail *f, struct list *l, const char *arg)
{
    AUTO_FREE char *copy = xstrdup(arg);
    for (char *save, *w = strtok_r(copy, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) list_add(f, l, w);
}

static bool ignored(const struct firejail *f, const char *line)
{
    for (unsigned i = 0; i < f->ignore.n; i++) {
        size_t n = strlen(f->ignore.v[i].path);
        if (!strncmp(line, f->ignore.v[i].path, n) && (!line[n] || line[n] == ' ' || line[n] == '\t' || line[n] == ',')) return true;
    }
    return false;
}

static int read_text(struct firejail *f, const char *text, size_t len);

/* Beside the file that names it, the user's, then the system's. A missing .local is no news: nobody has to have one. */
static int include(struct firejail *f, const char *line, const char *name)
{
    struct import *im = f->im;
    if (im->no_files) return 0;
    if (f->depth >= DEPTH_MAX) return fail("%s:%u: files include one another more than %d deep: in a circle?", im->file, im->line, DEPTH_MAX);
    AUTO_FREE char *want = expand(name);
    AUTO_FREE char *dir = xstrdup(im->file);
    char *slash = strrchr(dir, '/');
    if (slash) *slash = 0;
    const char *home = getenv("HOME");
    AUTO_FREE char *user = xasprintf("%s/.config/firejail", home && *home == '/' ? home : "/nonexistent");
    const char *dirs[] = { slash ? dir : ".", user, "/etc/firejail" };
    size_t len;
    char *text = NULL;
    AUTO_FREE char *path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(dirs) && !text; i++) {
        free(path);
        path = *want == '/' ? xstrdup(want) : xasprintf("%s/%s", dirs[i], want);
        text = textfile_read(path, IMPORT_FILE_MAX, &len);
    }
    if (!text) {
        size_t n = strlen(name);
        if (n < 6 || strcmp(name + n - 6, ".local")) import_drop(im, line, "there is no such file beside the profile, in ~/.config/firejail or in /etc/firejail");
        return 0;
    }
    const char *file = im->file;
    unsigned at = im->line;
    im->file = path;
    f->depth++;
    int r = read_text(f, text, len);
    f->depth--;
    im->file = file;
    im->line = at;
    free(text);
    return r;
}

/* What has no counterpart because the sandbox does it always. */
static bool always_so(const char *key, const char *arg)
{
    static const char *const held[] = { "quiet", "nonewprivs", "noroot", "private-dev", "private-tmp", "ipc-namespace", "nodvd", "notv", "nou2f", "novideo",
        "noinput", "no3d", "nosound", "noprinters", "restrict-namespaces", "seccomp.block-secondary", "tracelog", "nodbus", "noautopulse",
        "deterministic-shutdown", "deterministic-exit-code", "rmenv", "keep-config-pulse", "ipc", "novpn" };
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        if (!strcmp(key, held[i])) return true;
    return (!strcmp(key, "caps.drop") && !strcmp(arg, "all")) || ((!strcmp(key, "dbus-user") || !strcmp(key, "dbus-system") || !strcmp(key, "x11")) &&
            !strcmp(arg, "none")) || (!strcmp(key, "shell") && !strcmp(arg, "none"));
}

static const char *no_counterpart(const char *key)
{
    static const struct { const char *key, *why; } t[] = {
        { "apparmor", "the host's security modules see the sandbox, not the programs inside" }, { "nogroups", "programs keep the caller's groups" },
        { "caps", "capabilities inside are the sandbox's own" }, { "caps.drop", "capabilities inside are the sandbox's own" },
        { "caps.keep", "capabilities inside are the sandbox's own" }, { "netfilter", "there is no packet filter; [net] rules name hosts and ports" },
        { "netfilter6", "there is no packet filter; [net] rules name hosts and ports" }, { "memory-deny-write-execute", "mappings are not restricted" },
        { "mkdir", "a profile makes no directories: make it before the run" }, { "mkfile", "a profile makes no files: make it before the run" },
        { "hostname", "say it on the command line: --hostname" }, { "private-lib", "libraries are shown whole" }, { "timeout", "there is no limit of a run's time" },
        { "nice", "priorities are the caller's" }, { "cpu", "processors are not assigned" }, { "join-or-start", "sandboxes are not joined" },
        { "allusers", "other homes are not shown unless a rule names them" }, { "protocol", "kinds of sockets beside the internet's are not told apart" },
        { "seccomp.keep", "a list of the calls that stay is not in the language; [sys] names those that go" }, { "writable-etc", "/etc stays read-only" },
        { "x11", "displays of the host are not shown" }, { "xephyr-screen", "displays of the host are not shown" },
        { "writable-run-user", "/run is the sandbox's own" }, { "keep-var-tmp", "/var/tmp is shown read-only" }, { "dns", "the host's resolver is used" },
        { "dbus-user", "no message bus is shown" }, { "dbus-system", "no message bus is shown" }, { "bind", "a profile shows things at their own place" },
        { "overlay", "see --overlay of sundog run" }, { "tmpfs", "only /tmp is in memory" },
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (!strcmp(key, t[i].key)) return t[i].why;
    if (!strncmp(key, "dbus-", 5)) return "no message bus is shown";
    return "there is no counterpart";
}

static void limit(struct firejail *f, const char *line, const char *key, const char *arg)
{
    static const struct { const char *key, *name; enum pkey k; } t[] = { { "rlimit-as", "memory", PK_MEMORY }, { "rlimit-cpu", "cpu-time", PK_CPU_TIME },
        { "rlimit-fsize", "file-size", PK_FILE_SIZE }, { "rlimit-nofile", "open-files", PK_OPEN_FILES }, { "rlimit-nproc", "processes", PK_PROCESSES } };
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (!strcmp(key, t[i].key)) {
            AUTO_FREE char *v = xstrdup(arg);
            for (char *c = v; *c; c++) *c = (char)toupper((unsigned char)*c);
            import_rule(f->im, PS_LIMIT, t[i].k, t[i].name, v);
            return;
        }
    import_drop(f->im, line, "there is no limit of this kind");
}

static void calls(struct firejail *f, const char *arg, const char *line)
{
    AUTO_FREE char *copy = xstrdup(arg);
    for (char *save, *w = strtok_r(copy, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) {
        char *colon = strchr(w, ':');
        if (colon) *colon = 0; /* the error that firejail gives; ours is EPERM */
        if (*w == '@' && !profile_call_group(w)) import_drop(f->im, w, "no such group of system calls");
        else if (*w == '$') import_drop(f->im, line, "calls by number are not in the language");
        else import_rule(f->im, PS_SYS, *w == '!' ? PK_ALLOW : PK_DENY, w + (*w == '!'), NULL);
    }
}

static int read_line(struct firejail *f, char *line)
{
    struct import *im = f->im;
    line += strspn(line, " \t");
    for (char *c = line; (c = strchr(c, '#')); c++)
        if (c > line && (c[-1] == ' ' || c[-1] == '\t')) *c = 0; /* a comment behind the setting */
    while (*line && isspace((unsigned char)line[strlen(line) - 1])) line[strlen(line) - 1] = 0;
    if (!*line || *line == '#') return 0;
    if (*line == '?') {
        import_drop(im, line, "conditions are taken as not met");
        return 0;
    }
    AUTO_FREE char *key = xstrndup(line, strcspn(line, " \t"));
    const char *arg = line + strlen(key);
    arg += strspn(arg, " \t");
    if (!strcmp(key, "ignore")) {
        list_add(f, &f->ignore, arg);
        return 0;
    }
    if (ignored(f, line)) return 0;
    if (!strcmp(key, "include")) return include(f, line, arg);
    static const struct { const char *key; size_t list; bool paths; } lists[] = {
#define L(name) offsetof(struct firejail, name)
        { "blacklist", L(black), true }, { "blacklist-nolog", L(black), true }, { "deny", L(black), true }, { "deny-nolog", L(black), true },
        { "noblacklist", L(noblack), true }, { "nodeny", L(noblack), true }, { "whitelist", L(white), true }, { "allow", L(white), true },
        { "nowhitelist", L(nowhite), true }, { "noallow", L(nowhite), true }, { "whitelist-ro", L(white), true }, { "read-only", L(ro), true },
        { "read-write", L(rw), true }, { "noexec", L(noexec), true }, { "private-bin", L(bins), false }, { "private-etc", L(etc), false },
        { "private-opt", L(opt), false }, { "private-srv", L(srv), false },
#undef L
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (strcmp(key, lists[i].key)) continue;
        struct list *l = (struct list *)(void *)((char *)f + lists[i].list);
        if (l == &f->etc) f->private_etc = true;
        if (l == &f->opt) f->private_opt = true;
        if (l == &f->srv) f->private_srv = true;
        if (!lists[i].paths) add_names(f, l, arg);
        else if (!*arg) import_drop(im, line, "a path is missing");
        else add_path(f, l, arg);
        if (!strcmp(key, "whitelist-ro")) add_path(f, &f->ro, arg);
        return 0;
    }
    if (!strcmp(key, "private")) {
        f->private_home = true;
        if (*arg) import_drop(im, line, "a directory cannot stand in for the home; the home is empty");
    } else if (!strcmp(key, "private-home")) {
        f->private_home = true;
        import_drop(im, line, "nothing is copied into the empty home");
    } else if (!strcmp(key, "private-cache")) {
        f->private_cache = true;
    } else if (!strcmp(key, "private-cwd")) {
        import_drop(im, line, "say it on the command line: --cwd");
    } else if (!strcmp(key, "disable-mnt")) {
        f->no_mnt = true;
    } else if (!strcmp(key, "writable-var") || !strcmp(key, "writable-var-log")) {
        f->writable_var = true;
    } else if (!strcmp(key, "machine-id")) {
        list_add(f, &f->black, "/etc/machine-id");
    } else if (!strcmp(key, "net")) {
        if (!strcmp(arg, "none")) f->net_none = true;
        else import_drop(im, line, "the sandbox has no interfaces of its own; it gets the host's network");
    } else if (!strcmp(key, "protocol")) {
        f->protocols = true;
        f->inet |= strstr(arg, "inet") != NULL;
        if (strstr(arg, "netlink") || strstr(arg, "packet") || strstr(arg, "bluetooth")) import_drop(im, line, no_counterpart(key));
    } else if (!strcmp(key, "seccomp") || !strcmp(key, "seccomp.drop") || !strcmp(key, "seccomp.32.drop")) {
        f->seccomp |= !strcmp(key, "seccomp");
        calls(f, arg, line);
    } else if (!strcmp(key, "allow-debuggers")) {
        static const char *const dbg[] = { "ptrace", "process_vm_readv", "process_vm_writev" };
        for (size_t i = 0; i < ARRAY_LEN(dbg); i++) import_rule(im, PS_SYS, PK_ALLOW, dbg[i], NULL);
    } else if (!strcmp(key, "env")) {
        char *eq = strchr(arg, '=');
        if (!eq || eq == arg) import_drop(im, line, "NAME=VALUE is wanted");
        else {
            AUTO_FREE char *k = xstrndup(arg, (size_t)(eq - arg));
            import_rule(im, PS_ENV, PK_SET, k, eq + 1);
        }
    } else if (!strncmp(key, "rlimit-", 7)) {
        limit(f, line, key, arg);
    } else if (always_so(key, arg)) {
        im->held++;
    } else {
        import_drop(im, line, no_counterpart(key));
    }
    return 0;
}

static int read_text(struct firejail *f, const char *text, size_t len)
{
    f->im->line = 0;
    if (memchr(text, 0, len)) return fail("%s: this is not a text file (it holds a zero byte)", f->im->file);
    while (len) {
        const char *nl = memchr(text, '\n', len);
        size_t n = nl ? (size_t)(nl - text) : len;
        f->im->line++;
        if (n > 8192) return fail("%s:%u: the line is longer than 8192 characters", f->im->file, f->im->line);
        if (++f->lines > 200000) return fail("%s:%u: more than 200000 lines with what is included", f->im->file, f->im->line);
        AUTO_FREE char *line = xstrndup(text, n);
        int r = read_line(f, line);
        if (r) return r;
        text += n + (nl != NULL);
        len -= n + (nl != NULL);
    }
    return 0;
}

/* --- granting --- */

static void at(struct firejail *f, const struct fitem *i) { f->im->file = i->file, f->im->line = i->line; }

/* The sandbox has its own there; what the host has is not shown. */
static bool own_place(const char *p)
{
    static const char *const own[] = { "/proc", "/sys", "/dev", "/tmp", "/run" };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (import_beneath(p, own[i])) return true;
    return false;
}

/* The directory that becomes empty but for what is named in it, as firejail's `whitelist` has them. */
static void top_of(const char *path, char out[64])
{
    static const char *const deep[] = { "/usr/share", "/usr/local", "/usr/lib", "/usr/libexec", "/usr/src" };
    if (import_beneath(path, "${HOME}")) {
        snprintf(out, 64, "${HOME}");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(deep); i++)
        if (import_beneath(path, deep[i])) {
            snprintf(out, 64, "%s", deep[i]);
            return;
        }
    size_t n = 1 + strcspn(path + 1, "/");
    snprintf(out, 64, "%.*s", (int)MIN(n, (size_t)60), path);
}

static u32 granted(struct firejail *f, const char *path)
{
    size_t best = 0;
    u32 perms = import_beneath(path, "/usr") || import_beneath(path, "/opt") || import_beneath(path, "/lib") || import_beneath(path, "/lib64") ||
                import_beneath(path, "/bin") || import_beneath(path, "/sbin") ? PR_READ | PR_EXEC : 0; /* the fragment `system` */
    for (unsigned i = 0; i < f->im->nrules; i++) {
        const struct irule *r = &f->im->rules[i];
        size_t n = strlen(r->object);
        if (r->section != PS_FILES || n < best || !import_beneath(path, r->object)) continue;
        best = n;
        perms = prule_perms(r->key);
    }
    return perms;
}

static enum pkey key_of(u32 perms)
{
    if (!(perms & PR_READ)) return PK_DENY;
    return perms & PR_WRITE ? (perms & PR_EXEC ? PK_RWX : PK_RW) : perms & PR_EXEC ? PK_ROX : PK_RO;
}

static void grant(struct firejail *f, const char *path, u32 perms) { import_rule(f->im, PS_FILES, key_of(perms), path, NULL); }

static void grant_whitelists(struct firejail *f)
{
    bool home_exec = !list_has(&f->noexec, "${HOME}");
    for (unsigned i = 0; i < f->white.n; i++) {
        const char *p = f->white.v[i].path;
        char top[64];
        at(f, &f->white.v[i]);
        if (list_has(&f->nowhite, p)) continue;
        if (own_place(p)) {
            if (!import_beneath(p, "/run/user") && !import_beneath(p, "/dev")) import_drop(f->im, p, "the sandbox has its own there: the host's is not shown");
            else import_drop(f->im, p, "sockets and devices of the host are not shown");
            continue;
        }
        top_of(p, top);
        if (!strcmp(top, "${HOME}")) {
            if (!f->private_home) grant(f, p, PR_READ | PR_WRITE | (home_exec ? PR_EXEC : 0));
            continue;
        }
        if (granted(f, top) && strcmp(top, p)) grant(f, top, 0);
        grant(f, p, import_beneath(p, "/usr") || import_beneath(p, "/opt") ? PR_READ | PR_EXEC : f->writable_var && import_beneath(p, "/var") ? PR_READ | PR_WRITE : PR_READ);
    }
}

static bool has_top(const struct firejail *f, const char *top)
{
    char t[64];
    for (unsigned i = 0; i < f->white.n; i++) {
        top_of(f->white.v[i].path, t);
        if (!strcmp(t, top)) return true;
    }
    return false;
}

static void private_names(struct firejail *f, const struct list *l, const char *dir, u32 perms)
{
    for (unsigned i = 0; i < l->n; i++) {
        at(f, &l->v[i]);
        AUTO_FREE char *p = xasprintf("%s/%s", dir, l->v[i].path);
        grant(f, p, perms);
    }
}

/* What firejail shows when nothing is said. */
static void grant_places(struct firejail *f)
{
    u32 home = PR_READ | PR_WRITE | (list_has(&f->noexec, "${HOME}") ? 0 : PR_EXEC);
    if (!f->private_home && !has_top(f, "${HOME}")) grant(f, "${HOME}", home);
    if (!f->private_etc && !has_top(f, "/etc")) {
        static const char *const closed[] = { "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/etc/ssl/private" };
        grant(f, "/etc", PR_READ);
        for (size_t i = 0; i < ARRAY_LEN(closed); i++) grant(f, closed[i], 0);
    }
    private_names(f, &f->etc, "/etc", PR_READ);
    if (f->private_opt) grant(f, "/opt", 0), private_names(f, &f->opt, "/opt", PR_READ | PR_EXEC);
    if (f->private_srv) private_names(f, &f->srv, "/srv", PR_READ | PR_WRITE);
    else if (!has_top(f, "/srv")) grant(f, "/srv", PR_READ);
    if (!has_top(f, "/var")) grant(f, "/var", f->writable_var ? PR_READ | PR_WRITE : PR_READ);
    if (!f->no_mnt && !has_top(f, "/mnt")) grant(f, "/mnt", PR_READ | PR_WRITE);
    if (!f->no_mnt && !has_top(f, "/media")) grant(f, "/media", PR_READ | PR_WRITE);
    if (f->private_cache) list_add(f, &f->black, "${HOME}/.cache");
}

static void read_only(struct firejail *f)
{
    for (unsigned i = 0; i < f->ro.n; i++) {
        const char *p = f->ro.v[i].path;
        u32 have = granted(f, p);
        at(f, &f->ro.v[i]);
        if (!have) f->im->held++;
        else if (have & PR_WRITE) grant(f, p, have & ~PR_WRITE);
    }
    for (unsigned i = 0; i < f->rw.n; i++) {
        u32 have = granted(f, f->rw.v[i].path);
        at(f, &f->rw.v[i]);
        if (own_place(f->rw.v[i].path)) f->im->held++;
        else grant(f, f->rw.v[i].path, (have & PR_EXEC) | PR_READ | PR_WRITE);
    }
    for (unsigned i = 0; i < f->noexec.n; i++) {
        const char *p = f->noexec.v[i].path;
        at(f, &f->noexec.v[i]);
        if (own_place(p)) import_drop(f->im, p, "noexec: the sandbox's own place there can hold programs");
        else if (granted(f, p) & PR_EXEC) import_rule(f->im, PS_EXEC, PK_DENY, p, NULL);
        else f->im->held++;
    }
}

/* noblacklist takes part of a blacklist back: all of it, or what it names. */
static bool taken_back(struct firejail *f, const char *p)
{
    bool glob = strpbrk(p, "*?[") != NULL;
    for (unsigned i = 0; i < f->noblack.n; i++) {
        const char *q = f->noblack.v[i].path;
        if (!strcmp(p, q) || (!glob && !fnmatch(q, p, FNM_PATHNAME))) return true;
        if (!glob || fnmatch(p, q, FNM_PATHNAME)) continue;
        if (strpbrk(q, "*?[")) return true; /* settled by dropping the blacklist: two patterns would tie */
        u32 have = granted(f, q);
        if (have && !import_find(f->im, PS_FILES, PK_RO, q)) grant(f, q, have);
    }
    return false;
}

static void deny_blacklists(struct firejail *f)
{
    for (unsigned i = 0; i < f->black.n; i++) {
        const char *p = f->black.v[i].path;
        at(f, &f->black.v[i]);
        if (own_place(p) || !granted(f, p)) f->im->held++;
        else if (!taken_back(f, p)) grant(f, p, 0);
    }
}

static void only_programs(struct firejail *f)
{
    if (!f->bins.n) return;
    for (size_t d = 0; d < ARRAY_LEN(bin_dirs); d++) import_rule(f->im, PS_EXEC, PK_DENY, bin_dirs[d], NULL);
    for (unsigned i = 0; i < f->bins.n; i++) {
        at(f, &f->bins.v[i]);
        if (f->bins.v[i].path[0] == '/') import_rule(f->im, PS_EXEC, PK_ALLOW, f->bins.v[i].path, NULL);
        else
            for (size_t d = 0; d < ARRAY_LEN(bin_dirs); d++) {
                AUTO_FREE char *p = xasprintf("%s/%s", bin_dirs[d], f->bins.v[i].path);
                import_rule(f->im, PS_EXEC, PK_ALLOW, p, NULL);
            }
    }
}

int import_firejail(struct import *im, const char *text, size_t len)
{
    struct firejail f = { .im = im };
    im->file = im->source;
    int r = read_text(&f, text, len);
    if (!r) {
        im->file = NULL;
        im->line = 0;
        grant_places(&f);
        grant_whitelists(&f);
        read_only(&f);
        deny_blacklists(&f);
        only_programs(&f);
        im->file = NULL;
        im->line = 0;
        if (f.seccomp) {
            static const char *const groups[] = { "@mount", "@io-uring", "@numa", "@keyring" };
            for (size_t i = 0; i < ARRAY_LEN(groups); i++) import_rule(im, PS_SYS, PK_DENY, groups[i], NULL);
        }
        if (!f.net_none && (!f.protocols || f.inet)) {
            import_rule(im, PS_NET, PK_CONNECT, "*:*", NULL);
            import_rule(im, PS_NET, PK_LISTEN, "*:*", NULL);
            im->network = true;
            import_hint(im, "The original may connect to every host: name those that it needs in [net] instead.");
            import_drop(im, "connections to the host's own loopback", "a rule has to name it: `connect loopback:PORT`");
        }
        import_rule(im, PS_ENV, PK_PASS, "XDG_*", NULL);
        import_rule(im, PS_ENV, PK_PASS, "EDITOR", NULL);
        import_drop(im, "the environment", "firejail passes all of it; [env] passes what it names");
    }
    im->file = NULL;
    struct list *all[] = { &f.black, &f.noblack, &f.white, &f.nowhite, &f.ro, &f.rw, &f.noexec, &f.ignore, &f.bins, &f.etc, &f.opt, &f.srv };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) list_fini(all[i]);
    return r;
}
