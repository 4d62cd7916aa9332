/* /proc/PID and /proc/PID/task/TID. proc_pid_stat(5) and its siblings. */
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/pid_ns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICKS(ns) ((ns) / (NSEC_PER_SEC / 100)) /* USER_HZ */

struct mm *proc_mm_get(struct synth_node *n)
{
    struct task *t = synth_task_get(n);
    struct mm *mm = t ? task_get_mm(t) : NULL;
    if (t) task_put(t);
    return mm;
}

#define NR(id) pid_to_ns(id, n->ns)   /* as this /proc numbers it */
#define TASK_OR_ESRCH(t, n)                                                                         \
    struct task *t = synth_task_get(n);                                                             \
    if (!t) return -ESRCH

struct mem_counts { u64 size, rss, rss_hwm, data, stack, text, locked, shared; };

static void mem_counts(struct task *t, struct mem_counts *c)
{
    memset(c, 0, sizeof(*c));
    struct mm *mm = task_get_mm(t);
    if (!mm) return;
    read_lock(&mm->lock);
    c->size = mm->total_pages;
    c->rss = mm->rss_pages;
    c->rss_hwm = MAX(mm->rss_hwm, mm->rss_pages);
    c->data = mm->data_pages;
    c->stack = mm->stack_pages;
    c->locked = mm->locked_pages;
    c->text = (gpage_up(mm->code_end) - gpage_down(mm->code_start)) >> GPAGE_SHIFT;
    rw_unlock(&mm->lock);
    mm_put(mm);
}

static u64 set64(const ksigset_t *s) { return s->w[0]; }

struct sig_view { u64 pending, shared, blocked, ignored, caught; };

static void sig_view(struct task *t, struct sig_view *v)
{
    memset(v, 0, sizeof(*v));
    struct sighand *sh = t->tg->sighand;
    lock(&sh->lock);
    v->pending = set64(&t->pending.set);
    v->shared = set64(&t->tg->shared_pending.set);
    v->blocked = set64(&t->blocked);
    for (int i = 1; i <= 64; i++) {
        if (sh->action[i].handler == 1) v->ignored |= 1ULL << (i - 1);
        else if (sh->action[i].handler) v->caught |= 1ULL << (i - 1);
    }
    unlock(&sh->lock);
}

static void tty_view(struct task *t, s32 *nr, s32 *fg)
{
    *nr = 0;
    *fg = -1;
    lock(&kernel.tasklist);
    struct tty *tty = t->tg->pgrp ? t->tg->pgrp->session->tty : NULL;
    if (tty) tty_get(tty);
    unlock(&kernel.tasklist);
    if (!tty) return;
    u64 dev = tty_dev(tty);
    *nr = (s32)((dev & 0xff) | (dev & 0xfff00));
    *fg = tty->pgid;
    tty_put(tty);
}

