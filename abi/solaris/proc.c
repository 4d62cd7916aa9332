/*
 * /proc/PID as Solaris programs see it: binary files, names of their own. Seen by tasks of this ABI only (abi->proc_process);
 * the processes shown may be of any. Nothing is traced or controlled through it: there is no ctl, and flags of tracing read 0.
 * Source: proc(5), sys/procfs.h of illumos (fs/proc/prsubr.c for what goes where).
 */
#include "abi/solaris/solaris.h"
#include "abi/solaris/uapi_proc.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/proc/proc.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PR_STOPPED 1
#define PR_ISTOP 2
#define PR_ASLEEP 0x10
#define PR_JOBCONTROL 6
#define PR_MODEL_LP64 2
enum { SSLEEP = 1, SRUN, SZOMB, SSTOP, SIDL, SONPROC };

#define TASK_OR_ESRCH(t, n)                                                                         \
    struct task *t = synth_task_get(n);                                                             \
    if (!t) return -ESRCH

static struct sol_timespec ts_of(u64 ns) { return (struct sol_timespec){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC) }; }
static struct sol_timespec ts_start(struct task *t) { return ts_of((u64)(clock_real() - clock_mono() + t->start_time)); }

/* An LWP id: of a Solaris process its own (0: it has ended), of a Linux one 1 for the first thread and the thread id for others. */
static s32 lwp_id(struct task *t)
{
    s32 id = t->abi == &abi_solaris ? atomic_load(&t->abi_tid) : 0;
    return id == SOL_LWP_ENDED ? 0 : id ? id : t->tid == t->tg->tgid ? 1 : t->tid;
}

static struct task *lwp_get(s32 pid, s32 id)
{
    struct tgroup *tg = tgroup_lookup_get(pid);
    struct task *t = NULL;

    if (!tg) return NULL;
    for (s32 from = 0; (t = tgroup_next_task_get(tg, from)); from = t->tid + 1, task_put(t))
        if (lwp_id(t) == id) break;
    tgroup_put(tg);
    return t;
}

/* --- psinfo --- */

static void fill_lwpsinfo(struct task *t, struct sol_lwpsinfo *o)
{
    char c = task_state_letter(t);
    u64 ut, st;

    memset(o, 0, sizeof(*o));
    task_account(t, &ut, &st);
    o->lwpid = lwp_id(t);
    o->sname = c == 'R' ? (t == current ? 'O' : 'R') : c == 'S' || c == 'D' ? 'S' : c == 'T' || c == 't' ? 'T' : 'Z';
    o->state = o->sname == 'O' ? SONPROC : o->sname == 'R' ? SRUN : o->sname == 'S' ? SSLEEP : o->sname == 'T' ? SSTOP : SZOMB;
    o->nice = (char)(20 + t->nice);
    o->syscall = o->sname == 'S' && t->syscall_nr < 256 ? (s16)t->syscall_nr : 0;
    o->pri = 59 - t->nice;
    o->start = ts_start(t);
    o->time = ts_of(ut + st);
    strcpy(o->clname, "TS");
    task_get_comm(t, o->name);
    o->onpro = t->cpu_shown;
    o->bindpro = o->bindpset = -1;
}

/* Pointers and text of the arguments, from the process' own memory as it is now. */
static void fill_args(struct task *t, struct mm *mm, struct sol_psinfo *o)
{
    u64 argc = 0, len = mm->arg_end > mm->arg_start ? MIN(mm->arg_end - mm->arg_start, sizeof(o->psargs) - 1) : 0;
    size_t n;

    if (mm_copy_in(mm, &argc, mm->stack_start, sizeof(argc)) == sizeof(argc) && argc < INT32_MAX) {
        o->argc = (s32)argc;
        o->argv = mm->stack_start + 8;
        o->envp = o->argv + (argc + 1) * 8;
    }
    n = mm_copy_in(mm, o->psargs, mm->arg_start, len);
    while (n && !o->psargs[n - 1]) n--;
    for (size_t i = 0; i < n; i++)
        if (!o->psargs[i]) o->psargs[i] = ' ';
    if (!n) task_get_comm(t, o->psargs);
}

