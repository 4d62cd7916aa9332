#include "runtime/layer.h"
#include "runtime/plan_build_int.h"
#include "runtime/profile/apply.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void plan_keep_fd(int **list, unsigned *n, int fd)
{
    *list = xrealloc(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = fd;
}

static unsigned path_depth(const char *s)
{
    unsigned n = 0;
    for (; *s; s++)
        if (*s == '/' && s[1] && s[1] != '/') n++;
    return n;
}

struct mount_entry *builder_mount(struct builder *b, enum plan_mount_type type, const char *at, const char *source, u32 flags)
{
    ASSERT(b->nmounts < MAX_MOUNTS);
    struct mount_entry *e = &b->mounts[b->nmounts++];
    *e = (struct mount_entry){ .m = { .type = type, .flags = flags, .mode = 0755 }, .at = xstrdup(at), .source = xstrdup(source), .depth = path_depth(at) };
    return e;
}

/* Opened here, so that the name is resolved with the caller's rights. */
int builder_host(struct builder *b, const char *host, const char *at, bool overlay, u32 flags)
{
    int fd = open(host, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) return fail("showing %s: %s", host, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        close(fd);
        return fail("showing %s: only directories and regular files can be shown; this is a %s", host,
                    S_ISSOCK(st.st_mode) ? "socket" : S_ISFIFO(st.st_mode) ? "FIFO" : "device");
    }
    bool ro = overlay || (flags & MNT_RDONLY);
    struct plan_root r = { .fd = fd, .flags = PLAN_ROOT_NODEV_CREATE };
    if (ro) r.flags |= PLAN_ROOT_RO;
    if (flags & MNT_NOEXEC) r.flags |= PLAN_ROOT_NOEXEC;
    if (!S_ISDIR(st.st_mode)) r.flags |= PLAN_ROOT_FILE;
    if (overlay && !S_ISDIR(st.st_mode)) return fail("showing %s: a directory is wanted here", host);
    plan_add2(&b->p->gofer, PLAN_ROOT, &r, sizeof(r), &at, 1);
    plan_keep_fd(&b->p->gofer_fds, &b->p->n_gofer_fds, fd);
    u32 root = b->nroots++, upper = 0;
    if (overlay && b->o->layer && S_ISDIR(st.st_mode)) {
        int e = layer_upper(b, host, at, &upper);
        if (e) return e;
    }
    struct mount_entry *e = builder_mount(b, overlay ? PM_OVERLAY : PM_GOFER, at, overlay ? "overlay" : host, flags);
    e->m.gofer_root = root;
    e->m.upper_root = upper;
    e->m.mode = S_ISDIR(st.st_mode) ? 0755 : 0; /* 0: the mount point is a file */
    return 0;
}

/*
 * The essential pieces of Solaris, if this installation has them: a root of the gofer's that is mounted nowhere; the
 * sentry lends single files of it to Solaris programs.
 */
void plan_solaris_pieces(struct spawn_plan *p, u32 *next_root)
{
    static const char *const where[] = { "abi/solaris/userland", "../libexec/sundog/solaris", "../lib/sundog/solaris" };
    char self[PATH_MAX], path[PATH_MAX + 64];
    const char *env = getenv("SUNDOG_SOLARIS_PIECES");
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? (self[n] = 0, strrchr(self, '/')) : NULL;

    if (slash) *slash = 0;
    for (size_t i = 0; i < (env ? 1 : slash ? ARRAY_LEN(where) : 0); i++) {
        if (env) snprintf(path, sizeof(path), "%s", env);
        else snprintf(path, sizeof(path), "%s/%s", self, where[i]);
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || faccessat(fd, "ld.so.1", R_OK, 0)) {
            if (fd >= 0) close(fd);
            continue;
        }
        struct plan_root r = { .fd = fd, .flags = PLAN_ROOT_NODEV_CREATE | PLAN_ROOT_RO };
        u32 index = (*next_root)++;
        plan_add(&p->gofer, PLAN_ROOT, &r, sizeof(r));
        plan_add(&p->sentry, PLAN_SOLARIS_PIECES, &index, sizeof(index));
        plan_keep_fd(&p->gofer_fds, &p->n_gofer_fds, fd);
        return;
    }
}

