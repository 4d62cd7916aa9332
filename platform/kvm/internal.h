/*
 * Inside platform/kvm only.
 *
 * One virtual machine per sandbox. Its physical memory: the sentry's own pages (page tables, stub, tables of the
 * processor), the memory file, and a window into which chunks of donated files are mapped. Guest code runs at ring 3; ring
 * 0 holds one page of stub instructions, each of which leaves the machine by a port write or returns to ring 3. The
 * sentry stays outside and alone writes the page tables.
 *
 * Where KVM is not hardware virtualisation (PVM), two things differ, each found by trial and not by name (struct
 * kvm_variant): the handler of `syscall` runs at ring 3, and edits of page table entries that were present are not seen.
 *
 * Locks, outer first: an address space's, the pool's, the machine's.
 */
#ifndef SUNDOG_KVM_INTERNAL_H
#define SUNDOG_KVM_INTERNAL_H

#include "platform/kvm/text_ports.h"
#include "platform/platform.h"
#include "platform/stub/request.h"
#include "sentry/base/list.h"
#include "sentry/base/lock.h"

#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>

/* Physical memory of the machine. */
#define SYS_GPA 0ULL                  /* the sentry's own pages; page 0 is never used */
#define SYS_SIZE (2ULL << 30)         /* bounds what page tables may take */
#define SYS_SLOT_SIZE (64ULL << 20)
#define KVM_TSS_GPA 0xfffbd000ULL     /* three pages that Intel hosts want for themselves */
#define MEM_GPA (4ULL << 30)          /* the memory file */
#define WIN_MAX (256ULL << 30)        /* the window of donated files */
#define WIN_SLOT_SIZE (128ULL << 20)
#define CHUNK_SHIFT 21
#define CHUNK_SIZE (1ULL << CHUNK_SHIFT)
#define NO_CHUNK 0xffffffffu

/* Physical address of no memory: a slot put there and taken away again makes KVM drop all its shadow page tables. */
#define FLUSH_GPA (2ULL << 30)

/* Virtual addresses of ring 0: the last entry of every root. */
#define KVA_BASE 0xffffff8000000000ULL
#define KVA_TEXT KVA_BASE
#define KVA_IDT (KVA_BASE + 0x1000)
#define KVA_GDT (KVA_BASE + 0x2000)
#define KVA_VCPU(id) (KVA_BASE + 0x10000 + (u64)(id) * 0x1000)

/*
 * The stub of user_stub, which ring 3 can read and execute, and behind it a request page, which is one vCPU's in one address
 * space: the last but one entry of a root. So there is a root for each pair of these, with the same tables below.
 */
#define KVA_USTUB 0xffffff0000000000ULL

#define KVM_VCPUS_MAX 256

#define SEL_KCS 0x10
#define SEL_KDS 0x18
#define SEL_UDS 0x2b
#define SEL_UCS 0x33
#define SEL_TSS 0x40

/* CF PF AF ZF SF TF DF OF RF AC; the rest is not the guest's. */
#define USER_EFLAGS 0x50dd5u
#define EFLAGS_TF 0x100u
#define EFLAGS_RF 0x10000u

/* kvm_text.S. Vector n's handler lies at 16 * n of its page and writes to port PORT_VECTOR + n. */
extern const u8 kvm_text_start[], kvm_text_end[], kvm_text_syscall[], kvm_text_cstar[], kvm_text_sysret[],
    kvm_text_iret[], kvm_text_flush[], kvm_text_return_end[];
#define TEXT(label) (KVA_TEXT + (u64)(kvm_text_##label - kvm_text_start))
extern const u8 kvm_user_start[], kvm_user_syscall[], kvm_user_syscall_out[], kvm_user_flags_kept[], kvm_user_ring0_out[],
    kvm_user_patched[], kvm_user_patched_stack[], kvm_user_patched_flags[], kvm_user_patched_out[], kvm_user_common[],
    kvm_user_published[], kvm_user_left[], kvm_user_load[], kvm_user_resume[], kvm_user_resume_end[], kvm_user_cstar[], kvm_user_cstar_out[];
