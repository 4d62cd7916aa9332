/*
 * The verbs of the OCI runtime and their options, for help, man pages and completions (runtime/verbs.h). What a verb
 * parses is in its own file; oci_options compares the two each time, so that neither can have what the other lacks.
 * Options that engines pass and that mean nothing here are in it as well. Data only.
 */
#include "runtime/verbs.h"

#include <string.h>

#define HELP { O_HELP, "--help", V_NONE, "", "this text", NULL }
#define OPT(name, meta, help, complete) { O_OCI, "--" name, V_REQUIRED, meta, help, complete }
#define FLAG(name, help) { O_OCI, "--" name, V_NONE, "", help, NULL }
#define TAKEN "taken for compatibility; means nothing here"

#define CREATE_OPTS                                                                                                              \
    OPT("bundle", "DIR", "the bundle: config.json and the root file system (.)", "@dir"),                                        \
    OPT("config", "FILE", "another name for config.json", "@file"),                                                              \
    OPT("console-socket", "SOCKET", "where the terminal's descriptor is sent", "@file"),                                         \
    OPT("pid-file", "FILE", "where the process id is written", "@file"),                                                         \
    OPT("preserve-fds", "N", "pass N descriptors from 3 on", NULL),                                                              \
    FLAG("keep", "leave the state behind when the container ends"), FLAG("no-pivot", TAKEN),                                     \
    FLAG("no-new-keyring", "no session keyring of the container's own"),                                                        \
    FLAG("no-subreaper", TAKEN), OPT("pidfd-socket", "SOCKET", TAKEN, "@file")

static const struct opt_desc create_opts[] = { CREATE_OPTS, HELP };
static const struct opt_desc run_opts[] = { CREATE_OPTS, FLAG("detach", "return when it runs"), HELP };
static const struct opt_desc none_opts[] = { HELP };
static const struct opt_desc all_opts[] = { FLAG("all", "every process of the container"), HELP };
static const struct opt_desc state_opts[] = { FLAG("all", TAKEN), HELP };
static const struct opt_desc delete_opts[] = { FLAG("force", "end it first, if it runs"), HELP };
static const struct opt_desc exec_opts[] = {
    OPT("process", "FILE", "the process as in config.json", "@file"), OPT("cwd", "DIR", "working directory inside", NULL),
    OPT("user", "UID[:GID]", "user and group inside", NULL), OPT("env", "K=V", "a variable; repeated", NULL), OPT("cap", "CAP", "a capability; repeated", NULL),
    OPT("additional-gids", "GID", "a further group; repeated", NULL), FLAG("tty", "with a terminal"), FLAG("detach", "return when it runs"),
    FLAG("no-new-privs", "no new privileges"), FLAG("ignore-paused", "also in a paused container"),
    OPT("console-socket", "SOCKET", "where the terminal's descriptor is sent", "@file"), OPT("pid-file", "FILE", "where the process id is written", "@file"),
    OPT("preserve-fds", "N", "pass N descriptors from 3 on", NULL), OPT("apparmor", "NAME", TAKEN, NULL), OPT("process-label", "LABEL", TAKEN, NULL),
    OPT("cgroup", "PATH", TAKEN, NULL), FLAG("no-subreaper", TAKEN), OPT("pidfd-socket", "SOCKET", TAKEN, "@file"), FLAG("interactive", TAKEN), HELP,
};
static const struct opt_desc ps_opts[] = { OPT("format", "FORMAT", "table or json (table)", "table json"), HELP };
static const struct opt_desc list_opts[] = { OPT("format", "FORMAT", "table or json (table)", "table json"), FLAG("quiet", "ids alone"), HELP };
static const struct opt_desc events_opts[] = { FLAG("stats", "once"), OPT("interval", "DURATION", "how often (5s)", NULL), HELP };
static const struct opt_desc update_opts[] = {
    OPT("resources", "FILE|-", "the new resources, as in config.json", "@file"), OPT("memory", "BYTES", "limit of memory", NULL),
    OPT("memory-reservation", "BYTES", "soft limit of memory", NULL), OPT("memory-swap", "BYTES", "memory and swap together", NULL),
    OPT("cpu-share", "N", "weight of the processor's time", NULL), OPT("cpu-quota", "MICROSECONDS", "processor time in each period", NULL),
    OPT("cpu-period", "MICROSECONDS", "the period", NULL), OPT("cpuset-cpus", "LIST", "processors", NULL), OPT("cpuset-mems", "LIST", "memory nodes", NULL),
    OPT("pids-limit", "N", "tasks", NULL), OPT("blkio-weight", "N", "weight of input and output", NULL), OPT("cpu-burst", "MICROSECONDS", "saved-up quota", NULL),
    OPT("cpu-idle", "0|1", "run only when nobody else wants to", NULL), OPT("cpu-rt-period", "MICROSECONDS", "real-time period", NULL),
    OPT("cpu-rt-runtime", "MICROSECONDS", "real-time share of it", NULL),
    OPT("kernel-memory", "BYTES", TAKEN, NULL), OPT("kernel-memory-tcp", "BYTES", TAKEN, NULL), OPT("l3-cache-schema", "TEXT", TAKEN, NULL),
    OPT("mem-bw-schema", "TEXT", TAKEN, NULL), HELP,
};
static const struct opt_desc spec_opts[] = {
    OPT("bundle", "DIR", "where it is written (.)", "@dir"), OPT("config", "FILE", "its name (config.json)", "@file"), FLAG("rootless", "for a user without rights"), HELP,
};

