/*
 * The supervisor's mount namespace: the container's files as far as the host has them (root and bind mounts). The
 * sandbox does not need it; engines that enter the mount namespace of the pid file's process do (podman cp), and must
 * find the container there, not the host.
 */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int clone_tree(const char *path, bool recursive)
{
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
}

/* The image's symlinks lead nowhere but into the root. A place that only the sandbox has (on its tmpfs) is left out. */
static void put_tree(int root, const char *dest, int tree)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    int at = (int)syscall(SYS_openat2, root, dest, &how, sizeof(how));
    if (at < 0) return;
    syscall(SYS_move_mount, tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    close(at);
}

int oci_mount_ns(const struct oci_create *c)
{
    const struct oci_config *cfg = &c->cfg;
    if (cfg->ns[NS_MOUNT].path) return oci_mount_ns_visit(cfg) == -2 ? -1 : 0;
    if (geteuid() != 0 || !cfg->ns[NS_MOUNT].present) return 0;
    int root_tree = clone_tree(c->rootfs, true), r = 0;
    if (root_tree < 0) return errno == EPERM ? 0 : oci_fail("open_tree %s: %s", c->rootfs, strerror(errno));
    int *trees = xzalloc((cfg->nmounts + 1) * sizeof(*trees));
    for (unsigned i = 0; i < cfg->nmounts; i++) {
        const struct oci_mount *m = &cfg->mounts[i];
        trees[i] = -1;
        if (!(m->how & OM_BIND) || (m->how & OM_REMOUNT)) continue;
        AUTO_FREE char *source = m->source[0] == '/' ? xstrdup(m->source) : xasprintf("%s/%s", c->bundle_path, m->source);
        trees[i] = clone_tree(source, m->how & OM_REC);
    }
    if (unshare(CLONE_NEWNS)) r = errno == EPERM ? 1 : oci_fail("making a mount namespace: %s", strerror(errno));
    if (!r && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) r = oci_fail("making mounts slaves: %s", strerror(errno));
    if (!r && syscall(SYS_move_mount, root_tree, "", AT_FDCWD, c->rootfs, MOVE_MOUNT_F_EMPTY_PATH)) r = oci_fail("mounting %s: %s", c->rootfs, strerror(errno));
    /* A clone of a shared mount is its peer: what is mounted on it now must not appear on the host. */
    if (!r && mount(NULL, c->rootfs, NULL, MS_REC | MS_SLAVE, NULL)) r = oci_fail("making %s a slave: %s", c->rootfs, strerror(errno));
    int root = r ? -1 : open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < cfg->nmounts; i++)
        if (root >= 0 && trees[i] >= 0) put_tree(root, cfg->mounts[i].dest, trees[i]);
    if (!r && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) r = oci_fail("making mounts slaves: %s", strerror(errno));
    if (!r && (root < 0 || fchdir(root) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")))
        r = oci_fail("entering %s: %s", c->rootfs, strerror(errno));
    for (unsigned i = 0; i < cfg->nmounts; i++)
        if (trees[i] >= 0) close(trees[i]);
    free(trees);
    if (root >= 0) close(root);
    close(root_tree);
    return MIN(r, 0);
}
