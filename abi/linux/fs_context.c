/* File systems configured step by step. Source: fsopen(2), fsconfig(2), fsmount(2), fspick(2), Documentation/filesystems/mount_api.rst. */
#include "abi/linux/linux.h"
#include "abi/linux/mount.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/fs_types.h"
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>

#define LOG_MESSAGES 8             /* kept for read(2); older ones go */
#define LINUX_CREATE_EXCL 8u       /* FSCONFIG_CMD_CREATE_EXCL, Linux 6.6: what is made here is always new */
#define PARAM_MAX 256              /* of keys and values */

enum phase { PARAMS, MADE, RECONFIGURE, FAILED };
struct fs_context_file {
    lock_t lock;                   /* LC_PIPE; guards: */
    enum phase phase;
    struct fs_config cfg;
    struct super *sb;              /* counted; made, or picked */
    char *log[LOG_MESSAGES];       /* owned */
    unsigned nlog;
};

static void log_error(struct fs_context_file *c, const char *msg)
{
    if (c->nlog == LOG_MESSAGES) {
        free(c->log[0]);
        memmove(c->log, c->log + 1, --c->nlog * sizeof(*c->log));
    }
    c->log[c->nlog++] = xasprintf("e %s\n", msg);
}

/* One message a read. */
static ssize_t context_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    struct fs_context_file *c = f->priv;
    lock(&c->lock);
    char *msg = c->nlog ? c->log[0] : NULL;
    ssize_t n = msg ? (ssize_t)strlen(msg) : -ENODATA;
    if (msg && (u64)n > u->resid) {
        n = -EMSGSIZE;
        msg = NULL;
    } else if (msg) {
        memmove(c->log, c->log + 1, --c->nlog * sizeof(*c->log));
    }
    unlock(&c->lock);
    if (msg) n = uio_copy_out(u, msg, (size_t)n);
    free(msg);
    return n;
}

static void context_release(struct file *f)
{
    struct fs_context_file *c = f->priv;
    fs_config_fini(&c->cfg);
    super_put(c->sb);
    for (unsigned i = 0; i < c->nlog; i++) free(c->log[i]);
    lock_fini(&c->lock);
    free(c);
}

static const struct file_ops context_ops = { .name = "anon_inode:[fscontext]", .read = context_read, .release = context_release };

static sysret_t context_fd(enum phase phase, const struct fs_type *t, struct super *sb, bool cloexec)
{
    struct fs_context_file *c = xnew(struct fs_context_file);
    lock_init(&c->lock, LC_PIPE);
    c->phase = phase;
    c->sb = sb;
    fs_config_init(&c->cfg, t);
    struct file *f = file_new_anon(&context_ops, O_RDWR, c);
    int fd = fd_install(f, cloexec);
    if (fd < 0) file_put(f);
    return fd;
}

sysret_t linux_fsopen(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1);
    if (!linux_may_mount()) return -EPERM;
    if (flags & ~(u32)FSOPEN_CLOEXEC) return -EINVAL;
    PATH_ARG(name, a->a[0]);
    const struct fs_type *t = fs_type_find(name);
    return t ? context_fd(PARAMS, t, NULL, flags & FSOPEN_CLOEXEC) : -ENODEV;
}

sysret_t linux_fspick(const struct syscall_args *a)
{
    u32 flags = ARG_U32(2);
    AUTO_PATH p = { 0 };
    if (!linux_may_mount()) return -EPERM;
    if (flags & ~(u32)(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH)) return -EINVAL;
    PATH_ARG(path, a->a[1]);
    int r = vfs_walk(ARG_INT(0), path, (flags & FSPICK_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & FSPICK_EMPTY_PATH ? WALK_EMPTY : 0), &p);
    if (r) return r;
    if (p.dentry != p.mnt->root) return -EINVAL;
    const struct fs_type *t = fs_type_of(p.mnt->sb);
    if (!t) return -EOPNOTSUPP;        /* what the sandbox was given is configured from outside */
    super_get(p.mnt->sb);
    return context_fd(RECONFIGURE, t, p.mnt->sb, flags & FSPICK_CLOEXEC);
}

/* --- fsconfig --- */

static int check_arguments(u32 cmd, gaddr_t key, gaddr_t val, int aux)
{
    switch (cmd) {
    case FSCONFIG_SET_FLAG: return key && !val && !aux ? 0 : -EINVAL;
    case FSCONFIG_SET_STRING: return key && val && !aux ? 0 : -EINVAL;
    case FSCONFIG_SET_BINARY: return key && val && aux > 0 && aux <= 1024 * 1024 ? 0 : -EINVAL;
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY: return key && val && (aux == AT_FDCWD || aux >= 0) ? 0 : -EINVAL;
    case FSCONFIG_SET_FD: return key && !val && aux >= 0 ? 0 : -EINVAL;
    case LINUX_CREATE_EXCL:
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_RECONFIGURE: return !key && !val && !aux ? 0 : -EINVAL;
    default: return -EOPNOTSUPP;
    }
}

