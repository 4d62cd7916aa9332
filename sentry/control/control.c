/*
 * The sentry's end of the control socket: one thread that sleeps in recv(2) and serves what sundog asks. When the
 * socket hangs up sundog is gone, and the sandbox with it.
 */
#include "sentry/control/control.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/task.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL(recvfrom, "requests on the control socket; input from host sockets given at start");
HOSTCALL_SENDTO("answers on the control socket; output to host sockets given at start");
HOSTCALL(exit_group, "end of the sandbox");

#define MAX_TIMING 24
#define CONTROL_STACK (128 * 1024)

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

static void control_send(u32 kind, u32 seq, const void *fixed, u32 fixed_len, const void *more, u32 more_len)
{
    u8 buf[sizeof(struct control_msg) + 4096];
    more_len = MIN(more_len, (u32)(4096 - fixed_len));
    struct control_msg m = { .kind = kind, .seq = seq, .len = fixed_len + more_len };
    memcpy(buf, &m, sizeof(m));
    memcpy(buf + sizeof(m), fixed, fixed_len);
    if (more_len) memcpy(buf + sizeof(m) + fixed_len, more, more_len);
    while (send(control_sock, buf, sizeof(m) + m.len, MSG_NOSIGNAL) < 0 && errno == EINTR) ;
}

void control_report_started(s32 tid)
{
    s32 head[2] = { tid, 0 };
    control_send(CTL_STARTED, 0, head, sizeof(head), timing, (u32)(ntiming * sizeof(timing[0])));
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
    else if (n >= 0) control_send(CTL_FAILED, 0, &st, sizeof(st), text, (u32)MIN(n, (int)sizeof(text) - 1));
}

void control_report_exited(u32 wait_status) { control_send(CTL_EXITED, 0, &wait_status, sizeof(wait_status), NULL, 0); }

static void control_reply(const struct control_msg *m, s32 err)
{
    control_send(CTL_REPLY, m->seq, &err, sizeof(err), NULL, 0);
}

/* A signal from outside comes from no process of the sandbox: pid and uid 0, as across pid namespaces. */
static s32 control_signal(s32 pid, s32 signo)
{
    if (signo < 1 || signo > 64) return -EINVAL;
    struct tgroup *tg = tgroup_lookup_get(pid ? pid : 1);
    if (!tg) return -ESRCH;
    struct ksiginfo info = { .signo = signo, .code = SI_USER };
    int r = signal_send_group(tg, &info);
    tgroup_put(tg);
    return r;
}

static void control_serve(const struct control_msg *m, const u8 *data)
{
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
        if (m->len != sizeof(w)) break;
        memcpy(w, data, sizeof(w));
        console_set_winsize(w[0], w[1], w[2], w[3]);
        control_reply(m, 0);
        return;
    }
    case CTL_EXEC:
    case CTL_PAUSE:
    case CTL_RESUME:
    case CTL_PS:
    case CTL_STATS:
    case CTL_STACKS:
        control_reply(m, -EOPNOTSUPP);
        return;
    }
    control_reply(m, -EINVAL);
}

static void *control_main(void *arg UNUSED)
{
    static u8 buf[sizeof(struct control_msg) + 8192];
    for (;;) {
        ssize_t n = recv(control_sock, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(125); /* sundog is gone; nobody wants the rest */
        struct control_msg m;
        if ((size_t)n < sizeof(m)) continue;
        memcpy(&m, buf, sizeof(m));
        if (m.len != (size_t)n - sizeof(m)) {
            control_reply(&m, -EMSGSIZE);
            continue;
        }
        control_serve(&m, buf + sizeof(m));
    }
    return NULL;
}

void control_attach(int sock) { control_sock = sock; }

int control_start(int sock)
{
    control_attach(sock);
    pthread_t th;
    pthread_attr_t at;
    pthread_attr_init(&at);
    pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&at, CONTROL_STACK);
    /* Host signals are for task threads (kicks); this one takes none. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&th, &at, control_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&at);
    return -r;
}
