/*
 * The event stream and its two sinks: text in strace's form, and JSON lines. Input arguments are read when the call
 * begins (execve replaces the memory they lie in), output buffers when it ends; a line is one write(2).
 */
#include "sentry/trace/event.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/log.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACE_BUF 32         /* bytes of a data buffer that are shown, as strace */

bool trace_syscalls, trace_fatal, trace_backtrace;
static enum trace_mode trace_mode;
static int trace_fd = 2;

struct task_trace { bool open; const char *name; u64 nr; unsigned nargs; struct strbuf arg[6]; ktime_t began; };

void trace_init(enum trace_mode mode, int fd)
{
    trace_mode = mode;
    if (fd >= 0) trace_fd = fd;
    trace_syscalls = mode != TRACE_OFF;
}

void trace_line(const char *s, size_t n)
{
    ssize_t r = write(trace_fd, s, n);
    (void)r;
}

static void json_string(struct strbuf *out, const char *s, size_t n)
{
    strbuf_add(out, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        u8 c = (u8)s[i];
        if (c == '"' || c == '\\') strbuf_printf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) strbuf_printf(out, "\\u%04x", c);
        else strbuf_add(out, &c, 1);
    }
    strbuf_add(out, "\"", 1);
}

static void decode_data(struct strbuf *out, gaddr_t p, u64 n)
{
    u8 buf[TRACE_BUF];
    if (!p) strbuf_printf(out, "NULL");
    else if (copy_in(buf, p, MIN(n, (u64)sizeof(buf)))) strbuf_printf(out, "%#llx", (unsigned long long)p);
    else decode_quoted(out, buf, MIN(n, (u64)sizeof(buf)), n > sizeof(buf));
}

static const char *signal_text(const struct abi *abi, int sig, char buf[16])
{
    const char *n = abi && abi->signal_name ? abi->signal_name(sig) : NULL;
    if (n) return n;
    snprintf(buf, 16, "%d", sig);
    return buf;
}

/* open(2) and openat(2) have a mode only when they may create. */
static bool mode_unused(const struct syscall_desc *d, const struct syscall_args *a, unsigned last)
{
    return last && d->args[last] == A_OCT && d->args[last - 1] == A_FLAGS && d->arg_decoder[last - 1] && !strcmp(d->arg_decoder[last - 1], "open") &&
           !(a->a[last - 1] & O_CREAT) && (a->a[last - 1] & O_TMPFILE) != O_TMPFILE;
}

/* In argument i of the call; ret is meaningful for output buffers only. */
static void decode_arg(struct strbuf *out, struct task *t, const struct syscall_desc *d, const struct syscall_args *a, unsigned i, sysret_t ret)
{
    u64 v = a->a[i];
    char sig[16];
    u64 next = i + 1 < d->nargs ? a->a[i + 1] : 0; /* by convention of the tables the length follows its buffer */
    switch ((enum arg_kind)d->args[i]) {
    case A_NONE: break;
    case A_INT: case A_FD: case A_PID: strbuf_printf(out, "%d", (int)v); break;
    case A_UINT: strbuf_printf(out, "%u", (unsigned)v); break;
    case A_UID:
        if ((u32)v == ~0u) strbuf_printf(out, "-1");
        else strbuf_printf(out, "%u", (unsigned)v);
        break;
    case A_LONG: case A_OFF: strbuf_printf(out, "%lld", (long long)v); break;
    case A_ULONG: case A_SIZE: strbuf_printf(out, "%llu", (unsigned long long)v); break;
    case A_OCT: strbuf_printf(out, "%#llo", (unsigned long long)(v & 0xffffffff)); break;
    case A_ATFD:
        if ((int)v == AT_FDCWD) strbuf_printf(out, "AT_FDCWD");
        else strbuf_printf(out, "%d", (int)v);
        break;
    case A_SIG: strbuf_printf(out, "%s", signal_text(t->abi, (int)v, sig)); break;
    case A_PATH: decode_string(out, v, KPATH_MAX); break;
    case A_STR: decode_string(out, v, TRACE_BUF); break;
    case A_BUFIN: decode_data(out, v, next); break;
    case A_BUFOUT:
        if (ret >= 0) decode_data(out, v, (u64)ret);
        else goto pointer;
        break;
    case A_FLAGS: {
        const char *dec = d->arg_decoder[i];
        if (dec && !strcmp(dec, "open") && !strstr(d->name, "open")) dec = "fdflags";
        if (!decode_flags(dec, v, out)) goto pointer;
        break;
    }
    case A_STRUCT:
        if (!decode_struct(d->arg_decoder[i], v, out)) goto pointer;
        break;
    case A_PTR:
    case A_HEX:
    pointer:
        if (v) strbuf_printf(out, "%#llx", (unsigned long long)v);
        else strbuf_printf(out, d->args[i] == A_HEX || d->args[i] == A_FLAGS ? "0" : "NULL");
    }
}

