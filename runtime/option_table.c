/* The table itself. Order is the order of help and man pages. Data only: see verbs.h. */
#include "runtime/verbs.h"

#include <string.h>

#define HELP { O_HELP, "--help", V_NONE, "", "this text", NULL }
#define JSON { O_JSON, "--json", V_NONE, "", "print one JSON document instead of text", NULL }

#define PARAM { O_PARAM, "--param", V_REQUIRED, "NAME=VALUE", "set a parameter of the profile", NULL }
#define DNS { O_DNS, "--dns", V_REQUIRED, "ADDRESS[:PORT]", "name server that the sandbox's resolver asks, up to 3 (the host's)", NULL }
#define RULE { O_RULE, "--rule", V_REQUIRED, "LINE", "a line more for the profile, such as '[files] ro /srv'", NULL }

static const struct opt_desc run_opts[] = {
    { O_PROFILE, "--profile", V_REQUIRED, "NAME|FILE", "what is shown and allowed: sundog-profile(5)", "@profile" },
    PARAM,
    RULE,
    { O_MODE, "--mode", V_REQUIRED, "MODE", "enforce the profile, or warn: let pass and record (enforce)", "enforce warn" },
    { O_RECORD, "--record", V_NONE, "", "record times and processes too, for `sundog report`", NULL },
    { O_ROOTFS, "--rootfs", V_REQUIRED, "DIR", "DIR is the root; changes go to memory and are dropped at the end", "@dir" },
    { O_ROOTFS_RW, "--rootfs-rw", V_REQUIRED, "DIR", "DIR is the root and may be changed", "@dir" },
    { O_RO, "--ro", V_REQUIRED, "PATH[:AT]", "show PATH (at AT) read-only, nothing in it can be executed", "@file" },
    { O_ROX, "--rox", V_REQUIRED, "PATH[:AT]", "show PATH read-only, executables allowed", "@file" },
    { O_RW, "--rw", V_REQUIRED, "PATH[:AT]", "PATH may be changed, nothing in it can be executed", "@file" },
    { O_RWX, "--rwx", V_REQUIRED, "PATH[:AT]", "PATH may be changed, executables allowed", "@file" },
    { O_OVERLAY, "--overlay", V_REQUIRED, "LAYER", "keep what copy-on-write places change in a layer: a name, or a directory", "@layer" },
    { O_ENV, "--env", V_REQUIRED, "K=V | K", "set an environment variable, or pass the caller's K", NULL },
    { O_CWD, "--cwd", V_REQUIRED, "PATH", "working directory inside", "@dir" },
    { O_HOSTNAME, "--hostname", V_REQUIRED, "NAME", "host name inside (sundog)", NULL },
    { O_UID, "--uid", V_REQUIRED, "N", "user id inside (the caller's)", NULL },
    { O_GID, "--gid", V_REQUIRED, "N", "group id inside (the caller's)", NULL },
    { O_PLATFORM, "--platform", V_REQUIRED, "NAME", "auto, kvm, trap or ptrace: how guest code is run (auto)", "auto kvm trap ptrace" },
    { O_ABI, "--abi", V_REQUIRED, "NAME", "auto, linux or solaris (auto: by the program's image)", "auto linux solaris" },
    { O_NET, "--net", V_REQUIRED, "KIND", "none, loopback (inside the sandbox only) or host (loopback)", "none loopback host" },
    DNS,
    { O_MEMORY, "--memory", V_REQUIRED, "SIZE", "limit of guest memory: bytes, or with suffix K M G", NULL },
    { O_NO_PATCH, "--no-patch", V_NONE, "", "leave the program's text alone: no jumps at busy system calls (trap)", NULL },
    { O_STRACE, "--strace", V_OPTIONAL, "[=text|json]", "print each system call on stderr", "text json" },
    { O_TIMING, "--timing", V_NONE, "", "print what start-up cost, as a tree", NULL },
    { O_BACKTRACE, "--backtrace", V_NONE, "", "print the program's stack when a signal kills it", NULL },
    { O_DEBUG, "--debug", V_NONE, "", "diagnostics of the sandbox itself", NULL },
    HELP,
    { O_VERSION, "--version", V_NONE, "", "version and build", NULL },
};

static const struct opt_desc syscalls_opts[] = {
    { O_ABI, "--abi", V_REQUIRED, "NAME", "linux or solaris (linux)", "linux solaris" },
    JSON,
    HELP,
};

