/* Can guests run under KVM here? What is missing is said in one sentence, with what the user could change. */
#include "platform/kvm/internal.h"

#include "sentry/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* A trial machine in a child process, so that one that hangs or crashes can be ended. */
#define TRIAL_LIMIT_MS 20000
/* In a virtual machine in a virtual machine an exit can cost 20 us and more; a system call on trap costs 2 to 8. */
#define EXIT_NS_WORTH_IT 8000

static struct kvm_variant found; /* by the last good trial */
static bool have_found;

static int trial_in_child(struct kvm_verdict *v)
{
    int pipe_fd[2], status;
    pid_t pid;

    if (pipe2(pipe_fd, O_CLOEXEC)) return -errno;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        kvm_trial(v);
        _exit(write(pipe_fd[1], v, sizeof(*v)) == sizeof(*v) ? 0 : 1);
    }
    close(pipe_fd[1]);
    if (pid > 0) {
        struct pollfd pfd = { .fd = pipe_fd[0], .events = POLLIN };
        struct kvm_verdict got;
        int n = poll(&pfd, 1, TRIAL_LIMIT_MS);
        if (n == 1 && read(pipe_fd[0], &got, sizeof(got)) == sizeof(got)) *v = got;
        else kvm_refuse(v, n == 1 ? "a trial machine ended its process" : "a trial machine did not answer");
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    close(pipe_fd[0]);
    return pid < 0 ? -EAGAIN : v->rc;
}

int kvm_probe(char *why, size_t why_len)
{
    struct kvm_verdict v = { .rc = 0 };
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
