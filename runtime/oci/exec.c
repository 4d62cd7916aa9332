/* exec: another process in a container. It too owns a host process, which its caller waits for and may signal. */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct exec {
    const char *id, *process_file, *console_socket, *pid_file, *cwd, *user;
    struct oci_strs env, caps, groups;
    bool detach, tty, no_new_privs, ignore_paused;
    unsigned preserve_fds;
    char **args; int nargs;
    struct oci_config cfg;         /* the container's; owns the strings of p unless a file was given */
    json_object *doc;
    struct oci_process p;
    struct oci_state st;
    struct console con;
    int sock, sigfd;
};

/* --- what to run --- */

static int parse_user(struct exec *e)
{
    char *end;
    unsigned long uid = strtoul(e->user, &end, 10), gid = 0;
    if (!isdigit((unsigned char)e->user[0])) return oci_fail("invalid user `%s`: a number is wanted", e->user);
    if (*end == ':') {
        if (!isdigit((unsigned char)end[1])) return oci_fail("invalid group in `%s`: a number is wanted", e->user);
        gid = strtoul(end + 1, &end, 10);
    }
    if (*end || uid >= UINT32_MAX || gid >= UINT32_MAX) return oci_fail("invalid user `%s`", e->user);
    e->p.uid = (u32)uid;
    e->p.gid = (u32)gid;
    return 0;
}

static int from_flags(struct exec *e)
{
    struct jn root = { .o = e->cfg.doc, .key = "config.json" }, n;
    if (!jn_get(&root, "process", &n)) return oci_fail("config.json: process is missing");
    if (process_parse(&e->p, &n, false)) return -1;
    if (!e->nargs) return oci_fail("process args cannot be empty");
    free(e->p.args);
    e->p.args = xzalloc(((size_t)e->nargs + 1) * sizeof(*e->p.args));
    for (int i = 0; i < e->nargs; i++) e->p.args[i] = xstrdup(e->args[i]); /* argv becomes the title */
    e->p.nargs = (unsigned)e->nargs;
    e->p.terminal = e->tty;
    if (e->cwd) e->p.cwd = e->cwd;
    if (e->user && parse_user(e)) return -1;
    if (e->no_new_privs) e->p.no_new_privs = true;
    if (e->p.cwd[0] != '/') return oci_fail("the working directory `%s` is not absolute", e->p.cwd);
    e->p.env = xrealloc(e->p.env, (e->p.nenv + e->env.n + 1) * sizeof(*e->p.env));
    for (unsigned i = 0; i < e->env.n; i++) {
        size_t k = strcspn(e->env.s[i], "=");
        unsigned at = 0;
        if (!e->env.s[i][k] || !k) return oci_fail("environment `%s` has not the form NAME=value", e->env.s[i]);
        while (at < e->p.nenv && strncmp(e->p.env[at], e->env.s[i], k + 1)) at++;
        if (at == e->p.nenv) e->p.nenv++;
        e->p.env[at] = e->env.s[i];
    }
    for (unsigned i = 0; i < e->caps.n; i++) {
        int c = cap_number(e->caps.s[i]);
        if (c < 0) return oci_fail("unknown capability %s", e->caps.s[i]);
        for (int k = 1; k < 4; k++) e->p.caps[k] |= 1ULL << c; /* permitted, effective, bounding */
    }
    e->p.groups = xrealloc(e->p.groups, (e->p.ngroups + e->groups.n + 1) * sizeof(*e->p.groups));
    for (unsigned i = 0; i < e->groups.n; i++) e->p.groups[e->p.ngroups++] = (u32)strtoul(e->groups.s[i], NULL, 10);
    return 0;
}

static int from_file(struct exec *e)
{
    e->doc = json_load(AT_FDCWD, e->process_file, "process");
    struct jn n = { .o = e->doc, .key = "process" };
    if (!e->doc || process_parse(&e->p, &n, true)) return -1;
    if (e->tty) e->p.terminal = true;
    return 0;
}

static int prepare(struct exec *e)
{
    int dirfd;
    if (state_load(e->id, &e->st)) return -1;
    const char *status = state_status(&e->st);
    if (!strcmp(status, "stopped")) return oci_fail("cannot exec in a stopped container");
    if (!strcmp(status, "paused") && !e->ignore_paused) return oci_fail("cannot exec in a paused container (use --ignore-paused to override)");
    if (!strcmp(status, "creating")) return oci_fail("cannot exec in a container that is still being created");
    if (state_dir_open(e->id, &dirfd)) return -1;
    int r = config_load(&e->cfg, dirfd, "config.json");
    close(dirfd);
    if (r || (e->process_file ? from_file(e) : from_flags(e))) return -1;
    if (e->p.terminal && e->detach && !e->console_socket) return oci_fail("cannot allocate tty if the exec will detach without setting console socket");
    if (!e->p.terminal && e->console_socket) return oci_fail("cannot use console socket if the exec will not allocate tty");
    return 0;
}

/* --- the plan and its descriptors --- */