static const struct opt_desc learn_opts[] = {
    { O_OUTPUT, "-o", V_REQUIRED, "FILE", "where the profile is written", "@file" },
    { O_NET, "--net", V_REQUIRED, "KIND", "none, loopback (inside the sandbox only) or host (loopback)", "none loopback host" },
    DNS,
    { O_ENV, "--env", V_REQUIRED, "K=V | K", "set an environment variable, or pass the caller's K", NULL },
    { O_CWD, "--cwd", V_REQUIRED, "PATH", "working directory inside", "@dir" },
    { O_PLATFORM, "--platform", V_REQUIRED, "NAME", "auto, kvm, trap or ptrace: how guest code is run (auto)", "auto kvm trap ptrace" },
    { O_DEBUG, "--debug", V_NONE, "", "diagnostics of the sandbox itself", NULL },
    { O_JSON, "--json", V_NONE, "", "print what was learned as one JSON document; the command's output goes to standard error", NULL },
    HELP,
};
static const struct opt_desc check_opts[] = { PARAM, JSON, HELP };
static const struct opt_desc show_opts[] = {
    { O_EFFECTIVE, "--effective", V_NONE, "", "after layers, parents and fragments: each rule with its origin", NULL },
    PARAM,
    RULE,
    JSON,
    HELP,
};
static const struct opt_desc explain_opts[] = {
    { O_PROFILE, "--profile", V_REQUIRED, "NAME|FILE", "the profile that is asked (default)", "@profile" },
    PARAM,
    RULE,
    JSON,
    HELP,
};
static const struct opt_desc why_opts[] = {
    { O_LAST, "--last", V_NONE, "", "the latest run (as without an argument)", NULL },
    JSON,
    HELP,
};
static const struct opt_desc top_opts[] = {
    { O_ONCE, "--once", V_NONE, "", "print one page as text, and end (also without a terminal)", NULL },
    { O_INTERVAL, "--interval", V_REQUIRED, "SECONDS", "how often (1)", NULL },
    JSON,
    HELP,
};
static const struct opt_desc report_opts[] = {
    { O_OUTPUT, "-o", V_REQUIRED, "FILE", "where the page is written (standard output, unless that is a terminal)", "@file" },
    { O_LAST, "--last", V_NONE, "", "the latest run (as without an argument)", NULL },
    JSON,
    HELP,
};
static const struct opt_desc import_opts[] = {
    { O_OUTPUT, "-o", V_REQUIRED, "FILE", "where the profile is written (standard output)", "@file" },
    JSON,
    HELP,
};
static const struct opt_desc doctor_opts[] = { JSON, HELP };
static const struct opt_desc diff_opts[] = { PARAM, JSON, HELP };
static const struct opt_desc commit_opts[] = {
    { O_FORCE, "--force", V_NONE, "", "also over what changed underneath since the layer was made", NULL },
    JSON,
    HELP,
};
static const struct opt_desc discard_opts[] = { JSON, HELP };
static const struct opt_desc only_help[] = { HELP };

#define OPTS(list) .opts = list, .nopts = ARRAY_LEN(list)

