/* Can guests run under KVM here? What is missing is said in one sentence, with what the user could change. */
#include "platform/kvm/internal.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

int kvm_probe(char *why, size_t why_len)
{
    int fd = kvm_open(why, why_len), rc;

    if (fd < 0) return fd;
    rc = kvm_check_caps(fd, why, why_len);
    close(fd);
    if (!rc) {
        snprintf(why, why_len, "/dev/kvm is there, but this build cannot run guests with it yet");
        rc = -ENOSYS;
    }
    return rc;
}
