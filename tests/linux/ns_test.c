/* User, mount, UTS, IPC and network namespaces. user_namespaces(7), mount_namespaces(7), setns(2), ioctl_ns(2), pivot_root(2) */
#include "tmpdir.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static int try_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0) return -errno;
    ssize_t n = write(fd, text, strlen(text));
    int e = errno;
    close(fd);
    return n < 0 ? -e : 0;
}

static uint64_t effective(void)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    return d[0].effective | (uint64_t)d[1].effective << 32;
}

static uid_t uid;
static gid_t gid;

/* As `unshare -Ur`. */
static void become_root(int flags)
{
    char text[64];
    uid = geteuid();
    gid = getegid();
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);   /* after a change of ids the files of /proc/self would be root's */
    CHECK(unshare(CLONE_NEWUSER | flags) == 0);
    put("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", uid);
    put("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "0 %u 1\n", gid);
    put("/proc/self/gid_map", text);
}

static void fresh_user_ns(void)
{
    uid = geteuid();
    CHECK(unshare(CLONE_NEWUSER) == 0);
    /* No id is mapped yet: everybody is the overflow user, with every capability. */
    CHECK(getuid() == 65534 && getgid() == 65534);
    CHECK(effective() >> CAP_SYS_ADMIN & 1);
    CHECK(*get_file("/proc/self/uid_map") == 0);
    CHECK(!strcmp(get_file("/proc/self/setgroups"), "allow\n"));
    CHECK_ERR(setuid(0), EINVAL);
    CHECK_ERR(setgroups(0, NULL), EPERM);
    CHECK(try_put("/proc/self/uid_map", "0 0 0\n") == -EINVAL);
    CHECK(try_put("/proc/self/uid_map", "x\n") == -EINVAL);
}
static void case_fresh(void) { in_child(fresh_user_ns, 0); }

