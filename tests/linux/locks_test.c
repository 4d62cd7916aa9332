/* fcntl(2) record locks, open-file-description locks, flock(2). */
#include "tmpdir.h"
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int fd;
static int lk(int f, int cmd, int type, off_t start, off_t len)
{
    struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
    return fcntl(f, cmd, &l);
}
static struct flock probe(int f, int type, off_t start, off_t len)
{
    struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
    CHECK(fcntl(f, F_GETLK, &l) == 0);
    return l;
}

static void child_sees(void)
{
    int f = open("f", O_RDWR);
    struct flock l = probe(f, F_RDLCK, 0, 0);
    CHECK(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 40 && l.l_pid == getppid());
    l = probe(f, F_RDLCK, 45, 100);
    CHECK(l.l_type == F_WRLCK && l.l_start == 70 && l.l_len == 30);
    CHECK(lk(f, F_SETLK, F_WRLCK, 40, 30) == 0);
    CHECK_ERR(lk(f, F_SETLK, F_RDLCK, 39, 1), EAGAIN);
    CHECK(probe(f, F_WRLCK, 40, 30).l_type == F_UNLCK);
}
static void posix_split(void)
{
    fd = open("f", O_RDWR | O_CREAT, 0600);
    CHECK(lk(fd, F_SETLK, F_WRLCK, 0, 100) == 0 && lk(fd, F_SETLK, F_UNLCK, 40, 30) == 0);
    in_child(child_sees, 0);
    CHECK_ERR(lk(open("f", O_RDONLY), F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERR(lk(fd, F_SETLK, F_WRLCK, -5, 1), EINVAL);
}
static void child_free(void) { CHECK(lk(open("f", O_RDWR), F_SETLK, F_WRLCK, 0, 0) == 0); }
static void close_drops(void)
{
    close(open("f", O_RDONLY));
    in_child(child_free, 0);
}
static void deadlock(void)
{
    int p[2];
    char c;
    CHECK(pipe(p) == 0 && lk(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(lk(fd, F_SETLK, F_WRLCK, 1, 1) == 0 && write(p[1], "x", 1) == 1);
        CHECK(lk(fd, F_SETLKW, F_WRLCK, 0, 1) == 0);   /* until the parent lets go */
        _exit(0);
    }
    CHECK(read(p[0], &c, 1) == 1);
    usleep(100000);
    CHECK_ERR(lk(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    CHECK(lk(fd, F_SETLK, F_UNLCK, 0, 1) == 0);
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}
static void ofd_and_flock(void)
{
    int a = open("f", O_RDWR), b = open("f", O_RDWR);
    CHECK(lk(a, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    CHECK_ERR(lk(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    int a2 = dup(a);
    close(a);
    CHECK_ERR(lk(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    close(a2);
    CHECK(lk(b, F_OFD_SETLK, F_RDLCK, 5, 1) == 0);
    a = open("f", O_RDWR);
    CHECK(flock(a, LOCK_EX) == 0);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_ERR(flock(a, 16), EINVAL);
}
/* Files without a name have locks and an end as well. */
static void nameless(void)
{
    int e = eventfd(0, 0), p[2], s = socket(AF_UNIX, SOCK_STREAM, 0), n;
    struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = 1 };
    CHECK(e >= 0 && s >= 0 && pipe(p) == 0);
    CHECK(fcntl(p[0], F_SETLK, &l) == 0 && fcntl(s, F_SETLK, &l) == 0 && fcntl(e, F_SETLK, &l) == 0);
    CHECK_ERR(ioctl(e, FIONREAD, &n), ENOTTY);
    close(e), close(s), close(p[0]), close(p[1]);
}
TMPDIR_MAIN(CASE(nameless), CASE(posix_split), CASE(close_drops), CASE(deadlock), CASE(ofd_and_flock))
