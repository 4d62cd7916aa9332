/* Zones, resource controls, doors, scheduling classes, locality groups: what libc and programs ask of them. */
#include "abi/solaris/solaris.h"
#include <linux/capability.h>
#include <stdio.h>

/* --- zones: there is one, the global one --- */

enum { ZONE_GETATTR = 2, ZONE_LIST = 4, ZONE_LOOKUP = 6, ZONE_VERSION = 8 };
enum { ZATTR_ROOT = 1, ZATTR_NAME, ZATTR_STATUS, ZATTR_PRIVSET, ZATTR_UNIQID, ZATTR_POOLID, ZATTR_INITPID, ZATTR_SLBL, ZATTR_INITNAME, ZATTR_BOOTARGS,
       ZATTR_BRAND };

static sysret_t attr_out(gaddr_t buf, u64 n, const void *v, size_t len)
{
    if (buf && n && copy_out(buf, v, MIN(n, len))) return -EFAULT;
    return (sysret_t)len;
}

static sysret_t zone_getattr(s32 id, int attr, gaddr_t buf, u64 n)
{
    s32 v32;
    u64 v64;

    if (id) return -EINVAL;
    switch (attr) {
    case ZATTR_ROOT: return attr_out(buf, n, "/", 2);
    case ZATTR_NAME: return attr_out(buf, n, "global", 7);
    case ZATTR_STATUS: v32 = 4; return attr_out(buf, n, &v32, sizeof(v32));   /* ZONE_IS_RUNNING */
    case ZATTR_UNIQID: v64 = 0; return attr_out(buf, n, &v64, sizeof(v64));
    case ZATTR_POOLID: v32 = 0; return attr_out(buf, n, &v32, sizeof(v32));
    case ZATTR_INITPID: v32 = 1; return attr_out(buf, n, &v32, sizeof(v32));
    case ZATTR_INITNAME: return attr_out(buf, n, "/sbin/init", 11);
    case ZATTR_BOOTARGS: return attr_out(buf, n, "", 1);
    case ZATTR_BRAND: return attr_out(buf, n, "native", 7);
    default: return -EINVAL;
    }
}

