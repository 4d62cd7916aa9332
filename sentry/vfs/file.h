/*
 * Open files and descriptor tables.
 */
#ifndef SUNDOG_VFS_FILE_H
#define SUNDOG_VFS_FILE_H

#include "sentry/base/strbuf.h"
#include "sentry/kernel/signal.h"
#include "sentry/vfs/vfs.h"

struct tgroup;

/* Receives directory entries; false: buffer full, this entry was not taken. off: cookie of the NEXT entry (d_off). */
struct dir_sink { bool (*emit)(struct dir_sink *s, const char *name, size_t len, u64 ino, u8 dtype, u64 next_off); };

struct ll_layer;
struct file_ops {
    const char *name;              /* for anon inodes in /proc/self/fd: "anon_inode:[eventfd]"; NULL: path */
    /*
     * Transfer at *pos, which moves; pos NULL for objects without a position (pipes, sockets). They block according to
     * file_nonblock(f, flags). Bytes or -errno (-EAGAIN, -ERESTARTSYS, ...). flags: host RWF_* plus IOF_*.
     */
    ssize_t (*read)(struct file *f, struct uio *u, u64 *pos, u32 flags);
    ssize_t (*write)(struct file *f, struct uio *u, u64 *pos, u32 flags);
    bool no_splice;                /* splice(2) and sendfile(2) neither read nor write it */
    bool seekable;                 /* has a position: pread/pwrite/lseek allowed (else ESPIPE) */
    s64 (*llseek)(struct file *f, s64 off, int whence);       /* NULL with seekable: generic by inode size */
    /* Current readiness; w != NULL: also hang w on the file's queue(s) first (w may be hung once only: use file->poll_q list if two). */
    u32 (*poll)(struct file *f, struct waiter *w);
    sysret_t (*ioctl)(struct file *f, u32 cmd, gaddr_t arg);  /* host Linux request numbers and layouts; -ENOTTY unknown */
    int (*readdir)(struct file *f, struct dir_sink *s);       /* from f->pos on; advances f->pos */
    int (*mmap)(struct file *f, struct mm_map_req *req);      /* may adjust req; default: inode->map */
    void (*unmapped)(struct file *f);                         /* a VMA that held f is gone; no lock held. NULL: no matter */
    int (*fsync)(struct file *f, bool data_only);
    int (*fallocate)(struct file *f, int mode, u64 off, u64 len);
    int (*flush)(struct file *f);                             /* each close(2) */
    void (*release)(struct file *f);                          /* last reference */
    int (*set_flags)(struct file *f, u32 new_flags);          /* F_SETFL veto or note; NULL: fine */
    void (*show_fdinfo)(struct file *f, struct strbuf *out);
};
#define IOF_NONBLOCK (1u << 30)    /* this call must not block (RWF_NOWAIT, splice NONBLOCK, MSG_DONTWAIT) */

struct file {
    refcount_t refs;
    const struct file_ops *ops;
    struct path path;              /* counted; dentry NULL for anonymous ones */
    struct inode *inode;           /* counted; anon inodes share one */
    u32 flags;                     /* (a) O_ACCMODE and status flags; no O_CLOEXEC */
    u32 mode;                      /* (c) FMODE_* */
    lock_t pos_lock;               /* LC_FILE_POS; guards: */
    u64 pos;
    s32 owner_pid; int owner_type; int owner_sig; u32 owner_uid, owner_euid;  /* F_SETOWN, under the lock of vfs/fasync.c */
    struct ll_layer *owner_landlock;          /* counted; with the above */
    u16 ll_denied;                 /* (c) LL_* that its opener's Landlock domain did not grant; landlock/landlock.h */
    struct file_async *async;      /* owned; O_ASYNC is on (vfs/fasync.h) */
    struct cred *cred;             /* opener's; counted */
    void *priv;
    LIST_HEAD(, epitem) epitems;   /* epoll registrations, under epoll's lock */
    u64 version;                   /* directory: invalidates readdir snapshots */
};
/* O_LARGEFILE of x86-64, which libc has as 0. open(2) sets it, pipe(2), socket(2) and their like do not. */
#define KO_LARGEFILE 0100000u
#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define FMODE_PATH 4u              /* O_PATH */
#define FMODE_EXEC 8u              /* denies writing while open */
#define FMODE_WRITER 16u           /* counted in inode->writers */
#define FMODE_CREATED 64u          /* this open made the file */
#define FMODE_DISSOLVE 128u        /* holds a tree of mounts together that is mounted nowhere */
#define FMODE_READER 32u           /* counted in inode->open_readers */

