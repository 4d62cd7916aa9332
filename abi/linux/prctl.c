/* prctl(2), arch_prctl(2). */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <string.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#define PR_SET_MDWE_ 65
#define PR_GET_MDWE_ 66
#define PR_GET_AUXV_ 0x41555856
#define SECCOMP_STRICT 1
#define SECCOMP_FILTER 2

sysret_t linux_seccomp_set(int mode, u32 flags, gaddr_t arg);

static sysret_t set_name(gaddr_t p)
{
    char name[TASK_COMM_LEN];
    ssize_t n = copy_in_str(name, p, sizeof(name));

    if (n == -ENAMETOOLONG)
        name[sizeof(name) - 1] = 0;   /* silently shortened */
    else if (n < 0)
        return n;
    task_set_comm(current, name);
    return 0;
}

static sysret_t capbset_drop(u64 cap)
{
    struct cred *n;

    if (!own_ns_capable(CAP_SETPCAP)) return -EPERM;
    if (cap > CAP_LAST_CAP) return -EINVAL;
    n = cred_copy(current_cred());
    n->cap_bset &= ~(1ULL << cap);
    task_set_cred(n);
    return 0;
}

static sysret_t cap_ambient(u64 op, u64 cap, u64 a4, u64 a5)
{
    const struct cred *o = current_cred();
    struct cred *n;
    u64 bit;

    if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
        if (cap || a4 || a5) return -EINVAL;
        n = cred_copy(o);
        n->cap_ambient = 0;
        task_set_cred(n);
        return 0;
    }
    if (a4 || a5 || cap > CAP_LAST_CAP) return -EINVAL;
    bit = 1ULL << cap;
    switch (op) {
    case PR_CAP_AMBIENT_IS_SET:
        return (o->cap_ambient & bit) != 0;
    case PR_CAP_AMBIENT_RAISE:
        if (!(o->cap_permitted & bit) || !(o->cap_inheritable & bit) || (o->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)) return -EPERM;
        n = cred_copy(o);
        n->cap_ambient |= bit;
        break;
    case PR_CAP_AMBIENT_LOWER:
        n = cred_copy(o);
        n->cap_ambient &= ~bit;
        break;
    default:
        return -EINVAL;
    }
    task_set_cred(n);
    return 0;
}

static sysret_t set_securebits(u64 bits)
{
    const struct cred *o = current_cred();
    struct cred *n;

    /* A lock, once set, stays; a locked bit does not change; the rest needs CAP_SETPCAP. */
    if (((o->securebits & SECURE_ALL_LOCKS) >> 1) & (o->securebits ^ bits)) return -EPERM;
    if (o->securebits & SECURE_ALL_LOCKS & ~bits) return -EPERM;
    if (bits & ~(u64)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) return -EPERM;
    if (!own_ns_capable(CAP_SETPCAP)) return -EPERM;
    n = cred_copy(o);
    n->securebits = (u32)bits;
    task_set_cred(n);
    return 0;
}

static sysret_t set_keepcaps(u64 on)
{
    struct cred *n;

    if (on > 1) return -EINVAL;
    if (current_cred()->securebits & SECBIT_KEEP_CAPS_LOCKED) return -EPERM;
    n = cred_copy(current_cred());
    if (on)
        n->securebits |= SECBIT_KEEP_CAPS;
    else
        n->securebits &= ~(u32)SECBIT_KEEP_CAPS;
    task_set_cred(n);
    return 0;
}

/* Names of up to 80 printable characters. Source: prctl_set_vma(). */
static sysret_t set_vma_name(u64 opt, gaddr_t addr, u64 len, gaddr_t name_p)
{
    char name[80];
    ssize_t n;

    if (opt != PR_SET_VMA_ANON_NAME) return -EINVAL;
    if (name_p) {
        n = copy_in_str(name, name_p, sizeof(name));
        if (n == -ENAMETOOLONG) return -EINVAL;
        if (n < 0) return n;
        for (ssize_t i = 0; i < n; i++)
            if (name[i] < 0x20 || name[i] > 0x7e || strchr("\\`$[]", name[i])) return -EINVAL;
    }
    if (addr & (GPAGE_SIZE - 1)) return -EINVAL;
    if (addr + gpage_up(len) < addr) return -ENOMEM;
    return len ? mm_set_vma_name(current->mm, addr, len, name_p ? name : NULL) : 0;
}

static sysret_t put_int(gaddr_t p, s32 v)
{
    return copy_out(p, &v, sizeof(v)) ? -EFAULT : 0;
}

static sysret_t get_auxv(const struct syscall_args *a)
{
    struct mm *mm = current->mm;
    u64 size = sizeof(mm->auxv);

    if (a->a[3] || a->a[4]) return -EINVAL;
    return copy_out(a->a[1], mm->auxv, MIN(size, a->a[2])) ? -EFAULT : (sysret_t)size;
}

