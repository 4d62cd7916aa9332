/* wait4(2), waitid(2): kernel/exit.c do_wait(). */
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"
#include <sys/wait.h>

static void acc_add(struct rusage_acc *to, const struct rusage_acc *a)
{
    to->utime_ns += a->utime_ns;
    to->stime_ns += a->stime_ns;
    to->min_flt += a->min_flt;
    to->maj_flt += a->maj_flt;
    to->nvcsw += a->nvcsw;
    to->nivcsw += a->nivcsw;
    to->inblock += a->inblock;
    to->oublock += a->oublock;
    to->maxrss_kb = MAX(to->maxrss_kb, a->maxrss_kb);
}

/* Is c one of those the caller asks about, whatever its state? */
static bool eligible(const struct wait_req *r, struct tgroup *c)
{
    switch (r->which) {
    case P_PID:
        if (c->tgid != r->id) return false;
        break;
    case P_PGID:
        if (!c->pgrp || c->pgrp->pgid != r->id) return false;
        break;
    default:
        break;
    }
    if ((r->options & __WNOTHREAD) && c->parent_tid != current->tid) return false;
    if (r->options & __WALL) return true;
    return (c->exit_signal != SIGCHLD) == !!(r->options & __WCLONE);
}

static bool ready(const struct wait_req *r, struct tgroup *c)
{
    return (c->zombie && !c->held && (r->options & WEXITED)) || (c->wait_stopped && (r->options & WSTOPPED) && !ptrace_by_parent_locked(c)) ||
        (c->wait_continued && (r->options & WCONTINUED));
}

static u32 uid_of(struct tgroup *c)
{
    lock(&c->leader->lock);
    u32 uid = c->leader->cred->uid;
    unlock(&c->leader->lock);
    return uid;
}

static void report(const struct wait_req *r, struct tgroup *c, struct wait_result *out, struct reap_list *reaped)
{
    bool keep = r->options & WNOWAIT;

    *out = (struct wait_result){ .pid = pid_to_ns(c->tgid, current->tg->pid_ns), .uid = uid_of(c) };
    out->ru = c->dead;
    acc_add(&out->ru, &c->children_acc);
    if (c->zombie && (r->options & WEXITED)) {
        struct ksiginfo info;
        ksiginfo_exit(&info, SIGCHLD, c->exit_status);
        out->code = info.code;
        out->status = info.status;
        out->wstatus = c->exit_status;
        if (keep) return;
        acc_add(&current->tg->children_acc, &out->ru);
        tgroup_reap_locked(c, reaped);
    } else if (c->wait_stopped && (r->options & WSTOPPED)) {
        out->code = CLD_STOPPED;
        out->status = c->group_stop_sig;
        out->wstatus = (u32)c->group_stop_sig << 8 | 0x7f;
        if (!keep) c->wait_stopped = false;
    } else {
        out->code = CLD_CONTINUED;
        out->status = SIGCONT;
        out->wstatus = 0xffff;
        if (!keep) c->wait_continued = false;
    }
}

/* > 0 done; 0 children exist but none is ready; -ECHILD. */
static sysret_t look(const struct wait_req *r, struct wait_result *out)
{
    struct tgroup *c, *found = NULL;
    struct reap_list reaped = TAILQ_HEAD_INITIALIZER(reaped);
    sysret_t ret = -ECHILD;

    lock(&kernel.tasklist);
    /* The youngest child is first in the list, the oldest one that is ready is reported. */
    LIST_FOREACH(c, &current->tg->children, sibling) {
        if (!eligible(r, c)) continue;
        /* One that has ended can only be reaped: to a caller who asks for stops alone it is no child (wait_consider_task()). */
        if (c->zombie && !c->held && !(r->options & WEXITED)) continue;
        ret = 0;
        if (ready(r, c)) found = c;
        if (r->which == P_PID) break;
    }
    if (found) {
        report(r, found, out, &reaped);
        ret = out->pid;
    }
    if (ret <= 0) {
        sysret_t traced = ptrace_wait_locked(r, out, &reaped);
        if (traced != -ECHILD) ret = traced;
    }
    unlock(&kernel.tasklist);
    reap_list_put(&reaped);
    return ret;
}

sysret_t task_wait(const struct wait_req *req, struct wait_result *out)
{
    struct wait_req r = *req;
    struct waiter w;
    sysret_t ret;

    if (r.which == P_PGID && r.id == 0) r.id = tgroup_pgid(current->tg);
    waiter_init_current(&w, 0);
    waitq_add(&current->tg->child_wait, &w);
    for (;;) {
        ret = look(&r, out);
        if (ret || (r.options & WNOHANG)) break;
        if ((ret = task_sleep(KTIME_NEVER)) < 0) break;
    }
    waitq_del(&w);
    return ret;
}
