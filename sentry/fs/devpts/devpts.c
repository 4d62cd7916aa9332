/*
 * devpts: /dev/pts. One instance a sandbox: further mounts show the same terminals. Documentation/filesystems/devpts.rst
 * gives each mount its own; a second instance has no user here until mount namespaces ask for one.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/fs/devpts/tty.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define DEVPTS_MAX 4096 /* kernel.pty.max */

static struct {
    lock_t lock; /* LC_LEAF; guards: */
    struct tty *ttys[DEVPTS_MAX];
    struct dentry *nodes[DEVPTS_MAX];
    struct super *sb; /* created at first use, kept */
} pts = { .lock = LOCK_INIT(LC_LEAF) };

static int pts_open(struct inode *ino, struct dentry *d UNUSED, struct file *f) { return tty_slave_open(ino->priv, f); }

static void pts_inode_free(struct inode *ino)
{
    tty_put(ino->priv);
    inode_fini(ino);
    free(ino);
}

static int pts_setattr(struct inode *ino, struct dentry *d UNUSED, const struct kattr *a)
{
    lock(&ino->lock);
    if (a->valid & ATTR_MODE) ino->mode = (ino->mode & S_IFMT) | (a->mode & 07777);
    if (a->valid & ATTR_UID) ino->uid = a->uid;
    if (a->valid & ATTR_GID) ino->gid = a->gid;
    if (a->valid & (ATTR_ATIME | ATTR_ATIME_NOW)) ino->atime = a->atime;
    if (a->valid & (ATTR_MTIME | ATTR_MTIME_NOW)) ino->mtime = a->mtime;
    unlock(&ino->lock);
    return 0;
}

static const struct inode_ops pts_node_ops = { .open = pts_open, .free = pts_inode_free, .setattr = pts_setattr };

static int ptmx_open(struct inode *ino UNUSED, struct dentry *d UNUSED, struct file *f) { return pty_master_open(f); }
static const struct inode_ops ptmx_node_ops = { .open = ptmx_open };

static int devpts_readdir(struct file *f, struct dir_sink *s)
{
    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, f->inode->ino, DT_DIR, 1)) return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, f->inode->ino, DT_DIR, 2)) return 0;
        f->pos = 2;
    }
    if (f->pos == 2) {
        if (!s->emit(s, "ptmx", 4, 2, DT_CHR, 3)) return 0;
        f->pos = 3;
    }
    for (u64 i = f->pos - 3; i < DEVPTS_MAX; i++) {
        char name[16];
        lock(&pts.lock);
        u64 ino = pts.nodes[i] ? pts.nodes[i]->inode->ino : 0;
        unlock(&pts.lock);
        if (!ino) continue;
        int n = snprintf(name, sizeof(name), "%u", (unsigned)i);
        if (!s->emit(s, name, (size_t)n, ino, DT_CHR, i + 4)) {
            f->pos = i + 3;
            return 0;
        }
        f->pos = i + 4;
    }
    return 0;
}

static const struct file_ops devpts_dir_fops = { .readdir = devpts_readdir, .seekable = true };
/* All nodes are in the dentry cache; a name that is not there does not exist. */
static int devpts_lookup(struct inode *dir UNUSED, struct dentry *d UNUSED) { return 0; }
static const struct inode_ops devpts_dir_ops = { .lookup = devpts_lookup };

static int devpts_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = sb->magic, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255 };
    return 0;
}
static const struct super_ops devpts_super_ops = { .name = "devpts", .statfs = devpts_statfs };

int devpts_new(struct super **out)
{
    if (pts.sb) {
        super_get(pts.sb);
        *out = pts.sb;
        return 0;
    }
    struct super *sb = xnew(struct super);
    super_init(sb, &devpts_super_ops, DEVPTS_SUPER_MAGIC);
    sb->case_cache_forever = true;
    sb->options = xstrdup("mode=600,ptmxmode=666");
    struct inode *root = inode_new(sb, &devpts_dir_ops, &devpts_dir_fops, 1, S_IFDIR | 0755);
    root->nlink = 2;
    sb->root = dentry_new_root(sb, root);
    struct inode *ptmx = inode_new(sb, &ptmx_node_ops, &pty_master_fops, 2, S_IFCHR | 0666);
    ptmx->rdev = makedev(5, 2);
    dentry_put(dentry_add(sb->root, "ptmx", ptmx));
    pts.sb = sb;
    super_get(sb); /* ours, for good */
    *out = sb;
    return 0;
}

struct tty *devpts_alloc(void)
{
    struct super *sb;
    if (!pts.sb) { /* nobody mounted it: terminals work, without names */
        devpts_new(&sb);
        super_put(sb);
    }
    unsigned i;
    lock(&pts.lock);
    for (i = 0; i < DEVPTS_MAX && pts.ttys[i]; i++) {}
    if (i == DEVPTS_MAX) {
        unlock(&pts.lock);
        return NULL;
    }
    struct tty *tty = pts.ttys[i] = tty_new(i);
    unlock(&pts.lock);

    struct inode *ino = inode_new(pts.sb, &pts_node_ops, &tty_slave_fops, i + 3, S_IFCHR | 0600);
    ino->rdev = tty_dev(tty);
    if (current) {
        ino->uid = current_cred()->fsuid;
        ino->gid = current_cred()->fsgid;
        ino->mode = S_IFCHR | 0620; /* as grantpt(3) leaves it on a distribution's mount */
    }
    tty_get(tty);
    ino->priv = tty;
    tty->inode = ino;
    char name[16];
    snprintf(name, sizeof(name), "%u", i);
    struct dentry *d = dentry_lookup_cached(pts.sb->root, name, strlen(name));
    if (d) { /* a negative entry from an earlier look */
        dentry_drop(d);
        dentry_put(d);
    }
    d = dentry_add(pts.sb->root, name, ino);
    lock(&pts.lock);
    pts.nodes[i] = d;
    unlock(&pts.lock);
    return tty;
}

void devpts_remove(struct tty *tty)
{
    lock(&pts.lock);
    struct dentry *d = pts.nodes[tty->index];
    pts.nodes[tty->index] = NULL;
    pts.ttys[tty->index] = NULL;
    unlock(&pts.lock);
    if (!d) return;
    dentry_delete(d);
    dentry_put(d);
}

struct tty *devpts_find_get(unsigned index)
{
    if (index >= DEVPTS_MAX) return NULL;
    lock(&pts.lock);
    struct tty *tty = pts.ttys[index];
    if (tty) tty_get(tty);
    unlock(&pts.lock);
    return tty;
}
