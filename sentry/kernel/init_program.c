/*
 * What is common to the sandbox's first program and to those that `exec` brings: credentials, limits, descriptors, the
 * program itself. `current` is the new task.
 */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/init_internal.h"
#include "sentry/vfs/file.h"

#include <asm/ioctls.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int take_cred(struct init *in, const u8 *data, u32 len)
{
    if (len < sizeof(in->cred)) return init_malformed(in, "credentials");
    memcpy(&in->cred, data, sizeof(in->cred));
    if (in->cred.ngroups > (len - sizeof(in->cred)) / sizeof(u32)) return init_malformed(in, "credentials");
    in->groups = data + sizeof(in->cred);
    return 0;
}

void init_set_cred(struct init *in)
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

static int set_hostname(struct init *in, const u8 *data, u32 len)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return init_malformed(in, "host name");
    memset(kernel.nodename, 0, sizeof(kernel.nodename));
    memcpy(kernel.nodename, s, MIN(strlen(s), sizeof(kernel.nodename) - 1));
    return 0;
}

static int set_domainname(struct init *in, const u8 *data, u32 len)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return init_malformed(in, "domain name");
    memset(kernel.domainname, 0, sizeof(kernel.domainname));
    memcpy(kernel.domainname, s, MIN(strlen(s), sizeof(kernel.domainname) - 1));
    return 0;
}

