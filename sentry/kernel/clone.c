/* clone(2), fork(2), vfork(2). The ABI decodes its arguments; the rules here are Linux's (kernel/fork.c, clone(2)). */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <linux/sched.h>
#include <string.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

void seccomp_filter_get(struct seccomp_filter *f) __attribute__((weak));
void policy_limit_hit(const char *what) __attribute__((weak));
void policy_count_tasks(unsigned now) __attribute__((weak));
void policy_process_forked(s32 pid, s32 parent, const char *comm) __attribute__((weak));
void sem_undo_clone(struct task *child, bool share) __attribute__((weak));
void keys_clone(struct task *child) __attribute__((weak));

static int check_flags(const struct clone_args_k *a)
{
    u64 f = a->flags;

    if (current->sched_policy == 6 /* SCHED_DEADLINE */ && !current->sched_reset) return -EAGAIN;   /* its promise is its own */
    if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS)) return -EINVAL;
    if ((f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS)) return -EINVAL;
    if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND)) return -EINVAL;
    if ((f & CLONE_SIGHAND) && !(f & CLONE_VM)) return -EINVAL;
    if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID))) return -EINVAL;
    if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND)) return -EINVAL;
    if ((f & CLONE_PIDFD) && (f & (CLONE_THREAD | CLONE_DETACHED))) return -EINVAL;
    /* Siblings of init would have nobody to reap them. */
    if ((f & CLONE_PARENT) && (current->tg == kernel.init || current->tg->unkillable)) return -EINVAL;
    if ((f & CLONE_THREAD) && nsproxy_at(current->ns, NS_PID) != (current->tg->pid_ns ? &current->tg->pid_ns->ns : NULL)) return -EINVAL;
    if (a->exit_signal < 0 || a->exit_signal > KSIG_MAX) return -EINVAL;
    if (a->set_tid_n) {
        if (a->set_tid_n > 1 || a->set_tid[0] < 1 || a->set_tid[0] >= kernel.pid_max) return -EINVAL;
        const struct user_ns *u = current->tg->pid_ns ? current->tg->pid_ns->ns.owner : NULL;
        if (!ns_capable(u, CAP_SYS_ADMIN) && !ns_capable(u, CAP_CHECKPOINT_RESTORE)) return -EPERM;
    }
    return 0;
}

static bool charge_nproc(struct task *child)
{
    const struct cred *c = child->cred;
    u64 limit = task_rlimit(current, RLIMIT_NPROC);

    if (c->uid == 0 || capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN)) limit = RLIM_INFINITY;
    if (!user_charge(c->uid, USER_NPROC, limit)) return false;
    child->nproc_uid = c->uid;
    child->nproc_charged = true;
    return true;
}

static int copy_group(struct task *child, const struct clone_args_k *a)
{
    struct tgroup *old = current->tg;
    struct sighand *sh;

    if (a->flags & CLONE_THREAD) {
        tgroup_get(old);
        child->tg = old;
        return 0;
    }
    if (a->flags & CLONE_SIGHAND) {
        sh = old->sighand;
        sighand_get(sh);
    } else {
        sh = sighand_copy(old->sighand);
        if (a->flags & CLONE_CLEAR_SIGHAND)
            for (int n = 1; n <= KSIG_MAX; n++)
                if (sh->action[n].handler != 1) sh->action[n] = (struct ksigaction){ 0 };
    }
    struct tgroup *tg = child->tg = tgroup_alloc(sh);
    tgroup_get_rlimits(old, tg->rlim);
    tg->exit_signal = a->flags & CLONE_PARENT ? old->exit_signal : a->exit_signal;
    ptimers_fork(old, tg);
    return 0;
}

static int copy_xstate(struct task *child)
{
    size_t len = platform_xstate_size();

    child->init_xstate = try_zalloc(1, len);
    if (!child->init_xstate) return -ENOMEM;
    child->init_xstate_len = len;
    return kernel.pops->ctx_get_xstate(current->ctx, child->init_xstate, len);
}

