/*
 * Donated descriptors of an inode: at most one for reading, one for writing, one for both, whatever the number of opens.
 * They are scarce (one host process holds those of the whole sandbox): an inode that nobody uses keeps them on an idle
 * list, whose oldest are closed first.
 */
#include "sentry/base/hostcall.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(fstat, "size and times of files that are open");

/* Not libc's: that one is newfstatat, which takes a path and is not in our filter. The layouts are the same. */
int host_fstat(int fd, struct stat *st) { return syscall(SYS_fstat, fd, st) ? -errno : 0; }

int gi_read_fd(struct ginode *gi)
{
    int fd = atomic_load(&gi->fds[GFD_RO]);
    return fd >= 0 ? fd : atomic_load(&gi->fds[GFD_RW]);
}

int gi_write_fd(struct ginode *gi)
{
    int fd = atomic_load(&gi->fds[GFD_RW]);
    return fd >= 0 ? fd : atomic_load(&gi->fds[GFD_WO]);
}

static bool has_fds(const struct ginode *gi) { return gi->fds[GFD_RO] >= 0 || gi->fds[GFD_WO] >= 0 || gi->fds[GFD_RW] >= 0; }

static void idle_del_locked(struct gofer_client *c, struct ginode *gi)
{
    if (!gi->on_idle) return;
    TAILQ_REMOVE(&c->idle, gi, idle);
    gi->on_idle = false;
    c->nidle--;
}

/* Takes the descriptors away under the lock; the caller closes them outside. */
static void steal_locked(struct ginode *gi, int out[GFD_N])
{
    for (int i = 0; i < GFD_N; i++) {
        out[i] = gi->fds[i];
        atomic_store(&gi->fds[i], -1);
    }
}

static void close_all(const int fds[GFD_N])
{
    for (int i = 0; i < GFD_N; i++)
        if (fds[i] >= 0) close(fds[i]);
}

/* True when at least one was closed. */
bool gofer_fds_shrink(struct gofer_client *c, unsigned keep)
{
    bool any = false;
    for (;;) {
        int fds[GFD_N];
        lock(&c->fd_lock);
        struct ginode *gi = c->nidle > keep ? TAILQ_FIRST(&c->idle) : NULL;
        if (gi) {
            idle_del_locked(c, gi);
            struct stat st;
            /* what was written through them is known from the descriptor only: keep the last word of it */
            int fd = gi_read_fd(gi) >= 0 ? gi_read_fd(gi) : gi_write_fd(gi);
            if (host_fstat(fd, &st) == 0) {
                gi->vfs.size = (u64)st.st_size;
                gi->vfs.blocks = (u64)st.st_blocks;
                gi->vfs.mode = st.st_mode;
                gi->vfs.nlink = st.st_nlink;
                gi->vfs.atime = st.st_atim;
                gi->vfs.mtime = st.st_mtim;
                gi->vfs.ctime = st.st_ctim;
            }
            steal_locked(gi, fds);
        }
        unlock(&c->fd_lock);
        if (!gi) return any;
        close_all(fds);
        any = true;
    }
}

void gi_pin(struct ginode *gi)
{
    struct gofer_client *c = gi_client(gi);
    lock(&c->fd_lock);
    gi->pins++;
    idle_del_locked(c, gi);
    unlock(&c->fd_lock);
}

void gi_unpin(struct ginode *gi)
{
    struct gofer_client *c = gi_client(gi);
    lock(&c->fd_lock);
    if (--gi->pins == 0 && has_fds(gi)) {
        TAILQ_INSERT_TAIL(&c->idle, gi, idle);
        gi->on_idle = true;
        c->nidle++;
    }
    bool over = c->nidle > c->max_idle;
    unlock(&c->fd_lock);
    if (over) gofer_fds_shrink(c, c->max_idle);
}

void gi_give_fd(struct ginode *gi, int which, int fd)
{
    struct gofer_client *c = gi_client(gi);
    if (fd < 0) return;
    gi_pin(gi);
    lock(&c->fd_lock);
    if (gi->fds[which] < 0) {
        atomic_store(&gi->fds[which], fd);
        fd = -1;
    }
    unlock(&c->fd_lock);
    if (fd >= 0) close(fd);
    gi_unpin(gi);
}

static int ask_fd(struct ginode *gi, u32 acc, int which)
{
    struct gofer_open_req q = { .h = gi->h, .flags = acc };
    struct gofer_node n;
    size_t len = sizeof n;
    int fd = -1;
    int err = gofer_call_simple(gi_client(gi), GOFER_OPEN, &q, sizeof q, NULL, NULL, &n, &len, &fd);
    if (err == -ENFILE && gofer_fds_shrink(gi_client(gi), 0))
        len = sizeof n, err = gofer_call_simple(gi_client(gi), GOFER_OPEN, &q, sizeof q, NULL, NULL, &n, &len, &fd);
    if (!err && (fd < 0 || len != sizeof n)) err = -EIO;
    if (err) {
        if (fd >= 0) close(fd);
        return err;
    }
    gi_give_fd(gi, which, fd);
    return 0;
}

int gi_ensure_fd(struct ginode *gi, u32 acc)
{
    acc &= O_ACCMODE;
    if (acc == O_RDONLY) return gi_read_fd(gi) >= 0 ? 0 : ask_fd(gi, O_RDONLY, GFD_RO);
    if (atomic_load(&gi->fds[GFD_RW]) >= 0) return 0;
    if (acc == O_WRONLY && atomic_load(&gi->fds[GFD_WO]) >= 0) return 0;
    int err = ask_fd(gi, O_RDWR, GFD_RW);
    /* a file the gofer may write but not read */
    if (err == -EACCES && acc == O_WRONLY) err = ask_fd(gi, O_WRONLY, GFD_WO);
    return err;
}

void gi_close_fds(struct ginode *gi)
{
    struct gofer_client *c = gi_client(gi);
    int fds[GFD_N];
    lock(&c->fd_lock);
    idle_del_locked(c, gi);
    steal_locked(gi, fds);
    unlock(&c->fd_lock);
    close_all(fds);
}
