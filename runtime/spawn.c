#include "runtime/spawn.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SUNDOG_LIBEXECDIR
#define SUNDOG_LIBEXECDIR "/usr/local/libexec"
#endif

int spawn_find_program(const char *name)
{
    char self[PATH_MAX], path[PATH_MAX + 64];
    const char *env = getenv("SUNDOG_LIBEXEC");
    if (env) {
        snprintf(path, sizeof(path), "%s/%s", env, name);
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0) fail("SUNDOG_LIBEXEC=%s: no %s there (%s)", env, name, strerror(errno));
        return fd;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0) snprintf(self, sizeof(self), "/usr/local/bin/sundog");
    else self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash) *slash = 0;
    /* The build directory, then the places an installation has. */
    static const char *const where[] = { "%s/%s", "%s/../libexec/sundog/%s", "%s/../lib/sundog/%s" };
    for (size_t i = 0; i <= ARRAY_LEN(where); i++) {
        if (i == ARRAY_LEN(where)) snprintf(path, sizeof(path), "%s/sundog/%s", SUNDOG_LIBEXECDIR, name);
        else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(path, sizeof(path), where[i], self, name);
#pragma GCC diagnostic pop
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd >= 0) return fd;
    }
    fail("%s was not found beside %s/sundog nor in %s/sundog: build or install it, or set SUNDOG_LIBEXEC", name, self,
         SUNDOG_LIBEXECDIR);
    return -1;
}

/* --- between clone and exec: only system calls, no heap, no locks --- */

struct child {
    const char *name;
    int bin, null;
    char **argv;
    const int *keep; unsigned nkeep;
    int extra[4 + GOFER_CHANNELS + BROKER_CHANNELS]; unsigned nextra;
    const char *uid_map, *gid_map;   /* written by the child itself; NULL: by the parent, who then closes go */
    int go;                          /* read end; -1: nothing to wait for */
    int go_write;
    int nice;
    unsigned long ns;                /* the new namespaces it got */
};

static NORETURN void child_fail(const struct child *c, const char *what)
{
    char buf[256];
    int n = snprintf(buf, sizeof(buf), "sundog: starting %s: %s: %s\n", c->name, what, strerror(errno));
    ssize_t r = write(2, buf, (size_t)n);
    (void)r;
    _exit(EXIT_SANDBOX);
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static NORETURN void child_main(const struct child *c)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (c->go >= 0) {
        char b;
        close(c->go_write);
        if (read(c->go, &b, 1) != 1) _exit(EXIT_SANDBOX); /* sundog is gone, or said why itself */
    }
    if (c->uid_map) {
        if ((errno = -write_file("/proc/self/setgroups", "deny"))) child_fail(c, "writing /proc/self/setgroups");
        if ((errno = -write_file("/proc/self/uid_map", c->uid_map))) child_fail(c, "writing its user id map");
        if ((errno = -write_file("/proc/self/gid_map", c->gid_map))) child_fail(c, "writing its group id map");
    }
    /* Keys on the caller's terminal are for sundog, not for its helpers. */
    setsid();
    if (c->nice && setpriority(PRIO_PROCESS, 0, MIN(getpriority(PRIO_PROCESS, 0) + c->nice, 19))) child_fail(c, "setpriority");
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    for (int s = 1; s < NSIG; s++) sigaction(s, &dfl, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit nofile;
    if (!getrlimit(RLIMIT_NOFILE, &nofile)) {
        nofile.rlim_cur = nofile.rlim_max;
        setrlimit(RLIMIT_NOFILE, &nofile);
    }
    if (dup2(c->null, 0) < 0 || dup2(c->null, 1) < 0) child_fail(c, "redirecting to /dev/null");
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC)) child_fail(c, "close_range (Linux 5.11 is needed)");
    for (unsigned i = 0; i < c->nkeep; i++)
        if (c->keep[i] > 2 && fcntl(c->keep[i], F_SETFD, 0)) child_fail(c, "keeping a descriptor");
    for (unsigned i = 0; i < c->nextra; i++)
        if (fcntl(c->extra[i], F_SETFD, 0)) child_fail(c, "keeping a descriptor");
    static char *const no_env[] = { NULL };
    syscall(SYS_execveat, c->bin, "", c->argv, no_env, AT_EMPTY_PATH);
    child_fail(c, "execveat");
}

