/*
 * Names: lookup with what lies behind it in the path, creation, removal, rename. Called by the VFS with the directory's
 * lock held and permissions checked.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/log.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The walk's own definition counts; this one serves programs that link the file system without it (tests). */
__attribute__((weak)) _Thread_local const char *vfs_lookup_ahead;

#define WALK_REPLY_ROOM (16u * 1024)
#define AHEAD_AGE (5 * NSEC_PER_MSEC)      /* of what nobody vouches for: no more than one walk */

static struct gofer_fs *FS(struct inode *dir) { return GI(dir)->fs; }

/* A dentry is valid while its cookie is the names counter of its directory; 0: ask each time. */
static void set_cookie(struct dentry *d, struct ginode *dir, gofer_handle gen_dir, const struct gofer_gen *gen)
{
    d->cookie = gen_dir && gen_dir == dir->h ? 1ULL << 63 | gen->names : 0;
}

static void changed(struct inode *dir)
{
    struct gofer_client *c = FS(dir)->c;
    atomic_add(&c->changes, 1);
    gi_mark_stale(GI(dir));
}

/* Splits the text behind the component into names that may be walked with it. */
static unsigned ahead_names(const char *rest, char (*names)[KNAME_MAX + 1])
{
    unsigned n = 0;
    while (rest && n < GOFER_AHEAD_MAX) {
        while (*rest == '/') rest++;
        size_t len = strcspn(rest, "/");
        if (!len || len > KNAME_MAX || (len <= 2 && !strncmp(rest, "..", len))) break;
        memcpy(names[n], rest, len);
        names[n++][len] = 0;
        rest += len;
    }
    return n;
}

struct walk_result { struct gofer_node node; char *target; int err; struct gofer_gen neg_gen; gofer_handle neg_dir; struct ahead *ahead; int fd; };

/* One WALK of name and the names behind it. err: of the first component. */
static int walk(struct ginode *dir, const char *name, const char *rest, bool want_fd, struct walk_result *w)
{
    struct gofer_client *c = gi_client(dir);
    char (*names)[KNAME_MAX + 1] = NULL;
    unsigned extra = 0;
    if (rest && *rest) {
        names = xzalloc(sizeof *names * GOFER_AHEAD_MAX);
        extra = ahead_names(rest, names);
    }
    u8 *req = xzalloc(sizeof(struct gofer_walk_req) + (extra + 1) * (KNAME_MAX + 1));
    AUTO_FREE u8 *rep = xzalloc(WALK_REPLY_ROOM);
    struct gofer_walk_req q = { .dir = dir->h, .nnames = extra + 1, .flags = want_fd ? GOFER_WALK_OPEN : 0 };
    memcpy(req, &q, sizeof q);
    size_t at = sizeof q;
    for (unsigned i = 0; i <= extra; i++) {
        const char *s = i ? names[i - 1] : name;
        size_t n = strlen(s) + 1;
        memcpy(req + at, s, n);
        at += n;
    }
    *w = (struct walk_result){ .fd = -1 };
    u32 changes = atomic_load(&c->changes);
    struct iovec part = { req, at };
    size_t len = WALK_REPLY_ROOM;
    int err = gofer_call(c, GOFER_WALK, &part, 1, rep, &len, &w->fd);
    free(req);
    struct gofer_walk_rep h;
    if (!err && len < sizeof h) err = -EIO;
    if (err) goto out;
    memcpy(&h, rep, sizeof h);
    size_t pos = sizeof h;
    if (h.count > extra + 1 || h.err > 0 || (!h.count && !h.err)) err = -EIO;
    struct ahead *a = NULL;
    if (!err && extra) {
        a = xzalloc(sizeof *a + (extra + 1) * sizeof a->ent[0]);
        a->changes = changes;
        a->when = clock_mono();
    }
    char target[GOFER_LINK_MAX + 1];
    for (unsigned i = 0; i < h.count && !err; i++) {
        struct gofer_node n;
        err = gofer_node_parse(rep, len, &pos, &n, target);
        if (err) break;
        char *t = n.link_len ? xstrdup(target) : NULL;
        if (i == 0) {
            w->node = n;
            w->target = t;
        } else {
            struct ahead_ent *e = &a->ent[a->n++];
            strcpy(e->name, names[i - 1]);
            e->node = n;
            e->target = t;
        }
    }
    if (!err && h.err && h.count == 0) {
        w->err = h.err;
        w->neg_dir = h.neg_dir;
        w->neg_gen = h.neg_gen;
    } else if (!err && h.err == -ENOENT && a) {
        struct ahead_ent *e = &a->ent[a->n++];
        strcpy(e->name, names[h.count - 1]);
        e->negative = true;
        e->node.gen_dir = h.neg_dir;
        e->node.gen = h.neg_gen;
    }
    if (a && !a->n) {
        free(a);
        a = NULL;
    }
    w->ahead = a;
    /* the descriptor belongs to the last node: kept only when that is the one asked for */
    if (w->fd >= 0 && (extra || err)) {
        close(w->fd);
        w->fd = -1;
    }
out:
    free(names);
    return err;
}

