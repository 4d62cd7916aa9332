/*
 * From the plan to the first task. The main thread acts as that task while it prepares it: mounts and files are made
 * with root's credentials by the same functions that serve system calls, then the program's own credentials come.
 */
#include "sentry/kernel/init.h"
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/control/control.h"
#include "sentry/kernel/init_internal.h"
#include "sentry/kernel/resources.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

int init_each(struct init *in, enum plan_kind kind, int (*fn)(struct init *, const u8 *data, u32 len))
{
    struct plan_reader r = { .buf = in->plan, .len = in->len };
    struct plan_record rec;
    const u8 *data;
    int k, err;
    while ((k = plan_next(&r, &rec, &data)) == 1)
        if (rec.kind == kind && (err = fn(in, data, rec.len))) return err;
    if (k < 0) init_failed(in, SANDBOX_FAILED, "the sentry's plan is malformed after %zu bytes", r.pos);
    return k;
}

const char *init_err_text(int e) { return strerrordesc_np(-e) ? strerrordesc_np(-e) : "unknown error"; }

void init_failed(struct init *in, int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    in->status = status;
    if (in->why) snprintf(in->why, in->why_size, "%s", text);
    else control_report_failed(status, "%s", text);
}

int init_malformed(struct init *in, const char *what)
{
    init_failed(in, SANDBOX_FAILED, "the sentry's plan has a malformed %s record", what);
    return -EINVAL;
}

/* --- mounts --- */

static int new_super(struct init *in, const struct plan_mount *m, struct super **out)
{
    struct super *lower = NULL, *upper = NULL;
    u32 gflags = m->exclusive ? GOFER_FS_EXCLUSIVE : 0;
    int r;
    switch (m->type) {
    case PM_TMPFS: return tmpfs_new(m->size, m->mode, m->uid, m->gid, out);
    case PM_GOFER: return gofer_fs_new(in->gofer, m->gofer_root, gflags, out);
    case PM_OVERLAY:
        r = gofer_fs_new(in->gofer, m->gofer_root, gflags, &lower);
        if (!r && m->upper_root) r = gofer_fs_new(in->gofer, m->upper_root - 1, GOFER_FS_EXCLUSIVE, &upper);
        else if (!r) r = tmpfs_new(m->size, m->mode, 0, 0, &upper);
        if (!r) r = overlay_new(lower, lower->root, upper, out);
        if (lower) super_put(lower);
        if (upper) super_put(upper);
        return r;
    case PM_PROC: return procfs_new(out);
    case PM_SYS: return sysfs_new(out);
    case PM_DEV: return devfs_new(out);
    case PM_DEVPTS: return devpts_new(out);
    case PM_CGROUP: return tmpfs_new(GPAGE_SIZE, 0555, 0, 0, out);
    case PM_PIDS_CURRENT:
    case PM_PIDS_MAX: return resources_pids_file_new(m->type == PM_PIDS_MAX, out);
    case PM_MQUEUE: /* names of POSIX queues: a tmpfs by another name */
        r = tmpfs_new(m->size, m->mode, 0, 0, out);
        if (!r) tmpfs_rename(*out, "mqueue");
        return r;
    }
    return -ENODEV;
}

/* Of what is mounted at p. */
static int set_propagation(const struct path *p, u32 how)
{
    u64 kind = how & PLAN_MOUNT_SHARED ? MS_SHARED : how & PLAN_MOUNT_SLAVE ? MS_SLAVE : how & PLAN_MOUNT_PRIVATE ? MS_PRIVATE :
        how & PLAN_MOUNT_UNBINDABLE ? MS_UNBINDABLE : 0;
    struct path top = *p;
    if (!kind) return 0;
    path_get(&top);
    path_follow_mount(&top);
    int r = vfs_change_propagation(&top, kind, how & PLAN_MOUNT_PROPAGATION_REC);
    path_put(&top);
    return r;
}

static int root_propagation(struct init *in UNUSED, const u8 *data, u32 len)
{
    struct plan_mount m;
    struct path root;
    const char *at = plan_string(data, len, sizeof(m), 0);
    if (!at || strcmp(at, "/")) return 0;
    memcpy(&m, data, sizeof(m));
    fs_get_root(current->fs, &root);
    int r = set_propagation(&root, m.how);
    path_put(&root);
    return r;
}

