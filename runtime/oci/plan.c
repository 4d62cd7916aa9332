/* From config.json to the plans of sentry and gofer. Host paths are opened here, with the caller's rights. */
#include "runtime/oci/cgroup.h"
#include "runtime/oci/oci.h"
#include "runtime/plan_build.h"
#include "sentry/base/alloc.h"
#include "sentry/vfs/mount_flags.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef CGROUP_SUPER_MAGIC
#define CGROUP_SUPER_MAGIC 0x27e0eb
#endif
#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

struct oplan {
    struct spawn_plan *p;
    const struct oci_create *c;
    u32 nroots;
    int rootfd;
    bool has_dev, dev_is_ours;
};

/* Absolute, without `.`, `..` and double slashes: where a destination lies inside, whatever it is called. */
static char *clean_path(const char *in)
{
    char *out = xzalloc(strlen(in) + 2), *o = out;
    while (*in) {
        size_t n = strcspn(in, "/");
        if (n == 2 && in[0] == '.' && in[1] == '.') {
            while (o > out && *--o != '/') ;
        } else if (n && !(n == 1 && in[0] == '.')) {
            *o++ = '/';
            memcpy(o, in, n);
            o += n;
        }
        in += n;
        if (*in) in++;
    }
    if (o == out) *o++ = '/';
    *o = 0;
    return out;
}

static bool under(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

static u32 add_root(struct oplan *o, int fd, u32 flags)
{
    struct plan_root r = { .fd = fd, .flags = flags | PLAN_ROOT_NODEV_CREATE };
    plan_add(&o->p->gofer, PLAN_ROOT, &r, sizeof(r));
    plan_keep_fd(&o->p->gofer_fds, &o->p->n_gofer_fds, fd);
    return o->nroots++;
}

/* shown: the path on the host that mountinfo tells as the root of a bind mount; "" for others. */
static void emit_mount(struct oplan *o, const struct plan_mount *m, const char *at, const char *source, const char *shown)
{
    const char *s[] = { at, source, shown };
    plan_add2(&o->p->sentry, PLAN_MOUNT, m, sizeof(*m), s, 3);
}

static void emit_node(struct oplan *o, const char *path, u32 mode, u64 rdev, u32 uid, u32 gid)
{
    struct plan_node n = { .mode = mode, .uid = uid, .gid = gid, .rdev = rdev };
    plan_add2(&o->p->sentry, PLAN_NODE, &n, sizeof(n), &path, 1);
}

static void emit_str(struct oplan *o, enum plan_kind kind, const char *s) { plan_add_str(&o->p->sentry, kind, s); }

/* --- mount points on a root that will be read-only --- */

static int open_in_root(int root, const char *path, u64 flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* Whatever the image's symlinks say, nothing outside the root is touched. Failure shows when the sentry mounts. */
static void make_mount_point(int root, const char *dest, bool dir)
{
    AUTO_FREE char *path = xstrdup(dest + 1);
    if (!*path) return;
    for (char *s = path;; s++) {
        if (*s && *s != '/') continue;
        char keep = *s;
        *s = 0;
        int fd = open_in_root(root, path, O_PATH);
        if (fd < 0 && errno == ENOENT) {
            char *slash = strrchr(path, '/');
            if (slash) *slash = 0;
            int parent = open_in_root(root, slash ? path : ".", O_PATH | O_DIRECTORY);
            if (slash) *slash = '/';
            const char *name = slash ? slash + 1 : path;
            if (parent >= 0 && (keep || dir)) mkdirat(parent, name, 0755);
            else if (parent >= 0) fd = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
            if (parent >= 0) close(parent);
        }
        if (fd >= 0) close(fd);
        *s = keep;
        if (!keep) return;
    }
}

/* --- mounts --- */

static int cgroup_mount(struct oplan *o, const char *dest, struct plan_mount pm);

static int mount_fail(const struct oci_config *c, const struct oci_mount *m, const char *what)
{
    return oci_fail("config.json: mounts[%d]: mounting \"%s\" to \"%s\": %s", (int)(m - c->mounts), m->source ? m->source : "", m->dest, what);
}

/* Kernel file systems of the host stay outside: the sandbox's own take their place. */
static enum plan_mount_type own_instead(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs)) return 0;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC: return PM_PROC;
    case SYSFS_MAGIC: return PM_SYS;
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC: return PM_CGROUP;
    case DEVPTS_SUPER_MAGIC: return PM_DEVPTS;
    case MQUEUE_MAGIC: return PM_MQUEUE;
    }
    return 0;
}

