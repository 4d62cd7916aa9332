/* Inodes of the gofer's files: one per host object, their attributes and how long those may be believed. */
#include "sentry/base/alloc.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <string.h>
#include <sys/sysmacros.h>

static struct timespec ts_of(struct gofer_time t) { return (struct timespec){ t.sec, t.nsec }; }

static void apply_locked(struct ginode *gi, const struct gofer_attr *a)
{
    struct inode *i = &gi->vfs;
    /* the type never changes: the handle pins the host's inode */
    i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    i->uid = a->uid;
    i->gid = a->gid;
    i->nlink = (u32)a->nlink;
    i->size = a->size;
    i->blocks = a->blocks;
    i->rdev = a->rdev;
    i->atime = ts_of(a->atime);
    i->mtime = ts_of(a->mtime);
    i->ctime = ts_of(a->ctime);
    i->btime = a->btime.sec == INT64_MIN ? (struct timespec){ 0, 0 } : ts_of(a->btime);
}

void gi_apply(struct ginode *gi, const struct gofer_attr *a)
{
    lock(&gi->lock);
    apply_locked(gi, a);
    unlock(&gi->lock);
}

/* Attributes and who vouches for them, from an answer that looked at the host. */
void gi_stamp(struct ginode *gi, const struct gofer_node *n)
{
    lock(&gi->lock);
    apply_locked(gi, &n->attr);
    gi->gen_dir = n->gen_dir;
    gi->gen = n->gen;
    gi->stale = false;
    unlock(&gi->lock);
}

void gi_mark_stale(struct ginode *gi)
{
    lock(&gi->lock);
    gi->stale = true;
    unlock(&gi->lock);
}

/* May the attributes in the inode be shown as they are? */
bool gi_attrs_fresh(struct ginode *gi)
{
    lock(&gi->lock);
    bool ok = !gi->stale;
    if (ok && !gi->fs->exclusive) {
        /* a directory's size and times change with its entries: only its own watch tells */
        ok = gofer_gen_same(gi->fs->c, gi->gen_dir, &gi->gen, true) && (!S_ISDIR(gi->vfs.mode) || gi->gen_dir == gi->h);
    }
    unlock(&gi->lock);
    return ok;
}

int gi_refresh(struct ginode *gi)
{
    /*
     * The descriptor tells all but the owner: the sentry's user namespace maps one id, and shows the host's others as the
     * overflow id. So it serves only while the owner known from the gofer still holds.
     */
    lock(&gi->lock);
    bool owner_holds = gi->fs->exclusive || gofer_gen_same(gi->fs->c, gi->gen_dir, &gi->gen, false);
    unlock(&gi->lock);
    if (S_ISREG(gi->vfs.mode) && owner_holds) {
        int err = -EBADF;
        gi_pin(gi);
        int fd = gi_read_fd(gi) >= 0 ? gi_read_fd(gi) : gi_write_fd(gi);
        struct stat st;
        if (fd >= 0 && (err = host_fstat(fd, &st)) == 0) {
            struct inode *i = &gi->vfs;
            lock(&gi->lock);
            i->mode = (i->mode & S_IFMT) | (st.st_mode & 07777);
            i->nlink = (u32)st.st_nlink;
            i->size = (u64)st.st_size;
            i->blocks = (u64)st.st_blocks;
            i->atime = st.st_atim;
            i->mtime = st.st_mtim;
            i->ctime = st.st_ctim;
            gi->stale = false;
            unlock(&gi->lock);
        }
        gi_unpin(gi);
        if (!err) return 0;
    }
    if (gi_attrs_fresh(gi)) return 0;
    struct { struct gofer_node n; char target[GOFER_LINK_MAX + 8]; } rep;
    size_t len = sizeof rep;
    int err = gofer_call_simple(gi->fs->c, GOFER_GETATTR, &gi->h, sizeof gi->h, NULL, NULL, &rep, &len, NULL);
    if (!err && len < sizeof rep.n) err = -EIO;
    if (!err) gi_stamp(gi, &rep.n);
    return err;
}

void ahead_free(struct gofer_client *c, struct ahead *a)
{
    if (!a) return;
    for (unsigned i = 0; i < a->n; i++) {
        if (i >= a->at && !a->ent[i].negative) gofer_release(c, a->ent[i].node.h, false);
        free(a->ent[i].target);
    }
    free(a);
}

