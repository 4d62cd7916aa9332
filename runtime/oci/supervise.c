/* The supervisor's life: requests of verbs, signals, reports of the sentry, the end. */
#include "runtime/oci/oci.h"
#include "runtime/oci/supervisor.h"
#include "runtime/plan_build.h"
#include "runtime/profile/runlog.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_GRACE 10000   /* ms that the sentry gets to carry out a SIGKILL */

static ktime_t kill_deadline = KTIME_NEVER;

static void end(struct supervisor *s, int wstatus, const char *reason)
{
    if (s->ended) return;
    s->ended = true;
    s->wstatus = wstatus;
    if (!reason) return;
    free(s->st.reason);
    s->st.reason = xstrdup(reason);
    oci_log("error", "container %s: %s", s->c->id, reason);
}

void supervise_set_status(struct supervisor *s, const char *status)
{
    char *old = s->st.status;
    s->st.status = xstrdup(status);
    free(old);
    int r = state_save(s->c->dirfd, &s->st);
    if (r) oci_log("error", "writing the state of %s: %s", s->c->id, strerror(-r));
}

/* --- to the sentry --- */

int supervise_send(struct supervisor *s, enum control_kind kind, const void *data, u32 len, const int *fds, unsigned nfds, u32 *seq)
{
    struct control_msg m = { .kind = kind, .seq = ++s->seq, .len = len };
    union { struct cmsghdr align; u8 b[CMSG_SPACE(WIRE_FDS * sizeof(int))]; } aux;
    struct iovec v[2] = { { &m, sizeof(m) }, { (void *)(uintptr_t)data, len } };
    struct msghdr h = { .msg_iov = v, .msg_iovlen = len ? 2 : 1 };
    if (!s->seq) m.seq = ++s->seq;
    if (nfds) {
        memset(&aux, 0, sizeof(aux));
        h.msg_control = aux.b;
        h.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    if (seq) *seq = m.seq;
    if (s->box.control < 0) return -ESRCH;
    /* A sentry that does not read its socket does not get to block us. */
    ssize_t r;
    while ((r = sendmsg(s->box.control, &h, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR) ;
    return r < 0 ? -errno : 0;
}

static bool ends_the_held(int sig)
{
    return sig == SIGKILL || sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT || sig == SIGABRT;
}

static int send_signal(struct supervisor *s, s32 pid, s32 sig, u32 *seq)
{
    s32 a[2] = { pid, sig };
    if (!s->started && pid <= 0 && ends_the_held(sig)) {
        /* Nothing of it runs yet that could take the signal: it ends here, as another runtime's init would. */
        end(s, sig, NULL);
        return 1;
    }
    if (pid <= 0 && sig == SIGKILL) {
        s->stop_signal = SIGKILL;
        if (kill_deadline == KTIME_NEVER) kill_deadline = clock_mono() + KILL_GRACE * NSEC_PER_MSEC;
    }
    return supervise_send(s, CTL_SIGNAL, a, sizeof(a), NULL, 0, seq);
}

/* --- from the sentry, which is not trusted --- */

static struct client *by_seq(struct supervisor *s, u32 seq)
{
    for (struct client *c = s->clients; c; c = c->next)
        if (seq && (c->seq == seq || c->exec_seq == seq)) return c;
    return NULL;
}

static void on_reply(struct supervisor *s, const struct control_msg *m, const u8 *data)
{
    struct client *c = by_seq(s, m->seq);
    s32 head[2] = { 0, 0 };
    if (!c || m->len < sizeof(s32)) return;
    memcpy(head, data, MIN((size_t)m->len, sizeof(head)));
    c->seq = 0;
    if (c->exec_seq == m->seq) {
        bool ok = !head[0] && m->len >= sizeof(head);
        size_t skip = MIN((size_t)m->len, sizeof(head));
        if (ok) {
            c->exec_pid = head[1];
            if (c->hung_up) send_signal(s, c->exec_pid, SIGKILL, NULL);
        } else c->exec_seq = 0;
        wire_send(c->fd, WIRE_REPLY, ok ? 0 : head[0] ? head[0] : -EIO, head[1], data + skip, m->len - skip);
    } else {
        wire_send(c->fd, WIRE_REPLY, head[0], 0, data + sizeof(s32), m->len - sizeof(s32));
    }
}

bool supervise_receive(struct supervisor *s)
{
    static u8 buf[32768];
    ssize_t n = s->box.control < 0 ? 0 : recv(s->box.control, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
        if (s->box.control >= 0) close(s->box.control);
        s->box.control = -1;
        return false;
    }
    struct control_msg m;
    u32 word;
    if ((size_t)n < sizeof(m)) goto bad;
    memcpy(&m, buf, sizeof(m));
    if (m.len != (size_t)n - sizeof(m)) goto bad;
    const u8 *p = buf + sizeof(m);
    switch (m.kind) {
    case CTL_STARTED: return true;
    case CTL_FAILED:
        buf[n] = 0;
        end(s, 125 << 8, m.len > sizeof(word) ? (const char *)p + sizeof(word) : "the sentry failed");
        return true;
    case CTL_EXITED:
        if (m.len < sizeof(word)) goto bad;
        memcpy(&word, p, sizeof(word));
        /* Only the forms of wait(2) that end a process: the rest would be read as something else by our parent. */
        end(s, WIFSIGNALED((int)word) ? WTERMSIG((int)word) : WEXITSTATUS((int)word) << 8, NULL);
        return true;
    case CTL_REPLY: on_reply(s, &m, p); return true;
    case CTL_NOTIFY: notify_relay(s, p, m.len); return true;
    case CTL_EXEC_EXITED: {
        struct client *c = by_seq(s, m.seq);
        if (m.len < sizeof(word)) goto bad;
        memcpy(&word, p, sizeof(word));
        if (c && c->exec_seq == m.seq && c->exec_pid) {
            wire_send(c->fd, WIRE_EXITED, (s32)word, 0, NULL, 0);
            c->exec_seq = 0;
        }
        return true;
    }
    }
bad:
    end(s, 125 << 8, "the sentry sent a control message that makes no sense");
    return false;
}

/* --- requests --- */

static void refuse(struct client *c, int err, const char *why) { wire_send(c->fd, WIRE_REPLY, err, 0, why, strlen(why)); }

static void start(struct supervisor *s, struct client *c)
{
    if (s->started) {
        refuse(c, -EALREADY, "cannot start an already running container");
        return;
    }
    if (supervise_start_hooks(s)) {
        refuse(c, -ECANCELED, oci_error());
        end(s, 1 << 8, oci_error());
        return;
    }
    int r = supervise_send(s, CTL_START, NULL, 0, NULL, 0, &c->seq);
    if (r) {
        refuse(c, r, "the sentry does not answer");
        return;
    }
    s->started = true;
    supervise_set_status(s, "running");
}

static void freeze(struct supervisor *s, struct client *c, bool on)
{
    int r = supervise_send(s, on ? CTL_PAUSE : CTL_RESUME, NULL, 0, NULL, 0, &c->seq);
    if (r) refuse(c, r, "the sentry does not answer");
    else supervise_set_status(s, on ? "paused" : s->started ? "running" : "created");
}

static void winsize(struct supervisor *s, s32 pid, u16 rows, u16 cols)
{
    u8 msg[4 * sizeof(u16) + sizeof(s32)] = { 0 };
    memcpy(msg, &rows, sizeof(rows));
    memcpy(msg + 2, &cols, sizeof(cols));
    memcpy(msg + 8, &pid, sizeof(pid));
    supervise_send(s, CTL_WINSIZE, msg, sizeof(msg), NULL, 0, NULL);
}

static void watch(struct supervisor *s, struct client *c)
{
    u32 on = 1;
    bool first = !s->record;
    if (first && (s->record = runlog_memory()) <= 0) s->record = 0;
    if (!s->record || supervise_send(s, CTL_WATCH, &on, sizeof(on), &s->record, first, NULL)) {
        refuse(c, -EIO, "the sentry does not answer");
        return;
    }
    c->watches = true;
    wire_send_fds(c->fd, WIRE_REPLY, 0, 0, &s->record, 1);
}

/* The cgroup has its new values. Our own affinity is what a cpuset leaves, for the sandbox as for us. */
static void limits(struct supervisor *s, struct client *c, const void *data, size_t len)
{
    struct control_limits l;
    if (len != sizeof(l)) {
        refuse(c, -EINVAL, "malformed limits");
        return;
    }
    memcpy(&l, data, sizeof(l));
    l.ncpus = plan_cpu_count();
    int r = supervise_send(s, CTL_LIMITS, &l, sizeof(l), NULL, 0, &c->seq);
    if (r) refuse(c, r, "the sentry does not answer");
}

static void serve(struct supervisor *s, struct client *c, const struct wire_msg *m, const void *data, size_t len, int *fds, unsigned nfds)
{
    int r = 0;
    switch (m->op) {
    case WIRE_START: start(s, c); break;
    case WIRE_SIGNAL: {
        /* An exec's owner speaks of its own process. */
        s32 pid = c->exec_pid ? c->exec_pid : m->a[0];
        r = send_signal(s, pid, m->a[1], c->exec_pid ? NULL : &c->seq);
        if (r > 0) wire_send(c->fd, WIRE_REPLY, 0, 0, NULL, 0);
        else if (r && !c->exec_pid) refuse(c, r, "the sentry does not answer");
        break;
    }
    case WIRE_EXEC:
        if (!nfds || c->exec_seq) refuse(c, -EINVAL, "malformed exec");
        else if ((r = supervise_send(s, CTL_EXEC, NULL, 0, fds, nfds, &c->exec_seq))) {
            c->exec_seq = 0;
            refuse(c, r, "the sentry does not answer");
        }
        break;
    case WIRE_WINSIZE: winsize(s, c->exec_pid, (u16)m->a[0], (u16)m->a[1]); break;
    case WIRE_PAUSE: freeze(s, c, true); break;
    case WIRE_RESUME: freeze(s, c, false); break;
    case WIRE_PS:
    case WIRE_STATS:
        r = supervise_send(s, m->op == WIRE_PS ? CTL_PS : CTL_STATS, NULL, 0, NULL, 0, &c->seq);
        if (r) refuse(c, r, "the sentry does not answer");
        break;
    case WIRE_WATCH: watch(s, c); break;
    case WIRE_LIMITS: limits(s, c, data, len); break;
    default: refuse(c, -ENOSYS, "unknown request");
    }
    for (unsigned i = 0; i < nfds; i++) close(fds[i]);
}

/* false: it is gone. */
static bool client_event(struct supervisor *s, struct client *c)
{
    struct wire_msg m;
    int fds[WIRE_FDS];
    unsigned nfds = 0;
    u8 data[128];
    ssize_t n = wire_recv(c->fd, &m, data, sizeof(data), fds, &nfds, 0);
    if (n == -ETIMEDOUT) return true;
    if (n >= 0) {
        serve(s, c, &m, data, (size_t)n, fds, nfds);
        return true;
    }
    for (unsigned i = 0; i < nfds; i++) close(fds[i]);
    if (c->exec_seq && !c->exec_pid) { /* kept until the sentry answers, to be killed then */
        c->hung_up = true;
        return true;
    }
    if (c->exec_seq) send_signal(s, c->exec_pid, SIGKILL, NULL);
    return false;
}

static void drop(struct supervisor *s, struct client *c)
{
    for (struct client **p = &s->clients; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    if (c->fd == s->parent) s->parent = -1;
    bool watched = false;
    for (struct client *k = s->clients; k; k = k->next) watched |= k->watches;
    u32 off = 0;
    if (c->watches && !watched) supervise_send(s, CTL_WATCH, &off, sizeof(off), NULL, 0, NULL);
    close(c->fd);
    free(c);
}

static void accept_one(struct supervisor *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    struct client *c = xnew(struct client);
    c->fd = fd;
    c->next = s->clients;
    s->clients = c;
}

/* --- our children, our signals --- */

static void describe(const char *who, int ws, char *buf, size_t size)
{
    if (WIFEXITED(ws)) snprintf(buf, size, "the %s ended with status %d", who, WEXITSTATUS(ws));
    else if (WTERMSIG(ws) == SIGKILL) snprintf(buf, size, "the %s was killed (SIGKILL): by hand, or because its cgroup or the host ran out of memory", who);
    else snprintf(buf, size, "the %s was killed by signal %d", who, WTERMSIG(ws));
}

void supervise_reap(struct supervisor *s)
{
    int ws;
    pid_t pid;
    char why[160];
    while ((pid = waitpid(-1, &ws, WNOHANG)) > 0) {
        const char *who = pid == s->box.sentry ? "sentry" : pid == s->box.gofer ? "gofer" : pid == s->box.broker ? "network broker" : NULL;
        if (!who) continue;
        bool sentry = pid == s->box.sentry;
        if (sentry) s->box.sentry = 0;
        else if (pid == s->box.gofer) s->box.gofer = 0;
        else s->box.broker = 0;
        /* Its last words may still lie in the socket; so may those of a sentry whose end let the gofer go. */
        struct pollfd p = { .fd = s->box.control, .events = POLLIN };
        while (!s->ended && s->box.control >= 0 && poll(&p, 1, !sentry && WIFEXITED(ws) ? 2000 : 0) > 0)
            if (!supervise_receive(s) && s->box.control < 0) break;
        if (s->ended || (!sentry && WIFEXITED(ws) && !WEXITSTATUS(ws) && s->box.sentry)) continue;
        describe(who, ws, why, sizeof(why));
        if (s->stop_signal) end(s, s->stop_signal, NULL);
        else end(s, SIGKILL, why);
    }
}

static void on_signals(struct supervisor *s)
{
    struct signalfd_siginfo si;
    while (read(s->sigfd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGCHLD) {
            supervise_reap(s);
        } else if (si.ssi_signo == SIGWINCH) {
            u16 size[4];
            if (console_size(&s->console, size)) winsize(s, 0, size[0], size[1]);
        } else if (si.ssi_code <= 0) {
            send_signal(s, 0, (s32)si.ssi_signo, NULL); /* not what the host's kernel tells us of our own terminal */
        }
    }
}

void supervise(struct supervisor *s)
{
    if (s->parent >= 0) {
        struct client *c = xnew(struct client);
        c->fd = s->parent;
        s->clients = c;
    }
    while (!s->ended) {
        unsigned n = 3;
        for (struct client *c = s->clients; c; c = c->next) n++;
        struct pollfd *p = xzalloc(n * sizeof(*p));
        struct client **who = xzalloc(n * sizeof(struct client *));
        p[0] = (struct pollfd){ .fd = s->sigfd, .events = POLLIN };
        p[1] = (struct pollfd){ .fd = s->box.control, .events = POLLIN };
        p[2] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
        n = 3;
        for (struct client *c = s->clients; c; c = c->next, n++) {
            p[n] = (struct pollfd){ .fd = c->hung_up ? -1 : c->fd, .events = POLLIN };
            who[n] = c;
        }
        int wait = kill_deadline == KTIME_NEVER ? -1 : (int)MAX((kill_deadline - clock_mono()) / NSEC_PER_MSEC + 1, (s64)0);
        int r = poll(p, n, wait);
        if (r < 0 && errno != EINTR) end(s, 125 << 8, "poll failed");
        if (kill_deadline != KTIME_NEVER && clock_mono() >= kill_deadline) end(s, SIGKILL, "the sentry did not carry out SIGKILL in time");
        if (r > 0) {
            if (p[1].revents) supervise_receive(s);
            if (p[0].revents) on_signals(s);
            for (unsigned i = 3; i < n; i++) {
                bool over = who[i]->hung_up && !who[i]->exec_seq;
                if (over || (p[i].revents && !client_event(s, who[i]))) drop(s, who[i]);
            }
            if (p[2].revents) accept_one(s);
        }
        free(p);
        free(who);
    }
    /* Whoever waits for an exec or an answer hears that all is over. */
    for (struct client *c = s->clients; c; c = c->next) {
        if (c->exec_seq && c->exec_pid) wire_send(c->fd, WIRE_EXITED, SIGKILL, 0, NULL, 0);
        else if (c->seq) wire_send(c->fd, WIRE_REPLY, c->exec_seq ? -ESRCH : 0, 0, NULL, 0);
    }
}
