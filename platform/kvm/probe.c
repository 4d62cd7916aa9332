/* Can guests run under KVM here? What is missing is said in one sentence, with what the user could change. */
#include "platform/kvm/internal.h"

#include "sentry/base/clock.h"
#include "platform/xstate.h"
#include "sentry/base/log.h"

#include <cpuid.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int kvm_open(char *why, size_t why_len)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), rc = -errno, v;

    if (fd < 0) {
        if (rc == -ENOENT)
            snprintf(why, why_len, "there is no /dev/kvm: no virtualisation in processor or firmware, or the module "
                                   "kvm_intel or kvm_amd is not loaded");
        else if (rc == -EACCES || rc == -EPERM)
            snprintf(why, why_len, "no permission to open /dev/kvm: add the user to the group kvm");
        else
            snprintf(why, why_len, "opening /dev/kvm: %s", strerror(-rc));
        return rc;
    }
    v = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (v == KVM_API_VERSION) return fd;
    snprintf(why, why_len, "/dev/kvm speaks version %d of its interface, not %d", v, KVM_API_VERSION);
    close(fd);
    return -ENOSYS;
}

/* The capabilities without which nothing here works. */
int kvm_check_caps(int fd, char *why, size_t why_len)
{
    static const struct { int cap; u32 bits; const char *name, *since; } need[] = {
        { KVM_CAP_USER_MEMORY, 1, "memory slots", "2.6.25" },
        { KVM_CAP_IMMEDIATE_EXIT, 1, "immediate_exit", "4.12" },
        { KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, "synchronised registers", "4.17" },
        { KVM_CAP_XSAVE, 1, "XSAVE state", "2.6.36" },
        { KVM_CAP_XCRS, 1, "XCR0", "2.6.36" },
        { KVM_CAP_VCPU_EVENTS, 1, "pending events", "2.6.33" },
        { KVM_CAP_EXT_CPUID, 1, "CPUID control", "2.6.30" },
    };

    for (size_t i = 0; i < ARRAY_LEN(need); i++) {
        int v = ioctl(fd, KVM_CHECK_EXTENSION, need[i].cap);
        if (v > 0 && (need[i].bits == 1 || ((u32)v & need[i].bits) == need[i].bits)) continue;
        snprintf(why, why_len, "this host's KVM lacks %s (Linux %s or newer has it)", need[i].name, need[i].since);
        return -ENOSYS;
    }
    return 0;
}

/*
 * A trial in a machine of its own, in a child process, so that one that hangs can be ended. It finds out by doing, not
 * by the processor's name: there are hosts whose KVM is none of VT-x and AMD-V and differs in what guests can tell.
 * First as on hardware; what turns out to be different is taken into account and everything tried again.
 */
struct verdict { int rc; struct kvm_variant var; bool again; char why[256]; };

#define TRIAL_CODE 0x100000ULL
#define TRIAL_DATA 0x200000ULL
#define TRIAL_LIMIT_MS 20000
#define TRIAL_EXITS 50
#define TRIAL_EDITS 20
#define TRIAL_PAGES 5 /* code, two to tell apart, extended state */
/* In a virtual machine in a virtual machine an exit can cost 20 us and more; a system call on trap costs 2 to 8. */
#define EXIT_NS_WORTH_IT 8000

static struct kvm_variant found; /* by the last good trial */
static bool have_found;

/* mov $39,%eax; syscall; cpuid of eax = rdx; syscall; then for ever: mov (%rsi),%rax; syscall */
static const u8 trial_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x89, 0xd0, 0x0f, 0xa2, 0x0f, 0x05,
                                 0x48, 0x8b, 0x06, 0x0f, 0x05, 0xeb, 0xf9 };
/* mov $-1,%eax; mov $-1,%edx; xsave64 (%rsi); pcmpeqd %xmm3,%xmm3; syscall */
static const u8 trial_state_code[] = { 0xb8, 0xff, 0xff, 0xff, 0xff, 0xba, 0xff, 0xff, 0xff, 0xff, 0x48, 0x0f, 0xae, 0x26,
                                       0x66, 0x0f, 0x76, 0xdb, 0x0f, 0x05 };
