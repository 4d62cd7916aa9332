/*
 * From the plan to the first task. The main thread acts as that task while it prepares it: mounts and files are made
 * with root's credentials by the same functions that serve system calls, then the program's own credentials come.
 */
#include "sentry/kernel/init.h"
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/control/control.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"

#include <asm/ioctls.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <string.h>

#define SANDBOX_FAILED 125
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127

struct init {
    const u8 *plan; size_t len;
    struct gofer_client *gofer;
    struct plan_cred cred; const u8 *groups;
    char **argv, **envp; int argc, envc;
    const char *cwd, *abi;
};

/* Calls fn on every record of one kind until it returns nonzero; that value, or 0. */
static int for_each(struct init *in, enum plan_kind kind, int (*fn)(struct init *, const u8 *data, u32 len))
{
    struct plan_reader r = { .buf = in->plan, .len = in->len };
    struct plan_record rec;
    const u8 *data;
    int k, err;
    while ((k = plan_next(&r, &rec, &data)) == 1)
        if (rec.kind == kind && (err = fn(in, data, rec.len))) return err;
    if (k < 0) control_report_failed(SANDBOX_FAILED, "the sentry's plan is malformed after %zu bytes", r.pos);
    return k;
}

static const char *err_text(int e) { return strerrordesc_np(-e) ? strerrordesc_np(-e) : "unknown error"; }

static int malformed(const char *what)
{
    control_report_failed(SANDBOX_FAILED, "the sentry's plan has a malformed %s record", what);
    return -EINVAL;
}

/* --- mounts --- */

static int new_super(struct init *in, const struct plan_mount *m, struct super **out)
{
    struct super *lower = NULL, *upper = NULL;
    u32 gflags = m->exclusive ? GOFER_FS_EXCLUSIVE : 0;
    int r;
    switch (m->type) {
    case PM_TMPFS: return tmpfs_new(m->size, m->mode, 0, 0, out);
    case PM_GOFER: return gofer_fs_new(in->gofer, m->gofer_root, gflags, out);
    case PM_OVERLAY:
        r = gofer_fs_new(in->gofer, m->gofer_root, gflags, &lower);
        if (!r) r = tmpfs_new(m->size, m->mode, 0, 0, &upper);
        if (!r) r = overlay_new(lower, lower->root, upper, out);
        if (lower) super_put(lower);
        if (upper) super_put(upper);
        return r;
    case PM_PROC: return procfs_new(out);
    case PM_SYS: return sysfs_new(out);
    case PM_DEV: return devfs_new(out);
    case PM_DEVPTS: return devpts_new(out);
    case PM_MQUEUE: return tmpfs_new(m->size, m->mode, 0, 0, out); /* names of POSIX queues */
    }
    return -ENODEV;
}

