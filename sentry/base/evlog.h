/*
 * The record of a run's decisions: a sealed memory file of fixed size that the sentry writes and sundog reads, so that
 * it costs no system call and can neither grow nor block. One record for each pair of operation and object, with a
 * count. The sentry is not trusted by the reader: lengths are checked (evlog_next), text is made printable before it is
 * shown.
 */
#ifndef SUNDOG_BASE_EVLOG_H
#define SUNDOG_BASE_EVLOG_H

#include "sentry/base/types.h"

#define EVLOG_MAGIC 0x4556534eu
#define EVLOG_VERSION 2u
#define EVLOG_SIZE (4u << 20)
#define EVLOG_CALLS 512u          /* counters by system-call number; the last one counts all higher */
#define EVLOG_OBJECT_MAX 1024u
#define EVLOG_SERIES 256u         /* steps of the course of time */
#define EVLOG_TIMES 1u            /* flag: call_ns, the series and processes are recorded too (run --record) */

enum evlog_op { EV_READ, EV_WRITE, EV_EXEC, EV_CONNECT, EV_LISTEN, EV_RESOLVE, EV_SYSCALL, EV_LIMIT, EV_ABSENT,
                /* a process, with EVLOG_TIMES: tid is its pid; nr the parent, 0, or the wait status; the object its name, or its arguments */
                EV_FORK, EV_PROGRAM, EV_EXIT, EV_OP_N };
enum evlog_verdict { EV_ALLOWED, EV_DENIED, EV_WARNED /* a rule denies, the mode lets it pass */, EV_VERDICT_N };

struct evlog_hdr {
    u32 magic, version;
    u32 size;                     /* of the file */
    u32 used;                     /* (a) bytes after the header that hold whole records */
    u64 dropped;                  /* (a) records for which there was no room */
    s64 start;                    /* CLOCK_MONOTONIC, ns */
    u32 tasks, tasks_max;         /* (a) now, most at once */
    u64 calls[2][EVLOG_CALLS];    /* (a) Linux, Solaris: how often */
    u32 flags;                    /* (c) EVLOG_* */
    u32 series_shift;             /* (a) a step of the series is 1 << this ns; it doubles when the series is full */
    u64 call_ns[2][EVLOG_CALLS];  /* (a) time between beginning and end, waiting included */
    u32 series_calls[EVLOG_SERIES], series_denied[EVLOG_SERIES];   /* (a) */
};
struct evlog_rec {
    u32 len;                      /* of the record with the object text, multiple of 8 */
    u32 rule;                     /* id of the plan's rules, 0: no rule */
    u32 count;                    /* (a) */
    u8 op, verdict; u16 want;     /* enum evlog_op, enum evlog_verdict; PR_* of files, protocol of sockets */
    s64 first, last;              /* ns since start */
    s32 tid; u32 nr;              /* of the first: guest task, system call (| EVLOG_SOLARIS) */
    char object[];                /* NUL-terminated */
};
#define EVLOG_SOLARIS 0x80000000u

/* Reader: the next record of a whole file at *pos (start with 0). NULL: no more, or malformed. */
const struct evlog_rec *evlog_next(const u8 *file, size_t len, size_t *pos);
const char *evlog_op_name(unsigned op);
const char *evlog_verdict_name(unsigned v);

#endif