/* Like fork, into new namespaces. */
static pid_t spawn_child(struct child *c, unsigned long ns)
{
    long pid = syscall(SYS_clone, ns | SIGCHLD, 0, NULL, NULL, 0);
    if (pid == 0) child_main(c);
    c->ns = ns;
    return pid < 0 ? -errno : (pid_t)pid;
}

pid_t spawn_proc_pid(pid_t pid)
{
    char path[64], text[512], *at;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) return pid;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) close(fd);
    close(pidfd);
    text[MAX(n, (ssize_t)0)] = 0;
    at = strstr(text, "Pid:");
    return at && atoi(at + 4) > 0 ? (pid_t)atoi(at + 4) : pid;
}

/* Maps each id that exists here to itself: a sandbox in a container cannot map more than its container has. */
static char *identity_map(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) return NULL;
    char *out = xstrdup("");
    unsigned long in, outside, n;
    while (fscanf(f, "%lu %lu %lu", &in, &outside, &n) == 3) {
        char *next = xasprintf("%s%lu %lu %lu\n", out, in, in, n);
        free(out);
        out = next;
    }
    fclose(f);
    return out;
}

static int map_gofer(pid_t pid)
{
    AUTO_FREE char *uids = identity_map("/proc/self/uid_map"), *gids = identity_map("/proc/self/gid_map");
    if (!uids || !gids) return -ENOENT;
    char path[64];
    pid = spawn_proc_pid(pid);
    snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    int r = write_file(path, uids);
    snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
    return r ? r : write_file(path, gids);
}

/* The mount namespace is made by the programs themselves when they lock themselves in (sentry/hostjail). */
#define NS_ALL (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/*
 * A new network namespace is the most expensive of all, to make and to take down. The sentry's holds nothing but a loopback
 * device that is down, and neither it nor the gofer may make a socket: one does for both. Returns the flags still to be made.
 */
static unsigned long enter_shared(pid_t sentry, unsigned long has, int *back)
{
    char path[64];
    const char *const names[] = { "net", "ipc", "uts" };
    const int types[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS };
    unsigned long left = NS_ALL;
    sentry = spawn_proc_pid(sentry);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", sentry, names[i]);
        int theirs = has & (unsigned long)types[i] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
        back[i] = theirs < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (back[i] >= 0 && setns(theirs, types[i]) == 0) left &= ~(unsigned long)types[i];
        if (theirs >= 0) close(theirs);
    }
    return left;
}

static void leave_shared(unsigned long left, int *back)
{
    const int types[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS };
    for (int i = 0; i < 3; i++) {
        if (back[i] < 0) continue;
        if (!(left & (unsigned long)types[i]) && setns(back[i], types[i])) {
            fail("returning from the sandbox's namespaces: %s", strerror(errno));
            abort(); /* what comes next is meant for the host's */
        }
        close(back[i]);
    }
}

/*
 * The gofer opens files as the caller does and must see true owners. A privileged caller gives it a user namespace in
 * which every id is itself: it keeps its rights on files and loses every other privilege. An unprivileged caller
 * cannot: its namespace could map one id only, and all other owners would read as nobody. There the gofer runs with
 * the caller's own rights, no_new_privs and its system-call filter, without a namespace.
 */
static pid_t start_gofer(struct child *c, const struct spawn_plan *p, pid_t sentry, unsigned long sentry_ns)
{
    if (geteuid() != 0) return spawn_child(c, 0);
    int pipefd[2];
    if (pipe2(pipefd, O_CLOEXEC)) return -errno;
    c->go = pipefd[0];
    c->go_write = pipefd[1];
    int back[3];
    unsigned long ns = enter_shared(sentry, sentry_ns, back);
    pid_t pid = spawn_child(c, ns);
    leave_shared(ns, back);
    if (pid > 0) {
        int r = map_gofer(pid);
        if (r) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            pid = r;
        }
    }
    if (pid < 0) {
        if (p->debug) fail("debug: no user namespace for the gofer (%s); it gets the others only", strerror((int)-pid));
        pid = spawn_child(c, NS_ALL & ~(unsigned long)CLONE_NEWUSER);
        if (pid < 0) pid = spawn_child(c, 0);
        if (pid > 0) fail("warning: the gofer runs without a user namespace of its own (the host refuses it)");
    }
    close(pipefd[0]);
    if (pid > 0 && write(pipefd[1], "g", 1) != 1) fail("the gofer did not wait for its identity map");
    close(pipefd[1]);
    return pid;
}