static int take_mount(struct init *in, const u8 *data, u32 len, bool root)
{
    struct plan_mount m;
    const char *at = len >= sizeof(m) ? plan_string(data, len, sizeof(m), 0) : NULL;
    const char *source = at ? plan_string(data, len, sizeof(m), 1) : NULL;
    if (!source) return malformed("mount");
    memcpy(&m, data, sizeof(m));
    if (root != !strcmp(at, "/")) return 0;

    struct super *sb;
    struct path p;
    int r = new_super(in, &m, &sb);
    if (r) {
        control_report_failed(SANDBOX_FAILED, "mounting %s at %s: %s", source, at, err_text(r));
        return r;
    }
    if (m.type == PM_TMPFS || m.type == PM_GOFER || m.type == PM_OVERLAY) policy_attach(sb, at, m.type != PM_TMPFS);
    if (root) {
        struct mnt_ns *ns = mnt_ns_new(sb, m.flags, source);
        super_put(sb);
        struct fs_context *fs = fs_context_new(ns);
        fs->umask = 0;
        current = task_new_process(NULL, fs, fdtable_new(), cred_new(0, 0, ~0ULL));
        if (!current) {
            control_report_failed(SANDBOX_FAILED, "the first process cannot be made: the host refuses memory or processes");
            return -ENOMEM;
        }
        return 1;
    }
    /* The place, made as needed: directories above it, then itself (a file for a file). */
    AUTO_FREE char *path = xstrdup(at);
    for (char *s = path + 1;; s++) {
        if (*s && *s != '/') continue;
        char keep = *s;
        *s = 0;
        if (keep || m.mode) r = vfs_mkdir(AT_FDCWD, path, 0755);
        else {
            struct file *f;
            struct open_how_k how = { .flags = O_CREAT | O_RDONLY, .mode = 0644 };
            r = vfs_open(AT_FDCWD, path, &how, &f);
            if (!r) file_put(f);
        }
        *s = keep;
        if (!keep) break;
    }
    r = vfs_walk(AT_FDCWD, at, WALK_FOLLOW, &p);
    if (!r) {
        bool dir = S_ISDIR(p.dentry->inode->mode);
        if (dir != (m.mode != 0)) r = dir ? -EISDIR : -ENOTDIR;
        if (!r) r = vfs_mount(current->fs->ns, &p, sb, NULL, m.flags, source);
        path_put(&p);
    }
    super_put(sb);
    if (r)
        control_report_failed(SANDBOX_FAILED, "mounting %s at %s: %s%s", source, at, err_text(r),
                              r == -ENOENT ? ": the place does not exist and cannot be made there (read-only); choose another with PATH:AT" : "");
    return r;
}

/* A root that is mounted nowhere: files for the ABI to lend. */
static int take_pieces(struct init *in, const u8 *data, u32 len)
{
    struct super *sb;
    u32 index;
    if (len < sizeof(index)) return malformed("Solaris pieces");
    memcpy(&index, data, sizeof(index));
    int r = gofer_fs_new(in->gofer, index, 0, &sb);
    if (r) {
        control_report_failed(SANDBOX_FAILED, "the pieces of Solaris: %s", err_text(r));
        return r;
    }
    sol_pieces_init(sb);
    super_put(sb);
    return 0;
}

static int root_mount(struct init *in, const u8 *data, u32 len) { return take_mount(in, data, len, true); }
static int other_mount(struct init *in, const u8 *data, u32 len) { return take_mount(in, data, len, false); }

static int make_dir(struct init *in, const u8 *data, u32 len)
{
    u32 mode;
    const char *path = len >= sizeof(mode) ? plan_string(data, len, sizeof(mode), 0) : NULL;
    if (!path) return malformed("directory");
    memcpy(&mode, data, sizeof(mode));
    AUTO_FREE char *copy = xstrdup(path);
    for (char *s = copy + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            vfs_mkdir(AT_FDCWD, copy, 0755);
            *s = '/';
        }
    int r = vfs_mkdir(AT_FDCWD, path, mode & 07777);
    if (r == -EEXIST) r = vfs_chmod(AT_FDCWD, path, mode & 07777, 0);
    if (!r && (mode & PLAN_DIR_OWNED)) r = vfs_chown(AT_FDCWD, path, in->cred.uid, in->cred.gid, 0);
    if (r) control_report_failed(SANDBOX_FAILED, "making the directory %s inside: %s", path, err_text(r));
    return r;
}

static int make_symlink(struct init *in UNUSED, const u8 *data, u32 len)
{
    const char *target = plan_string(data, len, 0, 0), *path = plan_string(data, len, 0, 1);
    if (!target || !path) return malformed("symlink");
    int r = vfs_symlink(target, AT_FDCWD, path);
    if (r && r != -EEXIST) {
        control_report_failed(SANDBOX_FAILED, "making the symlink %s -> %s inside: %s", path, target, err_text(r));
        return r;
    }
    return 0;
}

