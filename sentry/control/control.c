/*
 * The sentry's end of the control socket: one thread that sleeps in recv(2) and serves what sundog asks. When the
 * socket hangs up sundog is gone, and the sandbox with it.
 */
#include "sentry/control/control.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/service.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/resources.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"

#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(recvfrom, "input from host sockets given at start");
HOSTCALL(recvmsg, "requests on the control socket, with the descriptors of an exec");
HOSTCALL_SENDTO("answers on the control socket; output to host sockets given at start");
HOSTCALL(exit_group, "end of the sandbox");

#define MAX_TIMING 24
#define CONTROL_STACK (128 * 1024)
#define CONTROL_PAYLOAD 16384

static int control_sock = -1;
static struct control_timing timing[MAX_TIMING];
static unsigned ntiming;

void control_timing_mark(const char *name)
{
    if (ntiming == MAX_TIMING) return;
    struct control_timing *t = &timing[ntiming++];
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->when = clock_mono();
}

void control_answer(u32 kind, u32 seq, const void *fixed, u32 fixed_len, const void *more, u32 more_len)
{
    u8 buf[sizeof(struct control_msg) + CONTROL_PAYLOAD];
    more_len = MIN(more_len, (u32)(CONTROL_PAYLOAD - fixed_len));
    struct control_msg m = { .kind = kind, .seq = seq, .len = fixed_len + more_len };
    memcpy(buf, &m, sizeof(m));
    memcpy(buf + sizeof(m), fixed, fixed_len);
    if (more_len) memcpy(buf + sizeof(m) + fixed_len, more, more_len);
    while (send(control_sock, buf, sizeof(m) + m.len, MSG_NOSIGNAL) < 0 && errno == EINTR) ;
}

void control_report_started(s32 tid)
{
    s32 head[2] = { tid, 0 };
    control_answer(CTL_STARTED, 0, head, sizeof(head), timing, (u32)(ntiming * sizeof(timing[0])));
}

void control_report_failed(int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    s32 st = status;
    if (control_sock < 0) log_error("%s", text);
    else if (n >= 0) control_answer(CTL_FAILED, 0, &st, sizeof(st), text, (u32)MIN(n, (int)sizeof(text) - 1));
}

void control_report_exited(u32 wait_status) { control_answer(CTL_EXITED, 0, &wait_status, sizeof(wait_status), NULL, 0); }

/* What a service tells its manager comes a few times in its life, a watchdog's some times a second. More is not carried. */
#define NOTIFY_BURST 32
#define NOTIFY_EVERY (50 * NSEC_PER_MSEC)

