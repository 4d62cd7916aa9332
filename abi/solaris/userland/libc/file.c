/* libc.so.1: files, directories' names, descriptors: thin layers over the calls. */
#include "impl.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utime.h>

#define R(expr) return (int)ret_errno(expr)
#define RL(expr) return ret_errno(expr)
#define CALL(...) CANCELABLE(RESTART(RAW(__VA_ARGS__)))

int open(const char *p, int fl, ...)
{
    va_list ap;

    va_start(ap, fl);
    mode_t m = fl & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    R(CANCELABLE(RAW(SYS_open, p, fl, m)));
}
int openat(int d, const char *p, int fl, ...)
{
    va_list ap;

    va_start(ap, fl);
    mode_t m = fl & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    R(CANCELABLE(RAW(SYS_openat, d, p, fl, m)));
}
int creat(const char *p, mode_t m) { R(CANCELABLE(RAW(SYS_open, p, O_WRONLY | O_CREAT | O_TRUNC, m))); }
int close(int fd) { R(CANCELABLE(RAW(SYS_close, fd))); }
ssize_t read(int fd, void *b, size_t n) { RL(CALL(SYS_read, fd, b, n)); }
ssize_t write(int fd, const void *b, size_t n) { RL(CALL(SYS_write, fd, b, n)); }
ssize_t pread(int fd, void *b, size_t n, off_t o) { RL(CALL(SYS_pread, fd, b, n, o)); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { RL(CALL(SYS_pwrite, fd, b, n, o)); }
ssize_t readv(int fd, const struct iovec *v, int n) { RL(CALL(SYS_readv, fd, v, n)); }
ssize_t writev(int fd, const struct iovec *v, int n) { RL(CALL(SYS_writev, fd, v, n)); }
ssize_t preadv(int fd, const struct iovec *v, int n, off_t o) { RL(CALL(SYS_preadv, fd, v, n, o, 0)); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o) { RL(CALL(SYS_pwritev, fd, v, n, o, 0)); }
off_t lseek(int fd, off_t o, int w) { RL(RAW(SYS_lseek, fd, o, w)); }
int fcntl(int fd, int cmd, ...)
{
    va_list ap;

    va_start(ap, cmd);
    long a = va_arg(ap, long);
    va_end(ap);
    if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
        R(CANCELABLE(RAW(SYS_fcntl, fd, cmd, a)));
    R(RAW(SYS_fcntl, fd, cmd, a));
}
int ioctl(int fd, int cmd, ...)
{
    va_list ap;

    va_start(ap, cmd);
    long a = va_arg(ap, long);
    va_end(ap);
    R(RESTART(RAW(SYS_ioctl, fd, cmd, a)));
}
int dup(int fd) { R(RAW(SYS_fcntl, fd, F_DUPFD, 0)); }
int dup2(int a, int b) { R(RAW(SYS_fcntl, a, F_DUP2FD, b)); }
int dup3(int a, int b, int fl)
{
    if (a == b || (fl & ~O_CLOEXEC)) {
        errno = EINVAL;
        return -1;
    }
    R(RAW(SYS_fcntl, a, fl & O_CLOEXEC ? F_DUP2FD_CLOEXEC : F_DUP2FD, b));
}
int pipe2(int fd[2], int fl) { R(RAW(SYS_pipe, fd, fl)); }
int pipe(int fd[2]) { R(RAW(SYS_pipe, fd, 0)); }
int link(const char *a, const char *b) { R(RAW(SYS_link, a, b)); }
int linkat(int d, const char *a, int e, const char *b, int fl) { R(RAW(SYS_linkat, d, a, e, b, fl)); }
int unlink(const char *p) { R(RAW(SYS_unlink, p)); }
int unlinkat(int d, const char *p, int fl) { R(RAW(SYS_unlinkat, d, p, fl)); }
int rmdir(const char *p) { R(RAW(SYS_rmdir, p)); }
int mkdir(const char *p, mode_t m) { R(RAW(SYS_mkdir, p, m)); }
int mkdirat(int d, const char *p, mode_t m) { R(RAW(SYS_mkdirat, d, p, m)); }
int mknod(const char *p, mode_t m, dev_t v) { R(RAW(SYS_mknod, p, m, v)); }
int mknodat(int d, const char *p, mode_t m, dev_t v) { R(RAW(SYS_mknodat, d, p, m, v)); }
int mkfifo(const char *p, mode_t m) { R(RAW(SYS_mknod, p, (m & 0777) | S_IFIFO, 0)); }
int mkfifoat(int d, const char *p, mode_t m) { R(RAW(SYS_mknodat, d, p, (m & 0777) | S_IFIFO, 0)); }
int rename(const char *a, const char *b) { R(RAW(SYS_rename, a, b)); }
int renameat(int d, const char *a, int e, const char *b) { R(RAW(SYS_renameat, d, a, e, b)); }
int symlink(const char *a, const char *b) { R(RAW(SYS_symlink, a, b)); }
int symlinkat(const char *a, int d, const char *b) { R(RAW(SYS_symlinkat, a, d, b)); }
ssize_t readlink(const char *p, char *b, size_t n) { RL(RAW(SYS_readlink, p, b, n)); }
ssize_t readlinkat(int d, const char *p, char *b, size_t n) { RL(RAW(SYS_readlinkat, d, p, b, n)); }
int chdir(const char *p) { R(RAW(SYS_chdir, p)); }
int fchdir(int fd) { R(RAW(SYS_fchdir, fd)); }
int chroot(const char *p) { R(RAW(SYS_chroot, p)); }
int chmod(const char *p, mode_t m) { R(RAW(SYS_chmod, p, m)); }
int fchmod(int fd, mode_t m) { R(RAW(SYS_fchmod, fd, m)); }
int fchmodat(int d, const char *p, mode_t m, int fl) { R(RAW(SYS_fchmodat, d, p, m, fl)); }
int chown(const char *p, uid_t u, gid_t g) { R(RAW(SYS_chown, p, u, g)); }
int lchown(const char *p, uid_t u, gid_t g) { R(RAW(SYS_lchown, p, u, g)); }
int fchown(int fd, uid_t u, gid_t g) { R(RAW(SYS_fchown, fd, u, g)); }
int fchownat(int d, const char *p, uid_t u, gid_t g, int fl) { R(RAW(SYS_fchownat, d, p, u, g, fl)); }
int stat(const char *p, struct stat *s) { R(RAW(SYS_stat, p, s)); }
int lstat(const char *p, struct stat *s) { R(RAW(SYS_lstat, p, s)); }
int fstat(int fd, struct stat *s) { R(RAW(SYS_fstat, fd, s)); }
int fstatat(int d, const char *p, struct stat *s, int fl) { R(RAW(SYS_fstatat, d, p, s, fl)); }
int statvfs(const char *p, struct statvfs *s) { R(RAW(SYS_statvfs, p, s)); }
int fstatvfs(int fd, struct statvfs *s) { R(RAW(SYS_fstatvfs, fd, s)); }
int access(const char *p, int m) { R(RAW(SYS_access, p, m)); }
int faccessat(int d, const char *p, int m, int fl) { R(RAW(SYS_faccessat, d, p, m, fl)); }
mode_t umask(mode_t m) { return (mode_t)RAW(SYS_umask, m); }
int fsync(int fd) { R(CANCELABLE(RAW(SYS_fdsync, fd, O_SYNC))); }
int fdatasync(int fd) { R(CANCELABLE(RAW(SYS_fdsync, fd, O_DSYNC))); }
void sync(void) { (void)RAW(SYS_sync); }
long pathconf(const char *p, int n) { RL(RAW(SYS_pathconf, p, n)); }
long fpathconf(int fd, int n) { RL(RAW(SYS_fpathconf, fd, n)); }
int getdents(int fd, struct dirent *d, size_t n) { R(RAW(SYS_getdents, fd, d, n)); }
int resolvepath(const char *p, char *b, size_t n) { R(RAW(SYS_resolvepath, p, b, n)); }

/* truncation is a lock-structure call: free everything from l_start on */
int ftruncate(int fd, off_t len)
{
    struct flock f = { .l_type = F_WRLCK, .l_start = len };

    R(RAW(SYS_fcntl, fd, F_FREESP, &f));
}
int truncate(const char *p, off_t len)
{
    int fd = open(p, O_WRONLY);
    if (fd < 0)
        return -1;
    int r = ftruncate(fd, len), e = errno;
    close(fd);
    if (r)
        errno = e;
    return r;
}
int lockf(int fd, int fn, off_t size)
{
    struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = size };
    int cmd = F_SETLK;

    switch (fn) {
    case F_ULOCK: f.l_type = F_UNLCK; break;
    case F_LOCK: cmd = F_SETLKW; break;
    case F_TLOCK: break;
    case F_TEST:
        if (fcntl(fd, F_GETLK, &f) < 0)
            return -1;
        if (f.l_type == F_UNLCK)
            return 0;
        errno = EAGAIN;
        return -1;
    default: errno = EINVAL; return -1;
    }
    return fcntl(fd, cmd, &f);
}
int flock(int fd, int op)
{
    struct flock f = { .l_whence = SEEK_SET };

    switch (op & ~LOCK_NB) {
    case LOCK_SH: f.l_type = F_RDLCK; break;
    case LOCK_EX: f.l_type = F_WRLCK; break;
    case LOCK_UN: f.l_type = F_UNLCK; break;
    default: errno = EINVAL; return -1;
    }
    int r = fcntl(fd, op & LOCK_NB ? F_FLOCK : F_FLOCKW, &f);
    if (r < 0 && errno == EAGAIN)
        errno = EWOULDBLOCK;
    return r < 0 ? -1 : 0;
}
int posix_fallocate(int fd, off_t off, off_t len)
{
    struct flock f = { .l_type = F_WRLCK, .l_start = off, .l_len = len };
    return ret_value(RAW(SYS_fcntl, fd, F_ALLOCSP, &f));
}
int posix_fadvise(int fd, off_t o, off_t n, int a)
{
    struct stat s;

    if (a < 0 || a > 5 || n < 0)
        return EINVAL;
    return ret_value(RAW(SYS_fstat, fd, &s));
}
int directio(int fd, int advice) { return 0; }
int utimensat(int d, const char *p, const struct timespec t[2], int fl) { R(RAW(SYS_utimesys, 1, d, p, t, fl)); }
int futimens(int fd, const struct timespec t[2]) { R(RAW(SYS_utimesys, 0, fd, t)); }
static const struct timespec *to_ts(const struct timeval v[2], struct timespec t[2])
{
    if (!v)
        return NULL;
    for (int i = 0; i < 2; i++) {
        t[i].tv_sec = v[i].tv_sec;
        t[i].tv_nsec = v[i].tv_usec * 1000;
    }
    return t;
}
int utimes(const char *p, const struct timeval v[2]) { struct timespec t[2]; return utimensat(AT_FDCWD, p, to_ts(v, t), 0); }
int lutimes(const char *p, const struct timeval v[2]) { struct timespec t[2]; return utimensat(AT_FDCWD, p, to_ts(v, t), AT_SYMLINK_NOFOLLOW); }
int futimes(int fd, const struct timeval v[2]) { struct timespec t[2]; return futimens(fd, to_ts(v, t)); }
int futimesat(int d, const char *p, const struct timeval v[2])
{
    struct timespec t[2];
    return p ? utimensat(d, p, to_ts(v, t), 0) : futimes(d, v);
}
int utime(const char *p, const struct utimbuf *u)
{
    struct timespec t[2];

    if (u) {
        t[0] = (struct timespec){ u->actime, 0 };
        t[1] = (struct timespec){ u->modtime, 0 };
    }
    return utimensat(AT_FDCWD, p, u ? t : NULL, 0);
}