static int make_file(struct init *in UNUSED, const u8 *data, u32 len)
{
    u32 mode;
    const char *path = len >= sizeof(mode) ? plan_string(data, len, sizeof(mode), 0) : NULL;
    if (!path) return malformed("file");
    memcpy(&mode, data, sizeof(mode));
    const u8 *text = (const u8 *)path + strlen(path) + 1;
    struct file *f;
    struct open_how_k how = { .flags = O_CREAT | O_TRUNC | O_WRONLY, .mode = mode & 07777 };
    int r = vfs_open(AT_FDCWD, path, &how, &f);
    if (!r) {
        size_t n = (size_t)(data + len - text);
        struct uio u;
        uio_init_kernel(&u, (void *)(uintptr_t)text, n);
        ssize_t w = n ? vfs_write(f, &u, 0) : 0;
        uio_fini(&u);
        file_put(f);
        if (w < 0) r = (int)w;
    }
    if (r) control_report_failed(SANDBOX_FAILED, "making the file %s inside: %s", path, err_text(r));
    return r;
}

/* --- credentials, names, limits, descriptors --- */

static int take_cred(struct init *in, const u8 *data, u32 len)
{
    if (len < sizeof(in->cred)) return malformed("credentials");
    memcpy(&in->cred, data, sizeof(in->cred));
    if (in->cred.ngroups > (len - sizeof(in->cred)) / sizeof(u32)) return malformed("credentials");
    in->groups = data + sizeof(in->cred);
    return 0;
}

static void set_cred(struct init *in)
{
    struct cred *c = cred_new(in->cred.uid, in->cred.gid, in->cred.caps[1]);
    c->cap_inheritable = in->cred.caps[0];
    c->cap_permitted = in->cred.caps[1];
    c->cap_effective = in->cred.caps[2];
    c->cap_bset = in->cred.caps[3];
    c->cap_ambient = in->cred.caps[4];
    if (in->cred.ngroups) {
        free(c->groups);
        c->groups = xzalloc(in->cred.ngroups * sizeof(u32));
        memcpy(c->groups, in->groups, in->cred.ngroups * sizeof(u32));
        c->ngroups = in->cred.ngroups;
    }
    task_set_cred(c);
    current->no_new_privs = in->cred.no_new_privs;
}

static int set_hostname(struct init *in UNUSED, const u8 *data, u32 len)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return malformed("host name");
    memset(kernel.nodename, 0, sizeof(kernel.nodename));
    memcpy(kernel.nodename, s, MIN(strlen(s), sizeof(kernel.nodename) - 1));
    return 0;
}

static int set_domainname(struct init *in UNUSED, const u8 *data, u32 len)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return malformed("domain name");
    memset(kernel.domainname, 0, sizeof(kernel.domainname));
    memcpy(kernel.domainname, s, MIN(strlen(s), sizeof(kernel.domainname) - 1));
    return 0;
}

static int set_rlimit(struct init *in UNUSED, const u8 *data, u32 len)
{
    struct plan_rlimit l;
    if (len < sizeof(l)) return malformed("resource limit");
    memcpy(&l, data, sizeof(l));
    if (l.which >= KRLIM_NLIMITS || l.soft > l.hard) return malformed("resource limit");
    current->tg->rlim[l.which] = (struct rlimit){ .rlim_cur = l.soft, .rlim_max = l.hard };
    return 0;
}

/* The host's /dev/null and its like become the sandbox's own, with their name. -ENODEV: some other descriptor. */
static int open_own_device(int host_fd, struct file **out)
{
    static const struct { u64 rdev; const char *path; } own[] = {
        { 0x103, "/dev/null" }, { 0x105, "/dev/zero" }, { 0x107, "/dev/full" }, { 0x108, "/dev/random" }, { 0x109, "/dev/urandom" } };
    struct stat st;
    int flags = fcntl(host_fd, F_GETFL);
    if (flags < 0 || syscall(SYS_fstat, host_fd, &st) || !S_ISCHR(st.st_mode)) return -ENODEV;
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (st.st_rdev != own[i].rdev) continue;
        struct open_how_k how = { .flags = (u32)flags & (O_ACCMODE | O_APPEND | O_NONBLOCK) };
        if (vfs_open(AT_FDCWD, own[i].path, &how, out)) return -ENODEV; /* no /dev in this sandbox */
        close(host_fd);
        return 0;
    }
    return -ENODEV;
}