static int set_rlimit(struct init *in, const u8 *data, u32 len)
{
    struct plan_rlimit l;
    if (len < sizeof(l)) return init_malformed(in, "resource limit");
    memcpy(&l, data, sizeof(l));
    if (l.which >= KRLIM_NLIMITS || l.soft > l.hard) return init_malformed(in, "resource limit");
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

/* In the sandbox's own plan a descriptor's number, in that of an exec its place in the message; each is taken once. */
static int take_host_fd(struct init *in, s32 fd)
{
    if (!in->fds) return fd;
    if (fd < 0 || (u32)fd >= in->nfds) return -EINVAL;
    int r = in->fds[fd];
    in->fds[fd] = -1;
    return r;
}

static int add_fd(struct init *in, const u8 *data, u32 len)
{
    struct plan_fd p;
    struct file *f;
    if (len < sizeof(p)) return init_malformed(in, "descriptor");
    memcpy(&p, data, sizeof(p));
    if ((p.host_fd = take_host_fd(in, p.host_fd)) < 0) return init_malformed(in, "descriptor");
    int r = open_own_device(p.host_fd, &f);
    if (r == -ENODEV) r = hostfile_create(p.host_fd, 0, &f);
    if (!r && (r = fd_install_at(f, p.guest_fd, false)) < 0) file_put(f);
    if (r < 0) init_failed(in, SANDBOX_FAILED, "giving the caller's descriptor %d to the program: %s", p.guest_fd, init_err_text(r));
    return MIN(r, 0);
}

static int add_console(struct init *in, const u8 *data, u32 len)
{
    struct plan_console p;
    struct file *f;
    if (len < sizeof(p)) return init_malformed(in, "console");
    memcpy(&p, data, sizeof(p));
    if ((p.host_fd = take_host_fd(in, p.host_fd)) < 0) return init_malformed(in, "console");
    int r = console_create(p.host_fd, p.rows, p.cols, &f);
    if (r) {
        init_failed(in, SANDBOX_FAILED, "making a terminal for the program: %s", init_err_text(r));
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
        if (e < 0) log_debug("the console does not become the controlling terminal: %s", init_err_text((int)e));
    }
    file_put(f);
    return 0;
}

static int push(struct init *in, char ***list, int *n, const u8 *data, u32 len, const char *what)
{
    const char *s = plan_string(data, len, 0, 0);
    if (!s) return init_malformed(in, what);
    *list = xrealloc(*list, (size_t)(*n + 2) * sizeof(**list));
    (*list)[(*n)++] = (char *)(uintptr_t)s;
    (*list)[*n] = NULL;
    return 0;
}

static int take_arg(struct init *in, const u8 *data, u32 len) { return push(in, &in->argv, &in->argc, data, len, "argument"); }
static int take_env(struct init *in, const u8 *data, u32 len) { return push(in, &in->envp, &in->envc, data, len, "environment"); }
static int take_cwd(struct init *in, const u8 *data, u32 len)
{
    in->cwd = plan_string(data, len, 0, 0);
    return in->cwd ? 0 : init_malformed(in, "working directory");
}
static int take_abi(struct init *in, const u8 *data, u32 len)
{
    in->abi = plan_string(data, len, 0, 0);
    return in->abi ? 0 : init_malformed(in, "ABI");
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

/* Engines look for these words; see docs/oci.md. */
static int program_failed(struct init *in, int r)
{
    const char *name = in->argv[0];
    bool missing = r == -ENOENT || r == -ENOTDIR, path = strchr(name, '/');
    if (!in->container) {
        init_failed(in, missing ? NOT_FOUND : NOT_EXECUTABLE, "%s: %s%s", name,
                    missing ? (path ? "no such file inside the sandbox" : "not found along the sandbox's PATH") : init_err_text(r),
                    missing ? "; show its directory with --rox PATH" :
                    r == -EACCES ? " (not executable, or on a mount shown with --ro or --rw instead of --rox or --rwx)" : "");
    } else if (missing && !path) {
        init_failed(in, NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
    } else if (missing) {
        init_failed(in, NOT_FOUND, "exec: \"%s\": stat %s: no such file or directory", name, name);
    } else {
        init_failed(in, NOT_EXECUTABLE, "exec: \"%s\": %s", name, r == -EACCES ? "permission denied" : r == -EISDIR ? "is a directory" : init_err_text(r));
    }
    return r;
}

static int image_failed(struct init *in, const char *path, int r)
{
    if (in->container)
        init_failed(in, r == -ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "exec %s: %s", path,
                    r == -ENOEXEC ? "exec format error" : r == -ENOENT ? "no such file or directory (its interpreter)" :
                    r == -EACCES ? "permission denied" : init_err_text(r));
    else
        init_failed(in, NOT_EXECUTABLE, "%s: %s", path,
                    r == -ENOEXEC ? "not a program of an ABI this sandbox knows (Linux x86-64, Solaris x86-64), nor a script with #!" :
                    r == -ENOENT ? "its interpreter (the #! line, or the dynamic linker) does not exist inside the sandbox" :
                    init_err_text(r));
    return r;
}

int init_load_program(struct init *in)
{
    AUTO_FREE char *path = NULL;
    struct exec_req req = { .argv = in->argv, .envp = in->envp, .argc = in->argc, .envc = in->envc };
    int r = find_program(in, &path, &req.file);
    if (r) return program_failed(in, r);
    req.filename = path;
    exec_prefer_abi(in->abi);
    sysret_t e = task_exec(&req);
    if (e < 0) return image_failed(in, path, (int)e);
    if (in->abi && strcmp(in->abi, "auto") && strcmp(in->abi, current->abi->name)) {
        init_failed(in, NOT_EXECUTABLE, "%s is a %s program, and --abi %s was asked for", path, current->abi->name, in->abi);
        return -ENOEXEC;
    }
    return 0;
}

/* --- in order --- */

int init_take_program(struct init *in)
{
    if (init_each(in, PLAN_CRED, take_cred) || init_each(in, PLAN_ARG, take_arg) || init_each(in, PLAN_ENV, take_env) ||
        init_each(in, PLAN_CWD, take_cwd) || init_each(in, PLAN_ABI, take_abi))
        return -EINVAL;
    if (!in->argc) return init_malformed(in, "program");
    if (!in->envp) in->envp = xzalloc(2 * sizeof(*in->envp));
    return 0;
}

int init_set_names(struct init *in)
{
    return init_each(in, PLAN_HOSTNAME, set_hostname) || init_each(in, PLAN_DOMAINNAME, set_domainname) ? -EINVAL : 0;
}

int init_set_process(struct init *in)
{
    return init_each(in, PLAN_RLIMIT, set_rlimit) || init_each(in, PLAN_FD, add_fd) || init_each(in, PLAN_CONSOLE, add_console) ? -EINVAL : 0;
}

/* A container's working directory is made when it is not there, as other runtimes do. */
static int make_cwd(const char *path)
{
    AUTO_FREE char *copy = xstrdup(path);
    int r = 0;
    for (char *s = copy + 1;; s++) {
        if (*s && *s != '/') continue;
        char keep = *s;
        *s = 0;
        r = vfs_mkdir(AT_FDCWD, copy, 0755);
        *s = keep;
        if (!keep) break;
    }
    return r == -EEXIST ? 0 : r;
}

int init_chdir(struct init *in)
{
    if (!in->cwd) return 0;
    int r = vfs_chdir(in->cwd);
    if (r == -ENOENT && in->container && !(r = make_cwd(in->cwd))) r = vfs_chdir(in->cwd);
    if (r && in->container)
        init_failed(in, NOT_EXECUTABLE, "chdir to cwd (\"%s\") set in config.json failed: %s", in->cwd,
                    r == -ENOENT ? "no such file or directory" : r == -EACCES ? "permission denied" : r == -ENOTDIR ? "not a directory" : init_err_text(r));
    else if (r)
        init_failed(in, SANDBOX_FAILED, "the working directory %s: %s inside the sandbox; choose one with --cwd", in->cwd, init_err_text(r));
    return r;
}

void init_fini(struct init *in)
{
    free(in->argv);
    free(in->envp);
    free(in->home);
}