static int show_stat(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    char comm[TASK_COMM_LEN];
    struct mem_counts m;
    struct sig_view s;
    struct rusage_acc self = { 0 }, kids = { 0 };
    u64 ut, st;
    s32 tty_nr, tpgid;
    bool whole = !n->tid;
    task_get_comm(t, comm);
    mem_counts(t, &m);
    sig_view(t, &s);
    tty_view(t, &tty_nr, &tpgid);
    tgroup_rusage(t->tg, &self);
    tgroup_rusage_children(t->tg, &kids);
    if (whole) {
        ut = self.utime_ns;
        st = self.stime_ns;
    } else {
        task_account(t, &ut, &st);
    }
    struct mm *mm = synth_may_access(t) ? task_get_mm(t) : NULL;
    strbuf_printf(b, "%d (%s) %c %d %d %d %d %d 0 %llu %llu %llu %llu %llu %llu %lld %lld %d %d %u 0 %llu %llu %llu %llu", NR(t->tid), comm,
                  task_state_letter(t), NR(tgroup_ppid(t->tg)), NR(tgroup_pgid(t->tg)), NR(tgroup_sid(t->tg)), tty_nr, NR(tpgid),
                  (unsigned long long)self.min_flt, (unsigned long long)kids.min_flt, (unsigned long long)self.maj_flt,
                  (unsigned long long)kids.maj_flt, (unsigned long long)TICKS(ut), (unsigned long long)TICKS(st),
                  (long long)TICKS(kids.utime_ns), (long long)TICKS(kids.stime_ns), 20 + t->nice, t->nice, t->tg->nr_tasks,
                  (unsigned long long)TICKS((u64)t->start_time), (unsigned long long)(m.size << GPAGE_SHIFT), (unsigned long long)m.rss,
                  (unsigned long long)task_rlimit(t, RLIMIT_RSS));
    strbuf_printf(b, " %llu %llu %llu 0 0 %llu %llu %llu %llu 0 0 0 %d %u %d %u 0 0 0",
                  mm ? (unsigned long long)mm->code_start : 1ULL, mm ? (unsigned long long)mm->code_end : 1ULL,
                  mm ? (unsigned long long)mm->stack_start : 0ULL, (unsigned long long)(s.pending & 0x7fffffff),
                  (unsigned long long)(s.blocked & 0x7fffffff), (unsigned long long)(s.ignored & 0x7fffffff),
                  (unsigned long long)(s.caught & 0x7fffffff), t->exit_signal < 0 ? 17 : t->exit_signal, t->cpu_shown, t->sched_prio,
                  (unsigned)t->sched_policy);
    if (mm) {
        strbuf_printf(b, " %llu %llu %llu %llu %llu %llu %llu %u\n", (unsigned long long)mm->data_start, (unsigned long long)mm->data_end,
                      (unsigned long long)mm->brk_start, (unsigned long long)mm->arg_start, (unsigned long long)mm->arg_end,
                      (unsigned long long)mm->env_start, (unsigned long long)mm->env_end, t->exit_code);
        mm_put(mm);
    } else {
        strbuf_printf(b, " 0 0 0 0 0 0 0 %u\n", t->exit_code);
    }
    task_put(t);
    return 0;
}

static int show_statm(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct mem_counts m;
    mem_counts(t, &m);
    strbuf_printf(b, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)m.size, (unsigned long long)m.rss, (unsigned long long)m.shared,
                  (unsigned long long)m.text, (unsigned long long)(m.data + m.stack));
    task_put(t);
    return 0;
}

static const char *state_name(char c)
{
    switch (c) {
    case 'R': return "R (running)";
    case 'S': return "S (sleeping)";
    case 'D': return "D (disk sleep)";
    case 'T': return "T (stopped)";
    case 't': return "t (tracing stop)";
    case 'Z': return "Z (zombie)";
    default: return "X (dead)";
    }
}

static void show_cpus_allowed(struct task *t, struct strbuf *b)
{
    u8 mask[sizeof(t->cpus_allowed)];
    unsigned n = task_cpus(t, mask), words = (n + 31) / 32;
    strbuf_printf(b, "Cpus_allowed:\t");
    for (unsigned w = words; w-- > 0;) {
        u32 v = 0;
        for (unsigned i = 0; i < 32 && w * 32 + i < n; i++)
            if (mask[(w * 32 + i) / 8] >> (i & 7) & 1) v |= 1u << i;
        strbuf_printf(b, w + 1 == words ? "%x" : ",%08x", v);
    }
    strbuf_printf(b, "\nCpus_allowed_list:\t");
    bool first = true;
    for (unsigned i = 0; i < n; i++) {
        if (!(mask[i / 8] >> (i & 7) & 1)) continue;
        unsigned j = i;
        while (j + 1 < n && (mask[(j + 1) / 8] >> ((j + 1) & 7) & 1)) j++;
        strbuf_printf(b, j == i ? "%s%u" : "%s%u-%u", first ? "" : ",", i, j);
        first = false;
        i = j;
    }
    strbuf_printf(b, "\n");
}

/* The numbers of one process, from the reader's namespace down to its own. */
static void show_chain(struct strbuf *b, const char *label, s32 id, const struct pid_ns *ns)
{
    s32 nr[PID_NS_CHAIN];
    unsigned k;
    pid_ns_chain(id, ns, nr, &k);
    strbuf_printf(b, "%s", label);
    for (unsigned i = 0; i < k; i++) strbuf_printf(b, "\t%d", nr[i]);
    if (!k) strbuf_printf(b, "\t0");
}

