/* The signal calls, and siginfo in its Linux layout. Source: signal(7), kernel/signal.c. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_signal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include <string.h>

#define LINUX_NSIG 64

int linux_copy_in_sigset(ksigset_t *out, gaddr_t p, u64 size)
{
    u64 w;

    if (size != sizeof(w)) return -EINVAL;
    if (copy_in(&w, p, sizeof(w))) return -EFAULT;
    out->w[0] = w;
    out->w[1] = 0;
    return 0;
}

int linux_copy_out_sigset(gaddr_t p, const ksigset_t *s)
{
    return copy_out(p, &s->w[0], sizeof(u64));
}

/* Which member of the union counts: siginfo_layout(). */
enum layout { L_RT, L_TIMER, L_CHILD, L_FAULT, L_POLL, L_SYS };
static enum layout siginfo_layout(int signo, int code)
{
    if (code > SI_USER && code < SI_KERNEL) {
        switch (signo) {
        case SIGCHLD: return L_CHILD;
        case SIGSEGV: case SIGBUS: case SIGILL: case SIGFPE: case SIGTRAP: return L_FAULT;
        case SIGIO: return L_POLL;
        case SIGSYS: return L_SYS;
        default: return code <= 6 /* NSIGPOLL: a signal that F_SETSIG chose */ ? L_POLL : L_RT;
        }
    }
    if (code == SI_TIMER) return L_TIMER;
    if (code == SI_SIGIO) return L_POLL;
    return L_RT;
}

void linux_siginfo_fill(struct linux_siginfo *o, const struct ksiginfo *i)
{
    o->signo = i->signo;
    o->err = i->err;
    o->code = i->code;
    switch (siginfo_layout(i->signo, i->code)) {
    case L_RT:
        o->rt.pid = i->pid;
        o->rt.uid = uid_out(i->uid);
        if (i->code < 0 && i->code != SI_TKILL) o->rt.value = i->value;
        break;
    case L_TIMER:
        o->timer.tid = i->timer_id;
        o->timer.overrun = i->overrun;
        o->timer.value = i->value;
        break;
    case L_CHILD:
        o->child.pid = i->pid;
        o->child.uid = uid_out(i->uid);
        o->child.status = i->status;
        o->child.utime = i->utime;
        o->child.stime = i->stime;
        break;
    case L_FAULT:
        o->fault.addr = i->addr;
        if (i->signo == SIGBUS) o->fault.addr_lsb = i->addr_lsb;
        if (i->signo == SIGSEGV) o->fault.lower = i->addr_lower, o->fault.upper = i->addr_upper;
        break;
    case L_POLL:
        o->poll.band = i->band;
        o->poll.fd = i->fd;
        break;
    case L_SYS:
        o->sys.call_addr = i->call_addr;
        o->sys.syscall = i->syscall;
        o->sys.arch = i->arch;
        break;
    }
}

int linux_copy_out_siginfo(gaddr_t p, const struct ksiginfo *info)
{
    struct linux_siginfo o;

    memset(&o, 0, sizeof(o));
    linux_siginfo_fill(&o, info);
    return copy_out(p, &o, sizeof(o));
}

int linux_copy_in_siginfo(struct ksiginfo *k, gaddr_t p)
{
    struct linux_siginfo u;

    if (copy_in(&u, p, sizeof(u))) return -EFAULT;
    memset(k, 0, sizeof(*k));
    k->signo = u.signo;
    k->err = u.err;
    k->code = u.code;
    switch (siginfo_layout(u.signo, u.code)) {
    case L_RT:
        k->pid = u.rt.pid;
        k->uid = uid_in(u.rt.uid);
        k->value = u.rt.value;
        break;
    case L_TIMER:
        k->timer_id = u.timer.tid;
        k->overrun = u.timer.overrun;
        k->value = u.timer.value;
        break;
    case L_CHILD:
        k->pid = u.child.pid;
        k->uid = uid_in(u.child.uid);
        k->status = u.child.status;
        k->utime = u.child.utime;
        k->stime = u.child.stime;
        break;
    case L_FAULT:
        k->addr = u.fault.addr;
        k->addr_lsb = u.fault.addr_lsb;
        k->addr_lower = u.fault.lower;
        k->addr_upper = u.fault.upper;
        break;
    case L_POLL:
        k->band = u.poll.band;
        k->fd = u.poll.fd;
        break;
    case L_SYS:
        k->call_addr = u.sys.call_addr;
        k->syscall = u.sys.syscall;
        k->arch = u.sys.arch;
        break;
    }
    return 0;
}

/* --- dispositions and masks --- */

