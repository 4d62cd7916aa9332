/*
 * LWPs: a task is an LWP; ids are small numbers of the process, not the kernel's. Also fork in its forms, because the state
 * of a new LWP is made here. Source: uts/common/syscall/lwp_*.c, fork.c; fact: ids count up from 1, never reused soon.
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <sched.h>
#include <sys/wait.h>

#define LWP_DAEMON 0x20u
#define LWP_DETACHED 0x40u
#define LWP_SUSPENDED 0x80u
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static struct sol_proc *proc_new(void)
{
    struct sol_proc *p = xnew(struct sol_proc);

    ref_init(&p->refs);
    lock_init(&p->lock, LC_FUTEX);
    p->next_id = 1;
    TAILQ_INIT(&p->lwps);
    TAILQ_INIT(&p->zombies);
    waitq_init(&p->join_wait);
    return p;
}

static void proc_put(struct sol_proc *p)
{
    struct sol_lwp *z;

    if (!ref_put(&p->refs)) return;
    while ((z = TAILQ_FIRST(&p->zombies))) {
        TAILQ_REMOVE(&p->zombies, z, link);
        free(z);
    }
    waitq_fini(&p->join_wait);
    lock_fini(&p->lock);
    free(p);
}

struct sol_lwp *sol_lwp_new(struct task *t, struct sol_proc *proc)
{
    struct sol_lwp *lw = xnew(struct sol_lwp);

    if (proc) ref_get(&proc->refs);
    else proc = proc_new();
    lw->proc = proc;
    lw->task = t;
    lock(&proc->lock);
    lw->id = proc->next_id++;
    TAILQ_INSERT_TAIL(&proc->lwps, lw, link);
    proc->nlwps++;
    unlock(&proc->lock);
    atomic_store(&t->abi_tid, lw->id);
    return lw;
}

struct sol_lwp *sol_self(void)
{
    struct task *t = current;
    struct sol_lwp *lw = t->abi_data;

    if (unlikely(lw->gone)) {
        /* A new image of the same ABI: nothing of the old process but its memory of this structure. */
        solaris_task_free(t);
        t->abi_data = lw = sol_lwp_new(t, NULL);
    }
    return lw;
}

/* The LWP leaves its process: at its exit, and for the old image at exec. */
void solaris_task_exit(struct task *t)
{
    struct sol_lwp *lw = t->abi_data;
    struct sol_proc *p;

    if (!lw || lw->gone) return;
    p = lw->proc;
    lw->gone = true;
    atomic_store(&t->abi_tid, SOL_LWP_ENDED);   /* before lwp_wait can tell: /proc must not show it after that */
    lock(&p->lock);
    TAILQ_REMOVE(&p->lwps, lw, link);
    p->nlwps--;
    if (!lw->detached && !lw->daemon && p->nlwps) {
        struct sol_lwp *z = xnew(struct sol_lwp);
        z->id = lw->id;
        TAILQ_INSERT_TAIL(&p->zombies, z, link);
    }
    unlock(&p->lock);
    waitq_wake_all(&p->join_wait, 0);
}

void solaris_task_free(struct task *t)
{
    struct sol_lwp *lw = t->abi_data;

    if (!lw) return;
    solaris_task_exit(t);   /* one that never ran */
    proc_put(lw->proc);
    free(lw);
    t->abi_data = NULL;
}

struct task *sol_lwp_task_get(s32 id)
{
    struct sol_proc *p = sol_self()->proc;
    struct task *t = NULL;
    struct sol_lwp *lw;

    lock(&p->lock);
    TAILQ_FOREACH(lw, &p->lwps, link)
        if (lw->id == id) {
            t = lw->task;
            task_get(t);
            break;
        }
    unlock(&p->lock);
    return t;
}

int solaris_task_fork(struct task *parent, struct task *child, u64 clone_flags)
{
    struct sol_lwp *from = parent->abi_data, *lw;
    struct guest_regs *r = &child->regs;

    lw = sol_lwp_new(child, clone_flags & CLONE_THREAD ? from->proc : NULL);
    child->abi_data = lw;
    if (from->create) {
        if (sol_regs_in(r, from->create)) {
            solaris_task_free(child);
            return -EINVAL;
        }
        sol_sigset_in(&child->blocked, &from->create->sigmask);
        ksigset_del(&child->blocked, SIGKILL);
        ksigset_del(&child->blocked, SIGSTOP);
        lw->detached = from->create_flags & LWP_DETACHED;
        lw->daemon = from->create_flags & LWP_DAEMON;
        if (from->create_flags & LWP_SUSPENDED) {
            lw->suspended = true;
            atomic_or(&child->work, TW_NOTIFY);
        }
        return 0;
    }
    /* fork: the child sees its parent's id and a second result of 1. */
    r->rax = (u64)parent->tg->tgid;
    r->rdx = 1;
    r->eflags &= ~1ULL;
    r->orig_rax = ~0ULL;
    lw->oldcontext = from->oldcontext;
    lw->ustack = from->ustack;
    return 0;
}