static int add_fd(struct init *in UNUSED, const u8 *data, u32 len)
{
    struct plan_fd p;
    struct file *f;
    if (len < sizeof(p)) return malformed("descriptor");
    memcpy(&p, data, sizeof(p));
    int r = open_own_device(p.host_fd, &f);
    if (r == -ENODEV) r = hostfile_create(p.host_fd, 0, &f);
    if (!r && (r = fd_install_at(f, p.guest_fd, false)) < 0) file_put(f);
    if (r < 0) control_report_failed(SANDBOX_FAILED, "giving the caller's descriptor %d to the program: %s", p.guest_fd, err_text(r));
    return MIN(r, 0);
}

static int add_console(struct init *in, const u8 *data, u32 len)
{
    struct plan_console p;
    struct file *f;
    if (len < sizeof(p)) return malformed("console");
    memcpy(&p, data, sizeof(p));
    int r = console_create(p.host_fd, p.rows, p.cols, &f);
    if (r) {
        control_report_failed(SANDBOX_FAILED, "making a terminal for the program: %s", err_text(r));
        return r;
    }
    if (f->inode) { /* as login(1) leaves it: the terminal is the user's */
        f->inode->uid = in->cred.uid;
        f->inode->mode = (f->inode->mode & S_IFMT) | 0620;
    }
    for (int fd = 0; fd < 3; fd++)
        if (p.guest_mask & 1u << fd) {
            file_get(f);
            if (fd_install_at(f, fd, false) < 0) file_put(f);
        }
    /* The first process leads session 1; the console is its controlling terminal. */
    if (f->ops->ioctl) {
        sysret_t e = f->ops->ioctl(f, TIOCSCTTY, 0);
        if (e < 0) log_debug("the console does not become the controlling terminal: %s", err_text((int)e));
    }
    file_put(f);
    return 0;
}

static int push(char ***list, int *n, const u8 *data, u32 len, const char *what)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return malformed(what);
    *list = xrealloc(*list, (size_t)(*n + 2) * sizeof(**list));
    (*list)[(*n)++] = (char *)(uintptr_t)s;
    (*list)[*n] = NULL;
    return 0;
}

static int take_arg(struct init *in, const u8 *data, u32 len) { return push(&in->argv, &in->argc, data, len, "argument"); }
static int take_env(struct init *in, const u8 *data, u32 len) { return push(&in->envp, &in->envc, data, len, "environment"); }
static int take_cwd(struct init *in, const u8 *data, u32 len)
{
    in->cwd = plan_string(data, len, 0, 0);
    return in->cwd ? 0 : malformed("working directory");
}
static int take_abi(struct init *in, const u8 *data, u32 len)
{
    in->abi = plan_string(data, len, 0, 0);
    return in->abi ? 0 : malformed("ABI");
}

/* --- the program --- */

/* As execvp(3): a name without a slash is sought along the program's own PATH. *path is owned by the caller. */
static int find_program(struct init *in, char **path, struct file **out)
{
    const char *name = in->argv[0], *dirs = "/usr/local/bin:/usr/bin:/bin";
    if (strchr(name, '/')) {
        *path = xstrdup(name);
        return vfs_open_exec(AT_FDCWD, name, WALK_FOLLOW, out);
    }
    for (int i = 0; i < in->envc; i++)
        if (!strncmp(in->envp[i], "PATH=", 5)) dirs = in->envp[i] + 5;
    int err = -ENOENT;
    for (const char *d = dirs;; d++) {
        size_t n = strcspn(d, ":");
        char *try = n ? xasprintf("%.*s/%s", (int)n, d, name) : xstrdup(name);
        int r = vfs_open_exec(AT_FDCWD, try, WALK_FOLLOW, out);
        if (!r) {
            *path = try;
            return 0;
        }
        free(try);
        if (r == -EACCES) err = r; /* found, but not executable: look on */
        else if (r != -ENOENT && r != -ENOTDIR) return r;
        d += n;
        if (!*d) return err;
    }
}