static int take_mount(struct init *in, const u8 *data, u32 len, bool root)
{
    struct plan_mount m;
    const char *at = len >= sizeof(m) ? plan_string(data, len, sizeof(m), 0) : NULL;
    const char *source = at ? plan_string(data, len, sizeof(m), 1) : NULL, *shown = source ? plan_string(data, len, sizeof(m), 2) : NULL;
    if (!shown) return init_malformed(in, "mount");
    memcpy(&m, data, sizeof(m));
    if (root != !strcmp(at, "/")) return 0;

    struct super *sb;
    struct path p;
    int r = new_super(in, &m, &sb);
    if (r) {
        init_failed(in, SANDBOX_FAILED, "mounting %s at %s: %s", source, at, init_err_text(r));
        return r;
    }
    if (*shown) sb->shown_root = xstrdup(shown);
    if (m.type == PM_TMPFS || m.type == PM_GOFER || m.type == PM_OVERLAY) policy_attach(sb, at, m.type != PM_TMPFS);
    if (root) {
        struct mnt_ns *ns = mnt_ns_new(sb, m.flags, source);
        super_put(sb);
        struct fs_context *fs = fs_context_new(ns);
        fs->umask = 0;
        current = task_new_process(NULL, fs, fdtable_new(), cred_new(0, 0, ~0ULL));
        if (!current) {
            init_failed(in, SANDBOX_FAILED, "the first process cannot be made: the host refuses memory or processes");
            return -ENOMEM;
        }
        return 1;
    }
    /* The place, made as needed: directories above it, then itself (a file for a file). */
    AUTO_FREE char *path = xstrdup(at);
    for (char *s = path + 1;; s++) {
        if (*s && *s != '/') continue;
        char keep = *s;
        *s = 0;
        if (keep || m.mode) r = vfs_mkdir(AT_FDCWD, path, 0755);
        else {
            struct file *f;
            struct open_how_k how = { .flags = O_CREAT | O_RDONLY, .mode = 0644 };
            r = vfs_open(AT_FDCWD, path, &how, &f);
            if (!r) file_put(f);
        }
        *s = keep;
        if (!keep) break;
    }
    r = vfs_walk(AT_FDCWD, at, WALK_FOLLOW, &p);
    if (!r) {
        bool dir = S_ISDIR(p.dentry->inode->mode);
        if (dir != (m.mode != 0)) r = dir ? -EISDIR : -ENOTDIR;
        /* Filled before it becomes read-only, if it does. */
        bool fill = m.how & PLAN_MOUNT_COPYUP;
        if (!r) r = vfs_mount(current->fs->ns, &p, sb, NULL, fill ? 0 : m.flags, source);
        if (!r && fill) {
            struct path top = p;
            if (init_copy_up(in, at, &p)) r = -EIO;
            path_get(&top);
            path_follow_mount(&top);
            if (!r) r = vfs_remount(&top, m.flags);
            path_put(&top);
        }
        if (!r) r = set_propagation(&p, m.how);
        path_put(&p);
    }
    super_put(sb);
    if (r)
        init_failed(in, SANDBOX_FAILED, "mounting %s at %s: %s%s", source, at, init_err_text(r),
                              r == -ENOENT ? ": the place does not exist and cannot be made there (read-only); choose another with PATH:AT" : "");
    return r;
}

/* A root that is mounted nowhere: files for the ABI to lend. */
static int take_pieces(struct init *in, const u8 *data, u32 len)
{
    struct super *sb;
    u32 index;
    if (len < sizeof(index)) return init_malformed(in, "Solaris pieces");
    memcpy(&index, data, sizeof(index));
    int r = gofer_fs_new(in->gofer, index, 0, &sb);
    if (r) {
        init_failed(in, SANDBOX_FAILED, "the pieces of Solaris: %s", init_err_text(r));
        return r;
    }
    sol_pieces_init(sb);
    super_put(sb);
    return 0;
}

static int root_mount(struct init *in, const u8 *data, u32 len) { return take_mount(in, data, len, true); }
static int other_mount(struct init *in, const u8 *data, u32 len) { return take_mount(in, data, len, false); }