u32 builder_layer_root(struct builder *b, int fd)
{
    struct plan_root r = { .fd = fd, .flags = PLAN_ROOT_NODEV_CREATE | PLAN_ROOT_LAYER };
    plan_add(&b->p->gofer, PLAN_ROOT, &r, sizeof(r));
    plan_keep_fd(&b->p->gofer_fds, &b->p->n_gofer_fds, fd);
    return b->nroots++;
}

void builder_sentry_fd(struct builder *b, int fd) { plan_keep_fd(&b->p->sentry_fds, &b->p->n_sentry_fds, fd); }

void builder_broker_fd(struct builder *b, int fd) { plan_keep_fd(&b->p->broker_fds, &b->p->n_broker_fds, fd); }

void builder_dir(struct builder *b, const char *path, u32 mode)
{
    plan_add2(&b->p->sentry, PLAN_DIR, &mode, sizeof(mode), &path, 1);
}

void builder_symlink(struct builder *b, const char *target, const char *path)
{
    const char *both[] = { target, path };
    plan_add2(&b->p->sentry, PLAN_SYMLINK, NULL, 0, both, 2);
}

void builder_kernel_mounts(struct builder *b)
{
    builder_mount(b, PM_PROC, "/proc", "proc", MNT_NOSUID | MNT_NODEV | MNT_NOEXEC);
    builder_mount(b, PM_SYS, "/sys", "sysfs", MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_RDONLY);
    builder_mount(b, PM_DEV, "/dev", "dev", MNT_NOSUID);
    builder_mount(b, PM_DEVPTS, "/dev/pts", "devpts", MNT_NOSUID | MNT_NOEXEC);
    builder_mount(b, PM_TMPFS, "/dev/shm", "shm", MNT_NOSUID | MNT_NODEV)->m.mode = 01777;
    builder_mount(b, PM_MQUEUE, "/dev/mqueue", "mqueue", MNT_NOSUID | MNT_NODEV | MNT_NOEXEC)->m.mode = 01777;
}

void builder_empty_places(struct builder *b, const char *home)
{
    static const char *const empty[] = { "/home", "/mnt", "/root", "/run", "/srv", "/var", "/var/cache", "/var/lib", "/var/log" };
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) builder_dir(b, empty[i], !strcmp(empty[i], "/root") ? 0700 : 0755);
    builder_dir(b, "/var/tmp", 01777);
    if (home && home[0] == '/' && home[1]) builder_dir(b, home, 0700 | PLAN_DIR_OWNED);
    builder_mount(b, PM_TMPFS, "/tmp", "tmpfs", MNT_NOSUID | MNT_NODEV)->m.mode = 01777;
}

/* Host directories that programs need, read-only; what is a symlink on the host (/bin -> usr/bin) stays one. */
static int add_system_dirs(struct builder *b)
{
    static const char *const dirs[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt" };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct stat st;
        char target[PATH_MAX];
        if (lstat(dirs[i], &st)) continue;
        if (S_ISLNK(st.st_mode)) {
            ssize_t n = readlink(dirs[i], target, sizeof(target) - 1);
            if (n <= 0) continue;
            target[n] = 0;
            builder_symlink(b, target, dirs[i]);
        } else if (S_ISDIR(st.st_mode)) {
            int r = builder_host(b, dirs[i], dirs[i], false, MNT_RDONLY | MNT_NODEV | MNT_NOSUID);
            if (r) return r;
        }
    }
    return 0;
}

