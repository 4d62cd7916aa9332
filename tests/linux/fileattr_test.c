/* Flags of chattr(1) on tmpfs: how they are read and set, and what immutable and append-only files refuse. As root. */
#include "tmpdir.h"
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <sys/wait.h>

struct file_attr_ { unsigned long long xflags; unsigned extsize, nextents, projid, cowextsize; };
static long getattr_(const char *p, void *at, size_t n, int flags) { return syscall(468, AT_FDCWD, p, at, n, flags); }
static long setattr_(const char *p, void *at, size_t n, int flags) { return syscall(469, AT_FDCWD, p, at, n, flags); }

static int flags_of(const char *p)
{
    int fl = -1, fd = open(p, O_RDONLY);
    CHECK(fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &fl) == 0 && close(fd) == 0);
    return fl;
}

static int set_flags(const char *p, int fl)
{
    int fd = open(p, O_RDONLY);
    CHECK(fd >= 0);
    int r = ioctl(fd, FS_IOC_SETFLAGS, &fl), e = errno;
    close(fd);
    errno = e;
    return r;
}

/* In a tmpfs of its own; false: skipped. */
static int begin(void)
{
    if (geteuid() || !kernel_since(6, 6, "flags of tmpfs")) return 0;
    CHECK(mkdir("m", 0755) == 0);
    if (mount("t", "m", "tmpfs", 0, NULL)) {
        CHECK(errno == EPERM || errno == EACCES);
        printf("skipped: no mounts here\n");
        return rmdir("m") && 0;
    }
    put_file("m/f", "text");
    CHECK(mkdir("m/d", 0755) == 0);
    if (set_flags("m/f", FS_IMMUTABLE_FL)) {
        CHECK(errno == EPERM);
        printf("skipped: no CAP_LINUX_IMMUTABLE\n");
        CHECK(umount("m") == 0 && rmdir("m") == 0);
        return 0;
    }
    CHECK(set_flags("m/f", 0) == 0);
    return 1;
}
static void end(void) { CHECK(umount2("m", MNT_DETACH) == 0 && rmdir("m") == 0); }

static void immutable(void)
{
    if (!begin()) return;
    int held = open("m/f", O_RDWR);
    CHECK(set_flags("m/f", FS_IMMUTABLE_FL) == 0 && flags_of("m/f") == FS_IMMUTABLE_FL);
    CHECK_ERR(open("m/f", O_WRONLY), EPERM);
    CHECK_ERR(open("m/f", O_RDONLY | O_TRUNC), EPERM);
    CHECK_ERR(access("m/f", W_OK), EPERM);
    CHECK_ERR(unlink("m/f"), EPERM);
    CHECK_ERR(rename("m/f", "m/g"), EPERM);
    CHECK_ERR(link("m/f", "m/g"), EPERM);
    CHECK_ERR(chmod("m/f", 0600), EPERM);
    CHECK_ERR(chown("m/f", 1, 1), EPERM);
    CHECK_ERR(truncate("m/f", 1), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "m/f", NULL, 0), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "m/f", (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0), EPERM);
    CHECK_ERR(setxattr("m/f", "trusted.a", "b", 1, 0), EPERM);
    CHECK_ERR(fallocate(held, 0, 0, 8192), EPERM);
    CHECK(write(held, "TEXT", 4) == 4 && !strcmp(get_file("m/f"), "TEXT"));      /* opened before */
    put_file("m/o", "");
    CHECK_ERR(rename("m/o", "m/f"), EPERM);
    CHECK(set_flags("m/d", FS_IMMUTABLE_FL) == 0);
    CHECK_ERR(open("m/d/n", O_CREAT | O_WRONLY, 0600), EPERM);
    CHECK_ERR(mkdir("m/d/n", 0700), EPERM);
    CHECK_ERR(rmdir("m/d"), EPERM);
    CHECK(set_flags("m/d", 0) == 0 && rmdir("m/d") == 0);
    CHECK(set_flags("m/f", 0) == 0 && unlink("m/f") == 0);
    close(held);
    end();
}

