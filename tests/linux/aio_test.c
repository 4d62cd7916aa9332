/* Kernel AIO: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2). */
#include "tmpdir.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

static int setup(unsigned n, aio_context_t *c) { return (int)syscall(SYS_io_setup, n, c); }
static int destroy(aio_context_t c) { return (int)syscall(SYS_io_destroy, c); }
static int submit(aio_context_t c, long n, struct iocb **v) { return (int)syscall(SYS_io_submit, c, n, v); }
static int getevents(aio_context_t c, long min, long n, struct io_event *e, struct timespec *t)
{
    return (int)syscall(SYS_io_getevents, c, min, n, e, t);
}
static int cancel(aio_context_t c, struct iocb *cb, struct io_event *e) { return (int)syscall(SYS_io_cancel, c, cb, e); }

static struct iocb make(int op, int fd, const void *buf, size_t n, long long off)
{
    return (struct iocb){ .aio_data = 0x1234, .aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd,
                          .aio_buf = (uintptr_t)buf, .aio_nbytes = n, .aio_offset = off };
}

/* Submits one and takes its event, within a second. */
static long long one(aio_context_t c, struct iocb *cb)
{
    struct io_event e;
    struct timespec t = { 1, 0 };
    CHECK(submit(c, 1, &cb) == 1);
    CHECK(getevents(c, 1, 1, &e, &t) == 1);
    CHECK(e.data == cb->aio_data && e.obj == (uintptr_t)cb && e.res2 == 0);
    return e.res;
}

static void contexts(void)
{
    aio_context_t c = 0, d = 0;
    CHECK_ERR(setup(0, &c), EINVAL);
    CHECK_ERR(setup(1, (void *)1), EFAULT);
    CHECK_ERR(setup(0x7fffffff, &c), EINVAL);
    CHECK_ERR(setup(1000000, &c), EAGAIN);       /* above fs.aio-max-nr */
    c = 1;
    CHECK_ERR(setup(1, &c), EINVAL);
    c = 0;
    CHECK(setup(1, &c) == 0 && c);
    CHECK(setup(100, &d) == 0 && d && d != c);
    CHECK(destroy(c) == 0);
    CHECK_ERR(destroy(c), EINVAL);
    CHECK_ERR(destroy(0), EINVAL);
    CHECK_ERR(getevents(c, 0, 1, NULL, NULL), EINVAL);
    CHECK_ERR(submit(c, 0, NULL), EINVAL);
    CHECK(submit(d, 0, NULL) == 0);
    CHECK_ERR(submit(d, -1, NULL), EINVAL);
    CHECK_ERR(submit(d, 1, NULL), EFAULT);
    CHECK(destroy(d) == 0);
}

static void transfers(void)
{
    aio_context_t c = 0;
    char b[32] = "";
    int fd = open("f", O_RDWR | O_CREAT, 0600), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
    CHECK(setup(8, &c) == 0);
    struct iocb w = make(IOCB_CMD_PWRITE, fd, "hello world", 11, 4), r = make(IOCB_CMD_PREAD, fd, b, 5, 10);
    CHECK(one(c, &w) == 11);
    CHECK(one(c, &r) == 5 && !memcmp(b, "world", 5));
    r.aio_offset = 100;
    CHECK(one(c, &r) == 0);
    struct iovec v[2] = { { b, 4 }, { b + 8, 7 } };
    struct iocb rv = make(IOCB_CMD_PREADV, fd, v, 2, 0), wv = make(IOCB_CMD_PWRITEV, fd, v, 2, 20);
    CHECK(one(c, &rv) == 11 && !memcmp(b, "\0\0\0\0", 4) && !memcmp(b + 8, "hello w", 7));
    CHECK(one(c, &wv) == 11);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0 && lseek(fd, 0, SEEK_END) == 31);
    struct iocb s = make(IOCB_CMD_FSYNC, fd, NULL, 0, 0), ds = make(IOCB_CMD_FDSYNC, fd, NULL, 0, 0);
    CHECK(one(c, &s) == 0 && one(c, &ds) == 0);

    /* What is wrong with a request fails its submission ... */
    struct iocb bad[] = {
        make(IOCB_CMD_PREAD, 999, b, 1, 0), make(IOCB_CMD_PREAD, wo, b, 1, 0), make(IOCB_CMD_PWRITE, ro, b, 1, 0),
        make(99, fd, b, 1, 0), make(IOCB_CMD_PREAD, fd, b, 1, -1), make(IOCB_CMD_FSYNC, fd, b, 1, 0), make(IOCB_CMD_NOOP, fd, b, 1, 0),
    };
    int err[] = { EBADF, EBADF, EBADF, EINVAL, EINVAL, EINVAL, EINVAL };
    for (size_t i = 0; i < sizeof err / sizeof *err; i++) {
        struct iocb *p = &bad[i];
        CHECK_ERR(submit(c, 1, &p), err[i]);
    }
    struct iocb res = r, *p = &res;
    res.aio_reserved2 = 1;
    CHECK_ERR(submit(c, 1, &p), EINVAL);
    p = (void *)8;
    CHECK_ERR(submit(c, 1, &p), EFAULT);
    /* ... those before it were submitted ... */
    struct iocb *two[] = { &r, &bad[0] };
    struct io_event e[4];
    CHECK(submit(c, 2, two) == 1);
    CHECK(getevents(c, 1, 4, e, NULL) == 1 && e[0].res == 0);
    /* ... and an address that turns out bad in the transfer is its result. */
    void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iocb far = make(IOCB_CMD_PREAD, fd, hole, 4, 0);
    CHECK(one(c, &far) == -EFAULT);
    /* Append ignores the offset. */
    w.aio_offset = 0;
    w.aio_rw_flags = RWF_APPEND;
    CHECK(one(c, &w) == 11 && lseek(fd, 0, SEEK_END) == 42);
    w.aio_rw_flags = (int)0x80000000;
    p = &w;
    CHECK_ERR(submit(c, 1, &p), EOPNOTSUPP);
    CHECK(destroy(c) == 0);
    close(fd), close(ro), close(wo);
}

