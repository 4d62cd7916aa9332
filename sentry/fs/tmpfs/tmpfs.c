/* tmpfs: the super and the life of its inodes. */
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

u64 tmpfs_inode_limit(struct tmpfs_super *s)
{
    /* Linux's default: an inode for each page of half the memory. */
    u64 limit = MAX(memfile_size() >> (GPAGE_SHIFT + 1), 1024UL), own = atomic_load(&s->max_inodes);
    return own ? MIN(own, limit) : limit;
}

static int tmpfs_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    struct tmpfs_super *s = tmpfs_s(sb);
    u64 max = s->max_pages, used = atomic_load(&s->used_pages);
    out->f_type = sb->magic;
    out->f_bsize = out->f_frsize = GPAGE_SIZE;
    out->f_namelen = KNAME_MAX;
    out->f_blocks = max;
    out->f_bfree = out->f_bavail = max > used ? max - used : 0;
    u64 inodes = tmpfs_inode_limit(s);
    out->f_files = inodes;
    u64 taken = tmpfs_inodes_taken(s);
    out->f_ffree = inodes > taken ? inodes - taken : 0;
    return 0;
}

static void tmpfs_free(struct super *sb) { free(tmpfs_s(sb)); }

static void tmpfs_kill(struct super *sb)
{
    if (sb->root) tmpfs_dir_drop_all(sb->root->inode);
}

#define OPS(n) { .name = (n), .statfs = tmpfs_statfs, .free = tmpfs_free, .kill = tmpfs_kill }
static const struct super_ops tmpfs_super_ops = OPS("tmpfs"), ramfs_super_ops = OPS("ramfs"), mqueue_super_ops = OPS("mqueue");

struct inode *tmpfs_inode_new(struct super *sb, struct inode *dir, u32 mode, u64 rdev)
{
    struct tmpfs_super *s = tmpfs_s(sb);
    (void)atomic_add(&s->inodes, 1);
    if (tmpfs_inodes_taken(s) > tmpfs_inode_limit(s)) {
        (void)atomic_add(&s->inodes, -1);
        return NULL;
    }
    const struct inode_ops *ops = &tmpfs_special_inode_ops;
    const struct file_ops *fops = NULL;
    switch (mode & S_IFMT) {
    case S_IFDIR: ops = &tmpfs_dir_inode_ops; fops = &tmpfs_dir_ops; break;
    case S_IFREG: ops = &tmpfs_file_inode_ops; fops = &tmpfs_file_ops; break;
    case S_IFLNK: ops = &tmpfs_symlink_inode_ops; break;
    default: break;
    }
    struct tmpfs_inode *t = xnew(struct tmpfs_inode);
    struct inode *i = &t->vfs;
    inode_init(i, sb, ops, fops, inode_next_ino(), mode);
    LIST_INIT(&t->xattrs);
    lock_init(&t->pg_lock, LC_PAGETABLE);
    if (current && current->cred) inode_init_owner(i, dir, mode);
    acl_inherit(i, dir);
    if (dir) i->flags = inode_flags(dir) & (FS_NODUMP_FL | FS_NOATIME_FL);
    i->rdev = rdev;
    if (S_ISDIR(mode)) {
        RB_INIT(&t->by_id);
        t->next_id = 2;        /* cookies 0 and 1 stand before "." and ".." */
        t->parent = dir ? dir : i;
        i->nlink = 2;
        i->size = 40;
    } else if (S_ISREG(mode)) {
        i->map.ops = &tmpfs_map_ops;
    }
    return i;
}

void tmpfs_inode_free(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (S_ISREG(i->mode)) tmpfs_pages_free_all(t);
    if (S_ISDIR(i->mode)) tmpfs_dir_drop_all(i);
    tmpfs_xattrs_free(t);
    free(t->target);
    (void)atomic_add(&tmpfs_s(i->sb)->inodes, -1);
    lock_fini(&t->pg_lock);
    inode_fini(i);
    free(t);
}

static u64 default_size(void) { return (kernel_mem_limit() ? kernel_mem_limit() : memfile_size()) / 2; }

/* As in mountinfo. */
static char *options_text(const struct tmpfs_super *s, u32 mode)
{
    char inodes[40] = "";
    if (s->max_inodes) snprintf(inodes, sizeof(inodes), "nr_inodes=%lu,", (unsigned long)s->max_inodes);
    return xasprintf("size=%luk,%smode=%o", (unsigned long)(s->max_pages * (GPAGE_SIZE / 1024)), inodes, mode);
}

int tmpfs_set_limits(struct super *sb, const u64 *size, const u64 *inodes)
{
    struct tmpfs_super *s = tmpfs_s(sb);
    u64 pages = size ? gpage_up(*size ? *size : default_size()) >> GPAGE_SHIFT : atomic_load(&s->max_pages);
    /* What is there already must fit: shmem_reconfigure() of Linux. */
    if (size && pages < atomic_load(&s->used_pages)) return -EINVAL;
    if (inodes && *inodes && *inodes < atomic_load(&s->inodes)) return -EINVAL;
    atomic_store(&s->max_pages, pages);
    if (inodes) atomic_store(&s->max_inodes, *inodes);
    super_set_options(sb, options_text(s, s->mode));
    return 0;
}

void tmpfs_rename(struct super *sb, const char *name)
{
    bool ram = !strcmp(name, "ramfs");
    sb->ops = ram ? &ramfs_super_ops : &mqueue_super_ops;
    sb->file_flags = false;
    sb->magic = ram ? 0x858458f6 : 0x19800202;
    /* The one has no limit to tell of, the other nothing. */
    super_set_options(sb, ram ? xasprintf("mode=%o", tmpfs_s(sb)->mode) : NULL);
}

int tmpfs_new(u64 size_limit, u32 root_mode, u32 uid, u32 gid, struct super **out)
{
    struct tmpfs_super *s = xnew(struct tmpfs_super);
    super_init(&s->sb, &tmpfs_super_ops, TMPFS_MAGIC);
    s->sb.acls = s->sb.file_flags = true;
    s->sb.case_cache_forever = true;
    /* Half of the memory, as tmpfs(5) says. */
    s->max_pages = gpage_up(size_limit ? size_limit : default_size()) >> GPAGE_SHIFT;
    s->mode = root_mode & 07777;
    s->sb.options = options_text(s, s->mode);
    struct inode *root = tmpfs_inode_new(&s->sb, NULL, S_IFDIR | (root_mode & 07777), 0);
    root->uid = uid;
    root->gid = gid;
    root->mode = S_IFDIR | (root_mode & 07777);
    s->sb.root = dentry_new_root(&s->sb, root);
    *out = &s->sb;
    return 0;
}
