/*
 * The platform seam: how the sentry runs guest code and gets control back.
 *
 * A platform offers address spaces (platform_as) and execution contexts (platform_ctx, one per guest task, used by
 * that task's own sentry thread only, except for ctx_kick). The sentry's page table (sentry/mm) is the truth; what
 * a platform has mapped is only a cache of it and may be dropped at any time: the guest then simply faults.
 *
 * Depends on sentry/base only. Nothing here knows a guest ABI. Everything a platform reads back from a stub or a
 * vCPU is hostile input: copied once, then checked.
 */
#ifndef SUNDOG_PLATFORM_H
#define SUNDOG_PLATFORM_H

#include "sentry/base/types.h"

/* General registers, in the order and size of the host's struct user_regs_struct (<sys/user.h>). */
struct guest_regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss,
        fs_base, gs_base, ds, es, fs, gs;
};

#define PLATFORM_PROT_READ 1
#define PLATFORM_PROT_WRITE 2
#define PLATFORM_PROT_EXEC 4

/* Guest addresses a stub may occupy lie at and above this; the sentry's address spaces end below it. */
#define GUEST_ADDR_MIN 0x10000ULL
#define GUEST_ADDR_MAX 0x7ffff0000000ULL

struct platform;
struct platform_as;
struct platform_ctx;

struct platform_config {
    int memfile_fd;      /* the memory file; stays open as long as the platform */
    u8 *memfile_base;    /* where the sentry has it mapped */
    u64 memfile_size;    /* bytes */
    unsigned ncpus;      /* CPUs this sandbox may use */
    bool debug;
    /* Optional. Called by a context's own thread in ctx_run before it goes to sleep there. Does not block. */
    void (*before_sleep)(void);
};

/* One change of an address space's mappings. All addresses and lengths are multiples of GPAGE_SIZE. */
struct platform_mapop {
    enum { PLATFORM_MAP, PLATFORM_UNMAP, PLATFORM_PROTECT } kind;
    u8 prot;             /* MAP, PROTECT: PLATFORM_PROT_* */
    bool populate;       /* MAP: also fill the page tables now (backing is allocated and will be touched) */
    int fd;              /* MAP: memfile_fd, or a donated host file descriptor */
    gaddr_t addr;
    u64 len;
    u64 off;             /* MAP: byte offset in fd */
};

enum platform_event {
    PLATFORM_SYSCALL,    /* guest executed `syscall`: number in regs->orig_rax, rax = -ENOSYS, rip after it */
    PLATFORM_FAULT,      /* page fault at fault_addr: not mapped in the platform, or not with this access */
    PLATFORM_EXCEPTION,  /* any other CPU exception: signo, code, fault_addr as Linux would report them */
    PLATFORM_KICKED,     /* ctx_kick, or a spurious return: look for work, run again */
    PLATFORM_DEAD,       /* the stub or vCPU is gone (killed by the host's OOM killer, ...): the guest process must die */
};

struct platform_exit {
    enum platform_event event;
    u8 access;           /* FAULT: PLATFORM_PROT_* wanted, 0 when the platform cannot tell */
    gaddr_t fault_addr;  /* FAULT, EXCEPTION */
    int signo, code;     /* EXCEPTION: host SIG*, si_code */
    u32 trapno;          /* x86 vector where known, else 0 */
    u64 error_code;      /* x86 error code where known, else 0 */
    bool patched;        /* SYSCALL: came by way of as_call_site */
};

enum platform_ability {
    PLATFORM_CAN_FAULT_ACCESS = 1 << 0, /* FAULT carries access */
    PLATFORM_CAN_PREEMPT = 1 << 1,      /* ctx_kick interrupts running guest code */
    PLATFORM_CAN_HIDE_CPUID = 1 << 2,   /* guest cpuid is under our control */
    PLATFORM_CAN_SINGLE_STEP = 1 << 3,  /* TF in eflags gives EXCEPTION(SIGTRAP) */
    PLATFORM_HOST_TSC = 1 << 4,         /* guest rdtsc reads the host's counter, as the sentry's does */
};

struct platform_ops {
    const char *name;
    /*
     * Can this platform work here? 0, or -errno with one plain sentence in `why` (what is missing and what the
     * user could change). Runs before the sentry locks itself in; leaves nothing behind.
     */
    int (*probe)(char *why, size_t why_len);
    /*
     * NULL, or: after a good probe, is something else the better choice here? The reason in `why` then. Asked for "auto"
     * only.
     */
    bool (*declines)(char *why, size_t why_len);
    /* NULL, or: does a look at the host already show that it would decline? Asked for "auto" only, to spare it the probe. */
    bool (*declines_early)(char *why, size_t why_len);
    /* NULL, or: what the last good probe found out about this host, as one line for the user. */
    void (*findings)(char *out, size_t len);
    /* Called once, while the process has a single thread and before the host filter is loaded. */
    int (*init)(const struct platform_config *cfg, struct platform **out);
    /*
     * Optional: init with the trial of probe inside, so that the start of a sandbox makes everything once. -errno and the
     * sentence as from probe, and nothing left behind.
     */
    int (*start)(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len);
    void (*free)(struct platform *p);
    u32 (*abilities)(const struct platform *p);