#define USER_OFF(label) ((u64)(kvm_user_##label - kvm_user_start))
#define USER_TEXT(label) (KVA_USTUB + USER_OFF(label))

/* A vCPU's page: TSS, the frame for the way back to ring 3, the stack of exceptions (downwards from its end). */
#define VCPU_FRAME 0x800
struct kvm_frame { u64 rax, rip, cs, rflags, rsp, ss; };

/* How this host's KVM behaves. */
struct kvm_variant {
    bool user_stub;        /* `syscall` goes to its handler but stays at ring 3 */
    bool shadow;           /* a page table entry's change is seen only once KVM has dropped its shadow of the old target */
    bool own_cpuid;        /* the instruction cpuid shows what we set */
    bool host_tsc;         /* rdtsc reads what it reads outside */
    u64 exit_ns;           /* a system call leaves the machine and comes back */
    u64 kick_ns;           /* KVM_RUN that does not enter the machine */
};

struct kvm_root {
    u64 gpa;       /* (c) */
    refcount_t refs; /* its address space, and each vCPU that has it in CR3 */
    u64 as_id;     /* (c) */
    /* user_stub: */
    unsigned vcpu; /* (c) whose it is */
    u64 user[4];   /* (c) tables of the stub's part, and the request page */
    struct request_page *req; /* (c) */
    struct kvm_root *next;    /* (lock of its address space) */
};

struct platform_ctx;
struct platform_as;

struct kvm_vcpu {
    int fd;                /* (c) */
    unsigned id;           /* (c) */
    struct kvm_run *run;   /* (c) the host's page */
    u8 *page;              /* (c) VCPU page */
    u64 holder;            /* (a) context whose state is in it, | VCPU_BUSY while somebody works with it; 0: free */
    u64 last_used;         /* (a) time stamp */
    pid_t tid;             /* (a) host thread that runs it, or did last */
    u64 in_as;             /* (a) address space while guest code may run, else 0 */
    u32 run_seq;           /* (a) goes up each time guest code has stopped */
    struct kvm_root *root; /* (holder) in CR3, counted; NULL: none yet */
    u64 gen;               /* (holder) of the address space's mappings that its TLB may hold */
    bool ring3;            /* (holder) stands in guest code; else in the stub */
    bool broken;           /* (holder) to be set up anew */
    bool clean_segments;   /* (holder) selectors are as we set them */
};
#define VCPU_BUSY 1ULL

/* A piece of a donated file in the window. */
struct kvm_chunk {
    u64 dev, ino, idx;
    bool used, writable;
    u32 refs;              /* page table entries that point into it */
    u32 next;              /* in its hash chain */
    TAILQ_ENTRY(kvm_chunk) lru; /* while refs == 0 */
};
TAILQ_HEAD(kvm_chunk_list, kvm_chunk);
#define CHUNK_BUCKETS 4096
#define CHUNKS_KEPT 128    /* without references, for the next process */

struct platform {
    struct platform_config cfg; /* (c) */
    bool probing;          /* (c) */
    struct kvm_variant var; /* (c) */
    int dev, vm;           /* (c) */
    struct kvm_cpuid2 *cpuid; /* (c) */
    u64 xcr0, cr4;         /* (c) */
    u64 signal_mask;       /* (c) of threads in guest code */
    u64 pt_kernel;         /* (c) last entry of every root */
    u64 user_text;         /* (c) user_stub: the stub's page */
    int peek[2];           /* (c) user_stub: a pipe (kvm_as_peek) */
    u32 spin_budget;       /* (c) sessions (session.c): pauses to wait; 0: there are none */
    cpu_set_t cpus;        /* (c) sessions: where runners may be */
    int busy;              /* (a) threads that run or wait for guest code */

