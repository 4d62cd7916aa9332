/* `sundog run`: build the plan, start the two, relay signals and window sizes, translate the end into an exit status. */
#include "runtime/cpu_share.h"
#include "runtime/commands.h"
#include "runtime/run.h"
#include "runtime/plan_build.h"
#include "runtime/profile/apply.h"
#include "runtime/profile/runlog.h"
#include "runtime/timing.h"
#include "runtime/watch.h"
#include "sentry/control/control.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARE_NICE 15        /* where a share of CPU time cannot be held */

struct run {
    struct run_options *o;
    struct console console;
    struct sandbox box;
    struct runlog log;
    struct watch watch;
    struct cpu_share share;
    int sigfd;
    u32 seq;
    bool done;          /* the program's end, or its failure to start, was reported */
    int status;         /* exit status of sundog */
};

/* fd -1: none. The sequence number, 0: not sent. */
static u32 control_send_fd(struct run *r, enum control_kind kind, const void *data, u32 len, int fd)
{
    struct control_msg m = { .kind = kind, .seq = ++r->seq, .len = len };
    union { struct cmsghdr align; u8 b[CMSG_SPACE(sizeof(int))]; } aux = { .b = { 0 } };
    struct iovec v[2] = { { &m, sizeof(m) }, { (void *)(uintptr_t)data, len } };
    struct msghdr h = { .msg_iov = v, .msg_iovlen = len ? 2 : 1 };
    if (fd >= 0) {
        h.msg_control = aux.b;
        h.msg_controllen = sizeof(aux.b);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    /* A sentry that does not read its socket does not get to block us; at worst it misses a signal. */
    if (sendmsg(r->box.control, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return m.seq;
    if (r->o->debug) fail("debug: control message %u was not sent: %s", kind, strerror(errno));
    return 0;
}

static void control_send(struct run *r, enum control_kind kind, const void *data, u32 len) { control_send_fd(r, kind, data, len, -1); }
static u32 watch_send(void *arg, u32 kind, const void *data, u32 len, int fd) { return control_send_fd(arg, (enum control_kind)kind, data, len, fd); }

static void control_receive(struct run *r);

/* What the sentry said before it or the gofer ended may still lie in the socket. */
static void receive_last_words(struct run *r)
{
    while (!r->done && r->box.control >= 0) {
        struct pollfd pfd = { .fd = r->box.control, .events = POLLIN };
        if (poll(&pfd, 1, 0) <= 0) break;
        control_receive(r);
    }
}

/* Text of the sentry goes to a terminal: printable characters only. */
static void print_failure(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isprint((unsigned char)text[i]) && text[i] != '\t' && !((u8)text[i] & 0x80)) text[i] = text[i] == '\n' ? '\n' : '?';
    fail("%.*s", (int)MIN(len, (size_t)1900), text);
}

static void finish(struct run *r, int status)
{
    r->done = true;
    r->status = status;
}

static const char *how_it_ended(int wstatus, char *buf, size_t size)
{
    if (WIFEXITED(wstatus)) snprintf(buf, size, "ended with status %d", WEXITSTATUS(wstatus));
    else if (WTERMSIG(wstatus) == SIGSYS) snprintf(buf, size, "was killed by SIGSYS: it made a host system call outside its list (the host's audit log names it)");
    else if (WTERMSIG(wstatus) == SIGKILL) snprintf(buf, size, "was killed (SIGKILL): by hand, or because the host ran out of memory");
    else snprintf(buf, size, "was killed by SIG%s", sigabbrev_np(WTERMSIG(wstatus)) ? sigabbrev_np(WTERMSIG(wstatus)) : "?");
    return buf;
}

static void report_end(struct run *r, const char *who, int wstatus)
{
    char how[160];
    console_restore();
    fail("the %s %s; the sandbox is ended%s", who, how_it_ended(wstatus, how, sizeof(how)),
         WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == EXIT_SANDBOX ? "" : " (run again with --debug to see more)");
    finish(r, EXIT_SANDBOX);
}

static bool reap_crashed_gofer(struct run *r)
{
    siginfo_t si = { 0 };
    int ws;
    if (r->box.gofer <= 0 || waitid(P_PID, (id_t)r->box.gofer, &si, WEXITED | WNOHANG | WNOWAIT)) return false;
    if (!si.si_pid || si.si_code == CLD_EXITED || waitpid(r->box.gofer, &ws, WNOHANG) != r->box.gofer) return false;
    r->box.gofer = 0;
    report_end(r, "gofer", ws);
    return true;
}

static void control_receive(struct run *r)
{
    static u8 buf[32768];
    ssize_t n = recv(r->box.control, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        /* The sentry closed its end; how it ended says SIGCHLD. */
        close(r->box.control);
        r->box.control = -1;
        return;
    }
    struct control_msg m;
    u8 *p = buf + sizeof(m);
    if ((size_t)n < sizeof(m)) goto bad;
    memcpy(&m, buf, sizeof(m));
    if (m.len != (size_t)n - sizeof(m)) goto bad;
    u32 word;
    switch (m.kind) {
    case CTL_STARTED:
        if (m.len < 8) goto bad;
        timing_add_sentry(p + 8, m.len - 8);
        timing_mark("sentry and gofer start");
        return;
    case CTL_FAILED:
        if (m.len < sizeof(word)) goto bad;
        memcpy(&word, p, sizeof(word));
        console_restore();
        print_failure((char *)p + sizeof(word), m.len - sizeof(word));
        finish(r, word == 126 || word == 127 ? (int)word : EXIT_SANDBOX);
        return;
    case CTL_EXITED:
        if (m.len < sizeof(word)) goto bad;
        memcpy(&word, p, sizeof(word));
        /* A program that lost its files ends somehow; what killed the gofer is the news. */
        if (reap_crashed_gofer(r)) return;
        finish(r, WIFSIGNALED((int)word) ? 128 + WTERMSIG((int)word) : WEXITSTATUS((int)word));
        return;
    case CTL_REPLY:
        watch_reply(&r->watch, m.seq, p, m.len);
        return;
    }
bad:
    console_restore();
    fail("the sentry sent a control message that makes no sense; the sandbox is ended");
    finish(r, EXIT_SANDBOX);
}

static void reap(struct run *r)
{
    int ws;
    pid_t pid;
    if (!r->done && reap_crashed_gofer(r)) return;
    while ((pid = waitpid(-1, &ws, WNOHANG)) > 0) {
        if ((pid == r->box.gofer || pid == r->box.broker) && WIFEXITED(ws) && !WEXITSTATUS(ws)) {
            receive_last_words(r);
            /* Both end by themselves only when the sentry's sockets close: the sentry's end is the one to report. */
            for (int i = 0; i < 200 && r->box.sentry > 0 && !r->done; i++) {
                int sentry_ws;
                if (waitpid(r->box.sentry, &sentry_ws, WNOHANG) == r->box.sentry) {
                    if (pid == r->box.gofer) r->box.gofer = 0;
                    else r->box.broker = 0;
                    pid = r->box.sentry;
                    ws = sentry_ws;
                    break;
                }
                poll(NULL, 0, 10);
            }
        }
        const char *who = pid == r->box.sentry ? "sentry" : pid == r->box.gofer ? "gofer" : pid == r->box.broker ? "network broker" : NULL;
        if (!who) continue;
        if (pid == r->box.sentry) r->box.sentry = 0;
        else if (pid == r->box.gofer) r->box.gofer = 0;
        else r->box.broker = 0;
        receive_last_words(r);
        if (r->done) continue;
        report_end(r, who, ws);
    }
}

static void relay_winsize(struct run *r)
{
    u16 size[4];
    if (console_size(&r->console, size)) control_send(r, CTL_WINSIZE, size, sizeof(size));
}

static void on_signal(struct run *r)
{
    struct signalfd_siginfo si;
    while (read(r->sigfd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGCHLD) reap(r);
        else if (si.ssi_signo == SIGWINCH) relay_winsize(r);
        else {
            s32 msg[2] = { 0, (s32)si.ssi_signo };
            control_send(r, CTL_SIGNAL, msg, sizeof(msg));
        }
    }
}

static void wait_end(struct run *r)
{
    while (!r->done) {
        struct pollfd p[3 + WATCHERS_MAX] = { { .fd = r->sigfd, .events = POLLIN }, { .fd = r->box.control, .events = POLLIN } };
        unsigned n = watch_poll(&r->watch, p + 2);
        int k = poll(p, 2 + n, -1);
        if (k < 0 && errno != EINTR) {
            finish(r, fail("poll: %s", strerror(errno)));
            return;
        }
        if (k > 0) watch_events(&r->watch, p + 2, n);
        if (p[1].revents && r->box.control >= 0) control_receive(r);
        if (p[0].revents) on_signal(r);
    }
}

/* Which of 0..2 the caller gave us; the others are filled so that nothing we open lands there. */
static unsigned secure_std_fds(void)
{
    unsigned mask = 0;
    for (int i = 0; i < 3; i++) {
        if (fcntl(i, F_GETFD) >= 0) mask |= 1u << i;
        else if (open("/dev/null", i ? O_WRONLY : O_RDONLY) != i) abort();
    }
    return mask;
}

/* The program alone decides how long its input and output stay open. */
static void release_std_fds(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return;
    dup2(null, 0);
    dup2(null, 1);
    close(null);
}

static int start(struct run *r)
{
    static const int relayed[] = { SIGCHLD, SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGIO, SIGPROF, SIGVTALRM };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(relayed); i++) sigaddset(&set, relayed[i]);
    unsigned open_mask = secure_std_fds();
    console_detect(&r->console);
    struct spawn_plan plan;
    int status = plan_build(&plan, r->o, &r->console, open_mask);
    timing_mark("plan");
    if (!status) {
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_DFL); /* an ignored SIGCHLD is inherited and would lose the exit status */
        r->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (r->sigfd < 0) status = fail("signalfd: %s", strerror(errno));
    }
    if (!status && r->console.fd >= 0) {
        int e = console_raw(&r->console);
        if (e) status = fail("the terminal cannot be put into raw mode: %s", strerror(-e));
    }
    u64 share = profile_cpu_share(r->o->profile);
    if (!status && share && !cpu_share_enter(&r->share, share)) {
        fail("warning: [limit] cpu-share %llu%% cannot be held: the host gives this user no cgroup with the cpu controller; the sandbox runs "
             "with low priority (nice %d) instead", (unsigned long long)share, SHARE_NICE);
        plan.nice = SHARE_NICE;
    }
    if (!status) status = spawn_sandbox(&r->box, &plan);
    cpu_share_back(&r->share);
    timing_mark("processes made");
    if (r->console.fd >= 0) {
        /* plan_build_fini would close the terminal with the other descriptors: it is still ours. */
        r->console.fd = fcntl(r->console.fd, F_DUPFD_CLOEXEC, 3);
    }
    plan_build_fini(&plan);
    return status;
}

