/* The signal calls, and siginfo in its Solaris layout. Source: sys/siginfo.h; uts/common/syscall/sig*.c. */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <stdlib.h>
#include <sys/wait.h>

#define SOL_SI_NOINFO 0x7fff

/* si_code outside of faults: host to Solaris. Codes above 0 have the same numbers. */
static int code_out(int signo, int code)
{
    switch (code) {
    case SI_USER: return 0;
    case SI_QUEUE: return -2;
    case SI_TIMER: return -3;
    case SI_ASYNCIO: return -4;
    case SI_MESGQ: return -5;
    case SI_TKILL: return -1;
    case SI_KERNEL: return signo == SIGSEGV || signo == SIGBUS ? SEGV_MAPERR : SOL_SI_NOINFO;
    default: return code;
    }
}

static int code_in(int code)
{
    switch (code) {
    case 0: return SI_USER;
    case -1: return SI_TKILL;
    case -2: return SI_QUEUE;
    case -3: return SI_TIMER;
    case -4: return SI_ASYNCIO;
    case -5: return SI_MESGQ;
    default: return code;
    }
}

static bool is_fault(int signo)
{
    return signo == SIGSEGV || signo == SIGBUS || signo == SIGILL || signo == SIGFPE || signo == SIGTRAP;
}

void sol_siginfo_fill(struct sol_siginfo *o, const struct ksiginfo *i)
{
    o->signo = sol_signo_out(i->signo);
    o->code = code_out(i->signo, i->code);
    o->err = i->err ? (s32)sol_errno(i->err) : 0;
    if (o->code == SOL_SI_NOINFO) return;
    if (i->code > 0 && is_fault(i->signo)) {
        o->fault.addr = i->addr;
        o->fault.trapno = (s32)i->trapno;
        /* A general protection fault names no address of its own: the instruction's. */
        if (i->code == SI_KERNEL) o->fault.addr = current->regs.rip;
        o->fault.pc = current->regs.rip;
    } else if (i->code > 0 && i->signo == SIGCHLD) {
        o->child.pid = i->pid;
        o->child.utime = i->utime;
        o->child.stime = i->stime;
        /* The status of one that a signal ended or stopped is that signal. */
        o->child.status = i->code == CLD_EXITED ? i->status : sol_signo_out(i->status);
    } else if (i->code > 0 && i->signo == SIGIO) {
        o->poll.fd = i->fd;
        o->poll.band = i->band;
    } else {
        o->proc.pid = i->pid;
        o->proc.uid = i->uid;
        o->proc.value = i->value;
    }
}

int sol_copy_out_siginfo(gaddr_t p, const struct ksiginfo *info)
{
    struct sol_siginfo o;

    memset(&o, 0, sizeof(o));
    sol_siginfo_fill(&o, info);
    return copy_out(p, &o, sizeof(o));
}

int sol_copy_in_siginfo(struct ksiginfo *k, gaddr_t p)
{
    struct sol_siginfo u;

    if (copy_in(&u, p, sizeof(u))) return -EFAULT;
    memset(k, 0, sizeof(*k));
    k->signo = sol_signo_in(u.signo);
    k->code = code_in(u.code);
    if (k->code > 0 && is_fault(k->signo)) {
        k->addr = u.fault.addr;
    } else if (k->code > 0 && k->signo == SIGCHLD) {
        k->pid = u.child.pid;
        k->status = u.code == CLD_EXITED ? u.child.status : sol_signo_in(u.child.status);
        k->utime = u.child.utime;
        k->stime = u.child.stime;
    } else {
        k->pid = u.proc.pid;
        k->uid = u.proc.uid;
        k->value = u.proc.value;
    }
    return 0;
}

u32 sol_wait_status(u32 w)
{
    if (WIFSTOPPED((int)w)) return (w & 0xffff00ff) | (u32)sol_signo_out(WSTOPSIG((int)w)) << 8;
    if (WIFSIGNALED((int)w)) return (w & ~0x7fu) | (u32)sol_signo_out(WTERMSIG((int)w));
    return w;
}

/* --- dispositions and masks --- */

