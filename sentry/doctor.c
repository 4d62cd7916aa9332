/* What `sundog doctor` prints: each platform tried on this machine, what it costs, what `auto` takes, what would help. */
#include "sentry/doctor.h"
#include "platform/platform.h"

#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define HWCAP2_FSGSBASE_ 2

struct finding {
    const struct platform_ops *ops;
    int rc;                     /* of the probe */
    char why[256];
    char findings[320];         /* "": nothing to say */
    bool measured;
    struct platform_costs cost;
};

struct host {
    struct utsname uts;
    char cpu[64];
    int ncpus;
    bool fsgsbase, kvm_there, kvm_open, hypervisor;
    int userns;                 /* errno of making a user namespace, 0: it works */
    int landlock;               /* version, or -errno */
};

/* What the sandbox of an ordinary user is made of, beside the system-call filters. user_namespaces(7), landlock(7) */
static int try_user_namespace(void)
{
    int status;
    pid_t pid = fork();

    if (pid < 0) return errno;
    if (pid == 0) _exit(unshare(CLONE_NEWUSER) ? errno : 0);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static long knob(const char *file)
{
    long v = -1;
    FILE *f = fopen(file, "re");

    if (!f) return -1;
    if (fscanf(f, "%ld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

static const char *user_namespace_advice(int err)
{
    if (knob("/proc/sys/user/max_user_namespaces") == 0)
        return "User namespaces are switched off: sysctl user.max_user_namespaces=15000 lets the sentry and the gofer have their own.";
    if (knob("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return "User namespaces are for root only: sysctl kernel.unprivileged_userns_clone=1 lets the sentry and the gofer have their own.";
    if (knob("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        return "AppArmor keeps user namespaces from ordinary users: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for "
               "sundog, lets the sentry and the gofer have their own.";
    if (err == ENOSPC) return "There are as many user namespaces as sysctl user.max_user_namespaces allows: raise it.";
    return "The host refuses user namespaces (a filter or a container around sundog, it seems): the sentry and the gofer have only their "
           "system-call filters around them, and Landlock where the kernel has it.";
}

static const char *landlock_advice(int version)
{
    return version == -EOPNOTSUPP ? "Landlock is in the kernel but off: add landlock to the boot parameter lsm=, and the gofer is kept to the shown directories twice."
         : version == -ENOSYS ? "The kernel has no Landlock (CONFIG_SECURITY_LANDLOCK): without user namespaces nothing but its filter keeps the gofer to the shown directories."
         : "Landlock cannot be used here (a filter around sundog refuses it).";
}

static void look_at_host(struct host *h)
{
    u32 regs[12], a, b, c = 0, d;
    cpu_set_t set;

    memset(h, 0, sizeof(*h));
    uname(&h->uts);
    strcpy(h->cpu, "unknown processor");
    if (__get_cpuid(0x80000002, &regs[0], &regs[1], &regs[2], &regs[3]) && __get_cpuid(0x80000003, &regs[4], &regs[5], &regs[6], &regs[7]) &&
        __get_cpuid(0x80000004, &regs[8], &regs[9], &regs[10], &regs[11])) {
        memcpy(h->cpu, regs, 48);
        h->cpu[48] = 0;
        for (size_t n = strlen(h->cpu); n && h->cpu[n - 1] == ' ';) h->cpu[--n] = 0;
    }
    if (__get_cpuid(1, &a, &b, &c, &d)) h->hypervisor = c >> 31;
    h->ncpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
    h->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_;
    h->kvm_there = access("/dev/kvm", F_OK) == 0;
    h->kvm_open = access("/dev/kvm", R_OK | W_OK) == 0;
    h->userns = try_user_namespace();
    h->landlock = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    if (h->landlock < 0) h->landlock = -errno;
}

/* What the user could change. Each is one sentence; NULL ends. */
static unsigned advice(const struct host *h, const struct finding *f, unsigned n, const char **out)
{
    unsigned k = 0;
    bool kvm = false, trap = false;

    for (unsigned i = 0; i < n; i++) {
        if (!strcmp(f[i].ops->name, "kvm")) kvm = f[i].rc == 0;
        if (!strcmp(f[i].ops->name, "trap")) trap = f[i].rc == 0;
    }
    if (!kvm && !h->kvm_there)
        out[k++] = h->hypervisor ? "This is a virtual machine without /dev/kvm: kvm needs nested virtualisation, which its host must switch on."
                                 : "There is no /dev/kvm: switch virtualisation on in the firmware, and load kvm_intel or kvm_amd.";
    else if (!kvm && !h->kvm_open)
        out[k++] = "/dev/kvm is there but not open to you: join its group (mostly kvm), or have its permissions changed.";
    if (trap && !h->fsgsbase)
        out[k++] = "The processor's FSGSBASE instructions are not enabled: trap makes one more host call where a thread starts. A kernel "
                   "from 5.9 on enables them if the machine, or its hypervisor, shows them.";
    if (h->ncpus < 2) out[k++] = "There is one CPU only: sentry and guest take turns on it, and spinning, which saves most of a call, does not pay.";
    if (h->userns) out[k++] = user_namespace_advice(h->userns);
    if (h->userns && h->landlock < 0) out[k++] = landlock_advice(h->landlock);
    if (!trap && !kvm) out[k++] = "Only ptrace is left, which works everywhere and is the slowest.";
    out[k] = NULL;
    return k;
}

static void print_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') putchar('\\');
        if ((u8)*s >= 0x20) putchar(*s);
    }
    putchar('"');
}

static void print_json(const struct host *h, const struct finding *f, unsigned n, const char *choice, const char **todo)
{
    printf("{\"kernel\":");
    print_string(h->uts.release);
    printf(",\"cpu\":");
    print_string(h->cpu);
    printf(",\"cpus\":%d,\"virtual\":%s,\"fsgsbase\":%s,\"kvm_device\":%s,\"user_namespaces\":%s,\"landlock\":%d,\"platforms\":[", h->ncpus, h->hypervisor ? "true" : "false",
           h->fsgsbase ? "true" : "false", h->kvm_open ? "\"open\"" : h->kvm_there ? "\"closed\"" : "null",
           h->userns ? "false" : "true", MAX(h->landlock, 0));
    for (unsigned i = 0; i < n; i++) {
        printf("%s\n{\"name\":\"%s\",\"works\":%s", i ? "," : "", f[i].ops->name, f[i].rc ? "false" : "true");
        if (f[i].rc) {
            printf(",\"why\":");
            print_string(f[i].why);
        }
        if (f[i].findings[0]) {
            printf(",\"findings\":");
            print_string(f[i].findings);
        }
        if (f[i].measured)
            printf(",\"call_ns\":%lu,\"fault_ns\":%lu,\"space_ns\":%lu,\"start_ns\":%lu", f[i].cost.call_ns, f[i].cost.fault_ns,
                   f[i].cost.space_ns, f[i].cost.start_ns);
        printf("}");
    }
    printf("\n],\"auto\":");
    if (choice) print_string(choice);
    else printf("null");
    printf(",\"advice\":[");
    for (unsigned i = 0; todo[i]; i++) {
        printf("%s\n", i ? "," : "");
        print_string(todo[i]);
    }
    printf("\n]}\n");
}

static void print_text(const struct host *h, const struct finding *f, unsigned n, const char *choice, const char **todo)
{
    printf("host      Linux %s, %s%s, %d CPU%s to use\n", h->uts.release, h->cpu, h->hypervisor ? " (virtual machine)" : "", h->ncpus,
           h->ncpus == 1 ? "" : "s");
    printf("around    user namespaces: %s; Landlock: %s", h->userns ? strerror(h->userns) : "yes", h->landlock < 0 ? strerror(-h->landlock) : "version ");
    if (h->landlock >= 0) printf("%d", h->landlock);
    printf("\n\n%-9s %-6s %13s %13s %13s %13s\n", "platform", "works", "system call", "page fault", "new process", "start-up");
    for (unsigned i = 0; i < n; i++) {
        if (f[i].measured)
            printf("%-9s %-6s %10.2f us %10.2f us %10.1f us %10.1f us\n", f[i].ops->name, "yes", (double)f[i].cost.call_ns / 1e3,
                   (double)f[i].cost.fault_ns / 1e3, (double)f[i].cost.space_ns / 1e3, (double)f[i].cost.start_ns / 1e3);
        else
            printf("%-9s %-6s %s\n", f[i].ops->name, f[i].rc ? "no" : "yes", f[i].rc ? f[i].why : "costs could not be measured");
    }
    for (unsigned i = 0; i < n; i++)
        if (f[i].findings[0]) printf("\n%s here: %s.\n", f[i].ops->name, f[i].findings);
    printf("\n--platform auto takes %s.\n", choice ? choice : "nothing: no platform works here");
    for (unsigned i = 0; i < n; i++)
        if (!f[i].rc && f[i].why[0]) printf("%s %s.\n", f[i].ops->name, f[i].why);
    printf("A system call is the bare hand-over from the guest to the sentry and back, before call sites are patched; the figures are\n"
           "medians of a fraction of a second, on the machine as loaded as it is.\n");
    for (unsigned i = 0; todo[i]; i++) printf("%s- %s\n", i ? "" : "\n", todo[i]);
}

int doctor(bool json)
{
    static struct finding f[8];
    const char *choice = NULL, *todo[10];
    struct host h;
    unsigned n = 0;

    look_at_host(&h);
    for (const struct platform_ops *ops; n < ARRAY_LEN(f) && (ops = platform_by_index(n)); n++) {
        f[n].ops = ops;
        f[n].rc = ops->probe(f[n].why, sizeof(f[n].why));
        if (f[n].rc) continue;
        if (ops->findings) ops->findings(f[n].findings, sizeof(f[n].findings));
        f[n].measured = platform_measure(ops, (unsigned)h.ncpus, &f[n].cost) == 0;
        if (!choice && !(ops->declines && ops->declines(f[n].why, sizeof(f[n].why)))) choice = ops->name;
    }
    advice(&h, f, n, todo);
    if (json) print_json(&h, f, n, choice, todo);
    else print_text(&h, f, n, choice, todo);
    return fflush(stdout) || !choice ? 1 : 0;
}
