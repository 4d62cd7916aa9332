/* Namespaces as files: what /proc/PID/ns/X leads to, for setns(2), ioctl_ns(2), bind mounts. Source: namespaces(7). */
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/task.h"
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <stdio.h>

#ifndef NS_GET_MNTNS_ID                /* Linux 6.11 */
#define NS_GET_MNTNS_ID _IOR(NSIO, 0x5, u64)
#endif

struct ns_inode { struct inode i; enum ns_type type; struct ns *ns; /* counted; NULL: the initial one */ };

static struct super ns_sb;
static struct mount *ns_mnt;
static pthread_once_t ns_once = PTHREAD_ONCE_INIT;

static int ns_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = sb->magic, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255 };
    return 0;
}

static void ns_inode_free(struct inode *i)
{
    struct ns_inode *n = container_of(i, struct ns_inode, i);
    struct ns *ns = n->ns;
    inode_fini(i);
    free(n);
    ns_put(ns);
}

static const struct super_ops ns_super_ops = { .name = "nsfs", .statfs = ns_statfs };
static const struct inode_ops ns_inode_ops = { .free = ns_inode_free };
static sysret_t ns_ioctl(struct file *f, u32 cmd, gaddr_t arg);
static const struct file_ops ns_file_ops = { .ioctl = ns_ioctl };

static void ns_setup(void)
{
    super_init(&ns_sb, &ns_super_ops, NSFS_MAGIC);
    ns_sb.root = dentry_new_root(&ns_sb, inode_new(&ns_sb, &(const struct inode_ops){ 0 }, NULL, inode_next_ino(), S_IFDIR | 0555));
    ns_mnt = mount_new_internal(&ns_sb);
}

int nsfs_path(enum ns_type type, struct ns *ns, struct path *out)
{
    char name[32];

    pthread_once(&ns_once, ns_setup);
    struct ns_inode *n = xnew(struct ns_inode);
    n->type = type;
    n->ns = ns;
    ns_get(ns);
    inode_init(&n->i, &ns_sb, &ns_inode_ops, &ns_file_ops, ns_inum(ns, type), S_IFREG | 0444);
    snprintf(name, sizeof name, "%s:[%u]", ns_type_name(type), ns_inum(ns, type));
    mount_get(ns_mnt);
    *out = (struct path){ ns_mnt, dentry_new_disconnected(&ns_sb, name, &n->i, false) };
    out->dentry->priv = type == NS_MNT && ns ? container_of(ns, struct mnt_ns, ns) : NULL;    /* mount_internal.h: mnt_ns_of_file */
    return 0;
}

bool nsfs_file(struct file *f, enum ns_type *type, struct ns **ns)
{
    if (!f->inode || f->inode->ops != &ns_inode_ops || (f->mode & FMODE_PATH)) return false;
    struct ns_inode *n = container_of(f->inode, struct ns_inode, i);
    *type = n->type;
    *ns = n->ns;
    return true;
}

sysret_t nsfs_open(enum ns_type type, struct ns *ns)
{
    struct path p;
    struct file *f;
    int r = nsfs_path(type, ns, &p);

    if (!r) r = vfs_open_nocheck(&p, O_RDONLY, &f);
    path_put(&p);
    if (r) return r;
    int fd = fd_install(f, true);
    if (fd < 0) file_put(f);
    return fd;
}

/* May the caller learn of this user namespace: it is its own or one below. */
static bool in_or_below_own(const struct user_ns *u)
{
    const struct user_ns *own = current_cred()->user_ns;
    while (u && u != own) u = user_ns_parent(u);
    return u == own;
}

static sysret_t open_pid_parent(struct pid_ns *ns)
{
    if (!ns || !pid_ns_contains(current->tg->pid_ns, ns->parent)) return -EPERM;
    return nsfs_open(NS_PID, ns->parent ? &ns->parent->ns : NULL);
}

static sysret_t ns_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    enum ns_type type;
    struct ns *ns;

    if (!nsfs_file(f, &type, &ns)) return -EBADF;
    struct user_ns *owner = ns ? ns->owner : NULL;
    switch (cmd) {
    case NS_GET_USERNS:
        /* Of a user namespace that is its parent, which the initial one has not. */
        if ((type == NS_USER && !ns) || !in_or_below_own(owner)) return -EPERM;
        return nsfs_open(NS_USER, owner ? &owner->ns : NULL);
    case NS_GET_PARENT:
        if (type == NS_PID) return open_pid_parent(ns ? container_of(ns, struct pid_ns, ns) : NULL);
        if (type != NS_USER) return -EINVAL;
        if (!ns || !in_or_below_own(owner)) return -EPERM;
        return nsfs_open(NS_USER, owner ? &owner->ns : NULL);
    case NS_GET_NSTYPE: return (sysret_t)ns_clone_flag(type);
    case NS_GET_OWNER_UID: {
        if (type != NS_USER) return -EINVAL;
        u32 uid = uid_out(ns ? container_of(ns, struct user_ns, ns)->owner_uid : 0);
        return copy_out(arg, &uid, sizeof uid) ? -EFAULT : 0;
    }
    case NS_GET_MNTNS_ID: {
        if (type != NS_MNT || !ns) return -EINVAL;
        u64 id = container_of(ns, struct mnt_ns, ns)->seq;
        return copy_out(arg, &id, sizeof id) ? -EFAULT : 0;
    }
    default: return -ENOTTY;
    }
}