static u64 tty_of(struct task *t)
{
    struct tty *tty;
    u64 dev;

    lock(&kernel.tasklist);
    tty = t->tg->pgrp ? t->tg->pgrp->session->tty : NULL;
    if (tty) tty_get(tty);
    unlock(&kernel.tasklist);
    if (!tty) return ~0ULL;            /* PRNODEV */
    dev = sol_dev(tty_dev(tty));
    tty_put(tty);
    return dev;
}

static int show_psinfo(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct tgroup *tg = t->tg;
    struct cred *c = task_get_cred(t);
    struct mm *mm = task_get_mm(t);
    struct rusage_acc self = { 0 }, kids = { 0 };
    struct sol_psinfo o;

    memset(&o, 0, sizeof(o));
    tgroup_rusage(tg, &self);
    tgroup_rusage_children(tg, &kids);
    o.pid = tg->tgid;
    o.ppid = tgroup_ppid(tg);
    o.pgid = tgroup_pgid(tg);
    o.sid = tgroup_sid(tg);
    o.uid = c->uid;
    o.euid = c->euid;
    o.gid = c->gid;
    o.egid = c->egid;
    o.ttydev = tty_of(t);
    o.start = ts_start(t);
    o.time = ts_of(self.utime_ns + self.stime_ns);
    o.ctime = ts_of(kids.utime_ns + kids.stime_ns);
    task_get_comm(t, o.fname);
    fill_lwpsinfo(t, &o.lwp);
    if (o.lwp.state == SZOMB) {
        o.wstat = (s32)sol_wait_status(tg->exit_status);
        o.nzomb = 1;
        memset(&o.lwp, 0, sizeof(o.lwp));
        o.lwp.state = SZOMB;
        o.lwp.sname = 'Z';
    } else {
        o.nlwp = (s32)tg->nr_tasks;
    }
    if (mm) {
        read_lock(&mm->lock);
        o.size = mm->total_pages * (GPAGE_SIZE / 1024);
        o.rssize = mm->rss_pages * (GPAGE_SIZE / 1024);
        rw_unlock(&mm->lock);
        fill_args(t, mm, &o);
        o.dmodel = PR_MODEL_LP64;
        mm_put(mm);
    }
    strbuf_add(b, (const char *)&o, sizeof(o));
    cred_put(c);
    task_put(t);
    return 0;
}

static int show_lwpsinfo(struct synth_node *n, struct strbuf *b)
{
    struct sol_lwpsinfo o;
    TASK_OR_ESRCH(t, n);

    fill_lwpsinfo(t, &o);
    strbuf_add(b, (const char *)&o, sizeof(o));
    task_put(t);
    return 0;
}

/* --- status --- */

static void pending_of(struct task *t, struct sol_sigset *own, struct sol_sigset *shared, struct sol_sigset *held)
{
    struct sighand *sh = t->tg->sighand;

    lock(&sh->lock);
    sol_sigset_out(own, &t->pending.set);
    sol_sigset_out(shared, &t->tg->shared_pending.set);
    sol_sigset_out(held, &t->blocked);
    unlock(&sh->lock);
}

/* Registers and arguments of a task that runs meanwhile are a glimpse, as on a system that does not stop it. */
static void fill_lwpstatus(struct task *t, struct sol_lwpstatus *o)
{
    struct sol_sigset shared;
    char c = task_state_letter(t);
    u64 ut, st, nr = t->syscall_nr;

    memset(o, 0, sizeof(*o));
    o->lwpid = lwp_id(t);
    if (c == 'T' || c == 't') {
        o->flags = PR_STOPPED | PR_ISTOP;
        o->why = PR_JOBCONTROL;
        o->what = (s16)sol_signo_out(t->tg->group_stop_sig);
    } else if (c == 'S' || c == 'D') {
        o->flags = PR_ASLEEP;
    }
    pending_of(t, &o->lwppend, &shared, &o->lwphold);
    o->altstack = (struct sol_stack){ .sp = t->altstack_sp, .size = t->altstack_size, .flags = t->altstack_size ? 0 : 2 };
    if (nr < 256) {
        const u64 a[6] = { t->regs.rdi, t->regs.rsi, t->regs.rdx, t->regs.r10, t->regs.r8, t->regs.r9 };
        o->syscall = (s16)nr;
        o->nsysarg = 6;
        memcpy(o->sysarg, a, sizeof(a));
    }
    strcpy(o->clname, "TS");
    o->tstamp = ts_of((u64)clock_mono());
    task_account(t, &ut, &st);
    o->utime = ts_of(ut);
    o->stime = ts_of(st);
    sol_gregs_out(o->reg, &t->regs);
}