sysret_t linux_prctl(const struct syscall_args *a)
{
    struct task *t = current;
    u64 v = a->a[1];
    bool rest = a->a[2] || a->a[3] || a->a[4];
    char comm[TASK_COMM_LEN];

    switch (ARG_INT(0)) {
    case PR_SET_NAME:
        return set_name(v);
    case PR_GET_NAME:
        task_get_comm(t, comm);
        return copy_out(v, comm, sizeof(comm)) ? -EFAULT : 0;
    case PR_SET_PDEATHSIG:
        if (v > 64) return -EINVAL;
        t->pdeath_signal = (int)v;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_int(v, t->pdeath_signal);
    case PR_SET_DUMPABLE:
        if (v > 1) return -EINVAL;
        t->mm->dumpable = (int)v;
        return 0;
    case PR_GET_DUMPABLE:
        return t->mm->dumpable;
    case PR_SET_NO_NEW_PRIVS:
        if (v != 1 || rest) return -EINVAL;
        atomic_store(&t->no_new_privs, true);
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return v || rest ? -EINVAL : t->no_new_privs;
    case PR_SET_SECCOMP:
        /* mode 1: strict; mode 2: the third argument is a filter */
        return v == SECCOMP_STRICT || v == SECCOMP_FILTER ? linux_seccomp_set((int)v - 1, 0, v == SECCOMP_FILTER ? a->a[2] : 0) : -EINVAL;
    case PR_GET_SECCOMP:
        return t->seccomp_mode;
    case PR_SET_KEEPCAPS:
        return set_keepcaps(v);
    case PR_GET_KEEPCAPS:
        return (current_cred()->securebits & SECBIT_KEEP_CAPS) != 0;
    case PR_SET_SECUREBITS:
        return set_securebits(v);
    case PR_GET_SECUREBITS:
        return current_cred()->securebits;
    case PR_CAPBSET_READ:
        return v > CAP_LAST_CAP ? -EINVAL : (sysret_t)(current_cred()->cap_bset >> v & 1);
    case PR_CAPBSET_DROP:
        return capbset_drop(v);
    case PR_CAP_AMBIENT:
        return cap_ambient(v, a->a[2], a->a[3], a->a[4]);
    case PR_SET_CHILD_SUBREAPER:
        lock(&kernel.tasklist);
        t->tg->is_subreaper = v != 0;
        unlock(&kernel.tasklist);
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_int(v, t->tg->is_subreaper);
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = (s64)v > 0 ? v : t->timer_slack_default;
        return 0;
    case PR_GET_TIMERSLACK:
        return (sysret_t)MIN(t->timer_slack_ns, (u64)INT64_MAX);
    case PR_GET_TIMING:
        return 0;                       /* PR_TIMING_STATISTICAL, the only kind there is */
    case PR_SET_TIMING:
        return v ? -EINVAL : 0;
    case PR_GET_TSC:
        return put_int(v, PR_TSC_ENABLE);
    case PR_SET_TSC:
        return v == PR_TSC_ENABLE ? 0 : -EINVAL;   /* it cannot be made to trap here */
    case PR_SET_THP_DISABLE:
        return a->a[2] || a->a[3] || a->a[4] ? -EINVAL : 0;
    case PR_GET_THP_DISABLE:
        return v || rest ? -EINVAL : 0;
    case PR_SET_VMA:
        return set_vma_name(v, a->a[2], a->a[3], a->a[4]);
    case PR_SET_MM:
        return -EPERM;
    case PR_SET_PTRACER: {              /* as with Yama; who may trace does not depend on it here */
        struct task *who = v && v != ~0ULL ? task_lookup_get(pid_in((s32)v)) : NULL;
        if (v && v != ~0ULL && !who) return -EINVAL;
        if (who) task_put(who);
        return 0;
    }
    case PR_MCE_KILL:
        if (a->a[3] || a->a[4]) return -EINVAL;
        return v == PR_MCE_KILL_CLEAR ? (a->a[2] ? -EINVAL : 0) : v == PR_MCE_KILL_SET ? (a->a[2] > 2 ? -EINVAL : 0) : -EINVAL;
    case PR_MCE_KILL_GET:
        return v || rest ? -EINVAL : PR_MCE_KILL_DEFAULT;
    case PR_GET_SPECULATION_CTRL:
        if (a->a[2] || a->a[3] || a->a[4]) return -EINVAL;
        return v > PR_SPEC_INDIRECT_BRANCH + 1 ? -ENODEV : PR_SPEC_NOT_AFFECTED;
    case PR_SET_SPECULATION_CTRL:
        if (a->a[3] || a->a[4]) return -EINVAL;
        return v > PR_SPEC_INDIRECT_BRANCH + 1 ? -ENODEV : -ENXIO;
    case PR_GET_TID_ADDRESS:
        return copy_out(v, &t->clear_child_tid, sizeof(t->clear_child_tid)) ? -EFAULT : 0;
    case PR_SET_IO_FLUSHER:
    case PR_GET_IO_FLUSHER:
        return capable(CAP_SYS_RESOURCE) ? (rest ? -EINVAL : 0) : -EPERM;
    case PR_GET_AUXV_:
        return get_auxv(a);
    case PR_GET_MDWE_:
        return v || rest ? -EINVAL : 0;
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
        return 0;
    default:
        return -EINVAL;
    }
}

#define ARCH_SET_GS_ 0x1001
#define ARCH_SET_FS_ 0x1002
#define ARCH_GET_FS_ 0x1003
#define ARCH_GET_GS_ 0x1004
#define ARCH_GET_CPUID_ 0x1011
#define ARCH_SET_CPUID_ 0x1012

sysret_t linux_arch_prctl(const struct syscall_args *a)
{
    struct guest_regs *r = &current->regs;

    switch (ARG_INT(0)) {
    case ARCH_SET_FS_:
    case ARCH_SET_GS_:
        if (a->a[1] >= 0x7ffffffff000ULL) return -EPERM;
        *(ARG_INT(0) == ARCH_SET_FS_ ? &r->fs_base : &r->gs_base) = a->a[1];
        return 0;
    case ARCH_GET_FS_:
        return copy_out(a->a[1], &r->fs_base, 8) ? -EFAULT : 0;
    case ARCH_GET_GS_:
        return copy_out(a->a[1], &r->gs_base, 8) ? -EFAULT : 0;
    case ARCH_GET_CPUID_:
        return 1;
    case ARCH_SET_CPUID_:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}