char *getcwd(char *b, size_t n)
{
    char *own = NULL;

    if (!b) {
        if (!n)
            n = 1024;
        if (!(b = own = malloc(n)))
            return NULL;
    }
    if (!n) {
        errno = EINVAL;
        return NULL;
    }
    if (ret_errno(RAW(SYS_getcwd, b, n)) < 0) {
        int e = errno;
        free(own);
        errno = e;
        return NULL;
    }
    return b;
}
char *getwd(char *b) { return getcwd(b, 1024); }
char *realpath(const char *p, char *out)
{
    char b[1024], *r = out;

    if (!p) {
        errno = EINVAL;
        return NULL;
    }
    long n = ret_errno(RAW(SYS_resolvepath, p, b, sizeof(b) - 1));
    if (n < 0)
        return NULL;
    b[n] = 0;
    if (b[0] != '/') { /* a relative name resolves relative */
        char cwd[1024];
        if (!getcwd(cwd, sizeof(cwd)))
            return NULL;
        size_t k = strlen(cwd);
        while (!strncmp(b, "../", 3) || !strcmp(b, "..")) {
            while (k > 1 && cwd[k - 1] != '/')
                k--;
            if (k > 1)
                k--;
            memmove(b, b + (b[2] ? 3 : 2), strlen(b + (b[2] ? 3 : 2)) + 1);
        }
        if (!strcmp(b, "."))
            b[0] = 0;
        if (k + 1 + strlen(b) >= 1024) {
            errno = ENAMETOOLONG;
            return NULL;
        }
        char full[1024];
        memcpy(full, cwd, k);
        if (*b && full[k - 1] != '/')
            full[k++] = '/';
        strcpy(full + k, b);
        strcpy(b, full);
    }
    if (!r && !(r = malloc(strlen(b) + 1)))
        return NULL;
    return strcpy(r, b);
}

