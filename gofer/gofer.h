/*
 * Inside the gofer: roots, nodes, and one handler per request. Everything that comes off a channel is hostile.
 *
 * A node is an O_PATH descriptor below a root, never reached but through openat2 beneath the root. Handles are shared
 * by all channels of the process (they all belong to the one sentry).
 */
#ifndef SUNDOG_GOFER_H
#define SUNDOG_GOFER_H

#include "gofer/protocol.h"
#include "sentry/base/pathrules.h"
#include "sentry/base/lock.h"
#include <fcntl.h>
#include <sys/stat.h>

#define GOFER_ROOTS_MAX 512u

struct gofer_root { int fd; u32 flags; /* PLAN_ROOT_* */ u32 state; /* of the path rules at its top, 0: none */ };

struct gofer_node_entry {
    gofer_handle h;        /* (c) */
    int fd;                /* (c) O_PATH */
    u32 root;              /* (c) index */
    u32 mode;              /* (c) only S_IFMT is meaningful */
    u64 dev, ino;          /* (c) */
    bool exclusive;        /* (c) root attached as such: never watched */
    bool sealed;           /* (c) of a kernel file system (proc, sysfs): the object shows, empty and unchangeable */
    u32 state;             /* (c) of the path rules where it was found */
    u32 users;             /* under table lock: 1 for the table, 1 for each request that uses it */
    int wd;                /* under the watch lock; -1: not watched */
};

/* --- state of the process (node.c) --- */
/* proc_fd: O_PATH descriptor of this process's /proc/self/fd; becomes the working directory, so that "17" names fd 17. */
int gofer_init(const struct gofer_root *roots, u32 nroots, int proc_fd, u32 max_nodes);
void gofer_fini(void);                    /* tests and the fuzzer: closes every node */
u32 gofer_nroots(void);
const struct gofer_root *gofer_root_get(u32 index);
int gofer_proc_fd(void);
/* Name of a descriptor in the working directory, for the calls that take no descriptor. */
struct fd_name { char s[12]; };
struct fd_name gofer_fd_name(int fd);

/* Takes the descriptor (closes it on failure). dir: where it was found, NULL for a root. 0 and a new handle, or -ENFILE. */
int node_new(int fd, u32 root, u32 state, bool exclusive, const struct gofer_node_entry *dir, struct gofer_node_entry **out);
/* In-use reference, or NULL (bad or stale handle). */
struct gofer_node_entry *node_get(gofer_handle h);
void node_put(struct gofer_node_entry *n);
void node_release(gofer_handle h);        /* the sentry is done with it; bad handles are ignored */
u32 node_count(void);
static inline void cleanup_node(struct gofer_node_entry **n) { if (*n) node_put(*n); }
#define AUTO_NODE __attribute__((cleanup(cleanup_node)))

/*
 * The profile's path rules, the same ones that the sentry has: it is held to them here. A node has the state of the name
 * it was found by; where an object gets another name (rename, link) its rights may not change by it.
 */
extern struct pathrules *gofer_rules;     /* (c) NULL: none */
/* 0, or -EROFS (readable, not writable) or -EACCES; want: PR_* */
int node_may(const struct gofer_node_entry *n, u32 want);
u32 node_child_state(const struct gofer_node_entry *dir, const char *name);
int node_may_name(const struct gofer_node_entry *dir, const char *name);   /* create or remove it; with node_is_ro */
int state_move(u32 from, u32 to, bool is_dir);                              /* 0 or -EXDEV */

/* Child by a checked name, as a new node (users counted for the caller too). */
int node_walk(struct gofer_node_entry *dir, const char *name, struct gofer_node_entry **out);
int node_attr(int fd, struct gofer_attr *out);
/* Opens the object itself (not a name) through /proc/self/fd. Only regular files and directories; -EACCES -ENXIO -EROFS */
int node_reopen(struct gofer_node_entry *n, int flags);
static inline bool node_is_ro(const struct gofer_node_entry *n);

/* --- watches (watch.c) --- */
#define WATCH_UNWATCHED 64                /* questions of a short run */
int watch_init(void);                     /* makes the page */
/* Watching is allowed from the question after the first `unwatched` on; the thread comes with the first watch. */
void watch_start(u32 unwatched);
int watch_page_fd(void);
/* Sees that dir is watched and reads its counters. Returns its handle, or 0 when it cannot be watched. */
gofer_handle watch_dir(struct gofer_node_entry *dir, struct gofer_gen *out);
void watch_forget(struct gofer_node_entry *n);

/* --- requests (ops_*.c) --- */
struct gofer_req {
    const u8 *in; u32 len;     /* payload */
    u8 *out; u32 out_len;      /* reply payload, GOFER_PAYLOAD_MAX */
    int fd;                    /* donated with the reply and closed; -1 none */
};
typedef int gofer_handler(struct gofer_req *r);   /* 0 or negative errno; -EBADMSG for what no honest sentry sends */
gofer_handler op_hello, op_attach, op_walk, op_getattr, op_setattr, op_open, op_create, op_tmpfile, op_mkdir, op_mknod,
    op_symlink, op_link, op_unlink, op_rename, op_readlink, op_readdir, op_statfs, op_getxattr, op_setxattr,
    op_listxattr, op_removexattr, op_fsync, op_release;
/* One decoded packet to one reply. Returns whether the connection may go on; *reply false: nothing to send. */
bool gofer_handle_packet(const struct rpc_hdr *h, const u8 *payload, size_t payload_len, struct rpc_hdr *rep,
                         u8 *out, int *fd, bool *reply);

/* Decoding: a cursor over the payload. The fixed part first, then strings, then nothing. */
struct cursor { const u8 *p; u32 left; };
static inline bool cur_fixed(struct cursor *c, void *dst, u32 n)
{
    if (c->left < n) return false;
    __builtin_memcpy(dst, c->p, n);
    c->p += n;
    c->left -= n;
    return true;
}
/* NUL-terminated, at most max characters, inside the payload; NULL otherwise. */
const char *cur_str(struct cursor *c, u32 max);
/* 0 for one valid path component; -EINVAL otherwise, -ENAMETOOLONG. */
int name_check(const char *name);
/* Appends a node (and a symlink's target) to the reply. gen_dir: directory that vouches, 0 none. */
int reply_node(struct gofer_req *r, struct gofer_node_entry *n, gofer_handle gen_dir, const struct gofer_gen *gen);
void *reply_add(struct gofer_req *r, u32 n);      /* NULL: no room */
/* Node of a new object `name` in dir, given to uid:gid; on failure the caller removes the object. */
int own_new_object(struct gofer_node_entry *dir, const char *name, u32 uid, u32 gid, struct gofer_node_entry **out);

/* --- serving (serve.c) --- */
int gofer_serve(const int *socks, unsigned n);    /* a thread each, until all are closed */

#include "sentry/base/plan.h"
static inline bool node_is_ro(const struct gofer_node_entry *n)
{
    return n->sealed || (gofer_root_get(n->root)->flags & PLAN_ROOT_RO);
}

#endif