void solaris_task_notify(struct task *t)
{
    struct sol_lwp *lw = sol_self();

    while (atomic_load(&lw->suspended))
        if (task_sleep_uninterruptible(KTIME_NEVER) == -EINTR) break;
    (void)t;
}

/* --- the calls --- */

sysret_t solaris_lwp_create(const struct syscall_args *a)
{
    struct sol_lwp *lw = sol_self();
    struct sol_ucontext uc;
    struct guest_regs probe = current->regs;
    struct clone_args_k k = { .flags = THREAD_FLAGS };
    u32 flags = ARG_U32(1);
    sysret_t tid;
    struct task *t;
    s32 id;

    if (flags & ~(LWP_DAEMON | LWP_DETACHED | LWP_SUSPENDED)) return -EINVAL;
    if (copy_in(&uc, a->a[0], sizeof(uc))) return -EFAULT;
    uc.flags |= SOL_UC_CPU;
    if (sol_regs_in(&probe, &uc)) return -EINVAL;
    lw->create = &uc;
    lw->create_flags = flags | LWP_SUSPENDED;   /* until the id is stored */
    tid = task_clone(&k);
    lw->create = NULL;
    if (tid < 0) return tid == -ENOMEM ? -EAGAIN : tid;
    t = task_lookup_get((s32)tid);
    if (!t) return -EAGAIN;
    struct sol_lwp *nl = t->abi_data;
    id = nl->id;
    bool stored = !a->a[2] || !copy_out(a->a[2], &id, sizeof(id));
    if (!(flags & LWP_SUSPENDED)) {
        atomic_store(&nl->suspended, false);
        task_wake(t);
    }
    task_put(t);
    return stored ? id : -EFAULT;
}

sysret_t solaris_lwp_exit(const struct syscall_args *a)
{
    (void)a;
    task_exit(0);
}

sysret_t solaris_lwp_self(const struct syscall_args *a)
{
    (void)a;
    return sol_self()->id;
}

sysret_t solaris_lwp_suspend(const struct syscall_args *a)
{
    struct task *t = sol_lwp_task_get(ARG_INT(0));

    if (!t) return -ESRCH;
    struct sol_lwp *lw = t->abi_data;
    /* The last one that runs may not stop itself: nobody could continue it. */
    if (t == current && lw->proc->nlwps == 1) {
        task_put(t);
        return -EDEADLK;
    }
    atomic_store(&lw->suspended, true);
    task_set_work(t, TW_NOTIFY);
    task_put(t);
    return 0;
}

sysret_t solaris_lwp_continue(const struct syscall_args *a)
{
    struct task *t = sol_lwp_task_get(ARG_INT(0));

    if (!t) return -ESRCH;
    struct sol_lwp *lw = t->abi_data;
    atomic_store(&lw->suspended, false);
    task_wake(t);
    task_put(t);
    return 0;
}

sysret_t solaris_lwp_kill(const struct syscall_args *a)
{
    struct task *t;
    struct ksiginfo info;
    int sig = ARG_INT(1), k = sol_signo_in(sig);
    sysret_t r = 0;

    if (sig < 0 || (sig && !k)) return -EINVAL;
    if (!(t = sol_lwp_task_get(ARG_INT(0)))) return -ESRCH;
    if (k) {
        ksiginfo_user(&info, k, SI_TKILL);
        r = signal_send_task(t, &info);
        if (r == -ESRCH) r = 0;
    }
    task_put(t);
    return r;
}

/* Takes a zombie. 1 found, 0 none yet, -ESRCH there is nobody (left) to wait for, -EINVAL detached. */
static int reap(struct sol_proc *p, s32 id, s32 self, s32 *out)
{
    struct sol_lwp *z, *lw;
    bool candidates = false;
    int r = 0;

    lock(&p->lock);
    TAILQ_FOREACH(z, &p->zombies, link)
        if (!id || z->id == id) break;
    if (z) {
        TAILQ_REMOVE(&p->zombies, z, link);
        *out = z->id;
        r = 1;
    } else {
        TAILQ_FOREACH(lw, &p->lwps, link) {
            if (lw->id == self || (id && lw->id != id)) continue;
            if (id && lw->detached) r = -EINVAL;
            if (!lw->detached && !lw->daemon) candidates = true;
        }
        if (!r && !candidates) r = id ? -ESRCH : -EDEADLK;
    }
    unlock(&p->lock);
    free(z);
    return r;
}