#define TRIAL_STATE_CODE 64 /* in the page of code */

struct trial {
    struct platform *p;
    struct platform_as *as;
    struct platform_ctx *ctx;
    struct guest_regs regs;
    struct platform_exit exit;
};

static int refuse(struct verdict *v, const char *what)
{
    snprintf(v->why, sizeof(v->why), "%s", what);
    return v->rc = -ENOSYS;
}

static bool trial_call(struct trial *t)
{
    do kvm_ctx_run(t->ctx, t->as, &t->regs, &t->exit);
    while (t->exit.event == PLATFORM_KICKED);
    return t->exit.event == PLATFORM_SYSCALL;
}

static int trial_map(struct trial *t, gaddr_t addr, u64 off, u8 prot)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = prot, .fd = t->p->cfg.memfile_fd, .addr = addr, .len = GPAGE_SIZE,
                                 .off = off };
    return kvm_as_update(t->as, &op, 1);
}

static int trial_edits(struct trial *t, struct verdict *v)
{
    for (u64 i = 0; i < TRIAL_EDITS; i++) {
        u64 page = 1 + i % 2;
        if (i == TRIAL_EDITS / 2 && t->p->var.shadow && !kvm_shadow_drop(t->p))
            return refuse(v, "KVM does not let memory slots come and go");
        t->regs.rsi = TRIAL_DATA;
        if (trial_map(t, TRIAL_DATA, page * GPAGE_SIZE, PLATFORM_PROT_READ) || !trial_call(t))
            return refuse(v, "a trial machine did not take a change of its page tables");
        if (t->regs.orig_rax == page) continue;
        if (v->var.shadow) return refuse(v, "guests do not see changes of their page tables, whatever is done");
        v->var.shadow = v->again = true;
        return 0;
    }
    return 0;
}

/* Does every component of the extended state go in and come out? */
static int trial_state(struct trial *t, struct verdict *v)
{
    static u8 in[8192] __attribute__((aligned(64))), out[8192] __attribute__((aligned(64)));
    const u8 *seen = t->p->cfg.memfile_base + 3 * GPAGE_SIZE;
    size_t size = platform_xstate_size();
    u64 bv = t->p->xcr0 & 0xe7; /* x87, SSE, AVX, AVX-512: what any pattern of bits will do for */

    if (size > sizeof(in) || size > 2 * GPAGE_SIZE)
        return refuse(v, "the processor's extended state is larger than this build expects");
    platform_xstate_init(in);
    for (size_t i = 160; i < 416; i++) in[i] = (u8)(i * 7 + 1);
    for (unsigned c = 2; c < 8; c++) {
        u32 len, off, ecx, edx;
        if (!(bv >> c & 1)) continue;
        if (!__get_cpuid_count(0xd, c, &len, &off, &ecx, &edx) || off + len > size)
            return refuse(v, "the processor does not tell where it keeps its registers");
        for (u32 i = off; i < off + len; i++) in[i] = (u8)(i * 5 + c);
    }
    memcpy(in + 512, &bv, sizeof(bv));
    t->regs = (struct guest_regs){ .rip = TRIAL_CODE + TRIAL_STATE_CODE, .rsi = TRIAL_DATA };
    for (u64 i = 0; i < 2; i++)
        if (trial_map(t, TRIAL_DATA + i * GPAGE_SIZE, (3 + i) * GPAGE_SIZE, PLATFORM_PROT_READ | PLATFORM_PROT_WRITE))
            return refuse(v, "a trial machine has no memory for page tables");
    if (kvm_ctx_set_xstate(t->ctx, in, size) || !trial_call(t) || kvm_ctx_get_xstate(t->ctx, out, size))
        return refuse(v, "KVM does not carry the processor's extended registers (XSAVE)");
    memset(in + 160 + 3 * 16, 0xff, 16);
    if (memcmp(in + 160, out + 160, 256) || memcmp(in + 576, out + 576, size - 576))
        return refuse(v, "KVM loses a guest's extended registers");
    memset(in + 160 + 3 * 16, 0, 16);
    memcpy(out, seen, size);
    memset(out + 160 + 3 * 16, 0, 16);
    if (memcmp(in + 160, out + 160, 256) || memcmp(in + 576, out + 576, size - 576))
        return refuse(v, "a guest does not get the extended registers it is given");
    return 0;
}

