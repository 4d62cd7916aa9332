/*
 * Every system call of the table with bad pointers, bad sub-codes, bad descriptors and bad lengths: the errno that Solaris documents. The
 * source of a group is the manual page of section 2 and the file of uts/common (illumos) that its comment names, "syscall/" where it
 * says no more. What the sandbox refuses altogether is here with the errno of the refusal, which is EPERM for what needs a privilege there
 * and ENOSYS for what is a loadable part there (nosys() of syscall/nosys.c is what answers while it is not loaded).
 */
#include "sys.h"

enum { EPERM = 1, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES, EFAULT, ENOTBLK, EBUSY, EEXIST, EXDEV, ENODEV,
       ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK, EPIPE, EDOM, ERANGE, EDEADLK = 45, ECANCELED = 47,
       ENOTSUP = 48, ENOSTR = 60, ETIME = 62, ENAMETOOLONG = 78, EOVERFLOW = 79, EBADFD = 81, ENOSYS = 89, ELOOP = 90, ENOTSOCK = 95, EDESTADDRREQ, EMSGSIZE,
       EPROTOTYPE = 98, ENOPROTOOPT = 99, EPROTONOSUPPORT = 120, ESOCKTNOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT = 124, EISCONN = 133, ENOTCONN };
#define OK 0                      /* no error: what looks bad is allowed there */

#define BAD 8UL                   /* nothing is mapped there */
#define KERN 0xfffffd7fffe00000UL /* where Solaris has the end of user memory; beyond all addresses of the host */
#define CWD 0xffd19553UL
#define NEG (~0UL)
#define IMIN 0x8000000000000000UL

static u8 buf[8192] __attribute__((aligned(4096)));
static u8 ro_page[4096] __attribute__((aligned(4096)));
static char longname[2048], longpath[2048];
static s32 nums[4] = { 99999, 99998, 0, 0 };
static struct ts ts_bad = { 0, 1000000000 }, ts_neg = { -1, 0 }, ts_zero;
static struct { struct ts interval, value; } its_bad = { { 0, 0 }, { 0, 1000000000 } };
static struct { s64 sec, usec; } it_bad[2] = { { 0, 0 }, { 0, 1000000 } };
static struct { u64 base, len; } iov_bad[2] = { { BAD, 16 }, { 0, 0 } }, iov_neg[2] = { { 0, ~0UL }, { 0, 0 } };
static struct { u64 cur, max; } lim_bad = { 10, 5 };
static struct stk stk_small = { 0x10000, 100, 0, 0 }, stk_flags = { 0x10000, 65536, 0x40, 0 };
static struct { s32 fd; s16 events, revents; } pollfds[1] = { { 0, 0, 0 } };
static struct sigset none;
static struct siginfo si_zero;
static struct sigact act_ign = { .handler = (void *)1 };
static struct { s32 notify, signo; u64 v[6]; } ev_bad = { 99, 1, { 0 } }, ev_sig = { 2, 99, { 0 } }, ev_none = { 1, 0, { 0 } };
static struct { u16 family, port; u32 addr; u64 zero; } addr = { 2, 0, 0x0100007f, 0 }, addr_family = { 77, 0, 0, 0 };
static u64 msg_bad[7] = { 0, 0, BAD, 1, 0, 0, 0 }, msg_iov[7] = { 0, 0, BAD, 99999, 0, 0, 0 };
static struct { s16 type, whence; s64 start, len; s32 sysid, pid; s64 pad[4]; } lock_bad = { 9, 0, 0, 0, 0, 0, { 0 } }, lock_whence = { 1, 9, 0, 0, 0, 0, { 0 } };
static struct { s32 fd, flag; s64 off; u64 len; } sfv_bad[1] = { { 99, 0, 0, 1 } }, sfv_flag[1] = { { -2, 99, 0, 1 } };
static struct { s32 op, lt; u32 lid; s32 rt, rid; } ps_bad = { 99, 0, 0, 0, 0 }, ps_type = { 0, 99, 0, 99, 0 };
static struct { u64 fds; s32 n, timeout; } dvpoll_bad = { BAD, 1, 0 };
static struct { u32 w; } words[4];
static struct { u64 atime[2], mtime[2], ctime[2], pad[3], name; } fobj = { .name = (u64)"/no/such" }, fobj_bad = { .name = BAD };
static struct ucontext uc;

/* Descriptors that run() opens. */
enum { FILE_ = 40, DIR_, SOCK, PIPE_R, PIPE_W, RDONLY, WRONLY, PORT, PAIR, PATHLESS, NULLDEV, DVPOLL, BROKEN, SOCK2 };
#define NOFD 99

struct row { u16 nr; s16 err; u32 line; u64 a[6]; };
#define E(nr, err, ...) { nr, err, __LINE__, { __VA_ARGS__ } }
#define S(s) ((u64)(s))
#define B S(buf)