static int show_pstatus(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct tgroup *tg = t->tg;
    struct mm *mm = task_get_mm(t);
    struct rusage_acc self = { 0 }, kids = { 0 };
    struct sol_sigset own, held;
    AUTO_FREE struct sol_pstatus *o = xzalloc(sizeof(*o));

    tgroup_rusage(tg, &self);
    tgroup_rusage_children(tg, &kids);
    o->nlwp = (s32)tg->nr_tasks;
    o->pid = tg->tgid;
    o->ppid = tgroup_ppid(tg);
    o->pgid = tgroup_pgid(tg);
    o->sid = tgroup_sid(tg);
    pending_of(t, &own, &o->sigpend, &held);
    if (mm) {
        read_lock(&mm->lock);
        o->brkbase = mm->brk_start;
        o->brksize = mm->brk_end - mm->brk_start;
        o->stksize = mm->stack_pages << GPAGE_SHIFT;
        o->stkbase = gpage_up(mm->env_end) - o->stksize;
        rw_unlock(&mm->lock);
        mm_put(mm);
        o->dmodel = PR_MODEL_LP64;
    }
    o->utime = ts_of(self.utime_ns);
    o->stime = ts_of(self.stime_ns);
    o->cutime = ts_of(kids.utime_ns);
    o->cstime = ts_of(kids.stime_ns);
    fill_lwpstatus(t, &o->lwp);
    o->flags = o->lwp.flags;
    strbuf_add(b, (const char *)o, sizeof(*o));
    task_put(t);
    return 0;
}

static int show_lwpstatus(struct synth_node *n, struct strbuf *b)
{
    AUTO_FREE struct sol_lwpstatus *o = xzalloc(sizeof(*o));
    TASK_OR_ESRCH(t, n);

    fill_lwpstatus(t, o);
    strbuf_add(b, (const char *)o, sizeof(*o));
    task_put(t);
    return 0;
}

/* lstatus, lpsinfo: a header, then one entry for each LWP. */
static int show_each(struct synth_node *n, struct strbuf *b, bool status)
{
    struct sol_prheader h = { 0, status ? sizeof(struct sol_lwpstatus) : sizeof(struct sol_lwpsinfo) };
    struct tgroup *tg = tgroup_lookup_get(n->pid);
    size_t at = b->len;
    struct task *t;

    if (!tg) return -ESRCH;
    strbuf_add(b, (const char *)&h, sizeof(h));
    for (s32 from = 0; (t = tgroup_next_task_get(tg, from)); from = t->tid + 1, task_put(t), h.nent++) {
        struct sol_lwpstatus s;
        struct sol_lwpsinfo p;
        if (status) fill_lwpstatus(t, &s);
        else fill_lwpsinfo(t, &p);
        strbuf_add(b, status ? (const char *)&s : (const char *)&p, (size_t)h.entsize);
    }
    memcpy(b->s + at, &h, sizeof(h));
    tgroup_put(tg);
    return 0;
}
static int show_lstatus(struct synth_node *n, struct strbuf *b) { return show_each(n, b, true); }
static int show_lpsinfo(struct synth_node *n, struct strbuf *b) { return show_each(n, b, false); }

/* --- cred, usage, sigact --- */

static int show_cred(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct cred *c = task_get_cred(t);
    const u32 head[] = { c->euid, c->uid, c->suid, c->egid, c->gid, c->sgid, c->ngroups };
    const u32 none = 0;

    strbuf_add(b, (const char *)head, sizeof(head));
    for (unsigned i = 0; i < c->ngroups; i++) strbuf_add(b, (const char *)&c->groups[i], sizeof(u32));
    if (!c->ngroups) strbuf_add(b, (const char *)&none, sizeof(none));
    cred_put(c);
    task_put(t);
    return 0;
}

