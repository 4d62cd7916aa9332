/* ptrace(2): requests, and the registers and signals of a stopped tracee in the form of x86-64. */
#include "sentry/kernel/ptrace.h"
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include "abi/linux/uapi_signal.h"
#include "sentry/base/alloc.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <string.h>
#include <sys/ptrace.h>

/* Request numbers: arch/x86/include/uapi/asm/ptrace-abi.h, include/uapi/linux/ptrace.h. */
enum {
    R_TRACEME = 0, R_PEEKTEXT = 1, R_PEEKDATA = 2, R_PEEKUSER = 3, R_POKETEXT = 4, R_POKEDATA = 5, R_POKEUSER = 6, R_CONT = 7,
    R_KILL = 8, R_SINGLESTEP = 9, R_GETREGS = 12, R_SETREGS = 13, R_GETFPREGS = 14, R_SETFPREGS = 15, R_ATTACH = 16, R_DETACH = 17,
    R_SYSCALL = 24, R_ARCH_PRCTL = 30, R_SYSEMU = 31, R_SYSEMU_SINGLESTEP = 32, R_SETOPTIONS = 0x4200, R_GETEVENTMSG, R_GETSIGINFO, R_SETSIGINFO, R_GETREGSET, R_SETREGSET,
    R_SEIZE, R_INTERRUPT, R_LISTEN, R_PEEKSIGINFO, R_GETSIGMASK, R_SETSIGMASK, R_GET_SYSCALL_INFO = 0x420e,
};

#define OPTIONS_KNOWN (0x7fu | PTRACE_O_EXITKILL)   /* TRACESYSGOOD and the events FORK to EXIT */
#define EFLAGS_SETTABLE 0x50dd5ULL
#define USER_DEBUGREG 848                           /* offsetof(struct user, u_debugreg) */
#define USER_SIZE 912
#define FXSAVE_SIZE 512

struct linux_ptrace_syscall_info {
    u8 op, pad[3];
    u32 arch;
    u64 ip, sp;
    union {
        struct { u64 nr, args[6]; } entry;
        struct { s64 rval; u8 is_error; } exit;
    };
};
_Static_assert(offsetof(struct linux_ptrace_syscall_info, entry.args) == 32, "struct ptrace_syscall_info");

/* --- general registers --- */

static bool get_regs(struct task *t, struct guest_regs *out)
{
    if (!ptrace_lock_tracee(t, true)) return false;
    *out = t->regs;
    ptrace_unlock_tracee();
    out->cs = 0x33;
    out->ss = 0x2b;
    return true;
}

static int set_regs(struct task *t, const struct guest_regs *in)
{
    if (in->fs_base >= GUEST_ADDR_MAX || in->gs_base >= GUEST_ADDR_MAX) return -EIO;
    if (!ptrace_lock_tracee(t, true)) return -ESRCH;
    struct guest_regs *r = &t->regs, old = *r;
    *r = *in;
    r->eflags = (old.eflags & ~EFLAGS_SETTABLE) | (in->eflags & EFLAGS_SETTABLE);
    r->cs = old.cs, r->ss = old.ss, r->ds = old.ds, r->es = old.es, r->fs = old.fs, r->gs = old.gs;
    ptrace_unlock_tracee();
    return 0;
}

static sysret_t peek_user(struct task *t, u64 off, gaddr_t to)
{
    struct guest_regs r;
    u64 v = 0;

    if ((off & 7) || off >= USER_SIZE) return -EIO;
    if (!get_regs(t, &r)) return -ESRCH;
    if (off < sizeof r) memcpy(&v, (u8 *)&r + off, sizeof v);
    return copy_out(to, &v, sizeof v) ? -EFAULT : 0;
}

static sysret_t poke_user(struct task *t, u64 off, u64 v)
{
    struct guest_regs r;

    if ((off & 7) || off >= USER_SIZE) return -EIO;
    if (!get_regs(t, &r)) return -ESRCH;
    if (off < sizeof r) {
        memcpy((u8 *)&r + off, &v, sizeof v);
        return set_regs(t, &r);
    }
    /* There are no debug registers: only what they hold anyway can be written. */
    return off >= USER_DEBUGREG && v ? -EIO : 0;
}

