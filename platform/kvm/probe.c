/* Can guests run under KVM here? What is missing is said in one sentence, with what the user could change. */
#include "platform/kvm/internal.h"

#include "sentry/base/clock.h"
#include "sentry/base/log.h"

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
 */
struct verdict { int rc; u64 exit_ns; char why[256]; };

#define TRIAL_CODE 0x100000ULL
#define TRIAL_DATA 0x200000ULL
#define TRIAL_LIMIT_MS 20000
#define TRIAL_EXITS 50
/* In a virtual machine in a virtual machine an exit can cost 20 us and more; a system call on trap costs 2 to 8. */
#define EXIT_NS_WORTH_IT 8000

static u64 exit_ns; /* of the last good trial */

/* mov $39,%eax; syscall; cpuid of eax = rdx; syscall; then for ever: mov (%rsi),%rax; syscall */
static const u8 trial_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x89, 0xd0, 0x0f, 0xa2, 0x0f, 0x05,
                                 0x48, 0x8b, 0x06, 0x0f, 0x05, 0xeb, 0xf9 };

struct trial { struct platform *p; struct platform_as *as; struct platform_ctx *ctx; struct guest_regs regs; struct platform_exit exit; };

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

static int trial_run(struct trial *t, struct verdict *v)
{
    t->regs = (struct guest_regs){ .rip = TRIAL_CODE, .rbx = 0x1234567890ULL, .rsi = TRIAL_DATA, .rdx = 0x40000000,
                                   .fs_base = 0x5000, .r12 = 0x77 };
    if (!trial_call(t)) {
        if (t->exit.event == PLATFORM_FAULT && gpage_down(t->exit.fault_addr) == KVA_TEXT)
            return refuse(v, "this host's KVM is not hardware virtualisation (it enters the handler of `syscall` at ring 3, as "
                             "PVM hosts do); this build does not know how to run there");
        snprintf(v->why, sizeof(v->why), "a trial system call did not arrive (event %u, signal %d, at %#llx)", (unsigned)t->exit.event,
                 t->exit.signo, (unsigned long long)t->regs.rip);
        return v->rc = -ENOSYS;
    }
    if (t->regs.orig_rax != 39 || t->regs.rbx != 0x1234567890ULL || t->regs.r12 != 0x77 || t->regs.fs_base != 0x5000)
        return refuse(v, "registers of a trial system call arrived wrong");
    if (!trial_call(t)) return refuse(v, "the instruction cpuid does not work in a guest");
    if (t->regs.rbx == 0x4b4d564b) return refuse(v, "what a guest's cpuid shows is not under control");
    for (u64 i = 1; i <= 3; i++) {
        t->regs.rsi = TRIAL_DATA;
        if (trial_map(t, TRIAL_DATA, i * GPAGE_SIZE, PLATFORM_PROT_READ) || !trial_call(t) || t->regs.orig_rax != i)
            return refuse(v, "guests do not see changes of their page tables (KVM without nested paging, EPT or NPT)");
    }
    v->exit_ns = ~0ULL;
    for (unsigned i = 0; i < TRIAL_EXITS; i++) { /* the shortest: others were interrupted */
        ktime_t since = clock_mono();
        if (!trial_call(t)) return refuse(v, "a trial loop of system calls stopped");
        v->exit_ns = MIN(v->exit_ns, (u64)(clock_mono() - since));
    }
    return 0;
}

static void trial(struct verdict *v)
{
    struct platform_config cfg = { .memfile_size = 4 * GPAGE_SIZE, .ncpus = 1 };
    struct trial t;

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
    for (u64 i = 1; i <= 3; i++) memcpy(cfg.memfile_base + i * GPAGE_SIZE, &i, sizeof(i));
    v->rc = kvm_vm_start(&cfg, &t.p, v->why, sizeof(v->why));
    if (v->rc) return;
    t.p->probing = true;
    if (kvm_as_new(t.p, &t.as) || platform_kvm_ops.ctx_new(t.p, &t.ctx) ||
        trial_map(&t, TRIAL_CODE, 0, PLATFORM_PROT_READ | PLATFORM_PROT_EXEC)) {
        refuse(v, "a trial machine has no memory for page tables");
        return;
    }
    if (!t.ctx->vcpu) {
        struct kvm_vcpu *first = kvm_vcpu_take(t.ctx);
        if (!first) {
            v->rc = -errno;
            snprintf(v->why, sizeof(v->why), "KVM makes no processor as this needs it (Linux 5.16 or newer does): %s", strerror(errno));
            return;
        }
        kvm_vcpu_give(t.ctx, first);
    }
    trial_run(&t, v);
    /* the end of the process takes the machine away */
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
    int fd = kvm_open(why, why_len), rc;

    if (fd < 0) return fd;
    rc = kvm_check_caps(fd, why, why_len);
    close(fd);
    if (rc) return rc;
    rc = trial_in_child(&v);
    if (rc) snprintf(why, why_len, "%s", v.why[0] ? v.why : strerror(-rc));
    else log_debug("kvm: a system call leaves and enters the trial machine in %llu ns", (unsigned long long)v.exit_ns);
    exit_ns = rc ? 0 : v.exit_ns;
    return rc;
}

bool kvm_declines(char *why, size_t why_len)
{
    if (exit_ns <= EXIT_NS_WORTH_IT) return false;
    snprintf(why, why_len, "works, but a system call costs %llu ns here, more than elsewhere; --platform kvm takes it nevertheless",
             (unsigned long long)exit_ns);
    return true;
}
