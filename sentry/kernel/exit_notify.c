/* What the family hears of an exit: reparenting, SIGCHLD, orphaned process groups, reaping. Follows kernel/exit.c of Linux. */
#include "sentry/base/log.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"
#include <sys/wait.h>

void policy_process_ended(s32 pid, u32 wait_status, const char *comm) __attribute__((weak));

#define NS_PER_TICK 10000000ULL

void ksiginfo_exit(struct ksiginfo *info, int signo, u32 st)
{
    *info = (struct ksiginfo){ .signo = signo };
    if (st & 0x7f) {
        info->code = st & 0x80 ? CLD_DUMPED : CLD_KILLED;
        info->status = (s32)(st & 0x7f);
    } else {
        info->code = CLD_EXITED;
        info->status = (s32)(st >> 8 & 0xff);
    }
}

/* Out of the table, the tree and its process group; the leader goes to the caller's list. */
void tgroup_reap_locked(struct tgroup *tg, struct reap_list *reaped)
{
    struct task *leader = tg->leader;

    tg->reaped = true;
    if (tg->pid_ns && tg->pid_ns->init == tg) tg->pid_ns->init = NULL;
    if (tg->parent) LIST_REMOVE(tg, sibling);
    tg->parent = NULL;
    tgroup_leave_pgrp_locked(tg);
    struct sighand *s = tgroup_lock_sighand(tg);
    task_unlink_locked(leader);
    unlock(&s->lock);
    atomic_store(&leader->state, TASK_DEAD);
    TAILQ_INSERT_TAIL(reaped, leader, tg_link);
}

void reap_list_put(struct reap_list *reaped)
{
    struct task *t;

    while ((t = TAILQ_FIRST(reaped))) {
        TAILQ_REMOVE(reaped, t, tg_link);
        task_put(t);
    }
}

/* SIGCHLD or whatever was asked for. True: nobody will wait, reap it now. */
static bool notify_parent(struct tgroup *tg)
{
    struct tgroup *parent = tg->parent;
    int signo = tg->exit_signal;
    bool reap = false;

    if (!parent) return true;
    if (parent == kernel.init && kernel.zapper) return true;
    if (parent->pid_ns && parent->pid_ns->init == parent && parent->pid_ns->zapper) return true;
    struct sighand *ps = tgroup_lock_sighand(parent);
    const struct ksigaction *a = &ps->action[SIGCHLD];
    if (signo == SIGCHLD && (a->handler == 1 || (a->flags & SA_NOCLDWAIT))) {
        /* POSIX.1-2001: such children leave no zombie; with SA_NOCLDWAIT the signal still comes (Linux). */
        reap = true;
        if (a->handler == 1) signo = 0;
    }
    unlock(&ps->lock);
    if (signo > 0) {
        struct ksiginfo info;
        ksiginfo_exit(&info, signo, tg->exit_status);
        info.pid = pid_to_ns(tg->tgid, parent->pid_ns);
        lock(&tg->leader->lock);
        info.uid = tg->leader->cred->uid;
        unlock(&tg->leader->lock);
        info.utime = (s64)(tg->dead.utime_ns / NS_PER_TICK);
        info.stime = (s64)(tg->dead.stime_ns / NS_PER_TICK);
        signal_send_group_locked(parent, &info);
    }
    waitq_wake_all(&parent->child_wait, 0);
    return reap;
}

static bool has_stopped_jobs(struct pgrp *p)
{
    struct tgroup *tg;

    TAILQ_FOREACH(tg, &p->members, pgrp_link)
        if (tg->group_stopped && !tg->zombie) return true;
    return false;
}

/* POSIX 3.2.2.2: a process group that becomes orphaned and has stopped members gets SIGHUP, then SIGCONT. */
static void kill_orphaned_pgrp(struct tgroup *tg, struct tgroup *old_parent)
{
    struct tgroup *parent = old_parent ? old_parent : tg->parent;
    struct pgrp *p = tg->pgrp;

    if (!p || !parent || !parent->pgrp || parent->pgrp == p || parent->pgrp->session != p->session) return;
    if (!pgrp_will_be_orphaned_locked(p, old_parent ? NULL : tg) || !has_stopped_jobs(p)) return;
    struct ksiginfo hup = { .signo = SIGHUP, .code = SI_KERNEL }, cont = { .signo = SIGCONT, .code = SI_KERNEL };
    signal_send_pgrp_locked(p, &hup, false);
    signal_send_pgrp_locked(p, &cont, false);
}

