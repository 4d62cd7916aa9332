/* struct abi abi_linux and the dispatch of system calls. This path is what every call pays: keep it lean. */
#include "abi/linux/linux.h"
#include "sentry/kernel/cpu_number.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/policy/policy.h"
#include "sentry/trace/event.h"

int linux_copy_in_grown(void *dst, size_t have, size_t least, gaddr_t src, u64 size)
{
    u8 rest[256];

    if (!src) return -EFAULT;
    if (size < least) return -EINVAL;
    if (size > GPAGE_SIZE) return -E2BIG;
    if (copy_in(dst, src, MIN(size, have))) return -EFAULT;
    for (u64 at = have; at < size; at += sizeof(rest)) {
        size_t n = MIN(size - at, sizeof(rest));
        if (copy_in(rest, src + at, n)) return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (rest[i]) return -E2BIG;
    }
    return 0;
}

static sysret_t linux_unsupported(struct task *t, u64 nr, const struct syscall_desc *d)
{
    event_unsupported(t->abi, nr, d);
    return d && d->err ? -(sysret_t)d->err : -ENOSYS;
}

void linux_parking(bool on) { current->park.allowed = on && !trace_syscalls && !policy_times; }

static void linux_syscall(struct task *t)
{
    struct guest_regs *r = &t->regs;
    u32 nr = (u32)r->orig_rax;
    struct syscall_args a = { { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
    const struct syscall_desc *d = NULL;
    sysret_t ret;

    /* What the instruction itself leaves behind; a platform that patched the call site did not execute it. */
    r->rcx = r->rip;
    r->r11 = r->eflags;
    if (unlikely(t->ptrace)) {
        t->syscall_nr = nr;
        bool emulated = ptrace_syscall_stop(true);
        nr = (u32)r->orig_rax;   /* the tracer may have asked for something else; -1: for nothing */
        a = (struct syscall_args){ { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
        if (emulated || nr == ~0u || (atomic_load(&t->work) & TW_KILL)) {
            ret = (sysret_t)r->rax;
            goto out;
        }
    }
    if (likely(nr < LINUX_NR_TABLE && linux_syscall_table[nr].name)) d = &linux_syscall_table[nr];
    t->syscall_nr = nr;
    if (unlikely(trace_syscalls)) trace_syscall_enter(t, nr, d, &a);
    if (unlikely(policy_syscalls) && (ret = policy_syscall(0, nr, d ? d->name : NULL)) != 0)
        ;
    else if (unlikely(t->seccomp_mode) && !linux_seccomp_check(t, nr, &a, &ret))
        ;
    else if (likely(d && d->fn)) {
        ret = d->fn(&a);
        if (unlikely(ret == -EPARKED)) {
            t = task_park(&ret);
            r = &t->regs;
            nr = (u32)t->syscall_nr;
            d = &linux_syscall_table[nr];
            a = (struct syscall_args){ { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
        }
    } else
        ret = linux_unsupported(t, nr, d);
    if (unlikely(policy_times)) policy_syscall_done(0, nr);
    if (unlikely(trace_syscalls)) trace_syscall_exit(t, nr, d, &a, ret);
out:
    t->syscall_nr = ~0ULL;
    r->rax = (u64)ret;
    if (unlikely(t->ptrace)) {
        ptrace_syscall_stop(false);
        ret = (sysret_t)r->rax;
    }
    /* orig_rax -1: rt_sigreturn put another context in place, whose rax is not a result. */
    if (unlikely(ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK) && r->orig_rax != ~0ULL)
        linux_deliver(t, (int)ret);
    else if (unlikely(t->has_saved_mask)) {
        /* The mask of ppoll(2) and the like stays until the handler that ended the call has its frame. */
        if (ret == -EINTR)
            linux_deliver(t, 0);
        else
            signal_restore_temp_mask();
    }
    r->orig_rax = ~0ULL;
}

static int linux_task_fork(struct task *parent, struct task *child, u64 clone_flags)
{
    (void)parent;
    (void)clone_flags;
    child->abi_data = NULL;
    return child->rseq_addr ? cpu_number_want(child) : 0;
}

static void linux_task_free(struct task *t) { (void)t; }
static const char *linux_sysname(void) { return "Linux"; }

const struct abi abi_linux = {
    .name = "linux",
    .table = linux_syscall_table,
    .table_len = LINUX_NR_TABLE,
    .syscall = linux_syscall,
    .exception = linux_exception,
    .deliver_signals = linux_deliver_signals,
    .cpu_moved = linux_rseq_moved,
    .recognise = linux_recognise,
    .load = linux_load,
    .task_fork = linux_task_fork,
    .task_exit = linux_task_exit,
    .task_free = linux_task_free,
    .core = linux_core,
    .sysname = linux_sysname,
    .errno_name = linux_errno_name,
    .signal_name = linux_signal_name,
};