static bool under(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/* cwd: where the program starts; out, PATH_MAX bytes. */
static int add_views(struct builder *b, char *cwd, const char *home)
{
    const struct run_options *o = b->o;
    int r;
    bool root_given = false;
    for (unsigned i = 0; i < o->nmounts; i++) root_given |= !path_depth(o->mounts[i].at);
    snprintf(cwd, PATH_MAX, "/");
    if (o->rootfs) {
        if (root_given) return fail("a mount at / and --rootfs exclude each other");
        r = builder_host(b, o->rootfs, "/", !o->rootfs_writable, 0);
        if (r) return r;
    } else if (!root_given) {
        builder_mount(b, PM_TMPFS, "/", "root", MNT_NOSUID | MNT_NODEV);
        if ((r = add_system_dirs(b))) return r;
        builder_empty_places(b, home);
        if (!getcwd(cwd, PATH_MAX)) return fail("the current directory is gone (%s): change to one that exists", strerror(errno));
        if (under(cwd, "/proc") || under(cwd, "/sys") || under(cwd, "/dev")) {
            /* The sandbox has its own; the host's stay outside. */
            fail("warning: the current directory %s is not shown; the program starts in /", cwd);
            snprintf(cwd, PATH_MAX, "/");
        } else if (strcmp(cwd, "/")) {
            if ((r = builder_host(b, cwd, cwd, true, MNT_NODEV | MNT_NOSUID))) return r;
        }
    }
    builder_kernel_mounts(b);
    for (unsigned i = 0; i < o->nmounts; i++) {
        const struct user_mount *m = &o->mounts[i];
        u32 flags = MNT_NODEV | MNT_NOSUID | (m->writable ? 0 : MNT_RDONLY) | (m->exec ? 0 : MNT_NOEXEC);
        if ((r = builder_host(b, m->host, m->at, false, flags))) return r;
    }
    if (o->cwd) snprintf(cwd, PATH_MAX, "%s", o->cwd);
    return 0;
}

/* Parents before children, else in the order given: a later mount on the same place covers the earlier one. */
static void emit_mounts(struct builder *b)
{
    for (unsigned i = 1; i < b->nmounts; i++) {
        struct mount_entry e = b->mounts[i];
        unsigned j = i;
        for (; j > 0 && b->mounts[j - 1].depth > e.depth; j--) b->mounts[j] = b->mounts[j - 1];
        b->mounts[j] = e;
    }
    for (unsigned i = 0; i < b->nmounts; i++) {
        struct mount_entry *e = &b->mounts[i];
        const char *s[] = { e->at, e->source, "" };
        plan_add2(&b->p->sentry, PLAN_MOUNT, &e->m, sizeof(e->m), s, 3);
        free(e->at);
        free(e->source);
    }
}

/* --- environment --- */

static void env_put(struct plan_writer *w, const char *const *over, unsigned nover, const char *kv)
{
    size_t n = strcspn(kv, "=");
    for (unsigned i = 0; i < nover; i++)
        if (!strncmp(over[i], kv, n) && (over[i][n] == '=' || !over[i][n])) return;
    plan_add_str(w, PLAN_ENV, kv);
}

static void env_put2(struct plan_writer *w, const struct run_options *o, const char *k, const char *v)
{
    if (!v || !*v) return;
    AUTO_FREE char *kv = xasprintf("%s=%s", k, v);
    env_put(w, o->env, o->nenv, kv);
}

extern char **environ;

/* PATH is the sandbox's; identity follows the user; of the caller's own only terminal, language and time zone pass. */
static void add_env(struct builder *b, bool same_user, u32 uid, const char *home)
{
    static const char *const pass[] = { "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR" };
    const struct run_options *o = b->o;
    struct plan_writer *w = &b->p->sentry;
    env_put(w, o->env, o->nenv, DEFAULT_PATH);
    env_put2(w, o, "HOME", home);
    const char *user = uid == 0 ? "root" : same_user ? getenv("USER") : NULL;
    env_put2(w, o, "USER", user);
    env_put2(w, o, "LOGNAME", user);
    env_put2(w, o, "SHELL", "/bin/sh");
    for (size_t i = 0; i < ARRAY_LEN(pass); i++) env_put2(w, o, pass[i], getenv(pass[i]));
    for (char **e = environ; *e; e++)
        if (!strncmp(*e, "LC_", 3)) env_put(w, o->env, o->nenv, *e);
    for (unsigned i = 0; i < o->nenv; i++) {
        const char *kv = o->env[i];
        bool later = false; /* the last of several settings counts */
        size_t n = strcspn(kv, "=");
        for (unsigned j = i + 1; j < o->nenv; j++) later |= strcspn(o->env[j], "=") == n && !strncmp(o->env[j], kv, n);
        if (later) continue;
        if (kv[n]) plan_add_str(w, PLAN_ENV, kv);
        else if (getenv(kv)) {
            AUTO_FREE char *full = xasprintf("%s=%s", kv, getenv(kv));
            plan_add_str(w, PLAN_ENV, full);
        }
    }
}

static void add_cred(struct builder *b, u32 uid, u32 gid, bool same_user)
{
    gid_t groups[256];
    int n = same_user ? getgroups(ARRAY_LEN(groups), groups) : 0;
    mode_t um = umask(0);
    umask(um);
    struct plan_cred c = { .uid = uid, .gid = gid, .umask = um, .ngroups = (u32)MAX(n, 0) };
    /* Inside, root is a full root: what it can do to the host is decided by the gofer's roots, not by these. */
    u64 all = (1ULL << (CAP_LAST_CAP + 1)) - 1;
    c.caps[3] = all;
    if (uid == 0) c.caps[1] = c.caps[2] = all;
    u8 buf[sizeof(c) + sizeof(groups)];
    memcpy(buf, &c, sizeof(c));
    for (u32 i = 0; i < c.ngroups; i++) memcpy(buf + sizeof(c) + i * sizeof(u32), &groups[i], sizeof(u32));
    plan_add(&b->p->sentry, PLAN_CRED, buf, sizeof(c) + c.ngroups * sizeof(u32));
}

/*
 * Standard descriptors. A pipe is opened anew, so that the sentry can have it nonblocking without changing the open
 * file that the caller's other programs share.
 */
void plan_std_fds(struct spawn_plan *p, const struct console *c, unsigned open_mask)
{
    struct plan_writer *w = &p->sentry;
    if (c->fd >= 0) {
        struct plan_console pc = { .host_fd = c->fd, .rows = c->rows, .cols = c->cols, .guest_mask = c->guest_mask };
        plan_add(w, PLAN_CONSOLE, &pc, sizeof(pc));
        plan_keep_fd(&p->sentry_fds, &p->n_sentry_fds, c->fd);
    }
    for (int i = 0; i < 3; i++) {
        struct stat st;
        if (!(open_mask & 1u << i) || (c->fd >= 0 && (c->guest_mask & 1u << i))) continue;
        int fd = -1;
        if (!fstat(i, &st) && S_ISFIFO(st.st_mode)) {
            char path[32];
            snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
            int acc = fcntl(i, F_GETFL) & O_ACCMODE;
            fd = open(path, acc | O_NONBLOCK | O_CLOEXEC);
        }
        if (fd < 0) fd = fcntl(i, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) continue;
        struct plan_fd pf = { .host_fd = fd, .guest_fd = i };
        plan_add(w, PLAN_FD, &pf, sizeof(pf));
        plan_keep_fd(&p->sentry_fds, &p->n_sentry_fds, fd);
    }
}

static void add_limits(struct plan_writer *w)
{
    for (u32 i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit l;
        if (getrlimit((__rlimit_resource_t)i, &l)) continue;
        struct plan_rlimit r = { .which = i, .soft = l.rlim_cur, .hard = l.rlim_max };
        plan_add(w, PLAN_RLIMIT, &r, sizeof(r));
    }
}

u32 plan_cpu_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) ? 1 : (u32)MAX(CPU_COUNT(&set), 1);
}

