/*
 * config.json, parsed and checked but not acted on: the parser opens nothing and changes nothing, so that malformed
 * bundles leave nothing behind and a fuzzer can feed it. Strings are borrowed from the document.
 * Source: opencontainers/runtime-spec config.md, config-linux.md.
 */
#ifndef SUNDOG_OCI_CONFIG_H
#define SUNDOG_OCI_CONFIG_H

#include "runtime/oci/json.h"
#include "sentry/base/plan.h"

struct oci_hook { const char *path; const char **args, **env; unsigned nargs, nenv; s64 timeout; /* 0: none */ };
enum oci_hook_kind { HOOK_PRESTART, HOOK_CREATE_RUNTIME, HOOK_CREATE_CONTAINER, HOOK_START_CONTAINER, HOOK_POSTSTART, HOOK_POSTSTOP, HOOK_KINDS };
extern const char *const oci_hook_names[HOOK_KINDS];
struct oci_hooks { struct oci_hook *h; unsigned n; };

struct oci_process {
    bool terminal, no_new_privs, has_umask, has_oom;
    u16 rows, cols;
    u32 uid, gid, umask; u32 *groups; unsigned ngroups;
    const char **args, **env; unsigned nargs, nenv;
    const char *cwd, *apparmor, *selinux;
    u64 caps[5];                                 /* order of struct plan_cred */
    struct plan_rlimit rlimits[16]; unsigned nrlimits;
    s32 oom_score_adj;
    bool has_ioprio; u32 ioprio;
    bool has_sched; s32 sched_policy, sched_prio, nice;
};

struct oci_idmap { u32 inside, outside, count; };
struct oci_idmaps { struct oci_idmap *m; unsigned n; };

#define OM_BIND 1u
#define OM_REC 2u             /* rbind */
#define OM_REMOUNT 4u
#define OM_COPYUP 8u
#define OM_IDMAP 16u
#define OM_SRC_NOFOLLOW 32u
#define OM_PROPAGATION_SHIFT 8        /* PLAN_MOUNT_SHARED and so on */
#define OM_PROPAGATION(how) ((how) >> OM_PROPAGATION_SHIFT)
struct oci_mount {
    const char *dest, *type, *source;
    u32 flags;                /* MNT_* */
    u32 how;                  /* OM_* */
    bool has_mode, has_uid, has_gid;
    u32 mode, uid, gid; u64 size;
    struct oci_idmaps uids, gids;
    char *data;               /* what remained of the options, comma-separated; owned */
};

enum oci_ns { NS_PID, NS_NETWORK, NS_MOUNT, NS_IPC, NS_UTS, NS_USER, NS_CGROUP, NS_TIME, NS_KINDS };
extern const char *const oci_ns_names[NS_KINDS];
struct oci_device { const char *path; u32 mode, uid, gid; u64 rdev; };
struct oci_pair { const char *key, *value; };

struct oci_throttle { s64 major, minor; u64 rate; };
struct oci_weight { s64 major, minor; bool has_weight, has_leaf; u32 weight, leaf; };
struct oci_resources {
    struct { bool has_limit, has_reservation, has_swap, has_kernel, has_kernel_tcp, has_swappiness, has_oom, has_hier, has_check;
             s64 limit, reservation, swap, kernel, kernel_tcp; u64 swappiness; bool disable_oom, use_hierarchy, check; } memory;
    struct { bool has_shares, has_quota, has_burst, has_period, has_rt_runtime, has_rt_period, has_idle;
             u64 shares, burst, period, rt_period; s64 quota, rt_runtime, idle; const char *cpus, *mems; } cpu;
    bool has_pids; s64 pids;
    struct { bool has_weight, has_leaf; u32 weight, leaf; struct oci_weight *dev; unsigned ndev;
             struct oci_throttle *t[4]; unsigned nt[4]; /* read bps, write bps, read iops, write iops */ } blkio;
    struct { const char *size; u64 limit; } *huge; unsigned nhuge;
    bool has_classid; u32 classid;
    struct { const char *name; u32 prio; } *prios; unsigned nprios;
    struct oci_device_rule { bool allow; char type; s64 major, minor; const char *access; } *devices; unsigned ndevices;
    struct { const char *dev; bool has_handles, has_objects; u32 handles, objects; } *rdma; unsigned nrdma;
    struct oci_pair *unified; unsigned nunified;
};

struct oci_config {
    json_object *doc;                            /* counted */
    const char *version, *hostname, *domainname;
    struct { const char *path; bool readonly; } root;
    bool has_process;
    struct oci_process process;
    struct oci_mount *mounts; unsigned nmounts;
    struct oci_hooks hooks[HOOK_KINDS];
    json_object *annotations;                    /* borrowed; NULL: none */
    struct { bool present; const char *path; } ns[NS_KINDS];
    struct oci_idmaps uids, gids;
    struct oci_device *devices; unsigned ndevices;
    const char *cgroups_path, *mount_label, *propagation_name, *intel_rdt;
    u32 propagation;          /* PLAN_MOUNT_SHARED and so on */
    bool has_resources; struct oci_resources res;
    struct oci_pair *sysctl; unsigned nsysctl;
    const char **masked, **readonly; unsigned nmasked, nreadonly;
    json_object *seccomp;                        /* borrowed; checked when it is compiled */
    u32 personality;
};

/* 0 or -1 after oci_fail. Always followed by config_free. */
int config_load(struct oci_config *c, int bundle_fd, const char *path);
int config_parse(struct oci_config *c, json_object *doc /* consumed */);
void config_free(struct oci_config *c);
/* Is it one of an IPC namespace's? */
bool config_sysctl_of_ipc(const char *name);
/* The `process` object alone, as exec --process gives it. p is zeroed first. */
int process_parse(struct oci_process *p, const struct jn *n, bool need_args);
void process_free(struct oci_process *p);
int resources_parse(struct oci_resources *r, const struct jn *n);
void resources_free(struct oci_resources *r);
int linux_parse(struct oci_config *c, const struct jn *n);
int mounts_parse(struct oci_config *c, const struct jn *n);
u32 propagation_parse(const char *word);     /* PLAN_MOUNT_SHARED and so on; 0: unknown */
int idmaps_parse(struct oci_idmaps *m, const struct jn *obj, const char *key);
int cap_number(const char *name);                /* -1: unknown */
int rlimit_number(const char *name);
const char *config_annotation(const struct oci_config *c, const char *key);

#endif