sysret_t solaris_lwp_wait(const struct syscall_args *a)
{
    struct sol_lwp *lw = sol_self();
    struct waiter w;
    s32 id = ARG_INT(0), found = 0;
    int r, e = 0;

    if (id < 0) return -EINVAL;
    if (id == lw->id) return -EDEADLK;
    waiter_init_current(&w, 0);
    waitq_add(&lw->proc->join_wait, &w);
    while (!(r = reap(lw->proc, id, lw->id, &found)) && !e) e = task_sleep(KTIME_NEVER);
    waitq_del(&w);
    if (r < 0) return r;
    if (!r) return e;
    if (a->a[1] && copy_out(a->a[1], &found, sizeof(found))) return -EFAULT;
    return 0;
}

sysret_t solaris_lwp_detach(const struct syscall_args *a)
{
    struct sol_proc *p = sol_self()->proc;
    struct sol_lwp *lw, *z = NULL;
    sysret_t r = -ESRCH;
    s32 id = ARG_INT(0);

    lock(&p->lock);
    TAILQ_FOREACH(lw, &p->lwps, link)
        if (lw->id == id) {
            r = lw->detached ? -EINVAL : 0;
            lw->detached = true;
        }
    if (r == -ESRCH) {
        TAILQ_FOREACH(z, &p->zombies, link)
            if (z->id == id) break;
        if (z) {
            TAILQ_REMOVE(&p->zombies, z, link);
            r = 0;
        }
    }
    unlock(&p->lock);
    free(z);
    return r;
}

sysret_t solaris_lwp_info(const struct syscall_args *a)
{
    struct sol_lwpinfo i;
    u64 u, s;

    memset(&i, 0, sizeof(i));
    task_account(current, &u, &s);
    i.utime = (struct sol_timespec){ (s64)(u / NSEC_PER_SEC), (s64)(u % NSEC_PER_SEC) };
    i.stime = (struct sol_timespec){ (s64)(s / NSEC_PER_SEC), (s64)(s % NSEC_PER_SEC) };
    return copy_out(a->a[0], &i, sizeof(i));
}

/* lwp_private(op, which, base): op 0 set, 1 get; which 0 %fs, 1 %gs. */
sysret_t solaris_lwp_private(const struct syscall_args *a)
{
    struct guest_regs *r = &current->regs;
    u64 *base = ARG_INT(1) == 0 ? &r->fs_base : ARG_INT(1) == 1 ? &r->gs_base : NULL;

    if (!base) return -EINVAL;
    switch (ARG_INT(0)) {
    case 0:
        if (a->a[2] >= GUEST_ADDR_MAX) return -EINVAL;
        *base = a->a[2];
        return 0;
    case 1:
        return copy_out(a->a[2], base, sizeof(*base));
    default:
        return -EINVAL;
    }
}

sysret_t solaris_yield(const struct syscall_args *a)
{
    (void)a;
    sched_yield();
    return 0;
}

/* --- fork --- */

#define FORK_NOSIGCHLD 1u
#define FORK_WAITPID 2u

static sysret_t do_fork(u64 clone_flags, u32 flags)
{
    sysret_t pid;

    if (flags & ~(FORK_NOSIGCHLD | FORK_WAITPID)) return -EINVAL;
    pid = task_clone(&(struct clone_args_k){ .flags = clone_flags, .exit_signal = flags & FORK_NOSIGCHLD ? 0 : SIGCHLD });
    if (pid == -ENOMEM) pid = -EAGAIN;
    return pid < 0 ? pid : sol_ret2((u64)pid, 0);
}

/* forksys(op, flags): 0 forkx, 1 forkallx, 2 vforkx */
sysret_t solaris_forksys(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 0: return do_fork(0, ARG_U32(1));
    case 1: return sol_self()->proc->nlwps == 1 ? do_fork(0, ARG_U32(1)) : -EOPNOTSUPP;
    case 2: return do_fork(CLONE_VM | CLONE_VFORK, ARG_U32(1));
    default: return -EINVAL;
    }
}

sysret_t solaris_vfork(const struct syscall_args *a)
{
    (void)a;
    return do_fork(CLONE_VM | CLONE_VFORK, 0);
}
