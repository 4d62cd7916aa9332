/* Where a container's cgroups are, making and removing them. The values are set in cgroup_values.c. */
#include "runtime/oci/cgroup.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cgroup_mounts_read(struct cg_mounts *m)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t cap = 0;
    *m = (struct cg_mounts){ 0 };
    while (f && getline(&line, &cap, f) > 0) {
        char root[512], dir[1024], fs[64], super[1024];
        char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*d %*d %*s %511s %1023s", root, dir) != 2 || sscanf(dash, " - %63s %*s %1023s", fs, super) != 2) continue;
        bool v2 = !strcmp(fs, "cgroup2");
        if (!v2 && strcmp(fs, "cgroup")) continue;
        bool known = false;
        for (unsigned i = 0; i < m->n; i++) known |= m->m[i].v2 == v2 && (v2 || !strcmp(m->m[i].controllers, super));
        if (known) continue;
        m->m = xrealloc(m->m, (m->n + 1) * sizeof(*m->m));
        m->m[m->n++] = (struct cg_mount){ .dir = xstrdup(dir), .controllers = xstrdup(v2 ? "" : super), .v2 = v2 };
    }
    free(line);
    if (f) fclose(f);
    m->v2_only = m->n == 1 && m->m[0].v2;
}

void cgroup_mounts_free(struct cg_mounts *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        free(m->m[i].dir);
        free(m->m[i].controllers);
    }
    free(m->m);
}

int cgroup_write(const char *dir, const char *name, const char *value)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

char *cgroup_read(const char *dir, const char *name)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t n = 0, cap = 4096;
    char *buf = xzalloc(cap);
    ssize_t r;
    while ((r = read(fd, buf + n, cap - n - 1)) > 0) {
        n += (size_t)r;
        if (n == cap - 1) {
            buf = xrealloc(buf, cap *= 2);
            memset(buf + n, 0, cap - n);
        }
    }
    close(fd);
    while (n && buf[n - 1] == '\n') buf[--n] = 0;
    return buf;
}

bool cgroup_has(const char *dir, const char *name)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    return !access(path, F_OK);
}

/* --- which --- */

/* Own cgroup in a hierarchy, from /proc/self/cgroup. */
static char *own_path(const struct cg_mount *m)
{
    AUTO_FREE char *all = cgroup_read("/proc/self", "cgroup");
    for (char *line = all, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        list++;
        if (m->v2 ? !*list : *list && strstr(m->controllers, list)) return xstrdup(path);
    }
    return xstrdup("/");
}

/* slice:prefix:name, as systemd's driver has it, to the directory that systemd would make. */
static char *systemd_path(const char *spec, const char *id)
{
    AUTO_FREE char *copy = xstrdup(spec ? spec : "");
    char *slice = copy, *prefix = strchr(copy, ':'), *name = NULL;
    if (prefix) *prefix++ = 0, name = strchr(prefix, ':');
    if (name) *name++ = 0;
    if (!prefix || !name) slice = (char *)(uintptr_t)"", prefix = (char *)(uintptr_t)"sundog", name = (char *)(uintptr_t)id;
    if (!*slice) slice = (char *)(uintptr_t)"system.slice";
    char *out = xstrdup("");
    /* a-b.slice lies in a.slice */
    size_t stem = strlen(slice) > 6 && !strcmp(slice + strlen(slice) - 6, ".slice") ? strlen(slice) - 6 : 0;
    for (size_t i = 1; i <= stem && strcmp(slice, "-.slice"); i++)
        if (i == stem || slice[i] == '-') {
            char *next = xasprintf("%s/%.*s.slice", out, (int)i, slice);
            free(out);
            out = next;
        }
    char *full = strlen(name) > 6 && !strcmp(name + strlen(name) - 6, ".slice") ? xasprintf("%s/%s", out, name) :
                 *prefix ? xasprintf("%s/%s-%s.scope", out, prefix, name) : xasprintf("%s/%s.scope", out, name);
    free(out);
    return full;
}

static bool bad_path(const char *p)
{
    for (const char *s = p; *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && !strncmp(s, "..", 2)) return true;
        s += n;
        if (*s) s++;
    }
    return p[strspn(p, "/.")] == 0;
}

static char *wanted_path(const struct oci_create *c, const struct cg_mount *m)
{
    const char *p = c->cfg.cgroups_path;
    bool colons = p && strchr(p, ':') && p[0] != '/';
    if (oci.systemd_cgroup || colons) return systemd_path(p, c->id);
    if (!p || !p[0]) return xasprintf("/%s", c->id);
    if (p[0] == '/') return xstrdup(p);
    AUTO_FREE char *own = own_path(m);
    return xasprintf("%s/%s", strcmp(own, "/") ? own : "", p);
}

/* --- making --- */

static void cpuset_inherit(const char *dir, const char *parent)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO_FREE char *v = cgroup_read(dir, files[i]);
        if (!v || v[0]) continue;
        AUTO_FREE char *up = cgroup_read(parent, files[i]);
        if (up && up[0]) cgroup_write(dir, files[i], up);
    }
}