    lock_t lock;           /* LC_PLATFORM: the machine */
    u8 *sys;               /* (c) mapping of the sentry's own pages */
    u64 sys_slots, sys_next; /* (lock) bytes with a slot; bytes handed out */
    u64 sys_free;          /* (lock) chain of free pages through their first word */
    u64 sys_dead;          /* (lock) shadow: likewise, of pages that KVM may still have shadows of */
    u32 ndead;             /* (lock) */
    u64 mem_slot_size;     /* (c) */
    u8 *mem_slot;          /* (a) per slot: it is there */
    u32 mem_slot_id;       /* (c) number of the first */
    u32 flush_slot_id;     /* (c) */
    u8 *mem;               /* (c) the memory file as the machine has it; shadow: a mapping of its own, to be zapped at will */
    u8 *win;               /* (c) mapping of the window */
    u64 win_gpa, win_size; /* (c) */
    u64 win_slots;         /* (lock) bytes with a slot */
    u32 win_slot_id;       /* (c) */
    struct kvm_chunk *chunk; /* (lock) win_size / CHUNK_SIZE */
    u32 nchunk, chunk_next;  /* (c), (lock) */
    u32 bucket[CHUNK_BUCKETS]; /* (lock) */
    struct kvm_chunk_list chunk_lru; /* (lock) */
    u32 chunk_kept;        /* (lock) */

    lock_t pool_lock;      /* LC_PLATFORM */
    struct kvm_vcpu *vcpu[KVM_VCPUS_MAX]; /* (pool_lock to add) */
    unsigned nvcpu;        /* (a) */
    unsigned vcpu_cap;     /* (pool_lock) */
    u64 last_as_id;        /* (a) */
};

struct platform_as {
    struct platform *p;    /* (c) */
    lock_t lock;           /* LC_PLATFORM: the page tables */
    struct kvm_root *root; /* (c) one reference */
    u64 gen;               /* (a) number of changes that need a flush */
    u64 id;                /* (c) unlike that of any other */
    u32 ntable;            /* (lock) page tables below the root */
    struct kvm_root *views; /* (lock) user_stub: the roots that vCPUs run; `root` is not run itself */
    bool dead;             /* (a) */
};

/* A host thread in KVM_RUN for a session. (m): set while it is not, or is HELD. */
struct kvm_runner {
    pthread_t thread;      /* (c) */
    struct platform *p;    /* (c) */
    u32 tid;               /* (a) */
    u32 state, go;         /* (a) */
    int err;               /* its own, before DONE */
    int shuns;             /* (m) CPU it stays away from, or -1 */
    struct platform_ctx *ctx; /* (m) */
    struct kvm_vcpu *vcpu; /* (m) */
    struct kvm_root *next; /* (m) where to go on, when CROSSING */
    struct platform_as *next_as; /* (m) */
};

struct kvm_session {
    struct kvm_runner *runner; /* (t) NULL: none yet */
    bool wanted;           /* (t) begin one at the next opportunity */
    bool on;               /* (t) the runner has the vCPU, or had it last */
    bool ended;            /* (t) the run that is being looked at was the runner's */
    bool answered;         /* (t) the guest has been in the stub, and an answer put there */
    bool leaving;          /* (t) the guest was told to leave; this session takes no more answers */
    bool crosses;          /* (t) it was another address space's, and is to go over to this context's */
    bool loading;          /* (t) with extended state, which platform_ctx.xstate still holds */
    struct request_page *req; /* hostile */
    u64 as_id;             /* (t) */
    u32 seq;               /* (t) number of the last event */
    struct request_page ev;   /* (t) copy of it */
    u32 served;               /* (t) calls in this session */
    u32 count, fails, good;   /* (t) */
    u32 slept, turns;         /* (t) times the task slept in a call, in this window; in turn with another */
    ktime_t since, retry_at, backoff; /* (t) */
};

struct platform_ctx {
    struct platform *p;    /* (c) */
    struct kvm_vcpu *vcpu; /* (t) that had our state last; look at its holder */
    struct kvm_vcpu *running; /* (a) while in guest code */
    u32 kicked;            /* (a) */
    u64 as_id;             /* (t) of the address space run last */
    unsigned spurious;     /* (t) faults in a row that the tables permit */
    u8 *xstate;            /* (t), by whoever takes the vCPU away (pool_lock) */
    bool xstate_pending;   /* like xstate: it is the truth, the vCPU's state is not */
    struct kvm_session session;
};

