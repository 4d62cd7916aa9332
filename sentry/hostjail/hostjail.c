/* The stages before the filter. */
#include "sentry/hostjail/hostjail.h"
#include "sentry/base/log.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FD_TABLE 4096   /* 8 bytes each */

/*
 * Stage 1, limits. Should: hold as many descriptors as the host allows, since each guest file may cost one.
 * Mustn't: leave guest memory behind in a core file.
 */
static int stage_limits(void)
{
    struct rlimit rl = { 0, 0 };
    if (setrlimit(RLIMIT_CORE, &rl)) return -errno;
    if (getrlimit(RLIMIT_NOFILE, &rl)) return -errno;
    rl.rlim_cur = rl.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &rl)) return -errno;
    /*
     * The table of descriptors grows by doubling, and where threads share it each growth waits for a grace period of RCU: 4 to
     * 20 ms, the first with the 65th descriptor. With one thread it costs nothing.
     */
    int fd = open("/", O_PATH | O_CLOEXEC), high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, (int)MIN(rl.rlim_cur, (rlim_t)FD_TABLE) - 1);
    if (fd >= 0) close(fd);
    if (high >= 0) close(high);
    return 0;
}

/* A directory that is empty and, once it is removed, in which nothing can ever be made. */
static int chroot_nowhere(void)
{
    char dir[] = "/tmp/sundog-empty-XXXXXX";
    if (!mkdtemp(dir)) return -errno;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 ? -errno : 0;
    rmdir(dir);
    if (err) return err;
    if (fchdir(fd) || chroot(".") || chdir("/")) err = -errno;
    close(fd);
    return err;
}

/* A mount namespace with a read-only, empty tmpfs as its only mount. */
static int pivot_to_nothing(void)
{
    if (unshare(CLONE_NEWNS)) return -errno;
    /* nothing done here may reach the host's namespace */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return -errno;
    const char *at = "/proc"; /* any directory that exists everywhere; the mount goes away with the old root */
    if (mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=0555")) return -errno;
    if (chdir(at)) return -errno;
    /* pivot_root(".", "."): the old root is stacked below the new one and detached (pivot_root(2)) */
    if (syscall(SYS_pivot_root, ".", ".")) return -errno;
    if (umount2(".", MNT_DETACH) || chdir("/")) return -errno;
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return -errno;
    return 0;
}

/*
 * Stage 2, view. Should: use the descriptors it holds. Mustn't: name any host file, even through a hole in the filter.
 * 1: the host permits neither way.
 */
static int stage_root(void)
{
    int err = pivot_to_nothing();
    if (!err) return 0;
    log_debug("no private mount namespace (%s)", strerror(-err));
    err = chroot_nowhere();
    if (!err) return 0;
    log_debug("no chroot either (%s)", strerror(-err));
    return 1;
}

/* Rights of later kernels than the headers here know. */
#define LL_REFER (1ULL << 13)
#define LL_TRUNCATE (1ULL << 14)
#define LL_IOCTL_DEV (1ULL << 15)

/*
 * Stage 2b, view without privilege. Should: reach what lies beneath the named trees. Mustn't: open, make or remove
 * anything else. Landlock needs no_new_privs only. A kernel without it leaves the filter alone to close off paths.
 */
static int stage_landlock(const struct hostjail_opts *o)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) {
        log_debug("no Landlock (%s): paths are closed off by the system-call filter alone", strerror(errno));
        return 0;
    }
    const u64 read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    u64 all = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | read_rights | LANDLOCK_ACCESS_FS_REMOVE_DIR |
              LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
              LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
              LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
    /* links and renames between directories: always refused under ABI 1 */
    if (abi >= 2) all |= LL_REFER;
    if (abi >= 3) all |= LL_TRUNCATE;
    if (abi >= 5) all |= LL_IOCTL_DEV;
    struct landlock_ruleset_attr attr = { .handled_access_fs = all };
    int rs = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (rs < 0) return -errno;
    int err = 0;
    for (unsigned i = 0; i < o->ntrees && !err; i++) {
        struct stat st;
        u64 allowed = o->trees[i].writable ? all & ~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LL_IOCTL_DEV) : read_rights;
        if (fstat(o->trees[i].fd, &st)) err = -errno;
        if (!S_ISDIR(st.st_mode)) allowed &= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LL_TRUNCATE;
        struct landlock_path_beneath_attr rule = { .allowed_access = allowed, .parent_fd = o->trees[i].fd };
        if (!err && syscall(SYS_landlock_add_rule, rs, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) err = -errno;
        if (err == -EBADFD) err = 0; /* a memory file: no path leads there, and Landlock never stands in its way (is_nouser_or_private) */
    }
    if (!err && syscall(SYS_landlock_restrict_self, rs, 0)) err = -errno;
    close(rs);
    return err;
}

/*
 * Stage 3, privilege. Should: keep what the caller named (the gofer acts for guest users on files). Mustn't: gain anything
 * by exec, keep anything in the bounding, inheritable or ambient set, or be root in any sense by uid alone.
 */
static int stage_caps(u64 keep)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    cap_t cur = cap_get_proc(), new_ = cap_init();
    if (!cur || !new_) return -ENOMEM;
    cap_flag_value_t can_drop = CAP_CLEAR;
    cap_get_flag(cur, CAP_SETPCAP, CAP_EFFECTIVE, &can_drop);
    int err = 0;
    for (cap_value_t c = 0; c < cap_max_bits(); c++) {
        cap_flag_value_t has = CAP_CLEAR;
        cap_get_flag(cur, c, CAP_PERMITTED, &has);
        if (has == CAP_SET && c < 64 && (keep >> c & 1)) {
            cap_set_flag(new_, CAP_PERMITTED, 1, &c, CAP_SET);
            cap_set_flag(new_, CAP_EFFECTIVE, 1, &c, CAP_SET);
        }
        if (can_drop == CAP_SET && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, c, 0, 0, 0)) err = -errno;
    }
    if (can_drop == CAP_SET)
        prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0);
    if (cap_set_proc(new_)) err = -errno;
    cap_free(cur);
    cap_free(new_);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
    return err;
}

/*
 * Stage 4, neighbours. Should: trace and be found by its own stubs (they are its children). Mustn't: be read or traced by
 * other processes of the same user, or dump core.
 */
static int stage_dumpable(bool dumpable)
{
    return !dumpable && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? -errno : 0;
}

int hostjail_enter(const struct hostjail_opts *o)
{
    hostjail_crash_install(o->name); /* reads our own symbols: while there still is a view */
    int err = stage_limits();
    int open_view = 0;
    if (!err && o->empty_root) open_view = stage_root();
    if (!err) err = stage_caps(o->keep_caps);
    if (!err && open_view) err = stage_landlock(o);
    if (!err) err = stage_dumpable(o->dumpable);
    if (err) log_error("%s: self-isolation: %s", o->name, strerror(-err));
    return err;
}
