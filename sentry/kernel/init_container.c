/*
 * What container engines ask for beyond the first program's own needs: contents of tmpfs mounts, device nodes, masked
 * and read-only paths, sysctls, scheduling. All before any guest code runs, as root, by the sentry's own VFS.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/control/control.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/keys/keys.h"
#include "sentry/kernel/init_internal.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_DEPTH 32
#define PASSWD_MAX (1u << 20)

int seccomp_filter_install(const void *insns, unsigned n, u32 flags) __attribute__((weak));   /* abi/linux */

/* --- tmpcopyup --- */

struct names { struct dir_sink sink; char **s; unsigned n, cap; };

static bool names_emit(struct dir_sink *s, const char *name, size_t len, u64 ino UNUSED, u8 type UNUSED, u64 next UNUSED)
{
    struct names *l = container_of(s, struct names, sink);
    if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.')) return true;
    if (l->n == l->cap) l->s = xrealloc(l->s, (l->cap = l->cap ? 2 * l->cap : 16) * sizeof(*l->s));
    l->s[l->n++] = xstrndup(name, len);
    return true;
}

static int list_dir(const struct path *p, struct names *out)
{
    struct file *f;
    int r = vfs_open_nocheck(p, O_RDONLY | O_DIRECTORY, &f);
    if (r) return r;
    out->sink.emit = names_emit;
    unsigned before;
    do {
        before = out->n;
        r = f->ops->readdir ? f->ops->readdir(f, &out->sink) : -ENOTDIR;
    } while (r >= 0 && out->n != before);
    file_put(f);
    return MIN(r, 0);
}

static int copy_file(const struct path *from, const char *to, u32 mode)
{
    struct file *in, *out;
    struct open_how_k how = { .flags = O_CREAT | O_EXCL | O_WRONLY, .mode = mode & 07777 };
    int r = vfs_open_nocheck(from, O_RDONLY, &in);
    if (r) return r;
    r = vfs_open(AT_FDCWD, to, &how, &out);
    static u8 buf[65536]; /* one thread at start-up */
    while (!r) {
        struct uio u;
        uio_init_kernel(&u, buf, sizeof(buf));
        ssize_t n = vfs_read(in, &u, 0);
        uio_fini(&u);
        if (n <= 0) {
            r = (int)n;
            break;
        }
        uio_init_kernel(&u, buf, (size_t)n);
        ssize_t w = vfs_write(out, &u, 0);
        uio_fini(&u);
        if (w != n) r = w < 0 ? (int)w : -ENOSPC;
    }
    file_put(in);
    if (out) file_put(out);
    return r;
}

static int copy_tree(const struct path *from, const char *to, unsigned depth)
{
    struct names l = { 0 };
    int r = depth ? list_dir(from, &l) : -ELOOP;
    for (unsigned i = 0; i < l.n; i++) {
        struct path child;
        struct kstat st;
        AUTO_FREE char *name = l.s[i];
        AUTO_FREE char *dest = xasprintf("%s/%s", to, name);
        if (r || (r = vfs_walk_from(from, name, 0, &child))) continue;
        r = vfs_stat_path(&child, &st);
        if (!r && S_ISDIR(st.mode)) {
            r = vfs_mkdir(AT_FDCWD, dest, st.mode & 07777);
            if (!r) r = copy_tree(&child, dest, depth - 1);
        } else if (!r && S_ISREG(st.mode)) {
            r = copy_file(&child, dest, st.mode);
        } else if (!r && S_ISLNK(st.mode)) {
            char *target = NULL;
            r = child.dentry->inode->ops->readlink ? child.dentry->inode->ops->readlink(child.dentry->inode, &target) : -EINVAL;
            if (!r) r = vfs_symlink(target, AT_FDCWD, dest);
            free(target);
        } else if (!r && !S_ISSOCK(st.mode)) {
            r = vfs_mknod(AT_FDCWD, dest, st.mode, st.rdev);
        }
        if (!r && !S_ISSOCK(st.mode)) {
            r = vfs_chown(AT_FDCWD, dest, st.uid, st.gid, AT_SYMLINK_NOFOLLOW);
            if (!r && !S_ISLNK(st.mode)) r = vfs_chmod(AT_FDCWD, dest, st.mode & 07777, 0);
        }
        path_put(&child);
    }
    free(l.s);
    return r;
}

