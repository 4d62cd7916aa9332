/*
 * Wire format between sentry and gofer: SOCK_SEQPACKET packets, a struct rpc_hdr and at most GOFER_PAYLOAD_MAX bytes, host
 * descriptors beside a reply by SCM_RIGHTS. Native byte order (both ends run on one machine). docs/gofer-protocol.md.
 *
 * A request names objects by node handles (index and generation, valid on all channels of one gofer) and single path
 * components; never by a path. The gofer takes nothing on trust; the sentry checks lengths too.
 */
#ifndef SUNDOG_GOFER_PROTOCOL_H
#define SUNDOG_GOFER_PROTOCOL_H

#include "sentry/base/rpc.h"

#define GOFER_VERSION 1u
#define GOFER_MAGIC 0x60fe0000u          /* upper half of rpc_hdr.type, enum gofer_op below */
#define GOFER_PAYLOAD_MAX 65536u
#define GOFER_NAME_MAX 255u
#define GOFER_LINK_MAX 4096u
#define GOFER_WALK_MAX 64u               /* components of one WALK */
#define GOFER_RELEASE_MAX 256u
#define GOFER_XATTR_NAME_MAX 255u
#define GOFER_XATTR_VALUE_MAX 32768u

enum gofer_op {
    GOFER_HELLO = 1,   /* u32 version -> gofer_hello_rep, fd: the generation page */
    GOFER_ATTACH,      /* gofer_attach_req -> gofer_node */
    GOFER_WALK,        /* gofer_walk_req, names -> gofer_walk_rep, nodes; fd with GOFER_WALK_OPEN */
    GOFER_GETATTR,     /* handle -> gofer_node */
    GOFER_SETATTR,     /* gofer_setattr_req -> gofer_node */
    GOFER_OPEN,        /* gofer_open_req -> gofer_node, fd */
    GOFER_CREATE,      /* gofer_create_req, name -> gofer_node, fd */
    GOFER_TMPFILE,     /* gofer_create_req -> gofer_node, fd */
    GOFER_MKDIR,       /* gofer_create_req, name -> gofer_node */
    GOFER_MKNOD,       /* gofer_create_req, name -> gofer_node */
    GOFER_SYMLINK,     /* gofer_create_req, name, target -> gofer_node */
    GOFER_LINK,        /* gofer_link_req, name -> gofer_node of the target */
    GOFER_UNLINK,      /* gofer_unlink_req, name -> nothing */
    GOFER_RENAME,      /* gofer_rename_req, old name, new name -> nothing */
    GOFER_READLINK,    /* handle -> target text (no NUL) */
    GOFER_READDIR,     /* gofer_readdir_req -> gofer_readdir_rep, entries */
    GOFER_STATFS,      /* handle -> gofer_statfs_rep */
    GOFER_GETXATTR,    /* gofer_xattr_req, name -> value */
    GOFER_SETXATTR,    /* gofer_xattr_req, name, value */
    GOFER_LISTXATTR,   /* gofer_xattr_req -> NUL-separated names */
    GOFER_REMOVEXATTR, /* gofer_xattr_req, name */
    GOFER_FSYNC,       /* gofer_fsync_req */
    GOFER_RELEASE,     /* u64 handles[]; one way: no reply */
    GOFER_OP_END,
};

/* Generation above index, so that a stale handle is told from its successor in the same table slot. 0: none. */
typedef u64 gofer_handle;
#define GOFER_HANDLE_INDEX(h) ((u32)(h))

struct gofer_time { s64 sec; u32 nsec; u32 pad; };
struct gofer_attr {
    u64 dev, rdev, ino, nlink, size, blocks;
    u32 mode, uid, gid, blksize;
    struct gofer_time atime, mtime, ctime, btime;   /* btime.sec == INT64_MIN: unknown */
};

/*
 * The generation page of HELLO: GOFER_GEN_SLOTS of these, written by the gofer, mapped read-only by the sentry. The
 * directory with handle h uses slot GOFER_HANDLE_INDEX(h) % GOFER_GEN_SLOTS. What was learned under a directory that
 * is watched stays true while the counters are what they were when it was learned.
 */
