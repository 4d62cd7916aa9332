/*
 * NOTIFY_SOCKET (sd_notify(3)): the container gets a socket of its sandbox's own, and what its program says there comes by
 * way of the sentry, which is not trusted, to us; the lines that a service may say go to the service manager's socket.
 */
#include "runtime/oci/oci.h"
#include "runtime/oci/supervisor.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!path || !path[0]) return -1;
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof(a.sun_path)) {
        oci_log("warning", "NOTIFY_SOCKET=%s is no address of a socket", path);
        return -1;
    }
    memcpy(a.sun_path, path, len);
    if (a.sun_path[0] == '@') a.sun_path[0] = 0;
    /* Connected now: later the supervisor is in other namespaces. */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))) return fd;
    oci_log("warning", "NOTIFY_SOCKET=%s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static bool all(const char *s, size_t len, int (*is)(int))
{
    for (size_t i = 0; i < len; i++)
        if (!is((unsigned char)s[i])) return false;
    return len > 0;
}

/* Process ids and descriptors (MAINPID, BUSERROR, FDSTORE, BARRIER) mean nothing outside, or too much. */
static bool may_be_said(const char *line, size_t len)
{
    static const char *const words[] = { "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", "WATCHDOG=trigger" };
    static const char *const numbers[] = { "ERRNO=", "MONOTONIC_USEC=", "EXTEND_TIMEOUT_USEC=", "WATCHDOG_USEC=" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (len == strlen(words[i]) && !memcmp(line, words[i], len)) return true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        size_t n = strlen(numbers[i]);
        if (len > n && len <= n + 20 && !memcmp(line, numbers[i], n)) return all(line + n, len - n, isdigit);
    }
    return len > 7 && len <= 512 && !memcmp(line, "STATUS=", 7) && all(line + 7, len - 7, isprint);
}

size_t notify_filter(const char *text, size_t len, char *out)
{
    size_t done = 0;
    for (const char *s = text, *end = text + len; s < end;) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((nl ? nl : end) - s);
        if (may_be_said(s, n)) {
            if (done) out[done++] = '\n';
            memcpy(out + done, s, n);
            done += n;
        }
        s += n + 1;
    }
    return done;
}

void notify_relay(const struct supervisor *s, const void *text, size_t len)
{
    char out[CONTROL_NOTIFY_MAX + 32];
    if (s->notify < 0 || len > CONTROL_NOTIFY_MAX) return;
    size_t n = notify_filter(text, len, out);
    if (!n) return;
    /* In the foreground the caller stays, and is the service; else it is us. */
    if (!s->c->foreground && len >= 7 && memmem(out, n, "READY=1", 7)) n += (size_t)snprintf(out + n, sizeof(out) - n, "\nMAINPID=%d", s->st.pid);
    if (send(s->notify, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) oci_log("warning", "NOTIFY_SOCKET: %s", strerror(errno));
}