void gi_drop_ahead(struct ginode *gi)
{
    lock(&gi->lock);
    struct ahead *a = gi->ahead;
    gi->ahead = NULL;
    unlock(&gi->lock);
    ahead_free(gi->fs->c, a);
}

u64 gi_dev(struct ginode *gi)
{
    struct gofer_fs *fs = gi->fs;
    if (gi->key.dev == fs->root_dev) return fs->sb.dev;
    /* a host mount below the root: another device, so that inode numbers stay unique */
    unsigned i;
    lock(&fs->lock);
    for (i = 0; i < fs->ndevs && fs->devs[i] != gi->key.dev; i++) continue;
    if (i == fs->ndevs && i < ARRAY_LEN(fs->devs)) fs->devs[fs->ndevs++] = gi->key.dev;
    unlock(&fs->lock);
    return makedev(0x800 + minor(fs->sb.dev), i);
}

struct inode *gi_from_node(struct gofer_fs *fs, const struct gofer_node *n, const char *target, u32 state)
{
    struct ginode key = { .key = { n->attr.dev, n->attr.ino, state } }, *gi;
    lock(&fs->lock);
    HASH_FIND(hh, fs->inodes, &key.key, sizeof key.key, gi);
    if (gi && (gi->vfs.mode & S_IFMT) == (n->attr.mode & S_IFMT) && ref_get_unless_zero(&gi->vfs.refs)) {
        unlock(&fs->lock);
        gi_stamp(gi, n);
        /* who vouches is named by the new handle's directory, which stays; the second handle of the object goes */
        if (n->h != gi->h) gofer_release(fs->c, n->h, false);
        return &gi->vfs;
    }
    if (gi) HASH_DEL(fs->inodes, gi); /* on its way out; its free sees that it is not in the table */
    struct ginode *old = gi;
    gi = xnew(struct ginode);
    const struct inode_ops *ops = S_ISDIR(n->attr.mode) ? &gofer_dir_iops : S_ISLNK(n->attr.mode) ? &gofer_link_iops : &gofer_file_iops;
    const struct file_ops *fops = S_ISDIR(n->attr.mode) ? &gofer_dir_fops : S_ISREG(n->attr.mode) ? &gofer_file_fops : NULL;
    inode_init(&gi->vfs, &fs->sb, ops, fops, n->attr.ino, n->attr.mode);
    gi->fs = fs;
    gi->h = n->h;
    gi->key.dev = n->attr.dev;
    gi->key.ino = n->attr.ino;
    gi->key.state = state;
    lock_init(&gi->lock, LC_LEAF);
    lock_init(&gi->append_lock, LC_PIPE);
    for (int i = 0; i < GFD_N; i++) gi->fds[i] = -1;
    if (S_ISREG(n->attr.mode)) gi->vfs.map.ops = &gofer_map_ops;
    if (target) gi->target = xstrdup(target);
    apply_locked(gi, &n->attr);
    gi->gen_dir = n->gen_dir;
    gi->gen = n->gen;
    HASH_ADD(hh, fs->inodes, key, sizeof gi->key, gi);
    if (old) old->hh.tbl = NULL;
    unlock(&fs->lock);
    return &gi->vfs;
}

void gi_free(struct inode *ino)
{
    struct ginode *gi = GI(ino), *found;
    struct gofer_fs *fs = gi->fs;
    lock(&fs->lock);
    HASH_FIND(hh, fs->inodes, &gi->key, sizeof gi->key, found);
    if (found == gi) HASH_DEL(fs->inodes, gi);
    unlock(&fs->lock);
    gi_close_fds(gi);
    gi_drop_ahead(gi);
    gofer_release(fs->c, gi->h, gi->vfs.nlink == 0);
    free(gi->target);
    lock_fini(&gi->lock);
    lock_fini(&gi->append_lock);
    inode_fini(&gi->vfs); /* last: it may take the super with it */
    free(gi);
}

int gofer_node_parse(const u8 *buf, size_t len, size_t *pos, struct gofer_node *out, char target[GOFER_LINK_MAX + 1])
{
    if (*pos > len || len - *pos < sizeof *out) return -EIO;
    memcpy(out, buf + *pos, sizeof *out);
    *pos += sizeof *out;
    target[0] = 0;
    if (!out->link_len) return 0;
    if (out->link_len > GOFER_LINK_MAX || len - *pos < out->link_len) return -EIO;
    memcpy(target, buf + *pos, out->link_len);
    target[out->link_len] = 0;
    *pos += (out->link_len + 7) & ~7u;
    return 0;
}
