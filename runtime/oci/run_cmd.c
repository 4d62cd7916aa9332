/* run: create and start in one; in the foreground it waits, passes signals on and cleans up. */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_container(pid_t pid, int sock, int sigfd, const struct console *con)
{
    struct signalfd_siginfo si;
    int ws;
    for (;;) {
        struct pollfd p[2] = { { .fd = sigfd, .events = POLLIN }, { .fd = sock, .events = POLLIN } };
        if (poll(p, 2, -1) < 0 && errno != EINTR) return OCI_EXIT_FAILED;
        if (p[1].revents) { /* answers to what we sent: of no interest */
            struct wire_msg m;
            ssize_t n = wire_recv(sock, &m, NULL, 0, NULL, NULL, 0);
            if (n < 0 && n != -ETIMEDOUT) close(sock), sock = -1;
        }
        while (read(sigfd, &si, sizeof(si)) == sizeof(si)) {
            if (si.ssi_signo == SIGCHLD) {
                pid_t got;
                while ((got = waitpid(-1, &ws, WNOHANG)) > 0)
                    if (got == pid) {
                        if (sock >= 0) close(sock);
                        return WIFSIGNALED(ws) ? 128 + WTERMSIG(ws) : WEXITSTATUS(ws);
                    }
            } else if (si.ssi_signo == SIGWINCH) {
                u16 size[4];
                if (sock >= 0 && console_size(con, size)) wire_send(sock, WIRE_WINSIZE, size[0], size[1], NULL, 0);
            } else if (sock >= 0) {
                wire_send(sock, WIRE_SIGNAL, 0, (s32)si.ssi_signo, NULL, 0);
            }
        }
    }
}

static int foreground(struct oci_create *c)
{
    static const int relayed[] = { SIGCHLD, SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(relayed); i++) sigaddset(&set, relayed[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGCHLD, SIG_DFL);
    int sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), sock = -1, status;
    struct console con = { .fd = -1 };
    struct oci_state s;
    pid_t pid;
    if (sigfd < 0) return oci_fail("signalfd: %s", strerror(errno));
    if (oci_create_container(c, &pid, &sock)) return -1;
    if (c->cfg.process.terminal && !c->console_socket) {
        console_detect(&con);
        if (con.fd >= 0) console_raw(&con);
    }
    int r = oci_start_container(c->id);
    if (r) kill(pid, SIGKILL);
    status = wait_container(pid, sock, sigfd, &con);
    console_restore();
    AUTO_FREE char *why = r ? xstrdup(oci_error()) : NULL;
    if (!state_load(c->id, &s)) {
        if (s.reason) {
            oci_fail("%s", s.reason);
            oci_report(0);
        }
        if (!c->keep) oci_destroy(&s, true);
        state_free(&s);
    }
    if (!c->keep) state_dir_remove(c->id);
    if (why) oci_fail("%s", why);
    return r ? -1 : status;
}

static int detached(struct oci_create *c)
{
    pid_t pid;
    int sock;
    if (oci_create_container(c, &pid, &sock)) return -1;
    close(sock);
    if (!oci_start_container(c->id)) return 0;
    AUTO_FREE char *why = xstrdup(oci_error());
    struct oci_state s;
    if (!state_load(c->id, &s)) {
        oci_destroy(&s, true);
        state_free(&s);
    }
    state_dir_remove(c->id);
    return oci_fail("%s", why);
}

int oci_cmd_run(int argc, char **argv)
{
    struct oci_create c = { 0 };
    const char *preserve = NULL;
    bool detach = false;
    struct oci_opt opts[] = {
        { "bundle", 'b', OPT_STR, &c.bundle }, { "console-socket", 0, OPT_STR, &c.console_socket }, { "pid-file", 0, OPT_STR, &c.pid_file },
        { "preserve-fds", 0, OPT_STR, &preserve }, { "config", 'f', OPT_STR, &c.config }, { "no-pivot", 0, OPT_FLAG, NULL },
        { "no-new-keyring", 0, OPT_FLAG, &c.no_new_keyring }, { "no-subreaper", 0, OPT_FLAG, NULL }, { "keep", 0, OPT_FLAG, &c.keep },
        { "detach", 'd', OPT_FLAG, &detach }, { "pidfd-socket", 0, OPT_STR, NULL },
    };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, false, &n);
    if (r > 0) return 0;
    if (r || oci_one_id(n, argv, &c.id)) return oci_report(OCI_EXIT_FAILED);
    if (preserve) c.preserve_fds = (unsigned)atoi(preserve);
    const char *listen = getenv("LISTEN_FDS");
    if (listen && !preserve) c.preserve_fds = (unsigned)atoi(listen);
    c.foreground = !detach;
    if (c.preserve_fds > 100) r = oci_fail("more than 100 descriptors to preserve");
    if (!r) r = oci_create_prepare(&c);
    if (!r) r = detach ? detached(&c) : foreground(&c);
    oci_create_fini(&c);
    return r < 0 ? oci_report(OCI_EXIT_FAILED) : r;
}