sysret_t linux_rt_sigaction(const struct syscall_args *a)
{
    int signo = ARG_INT(0), r;
    struct linux_sigaction u;
    struct ksigaction new_ = { 0 }, old;

    if (a->a[3] != sizeof(u.mask)) return -EINVAL;
    if (a->a[1]) {
        if (copy_in(&u, a->a[1], sizeof(u))) return -EFAULT;
        new_.handler = u.handler;
        new_.flags = u.flags & LINUX_SA_KEPT;
        new_.restorer = u.restorer;
        new_.mask.w[0] = u.mask;
        ksigset_del(&new_.mask, SIGKILL);
        ksigset_del(&new_.mask, SIGSTOP);
    }
    if (signo < 1 || signo > LINUX_NSIG) return -EINVAL;
    if ((r = signal_action(signo, a->a[1] ? &new_ : NULL, &old))) return r;
    if (a->a[2]) {
        u = (struct linux_sigaction){ old.handler, old.flags, old.restorer, old.mask.w[0] };
        if (copy_out(a->a[2], &u, sizeof(u))) return -EFAULT;
    }
    return 0;
}

sysret_t linux_rt_sigprocmask(const struct syscall_args *a)
{
    ksigset_t set, old = current->blocked, next = old;

    if (a->a[3] != 8) return -EINVAL;
    if (a->a[1]) {
        if (linux_copy_in_sigset(&set, a->a[1], 8)) return -EFAULT;
        switch (ARG_INT(0)) {
        case SIG_BLOCK: next.w[0] |= set.w[0]; break;
        case SIG_UNBLOCK: next.w[0] &= ~set.w[0]; break;
        case SIG_SETMASK: next.w[0] = set.w[0]; break;
        default: return -EINVAL;
        }
        signal_set_mask(&next);
    }
    if (a->a[2] && linux_copy_out_sigset(a->a[2], &old)) return -EFAULT;
    return 0;
}

sysret_t linux_rt_sigpending(const struct syscall_args *a)
{
    struct task *t = current;
    struct sighand *sh = t->tg->sighand;
    u64 set;

    if (a->a[1] > 8) return -EINVAL;
    lock(&sh->lock);
    set = (t->pending.set.w[0] | t->tg->shared_pending.set.w[0]) & t->blocked.w[0];
    unlock(&sh->lock);
    return copy_out(a->a[0], &set, a->a[1]) ? -EFAULT : 0;
}

/* --- waiting --- */

sysret_t linux_pause(const struct syscall_args *a)
{
    (void)a;
    while (task_sleep(KTIME_NEVER) == 0)
        ;
    return -ERESTARTNOHAND;
}

sysret_t linux_rt_sigsuspend(const struct syscall_args *a)
{
    ksigset_t set;
    int r = linux_copy_in_sigset(&set, a->a[0], a->a[1]);

    if (r) return r;
    signal_set_temp_mask(&set);
    while (task_sleep(KTIME_NEVER) == 0)
        ;
    return -ERESTARTNOHAND;
}

sysret_t linux_rt_sigtimedwait(const struct syscall_args *a)
{
    struct task *t = current;
    struct ksiginfo info;
    struct timespec ts;
    struct waiter w;
    ksigset_t set;
    ktime_t deadline = KTIME_NEVER;
    bool poll_only = false;
    int signo, r;

    if ((r = linux_copy_in_sigset(&set, a->a[0], a->a[3]))) return r;
    if (a->a[2]) {
        if ((r = linux_copy_in_timespec(&ts, a->a[2]))) return r;
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC) return -EINVAL;
        poll_only = !ts.tv_sec && !ts.tv_nsec;
        if (ts.tv_sec < INT64_MAX / NSEC_PER_SEC / 2)
            deadline = clock_mono() + ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
    }
    ksigset_del(&set, SIGKILL);
    ksigset_del(&set, SIGSTOP);
    signo = signal_take(&set, &info);
    if (!signo && !poll_only) {
        /* Blocked signals do not end a sleep, but whoever queues one wakes the signalfd queue. */
        waiter_init_current(&w, 0);
        waitq_add(&t->tg->sighand->signalfd_wait, &w);
        for (r = 0; !(signo = signal_take(&set, &info)) && !r;) r = task_sleep(deadline);
        waitq_del(&w);
    }
    if (!signo) return poll_only || r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    if (a->a[1] && linux_copy_out_siginfo(a->a[1], &info)) return -EFAULT;
    return signo;
}

/* --- sending --- */

static bool valid_signo(int signo)
{
    return signo >= 0 && signo <= LINUX_NSIG;
}

/* To one group: permission first, and nothing more for signal 0. */
static int send_group(struct task *leader, const struct ksiginfo *info)
{
    int r = signal_may_send(leader, info->signo);

    if (r || !info->signo) return r;
    return signal_send_group(leader->tg, info);
}