int control_notify(const u8 *data, u32 len)
{
    static s64 paid_until;   /* (a) each message costs NOTIFY_EVERY; so much credit has been used */
    s64 now = clock_mono(), old = atomic_load(&paid_until), next;

    if (len > CONTROL_NOTIFY_MAX) return -EMSGSIZE;
    do {
        next = (old > now ? old : now) + NOTIFY_EVERY;
        if (next > now + NOTIFY_BURST * NOTIFY_EVERY) return -EAGAIN;
    } while (!__atomic_compare_exchange_n(&paid_until, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    control_answer(CTL_NOTIFY, 0, NULL, 0, data, len);
    return 0;
}

static void control_reply(const struct control_msg *m, s32 err)
{
    control_answer(CTL_REPLY, m->seq, &err, sizeof(err), NULL, 0);
}

/* A signal from outside comes from no process of the sandbox: pid and uid 0, as across pid namespaces. */
static s32 control_signal(s32 pid, s32 signo)
{
    if (signo < 0 || signo > 64) return -EINVAL;
    struct ksiginfo info = { .signo = signo, .code = SI_USER };
    if (pid == -1) { /* all of them; whether somebody was there is no matter */
        struct tgroup *each;
        for (s32 next = 1; (each = tgroup_next_get(next)); tgroup_put(each)) {
            next = each->tgid + 1;
            signal_send_group(each, &info);
        }
        return 0;
    }
    struct tgroup *tg = tgroup_lookup_get(pid ? pid : 1);
    if (!tg) return -ESRCH;
    int r = signal_send_group(tg, &info);
    tgroup_put(tg);
    return r;
}

static s32 control_set_limits(const struct control_limits *l)
{
    if (l->memory < -1 || l->pids < -1 || l->pids >= UINT32_MAX) return -EINVAL;
    if (l->memory) resources_set_memory(MAX(l->memory, (s64)0));
    if (l->pids) resources_set_pids((u32)MAX(l->pids, (s64)0));
    if (l->ncpus) resources_set_cpus(l->ncpus);
    return 0;
}

static u32 start_word;   /* (a) futex: 1 once CTL_START came */

void control_wait_start(void)
{
    while (!__atomic_load_n(&start_word, __ATOMIC_ACQUIRE)) syscall(SYS_futex, &start_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void let_start(void)
{
    __atomic_store_n(&start_word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &start_word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void close_all(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) close(fds[i]);
}

static void control_serve(const struct control_msg *m, const u8 *data, int *fds, unsigned nfds)
{
    static struct control_proc procs[CONTROL_PAYLOAD / sizeof(struct control_proc)];
    s32 ok = 0;
    if (m->kind == CTL_EXEC) {
        control_exec(m->seq, fds, nfds);
        return;
    }
    if (m->kind == CTL_WATCH) {
        u32 on = 0;
        memcpy(&on, data, MIN(m->len, (u32)sizeof(on)));
        int r = nfds > 1 || m->len != sizeof(on) ? -EINVAL : policy_watch(nfds ? fds[0] : -1, on);
        if (nfds > 1 || m->len != sizeof(on)) close_all(fds, nfds);
        control_reply(m, r);
        return;
    }
    close_all(fds, nfds);
    switch (m->kind) {
    case CTL_SIGNAL: {
        s32 a[2];
        if (m->len != sizeof(a)) break;
        memcpy(a, data, sizeof(a));
        control_reply(m, control_signal(a[0], a[1]));
        return;
    }
    case CTL_WINSIZE: {
        u16 w[4];
        s32 pid = 0;
        if (m->len != sizeof(w) && m->len != sizeof(w) + sizeof(pid)) break;
        memcpy(w, data, sizeof(w));
        if (m->len > sizeof(w)) memcpy(&pid, data + sizeof(w), sizeof(pid));
        console_set_winsize(pid, w[0], w[1], w[2], w[3]);
        control_reply(m, 0);
        return;
    }
    case CTL_PAUSE:
        kernel_freeze();
        control_reply(m, 0);
        return;
    case CTL_RESUME:
        kernel_thaw();
        control_reply(m, 0);
        return;
    case CTL_PS: {
        u32 n = control_ps(procs, ARRAY_LEN(procs));
        control_answer(CTL_REPLY, m->seq, &ok, sizeof(ok), procs, n * (u32)sizeof(procs[0]));
        return;
    }
    case CTL_STATS: {
        struct control_stats st;
        control_stats(&st);
        control_answer(CTL_REPLY, m->seq, &ok, sizeof(ok), &st, sizeof(st));
        return;
    }
    case CTL_START:
        let_start();
        control_reply(m, 0);
        return;
    case CTL_LIMITS: {
        struct control_limits l;
        if (m->len != sizeof(l)) break;
        memcpy(&l, data, sizeof(l));
        control_reply(m, control_set_limits(&l));
        return;
    }
    case CTL_STACKS:
        control_reply(m, -EOPNOTSUPP);
        return;
    }
    control_reply(m, -EINVAL);
}

/* The descriptors of a message; -1: it has none or too many (then they are closed). */
static unsigned take_fds(struct msghdr *h, int *fds)
{
    unsigned n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        unsigned k = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < k && n < CONTROL_FDS_MAX; i++) memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

static void *control_main(void *arg UNUSED)
{
    static u8 buf[sizeof(struct control_msg) + 8192];
    static union { struct cmsghdr align; u8 b[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))]; } aux;
    for (;;) {
        int fds[CONTROL_FDS_MAX];
        struct iovec v = { .iov_base = buf, .iov_len = sizeof(buf) };
        struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = aux.b, .msg_controllen = sizeof(aux.b) };
        ssize_t n = recvmsg(control_sock, &h, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(125); /* sundog is gone; nobody wants the rest */
        unsigned nfds = take_fds(&h, fds);
        struct control_msg m;
        if ((size_t)n < sizeof(m)) {
            close_all(fds, nfds);
            continue;
        }
        memcpy(&m, buf, sizeof(m));
        if (m.len != (size_t)n - sizeof(m)) {
            close_all(fds, nfds);
            control_reply(&m, -EMSGSIZE);
            continue;
        }
        control_serve(&m, buf + sizeof(m), fds, nfds);
    }
    return NULL;
}

void control_attach(int sock) { control_sock = sock; }

int control_start(int sock)
{
    control_attach(sock);
    return service_start(control_main, NULL, CONTROL_STACK);
}
