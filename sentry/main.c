/*
 * sundog-sentry: started by sundog with its plan and sockets as inherited descriptors. The order matters: what needs
 * the host's view (probes, the memory file, the platform) comes first, while there is one thread; then the process
 * locks itself in; then guest code may run.
 */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/control/control.h"
#include "sentry/doctor.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/hostjail/hostjail.h"
#include "sentry/kernel/init.h"
#include "sentry/kernel/resources.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/memfile.h"
#include "sentry/net/host.h"
#include "sentry/policy/policy.h"
#include "sentry/trace/event.h"
#include "sentry/vfs/file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SANDBOX_FAILED 125
#define MAX_CHANNELS 8

struct args { int plan_fd, control_fd, gofer_fd[MAX_CHANNELS], broker_fd[MAX_CHANNELS]; unsigned ngofer, nbroker; bool print_syscalls, doctor, json; const char *abi; };

static bool parse_args(struct args *a, int argc, char **argv)
{
    *a = (struct args){ .plan_fd = -1, .control_fd = -1, .abi = "linux" };
    for (int i = 1; i < argc; i++) {
        const char *w = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(w, "--print-syscalls")) a->print_syscalls = true;
        else if (!strcmp(w, "--doctor")) a->doctor = true;
        else if (!strcmp(w, "--json")) a->json = true;
        else if (!v) return false;
        else if (!strcmp(w, "--abi")) a->abi = v, i++;
        else if (!strcmp(w, "--plan-fd")) a->plan_fd = atoi(v), i++;
        else if (!strcmp(w, "--control-fd")) a->control_fd = atoi(v), i++;
        else if (!strcmp(w, "--gofer-fd") && a->ngofer < MAX_CHANNELS) a->gofer_fd[a->ngofer++] = atoi(v), i++;
        else if (!strcmp(w, "--netbroker-fd") && a->nbroker < MAX_CHANNELS) a->broker_fd[a->nbroker++] = atoi(v), i++;
        else return false;
    }
    return a->print_syscalls || a->doctor || (a->plan_fd >= 0 && a->control_fd >= 0 && a->ngofer);
}

static void print_json_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') putchar('\\');
        putchar(*s);
    }
    putchar('"');
}

static int print_syscalls(const char *abi_name, bool json)
{
    static const char *const status[] = { [SC_FULL] = "full", [SC_PARTIAL] = "partial", [SC_STUB] = "stub", [SC_ENOSYS] = "enosys", [SC_EPERM] = "eperm" };
    const struct abi *abi = abi_by_name(abi_name);
    if (!abi) {
        log_error("--abi %s: this build knows no such ABI (linux and solaris are the names)", abi_name);
        return SANDBOX_FAILED;
    }
    bool first = true;
    if (json) printf("[");
    for (unsigned nr = 0; nr < abi->table_len; nr++) {
        const struct syscall_desc *d = &abi->table[nr];
        if (!d->name) continue;
        if (json) {
            printf("%s\n{\"nr\":%u,\"name\":\"%s\",\"status\":\"%s\"", first ? "" : ",", nr, d->name, status[d->status]);
            if (d->note) {
                printf(",\"note\":");
                print_json_string(d->note);
            }
            printf("}");
        } else printf("%4u %-26s %-8s %s\n", nr, d->name, status[d->status], d->note ? d->note : "");
        first = false;
    }
    if (json) printf("\n]\n");
    return fflush(stdout) ? SANDBOX_FAILED : 0;
}

/* For the crash report, after "while serving". Called in a signal handler. */
static const char *crash_note(void)
{
    static char note[96];
    if (!current) return "nobody: a thread of its own";
    const char *name = "no system call";
    if (current->abi && current->syscall_nr < current->abi->table_len && current->abi->table[current->syscall_nr].name)
        name = current->abi->table[current->syscall_nr].name;
    snprintf(note, sizeof(note), "%s of guest task %d", name, current->tid);
    return note;
}

static NORETURN void fail(const char *what, int err, const char *todo)
{
    control_report_failed(SANDBOX_FAILED, "the sentry: %s: %s%s%s", what, strerror(-err), *todo ? "; " : "", todo);
    _exit(SANDBOX_FAILED);
}

struct settings { struct plan_options opt; const char *platform; struct net_rules net; };

static int read_settings(const u8 *plan, size_t len, struct settings *s)
{
    struct plan_reader r = { .buf = plan, .len = len };
    struct plan_record rec;
    const u8 *data;
    int k;
    *s = (struct settings){ .opt = { .trace_fd = -1, .ncpus = 1 }, .platform = "auto", .net.head.mode = PLAN_NET_LOOPBACK };
    while ((k = plan_next(&r, &rec, &data)) == 1) {
        if (rec.kind == PLAN_OPTION) {
            if (rec.len < sizeof(s->opt)) return -EINVAL;
            memcpy(&s->opt, data, sizeof(s->opt));
        } else if (rec.kind == PLAN_NET) {
            net_rules_fini(&s->net);
            if (net_rules_parse(&s->net, data, rec.len)) return -EINVAL;
        } else if (rec.kind == PLAN_PLATFORM && !(s->platform = plan_string(data, rec.len, 0, 0))) return -EINVAL;
    }
    return k;
}