/* The next result of an earlier walk, if it is for this name and still holds. 1: taken. */
static int take_ahead(struct ginode *dir, const char *name, struct walk_result *w)
{
    struct gofer_client *c = gi_client(dir);
    lock(&dir->lock);
    struct ahead *a = dir->ahead;
    dir->ahead = NULL;
    unlock(&dir->lock);
    if (!a) return 0;
    struct ahead_ent *e = &a->ent[a->at];
    bool ok = a->changes == atomic_load(&c->changes) && !strcmp(e->name, name);
    if (ok && !dir->fs->exclusive)
        ok = e->node.gen_dir ? gofer_gen_same(c, e->node.gen_dir, &e->node.gen, false) : clock_mono() - a->when < AHEAD_AGE;
    if (!ok) {
        ahead_free(c, a);
        return 0;
    }
    *w = (struct walk_result){ .node = e->node, .target = e->target, .fd = -1 };
    e->target = NULL;
    if (e->negative) {
        w->err = -ENOENT;
        w->neg_dir = e->node.gen_dir;
        w->neg_gen = e->node.gen;
    }
    if (++a->at < a->n) {
        w->ahead = a;
    } else {
        ahead_free(c, a);
    }
    return 1;
}

static int lookup_op(struct inode *dir, struct dentry *d)
{
    struct ginode *gd = GI(dir);
    struct walk_result w;
    const char *rest = vfs_lookup_ahead;
    vfs_lookup_ahead = NULL;
    if (strlen(d->name) > KNAME_MAX) return -ENAMETOOLONG;
    if (!take_ahead(gd, d->name, &w)) {
        int err = walk(gd, d->name, rest, false, &w);
        if (err == 0 && w.err == -ENFILE) {
            /* the gofer's node table is full: cached names that nobody uses go, then once more */
            ahead_free(gi_client(gd), w.ahead);
            dentry_drop_children(dir->sb->root);
            gofer_release(gi_client(gd), 0, true);
            err = walk(gd, d->name, NULL, false, &w);
        }
        if (err) return err;
    }
    if (w.err) {
        ahead_free(gi_client(gd), w.ahead);
        if (w.err != -ENOENT) return w.err;
        set_cookie(d, gd, w.neg_dir, &w.neg_gen);
        return 0; /* negative */
    }
    struct inode *i = gi_from_node(FS(dir), &w.node, w.target, d->policy);
    free(w.target);
    set_cookie(d, gd, w.node.gen_dir, &w.node.gen);
    if (w.fd >= 0) gi_give_fd(GI(i), GFD_RO, w.fd);
    if (w.ahead && S_ISDIR(i->mode)) {
        gi_drop_ahead(GI(i));
        lock(&GI(i)->lock);
        struct ahead *other = GI(i)->ahead;
        GI(i)->ahead = w.ahead;
        unlock(&GI(i)->lock);
        ahead_free(gi_client(gd), other);
    } else {
        ahead_free(gi_client(gd), w.ahead);
    }
    dentry_instantiate(d, i);
    return 0;
}