/* result: text of what follows " = " */
static void trace_emit(struct task *t, const char *result, s64 ret, const char *err, bool returned)
{
    struct task_trace *tr = t->trace;
    struct strbuf out = { 0 };
    if (trace_mode == TRACE_JSON) {
        strbuf_printf(&out, "{\"event\":\"syscall\",\"time_ns\":%lld,\"pid\":%d,\"abi\":\"%s\",\"call\":\"%s\",\"nr\":%llu,\"args\":[", (long long)tr->began,
                      t->tid, t->abi->name, tr->name, (unsigned long long)tr->nr);
        for (unsigned i = 0; i < tr->nargs; i++) {
            if (i) strbuf_add(&out, ",", 1);
            json_string(&out, tr->arg[i].s ? tr->arg[i].s : "", tr->arg[i].len);
        }
        strbuf_printf(&out, "]");
        if (returned) strbuf_printf(&out, ",\"ret\":%lld,\"duration_ns\":%lld", (long long)ret, (long long)(clock_mono() - tr->began));
        if (err) strbuf_printf(&out, ",\"error\":\"%s\"", err);
        strbuf_printf(&out, "}\n");
    } else {
        strbuf_printf(&out, "[pid %d] %s(", t->tid, tr->name);
        for (unsigned i = 0; i < tr->nargs; i++) {
            if (i) strbuf_add(&out, ", ", 2);
            if (tr->arg[i].len) strbuf_add(&out, tr->arg[i].s, tr->arg[i].len);
        }
        strbuf_printf(&out, ") = %s\n", result);
    }
    trace_line(out.s, out.len);
    strbuf_fini(&out);
    tr->open = false;
}

void trace_syscall_enter(struct task *t, u64 nr, const struct syscall_desc *d, const struct syscall_args *a)
{
    static const struct syscall_desc unknown = { .name = NULL, .nargs = 6, .args = { A_HEX, A_HEX, A_HEX, A_HEX, A_HEX, A_HEX } };
    static _Thread_local char name_buf[32];
    if (!d || !d->name) d = &unknown;
    if (!t->trace) t->trace = xnew(struct task_trace);
    struct task_trace *tr = t->trace;
    if (!d->name) snprintf(name_buf, sizeof(name_buf), "syscall_%llu", (unsigned long long)nr);
    tr->name = d->name ? d->name : name_buf;
    tr->nr = nr;
    tr->nargs = MIN(d->nargs, 6u);
    if (tr->nargs && mode_unused(d, a, tr->nargs - 1)) tr->nargs--;
    tr->began = clock_mono();
    tr->open = true;
    for (unsigned i = 0; i < tr->nargs; i++) {
        tr->arg[i].len = 0;
        if (d->args[i] != A_BUFOUT) decode_arg(&tr->arg[i], t, d, a, i, 0);
    }
    /* These do not come back. */
    if (!strcmp(tr->name, "exit") || !strcmp(tr->name, "exit_group")) trace_emit(t, "?", 0, NULL, false);
}

