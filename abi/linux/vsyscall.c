/*
 * The vsyscall page of old programs: three entry points at fixed kernel addresses, where nothing is mapped. The call
 * arrives as a fault and is answered here. Source: arch/x86/entry/vsyscall/vsyscall_64.c (emulate mode).
 */
#include "abi/linux/linux.h"

#define VSYSCALL_PAGE 0xffffffffff600000ULL

bool linux_exception(struct task *t, const struct platform_exit *e)
{
    static const u16 nrs[] = { LINUX_NR_gettimeofday, LINUX_NR_time, LINUX_NR_getcpu };
    struct guest_regs *r = &t->regs;
    u64 slot = (r->rip - VSYSCALL_PAGE) / 0x400;
    gaddr_t back;

    (void)e;
    if (likely((r->rip & ~0xfffULL) != VSYSCALL_PAGE)) return false;
    if (slot >= ARRAY_LEN(nrs) || (r->rip & 0x3ff)) return false;
    if (copy_in(&back, r->rsp, sizeof(back))) return false;
    const struct syscall_desc *d = &linux_syscall_table[nrs[slot]];
    struct syscall_args a = { { r->rdi, r->rsi, slot == 2 ? 0 : r->rdx } };
    sysret_t ret = -ENOSYS;
    if (t->seccomp_mode && !linux_seccomp_check(t, nrs[slot], &a, &ret)) {
        if (ret == -ENOSYS) return true;   /* a signal has been sent instead; SIGSYS shows the call */
    } else {
        ret = d->fn ? d->fn(&a) : -ENOSYS;
        if (ret == -EFAULT) return false;  /* a bad pointer is a segmentation fault, not an error */
    }
    r->rax = (u64)ret;
    r->rip = back;
    r->rsp += 8;
    return true;
}