int init_copy_up(struct init *in, const char *at, const struct path *below)
{
    int r = copy_tree(below, at, COPY_DEPTH);
    if (r) init_failed(in, SANDBOX_FAILED, "copying what lies at %s into its tmpfs: %s", at, init_err_text(r));
    return r;
}

/* --- nodes and links --- */

static void make_parents(const char *path)
{
    AUTO_FREE char *copy = xstrdup(path);
    for (char *s = copy + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            vfs_mkdir(AT_FDCWD, copy, 0755);
            *s = '/';
        }
}

static int make_node(struct init *in, const u8 *data, u32 len)
{
    struct plan_node n;
    struct kstat st;
    const char *path = len >= sizeof(n) ? plan_string(data, len, sizeof(n), 0) : NULL;
    if (!path) return init_malformed(in, "node");
    memcpy(&n, data, sizeof(n));
    make_parents(path);
    int r = vfs_mknod(AT_FDCWD, path, n.mode, n.rdev);
    if (r == -EEXIST) { /* as it is: an image may bring its own, or a mount stands there */
        if (!vfs_stat(AT_FDCWD, path, 0, &st)) return 0;
    }
    if (!r) r = vfs_chmod(AT_FDCWD, path, n.mode & 07777, 0);
    if (!r && (n.uid || n.gid)) r = vfs_chown(AT_FDCWD, path, n.uid, n.gid, 0);
    if (r) init_failed(in, SANDBOX_FAILED, "making the device node %s: %s", path, init_err_text(r));
    return r;
}

static int make_link(struct init *in, const u8 *data, u32 len)
{
    const char *target = plan_string(data, len, 0, 0), *path = plan_string(data, len, 0, 1);
    if (!target || !path) return init_malformed(in, "link");
    int r = vfs_symlink(target, AT_FDCWD, path);
    if (r && r != -EEXIST) init_failed(in, SANDBOX_FAILED, "making the symlink %s -> %s: %s", path, target, init_err_text(r));
    return r == -EEXIST ? 0 : r;
}

/* --- masked and read-only paths --- */

static bool absent(int r) { return r == -ENOENT || r == -ENOTDIR; }

static int mask(struct init *in, const u8 *data, u32 len)
{
    const char *path = plan_string(data, len, 0, 0);
    struct path p;
    if (!path) return init_malformed(in, "masked path");
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (absent(r)) return 0;
    if (!r) {
        struct super *sb = NULL;
        struct dentry *d = NULL;
        if (S_ISDIR(p.dentry->inode->mode)) {
            r = tmpfs_new(GPAGE_SIZE, 0755, 0, 0, &sb);
            if (!r) r = vfs_mount(current->fs->ns, &p, sb, NULL, MNT_RDONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC, "tmpfs");
        } else {
            r = devfs_new(&sb);
            if (!r) r = dentry_lookup(sb->root, "null", 4, &d);
            if (!r) r = vfs_mount(current->fs->ns, &p, sb, d, MNT_NOSUID | MNT_NOEXEC, "null");
        }
        if (d) dentry_put(d);
        if (sb) super_put(sb);
        path_put(&p);
    }
    if (r) init_failed(in, SANDBOX_FAILED, "masking %s: %s", path, init_err_text(r));
    return r;
}

static int make_readonly(struct init *in, const u8 *data, u32 len)
{
    const char *path = plan_string(data, len, 0, 0);
    struct path p;
    if (!path) return init_malformed(in, "read-only path");
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (absent(r)) return 0;
    if (!r) {
        r = vfs_mount(current->fs->ns, &p, p.mnt->sb, p.dentry, p.mnt->flags | MNT_RDONLY, p.mnt->source);
        path_put(&p);
    }
    if (r) init_failed(in, SANDBOX_FAILED, "making %s read-only: %s", path, init_err_text(r));
    return r;
}