#define GOFER_GEN_SLOTS 1024u
struct gofer_gen {
    u32 names;         /* (a) entries came, went or were renamed */
    u32 attrs;         /* (a) mode, owner, times or link count of an entry, or of the directory itself */
    u32 data;          /* (a) an entry was written */
    u32 pad;
};

struct gofer_node {
    gofer_handle h;
    struct gofer_attr attr;
    struct gofer_gen gen;      /* of the slot that vouches for attr, read before the lookup */
    gofer_handle gen_dir;      /* the directory of that slot; 0: nobody vouches, ask again next time */
    u32 link_len;              /* a symlink's target follows the node, padded to 8 bytes */
    u32 pad;
};

struct gofer_hello_rep { u32 version, nroots, gen_slots, pad; };
struct gofer_attach_req { u32 root; u32 flags; };
#define GOFER_ATTACH_EXCLUSIVE 1u        /* nobody else changes this root: do not watch it */

struct gofer_walk_req { gofer_handle dir; u32 nnames; u32 flags; };   /* then nnames NUL-terminated names */
#define GOFER_WALK_OPEN 1u               /* donate a read descriptor if all components were walked to a regular file */
/*
 * count nodes follow. All names walked: count == nnames. Stopped at a symlink: count < nnames, err 0, the symlink is
 * the last node. Stopped by an error: err is what component number count gave. neg_gen, neg_dir: who vouches for an
 * ENOENT. A non-directory in the middle gives -ENOTDIR.
 */
struct gofer_walk_rep { u32 count; s32 err; struct gofer_gen neg_gen; gofer_handle neg_dir; u32 has_fd, pad; };

#define GOFER_SET_MODE 1u
#define GOFER_SET_UID 2u
#define GOFER_SET_GID 4u
#define GOFER_SET_SIZE 8u
#define GOFER_SET_ATIME 16u
#define GOFER_SET_MTIME 32u
#define GOFER_SET_ATIME_NOW 64u
#define GOFER_SET_MTIME_NOW 128u
#define GOFER_SET_ALL 255u
struct gofer_setattr_req { gofer_handle h; u32 valid, mode, uid, gid; u64 size; struct gofer_time atime, mtime; };

struct gofer_open_req { gofer_handle h; u32 flags; u32 pad; };   /* O_RDONLY O_WRONLY O_RDWR, O_TRUNC */
struct gofer_create_req { gofer_handle dir; u32 mode, uid, gid, pad; };
struct gofer_link_req { gofer_handle dir, target; };
struct gofer_unlink_req { gofer_handle dir; u32 flags, pad; };   /* AT_REMOVEDIR */
struct gofer_rename_req { gofer_handle odir, ndir; u32 flags, pad; };   /* RENAME_NOREPLACE, RENAME_EXCHANGE */
struct gofer_readdir_req { gofer_handle dir; u64 cookie; u32 max, pad; };   /* max bytes of entries wanted */
struct gofer_readdir_rep { u32 count, eof; struct gofer_gen gen; gofer_handle gen_dir; };
/* Followed by the name with its NUL, padded so that the next entry is 8-aligned; len is of the whole entry. */
struct gofer_dirent { u64 ino; u64 next; u16 len; u8 dtype; u8 namelen; u32 pad; };
struct gofer_statfs_rep { u64 type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags; };
struct gofer_xattr_req { gofer_handle h; u32 flags; u32 size; };   /* size: room for the answer, or of the value */
struct gofer_fsync_req { gofer_handle h; u32 data_only, pad; };

_Static_assert(sizeof(struct gofer_attr) == 128, "wire format");
_Static_assert(sizeof(struct gofer_node) == 168, "wire format");
_Static_assert(sizeof(struct gofer_walk_rep) == 40, "wire format");
_Static_assert(sizeof(struct gofer_dirent) == 24, "wire format");

#endif