int gofer_d_revalidate(struct dentry *d)
{
    struct dentry *parent = d->parent;
    struct ginode *gd = GI(parent->inode);
    if (gd->fs->exclusive || parent == d) return 1;
    struct gofer_client *c = gi_client(gd);
    struct inode *i = d->inode;
    if (d->cookie) {
        const struct gofer_gen *s = &c->gens[GOFER_HANDLE_INDEX(gd->h) % GOFER_GEN_SLOTS];
        bool names = atomic_load(&s->names) == (u32)d->cookie;
        if (names && !i) return 1;
        if (names && i) {
            struct ginode *gi = GI(i);
            lock(&gi->lock);
            bool ok = !gi->stale && (gi->gen_dir == gi->h || gofer_gen_same(c, gi->gen_dir, &gi->gen, S_ISREG(i->mode) && gi_read_fd(gi) < 0));
            /* a directory vouched for by its own watch: mode changes show there too */
            if (ok && gi->gen_dir == gi->h) ok = atomic_load(&c->gens[GOFER_HANDLE_INDEX(gi->h) % GOFER_GEN_SLOTS].attrs) == gi->gen.attrs;
            unlock(&gi->lock);
            if (ok) return 1;
            if (S_ISDIR(i->mode) || gi_read_fd(gi) >= 0) return gi_refresh(gi) ? 0 : 1;
        }
    }
    struct walk_result w;
    int err = walk(gd, d->name, NULL, false, &w);
    if (err) return err;
    if (w.err) {
        if (w.err == -ENOENT) {
            if (!i) set_cookie(d, gd, w.neg_dir, &w.neg_gen);
            return !i;
        }
        return w.err == -ENFILE || w.err == -ENOMEM ? w.err : 0;
    }
    free(w.target);
    bool same = i && GI(i)->key.dev == w.node.attr.dev && GI(i)->key.ino == w.node.attr.ino;
    if (same) {
        set_cookie(d, gd, w.node.gen_dir, &w.node.gen);
        gi_stamp(GI(i), &w.node);
    }
    if (!same || w.node.h != GI(i)->h) gofer_release(c, w.node.h, false);
    return same;
}

/* --- changes --- */

static void new_owner(struct inode *dir, u32 *mode, bool is_dir, struct gofer_create_req *q)
{
    const struct cred *c = current ? current->cred : NULL;
    q->uid = c ? c->fsuid : 0;
    q->gid = c ? c->fsgid : 0;
    if (dir->mode & S_ISGID) { /* BSD groups, inode(7) */
        q->gid = dir->gid;
        if (is_dir) *mode |= S_ISGID;
    }
    q->dir = GI(dir)->h;
    q->mode = *mode;
}

static int new_object(struct inode *dir, struct dentry *d, enum gofer_op op, u32 mode, const char *target, struct inode **out, int *fd)
{
    struct gofer_create_req q = { 0 };
    u32 m = op == GOFER_MKNOD ? mode : mode & 07777;
    new_owner(dir, &m, op == GOFER_MKDIR, &q);
    u8 rep[sizeof(struct gofer_node) + GOFER_LINK_MAX + 8];
    size_t len = sizeof rep;
    int err = gofer_call_simple(FS(dir)->c, op, &q, sizeof q, d ? d->name : NULL, target, rep, &len, fd);
    if (err) return err;
    changed(dir);
    struct gofer_node n;
    char text[GOFER_LINK_MAX + 1];
    size_t pos = 0;
    err = gofer_node_parse(rep, len, &pos, &n, text);
    if (err) {
        if (fd && *fd >= 0) close(*fd);
        return err;
    }
    struct inode *i = gi_from_node(FS(dir), &n, n.link_len ? text : NULL, d ? d->policy : (u32)GI(dir)->key.state);
    if (fd) gi_give_fd(GI(i), GFD_RW, *fd);
    if (op == GOFER_MKDIR) {
        lock(&GI(dir)->lock);
        dir->nlink++;
        unlock(&GI(dir)->lock);
    }
    if (d) {
        set_cookie(d, GI(dir), n.gen_dir, &n.gen);
        dentry_instantiate(d, i);
    } else {
        *out = i;
    }
    return 0;
}

static int create_op(struct inode *dir, struct dentry *d, u32 mode)
{
    int fd = -1;
    return new_object(dir, d, GOFER_CREATE, mode, NULL, NULL, &fd);
}

static int tmpfile_op(struct inode *dir, u32 mode, struct inode **out)
{
    int fd = -1;
    return new_object(dir, NULL, GOFER_TMPFILE, mode, NULL, out, &fd);
}

static int mkdir_op(struct inode *dir, struct dentry *d, u32 mode) { return new_object(dir, d, GOFER_MKDIR, mode, NULL, NULL, NULL); }