static void apply_settings(const struct settings *s)
{
    u32 f = s->opt.flags;
    log_init("sundog-sentry", 2, f & PLAN_OPT_DEBUG ? LOG_DEBUG : LOG_WARN);
    trace_init(!(f & PLAN_OPT_STRACE) ? TRACE_OFF : f & PLAN_OPT_STRACE_JSON ? TRACE_JSON : TRACE_TEXT, s->opt.trace_fd);
    trace_fatal = f & (PLAN_OPT_DEBUG | PLAN_OPT_BACKTRACE);
    trace_backtrace = f & PLAN_OPT_BACKTRACE;
}

/*
 * The memory file is sparse; its size only bounds what could be used. Room for caches of files beside guest memory. A
 * container's limit may be raised later, to all that the host has.
 */
static u64 memory_size(u64 limit, bool may_grow)
{
    return gpage_up(MAX(2 * resources_memory_shown(may_grow ? 0 : limit), 4ULL << 30));
}

static struct platform *start_platform(const struct settings *s, const struct platform_ops **ops, u64 mem)
{
    char why[256] = "";
    int r = memfile_init(mem);
    if (r) fail("making the memory file", r, "the host is short of memory or address space (ulimit -v)");
    struct platform_config cfg = {
        .memfile_fd = memfile_fd(), .memfile_base = memfile_base, .memfile_size = memfile_size(), .ncpus = MAX(s->opt.ncpus, 1u),
        .debug = s->opt.flags & PLAN_OPT_DEBUG, .before_sleep = park_release,
    };
    struct platform *p;
    *ops = platform_start(s->platform, &cfg, &p, why, sizeof(why));
    if (!*ops) {
        control_report_failed(SANDBOX_FAILED, "platform %s does not work here: %s; --platform auto takes one that does", s->platform, why);
        _exit(SANDBOX_FAILED);
    }
    control_timing_mark("platform started");
    return p;
}

int main(int argc, char **argv)
{
    struct args a;
    log_init("sundog-sentry", 2, LOG_WARN);
    if (!parse_args(&a, argc, argv)) {
        log_error("started by sundog, not by hand: --plan-fd N --control-fd N --gofer-fd N, or --print-syscalls [--json] [--abi NAME]");
        return SANDBOX_FAILED;
    }
    if (a.print_syscalls) return print_syscalls(a.abi, a.json);
    if (a.doctor) return doctor(a.json);
    prctl(PR_SET_NAME, "sundog-sentry");
    signal(SIGPIPE, SIG_IGN); /* a closed host pipe is the guest's SIGPIPE, not ours */
    control_attach(a.control_fd);
    control_timing_mark("sentry exec");

    u8 *plan;
    size_t len;
    struct settings s;
    int r = plan_read_fd(a.plan_fd, &plan, &len);
    if (!r) r = read_settings(plan, len, &s);
    if (!r) r = policy_init(plan, len);
    if (r) fail("reading its plan", r, "sundog and sundog-sentry must be of one build");
    close(a.plan_fd);
    apply_settings(&s);

    u64 mem = memory_size(s.opt.mem_limit, s.opt.flags & PLAN_OPT_CONTAINER);
    const struct platform_ops *ops;
    struct platform *platform = start_platform(&s, &ops, mem);

    hostjail_crash_note = crash_note;
    struct hostjail_opts jail = { .name = "sundog-sentry", .empty_root = true, .groups = s.net.head.mode == PLAN_NET_HOST ? 1u << HOSTCALL_GROUP_NET : 0,
        .trap = s.opt.flags & PLAN_OPT_DEBUG,
        /* the ptrace platform traces children that share our dumpable flag */
        .dumpable = !strcmp(ops->name, "ptrace") };
    r = hostjail_enter(&jail);
    if (r) fail("locking itself in", r, "run with --debug to see which step the host refuses");
    control_timing_mark("locked in");

    kernel_init(ops, platform, MAX(s.opt.ncpus, 1u));
    resources_start(s.opt.mem_limit, s.opt.pids, s.opt.flags & PLAN_OPT_CONTAINER);
    kernel.patch = ops->as_call_site && !(s.opt.flags & PLAN_OPT_NO_PATCH);
    struct gofer_client *gofer;
    r = gofer_client_new(a.gofer_fd[0], &gofer);
    if (r) fail("talking to the gofer", r, "it may have failed to start: see its message");
    for (unsigned i = 1; i < a.ngofer; i++)
        if ((r = gofer_client_add_channel(gofer, a.gofer_fd[i]))) fail("adding a gofer channel", r, "");
    control_timing_mark("gofer connected");
    r = net_host_init(a.broker_fd, a.nbroker, &s.net);
    if (r) fail("talking to the network broker", r, "it may have failed to start: see its message");
    struct task *init = init_prepare(plan, len, s.opt.flags, gofer);
    if (!init) _exit(SANDBOX_FAILED);
    free(plan);
    r = hostjail_load_filter(&jail);
    if (r) fail("loading its system-call filter", r, "the host must allow seccomp filters");
    r = control_start(a.control_fd);
    if (r) fail("starting the control thread", r, "the host refuses threads (ulimit -u)");
    control_timing_mark("filter loaded");
    control_report_started(init->tid);
    if (s.opt.flags & PLAN_OPT_HOLD) control_wait_start();
    r = task_start(init);
    if (r) fail("starting the first task", r, "the host refuses threads (ulimit -u)");
    u32 status;
    kernel_wait_exit(&status);
    policy_dns_sync();
    console_finish();
    control_report_exited(status);
    _exit(0);
}
