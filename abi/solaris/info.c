/* What the system and its processes look like: uname, systeminfo, sysconfig, limits, usage. */
#include "abi/solaris/solaris.h"
#include "sentry/mm/memfile.h"
#include <linux/capability.h>
#include <stdio.h>
#include <sys/random.h>

static void nodename(char out[257])
{
    lock(&kernel.uts_lock);
    snprintf(out, 257, "%.*s", (int)sizeof(kernel.nodename), uts_nodename());
    unlock(&kernel.uts_lock);
}

static void fill_uname(struct sol_utsname *u)
{
    memset(u, 0, sizeof(*u));
    strcpy(u->sysname, "SunOS");
    nodename(u->nodename);
    strcpy(u->release, SOL_RELEASE);
    strcpy(u->version, SOL_VERSION);
    strcpy(u->machine, "i86pc");
}

sysret_t solaris_uname(const struct syscall_args *a)
{
    struct sol_utsname u;

    fill_uname(&u);
    return copy_out(a->a[0], &u, sizeof(u));
}

/* utssys(buf, arg, type, outp): 0 the uname of old (five times nine bytes), 2 ustat, 3 fusers */
sysret_t solaris_utssys(const struct syscall_args *a)
{
    struct sol_utsname u;
    char old[5][9];

    switch (ARG_INT(2)) {
    case 0:
        fill_uname(&u);
        memset(old, 0, sizeof(old));
        const char *f[5] = { u.sysname, u.nodename, u.release, u.version, u.machine };
        for (int i = 0; i < 5; i++) snprintf(old[i], sizeof(old[i]), "%s", f[i]);
        return copy_out(a->a[0], old, sizeof(old));
    case 2: case 3: return -ENOSYS;
    default: return -EINVAL;
    }
}

/* systeminfo(cmd, buf, n): length with the NUL, even when cut. */
sysret_t solaris_systeminfo(const struct syscall_args *a)
{
    char text[257] = "";
    size_t len, n;

    switch (ARG_INT(0)) {
    case 1: strcpy(text, "SunOS"); break;
    case 2: nodename(text); break;
    case 3: strcpy(text, SOL_RELEASE); break;
    case 4: strcpy(text, SOL_VERSION); break;
    case 5: case 513: strcpy(text, "i86pc"); break;
    case 6: case 516: strcpy(text, "i386"); break;
    case 7: strcpy(text, "1398098758"); break;    /* a made-up hostid, the same everywhere */
    case 8: strcpy(text, "sundog"); break;
    case 9:
        lock(&kernel.uts_lock);
        snprintf(text, sizeof(text), "%.*s", (int)sizeof(kernel.domainname), uts_domainname());
        unlock(&kernel.uts_lock);
        if (!strcmp(text, "(none)")) text[0] = 0;
        break;
    case 514: strcpy(text, "amd64 pentium_pro+mmx pentium_pro pentium+mmx pentium i486 i386 i86"); break;
    case 517: case 518: case 519: strcpy(text, "amd64"); break;
    case 258: case 265: {
        char set[65];
        ssize_t r;
        if (!capable(CAP_SYS_ADMIN)) return -EPERM;
        r = copy_in_str(set, a->a[1], sizeof(set));
        if (r == -ENAMETOOLONG) return -EINVAL;
        if (r < 0) return r;
        lock(&kernel.uts_lock);
        char *to = ARG_INT(0) == 258 ? uts_nodename() : uts_domainname();
        memset(to, 0, 65);
        memcpy(to, set, (size_t)r);
        unlock(&kernel.uts_lock);
        return r + 1;
    }
    default: return -EINVAL;
    }
    if ((s64)a->a[2] < 1) return -EINVAL;
    len = strlen(text) + 1;
    n = MIN(len, (size_t)a->a[2]);
    if (n < len) text[n - 1] = 0;
    return copy_out(a->a[1], text, n) ? -EFAULT : (sysret_t)len;
}

