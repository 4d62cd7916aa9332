#include "runtime/report.h"
#include "runtime/call_names.h"
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"

#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESSES_MAX 5000u

static int by_time(const void *a, const void *b)
{
    const struct report_call *x = a, *y = b;
    if (x->ns != y->ns) return x->ns < y->ns ? 1 : -1;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void take_calls(struct report *r)
{
    r->calls = xzalloc(2 * EVLOG_CALLS * sizeof(*r->calls));
    for (unsigned a = 0; a < 2; a++)
        for (u32 i = 0; i < EVLOG_CALLS; i++) {
            u64 n = r->hdr->calls[a][i];
            if (!n) continue;
            r->ncalls_total += n;
            r->calls[r->ncalls++] = (struct report_call){ xstrdup(i == EVLOG_CALLS - 1 ? "higher numbers" : call_name(a, i)), a, n, r->hdr->call_ns[a][i] };
        }
    qsort(r->calls, r->ncalls, sizeof(*r->calls), by_time);
}

static unsigned rank(const struct report_object *o) { return o->absent ? 2 : o->rec->verdict == EV_DENIED ? 0 : o->rec->verdict == EV_WARNED ? 1 : 3; }

/* Denials first; then by name, so that what lies together stands together. */
static int by_verdict(const void *a, const void *b)
{
    const struct report_object *x = a, *y = b;
    if (rank(x) != rank(y)) return rank(x) < rank(y) ? -1 : 1;
    int c = strcmp(x->rec->object, y->rec->object);
    return c ? c : (int)x->rec->op - (int)y->rec->op;
}

static void add_object(struct report_object **list, unsigned *n, const struct report_object *o)
{
    if (!(*n & (*n + 1))) *list = xrealloc(*list, 2 * (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = *o;
}

static struct report_process *process(struct report *r, s32 pid, s64 when)
{
    for (unsigned i = r->nprocs; i > 0; i--)
        if (r->procs[i - 1].pid == pid && !r->procs[i - 1].ended) return &r->procs[i - 1];
    if (r->nprocs == PROCESSES_MAX) return NULL;
    if (!(r->nprocs & (r->nprocs + 1))) r->procs = xrealloc(r->procs, 2 * (r->nprocs + 1) * sizeof(*r->procs));
    r->procs[r->nprocs] = (struct report_process){ .pid = pid, .start = when, .end = -1, .command = "" };
    return &r->procs[r->nprocs++];
}

static void take_process(struct report *r, const struct evlog_rec *e)
{
    struct report_process *p = process(r, e->tid, e->first);
    if (!p) return;
    if (e->op == EV_FORK) {
        p->parent = (s32)e->nr;
        if (!*p->command) p->command = e->object;
    } else if (e->op == EV_PROGRAM) {
        p->command = e->object;
    } else {
        p->ended = true;
        p->end = e->first;
        p->status = e->nr;
        if (!*p->command) p->command = e->object;
    }
}

static void take_records(struct report *r)
{
    size_t pos = 0;
    const struct evlog_rec *e;
    struct stat st;
    while ((e = evlog_next(r->run->events, r->run->len, &pos))) {
        s64 latest = MAX(e->first, e->last);
        r->length = MAX(r->length, latest);
        if (e->op >= EV_FORK) {
            take_process(r, e);
            continue;
        }
        struct report_object o = { .rec = e, .rule = runrec_rule(r->run, e->rule), .absent = e->op == EV_ABSENT };
        /* Programs look for many files that are nowhere; only what the host has is worth a row (as in `why`). */
        if (o.absent && lstat(e->object, &st)) continue;
        if (o.absent || e->verdict == EV_DENIED) r->denied++;
        else if (e->verdict == EV_WARNED) r->warned++;
        else r->allowed++;
        if (e->op <= EV_EXEC || o.absent) add_object(&r->files, &r->nfiles, &o);
        else if (e->op <= EV_RESOLVE) add_object(&r->hosts, &r->nhosts, &o);
        else add_object(&r->others, &r->nothers, &o);
    }
    u32 shift = MIN(r->hdr->series_shift, 40u);
    for (unsigned i = 0; r->times && i < EVLOG_SERIES; i++) {
        s64 end = (s64)((u64)(i + 1) << shift);
        if (r->hdr->series_calls[i]) r->length = MAX(r->length, end);
    }
    if (r->nfiles) qsort(r->files, r->nfiles, sizeof(*r->files), by_verdict);
    if (r->nhosts) qsort(r->hosts, r->nhosts, sizeof(*r->hosts), by_verdict);
    if (r->nothers) qsort(r->others, r->nothers, sizeof(*r->others), by_verdict);
}

/* --- JSON --- */

static struct json_object *objects(const struct report_object *o, unsigned n)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < n; i++) {
        struct json_object *e = json_object_new_object();
        AUTO_FREE char *text = xstrdup(o[i].rec->object);
        runlog_printable(text);
        json_object_object_add(e, "operation", json_object_new_string(evlog_op_name(o[i].rec->op)));
        json_object_object_add(e, "verdict", json_object_new_string(o[i].absent ? "absent" : evlog_verdict_name(o[i].rec->verdict)));
        json_object_object_add(e, "object", json_object_new_string(text));
        json_object_object_add(e, "count", json_object_new_int64(o[i].rec->count));
        json_object_object_add(e, "seconds", json_object_new_double((double)o[i].rec->first / 1e9));
        json_object_object_add(e, "rule", o[i].rule ? json_object_new_string(o[i].rule->text) : NULL);
        json_object_object_add(e, "where", o[i].rule ? json_object_new_string(o[i].rule->where) : NULL);
        json_object_array_add(list, e);
    }
    return list;
}

static void print_json(const struct report *r)
{
    struct json_object *o = json_object_new_object(), *calls = json_object_new_array(), *procs = json_object_new_array();
    json_object_object_add(o, "run", json_object_new_string(r->run->id));
    json_object_object_add(o, "command", json_object_new_string(r->run->command ? r->run->command : ""));
    json_object_object_add(o, "profile", json_object_new_string(r->run->profile ? r->run->profile : ""));
    json_object_object_add(o, "status", json_object_new_int(r->run->status));
    json_object_object_add(o, "seconds", json_object_new_double((double)r->length / 1e9));
    json_object_object_add(o, "times", json_object_new_boolean(r->times));
    for (unsigned i = 0; i < r->ncalls; i++) {
        struct json_object *e = json_object_new_object();
        json_object_object_add(e, "call", json_object_new_string(r->calls[i].name));
        json_object_object_add(e, "abi", json_object_new_string(r->calls[i].solaris ? "solaris" : "linux"));
        json_object_object_add(e, "count", json_object_new_int64((s64)r->calls[i].count));
        json_object_object_add(e, "ns", r->times ? json_object_new_int64((s64)r->calls[i].ns) : NULL);
        json_object_array_add(calls, e);
    }
    for (unsigned i = 0; i < r->nprocs; i++) {
        struct json_object *e = json_object_new_object();
        AUTO_FREE char *text = xstrdup(r->procs[i].command);
        runlog_printable(text);
        json_object_object_add(e, "pid", json_object_new_int(r->procs[i].pid));
        json_object_object_add(e, "parent", json_object_new_int(r->procs[i].parent));
        json_object_object_add(e, "command", json_object_new_string(text));
        json_object_object_add(e, "start", json_object_new_double((double)r->procs[i].start / 1e9));
        json_object_object_add(e, "end", r->procs[i].ended ? json_object_new_double((double)r->procs[i].end / 1e9) : NULL);
        json_object_object_add(e, "wait_status", r->procs[i].ended ? json_object_new_int64(r->procs[i].status) : NULL);
        json_object_array_add(procs, e);
    }
    json_object_object_add(o, "calls", calls);
    json_object_object_add(o, "processes", procs);
    json_object_object_add(o, "files", objects(r->files, r->nfiles));
    json_object_object_add(o, "hosts", objects(r->hosts, r->nhosts));
    json_object_object_add(o, "others", objects(r->others, r->nothers));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static int write_page(const struct report *r, const char *path)
{
    struct strbuf out = { 0 };
    report_html(&out, r);
    FILE *f = path ? fopen(path, "we") : stdout;
    int e = 0;
    if (!f) e = fail("report -o %s: %s", path, strerror(errno));
    else {
        fwrite(out.s, 1, out.len, f);
        if (path && fclose(f)) e = fail("report -o %s: %s", path, strerror(errno));
    }
    strbuf_fini(&out);
    return e;
}

int cmd_report(int argc, char **argv)
{
    const char *wanted = NULL, *output = NULL;
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "report", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_OUTPUT) output = w.val;
        else if (id == O_LAST) wanted = NULL;
        else if (id == VERB_WORD && !wanted) wanted = w.val;
        else if (id == VERB_WORD) return fail("report: one ID is wanted");
        else return id == VERB_HELPED ? 0 : EXIT_SANDBOX;
    }
    if (!json && !output && isatty(1)) return fail("report: where to? sundog report %s-o FILE.html", wanted ? "ID " : "");
    struct runrec *run = runrec_load(wanted);
    if (!run) return EXIT_SANDBOX;
    const struct evlog_hdr *h = (const void *)run->events;
    int e = 0;
    if (!run->events) e = fail("report: the record of run %s was lost: sundog was killed", run->id);
    else if (run->len < sizeof(*h) || h->magic != EVLOG_MAGIC || h->version != EVLOG_VERSION)
        e = fail("report: the record of run %s is of another version of sundog", run->id);
    if (!e) {
        struct report r = { .run = run, .hdr = h, .times = h->flags & EVLOG_TIMES };
        take_calls(&r);
        take_records(&r);
        if (json) print_json(&r);
        else e = write_page(&r, output);
        if (!e && output) fail("wrote %s%s", output, r.times ? "" : " (without times and processes: the run was not made with --record)");
        for (unsigned i = 0; i < r.ncalls; i++) free((void *)(uintptr_t)r.calls[i].name);
        free(r.calls);
        free(r.files);
        free(r.hosts);
        free(r.others);
        free(r.procs);
    }
    runrec_free(run);
    return e;
}