static void enable_controllers(const char *dir)
{
    AUTO_FREE char *list = cgroup_read(dir, "cgroup.controllers");
    for (char *s = list, *name; (name = strsep(&s, " "));) {
        if (!*name) continue;
        AUTO_FREE char *on = xasprintf("+%s", name);
        cgroup_write(dir, "cgroup.subtree_control", on); /* one that is busy or not ours shows when its value is set */
    }
}

/* Where make_path ends. */
static char *joined(const struct cg_mount *m, const char *path)
{
    AUTO_FREE char *copy = xstrdup(path);
    char *at = xstrdup(m->dir);
    for (char *s = copy, *name; (name = strsep(&s, "/"));) {
        if (!*name || !strcmp(name, ".")) continue;
        char *next = xasprintf("%s/%s", at, name);
        free(at);
        at = next;
    }
    return at;
}

/* Every directory of the way that is not there; *made: the last was not. -errno */
static int make_path(const struct cg_mount *m, const char *path, char **dir, bool *made)
{
    AUTO_FREE char *copy = xstrdup(path);
    char *at = xstrdup(m->dir);
    int r = 0;
    *made = false;
    for (char *s = copy, *name; !r && (name = strsep(&s, "/"));) {
        if (!*name || !strcmp(name, ".")) continue;
        if (m->v2) enable_controllers(at);
        char *next = xasprintf("%s/%s", at, name);
        *made = !mkdir(next, 0755);
        if (!*made && errno != EEXIST) r = -errno;
        else if (strstr(m->controllers, "cpuset")) cpuset_inherit(next, at);
        free(at);
        at = next;
    }
    *dir = at;
    return r;
}

static int limits_wanted(const struct oci_resources *r)
{
    return r->memory.has_limit || r->memory.has_reservation || r->memory.has_swap || r->cpu.has_shares || r->cpu.has_quota || r->cpu.cpus ||
           r->cpu.mems || r->has_pids || r->nunified || r->nhuge || r->blkio.has_weight;
}

static void remember(struct oci_state *s, const char *dir)
{
    s->cgroups = xrealloc(s->cgroups, (s->ncgroups + 1) * sizeof(*s->cgroups));
    s->cgroups[s->ncgroups++] = xstrdup(dir);
}

static bool has_controller(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; (s = strstr(s, name)); s += n)
        if ((s == list || s[-1] == ',') && (!s[n] || s[n] == ',')) return true;
    return false;
}

/* rw,cpu,cpuacct -> cpu,cpuacct */
static char *controller_names(const char *super)
{
    static const char *const not_them[] = { "rw", "ro", "xattr", "noprefix", "clone_children", "seclabel" };
    AUTO_FREE char *copy = xstrdup(super);
    char *out = xstrdup(""), *word, *s = copy;
    while ((word = strsep(&s, ","))) {
        bool skip = !*word || !strncmp(word, "release_agent", 13);
        for (size_t i = 0; i < ARRAY_LEN(not_them); i++) skip |= !strcmp(word, not_them[i]);
        if (skip) continue;
        char *next = xasprintf("%s%s%s", out, *out ? "," : "", word);
        free(out);
        out = next;
    }
    return out;
}

/* Said before they are made: whoever is killed in between leaves nothing that delete does not find. */
static int announce(const struct oci_create *c, const struct cg_mounts *all, struct oci_state *s)
{
    for (unsigned i = 0; i < all->n; i++) {
        const struct cg_mount *m = &all->m[i];
        if (m->v2 && !all->v2_only) continue;
        AUTO_FREE char *path = wanted_path(c, m);
        if (bad_path(path)) return oci_fail("config.json: linux.cgroupsPath: %s is no place for a container", path);
        AUTO_FREE char *dir = joined(m, path);
        if (access(dir, F_OK)) remember(s, dir);
    }
    int r = state_save(c->dirfd, s);
    return r ? oci_fail("writing the state: %s", strerror(-r)) : 0;
}

