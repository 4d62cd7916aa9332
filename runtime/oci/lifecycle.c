/* start, state, kill, pause, resume. */
#include "runtime/oci/create.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The hooks of the kept configuration; config is to be freed by the caller. */
static int load_config(const char *id, struct oci_config *cfg)
{
    int dirfd;
    *cfg = (struct oci_config){ 0 };
    if (state_dir_open(id, &dirfd)) return -1;
    int r = config_load(cfg, dirfd, "config.json");
    close(dirfd);
    return r;
}

static int poststart(const char *id)
{
    struct oci_config cfg;
    struct oci_state s;
    if (load_config(id, &cfg)) return -1;
    int r = 0;
    if (cfg.hooks[HOOK_POSTSTART].n && !(r = state_load(id, &s))) {
        json_object *o = state_json(&s, "running", false);
        r = hooks_run(&cfg.hooks[HOOK_POSTSTART], HOOK_POSTSTART, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), false);
        json_object_put(o);
        state_free(&s);
    }
    config_free(&cfg);
    return r;
}

int oci_start_container(const char *id)
{
    struct oci_state s;
    struct wire_msg m;
    static char text[WIRE_MAX];
    if (state_load(id, &s)) return -1;
    AUTO_FREE char *status = xstrdup(state_status(&s));
    state_free(&s);
    if (!strcmp(status, "stopped")) return oci_fail("cannot start a container that has stopped");
    if (strcmp(status, "created")) return oci_fail(strcmp(status, "creating") ? "cannot start an already running container" : "cannot start a container that is still being created");
    int r = wire_request(id, WIRE_START, 0, 0, &m, text, sizeof(text));
    if (r == -EALREADY || r == -ECANCELED) return oci_fail("%s", text);
    if (r) return oci_fail("cannot start a container that has stopped (%s)", strerror(-r));
    if (poststart(id)) {
        /* As runc: a failing poststart hook stops the container. */
        AUTO_FREE char *why = xstrdup(oci_error());
        wire_request(id, WIRE_SIGNAL, 0, SIGKILL, &m, NULL, 0);
        return oci_fail("%s", why);
    }
    return 0;
}

int oci_cmd_start(int argc, char **argv)
{
    const char *id;
    int n, r = oci_options(NULL, 0, argc, argv, false, &n);
    if (r > 0) return 0;
    if (r || oci_one_id(n, argv, &id) || oci_start_container(id)) return oci_report(OCI_EXIT_FAILED);
    return 0;
}

int oci_cmd_state(int argc, char **argv)
{
    const char *id, *regex = NULL;
    bool all = false;
    struct oci_opt opts[] = { { "all", 'a', OPT_FLAG, &all }, { "regex", 'r', OPT_STR, &regex } };
    struct oci_state s;
    int n, r = oci_options(opts, 1, argc, argv, false, &n);
    if (r > 0) return 0;
    if (r || oci_one_id(n, argv, &id) || state_load(id, &s)) return oci_report(OCI_EXIT_FAILED);
    for (int i = 0; i < 500 && !strcmp(state_status(&s), "creating"); i++) { /* a moment's matter, unless hooks hang */
        usleep(10000);
        state_free(&s);
        if (state_load(id, &s)) return oci_report(OCI_EXIT_FAILED);
    }
    json_object *o = state_json(&s, state_status(&s), true);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    state_free(&s);
    return 0;
}

/* --- kill --- */

static int signal_number(const char *name, int *out)
{
    char *end;
    if (isdigit((unsigned char)*name)) {
        long v = strtol(name, &end, 10);
        *out = (int)v;
        return *end || v < 0 || v > 64 ? -1 : 0;
    }
    if (!strncasecmp(name, "SIG", 3)) name += 3;
    if (!strncasecmp(name, "RTMIN", 5) || !strncasecmp(name, "RTMAX", 5)) {
        bool min = !strncasecmp(name + 3, "IN", 2);
        long d = name[5] ? strtol(name + 5, &end, 10) : 0;
        *out = (int)((min ? 34 : 64) + d);
        return (name[5] && *end) || *out < 34 || *out > 64 ? -1 : 0;
    }
    static const struct { const char *name; int sig; } other[] = { { "IOT", SIGABRT }, { "CLD", SIGCHLD }, { "POLL", SIGIO }, { "STKFLT", SIGSTKFLT } };
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (!strcasecmp(other[i].name, name)) {
            *out = other[i].sig;
            return 0;
        }
    for (int s = 1; s < 32; s++)
        if (sigabbrev_np(s) && !strcasecmp(sigabbrev_np(s), name)) {
            *out = s;
            return 0;
        }
    return -1;
}

static int kill_container(const char *id, int sig, bool all)
{
    struct oci_state s;
    struct wire_msg m;
    if (state_load(id, &s)) return -1;
    bool alive = state_alive(&s), creating = !strcmp(s.status, "creating");
    pid_t pid = s.pid;
    state_free(&s);
    if (!alive) return all ? 0 : oci_fail("container not running");
    int r = wire_request(id, WIRE_SIGNAL, all ? -1 : 0, sig, &m, NULL, 0);
    if (!r) return 0;
    if (r == -ESRCH) return all ? 0 : oci_fail("os: process already finished");
    if ((r == -ECONNREFUSED || r == -ENOENT) && creating && sig == SIGKILL) return kill(pid, SIGKILL) && errno != ESRCH ? oci_fail("kill: %s", strerror(errno)) : 0;
    /* It ended while we asked. */
    if (r == -ECONNREFUSED || r == -ENOENT || r == -EPIPE || r == -ECONNRESET) return all ? 0 : oci_fail("container not running");
    return oci_fail("signalling the container: %s", strerror(-r));
}

int oci_cmd_kill(int argc, char **argv)
{
    bool all = false;
    const char *regex = NULL;
    struct oci_opt opts[] = { { "all", 'a', OPT_FLAG, &all }, { "regex", 'r', OPT_STR, &regex } };
    int n, sig = SIGTERM, r = oci_options(opts, 1, argc, argv, false, &n);
    if (r > 0) return 0;
    if (!r && (n < 1 || n > 2)) r = oci_fail("a container id and at most one signal are wanted");
    if (!r && !oci_id_valid(argv[0])) r = oci_fail("invalid container id format: %s", argv[0]);
    if (!r && n == 2 && signal_number(argv[1], &sig)) r = oci_fail("unknown signal \"%s\"", argv[1]);
    if (!r) r = kill_container(argv[0], sig, all);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}

/* --- pause and resume --- */

static int freeze(int argc, char **argv, bool on)
{
    const char *id;
    struct oci_state s;
    struct wire_msg m;
    int n, r = oci_options(NULL, 0, argc, argv, false, &n);
    if (r > 0) return 0;
    if (r || oci_one_id(n, argv, &id) || state_load(id, &s)) return oci_report(OCI_EXIT_FAILED);
    const char *status = state_status(&s);
    if (on && strcmp(status, "running") && strcmp(status, "created")) r = oci_fail("container not running: it is %s", status);
    if (!on && strcmp(status, "paused")) r = oci_fail("container not paused: it is %s", status);
    if (!r) {
        r = wire_request(id, on ? WIRE_PAUSE : WIRE_RESUME, 0, 0, &m, NULL, 0);
        if (r) oci_fail("%s the container: %s", on ? "pausing" : "resuming", strerror(-r));
    }
    state_free(&s);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}

int oci_cmd_pause(int argc, char **argv) { return freeze(argc, argv, true); }
int oci_cmd_resume(int argc, char **argv) { return freeze(argc, argv, false); }