static void event_counts(void)
{
    aio_context_t c = 0;
    int fd = open("f", O_RDWR | O_CREAT, 0600), efd = eventfd(0, EFD_NONBLOCK);
    char b[4];
    struct iocb cb[3], *v[3];
    struct io_event e[8];
    uint64_t n;
    CHECK(setup(8, &c) == 0);
    for (int i = 0; i < 3; i++) {
        cb[i] = make(IOCB_CMD_PREAD, fd, b, 4, i);
        cb[i].aio_data = (uint64_t)i;
        cb[i].aio_flags = IOCB_FLAG_RESFD;
        cb[i].aio_resfd = (uint32_t)efd;
        v[i] = &cb[i];
    }
    CHECK(submit(c, 3, v) == 3);
    CHECK(getevents(c, 1, 2, e, NULL) == 2 && e[0].data == 0 && e[1].data == 1);
    CHECK(read(efd, &n, 8) == 8 && n == 3);
    CHECK(getevents(c, 1, 2, e, NULL) == 1 && e[0].data == 2);
    struct timespec none = { 0, 0 }, some = { 0, 30000000 }, t0, t1;
    CHECK(getevents(c, 1, 2, e, &none) == 0);
    CHECK(getevents(c, 0, 2, e, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK(getevents(c, 1, 2, e, &some) == 0);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CHECK((t1.tv_sec - t0.tv_sec) * 1000000000L + t1.tv_nsec - t0.tv_nsec >= 30000000);
    CHECK_ERR(getevents(c, 2, 1, e, &none), EINVAL);
    CHECK_ERR(getevents(c, -1, 1, e, &none), EINVAL);
    CHECK_ERR(getevents(c, 1, 1, e, (void *)8), EFAULT);
    CHECK(submit(c, 1, v) == 1);
    CHECK_ERR(getevents(c, 1, 1, (void *)8, NULL), EFAULT);
    cb[0].aio_resfd = (uint32_t)fd;
    CHECK_ERR(submit(c, 1, v), EINVAL);
    cb[0].aio_resfd = 999;
    CHECK_ERR(submit(c, 1, v), EBADF);
    CHECK(destroy(c) == 0);
    close(fd), close(efd);
}

/* Completed events stay until taken; so many and no more requests fit. */
static void full(void)
{
    aio_context_t c = 0;
    int fd = open("f", O_RDWR | O_CREAT, 0600), done = 0, r = 0;
    char b[1];
    struct iocb cb = make(IOCB_CMD_PREAD, fd, b, 1, 0), *p = &cb;
    struct io_event e[2];
    CHECK(setup(1, &c) == 0);
    while (done < 100000 && (r = submit(c, 1, &p)) == 1) done++;
    CHECK(r == -1 && errno == EAGAIN && done >= 1);
    CHECK(getevents(c, 1, 1, e, NULL) == 1);
    CHECK(submit(c, 1, &p) == 1);
    CHECK(destroy(c) == 0);
    close(fd);
}

static void *late_write(void *arg)
{
    usleep(30000);
    CHECK(write(*(int *)arg, "x", 1) == 1);
    return NULL;
}

static void polls(void)
{
    aio_context_t c = 0;
    int p[2], efd = eventfd(0, EFD_NONBLOCK);
    struct io_event e[4];
    pthread_t t;
    CHECK(setup(8, &c) == 0 && pipe(p) == 0);
    struct iocb in = make(IOCB_CMD_POLL, p[0], (void *)(uintptr_t)POLLIN, 0, 0), *v = &in;
    struct iocb out = make(IOCB_CMD_POLL, p[1], (void *)(uintptr_t)POLLOUT, 0, 0);
    in.aio_flags = IOCB_FLAG_RESFD;
    in.aio_resfd = (uint32_t)efd;
    CHECK(one(c, &out) == POLLOUT);
    CHECK(submit(c, 1, &v) == 1);
    struct timespec none = { 0, 0 };
    CHECK(getevents(c, 1, 1, e, &none) == 0);
    CHECK(pthread_create(&t, NULL, late_write, &p[1]) == 0);
    CHECK(getevents(c, 1, 4, e, NULL) == 1 && e[0].obj == (uintptr_t)&in && (e[0].res & POLLIN) && e[0].res2 == 0);
    pthread_join(t, NULL);
    uint64_t n;
    struct pollfd pf = { efd, POLLIN, 0 };
    CHECK(poll(&pf, 1, 1000) == 1 && read(efd, &n, 8) == 8 && n == 1);
    /* One shot. */
    CHECK(write(p[1], "y", 1) == 1 && getevents(c, 1, 1, e, &none) == 0);
    char b[8];
    CHECK(read(p[0], b, 8) == 2);

    /* Cancelled: the request answers through its event. */
    CHECK(submit(c, 1, &v) == 1);
    CHECK_ERR(cancel(c, &out, e), EINVAL);
    CHECK_ERR(cancel(c, &in, e), EINPROGRESS);
    CHECK(getevents(c, 1, 4, e, NULL) == 1 && e[0].obj == (uintptr_t)&in);
    CHECK_ERR(cancel(c, &in, e), EINVAL);
    in.aio_nbytes = 1;
    CHECK_ERR(submit(c, 1, &v), EINVAL);
    in.aio_nbytes = 0;
    in.aio_buf = 0x10000;
    CHECK_ERR(submit(c, 1, &v), EINVAL);
    in.aio_buf = POLLIN;

    /* A context may go with requests in it, which end; so may the process. */
    CHECK(submit(c, 1, &v) == 1 && destroy(c) == 0);
    CHECK(write(p[1], "z", 1) == 1);
    CHECK(read(p[0], b, 8) == 1);
    c = 0;
    CHECK(setup(8, &c) == 0 && submit(c, 1, &v) == 1);
    close(efd);
    if (fork() == 0) _exit(submit(c, 1, &v) == -1 && errno == EINVAL ? 0 : 1);       /* contexts are not inherited */
    int st;
    CHECK(wait(&st) > 0 && st == 0);
    close(p[1]);                       /* the writer's end is a hang-up, always wanted */
    CHECK(getevents(c, 1, 4, e, NULL) == 1 && e[0].res & POLLHUP);
    close(p[0]);
}

static void on_alarm(int s) { (void)s; }

static void waits_end(void)
{
    aio_context_t c = 0;
    struct io_event e;
    CHECK(setup(1, &c) == 0);
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { 0, 30000 } }, NULL);
    CHECK_ERR(getevents(c, 1, 1, &e, NULL), EINTR);
    /* A signal of the temporary mask does not end io_pgetevents. */
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGALRM);
    struct { sigset_t *m; size_t n; } arg = { &m, 8 };
    struct timespec t = { 0, 80000000 };
    setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { 0, 20000 } }, NULL);
    CHECK(syscall(SYS_io_pgetevents, c, 1, 1, &e, &t, &arg) == 0);
    arg.n = 4;
    CHECK_ERR(syscall(SYS_io_pgetevents, c, 1, 1, &e, &t, &arg), EINVAL);
    CHECK(destroy(c) == 0);
}

