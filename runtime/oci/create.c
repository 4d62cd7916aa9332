/* create, and what run shares with it: from the bundle to a supervisor that holds a loaded program. */
#include "runtime/oci/create.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int oci_rootfs(struct oci_create *c)
{
    char real[PATH_MAX];
    struct stat st;
    const char *path = c->cfg.root.path;
    AUTO_FREE char *joined = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", c->bundle_path, path);
    size_t n = strlen(joined);
    while (n > 1 && joined[n - 1] == '/') joined[--n] = 0;
    if (lstat(joined, &st)) return oci_fail("config.json: root.path: %s: %s", joined, errno == ENOENT ? "no such file or directory" : strerror(errno));
    if (S_ISLNK(st.st_mode)) return oci_fail("config.json: root.path: %s is a symlink; a directory is wanted", joined);
    if (!S_ISDIR(st.st_mode)) return oci_fail("config.json: root.path: %s is not a directory", joined);
    if (!realpath(joined, real)) return oci_fail("config.json: root.path: %s: %s", joined, strerror(errno));
    if (path[0] != '/') {
        size_t b = strlen(c->bundle_path);
        bool inside = !strcmp(real, c->bundle_path) || (!strncmp(real, c->bundle_path, b) && (real[b] == '/' || c->bundle_path[b - 1] == '/'));
        if (!inside) return oci_fail("config.json: root.path: %s leads out of the bundle", path);
    }
    if (!strcmp(real, "/")) return oci_fail("config.json: root.path: the host's root cannot be a container's");
    c->rootfs = xstrdup(real);
    return 0;
}

/* A profile says what of the host is shown, which here config.json does. One that is not enforced must not look enforced. */
static int refuse_profile(const struct oci_config *cfg)
{
    const char *name = config_annotation(cfg, "sundog.profile");
    if (name) return oci_fail("config.json: annotations.sundog.profile: profile %s cannot be applied to a container", name);
    return oci.profile ? oci_fail("--profile: profile %s cannot be applied to a container", oci.profile) : 0;
}

int oci_create_prepare(struct oci_create *c)
{
    char real[PATH_MAX];
    c->dirfd = -1;
    if (!realpath(c->bundle ? c->bundle : ".", real)) return oci_fail("bundle %s: %s", c->bundle, errno == ENOENT ? "no such file or directory" : strerror(errno));
    c->bundle_path = xstrdup(real);
    int fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return oci_fail("bundle %s: %s", real, strerror(errno));
    int r = config_load(&c->cfg, fd, c->config ? c->config : "config.json");
    close(fd);
    if (r || oci_rootfs(c)) return -1;
    if (!c->cfg.has_process) return oci_fail("config.json: process is missing: a container needs a program to be created");
    if (refuse_profile(&c->cfg)) return -1;
    if (c->cfg.process.terminal && !c->console_socket && !c->foreground)
        return oci_fail("cannot allocate tty if the container will detach without setting console socket");
    if (!c->cfg.process.terminal && c->console_socket) return oci_fail("cannot use console socket if the container will not allocate tty (process.terminal)");
    if (c->cfg.mount_label && c->cfg.mount_label[0]) {
        if (!access("/sys/fs/selinux/enforce", F_OK))
            return oci_fail("config.json: linux.mountLabel: selinux is not supported inside the sandbox: label %s cannot be applied", c->cfg.mount_label);
        oci_log("warning", "config.json: linux.mountLabel: this host has no selinux; %s is passed over", c->cfg.mount_label);
    }
    if (!c->cfg.seccomp) return 0;
    struct plan_writer trial;
    plan_begin(&trial);
    r = oci_seccomp_compile(c->cfg.seccomp, &trial);
    plan_writer_fini(&trial);
    return r;
}

void oci_create_fini(struct oci_create *c)
{
    config_free(&c->cfg);
    free(c->bundle_path);
    free(c->rootfs);
    if (c->dirfd >= 0) close(c->dirfd);
}

int oci_write_pid_file(const char *path, pid_t pid)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", pid);
    AUTO_FREE char *copy = xstrdup(path);
    char *slash = strrchr(copy, '/'), *name = slash ? slash + 1 : copy;
    if (slash) *slash = 0;
    int dir = open(slash ? (*copy ? copy : "/") : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? -errno : file_write_atomic(dir, name, text, (size_t)n, 0644);
    if (dir >= 0) close(dir);
    return r ? oci_fail("pid file %s: %s", path, strerror(-r)) : 0;
}

static int run_hooks(struct oci_create *c)
{
    struct oci_state s;
    if (state_load(c->id, &s)) return -1;
    /* What the specification calls creating; crun and the specification's own validation suite say created here. */
    json_object *o = state_json(&s, "created", false);
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    int r = hooks_run(&c->cfg.hooks[HOOK_PRESTART], HOOK_PRESTART, text, false);
    if (!r) r = hooks_run(&c->cfg.hooks[HOOK_CREATE_RUNTIME], HOOK_CREATE_RUNTIME, text, false);
    json_object_put(o);
    state_free(&s);
    return r;
}