static int show_status(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    char comm[TASK_COMM_LEN];
    struct mem_counts m;
    struct sig_view s;
    struct cred *c = task_get_cred(t);
    struct fs_context *fs = task_get_fs(t);
    struct fdtable *ft = task_get_files(t);
    struct mm *mm = task_get_mm(t);
    task_get_comm(t, comm);
    mem_counts(t, &m);
    sig_view(t, &s);
    strbuf_printf(b, "Name:\t%s\n", comm);
    if (fs) strbuf_printf(b, "Umask:\t%04o\n", fs->umask);
    strbuf_printf(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_name(task_state_letter(t)), NR(t->tg->tgid),
                  NR(t->tid), NR(tgroup_ppid(t->tg)), NR(ptrace_tracer_tid(t)));
    strbuf_printf(b, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t", uid_out(c->uid), uid_out(c->euid), uid_out(c->suid), uid_out(c->fsuid),
                  gid_out(c->gid), gid_out(c->egid), gid_out(c->sgid), gid_out(c->fsgid), ft ? ft->size : 0);
    for (unsigned i = 0; i < c->ngroups; i++) strbuf_printf(b, "%u ", gid_out(c->groups[i]));
    show_chain(b, "\nNStgid:", t->tg->tgid, n->ns);
    show_chain(b, "\nNSpid:", t->tid, n->ns);
    show_chain(b, "\nNSpgid:", tgroup_pgid(t->tg), n->ns);
    show_chain(b, "\nNSsid:", tgroup_sid(t->tg), n->ns);
    strbuf_printf(b, "\nKthread:\t0\n");
    if (mm) {
        u64 kb = GPAGE_SIZE / 1024;
        strbuf_printf(b, "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t       0 kB\nVmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\n",
                      (unsigned long long)(m.size * kb), (unsigned long long)(m.size * kb), (unsigned long long)(m.locked * kb),
                      (unsigned long long)(m.rss_hwm * kb), (unsigned long long)(m.rss * kb));
        strbuf_printf(b, "RssAnon:\t%8llu kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\nVmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\n"
                         "VmLib:\t       0 kB\nVmPTE:\t%8llu kB\nVmSwap:\t       0 kB\nHugetlbPages:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
                      (unsigned long long)(m.rss * kb), (unsigned long long)(m.data * kb), (unsigned long long)(m.stack * kb),
                      (unsigned long long)(m.text * kb), (unsigned long long)(m.rss / 512 * 4 + 16));
    }
    strbuf_printf(b, "Threads:\t%u\nSigQ:\t%u/%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
                  t->tg->nr_tasks, user_nsigpending(c->uid), (unsigned long long)task_rlimit(t, RLIMIT_SIGPENDING),
                  (unsigned long long)s.pending, (unsigned long long)s.shared, (unsigned long long)s.blocked, (unsigned long long)s.ignored,
                  (unsigned long long)s.caught);
    strbuf_printf(b, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%d\nSeccomp:\t%d\n"
                     "Seccomp_filters:\t%d\nSpeculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled\n",
                  (unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted, (unsigned long long)c->cap_effective,
                  (unsigned long long)c->cap_bset, (unsigned long long)c->cap_ambient, t->no_new_privs, t->seccomp_mode, t->seccomp ? 1 : 0);
    show_cpus_allowed(t, b);
    strbuf_printf(b, "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
                  (unsigned long long)t->nvcsw, (unsigned long long)t->nivcsw);
    if (mm) mm_put(mm);
    if (ft) fdtable_put(ft);
    if (fs) fs_context_put(fs);
    cred_put(c);
    task_put(t);
    return 0;
}

/* A range of the task's own memory as text: cmdline, environ. */
static int show_range(struct synth_node *n, struct strbuf *b, bool env)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return 0; /* zombies have an empty one */
    gaddr_t start = env ? mm->env_start : mm->arg_start, end = env ? mm->env_end : mm->arg_end;
    u64 len = end > start ? MIN(end - start, 1ULL << 20) : 0;
    if (len) {
        AUTO_FREE char *buf = xzalloc(len + 1);
        size_t got = mm_copy_in(mm, buf, start, len);
        /* setproctitle(3): a program that overwrote its arguments runs on into the environment. */
        if (!env && got == len && buf[len - 1] != 0 && mm->env_end > mm->env_start) {
            size_t more = MIN((size_t)(mm->env_end - mm->env_start), (size_t)GPAGE_SIZE);
            char *tail = xzalloc(more + 1);
            size_t m = mm_copy_in(mm, tail, mm->env_start, more);
            strbuf_add(b, buf, strnlen(buf, got));
            if (strnlen(buf, got) == got) strbuf_add(b, tail, strnlen(tail, m));
            free(tail);
        } else {
            strbuf_add(b, buf, got);
        }
    }
    mm_put(mm);
    return 0;
}
static int show_cmdline(struct synth_node *n, struct strbuf *b) { return show_range(n, b, false); }
static int show_environ(struct synth_node *n, struct strbuf *b) { return show_range(n, b, true); }