/* --- memory --- */

static sysret_t memory(struct task *t, gaddr_t at, bool write, u64 *word)
{
    if (!ptrace_lock_tracee(t, true)) return -ESRCH;
    ptrace_unlock_tracee();
    struct mm *mm = task_get_mm(t);
    if (!mm) return -EIO;
    size_t n = write ? mm_copy_out_force(mm, at, word, sizeof *word) : mm_copy_in_force(mm, word, at, sizeof *word);
    mm_put(mm);
    return n == sizeof *word ? 0 : -EIO;
}

/* --- extended registers --- */

static sysret_t fp_get(struct task *t, gaddr_t to, u64 *len, u64 size)
{
    AUTO_FREE u8 *buf = xzalloc(platform_xstate_size());
    u64 bv, xcr0 = platform_xstate_features();
    int r = ptrace_xstate(t, false, buf, platform_xstate_size());

    if (r) return r;
    memcpy(&bv, buf + LINUX_XSAVE_HDR_OFFSET, sizeof bv);
    bv |= 3;
    memcpy(buf + LINUX_XSAVE_HDR_OFFSET, &bv, sizeof bv);
    memcpy(buf + LINUX_FPX_SW_OFFSET, &xcr0, sizeof xcr0);   /* debuggers learn the layout from it */
    *len = MIN(*len, size);
    return copy_out(to, buf, *len) ? -EFAULT : 0;
}

static sysret_t fp_set(struct task *t, gaddr_t from, u64 *len, u64 size)
{
    AUTO_FREE u8 *buf = xzalloc(platform_xstate_size());
    u64 bv;
    int r = ptrace_xstate(t, false, buf, platform_xstate_size());

    if (r) return r;
    *len = MIN(*len, size);
    if (copy_in(buf, from, *len)) return -EFAULT;
    memset(buf + LINUX_FPX_SW_OFFSET, 0, 48);
    memcpy(&bv, buf + LINUX_XSAVE_HDR_OFFSET, sizeof bv);
    if (*len <= FXSAVE_SIZE) bv |= 3;
    bv &= platform_xstate_features();
    memcpy(buf + LINUX_XSAVE_HDR_OFFSET, &bv, sizeof bv);
    return ptrace_xstate(t, true, buf, platform_xstate_size());
}

static sysret_t regset(struct task *t, u64 type, gaddr_t iovp, bool set)
{
    struct linux_iovec iov;
    struct guest_regs regs;
    sysret_t r;

    if (copy_in(&iov, iovp, sizeof iov)) return -EFAULT;
    if (!get_regs(t, &regs)) return -ESRCH;
    switch (type) {
    case NT_PRSTATUS:
        if (iov.len % 8) return -EINVAL;
        iov.len = MIN(iov.len, sizeof regs);
        if (!set) r = copy_out(iov.base, &regs, iov.len) ? -EFAULT : 0;
        else r = copy_in(&regs, iov.base, iov.len) ? -EFAULT : set_regs(t, &regs);
        break;
    case NT_PRFPREG:
        if (iov.len % 8) return -EINVAL;
        r = (set ? fp_set : fp_get)(t, iov.base, &iov.len, FXSAVE_SIZE);
        break;
    case NT_X86_XSTATE:
        if (iov.len % 8 || (set && iov.len < platform_xstate_size())) return -EINVAL;
        r = (set ? fp_set : fp_get)(t, iov.base, &iov.len, platform_xstate_size());
        break;
    default:
        return -EINVAL;
    }
    if (!r && copy_out(iovp + offsetof(struct linux_iovec, len), &iov.len, sizeof iov.len)) r = -EFAULT;
    return r;
}

/* --- signals --- */

static sysret_t get_siginfo(struct task *t, gaddr_t to)
{
    struct ksiginfo info;
    struct ptrace_link *l = ptrace_lock_tracee(t, true);

    if (!l) return -ESRCH;
    bool has = l->has_info;
    info = l->info;
    ptrace_unlock_tracee();
    return has ? linux_copy_out_siginfo(to, &info) : -EINVAL;
}