static int load_program(struct init *in)
{
    AUTO_FREE char *path = NULL;
    struct exec_req req = { .argv = in->argv, .envp = in->envp, .argc = in->argc, .envc = in->envc };
    int r = find_program(in, &path, &req.file);
    const char *name = in->argv[0];
    if (r) {
        bool missing = r == -ENOENT || r == -ENOTDIR;
        control_report_failed(missing ? NOT_FOUND : NOT_EXECUTABLE, "%s: %s%s", name,
                              missing ? (strchr(name, '/') ? "no such file inside the sandbox" : "not found along the sandbox's PATH") : err_text(r),
                              missing ? "; show its directory with --rox PATH" :
                              r == -EACCES ? " (not executable, or on a mount shown with --ro or --rw instead of --rox or --rwx)" : "");
        return r;
    }
    req.filename = path;
    exec_prefer_abi(in->abi);
    sysret_t e = task_exec(&req);
    if (e < 0) {
        control_report_failed(NOT_EXECUTABLE, "%s: %s", path,
                              e == -ENOEXEC ? "not a program of an ABI this sandbox knows (Linux x86-64, Solaris x86-64), nor a script with #!" :
                              e == -ENOENT ? "its interpreter (the #! line, or the dynamic linker) does not exist inside the sandbox" :
                              err_text((int)e));
        return (int)e;
    }
    if (in->abi && strcmp(in->abi, "auto") && strcmp(in->abi, current->abi->name)) {
        control_report_failed(NOT_EXECUTABLE, "%s is a %s program, and --abi %s was asked for", path, current->abi->name, in->abi);
        return -ENOEXEC;
    }
    return 0;
}

struct task *init_prepare(const u8 *plan, size_t len, struct gofer_client *gofer)
{
    struct init in = { .plan = plan, .len = len, .gofer = gofer };
    static char *no_env[] = { NULL };
    int r = for_each(&in, PLAN_CRED, take_cred);
    if (r || (r = for_each(&in, PLAN_MOUNT, root_mount)) < 0) return NULL;
    if (!r) {
        control_report_failed(SANDBOX_FAILED, "the sentry's plan has no root mount");
        return NULL;
    }
    if (for_each(&in, PLAN_DIR, make_dir) || for_each(&in, PLAN_SYMLINK, make_symlink) || for_each(&in, PLAN_FILE, make_file) ||
        for_each(&in, PLAN_MOUNT, other_mount) || for_each(&in, PLAN_HOSTNAME, set_hostname) || for_each(&in, PLAN_DOMAINNAME, set_domainname) ||
        for_each(&in, PLAN_RLIMIT, set_rlimit) || for_each(&in, PLAN_FD, add_fd) || for_each(&in, PLAN_CONSOLE, add_console) ||
        for_each(&in, PLAN_ARG, take_arg) || for_each(&in, PLAN_ENV, take_env) || for_each(&in, PLAN_CWD, take_cwd) ||
        for_each(&in, PLAN_ABI, take_abi) || for_each(&in, PLAN_SOLARIS_PIECES, take_pieces))
        return NULL;
    control_timing_mark("mounts");
    current->fs->umask = in.cred.umask & 0777;
    set_cred(&in);
    if (in.cwd && (r = vfs_chdir(in.cwd))) {
        control_report_failed(SANDBOX_FAILED, "the working directory %s: %s inside the sandbox; choose one with --cwd", in.cwd, err_text(r));
        return NULL;
    }
    if (!in.argc) {
        control_report_failed(SANDBOX_FAILED, "the sentry's plan has no program");
        return NULL;
    }
    if (!in.envp) in.envp = no_env;
    policy_start();
    if (load_program(&in)) return NULL;
    struct task *t = current;
    /* The user's command happens to be pid 1, it is no init: Ctrl-C, SIGPIPE and its own kill(2) end it as outside. */
    t->tg->unkillable = false;
    current = NULL;
    free(in.argv);
    if (in.envp != no_env) free(in.envp);
    control_timing_mark("program loaded");
    return t;
}