static int usage(struct synth_node *n, struct strbuf *b, bool whole)
{
    TASK_OR_ESRCH(t, n);
    struct sol_prusage o = { .lwpid = whole ? 0 : lwp_id(t), .count = whole ? (s32)t->tg->nr_tasks : 1 };
    struct rusage_acc ru = { 0 };

    if (whole) {
        tgroup_rusage(t->tg, &ru);
    } else {
        task_account(t, &ru.utime_ns, &ru.stime_ns);
        ru.min_flt = t->min_flt;
        ru.maj_flt = t->maj_flt;
        ru.nvcsw = t->nvcsw;
        ru.nivcsw = t->nivcsw;
    }
    o.tstamp = ts_of((u64)clock_mono());
    o.create = ts_of((u64)t->start_time);
    o.rtime = ts_of((u64)MAX(clock_mono() - t->start_time, 0));
    o.utime = ts_of(ru.utime_ns);
    o.stime = ts_of(ru.stime_ns);
    o.minf = ru.min_flt;
    o.majf = ru.maj_flt;
    o.inblk = ru.inblock;
    o.oublk = ru.oublock;
    o.vctx = ru.nvcsw;
    o.ictx = ru.nivcsw;
    strbuf_add(b, (const char *)&o, sizeof(o));
    task_put(t);
    return 0;
}
static int show_usage(struct synth_node *n, struct strbuf *b) { return usage(n, b, true); }
static int show_lwpusage(struct synth_node *n, struct strbuf *b) { return usage(n, b, false); }

static int show_sigact(struct synth_node *n, struct strbuf *b)
{
    TASK_OR_ESRCH(t, n);
    struct sighand *sh = t->tg->sighand;

    for (int sig = 1; sig < SOL_NSIG; sig++) {
        struct sol_sigaction o = { 0 };
        int k = sol_signo_in(sig);
        if (k) {
            lock(&sh->lock);
            struct ksigaction act = sh->action[k];
            unlock(&sh->lock);
            o.handler = act.handler;
            o.flags = (s32)sol_sa_flags_out(act.flags);
            sol_sigset_out(&o.mask, &act.mask);
        }
        strbuf_add(b, (const char *)&o, sizeof(o));
    }
    task_put(t);
    return 0;
}

/* --- map --- */

struct map_ctx { struct strbuf *b; struct inode *exe; };

static bool map_entry(struct vma *v, void *arg)
{
    struct map_ctx *c = arg;
    struct sol_prmap o = { .vaddr = v->start, .size = v->end - v->start, .offset = v->obj ? v->off : 0, .pagesize = (s32)GPAGE_SIZE, .shmid = -1 };

    o.mflags = (v->prot & PROT_EXEC ? 1 : 0) | (v->prot & PROT_WRITE ? 2 : 0) | (v->prot & PROT_READ ? 4 : 0) | (v->flags & VMA_SHARED ? 8 : 0) |
               (v->flags & VMA_HEAP ? 0x10 : 0) | (v->flags & VMA_STACK ? 0x20 : 0) | (v->file ? 0 : 0x40 /* MA_ANON */);
    if (v->file && v->file->inode == c->exe)
        strcpy(o.mapname, "a.out");
    else if (v->file)
        snprintf(o.mapname, sizeof(o.mapname), "fs.%llu.%llu.%llu", (unsigned long long)(sol_dev(v->file->inode->sb->dev) >> 32),
                 (unsigned long long)(u32)sol_dev(v->file->inode->sb->dev), (unsigned long long)v->file->inode->ino);
    strbuf_add(c->b, (const char *)&o, sizeof(o));
    return true;
}

static int show_map(struct synth_node *n, struct strbuf *b)
{
    struct mm *mm = proc_mm_get(n);
    struct map_ctx c = { .b = b };

    if (!mm) return 0;
    c.exe = mm->exe ? mm->exe->inode : NULL;
    mm_for_each_vma(mm, map_entry, &c);
    mm_put(mm);
    return 0;
}

/* --- lwp/ID --- */

static const struct synth_entry lwp_dir[] = {
    { .name = "lwpsinfo", .mode = S_IFREG | 0444, .show = show_lwpsinfo, .size = sizeof(struct sol_lwpsinfo) },
    { .name = "lwpstatus", .mode = S_IFREG | 0400, .show = show_lwpstatus, .own_only = true, .size = sizeof(struct sol_lwpstatus) },
    { .name = "lwpusage", .mode = S_IFREG | 0444, .show = show_lwpusage, .size = sizeof(struct sol_prusage) },
    { 0 },
};