static void append_only(void)
{
    if (!begin()) return;
    put_file("m/d/in", "");
    CHECK(set_flags("m/f", FS_APPEND_FL) == 0 && set_flags("m/d", FS_APPEND_FL) == 0);
    CHECK_ERR(open("m/f", O_WRONLY), EPERM);
    CHECK_ERR(open("m/f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
    int fd = open("m/f", O_WRONLY | O_APPEND);
    CHECK(fd >= 0 && write(fd, "+", 1) == 1 && !strcmp(get_file("m/f"), "text+"));
    CHECK_ERR(fcntl(fd, F_SETFL, 0), EPERM);
    CHECK_ERR(ftruncate(fd, 0), EPERM);
    CHECK_ERR(truncate("m/f", 0), EPERM);
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
    CHECK_ERR(unlink("m/f"), EPERM);
    CHECK_ERR(link("m/f", "m/g"), EPERM);
    CHECK_ERR(chmod("m/f", 0600), EPERM);
    CHECK(utimensat(AT_FDCWD, "m/f", NULL, 0) == 0);
    CHECK_ERR(removexattr("m/f", "user.a"), EPERM);
    put_file("m/d/n", "");
    CHECK_ERR(unlink("m/d/in"), EPERM);
    CHECK_ERR(rename("m/d/n", "m/d/o"), EPERM);
    CHECK(close(fd) == 0);
    end();
}

static void flags(void)
{
    if (!begin()) return;
    struct statx sx;
    CHECK_ERR(set_flags("m/f", FS_COMPR_FL), EOPNOTSUPP);
    CHECK(set_flags("m/f", FS_NODUMP_FL | FS_IMMUTABLE_FL) == 0);
    CHECK(syscall(SYS_statx, AT_FDCWD, "m/f", 0, STATX_BASIC_STATS, &sx) == 0);
    CHECK((sx.stx_attributes & sx.stx_attributes_mask & (STATX_ATTR_NODUMP | STATX_ATTR_IMMUTABLE)) == (STATX_ATTR_NODUMP | STATX_ATTR_IMMUTABLE));
    CHECK((sx.stx_attributes_mask & STATX_ATTR_APPEND) && !(sx.stx_attributes & STATX_ATTR_APPEND));
    CHECK(set_flags("m/f", 0) == 0);

    /* What is made in a directory takes over those of no dump and no atime. */
    CHECK(set_flags("m/d", FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL) == 0);
    put_file("m/d/n", "");
    CHECK(flags_of("m/d/n") == (FS_NODUMP_FL | FS_NOATIME_FL));

    struct fsxattr x = { .fsx_xflags = 1 };
    int fd = open("m/d/n", O_RDONLY);
    CHECK(ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0 && x.fsx_xflags == (FS_XFLAG_NODUMP | FS_XFLAG_NOATIME) && x.fsx_extsize == 0);
    x.fsx_xflags = FS_XFLAG_NODUMP;
    CHECK(ioctl(fd, FS_IOC_FSSETXATTR, &x) == 0 && flags_of("m/d/n") == FS_NODUMP_FL);
    x.fsx_projid = 3;
    CHECK_ERR(ioctl(fd, FS_IOC_FSSETXATTR, &x), EOPNOTSUPP);
    CHECK_ERR(ioctl(fd, FS_IOC_SETFLAGS, (void *)8), EFAULT);
    close(fd);

    /* An owner without the capability sets the harmless ones only; others none. */
    CHECK(chmod("m", 0755) == 0 && chown("m/f", 99, 99) == 0);
    pid_t pid = fork();
    if (!pid) {
        CHECK(setresgid(99, 99, 99) == 0 && setresuid(99, 99, 99) == 0);
        CHECK(set_flags("m/f", FS_NODUMP_FL) == 0);
        CHECK_ERR(set_flags("m/f", FS_NODUMP_FL | FS_IMMUTABLE_FL), EPERM);
        CHECK_ERR(set_flags("m/d/n", 0), EPERM);
        _exit(0);
    }
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);

    int p[2], fl;
    CHECK(pipe(p) == 0);
    CHECK_ERR(ioctl(p[0], FS_IOC_GETFLAGS, &fl), ENOTTY);
    end();
}

static void by_call(void)
{
    struct file_attr_ at = { 0 };
    char big[64] = { 0 };
    if (getattr_("/", &at, sizeof at, 0) && errno == ENOSYS) {
        printf("skipped: no file_getattr\n");
        return;
    }
    if (!begin()) return;
    CHECK(set_flags("m/f", FS_NODUMP_FL) == 0);
    memset(&at, 1, sizeof at);
    CHECK(getattr_("m/f", &at, sizeof at, 0) == 0 && at.xflags == FS_XFLAG_NODUMP && !at.extsize && !at.projid && !at.cowextsize);
    CHECK_ERR(getattr_("m/f", &at, sizeof at, AT_REMOVEDIR), EINVAL);
    CHECK_ERR(getattr_("m/f", &at, 0, 0), EINVAL);
    CHECK_ERR(getattr_("m/f", &at, 1 << 20, 0), E2BIG);
    CHECK_ERR(getattr_("m/f", NULL, sizeof at, 0), EFAULT);
    CHECK_ERR(getattr_(NULL, &at, sizeof at, 0), EFAULT);
    CHECK_ERR(getattr_("m/none", &at, sizeof at, 0), ENOENT);
    CHECK(symlink("f", "m/l") == 0 && getattr_("m/l", &at, sizeof at, 0) == 0);
    CHECK_ERR(getattr_("m/l", &at, sizeof at, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
    memset(big, 1, sizeof big);
    CHECK(getattr_("m/f", big, sizeof big, 0) == 0 && big[sizeof at] == 0 && big[63] == 0);

    at = (struct file_attr_){ .xflags = FS_XFLAG_IMMUTABLE };
    CHECK(setattr_("m/f", &at, sizeof at, 0) == 0 && flags_of("m/f") == FS_IMMUTABLE_FL);
    at.xflags = 0;
    CHECK(setattr_("m/f", &at, sizeof at, 0) == 0 && flags_of("m/f") == 0);
    at.xflags = FS_XFLAG_EXTSIZE, at.extsize = 4096;
    CHECK_ERR(setattr_("m/f", &at, sizeof at, 0), EOPNOTSUPP);
    at = (struct file_attr_){ .xflags = 1ULL << 40 };
    CHECK_ERR(setattr_("m/f", &at, sizeof at, 0), EINVAL);
    memset(big, 0, sizeof big);
    CHECK(setattr_("m/f", big, sizeof big, 0) == 0);
    big[40] = 1;
    CHECK_ERR(setattr_("m/f", big, sizeof big, 0), E2BIG);
    end();
}

static void clones(void)
{
    put_file("a", "text");
    put_file("b", "");
    int a = open("a", O_RDONLY), b = open("b", O_RDWR), p[2];
    struct file_clone_range range = { .src_fd = a };
    struct stat st;
    CHECK(pipe(p) == 0 && fstat(a, &st) == 0);
    CHECK_ERR(ioctl(b, FICLONE, 1000), EBADF);
    CHECK_ERR(ioctl(b, FICLONERANGE, 8), EFAULT);
    CHECK_ERR(ioctl(b, FICLONE, p[0]), EXDEV);
    CHECK_ERR(ioctl(a, FICLONE, b), EBADF);
    /* Natively the tests may run on a file system that can. */
    if (ioctl(b, FICLONE, a) == 0) return;
    CHECK(errno == EOPNOTSUPP);
    CHECK_ERR(ioctl(b, FICLONERANGE, &range), EOPNOTSUPP);
}

TMPDIR_MAIN(CASE(immutable), CASE(append_only), CASE(flags), CASE(by_call), CASE(clones))