static int std_fd(int i)
{
    struct stat st;
    int fd = -1;
    if (fcntl(i, F_GETFD) < 0) return -1;
    if (!fstat(i, &st) && S_ISFIFO(st.st_mode)) { /* opened anew: nonblocking for the sentry alone */
        char path[32];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
        fd = open(path, (fcntl(i, F_GETFL) & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
    }
    return fd < 0 ? fcntl(i, F_DUPFD_CLOEXEC, 3) : fd;
}

static int add_fd(struct plan_writer *w, int *fds, unsigned *n, int guest)
{
    int fd = std_fd(guest);
    if (fd < 0) return 0;
    struct plan_fd f = { .host_fd = (s32)*n - 1, .guest_fd = guest };
    if (*n == WIRE_FDS) return oci_fail("too many descriptors");
    plan_add(w, PLAN_FD, &f, sizeof(f));
    fds[(*n)++] = fd;
    return 0;
}

static int take_terminal(struct exec *e)
{
    e->con = (struct console){ .fd = -1 };
    if (!e->p.terminal) return 0;
    if (e->console_socket) {
        if (oci_console_socket(e->console_socket, &e->con.fd, &e->p)) return -1;
        console_ctty(e->con.fd);
        e->con.rows = e->p.rows, e->con.cols = e->p.cols;
        return 0;
    }
    console_detect(&e->con);
    return e->con.fd < 0 ? oci_fail("standard input is not a terminal") : 0;
}

/* Sends the request and waits until the process runs. */
static int launch(struct exec *e)
{
    static char text[WIRE_MAX];
    int fds[WIRE_FDS], dirfd, r = 0;
    unsigned n = 1;
    struct plan_writer w;
    struct wire_msg m;
    plan_begin(&w);
    oci_plan_process(&w, &e->p, e->cfg.personality);
    const char *abi = config_annotation(&e->cfg, "sundog.abi");
    plan_add_str(&w, PLAN_ABI, abi ? abi : "auto");
    if (e->cfg.seccomp && oci_seccomp_compile(e->cfg.seccomp, &w)) return -1;
    if (e->con.fd >= 0) {
        struct plan_console pc = { .host_fd = 0, .rows = e->con.rows, .cols = e->con.cols, .guest_mask = 7 };
        plan_add(&w, PLAN_CONSOLE, &pc, sizeof(pc));
        fds[n++] = fcntl(e->con.fd, F_DUPFD_CLOEXEC, 3);
    } else
        for (int i = 0; i < 3 && !r; i++) r = add_fd(&w, fds, &n, i);
    for (unsigned i = 0; i < e->preserve_fds && !r; i++) r = add_fd(&w, fds, &n, (int)i + 3);
    fds[0] = memfd_create("exec-plan", MFD_CLOEXEC);
    if (!r && (fds[0] < 0 || plan_send(&w, fds[0]) || lseek(fds[0], 0, SEEK_SET) < 0)) r = oci_fail("writing the plan: %s", strerror(errno));
    if (!r && !(r = state_dir_open(e->id, &dirfd))) {
        e->sock = wire_connect(dirfd);
        close(dirfd);
        if (e->sock < 0) r = oci_fail("cannot exec in a stopped container");
    }
    if (!r && (r = wire_send_fds(e->sock, WIRE_EXEC, 0, 0, fds, n))) r = oci_fail("sending the exec: %s", strerror(-r));
    for (unsigned i = 0; i < n; i++)
        if (fds[i] >= 0) close(fds[i]);
    if (r) return -1;
    ssize_t got = wire_recv(e->sock, &m, text, sizeof(text), NULL, NULL, -1);
    if (got < 0) return oci_fail("cannot exec in a stopped container: it ended before the exec began");
    if (m.a[0]) return oci_fail("exec failed: unable to start container process: %s", got > 1 ? text : strerror(-m.a[0]));
    return 0;
}

/* --- its life --- */

static void relay(struct exec *e)
{
    struct signalfd_siginfo si;
    while (read(e->sigfd, &si, sizeof(si)) == sizeof(si)) {
        u16 size[4];
        if (si.ssi_signo == SIGCHLD) continue;
        if (si.ssi_signo == SIGWINCH) {
            if (console_size(&e->con, size)) wire_send(e->sock, WIRE_WINSIZE, size[0], size[1], NULL, 0);
        } else if (si.ssi_code <= 0) {
            wire_send(e->sock, WIRE_SIGNAL, 0, (s32)si.ssi_signo, NULL, 0);
        }
    }
}

/* The wait status of the process; that of SIGKILL if the container went away. */
static int wait_exit(struct exec *e)
{
    for (;;) {
        struct pollfd p[2] = { { .fd = e->sigfd, .events = POLLIN }, { .fd = e->sock, .events = POLLIN } };
        if (poll(p, 2, -1) < 0 && errno != EINTR) return SIGKILL;
        if (p[0].revents) relay(e);
        if (!p[1].revents) continue;
        struct wire_msg m;
        ssize_t n = wire_recv(e->sock, &m, NULL, 0, NULL, NULL, 0);
        if (n == -ETIMEDOUT) continue;
        if (n < 0) return SIGKILL;
        if (m.op == WIRE_EXITED) return m.a[0];
    }
}

static int take_signals(struct exec *e)
{
    static const int not_ours[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPIPE };
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) sigdelset(&set, not_ours[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    e->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return e->sigfd < 0 ? oci_fail("signalfd: %s", strerror(errno)) : 0;
}

static NORETURN void owner_main(struct exec *e, int report)
{
    setsid();
    prctl(PR_SET_NAME, "sundog-exec");
    oci_cgroup_join(&e->st);
    if (take_signals(e) || take_terminal(e) || launch(e)) {
        wire_send(report, WIRE_FAILED, 0, 0, oci_error(), strlen(oci_error()) + 1);
        _exit(OCI_EXEC_FAILED);
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3 && null >= 0; i++) dup2(null, i);
    for (unsigned i = 0; i < e->preserve_fds; i++) close((int)i + 3);
    oci_title(e->p.args, e->p.nargs);
    wire_send(report, WIRE_CREATED, 0, 0, NULL, 0);
    close(report);
    oci_end_like(wait_exit(e));
}

static int detached(struct exec *e)
{
    static char text[WIRE_MAX];
    int sv[2];
    struct wire_msg m;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) return oci_fail("socketpair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        int keep = fcntl(sv[1], F_DUPFD_CLOEXEC, (int)e->preserve_fds + 3);
        if (keep > (int)e->preserve_fds + 3) syscall(SYS_close_range, e->preserve_fds + 3, keep - 1, 0);
        syscall(SYS_close_range, keep + 1, ~0U, 0);
        owner_main(e, keep);
    }
    close(sv[1]);
    if (pid < 0) return oci_fail("fork: %s", strerror(errno));
    ssize_t n = wire_recv(sv[0], &m, text, sizeof(text), NULL, NULL, -1);
    close(sv[0]);
    int r = 0;
    if (n < 0) r = oci_fail("the exec's process died");
    else if (m.op == WIRE_FAILED) r = oci_fail("%s", text);
    else if (e->pid_file) r = oci_write_pid_file(e->pid_file, pid);
    if (r) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) ;
    }
    return r;
}