int isatty(int fd)
{
    short t[16];
    return ret_errno(RESTART(RAW(SYS_ioctl, fd, TCGETA, t))) < 0 ? 0 : 1;
}
void closefrom(int low)
{
    long max = sysconf(_SC_OPEN_MAX);

    for (long i = low; i < max; i++)
        (void)RAW(SYS_close, i);
}

/* --- polling --- */

int ppoll(struct pollfd *f, nfds_t n, const struct timespec *t, const sigset_t *s) { R(CANCELABLE(RAW(SYS_pollsys, f, n, t, s))); }
int poll(struct pollfd *f, nfds_t n, int ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
    R(CANCELABLE(RAW(SYS_pollsys, f, n, ms < 0 ? NULL : &t, 0)));
}
int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *t, const sigset_t *mask)
{
    struct pollfd stack[64], *p = stack;
    int k = 0, count = 0;

    if (n < 0 || n > FD_SETSIZE || (t && (t->tv_nsec < 0 || t->tv_nsec >= 1000000000 || t->tv_sec < 0))) {
        errno = EINVAL;
        return -1;
    }
    if (n > 64 && !(p = malloc((size_t)n * sizeof(*p)))) {
        errno = EINTR;
        return -1;
    }
    for (int i = 0; i < n; i++) {
        short e = (short)((r && FD_ISSET(i, r) ? POLLRDNORM : 0) | (w && FD_ISSET(i, w) ? POLLWRNORM : 0) |
                          (x && FD_ISSET(i, x) ? POLLRDBAND : 0));
        if (e)
            p[k++] = (struct pollfd){ .fd = i, .events = e };
    }
    long rc = ret_errno(CANCELABLE(RAW(SYS_pollsys, p, k, t, mask)));
    for (int i = 0; rc >= 0 && i < k; i++)
        if (p[i].revents & POLLNVAL) {
            errno = EBADF;
            rc = -1;
        }
    if (rc >= 0) {
        for (int i = 0; i < k; i++) {
            short e = p[i].events, v = p[i].revents;
            int fd = p[i].fd;
            if (e & POLLRDNORM) {
                if (v & (POLLRDNORM | POLLERR | POLLHUP))
                    count++;
                else
                    FD_CLR(fd, r);
            }
            if (e & POLLWRNORM) {
                if (v & (POLLWRNORM | POLLERR))
                    count++;
                else
                    FD_CLR(fd, w);
            }
            if (e & POLLRDBAND) {
                if (v & (POLLRDBAND | POLLPRI))
                    count++;
                else
                    FD_CLR(fd, x);
            }
        }
    }
    if (p != stack) {
        int e = errno;
        free(p);
        errno = e;
    }
    return rc < 0 ? -1 : count;
}
int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *tv)
{
    struct timespec t;

    if (tv) {
        if (tv->tv_usec < 0 || tv->tv_usec >= 1000000) {
            errno = EINVAL;
            return -1;
        }
        t.tv_sec = tv->tv_sec;
        t.tv_nsec = tv->tv_usec * 1000;
    }
    return pselect(n, r, w, x, tv ? &t : NULL, NULL);
}