/* zone(op, a1..a4) */
sysret_t solaris_zone(const struct syscall_args *a)
{
    char name[65];
    u32 n, one = 1;
    s32 zero = 0;
    ssize_t r;

    switch (ARG_INT(0)) {
    case ZONE_GETATTR:
        return zone_getattr(ARG_INT(1), ARG_INT(2), a->a[3], a->a[4]);
    case ZONE_LIST:
        if (copy_in(&n, a->a[2], sizeof(n)) || copy_out(a->a[2], &one, sizeof(one))) return -EFAULT;
        return n && a->a[1] && copy_out(a->a[1], &zero, sizeof(zero)) ? -EFAULT : 0;
    case ZONE_LOOKUP:
        if (!a->a[1]) return 0;
        r = copy_in_str(name, a->a[1], sizeof(name));
        if (r < 0) return r == -ENAMETOOLONG ? -EINVAL : r;
        return strcmp(name, "global") ? -EINVAL : 0;
    case 0: case 1: case 3: case 5: case 7: case 9: case 10: case 11: case 12: case 13:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

/* --- resource controls --- */

static const struct { const char *name; int limit; } rctls[] = {
    { "process.max-cpu-time", RLIMIT_CPU }, { "process.max-file-size", RLIMIT_FSIZE }, { "process.max-data-size", RLIMIT_DATA },
    { "process.max-stack-size", RLIMIT_STACK }, { "process.max-core-size", RLIMIT_CORE }, { "process.max-file-descriptor", RLIMIT_NOFILE },
    { "process.max-address-space", RLIMIT_AS }, { "process.max-sigqueue-size", RLIMIT_SIGPENDING },
};
#define RCPRIV_BASIC 0x01000000u
#define RCPRIV_PRIVILEGED 0x04000000u
#define RCTL_LOCAL_DENY 2u

/* getrctl(name, old, new, FIRST 0 | NEXT 1 | USAGE 2): a limit shows as a basic value (soft) and a privileged one (hard). */
static sysret_t getrctl(const char *name, gaddr_t old, gaddr_t new_, u32 flags)
{
    struct sol_rctlblk b;
    struct rlimit lim;
    bool second = false;
    sysret_t r;

    if ((flags & 3) == 3) return -EINVAL;
    if (!new_) return -EFAULT;
    for (size_t i = 0; i < ARRAY_LEN(rctls); i++) {
        if (strcmp(rctls[i].name, name)) continue;
        if ((flags & 3) == 2) return -EOPNOTSUPP;
        if (flags & 1) {
            if (copy_in(&b, old, sizeof(b))) return -EFAULT;
            if (b.privilege != RCPRIV_BASIC) return -ENOENT;
            second = true;
        }
        if ((r = task_prlimit(current, rctls[i].limit, NULL, &lim))) return r;
        rlim_t v = second ? lim.rlim_max : lim.rlim_cur;
        memset(&b, 0, sizeof(b));
        b.value = b.enforced = v == RLIM_INFINITY ? INT64_MAX : v;
        b.privilege = second ? RCPRIV_PRIVILEGED : RCPRIV_BASIC;
        b.local_action = RCTL_LOCAL_DENY | (v == RLIM_INFINITY ? 0x80000000u : 0);
        b.recipient = current->tg->tgid;
        return copy_out(new_, &b, sizeof(b));
    }
    /* Controls of zones, projects and tasks that have no value set. */
    if (!strncmp(name, "zone.", 5) || !strncmp(name, "project.", 8) || !strncmp(name, "task.", 5) || !strncmp(name, "process.", 8)) return -ESRCH;
    return -EINVAL;
}

static sysret_t rctl_list(gaddr_t buf, u64 size)
{
    char all[512];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(rctls); i++) n += (size_t)snprintf(all + n, sizeof(all) - n, "%s", rctls[i].name) + 1;
    if (buf && size && copy_out(buf, all, MIN(n, size))) return -EFAULT;
    return (sysret_t)n;
}

/* rctlsys(op, name, old, new, size, flags): 0 get, 1 set, 2 list, 3 ctl, 4 projset */
sysret_t solaris_rctlsys(const struct syscall_args *a)
{
    char name[65] = "";
    ssize_t n;

    if (ARG_INT(0) < 0 || ARG_INT(0) > 4) return -EINVAL;
    if (ARG_INT(0) == 2) return rctl_list(a->a[2], a->a[4]);
    if (ARG_INT(0) == 4) return -EPERM;
    n = copy_in_str(name, a->a[1], sizeof(name));
    if (n < 0) return n == -ENAMETOOLONG ? -EINVAL : n;
    if (ARG_INT(0) == 0) return getrctl(name, a->a[2], a->a[3], ARG_U32(5));
    return -EPERM;
}

/* tasksys(op, projid, flags, buf, n): everything is in task 0 of project 0 (system) */
sysret_t solaris_tasksys(const struct syscall_args *a)
{
    u32 zero = 0;

    switch (ARG_INT(0)) {
    case 0: return -EPERM;
    case 1: case 2: return 0;
    case 3: return a->a[4] && copy_out(a->a[3], &zero, sizeof(zero)) ? -EFAULT : 1;
    default: return -EINVAL;
    }
}

/* --- doors: there is no server behind any of them, so a descriptor is never a door --- */

enum { DOOR_CREATE, DOOR_REVOKE, DOOR_INFO, DOOR_CALL, DOOR_BIND = 6, DOOR_UNBIND, DOOR_UNREFSYS, DOOR_UCRED, DOOR_RETURN, DOOR_GETPARAM, DOOR_SETPARAM };

/* door(a1..a5, op): the operation is the sixth argument */
sysret_t solaris_door(const struct syscall_args *a)
{
    switch (ARG_INT(5)) {
    case DOOR_REVOKE: case DOOR_INFO: case DOOR_CALL: case DOOR_BIND: case DOOR_GETPARAM: case DOOR_SETPARAM:
        return -EBADF;
    case DOOR_UNBIND:
        return -EBADF;
    case DOOR_UCRED: case DOOR_RETURN:
        return -EINVAL;
    case DOOR_CREATE:
        return ARG_U32(2) & ~0xf9u ? -EINVAL : -EOPNOTSUPP;
    case DOOR_UNREFSYS:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

/* --- scheduling --- */

/* nice(incr) */
sysret_t solaris_nice(const struct syscall_args *a)
{
    int incr = ARG_INT(0) > 40 ? 40 : ARG_INT(0) < -40 ? -40 : ARG_INT(0), n = current->nice + incr;

    if (incr < 0 && !capable(CAP_SYS_NICE)) return -EPERM;
    atomic_store(&current->nice, n > 19 ? 19 : n < -20 ? -20 : n);
    return current->nice;
}

/* lgrpsys(op, ...): one locality group, 0 */
sysret_t solaris_lgrpsys(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 1: case 2: case 4: case 7: return ARG_INT(0) == 2 ? 2 : 0;   /* generation, version, affinity, home */
    default: return -EINVAL;
    }
}

static sysret_t core_path(const char *path, gaddr_t buf, u64 n)
{
    size_t len = strlen(path) + 1;

    return n && copy_out(buf, path, MIN(n, len)) ? -EFAULT : 0;
}

/*
 * corectl(op, a1, a2, a3): no core files are written: no option is on, no content is chosen. The pattern of a process is the
 * system's default, which nobody may change.
 */
sysret_t solaris_corectl(const struct syscall_args *a)
{
    u64 none = 0;
    struct task *t;

    switch (ARG_INT(0)) {
    case 1: case 3: case 5: case 7: case 9: case 11: case 13: return -EPERM;     /* the settings */
    case 2: return 0;                                                             /* CC_GET_OPTIONS */
    case 4: case 12: return core_path(ARG_INT(0) == 4 ? "" : "core", a->a[1], a->a[2]);
    case 6:                                                                       /* CC_GET_PROCESS_PATH(buf, n, pid) */
        if (ARG_INT(3) != -1) {
            if (!(t = task_lookup_get(ARG_INT(3)))) return -ESRCH;
            task_put(t);
        }
        return core_path("core", a->a[1], a->a[2]);
    case 8: case 10: case 14: return copy_out(a->a[1], &none, sizeof(none));      /* the contents */
    default: return -EINVAL;
    }
}

/* uadmin(cmd, fcn, mdep): would stop the machine; a cmd that nobody knows is wrong for everybody. */
sysret_t solaris_uadmin(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 1: case 2: case 3: case 4: case 5: case 8: case 11: case 16: case 22: return -EPERM;   /* A_REBOOT ... A_SDTTEST */
    default: return -EINVAL;
    }
}

/* Once for login(1); nothing hangs up. */
sysret_t solaris_vhangup(const struct syscall_args *a)
{
    (void)a;
    return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

sysret_t solaris_sync(const struct syscall_args *a)
{
    (void)a;
    return 0;   /* data of host files is in the host's page cache; the sentry keeps none of it */
}

sysret_t solaris_sysi86(const struct syscall_args *a)
{
    (void)a;
    return -EINVAL;
}