#define OPTS(list) .opts = list, .nopts = ARRAY_LEN(list)

const struct verb_desc oci_verb_table[] = {
    { .name = "create", .args = "ID", .summary = "make a container of a bundle; its program waits", OPTS(create_opts) },
    { .name = "start", .args = "ID", .summary = "let the program of a container run", OPTS(none_opts), .complete = "@container" },
    { .name = "state", .args = "ID", .summary = "print the state of a container as JSON", OPTS(state_opts), .complete = "@container" },
    { .name = "kill", .args = "ID [SIGNAL]", .summary = "send a signal to a container (TERM)", OPTS(all_opts), .complete = "@container" },
    { .name = "delete", .args = "ID", .summary = "remove a container that has ended", OPTS(delete_opts), .complete = "@container" },
    { .name = "run", .args = "ID", .summary = "create and start a container of a bundle", OPTS(run_opts) },
    { .name = "exec", .args = "ID COMMAND [ARG...]", .summary = "run a further program in a container", OPTS(exec_opts), .complete = "@container" },
    { .name = "pause", .args = "ID", .summary = "hold all tasks of a container", OPTS(none_opts), .complete = "@container" },
    { .name = "resume", .args = "ID", .summary = "let a paused container go on", OPTS(none_opts), .complete = "@container" },
    { .name = "ps", .args = "ID", .summary = "processes of a container", OPTS(ps_opts), .complete = "@container" },
    { .name = "list", .args = "", .summary = "containers and their state", OPTS(list_opts) },
    { .name = "events", .args = "ID", .summary = "what a container uses, as JSON lines", OPTS(events_opts), .complete = "@container" },
    { .name = "update", .args = "ID", .summary = "change the resources of a container", OPTS(update_opts), .complete = "@container" },
    { .name = "spec", .args = "", .summary = "write a config.json to start from", OPTS(spec_opts) },
    { .name = "features", .args = "", .summary = "what this runtime supports, as JSON", OPTS(none_opts) },
};
const unsigned oci_verb_count = ARRAY_LEN(oci_verb_table);

const struct opt_desc oci_global_opts[] = {
    OPT("root", "DIR", "where the state of containers is (/run/sundog, or below XDG_RUNTIME_DIR)", "@dir"),
    OPT("log", "FILE", "where messages go", "@file"), OPT("log-format", "FORMAT", "text or json (text)", "text json"),
    FLAG("debug", "diagnostics of the sandbox itself"), FLAG("systemd-cgroup", "cgroups by systemd"),
    OPT("cgroup-manager", "NAME", "cgroupfs, systemd or disabled", "cgroupfs systemd disabled"),
    { O_OCI, "--rootless", V_OPTIONAL, "[=BOOL]", "for a user without rights", "true false auto" },
    OPT("platform", "NAME", "auto, kvm, trap or ptrace", "auto kvm trap ptrace"), OPT("profile", "NAME|FILE", "refused: a container has what config.json says", "@profile"),
    OPT("criu", "PATH", TAKEN, NULL), FLAG("version", "version"),
};
const unsigned oci_global_count = ARRAY_LEN(oci_global_opts);

const struct verb_desc *oci_verb_find(const char *name)
{
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (!strcmp(oci_verb_table[i].name, name)) return &oci_verb_table[i];
    return NULL;
}