/* sysconfig(which): _CONFIG_* of sys/sysconfig.h */
sysret_t solaris_sysconfig(const struct syscall_args *a)
{
    u64 total = kernel_mem_limit() ? kernel_mem_limit() : memfile_size(), used = memfile_resident(), lim;

    switch (ARG_INT(0)) {
    case 2: return 1024;                     /* NGROUPS */
    case 3: return (sysret_t)MIN(current_rlimit(RLIMIT_NPROC), (u64)30000);
    case 4: lim = current_rlimit(RLIMIT_NOFILE); return lim > INT32_MAX ? INT32_MAX : (sysret_t)lim;
    case 5: return 200112;
    case 6: return GPAGE_SIZE;
    case 7: return 100;
    case 8: return 4;                        /* XOPEN_VERSION */
    case 10: return 100;                     /* PROF_TCK */
    case 11: case 12: case 44: return kernel_ncpus();
    case 13: return 4096;                    /* AIO_LISTIO_MAX */
    case 14: return -1;                      /* AIO_MAX: no limit */
    case 15: return 0;
    case 16: return INT32_MAX;
    case 17: return -1;
    case 18: return 32;
    case 19: return 32;                      /* RTSIG_MAX */
    case 20: return INT32_MAX;
    case 21: return INT32_MAX;
    case 22: return 128;                     /* SIGQUEUE_MAX */
    case 23: return 42;
    case 24: return 73;
    case 25: return 32;                      /* TIMER_MAX */
    case 26: return (sysret_t)(total >> GPAGE_SHIFT);
    case 27: return (sysret_t)((total - MIN(used, total)) >> GPAGE_SHIFT);
    case 28: return 1;                       /* caches coherent */
    case 29: return 0;
    case 30: case 31: case 32: case 33: case 34: case 35: case 36: case 37: case 38: return 0;   /* cache geometry: not told */
    case 42: return 30000;                   /* MAXPID */
    case 43: return 3;                        /* stacks are readable and writable */
    case 45: return kernel_ncpus() - 1;
    case 46: return 40;                      /* SYMLOOP_MAX */
    case 47: return INT32_MAX;
    default: return -EINVAL;
    }
}

/* --- limits --- */

#define SOL_RLIM_INFINITY 0xfffffffffffffffdULL
#define SOL_RLIM_SAVED_MAX 0xfffffffffffffffeULL
#define SOL_RLIM_SAVED_CUR 0xffffffffffffffffULL

static int limit_in(u32 which)
{
    static const int map[] = { RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_AS };
    return which < ARRAY_LEN(map) ? map[which] : -1;
}

static u64 rlim_out(rlim_t v) { return v == RLIM_INFINITY ? SOL_RLIM_INFINITY : v; }
static rlim_t rlim_in(u64 v, rlim_t cur, rlim_t max)
{
    if (v == SOL_RLIM_SAVED_CUR) return cur;
    if (v == SOL_RLIM_SAVED_MAX) return max;
    return v >= SOL_RLIM_INFINITY ? RLIM_INFINITY : v;
}

sysret_t solaris_getrlimit(const struct syscall_args *a)
{
    struct rlimit r;
    sysret_t e = task_prlimit(current, limit_in(ARG_U32(0)), NULL, &r);

    if (e) return e;
    struct sol_rlimit u = { rlim_out(r.rlim_cur), rlim_out(r.rlim_max) };
    return copy_out(a->a[1], &u, sizeof(u));
}

sysret_t solaris_setrlimit(const struct syscall_args *a)
{
    int which = limit_in(ARG_U32(0));
    struct sol_rlimit u;
    struct rlimit old, k;
    sysret_t e;

    if (copy_in(&u, a->a[1], sizeof(u))) return -EFAULT;
    if ((e = task_prlimit(current, which, NULL, &old))) return e;
    k = (struct rlimit){ rlim_in(u.cur, old.rlim_cur, old.rlim_max), rlim_in(u.max, old.rlim_cur, old.rlim_max) };
    e = task_prlimit(current, which, &k, NULL);
    if (!e && which == RLIMIT_CPU) ptimers_rlimit_cpu(current->tg);
    return e;
}

/* --- usage --- */

static struct sol_timeval tv_of(u64 ns) { return (struct sol_timeval){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) }; }

/* rusagesys(op, buf): 0 self, 1 children, 2 this LWP */
sysret_t solaris_rusagesys(const struct syscall_args *a)
{
    struct task *t = current;
    struct rusage_acc ru = { 0 };

    switch (ARG_INT(0)) {
    case 0: tgroup_rusage(t->tg, &ru); break;
    case 1: tgroup_rusage_children(t->tg, &ru); break;
    case 2:
        task_account(t, &ru.utime_ns, &ru.stime_ns);
        ru.min_flt = t->min_flt;
        ru.maj_flt = t->maj_flt;
        ru.nvcsw = t->nvcsw;
        ru.nivcsw = t->nivcsw;
        break;
    default: return -EINVAL;
    }
    struct sol_rusage u = {
        .utime = tv_of(ru.utime_ns), .stime = tv_of(ru.stime_ns), .maxrss = (s64)ru.maxrss_kb / 4, .minflt = (s64)ru.min_flt,
        .majflt = (s64)ru.maj_flt, .inblock = (s64)ru.inblock, .oublock = (s64)ru.oublock, .nvcsw = (s64)ru.nvcsw, .nivcsw = (s64)ru.nivcsw,
    };
    return copy_out(a->a[1], &u, sizeof(u));
}

static s64 ticks_of(u64 ns) { return (s64)(ns / (NSEC_PER_SEC / 100)); }

