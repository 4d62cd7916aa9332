/* Descriptors: dup, fcntl, close_range, limits; lseek, pread, O_APPEND, RLIMIT_FSIZE. */
#include "tmpdir.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <stdint.h>

static void numbers(void)
{
    int a = open("f", O_CREAT | O_RDWR, 0600), b = dup(a);
    CHECK(b == a + 1 && fcntl(b, F_GETFD) == 0);
    CHECK(fcntl(a, F_DUPFD_CLOEXEC, 100) == 100 && fcntl(100, F_GETFD) == FD_CLOEXEC);
    CHECK(dup2(a, a) == a);
    CHECK_ERR(dup3(a, a, 0), EINVAL);
    CHECK_ERR(dup2(a, 1 << 30), EBADF);
    CHECK_ERR(fcntl(a, F_DUPFD, 1 << 30), EINVAL);
    CHECK_ERR(dup(77), EBADF);
    close(a);
    CHECK(open("f", O_RDONLY) == a);
    CHECK(dup2(a, 101) == 101 && syscall(SYS_close_range, 101, 101, 4) == 0 && fcntl(101, F_GETFD) == FD_CLOEXEC);
    CHECK(syscall(SYS_close_range, 100, ~0U, 0) == 0);
    CHECK_ERR(close(100), EBADF);
    CHECK_ERR(syscall(SYS_close_range, 5, 4, 0), EINVAL);
    struct rlimit old, r;
    getrlimit(RLIMIT_NOFILE, &old);
    r = old, r.rlim_cur = (rlim_t)b + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
    CHECK_ERR(open("f", O_RDONLY), EMFILE);
    CHECK_ERR(fcntl(a, F_DUPFD, b + 1), EINVAL);
    setrlimit(RLIMIT_NOFILE, &old);
    close(a), close(b);
}
static void positions(void)
{
    char c[8];
    int a = open("p", O_CREAT | O_RDWR | O_TRUNC, 0600), b = dup(a), p[2];
    CHECK(write(a, "abcdef", 6) == 6 && lseek(b, 0, SEEK_CUR) == 6);
    CHECK(pread(a, c, 3, 1) == 3 && !memcmp(c, "bcd", 3) && lseek(b, 0, SEEK_CUR) == 6);
    CHECK_ERR(lseek(a, -1, SEEK_SET), EINVAL);
    CHECK_ERR(lseek(a, 0, 99), EINVAL);
    CHECK_ERR(pread(a, c, 1, -1), EINVAL);
    CHECK(pipe(p) == 0);
    CHECK_ERR(pread(p[0], c, 1, 0), ESPIPE);
    CHECK(lseek(a, 1 << 20, SEEK_SET) == 1 << 20 && write(a, "z", 1) == 1);
    CHECK(lseek(a, 0, SEEK_END) == (1 << 20) + 1);
    CHECK_ERR(lseek(a, 1 << 21, SEEK_DATA), ENXIO);
    off_t h = lseek(a, 0, SEEK_HOLE);
    CHECK(h == 4096 || h == (1 << 20) + 1 || h > 0);
    struct iovec v[2] = { { c, 2 }, { c + 2, 3 } };
    CHECK(lseek(a, 0, SEEK_SET) == 0 && readv(a, v, 2) == 5 && !memcmp(c, "abcde", 5));
    CHECK(fcntl(a, F_SETFL, O_APPEND) == 0 && (fcntl(b, F_GETFL) & O_APPEND) && lseek(a, 0, SEEK_SET) == 0);
    CHECK(write(b, "!", 1) == 1 && lseek(a, 0, SEEK_CUR) == (1 << 20) + 2);
}
static volatile int got;
static void on(int s) { got = s; }
static void fsize(void)
{
    struct rlimit r = { 10, RLIM_INFINITY }, old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, on);
    int a = open("z", O_CREAT | O_RDWR, 0600);
    r.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0);
    CHECK(write(a, "0123456789abc", 13) == 10 && !got);
    CHECK_ERR(write(a, "x", 1), EFBIG);
    CHECK(got == SIGXFSZ);
    got = 0;
    CHECK_ERR(ftruncate(a, 11), EFBIG);
    CHECK(got == SIGXFSZ);
    setrlimit(RLIMIT_FSIZE, &old);
}

static void seek_errors(void)
{
    char c;
    int f = open("s", O_CREAT | O_RDWR, 0600), d = open(".", O_RDONLY), p = open("/proc/uptime", O_RDONLY);
    CHECK(write(f, "abc", 3) == 3);
    CHECK_ERR(lseek(f, INT64_MAX, SEEK_END), EINVAL);
    CHECK_ERR(lseek(f, INT64_MAX, SEEK_CUR), EINVAL);
    CHECK_ERR(pread(f, &c, 1, INT64_MAX), EINVAL);
    CHECK_ERR(pwrite(f, &c, 1, INT64_MAX), EINVAL);
    CHECK(fcntl(f, F_SETFL, O_APPEND) == 0);
    CHECK_ERR(pwrite(f, &c, 1, INT64_MAX), EINVAL); /* though it would not go there */
    CHECK(fcntl(f, F_SETFL, 0) == 0);
    CHECK_ERR(lseek(p, 0, SEEK_END), EINVAL);
    close(f), close(d), close(p);
}
/* SIGXFSZ says that the process sent it to itself. */
static void fsize_signal(void)
{
    struct rlimit old, r;
    siginfo_t si;
    sigset_t s;
    sigemptyset(&s), sigaddset(&s, SIGXFSZ);
    CHECK(sigprocmask(SIG_BLOCK, &s, NULL) == 0 && getrlimit(RLIMIT_FSIZE, &old) == 0);
    int f = open("limit", O_CREAT | O_RDWR, 0600);
    r = old, r.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0);
    CHECK_ERR(write(f, "x", 1), EFBIG);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(sigwaitinfo(&s, &si) == SIGXFSZ && si.si_code == SI_USER && si.si_pid == getpid());
    close(f);
}

TMPDIR_MAIN(CASE(numbers), CASE(positions), CASE(fsize), CASE(seek_errors), CASE(fsize_signal))