static int create(struct fs_context_file *c)
{
    if (c->phase != PARAMS) return -EBUSY;
    int r = fs_config_create(&c->cfg, &c->sb);
    c->phase = r ? FAILED : MADE;
    return r;
}

/* Whatever came of it, the next round starts with nothing set. */
static int reconfigure(struct fs_context_file *c)
{
    const struct fs_type *t = c->cfg.type;
    if (c->phase != RECONFIGURE) return -EBUSY;
    int r = fs_config_apply(&c->cfg, c->sb);
    fs_config_fini(&c->cfg);
    fs_config_init(&c->cfg, t);
    return r;
}

static int set(struct fs_context_file *c, u32 cmd, const char *key, const char *val)
{
    char msg[FS_MESSAGE_MAX];
    if (c->phase != PARAMS && c->phase != RECONFIGURE) return -EBUSY;
    int r;
    if (cmd == FSCONFIG_SET_FLAG || cmd == FSCONFIG_SET_STRING) {
        r = fs_config_set(&c->cfg, key, cmd == FSCONFIG_SET_FLAG ? NULL : val, msg);
    } else if (fs_config_set_common(&c->cfg, key)) {
        r = 0;
    } else {
        /* No parameter of any file system here is a blob, a path or a descriptor. */
        snprintf(msg, sizeof(msg), "%s: Unknown parameter '%.64s'", fs_type_name(c->cfg.type), key);
        r = -EINVAL;
    }
    if (r) log_error(c, msg);
    return r;
}

static int copy_in_param(char out[PARAM_MAX], gaddr_t p)
{
    ssize_t n = copy_in_str(out, p, PARAM_MAX);
    return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

sysret_t linux_fsconfig(const struct syscall_args *a)
{
    u32 cmd = ARG_U32(1);
    char key[PARAM_MAX] = "", val[PARAM_MAX] = "";
    int r;

    if (ARG_INT(0) < 0) return -EINVAL;
    if ((r = check_arguments(cmd, a->a[2], a->a[3], ARG_INT(4)))) return r;
    FILE_ARG(f, a->a[0]);
    if (f->ops != &context_ops) return -EINVAL;
    if (a->a[2] && (r = copy_in_param(key, a->a[2]))) return r;
    if (cmd == FSCONFIG_SET_STRING && (r = copy_in_param(val, a->a[3]))) return r;
    if (cmd == FSCONFIG_SET_FD) {
        AUTO_FILE given = fd_get_path(ARG_INT(4));
        if (!given) return -EBADF;
    }
    struct fs_context_file *c = f->priv;
    lock(&c->lock);
    switch (cmd) {
    case FSCONFIG_CMD_CREATE:
    case LINUX_CREATE_EXCL: r = linux_may_mount() ? create(c) : -EPERM; break;
    case FSCONFIG_CMD_RECONFIGURE: r = reconfigure(c); break;
    default: r = set(c, cmd, key, val);
    }
    unlock(&c->lock);
    return r;
}

sysret_t linux_fsmount(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1), attr = ARG_U32(2), atime;
    struct path p;

    if (!linux_may_mount()) return -EPERM;
    if ((flags & ~(u32)FSMOUNT_CLOEXEC) || (attr & ~LINUX_MOUNT_ATTR_FLAGS) || linux_mount_attr_atime(attr, &atime)) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    if (f->ops != &context_ops) return -EINVAL;
    struct fs_context_file *c = f->priv;
    struct super *sb = NULL;
    char *source = NULL;
    lock(&c->lock);
    int r = !c->sb ? -EINVAL : c->phase != MADE ? -EBUSY : 0;
    if (!r) {
        super_get(sb = c->sb);
        source = c->cfg.source;
        c->cfg.source = NULL;
        const struct fs_type *t = c->cfg.type;
        fs_config_init(&c->cfg, t);    /* from now on it is reconfigured */
        c->phase = RECONFIGURE;
    }
    unlock(&c->lock);
    if (!r) r = vfs_mount_detached(sb, NULL, linux_mount_attr_bits(attr) | atime, source ? source : "none", &p);
    free(source);
    super_put(sb);
    return r ? r : linux_mount_fd(&p, flags & FSMOUNT_CLOEXEC);
}
