/*
 * Roots and the node table. The one place where a name becomes an object: openat2 beneath the parent, no symlink and
 * no magic link followed, so that neither ".." nor a rename race nor a planted link leads out of a root.
 */
#include "gofer/gofer.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

HOSTCALL(openat2, "names resolved beneath a root");
HOSTCALL(openat, "nodes reopened through our own descriptor directory");
HOSTCALL(statx, "attributes");
HOSTCALL(fstatfs, "kernel file systems are not served");
HOSTCALL(close, "descriptors of released nodes");

/* Not all of these are in <linux/magic.h> of every supported libc. */
#define MAGIC_CONFIGFS 0x62656570
#define MAGIC_FUSECTL 0x65735543
#define MAGIC_MQUEUE 0x19800202
#define MAGIC_BINFMTFS 0x42494e4d

static struct {
    struct gofer_root roots[GOFER_ROOTS_MAX];  /* (c) */
    u32 nroots;                                /* (c) */
    int proc_fd;                               /* (c) */
    u32 max;                                   /* (c) */
    lock_t lock;                               /* LC_LEAF; guards: */
    struct gofer_node_entry **tab;
    u32 *gens;                                 /* generation of each index */
    u32 *free_list;
    u32 size, nfree, used;
} g = { .lock = LOCK_INIT(LC_LEAF), .proc_fd = -1 };

int gofer_init(const struct gofer_root *roots, u32 nroots, int proc_fd, u32 max_nodes)
{
    if (nroots > GOFER_ROOTS_MAX) return -E2BIG;
    memcpy(g.roots, roots, nroots * sizeof *roots);
    g.nroots = nroots;
    g.proc_fd = proc_fd;
    g.max = max_nodes;
    g.size = 1; /* index 0 is never used: handle 0 means none */
    g.tab = xzalloc(sizeof *g.tab * (max_nodes + 1));
    g.gens = xzalloc(sizeof *g.gens * (max_nodes + 1));
    g.free_list = xzalloc(sizeof *g.free_list * (max_nodes + 1));
    if (fchdir(proc_fd)) return -errno;
    return 0;
}

void gofer_fini(void)
{
    for (u32 i = 1; i < g.size; i++)
        if (g.tab[i]) node_release(g.tab[i]->h);
    free(g.tab);
    free(g.gens);
    free(g.free_list);
    g.tab = NULL;
    g.gens = g.free_list = NULL;
    g.size = g.nfree = g.used = 0;
}

u32 gofer_nroots(void) { return g.nroots; }
const struct gofer_root *gofer_root_get(u32 index) { return index < g.nroots ? &g.roots[index] : NULL; }
int gofer_proc_fd(void) { return g.proc_fd; }

struct fd_name gofer_fd_name(int fd)
{
    struct fd_name n;
    snprintf(n.s, sizeof n.s, "%d", fd);
    return n;
}

int node_attr(int fd, struct gofer_attr *out)
{
    struct statx sx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx)) return -errno;
    *out = (struct gofer_attr){
        .dev = makedev(sx.stx_dev_major, sx.stx_dev_minor), .rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
        .ino = sx.stx_ino, .nlink = sx.stx_nlink, .size = sx.stx_size, .blocks = sx.stx_blocks, .mode = sx.stx_mode,
        .uid = sx.stx_uid, .gid = sx.stx_gid, .blksize = sx.stx_blksize,
        .atime = { sx.stx_atime.tv_sec, sx.stx_atime.tv_nsec, 0 },
        .mtime = { sx.stx_mtime.tv_sec, sx.stx_mtime.tv_nsec, 0 },
        .ctime = { sx.stx_ctime.tv_sec, sx.stx_ctime.tv_nsec, 0 },
        .btime = { sx.stx_mask & STATX_BTIME ? sx.stx_btime.tv_sec : INT64_MIN, sx.stx_btime.tv_nsec, 0 },
    };
    return 0;
}

/*
 * File systems whose files act on the host's kernel: a root that happens to hold one shows its mount point (so that the
 * sentry can mount its own there) as an empty directory.
 */
static bool is_kernel_fs(int fd)
{
    struct statfs sf;
    if (fstatfs(fd, &sf)) return true;
    switch ((u32)sf.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case DEBUGFS_MAGIC: case TRACEFS_MAGIC: case SECURITYFS_MAGIC:
    case SELINUX_MAGIC: case SMACK_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC: case BPF_FS_MAGIC:
    case PSTOREFS_MAGIC: case EFIVARFS_MAGIC: case NSFS_MAGIC: case DEVPTS_SUPER_MAGIC: case BINDERFS_SUPER_MAGIC:
    case MAGIC_CONFIGFS: case MAGIC_FUSECTL: case MAGIC_MQUEUE: case MAGIC_BINFMTFS:
        return true;
    }
    return false;
}

