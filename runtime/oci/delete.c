/* delete: what is left of a container goes, in whatever state its processes are. */
#include "runtime/oci/create.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define GONE_TRIES 1000   /* of 10 ms */

static bool ours(pid_t pid, const char *name)
{
    char path[64], comm[32];
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return false;
    ssize_t n = read(fd, comm, sizeof(comm) - 1);
    close(fd);
    if (n <= 0) return false;
    comm[n] = 0;
    return !strncmp(comm, name, strlen(name));
}

static void poststop(const struct oci_state *s)
{
    int dirfd;
    struct oci_config cfg;
    if (state_dir_open(s->id, &dirfd)) return;
    if (!config_load(&cfg, dirfd, "config.json")) {
        json_object *o = state_json(s, "stopped", false);
        hooks_run(&cfg.hooks[HOOK_POSTSTOP], HOOK_POSTSTOP, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), true);
        json_object_put(o);
    }
    config_free(&cfg);
    close(dirfd);
}

void oci_destroy(struct oci_state *s, bool run_poststop)
{
    char letter;
    if (state_alive(s)) {
        kill(s->pid, SIGKILL);
        oci_cgroup_thaw(s);
    }
    for (int i = 0; i < GONE_TRIES && state_alive(s); i++) usleep(10000);
    /* They die with the supervisor; a stopped or traced one may need the word. */
    if (ours(s->sentry, "sundog-sentry") && proc_start_time(s->sentry, &letter) >= s->start) kill(s->sentry, SIGKILL);
    if (ours(s->gofer, "sundog-gofer") && proc_start_time(s->gofer, &letter) >= s->start) kill(s->gofer, SIGKILL);
    if (ours(s->broker, "sundog-netbroker") && proc_start_time(s->broker, &letter) >= s->start) kill(s->broker, SIGKILL);
    oci_cgroup_destroy(s);
    if (run_poststop) poststop(s);
}

static int delete_one(const char *id, bool force)
{
    struct oci_state s;
    int dirfd;
    if (state_dir_open(id, &dirfd)) {
        if (!force) return -1;
        oci_error_clear();
        return 0;
    }
    /* Two deletes at once: the second waits and finds nothing. */
    flock(dirfd, LOCK_EX);
    int r = 0;
    if (state_load(id, &s)) {
        if (force || faccessat(dirfd, "state.json", F_OK, 0)) {
            r = force ? 0 : -1;
            if (force) state_dir_remove(id);
        } else r = -1;
        close(dirfd);
        if (!r) oci_error_clear();
        return r;
    }
    const char *status = state_status(&s);
    if (!force && strcmp(status, "stopped") && strcmp(status, "created"))
        r = oci_fail("cannot delete container %s that is not stopped: %s", id, status);
    if (!r) {
        oci_destroy(&s, true);
        state_dir_remove(id);
    }
    state_free(&s);
    close(dirfd);
    return r;
}

int oci_cmd_delete(int argc, char **argv)
{
    bool force = false;
    const char *regex = NULL;
    struct oci_opt opts[] = { { "force", 'f', OPT_FLAG, &force }, { "regex", 'r', OPT_STR, &regex } };
    int n, r = oci_options(opts, 1, argc, argv, false, &n);
    if (r > 0) return 0;
    const char *id;
    if (r || oci_one_id(n, argv, &id) || delete_one(id, force)) return oci_report(OCI_EXIT_FAILED);
    return 0;
}
