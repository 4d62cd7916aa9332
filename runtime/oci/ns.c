/*
 * The supervisor's own namespaces on the host. The sandbox has a kernel of its own: pid, mount, user, cgroup and time
 * namespaces of the host say nothing to it. The network namespace is where the container's traffic will leave from and
 * where engines put their interfaces; ipc and uts are made or joined so that other containers find them by path.
 */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
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
                                       errno == EINVAL ? "it is none of this type" : strerror(errno)) : 0;
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

int oci_namespaces_enter(const struct oci_config *c, bool *net_missing)
{
    *net_missing = false;
    static const struct { enum oci_ns ns; int flag; } ours[] = { { NS_NETWORK, CLONE_NEWNET }, { NS_IPC, CLONE_NEWIPC }, { NS_UTS, CLONE_NEWUTS },
        { NS_CGROUP, CLONE_NEWCGROUP } };
    static const enum oci_ns foreign[] = { NS_PID, NS_MOUNT, NS_USER, NS_TIME };
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
    if (c->ns[NS_UTS].present && !c->ns[NS_UTS].path && c->hostname && c->hostname[0] && sethostname(c->hostname, strlen(c->hostname)) && errno != EPERM)
        return oci_fail("setting the host name: %s", strerror(errno));
    return 0;
}