int oci_cgroup_create(struct oci_create *c, struct oci_state *s)
{
    struct cg_mounts all;
    bool lenient = geteuid() != 0 || oci.rootless;
    if (oci.no_cgroup) return 0;
    cgroup_mounts_read(&all);
    char **dirs = xzalloc((all.n + 1) * sizeof(*dirs));
    unsigned n = 0;
    int r = announce(c, &all, s);
    for (unsigned i = 0; i < all.n && !r; i++) {
        const struct cg_mount *m = &all.m[i];
        char *dir = NULL;
        bool made = false;
        if (m->v2 && !all.v2_only) continue; /* hybrid: the controllers that count are v1's */
        AUTO_FREE char *path = wanted_path(c, m);
        int e = make_path(m, path, &dir, &made);
        if (!e) e = cgroup_write(dir, "cgroup.procs", "0");
        if (e && (e == -EROFS || lenient || !limits_wanted(&c->cfg.res))) { /* not here: the container runs in its caller's cgroup */
            if (made) rmdir(dir);
            free(dir);
            if (!lenient && limits_wanted(&c->cfg.res)) r = oci_fail("cgroup %s%s: %s", m->dir, path, strerror(-e));
            continue;
        }
        if (e) r = oci_fail("cgroup %s: joining it: %s", dir, strerror(-e));
        if (m->v2) s->cgroup_v2 = xstrdup(dir);
        if (has_controller(m->controllers, "memory")) s->cgroup_memory = xstrdup(dir);
        if (has_controller(m->controllers, "freezer")) s->cgroup_freezer = xstrdup(dir);
        c->cg = xrealloc(c->cg, (c->ncg + 1) * sizeof(*c->cg));
        c->cg[c->ncg].dir = xstrdup(dir);
        c->cg[c->ncg++].controllers = controller_names(m->controllers);
        dirs[n++] = dir;
    }
    if (!r && c->cfg.has_resources && n) r = s->cgroup_v2 ? cgroup_v2_apply(dirs[0], &c->cfg.res) : cgroup_v1_apply(dirs, n, &c->cfg.res, true);
    if (r) { /* out again, so that they can be removed */
        for (unsigned i = 0; i < all.n; i++) cgroup_write(all.m[i].dir, "cgroup.procs", "0");
        for (unsigned i = 0; i < s->ncgroups; i++) rmdir(s->cgroups[i]);
    }
    for (unsigned i = 0; i < n; i++) free(dirs[i]);
    free(dirs);
    cgroup_mounts_free(&all);
    return r;
}

/* The directories the supervisor is in, whoever made them. */
static char **dirs_of(const struct oci_state *s, unsigned *n)
{
    struct cg_mounts all;
    char **dirs;
    char proc[64];
    *n = 0;
    cgroup_mounts_read(&all);
    dirs = xzalloc((all.n + 1) * sizeof(*dirs));
    snprintf(proc, sizeof(proc), "/proc/%d", s->pid);
    AUTO_FREE char *text = cgroup_read(proc, "cgroup");
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        list++;
        for (unsigned i = 0; i < all.n; i++) {
            const struct cg_mount *m = &all.m[i];
            if (m->v2 ? *list || !all.v2_only : !*list || !strstr(m->controllers, list)) continue;
            if (*n < all.n && strcmp(path, "/")) dirs[(*n)++] = xasprintf("%s%s", m->dir, path);
            break;
        }
    }
    cgroup_mounts_free(&all);
    return dirs;
}

int oci_cgroup_join(const struct oci_state *s)
{
    unsigned n;
    char **dirs = dirs_of(s, &n);
    for (unsigned i = 0; i < n; i++) {
        cgroup_write(dirs[i], "cgroup.procs", "0");
        free(dirs[i]);
    }
    free(dirs);
    return 0;
}

int oci_cgroup_update(const struct oci_state *s, const struct oci_resources *r)
{
    unsigned n;
    char **dirs = dirs_of(s, &n);
    int e = 0;
    if (!n) e = oci_fail("the container has no cgroup of its own to update");
    else e = s->cgroup_v2 ? cgroup_v2_apply(s->cgroup_v2, r) : cgroup_v1_apply(dirs, n, r, r->ndevices > 0);
    for (unsigned i = 0; i < n; i++) free(dirs[i]);
    free(dirs);
    return e;
}

/* --- removing --- */

static void kill_all_in(const char *dir)
{
    if (cgroup_has(dir, "freezer.state")) cgroup_write(dir, "freezer.state", "THAWED");
    if (cgroup_has(dir, "cgroup.freeze")) cgroup_write(dir, "cgroup.freeze", "0");
    AUTO_FREE char *pids = cgroup_read(dir, "cgroup.procs");
    for (char *s = pids, *line; (line = strsep(&s, "\n"));) {
        pid_t pid = (pid_t)atoi(line);
        if (pid > 1 && pid != getpid()) kill(pid, SIGKILL);
    }
}

/* With what engines or others made below. 0: gone. */
static int remove_tree(const char *dir, unsigned depth)
{
    if (!rmdir(dir) || errno == ENOENT) return 0;
    kill_all_in(dir);
    DIR *d = depth ? opendir(dir) : NULL;
    struct dirent *e;
    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            AUTO_FREE char *sub = xasprintf("%s/%s", dir, e->d_name);
            remove_tree(sub, depth - 1);
        }
    if (d) closedir(d);
    return !rmdir(dir) || errno == ENOENT ? 0 : -errno;
}

void oci_cgroup_thaw(const struct oci_state *s)
{
    unsigned n;
    char **dirs = dirs_of(s, &n);
    for (unsigned i = 0; i < n; i++) {
        if (cgroup_has(dirs[i], "freezer.state")) cgroup_write(dirs[i], "freezer.state", "THAWED");
        if (cgroup_has(dirs[i], "cgroup.freeze")) cgroup_write(dirs[i], "cgroup.freeze", "0");
        free(dirs[i]);
    }
    free(dirs);
}

void oci_cgroup_destroy(const struct oci_state *s)
{
    for (unsigned i = 0; i < s->ncgroups; i++) {
        int r = 0;
        for (int k = 0; k < 500 && (r = remove_tree(s->cgroups[i], 8)); k++) usleep(10000);
        if (r) oci_log("error", "cgroup %s cannot be removed: %s", s->cgroups[i], strerror(-r));
    }
}
