/* Requests that donate a descriptor: open, create, unnamed files; and fsync of what has none in the sentry. */
#include "gofer/gofer.h"
#include "sentry/base/hostcall.h"
#include <string.h>
#include <unistd.h>

HOSTCALL(fchownat, "new objects are given to the guest's user");
HOSTCALL(fchmod, "mode of a new file after chown cleared bits");
HOSTCALL(unlinkat, "removal; taking back an object whose owner could not be set");
HOSTCALL(fsync, "fsync of directories");
HOSTCALL(fdatasync, "fdatasync of directories");
HOSTCALL(geteuid, "does a new object need another owner?");
HOSTCALL(getegid, "does a new object need another group?");

static int host_err(void) { return errno == EMFILE ? -ENFILE : -errno; }

/* Set-id bits of files are a way from the sandbox to host users: only where the root allows them. */
static int mode_check(struct gofer_node_entry *n, u32 mode, bool dir)
{
    if (mode & ~07777u) return -EBADMSG;
    if ((mode & S_ISUID || (mode & S_ISGID && !dir)) && !(gofer_root_get(n->root)->flags & PLAN_ROOT_ALLOW_SUID)) return -EPERM;
    return 0;
}

static int set_owner(struct gofer_node_entry *n, u32 uid, u32 gid)
{
    struct gofer_attr a;
    int err = node_attr(n->fd, &a);
    if (err) return err;
    /* Another process may have put its own object in the place of ours: never give away what is not ours. */
    if (a.uid != geteuid()) return a.uid == uid ? 0 : -ESTALE;
    if (a.uid == uid && a.gid == gid) return 0;
    if (fchownat(n->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return errno == EINVAL ? -EOVERFLOW : -errno;
    return 0;
}

int own_new_object(struct gofer_node_entry *dir, const char *name, u32 uid, u32 gid, struct gofer_node_entry **out)
{
    struct gofer_node_entry *n;
    int err = node_walk(dir, name, &n);
    if (!err && (err = set_owner(n, uid, gid))) {
        node_release(n->h);
        node_put(n);
    }
    if (!err) *out = n;
    return err;
}

int op_open(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_open_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left || (q.flags & ~(u32)(O_ACCMODE | O_TRUNC)) || (q.flags & O_ACCMODE) == O_ACCMODE)
        return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(q.h);
    if (!n) return -EBADF;
    if (n->mode == S_IFDIR) return -EISDIR; /* the sentry reads directories by READDIR and needs no such descriptor */
    int fd = node_reopen(n, (int)q.flags);
    if (fd < 0) return fd;
    int err = reply_node(r, n, 0, NULL);
    if (err) close(fd);
    else r->fd = fd;
    return err;
}

static int finish_new_file(struct gofer_req *r, struct gofer_node_entry *n, int fd, const struct gofer_create_req *q,
                           struct gofer_node_entry *dir)
{
    int err = 0;
    if (q->mode & (S_ISUID | S_ISGID) && fchmod(fd, q->mode)) err = -errno; /* chown cleared them */
    struct gofer_gen gen;
    gofer_handle gen_dir = watch_dir(dir, &gen);
    if (!err) err = reply_node(r, n, gen_dir, &gen);
    if (err) node_release(n->h);
    node_put(n);
    return err;
}

int op_create(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_create_req q;
    if (!cur_fixed(&c, &q, sizeof q)) return -EBADMSG;
    const char *name = cur_str(&c, GOFER_NAME_MAX);
    if (!name || name_check(name) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *dir = node_get(q.dir);
    if (!dir) return -EBADF;
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    int err = node_may_name(dir, name);
    if (!err) err = mode_check(dir, q.mode, false);
    if (err) return err;
    int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, q.mode);
    if (fd < 0) return host_err();
    struct gofer_node_entry *n;
    err = own_new_object(dir, name, q.uid, q.gid, &n);
    if (!err) {
        struct gofer_attr a;
        /* the name must still be the file that was just made */
        if (node_attr(fd, &a) || a.ino != n->ino || a.dev != n->dev) {
            node_release(n->h);
            node_put(n);
            err = -ESTALE;
        } else {
            err = finish_new_file(r, n, fd, &q, dir);
        }
    }
    if (err) {
        if (err != -ESTALE) unlinkat(dir->fd, name, 0);
        close(fd);
        return err;
    }
    r->fd = fd;
    return 0;
}

int op_tmpfile(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_create_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *dir = node_get(q.dir);
    if (!dir) return -EBADF;
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    if (node_is_ro(dir)) return -EROFS;
    int err = node_may(dir, PR_WRITE);
    if (!err) err = mode_check(dir, q.mode, false);
    if (err) return err;
    int fd = openat(gofer_proc_fd(), gofer_fd_name(dir->fd).s, O_TMPFILE | O_RDWR | O_CLOEXEC, q.mode);
    if (fd < 0) return host_err();
    int pfd = openat(gofer_proc_fd(), gofer_fd_name(fd).s, O_PATH | O_CLOEXEC);
    if (pfd < 0) err = host_err();
    struct gofer_node_entry *n;
    if (!err) err = node_new(pfd, dir->root, dir->state, dir->exclusive, dir, &n);
    if (!err && (err = set_owner(n, q.uid, q.gid))) {
        node_release(n->h);
        node_put(n);
    }
    if (!err) err = finish_new_file(r, n, fd, &q, dir);
    if (err) close(fd);
    else r->fd = fd;
    return err;
}

int op_fsync(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_fsync_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(q.h);
    if (!n) return -EBADF;
    int fd = node_reopen(n, O_RDONLY);
    if (fd < 0) return fd;
    int err = (q.data_only ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
    close(fd);
    return err;
}

/* --- objects without a descriptor --- */

/* Common head of mkdir, mknod, symlink. */
static int new_object_begin(struct gofer_req *r, struct cursor *c, struct gofer_create_req *q, const char **name,
                            struct gofer_node_entry **dir)
{
    *c = (struct cursor){ r->in, r->len };
    if (!cur_fixed(c, q, sizeof *q)) return -EBADMSG;
    *name = cur_str(c, GOFER_NAME_MAX);
    if (!*name || name_check(*name)) return -EBADMSG;
    *dir = node_get(q->dir);
    if (!*dir) return -EBADF;
    if ((*dir)->mode != S_IFDIR) return -ENOTDIR;
    return node_may_name(*dir, *name);
}

static int new_object_end(struct gofer_req *r, struct gofer_node_entry *dir, const char *name,
                          const struct gofer_create_req *q, int unlink_flags)
{
    struct gofer_node_entry *n;
    int err = own_new_object(dir, name, q->uid, q->gid, &n);
    if (!err) {
        struct gofer_gen gen;
        gofer_handle gen_dir = watch_dir(dir, &gen);
        err = reply_node(r, n, gen_dir, &gen);
        if (err) node_release(n->h);
        node_put(n);
    }
    if (err && err != -ESTALE) unlinkat(dir->fd, name, unlink_flags);
    return err;
}

HOSTCALL(mkdirat, "new directories");
HOSTCALL(mknodat, "new FIFOs, sockets, empty files");
HOSTCALL(symlinkat, "new symbolic links");
HOSTCALL(fchmodat, "set-group-id bit of a new directory");

int op_mkdir(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_create_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *dir = NULL;
    int err = new_object_begin(r, &c, &q, &name, &dir);
    if (!err && c.left) err = -EBADMSG;
    if (!err) err = mode_check(dir, q.mode, true);
    if (err) return err;
    if (mkdirat(dir->fd, name, q.mode)) return -errno;
    struct gofer_node_entry *n;
    err = own_new_object(dir, name, q.uid, q.gid, &n);
    if (!err) {
        /* mkdir(2) honours only S_ISVTX beside the permission bits */
        if (q.mode & (S_ISGID | S_ISUID) && n->mode == S_IFDIR &&
            fchmodat(gofer_proc_fd(), gofer_fd_name(n->fd).s, q.mode, 0))
            err = -errno;
        struct gofer_gen gen;
        gofer_handle gen_dir = watch_dir(dir, &gen);
        if (!err) err = reply_node(r, n, gen_dir, &gen);
        if (err) node_release(n->h);
        node_put(n);
    }
    if (err && err != -ESTALE) unlinkat(dir->fd, name, AT_REMOVEDIR);
    return err;
}

int op_mknod(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_create_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *dir = NULL;
    int err = new_object_begin(r, &c, &q, &name, &dir);
    if (!err && c.left) err = -EBADMSG;
    if (err) return err;
    u32 type = q.mode & S_IFMT;
    /* Never a device node, whatever the gofer may do; 0/0 is none, it marks what a layer removes. */
    bool whiteout = type == S_IFCHR && (gofer_root_get(dir->root)->flags & PLAN_ROOT_LAYER);
    if ((type == S_IFCHR && !whiteout) || type == S_IFBLK) return -EPERM;
    if (!whiteout && type != S_IFIFO && type != S_IFSOCK && type != S_IFREG) return -EBADMSG;
    err = mode_check(dir, q.mode & ~(u32)S_IFMT, false);
    if (err) return err;
    if (mknodat(dir->fd, name, q.mode, 0)) return -errno;
    return new_object_end(r, dir, name, &q, 0);
}

int op_symlink(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_create_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *dir = NULL;
    int err = new_object_begin(r, &c, &q, &name, &dir);
    if (err) return err;
    const char *target = cur_str(&c, GOFER_LINK_MAX - 1);
    if (!target || c.left) return -EBADMSG;
    if (symlinkat(target, dir->fd, name)) return -errno;
    return new_object_end(r, dir, name, &q, 0);
}