static void trial_costs(struct trial *t, struct verdict *v)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_take(t->ctx);

    if (!vcpu) return;
    v->var.kick_ns = ~0ULL;
    for (unsigned i = 0; i < TRIAL_EXITS; i++) {
        ktime_t since = clock_mono();
        vcpu->run->immediate_exit = 1;
        ioctl(vcpu->fd, KVM_RUN, 0);
        v->var.kick_ns = MIN(v->var.kick_ns, (u64)(clock_mono() - since));
    }
    vcpu->run->immediate_exit = 0;
    kvm_vcpu_give(t->ctx, vcpu);
}

static int trial_run(struct trial *t, struct verdict *v)
{
    t->regs = (struct guest_regs){ .rip = TRIAL_CODE, .rbx = 0x1234567890ULL, .rsi = TRIAL_DATA, .rdx = 0x40000000,
                                   .fs_base = 0x5000, .r12 = 0x77 };
    if (!trial_call(t)) {
        if (!v->var.user_stub && t->exit.event == PLATFORM_FAULT && gpage_down(t->exit.fault_addr) == KVA_TEXT) {
            v->var.user_stub = v->var.shadow = v->again = true;
            return 0;
        }
        snprintf(v->why, sizeof(v->why), "a trial system call did not arrive (event %u, signal %d, at %#llx)", (unsigned)t->exit.event,
                 t->exit.signo, (unsigned long long)t->regs.rip);
        return v->rc = -ENOSYS;
    }
    if (t->regs.orig_rax != 39 || t->regs.rbx != 0x1234567890ULL || t->regs.r12 != 0x77 || t->regs.fs_base != 0x5000)
        return refuse(v, "registers of a trial system call arrived wrong");
    if (!trial_call(t)) return refuse(v, "the instruction cpuid does not work in a guest");
    v->var.own_cpuid = t->regs.rbx != 0x4b4d564b && !v->var.user_stub;
    if (!v->var.own_cpuid && t->p->xcr0 != platform_xstate_features())
        return refuse(v, "guests see the host's CPUID, but KVM does not carry all of the registers that names");
    if (trial_edits(t, v) || v->again) return v->rc;
    v->var.exit_ns = ~0ULL;
    for (unsigned i = 0; i < TRIAL_EXITS; i++) { /* the shortest: others were interrupted */
        ktime_t since = clock_mono();
        if (!trial_call(t)) return refuse(v, "a trial loop of system calls stopped");
        v->var.exit_ns = MIN(v->var.exit_ns, (u64)(clock_mono() - since));
    }
    trial_costs(t, v);
    return trial_state(t, v);
}

/* Once, as v->var says; v->again: it is different. */
static void trial_once(const struct platform_config *cfg, struct verdict *v)
{
    struct trial t;

    v->again = false;
    v->rc = kvm_vm_start(cfg, &v->var, &t.p, v->why, sizeof(v->why));
    if (v->rc) return;
    t.p->probing = true;
    if (kvm_as_new(t.p, &t.as) || platform_kvm_ops.ctx_new(t.p, &t.ctx) ||
        trial_map(&t, TRIAL_CODE, 0, PLATFORM_PROT_READ | PLATFORM_PROT_EXEC)) {
        refuse(v, "a trial machine has no memory for page tables");
        return;
    }
    struct kvm_vcpu *first = kvm_vcpu_take(t.ctx);
    if (!first) {
        v->rc = -errno;
        snprintf(v->why, sizeof(v->why), "KVM makes no processor as this needs it (Linux 5.16 or newer does): %s", strerror(errno));
        return;
    }
    kvm_vcpu_give(t.ctx, first);
    trial_run(&t, v);
    /* the end of the process takes the machine away */
}