/* kill(-1): everybody but init and the sender's own process. */
static sysret_t kill_all(const struct ksiginfo *info)
{
    struct task **list = NULL, *t, *tmp;
    unsigned n = 0, cap = 0;
    sysret_t ret = -ESRCH;

    lock(&kernel.tasklist);
    HASH_ITER(hh, kernel.tasks_by_tid, t, tmp) {
        if (t->tg->leader != t || t->tg == kernel.init || t->tg == current->tg) continue;
        if (!pid_ns_contains(current->tg->pid_ns, t->tg->pid_ns) || t->tg == pid_ns_init_locked(current->tg->pid_ns)) continue;
        if (n == cap) list = xrealloc(list, (cap = cap * 2 + 16) * sizeof(struct task *));
        task_get(t);
        list[n++] = t;
    }
    unlock(&kernel.tasklist);
    for (unsigned i = 0; i < n; i++) {
        int r = send_group(list[i], info);
        if (ret != 0) ret = r == -EPERM ? (ret == -ESRCH ? -EPERM : ret) : r;
        task_put(list[i]);
    }
    free(list);
    return ret;
}

static sysret_t kill_pid(s32 pid, const struct ksiginfo *info)
{
    struct task *t = task_lookup_get(pid);
    sysret_t r;

    if (!t) return -ESRCH;
    r = send_group(t, info);
    task_put(t);
    return r;
}

sysret_t linux_kill(const struct syscall_args *a)
{
    s32 pid = ARG_INT(0);
    struct ksiginfo info;

    if (!valid_signo(ARG_INT(1))) return -EINVAL;
    ksiginfo_user(&info, ARG_INT(1), SI_USER);
    if (pid > 0) return kill_pid(pid_in(pid), &info);
    if (pid == -1) return kill_all(&info);
    if (pid == INT32_MIN) return -ESRCH;
    if (pid == 0) {
        sysret_t own = task_getpgid(0);
        return own < 0 ? own : signal_send_pgrp((s32)own, &info, true);
    }
    return signal_send_pgrp(pid_in(-pid), &info, true);
}

static sysret_t send_thread(s32 tgid, s32 tid, const struct ksiginfo *info)
{
    struct task *t = task_lookup_get(tid);
    sysret_t r = -ESRCH;

    if (!t) return -ESRCH;
    if (tgid < 0 || t->tg->tgid == tgid) {
        r = signal_may_send(t, info->signo);
        if (!r && info->signo) {
            r = signal_send_task(t, info);
            if (r == -ESRCH) r = 0;   /* it has just exited: as if it had got the signal before */
        }
    }
    task_put(t);
    return r;
}

sysret_t linux_tgkill(const struct syscall_args *a)
{
    struct ksiginfo info;

    if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0 || !valid_signo(ARG_INT(2))) return -EINVAL;
    ksiginfo_user(&info, ARG_INT(2), SI_TKILL);
    return send_thread(pid_in(ARG_INT(0)), pid_in(ARG_INT(1)), &info);
}

sysret_t linux_tkill(const struct syscall_args *a)
{
    struct ksiginfo info;

    if (ARG_INT(0) <= 0 || !valid_signo(ARG_INT(1))) return -EINVAL;
    ksiginfo_user(&info, ARG_INT(1), SI_TKILL);
    return send_thread(-1, pid_in(ARG_INT(0)), &info);
}

/* Only the process itself may send what looks like the kernel's or kill(2)'s. */
static int queue_info(struct ksiginfo *info, gaddr_t p, int signo, s32 target)
{
    if (linux_copy_in_siginfo(info, p)) return -EFAULT;
    info->signo = signo;
    if ((info->code >= 0 || info->code == SI_TKILL) && target != current->tg->vtgid && target != current->vtid)
        return -EPERM;
    return valid_signo(signo) ? 0 : -EINVAL;
}

sysret_t linux_rt_sigqueueinfo(const struct syscall_args *a)
{
    struct ksiginfo info;
    int r = queue_info(&info, a->a[2], ARG_INT(1), ARG_INT(0));

    return r ? r : kill_pid(pid_in(ARG_INT(0)), &info);
}

sysret_t linux_rt_tgsigqueueinfo(const struct syscall_args *a)
{
    struct ksiginfo info;
    int r = queue_info(&info, a->a[3], ARG_INT(2), ARG_INT(1));

    if (r) return r;
    if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0) return -EINVAL;
    return send_thread(pid_in(ARG_INT(0)), pid_in(ARG_INT(1)), &info);
}

sysret_t linux_restart_syscall(const struct syscall_args *a)
{
    struct task *t = current;
    sysret_t (*fn)(struct task *) = t->restart_fn;

    (void)a;
    t->restart_fn = NULL;
    return fn ? fn(t) : -EINTR;
}