/* The profile with the command line's mounts and rules on top. */
static int load_profile(struct run_options *o)
{
    if (!o->profile_name) return 0;
    struct profile *p = o->profile = profile_load(o->profile_name, o->params, o->nparams, o->rules, o->nrules);
    if (!p) return EXIT_SANDBOX;
    for (unsigned i = 0; i < o->nmounts; i++) {
        const struct user_mount *m = &o->mounts[i];
        enum pkey k = m->writable ? (m->exec ? PK_RWX : PK_RW) : m->exec ? PK_ROX : PK_RO;
        profile_add(p, PS_FILES, k, m->at, strcmp(m->at, m->host) ? m->host : NULL, "command line", 0, PL_COMMAND_LINE * 1000);
    }
    if (profile_flatten(p)) return EXIT_SANDBOX;
    profile_apply_env(p, o);
    return 0;
}

static void finish_record(struct run *r)
{
    unsigned denied, warned;
    if (r->log.fd < 0) return;
    runlog_end(&r->log, r->status, &denied, &warned);
    if (!r->o->learn && denied + warned && (isatty(2) || r->o->debug))
        fail("%u kind%s of access %s; `sundog why` tells more", denied + warned, denied + warned == 1 ? "" : "s",
             denied ? "denied" : "let pass that the profile denies");
}

int run_execute(struct run_options *o, u8 **events, size_t *len)
{
    static struct run r;
    r.o = o;
    r.log.fd = -1;
    if (o->profile || o->record) {
        int e = runlog_begin(&r.log, o);
        if (e) return fail("making the record of the run: %s", strerror(-e));
        o->event_fd = r.log.fd;
    }
    timing_mark("options");
    r.status = start(&r);
    bool started = !r.status;
    if (started) {
        release_std_fds();
        watch_open(&r.watch, r.log.fd, watch_send, &r);
        wait_end(&r);
        watch_close(&r.watch);
        timing_mark("program");
    }
    spawn_kill(&r.box);
    cpu_share_end(&r.share);
    console_restore();
    if (events && started && r.log.fd >= 0) *events = runlog_copy(&r.log, len);
    finish_record(&r);
    if (o->timing) {
        timing_mark("clean-up");
        timing_print();
    }
    return r.status;
}

int cmd_run(int argc, char **argv)
{
    static struct run_options o;
    bool helped;
    int status = options_parse_run(&o, "run", argc, argv, &helped);
    if (status || helped) return status;
    if (!(status = load_profile(&o))) status = run_execute(&o, NULL, NULL);
    options_fini(&o);
    return status;
}
