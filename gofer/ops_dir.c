/* Requests on directory entries: link, unlink, rename, reading directories in bulk. */
#include "gofer/gofer.h"
#include "sentry/base/hostcall.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(linkat, "hard links");
HOSTCALL(renameat2, "renames");
HOSTCALL(getdents64, "directory contents");
HOSTCALL(lseek, "continue reading a directory");

int op_link(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_link_req q;
    if (!cur_fixed(&c, &q, sizeof q)) return -EBADMSG;
    const char *name = cur_str(&c, GOFER_NAME_MAX);
    if (!name || name_check(name) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *dir = node_get(q.dir);
    AUTO_NODE struct gofer_node_entry *n = node_get(q.target);
    if (!dir || !n) return -EBADF;
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    if (dir->root != n->root) return -EXDEV;
    int err = node_may_name(dir, name);
    if (err) return err;
    if (n->mode == S_IFDIR) return -EPERM;
    if ((err = state_move(n->state, node_child_state(dir, name), false))) return err;
    /* a second name for a device or for what another root forbids gains nothing: nodes are judged by their own mode */
    if (linkat(gofer_proc_fd(), gofer_fd_name(n->fd).s, dir->fd, name, AT_SYMLINK_FOLLOW)) return -errno;
    struct gofer_gen gen;
    gofer_handle gen_dir = watch_dir(dir, &gen);
    return reply_node(r, n, gen_dir, &gen);
}

int op_unlink(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_unlink_req q;
    if (!cur_fixed(&c, &q, sizeof q)) return -EBADMSG;
    const char *name = cur_str(&c, GOFER_NAME_MAX);
    if (!name || name_check(name) || c.left || (q.flags & ~(u32)AT_REMOVEDIR)) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *dir = node_get(q.dir);
    if (!dir) return -EBADF;
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    int err = node_may_name(dir, name);
    if (err) return err;
    return unlinkat(dir->fd, name, (int)q.flags) ? -errno : 0;
}

int op_rename(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_rename_req q;
    if (!cur_fixed(&c, &q, sizeof q)) return -EBADMSG;
    const char *oname = cur_str(&c, GOFER_NAME_MAX);
    const char *nname = oname ? cur_str(&c, GOFER_NAME_MAX) : NULL;
    if (!nname || name_check(oname) || name_check(nname) || c.left) return -EBADMSG;
    if (q.flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) return -EINVAL;
    AUTO_NODE struct gofer_node_entry *odir = node_get(q.odir);
    AUTO_NODE struct gofer_node_entry *ndir = node_get(q.ndir);
    if (!odir || !ndir) return -EBADF;
    /* makes a device node, of the harmless number that marks what a layer removes */
    if ((q.flags & RENAME_WHITEOUT) && !(gofer_root_get(odir->root)->flags & PLAN_ROOT_LAYER)) return -EINVAL;
    if (odir->mode != S_IFDIR || ndir->mode != S_IFDIR) return -ENOTDIR;
    if (odir->root != ndir->root) return -EXDEV;
    int err = node_may_name(odir, oname);
    if (!err) err = node_may_name(ndir, nname);
    /* Whether it is a directory is not asked: it could be another object by the time of the rename. */
    if (!err) err = state_move(node_child_state(odir, oname), node_child_state(ndir, nname), true);
    if (err) return err;
    /* not libc's: without flags that one makes another call */
    return syscall(SYS_renameat2, odir->fd, oname, ndir->fd, nname, q.flags) ? -errno : 0;
}

int op_readdir(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_readdir_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *dir = node_get(q.dir);
    if (!dir) return -EBADF;
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    struct gofer_readdir_rep *rep = reply_add(r, sizeof *rep);
    rep->gen_dir = watch_dir(dir, &rep->gen); /* before reading */
    if (dir->sealed) {
        rep->eof = 1;
        return 0;
    }
    int fd = node_reopen(dir, O_RDONLY);
    if (fd < 0) return fd;
    int err = 0;
    if (q.cookie && lseek(fd, (off_t)q.cookie, SEEK_SET) < 0) err = -errno;
    u8 buf[24 * 1024] __attribute__((aligned(8)));
    u32 limit = q.max < 1024 ? 1024 : MIN(q.max, (u32)GOFER_PAYLOAD_MAX);
    while (!err && !rep->eof) {
        /* an entry of ours is at most 16 bytes longer than the host's, which is at least 24 long */
        u32 room = (limit - r->out_len) / 5 * 3;
        ssize_t n = room < 512 ? 0 : getdents64(fd, buf, MIN(room, (u32)sizeof buf));
        if (room < 512) break;
        if (n < 0) err = errno == EINVAL && rep->count ? 0 : -errno;
        if (n <= 0) {
            rep->eof = n == 0;
            break;
        }
        for (ssize_t at = 0; at < n;) {
            struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);
            at += d->d_reclen;
            size_t len = strlen(d->d_name);
            struct gofer_dirent *e = reply_add(r, (u32)(sizeof *e + len + 1));
            if (!e) {
                err = -EMSGSIZE;
                break;
            }
            e->ino = d->d_ino;
            e->next = (u64)d->d_off;
            e->dtype = d->d_type;
            e->namelen = (u8)len;
            e->len = (u16)((sizeof *e + len + 1 + 7) & ~(size_t)7);
            memcpy(e + 1, d->d_name, len + 1);
            rep->count++;
        }
    }
    close(fd);
    return err;
}
