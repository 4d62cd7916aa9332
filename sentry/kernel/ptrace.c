/* The tracee's half of ptrace(2), and what wait(2) and exit know of it. Follows kernel/signal.c and kernel/ptrace.c of Linux. */
#include "sentry/kernel/ptrace.h"
#include "sentry/landlock/landlock.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define EFLAGS_TF 0x100ULL

static bool steps(enum ptrace_resume mode) { return mode == PTRACE_RESUME_STEP || mode == PTRACE_RESUME_SYSEMU_STEP; }

static LIST_HEAD(, ptrace_link) links = LIST_HEAD_INITIALIZER(links);   /* (T) */
static unsigned nlinks;                                                 /* (a) */

/* The end of a tracee that its tracer has still to wait for. A record: the task itself goes at once. */
struct death { LIST_ENTRY(death) link; struct tgroup *tracer; const struct tgroup *of; /* perhaps gone */ s32 tracer_tid, tid, nr /* as the tracer sees it */, pgid; u32 uid, status; struct rusage_acc ru; };
static LIST_HEAD(, death) deaths = LIST_HEAD_INITIALIZER(deaths);       /* (T) */

/* --- linking --- */

static struct ptrace_link *attach_locked(struct task *t, struct task *tracer, bool seized, u32 options)
{
    struct ptrace_link *l = t->ptrace_mem;

    if (!l) l = t->ptrace_mem = xnew(struct ptrace_link);
    *l = (struct ptrace_link){ .tracee = t, .tracer = tracer, .seized = seized, .options = options };
    LIST_INSERT_HEAD(&links, l, all);
    atomic_add(&nlinks, 1);
    atomic_store(&t->ptrace, l);
    return l;
}

/* The memory stays with the task: its thread may be looking at it. */
static void unlink_locked(struct ptrace_link *l)
{
    LIST_REMOVE(l, all);
    atomic_add(&nlinks, -1);
    atomic_store(&l->tracee->ptrace, (struct ptrace_link *)NULL);
    l->mode = PTRACE_RESUME_CONT;
    l->tracer = NULL;
}

static void let_go_locked(struct ptrace_link *l)
{
    l->stopped = l->listening = l->unreported = false;
    task_wake(l->tracee);
}

static void tell_tracer_locked(struct ptrace_link *l, int why, int status)
{
    struct task *t = l->tracee;
    struct tgroup *tg = l->tracer->tg;
    struct ksiginfo info = { .signo = SIGCHLD, .code = why, .pid = pid_to_ns(t->tid, tg->pid_ns), .status = status };

    lock(&t->lock);
    info.uid = t->cred->uid;
    unlock(&t->lock);
    struct sighand *s = tgroup_lock_sighand(tg);
    const struct ksigaction *a = &s->action[SIGCHLD];
    bool tell = a->handler != 1 && !(a->flags & SA_NOCLDSTOP);
    unlock(&s->lock);
    if (tell) signal_send_group_locked(tg, &info);
    waitq_wake_all(&tg->child_wait, 0);
}

/* --- stopping --- */

static void serve_xstate(struct ptrace_link *l)
{
    if (!l->xrequest) return;
    l->xresult = l->xrequest == 1 ? kernel.pops->ctx_get_xstate(current->ctx, l->xbuf, l->xlen)
                                  : kernel.pops->ctx_set_xstate(current->ctx, l->xbuf, l->xlen);
    l->xrequest = 0;
    if (l->tracer) task_wake(l->tracer);
}