/* New open file; consumes nothing, takes references of path. */
struct file *file_new(const struct file_ops *ops, const struct path *p, struct inode *ino, u32 flags);
struct file *file_new_anon(const struct file_ops *ops, u32 flags, void *priv);   /* on the anon_inode super */
void file_get(struct file *f);
void file_put(struct file *f);
/* `AUTO_FILE f = fd_get(fd);` puts f at the end of the scope. */
static inline void file_cleanup(struct file **f) { if (*f) file_put(*f); }
#define AUTO_FILE __attribute__((cleanup(file_cleanup))) struct file *
/* Counted path; anonymous files get a disconnected dentry, so that /proc/self/fd/N can be opened again. */
void file_get_path(struct file *f, struct path *out);
void inode_accessed(struct inode *i, const struct mount *mnt /* NULL: none */);   /* a link that was read or followed too */
void file_accessed(struct file *f);        /* atime by the rules of O_NOATIME, noatime, relatime */
void epoll_file_release(struct file *f);   /* last reference: leaves all epoll sets (sentry/fs/anon/epoll.c) */
static inline bool file_nonblock(const struct file *f, u32 iof) { return (__atomic_load_n(&f->flags, __ATOMIC_RELAXED) & O_NONBLOCK) || (iof & IOF_NONBLOCK); }

/* What system calls use: checks FMODE, locks the position, honours O_APPEND, RLIMIT_FSIZE (SIGXFSZ), accounts, notifies. */
ssize_t vfs_read(struct file *f, struct uio *u, u32 flags);
ssize_t vfs_write(struct file *f, struct uio *u, u32 flags);
ssize_t vfs_pread(struct file *f, struct uio *u, u64 off, u32 flags);     /* -ESPIPE */
ssize_t vfs_pwrite(struct file *f, struct uio *u, u64 off, u32 flags);
s64 vfs_llseek(struct file *f, s64 off, int whence);
ssize_t vfs_kernel_read(struct file *f, void *buf, size_t n, u64 off);    /* whole n unless EOF; for loaders */
s64 dir_llseek(struct file *f, s64 off, int whence);                      /* llseek of directories in memory: no SEEK_END */
s64 generic_llseek(struct file *f, s64 off, int whence, u64 size, u64 max);
u32 vfs_poll(struct file *f, struct waiter *w);                           /* default for no poll op: POLLIN|POLLOUT */
/* sendfile(2), splice(2), copy_file_range(2): in-sentry copying loops (vfs/splice.c) */
ssize_t vfs_sendfile(struct file *out, struct file *in, u64 *in_pos /* NULL: file position */, u64 *out_pos, size_t n, u32 flags);

ssize_t vfs_splice(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, size_t n, u32 flags);
ssize_t vfs_copy_file_range(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, size_t n, u32 flags);
ssize_t vfs_tee(struct file *in, struct file *out, size_t n, u32 flags);
ssize_t vfs_vmsplice(struct file *f, struct uio *u, u32 flags);
/* req->file's share of an mmap: access modes, seals, ops->mmap or inode->map. Fills req->obj and max_prot. -EACCES -ENODEV */
int vfs_mmap_prepare(struct file *f, struct mm_map_req *req);
int vfs_fsync(struct file *f, bool data_only);
int vfs_fallocate(struct file *f, int mode, u64 off, u64 len);
int vfs_readdir(struct file *f, struct dir_sink *s);                      /* -ENOTDIR, -ENOENT for a removed directory */
int vfs_set_flags(struct file *f, u32 new_flags);                         /* F_SETFL: O_APPEND O_NONBLOCK O_DIRECT O_NOATIME O_ASYNC */
/* fcntl F_ADD_SEALS, F_GET_SEALS: -EINVAL for what is no memfd */
int memfd_add_seals(struct file *f, u32 seals);
int memfd_get_seals(struct file *f);

