/*
 * Seccomp programs of the stub. Everything not named traps: SIGSYS is blocked in the template and the mapper, so
 * there a trap is death; in a guest thread it reaches the tracer (the vsyscall page comes that way). Kill would
 * be wrong as a default, since the most severe verdict of the stack wins.
 */
#include "platform/stub/filter.h"
#include "platform/stub/request.h"
#include "platform/stub/stub.h"
#include "platform/stub/stub_layout.h"
#include "platform/platform.h"
#include "sentry/base/alloc.h"

#include <asm/prctl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct rule {
    scmp_filter_ctx ctx;
    int rc;
};

static void allow(struct rule *r, int nr, unsigned n, const struct scmp_arg_cmp *args)
{
    if (!r->rc) r->rc = seccomp_rule_add_array(r->ctx, SCMP_ACT_ALLOW, nr, n, args);
}

#define ALLOW(r, name, ...)                                                                         \
    allow(r, SYS_##name, sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp), \
          (struct scmp_arg_cmp[]){ __VA_ARGS__ })
#define EQ(arg, val) { (arg), SCMP_CMP_EQ, (scmp_datum_t)(val), 0 }
#define EQ_MASK(arg, mask, val) { (arg), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(val) }
#define BELOW(arg, val) { (arg), SCMP_CMP_LT, (scmp_datum_t)(val), 0 }

/*
 * What runners inherit and must not be refused here, and what they need to get there. Areas lie outside the guest's
 * range, where the mapper may put nothing else.
 */
static void runner_rules(struct rule *r, const struct stub_template *t)
{
    const struct scmp_arg_cmp area[] = { { 0, SCMP_CMP_GE, t->areas_base, 0 }, EQ(1, REQ_AREA_SIZE),
                                         EQ(2, PROT_READ | PROT_WRITE), EQ(3, MAP_SHARED | MAP_FIXED) };

    allow(r, SYS_mmap, ARRAY_LEN(area), area);
    ALLOW(r, futex, BELOW(1, 2), EQ(3, 0));
    ALLOW(r, sigaltstack, EQ(0, t->base + STUB_OPS + STUB_OPS_STACK), EQ(1, 0));
    ALLOW(r, seccomp, EQ(0, SECCOMP_SET_MODE_FILTER), EQ(1, 0), EQ(2, t->base + STUB_RODATA + STUB_RO_FPROG_TRAP));
    if (!t->fsgsbase) {
        ALLOW(r, arch_prctl, EQ(0, ARCH_SET_FS));
        ALLOW(r, arch_prctl, EQ(0, ARCH_SET_GS));
    }
}

static void mapper_rules(struct rule *r, const struct stub_template *t)
{
    u64 base = t->base;
    /* Bits a caller may set: MAP_POPULATE. The descriptor is not compared: a stub holds none but those it was sent. */
    const u64 map_mask = 0xffffffffu & ~(u64)MAP_POPULATE;

    ALLOW(r, recvmsg, EQ(0, STUB_FD_SOCK), EQ(1, base + STUB_SCRATCH), EQ(2, 0));
    ALLOW(r, sendto, EQ(0, STUB_FD_SOCK), EQ(1, base), EQ(4, 0));
    ALLOW(r, mmap, BELOW(0, GUEST_ADDR_MAX), EQ_MASK(3, map_mask, MAP_SHARED | MAP_FIXED));
    ALLOW(r, munmap, BELOW(0, GUEST_ADDR_MAX));
    ALLOW(r, mprotect, BELOW(0, GUEST_ADDR_MAX));
    ALLOW(r, close_range, EQ(0, STUB_FD_RECEIVED));
    ALLOW(r, clone, EQ(0, STUB_CLONE_GUEST));
    ALLOW(r, rt_sigprocmask, EQ(0, SIG_SETMASK), EQ(1, base + STUB_RODATA + STUB_RO_EMPTY_SIGSET), EQ(2, 0));
    ALLOW(r, seccomp, EQ(0, SECCOMP_SET_MODE_FILTER), EQ(1, 0), EQ(2, base + STUB_RODATA + STUB_RO_FPROG_GUEST));
    allow(r, SYS_pause, 0, NULL);
    allow(r, SYS_exit, 0, NULL);
    allow(r, SYS_exit_group, 0, NULL);
    if (t->trap) runner_rules(r, t);
}