static sysret_t set_siginfo(struct task *t, gaddr_t from)
{
    struct ksiginfo info;
    int r = linux_copy_in_siginfo(&info, from);
    struct ptrace_link *l;

    if (r) return r;
    if (!(l = ptrace_lock_tracee(t, true))) return -ESRCH;
    if (l->has_info) l->info = info;
    else r = -EINVAL;
    ptrace_unlock_tracee();
    return r;
}

static sysret_t signal_mask(struct task *t, u64 size, gaddr_t p, bool set)
{
    ksigset_t m = { { 0 } };

    if (size != 8) return -EINVAL;
    if (set) {
        int r = linux_copy_in_sigset(&m, p, size);
        if (r) return r;
        ksigset_del(&m, SIGKILL);
        ksigset_del(&m, SIGSTOP);
    }
    if (!ptrace_lock_tracee(t, true)) return -ESRCH;
    struct sighand *s = t->tg->sighand;
    lock(&s->lock);
    ksigset_t *cur = t->has_saved_mask ? &t->saved_mask : &t->blocked;
    if (set) {
        t->blocked = m;
        t->has_saved_mask = false;
        signal_recalc_locked(t);
    } else {
        m = *cur;
    }
    unlock(&s->lock);
    ptrace_unlock_tracee();
    return set ? 0 : linux_copy_out_sigset(p, &m);
}

static sysret_t peek_siginfo(struct task *t, gaddr_t argp, gaddr_t to)
{
    struct { u64 off; u32 flags; s32 nr; } arg;
    s32 done = 0;

    if (copy_in(&arg, argp, sizeof arg)) return -EFAULT;
    if ((arg.flags & ~1u) || arg.nr < 0) return -EINVAL;
    for (; done < arg.nr; done++, arg.off++) {
        struct ksiginfo info;
        struct sigqueue_entry *q;
        u64 i = 0;
        bool found = false;
        if (!ptrace_lock_tracee(t, true)) return -ESRCH;
        struct sighand *s = t->tg->sighand;
        lock(&s->lock);
        TAILQ_FOREACH(q, arg.flags & 1 ? &t->tg->shared_pending.queue : &t->pending.queue, link) {
            if (i++ != arg.off) continue;
            info = q->info;
            found = true;
            break;
        }
        unlock(&s->lock);
        ptrace_unlock_tracee();
        if (!found) break;
        if (linux_copy_out_siginfo(to + (u64)done * sizeof(struct linux_siginfo), &info)) return done ? done : -EFAULT;
    }
    return done;
}

static sysret_t syscall_info(struct task *t, u64 size, gaddr_t to)
{
    struct linux_ptrace_syscall_info i = { .arch = AUDIT_ARCH_X86_64 };
    u64 actual = offsetof(struct linux_ptrace_syscall_info, entry);
    struct ptrace_link *l = ptrace_lock_tracee(t, true);

    if (!l) return -ESRCH;
    struct guest_regs r = t->regs;
    enum ptrace_stop_kind kind = l->kind;
    ptrace_unlock_tracee();
    i.ip = r.rip;
    i.sp = r.rsp;
    i.op = (u8)kind;
    if (kind == PTRACE_AT_SYSCALL_ENTRY) {
        i.entry.nr = r.orig_rax;
        memcpy(i.entry.args, (u64[]){ r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9 }, sizeof i.entry.args);
        actual += sizeof i.entry;
    } else if (kind == PTRACE_AT_SYSCALL_EXIT) {
        i.exit.rval = (s64)r.rax;
        i.exit.is_error = i.exit.rval < 0 && i.exit.rval >= -SYSRET_MAX_ERRNO;
        actual += 9;
    }
    return copy_out(to, &i, MIN(actual, size)) ? -EFAULT : (sysret_t)actual;
}

/* --- requests --- */

static int check_options(u64 o)
{
    return o & ~(u64)OPTIONS_KNOWN ? -EINVAL : 0;
}