static const struct row rows[] = {
    /* psecflags: loadable */
    E(2, ENOSYS, 0),
    /* read(2), write(2), readv, pread, preadv; rw.c: the length is looked at before the descriptor, the descriptor before the address */
    E(3, EBADF, NOFD, B, 1), E(3, EBADF, WRONLY, B, 1), E(3, EFAULT, FILE_, BAD, 1), E(3, EFAULT, FILE_, KERN, 1), E(3, EFAULT, FILE_, 0, 1), E(3, EINVAL, FILE_, B, NEG),
    E(3, EINVAL, NOFD, B, NEG), E(3, EISDIR, DIR_, B, 16), E(3, OK, FILE_, BAD, 0), E(3, EBADF, PIPE_W + 100, B, 1),
    E(4, EBADF, NOFD, B, 1), E(4, EBADF, RDONLY, B, 1), E(4, EFAULT, FILE_, BAD, 1), E(4, EFAULT, FILE_, 0, 1), E(4, EFAULT, PIPE_W, 0, 1), E(4, EFAULT, PAIR, 0, 1), E(4, EINVAL, FILE_, B, NEG), E(4, EPIPE, BROKEN, B, 1), E(4, EBADF, DIR_, B, 1),
    E(121, EINVAL, FILE_, S(iov_bad), 0), E(121, EINVAL, FILE_, S(iov_bad), 1025), E(121, EFAULT, FILE_, BAD, 1), E(121, EFAULT, FILE_, S(iov_bad), 1),
    E(121, EINVAL, FILE_, S(iov_neg), 2), E(121, EBADF, NOFD, S(iov_bad), 1), E(121, EINVAL, FILE_, S(iov_bad), NEG),
    E(122, EINVAL, FILE_, S(iov_bad), 0), E(122, EINVAL, FILE_, S(iov_bad), 1025), E(122, EFAULT, FILE_, BAD, 1), E(122, EFAULT, FILE_, S(iov_bad), 1),
    E(122, EINVAL, FILE_, S(iov_neg), 2), E(122, EBADF, NOFD, S(iov_bad), 1),
    E(123, EINVAL, FILE_, S(iov_bad), 0, 0), E(123, EFAULT, FILE_, BAD, 1, 0), E(123, EBADF, NOFD, S(iov_bad), 1, 0), E(123, ESPIPE, PIPE_R, S(iov_bad), 1, 0),
    E(124, EINVAL, FILE_, S(iov_bad), 0, 0), E(124, EFAULT, FILE_, BAD, 1, 0), E(124, EBADF, NOFD, S(iov_bad), 1, 0), E(124, ESPIPE, PIPE_W, S(iov_bad), 1, 0),
    E(173, EBADF, NOFD, B, 1, 0), E(173, EBADF, WRONLY, B, 1, 0), E(173, EFAULT, FILE_, BAD, 1, 0), E(173, EFAULT, FILE_, 0, 1, 0), E(173, EINVAL, FILE_, B, NEG, 0), E(173, ESPIPE, PIPE_R, B, 1, 0),
    E(173, EINVAL, FILE_, B, 1, IMIN), E(173, EISDIR, DIR_, B, 1, 0),
    E(174, EBADF, NOFD, B, 1, 0), E(174, EBADF, RDONLY, B, 1, 0), E(174, EFAULT, FILE_, BAD, 1, 0), E(174, EFAULT, FILE_, 0, 1, 0), E(174, EINVAL, FILE_, B, NEG, 0), E(174, ESPIPE, PIPE_W, B, 1, 0),
    E(174, EINVAL, FILE_, B, 1, IMIN),
    /* open(2); open.c, fs/lookup.c */
    E(5, EFAULT, BAD, 0, 0), E(5, EFAULT, KERN, 0, 0), E(5, EFAULT, NEG, 0, 0), E(5, ENOENT, S(""), 0, 0), E(5, ENAMETOOLONG, S(longname), 0, 0),
    E(5, ENAMETOOLONG, S(longpath), 0, 0), E(5, ENOENT, S("/no/such"), 0, 0), E(5, ENOTDIR, S("file/x"), 0, 0), E(5, EISDIR, S("dir"), 1, 0), E(5, EISDIR, S("dir"), 2, 0),
    E(5, EEXIST, S("file"), 0x500, 0), E(5, ELOOP, S("loop"), 0, 0), E(5, ELOOP, S("link"), 0x20000, 0), E(5, ENOTDIR, S("file"), 0x1000000, 0),
    E(68, EFAULT, CWD, BAD, 0, 0), E(68, EBADF, NOFD, S("x"), 0, 0), E(68, ENOTDIR, FILE_, S("x"), 0, 0), E(68, ENOENT, CWD, S("none"), 0, 0),
    E(68, ENOENT, DIR_, S("none"), 0, 0), E(68, ENOENT, NOFD, S("/no/such"), 0, 0), E(68, EBADF, 0xffffff9c, S("x"), 0, 0),
    E(6, EBADF, NOFD), E(6, EBADF, NEG), E(6, EBADF, 0x7fffffff),
    /* link(2), unlink(2), symlink(2), rename(2), mknod(2), mkdir(2), rmdir(2), readlink(2); link.c, unlink.c, symlink.c, rename.c, ... */
    E(7, EFAULT, CWD, BAD, CWD, S("n"), 0), E(7, EFAULT, CWD, S("file"), CWD, BAD, 0), E(7, EBADF, NOFD, S("file"), CWD, S("n"), 0),
    E(7, EBADF, CWD, S("file"), NOFD, S("n"), 0), E(7, EINVAL, CWD, S("file"), CWD, S("n"), 0x40), E(7, EEXIST, CWD, S("file"), CWD, S("dir"), 0),
    E(9, EFAULT, BAD, S("n")), E(9, EFAULT, S("file"), BAD), E(9, ENOENT, S("none"), S("n")), E(9, EEXIST, S("file"), S("dir")), E(9, EPERM, S("dir"), S("n")),
    E(9, ENOENT, S("file"), S("")), E(9, ENOTDIR, S("file"), S("file/n")),
    E(10, EFAULT, BAD), E(10, EFAULT, KERN), E(10, ENOENT, S("")), E(10, ENOENT, S("none")), E(10, EPERM, S("dir")), E(10, ENOTDIR, S("file/x")), E(10, ENAMETOOLONG, S(longname)),
    E(65, EFAULT, CWD, BAD, 0), E(65, EBADF, NOFD, S("x"), 0), E(65, EINVAL, CWD, S("x"), 0x40), E(65, ENOTDIR, CWD, S("file"), 1), E(65, ENOTDIR, FILE_, S("x"), 0),
    E(11, EFAULT, BAD, CWD, S("n")), E(11, EFAULT, S("x"), CWD, BAD), E(11, EBADF, S("x"), NOFD, S("n")), E(11, EEXIST, S("x"), CWD, S("file")),
    E(89, EFAULT, BAD, S("n")), E(89, EFAULT, S("x"), BAD), E(89, EEXIST, S("x"), S("file")), E(89, ENAMETOOLONG, S(longpath), S("n")),
    E(90, EFAULT, BAD, B, 10), E(90, EFAULT, S("link"), BAD, 10), E(90, EINVAL, S("file"), B, 10), E(90, ENOENT, S("none"), B, 10), E(90, EINVAL, S("link"), B, NEG),
    E(22, EFAULT, CWD, BAD, B, 10), E(22, EFAULT, CWD, S("link"), BAD, 10), E(22, EBADF, NOFD, S("link"), B, 10), E(22, EINVAL, CWD, S("file"), B, 10),
    E(134, EFAULT, BAD, S("n")), E(134, EFAULT, S("file"), BAD), E(134, ENOENT, S("none"), S("n")), E(134, EISDIR, S("file"), S("dir")), E(134, ENOTDIR, S("dir"), S("file")),
    E(134, EINVAL, S("dir"), S("dir/x")), E(134, EEXIST, S("dir2"), S("dir")),
    E(64, EFAULT, CWD, BAD, CWD, S("n")), E(64, EBADF, NOFD, S("file"), CWD, S("n")), E(64, EBADF, CWD, S("file"), NOFD, S("n")), E(64, ENOENT, CWD, S("none"), CWD, S("n")),
    E(14, EFAULT, BAD, 0x81a4, 0), E(14, EEXIST, S("file"), 0x81a4, 0), E(14, ENOENT, S(""), 0x81a4, 0),
    E(48, EFAULT, CWD, BAD, 0x81a4, 0), E(48, EBADF, NOFD, S("n"), 0x81a4, 0), E(48, EEXIST, CWD, S("file"), 0x81a4, 0),
    E(80, EFAULT, BAD, 0755), E(80, EEXIST, S("dir"), 0755), E(80, ENOENT, S("none/x"), 0755), E(80, ENOTDIR, S("file/x"), 0755), E(80, EEXIST, S("/"), 0755),
    E(102, EFAULT, CWD, BAD, 0755), E(102, EBADF, NOFD, S("n"), 0755), E(102, EEXIST, CWD, S("dir"), 0755),
    E(79, EFAULT, BAD), E(79, EEXIST, S("dir")), E(79, ENOTDIR, S("file")), E(79, ENOENT, S("none")), E(79, EINVAL, S("dir/full/.")),
    /* chdir(2), chroot(2); chdir.c */
    E(12, EFAULT, BAD), E(12, ENOENT, S("none")), E(12, ENOTDIR, S("file")), E(12, ENAMETOOLONG, S(longname)),
    E(61, EFAULT, BAD), E(61, ENOENT, S("none")), E(61, ENOTDIR, S("file")),
    E(120, EBADF, NOFD), E(120, ENOTDIR, FILE_), E(120, ENOTDIR, PIPE_R),
    E(153, EBADF, NOFD), E(153, ENOTDIR, FILE_),
    /* chmod(2), chown(2); chmod.c, chown.c */
    E(15, EFAULT, BAD, 0644), E(15, ENOENT, S("none"), 0644), E(93, EBADF, NOFD, 0644), E(101, EFAULT, CWD, BAD, 0644, 0), E(101, EBADF, NOFD, S("x"), 0644, 0),
    E(101, EINVAL, CWD, S("file"), 0644, 0x40), E(16, EFAULT, BAD, 0, 0), E(16, ENOENT, S("none"), 0, 0), E(16, EINVAL, S("file"), 0xfffffffe, 0),
    E(16, EINVAL, S("file"), 0, 0xfffffffe), E(94, EBADF, NOFD, 0, 0), E(94, EINVAL, FILE_, 0xfffffffe, 0), E(130, EFAULT, BAD, 0, 0), E(130, EINVAL, S("file"), 0xfffffffe, 0),
    E(56, EFAULT, CWD, BAD, 0, 0, 0), E(56, EBADF, NOFD, S("x"), 0, 0, 0), E(56, EINVAL, CWD, S("file"), 0, 0, 0x40),
    /* access(2); access.c */
    E(33, EFAULT, BAD, 0), E(33, EINVAL, S("file"), 0x40), E(33, ENOENT, S("none"), 0), E(33, ENOTDIR, S("file/x"), 0), E(33, EACCES, S("file"), 1),
    E(45, EFAULT, CWD, BAD, 0, 0), E(45, EBADF, NOFD, S("x"), 0, 0), E(45, EINVAL, CWD, S("file"), 0, 0x40), E(45, EINVAL, CWD, S("file"), 0x40, 0),
    /* stat(2), statvfs(2), pathconf(2), getdents(2), lseek(2), resolvepath(2), getcwd(3C); stat.c, statvfs.c, pathconf.c, getdents.c, lseek.c, ... */
    E(18, EFAULT, BAD, B), E(18, EFAULT, S("file"), BAD), E(18, EFAULT, S("file"), KERN), E(18, ENOENT, S(""), B), E(18, ENAMETOOLONG, S(longname), B),
    E(28, EBADF, NOFD, B), E(28, EFAULT, FILE_, BAD), E(88, EFAULT, BAD, B), E(88, EFAULT, S("link"), BAD), E(88, ENOENT, S("none"), B),
    E(66, EBADF, NOFD, S("x"), B, 0), E(66, EFAULT, CWD, BAD, B, 0), E(66, EFAULT, CWD, S("file"), BAD, 0), E(66, EINVAL, CWD, S("file"), B, 0x40), E(66, EBADF, NOFD, 0, B, 0),
    E(103, EFAULT, BAD, B), E(103, EFAULT, S("file"), BAD), E(103, ENOENT, S("none"), B), E(104, EBADF, NOFD, B), E(104, EFAULT, FILE_, BAD),
    E(113, EFAULT, BAD, 4), E(113, EINVAL, S("file"), 9999), E(113, ENOENT, S("none"), 4), E(118, EBADF, NOFD, 4), E(118, EINVAL, FILE_, 9999),
    E(81, EBADF, NOFD, B, 1024), E(81, ENOTDIR, FILE_, B, 1024), E(81, EINVAL, DIR_, B, 1), E(81, EFAULT, DIR_, BAD, 1024),
    E(19, EBADF, NOFD, 0, 0), E(19, EINVAL, FILE_, 0, 9), E(19, EINVAL, FILE_, NEG, 0), E(19, ESPIPE, PIPE_R, 0, 0), E(19, ESPIPE, SOCK, 0, 0),
    E(209, EFAULT, BAD, B, 100), E(209, EFAULT, S("/"), BAD, 100), E(209, ENOENT, S("none"), B, 100),
    E(229, EFAULT, BAD, 1000), E(229, ERANGE, B, 1), E(229, EINVAL, B, 0),
    E(84, EINVAL, 99), E(84, EFAULT, 1, BAD), E(84, EINVAL, 1, S("nosuchfs")), E(84, EINVAL, 2, 9999, B), E(84, EINVAL, 2, 0, B), E(84, EFAULT, 2, 1, BAD),
    /* utimensat(2); utime.c */
    E(110, EINVAL, 99, 0, 0, 0, 0), E(110, EBADF, 0, NOFD, 0), E(110, EFAULT, 0, FILE_, BAD), E(110, EFAULT, 1, CWD, BAD, 0, 0), E(110, EBADF, 1, NOFD, S("x"), 0, 0),
    E(110, EINVAL, 1, CWD, S("file"), S(&its_bad), 0), E(110, EINVAL, 1, CWD, S("file"), 0, 0x40),
    /* acl(2); acl.c: ENOSYS where the file system has none, after the file was looked up */
    E(185, EFAULT, BAD, 1, 0, 0), E(185, ENOENT, S("none"), 1, 0, 0), E(185, ENOSYS, S("file"), 3, 0, 0), E(200, EBADF, NOFD, 1, 0, 0), E(200, ENOSYS, FILE_, 3, 0, 0),
    /* fcntl(2), ioctl(2), fsync(3C); fcntl.c, ioctl.c, fdsync.c */
    E(62, EBADF, NOFD, 1, 0), E(62, EINVAL, FILE_, 999, 0), E(62, EINVAL, FILE_, 0, NEG), E(62, EBADF, FILE_, 9, NEG), E(62, EFAULT, FILE_, 6, BAD), E(62, EFAULT, FILE_, 14, BAD),
    E(62, EINVAL, FILE_, 6, S(&lock_bad)), E(62, EINVAL, FILE_, 6, S(&lock_whence)), E(62, EINVAL, FILE_, 36, FILE_), E(62, EBADF, FILE_, 9, 0x7fffffff),
    E(62, EFAULT, FILE_, 11, BAD), E(62, EINVAL, FILE_, 0, 0x7fffffff),
    E(54, EBADF, NOFD, 0x5401, B), E(54, ENOTTY, FILE_, 0x5401, B), E(54, ENOTTY, FILE_, 0x1234, B), E(54, EFAULT, FILE_, 0x4004667f, BAD), E(54, EFAULT, SOCK, 0x8004667e, BAD),
    E(54, EFAULT, SOCK, 0xc01069a5, BAD),
    E(58, EBADF, NOFD, 0x10), E(31, EBADF, NOFD, B), E(31, ENOTTY, FILE_, B), E(32, EBADF, NOFD, B), E(32, ENOTTY, FILE_, B),
    /* getmsg(2), putmsg(2); strcalls.c (msgio()): the descriptor, then whether it is a STREAM */
    E(85, EBADF, NOFD, 0, 0, B), E(85, ENOSTR, FILE_, 0, 0, B), E(86, EBADF, NOFD, 0, 0, 0), E(86, ENOSTR, FILE_, 0, 0, 0), E(132, EBADF, NOFD, 0, 0, B, B),
    E(132, ENOSTR, FILE_, 0, 0, B, B), E(133, EBADF, NOFD, 0, 0, 0, 0), E(133, ENOSTR, FILE_, 0, 0, 0, 0),
    /* pipe(2), sendfilev(3EXT); pipe.c: the flags first; sendfile.c */
    E(42, EFAULT, BAD, 0), E(42, EINVAL, B, 1), E(42, EINVAL, BAD, 1),
    E(78, EINVAL, 0, FILE_, S(sfv_bad), 0, B), E(78, EINVAL, 0, FILE_, S(sfv_bad), NEG, B), E(78, EBADF, 0, NOFD, S(sfv_bad), 1, B), E(78, EBADF, 0, RDONLY, S(sfv_bad), 1, B),
    E(78, EFAULT, 0, FILE_, BAD, 1, B), E(78, EBADF, 0, FILE_, S(sfv_bad), 1, B), E(78, EINVAL, 0, FILE_, S(sfv_flag), 1, B), E(78, ENOSYS, 9, FILE_, S(sfv_bad), 1, B),
    /* brk(2), mmap(2), munmap(2), mprotect(2), mincore(2), memcntl(2); os/grow.c, vm/vm_as.c, memcntl.c */
    E(17, ENOMEM, NEG), E(17, ENOMEM, KERN),
    E(115, EINVAL, 0, 0, 3, 0x102, NEG, 0), E(115, EINVAL, 0, 4096, 3, 0x100, NEG, 0), E(115, EINVAL, 0, 4096, 3, 0x103, NEG, 0), E(115, EINVAL, 0, 4096, 3, 0x102, 0, 0),
    E(115, EBADF, 0, 4096, 1, 2, NOFD, 0), E(115, EINVAL, 0, 4096, 1, 2, FILE_, 1), E(115, EINVAL, 1, 4096, 3, 0x112, NEG, 0), E(115, ENOMEM, KERN, 4096, 3, 0x112, NEG, 0),
    E(115, ENOMEM, 0, 0x7fffffffffff000, 3, 0x102, NEG, 0), E(115, ENODEV, 0, 4096, 1, 2, PIPE_R, 0), E(115, EACCES, 0, 4096, 3, 1, RDONLY, 0), E(115, EACCES, 0, 4096, 1, 2, WRONLY, 0),
    E(115, EINVAL, 3, 4096, 3, 0x302, NEG, 0), E(115, EINVAL, 4096, 4096, 3, 0x312, NEG, 0), E(115, EINVAL, 0, 4096, 3, 0x10102, NEG, 0),
    E(116, EINVAL, 1, 4096, 1), E(116, EINVAL, B, 0, 1), E(116, ENOMEM, KERN, 4096, 1), E(116, ENOMEM, 0x10000, 4096, 1), E(116, EINVAL, B, 4096, 0x100),
    E(117, EINVAL, 1, 4096), E(117, EINVAL, B, 0), E(117, EINVAL, KERN, 4096), E(117, EINVAL, NEG & ~4095UL, 8192),
    E(114, EINVAL, 1, 4096, B), E(114, EINVAL, B, 0, B), E(114, EFAULT, B, 4096, BAD), E(114, ENOMEM, 0x10000, 4096, B),
    E(131, EINVAL, 1, 4096, 1, 4, 0, 0), E(131, EINVAL, B, 4096, 99, 0, 0, 0), E(131, EINVAL, B, 4096, 1, 5, 0, 0), E(131, EINVAL, B, 4096, 1, 8, 0, 0), E(131, EINVAL, B, 4096, 4, 99, 0, 0),
    E(131, EINVAL, B, 4096, 5, 1, 0, 0), E(131, EINVAL, 0, 0, 5, 0, 0, 0), E(131, EINVAL, B, 4096, 4, 0, 0, 1), E(131, ENOMEM, 0x10000, 4096, 1, 4, 0, 0), E(131, EINVAL, B, 0, 1, 4, 0, 0),
    E(131, EINVAL, B, 4096, 2, 0, 0x4000, 0), E(131, EFAULT, 0, 0, 7, BAD, 0, 0), E(131, ENOMEM, 0x10000, 4096, 8, 0, 0, 0), E(131, EINVAL, B, 4096, 8, 1, 0, 0),
    E(127, EBADF, NOFD, 0, B, B, 0), E(127, EINVAL, FILE_, 0x80, B, B, 0), E(127, EFAULT, FILE_, 0, B, BAD, 0), E(127, ENOTSUP, FILE_, 0x20000, B, S(words), 0),
    E(73, EINVAL, 0, B, NEG), E(73, EFAULT, 0, BAD, 1), E(73, EINVAL, 0, 0, 1), E(73, EINVAL, 0, B, 0),
    E(254, EFAULT, BAD, B, 1), E(254, EFAULT, B, BAD, 1), E(254, EFAULT, KERN, B, 1), E(254, EFAULT, B, S(ro_page), 1), E(254, OK, BAD, BAD, 0),
    E(40, EFAULT, BAD, B, 10), E(40, EFAULT, S("abc"), BAD, 10), E(40, ENAMETOOLONG, S("abc"), B, 2), E(40, ENAMETOOLONG, S("abc"), B, 0),
    /* exec(2), waitid(2), setpgrp(2), forkx(2); os/exec.c, os/exit.c (waitsys()), pgrpsys.c, os/fork.c */
    E(59, EFAULT, BAD, 0, 0), E(59, ENOENT, S("none"), 0, 0), E(59, EACCES, S("dir"), 0, 0), E(59, EACCES, S("file"), 0, 0), E(59, EFAULT, S("prog"), BAD, 0), E(59, ENAMETOOLONG, S(longname), 0, 0),
    E(107, EINVAL, 99, 0, B, 1), E(107, EINVAL, 7, 0, B, 0), E(107, EINVAL, 7, 0, B, 0x100), E(107, ECHILD, 7, 0, B, 1), E(107, ECHILD, 0, 99999, B, 1), E(107, EINVAL, 0, NEG, B, 1),
    E(107, EINVAL, 7, 0, B, 0x40),
    E(39, OK, 99), E(39, ESRCH, 2, 29999), E(39, ESRCH, 4, 29999), E(39, EINVAL, 5, 0, NEG), E(39, EINVAL, 5, NEG, 0), E(39, ESRCH, 5, 29999, 0), E(39, EINVAL, 2, NEG), E(39, EINVAL, 4, NEG),
    E(142, EINVAL, 99, 0), E(142, EINVAL, 0, 4), E(142, EINVAL, 2, 0x80),
    /* signals; sigaction.c, sigprocmask.c, sigaltstack.c, sigsuspend.c, sigpending.c, sigtimedwait.c, ssig.c, sigqueue.c, sigsendset.c, sigresend() */
    E(37, EINVAL, 0, 99), E(37, EINVAL, 0, NEG), E(37, ESRCH, 99999, 0), E(37, ESRCH, 0xfffe795f, 0),
    E(95, EINVAL, 99, S(&none), 0), E(95, EFAULT, 1, BAD, 0), E(95, EFAULT, 1, 0, BAD), E(95, OK, 1, 0, 0), E(96, EFAULT, BAD), E(96, EFAULT, KERN),
    E(97, EFAULT, BAD, 0), E(97, EFAULT, 0, BAD), E(97, ENOMEM, S(&stk_small), 0), E(97, EINVAL, S(&stk_flags), 0),
    E(98, EINVAL, 0, 0, 0), E(98, EINVAL, 74, 0, 0), E(98, EINVAL, NEG, 0, 0), E(98, EINVAL, 9, S(&act_ign), 0), E(98, EINVAL, 23, S(&act_ign), 0), E(98, EFAULT, 1, BAD, 0), E(98, EFAULT, 1, 0, BAD),
    E(99, EINVAL, 99, B), E(99, EFAULT, 1, BAD), E(99, EFAULT, 2, BAD),
    E(100, EINVAL, 99, B), E(100, EFAULT, 0, BAD), E(100, EFAULT, 1, BAD), E(100, EFAULT, 1, KERN), E(100, EFAULT, 2, BAD), E(100, EFAULT, 3, BAD),
    E(108, EFAULT, BAD, 0), E(108, EINVAL, S(&ps_bad), 0), E(108, EINVAL, S(&ps_type), 0), E(108, EINVAL, S(&ps_type), 99),
    E(111, EINVAL, 0, 0, 0), E(111, EINVAL, 74, 0, 0), E(111, EFAULT, 1, BAD, 0), E(111, EINVAL, 1, S(&si_zero), 0), E(111, EFAULT, 1, 0, BAD),
    E(144, EFAULT, BAD, 0, 0), E(144, EINVAL, S(&none), 0, S(&ts_bad)), E(144, EFAULT, S(&none), 0, BAD), E(144, EAGAIN, S(&none), 0, S(&ts_zero)),
    E(165, EINVAL, 99, 0, 0, 0, 0), E(190, EINVAL, 0, 99, 0, 0xfffffffe, 0), E(190, ESRCH, 99999, 0, 0, 0xfffffffe, 0), E(190, EINVAL, 1, 1, 0, 0, 0),
    
    /* time and timers; time.c, os/timer.c, os/clock.c */
    E(43, EFAULT, BAD), E(156, EFAULT, BAD), E(156, OK, 0), E(157, EINVAL, 99, B), E(157, EFAULT, 0, BAD), E(158, EINVAL, 99, S(it_bad), 0), E(158, EFAULT, 0, BAD, 0),
    E(158, EINVAL, 0, S(it_bad), 0), E(191, EINVAL, 99, B), E(191, EFAULT, 3, BAD), E(193, EINVAL, 99, B), E(193, EFAULT, 3, BAD),
    E(194, EINVAL, 99, 0, B), E(194, EFAULT, 3, BAD, B), E(194, EFAULT, 3, S(&ev_none), BAD), E(194, EINVAL, 3, S(&ev_bad), B), E(194, EINVAL, 3, S(&ev_sig), B),
    E(195, EINVAL, 999), E(195, EINVAL, NEG), E(196, EINVAL, 999, 0, S(&its_bad), 0), E(196, EFAULT, 0, 0, BAD, 0), E(197, EINVAL, 999, B), E(197, EINVAL, NEG, B), E(198, EINVAL, 999),
    E(199, EFAULT, BAD, 0), E(199, EINVAL, S(&ts_bad), 0), E(199, EINVAL, S(&ts_neg), 0), E(25, EPERM, 0), E(138, EPERM, B, B), E(192, EPERM, 3, B),
    E(248, EFAULT, BAD), E(249, EPERM, B),
    /* ids; uid.c, gid.c, groups.c, os/ppriv */
    E(23, EINVAL, 0xffffffff), E(46, EINVAL, 0xffffffff), E(136, EINVAL, 0xffffffff), E(141, EINVAL, 0xffffffff), E(202, EINVAL, 0xfffffffe, 0), E(202, EINVAL, 0, 0xfffffffe),
    E(203, EINVAL, 0xfffffffe, 0), E(203, EINVAL, 0, 0xfffffffe), E(91, EINVAL, NEG, B), E(91, EINVAL, 99999, B), E(91, EFAULT, 1, BAD), E(92, EINVAL, NEG, B), E(92, EFAULT, 16, BAD),
    E(75, EINVAL, 99, 0, 0, 0), E(82, EINVAL, 99, 0, 0, B, 12), E(82, ENOMEM, 1, 0, 0, B, 1), E(82, ENOMEM, 0, 0, 0, B, 1), E(82, EINVAL, 1, 0, 9, B, 12), E(82, EFAULT, 1, 0, 0, BAD, 12),
    E(82, EINVAL, 0, 9, 0, B, 12), E(82, EINVAL, 0, 0, 9, B, 12), E(82, EFAULT, 0, 0, 0, BAD, 12), E(82, EFAULT, 2, 0, 0, BAD, 12), E(82, EINVAL, 3, 0x999, 0), E(82, EINVAL, 3, 1, 2),
    E(82, EINVAL, 4, 0x999, 0), E(83, EINVAL, 99, 0, B), E(83, EBADF, 1, NOFD, B), E(83, ENOTSUP, 1, FILE_, B), E(83, ENOTCONN, 1, SOCK, B), E(83, ESRCH, 0, 99999, B),
    E(83, EFAULT, 0, NEG, BAD),
    /* the system; systeminfo.c, sysconfig.c, uname.c, utssys.c, rctlsys.c, tasksys.c, getloadavg.c, p_online.c, processor_*.c, lgrpsys.c, corectl.c, uadmin.c */
    E(57, EFAULT, BAD, 0, 0, 0), E(57, EINVAL, B, 0, 99, 0), E(57, ENOSYS, B, 0, 2, 0), E(57, ENOSYS, B, 0, 3, 0),
    E(135, EFAULT, BAD), E(135, EFAULT, KERN), E(137, EINVAL, 0), E(137, EINVAL, 999), E(137, EINVAL, NEG), E(139, EINVAL, 999, B, 10), E(139, EINVAL, 1, B, 0), E(139, EINVAL, 1, B, NEG),
    E(139, EFAULT, 1, BAD, 10), E(63, EINVAL, 99, 0), E(63, EINVAL, 0, 0), E(128, EINVAL, 99, B), E(128, EINVAL, NEG, B), E(128, EFAULT, 5, BAD), E(128, EINVAL, 5, S(&lim_bad)),
    E(129, EINVAL, 99, B), E(129, EFAULT, 5, BAD), E(105, EINVAL, B, NEG), E(105, EFAULT, BAD, 3), E(181, EINVAL, 99, B), E(181, EFAULT, 0, BAD), E(181, EFAULT, 1, BAD), E(181, EFAULT, 2, BAD),
    E(74, EINVAL, 99, 0, 0, 0, 0, 0), E(74, EFAULT, 0, 0, 0, B, 0, 0), E(74, EFAULT, 0, S("process.max-file-descriptor"), 0, 0, 0, 0), E(74, EFAULT, 0, BAD, 0, B, 0, 0),
    E(74, EINVAL, 0, S("no.such-control"), 0, B, 0, 0), E(74, EINVAL, 0, S("process.max-file-descriptor"), 0, B, 0, 3), E(74, EFAULT, 0, S("process.max-file-descriptor"), BAD, B, 0, 1),
    E(74, EFAULT, 0, S("process.max-file-descriptor"), 0, BAD, 0, 0), E(74, ENOTSUP, 0, S("process.max-file-descriptor"), 0, B, 0, 2),
    E(70, EINVAL, 99, 0, 0, 0, 0), E(70, EFAULT, 3, 0, 0, BAD, 1), E(187, EINVAL, 99, 0, 0, 0), E(187, EINVAL, 0, 0, 9999, 0), E(187, EFAULT, 0, 0xffffffff, 0xfffffffe, BAD),
    E(187, ESRCH, 0, 9999, 0xfffffffe, 0), E(188, EINVAL, 9999, B), E(188, EINVAL, NEG, B), E(188, EFAULT, 0, BAD), E(189, EINVAL, 9999, 3), E(189, EINVAL, 0, 99), E(180, EINVAL, 99, 0, 0),
    E(151, EINVAL, 99, 0, 0, 0), E(151, EFAULT, 4, BAD, 10, 0xffffffff), E(55, EINVAL, 99, 0, 0), E(55, EPERM, 2, 0, 0), E(50, EINVAL, 9999, 0, 0, 0), E(112, EINVAL, 99, 0, 0, 0, 0), E(112, EINVAL, 1, 0, 99, 0, 0),
    E(112, EFAULT, 1, BAD, 3, B, 0), E(112, EFAULT, 1, 0, 0, BAD, 0), E(207, EINVAL, 99, 0, 0, 0, 0), E(126, EINVAL, B, 10, 99), E(126, EFAULT, BAD, 10, 0), E(227, EINVAL, 99, 0, 0, 0, 0),
    E(227, EINVAL, 2, 9999, 1, B, 10), E(227, EINVAL, 2, 0, 999, B, 10), E(227, EFAULT, 2, 0, 2, BAD, 10), E(227, EFAULT, 4, B, BAD, 0, 0), E(227, EINVAL, 6, S("nozone"), 0, 0, 0),
    E(227, EFAULT, 6, BAD, 0, 0, 0), E(204, ENOSYS, 0), E(34, OK, 0),
    /* LWPs; lwp_create.c, lwpsys.c, lwp_info.c, lwp_sobj.c, os/schedctl.c */
    E(77, EINVAL, 99, 0, 0), E(77, EFAULT, 0, BAD, 0), E(77, EINVAL, 0, S(&ts_bad), 0), E(77, ESRCH, 1, 99999, 0), E(77, EFAULT, 2, BAD, 1), E(77, ESRCH, 2, S(nums), 2), 
    E(77, EINVAL, 2, S(nums), NEG), E(77, ESRCH, 3, 99999, 0), E(145, EFAULT, BAD), E(150, ESRCH, 99999), E(159, EFAULT, BAD, 0, B), E(159, EINVAL, S(&uc), 0x999, B), E(161, ESRCH, 99999),
    E(162, ESRCH, 99999), E(163, ESRCH, 99999, 0), E(163, EINVAL, 1, 99), E(163, EINVAL, 1, NEG), E(166, EINVAL, 99, 0, B), E(166, EINVAL, 0, 9, B), E(166, EFAULT, 1, 0, BAD), E(167, ESRCH, 99999, 0),
    E(167, EDEADLK, 1, 0), E(167, EDEADLK, 0, 0),
    E(148, EFAULT, BAD), E(149, EFAULT, BAD), E(149, EFAULT, KERN), E(168, EFAULT, BAD, 0), E(170, EFAULT, BAD, BAD, 0, 0), E(170, EFAULT, KERN, KERN, 0, 0), E(171, EFAULT, BAD), E(172, EFAULT, BAD),
    E(210, EFAULT, BAD, 0, 0), E(210, EFAULT, KERN, 0, 0), E(211, EFAULT, BAD, 0, 0), E(212, EINVAL, 99, B, 0), E(212, EFAULT, 0, BAD, 0), E(212, EFAULT, 4, BAD, 0), E(250, EFAULT, BAD), E(251, EFAULT, BAD, 0),
    E(252, EFAULT, BAD, 0), E(252, EINVAL, B, 0),
    /* poll(2), port_*(3C), poll(4D); poll.c, fs/portfs/port.c, io/devpoll.c */
    E(183, EFAULT, BAD, 1, 0, 0), E(183, EINVAL, B, 0x7fffffff, 0, 0), E(183, EINVAL, 0, 0, S(&ts_bad), 0), E(183, EINVAL, 0, 0, S(&ts_neg), 0), E(183, EFAULT, 0, 0, BAD, 0), E(183, EFAULT, S(pollfds), 1, 0, BAD),
    E(182, EBADF, 1, NOFD, 4, 0, 1, 0), E(182, EBADFD, 1, FILE_, 4, 0, 1, 0), E(182, EINVAL, 1, PORT, 99, 0, 1, 0), E(182, EBADFD, 1, PORT, 4, NOFD, 1, 0), E(182, EINVAL, 1, PORT, 4, PIPE_R, 0x80000000, 0),
    E(182, ENOENT, 2, PORT, 4, PIPE_R), E(182, EINVAL, 2, PORT, 99, 0), E(182, ENOENT, 2, PORT, 7, B), E(182, EFAULT, 1, PORT, 7, BAD, 1, 0), E(182, EFAULT, 1, PORT, 7, S(&fobj_bad), 1, 0),
    E(182, ENOENT, 1, PORT, 7, S(&fobj), 1, 0), E(182, EBADF, 3, NOFD, 1, 0), E(182, EBADFD, 3, FILE_, 1, 0), E(182, EINVAL, 0x104, S(nums), S(words), 0, 1, 0), E(182, EFAULT, 0x104, BAD, S(words), 1, 1, 0),
    E(182, EBADF, 5, NOFD, B, 0, 0, 0), E(182, ETIME, 5, PORT, B, 0, 0, 1), E(182, EINVAL, 5, PORT, B, 0, NEG, 1), E(182, EBADF, 6, NOFD, B, 1, 1, 0), E(182, EINVAL, 6, PORT, B, 1, 9, 0),
    E(182, EFAULT, 6, PORT, B, 1, 1, BAD), E(182, EINVAL, 6, PORT, B, 1, 1, S(&ts_bad)), E(182, EBADF, 7, NOFD, 1, 1, 0), E(182, EINVAL, 7, PORT, 3, 1, 0), E(182, EINVAL, 7, PORT, 8, 1, 0),
    E(182, EINVAL, 99, PORT), E(182, EBADF, 0, NOFD), E(182, EINVAL, 8, PORT, 4, 0, 0, 0),
    E(4, EFAULT, DVPOLL, BAD, 8), E(54, EFAULT, DVPOLL, 0xd001, BAD), E(54, EFAULT, DVPOLL, 0xd002, BAD), E(54, OK, DVPOLL, 0xd001, S(&dvpoll_bad)), E(54, EINVAL, DVPOLL, 0xd0ff, B),
    /* sockets, the 3SOCKET pages; fs/sockfs/socksyscalls.c */
    E(230, EAFNOSUPPORT, 99, 2, 0, 0, 1), E(230, EPROTONOSUPPORT, 2, 2, 99, 0, 1), E(230, EPROTOTYPE, 2, 9, 0, 0, 1), E(230, EFAULT, 2, 2, 0, BAD, 1),
    E(231, EFAULT, BAD), E(231, EBADF, S(nums)), E(232, EBADF, NOFD, S(&addr), 16, 3), E(232, ENOTSOCK, FILE_, S(&addr), 16, 3), E(232, EFAULT, SOCK, BAD, 16, 3), E(232, EINVAL, SOCK, S(&addr), NEG, 3),
    E(232, EAFNOSUPPORT, SOCK, S(&addr_family), 16, 3), E(232, EINVAL, SOCK, S(&addr), 3, 3), E(233, EBADF, NOFD, 1, 1), E(233, ENOTSOCK, FILE_, 1, 1), E(234, EBADF, NOFD, 0, 0, 1, 0),
    E(234, ENOTSOCK, FILE_, 0, 0, 1, 0), E(234, EINVAL, SOCK, 0, 0, 1, 0), E(234, EINVAL, SOCK, 0, 0, 1, 0x99), E(235, EBADF, NOFD, S(&addr), 16, 1), E(235, ENOTSOCK, FILE_, S(&addr), 16, 1),
    E(235, EFAULT, SOCK, BAD, 16, 1), E(235, EAFNOSUPPORT, SOCK, S(&addr_family), 16, 1), E(235, EINVAL, SOCK, S(&addr), NEG, 1), E(236, EBADF, NOFD, 0, 1), E(236, ENOTSOCK, FILE_, 0, 1),
    E(236, EINVAL, PAIR, 9, 1), E(236, ENOTCONN, SOCK2, 2, 1), E(237, EBADF, NOFD, B, 1, 0), E(237, ENOTSOCK, FILE_, B, 1, 0), E(237, ENOTCONN, SOCK, B, 1, 0), E(237, EINVAL, PAIR, B, NEG, 0x80),
    E(238, EBADF, NOFD, B, 1, 0, 0, 0), E(238, ENOTSOCK, FILE_, B, 1, 0, 0, 0), E(239, EBADF, NOFD, B, 0), E(239, ENOTSOCK, FILE_, S(msg_bad), 0), E(239, EFAULT, PAIR, BAD, 0x8000),
    E(239, EFAULT, PAIR, S(msg_bad), 0x8080), E(239, EMSGSIZE, PAIR, S(msg_iov), 0x8080), E(240, EBADF, NOFD, B, 1, 0), E(240, ENOTSOCK, FILE_, B, 1, 0), E(240, EFAULT, PAIR, BAD, 1, 0),
    E(240, ENOTCONN, SOCK, B, 1, 0x200), E(241, EBADF, NOFD, B, 0), E(241, ENOTSOCK, FILE_, S(msg_bad), 0), E(241, EFAULT, PAIR, BAD, 0x8000), E(241, EFAULT, PAIR, S(msg_bad), 0x8000),
    E(241, EMSGSIZE, PAIR, S(msg_iov), 0x8000), E(242, EBADF, NOFD, B, 1, 0, 0, 0), E(242, ENOTSOCK, FILE_, B, 1, 0, 0, 0), E(242, EFAULT, PAIR, BAD, 1, 0, 0, 0),
    E(243, EBADF, NOFD, B, S(words), 1), E(243, ENOTSOCK, FILE_, B, S(words), 1), E(243, ENOTCONN, SOCK, B, S(words), 1), E(243, EFAULT, PAIR, B, BAD, 1), E(244, EBADF, NOFD, B, S(words), 1),
    E(244, ENOTSOCK, FILE_, B, S(words), 1), E(244, EFAULT, SOCK, B, BAD, 1), E(245, EBADF, NOFD, 0xffff, 4, B, S(words), 1), E(245, ENOTSOCK, FILE_, 0xffff, 4, B, S(words), 1),
    E(245, EFAULT, SOCK, 0xffff, 4, B, BAD, 1), E(245, ENOPROTOOPT, SOCK, 0xffff, 0x7777, B, S(words), 1), E(246, EBADF, NOFD, 0xffff, 4, B, 4, 1), E(246, ENOTSOCK, FILE_, 0xffff, 4, B, 4, 1),
    E(246, EFAULT, SOCK, 0xffff, 4, BAD, 4, 1), E(246, ENOPROTOOPT, SOCK, 0xffff, 0x7777, B, 4, 1), E(246, EINVAL, SOCK, 0xffff, 4, B, 1, 1), E(246, EFAULT, SOCK, 0xffff, 4, 0, 4, 1),
    /* doors; fs/doorfs/door_sys.c */
    E(201, EINVAL, 0, 0, 0, 0, 0, 99), E(201, EBADF, NOFD, B, 0, 0, 0, 3), E(201, EBADF, FILE_, B, 0, 0, 0, 3), E(201, EBADF, NOFD, B, 0, 0, 0, 2), E(201, EBADF, FILE_, B, 0, 0, 0, 2), E(201, EBADF, NOFD, 0, 0, 0, 0, 1),
    E(201, EBADF, FILE_, 0, 0, 0, 0, 1), E(201, EBADF, NOFD, 0, 0, 0, 0, 6), E(201, EBADF, 0, 0, 0, 0, 0, 7), E(201, EINVAL, 0, 0, 0, 0, 0, 9), E(201, EBADF, NOFD, 0, 0, 0, 0, 11), E(201, EBADF, NOFD, 0, 0, 0, 0, 12),
    E(201, EINVAL, BAD, 0, 0x999, 0, 0, 0),
    /* System V IPC; os/msg.c, shm.c, sem.c, os/ipc.c */
    E(49, EINVAL, 99), E(49, ENOENT, 0, 77, 0), E(49, EINVAL, 1, 9999, 12, B), E(49, EINVAL, 2, 9999, B, 10, 0, 0), E(49, EINVAL, 3, 9999, B, 10, 0), E(52, EINVAL, 99), E(52, EINVAL, 0, 9999, 0, 0),
    E(52, EINVAL, 1, 9999, 12, B), E(52, EINVAL, 2, B), E(52, ENOENT, 3, 77, 4096, 0), E(53, EINVAL, 99), E(53, EINVAL, 0, 9999, 0, 12, B), E(53, ENOENT, 1, 77, 1, 0), E(53, EINVAL, 2, 9999, S(words), 1),
    /* refused: privileged there */
    E(21, EPERM, S("/x"), S("/y"), 0), E(51, EPERM, 0), E(140, EPERM, 0), E(152, EPERM, 0), E(176, EPERM, 0), E(247, EPERM, 0), E(255, EPERM, S("/"), 0),
    /* refused: parts that are loaded there when needed, or features that a system may lack */
    E(26, ENOSYS, B, 1), E(44, ENOSYS, B, 1, 0, 0), E(71, ENOSYS, 0), E(72, ENOSYS, 0), E(106, ENOSYS, 0), E(109, ENOSYS, 0), E(155, OK, 0), E(177, ENOSYS, 0), E(178, EBADFD, 0), E(179, ENOSYS, 0), E(205, ENOSYS, 0), E(184, ENOSYS, 0),
    E(186, ENOSYS, 0), E(226, ENOSYS, 0), E(228, ENOSYS, 0), E(253, ENOSYS, 0),
};
#define NROWS (sizeof(rows) / sizeof(*rows))