/* --- descriptor tables --- */
struct fd_entry { struct file *file; bool cloexec; };
struct fdtable {
    refcount_t refs;
    lock_t lock;                   /* LC_FDTABLE; guards: */
    struct fd_entry *fds; unsigned size;
    u64 *used;                     /* bitmap; first free found through next_fd hint */
    unsigned next_fd;
};
struct fdtable *fdtable_new(void);
struct fdtable *fdtable_copy(struct fdtable *t);     /* NULL: more open than fs.nr_open allows, -EMFILE */
void fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);                 /* last: closes all */
void fdtable_close_on_exec(struct fdtable *t);
int fdtable_unshare_current(void);                   /* makes current's table private; -EMFILE */
/* All of current. */
struct file *fd_get(int fd);                         /* counted, NULL: EBADF; O_PATH files excluded */
struct file *fd_get_path(int fd);                    /* O_PATH allowed */
int fd_install(struct file *f, bool cloexec);        /* lowest free; consumes f on success; -EMFILE -ENFILE */
int fd_install_min(struct file *f, int min, bool cloexec);       /* F_DUPFD: -EINVAL -EMFILE */
int fd_install_at(struct file *f, int fd, bool cloexec);         /* dup2: replaces; consumes f; -EBADF */
int fd_close(int fd);
int fd_close_range(unsigned first, unsigned last, unsigned flags);
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool on);
/* Iteration for /proc: next used fd >= from of t, with a counted file; -1: none */
int fdtable_next(struct fdtable *t, int from, struct file **out);

/* --- record locks (vfs/locks.c), fcntl(2), flock(2) --- */
struct klock { int type; /* F_RDLCK.. */ u64 start, end; /* inclusive; UINT64_MAX>>1 to EOF */ s32 pid; };
int vfs_setlk(struct file *f, struct klock *l, bool ofd, bool wait);
int vfs_getlk(struct file *f, struct klock *l, bool ofd);
int vfs_flock(struct file *f, int op);
void vfs_locks_close(struct file *f, struct fdtable *t);         /* POSIX locks go at any close of the file by the process */
void vfs_locks_release(struct file *f);                          /* OFD and flock go with the last reference */
void vfs_locks_free(struct inode *i);

/* --- constructors of special files (each in its own fs/ or ipc/ file) --- */
int pipe_create(struct file *out[2], u32 flags);                 /* O_CLOEXEC ignored; O_NONBLOCK, O_DIRECT */
int pipe_open_fifo(struct inode *ino, struct dentry *d, struct file *f);
int eventfd_create(u64 init, u32 flags, struct file **out);      /* EFD_SEMAPHORE EFD_NONBLOCK */
int timerfd_create_file(int clockid, u32 flags, struct file **out);
int signalfd_create(struct file *existing, const ksigset_t *mask, u32 flags, struct file **out);
int epoll_create_file(u32 flags, struct file **out);
int memfd_create_file(const char *name, u32 flags, struct file **out);
int shmem_create_anon(u64 size, struct file **out);              /* MAP_SHARED|MAP_ANONYMOUS, SysV shm */
int pidfd_create_file(struct tgroup *tg, u32 flags, struct file **out);
struct tgroup *pidfd_tgroup(struct file *f);                     /* borrowed; NULL: not a pidfd */
int inotify_create(u32 flags, struct file **out);
/* Host descriptor given at start (stdin and the like): pipe, socket, file, tty of the host. Owns hostfd. */
int hostfile_create(int hostfd, u32 flags, struct file **out);

/* --- file systems --- */
int tmpfs_new(u64 size_limit /* bytes, 0: half of memory */, u32 root_mode, u32 uid, u32 gid, struct super **out);
/* Pages from first to last (included) that a file of a tmpfs has; false: it is none. */
bool tmpfs_count_pages(struct inode *i, u64 first, u64 last, u64 *n);
/* Sizes in bytes (0: as at first), inodes (0: no limit of its own); NULL: stays. -EINVAL: more is there already. */
int tmpfs_set_limits(struct super *sb, const u64 *size, const u64 *inodes);
void tmpfs_rename(struct super *sb, const char *name);             /* a fresh one is called ramfs or mqueue */
int overlay_new(struct super *lower, struct dentry *lower_root, struct super *upper, struct super **out);   /* upper: a fresh tmpfs */
struct gofer_client;
int gofer_client_new(int sock, struct gofer_client **out);       /* consumes sock */
int gofer_client_add_channel(struct gofer_client *c, int sock);  /* one more request at a time; consumes sock; at most 8 */
int gofer_fs_new(struct gofer_client *c, u32 root_index, u32 flags, struct super **out);
#define GOFER_FS_EXCLUSIVE 1u      /* only this sandbox changes the root: cache attributes and names forever */
int procfs_new(struct super **out);
int sysfs_new(struct super **out);
int devfs_new(struct super **out);                               /* /dev: null zero full random urandom tty ptmx fd shm mqueue stdin.. */
int devpts_new(struct super **out);

#endif