static bool known_device(u64 rdev)
{
    unsigned maj = major(rdev), min = minor(rdev);
    return (maj == 1 && (min == 3 || min == 5 || min == 7 || min == 8 || min == 9)) || (maj == 5 && (min == 0 || min == 2));
}

static int bind(struct oplan *o, const struct oci_mount *m, const char *dest, struct plan_mount *pm)
{
    const struct oci_config *c = &o->c->cfg;
    AUTO_FREE char *source = m->source[0] == '/' ? xstrdup(m->source) : xasprintf("%s/%s", o->c->bundle_path, m->source);
    int fd = open(source, O_PATH | O_CLOEXEC | (m->how & OM_SRC_NOFOLLOW ? O_NOFOLLOW : 0));
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        int e = errno;
        if (fd >= 0) close(fd);
        return mount_fail(c, m, e == ENOENT ? "stat of the source: no such file or directory" : strerror(e));
    }
    if (S_ISCHR(st.st_mode) && known_device(st.st_rdev)) {
        close(fd);
        emit_node(o, dest, st.st_mode, st.st_rdev, st.st_uid, st.st_gid);
        return 0;
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        close(fd);
        return mount_fail(c, m, S_ISSOCK(st.st_mode) ? "sockets of the host cannot be shown to a sandbox" : S_ISFIFO(st.st_mode) ?
                          "FIFOs of the host cannot be shown to a sandbox" : "devices of the host cannot be shown to a sandbox");
    }
    enum plan_mount_type own = own_instead(fd);
    if (own) {
        close(fd);
        if (!S_ISDIR(st.st_mode)) return mount_fail(c, m, "files of the host's kernel file systems cannot be shown to a sandbox");
        if (own == PM_CGROUP) return cgroup_mount(o, dest, *pm);
        pm->type = own;
        emit_mount(o, pm, dest, "none", "");
        return 0;
    }
    pm->type = PM_GOFER;
    pm->mode = S_ISDIR(st.st_mode) ? S_IFDIR | 0755 : 0;
    pm->gofer_root = add_root(o, fd, PLAN_ROOT_ALLOW_SUID | (m->flags & MNT_RDONLY ? PLAN_ROOT_RO : 0) |
                              (m->flags & MNT_NOEXEC ? PLAN_ROOT_NOEXEC : 0) | (S_ISDIR(st.st_mode) ? 0 : PLAN_ROOT_FILE));
    emit_mount(o, pm, dest, "host", source);
    return 0;
}

static const struct { const char *name; enum plan_mount_type type; u32 mode; } types[] = {
    { "proc", PM_PROC, 0555 }, { "sysfs", PM_SYS, 0555 }, { "tmpfs", PM_TMPFS, 01777 }, { "ramfs", PM_TMPFS, 0755 }, { "shm", PM_TMPFS, 01777 },
    { "devpts", PM_DEVPTS, 0755 }, { "mqueue", PM_MQUEUE, 01777 }, { "cgroup", PM_CGROUP, 0555 }, { "cgroup2", PM_CGROUP, 0555 },
};

/* As runc: files that tools such as lxcfs replace may be covered, the rest of /proc not. */
static bool proc_place_allowed(const char *dest)
{
    static const char *const ok[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
                                      "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid" };
    for (size_t i = 0; i < ARRAY_LEN(ok); i++)
        if (!strcmp(dest, ok[i])) return true;
    return false;
}