static int make_dir(struct init *in, const u8 *data, u32 len)
{
    u32 mode;
    const char *path = len >= sizeof(mode) ? plan_string(data, len, sizeof(mode), 0) : NULL;
    if (!path) return init_malformed(in, "directory");
    memcpy(&mode, data, sizeof(mode));
    AUTO_FREE char *copy = xstrdup(path);
    for (char *s = copy + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            vfs_mkdir(AT_FDCWD, copy, 0755);
            *s = '/';
        }
    int r = vfs_mkdir(AT_FDCWD, path, mode & 07777);
    if (r == -EEXIST) r = vfs_chmod(AT_FDCWD, path, mode & 07777, 0);
    if (!r && (mode & PLAN_DIR_OWNED)) r = vfs_chown(AT_FDCWD, path, in->cred.uid, in->cred.gid, 0);
    if (r) init_failed(in, SANDBOX_FAILED, "making the directory %s inside: %s", path, init_err_text(r));
    return r;
}

static int make_symlink(struct init *in, const u8 *data, u32 len)
{
    const char *target = plan_string(data, len, 0, 0), *path = plan_string(data, len, 0, 1);
    if (!target || !path) return init_malformed(in, "symlink");
    int r = vfs_symlink(target, AT_FDCWD, path);
    if (r && r != -EEXIST) {
        init_failed(in, SANDBOX_FAILED, "making the symlink %s -> %s inside: %s", path, target, init_err_text(r));
        return r;
    }
    return 0;
}

static int make_file(struct init *in, const u8 *data, u32 len)
{
    u32 mode;
    const char *path = len >= sizeof(mode) ? plan_string(data, len, sizeof(mode), 0) : NULL;
    if (!path) return init_malformed(in, "file");
    memcpy(&mode, data, sizeof(mode));
    const u8 *text = (const u8 *)path + strlen(path) + 1;
    struct file *f;
    struct open_how_k how = { .flags = O_CREAT | O_TRUNC | O_WRONLY, .mode = mode & 07777 };
    int r = vfs_open(AT_FDCWD, path, &how, &f);
    if (!r) {
        size_t n = (size_t)(data + len - text);
        struct uio u;
        uio_init_kernel(&u, (void *)(uintptr_t)text, n);
        ssize_t w = n ? vfs_write(f, &u, 0) : 0;
        uio_fini(&u);
        file_put(f);
        if (w < 0) r = (int)w;
    }
    if (r) init_failed(in, SANDBOX_FAILED, "making the file %s inside: %s", path, init_err_text(r));
    return r;
}

struct task *init_prepare(const u8 *plan, size_t len, u32 options, struct gofer_client *gofer)
{
    struct init in = { .plan = plan, .len = len, .gofer = gofer, .container = options & PLAN_OPT_CONTAINER };
    if (init_take_program(&in)) return NULL;
    int r = init_each(&in, PLAN_MOUNT, root_mount);
    if (r < 0) return NULL;
    if (!r) {
        init_failed(&in, SANDBOX_FAILED, "the sentry's plan has no root mount");
        return NULL;
    }
    if (init_each(&in, PLAN_DIR, make_dir) || init_each(&in, PLAN_SYMLINK, make_symlink) || init_each(&in, PLAN_FILE, make_file) ||
        init_each(&in, PLAN_MOUNT, other_mount) || init_set_names(&in) || (in.container && init_container(&in)) || init_set_process(&in) ||
        init_each(&in, PLAN_SOLARIS_PIECES, take_pieces))
        return NULL;
    if (init_each(&in, PLAN_MOUNT, root_propagation)) return NULL;
    mnt_ns_lock_flags(current->fs->ns);
    control_timing_mark("mounts");
    current->fs->umask = in.cred.umask & 0777;
    if (in.container && (init_container_process(&in) || init_chdir(&in))) return NULL;
    init_set_cred(&in);
    if (!in.container && init_chdir(&in)) return NULL;
    policy_start();
    if (init_seccomp(&in) || init_load_program(&in)) return NULL;
    struct task *t = current;
    /* The user's command happens to be pid 1, it is no init: Ctrl-C, SIGPIPE and its own kill(2) end it as outside. */
    if (!in.container) t->tg->unkillable = false;
    current = NULL;
    init_fini(&in);
    control_timing_mark("program loaded");
    return t;
}
