/* The supervisor's start: cgroup, terminal, namespaces, hooks, sandbox; then it tells create and settles down. */
#include "runtime/oci/hooks.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/supervisor.h"
#include "runtime/options.h"
#include "runtime/plan_build.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char spawn_error[2048];
static void remember(const char *text) { snprintf(spawn_error, sizeof(spawn_error), "%s", text); }

static void fill_state(struct supervisor *s)
{
    struct timespec ts;
    struct tm tm;
    char when[64];
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof(when) - n, ".%09ldZ", ts.tv_nsec);
    s->st.id = xstrdup(s->c->id);
    s->st.status = xstrdup("creating");
    s->st.bundle = xstrdup(s->c->bundle_path);
    s->st.rootfs = xstrdup(s->c->rootfs);
    s->st.created = xstrdup(when);
    s->st.pid = spawn_proc_pid(getpid());
    s->st.start = proc_start_time(s->st.pid, NULL);
    s->st.owner = getuid();
    if (s->c->cfg.annotations) s->st.annotations = json_object_get(s->c->cfg.annotations);
}

/* Blocks every signal that can be relayed; they are read from a descriptor. */
static int take_signals(struct supervisor *s)
{
    static const int not_ours[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPIPE };
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) sigdelset(&set, not_ours[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    for (int sig = 1; sig < NSIG; sig++) signal(sig, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->sigfd < 0 ? oci_fail("signalfd: %s", strerror(errno)) : 0;
}

static int take_console(struct supervisor *s)
{
    s->console = (struct console){ .fd = -1 };
    const struct oci_create *c = s->c;
    if (!c->cfg.process.terminal) return 0;
    if (c->foreground && !c->console_socket) {
        console_detect(&s->console);
        if (s->console.fd < 0) return oci_fail("config.json: process.terminal: standard input is not a terminal");
        s->console.guest_mask = 7;
        return 0;
    }
    int slave;
    struct oci_process size = { .rows = c->cfg.process.rows, .cols = c->cfg.process.cols };
    if (oci_console_socket(c->console_socket, &slave, &size)) return -1;
    console_ctty(slave);
    s->console = (struct console){ .fd = slave, .rows = size.rows, .cols = size.cols, .guest_mask = 7 };
    return 0;
}

/* createContainer hooks see the container's namespaces as far as the host has them. */
static int hooks(struct supervisor *s)
{
    const struct oci_hooks *h = s->c->cfg.hooks;
    struct wire_msg m;
    if (h[HOOK_PRESTART].n || h[HOOK_CREATE_RUNTIME].n) {
        int r = wire_send(s->parent, WIRE_HOOKS, 0, 0, NULL, 0);
        ssize_t n = r ? r : wire_recv(s->parent, &m, NULL, 0, NULL, NULL, -1);
        if (n < 0 || m.op != WIRE_START) return oci_fail("create went away while its hooks ran");
    }
    if (!h[HOOK_CREATE_CONTAINER].n) return 0;
    json_object *o = state_json(&s->st, "created", false);
    int r = hooks_run(&h[HOOK_CREATE_CONTAINER], HOOK_CREATE_CONTAINER, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), false);
    json_object_put(o);
    return r;
}

int supervise_first_words(struct supervisor *s)
{
    static u8 buf[16384];
    for (;;) {
        struct pollfd p[2] = { { .fd = s->box.control, .events = POLLIN }, { .fd = s->parent, .events = 0 } };
        if (poll(p, s->parent >= 0 ? 2 : 1, -1) < 0 && errno != EINTR) return oci_fail("poll: %s", strerror(errno));
        if (s->parent >= 0 && p[1].revents) return oci_fail("create was killed");
        if (!p[0].revents) continue;
        ssize_t n = recv(s->box.control, buf, sizeof(buf) - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        struct control_msg m;
        u32 word;
        if (n <= 0) return oci_fail("the sentry ended before the program was loaded");
        if ((size_t)n < sizeof(m)) break;
        memcpy(&m, buf, sizeof(m));
        if (m.len != (size_t)n - sizeof(m)) break;
        if (m.kind == CTL_STARTED) return 0;
        if (m.kind != CTL_FAILED || m.len < sizeof(word)) break;
        buf[n] = 0;
        return oci_fail("container create failed: %s", (const char *)buf + sizeof(m) + sizeof(word));
    }
    return oci_fail("the sentry sent a control message that makes no sense");
}

/* Which of 0..2 the caller gave us. */
static unsigned open_std(void)
{
    unsigned mask = 0;
    for (int i = 0; i < 3; i++) {
        if (fcntl(i, F_GETFD) >= 0) mask |= 1u << i;
        else if (open("/dev/null", O_RDWR) != i) continue;
    }
    return mask;
}

/* Input and output are the container's alone from here; diagnostics of the sandbox go to its log. */
static int leave_std(struct supervisor *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = openat(s->c->dirfd, "sandbox.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
        return oci_fail("redirecting output: %s", strerror(errno));
    close(null);
    close(log);
    return 0;
}

static void add_log_tail(struct supervisor *s)
{
    char tail[1024];
    int fd = openat(s->c->dirfd, "sandbox.log", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, tail, sizeof(tail) - 1);
    close(fd);
    while (n > 0 && tail[n - 1] == '\n') n--;
    if (n > 0) oci_fail("%s: %.*s", oci_error(), (int)n, tail);
}

/* The program's NOTIFY_SOCKET is the sandbox's, whatever the image says. */
static void use_own_socket(struct oci_create *c)
{
    struct oci_process *p = &c->cfg.process;
    unsigned n = 0;
    for (unsigned i = 0; i < p->nenv; i++)
        if (strncmp(p->env[i], "NOTIFY_SOCKET=", 14)) p->env[n++] = p->env[i];
    p->nenv = n;
    c->notify = true;
}

static int bring_up(struct supervisor *s)
{
    struct oci_create *c = s->c;
    unsigned mask = open_std();
    setsid();
    fill_state(s);
    prctl(PR_SET_NAME, "sundog-init");
    if (take_signals(s)) return -1;
    if (oci_cgroup_create(c, &s->st)) return -1;
    if (c->cfg.process.has_oom) {
        char v[16];
        snprintf(v, sizeof(v), "%d", c->cfg.process.oom_score_adj);
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (write(fd, v, strlen(v)) < 0) oci_log("debug", "oom_score_adj %s on the host: %s", v, strerror(errno));
            close(fd);
        }
    }
    if (state_save(c->dirfd, &s->st)) return oci_fail("writing the state: %s", strerror(errno));
    s->notify = notify_open();
    if (s->notify >= 0) use_own_socket(c);
    if (take_console(s) || oci_namespaces_enter(&c->cfg, &c->net_missing)) return -1;
    if (hooks(s)) return -1;
    struct spawn_plan plan;
    if (oci_plan_build(&plan, c, &s->console, mask)) return -1;
    fail_sink = remember;
    if (leave_std(s)) return -1;
    if (spawn_sandbox(&s->box, &plan)) return oci_fail("%s", spawn_error[0] ? spawn_error : "the sandbox could not be started");
    if (s->console.fd >= 0) s->console.fd = fcntl(s->console.fd, F_DUPFD_CLOEXEC, 3);
    plan_build_fini(&plan);
    for (unsigned i = 0; i < c->preserve_fds; i++) close((int)i + 3);
    if (supervise_first_words(s)) {
        if (strncmp(oci_error(), "container create failed", 23)) add_log_tail(s);
        return -1;
    }
    s->st.sentry = s->box.sentry > 0 ? spawn_proc_pid(s->box.sentry) : 0;
    s->st.gofer = s->box.gofer > 0 ? spawn_proc_pid(s->box.gofer) : 0;
    s->st.broker = s->box.broker > 0 ? spawn_proc_pid(s->box.broker) : 0;
    s->listener = wire_listen(c->dirfd);
    if (s->listener < 0) return oci_fail("the control socket: %s", strerror(-s->listener));
    oci_log_keep_open();
    if (oci_mount_ns(c) || oci_user_ns(&c->cfg, s->parent)) return -1;
    supervise_set_status(s, "created");
    return 0;
}

/* As the container ended, so that whoever waits for us waited for it. The first process of a pid namespace dies of no
   signal of its own: it says so by its status, as a shell would. */
void oci_end_like(int wstatus)
{
    if (wstatus & 0x7f) {
        int sig = wstatus & 0x7f;
        struct rlimit none = { 0, 0 };
        sigset_t set;
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0);
        signal(sig, SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, sig);
        kill(getpid(), sig);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        _exit(128 + sig);
    }
    _exit(wstatus >> 8 & 0xff);
}

void supervisor_main(struct oci_create *c, int parent)
{
    static struct supervisor s;
    s = (struct supervisor){ .c = c, .parent = parent, .sigfd = -1, .listener = -1, .notify = -1, .box = { .control = -1 } };
    if (bring_up(&s)) {
        AUTO_FREE char *why = xstrdup(oci_error());
        spawn_kill(&s.box);
        wire_send(parent, WIRE_FAILED, 0, 0, why, strlen(why) + 1);
        _exit(OCI_EXIT_FAILED);
    }
    c->id = s.st.id; /* argv becomes the title */
    oci_title(c->cfg.process.args, c->cfg.process.nargs);
    wire_send(parent, WIRE_CREATED, 0, 0, NULL, 0);
    supervise(&s);
    spawn_kill(&s.box);
    if (s.st.reason) supervise_set_status(&s, "stopped");
    unlinkat(c->dirfd, "sock", 0);
    oci_end_like(s.wstatus);
}
