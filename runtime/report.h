/* `sundog report`: what a recorded run did, as one page of HTML that needs nothing else. report.c reads, report_html.c writes. */
#ifndef SUNDOG_RUNTIME_REPORT_H
#define SUNDOG_RUNTIME_REPORT_H

#include "runtime/profile/runlog.h"
#include "sentry/base/strbuf.h"

struct report_call { const char *name; bool solaris; u64 count, ns; };
struct report_object { const struct evlog_rec *rec; const struct runrule *rule; bool absent; };
struct report_process { s32 pid, parent; s64 start, end; /* ns; end -1: it outlived the record */ u32 status; bool ended; const char *command; };
struct report {
    const struct runrec *run;
    const struct evlog_hdr *hdr;
    s64 length;                                  /* ns: the last thing that the record knows */
    bool times;                                  /* recorded with --record */
    u64 ncalls_total;
    struct report_call *calls; unsigned ncalls;              /* by time, or by count without times */
    struct report_object *files, *hosts, *others; unsigned nfiles, nhosts, nothers;   /* denials first */
    struct report_process *procs; unsigned nprocs;           /* by start */
    unsigned denied, warned, allowed;
};

/* The whole page. */
void report_html(struct strbuf *out, const struct report *r);

#endif
