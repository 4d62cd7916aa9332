/* open(2), openat2(2), path resolution. */
#include "tmpdir.h"
#include <grp.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void errors(void)
{
    char longname[300], longpath[5000];
    memset(longname, 'a', sizeof longname), longname[299] = 0;
    for (int i = 0; i < 4999; i++) longpath[i] = i & 1 ? '/' : '.';
    longpath[4999] = 0;
    put_file("f", "x");
    CHECK(mkdir("d", 0755) == 0);
    CHECK_ERR(open("", O_RDONLY), ENOENT);
    CHECK_ERR(open("nope", O_RDONLY), ENOENT);
    CHECK_ERR(open("nope/f", O_RDONLY | O_CREAT, 0600), ENOENT);
    CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("d", O_RDWR), EISDIR);
    CHECK_ERR(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    CHECK_ERR(open(longname, O_RDONLY), ENAMETOOLONG);
    CHECK_ERR(open(longpath, O_RDONLY), ENAMETOOLONG);
    CHECK_ERR(openat(-5, "f", O_RDONLY), EBADF);
    CHECK_ERR(openat(open("f", O_RDONLY), "g", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("d", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK(symlink("l2", "l1") == 0 && symlink("l1", "l2") == 0);
    CHECK_ERR(open("l1", O_RDONLY), ELOOP);
    CHECK(symlink("f", "lf") == 0);
    CHECK_ERR(open("lf", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("lf", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERR(open("lf/", O_RDONLY), ENOTDIR);
    CHECK(symlink("made", "dangling") == 0);
    CHECK_ERR(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK(open("dangling", O_RDWR | O_CREAT, 0600) >= 0 && access("made", F_OK) == 0);
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
}

static void creation(void)
{
    struct stat st;
    umask(027);
    int fd = open("c", O_CREAT | O_RDONLY, 0666);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
    CHECK_ERR(write(fd, "x", 1), EBADF);
    umask(022);
    /* The creator may write although the mode says otherwise. */
    fd = open("ro", O_CREAT | O_RDWR, 0);
    CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
    CHECK(open("ro", O_WRONLY | O_TRUNC) >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
    CHECK(mkdir("sg", 0755) == 0 && chown("sg", 0, 77) == 0 && chmod("sg", 02775) == 0);
    CHECK(open("sg/f", O_CREAT | O_RDWR, 0644) >= 0 && stat("sg/f", &st) == 0 && st.st_gid == 77);
    CHECK(mkdir("sg/d", 0755) == 0 && stat("sg/d", &st) == 0 && st.st_gid == 77 && (st.st_mode & S_ISGID));
    /* No set-group-ID program for a group one is not in, whatever the umask makes of it (CVE-2018-13405). */
    CHECK(chmod("sg", 02777) == 0);
    pid_t pid = fork();
    if (!pid) {
        CHECK(setgroups(0, NULL) == 0 && setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0);
        umask(0);
        CHECK(open("sg/g", O_CREAT | O_RDWR, 02777) >= 0 && stat("sg/g", &st) == 0 && st.st_gid == 77 && (st.st_mode & 07777) == 0777);
        umask(010);
        CHECK(open("sg/h", O_CREAT | O_RDWR, 02777) >= 0 && stat("sg/h", &st) == 0);
        if (kernel_since(6, 0, "dropping set-group-ID before the umask")) CHECK((st.st_mode & 07777) == 0767);
        CHECK(mknod("sg/n", S_IFIFO | 02777, 0) == 0 && stat("sg/n", &st) == 0 && !(st.st_mode & S_ISGID));
        CHECK(open("sg/l", O_CREAT | O_RDWR, 02707) >= 0 && stat("sg/l", &st) == 0 && (st.st_mode & S_ISGID));
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    fd = open("a", O_CREAT | O_WRONLY | O_APPEND, 0600);
    CHECK(write(fd, "12", 2) == 2 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "34", 2) == 2);
    CHECK(!strcmp(get_file("a"), "1234"));
}

static void o_path(void)
{
    struct stat st;
    char b[8];
    put_file("p", "x");
    CHECK(symlink("p", "lp") == 0);
    int fd = open("lp", O_PATH | O_NOFOLLOW);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode) && readlinkat(fd, "", b, 8) == 1);
    fd = open("p", O_PATH);
    CHECK_ERR(read(fd, b, 1), EBADF);
    CHECK_ERR(fchmod(fd, 0600), EBADF);
    CHECK(fcntl(fd, F_GETFL) & O_PATH);
    fd = open(".", O_PATH | O_DIRECTORY);
    CHECK(fd >= 0 && openat(fd, "p", O_RDONLY) >= 0 && fchdir(fd) == 0);
}

static void tmpfile_(void)
{
    struct stat st;
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0 && errno == EOPNOTSUPP) return;
    CHECK(fd >= 0 && write(fd, "tmp", 3) == 3 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    char p[64];
    snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, p, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && !strcmp(get_file("named"), "tmp"));
}

static long openat2_(int dfd, const char *p, unsigned long long flags, unsigned long long resolve)
{
    struct open_how h = { .flags = flags, .resolve = resolve };
    return syscall(SYS_openat2, dfd, p, &h, sizeof h);
}

static void resolve(void)
{
    CHECK(mkdir("r", 0755) == 0 && mkdir("r/in", 0755) == 0);
    put_file("r/in/f", "x");
    CHECK(symlink("/in/f", "r/abs") == 0 && symlink("in", "r/rel") == 0 && symlink("../..", "r/in/up") == 0);
    int d = open("r", O_PATH);
    CHECK(openat2_(d, "rel/f", O_RDONLY, RESOLVE_BENEATH) >= 0);
    CHECK_ERR(openat2_(d, "../r", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "abs", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "in/up", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "/in", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK(openat2_(d, "abs", O_RDONLY, RESOLVE_IN_ROOT) >= 0);
    CHECK(openat2_(d, "../../in/f", O_RDONLY, RESOLVE_IN_ROOT) >= 0);
    CHECK_ERR(openat2_(d, "rel/f", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERR(openat2_(AT_FDCWD, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERR(openat2_(d, "in", O_RDONLY, 1ULL << 40), EINVAL);
}

static void flags_kept(void)
{
    int f = open("kept", O_CREAT | O_RDWR, 0600), p = open("kept", O_PATH | O_NOFOLLOW);
    CHECK(fcntl(f, F_GETFL) == (O_RDWR | 0100000)); /* O_LARGEFILE as the kernel has it */
    CHECK(fcntl(p, F_GETFL) == (O_PATH | O_NOFOLLOW));
    CHECK_ERR(open(".", O_RDONLY | O_DIRECT), EINVAL);
    close(f), close(p);
}

TMPDIR_MAIN(CASE(errors), CASE(creation), CASE(o_path), CASE(tmpfile_), CASE(resolve), CASE(flags_kept))