static sysret_t attach(struct task *t, bool seize, u64 addr, u64 options)
{
    int r;

    if (seize && addr) return -EIO;
    if (seize && (r = check_options(options))) return -EIO;
    if (t->tg == current->tg) return -EPERM;
    if (!linux_may_access_task(t)) return -EPERM;
    return ptrace_attach(t, seize, seize ? (u32)options : 0);
}

static sysret_t to_tracee(struct task *t, s64 req, u64 addr, u64 data)
{
    struct guest_regs regs;
    struct ptrace_link *l;
    u64 word, len;
    sysret_t r;

    switch (req) {
    case R_PEEKTEXT:
    case R_PEEKDATA:
        if ((r = memory(t, addr, false, &word))) return r;
        return copy_out(data, &word, sizeof word) ? -EFAULT : 0;
    case R_POKETEXT:
    case R_POKEDATA: return memory(t, addr, true, &data);
    case R_PEEKUSER: return peek_user(t, addr, data);
    case R_POKEUSER: return poke_user(t, addr, data);
    case R_CONT: return ptrace_resume(t, PTRACE_RESUME_CONT, data);
    case R_SYSCALL: return ptrace_resume(t, PTRACE_RESUME_SYSCALL, data);
    case R_SYSEMU: return ptrace_resume(t, PTRACE_RESUME_SYSEMU, data);
    case R_SYSEMU_SINGLESTEP: return ptrace_resume(t, PTRACE_RESUME_SYSEMU_STEP, data);
    case R_SINGLESTEP: return ptrace_resume(t, PTRACE_RESUME_STEP, data);
    case R_DETACH: return ptrace_detach(t, data);
    case R_INTERRUPT: return ptrace_interrupt(t);
    case R_LISTEN: return ptrace_listen(t);
    case R_KILL:
        if (!ptrace_lock_tracee(t, false)) return -ESRCH;
        ptrace_unlock_tracee();
        tgroup_kill(t->tg, SIGKILL);
        return 0;
    case R_GETREGS:
        if (!get_regs(t, &regs)) return -ESRCH;
        return copy_out(data, &regs, sizeof regs) ? -EFAULT : 0;
    case R_SETREGS: return copy_in(&regs, data, sizeof regs) ? -EFAULT : set_regs(t, &regs);
    case R_GETFPREGS: len = FXSAVE_SIZE; return fp_get(t, data, &len, len);
    case R_SETFPREGS: len = FXSAVE_SIZE; return fp_set(t, data, &len, len);
    case R_GETREGSET: return regset(t, addr, data, false);
    case R_SETREGSET: return regset(t, addr, data, true);
    case R_GETSIGINFO: return get_siginfo(t, data);
    case R_SETSIGINFO: return set_siginfo(t, data);
    case R_GETSIGMASK: return signal_mask(t, addr, data, false);
    case R_SETSIGMASK: return signal_mask(t, addr, data, true);
    case R_PEEKSIGINFO: return peek_siginfo(t, addr, data);
    case R_GET_SYSCALL_INFO: return syscall_info(t, addr, data);
    case R_SETOPTIONS:
        if ((r = check_options(data))) return r;
        if (!(l = ptrace_lock_tracee(t, true))) return -ESRCH;
        l->options = (u32)data;
        ptrace_unlock_tracee();
        return 0;
    case R_GETEVENTMSG:
        if (!(l = ptrace_lock_tracee(t, true))) return -ESRCH;
        word = l->message;
        ptrace_unlock_tracee();
        return copy_out(data, &word, sizeof word) ? -EFAULT : 0;
    default:
        if (!ptrace_lock_tracee(t, true)) return -ESRCH;
        ptrace_unlock_tracee();
        return -EIO;
    }
}

sysret_t linux_ptrace(const struct syscall_args *a)
{
    s64 req = (s64)a->a[0];
    sysret_t r;

    if (req == R_TRACEME) return ptrace_traceme();
    struct task *t = task_lookup_get(pid_in(ARG_INT(1)));
    if (!t) return -ESRCH;
    if (req == R_ATTACH || req == R_SEIZE) r = attach(t, req == R_SEIZE, a->a[2], a->a[3]);
    else r = to_tracee(t, req, a->a[2], a->a[3]);
    task_put(t);
    return r;
}