    /* A new, empty address space. -ENOMEM, -EAGAIN when the host refuses another process. */
    int (*as_new)(struct platform *p, struct platform_as **out);
    /* No context may be running in it. */
    void (*as_free)(struct platform_as *as);
    /*
     * Applies ops in order; a MAP over what is mapped replaces it, an UNMAP may span holes; when it returns, no
     * context can still use what was unmapped or protected away.
     * Callable from any sentry thread, for any address space, also while contexts run in it. The caller serialises
     * calls for one address space (it holds the mm lock). -ENOMEM: nothing of the failing op and the ones after it
     * is mapped; -EFAULT: the address space is dead.
     */
    int (*as_update)(struct platform_as *as, const struct platform_mapop *ops, size_t n);

    /*
     * Optional. Code to stand in for a call site: `n` bytes of whole, position-independent instructions that precede a
     * `syscall` at `ret` - 2, replaced in the guest by a jump to `at`. Fills out; returns the length, 0: no room or not possible.
     * The code must run at `at`, within 2 GiB; until it leaves that place nothing but rax, rcx and r11 have changed since
     * the site, so whoever is interrupted there can be sent back to the site's first instruction.
     */
    size_t (*as_call_site)(struct platform_as *as, gaddr_t at, gaddr_t ret, const u8 *insns, size_t n, u8 *out, size_t room);

    int (*ctx_new)(struct platform *p, struct platform_ctx **out);
    void (*ctx_free)(struct platform_ctx *ctx);
    /*
     * Runs guest code in `as` from *regs until something happens; *regs then holds the guest's registers.
     * Called only by the task's own thread; blocks that thread; holds no lock of the sentry. A different `as`
     * than last time means exec. eflags and segment selectors in *regs are sanitised by the platform. It never
     * restarts system calls by itself: regs->orig_rax going in is ignored.
     */
    void (*ctx_run)(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit);
    /* From any thread: the current or else the next ctx_run returns soon with PLATFORM_KICKED. Never blocks. */
    void (*ctx_kick)(struct platform_ctx *ctx);
    /* Optional. Own thread, between runs: it is about to sleep, for how long is not known. A hint. */
    void (*ctx_sleeps)(struct platform_ctx *ctx);
    /*
     * Optional. Own thread, between runs: it was asleep and was woken by a task that runs on host CPU `cpu`, or -1. A hint.
     * in_turn: the two wake each other in turn, and the thread would have gone on with the other, had that been kept for it.
     */
    void (*ctx_woken)(struct platform_ctx *ctx, int cpu, bool in_turn);
    /*
     * Optional. Own thread, between runs: another task and this one, on CPUs of their own, do each other's work in turn without
     * ever having to wait for it, quicker only than they could be put to sleep. A hint.
     */
    void (*ctx_missed)(struct platform_ctx *ctx);
    /*
     * Optional, both or none. Can the context's own thread afford to have woken somebody and not say so until its next
     * ctx_run is over, or before_sleep is called in that? If so it will do it, and probably take that context over then.
     */
    bool (*ctx_keeps)(struct platform_ctx *ctx);
    /*
     * The calling thread, the one of `from`, is that of `to` from now on, and the one of `to`, which sleeps, is that of `from`.
     * Neither is in ctx_run.
     */
    void (*ctx_take_over)(struct platform_ctx *from, struct platform_ctx *to);
    /*
     * Extended state as an XSAVE area in standard (not compacted) format of platform_xstate_size() bytes.
     * Own thread, between runs. A context that has not run yet holds the processor's initial state.
     */
    int (*ctx_get_xstate)(struct platform_ctx *ctx, void *buf, size_t len);
    int (*ctx_set_xstate)(struct platform_ctx *ctx, const void *buf, size_t len); /* -EINVAL: malformed */
};

/* Bytes of an XSAVE area for the features enabled in XCR0 (CPUID leaf 0xd), and XCR0 itself. */
size_t platform_xstate_size(void);
u64 platform_xstate_features(void);

extern const struct platform_ops platform_ptrace_ops;
extern const struct platform_ops platform_trap_ops;
extern const struct platform_ops platform_kvm_ops;
extern const struct platform_ops platform_skeleton_ops;

/*
 * By name ("ptrace", "kvm", "trap", "auto"). NULL when the name is unknown or the probe fails; why then says so.
 * auto: the fastest one whose probe succeeds.
 */
const struct platform_ops *platform_select(const char *name, char *why, size_t why_len);
/* Selects and starts it: what works here for the probe and not for init is passed over too. Conditions as for init. */
const struct platform_ops *platform_start(const char *name, const struct platform_config *cfg, struct platform **out, char *why,
                                          size_t why_len);
/* All of this build, in the order auto tries them; NULL after the last. */
const struct platform_ops *platform_by_index(unsigned i);

/* Medians, in ns: a call and back; a fault with one page mapped and unmapped; a new space up to its first call, and its end; init. */
struct platform_costs { u64 call_ns, fault_ns, space_ns, start_ns; };
/* Measures one whose probe succeeded, in a fraction of a second. -errno. Conditions as for init. */
int platform_measure(const struct platform_ops *ops, unsigned ncpus, struct platform_costs *out);

#endif