static void copy_plain(struct task *c, const struct clone_args_k *a)
{
    struct task *p = current;

    c->regs = p->regs;
    c->regs.rax = 0;   /* success, no result; an ABI whose fork returns something else sets it in task_fork */
    if (a->stack) c->regs.rsp = a->stack;
    if (a->set_tls) c->regs.fs_base = a->tls;
    c->blocked = p->blocked;
    if ((a->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) {
        c->altstack_sp = p->altstack_sp;
        c->altstack_size = p->altstack_size;
        c->altstack_flags = p->altstack_flags;
    }
    /* rseq: a process made by fork has the registration in its copy of the memory, a thread has not. */
    if (!(a->flags & CLONE_VM)) {
        c->rseq_addr = p->rseq_addr;
        c->rseq_len = p->rseq_len;
        c->rseq_sig = p->rseq_sig;
    }
    c->clear_child_tid = a->flags & CLONE_CHILD_CLEARTID ? a->child_tid : 0;
    c->exit_signal = a->flags & CLONE_THREAD ? -1 : a->exit_signal;
    task_get_comm(p, c->comm);
    c->no_new_privs = p->no_new_privs;
    c->timer_slack_ns = c->timer_slack_default = p->timer_slack_ns;
    c->seccomp_mode = p->seccomp_mode;
    if (p->seccomp && seccomp_filter_get) {
        seccomp_filter_get(p->seccomp);
        c->seccomp = p->seccomp;
    }
    c->personality = p->personality;
    c->mempolicy = p->mempolicy;
    c->nice = p->nice;
    c->sched_policy = p->sched_policy;
    c->sched_prio = p->sched_prio;
    if (p->sched_reset) {          /* sched(7), "The SCHED_RESET_ON_FORK flag" */
        if (c->sched_policy == 1 /* SCHED_FIFO */ || c->sched_policy == 2 /* SCHED_RR */ || c->sched_policy == 6 /* SCHED_DEADLINE */) c->sched_policy = c->sched_prio = c->nice = 0;
        else if (c->nice < 0) c->nice = 0;
    }
    memcpy(c->cpus_allowed, p->cpus_allowed, sizeof c->cpus_allowed);
    c->cpu_shown = p->cpu_shown;
    c->oom_score_adj = p->oom_score_adj;
    c->ioprio = p->ioprio;
}

static int copy_shared(struct task *c, u64 flags)
{
    struct task *p = current;
    int r;

    if (flags & CLONE_NEWUSER) {
        c->cred = cred_copy(p->cred);
        if ((r = user_ns_new(c->cred)) < 0) return r;
    } else {
        c->cred = p->cred;
        cred_get(c->cred);
    }
    if (flags & (NSPROXY_FLAGS | CLONE_NEWNS)) {
        if (!cred_ns_capable(c->cred, c->cred->user_ns, CAP_SYS_ADMIN)) return -EPERM;
        if ((r = nsproxy_new(p->ns, flags, c->cred, &c->ns)) < 0) return r;
    }
    if (!(flags & NSPROXY_FLAGS)) nsproxy_get(c->ns = p->ns);
    if (!(flags & CLONE_THREAD) && c->ns && c->ns->pid_children) ns_get(&(c->tg->pid_ns = c->ns->pid_children)->ns);
    if (flags & CLONE_FILES) {
        fdtable_get(p->files);
        c->files = p->files;
    } else if (!(c->files = fdtable_copy(p->files))) {
        return -EMFILE;
    }
    if (flags & CLONE_FS) {
        fs_context_get(p->fs);
        c->fs = p->fs;
    } else if (!(c->fs = fs_context_copy(p->fs))) {
        return -ENOMEM;
    }
    if ((flags & CLONE_NEWNS) && (r = fs_new_mounts(c->fs, c->cred->user_ns))) return r;
    if (flags & CLONE_VM) {
        mm_get(p->mm);
        c->mm = p->mm;
    } else if ((r = mm_fork(p->mm, &c->mm)) < 0) {
        c->mm = NULL;
        return r;
    }
    return 0;
}

/* Into the process tree, all at once. Signals that came before this point stop the fork, those after it find the child. */
static int link_child(struct task *c, const struct clone_args_k *a)
{
    struct task *p = current;
    struct tgroup *tg = c->tg, *init = kernel.init;
    struct pid_ns *ns = tg->pid_ns;
    int r = 0;

    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(p->tg);
    if (atomic_load(&p->work) & (TW_KILL | TW_EXIT_TASK)) r = -EINTR;
    else if (signal_pending(p)) r = -ERESTARTNOINTR;
    else if (init && (init->group_exit || init->zombie)) r = -ENOMEM;
    else if (kernel_limit(threads_max) && kernel.nr_tasks >= kernel_limit(threads_max)) {
        r = -EAGAIN;
    } else if (kernel.max_tasks && kernel.nr_tasks >= kernel.max_tasks) {
        r = -EAGAIN;
        if (policy_limit_hit) policy_limit_hit("processes");
    } else if (kernel.nr_tasks >= kernel_pids_limit()) r = -EAGAIN;
    else if (ns && (ns->dead || (ns->init && ns->init->group_exit))) r = -ENOMEM;
    else if (a->set_tid_n && !ns) r = pid_in_use_locked(a->set_tid[0]) ? -EEXIST : a->set_tid[0];
    else r = pid_alloc_locked();
    if (r < 0) goto out;
    c->tid = r;
    if ((r = pid_ns_number(c->tid, ns, a->set_tid_n ? a->set_tid[0] : 0, &c->vtid)) < 0) {
        c->tid = 0;
        goto out;
    }
    if (a->flags & CLONE_THREAD) {
        task_link_locked(c);
    } else {
        tg->tgid = c->tid;
        tg->vtgid = c->vtid;
        if (ns && !ns->init) {
            ns->init = tg;
            tg->unkillable = true;
        }
        tg->parent = a->flags & CLONE_PARENT ? p->tg->parent : p->tg;
        tg->parent_tid = a->flags & CLONE_PARENT ? p->tg->parent_tid : p->tid;
        if (tg->parent) LIST_INSERT_HEAD(&tg->parent->children, tg, sibling);
        tgroup_join_pgrp_locked(tg, p->tg->pgrp);
        /* The new group's own sighand: not yet known to anybody unless it is ours, which is held. */
        task_link_locked(c);
    }
    kernel.forks++;
    if (policy_count_tasks) policy_count_tasks(kernel.nr_tasks);
    if (policy_process_forked && !(a->flags & CLONE_THREAD)) policy_process_forked(tg->tgid, p->tg->tgid, c->comm);
out:
    unlock(&s->lock);
    unlock(&kernel.tasklist);
    return r;
}

static int install_pidfd(struct task *c, const struct clone_args_k *a, int *fd)
{
    struct file *f;
    int r = pidfd_create_file(c->tg, 0, &f);

    if (r < 0) return r;
    if ((*fd = fd_install(f, true)) < 0) {
        file_put(f);
        return *fd;
    }
    s32 v = *fd;
    return copy_out(a->pidfd, &v, sizeof v);
}

static void wait_vfork(struct task *c)
{
    struct waiter w;

    waiter_init_current(&w, 0);
    waitq_add(&c->vfork_wait, &w);
    while (atomic_load(&c->vfork_pending) && task_sleep_uninterruptible(KTIME_NEVER) == 0)
        ;
    waitq_del(&w);
}

sysret_t task_clone(const struct clone_args_k *a)
{
    struct task *p = current, *c;
    int r, pidfd = -1;

    if ((r = check_flags(a)) < 0) return r;
    /* Signals from before are delivered before: the child must not miss or double them. */
    if (signal_pending(p)) return -ERESTARTNOINTR;

    c = task_alloc();
    c->abi = NULL;   /* until task_fork has copied abi_data */
    if ((r = copy_group(c, a)) < 0) goto fail;
    if ((r = copy_shared(c, a->flags)) < 0) goto fail;
    r = -EAGAIN;
    if (!charge_nproc(c)) goto fail;
    if ((r = kernel.pops->ctx_new(kernel.platform, &c->ctx)) < 0) {
        c->ctx = NULL;
        goto fail;
    }
    if ((r = copy_xstate(c)) < 0) goto fail;
    copy_plain(c, a);
    if (p->abi->task_fork && (r = p->abi->task_fork(p, c, a->flags)) < 0) goto fail;
    c->abi = p->abi;
    if ((a->flags & CLONE_PIDFD) && (r = install_pidfd(c, a, &pidfd)) < 0) goto fail;
    if (a->flags & CLONE_VFORK) c->vfork_pending = true;
    if ((r = task_create_thread(c)) < 0) goto fail;

    task_get(c);   /* ours, while the child may already end */
    if ((r = link_child(c, a)) < 0) {
        /* The thread is there but waits at its gate: it leaves without having been a task. */
        atomic_store(&c->state, TASK_DEAD);
        task_open_gate(c);
        goto fail;
    }
    s32 tid = pid_out(c->tid), own = c->vtid;   /* its number here, and there */
    /* As in Linux, addresses that cannot be written are the program's problem. */
    if ((a->flags & CLONE_PARENT_SETTID) && copy_out(a->parent_tid, &tid, sizeof tid) < 0) { /* ignored */ }
    if (a->flags & CLONE_CHILD_SETTID) (void)mm_copy_out(c->mm, a->child_tid, &own, sizeof own);
    if (!(a->flags & CLONE_THREAD)) ptimers_rlimit_cpu(c->tg);
    if ((a->flags & CLONE_SYSVSEM) && sem_undo_clone) sem_undo_clone(c, true);
    if (keys_clone) keys_clone(c);
    int event = unlikely(p->ptrace) ? ptrace_clone(c, a->flags, a->exit_signal) : 0;
    task_open_gate(c);
    if (unlikely(event)) ptrace_event_stop(event, (u64)tid);
    if (a->flags & CLONE_VFORK) {
        wait_vfork(c);
        if (unlikely(p->ptrace)) ptrace_event_stop(5 /* PTRACE_EVENT_VFORK_DONE */, (u64)tid);
    }
    task_put(c);
    return tid;

fail:
    if (pidfd >= 0) fd_close(pidfd);
    if (c->nproc_charged) user_uncharge(c->nproc_uid, USER_NPROC);
    c->nproc_charged = false;
    c->tid = 0;
    task_discard(c);
    return r;
}