static bool returns_address(const char *name)
{
    return !strcmp(name, "mmap") || !strcmp(name, "brk") || !strcmp(name, "mremap") || !strcmp(name, "shmat");
}

void trace_syscall_exit(struct task *t, u64 nr UNUSED, const struct syscall_desc *d, const struct syscall_args *a, sysret_t ret)
{
    static const struct { int err; const char *text; } restart[] = {
        { ERESTARTSYS, "? ERESTARTSYS (To be restarted if SA_RESTART is set)" }, { ERESTARTNOINTR, "? ERESTARTNOINTR (To be restarted)" },
        { ERESTARTNOHAND, "? ERESTARTNOHAND (To be restarted if no handler)" }, { ERESTART_RESTARTBLOCK, "? ERESTART_RESTARTBLOCK (Interrupted by signal)" },
    };
    struct task_trace *tr = t->trace;
    if (!tr || !tr->open) return;
    for (unsigned i = 0; d && i < tr->nargs; i++)
        if (d->args[i] == A_BUFOUT) decode_arg(&tr->arg[i], t, d, a, i, ret);
    char result[160];
    const char *err = NULL;
    if (ret >= 0 || ret < -SYSRET_MAX_ERRNO) {
        snprintf(result, sizeof(result), returns_address(tr->name) ? "%#llx" : "%lld", (long long)ret);
    } else {
        int e = (int)-ret;
        for (size_t i = 0; i < ARRAY_LEN(restart); i++)
            if (restart[i].err == e) err = restart[i].text;
        if (err) snprintf(result, sizeof(result), "%s", err);
        else {
            err = t->abi->errno_name ? t->abi->errno_name(e) : NULL;
            if (!err) err = "E?";
            const char *text = strerrordesc_np(e);
            snprintf(result, sizeof(result), "-1 %s (%s)", err, text ? text : "errno without a text");
        }
    }
    trace_emit(t, result, ret, err, true);
}

void trace_signal(struct task *t, const struct ksiginfo *info)
{
    if (!trace_syscalls) return;
    char name[16], line[256];
    const char *sig = signal_text(t->abi, info->signo, name);
    int n;
    bool fault = info->signo == SIGSEGV || info->signo == SIGBUS || info->signo == SIGILL || info->signo == SIGFPE || info->signo == SIGTRAP;
    if (trace_mode == TRACE_JSON)
        n = snprintf(line, sizeof(line), "{\"event\":\"signal\",\"pid\":%d,\"signal\":\"%s\",\"code\":%d,\"from\":%d,\"addr\":\"%#llx\"}\n", t->tid, sig,
                     info->code, info->pid, (unsigned long long)info->addr);
    else if (fault && info->code > 0)
        n = snprintf(line, sizeof(line), "[pid %d] --- %s {si_signo=%s, si_code=%d, si_addr=%#llx} ---\n", t->tid, sig, sig, info->code,
                     (unsigned long long)info->addr);
    else if (info->signo == SIGCHLD)
        n = snprintf(line, sizeof(line), "[pid %d] --- %s {si_signo=%s, si_code=%d, si_pid=%d, si_uid=%u, si_status=%d} ---\n", t->tid, sig, sig,
                     info->code, info->pid, info->uid, info->status);
    else
        n = snprintf(line, sizeof(line), "[pid %d] --- %s {si_signo=%s, si_code=%d, si_pid=%d, si_uid=%u} ---\n", t->tid, sig, sig, info->code,
                     info->pid, info->uid);
    trace_line(line, (size_t)MIN(n, (int)sizeof(line) - 1));
}