static int remount(struct init *in, const u8 *data, u32 len)
{
    u32 flags;
    struct path p;
    const char *path = len >= sizeof(flags) ? plan_string(data, len, sizeof(flags), 0) : NULL;
    if (!path) return init_malformed(in, "remount");
    memcpy(&flags, data, sizeof(flags));
    int r = vfs_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (!r) {
        r = vfs_remount(&p, flags);
        path_put(&p);
    }
    if (r) init_failed(in, SANDBOX_FAILED, "remounting %s: %s", path, r == -EINVAL ? "nothing is mounted there" : init_err_text(r));
    return r;
}

/* --- sysctls, by a /proc of our own: the container's may be absent or masked --- */

/* With one space between words. */
static bool words(const char *text, char out[128])
{
    size_t n = 0;
    for (; *text && n < 126; text++) {
        bool space = strchr(" \t\n", *text);
        if (!space) out[n++] = *text;
        else if (n && out[n - 1] != ' ') out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ') n--;
    out[n] = 0;
    return n;
}

static int read_line(const struct path *p, char out[128])
{
    struct file *f;
    struct uio u;
    char buf[128] = "";
    int r = vfs_open_path(p, O_RDONLY, &f);
    if (r) return r;
    uio_init_kernel(&u, buf, sizeof(buf) - 1);
    ssize_t n = vfs_read(f, &u, 0);
    uio_fini(&u);
    file_put(f);
    return n > 0 && words(buf, out) ? 0 : -EIO;
}

static int sysctl(struct init *in, const u8 *data, u32 len)
{
    const char *key = plan_string(data, len, 0, 0), *value = plan_string(data, len, 0, 1);
    struct super *sb;
    struct path root, p;
    struct file *f;
    if (!key || !value) return init_malformed(in, "sysctl");
    AUTO_FREE char *path = xasprintf("sys/%s", key);
    for (char *s = path; *s && !strchr(key, '/'); s++)
        if (*s == '.') *s = '/';
    int r = procfs_new(&sb);
    if (r) return r;
    root = (struct path){ .mnt = mount_new_internal(sb), .dentry = sb->root };
    dentry_get(sb->root);
    super_put(sb);
    r = vfs_walk_from(&root, path, WALK_NO_SYMLINKS, &p);
    if (!r) {
        /* A constant of this kernel may be asked for by its value; what cannot be set to another says so. */
        char now[128], want[128];
        if (!read_line(&p, now) && words(value, want) && !strcmp(now, want)) r = 1;
        else r = vfs_open_path(&p, O_WRONLY, &f);
        path_put(&p);
    }
    if (!r) {
        struct uio u;
        uio_init_kernel(&u, (void *)(uintptr_t)value, strlen(value));
        ssize_t w = vfs_write(f, &u, 0);
        uio_fini(&u);
        file_put(f);
        if (w < 0) r = (int)w;
    }
    path_put(&root);
    if (r > 0) return 0;
    if (r)
        init_failed(in, SANDBOX_FAILED, "open /proc/%s: %s", path,
                    absent(r) ? "no such file or directory (the sandbox has no such sysctl)" :
                    r == -EIO || r == -EACCES ? "this sysctl has a fixed value in the sandbox" : init_err_text(r));
    return r;
}

static int idmap(struct init *in, const u8 *data, u32 len)
{
    u32 which;
    struct plan_idmap m[340];
    if (len < sizeof(which)) return init_malformed(in, "id map");
    memcpy(&which, data, sizeof(which));
    u32 n = (u32)MIN((len - sizeof(which)) / sizeof(m[0]), ARRAY_LEN(m));
    memcpy(m, data + sizeof(which), n * sizeof(m[0]));
    proc_set_idmap(which ? 1 : 0, m, n);
    return 0;
}

static int make_notify(struct init *in, const u8 *data, u32 len)
{
    const char *path = plan_string(data, len, 0, 0);
    if (!path) return init_malformed(in, "notify");
    make_parents(path);
    int r = unix_sink_bind(path, control_notify);
    if (!r) r = vfs_chmod(AT_FDCWD, path, 0777, 0); /* whoever the program runs as */
    if (r) init_failed(in, SANDBOX_FAILED, "making the socket %s for NOTIFY_SOCKET: %s", path, init_err_text(r));
    return r;
}

int init_container(struct init *in)
{
    return init_each(in, PLAN_NODE, make_node) || init_each(in, PLAN_NOTIFY, make_notify) || init_each(in, PLAN_LINK, make_link) || init_each(in, PLAN_SYSCTL, sysctl) ||
           init_each(in, PLAN_REMOUNT, remount) || init_each(in, PLAN_MASK, mask) || init_each(in, PLAN_READONLY, make_readonly) ||
           init_each(in, PLAN_IDMAP, idmap) ? -EINVAL : 0;
}

/* --- the process --- */

/* HOME as login(1) would set it: engines leave that to the runtime. /etc/passwd is the image's: read as text, bounded. */
static char *passwd_home(u32 uid)
{
    struct file *f;
    struct open_how_k how = { .flags = O_RDONLY | O_NONBLOCK };
    char *home = NULL;
    if (vfs_open(AT_FDCWD, "/etc/passwd", &how, &f)) return NULL;
    AUTO_FREE char *text = f->inode && S_ISREG(f->inode->mode) ? try_zalloc(1, PASSWD_MAX + 1) : NULL;
    size_t have = 0;
    while (text && have < PASSWD_MAX) {
        struct uio u;
        uio_init_kernel(&u, text + have, PASSWD_MAX - have);
        ssize_t n = vfs_read(f, &u, 0);
        uio_fini(&u);
        if (n <= 0) break;
        have += (size_t)n;
    }
    file_put(f);
    if (!text) return NULL;
    for (char *line = text, *next; line && !home; line = next) {
        char *field[7], *s = line;
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        unsigned n = 0;
        while (n < 7 && (field[n] = strsep(&s, ":"))) n++;
        if (n >= 6 && *field[2] && strspn(field[2], "0123456789") == strlen(field[2]) && strtoul(field[2], NULL, 10) == uid)
            home = xasprintf("HOME=%s", field[5]);
    }
    return home;
}

static void set_home(struct init *in)
{
    for (int i = 0; i < in->envc; i++)
        if (!strncmp(in->envp[i], "HOME=", 5) && in->envp[i][5]) return;
    in->home = passwd_home(in->cred.uid);
    if (!in->home) in->home = xstrdup("HOME=/");
    for (int i = 0; i < in->envc; i++)
        if (!strncmp(in->envp[i], "HOME=", 5)) {
            in->envp[i] = in->home;
            return;
        }
    in->envp = xrealloc(in->envp, (size_t)(in->envc + 2) * sizeof(*in->envp));
    in->envp[in->envc++] = in->home;
    in->envp[in->envc] = NULL;
}

static int process(struct init *in, const u8 *data, u32 len)
{
    struct plan_process p;
    if (len < sizeof(p)) return init_malformed(in, "process");
    memcpy(&p, data, sizeof(p));
    current->personality = p.personality;
    if (p.flags & PLAN_PROCESS_OOM) current->oom_score_adj = p.oom_score_adj;
    if (p.flags & PLAN_PROCESS_IOPRIO) current->ioprio = p.ioprio;
    if (p.flags & PLAN_PROCESS_SCHED) {
        current->sched_policy = p.sched_policy;
        current->sched_prio = p.sched_prio;
        current->nice = p.nice;
    }
    return 0;
}

static int session_keyring(struct init *in UNUSED, const u8 *data, u32 len)
{
    AUTO_FREE char *name = xstrndup((const char *)data, len);
    keys_container_session(*name ? name : NULL);
    return 0;
}

int init_container_process(struct init *in)
{
    keys_container_session(NULL);
    (void)init_each(in, PLAN_SESSION_KEYRING, session_keyring);
    set_home(in);
    return init_each(in, PLAN_PROCESS, process);
}

static int filter(struct init *in, const u8 *data, u32 len)
{
    u32 flags;
    if (len < sizeof(flags) || (len - sizeof(flags)) % 8) return init_malformed(in, "seccomp");
    memcpy(&flags, data, sizeof(flags));
    int r = seccomp_filter_install ? seccomp_filter_install(data + sizeof(flags), (len - (u32)sizeof(flags)) / 8, flags) : -ENOSYS;
    if (r) init_failed(in, SANDBOX_FAILED, "loading the seccomp filter of linux.seccomp: %s", init_err_text(r));
    return r;
}

int init_seccomp(struct init *in) { return init_each(in, PLAN_SECCOMP, filter); }