static int add_mount(struct oplan *o, const struct oci_mount *m)
{
    const struct oci_config *c = &o->c->cfg;
    AUTO_FREE char *dest = clean_path(m->dest);
    struct plan_mount pm = { .flags = m->flags, .mode = S_IFDIR | 0755, .size = m->size, .how = OM_PROPAGATION(m->how) };
    if (m->how & OM_REMOUNT) {
        plan_add2(&o->p->sentry, PLAN_REMOUNT, &m->flags, sizeof(m->flags), (const char *[]){ dest }, 1);
        return 0;
    }
    if (!strcmp(dest, "/")) return mount_fail(c, m, "the root cannot be mounted over");
    bool is_proc = m->type && !strcmp(m->type, "proc");
    if (under(dest, "/proc") && !(is_proc && !strcmp(dest, "/proc")) && !proc_place_allowed(dest)) {
        if (strcmp(dest, "/proc") || !(m->how & OM_BIND) || strcmp(m->source, "/proc"))
            return mount_fail(c, m, "it is inside /proc, which cannot be mounted over");
    }
    if (!strcmp(dest, "/dev")) {
        o->has_dev = true;
        o->dev_is_ours = !(m->how & OM_BIND);
    }
    if (m->how & OM_BIND) {
        if (m->how & OM_IDMAP) return mount_fail(c, m, "id-mapped mounts are not supported");
        return bind(o, m, dest, &pm);
    }
    if (!m->type || !m->type[0]) return mount_fail(c, m, "neither a type nor the option bind was given");
    size_t k = 0;
    while (k < ARRAY_LEN(types) && strcmp(types[k].name, m->type)) k++;
    if (k == ARRAY_LEN(types)) {
        AUTO_FREE char *why = xasprintf("a file system of type %s does not exist in the sandbox", m->type);
        return mount_fail(c, m, why);
    }
    pm.type = types[k].type;
    pm.mode = S_IFDIR | (m->has_mode && pm.type == PM_TMPFS ? m->mode : types[k].mode);
    pm.uid = m->uid, pm.gid = m->gid;
    if (pm.type == PM_CGROUP) return cgroup_mount(o, dest, pm);
    if (pm.type == PM_TMPFS && (m->how & OM_COPYUP)) pm.how |= PLAN_MOUNT_COPYUP;
    emit_mount(o, &pm, dest, m->source && m->source[0] ? m->source : m->type, "");
    return 0;
}

/* Only once every mount is accepted: a configuration that is refused leaves the image as it was. */
static void make_mount_points(const struct oplan *o)
{
    const struct oci_config *c = &o->c->cfg;
    for (unsigned k = 0; k < c->nmounts; k++) {
        const struct oci_mount *m = &c->mounts[k];
        if (m->how & OM_REMOUNT) continue;
        AUTO_FREE char *dest = clean_path(m->dest);
        bool is_dir = true, covered = false;
        if (m->how & OM_BIND) {
            struct stat st;
            AUTO_FREE char *source = m->source[0] == '/' ? xstrdup(m->source) : xasprintf("%s/%s", o->c->bundle_path, m->source);
            is_dir = stat(source, &st) || S_ISDIR(st.st_mode);
        }
        /* Under an earlier mount the place is made inside. */
        for (unsigned i = 0; i < k; i++) {
            AUTO_FREE char *other = clean_path(c->mounts[i].dest);
            covered |= under(dest, other) && strcmp(other, "/");
        }
        if (!covered) make_mount_point(o->rootfd, dest, is_dir);
    }
}

static int add_mounts(struct oplan *o)
{
    const struct oci_config *c = &o->c->cfg;
    o->rootfd = open(o->c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (o->rootfd < 0) return oci_fail("config.json: root.path: %s: %s", o->c->rootfs, strerror(errno));
    struct plan_mount root = { .type = PM_GOFER, .mode = S_IFDIR | 0755, .flags = MNT_RELATIME | (c->root.readonly ? MNT_RDONLY : 0),
        .how = c->propagation };
    root.gofer_root = add_root(o, o->rootfd, PLAN_ROOT_ALLOW_SUID | (c->root.readonly ? PLAN_ROOT_RO : 0));
    emit_mount(o, &root, "/", "rootfs", "");
    for (unsigned i = 0; i < c->nmounts; i++)
        if (add_mount(o, &c->mounts[i])) return -1;
    if (c->root.readonly) make_mount_points(o);
    return 0;
}

/* --- devices --- */

static int add_devices(struct oplan *o)
{
    static const struct { const char *path; u64 rdev; } defaults[] = {
        { "/dev/null", 0x103 }, { "/dev/zero", 0x105 }, { "/dev/full", 0x107 }, { "/dev/random", 0x108 }, { "/dev/urandom", 0x109 }, { "/dev/tty", 0x500 } };
    static const char *const links[][2] = { { "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" }, { "/proc/self/fd/1", "/dev/stdout" },
                                            { "/proc/self/fd/2", "/dev/stderr" }, { "pts/ptmx", "/dev/ptmx" }, { "/proc/kcore", "/dev/core" } };
    const struct oci_config *c = &o->c->cfg;
    if (!o->has_dev) {
        if (c->root.readonly) make_mount_point(o->rootfd, "/dev", true);
        struct plan_mount m = { .type = PM_TMPFS, .mode = S_IFDIR | 0755, .flags = MNT_NOSUID };
        emit_mount(o, &m, "/dev", "tmpfs", "");
        o->dev_is_ours = true;
    }
    for (unsigned i = 0; i < c->ndevices; i++) {
        const struct oci_device *d = &c->devices[i];
        AUTO_FREE char *path = clean_path(d->path);
        /* The node is there, as a privileged container expects; opening it says that there is no such device (ENXIO). */
        if (!known_device(d->rdev) && !S_ISFIFO(d->mode))
            oci_log("warning", "config.json: linux.devices[%u]: %s: the sandbox has no device %u:%u; the host's is not given", i, d->path,
                    major(d->rdev), minor(d->rdev));
        emit_node(o, path, d->mode, d->rdev, d->uid, d->gid);
    }
    if (!o->dev_is_ours) return 0; /* a directory of the host's: left as it is */
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) emit_node(o, defaults[i].path, S_IFCHR | 0666, defaults[i].rdev, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(links); i++) plan_add2(&o->p->sentry, PLAN_LINK, NULL, 0, (const char *const *)links[i], 2);
    if (c->process.terminal) emit_node(o, "/dev/console", S_IFCHR | 0620, makedev(136, 0), c->process.uid, c->process.gid);
    return 0;
}

