/* What the VFS calls outside of itself, for tests that run without tasks, guests or a platform. */
#include "sentry/fs/anon/anon.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/fasync.h"
#include "sentry/vfs/lease.h"

_Thread_local struct task *current;
/* No profile in these tests. */
#include "sentry/policy/policy.h"
bool policy_records_absent, policy_records_looks, policy_watched;
void policy_looked(struct dentry *d) {}
void policy_dentry_watched(struct dentry *d, u32 want) {}
u32 policy_step(u32 state, const char *name, size_t len) { return 0; }
int policy_dentry_slow(struct dentry *d, u32 want) { return 0; }
void policy_readonly(struct dentry *d) {}
int policy_would(struct dentry *d, u32 want) { return 0; }
int policy_enter(struct dentry *dir, const char *name, const char *rest) { return 0; }
void policy_absent(struct dentry *dir, const char *name, const char *rest) {}
int policy_move(struct dentry *from, struct dentry *to, bool is_dir) { return 0; }

/* No Landlock either. */
#include "sentry/landlock/landlock.h"
void ll_layer_get(struct ll_layer *l) {}
void ll_layer_put(struct ll_layer *l) {}
int ll_path(const struct path *p, u32 access) { return 0; }
int ll_open(struct file *f, const struct path *p, bool exec) { return 0; }
int ll_truncate_file(const struct file *f) { return 0; }
int ll_refer(const struct path *o, struct dentry *od, const struct path *n, struct dentry *nd, bool remove, bool exchange) { return 0; }
u32 ll_make_right(u32 mode) { return 0; }

int fake_signals;

void fsnotify(struct dentry *d, u32 mask, u32 cookie) {}
void fsnotify_name(struct inode *dir, const char *name, u32 mask, u32 cookie, bool is_dir) {}
void epoll_file_release(struct file *f) {}
int pipe_open_fifo(struct inode *i, struct dentry *d, struct file *f) { return -ENXIO; }
int chrdev_open(struct inode *i, struct dentry *d, struct file *f) { return -ENXIO; }
int blkdev_open(struct inode *i, struct file *f) { return -ENXIO; }
bool file_is_pipe(const struct file *f) { return false; }
size_t pipe_room(struct file *f) { return 0; }
ssize_t pipe_peek_kernel(struct file *f, void *b, size_t n, u32 flags) { return -EBADF; }
ssize_t pipe_write_kernel(struct file *f, const void *b, size_t n, u32 flags) { return -EBADF; }
void pipe_unread_kernel(struct file *f, const void *b, size_t n) {}
int task_sleep(ktime_t deadline) { return -ERESTARTSYS; }
void task_wake(struct task *t) {}
bool signal_pending(struct task *t) { return false; }
int signal_send_task(struct task *t, const struct ksiginfo *info) { fake_signals |= 1 << info->signo; return 0; }
void ksiginfo_user(struct ksiginfo *i, int signo, int code) { i->signo = signo; }
u64 task_rlimit(struct task *t, int which) { return t->tg->rlim[which].rlim_cur; }
void mappable_init(struct mappable *m, const struct mappable_ops *ops, struct inode *inode)
{
    m->ops = ops;
    m->inode = inode;
    lock_init(&m->lock, LC_I_MMAP);
    LIST_INIT(&m->vmas);
}
void mappable_fini(struct mappable *m) { lock_fini(&m->lock); }
void mappable_unmap(struct mappable *m, u64 pgoff, u64 n, bool also_private) {}

/* Transfers are between kernel buffers only. */
void uio_init_kernel(struct uio *u, void *buf, size_t len)
{
    *u = (struct uio){ .nsegs = 1, .resid = len };
    u->inline_segs[0] = (struct uio_seg){ (u64)(uintptr_t)buf, len };
    u->segs = u->inline_segs;
}
void uio_fini(struct uio *u) {}
static ssize_t move(struct uio *u, void *dst, const void *src, size_t n)
{
    u8 *at = (u8 *)(uintptr_t)u->segs[0].base + u->seg_done;
    if (dst) __builtin_memcpy(dst, at, n);
    else if (src) __builtin_memcpy(at, src, n);
    else __builtin_memset(at, 0, n);
    u->seg_done += n;
    u->resid -= n;
    return (ssize_t)n;
}
ssize_t uio_copy_in(struct uio *u, void *dst, size_t n) { return move(u, dst, NULL, n); }
ssize_t uio_copy_out(struct uio *u, const void *src, size_t n) { return move(u, NULL, src, n); }
ssize_t uio_zero_out(struct uio *u, size_t n) { return move(u, NULL, NULL, n); }

bool user_charge(u32 uid, enum user_count which, u64 limit) { return true; }
void user_uncharge(u32 uid, enum user_count which) {}

void file_async_release(struct file *f) { (void)f; }

struct kernel kernel;

void file_lease_release(struct file *f) { (void)f; }
int inode_break_lease(struct inode *i, bool write, bool nonblock) { (void)i; (void)write; (void)nonblock; return 0; }
void dnotify_release(struct file *f) { (void)f; }
void fsnotify_links(struct inode *ino) { (void)ino; }
void fsnotify_inode_delete(struct inode *ino) { (void)ino; }

struct fs_context *task_get_fs(struct task *t UNUSED) { return NULL; }
int pid_ns_new(struct pid_ns *parent UNUSED, struct user_ns *owner UNUSED, struct ns **out UNUSED) { return -EINVAL; }