sysret_t solaris_sigaction(const struct syscall_args *a)
{
    int k = sol_signo_in(ARG_INT(0)), r;
    struct sol_sigaction u;
    struct ksigaction new_ = { 0 }, old;

    if (!k) return -EINVAL;
    if (a->a[1]) {
        if (copy_in(&u, a->a[1], sizeof(u))) return -EFAULT;
        if (k == SIGKILL || k == SIGSTOP) return -EINVAL;
        new_.handler = u.handler;
        new_.flags = sol_sa_flags_in((u32)u.flags);
        sol_sigset_in(&new_.mask, &u.mask);
        ksigset_del(&new_.mask, SIGKILL);
        ksigset_del(&new_.mask, SIGSTOP);
        /* A caught signal always runs on a frame with siginfo only if asked; libc asks always. */
    }
    if ((r = signal_action(k, a->a[1] ? &new_ : NULL, &old))) return r;
    if (a->a[2]) {
        memset(&u, 0, sizeof(u));
        u.handler = old.handler;
        u.flags = (s32)sol_sa_flags_out(old.flags);
        sol_sigset_out(&u.mask, &old.mask);
        if (copy_out(a->a[2], &u, sizeof(u))) return -EFAULT;
    }
    return 0;
}

/* how: 1 block, 2 unblock, 3 set */
static int apply_mask(int how, const ksigset_t *set)
{
    ksigset_t next = current->blocked;

    for (int i = 0; i < 2; i++) {
        switch (how) {
        case 1: next.w[i] |= set->w[i]; break;
        case 2: next.w[i] &= ~set->w[i]; break;
        case 3: next.w[i] = set->w[i]; break;
        default: return -EINVAL;
        }
    }
    signal_set_mask(&next);
    return 0;
}

sysret_t solaris_sigprocmask(const struct syscall_args *a)
{
    ksigset_t set, old = current->blocked;
    int r;

    if (a->a[1]) {
        if (sol_copy_in_sigset(&set, a->a[1])) return -EFAULT;
        if ((r = apply_mask(ARG_INT(0), &set))) return r;
    }
    return a->a[2] ? sol_copy_out_sigset(a->a[2], &old) : 0;
}

/* The mask by value in four words; the first two of the old one come back in registers. */
sysret_t solaris_lwp_sigmask(const struct syscall_args *a)
{
    struct sol_sigset in = { { ARG_U32(1), ARG_U32(2), ARG_U32(3), ARG_U32(4) } }, old;
    ksigset_t set;
    int r;

    sol_sigset_out(&old, &current->blocked);
    if (ARG_INT(0)) {
        sol_sigset_in(&set, &in);
        if ((r = apply_mask(ARG_INT(0), &set))) return r;
    }
    return sol_ret2(old.w[0], old.w[1]);
}

/* op 1: pending signals, 2: every signal there is */
sysret_t solaris_sigpending(const struct syscall_args *a)
{
    ksigset_t own, shared;
    struct sol_sigset all = { { ~0u, ~0u, (1u << (SOL_NSIG - 1 - 64)) - 1, 0 } };

    switch (ARG_INT(0)) {
    case 1:
        signal_get_pending(current, &own, &shared);
        for (int i = 0; i < 2; i++) own.w[i] = (own.w[i] | shared.w[i]) & current->blocked.w[i];
        return sol_copy_out_sigset(a->a[1], &own);
    case 2:
        return copy_out(a->a[1], &all, sizeof(all));
    default:
        return -EINVAL;
    }
}

/* --- waiting --- */

sysret_t solaris_pause(const struct syscall_args *a)
{
    (void)a;
    while (task_sleep(KTIME_NEVER) == 0)
        ;
    return -ERESTARTNOHAND;
}

sysret_t solaris_sigsuspend(const struct syscall_args *a)
{
    ksigset_t set;

    if (sol_copy_in_sigset(&set, a->a[0])) return -EFAULT;
    signal_set_temp_mask(&set);
    while (task_sleep(KTIME_NEVER) == 0)
        ;
    return -ERESTARTNOHAND;
}

sysret_t solaris_sigtimedwait(const struct syscall_args *a)
{
    struct task *t = current;
    struct ksiginfo info;
    struct waiter w;
    ksigset_t set;
    ktime_t deadline = KTIME_NEVER, rel = -1;
    int signo, r = 0;

    if (sol_copy_in_sigset(&set, a->a[0])) return -EFAULT;
    if (a->a[2]) {
        if ((r = sol_copy_in_ktime(&rel, a->a[2]))) return r;
        deadline = ktime_add_sat(clock_mono(), rel);
    }
    ksigset_del(&set, SIGKILL);
    ksigset_del(&set, SIGSTOP);
    signo = signal_take(&set, &info);
    if (!signo && rel != 0) {
        waiter_init_current(&w, 0);
        waitq_add(&t->tg->sighand->signalfd_wait, &w);
        for (r = 0; !(signo = signal_take(&set, &info)) && !r;) r = task_sleep(deadline);
        waitq_del(&w);
    }
    if (!signo) return rel == 0 || r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    if (a->a[1] && sol_copy_out_siginfo(a->a[1], &info)) return -EFAULT;
    return sol_signo_out(signo);
}