const struct verb_desc verb_table[] = {
    { .name = "run", .args = "[--] COMMAND [ARG...]", .summary = "run COMMAND in a sandbox", OPTS(run_opts), .command = true,
      .complete = "@command",
      .text = "Runs COMMAND in a sandbox whose own kernel answers its system calls. Without options it sees the host's\n"
              "/usr /bin /sbin /lib* /etc /opt read-only, the current directory copy-on-write, a private /tmp, /proc, /sys\n"
              "and /dev, and no network but loopback.\n\n"
              "Exit status: the program's; 128+n if signal n ended it; 125 the sandbox failed; 126 COMMAND is not\n"
              "executable; 127 COMMAND was not found." },
    { .name = "learn", .args = "[--] COMMAND [ARG...]", .summary = "run COMMAND and write the profile that it needs", OPTS(learn_opts), .command = true,
      .complete = "@command",
      .text = "The command sees the whole host, copy-on-write: its changes are dropped at the end. Secrets (~/.ssh, ~/.gnupg and their\n"
              "like) stay denied. The exit status is the command's." },
    { .name = "check", .args = "PROFILE...", .summary = "look for mistakes in profiles, and for what they expose", OPTS(check_opts),
      .complete = "@profile",
      .text = "Errors, with file and line, and then warnings: rules that name nothing that exists, grants of a whole home or root,\n"
              "secrets within reach, writable places from which programs can be executed. The score counts what is exposed: 0 is\n"
              "nothing, 100 everything. Exit status 0, or 1 when there is an error." },
    { .name = "show", .args = "[PROFILE]", .summary = "print a profile, or list those installed", OPTS(show_opts), .complete = "@profile" },
    { .name = "explain", .args = "QUESTION...", .summary = "ask what a profile would decide, without a run", OPTS(explain_opts),
      .complete = "open:r: open:rw: open:w: exec: connect: listen: call: resolve:",
      .text = "QUESTION is open:r:/path, open:rw:/path, exec:/path, connect:host:443 (or connect:host:53/udp), listen:address:port,\n"
              "resolve:host, or call:name of a system call. The answer names the rule that decides, with its file and line. Exit\n"
              "status 0 when all are allowed, 1 when one is denied." },
    { .name = "diff", .args = "LAYER | PROFILE PROFILE", .summary = "what a layer changes, or how two profiles differ", OPTS(diff_opts),
      .complete = "@layer",
      .text = "A layer's lines begin with A (added), M (modified), R (replaced by another kind) or D (deleted). Exit status 0 when there\n"
              "is no difference, 1 otherwise." },
    { .name = "commit", .args = "LAYER", .summary = "apply the changes of a layer to the host, and remove it", OPTS(commit_opts), .complete = "@layer",
      .text = "Each file is replaced by one rename. What changed underneath since the layer was made is a conflict: then nothing is\n"
              "applied, and the exit status is 1." },
    { .name = "discard", .args = "LAYER", .summary = "remove a layer and its changes", OPTS(discard_opts), .complete = "@layer" },
    { .name = "why", .args = "[ID]", .summary = "what was denied in a run, by which rule, and what would allow it", OPTS(why_opts), .complete = "@run",
      .text = "Runs with a profile are recorded in ~/.local/state/sundog/runs, the last 50 of them. Without ID the latest is meant.\n"
              "Exit status 0 when nothing was denied, 1 otherwise." },
    { .name = "report", .args = "[ID]", .summary = "a page of HTML about a recorded run", OPTS(report_opts), .complete = "@run",
      .text = "One file that needs nothing else: the course of time, files and hosts by verdict with the rule behind each, system calls\n"
              "by count and time, processes. Times and processes are there for runs made with --record. Without ID the latest run." },
    { .name = "top", .args = "", .summary = "watch the sandboxes that run: tasks, system calls, files and hosts, denials", OPTS(top_opts),
      .text = "Those of `sundog run` and containers, your own, or as root all. A sandbox counts calls and records what is opened only\n"
              "while somebody watches, or with a profile. q quits, j and k (or the arrows) choose the sandbox that is shown below." },
    { .name = "import", .args = "firejail|flatpak|oci FILE", .summary = "make a profile of another sandbox's settings", OPTS(import_opts),
      .complete = "firejail flatpak oci",
      .text = "FILE is a profile of firejail; the metadata, an override, or a manifest in JSON of a flatpak application; or a config.json\n"
              "of an OCI bundle. As far as the two can say the same: what was dropped is listed at the end of the profile with file,\n"
              "line and reason. The result is one that `sundog check` accepts." },
    { .name = "syscalls", .args = "", .summary = "list the system calls an ABI knows, with their state", OPTS(syscalls_opts) },
    { .name = "doctor", .args = "", .summary = "try the platforms on this machine, what they cost, and what would help", OPTS(doctor_opts),
      .text = "Each platform of this build is started and timed; where one does not work, the reason is given. Exit status 0, or 1 when\n"
              "none works." },
    { .name = "version", .args = "", .summary = "print version and build", OPTS(only_help) },
    { .name = "help", .args = "[VERB]", .summary = "this text, or that of one verb", OPTS(only_help), .complete = "@verb" },
};
const unsigned verb_count = ARRAY_LEN(verb_table);

const struct verb_desc *verb_find(const char *name)
{
    for (unsigned i = 0; i < verb_count; i++)
        if (!strcmp(verb_table[i].name, name)) return &verb_table[i];
    return NULL;
}