static void trial(struct verdict *v)
{
    struct platform_config cfg = { .memfile_size = TRIAL_PAGES * GPAGE_SIZE, .ncpus = 1 };

    cfg.memfile_fd = memfd_create("probe", MFD_CLOEXEC);
    if (cfg.memfile_fd < 0 || ftruncate(cfg.memfile_fd, (off_t)cfg.memfile_size)) {
        v->rc = -errno;
        snprintf(v->why, sizeof(v->why), "memfd_create: %s", strerror(-v->rc));
        return;
    }
    cfg.memfile_base = mmap(NULL, cfg.memfile_size, PROT_READ | PROT_WRITE, MAP_SHARED, cfg.memfile_fd, 0);
    if (cfg.memfile_base == MAP_FAILED) {
        refuse(v, "no memory");
        return;
    }
    memcpy(cfg.memfile_base, trial_code, sizeof(trial_code));
    memcpy(cfg.memfile_base + TRIAL_STATE_CODE, trial_state_code, sizeof(trial_state_code));
    for (u64 i = 1; i <= 2; i++) memcpy(cfg.memfile_base + i * GPAGE_SIZE, &i, sizeof(i));
    v->var = (struct kvm_variant){ .own_cpuid = true };
    do trial_once(&cfg, v);
    while (!v->rc && v->again);
}

static int trial_in_child(struct verdict *v)
{
    int pipe_fd[2], status;
    pid_t pid;

    if (pipe2(pipe_fd, O_CLOEXEC)) return -errno;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        trial(v);
        _exit(write(pipe_fd[1], v, sizeof(*v)) == sizeof(*v) ? 0 : 1);
    }
    close(pipe_fd[1]);
    if (pid > 0) {
        struct pollfd pfd = { .fd = pipe_fd[0], .events = POLLIN };
        struct verdict got;
        int n = poll(&pfd, 1, TRIAL_LIMIT_MS);
        if (n == 1 && read(pipe_fd[0], &got, sizeof(got)) == sizeof(got)) *v = got;
        else refuse(v, n == 1 ? "a trial machine ended its process" : "a trial machine did not answer");
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    close(pipe_fd[0]);
    return pid < 0 ? -EAGAIN : v->rc;
}

int kvm_probe(char *why, size_t why_len)
{
    struct verdict v = { .rc = 0 };
    int fd, rc;

    if (have_found) return 0;
    fd = kvm_open(why, why_len);
    if (fd < 0) return fd;
    rc = kvm_check_caps(fd, why, why_len);
    close(fd);
    if (rc) return rc;
    rc = trial_in_child(&v);
    if (rc) snprintf(why, why_len, "%s", v.why[0] ? v.why : strerror(-rc));
    else log_debug("kvm: a system call leaves and enters the trial machine in %llu ns", (unsigned long long)v.var.exit_ns);
    have_found = rc == 0;
    found = v.var;
    return rc;
}

const struct kvm_variant *kvm_found(void) { return have_found ? &found : NULL; }

void kvm_findings(char *out, size_t len)
{
    snprintf(out, len, "%s; %s; %s; an exit and entry takes %.1f us, an entry that is called off %.1f us",
             found.user_stub ? "not hardware virtualisation (PVM): system calls reach their handler at ring 3"
                             : "hardware virtualisation: system calls reach their handler at ring 0",
             found.shadow ? "changed page tables are seen only after the old target was zapped"
                          : "changed page tables are seen after a flush",
             found.own_cpuid ? "guests see the CPUID that they are given" : "guests see the host's CPUID",
             (double)found.exit_ns / 1e3, (double)found.kick_ns / 1e3);
}

bool kvm_declines(char *why, size_t why_len)
{
    if (found.exit_ns <= EXIT_NS_WORTH_IT) return false;
    snprintf(why, why_len, "works, but to leave the machine and come back costs %llu ns here, more than a system call elsewhere; "
                           "--platform kvm takes it nevertheless",
             (unsigned long long)found.exit_ns);
    return true;
}