/* Stops current until its tracer resumes it. The signal the tracer gave along. */
static int stop_here(u32 code, int why, enum ptrace_stop_kind kind, const struct ksiginfo *info, u64 message, bool group)
{
    struct task *t = current;
    int signo = 0;

    lock(&kernel.tasklist);
    struct ptrace_link *l = t->ptrace;
    if (!l || (atomic_load(&t->work) & TW_FATAL)) {
        unlock(&kernel.tasklist);
        return l ? 0 : (int)(code & 0x7f);
    }
    if (steps(l->mode)) t->regs.eflags &= ~EFLAGS_TF;
    l->code = code;
    l->kind = kind;
    l->message = message;
    l->has_info = info != NULL;
    if (info) l->info = *info;
    l->group_stop = group;
    l->resume_signal = 0;
    l->listening = false;
    l->stopped = l->unreported = true;
    l->trap_wanted = false;
    atomic_and(&t->work, ~(u32)TW_PTRACE);
    atomic_store(&t->state, TASK_TRACED);
    tell_tracer_locked(l, why, (int)(code & 0x7f));
    while (l->stopped && !(atomic_load(&t->work) & TW_FATAL)) {
        unlock(&kernel.tasklist);
        task_sleep_uninterruptible(KTIME_NEVER);
        lock(&kernel.tasklist);
        serve_xstate(l);
    }
    l->stopped = l->unreported = l->listening = false;
    signo = l->resume_signal;
    atomic_store(&t->state, TASK_RUNNING);
    if (t->ptrace && steps(l->mode)) t->regs.eflags |= EFLAGS_TF;
    struct sighand *s = tgroup_lock_sighand(t->tg);
    signal_recalc_locked(t);
    unlock(&s->lock);
    unlock(&kernel.tasklist);
    return signo;
}

static struct ksiginfo trap_info(u32 code)
{
    struct ksiginfo i;

    ksiginfo_user(&i, SIGTRAP, (int)code);
    i.pid = current->vtid;
    return i;
}

int ptrace_signal_stop(struct ksiginfo *info)
{
    struct task *t = current;
    struct ptrace_link *l = t->ptrace_mem;
    int orig = info->signo, signo = stop_here((u32)orig, CLD_TRAPPED, PTRACE_AT_NONE, info, l->message, false);

    if (!signo) return 0;
    lock(&kernel.tasklist);
    if (l->has_info) *info = l->info;   /* PTRACE_SETSIGINFO */
    unlock(&kernel.tasklist);
    if (signo != info->signo) ksiginfo_user(info, signo, SI_USER);
    /* The tracer may have chosen one that is blocked: it waits like any other. */
    struct sighand *s = tgroup_lock_sighand(t->tg);
    bool blocked = ksigset_has(&t->blocked, signo);
    unlock(&s->lock);
    if (!blocked || signo == orig) return signo;
    (void)signal_send_task(t, info);
    return 0;
}

