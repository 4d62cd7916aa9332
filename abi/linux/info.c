/* What the system and its processes look like: uname, sysinfo, resource usage and limits, getrandom, names of the host. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/timers.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/resource.h>

#define RELEASE_26 "2.6.61-sundog"      /* what UNAME26 makes of 6.1 */

sysret_t linux_uname(const struct syscall_args *a)
{
    struct linux_utsname u;
    bool old = current->personality & UNAME26;

    memset(&u, 0, sizeof(u));
    strcpy(u.sysname, "Linux");
    strcpy(u.release, old ? RELEASE_26 : KERNEL_RELEASE);
    strcpy(u.version, KERNEL_VERSION);
    strcpy(u.machine, (current->personality & PER_MASK) == PER_LINUX32 ? "i686" : "x86_64");
    lock(&kernel.uts_lock);
    memcpy(u.nodename, uts_nodename(), sizeof(u.nodename));
    memcpy(u.domainname, uts_domainname(), sizeof(u.domainname));
    unlock(&kernel.uts_lock);
    return copy_out(a->a[0], &u, sizeof(u)) ? -EFAULT : 0;
}

static sysret_t set_uts(const struct syscall_args *a, char *(*field)(void))
{
    char name[65] = "";

    if (!ns_capable(uts_owner(), CAP_SYS_ADMIN)) return -EPERM;
    if (ARG_INT(1) < 0 || ARG_INT(1) > 64) return -EINVAL;
    if (copy_in(name, a->a[0], (size_t)ARG_INT(1))) return -EFAULT;
    lock(&kernel.uts_lock);
    memcpy(field(), name, sizeof(name));
    unlock(&kernel.uts_lock);
    return 0;
}

sysret_t linux_sethostname(const struct syscall_args *a)
{
    return set_uts(a, uts_nodename);
}

sysret_t linux_setdomainname(const struct syscall_args *a)
{
    return set_uts(a, uts_domainname);
}

sysret_t linux_sysinfo(const struct syscall_args *a)
{
    struct linux_sysinfo s = { .mem_unit = 1 };
    u64 used = memfile_resident(), total = kernel_mem_limit() ? kernel_mem_limit() : memfile_size();

    s.uptime = (clock_mono() - kernel.boot_mono + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
    s.totalram = total;
    s.freeram = used < total ? total - used : 0;
    lock(&kernel.tasklist);
    s.procs = (u16)MIN(kernel.nr_tasks, 0xffffu);
    unlock(&kernel.tasklist);
    return copy_out(a->a[0], &s, sizeof(s)) ? -EFAULT : 0;
}

/* --- usage --- */

static struct linux_timeval timeval_of(u64 ns)
{
    return (struct linux_timeval){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) };
}

int linux_copy_out_rusage(gaddr_t p, const struct rusage_acc *ru)
{
    struct linux_rusage u = {
        .utime = timeval_of(ru->utime_ns), .stime = timeval_of(ru->stime_ns), .maxrss = (s64)ru->maxrss_kb,
        .minflt = (s64)ru->min_flt, .majflt = (s64)ru->maj_flt, .inblock = (s64)ru->inblock,
        .oublock = (s64)ru->oublock, .nvcsw = (s64)ru->nvcsw, .nivcsw = (s64)ru->nivcsw,
    };

    return copy_out(p, &u, sizeof(u));
}

sysret_t linux_getrusage(const struct syscall_args *a)
{
    struct task *t = current;
    struct rusage_acc ru = { 0 };

    switch (ARG_INT(0)) {
    case RUSAGE_SELF:
        tgroup_rusage(t->tg, &ru);
        break;
    case RUSAGE_CHILDREN:
        tgroup_rusage_children(t->tg, &ru);
        break;
    case RUSAGE_THREAD:
        task_account(t, &ru.utime_ns, &ru.stime_ns);
        ru.min_flt = t->min_flt;
        ru.maj_flt = t->maj_flt;
        ru.nvcsw = t->nvcsw;
        ru.nivcsw = t->nivcsw;
        if (t->mm) ru.maxrss_kb = atomic_load(&t->mm->rss_hwm) * (GPAGE_SIZE / 1024);
        break;
    default:
        return -EINVAL;
    }
    return linux_copy_out_rusage(a->a[1], &ru) ? -EFAULT : 0;
}

static s64 ticks_of(u64 ns)
{
    return (s64)(ns / (NSEC_PER_SEC / 100));
}

sysret_t linux_times(const struct syscall_args *a)
{
    struct rusage_acc self, kids;

    if (a->a[0]) {
        tgroup_rusage(current->tg, &self);
        tgroup_rusage_children(current->tg, &kids);
        struct linux_tms t = { ticks_of(self.utime_ns), ticks_of(self.stime_ns), ticks_of(kids.utime_ns), ticks_of(kids.stime_ns) };
        if (copy_out(a->a[0], &t, sizeof(t))) return -EFAULT;
    }
    return ticks_of((u64)clock_mono());
}

/* --- limits; the kernel's own numbers are Linux's --- */