void trace_task_exit(struct task *t, u32 ws)
{
    struct task_trace *tr = t->trace;
    if (!tr) return;
    if (trace_syscalls) {
        if (tr->open) trace_emit(t, "? <unfinished>", 0, NULL, false);
        char name[16], line[160];
        int n;
        bool sig = WIFSIGNALED((int)ws);
        if (trace_mode == TRACE_JSON)
            n = snprintf(line, sizeof(line), "{\"event\":\"exit\",\"pid\":%d,\"%s\":%d}\n", t->tid, sig ? "signal" : "status",
                         sig ? WTERMSIG((int)ws) : WEXITSTATUS((int)ws));
        else if (sig)
            n = snprintf(line, sizeof(line), "[pid %d] +++ killed by %s%s +++\n", t->tid, signal_text(t->abi, WTERMSIG((int)ws), name),
                         WCOREDUMP((int)ws) ? " (core dumped)" : "");
        else n = snprintf(line, sizeof(line), "[pid %d] +++ exited with %d +++\n", t->tid, WEXITSTATUS((int)ws));
        trace_line(line, (size_t)n);
    }
    for (unsigned i = 0; i < ARRAY_LEN(tr->arg); i++) strbuf_fini(&tr->arg[i]);
    free(tr);
    t->trace = NULL;
}

/* --- calls that are not served --- */

#define MAX_NAMED 256
static lock_t named_lock = LOCK_INIT(LC_LEAF);
static struct { const struct abi *abi; u64 nr; } named[MAX_NAMED];
static unsigned nnamed;

static bool first_time(const struct abi *abi, u64 nr)
{
    bool first = true;
    lock(&named_lock);
    for (unsigned i = 0; i < nnamed && first; i++) first = named[i].abi != abi || named[i].nr != nr;
    if (first && nnamed == MAX_NAMED) first = false; /* a program that tries every number does not get to fill the log */
    else if (first) {
        named[nnamed].abi = abi;
        named[nnamed++].nr = nr;
    }
    unlock(&named_lock);
    return first;
}

void event_unsupported(const struct abi *abi, u64 nr, const struct syscall_desc *d)
{
    /* Calls whose every user has another way, as the table's note says, are no news. */
    bool quiet = d && d->note && strstr(d->note, "fall back");
    if (quiet && log_level() < LOG_INFO) return;
    if (!first_time(abi, nr)) return;
    int e = d && d->err ? d->err : ENOSYS;
    const char *err = abi->errno_name ? abi->errno_name(e) : NULL;
    log_error("the program used %s system call %s (%llu), which is not supported%s%s; it got %s", abi->name,
              d && d->name ? d->name : "without a name", (unsigned long long)nr, d && d->note ? ": " : "", d && d->note ? d->note : "",
              err ? err : strerrorname_np(e));
}

void event_fatal_signal(struct task *t, const struct ksiginfo *info)
{
    if (!trace_fatal && !trace_backtrace) return;
    char name[16];
    const struct guest_regs *r = &t->regs;
    log_error("process %d (%.16s) is killed by %s, code %d, address %#llx", t->tid, t->comm, signal_text(t->abi, info->signo, name), info->code,
              (unsigned long long)info->addr);
    log_error("  rip %#llx rsp %#llx rbp %#llx rax %#llx rbx %#llx rcx %#llx rdx %#llx rsi %#llx rdi %#llx", (unsigned long long)r->rip,
              (unsigned long long)r->rsp, (unsigned long long)r->rbp, (unsigned long long)r->rax, (unsigned long long)r->rbx,
              (unsigned long long)r->rcx, (unsigned long long)r->rdx, (unsigned long long)r->rsi, (unsigned long long)r->rdi);
    if (trace_backtrace) backtrace_print(t);
}

void event_denied(const char *what, const char *object, const char *rule, const char *how_to_allow)
{
    if (trace_mode == TRACE_JSON) {
        struct strbuf out = { 0 };
        strbuf_printf(&out, "{\"event\":\"denied\",\"what\":");
        json_string(&out, what, strlen(what));
        strbuf_printf(&out, ",\"object\":");
        json_string(&out, object, strlen(object));
        strbuf_printf(&out, ",\"rule\":");
        json_string(&out, rule, strlen(rule));
        strbuf_printf(&out, "}\n");
        trace_line(out.s, out.len);
        strbuf_fini(&out);
    } else log_error("denied: %s %s (%s). %s", what, object, rule, how_to_allow);
}