static void template_rules(struct rule *r, const struct stub_template *t)
{
    u64 base = t->base;

    mapper_rules(r, t);
    ALLOW(r, clone, EQ(0, STUB_CLONE_PARENT));
    ALLOW(r, sendto, EQ(0, STUB_FD_SOCK), EQ(1, base + STUB_SCRATCH + STUB_SC_DATA), EQ(4, 0));
    ALLOW(r, dup2, EQ(0, STUB_FD_NEWSOCK), EQ(1, STUB_FD_SOCK));
    ALLOW(r, close_range, EQ(0, STUB_FD_NEWSOCK));
    ALLOW(r, mmap, EQ(0, base + STUB_OPS), EQ(1, GPAGE_SIZE), EQ(2, PROT_READ), EQ(3, MAP_SHARED | MAP_FIXED));
    ALLOW(r, prctl, EQ(0, PR_SET_PDEATHSIG), EQ(1, SIGKILL));
    ALLOW(r, seccomp, EQ(0, SECCOMP_SET_MODE_FILTER), EQ(1, 0), EQ(2, base + STUB_RODATA + STUB_RO_FPROG_MAPPER));
}

/* Compiles a rule set; returns instructions, or -errno. */
static int compile(void (*rules)(struct rule *, const struct stub_template *), const struct stub_template *t, struct sock_filter *out, size_t max)
{
    struct rule r = { .ctx = seccomp_init(SCMP_ACT_TRAP), .rc = 0 };
    int fd = -1;
    ssize_t n = -ENOMEM;

    if (!r.ctx) return -ENOMEM;
    r.rc = seccomp_attr_set(r.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);
    if (!r.rc) rules(&r, t);
    if (!r.rc) {
        fd = memfd_create("stub-filter", MFD_CLOEXEC);
        r.rc = fd < 0 ? -errno : seccomp_export_bpf(r.ctx, fd);
    }
    if (r.rc) {
        n = r.rc;
    } else {
        n = pread(fd, out, max * sizeof(*out), 0);
        if (n < 0) n = -errno;
        else if ((size_t)n >= max * sizeof(*out)) n = -E2BIG;
        else n /= (ssize_t)sizeof(*out);
    }
    if (fd >= 0) close(fd);
    seccomp_release(r.ctx);
    return (int)n;
}

/*
 * By hand, because libseccomp cannot compare the instruction pointer: a guest thread may execute `pause` and `exit`
 * from their places in the stub text and nothing else, ever. The first of two pauses hands it to its tracer: the proof
 * that it has reached this filter. (Once it runs guest code, PTRACE_SYSEMU skips every call before this is asked.)
 */