bool ptrace_syscall_stop(bool entry)
{
    struct task *t = current;
    struct ptrace_link *l = t->ptrace_mem;
    bool emulated = entry && (l->mode == PTRACE_RESUME_SYSEMU || l->mode == PTRACE_RESUME_SYSEMU_STEP);

    if (l->mode != PTRACE_RESUME_SYSCALL && !emulated) {
        if (!entry && l->mode == PTRACE_RESUME_STEP) ptrace_step_done();
        return false;
    }
    u32 code = SIGTRAP | (l->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
    struct ksiginfo i = trap_info(code);
    int signo = stop_here(code, CLD_TRAPPED, entry ? PTRACE_AT_SYSCALL_ENTRY : PTRACE_AT_SYSCALL_EXIT, &i, entry ? 1 : 2, false);
    if (signo && t->ptrace) {
        ksiginfo_user(&i, signo, SI_USER);
        (void)signal_send_task(t, &i);
    }
    return emulated;
}

bool ptrace_event_enabled(struct task *t, int event)
{
    struct ptrace_link *l = atomic_load(&t->ptrace);

    return l && (l->options >> event & 1);
}

void ptrace_event_stop(int event, u64 message)
{
    u32 code = SIGTRAP | (u32)event << 8;
    struct ksiginfo i = trap_info(code);

    if (!ptrace_event_enabled(current, event)) return;
    (void)stop_here(code, CLD_TRAPPED, event == PTRACE_EVENT_SECCOMP ? PTRACE_AT_SECCOMP : PTRACE_AT_NONE, &i, message, false);
}

bool ptrace_group_stop(int signo)
{
    struct ptrace_link *l = atomic_load(&current->ptrace);

    if (!l) return false;
    u32 code = (u32)signo | (l->seized ? PTRACE_EVENT_STOP << 8 : 0);
    struct ksiginfo i = trap_info(code);
    i.signo = signo;
    (void)stop_here(code, CLD_STOPPED, PTRACE_AT_NONE, l->seized ? &i : NULL, 0, true);
    return true;
}

void ptrace_work(void)
{
    struct task *t = current;
    u32 code = SIGTRAP | PTRACE_EVENT_STOP << 8;

    atomic_and(&t->work, ~(u32)TW_PTRACE);
    lock(&kernel.tasklist);
    struct ptrace_link *l = t->ptrace;
    bool trap = l && l->trap_wanted, stop = l && l->stop_wanted;
    if (l) l->trap_wanted = l->stop_wanted = false;
    unlock(&kernel.tasklist);
    if (stop) (void)stop_here(SIGSTOP, CLD_STOPPED, PTRACE_AT_NONE, NULL, 0, true);
    if (!trap) return;
    struct ksiginfo i = trap_info(code);
    (void)stop_here(code, CLD_STOPPED, PTRACE_AT_NONE, &i, 0, false);
}

void ptrace_exec(s32 old_tid)
{
    struct ptrace_link *l = atomic_load(&current->ptrace);

    if (ptrace_event_enabled(current, PTRACE_EVENT_EXEC)) {
        ptrace_event_stop(PTRACE_EVENT_EXEC, (u64)old_tid);
    } else if (l && !l->seized) {
        struct ksiginfo i;
        ksiginfo_user(&i, SIGTRAP, SI_USER);
        (void)signal_send_task(current, &i);
    }
}

bool ptrace_step_pause(void)
{
    struct ptrace_link *l = atomic_load(&current->ptrace);

    if (!l || !steps(l->mode)) return false;
    current->regs.eflags &= ~EFLAGS_TF;
    return true;
}

void ptrace_step_done(void)
{
    struct ksiginfo i = { .signo = SIGTRAP, .code = TRAP_TRACE, .addr = current->regs.rip };

    signal_force(current, &i);
}

int ptrace_clone(struct task *child, u64 flags, int exit_signal)
{
    struct task *t = current;
    int event = flags & CLONE_VFORK ? PTRACE_EVENT_VFORK : exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE : PTRACE_EVENT_FORK;

    if (flags & CLONE_UNTRACED) return 0;
    lock(&kernel.tasklist);
    struct ptrace_link *l = t->ptrace, *c;
    if (!l || !(l->options >> event & 1)) event = 0;
    if (l && (event || (flags & CLONE_PTRACE))) {
        c = attach_locked(child, l->tracer, l->seized, l->options);
        child->regs.eflags &= ~EFLAGS_TF;
        if (l->seized) {
            c->trap_wanted = true;
            task_set_work(child, TW_PTRACE);
        } else {
            struct sighand *s = tgroup_lock_sighand(child->tg);
            struct ksiginfo i = { .signo = SIGSTOP, .code = SI_USER };
            (void)signal_send_shlocked(child, &i, false, true, NULL);
            unlock(&s->lock);
        }
    }
    unlock(&kernel.tasklist);
    return event;
}

/* --- life cycle --- */

/* The tracer has been told, or will never be; then a parent that is another process hears of it. */
static void heard_locked(struct death *d, struct reap_list *reaped)
{
    struct task *leader;

    HASH_FIND(hh, kernel.tasks_by_tid, &d->tid, sizeof d->tid, leader);
    LIST_REMOVE(d, link);
    if (leader && leader->tg == d->of && leader->tg->held) tgroup_let_parent_know_locked(leader->tg, reaped);
    free(d);
}

void ptrace_exit(struct task *t, bool last)
{
    struct ptrace_link *l, *next;
    struct reap_list reaped = TAILQ_HEAD_INITIALIZER(reaped);
    struct death *d, *dnext;

    if (!atomic_load(&nlinks) && !LIST_FIRST(&deaths)) return;
    lock(&kernel.tasklist);
    LIST_FOREACH_SAFE(l, &links, all, next) {
        if (l->tracer != t) continue;
        bool kill = l->options & PTRACE_O_EXITKILL;
        struct task *tracee = l->tracee;
        unlink_locked(l);
        let_go_locked(l);
        if (kill) tgroup_kill(tracee->tg, SIGKILL);
    }
    LIST_FOREACH_SAFE(d, &deaths, link, dnext) {
        if (last && d->tracer == t->tg) heard_locked(d, &reaped);
    }
    unlock(&kernel.tasklist);
    reap_list_put(&reaped);
}

void ptrace_reaped_locked(struct task *t)
{
    if (t->ptrace) unlink_locked(t->ptrace);
}

bool ptrace_died_locked(struct task *t, u32 status, struct tgroup *parent)
{
    struct ptrace_link *l = t->ptrace;

    if (!l) return false;
    /* A tracer that is the parent hears of a process in the ordinary way. */
    bool apart = t->tg->leader != t || l->tracer->tg != parent;
    if (apart) {
        struct death *d = xnew(struct death);
        struct ksiginfo i;
        *d = (struct death){ .tracer = l->tracer->tg, .of = t->tg, .tracer_tid = l->tracer->tid, .tid = t->tid, .nr = pid_to_ns(t->tid, l->tracer->tg->pid_ns), .status = status,
            .pgid = t->tg->pgrp ? t->tg->pgrp->pgid : 0 };
        lock(&t->lock);
        d->uid = t->cred->uid;
        unlock(&t->lock);
        LIST_INSERT_HEAD(&deaths, d, link);
        ksiginfo_exit(&i, SIGCHLD, status);
        tell_tracer_locked(l, i.code, i.status);
    }
    unlink_locked(l);
    return apart && t->tg->leader == t;
}

void ptrace_continued_locked(struct task *t)
{
    struct ptrace_link *l = t->ptrace;

    if (!l || !l->seized || !l->stopped || !l->group_stop) return;
    /* PTRACE_LISTEN: told that the group runs again, and kept until resumed. */
    if (!l->listening) return;
    l->listening = false;
    l->group_stop = false;
    l->code = SIGTRAP | PTRACE_EVENT_STOP << 8;
    l->info.signo = SIGTRAP;
    l->info.code = (int)l->code;
    l->unreported = true;
    waitq_wake_all(&l->tracer->tg->child_wait, 0);
}

static bool wanted(const struct wait_req *r, s32 tid, s32 pgid, s32 tracer_tid)
{
    if (r->which == P_PID && tid != r->id) return false;
    if (r->which == P_PGID && pgid != r->id) return false;
    return !(r->options & __WNOTHREAD) || tracer_tid == current->tid;
}

sysret_t ptrace_wait_locked(const struct wait_req *r, struct wait_result *out, struct reap_list *reaped)
{
    struct ptrace_link *l;
    struct death *d;
    sysret_t ret = -ECHILD;

    LIST_FOREACH(d, &deaths, link) {
        struct ksiginfo info;
        if (d->tracer != current->tg || !wanted(r, d->tid, d->pgid, d->tracer_tid)) continue;
        ret = 0;
        if (!(r->options & WEXITED)) continue;
        ksiginfo_exit(&info, SIGCHLD, d->status);
        *out = (struct wait_result){ .pid = d->nr, .uid = d->uid, .code = info.code, .status = info.status, .wstatus = d->status,
            .ru = d->ru };
        ret = d->nr;
        if (!(r->options & WNOWAIT)) heard_locked(d, reaped);
        return ret;
    }
    LIST_FOREACH(l, &links, all) {
        struct task *t = l->tracee;
        if (l->tracer->tg != current->tg || !wanted(r, t->tid, t->tg->pgrp ? t->tg->pgrp->pgid : 0, l->tracer->tid)) continue;
        ret = 0;
        if (!l->stopped || !l->unreported || l->listening) continue;
        *out = (struct wait_result){ .pid = pid_to_ns(t->tid, current->tg->pid_ns), .code = CLD_TRAPPED, .status = (int)l->code, .wstatus = l->code << 8 | 0x7f };
        lock(&t->lock);
        out->uid = t->cred->uid;
        unlock(&t->lock);
        if (!(r->options & WNOWAIT)) l->unreported = false;
        return out->pid;
    }
    return ret;
}

bool ptrace_by_parent_locked(struct tgroup *tg)
{
    return tg->leader && tg->leader->ptrace && tg->leader->ptrace->tracer->tg == tg->parent;
}

s32 ptrace_tracer_tid(struct task *t)
{
    s32 tid = 0;

    if (!atomic_load(&t->ptrace)) return 0;
    lock(&kernel.tasklist);
    if (t->ptrace) tid = t->ptrace->tracer->tg->tgid;
    unlock(&kernel.tasklist);
    return tid;
}

/* --- the tracer's side --- */

int ptrace_traceme(void)
{
    struct task *t = current, *i, *tracer = NULL;
    int r = -EPERM;

    lock(&kernel.tasklist);
    if (!t->ptrace && t->tg->parent) {
        TAILQ_FOREACH(i, &t->tg->parent->tasks, tg_link)
            if (!i->exiting && (!tracer || i->tid == t->tg->parent_tid)) tracer = i;
        struct cred *c = tracer ? task_get_cred(tracer) : NULL;
        if (c && (r = ll_trace(c->landlock, t->cred)) == 0) attach_locked(t, tracer, false, 0);
        cred_put(c);
    }
    unlock(&kernel.tasklist);
    return r;
}

int ptrace_attach(struct task *t, bool seize, u32 options)
{
    struct ksiginfo stop = { .signo = SIGSTOP, .code = SI_USER };
    int r = -EPERM;

    if (t->tg == current->tg) return -EPERM;
    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(t->tg);
    if (!t->ptrace && !t->exiting && atomic_load(&t->state) < TASK_ZOMBIE) {
        struct ptrace_link *l = attach_locked(t, current, seize, options);
        if (t->stopped) {
            l->stop_wanted = !seize;
            l->trap_wanted = seize;
            task_set_work(t, TW_PTRACE);
        } else if (!seize) {
            (void)signal_send_shlocked(t, &stop, false, true, NULL);
        }
        r = 0;
    }
    unlock(&s->lock);
    unlock(&kernel.tasklist);
    return r;
}

struct ptrace_link *ptrace_lock_tracee(struct task *t, bool must_be_stopped)
{
    lock(&kernel.tasklist);
    struct ptrace_link *l = t->ptrace;
    if (l && l->tracer == current && (!must_be_stopped || (l->stopped && !l->listening))) return l;
    unlock(&kernel.tasklist);
    return NULL;
}

void ptrace_unlock_tracee(void) { unlock(&kernel.tasklist); }

int ptrace_resume(struct task *t, enum ptrace_resume mode, u64 signo)
{
    if (signo > 64) return -EIO;
    if (steps(mode) && !(kernel.pops->abilities(kernel.platform) & PLATFORM_CAN_SINGLE_STEP)) return -EIO;
    struct ptrace_link *l = ptrace_lock_tracee(t, true);
    if (!l) return -ESRCH;
    l->mode = mode;
    l->resume_signal = (int)signo;
    let_go_locked(l);
    ptrace_unlock_tracee();
    return 0;
}

int ptrace_detach(struct task *t, u64 signo)
{
    if (signo > 64) return -EIO;
    struct ptrace_link *l = ptrace_lock_tracee(t, true);
    if (!l) return -ESRCH;
    unlink_locked(l);
    l->resume_signal = (int)signo;
    let_go_locked(l);
    ptrace_unlock_tracee();
    return 0;
}

int ptrace_interrupt(struct task *t)
{
    struct ptrace_link *l = ptrace_lock_tracee(t, false);
    int r = l ? l->seized ? 0 : -EIO : -ESRCH;

    if (!r && l->listening) {
        l->listening = false;
        l->unreported = true;
        waitq_wake_all(&current->tg->child_wait, 0);
    } else if (!r && !l->stopped) {
        l->trap_wanted = true;
        task_set_work(t, TW_PTRACE);
    }
    if (l) ptrace_unlock_tracee();
    return r;
}

int ptrace_listen(struct task *t)
{
    struct ptrace_link *l = ptrace_lock_tracee(t, true);

    if (!l) return -ESRCH;
    int r = l->seized && l->code >> 8 == PTRACE_EVENT_STOP ? 0 : -EIO;
    if (!r) l->listening = true;
    ptrace_unlock_tracee();
    return r;
}

int ptrace_xstate(struct task *t, bool set, void *buf, size_t len)
{
    struct ptrace_link *l = ptrace_lock_tracee(t, true);
    int r = -ESRCH;

    if (!l) return r;
    l->xbuf = buf;
    l->xlen = len;
    l->xrequest = set ? 2 : 1;
    task_wake(t);
    while (t->ptrace == l && l->stopped && l->xrequest) {
        unlock(&kernel.tasklist);
        int killed = task_sleep_uninterruptible(KTIME_NEVER);
        lock(&kernel.tasklist);
        if (killed == -EINTR) break;
    }
    if (!l->xrequest) r = l->xresult;
    l->xrequest = 0;
    unlock(&kernel.tasklist);
    return r;
}
