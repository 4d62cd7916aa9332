/*
 * Records of runs: ~/.local/state/sundog/runs/ID with
 *   meta    key=value lines: command, profile, start, end, status; pid and fd of the record while the run lasts
 *   rules   id, file:line and text of each rule (tab-separated)
 *   events  the record as the sentry wrote it (base/evlog.h)
 * The last RUNS_KEPT are kept. Everything in them came from a sandbox: readers check and make it printable.
 */
#ifndef SUNDOG_RUNTIME_PROFILE_RUNLOG_H
#define SUNDOG_RUNTIME_PROFILE_RUNLOG_H

#include "runtime/profile/profile.h"
#include "sentry/base/evlog.h"

#define RUNS_KEPT 50

struct run_options;
struct runlog { char *dir, *id; int fd; };      /* fd: memory file of the record */

/* A sealed memory file for a record. -1 with errno. */
int runlog_memory(void);
/* Makes the memory file, and the run's directory if the state directory can be written; else only the file. 0 or -errno */
int runlog_begin(struct runlog *l, const struct run_options *o);
/* A copy of the record, malloc'ed; NULL: there is none. */
u8 *runlog_copy(const struct runlog *l, size_t *len);
/* Keeps the record; *denied: records of denials, *warned: of warnings. */
void runlog_end(struct runlog *l, int status, unsigned *denied, unsigned *warned);

/* Reading. id NULL: the latest. NULL after a message. */
struct runrec {
    char *id, *dir;
    char *profile, *command, *cwd;
    s64 start, end;                              /* seconds since the epoch, 0 unknown */
    int status;                                  /* -1: still running or lost */
    int pid, fd;                                 /* while running */
    struct runrule { u32 id; char *where, *text; } *rules; unsigned nrules;
    u8 *events; size_t len;
};
struct runrec *runrec_load(const char *id);
void runrec_free(struct runrec *r);
const struct runrule *runrec_rule(const struct runrec *r, u32 id);     /* NULL: unknown */
/* Re-reads the record of a run that lasts, through its process. False: it is over. */
bool runrec_refresh(struct runrec *r);
char *runlog_state_dir(const char *below);       /* ~/.local/state/sundog/BELOW; malloc'ed or NULL */
int runlog_mkdirs(const char *path);             /* with parents, 0700; 0 or -errno */
void runlog_printable(char *s);                  /* control characters become ? */

#endif