static bool lwp_exists(struct synth_node *n)
{
    struct task *t = synth_task_get(n);
    if (!t) return false;
    s32 id = lwp_id(t);
    task_put(t);
    return id > 0;
}
static const struct synth_entry lwp_entry = { .name = "lwp", .mode = S_IFDIR | 0555, .children = lwp_dir, .exists = lwp_exists };

static int lookup_lwp(struct synth_node *dir, const char *name, struct synth_node *child)
{
    char *end;
    long id = *name >= '1' && *name <= '9' && strlen(name) <= 9 ? strtol(name, &end, 10) : 0;
    struct task *t = id && !*end ? lwp_get(dir->pid, (s32)id) : NULL;

    if (!t) return -ENOENT;
    *child = (struct synth_node){ .e = &lwp_entry, .pid = dir->pid, .tid = t->tid };
    task_put(t);
    return 0;
}

/* The LWP with the smallest id that is not below from. */
static bool next_lwp(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    struct tgroup *tg = tgroup_lookup_get(dir->pid);
    s64 best = INT64_MAX;
    struct task *t;

    if (!tg) return false;
    for (s32 tid = 0; (t = tgroup_next_task_get(tg, tid)); tid = t->tid + 1, task_put(t)) {
        s64 lwp = lwp_id(t);
        if (lwp > 0 && lwp >= from && lwp < best) best = lwp;
    }
    tgroup_put(tg);
    if (best == INT64_MAX) return false;
    *id = best;
    snprintf(name, 32, "%lld", (long long)best);
    *dtype = DT_DIR;
    return true;
}

static const struct synth_entry path_dir[] = {
    { .name = "a.out", .mode = S_IFLNK | 0777, .get_link = proc_link_exe },
    { .name = "cwd", .mode = S_IFLNK | 0777, .get_link = proc_link_cwd },
    { .name = "root", .mode = S_IFLNK | 0777, .get_link = proc_link_root },
    { 0 },
};
static const struct synth_entry object_dir[] = {
    { .name = "a.out", .mode = S_IFLNK | 0777, .get_link = proc_link_exe },
    { 0 },
};

const struct synth_entry solaris_proc_process[] = {
    { .name = "as", .mode = S_IFREG | 0600, .fops = &proc_mem_fops, .own_only = true },
    { .name = "auxv", .mode = S_IFREG | 0400, .show = proc_show_auxv, .own_only = true },
    { .name = "cred", .mode = S_IFREG | 0400, .show = show_cred, .own_only = true },
    { .name = "cwd", .mode = S_IFLNK | 0777, .get_link = proc_link_cwd },
    { .name = "fd", .mode = S_IFDIR | 0500, .lookup = proc_lookup_fd, .next = proc_next_fd },
    { .name = "lpsinfo", .mode = S_IFREG | 0444, .show = show_lpsinfo },
    { .name = "lstatus", .mode = S_IFREG | 0400, .show = show_lstatus, .own_only = true },
    { .name = "lwp", .mode = S_IFDIR | 0555, .lookup = lookup_lwp, .next = next_lwp },
    { .name = "map", .mode = S_IFREG | 0400, .show = show_map, .own_only = true },
    { .name = "object", .mode = S_IFDIR | 0500, .children = object_dir },
    { .name = "path", .mode = S_IFDIR | 0500, .children = path_dir, .lookup = proc_lookup_fd, .next = proc_next_fd },
    { .name = "psinfo", .mode = S_IFREG | 0444, .show = show_psinfo, .size = sizeof(struct sol_psinfo) },
    { .name = "rmap", .mode = S_IFREG | 0400, .show = show_map, .own_only = true },
    { .name = "root", .mode = S_IFLNK | 0777, .get_link = proc_link_root },
    { .name = "sigact", .mode = S_IFREG | 0400, .show = show_sigact, .own_only = true, .size = (SOL_NSIG - 1) * sizeof(struct sol_sigaction) },
    { .name = "status", .mode = S_IFREG | 0400, .show = show_pstatus, .own_only = true, .size = sizeof(struct sol_pstatus) },
    { .name = "usage", .mode = S_IFREG | 0444, .show = show_usage, .size = sizeof(struct sol_prusage) },
    { 0 },
};