/* probe.c */
int kvm_probe(char *why, size_t why_len);
bool kvm_declines(char *why, size_t why_len);
void kvm_findings(char *out, size_t len);
/* What the last good probe found; NULL: none was made. */
const struct kvm_variant *kvm_found(void);
/* A descriptor of /dev/kvm with the right interface, or -errno and why. */
int kvm_open(char *why, size_t why_len);
int kvm_check_caps(int fd, char *why, size_t why_len);
/* Does the processor show VT-x or AMD-V? */
bool kvm_hardware(void);

/* trial.c */
struct kvm_verdict { int rc; struct kvm_variant var; bool again; char why[256]; };
/* In a machine that the end of the process takes away; with what things cost. */
void kvm_trial(struct kvm_verdict *v);
/* In a machine as kvm_vm_start makes it, which is then *out. -errno and why. */
int kvm_trial_start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len);
/* Not good, for that reason. -ENOSYS. */
int kvm_refuse(struct kvm_verdict *v, const char *what);

/* vm.c: the machine, its memory, the stub. */
int kvm_vm_start(const struct platform_config *cfg, const struct kvm_variant *var, struct platform **out, char *why, size_t why_len);
void kvm_vm_stop(struct platform *p);
/* A zeroed page of the machine's own: its physical address, or 0. */
u64 kvm_page_new(struct platform *p);
void kvm_page_free(struct platform *p, u64 gpa);
/* shadow: makes KVM drop [gpa, gpa + len) of guest memory from all its page tables and every processor. False: it cannot. */
bool kvm_shadow_zap(struct platform *p, u64 gpa, u64 len);
/* shadow: all of it. */
bool kvm_shadow_drop(struct platform *p);
static inline void *kvm_page_ptr(const struct platform *p, u64 gpa) { return p->sys + (gpa - SYS_GPA); }
/* Makes [off, off + len) of the memory file part of the machine. */
/* The thread will wait for its guest, for how long is not known. */
static inline void kvm_before_sleep(const struct platform *p)
{
    if (p->cfg.before_sleep) p->cfg.before_sleep();
}

int kvm_mem_slots(struct platform *p, u64 off, u64 len);
/* The page of vCPU `id`, made when first asked for; NULL: no memory. Under the pool's lock. */
u8 *kvm_vcpu_page(struct platform *p, unsigned id);
int kvm_slot_set(struct platform *p, u32 id, u64 gpa, u64 size, const u8 *hva);
bool kvm_cpuid_has(const struct platform *p, u32 leaf, char reg, unsigned bit);

/* file.c: donated files. */
int kvm_files_start(struct platform *p);
/* The chunk with a file's bytes from idx * CHUNK_SIZE on, with nrefs more references; or -errno. */
int kvm_chunk_get(struct platform *p, int fd, u64 dev, u64 ino, u64 idx, bool writable, u32 nrefs, u32 *out);
void kvm_chunk_put(struct platform *p, u32 chunk, u32 nrefs);
static inline u32 kvm_chunk_of(const struct platform *p, u64 gpa)
{
    return gpa >= p->win_gpa && gpa < p->win_gpa + p->win_size ? (u32)((gpa - p->win_gpa) >> CHUNK_SHIFT) : NO_CHUNK;
}

/* pt.c: address spaces. */
int kvm_as_new(struct platform *p, struct platform_as **out);
void kvm_as_free(struct platform_as *as);
int kvm_as_update(struct platform_as *as, const struct platform_mapop *ops, size_t n);
void kvm_root_put(struct platform *p, struct kvm_root *r);
/* What vCPU `id` is to have in CR3; NULL: no memory. */
struct kvm_root *kvm_as_root(struct platform_as *as, unsigned id);
/* Reads n bytes of guest code; false: not mapped. Slow. */
bool kvm_as_peek(struct platform_as *as, gaddr_t addr, u8 *buf, size_t n);
/* platform_ops.as_call_site */
size_t kvm_as_call_site(struct platform_as *as, gaddr_t at, gaddr_t ret, const u8 *insns, size_t n, u8 *out, size_t room);
enum kvm_fault { KVM_FAULT_REAL, KVM_FAULT_FILLED, KVM_FAULT_BUS, KVM_FAULT_SPURIOUS };
/* What a page fault was. FILLED: a page of a file is there now; BUS: the file has no such page. */
enum kvm_fault kvm_as_fault(struct platform_as *as, gaddr_t addr, u32 error);
/* The host could not give a page of a file: takes away those that are beyond their file's end. False: none is. */
bool kvm_as_revalidate(struct platform_as *as);