int proc_show_auxv(struct synth_node *n, struct strbuf *b)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return 0;
    strbuf_add(b, mm->auxv, mm->auxv_n * sizeof(u64));
    mm_put(mm);
    return 0;
}

static int show_comm(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    char comm[TASK_COMM_LEN];
    task_get_comm(t, comm);
    strbuf_printf(b, "%s\n", comm);
    task_put(t);
    return 0;
}

static int store_comm(struct synth_node *n, char *text, size_t len UNUSED)
{
    TASK_OR_ESRCH(t, n);
    bool same = t->tg == current->tg;
    text[strcspn(text, "\n")] = 0;
    if (same) task_set_comm(t, text);
    task_put(t);
    return same ? 0 : -EINVAL;
}

static int show_limits(struct synth_node *n, struct strbuf *b)
{
    static const struct { const char *name, *unit; } lim[KRLIM_NLIMITS] = {
        [RLIMIT_CPU] = { "Max cpu time", "seconds" }, [RLIMIT_FSIZE] = { "Max file size", "bytes" },
        [RLIMIT_DATA] = { "Max data size", "bytes" }, [RLIMIT_STACK] = { "Max stack size", "bytes" },
        [RLIMIT_CORE] = { "Max core file size", "bytes" }, [RLIMIT_RSS] = { "Max resident set", "bytes" },
        [RLIMIT_NPROC] = { "Max processes", "processes" }, [RLIMIT_NOFILE] = { "Max open files", "files" },
        [RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" }, [RLIMIT_AS] = { "Max address space", "bytes" },
        [RLIMIT_LOCKS] = { "Max file locks", "locks" }, [RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
        [RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" }, [RLIMIT_NICE] = { "Max nice priority", "" },
        [RLIMIT_RTPRIO] = { "Max realtime priority", "" }, [RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
    };
    TASK_OR_ESRCH(t, n);
    struct rlimit r[KRLIM_NLIMITS];
    tgroup_get_rlimits(t->tg, r);
    task_put(t);
    strbuf_printf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int i = 0; i < KRLIM_NLIMITS; i++) {
        char soft[24] = "unlimited", hard[24] = "unlimited";
        if (r[i].rlim_cur != RLIM_INFINITY) snprintf(soft, sizeof(soft), "%llu", (unsigned long long)r[i].rlim_cur);
        if (r[i].rlim_max != RLIM_INFINITY) snprintf(hard, sizeof(hard), "%llu", (unsigned long long)r[i].rlim_max);
        strbuf_printf(b, "%-25s %-20s %-20s %-10s\n", lim[i].name, soft, hard, lim[i].unit);
    }
    return 0;
}

static int show_cgroup(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "0::/\n"); return 0; }
static int show_zero(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "0\n"); return 0; }
static int show_wchan(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "0"); return 0; }
static int show_unset_id(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "4294967295"); return 0; }

