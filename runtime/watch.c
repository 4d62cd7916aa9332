#include "runtime/watch.h"
#include "runtime/oci/wire.h"
#include "runtime/profile/runlog.h"
#include "sentry/control/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void watch_open(struct watch *w, int record, u32 (*send)(void *arg, u32 kind, const void *data, u32 len, int fd), void *arg)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "sundog/%u/%d", geteuid(), getpid());
    *w = (struct watch){ .record = record, .send = send, .arg = arg };
    w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->listener < 0) return;
    if (bind(w->listener, (struct sockaddr *)(void *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) || listen(w->listener, 4)) {
        close(w->listener);
        w->listener = -1;
    }
}

unsigned watch_poll(const struct watch *w, struct pollfd *p)
{
    p[0] = (struct pollfd){ .fd = w->listener, .events = POLLIN };
    for (unsigned i = 0; i < w->n; i++) p[i + 1] = (struct pollfd){ .fd = w->w[i].fd, .events = POLLIN };
    return w->n + 1;
}

static void accept_one(struct watch *w)
{
    struct ucred c;
    socklen_t len = sizeof(c);
    int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (w->n == WATCHERS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) || (c.uid != geteuid() && c.uid != 0)) close(fd);
    else w->w[w->n++] = (struct watcher){ .fd = fd };
}

/* The record goes out read-only. */
static void send_record(struct watch *w, struct watcher *c)
{
    char path[64];
    u32 on = 1;
    int give = -1;
    if (w->record < 0 && (w->record = runlog_memory()) >= 0) give = w->record, w->own_record = true;
    w->send(w->arg, CTL_WATCH, &on, sizeof(on), give);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", w->record);
    int fd = w->record < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    wire_send_fds(c->fd, WIRE_REPLY, fd < 0 ? -errno : 0, 0, &fd, fd >= 0);
    if (fd >= 0) close(fd);
}

/* false: it is gone. */
static bool serve(struct watch *w, struct watcher *c)
{
    struct wire_msg m;
    ssize_t n = wire_recv(c->fd, &m, NULL, 0, NULL, NULL, 0);
    if (n == -ETIMEDOUT) return true;
    if (n < 0) return false;
    if (m.op == WIRE_WATCH) send_record(w, c);
    else if (m.op == WIRE_STATS || m.op == WIRE_PS) c->seq = w->send(w->arg, m.op == WIRE_PS ? CTL_PS : CTL_STATS, NULL, 0, -1);
    else wire_send(c->fd, WIRE_REPLY, -ENOSYS, 0, NULL, 0);
    return true;
}

void watch_events(struct watch *w, const struct pollfd *p, unsigned n)
{
    for (unsigned i = n - 1; i > 0; i--) {
        if (!p[i].revents || serve(w, &w->w[i - 1])) continue;
        close(w->w[i - 1].fd);
        w->w[i - 1] = w->w[--w->n];
        u32 off = 0;
        if (!w->n) w->send(w->arg, CTL_WATCH, &off, sizeof(off), -1);
    }
    if (p[0].revents) accept_one(w);
}

void watch_reply(struct watch *w, u32 seq, const u8 *data, u32 len)
{
    s32 err;
    if (len < sizeof(err)) return;
    memcpy(&err, data, sizeof(err));
    for (unsigned i = 0; i < w->n; i++) {
        if (!seq || w->w[i].seq != seq) continue;
        w->w[i].seq = 0;
        wire_send(w->w[i].fd, WIRE_REPLY, err, 0, data + sizeof(err), len - sizeof(err));
    }
}

void watch_close(struct watch *w)
{
    for (unsigned i = 0; i < w->n; i++) close(w->w[i].fd);
    if (w->listener >= 0) close(w->listener);
    if (w->own_record) close(w->record);
    *w = (struct watch){ .listener = -1, .record = -1 };
}
