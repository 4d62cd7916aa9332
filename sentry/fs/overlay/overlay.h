/*
 * overlay: one lower tree (as a rule a read-only gofer root) below a fresh tmpfs. Nobody but the overlay touches the upper.
 * Semantics: Documentation/filesystems/overlayfs.rst, with index=on (hard links survive copy-up), without redirect_dir
 * (a directory that exists below cannot be renamed: EXDEV).
 *
 * A file opened read-only before its copy-up reads the upper from then on, but what was already mapped stays the
 * lower's (as in Linux).
 *
 * Locks: the overlay directory's inode lock is outside of the upper's and the lower's. copy_lock serialises copy-up.
 */
#ifndef SUNDOG_FS_OVERLAY_H
#define SUNDOG_FS_OVERLAY_H

#include "sentry/vfs/file.h"

/*
 * Attributes of the upper. In a tmpfs they are trusted.overlay.*; a layer that is kept on the host has user.overlay.*,
 * as Linux' overlay with the option userxattr, since an ordinary user may set those.
 */
#define OVL_ORIGIN "overlay.origin"            /* u64: inode number in the lower: st_ino stays */
#define OVL_BASE "overlay.base"                /* struct ovl_base: what the lower was when it was copied up */
#define UPPER_INO (1ULL << 48)                 /* numbers of files that are only above, away from those of the host */
#define OVL_OPAQUE "overlay.opaque"            /* "y": nothing of the lower shows through */

struct ovl_base { u64 ino, size; s64 mtime_sec, mtime_nsec; };
struct ovl_inode;
struct ovl_super {
    struct super sb;
    struct super *lower_sb, *upper_sb;      /* (c) counted */
    struct mount *lower_mnt, *upper_mnt;    /* (c) internal */
    lock_t copy_lock;                       /* LC_INODE: held over a whole copy-up */
    lock_t table_lock;                      /* LC_LEAF; guards: */
    struct ovl_inode *table;                /* live inodes by key */
};

struct ovl_inode {
    struct inode vfs;
    UT_hash_handle hh;
    u64 key;                                /* (c) lower inode number, or upper's with the top bit set */
    bool hashed;                            /* under table_lock */
    struct dentry *lower;                   /* (c) counted; NULL: upper only */
    struct dentry *upper;                   /* (a) counted; set once by copy-up */
    bool opaque;                            /* upper directory that hides the lower */
    struct inode *pin;                      /* self reference of a copied-up file with several lower names */
};

static inline struct ovl_inode *ovl_i(const struct inode *i) { return container_of(i, struct ovl_inode, vfs); }
static inline struct ovl_super *ovl_s(const struct super *sb) { return container_of(sb, struct ovl_super, sb); }
static inline struct dentry *ovl_upper(const struct inode *i) { return atomic_load(&ovl_i(i)->upper); }
/* What the guest sees now. */
static inline struct dentry *ovl_real(const struct inode *i)
{
    struct dentry *u = ovl_upper(i);
    return u ? u : ovl_i(i)->lower;
}
static inline bool ovl_is_whiteout(const struct inode *i) { return S_ISCHR(i->mode) && i->rdev == 0; }

extern const struct inode_ops ovl_dir_inode_ops, ovl_inode_ops;
extern const struct file_ops ovl_dir_ops, ovl_file_ops;

/* The inode for a pair of dentries (each may be NULL, references are taken); counted. */
struct inode *ovl_inode_get(struct super *sb, struct dentry *upper, struct dentry *lower, bool opaque);
void ovl_inode_free(struct inode *i);
void ovl_refresh(struct inode *i);                     /* fields from the real inode */
int ovl_getattr(struct inode *i, struct kstat *st);
/* Makes d's inode (and, first, its parents) present in the upper. 0 or -errno. with_data false: it is truncated anyway. */
int ovl_copy_up(struct dentry *d, bool with_data);
/* Looks d->name up in both layers of dir. */
int ovl_lookup_layers(struct inode *dir, const char *name, struct dentry **upper, struct dentry **lower, bool *opaque);
/* Looks up, in the upper directory, without caching surprises; counted. */
int ovl_upper_child(struct dentry *updir, const char *name, struct dentry **out);
int ovl_make_whiteout(struct dentry *updir, const char *name);

u64 ovl_origin(struct inode *upper);                   /* 0: born above */
/* As ovl_copy_up, and the name d itself exists above (a second hard link of a copied file has only its inode there). */
int ovl_copy_up_name(struct dentry *d);
/* Is the merged directory empty? 0, -ENOTEMPTY. */
int ovl_check_empty(struct inode *dir);
int ovl_clear_whiteouts(struct dentry *updir);
/* Entries of a merged directory. */
struct ovl_ent { char *name; u64 ino; u8 type; bool white; UT_hash_handle hh; };
struct ovl_list { struct ovl_ent *by_name, **order; size_t n, cap; int err; };
int ovl_list_read(struct inode *dir, struct ovl_list *l);
void ovl_list_fini(struct ovl_list *l);

static inline bool ovl_private_xattr(const char *name)
{
    return !__builtin_strncmp(name, "trusted.overlay.", 16) || !__builtin_strncmp(name, "user.overlay.", 13);
}
/* Attributes of inodes of the upper, by the names above. */
ssize_t ovl_upper_getxattr(struct inode *upper, const char *name, void *buf, size_t size);
int ovl_upper_setxattr(struct inode *upper, const char *name, const void *val, size_t size);

#endif
