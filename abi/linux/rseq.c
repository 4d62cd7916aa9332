/*
 * rseq(2): restartable sequences. That nobody else of the process has the same CPU number meanwhile, and when a thread
 * may have lost it, is kernel/cpu_number.h's; here is the area in the program's memory, which it may spoil at any time.
 * Source: kernel/rseq.c of Linux 6.12.
 */
#include "abi/linux/linux.h"
#include "sentry/kernel/cpu_number.h"
#include <stddef.h>

#define FLAG_UNREGISTER 1u
#define ORIG_SIZE 32u              /* the first struct rseq, and how it was aligned */
#define CPU_ID_UNINITIALIZED (~0u)

struct linux_rseq {
    u32 cpu_id_start, cpu_id;
    u64 rseq_cs;
    u32 flags, node_id, mm_cid;
} __attribute__((packed));
_Static_assert(sizeof(struct linux_rseq) == LINUX_RSEQ_FEATURE_SIZE, "fields in use");
_Static_assert(offsetof(struct linux_rseq, node_id) == 20, "as in <linux/rseq.h>");

struct linux_rseq_cs { u32 version, flags; u64 start_ip, post_commit_offset, abort_ip; };
_Static_assert(sizeof(struct linux_rseq_cs) == 32, "as in <linux/rseq.h>");

#define CS_AT(t) ((t)->rseq_addr + offsetof(struct linux_rseq, rseq_cs))

/* rseq_get_rseq_cs(). False: the program is at fault. */
static bool read_section(const struct task *t, gaddr_t at, struct linux_rseq_cs *cs)
{
    u32 sig;

    if (at >= GUEST_ADDR_MAX || copy_in(cs, at, sizeof(*cs))) return false;
    u64 end = cs->start_ip + cs->post_commit_offset;
    if (cs->start_ip >= GUEST_ADDR_MAX || end >= GUEST_ADDR_MAX || end < cs->start_ip || cs->abort_ip >= GUEST_ADDR_MAX || cs->version)
        return false;
    if (cs->abort_ip - cs->start_ip < cs->post_commit_offset) return false;   /* it would abort for ever */
    return copy_in(&sig, cs->abort_ip - sizeof(sig), sizeof(sig)) == 0 && sig == t->rseq_sig;
}

/* rseq_ip_fixup(): a thread inside of its critical section goes on at the abort handler; outside, the section is forgotten. */
static bool fix_ip(struct task *t, gaddr_t section, u32 area_flags)
{
    struct linux_rseq_cs cs;
    static const u64 none;

    if (!section) return true;
    if (!read_section(t, section, &cs)) return false;
    bool inside = t->regs.rip - cs.start_ip < cs.post_commit_offset;
    if (inside && (cs.flags || area_flags)) return false;   /* RSEQ_CS_FLAG_NO_RESTART_*: refused since Linux 6.1 */
    if (copy_out(CS_AT(t), &none, sizeof(none))) return false;
    if (inside) t->regs.rip = cs.abort_ip;
    return true;
}

bool linux_rseq_signal(struct task *t)
{
    struct linux_rseq r;

    return copy_in(&r, t->rseq_addr, sizeof(r)) == 0 && fix_ip(t, r.rseq_cs, r.flags);
}

/* After a fork the area is on a page shared with the parent: what has not changed is not written. */
static bool update(struct task *t)
{
    struct linux_rseq r;
    u32 cpu = cpu_number_id(t), cid = cpu_number_concurrency_id(t), id[2] = { cpu, cpu }, rest[2] = { 0, cid };

    if (copy_in(&r, t->rseq_addr, sizeof(r)) || !fix_ip(t, r.rseq_cs, r.flags)) return false;
    if ((r.cpu_id_start != cpu || r.cpu_id != cpu) && copy_out(t->rseq_addr, id, sizeof(id))) return false;
    return (!r.node_id && r.mm_cid == cid) || copy_out(t->rseq_addr + offsetof(struct linux_rseq, node_id), rest, sizeof(rest)) == 0;
}

bool linux_rseq_moved(struct task *t)
{
    struct ksiginfo info = { .signo = SIGSEGV, .code = SI_KERNEL };

    if (likely(update(t))) return true;
    signal_force(t, &info);
    return false;
}

static sysret_t unregister(struct task *t, gaddr_t addr, u32 len, u32 sig)
{
    const u32 id[2] = { 0, CPU_ID_UNINITIALIZED }, rest[2] = { 0, 0 };

    if (!t->rseq_addr || t->rseq_addr != addr || t->rseq_len != len) return -EINVAL;
    if (t->rseq_sig != sig) return -EPERM;
    if (copy_out(addr, id, sizeof(id)) || copy_out(addr + offsetof(struct linux_rseq, node_id), rest, sizeof(rest))) return -EFAULT;
    cpu_number_drop(t);
    t->rseq_addr = 0;
    return 0;
}

sysret_t linux_rseq(const struct syscall_args *a)
{
    struct task *t = current;
    gaddr_t addr = a->a[0];
    u32 len = ARG_U32(1), flags = ARG_U32(2), sig = ARG_U32(3);
    static const u64 none;

    if (flags == FLAG_UNREGISTER) return unregister(t, addr, len, sig);
    if (flags) return -EINVAL;
    if (t->rseq_addr) {
        if (t->rseq_addr != addr || t->rseq_len != len) return -EINVAL;
        return t->rseq_sig != sig ? -EPERM : -EBUSY;
    }
    if (len < ORIG_SIZE || addr % LINUX_RSEQ_ALIGN) return -EINVAL;
    if (addr >= GUEST_ADDR_MAX || len > GUEST_ADDR_MAX - addr) return -EFAULT;
    if (copy_out(addr + offsetof(struct linux_rseq, rseq_cs), &none, sizeof(none))) return -EFAULT;   /* what was left there is no section */
    if (cpu_number_want(t)) return -ENOMEM;
    t->rseq_addr = addr;
    t->rseq_len = len;
    t->rseq_sig = sig;
    return 0;
}