static int show_oom_score_adj(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    strbuf_printf(b, "%d\n", t->oom_score_adj);
    task_put(t);
    return 0;
}

static int store_oom_score_adj(struct synth_node *n, char *text, size_t len UNUSED)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || (*end && *end != '\n')) return -EINVAL;
    if (v < -1000 || v > 1000) return -EINVAL;
    TASK_OR_ESRCH(t, n);
    bool ok = v >= t->oom_score_adj || capable(24 /* CAP_SYS_RESOURCE */);
    if (ok) t->oom_score_adj = (int)v;
    task_put(t);
    return ok ? 0 : -EACCES;
}

static int show_coredump_filter(struct synth_node *n, struct strbuf *b)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return 0;
    strbuf_printf(b, "%08x\n", atomic_load(&mm->core_filter));
    mm_put(mm);
    return 0;
}

static int store_coredump_filter(struct synth_node *n, char *text, size_t len UNUSED)
{
    char *end;
    unsigned long v = strtoul(text, &end, 0);
    if (end == text || (*end && *end != '\n')) return -EINVAL;
    struct mm *mm = proc_mm_get(n);
    if (!mm) return -ESRCH;
    atomic_store(&mm->core_filter, (u32)v & CORE_FILTER_ALL);
    mm_put(mm);
    return 0;
}

static int show_io(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    strbuf_printf(b, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
                  (unsigned long long)t->io_rchar, (unsigned long long)t->io_wchar, (unsigned long long)t->io_syscr, (unsigned long long)t->io_syscw);
    task_put(t);
    return 0;
}

static int show_personality(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    strbuf_printf(b, "%08x\n", t->personality);
    task_put(t);
    return 0;
}

static int show_schedstat(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    u64 ut, st;
    task_account(t, &ut, &st);
    strbuf_printf(b, "%llu 0 %llu\n", (unsigned long long)(ut + st), (unsigned long long)(t->nvcsw + t->nivcsw));
    task_put(t);
    return 0;
}

static int show_syscall(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    if (t == current || t->syscall_nr == ~0ULL) strbuf_printf(b, "running\n");
    else
        strbuf_printf(b, "%llu 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx\n", (unsigned long long)t->syscall_nr,
                      (unsigned long long)t->regs.rdi, (unsigned long long)t->regs.rsi, (unsigned long long)t->regs.rdx,
                      (unsigned long long)t->regs.r10, (unsigned long long)t->regs.r8, (unsigned long long)t->regs.r9,
                      (unsigned long long)t->regs.rsp, (unsigned long long)t->regs.rip);
    task_put(t);
    return 0;
}

static int show_timerslack(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    strbuf_printf(b, "%llu\n", (unsigned long long)t->timer_slack_ns);
    task_put(t);
    return 0;
}

static int show_children(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct tgroup *c;
    lock(&kernel.tasklist);
    LIST_FOREACH(c, &t->tg->children, sibling) if (!c->zombie || !c->reaped) strbuf_printf(b, "%d ", NR(c->tgid));
    unlock(&kernel.tasklist);
    task_put(t);
    return 0;
}

/* --- links --- */

int proc_link_exe(struct synth_node *n, struct path *out)
{
    struct mm *mm = proc_mm_get(n);
    if (!mm) return -ENOENT;
    int err = mm->exe ? 0 : -ENOENT;
    if (!err) file_get_path(mm->exe, out);
    mm_put(mm);
    return err;
}

static int link_fs(struct synth_node *n, struct path *out, bool root)
{
    TASK_OR_ESRCH(t, n);
    struct fs_context *fs = synth_may_access(t) ? task_get_fs(t) : NULL;
    bool ok = synth_may_access(t);
    task_put(t);
    if (!ok) return -EACCES;
    if (!fs) return -ENOENT;
    if (root) fs_get_root(fs, out);
    else fs_get_cwd(fs, out);
    fs_context_put(fs);
    return 0;
}
int proc_link_cwd(struct synth_node *n, struct path *out) { return link_fs(n, out, false); }
int proc_link_root(struct synth_node *n, struct path *out) { return link_fs(n, out, true); }