/* The sentry owns nothing on the host: inside, one id, with rights only over its own namespaces. */
static pid_t start_sentry(struct child *c, const struct spawn_plan *p)
{
    char uid_map[64], gid_map[64];
    snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
    snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
    c->uid_map = uid_map;
    c->gid_map = gid_map;
    pid_t pid = spawn_child(c, NS_ALL);
    if (pid >= 0) return pid;
    if (p->debug) fail("debug: no user namespace for the sentry: %s", strerror((int)-pid));
    c->uid_map = c->gid_map = NULL;
    pid = spawn_child(c, NS_ALL & ~(unsigned long)CLONE_NEWUSER);
    if (pid >= 0) return pid;
    fail("warning: the host refuses namespaces (%s); the sentry has only its system-call filter and resource limits around it. "
         "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces) to get them",
         strerror((int)-pid));
    return spawn_child(c, 0);
}

/*
 * The broker's network is sundog's own, so it gets no network namespace. A privileged caller's stays in its user
 * namespace, since the right to ports below 1024 counts only there; it keeps that one capability. Another's goes into a
 * user namespace without rights over the network.
 */
static pid_t start_broker(struct child *c, const struct spawn_plan *p)
{
    char uid_map[64], gid_map[64];
    const unsigned long ns = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    pid_t pid;
    if (geteuid() == 0) {
        pid = spawn_child(c, ns);
    } else {
        snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
        snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
        c->uid_map = uid_map;
        c->gid_map = gid_map;
        pid = spawn_child(c, ns | CLONE_NEWUSER);
        c->uid_map = c->gid_map = NULL;
    }
    if (pid >= 0) return pid;
    if (p->debug) fail("debug: no namespaces for the network broker: %s", strerror((int)-pid));
    return spawn_child(c, 0);
}

static int plan_fd(struct plan_writer *w, const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -errno;
    int r = plan_send(w, fd);
    if (!r && lseek(fd, 0, SEEK_SET) < 0) r = -errno;
    if (r) {
        close(fd);
        return r;
    }
    return fd;
}

int spawn_sandbox(struct sandbox *s, struct spawn_plan *p)
{
    *s = (struct sandbox){ .control = -1 };
    int control[2], chan[GOFER_CHANNELS][2], nchan[BROKER_CHANNELS][2];
    struct child se = { .name = "the sentry", .go = -1 }, go = { .name = "the gofer", .go = -1 }, br = { .name = "the network broker", .bin = -1, .go = -1 };
    if ((se.bin = spawn_find_program("sundog-sentry")) < 0 || (go.bin = spawn_find_program("sundog-gofer")) < 0) return EXIT_SANDBOX;
    if (p->net_host && (br.bin = spawn_find_program("sundog-netbroker")) < 0) return EXIT_SANDBOX;
    se.null = go.null = br.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (se.null < 0) return fail("opening /dev/null: %s", strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control)) return fail("making the control socket: %s", strerror(errno));
    for (unsigned i = 0; i < GOFER_CHANNELS; i++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, chan[i])) return fail("making a gofer channel: %s", strerror(errno));
    for (unsigned i = 0; i < BROKER_CHANNELS; i++) {
        nchan[i][0] = nchan[i][1] = -1;
        if (p->net_host && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nchan[i])) return fail("making a broker channel: %s", strerror(errno));
    }
    int bplan = p->net_host ? plan_fd(&p->broker, "broker-plan") : -1;
    if (p->net_host && bplan < 0) return fail("writing the plan to memory: %s", strerror(-bplan));
    int splan = plan_fd(&p->sentry, "sentry-plan"), gplan = plan_fd(&p->gofer, "gofer-plan");
    if (splan < 0 || gplan < 0) return fail("writing the plan to memory: %s", strerror(-MIN(splan, gplan)));

    char num[5 + 2 * GOFER_CHANNELS + 2 * BROKER_CHANNELS][12];
    char *sargv[8 + 2 * GOFER_CHANNELS + 2 * BROKER_CHANNELS], *gargv[8 + 2 * GOFER_CHANNELS], *bargv[8 + 2 * BROKER_CHANNELS];
    unsigned sn = 0, gn = 0, bn = 0, nn = 0;