static int guest_filter(u64 base, struct sock_filter *out)
{
    u64 trace_ip = base + (u64)(stub_text_trace_ret - stub_text_start);
    u64 pause_ip = base + (u64)(stub_text_pause_ret - stub_text_start);
    u64 exit_ip = base + (u64)(stub_text_exit_ret - stub_text_start);
    const u32 ip = offsetof(struct seccomp_data, instruction_pointer), nr = offsetof(struct seccomp_data, nr);
    const struct sock_filter f[] = {
        /* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 12),
        /* 2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        /* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)(base >> 32), 0, 10),
        /* 4 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        /* 5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)trace_ip, 2, 0),
        /* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)pause_ip, 3, 0),
        /* 7 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)exit_ip, 4, 6),
        /* 8 trace */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        /* 9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pause, 6, 4),
        /* 10 pause */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        /* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pause, 3, 2),
        /* 12 exit */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        /* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        /* 14 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        /* 15 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        /* 16 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    memcpy(out, f, sizeof(f));
    return (int)ARRAY_LEN(f);
}

/*
 * A runner: futex from the one place in its handlers, to sleep on or wake a word in areas of its own process, without
 * timeout (no pointer); rt_sigprocmask from one place, to the empty set, which all runners have already when guest code
 * runs; and, where FSGSBASE is missing, arch_prctl from one place to set a base: of the calling thread, to a number, which
 * is no more than what FSGSBASE lets a guest do. All else traps, the 32-bit and x32 calls included. The common case is first.
 */
static int trap_filter(const struct stub_template *t, struct sock_filter *out)
{
    u64 text = t->base + STUB_TRAP, futex_ip = text + (u64)(trap_text_futex_ret - trap_text_start);
    u64 mask_ip = text + (u64)(trap_text_unmask_ret - trap_text_start);
    u64 base_ip = t->fsgsbase ? 0 : text + (u64)(trap_text_base_ret - trap_text_start); /* 0: never */
    u64 lo = t->areas_base, hi = t->areas_base + (u64)t->areas_per_proc * REQ_AREA_SIZE;
    u64 set = t->base + STUB_RODATA + STUB_RO_EMPTY_SIGSET;
    enum { NR = offsetof(struct seccomp_data, nr), ARCH = offsetof(struct seccomp_data, arch), MASK_BLOCK = 19, BASE_BLOCK = 36,
           IP = offsetof(struct seccomp_data, instruction_pointer), ARG = offsetof(struct seccomp_data, args),
           PASS = 48, STOP = 49 };
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
/* The instruction at index i: goes on if equal, else to STOP. */
#define MUST(i, value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)(value), 0, STOP - (i) - 1)
    const struct sock_filter f[] = {
        /* 0 */ LOAD(NR),
        /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, MASK_BLOCK - 2),
        /* 2 */ LOAD(ARCH), MUST(3, AUDIT_ARCH_X86_64),
        /* 4 */ LOAD(IP), MUST(5, futex_ip),
        /* 6 */ LOAD(IP + 4), MUST(7, futex_ip >> 32),
        /* 8 */ LOAD(ARG + 4), MUST(9, lo >> 32),
        /* 10 */ LOAD(ARG),
        /* 11 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (u32)lo, 0, STOP - 12),
        /* 12 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (u32)hi, STOP - 13, 0),
        /* 13 */ LOAD(ARG + 8),
        /* 14 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 2, STOP - 15, 0),
        /* 15 */ LOAD(ARG + 24), MUST(16, 0),
        /* 17 */ LOAD(ARG + 28),
        /* 18 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, PASS - 19, STOP - 19),
        /* 19 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 0, BASE_BLOCK - 20),
        /* 20 */ LOAD(ARCH), MUST(21, AUDIT_ARCH_X86_64),
        /* 22 */ LOAD(IP), MUST(23, mask_ip),
        /* 24 */ LOAD(IP + 4), MUST(25, mask_ip >> 32),
        /* 26 */ LOAD(ARG), MUST(27, SIG_SETMASK),
        /* 28 */ LOAD(ARG + 8), MUST(29, set),
        /* 30 */ LOAD(ARG + 12), MUST(31, set >> 32),
        /* 32 */ LOAD(ARG + 16), MUST(33, 0),
        /* 34 */ LOAD(ARG + 20),
        /* 35 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, PASS - 36, STOP - 36),
        /* 36 */ MUST(36, SYS_arch_prctl),
        /* 37 */ LOAD(ARCH), MUST(38, AUDIT_ARCH_X86_64),
        /* 39 */ LOAD(IP), MUST(40, base_ip),
        /* 41 */ LOAD(IP + 4), MUST(42, base_ip >> 32),
        /* 43 */ LOAD(ARG + 4), MUST(44, 0),
        /* 45 */ LOAD(ARG),
        /* 46 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_SET_FS, PASS - 47, 0),
        /* 47 */ MUST(47, ARCH_SET_GS),
        /* 48 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        /* 49 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
#undef LOAD
#undef MUST
    _Static_assert(ARRAY_LEN(f) == STOP + 1, "the jumps count on it");
    if (lo >> 32 != (hi - 1) >> 32 || (u32)hi == 0) return -EINVAL;
    memcpy(out, f, sizeof(f));
    return (int)ARRAY_LEN(f);
}

#define HAND_FILTER_MAX 64

int stub_filters_build(u8 *rodata, const struct stub_template *t)
{
    const unsigned slots[] = { STUB_RO_FPROG_TEMPLATE, STUB_RO_FPROG_MAPPER, STUB_RO_FPROG_GUEST, STUB_RO_FPROG_TRAP };
    size_t at = STUB_RO_INSNS;

    for (size_t i = 0; i < (t->trap ? 4 : 3); i++) {
        struct sock_filter *out = (struct sock_filter *)(void *)(rodata + at);
        size_t room = (STUB_RO_SIZE - at) / sizeof(*out);
        int n = i == 0 ? compile(template_rules, t, out, room) :
                i == 1 ? compile(mapper_rules, t, out, room) :
                room < HAND_FILTER_MAX ? -E2BIG : i == 2 ? guest_filter(t->base, out) : trap_filter(t, out);
        if (n < 0) return n;
        struct sock_fprog prog = { .len = (unsigned short)n,
                                   .filter = (struct sock_filter *)(uintptr_t)(t->base + STUB_RODATA + at) };
        memcpy(rodata + slots[i], &prog, sizeof(prog));
        at += (size_t)n * sizeof(*out);
    }
    rodata[STUB_RO_FSGSBASE] = t->fsgsbase;
    return 0;
}
