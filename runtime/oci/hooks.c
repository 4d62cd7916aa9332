#include "runtime/oci/hooks.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static NORETURN void child(const struct oci_hook *h, int in, int out)
{
    static const char *no_args[2];
    sigset_t none;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    setsid(); /* a group of its own, to be killed whole */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int s = 1; s < NSIG; s++) sigaction(s, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    no_args[0] = h->path;
    const char **argv = h->nargs ? h->args : no_args;
    if (h->env) execve(h->path, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)h->env);
    else execv(h->path, (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %s", h->path, errno == ENOENT ? "no such file or directory" : strerror(errno));
    _exit(127);
}

/* Feeds the state while it waits: a hook need not read it, and must not be able to hang us with it. */
static int wait_hook(pid_t pid, int in, const char *state, s64 timeout, int *wstatus)
{
    ktime_t deadline = timeout ? clock_mono() + timeout * NSEC_PER_SEC : KTIME_NEVER;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    size_t done = 0, len = strlen(state);
    bool late = false;
    while (pidfd >= 0) {
        struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = in, .events = POLLOUT } };
        s64 left = deadline == KTIME_NEVER ? -1 : MAX((deadline - clock_mono()) / NSEC_PER_MSEC, (s64)0);
        int r = poll(p, 2, (int)left);
        if (r < 0 && errno == EINTR) continue;
        if (r == 0 && deadline != KTIME_NEVER) {
            late = true;
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            break;
        }
        if (p[0].revents) break;
        if (in >= 0 && p[1].revents) {
            ssize_t n = write(in, state + done, len - done);
            if (n > 0) done += (size_t)n;
            if (done == len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                close(in);
                in = -1;
            }
        }
    }
    if (in >= 0) close(in);
    if (pidfd >= 0) close(pidfd);
    while (waitpid(pid, wstatus, 0) < 0 && errno == EINTR) ;
    return late ? -ETIMEDOUT : 0;
}

static void last_words(int fd, char *buf, size_t size)
{
    ssize_t n = pread(fd, buf, size - 1, 0);
    buf[MAX(n, (ssize_t)0)] = 0;
    while (n > 0 && strchr(" \n\r\t", buf[n - 1])) buf[--n] = 0;
}

static int run_one(const struct oci_hook *h, const char *kind, unsigned i, const char *state)
{
    int in[2], out = memfd_create("hook-output", MFD_CLOEXEC), ws = 0;
    char words[1024];
    if (out < 0 || pipe2(in, O_CLOEXEC)) return oci_fail("running hook: %s", strerror(errno));
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    struct sigaction ign = { .sa_handler = SIG_IGN }, old;
    sigaction(SIGPIPE, &ign, &old);
    pid_t pid = fork();
    if (pid == 0) child(h, in[0], out);
    close(in[0]);
    int r = 0;
    if (pid < 0) {
        r = oci_fail("error running %s hook #%u: fork: %s", kind, i, strerror(errno));
        close(in[1]);
    } else if (wait_hook(pid, in[1], state, h->timeout, &ws)) {
        r = oci_fail("error running %s hook #%u: %s: hook ran past its timeout of %lld s and was killed", kind, i, h->path, (long long)h->timeout);
    } else if (ws) {
        last_words(out, words, sizeof(words));
        if (WIFSIGNALED(ws)) r = oci_fail("error running %s hook #%u: %s: signal %d, output: %s", kind, i, h->path, WTERMSIG(ws), words);
        else r = oci_fail("error running %s hook #%u: %s: exit status %d, output: %s", kind, i, h->path, WEXITSTATUS(ws), words);
    }
    sigaction(SIGPIPE, &old, NULL);
    close(out);
    return r;
}

int hooks_run(const struct oci_hooks *h, enum oci_hook_kind kind, const char *state, bool all)
{
    for (unsigned i = 0; i < h->n; i++) {
        if (!run_one(&h->h[i], oci_hook_names[kind], i, state)) continue;
        if (!all) return -1;
        oci_log("warning", "%s", oci_error());
        oci_error_clear();
    }
    return 0;
}