#define PUT_FD(argv, n, c, opt, fd) do { \
        snprintf(num[nn], sizeof(num[nn]), "%d", fd); \
        (argv)[(n)++] = (char *)(opt), (argv)[(n)++] = num[nn++], (c).extra[(c).nextra++] = (fd); } while (0)
    sargv[sn++] = (char *)"sundog-sentry";
    gargv[gn++] = (char *)"sundog-gofer";
    PUT_FD(sargv, sn, se, "--plan-fd", splan);
    PUT_FD(sargv, sn, se, "--control-fd", control[1]);
    PUT_FD(gargv, gn, go, "--plan-fd", gplan);
    for (unsigned i = 0; i < GOFER_CHANNELS; i++) {
        PUT_FD(sargv, sn, se, "--gofer-fd", chan[i][0]);
        PUT_FD(gargv, gn, go, "--sock-fd", chan[i][1]);
    }
    bargv[bn++] = (char *)"sundog-netbroker";
    if (p->net_host) PUT_FD(bargv, bn, br, "--plan-fd", bplan);
    for (unsigned i = 0; i < BROKER_CHANNELS && p->net_host; i++) {
        PUT_FD(sargv, sn, se, "--netbroker-fd", nchan[i][0]);
        PUT_FD(bargv, bn, br, "--sock-fd", nchan[i][1]);
    }
    if (p->debug) gargv[gn++] = bargv[bn++] = (char *)"--debug";
    sargv[sn] = gargv[gn] = bargv[bn] = NULL;
    se.nice = go.nice = br.nice = p->nice;
    se.argv = sargv, go.argv = gargv, br.argv = bargv;
    se.keep = p->sentry_fds, se.nkeep = p->n_sentry_fds;
    go.keep = p->gofer_fds, go.nkeep = p->n_gofer_fds;
    br.keep = p->broker_fds, br.nkeep = p->n_broker_fds;

    /* The sentry first: its start takes longest. */
    s->sentry = start_sentry(&se, p);
    s->gofer = s->sentry > 0 ? start_gofer(&go, p, s->sentry, se.ns) : 0;
    s->broker = s->gofer > 0 && p->net_host ? start_broker(&br, p) : 0;
    int r = 0;
    if (s->sentry < 0 || s->gofer < 0 || s->broker < 0) {
        pid_t bad = s->sentry < 0 ? s->sentry : s->gofer < 0 ? s->gofer : s->broker;
        r = fail("cannot make a process for %s: %s", s->sentry < 0 ? "the sentry" : s->gofer < 0 ? "the gofer" : "the network broker",
                 strerror((int)-bad));
    }
    s->sentry = MAX(s->sentry, 0);
    s->gofer = MAX(s->gofer, 0);
    s->broker = MAX(s->broker, 0);
    s->control = control[0];
    int mine[] = { control[1], splan, gplan, se.null, se.bin, go.bin };
    for (size_t i = 0; i < ARRAY_LEN(mine); i++) close(mine[i]);
    for (unsigned i = 0; i < GOFER_CHANNELS; i++) close(chan[i][0]), close(chan[i][1]);
    if (p->net_host) {
        close(bplan), close(br.bin);
        for (unsigned i = 0; i < BROKER_CHANNELS; i++) close(nchan[i][0]), close(nchan[i][1]);
    }
    if (r) spawn_kill(s);
    return r;
}

void spawn_kill(struct sandbox *s)
{
    /* The sentry is pid 1 of its namespace: the kernel takes all its stubs along. */
    if (s->sentry > 0) kill(s->sentry, SIGKILL);
    if (s->gofer > 0) kill(s->gofer, SIGKILL);
    if (s->broker > 0) kill(s->broker, SIGKILL);
    while (s->sentry > 0 && waitpid(s->sentry, NULL, 0) < 0 && errno == EINTR) ;
    while (s->gofer > 0 && waitpid(s->gofer, NULL, 0) < 0 && errno == EINTR) ;
    while (s->broker > 0 && waitpid(s->broker, NULL, 0) < 0 && errno == EINTR) ;
    s->sentry = s->gofer = s->broker = 0;
}