/* PR_SET_PDEATHSIG speaks of the thread that made the child. */
static void send_pdeath(struct tgroup *child, struct task *dead)
{
    struct task *i;

    TAILQ_FOREACH(i, &child->tasks, tg_link) {
        int signo = i->pdeath_signal;
        if (!signo || i->exiting) continue;
        struct ksiginfo info = { .signo = signo, .code = SI_USER, .pid = pid_to_ns(dead->tg->tgid, child->pid_ns), .uid = dead->cred->uid };
        signal_send_group_locked(child, &info);
    }
}

static struct tgroup *find_reaper(struct tgroup *tg)
{
    struct tgroup *init = pid_ns_init_locked(tg->pid_ns);
    /* Children stay in the namespace of the dead: no farther up than its process 1. */
    for (struct tgroup *p = tg->parent; p && p->pid_ns == tg->pid_ns; p = p->parent)
        if (p->is_subreaper && p->nr_live) return p;
    if (init && init != tg && !init->zombie) return init;
    return tg == kernel.init ? NULL : kernel.init;
}

static void forget_children(struct task *t, bool group_dead, struct reap_list *reaped)
{
    struct tgroup *tg = t->tg, *c, *next, *reaper = group_dead ? find_reaper(tg) : NULL;
    struct task *heir = NULL, *i;

    TAILQ_FOREACH(i, &tg->tasks, tg_link)
        if (i != t && !i->exiting) heir = i;
    LIST_FOREACH_SAFE(c, &tg->children, sibling, next) {
        if (c->parent_tid == t->tid) {
            if (!c->zombie) send_pdeath(c, t);
            if (heir) c->parent_tid = heir->tid;
        }
        if (!group_dead) continue;
        LIST_REMOVE(c, sibling);
        c->parent = reaper;
        if (!reaper) {
            if (c->zombie) tgroup_reap_locked(c, reaped);
            continue;
        }
        LIST_INSERT_HEAD(&reaper->children, c, sibling);
        c->parent_tid = reaper->tgid;
        c->exit_signal = SIGCHLD;
        if (c->zombie && !c->held && notify_parent(c)) {
            tgroup_reap_locked(c, reaped);
            continue;
        }
        kill_orphaned_pgrp(c, tg);
    }
}

void tgroup_let_parent_know_locked(struct tgroup *tg, struct reap_list *reaped)
{
    tg->held = false;
    if (notify_parent(tg)) tgroup_reap_locked(tg, reaped);
}

bool exit_notify(struct task *t)
{
    struct tgroup *tg = t->tg;
    struct reap_list reaped = TAILQ_HEAD_INITIALIZER(reaped);

    lock(&kernel.tasklist);
    account_fold_locked(t);
    struct sighand *s = tgroup_lock_sighand(tg);
    sigpending_flush(&t->pending, NULL);
    bool group_dead = --tg->nr_tasks == 0;
    if (group_dead) sigpending_flush(&tg->shared_pending, NULL);
    bool leader = tg->leader == t;
    atomic_store(&t->state, leader ? TASK_ZOMBIE : TASK_DEAD);
    if (!leader) {
        task_unlink_locked(t);
        TAILQ_INSERT_TAIL(&reaped, t, tg_link);
    }
    unlock(&s->lock);

    if (!leader) ptrace_died_locked(t, t->exit_code, NULL);
    forget_children(t, group_dead, &reaped);
    if (tg->exec_task && tg->nr_tasks == 1) task_wake(tg->exec_task);
    if (group_dead) {
        tg->zombie = true;
        tg->exit_status = tg->group_exit ? tg->group_exit_code : tg->leader->exit_code;
        tg->wait_stopped = tg->wait_continued = false;
        if (policy_process_ended) policy_process_ended(tg->tgid, tg->exit_status, tg->leader->comm);
        kill_orphaned_pgrp(tg, NULL);
        tg->held = ptrace_died_locked(tg->leader, tg->exit_status, tg->parent);
        bool reap = !tg->held && notify_parent(tg);
        waitq_wake_all(&tg->exit_wait, POLLIN);
        if (reap) tgroup_reap_locked(tg, &reaped);
    }
    unlock(&kernel.tasklist);
    reap_list_put(&reaped);
    return group_dead;
}