/* --- memory --- */

void *mmap(void *a, size_t n, int prot, int fl, int fd, off_t o) { return (void *)ret_errno(RAW(SYS_mmap, a, n, prot, fl, fd, o)); }
int munmap(void *a, size_t n) { R(RAW(SYS_munmap, a, n)); }
int mprotect(void *a, size_t n, int p) { R(RAW(SYS_mprotect, a, n, p)); }
int memcntl(caddr_t a, size_t n, int cmd, caddr_t arg, int attr, int mask) { R(RAW(SYS_memcntl, a, n, cmd, arg, attr, mask)); }
int madvise(void *a, size_t n, int v) { R(RAW(SYS_memcntl, a, n, MC_ADVISE, v, 0, 0)); }
int posix_madvise(void *a, size_t n, int v) { return v < 0 || v > 4 ? EINVAL : ret_value(RAW(SYS_memcntl, a, n, MC_ADVISE, v, 0, 0)); }
int msync(void *a, size_t n, int fl) { R(CANCELABLE(RAW(SYS_memcntl, a, n, MC_SYNC, fl, 0, 0))); }
int mlock(const void *a, size_t n) { R(RAW(SYS_memcntl, a, n, MC_LOCK, 0, 0, 0)); }
int munlock(const void *a, size_t n) { R(RAW(SYS_memcntl, a, n, MC_UNLOCK, 0, 0, 0)); }
int mlockall(int fl) { R(RAW(SYS_memcntl, 0, 0, MC_LOCKAS, fl, 0, 0)); }
int munlockall(void) { R(RAW(SYS_memcntl, 0, 0, MC_UNLOCKAS, 0, 0, 0)); }
int mincore(caddr_t a, size_t n, char *v) { R(RAW(SYS_mincore, a, n, v)); }
static int shm_path(char *b, size_t n, const char *name)
{
    if (!*name || strchr(name + 1, '/') || (size_t)snprintf(b, n, "/tmp/.SHMD%s", *name == '/' ? name + 1 : name) >= n) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}
int shm_open(const char *name, int fl, mode_t m)
{
    char b[300];
    return shm_path(b, sizeof(b), name) ? -1 : open(b, fl | O_CLOEXEC, m);
}
int shm_unlink(const char *name)
{
    char b[300];
    return shm_path(b, sizeof(b), name) ? -1 : unlink(b);
}

/* --- sendfile --- */

ssize_t sendfilev(int fd, const struct sendfilevec *v, int n, size_t *done) { RL(RAW(SYS_sendfilev, 0, fd, v, n, done)); }
/* the count sent before an interruption is reported through *off, with -1 */
ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
    struct sendfilevec v = { .sfv_fd = in, .sfv_off = off ? *off : 0, .sfv_len = n };
    size_t done = 0;

    if (!off && (v.sfv_off = lseek(in, 0, SEEK_CUR)) < 0)
        return -1;
    if (!n)
        return 0;
    long r = RAW(SYS_sendfilev, 0, out, &v, 1, &done);
    if (off)
        *off += (off_t)done;
    else if (done)
        (void)lseek(in, (off_t)done, SEEK_CUR);
    if (RAW_FAILED(r))
        return ret_errno(r);
    return (ssize_t)done;
}
