/*
 * tmpfs: files in the memory file. Shared by its own .c files and by memfd.
 *
 * Contents: a radix tree of pages under pg_lock (inner), so that page faults, which hold mm->lock, find pages without
 * the inode's lock. Reads and writes hold inode->lock; a page can only leave the tree under it, after every guest
 * translation of it is gone.
 */
#ifndef SUNDOG_FS_TMPFS_H
#define SUNDOG_FS_TMPFS_H

#include "sentry/mm/memfile.h"
#include "sentry/vfs/file.h"

struct tmpfs_super {
    struct super sb;
    u64 max_pages;                 /* (a) 0: no limit of its own */
    u64 max_inodes;                /* (a) 0: half as many as there are pages */
    u64 used_pages;                /* (a) */
    u64 inodes;                    /* (a) */
    u64 xattr_bytes;               /* (a) they count against max_inodes, TMPFS_INODE_SIZE a piece */
    u32 mode;                      /* (c) the root's at first, for listings */
};

/* A directory entry. Ids grow with each insertion and are the readdir cookies: seekdir survives any change. */
struct tmpfs_dirent {
    UT_hash_handle hh;
    RB_ENTRY(tmpfs_dirent) node;
    u64 id;
    struct inode *inode;           /* counted */
    char *name;
};
RB_HEAD(tmpfs_tree, tmpfs_dirent);

struct tmpfs_xattr { LIST_ENTRY(tmpfs_xattr) link; char *name; size_t size; u8 *value; };

#define PAGES_FANOUT 512u
struct pages_node { void *slot[PAGES_FANOUT]; };   /* leaf: mpage_t in the pointer; else child nodes */

struct tmpfs_inode {
    struct inode vfs;              /* vfs.lock guards what follows unless tagged */
    LIST_HEAD(, tmpfs_xattr) xattrs;
    /* directory */
    struct tmpfs_dirent *by_name;
    struct tmpfs_tree by_id;
    u64 next_id;
    struct inode *parent;          /* borrowed: for ".."; NULL once removed */
    /* symlink */
    char *target;
    /* file */
    lock_t pg_lock;                /* LC_PAGETABLE; guards: */
    struct pages_node *root;
    unsigned height;               /* levels; 0: empty */
    u64 npages;
    u64 size;                      /* copy of vfs.size for page faults */
    /* memfd */
    u32 seals;                     /* (a) */
    bool is_memfd;                 /* (c) */
};

static inline struct tmpfs_inode *tmpfs_i(struct inode *i) { return container_of(i, struct tmpfs_inode, vfs); }
/* BOGO_INODE_SIZE of mm/shmem.c */
#define TMPFS_INODE_SIZE 1024u
/* How many inodes there may be, or attributes instead, and are. */
u64 tmpfs_inode_limit(struct tmpfs_super *s);
static inline u64 tmpfs_inodes_taken(struct tmpfs_super *s)
{
    return atomic_load(&s->inodes) + (atomic_load(&s->xattr_bytes) + TMPFS_INODE_SIZE - 1) / TMPFS_INODE_SIZE;
}

static inline struct tmpfs_super *tmpfs_s(struct super *sb) { return container_of(sb, struct tmpfs_super, sb); }

extern const struct inode_ops tmpfs_dir_inode_ops, tmpfs_file_inode_ops, tmpfs_symlink_inode_ops, tmpfs_special_inode_ops;
extern const struct file_ops tmpfs_dir_ops, tmpfs_file_ops;
extern const struct mappable_ops tmpfs_map_ops;

struct inode *tmpfs_inode_new(struct super *sb, struct inode *dir, u32 mode, u64 rdev);   /* NULL: ENOSPC */
void tmpfs_inode_free(struct inode *i);
int tmpfs_setattr(struct inode *i, struct dentry *d, const struct kattr *a);
void tmpfs_dir_drop_all(struct inode *dir);        /* at the end of the file system */

/* pages (tmpfs_pages.c); inode lock held except for tmpfs_page */
mpage_t tmpfs_pages_find(struct tmpfs_inode *t, u64 pgoff);              /* MPAGE_NONE: hole */
int tmpfs_pages_make(struct tmpfs_inode *t, u64 pgoff, u64 want, mpage_t *out);   /* at pgoff, perhaps more up to want behind it */
void tmpfs_pages_drop(struct tmpfs_inode *t, u64 from, u64 to);          /* [from, to): frees; unmaps guests first */
u64 tmpfs_pages_next(struct tmpfs_inode *t, u64 pgoff, u64 end, bool data);   /* next page that is (not) a hole */
void tmpfs_pages_free_all(struct tmpfs_inode *t);
int tmpfs_resize(struct inode *i, u64 size);

/* xattrs (tmpfs_xattr.c) */
ssize_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags);
ssize_t tmpfs_listxattr(struct inode *i, char *buf, size_t size);
int tmpfs_removexattr(struct inode *i, const char *name);
void tmpfs_xattrs_free(struct tmpfs_inode *t);
#define TMPFS_XATTR_OPS .getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr, .listxattr = tmpfs_listxattr, .removexattr = tmpfs_removexattr

#endif
