/*
 * The supervisor's own namespaces on the host. The sandbox has a kernel of its own, to which they say nothing, but for
 * two: the network namespace is where the container's traffic will leave from and where engines put their interfaces,
 * and the files of a mount namespace given by path are taken from there. The others are made or joined so that other
 * containers find them by path. With a pid namespace of its own the supervisor's death is that of all its processes; in
 * a user namespace it has no rights over the host any more.
 */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int join(const char *path, int type, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return oci_fail("config.json: linux.namespaces: %s: open %s: %s", name, path, errno == ENOENT ? "no such file or directory" : strerror(errno));
    int r = setns(fd, type) ? oci_fail("config.json: linux.namespaces: joining the %s namespace %s: %s", name, path,
                                       errno != EINVAL ? strerror(errno) : type == CLONE_NEWPID ?
                                       "it is none of this type, or not below the caller's" : "it is none of this type") : 0;
    close(fd);
    return r;
}

static void loopback_up(void)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    if (s < 0) return;
    ioctl(s, SIOCSIFFLAGS, &r);
    close(s);
}

/*
 * Sysctls of the network bite where its sockets are made: in the namespace (config_linux.c has seen that it is not the
 * host's). What the host does not let us set is left; the sandbox shows the value all the same.
 */
static void net_sysctls(const struct oci_config *c)
{
    for (unsigned i = 0; i < c->nsysctl; i++) {
        if (strncmp(c->sysctl[i].key, "net.", 4) || strchr(c->sysctl[i].key, '/')) continue;
        AUTO_FREE char *path = xasprintf("/proc/sys/%s", c->sysctl[i].key);
        for (char *p = path + strlen("/proc/sys/"); *p; p++)
            if (*p == '.') *p = '/';
        int fd = strstr(path, "..") ? -1 : open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || write(fd, c->sysctl[i].value, strlen(c->sysctl[i].value)) < 0)
            oci_log("warning", "sysctl %s = %s: the host: %s", c->sysctl[i].key, c->sysctl[i].value, strerror(errno));
        if (fd >= 0) close(fd);
    }
}

pid_t oci_fork_supervisor(const struct oci_config *c)
{
    const char *path = c->ns[NS_PID].path;
    int own = c->ns[NS_PID].present ? open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC) : -1;
    if (path) {
        if (join(path, CLONE_NEWPID, "pid")) {
            if (own >= 0) close(own);
            return -1;
        }
        oci_log("warning", "config.json: linux.namespaces: the programs inside do not see those of the pid namespace %s: "
                "each sandbox has a kernel of its own", path);
    } else if (own >= 0 && unshare(CLONE_NEWPID) && errno != EPERM) {
        close(own);
        return oci_fail("making a pid namespace: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) return 0;
    if (pid < 0) oci_fail("fork: %s", strerror(errno));
    /* The hooks that we start are none of the container's. */
    if (own >= 0 && setns(own, CLONE_NEWPID) && errno != EPERM) oci_log("warning", "returning to the pid namespace: %s", strerror(errno));
    if (own >= 0) close(own);
    return pid;
}

int oci_mount_ns_visit(const struct oci_config *c)
{
    if (!c->ns[NS_MOUNT].path) return -1;
    int back = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (back < 0) return oci_fail("open /proc/self/ns/mnt: %s", strerror(errno)) - 1;
    if (!join(c->ns[NS_MOUNT].path, CLONE_NEWNS, "mount")) return back;
    close(back);
    return -2;
}

int oci_mount_ns_leave(int back)
{
    int r = setns(back, CLONE_NEWNS) ? oci_fail("leaving the container's mount namespace: %s", strerror(errno)) : 0;
    close(back);
    return r;
}

static int write_map(pid_t pid, const char *name, const struct oci_idmaps *m)
{
    AUTO_FREE char *path = xasprintf("/proc/%d/%s", pid, name);
    char *text = xstrdup("");
    for (unsigned i = 0; i < m->n; i++) {
        char *next = xasprintf("%s%u %u %u\n", text, m->m[i].inside, m->m[i].outside, m->m[i].count);
        free(text);
        text = next;
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        r = oci_fail("config.json: linux.%s: writing %s: %s", name[0] == 'u' ? "uidMappings" : "gidMappings", path, strerror(errno));
    if (fd >= 0) close(fd);
    free(text);
    return r;
}

int oci_map_ids(const struct oci_config *c, pid_t pid)
{
    return write_map(pid, "uid_map", &c->uids) || write_map(pid, "gid_map", &c->gids) ? -1 : 0;
}

int oci_user_ns(const struct oci_config *c, int parent)
{
    struct wire_msg m;
    if (geteuid() != 0 || !c->ns[NS_USER].present || !c->uids.n || !c->gids.n) return 0;
    if (unshare(CLONE_NEWUSER)) {
        oci_log("warning", "making a user namespace: %s: the sandbox has its own all the same", strerror(errno));
        return 0;
    }
    int r = wire_send(parent, WIRE_MAP_IDS, 0, 0, NULL, 0);
    ssize_t n = r ? r : wire_recv(parent, &m, NULL, 0, NULL, NULL, -1);
    return n < 0 || m.op != WIRE_START ? oci_fail("create went away while the ids were mapped") : 0;
}

int oci_namespaces_enter(const struct oci_config *c, bool *net_missing)
{
    *net_missing = false;
    static const struct { enum oci_ns ns; int flag; } ours[] = { { NS_NETWORK, CLONE_NEWNET }, { NS_IPC, CLONE_NEWIPC }, { NS_UTS, CLONE_NEWUTS },
        { NS_CGROUP, CLONE_NEWCGROUP } };
    static const enum oci_ns foreign[] = { NS_USER, NS_TIME };
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (c->ns[foreign[i]].path)
            return oci_fail("config.json: linux.namespaces: a sandbox cannot join the %s namespace %s: it has a kernel of its own",
                            oci_ns_names[foreign[i]], c->ns[foreign[i]].path);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        const char *path = c->ns[ours[i].ns].path;
        if (!c->ns[ours[i].ns].present) continue;
        if (path) {
            if (join(path, ours[i].flag, oci_ns_names[ours[i].ns])) return -1;
        } else if (unshare(ours[i].flag)) {
            /* An unprivileged caller: the sandbox has its own all the same, only nobody can find it by path. */
            if (errno == EPERM) {
                if (ours[i].ns == NS_NETWORK) *net_missing = true;
                continue;
            }
            return oci_fail("making a %s namespace: %s", oci_ns_names[ours[i].ns], strerror(errno));
        } else if (ours[i].ns == NS_NETWORK) {
            loopback_up();
        }
    }
    if (c->ns[NS_NETWORK].present && !*net_missing) net_sysctls(c);
    if (!c->ns[NS_UTS].present || c->ns[NS_UTS].path) return 0;
    if (c->hostname && c->hostname[0] && sethostname(c->hostname, strlen(c->hostname)) && errno != EPERM)
        return oci_fail("setting the host name: %s", strerror(errno));
    if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) && errno != EPERM)
        return oci_fail("setting the domain name: %s", strerror(errno));
    return 0;
}
