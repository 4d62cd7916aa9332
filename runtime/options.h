/* The command line of `sundog run`, parsed but not yet turned into a plan. Strings point into argv unless said. */
#ifndef SUNDOG_RUNTIME_OPTIONS_H
#define SUNDOG_RUNTIME_OPTIONS_H

#include "sentry/base/types.h"

#define SUNDOG_VERSION "0.1.0"
#define EXIT_SANDBOX 125     /* the sandbox failed, not the program */
#define MAX_USER_MOUNTS 64
#define MAX_DNS 3            /* as resolv.conf(5) */

struct user_mount {
    char *host;              /* owned, absolute host path */
    char *at;                /* owned, absolute guest path */
    bool writable, exec;
};

struct run_options {
    char **argv;             /* the program and its arguments, NULL-terminated */
    char *rootfs;            /* owned, NULL: the default view of the host */
    bool rootfs_writable;
    struct user_mount mounts[MAX_USER_MOUNTS]; unsigned nmounts;
    const char **env; unsigned nenv;   /* "K=V", or "K" to pass the caller's through */
    const char *cwd, *hostname, *platform, *abi, *net;
    bool has_uid, has_gid; u32 uid, gid;
    u64 memory;
    const char *profile_name, **params; unsigned nparams;   /* --profile, --param */
    const char **rules; unsigned nrules;                    /* --rule: lines of the command line's layer */
    struct profile *profile;             /* owned; loaded and flattened, NULL: none */
    const char *dns[MAX_DNS]; unsigned ndns;                /* --dns */
    const char *layer;                   /* --overlay */
    const char *output;                  /* -o of learn */
    bool learn;                          /* the record also says what was only looked at */
    bool warn;                           /* what the profile denies is let through and recorded */
    int event_fd;                        /* memory file of the record, -1: none; borrowed */
    bool json;                           /* --json of learn */
    bool record;                         /* with times and processes: for `sundog report` */
    bool strace, strace_json, timing, backtrace, debug, no_patch;
};

/* Parses argv[0..argc) after the word `run`, or another verb that takes its options. 0, or an exit status after a message; *done: --help was served. */
int options_parse_run(struct run_options *o, const char *verb, int argc, char **argv, bool *done);
void options_fini(struct run_options *o);
/* The entry of a NULL-terminated list closest to `word`, or NULL when nothing is near. */
const char *options_nearest(const char *word, const char *const *list);

/* A message of the form `sundog: ...` on stderr; returns EXIT_SANDBOX so that callers can `return fail(...)`. */
int fail(const char *fmt, ...) PRINTF(1, 2);
extern void (*fail_sink)(const char *text);   /* gets the messages instead, without the prefix */

#endif