static int mknod_op(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
    /* 0/0: a whiteout, which the gofer makes in layers alone */
    if ((S_ISCHR(mode) && rdev) || S_ISBLK(mode)) return -EPERM;
    if (!(mode & S_IFMT)) mode |= S_IFREG;
    return new_object(dir, d, GOFER_MKNOD, mode & (S_IFMT | 07777), NULL, NULL, NULL);
}

static int symlink_op(struct inode *dir, struct dentry *d, const char *target)
{
    if (strlen(target) >= GOFER_LINK_MAX) return -ENAMETOOLONG;
    return new_object(dir, d, GOFER_SYMLINK, 0777, target, NULL, NULL);
}

static int link_op(struct inode *dir, struct dentry *d, struct inode *target, struct dentry *target_d UNUSED)
{
    struct gofer_link_req q = { .dir = GI(dir)->h, .target = GI(target)->h };
    u8 rep[sizeof(struct gofer_node) + GOFER_LINK_MAX + 8];
    size_t len = sizeof rep;
    int err = gofer_call_simple(FS(dir)->c, GOFER_LINK, &q, sizeof q, d->name, NULL, rep, &len, NULL);
    if (err) return err;
    changed(dir);
    struct gofer_node n;
    char text[GOFER_LINK_MAX + 1];
    size_t pos = 0;
    err = gofer_node_parse(rep, len, &pos, &n, text);
    if (err) return err;
    gi_stamp(GI(target), &n); /* the handle is the target's own */
    set_cookie(d, GI(dir), n.gen_dir, &n.gen);
    inode_get(target);
    dentry_instantiate(d, target);
    return 0;
}

/* A name of i went: its link count falls; what else changed is asked when wanted. */
static void lost_name(struct inode *i, bool is_dir)
{
    if (!i) return;
    struct ginode *gi = GI(i);
    lock(&gi->lock);
    if (is_dir) i->nlink = 0;
    else if (i->nlink) i->nlink--;
    gi->stale = true;
    unlock(&gi->lock);
}

static int remove_name(struct inode *dir, struct dentry *d, u32 flags)
{
    struct gofer_unlink_req q = { .dir = GI(dir)->h, .flags = flags };
    int err = gofer_call_simple(FS(dir)->c, GOFER_UNLINK, &q, sizeof q, d->name, NULL, NULL, NULL, NULL);
    if (err) return err;
    changed(dir);
    lost_name(d->inode, flags);
    if (flags) {
        lock(&GI(dir)->lock);
        if (dir->nlink) dir->nlink--;
        unlock(&GI(dir)->lock);
    }
    return 0;
}

static int unlink_op(struct inode *dir, struct dentry *d) { return remove_name(dir, d, 0); }
static int rmdir_op(struct inode *dir, struct dentry *d) { return remove_name(dir, d, AT_REMOVEDIR); }

static int rename_op(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd, u32 flags)
{
    struct gofer_rename_req q = { .odir = GI(odir)->h, .ndir = GI(ndir)->h, .flags = flags };
    int err = gofer_call_simple(FS(odir)->c, GOFER_RENAME, &q, sizeof q, od->name, nd->name, NULL, NULL, NULL);
    if (err) return err;
    changed(odir);
    changed(ndir);
    if (nd->inode && nd->inode != od->inode) {
        if (flags & RENAME_EXCHANGE) gi_mark_stale(GI(nd->inode));
        else lost_name(nd->inode, S_ISDIR(nd->inode->mode));
    }
    if (od->inode) gi_mark_stale(GI(od->inode));
    od->cookie = nd->cookie = 0; /* both stand under another watch now */
    return 0;
}

const struct inode_ops gofer_dir_iops = {
    .lookup = lookup_op, .create = create_op, .mkdir = mkdir_op, .mknod = mknod_op, .symlink = symlink_op, .link = link_op,
    .unlink = unlink_op, .rmdir = rmdir_op, .rename = rename_op, .tmpfile = tmpfile_op, .getattr = gofer_getattr,
    .setattr = gofer_setattr, .getxattr = gofer_getxattr, .setxattr = gofer_setxattr, .listxattr = gofer_listxattr,
    .removexattr = gofer_removexattr, .d_revalidate = gofer_d_revalidate, .free = gi_free,
};
