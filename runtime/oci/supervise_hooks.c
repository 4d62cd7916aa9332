/* startContainer hooks: programs of the image, run inside before the container's own, by the sentry's exec. */
#include "runtime/oci/oci.h"
#include "runtime/oci/supervisor.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int memory_file(const char *name, const char *text)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -1;
    if (write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int hook_plan(const struct supervisor *s, const struct oci_hook *h)
{
    struct oci_process p = s->c->cfg.process;
    p.uid = p.gid = 0;
    p.ngroups = 0;
    p.nrlimits = 0;
    p.args = h->nargs ? h->args : (const char *[]){ h->path };
    p.nargs = h->nargs ? h->nargs : 1;
    p.env = h->env, p.nenv = h->nenv;
    p.cwd = "/";
    /* The program is path; args[0] is only its name, which the plan cannot tell apart: the path wins. */
    const char **args = xzalloc((p.nargs + 1) * sizeof(*args));
    memcpy(args, p.args, p.nargs * sizeof(*args));
    args[0] = h->path;
    p.args = args;
    struct plan_writer w;
    plan_begin(&w);
    oci_plan_process(&w, &p, 0);
    for (s32 i = 0; i < 3; i++) {
        struct plan_fd f = { .host_fd = i, .guest_fd = i };
        plan_add(&w, PLAN_FD, &f, sizeof(f));
    }
    free(args);
    int fd = memfd_create("hook-plan", MFD_CLOEXEC);
    if (fd < 0 || plan_send(&w, fd) || lseek(fd, 0, SEEK_SET) < 0) {
        if (fd >= 0) close(fd);
        return -1;
    }
    return fd;
}

/* Waits for the two messages about one exec. 0 and *ws, or -errno with text in why. */
static int wait_hook(struct supervisor *s, u32 seq, ktime_t deadline, int *ws, char *why, size_t size)
{
    static u8 buf[32768];
    for (;;) {
        struct pollfd p = { .fd = s->box.control, .events = POLLIN };
        s64 left = deadline == KTIME_NEVER ? -1 : MAX((deadline - clock_mono()) / NSEC_PER_MSEC, (s64)0);
        int r = poll(&p, 1, (int)left);
        if (r == 0) return -ETIMEDOUT;
        ssize_t n = recv(s->box.control, buf, sizeof(buf) - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        struct control_msg m;
        s32 head[2];
        if (n < (ssize_t)sizeof(m)) return -EPIPE;
        memcpy(&m, buf, sizeof(m));
        if (m.len != (size_t)n - sizeof(m) || m.seq != seq) continue;
        buf[n] = 0;
        if (m.kind == CTL_EXEC_EXITED && m.len >= sizeof(*ws)) {
            memcpy(ws, buf + sizeof(m), sizeof(*ws));
            return 0;
        }
        if (m.kind != CTL_REPLY || m.len < sizeof(head)) continue;
        memcpy(head, buf + sizeof(m), sizeof(head));
        if (head[0]) {
            snprintf(why, size, "%.900s", (const char *)buf + sizeof(m) + sizeof(head));
            return -ENOEXEC;
        }
    }
}

static int run_one(struct supervisor *s, const struct oci_hook *h, unsigned i, const char *state)
{
    char why[1024] = "";
    int fds[4], ws = 0;
    u32 seq;
    fds[0] = hook_plan(s, h);
    fds[1] = memory_file("hook-state", state);
    fds[2] = memory_file("hook-output", "");
    fds[3] = fds[2] < 0 ? -1 : dup(fds[2]);
    bool made = fds[0] >= 0 && fds[1] >= 0 && fds[3] >= 0;
    int r = !made ? -ENOMEM : supervise_send(s, CTL_EXEC, NULL, 0, fds, 4, &seq);
    if (!r) r = wait_hook(s, seq, h->timeout ? clock_mono() + h->timeout * NSEC_PER_SEC : KTIME_NEVER, &ws, why, sizeof(why));
    if (!r && ws) {
        ssize_t n = pread(fds[2], why, sizeof(why) - 1, 0);
        why[MAX(n, (ssize_t)0)] = 0;
    }
    for (int k = 0; k < 4; k++)
        if (fds[k] >= 0) close(fds[k]);
    if (r == -ETIMEDOUT) return oci_fail("error running startContainer hook #%u: %s ran past its timeout of %lld s", i, h->path, (long long)h->timeout);
    if (r) return oci_fail("error running startContainer hook #%u: %s: %s", i, h->path, why[0] ? why : strerror(-r));
    if (WIFSIGNALED(ws)) return oci_fail("error running startContainer hook #%u: %s: signal %d", i, h->path, WTERMSIG(ws));
    if (ws) return oci_fail("error running startContainer hook #%u: %s: exit status %d, output: %s", i, h->path, WEXITSTATUS(ws), why);
    return 0;
}

int supervise_start_hooks(struct supervisor *s)
{
    const struct oci_hooks *h = &s->c->cfg.hooks[HOOK_START_CONTAINER];
    if (!h->n) return 0;
    json_object *o = state_json(&s->st, "created", false);
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    int r = 0;
    for (unsigned i = 0; i < h->n && !r; i++) r = run_one(s, &h->h[i], i, text);
    json_object_put(o);
    return r;
}