int node_new(int fd, u32 root, u32 state, bool exclusive, const struct gofer_node_entry *dir, struct gofer_node_entry **out)
{
    struct gofer_attr a;
    int err = node_attr(fd, &a);
    if (err) {
        close(fd);
        return err;
    }
    struct gofer_node_entry *n = xnew(struct gofer_node_entry);
    *n = (struct gofer_node_entry){ .fd = fd, .root = root, .state = state, .mode = a.mode & S_IFMT, .dev = a.dev, .ino = a.ino,
                                    .exclusive = exclusive, .users = 2, .wd = -1,
                                    /* before the handle is in the table, where a guess could find it */
                                    .sealed = dir && (dir->sealed || (a.dev != dir->dev && is_kernel_fs(fd))) };
    lock(&g.lock);
    u32 i = 0;
    if (g.nfree) i = g.free_list[--g.nfree];
    else if (g.size <= g.max) i = g.size++;
    if (i) {
        if (++g.gens[i] == 0) g.gens[i] = 1;
        n->h = (gofer_handle)g.gens[i] << 32 | i;
        g.tab[i] = n;
        g.used++;
    }
    unlock(&g.lock);
    if (!i) {
        close(fd);
        free(n);
        return -ENFILE;
    }
    *out = n;
    return 0;
}

struct gofer_node_entry *node_get(gofer_handle h)
{
    u32 i = GOFER_HANDLE_INDEX(h);
    struct gofer_node_entry *n = NULL;
    lock(&g.lock);
    if (i && i < g.size && g.tab[i] && g.tab[i]->h == h) {
        n = g.tab[i];
        n->users++;
    }
    unlock(&g.lock);
    return n;
}

void node_put(struct gofer_node_entry *n)
{
    lock(&g.lock);
    bool last = --n->users == 0;
    unlock(&g.lock);
    if (!last) return;
    watch_forget(n);
    close(n->fd);
    /* Only now may the index be used again: a watch of the old node must not be taken for one of the new. */
    lock(&g.lock);
    g.free_list[g.nfree++] = GOFER_HANDLE_INDEX(n->h);
    g.used--;
    unlock(&g.lock);
    free(n);
}

void node_release(gofer_handle h)
{
    u32 i = GOFER_HANDLE_INDEX(h);
    struct gofer_node_entry *n = NULL;
    lock(&g.lock);
    if (i && i < g.size && g.tab[i] && g.tab[i]->h == h) {
        n = g.tab[i];
        g.tab[i] = NULL;
    }
    unlock(&g.lock);
    if (n) node_put(n);
}

u32 node_count(void)
{
    lock(&g.lock);
    u32 n = g.used;
    unlock(&g.lock);
    return n;
}

struct pathrules *gofer_rules;

static int state_may(u32 state, u32 want)
{
    if (!state) return 0;
    u32 have = pathrules_perms(gofer_rules, state);
    if ((have & want) == want) return 0;
    return (want & ~have) == PR_WRITE && (have & PR_READ) ? -EROFS : -EACCES;
}

int node_may(const struct gofer_node_entry *n, u32 want) { return state_may(n->state, want); }

u32 node_child_state(const struct gofer_node_entry *dir, const char *name)
{
    return dir->state ? pathrules_step(gofer_rules, dir->state, name, strlen(name)) : 0;
}

int node_may_name(const struct gofer_node_entry *dir, const char *name)
{
    return node_is_ro(dir) ? -EROFS : state_may(node_child_state(dir, name), PR_WRITE);
}

int state_move(u32 from, u32 to, bool is_dir)
{
    return from == to || (from && to && pathrules_same(gofer_rules, from, to, is_dir)) ? 0 : -EXDEV;
}

int name_check(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) return -EINVAL;
    return len > GOFER_NAME_MAX ? -ENAMETOOLONG : 0;
}

int node_walk(struct gofer_node_entry *dir, const char *name, struct gofer_node_entry **out)
{
    if (dir->mode != S_IFDIR) return -ENOTDIR;
    if (dir->sealed) return -ENOENT;
    u32 state = node_child_state(dir, name);
    if (state && !pathrules_passable(gofer_rules, state)) return -EACCES;
    struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS };
    long fd;
    /* EAGAIN: a rename raced with the walk (openat2(2)); a single component needs few tries */
    for (int tries = 0; (fd = syscall(SYS_openat2, dir->fd, name, &how, sizeof how)) < 0 && errno == EAGAIN && tries < 16;)
        tries++;
    if (fd < 0) return errno == EMFILE ? -ENFILE : -errno;
    return node_new((int)fd, dir->root, state, dir->exclusive, dir, out);
}

int node_reopen(struct gofer_node_entry *n, int flags)
{
    /*
     * Opening a device acts on the host; opening a FIFO may block and is a channel to host processes. The mode is that
     * of the very object the descriptor holds, so no race is possible.
     */
    if (n->sealed) return -EACCES;
    switch (n->mode) {
    case S_IFREG: break;
    case S_IFDIR: if ((flags & O_ACCMODE) != O_RDONLY) return -EISDIR; break;
    case S_IFLNK: return -ELOOP;
    case S_IFIFO: case S_IFSOCK: return -ENXIO;
    default: return -EACCES;
    }
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if (writes && node_is_ro(n)) return -EROFS;
    int err = node_may(n, (writes ? PR_WRITE : 0) | ((flags & O_ACCMODE) != O_WRONLY ? PR_READ : 0));
    if (err) return err;
    int fd = openat(g.proc_fd, gofer_fd_name(n->fd).s, (flags & (O_ACCMODE | O_TRUNC)) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return errno == EMFILE ? -ENFILE : -errno;
    return fd;
}