void plan_net(struct spawn_plan *p, const char *net)
{
    p->net_host = !strcmp(net, "host");
    struct plan_net n = { .mode = p->net_host ? PLAN_NET_HOST : !strcmp(net, "none") ? PLAN_NET_NONE : PLAN_NET_LOOPBACK };
    if (p->net_host) {
        n.allow = PLAN_NET_OUT | PLAN_NET_BIND | PLAN_NET_IN;
        plan_add(&p->broker, PLAN_NET, &n, sizeof(n));
    }
    plan_add(&p->sentry, PLAN_NET, &n, sizeof(n));
}

int plan_build(struct spawn_plan *p, const struct run_options *o, const struct console *c, unsigned open_mask)
{
    struct builder b = { .p = p, .o = o };
    *p = (struct spawn_plan){ .debug = o->debug };
    plan_begin(&p->sentry);
    plan_begin(&p->gofer);
    plan_begin(&p->broker);
    const char *net = o->net ? o->net : profile_wants_host_net(o->profile) ? "host" : "loopback";
    p->net_host = !strcmp(net, "host");
    if (!p->net_host || !o->profile) plan_net(p, net);
    u32 uid = o->has_uid ? o->uid : geteuid(), gid = o->has_gid ? o->gid : getegid();
    bool same_user = uid == geteuid() && gid == getegid();
    const char *home = o->profile && same_user && getenv("HOME") ? getenv("HOME") : uid == 0 ? "/root" : same_user && getenv("HOME") ? getenv("HOME") : "/";

    struct plan_options po = { .trace_fd = -1, .mem_limit = o->memory ? o->memory : profile_memory(o->profile), .ncpus = plan_cpu_count() };
    po.flags = (o->strace ? PLAN_OPT_STRACE : 0) | (o->strace_json ? PLAN_OPT_STRACE_JSON : 0) | (o->backtrace ? PLAN_OPT_BACKTRACE : 0) |
               (o->timing ? PLAN_OPT_TIMING : 0) | (o->debug ? PLAN_OPT_DEBUG : 0) |
               (o->no_patch ? PLAN_OPT_NO_PATCH : 0);
    plan_add(&p->sentry, PLAN_OPTION, &po, sizeof(po));
    plan_add_str(&p->sentry, PLAN_PLATFORM, o->platform);
    plan_add_str(&p->sentry, PLAN_ABI, o->abi);
    plan_add_str(&p->sentry, PLAN_HOSTNAME, o->hostname);
    if (o->record) { /* its own copy for the plan; with a profile the record comes with that */
        struct plan_event_record er = { .event_fd = o->profile ? -1 : fcntl(o->event_fd, F_DUPFD_CLOEXEC, 3) };
        if (er.event_fd >= 0) plan_keep_fd(&p->sentry_fds, &p->n_sentry_fds, er.event_fd);
        plan_add(&p->sentry, PLAN_EVENT_RECORD, &er, sizeof(er));
    }
    char cwd[PATH_MAX];
    int r = o->profile ? profile_apply(&b, cwd, home) : add_views(&b, cwd, home);
    if (!r && o->profile && p->net_host) r = profile_apply_net(&b);
    if (r) return r;
    if (strcmp(o->abi, "linux")) plan_solaris_pieces(p, &b.nroots);
    emit_mounts(&b);
    plan_add_str(&p->sentry, PLAN_CWD, cwd);
    add_cred(&b, uid, gid, same_user);
    add_limits(&p->sentry);
    if (o->profile) profile_apply_limits(&b);
    plan_std_fds(p, c, open_mask);
    for (char **a = o->argv; *a; a++) plan_add_str(&p->sentry, PLAN_ARG, *a);
    add_env(&b, same_user, uid, home);
    return 0;
}

void plan_build_fini(struct spawn_plan *p)
{
    for (unsigned i = 0; i < p->n_gofer_fds; i++) close(p->gofer_fds[i]);
    for (unsigned i = 0; i < p->n_sentry_fds; i++) close(p->sentry_fds[i]);
    for (unsigned i = 0; i < p->n_broker_fds; i++) close(p->broker_fds[i]);
    free(p->gofer_fds);
    free(p->sentry_fds);
    free(p->broker_fds);
    plan_writer_fini(&p->sentry);
    plan_writer_fini(&p->gofer);
    plan_writer_fini(&p->broker);
}