/* --- sending --- */

static int send_group(struct task *leader, const struct ksiginfo *info)
{
    int r = signal_may_send(leader, info->signo);

    if (r || !info->signo) return r;
    return signal_send_group(leader->tg, info);
}

static sysret_t send_pid(s32 pid, const struct ksiginfo *info)
{
    struct task *t = task_lookup_get(pid);
    sysret_t r = -ESRCH;

    if (!t) return -ESRCH;
    if (t->tg->tgid == pid) r = send_group(t, info);
    task_put(t);
    return r;
}

sysret_t solaris_kill(const struct syscall_args *a)
{
    s32 pid = ARG_INT(0);
    int sig = ARG_INT(1), k = sol_signo_in(sig);
    struct ksiginfo info;

    if (sig < 0 || (sig && !k)) return -EINVAL;
    ksiginfo_user(&info, k, SI_USER);
    if (pid > 0) return send_pid(pid, &info);
    if (pid == -1) return signal_send_all(&info);
    if (pid == INT32_MIN) return -ESRCH;
    if (pid == 0) {
        sysret_t own = task_getpgid(0);
        return own < 0 ? own : signal_send_pgrp((s32)own, &info, true);
    }
    return signal_send_pgrp(-pid, &info, true);
}

/* sigqueue(pid, sig, value, si_code, block): block asks to wait for a free queue entry; ours never needs to. */
sysret_t solaris_sigqueue(const struct syscall_args *a)
{
    int sig = ARG_INT(1), k = sol_signo_in(sig), code = ARG_INT(3);
    struct ksiginfo info;

    if (ARG_INT(0) <= 0 || sig < 0 || (sig && !k)) return -EINVAL;
    if (code != -2 && code != -3 && code != -4 && code != -5) return -EINVAL;   /* one that queues */
    ksiginfo_user(&info, k, code_in(code));
    info.value = a->a[2];
    return send_pid(ARG_INT(0), &info);
}

/* sigresend(sig, siginfo, mask): libc hands back a signal it deferred, and sets the mask it wants meanwhile. */
sysret_t solaris_sigresend(const struct syscall_args *a)
{
    int k = sol_signo_in(ARG_INT(0));
    struct ksiginfo info = { .signo = k, .code = SI_USER };
    ksigset_t mask;

    if (!k || k == SIGKILL || k == SIGSTOP) return -EINVAL;
    if (a->a[1]) {
        if (sol_copy_in_siginfo(&info, a->a[1])) return -EFAULT;
        if (info.signo != k) return -EINVAL;
    }
    if (a->a[2]) {
        if (sol_copy_in_sigset(&mask, a->a[2])) return -EFAULT;
        signal_set_mask(&mask);
    }
    return signal_send_task(current, &info);
}

/* procset_t of sys/procset.h: op, left and right set as (idtype, id). */
struct sol_procset { s32 op, lidtype, lid, ridtype, rid; };

sysret_t solaris_sigsendsys(const struct syscall_args *a)
{
    enum { POP_DIFF, POP_AND, POP_OR, POP_XOR };
    struct sol_procset ps;
    int sig = ARG_INT(1), k = sol_signo_in(sig);
    struct ksiginfo info;
    s32 type, id;

    if (copy_in(&ps, a->a[0], sizeof(ps))) return -EFAULT;
    if (sig < 0 || (sig && !k)) return -EINVAL;
    /* What sigsend(3C) makes: the wanted set AND everybody. */
    if (ps.op != POP_AND) return -EINVAL;
    if (ps.lidtype == 7) type = ps.ridtype, id = ps.rid;
    else if (ps.ridtype == 7) type = ps.lidtype, id = ps.lid;
    else return -EINVAL;
    ksiginfo_user(&info, k, SI_USER);
    switch (type) {
    case 0: return send_pid(id == -1 ? current->tg->tgid : id, &info);
    case 2: {
        sysret_t own = id == -1 ? task_getpgid(0) : id;
        return own < 0 ? own : signal_send_pgrp((s32)own, &info, true);
    }
    case 7: return signal_send_all(&info);
    case 8: {
        struct syscall_args b = { { (u64)(u32)(id == -1 ? sol_self()->id : id), (u64)(u32)sig } };
        return solaris_lwp_kill(&b);
    }
    default: return -EINVAL;
    }
}
