/* What `create` and `run` ask for, and the supervisor that answers. */
#ifndef SUNDOG_OCI_CREATE_H
#define SUNDOG_OCI_CREATE_H

#include "runtime/oci/config.h"
#include "runtime/oci/state.h"
#include "runtime/spawn.h"
#include "runtime/console.h"

struct oci_create {
    const char *id, *bundle, *config, *pid_file, *console_socket;
    unsigned preserve_fds;
    bool foreground;                   /* run without --detach: the caller waits, and its terminal is the container's */
    bool keep, no_new_keyring;
    char *bundle_path, *rootfs;        /* absolute; owned */
    int dirfd;                         /* state directory */
    struct oci_config cfg;
    bool notify;                  /* what the program says to NOTIFY_SOCKET is carried on */
    bool net_missing;             /* the container is to have a network of its own, and the host gives none */
    struct { char *dir, *controllers; } *cg; unsigned ncg;   /* the cgroups it is in */
};

/* All checks that need no container. 0 or -1; oci_create_fini either way. */
int oci_create_prepare(struct oci_create *c);
void oci_create_fini(struct oci_create *c);
/* Makes the container: state directory, supervisor, hooks. *pid and *sock: the supervisor and the way to it. */
int oci_create_container(struct oci_create *c, pid_t *pid, int *sock);
int oci_rootfs(struct oci_create *c);
/* What delete does once the supervisor is gone or to be killed; never fails, says what remained in the log. */
void oci_destroy(struct oci_state *s, bool run_poststop);
int oci_start_container(const char *id);
int oci_write_pid_file(const char *path, pid_t pid);

/* The supervisor: in the child of create; never returns. */
void supervisor_main(struct oci_create *c, int parent) NORETURN;

/* plan.c: from the configuration to the plans; opens rootfs and mount sources. */
int oci_plan_build(struct spawn_plan *p, const struct oci_create *c, const struct console *con, unsigned open_mask);
/* The part about a process, for the first one and for execs. */
/* pod.c: of the namespaces that the container joins, what was set in them for the container that made them. Before its own. */
void oci_pod_sysctls(struct plan_writer *w, const struct oci_config *cfg);
void oci_plan_process(struct plan_writer *w, const struct oci_process *p, u32 personality);
int oci_console_socket(const char *path, int *slave, struct oci_process *p);   /* makes a pty, sends its master away */
void console_ctty(int slave);

/*
 * ns.c. oci_fork_supervisor: a child in the container's pid namespace on the host; fork's answer, -1 after oci_fail.
 * oci_namespaces_enter: the supervisor goes into the others (network, ipc, uts, cgroup). net_missing: the host refused a
 * new one. oci_mount_ns_visit: into the mount namespace given by path, if one is: a descriptor to oci_mount_ns_leave it
 * with, or -1 (none was given), or -2 after oci_fail. oci_user_ns: last, in the supervisor; oci_map_ids: in create.
 */
pid_t oci_fork_supervisor(const struct oci_config *c);
int oci_namespaces_enter(const struct oci_config *c, bool *net_missing);
int oci_mount_ns_visit(const struct oci_config *c);
int oci_mount_ns_leave(int back);
int oci_user_ns(const struct oci_config *c, int parent);
int oci_map_ids(const struct oci_config *c, pid_t pid);
/* mntns.c: last, when nothing of the host is needed by path any more. */
int oci_mount_ns(const struct oci_create *c);
/* seccomp.c */
int oci_seccomp_compile(json_object *seccomp, struct plan_writer *w);
/* cgroup.c */
int oci_cgroup_create(struct oci_create *c, struct oci_state *s);     /* makes, limits and joins */
int oci_cgroup_join(const struct oci_state *s);
int oci_cgroup_update(const struct oci_state *s, const struct oci_resources *r);
void oci_cgroup_thaw(const struct oci_state *s);                      /* whoever froze it: a frozen one cannot be killed */
void oci_cgroup_destroy(const struct oci_state *s);                   /* kills what is in, removes */

#endif