static void moved(void)
{
    aio_context_t c = 0;
    CHECK(setup(1, &c) == 0);
    FILE *m = fopen("/proc/self/maps", "r");
    char line[256];
    unsigned long a, z, found = 0;
    while (fgets(line, sizeof line, m))
        if (sscanf(line, "%lx-%lx", &a, &z) == 2 && a == c) {
            found = z - a;
            CHECK(strstr(line, "[aio]"));
        }
    fclose(m);
    CHECK(found);
    /* The ring is the context's handle: where it goes, the context goes; without it the context cannot be named. */
    void *to = mmap(NULL, found, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mremap((void *)c, found, found, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    CHECK_ERR(submit(c, 0, NULL), EINVAL);
    CHECK(submit((uintptr_t)to, 0, NULL) == 0);
    CHECK(munmap(to, found) == 0);
    CHECK_ERR(submit((uintptr_t)to, 0, NULL), EINVAL);
    CHECK_ERR(destroy((uintptr_t)to), EINVAL);
}

static long number(const char *p) { return atol(get_file(p)); }

static void system_limit(void)
{
    aio_context_t c = 0;
    long max = number("/proc/sys/fs/aio-max-nr"), before = number("/proc/sys/fs/aio-nr");
    CHECK(max >= 1024 && before >= 0);
    CHECK(setup(50, &c) == 0);
    CHECK(number("/proc/sys/fs/aio-nr") >= before + 50);
    CHECK(destroy(c) == 0);
}

/* The ring may be moved, but not grow. */
static void ring_size(void)
{
    aio_context_t c = 0;

    CHECK(setup(1, &c) == 0);
    CHECK(mremap((void *)c, 4096, 1 << 20, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    CHECK(destroy(c) == 0);
}

TMPDIR_MAIN(CASE(contexts), CASE(transfers), CASE(event_counts), CASE(full), CASE(polls), CASE(waits_end), CASE(moved), CASE(system_limit), CASE(ring_size))
