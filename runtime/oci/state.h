/*
 * The state directory ROOT/ID: state.json (written whole, by rename), config.json as it was at create, the supervisor's
 * socket, the sandbox's log. It outlives everybody; whether the container lives is seen from the supervisor's process.
 */
#ifndef SUNDOG_OCI_STATE_H
#define SUNDOG_OCI_STATE_H

#include "runtime/oci/json.h"

struct oci_state {
    char *id, *status;             /* creating created running paused, as last written; state_status says stopped */
    char *bundle, *rootfs, *created, *reason, *systemd_unit;
    pid_t pid, sentry, gofer, broker;
    u64 start;                     /* field 22 of /proc/PID/stat: tells a pid from its next owner */
    u32 owner;
    char **cgroups; unsigned ncgroups;   /* directories we made and must remove */
    char *cgroup_v2, *cgroup_memory, *cgroup_freezer;   /* NULL: none */
    json_object *annotations;      /* counted */
};

/* Makes ROOT/ID; -1: exists already, or cannot be. */
int state_dir_make(const char *id, int *dirfd);
int state_dir_open(const char *id, int *dirfd);            /* -1: container "ID" does not exist */
void state_dir_remove(const char *id);
int state_save(int dirfd, const struct oci_state *s);      /* -errno */
int state_load(const char *id, struct oci_state *s);       /* -1 after oci_fail */
void state_free(struct oci_state *s);
const char *state_status(const struct oci_state *s);
/* As the specification's state object; full adds what `state` and `list` print more. Counted. */
json_object *state_json(const struct oci_state *s, const char *status, bool full);
u64 proc_start_time(pid_t pid, char *state_letter);        /* 0: no such process */
bool state_alive(const struct oci_state *s);
int file_write_atomic(int dirfd, const char *name, const char *text, size_t len, mode_t mode);   /* -errno */

#endif