sysret_t solaris_times(const struct syscall_args *a)
{
    struct rusage_acc self, kids;

    tgroup_rusage(current->tg, &self);
    tgroup_rusage_children(current->tg, &kids);
    struct sol_tms t = { ticks_of(self.utime_ns), ticks_of(self.stime_ns), ticks_of(kids.utime_ns), ticks_of(kids.stime_ns) };
    return copy_out(a->a[0], &t, sizeof(t)) ? -EFAULT : ticks_of((u64)clock_mono());
}

/* getrandom(buf, n, flags): 1 nonblock, 2 random; at most 1024 bytes of the latter on illumos, no limit here */
sysret_t solaris_getrandom(const struct syscall_args *a)
{
    u64 len = MIN(a->a[1], (u64)INT32_MAX), done = 0;
    u8 buf[1024];

    if (ARG_U32(2) & ~3u) return -EINVAL;
    while (done < len) {
        size_t n = MIN(sizeof(buf), (size_t)(len - done));
        ssize_t got = getrandom(buf, n, 0);
        if (got < 0) return done ? (sysret_t)done : -errno;
        if (copy_out(a->a[0] + done, buf, (size_t)got)) return done ? (sysret_t)done : -EFAULT;
        done += (u64)got;
        if (done < len && signal_pending(current)) break;
    }
    explicit_bzero(buf, sizeof(buf));
    return (sysret_t)done;
}

sysret_t solaris_getloadavg(const struct syscall_args *a)
{
    s32 v[3] = { 0, 0, 0 };
    int n = ARG_INT(1);

    if (n < 0 || n > 3) return -EINVAL;
    return n && copy_out(a->a[0], v, (size_t)n * 4) ? -EFAULT : n;
}

/* --- processors --- */

/* p_online(cpu, flag): 3 asks for the status; 2 is on line */
sysret_t solaris_p_online(const struct syscall_args *a)
{
    if (ARG_U32(0) >= kernel_ncpus()) return -EINVAL;
    return ARG_INT(1) == 3 || ARG_INT(1) == 2 ? 2 : ARG_INT(1) >= 1 && ARG_INT(1) <= 6 ? -EPERM : -EINVAL;
}

sysret_t solaris_processor_info(const struct syscall_args *a)
{
    struct { s32 state; char type[16], fpu[32]; s32 clock; } i;

    if (ARG_U32(0) >= kernel_ncpus()) return -EINVAL;
    memset(&i, 0, sizeof(i));
    i.state = 2;
    strcpy(i.type, "i386");
    strcpy(i.fpu, "i387 compatible");
    i.clock = 2000;
    return copy_out(a->a[1], &i, sizeof(i));
}

/* processor_bind(idtype, id, cpu, *old): nothing is ever bound; PBIND_NONE -1, PBIND_QUERY -2 */
sysret_t solaris_processor_bind(const struct syscall_args *a)
{
    s32 none = -1, cpu = ARG_INT(2);
    struct task *t;

    if (cpu != -1 && cpu != -2 && (u32)cpu >= kernel_ncpus()) return -EINVAL;
    switch (ARG_INT(0)) {
    case 0:                              /* P_PID */
        if (ARG_INT(1) == -1) break;
        if (!(t = task_lookup_get(ARG_INT(1)))) return -ESRCH;
        task_put(t);
        break;
    case 8:                              /* P_LWPID */
        if (ARG_INT(1) == -1) break;
        if (!(t = sol_lwp_task_get(ARG_INT(1)))) return -ESRCH;
        task_put(t);
        break;
    case 4: case 5: case 6: case 7: case 9: case 10: break;   /* P_TASKID P_PROJID ... P_ALL P_ZONEID */
    default: return -EINVAL;
    }
    if (cpu != -1 && cpu != -2) return -EPERM;
    return a->a[3] ? copy_out(a->a[3], &none, sizeof(none)) : 0;
}

/* ulimit(cmd, limit): 1 get and 2 set the file size in 512-byte units, 3 the highest break, 4 open files */
sysret_t solaris_ulimit(const struct syscall_args *a)
{
    struct rlimit r;
    sysret_t e;

    switch (ARG_INT(0)) {
    case 1: case 2:
        if ((e = task_prlimit(current, RLIMIT_FSIZE, NULL, &r))) return e;
        if (ARG_INT(0) == 2) {
            if ((s64)a->a[1] < 0) return -EINVAL;
            r.rlim_cur = r.rlim_max = a->a[1] >= (1ULL << 53) ? RLIM_INFINITY : a->a[1] * 512;
            if ((e = task_prlimit(current, RLIMIT_FSIZE, &r, NULL))) return e;
        }
        return r.rlim_cur == RLIM_INFINITY ? INT64_MAX / 512 : (sysret_t)(r.rlim_cur / 512);
    case 3: return (sysret_t)current->mm->mmap_top;
    case 4: return (sysret_t)MIN(current_rlimit(RLIMIT_NOFILE), (u64)INT32_MAX);
    default: return -EINVAL;
    }
}
