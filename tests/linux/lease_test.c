/* fcntl(2): leases, F_NOTIFY, F_CREATED_QUERY, and the order in which F_GETLK finds locks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x) do { if (!(x)) { fprintf(stderr, "%s:%d: %s (errno %d)\n", __func__, __LINE__, #x, errno); _exit(1); } } while (0)

static int take(siginfo_t *si, int seconds)
{
    sigset_t s;
    struct timespec ts = { seconds, 0 };
    sigemptyset(&s);
    sigaddset(&s, SIGIO);
    sigaddset(&s, SIGRTMIN);
    return sigtimedwait(&s, si, &ts);
}

static void test_lease(void)
{
    siginfo_t si;
    int st, fd = open("leased", O_RDWR | O_CREAT, 0600);

    CHECK(fd >= 0 && fcntl(fd, F_GETLEASE) == F_UNLCK);
    CHECK(fcntl(fd, F_SETLEASE, F_RDLCK) == -1 && errno == EAGAIN);
    CHECK(fcntl(fd, F_SETLEASE, F_UNLCK) == -1 && errno == EAGAIN);
    CHECK(fcntl(fd, F_SETLEASE, 77) == -1 && errno == EINVAL);
    CHECK(fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_GETLEASE) == F_WRLCK);
    CHECK(open("leased", O_RDONLY | O_NONBLOCK) == -1 && errno == EAGAIN);
    CHECK(take(&si, 2) == SIGIO && fcntl(fd, F_GETLEASE) == F_RDLCK);
    pid_t pid = fork();
    if (!pid) {
        int f = open("leased", O_WRONLY);
        _exit(f >= 0 ? 0 : 1);
    }
    CHECK(take(&si, 5) == SIGIO || fcntl(fd, F_GETLEASE) == F_UNLCK);
    CHECK(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
    int other = open("leased", O_RDONLY);
    CHECK(fcntl(fd, F_SETLEASE, F_WRLCK) == -1 && errno == EAGAIN);
    close(other);
    close(fd);
    CHECK(unlink("leased") == 0);
}

static void test_notify(void)
{
    siginfo_t si;

    CHECK(mkdir("watched", 0700) == 0);
    int fd = open("watched", O_RDONLY), f;
    CHECK(fcntl(fd, F_NOTIFY, DN_MULTISHOT) == 0);
    CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0);
    CHECK(fcntl(fd, F_NOTIFY, DN_CREATE) == 0);
    CHECK((f = open("watched/a", O_WRONLY | O_CREAT, 0600)) >= 0);
    CHECK(fcntl(f, F_NOTIFY, DN_CREATE) == -1 && errno == ENOTDIR);
    CHECK(take(&si, 2) == SIGRTMIN && si.si_fd == fd);
    close(f);
    CHECK((f = open("watched/b", O_WRONLY | O_CREAT, 0600)) >= 0);
    CHECK(take(&si, 0) == -1);
    CHECK(fcntl(fd, F_NOTIFY, DN_DELETE | DN_RENAME | DN_MULTISHOT) == 0);
    CHECK(unlink("watched/a") == 0 && take(&si, 2) == SIGRTMIN);
    CHECK(rename("watched/b", "watched/c") == 0 && take(&si, 2) == SIGRTMIN);
    while (take(&si, 0) > 0) { }
    CHECK(fcntl(fd, F_NOTIFY, 0) == 0);
    CHECK(unlink("watched/c") == 0 && take(&si, 0) == -1);
    close(f);
    close(fd);
    CHECK(rmdir("watched") == 0);
}

static void test_getlk_order(void)
{
    struct flock l = { .l_type = F_RDLCK, .l_start = 10, .l_len = 5 };
    int st, fd = open("locked", O_RDWR | O_CREAT, 0600);

    CHECK(fcntl(fd, F_SETLK, &l) == 0);
    l = (struct flock){ .l_type = F_WRLCK, .l_start = 1, .l_len = 3 };
    CHECK(fcntl(fd, F_SETLK, &l) == 0);
    pid_t pid = fork();
    if (!pid) {
        l = (struct flock){ .l_type = F_WRLCK };
        CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_start == 1 && l.l_len == 3 && l.l_pid == getppid());
        _exit(0);
    }
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
    close(fd);
    CHECK(unlink("locked") == 0);
}

int main(void)
{
    char dir[] = "/tmp/lease.XXXXXX";
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGIO);
    sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    test_lease();
    test_notify();
    test_getlk_order();
    CHECK(chdir("/") == 0 && rmdir(dir) == 0);
    puts("ok");
    return 0;
}
