/*
 * Client of the gofer: a file system whose inodes are host files. docs/gofer-protocol.md tells the wire side.
 *
 * Inodes are unique per host (dev, ino), so hard links coincide. File data never pass through messages: an inode lazily
 * holds descriptors the gofer donated, shared by all its opens and mappings.
 */
#ifndef SUNDOG_GOFER_FS_H
#define SUNDOG_GOFER_FS_H

#include "gofer/protocol.h"
#include "sentry/vfs/file.h"
#include <sys/uio.h>

#define GOFER_CHANNELS_MAX 8u
#define GOFER_AHEAD_MAX 16u           /* components walked ahead of the path walk in one message */

struct ginode;

struct gofer_client {
    refcount_t refs;                  /* each super, and the maker */
    struct rpc_client rpc;            /* at most GOFER_CHANNELS_MAX channels */
    u32 changes;                      /* (a) name changes made by this sandbox; see struct ahead */
    u32 nroots;                       /* (c) */
    const struct gofer_gen *gens;     /* (c) GOFER_GEN_SLOTS, read-only mapping */
    lock_t fd_lock;                   /* LC_LEAF; guards fds, pins, idle membership of all inodes and: */
    TAILQ_HEAD(, ginode) idle;        /* inodes with descriptors nobody uses, oldest first */
    unsigned nidle, max_idle;
    lock_t rel_lock;                  /* LC_LEAF; guards: */
    gofer_handle rel[64];             /* handles to be released with the next batch */
    unsigned nrel;
};

/* What a walk learned beyond the component that was asked for: used by the lookups that follow, in order. */
struct ahead_ent { char name[KNAME_MAX + 1]; bool negative; struct gofer_node node; char *target; };
struct ahead { u32 changes; ktime_t when; unsigned n, at; struct ahead_ent ent[]; };

enum { GFD_RO, GFD_WO, GFD_RW, GFD_N };

struct gofer_fs {
    struct super sb;
    struct gofer_client *c;           /* counted */
    bool exclusive;                   /* (c) */
    u64 root_dev;                     /* (c) host's */
    lock_t lock;                      /* LC_LEAF; guards: */
    struct ginode *inodes;
    u64 devs[32]; unsigned ndevs;     /* other host devices below the root, in order of appearance */
};

struct ginode {
    struct inode vfs;
    struct gofer_fs *fs;              /* (c) through vfs.sb */
    gofer_handle h;                   /* (c) */
    struct { u64 dev, ino; u64 state; } key;   /* (c) host's; path rules where it was found: two names may have two */
    UT_hash_handle hh;                /* under fs->lock */
    char *target;                     /* (c) symlink text */
    lock_t lock;                      /* LC_LEAF; guards vfs attribute fields and: */
    struct gofer_gen gen;             /* attributes hold while the slot of gen_dir says this */
    gofer_handle gen_dir;
    bool stale;                       /* a change of ours touched attributes: ask again */
    struct ahead *ahead;              /* directory */
    lock_t append_lock;               /* LC_PIPE: end of file found and written in one step */
    /* under client->fd_lock; fds are read without it while pinned */
    int fds[GFD_N];
    u32 pins;                         /* open files and calls in progress */
    bool on_idle;
    TAILQ_ENTRY(ginode) idle;
};

static inline struct ginode *GI(struct inode *i) { return container_of(i, struct ginode, vfs); }
static inline struct gofer_client *gi_client(struct ginode *gi) { return gi->fs->c; }

extern const struct inode_ops gofer_dir_iops, gofer_file_iops, gofer_link_iops;
extern const struct file_ops gofer_file_fops, gofer_dir_fops;
extern const struct mappable_ops gofer_map_ops;

/* --- client.c --- */
/*
 * One request, one reply. rep: room for the payload, *rep_len in: its size, out: what came. fd: donated descriptor or -1;
 * NULL: one that comes is closed. Blocks; -EIO when the gofer is gone.
 */
int gofer_call(struct gofer_client *c, enum gofer_op op, const struct iovec *parts, unsigned nparts, void *rep, size_t *rep_len, int *fd);
/* The common shape: a fixed struct, up to two strings, a reply of fixed size or more. */
int gofer_call_simple(struct gofer_client *c, enum gofer_op op, const void *req, size_t req_len, const char *s1, const char *s2,
                      void *rep, size_t *rep_len, int *fd);
void gofer_release(struct gofer_client *c, gofer_handle h, bool now);
void gofer_client_get(struct gofer_client *c);
void gofer_client_put(struct gofer_client *c);
bool gofer_gen_same(struct gofer_client *c, gofer_handle dir, const struct gofer_gen *g, bool data);

/* --- inode.c --- */
/* The inode of a node (counted); consumes the handle, whether it succeeds or not. target: of a symlink, copied. */
struct inode *gi_from_node(struct gofer_fs *fs, const struct gofer_node *n, const char *target, u32 state);
void gi_apply(struct ginode *gi, const struct gofer_attr *a);
void gi_stamp(struct ginode *gi, const struct gofer_node *n);
void gi_mark_stale(struct ginode *gi);
bool gi_attrs_fresh(struct ginode *gi);
int gi_refresh(struct ginode *gi);           /* attributes from the descriptor, else by message */
void gi_drop_ahead(struct ginode *gi);
void ahead_free(struct gofer_client *c, struct ahead *a);
void gi_free(struct inode *ino);
u64 gi_dev(struct ginode *gi);
/* A reply of one node with its target behind it: checks lengths. -EIO if malformed. */
int gofer_node_parse(const u8 *buf, size_t len, size_t *pos, struct gofer_node *out, char target[GOFER_LINK_MAX + 1]);

/* --- fds.c --- */
void gi_pin(struct ginode *gi);
void gi_unpin(struct ginode *gi);
int gi_ensure_fd(struct ginode *gi, u32 acc);   /* O_RDONLY O_WRONLY O_RDWR; pinned by the caller */
void gi_give_fd(struct ginode *gi, int which, int fd);   /* consumes fd */
int gi_read_fd(struct ginode *gi);              /* -1 none */
int gi_write_fd(struct ginode *gi);
void gi_close_fds(struct ginode *gi);
bool gofer_fds_shrink(struct gofer_client *c, unsigned keep);
struct stat;
int host_fstat(int fd, struct stat *st);

/* --- attr.c --- */
int gofer_getattr(struct inode *ino, struct kstat *st);
int gofer_setattr(struct inode *ino, struct dentry *d, const struct kattr *a);
ssize_t gofer_getxattr(struct inode *ino, const char *name, void *buf, size_t size);
int gofer_setxattr(struct inode *ino, const char *name, const void *val, size_t size, int flags);
ssize_t gofer_listxattr(struct inode *ino, char *buf, size_t size);
int gofer_removexattr(struct inode *ino, const char *name);
int gofer_statfs(struct super *sb, struct dentry *d, struct statfs *out);
int gofer_readlink(struct inode *ino, char **out);
int gofer_d_revalidate(struct dentry *d);

#endif