/* --- cgroups: the container's own directories of the host's, read-only, so that limits and use are the true ones --- */

/* The host's count our own tasks, which are more than the container's. */
static void own_pids_files(struct oplan *o, const char *dir, u32 flags)
{
    static const struct { const char *name; enum plan_mount_type type; } files[] = { { "pids.max", PM_PIDS_MAX }, { "pids.current", PM_PIDS_CURRENT } };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct plan_mount m = { .type = files[i].type, .flags = flags };
        AUTO_FREE char *at = xasprintf("%s/%s", dir, files[i].name);
        emit_mount(o, &m, at, "cgroup", "");
    }
}

static int cgroup_mount(struct oplan *o, const char *dest, struct plan_mount pm)
{
    const struct oci_create *c = o->c;
    bool v1 = c->ncg && c->cg[0].controllers[0];
    pm.type = PM_TMPFS;
    pm.mode = S_IFDIR | 0555;
    pm.size = 65536;
    if (v1 || !c->ncg) { /* read-only once its directories are made */
        struct plan_mount m = pm;
        m.flags &= ~MNT_RDONLY;
        emit_mount(o, &m, dest, "cgroup", "");
        if (pm.flags & MNT_RDONLY) plan_add2(&o->p->sentry, PLAN_REMOUNT, &pm.flags, sizeof(pm.flags), &dest, 1);
    }
    for (unsigned i = 0; i < c->ncg; i++) {
        const char *names = c->cg[i].controllers, *comma;
        int fd = open(c->cg[i].dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) continue;
        struct plan_mount m = { .type = PM_GOFER, .mode = S_IFDIR | 0755, .flags = pm.flags | MNT_RDONLY };
        m.gofer_root = add_root(o, fd, PLAN_ROOT_RO | PLAN_ROOT_NOEXEC);
        AUTO_FREE char *at = names[0] ? xasprintf("%s/%s", dest, !strncmp(names, "name=", 5) ? names + 5 : names) : xstrdup(dest);
        emit_mount(o, &m, at, "cgroup", "");
        if (cgroup_has(c->cg[i].dir, "pids.max")) own_pids_files(o, at, m.flags);
        if (!names[0]) break;
        while ((comma = strchr(names, ','))) { /* cpu -> cpu,cpuacct */
            AUTO_FREE char *link = xasprintf("%s/%.*s", dest, (int)(comma - names), names);
            plan_add2(&o->p->sentry, PLAN_LINK, NULL, 0, (const char *[]){ c->cg[i].controllers, link }, 2);
            names = comma + 1;
            if (!strchr(names, ',')) {
                AUTO_FREE char *last = xasprintf("%s/%s", dest, names);
                plan_add2(&o->p->sentry, PLAN_LINK, NULL, 0, (const char *[]){ c->cg[i].controllers, last }, 2);
            }
        }
    }
    return 0;
}

static int add_files(struct oplan *o)
{
    const struct oci_config *c = &o->c->cfg;
    int back = oci_mount_ns_visit(c);
    if (back == -2) return -1;
    int r = add_mounts(o);
    if (!r) r = add_devices(o);
    if (!r && c->root.readonly) {
        AUTO_FREE char *cwd = clean_path(c->process.cwd);
        make_mount_point(o->rootfd, cwd, true);
    }
    return back < 0 || !oci_mount_ns_leave(back) ? r : -1;
}

/* --- the process --- */