static int foreground(struct exec *e)
{
    if (e->pid_file && oci_write_pid_file(e->pid_file, getpid())) return -1;
    if (take_signals(e) || take_terminal(e)) return -1;
    if (e->con.fd >= 0 && !e->console_socket) console_raw(&e->con);
    if (launch(e)) {
        console_restore();
        return -1;
    }
    int ws = wait_exit(e);
    console_restore();
    return WIFSIGNALED(ws) ? 128 + WTERMSIG(ws) : WEXITSTATUS(ws);
}

int oci_cmd_exec(int argc, char **argv)
{
    struct exec e = { .sock = -1, .sigfd = -1 };
    const char *preserve = NULL;
    struct oci_opt opts[] = {
        { "process", 'p', OPT_STR, &e.process_file }, { "console-socket", 0, OPT_STR, &e.console_socket }, { "pid-file", 0, OPT_STR, &e.pid_file },
        { "cwd", 0, OPT_STR, &e.cwd }, { "user", 'u', OPT_STR, &e.user }, { "env", 'e', OPT_LIST, &e.env }, { "cap", 'c', OPT_LIST, &e.caps },
        { "additional-gids", 'g', OPT_LIST, &e.groups }, { "detach", 'd', OPT_FLAG, &e.detach }, { "tty", 't', OPT_FLAG, &e.tty },
        { "no-new-privs", 0, OPT_FLAG, &e.no_new_privs }, { "ignore-paused", 0, OPT_FLAG, &e.ignore_paused }, { "preserve-fds", 0, OPT_STR, &preserve },
        { "apparmor", 0, OPT_STR, NULL }, { "process-label", 0, OPT_STR, NULL }, { "cgroup", 0, OPT_STR, NULL }, { "no-subreaper", 0, OPT_FLAG, NULL },
        { "pidfd-socket", 0, OPT_STR, NULL }, { "interactive", 'i', OPT_FLAG, NULL },
    };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, true, &n);
    if (r > 0) return 0;
    if (!r && n < 1) r = oci_fail("container id cannot be empty");
    if (!r) {
        e.id = argv[0];
        e.args = argv + 1;
        e.nargs = n - 1;
        if (e.nargs && !strcmp(e.args[0], "--")) e.args++, e.nargs--;
        if (preserve) e.preserve_fds = (unsigned)atoi(preserve);
        if (!oci_id_valid(e.id)) r = oci_fail("invalid container id format: %s", e.id);
        else if (e.preserve_fds > 100) r = oci_fail("more than 100 descriptors to preserve");
    }
    if (!r) r = prepare(&e);
    if (!r) r = e.detach ? detached(&e) : foreground(&e);
    if (r < 0) return oci_report(OCI_EXEC_FAILED);
    process_free(&e.p);
    json_object_put(e.doc);
    config_free(&e.cfg);
    state_free(&e.st);
    return r;
}
