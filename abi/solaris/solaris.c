/* struct abi abi_solaris and the dispatch of system calls. */
#include "abi/solaris/solaris.h"
#include "sentry/policy/policy.h"
#include "sentry/trace/event.h"

#define CARRY 1ULL

void solaris_encode(struct guest_regs *r, sysret_t ret)
{
    if (unlikely(ret < 0 && ret >= -SYSRET_MAX_ERRNO)) {
        r->rax = sol_errno((int)-ret);
        r->eflags |= CARRY;
    } else {
        r->rax = (u64)ret;
        r->eflags &= ~CARRY;
    }
}

static bool is_restart(sysret_t r) { return r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK; }

/* No such number: SIGSYS, and ENOSYS for whoever ignores or catches it. Source: nosys() of uts/common/syscall/nosys.c. */
static sysret_t no_such_call(struct task *t, u32 nr)
{
    struct ksiginfo info = { .signo = SIGSYS, .code = 1, .call_addr = t->regs.rip, .syscall = (s32)nr };

    event_unsupported(&abi_solaris, nr, NULL);
    (void)signal_send_task(t, &info);
    return -ENOSYS;
}

void solaris_dispatch(struct task *t, u32 nr)
{
    struct guest_regs *r = &t->regs;
    struct syscall_args a = { { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
    const struct syscall_desc *d = NULL;
    struct sol_lwp *lw = sol_self();
    sysret_t ret;

    r->orig_rax = nr;
    if (likely(nr < SOLARIS_NR_TABLE && solaris_syscall_table[nr].name)) d = &solaris_syscall_table[nr];
    t->syscall_nr = nr;
    lw->has_r2 = lw->full_restore = false;
    if (unlikely(trace_syscalls)) trace_syscall_enter(t, nr, d, &a);
    if (unlikely(lw->restart_block)) {
        lw->restart_block = false;
        ret = t->restart_fn ? t->restart_fn(t) : -EINTR;
    } else if (unlikely(policy_syscalls) && (ret = policy_syscall(1, nr, d ? d->name : NULL)) != 0) {
        ;
    } else if (likely(d && d->fn)) {
        ret = d->fn(&a);
    } else if (d) {
        event_unsupported(&abi_solaris, nr, d);
        ret = d->err ? -(sysret_t)d->err : -ENOSYS;
    } else {
        ret = no_such_call(t, nr);
    }
    if (unlikely(policy_times)) policy_syscall_done(1, nr);
    if (unlikely(trace_syscalls)) trace_syscall_exit(t, nr, d, &a, ret);
    t->syscall_nr = ~0ULL;
    /* After an exec the structure is another one, or of no use any more: the registers are those of a Linux program. */
    lw = t->abi == &abi_solaris ? sol_self() : NULL;
    if (unlikely(!lw)) {
        ;
    } else if (unlikely(lw->full_restore)) {
        lw->full_restore = false;
    } else if (unlikely(is_restart(ret) || ret == -EINTR)) {
        solaris_deliver(t, ret);
    } else {
        solaris_encode(r, ret);
        if (lw->has_r2 && ret >= 0) r->rdx = (u64)t->ret2;
        if (unlikely(t->has_saved_mask)) signal_restore_temp_mask();
    }
    r->orig_rax = ~0ULL;
}

static void solaris_syscall(struct task *t)
{
    struct guest_regs *r = &t->regs;

    /* What the instruction itself leaves behind; a platform that patched the call site did not execute it. */
    r->rcx = r->rip;
    r->r11 = r->eflags;
    solaris_dispatch(t, (u32)r->orig_rax);
}

static const char *solaris_sysname(void) { return "SunOS"; }

const struct abi abi_solaris = {
    .name = "solaris",
    .table = solaris_syscall_table,
    .table_len = SOLARIS_NR_TABLE,
    .syscall = solaris_syscall,
    .exception = solaris_exception,
    .deliver_signals = solaris_deliver_signals,
    .task_notify = solaris_task_notify,
    .recognise = solaris_recognise,
    .load = solaris_load,
    .task_fork = solaris_task_fork,
    .task_exit = solaris_task_exit,
    .task_free = solaris_task_free,
    .sysname = solaris_sysname,
    .errno_name = solaris_errno_name,
    .signal_name = solaris_signal_name,
    .decode = solaris_decode,
    .proc_process = solaris_proc_process,
};