static void mapped(void)
{
    struct stat st;
    uint32_t owner = 7;
    put_file("mine", "x");
    become_root(0);
    CHECK(getuid() == 0 && geteuid() == 0 && getgid() == 0);
    CHECK(stat("mine", &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
    CHECK(stat("/proc/self/status", &st) == 0);
    CHECK(try_put("/proc/self/uid_map", "0 0 1\n") == -EPERM);      /* once only */
    CHECK(try_put("/proc/self/setgroups", "allow") == -EPERM);
    CHECK(!strcmp(get_file("/proc/self/setgroups"), "deny\n"));
    CHECK_ERR(setgroups(0, NULL), EPERM);
    CHECK_ERR(chown("mine", 1, (gid_t)-1), EINVAL);                 /* id 1 has no meaning here */
    CHECK_ERR(setuid(1), EINVAL);
    /* Root here is no root over what belongs to the outside. */
    CHECK_ERR(sethostname("x", 1), EPERM);
    CHECK_ERR(mount("t", ".", "tmpfs", 0, NULL), EPERM);
    int fd = open("/proc/self/ns/user", O_RDONLY);
    CHECK(fd >= 0 && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWUSER);
    CHECK(ioctl(fd, NS_GET_OWNER_UID, &owner) == 0 && owner == 0);
    CHECK_ERR(ioctl(fd, NS_GET_PARENT), EPERM);                     /* the parent is above what we may see */
    CHECK_ERR(setns(fd, CLONE_NEWUSER), EINVAL);                    /* already there */
    CHECK_ERR(setns(fd, CLONE_NEWNS), EINVAL);
}
static void case_mapped(void) { in_child(mapped, 0); }

static void others_file(void)
{
    become_root(0);
    /* CAP_DAC_OVERRIDE and CAP_CHOWN reach only files whose owner is mapped. */
    struct stat st;
    CHECK(stat("theirs", &st) == 0 && st.st_uid == 65534);
    CHECK_ERR(open("theirs", O_RDONLY), EACCES);
    CHECK_ERR(chown("theirs", 0, 0), EPERM);
}
static void case_capabilities_and_owners(void)
{
    if (geteuid()) return;
    put_file("theirs", "x");
    CHECK(chmod("theirs", 0600) == 0);
    in_child(others_file, 1000);
}

static void uts(void)
{
    struct utsname before, now;
    CHECK(uname(&before) == 0);
    become_root(CLONE_NEWUTS);
    CHECK(sethostname("inner", 5) == 0 && uname(&now) == 0 && !strcmp(now.nodename, "inner"));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(unshare(CLONE_NEWUTS) == 0 && sethostname("deeper", 6) == 0);
        _exit(0);
    }
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
    CHECK(uname(&now) == 0 && !strcmp(now.nodename, "inner"));
}
static void case_uts(void)
{
    struct utsname before, after;
    CHECK(uname(&before) == 0);
    in_child(uts, 0);
    CHECK(uname(&after) == 0 && !strcmp(before.nodename, after.nodename));
}

static void mounts(void)
{
    become_root(CLONE_NEWNS);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mkdir("c", 0755) == 0);
    CHECK(mount("t", "a", "tmpfs", 0, "mode=755") == 0);
    CHECK(mkdir("a/sub", 0755) == 0);
    CHECK(mount("t2", "a/sub", "tmpfs", 0, NULL) == 0);
    put_file("a/sub/file", "x");
    /* A plain bind shows what lies below the mount, a recursive one the mount. */
    CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0);
    CHECK_ERR(access("b/sub/file", F_OK), ENOENT);
    CHECK(mount("a", "c", NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(access("c/sub/file", F_OK) == 0);
    CHECK(umount("b") == 0);
    /* Flags of one view. */
    CHECK(mount(NULL, "c/sub", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    CHECK_ERR(open("c/sub/new", O_CREAT | O_WRONLY, 0644), EROFS);
    int fd = open("a/sub/new", O_CREAT | O_WRONLY, 0644);
    CHECK(fd >= 0);
    close(fd);
    CHECK(mount(NULL, "c/sub", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    CHECK(access("c/sub/new", W_OK) == 0);
    CHECK(mount("c", "b", NULL, MS_MOVE, NULL) == 0);
    CHECK(access("b/sub/file", F_OK) == 0 && access("c/sub", F_OK) < 0);
    CHECK_ERR(mount("b", "b/sub", NULL, MS_MOVE, NULL), ELOOP);
    CHECK_ERR(umount("b"), EBUSY);
    CHECK(umount2("b", MNT_DETACH) == 0);
}
static void case_mounts(void)
{
    in_child(mounts, 0);
    CHECK(access("a/sub", F_OK) < 0);   /* the mounts went with their namespace */
    CHECK(rmdir("a") == 0 && rmdir("b") == 0 && rmdir("c") == 0);
}

static void locked(void)
{
    become_root(CLONE_NEWNS);
    CHECK_ERR(umount("/proc"), EINVAL);                             /* came with a namespace of more rights */
    CHECK(mkdir("a", 0755) == 0);
    CHECK(mount("t", "a", "tmpfs", MS_NOSUID | MS_NODEV, NULL) == 0);
    CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
    CHECK_ERR(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_RDONLY, NULL) == 0);
    CHECK_ERR(umount("a"), EINVAL);
}
static void case_locked(void)
{
    in_child(locked, 0);
    CHECK(rmdir("a") == 0);
}

static void pivot(void)
{
    become_root(CLONE_NEWNS);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mkdir("r", 0755) == 0);
    CHECK(mount("t", "r", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir("r/old", 0755) == 0);
    put_file("r/hello", "x");
    if (syscall(SYS_pivot_root, "r", "r/old") < 0) {
        CHECK(errno == EINVAL && strstr(get_file("/proc/self/mountinfo"), " / / rw - rootfs "));   /* natively, booted from an initramfs */
        _exit(0);
    }
    CHECK(access("/hello", F_OK) == 0 && access("/old/proc/self", F_OK) == 0);
    CHECK(chdir("/") == 0);
    /* As runc and bwrap do: the same place for both, then the old root is dropped from above it. */
    CHECK(mkdir("/r2", 0755) == 0 && mount("t", "/r2", "tmpfs", 0, NULL) == 0 && chdir("/r2") == 0);
    put_file("two", "x");
    CHECK(syscall(SYS_pivot_root, ".", ".") == 0);
    CHECK(umount2(".", MNT_DETACH) == 0);
    CHECK(chdir("/") == 0 && access("/two", F_OK) == 0 && access("/hello", F_OK) < 0);
}
static void pivot_refused(void)
{
    /* EBUSY or EINVAL in the first check depends on where the test's directory lies. */
    become_root(CLONE_NEWNS);
    CHECK(mkdir("q", 0755) == 0);
    CHECK(syscall(SYS_pivot_root, "q", "q") < 0 && (errno == EBUSY || errno == EINVAL));
}
static void case_pivot_root(void)
{
    in_child(pivot_refused, 0);
    CHECK(rmdir("q") == 0);
    in_child(pivot, 0);
    CHECK(rmdir("r") == 0);
}

static int open_ns(pid_t pid, const char *name)
{
    char p[64];
    snprintf(p, sizeof p, "/proc/%d/ns/%s", pid, name);
    int fd = open(p, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static int ready[2], go[2];
static int inner(void *arg)
{
    char c;
    (void)arg;
    become_root(CLONE_NEWUTS | CLONE_NEWNS);
    CHECK(sethostname("joined", 6) == 0);
    CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
    return 0;
}

static void join(void)
{
    struct utsname u;
    struct stat a, b;
    char c;
    int st;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) _exit(inner(NULL));
    CHECK(read(ready[0], &c, 1) == 1);
    int user = open_ns(pid, "user"), names = open_ns(pid, "uts"), mnt = open_ns(pid, "mnt");
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    CHECK(pidfd >= 0);
    CHECK(fstat(names, &a) == 0 && stat("/proc/self/ns/uts", &b) == 0 && a.st_dev == b.st_dev && a.st_ino != b.st_ino);
    int owner = ioctl(names, NS_GET_USERNS);
    CHECK(owner >= 0 && fstat(owner, &a) == 0 && fstat(user, &b) == 0 && a.st_ino == b.st_ino);
    pid_t kid = fork();
    CHECK(kid >= 0);
    if (kid == 0) {
        CHECK(setns(user, 0) == 0);
        CHECK(effective() >> CAP_SYS_ADMIN & 1);
        CHECK(setns(names, CLONE_NEWUTS) == 0 && uname(&u) == 0 && !strcmp(u.nodename, "joined"));
        CHECK(setns(mnt, 0) == 0);
        CHECK(stat("/proc/self/ns/mnt", &a) == 0 && fstat(mnt, &b) == 0 && a.st_ino == b.st_ino);
        _exit(0);
    }
    CHECK(waitpid(kid, &st, 0) == kid && st == 0);
    kid = fork();
    CHECK(kid >= 0);
    if (kid == 0) {
        CHECK(setns(pidfd, CLONE_NEWUSER | CLONE_NEWUTS) == 0);
        CHECK(uname(&u) == 0 && !strcmp(u.nodename, "joined"));
        _exit(0);
    }
    CHECK(waitpid(kid, &st, 0) == kid && st == 0);
    CHECK(write(go[1], "x", 1) == 1 && waitpid(pid, &st, 0) == pid && st == 0);
}
static void case_setns(void) { in_child(join, 0); }

static void ipc_and_net(void)
{
    int outside = msgget(IPC_PRIVATE, 0600), on = 1;
    CHECK(outside >= 0);
    become_root(CLONE_NEWIPC | CLONE_NEWNET);
    CHECK_ERR(msgctl(outside, IPC_STAT, NULL), EINVAL);             /* not seen here */
    CHECK(msgget(77, IPC_CREAT | IPC_EXCL | 0600) >= 0);
    /* The loopback is there, and down. */
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(l >= 0 && c >= 0);
    CHECK_ERR(connect(c, (struct sockaddr *)&a, sizeof a), ENETUNREACH);
    struct ifreq r = { .ifr_name = "lo" };
    CHECK(ioctl(l, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP));
    r.ifr_flags |= IFF_UP;
    CHECK(ioctl(l, SIOCSIFFLAGS, &r) == 0 && ioctl(l, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP));
    CHECK(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 1) == 0);    /* a low port is ours to give */
    CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(accept(l, NULL, NULL) >= 0);
    /* The same port and abstract name once more, in another namespace. */
    struct sockaddr_un u = { .sun_family = AF_UNIX, .sun_path = "\0sundog-ns-test" };
    int un = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(un >= 0 && bind(un, (struct sockaddr *)&u, 20) == 0 && listen(un, 1) == 0);
    CHECK(unshare(CLONE_NEWNET) == 0);
    int un2 = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(connect(un2, (struct sockaddr *)&u, 20), ECONNREFUSED);
    CHECK(bind(un2, (struct sockaddr *)&u, 20) == 0);
}
static void case_ipc_and_net(void) { in_child(ipc_and_net, 0); }

static void case_needs_rights(void)
{
    if (geteuid()) CHECK_ERR(unshare(CLONE_NEWUTS), EPERM);
    CHECK_ERR(unshare(1), EINVAL);
    CHECK_ERR(setns(0, CLONE_NEWUTS), EINVAL);
    CHECK_ERR(setns(-1, 0), EBADF);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(case_fresh), CASE(case_mapped), CASE(case_capabilities_and_owners), CASE(case_uts),
        CASE(case_mounts), CASE(case_locked), CASE(case_pivot_root), CASE(case_setns), CASE(case_ipc_and_net), CASE(case_needs_rights) };
    pid_t pid = fork();
    if (pid == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && try_put("/proc/self/setgroups", "deny") == 0 ? 0 : errno);
    int st;
    CHECK(waitpid(pid, &st, 0) == pid);
    if (st) {
        printf("skipped: this host does not let the caller make user namespaces (%s)\n", strerror(WEXITSTATUS(st)));
        return 77;
    }
    tmpdir_enter();
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