/* The configuration as it was, for exec, start and delete: the bundle may change or go. */
static int keep_config(struct oci_create *c)
{
    const char *text = json_object_to_json_string_ext(c->cfg.doc, JSON_C_TO_STRING_PLAIN);
    int r = file_write_atomic(c->dirfd, "config.json", text, strlen(text), 0600);
    return r ? oci_fail("keeping a copy of config.json: %s", strerror(-r)) : 0;
}

static int wait_created(struct oci_create *c, pid_t pid, int sock)
{
    for (;;) {
        struct wire_msg m;
        static char text[WIRE_MAX];
        ssize_t n = wire_recv(sock, &m, text, sizeof(text), NULL, NULL, -1);
        if (n < 0) return oci_fail("the container's supervisor died while it was being created");
        if (m.op == WIRE_CREATED) return 0;
        if (m.op == WIRE_FAILED) return oci_fail("%s", text);
        if (m.op == WIRE_MAP_IDS) {
            if (oci_map_ids(&c->cfg, pid)) return -1;
            if (wire_send(sock, WIRE_START, 0, 0, NULL, 0)) return oci_fail("the container's supervisor died while its ids were mapped");
        }
        if (m.op != WIRE_HOOKS) continue;
        if (run_hooks(c)) return -1;
        if (wire_send(sock, WIRE_START, 0, 0, NULL, 0)) return oci_fail("the container's supervisor died while its hooks ran");
    }
}

static void undo(struct oci_create *c, pid_t pid)
{
    AUTO_FREE char *why = xstrdup(oci_error());
    struct oci_state s;
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) ;
    }
    if (!state_load(c->id, &s)) {
        oci_destroy(&s, true);
        state_free(&s);
    }
    state_dir_remove(c->id);
    oci_fail("%s", why);
}

int oci_create_container(struct oci_create *c, pid_t *out, int *sock)
{
    int sv[2];
    if (state_dir_make(c->id, &c->dirfd)) return -1;
    if (keep_config(c) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
        state_dir_remove(c->id);
        return oci_error()[0] ? -1 : oci_fail("socketpair: %s", strerror(errno));
    }
    pid_t pid = oci_fork_supervisor(&c->cfg);
    if (pid == 0) {
        close(sv[0]);
        /* Ours, and what the caller meant for the container; an engine's other descriptors are not to outlive it in us. */
        int keep = fcntl(sv[1], F_DUPFD_CLOEXEC, (int)c->preserve_fds + 3), dir = fcntl(c->dirfd, F_DUPFD_CLOEXEC, keep + 1);
        if (keep < 0 || dir < 0) _exit(OCI_EXIT_FAILED);
        c->dirfd = dir;
        if (keep > (int)c->preserve_fds + 3) syscall(SYS_close_range, c->preserve_fds + 3, keep - 1, 0);
        if (dir > keep + 1) syscall(SYS_close_range, keep + 1, dir - 1, 0);
        syscall(SYS_close_range, dir + 1, ~0U, 0);
        supervisor_main(c, keep);
    }
    close(sv[1]);
    int r = pid < 0 ? -1 : wait_created(c, pid, sv[0]);
    if (!r && c->pid_file) r = oci_write_pid_file(c->pid_file, pid);
    if (r) {
        close(sv[0]);
        undo(c, pid);
        return -1;
    }
    *out = pid;
    *sock = sv[0];
    return 0;
}

int oci_cmd_create(int argc, char **argv)
{
    struct oci_create c = { 0 };
    const char *preserve = NULL;
    struct oci_opt opts[] = {
        { "bundle", 'b', OPT_STR, &c.bundle }, { "console-socket", 0, OPT_STR, &c.console_socket }, { "pid-file", 0, OPT_STR, &c.pid_file },
        { "preserve-fds", 0, OPT_STR, &preserve }, { "config", 'f', OPT_STR, &c.config }, { "no-pivot", 0, OPT_FLAG, NULL },
        { "no-new-keyring", 0, OPT_FLAG, &c.no_new_keyring }, { "no-subreaper", 0, OPT_FLAG, NULL }, { "keep", 0, OPT_FLAG, NULL },
        { "pidfd-socket", 0, OPT_STR, NULL },
    };
    int n, sock;
    pid_t pid;
    int r = oci_options(opts, ARRAY_LEN(opts), argc, argv, false, &n);
    if (r > 0) return 0;
    if (r || oci_one_id(n, argv, &c.id)) return oci_report(OCI_EXIT_FAILED);
    if (preserve) c.preserve_fds = (unsigned)atoi(preserve);
    const char *listen = getenv("LISTEN_FDS");
    if (listen && !preserve) c.preserve_fds = (unsigned)atoi(listen);
    if (c.preserve_fds > 100) r = oci_fail("more than 100 descriptors to preserve");
    if (!r) r = oci_create_prepare(&c);
    if (!r) r = oci_create_container(&c, &pid, &sock);
    if (!r) close(sock);
    oci_create_fini(&c);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}