/* vcpu.c: the pool. */
int kvm_vcpu_setup(struct platform *p, struct kvm_vcpu *v);
void kvm_vcpus_stop(struct platform *p);
/* A vCPU with ctx's state, for the caller alone. NULL: none to be had (errno). */
struct kvm_vcpu *kvm_vcpu_take(struct platform_ctx *ctx);
static inline void kvm_vcpu_give(struct platform_ctx *ctx, struct kvm_vcpu *v)
{
    __atomic_store_n(&v->last_used, __builtin_ia32_rdtsc(), __ATOMIC_RELAXED);
    __atomic_store_n(&v->holder, (u64)(uintptr_t)ctx, __ATOMIC_RELEASE);
}
/* Between runs, no session on: ctx's state is in memory, and it has no vCPU. */
void kvm_vcpu_leave(struct platform_ctx *ctx);
/* ctx goes away. */
void kvm_vcpu_forget(struct platform_ctx *ctx);
/* Makes a running vCPU stop soon. */
void kvm_vcpu_kick(struct kvm_vcpu *v);
/* Loads ctx->xstate; the caller has v. */
int kvm_xstate_push(struct platform_ctx *ctx, struct kvm_vcpu *v);
int kvm_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len);
int kvm_ctx_set_xstate(struct platform_ctx *ctx, const void *buf, size_t len);

/* session.c: calls without an exit, where that is dear. All for the task's own thread. */
#define SESSION_WINDOW 64u
#define SESSION_MAX_FAILS 8u
u32 kvm_session_calibrate(void);
/* Every SESSION_WINDOW runs, or when too many waits were in vain: do they pay? */
void kvm_session_look(struct platform_ctx *ctx);
/* platform_ops.ctx_sleeps, ctx_woken */
void kvm_ctx_sleeps(struct platform_ctx *ctx);
void kvm_ctx_woken(struct platform_ctx *ctx, int cpu, bool in_turn);
/* Gives v, loaded, to the runner. False: there is none. */
bool kvm_session_begin(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as);
/* True: a call came, in session.ev. False: the session is over, the vCPU is ours, and session.runner->err how it ended. */
bool kvm_session_wait(struct platform_ctx *ctx);
/* Answers the last call with r. False: it cannot, the session is over, the vCPU free. */
bool kvm_session_resume(struct platform_ctx *ctx, struct platform_as *as, const struct guest_regs *r);
/*
 * Between runs, with a session on: extended registers, by the stub. False: it cannot; the session is over, the vCPU free and in possession
 * of them.
 */
bool kvm_session_get_xstate(struct platform_ctx *ctx, void *buf);
/* Between runs, with a session on: its guest stays where it is until let go. False: it has left, the session is over, the vCPU free. */
bool kvm_session_hold(struct kvm_session *s);
void kvm_session_let_go(struct kvm_session *s);
/* Between runs: ends it, the vCPU is free. */
void kvm_session_stop(struct platform_ctx *ctx);
/* The context goes away. */
void kvm_session_end(struct platform_ctx *ctx);

/* change.c: platform_ops.ctx_keeps, ctx_take_over */
bool kvm_ctx_keeps(struct platform_ctx *ctx);
void kvm_ctx_take_over(struct platform_ctx *from, struct platform_ctx *to);

/* run.c */
/* Selectors of data segments as we set them; the bases of fs and gs stay. */
void kvm_clean_segments(struct kvm_sregs *s);
/* The vCPU will have that root in CR3. The caller has v. */
void kvm_root_loaded(struct platform *p, struct kvm_vcpu *v, struct kvm_root *root);
void kvm_ctx_run(struct platform_ctx *ctx, struct platform_as *as, struct guest_regs *regs, struct platform_exit *exit);
void kvm_ctx_kick(struct platform_ctx *ctx);

#define KVM_KICK_SIGNAL SIGURG

#endif
