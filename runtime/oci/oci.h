/*
 * The OCI runtime interface: one file a verb, over shared pieces. Conventions are runc's, since engines know it.
 *
 * A container is one sandbox (sentry and gofer), started and owned by a *supervisor*: the process whose pid is in the
 * pid file. It is a child of whoever called `create` (or of that caller's subreaper), sits in the container's cgroup and
 * network namespace, forwards signals, lives as long as the container's first process and ends the way it ended.
 */
#ifndef SUNDOG_OCI_H
#define SUNDOG_OCI_H

#include "sentry/base/types.h"

#define OCI_VERSION "1.2.0"
#define OCI_EXIT_FAILED 1            /* runc's status for its own errors */
#define OCI_EXEC_FAILED 255          /* ... of exec */

struct oci_global {
    const char *root;                /* state directory */
    const char *log;                 /* file, or NULL */
    const char *platform, *profile;
    bool log_json, debug, systemd_cgroup, no_cgroup, rootless;
};
extern struct oci_global oci;

struct oci_verb { const char *name; int (*run)(int argc, char **argv); };

/* Is argv (after the program's name) meant for this interface? `run` is also the word of the plain command line. */
bool oci_wants(int argc, char **argv);
int oci_main(int argc, char **argv);
int oci_defaults(void);              /* where the state of containers is, unless it was given. 0, or -1 after oci_fail */

/* What `ps` shows of this process: these words instead of argv, as far as its room goes. They must not lie in argv. */
void oci_title(const char *const *words, unsigned n);
void oci_end_like(int wait_status) NORETURN;          /* ends this process as another ended */

/* --- errors: one text a process; the verb's caller prints and logs it --- */
int oci_fail(const char *fmt, ...) PRINTF(1, 2);      /* remembers the text; -1 */
const char *oci_error(void);                          /* "" if none */
void oci_error_clear(void);
void oci_log(const char *level, const char *fmt, ...) PRINTF(2, 3);
void oci_log_keep_open(void);                         /* its path may not be reachable later */
int oci_report(int status);                           /* the remembered text on stderr and in the log; returns status */

/* --- options of a verb --- */
struct oci_opt {
    const char *name; char letter;                    /* without dashes; letter 0: none */
    enum { OPT_FLAG, OPT_STR, OPT_LIST } kind;
    void *to;                                         /* bool *, const char **, struct oci_strs * */
};
struct oci_strs { const char **s; unsigned n; };
/* Sorts argv: options are taken out, *nrest words remain in argv. stop: options end at the first word. 0, -1 or 1: --help. */
int oci_options(const struct oci_opt *opts, unsigned n, int argc, char **argv, bool stop, int *nrest);
/* Told of what each verb parses: main.c compares it with the table of help and completions. */
extern void (*oci_options_seen)(const struct oci_opt *opts, unsigned n);
int oci_one_id(int nrest, char **argv, const char **id);   /* exactly one word, a valid id */
bool oci_id_valid(const char *id);

int oci_cmd_create(int argc, char **argv);
int oci_cmd_start(int argc, char **argv);
int oci_cmd_state(int argc, char **argv);
int oci_cmd_kill(int argc, char **argv);
int oci_cmd_delete(int argc, char **argv);
int oci_cmd_run(int argc, char **argv);
int oci_cmd_exec(int argc, char **argv);
int oci_cmd_ps(int argc, char **argv);
int oci_cmd_list(int argc, char **argv);
int oci_cmd_events(int argc, char **argv);
int oci_cmd_pause(int argc, char **argv);
int oci_cmd_resume(int argc, char **argv);
int oci_cmd_update(int argc, char **argv);
int oci_cmd_spec(int argc, char **argv);
int oci_cmd_features(int argc, char **argv);
int oci_cmd_checkpoint(int argc, char **argv);
int oci_cmd_restore(int argc, char **argv);

#endif