static bool is_process(struct synth_node *n) { return n->tid == 0; }

const struct synth_entry proc_task_dir[] = {
    SYNTH_FILE("stat", show_stat),
    SYNTH_FILE("statm", show_statm),
    SYNTH_FILE("status", show_status),
    SYNTH_FILE("cmdline", show_cmdline),
    { .name = "environ", .mode = S_IFREG | 0400, .show = show_environ, .own_only = true },
    { .name = "auxv", .mode = S_IFREG | 0400, .show = proc_show_auxv, .own_only = true },
    { .name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .store = store_comm },
    { .name = "maps", .mode = S_IFREG | 0444, .show = proc_show_maps, .ioctl = proc_maps_ioctl, .own_only = true },
    { .name = "smaps", .mode = S_IFREG | 0444, .show = proc_show_smaps, .own_only = true },
    { .name = "smaps_rollup", .mode = S_IFREG | 0444, .show = proc_show_smaps_rollup, .own_only = true },
    { .name = "pagemap", .mode = S_IFREG | 0400, .fops = &proc_pagemap_fops, .own_only = true },
    { .name = "mem", .mode = S_IFREG | 0600, .fops = &proc_mem_fops, .own_only = true },
    { .name = "exe", .mode = S_IFLNK | 0777, .get_link = proc_link_exe },
    { .name = "cwd", .mode = S_IFLNK | 0777, .get_link = proc_link_cwd },
    { .name = "root", .mode = S_IFLNK | 0777, .get_link = proc_link_root },
    { .name = "fd", .mode = S_IFDIR | 0500, .lookup = proc_lookup_fd, .next = proc_next_fd },
    { .name = "fdinfo", .mode = S_IFDIR | 0555, .lookup = proc_lookup_fdinfo, .next = proc_next_fd },
    { .name = "task", .mode = S_IFDIR | 0555, .lookup = proc_lookup_task, .next = proc_next_task, .exists = is_process },
    { .name = "children", .mode = S_IFREG | 0444, .show = show_children },
    { .name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_dir },
    { .name = "net", .mode = S_IFDIR | 0555, .children = proc_net_dir, .lookup = proc_net_lookup, .next = proc_net_next },
    { .name = "mountinfo", .mode = S_IFREG | 0444, .fops = &proc_mountinfo_fops, .open = proc_mounts_open },
    { .name = "mounts", .mode = S_IFREG | 0444, .fops = &proc_mounts_fops, .open = proc_mounts_open },
    { .name = "mountstats", .mode = S_IFREG | 0400, .fops = &proc_mountstats_fops, .open = proc_mounts_open },
    SYNTH_FILE("limits", show_limits),
    SYNTH_FILE("cgroup", show_cgroup),
    SYNTH_FILE("oom_score", show_zero),
    { .name = "oom_score_adj", .mode = S_IFREG | 0644, .show = show_oom_score_adj, .store = store_oom_score_adj },
    { .name = "coredump_filter", .mode = S_IFREG | 0644, .show = show_coredump_filter, .store = store_coredump_filter },
    SYNTH_FILE("loginuid", show_unset_id),
    SYNTH_FILE("sessionid", show_unset_id),
    { .name = "io", .mode = S_IFREG | 0400, .show = show_io, .own_only = true },
    { .name = "personality", .mode = S_IFREG | 0400, .show = show_personality, .own_only = true },
    SYNTH_FILE("schedstat", show_schedstat),
    SYNTH_FILE("wchan", show_wchan),
    { .name = "syscall", .mode = S_IFREG | 0400, .show = show_syscall, .own_only = true },
    { .name = "timerslack_ns", .mode = S_IFREG | 0644, .show = show_timerslack },
    { .name = "uid_map", .mode = S_IFREG | 0644, .show = proc_show_uid_map, .store_file = proc_store_uid_map },
    { .name = "gid_map", .mode = S_IFREG | 0644, .show = proc_show_gid_map, .store_file = proc_store_gid_map },
    { .name = "setgroups", .mode = S_IFREG | 0644, .show = proc_show_setgroups, .store_file = proc_store_setgroups },
    { 0 },
};
