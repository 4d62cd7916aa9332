/* pipe(2), FIFOs. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pthread.h>
#include <errno.h>

static char big[200000];

static void basics(void)
{
    int p[2], n;
    char b[16];
    struct stat st;
    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK_ERR(read(p[0], b, 1), EAGAIN);
    CHECK(write(p[1], "hello", 5) == 5 && write(p[1], "!", 1) == 1);
    CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 6);
    CHECK(read(p[0], b, 16) == 6 && !memcmp(b, "hello!", 6));
    CHECK_ERR(write(p[0], b, 1), EBADF);
    CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
    CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
    CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536);
    CHECK(write(p[1], big, sizeof big) == 65536);
    CHECK_ERR(write(p[1], big, 1), EAGAIN);
    CHECK(read(p[0], big, 4096) == 4096);
    CHECK(write(p[1], big, 8192) == 4096);
    CHECK_ERR(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(fcntl(p[0], F_SETPIPE_SZ, 70000) == 131072);
    close(p[1]);
    CHECK(read(p[0], big, sizeof big) == 65536);
    CHECK(read(p[0], big, 1) == 0);
    CHECK_ERR(pipe2(p, 0x40000000), EINVAL);
}

static void epipe(void)
{
    int p[2];
    CHECK(pipe(p) == 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    struct pollfd f = { p[1], POLLOUT, 0 };
    CHECK(poll(&f, 1, 0) == 1 && (f.revents & POLLERR));
    signal(SIGPIPE, SIG_DFL);
    pid_t c = fork();
    if (!c) {
        (void)!write(p[1], "x", 1);
        _exit(0);
    }
    int st;
    CHECK(waitpid(c, &st, 0) == c && WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
    close(p[1]);
}

static void packets(void)
{
    int p[2];
    char b[8];
    CHECK(pipe2(p, O_DIRECT) == 0);
    CHECK(write(p[1], "abcdef", 6) == 6 && write(p[1], "gh", 2) == 2);
    CHECK(read(p[0], b, 3) == 3 && b[2] == 'c');
    CHECK(read(p[0], b, 8) == 2 && b[0] == 'g');
}

static void blocking_transfer(void)
{
    int p[2], st;
    CHECK(pipe(p) == 0);
    pid_t c = fork();
    if (!c) {
        close(p[0]);
        for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
        _exit(write(p[1], big, sizeof big) != (ssize_t)sizeof big);
    }
    close(p[1]);
    size_t got = 0;
    char b[3000];
    ssize_t n;
    while ((n = read(p[0], b, sizeof b)) > 0) {
        for (ssize_t i = 0; i < n; i++) CHECK(b[i] == (char)((got + (size_t)i) * 7));
        got += (size_t)n;
    }
    CHECK(n == 0 && got == sizeof big);
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void fifo(void)
{
    char dir[] = "/tmp/fifoXXXXXX", path[64];
    int st;
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
    int r = open(path, O_RDONLY | O_NONBLOCK);
    CHECK(r >= 0);
    struct pollfd f = { r, POLLIN, 0 };
    CHECK(poll(&f, 1, 0) == 0);                   /* no hang-up before the first writer */
    int w = open(path, O_WRONLY);
    CHECK(w >= 0 && write(w, "x", 1) == 1);
    CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
    close(w);
    CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLHUP));
    close(r);
    pid_t c = fork();
    if (!c) {
        w = open(path, O_WRONLY);
        _exit(write(w, "hi", 2) != 2);
    }
    r = open(path, O_RDONLY);
    char b[4];
    CHECK(r >= 0 && read(r, b, 4) == 2 && read(r, b, 4) == 0);
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    unlink(path);
    rmdir(dir);
}

/* Takes what fits, as a blocking write would not. */
static void vmsplice_partial(void)
{
    static char block[131072] __attribute__((aligned(4096)));
    int p[2];
    struct iovec v = { block, sizeof(block) };
    CHECK(pipe(p) == 0);
    CHECK(vmsplice(p[1], &v, 1, 0) == 65536);
    CHECK_ERR(vmsplice(p[1], &v, 1, SPLICE_F_NONBLOCK), EAGAIN);
    close(p[0]);
    close(p[1]);
}

static volatile sig_atomic_t broken_pipes;
static void on_sigpipe(int s) { (void)s, broken_pipes++; }
static void *write_too_much(void *fd)
{
    static char much[200000];
    return (void *)(intptr_t)write(*(int *)fd, much, sizeof much);
}
/* The reader goes while a write sleeps: the part that went in is the result, and SIGPIPE comes all the same. */
static void reader_leaves_writer(void)
{
    int p[2];
    pthread_t t;
    void *r;
    struct sigaction sa = { .sa_handler = on_sigpipe }, old;
    CHECK(sigaction(SIGPIPE, &sa, &old) == 0);
    CHECK(pipe(p) == 0 && pthread_create(&t, NULL, write_too_much, &p[1]) == 0);
    for (int n = 0; n < 65536; usleep(1000)) CHECK(ioctl(p[0], FIONREAD, &n) == 0);
    usleep(50000);
    close(p[0]);
    CHECK(pthread_join(t, &r) == 0 && (intptr_t)r == 65536 && broken_pipes == 1);
    close(p[1]);
    sigaction(SIGPIPE, &old, NULL);
}
static void status_flags(void)
{
    int p[2];
    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(fcntl(p[0], F_GETFL) == O_NONBLOCK && fcntl(p[1], F_GETFL) == (O_WRONLY | O_NONBLOCK)); /* no O_LARGEFILE */
    close(p[0]), close(p[1]);
}

TEST_MAIN(CASE(vmsplice_partial), CASE(basics), CASE(epipe), CASE(packets), CASE(blocking_transfer), CASE(fifo), CASE(reader_leaves_writer), CASE(status_flags))