sysret_t linux_getrlimit(const struct syscall_args *a)
{
    struct rlimit r;
    sysret_t e = task_prlimit(current, ARG_U32(0) < KRLIM_NLIMITS ? ARG_INT(0) : -1, NULL, &r);

    if (e) return e;
    struct linux_rlimit u = { r.rlim_cur, r.rlim_max };
    return copy_out(a->a[1], &u, sizeof(u)) ? -EFAULT : 0;
}

static sysret_t change_limit(struct task *t, int which, const struct linux_rlimit *new_, struct rlimit *old)
{
    struct rlimit k = { 0, 0 };
    sysret_t r;

    if (new_) k = (struct rlimit){ new_->cur, new_->max };
    r = task_prlimit(t, which, new_ ? &k : NULL, old);
    if (!r && new_ && which == RLIMIT_CPU) ptimers_rlimit_cpu(t->tg);
    return r;
}

sysret_t linux_setrlimit(const struct syscall_args *a)
{
    struct linux_rlimit u;

    if (copy_in(&u, a->a[1], sizeof(u))) return -EFAULT;
    return change_limit(current, ARG_U32(0) < KRLIM_NLIMITS ? ARG_INT(0) : -1, &u, NULL);
}

sysret_t linux_prlimit64(const struct syscall_args *a)
{
    struct linux_rlimit u;
    struct rlimit old;
    struct task *t = current;
    sysret_t r;

    if (a->a[2] && copy_in(&u, a->a[2], sizeof(u))) return -EFAULT;
    if (ARG_INT(0)) {
        if (!(t = task_lookup_get(pid_in(ARG_INT(0))))) return -ESRCH;
    } else {
        task_get(t);
    }
    r = change_limit(t, ARG_U32(1) < KRLIM_NLIMITS ? ARG_INT(1) : -1, a->a[2] ? &u : NULL, &old);
    task_put(t);
    if (r || !a->a[3]) return r;
    u = (struct linux_rlimit){ old.rlim_cur, old.rlim_max };
    return copy_out(a->a[3], &u, sizeof(u)) ? -EFAULT : 0;
}

/* --- odds and ends --- */

sysret_t linux_getrandom(const struct syscall_args *a)
{
    u32 flags = ARG_U32(2);
    u64 len = MIN(a->a[1], (u64)INT32_MAX), done = 0;
    u8 buf[1024];

    if (flags & ~7u) return -EINVAL;
    if ((flags & 6) == 6) return -EINVAL;   /* GRND_INSECURE and GRND_RANDOM exclude each other */
    while (done < len) {
        size_t n = MIN(sizeof(buf), (size_t)(len - done));
        ssize_t got = getrandom(buf, n, 0);
        if (got < 0) return done ? (sysret_t)done : -errno;
        if (copy_out(a->a[0] + done, buf, (size_t)got)) return done ? (sysret_t)done : -EFAULT;
        done += (u64)got;
        if (done < len && signal_pending(current)) break;   /* as Linux: long requests can be interrupted */
    }
    explicit_bzero(buf, sizeof(buf));
    return (sysret_t)done;
}

sysret_t linux_personality(const struct syscall_args *a)
{
    u32 old = current->personality;

    if (ARG_U32(0) != 0xffffffffu) current->personality = ARG_U32(0);
    return old;
}

/* The log of this kernel is empty. Source: syslog(2). */
sysret_t linux_syslog(const struct syscall_args *a)
{
    int type = ARG_INT(0);

    if (type < 0 || type > 10) return -EINVAL;
    if (type != 3 && type != 10 && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN)) return -EPERM;
    switch (type) {
    case 2:
        if (!a->a[1] || ARG_INT(2) < 0) return -EINVAL;
        if (!ARG_INT(2)) return 0;
        while (task_sleep(KTIME_NEVER) == 0)   /* SYSLOG_ACTION_READ waits for a message; none will come */
            ;
        return -ERESTARTSYS;
    case 3: case 4:
        return !a->a[1] || ARG_INT(2) < 0 ? -EINVAL : 0;
    case 8:
        return ARG_INT(2) < 1 || ARG_INT(2) > 8 ? -EINVAL : 0;
    case 10:
        return 1 << 18;
    default:
        return 0;
    }
}

/* sysfs(2): numbers and names of file system types. */
sysret_t linux_sysfs(const struct syscall_args *a)
{
    static const char *const types[] = { "tmpfs", "proc", "sysfs", "devtmpfs", "devpts", "mqueue", "overlay" };
    char name[64];
    ssize_t n;

    switch (ARG_INT(0)) {
    case 1:
        n = copy_in_str(name, a->a[1], sizeof(name));
        if (n == -ENAMETOOLONG) return -EINVAL;
        if (n < 0) return n;
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (!strcmp(types[i], name)) return (sysret_t)i;
        return -EINVAL;
    case 2:
        if (a->a[1] >= ARRAY_LEN(types)) return -EINVAL;
        return copy_out(a->a[2], types[a->a[1]], strlen(types[a->a[1]]) + 1) ? -EFAULT : 0;
    case 3:
        return ARRAY_LEN(types);
    default:
        return -EINVAL;
    }
}