/* Calls that cannot fail, or whose success ends or stops the caller whatever it passes. */
static const u8 cannot_fail[] = { 1, 13, 20, 24, 27, 29, 36, 47, 60, 119, 125, 146, 160, 164, 206 };
/* No calls of a 64-bit program (os/sysent.c): the *64 forms, statfs, llseek, and free slots. */
static const u8 no_calls[] = { 0, 8, 30, 35, 38, 41, 67, 69, 76, 87, 143, 147, 154, 169, 175, 208, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224, 225 };

static void dup_to(s64 from, int to)
{
    EXPECT(to, 62, from, 9, to);
    if (from != to) sys(6, from);
}

static void prepare(void)
{
    s32 p[2];

    sys(80, "t", 0755);
    EXPECT_OK(12, "t");
    EXPECT_OK(80, "dir", 0755);
    EXPECT_OK(80, "dir/full", 0755);
    EXPECT_OK(80, "dir2", 0755);
    dup_to((s64)sys(5, "file", 0x102, 0644).r1, FILE_);
    EXPECT(5, 4, FILE_, "12345", 5);
    EXPECT(0, 19, FILE_, 0, 0);
    dup_to((s64)sys(5, "prog", 0x102, 0755).r1, RDONLY);
    EXPECT_OK(89, "loop", "loop");
    EXPECT_OK(89, "file", "link");
    dup_to((s64)sys(5, "dir", 0, 0).r1, DIR_);
    dup_to((s64)sys(5, "file", 0, 0).r1, RDONLY);
    dup_to((s64)sys(5, "file", 1, 0).r1, WRONLY);
    dup_to((s64)sys(5, "/dev/null", 2, 0).r1, NULLDEV);
    dup_to((s64)sys(5, "/dev/poll", 2, 0).r1, DVPOLL);
    EXPECT_OK(42, p, 0);
    dup_to(p[0], PIPE_R), dup_to(p[1], PIPE_W);
    EXPECT_OK(42, p, 0);
    dup_to(p[1], BROKEN), sys(6, p[0]);
    dup_to((s64)sys(230, 2, 2, 0, 0, 1).r1, SOCK);
    dup_to((s64)sys(230, 2, 2, 0, 0, 1).r1, SOCK2);
    dup_to((s64)sys(182, 0x100).r1, PORT);
    EXPECT_OK(91, 1, &words[3]);
    p[0] = (s32)sys(230, 1, 2, 0, 0, 1).r1, p[1] = (s32)sys(230, 1, 2, 0, 0, 1).r1;
    EXPECT_OK(231, p);
    dup_to(p[0], PAIR);
    EXPECT_OK(116, ro_page, 4096, 1);
    for (u64 i = 0; i < sizeof(longname) - 1; i++) longname[i] = 'x', longpath[i] = i & 1 ? '/' : '.';
    words[0].w = 100;
    for (int sig = 1; sig < 42; sig++)
        if (sig != 9 && sig != 23) set_handler(sig, (void *)1, 0);
}

static void run(void)
{
    static u8 seen[256];

    prepare();
    for (u64 i = 0; i < NROWS; i++) {
        const struct row *w = rows + i;
        struct res r = sys6(w->nr, w->a[0], w->a[1], w->a[2], w->a[3], w->a[4], w->a[5]);
        s64 got = r.cf ? (s64)r.r1 : 0;

        seen[w->nr] = 1;
        if (got != w->err) {
            put("call "); put_num(w->nr); put(", row "); put_num((s64)i); put(": ");
            fail_at("errno", (int)w->line, got, w->err);
        }
    }
    for (u64 i = 0; i < sizeof(cannot_fail); i++) seen[cannot_fail[i]] = 1;
    for (u64 i = 0; i < sizeof(no_calls); i++) {
        seen[no_calls[i]] = 1;
        EXPECT_ERR(ENOSYS, no_calls[i]);                             /* SIGSYS is ignored */
    }
    for (int nr = 0; nr < 256; nr++)
        if (!seen[nr]) fail_at("no row for this call", nr, 0, 1);
    EXPECT_ERR(ENOSYS, 256);
    EXPECT_ERR(ENOSYS, 0x7fffffff);
}