void oci_plan_process(struct plan_writer *w, const struct oci_process *p, u32 personality)
{
    struct plan_cred cr = { .uid = p->uid, .gid = p->gid, .umask = p->has_umask ? p->umask : 022, .ngroups = p->ngroups, .no_new_privs = p->no_new_privs };
    memcpy(cr.caps, p->caps, sizeof(cr.caps));
    size_t len = sizeof(cr) + p->ngroups * sizeof(u32);
    u8 *buf = xzalloc(len);
    memcpy(buf, &cr, sizeof(cr));
    if (p->ngroups) memcpy(buf + sizeof(cr), p->groups, p->ngroups * sizeof(u32));
    plan_add(w, PLAN_CRED, buf, len);
    free(buf);
    for (unsigned i = 0; i < p->nargs; i++) plan_add_str(w, PLAN_ARG, p->args[i]);
    for (unsigned i = 0; i < p->nenv; i++) plan_add_str(w, PLAN_ENV, p->env[i]);
    plan_add_str(w, PLAN_CWD, p->cwd ? p->cwd : "/");
    for (unsigned i = 0; i < p->nrlimits; i++) plan_add(w, PLAN_RLIMIT, &p->rlimits[i], sizeof(p->rlimits[i]));
    struct plan_process pp = { .personality = personality, .oom_score_adj = p->oom_score_adj, .ioprio = p->ioprio, .sched_policy = p->sched_policy,
                               .sched_prio = p->sched_prio, .nice = p->nice };
    pp.flags = (p->has_oom ? PLAN_PROCESS_OOM : 0) | (p->has_ioprio ? PLAN_PROCESS_IOPRIO : 0) | (p->has_sched ? PLAN_PROCESS_SCHED : 0);
    plan_add(w, PLAN_PROCESS, &pp, sizeof(pp));
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

static void add_idmaps(struct plan_writer *w, u32 which, const struct oci_idmaps *m)
{
    if (!m->n) return;
    size_t len = sizeof(which) + m->n * sizeof(struct plan_idmap);
    u8 *buf = xzalloc(len);
    memcpy(buf, &which, sizeof(which));
    memcpy(buf + sizeof(which), m->m, m->n * sizeof(struct plan_idmap));
    plan_add(w, PLAN_IDMAP, buf, len);
    free(buf);
}
_Static_assert(sizeof(struct oci_idmap) == sizeof(struct plan_idmap), "copied as one");

static void add_preserved(struct oplan *o)
{
    for (unsigned i = 0; i < o->c->preserve_fds; i++) {
        int fd = fcntl((int)i + 3, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) continue;
        struct plan_fd pf = { .host_fd = fd, .guest_fd = (s32)i + 3 };
        plan_add(&o->p->sentry, PLAN_FD, &pf, sizeof(pf));
        plan_keep_fd(&o->p->sentry_fds, &o->p->n_sentry_fds, fd);
    }
}

/*
 * The sandbox's sockets are the host's of the namespace the supervisor is in, which is the container's: the engine may
 * have put its interfaces there, or may do so later. Annotation sundog.net names another kind.
 */
static int add_network(struct oplan *o)
{
    const char *kind = config_annotation(&o->c->cfg, "sundog.net");
    if (!kind) kind = "host";
    if (strcmp(kind, "host") && strcmp(kind, "loopback") && strcmp(kind, "none"))
        return oci_fail("config.json: annotations.sundog.net: `%s` is not host, loopback or none", kind);
    /* The host would give no namespace: better the sandbox's own loopback than the host's network, which nobody asked for. */
    if (o->c->net_missing && !strcmp(kind, "host")) kind = "loopback";
    plan_net(o->p, kind);
    return 0;
}

/* As runc names it; exec joins the same one. */
static void add_keyring(struct spawn_plan *p, const struct oci_create *c)
{
    char name[300];
    snprintf(name, sizeof(name), "_ses.%s", c->id);
    if (!c->no_new_keyring) plan_add_str(&p->sentry, PLAN_SESSION_KEYRING, name);
}

/* Where runc has it. A socket would not outlive the sandbox on a file system of the host's. */
static void add_notify(struct oplan *o)
{
    static const char dir[] = "/run/notify", path[] = "/run/notify/notify.sock";
    struct plan_mount m = { .type = PM_TMPFS, .mode = S_IFDIR | 0755, .flags = MNT_NOSUID | MNT_NODEV | MNT_NOEXEC, .size = 4096 };
    if (o->c->cfg.root.readonly) make_mount_point(o->rootfd, dir, true);
    emit_mount(o, &m, dir, "tmpfs", "");
    emit_str(o, PLAN_NOTIFY, path);
    plan_add_str(&o->p->sentry, PLAN_ENV, "NOTIFY_SOCKET=/run/notify/notify.sock");
}

/* A uts namespace by path, as pods have it, already has its names; one of the container's own begins with ours. */
static void add_names(struct spawn_plan *p, const struct oci_config *c)
{
    struct utsname u;
    bool given = c->ns[NS_UTS].path && !uname(&u);
    plan_add_str(&p->sentry, PLAN_HOSTNAME, c->hostname && c->hostname[0] ? c->hostname : given ? u.nodename : "sundog");
    const char *domain = c->domainname ? c->domainname : given && strcmp(u.domainname, "(none)") ? u.domainname : NULL;
    if (domain) plan_add_str(&p->sentry, PLAN_DOMAINNAME, domain);
}

int oci_plan_build(struct spawn_plan *p, const struct oci_create *c, const struct console *con, unsigned open_mask)
{
    const struct oci_config *cfg = &c->cfg;
    struct oplan o = { .p = p, .c = c };
    *p = (struct spawn_plan){ .debug = oci.debug };
    plan_begin(&p->sentry);
    plan_begin(&p->gofer);
    plan_begin(&p->broker);
    if (add_network(&o)) return -1;
    struct plan_options po = { .trace_fd = -1, .ncpus = plan_cpu_count(), .flags = PLAN_OPT_CONTAINER | PLAN_OPT_HOLD | (oci.debug ? PLAN_OPT_DEBUG : 0) };
    if (cfg->res.memory.has_limit && cfg->res.memory.limit > 0) po.mem_limit = (u64)cfg->res.memory.limit;
    if (cfg->res.has_pids && cfg->res.pids > 0) po.pids = (u32)MIN(cfg->res.pids, (s64)UINT32_MAX - 1);
    plan_add(&p->sentry, PLAN_OPTION, &po, sizeof(po));
    const char *platform = config_annotation(cfg, "sundog.platform");
    plan_add_str(&p->sentry, PLAN_PLATFORM, platform ? platform : oci.platform ? oci.platform : "auto");
    const char *abi = config_annotation(cfg, "sundog.abi");
    if (abi && strcmp(abi, "auto") && strcmp(abi, "linux") && strcmp(abi, "solaris"))
        return oci_fail("config.json: annotations.sundog.abi: `%s` is not auto, linux or solaris", abi);
    plan_add_str(&p->sentry, PLAN_ABI, abi ? abi : "auto");
    add_names(p, cfg);
    add_keyring(p, c);
    if (add_files(&o)) return -1;
    if (!abi || strcmp(abi, "linux")) plan_solaris_pieces(p, &o.nroots);
    for (unsigned i = 0; i < cfg->nmasked; i++) emit_str(&o, PLAN_MASK, cfg->masked[i]);
    for (unsigned i = 0; i < cfg->nreadonly; i++) emit_str(&o, PLAN_READONLY, cfg->readonly[i]);
    oci_pod_sysctls(&p->sentry, cfg);
    for (unsigned i = 0; i < cfg->nsysctl; i++) {
        /* Set in the namespace (ns.c), which the sandbox shows; a loopback of its own has nothing to set. */
        if (!strncmp(cfg->sysctl[i].key, "net.", 4)) continue;
        plan_add2(&p->sentry, PLAN_SYSCTL, NULL, 0, (const char *[]){ cfg->sysctl[i].key, cfg->sysctl[i].value }, 2);
    }
    add_idmaps(&p->sentry, 0, &cfg->uids);
    add_idmaps(&p->sentry, 1, &cfg->gids);
    if (cfg->seccomp && oci_seccomp_compile(cfg->seccomp, &p->sentry)) return -1;
    add_limits(&p->sentry);
    oci_plan_process(&p->sentry, &cfg->process, cfg->personality);
    const char *listen = getenv("LISTEN_FDS"); /* sd_listen_fds(3): the descriptors were kept for pid 1 */
    if (listen && c->preserve_fds) {
        AUTO_FREE char *kv = xasprintf("LISTEN_FDS=%u", c->preserve_fds);
        plan_add_str(&p->sentry, PLAN_ENV, kv);
        plan_add_str(&p->sentry, PLAN_ENV, "LISTEN_PID=1");
    }
    if (c->notify) add_notify(&o);
    plan_std_fds(p, con, open_mask);
    add_preserved(&o);
    return 0;
}
