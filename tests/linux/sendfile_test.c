/* sendfile, splice, tee, copy_file_range. */
#include "tmpdir.h"
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>

static char data[150000], back[150000];

static void files(void)
{
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 31 + i / 997);
    int a = open("a", O_CREAT | O_RDWR, 0600), b = open("b", O_CREAT | O_RDWR, 0600);
    CHECK(write(a, data, sizeof data) == sizeof data);
    off_t off = 10;
    CHECK(sendfile(b, a, &off, 100000) == 100000 && off == 100010 && lseek(b, 0, SEEK_CUR) == 100000);
    CHECK(pread(b, back, 100000, 0) == 100000 && !memcmp(back, data + 10, 100000));
    CHECK(lseek(a, 149990, SEEK_SET) > 0 && sendfile(b, a, NULL, 100) == 10 && sendfile(b, a, NULL, 100) == 0);
    CHECK_ERR(sendfile(open("b", O_RDONLY), a, NULL, 1), EBADF);
    off_t i = 0, o = 5;
    CHECK(copy_file_range(a, &i, b, &o, 1000, 0) == 1000 && i == 1000 && o == 1005);
    CHECK(pread(b, back, 1000, 5) == 1000 && !memcmp(back, data, 1000));
    i = 0, o = 500;
    CHECK_ERR(copy_file_range(a, &i, a, &o, 1000, 0), EINVAL);
    CHECK_ERR(copy_file_range(a, &i, b, &o, 1000, 1), EINVAL);
}
static void pipes(void)
{
    int a = open("a", O_RDONLY), p[2], q[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    off_t off = 100;
    CHECK(splice(a, &off, p[1], NULL, 5000, 0) == 5000 && off == 5100);
    CHECK(tee(p[0], q[1], 5000, 0) == 5000);
    CHECK(read(p[0], back, 5000) == 5000 && !memcmp(back, data + 100, 5000));
    int o = open("o", O_CREAT | O_RDWR, 0600);
    CHECK(splice(q[0], NULL, o, NULL, 5000, 0) == 5000 && pread(o, back, 5000, 0) == 5000 && !memcmp(back, data + 100, 5000));
    CHECK_ERR(splice(a, NULL, o, NULL, 10, 0), EINVAL);
    CHECK_ERR(splice(p[0], &off, o, NULL, 10, 0), ESPIPE);
    CHECK_ERR(splice(p[0], NULL, o, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERR(sendfile(o, p[0], NULL, 10), EINVAL);
    int e = eventfd(0, 0);
    CHECK_ERR(splice(p[0], NULL, e, NULL, 8, 0), EINVAL); /* at once, though the pipe is empty */
    CHECK_ERR(splice(e, NULL, p[1], NULL, 8, 0), EINVAL);
    CHECK_ERR(sendfile(e, a, NULL, 8), EINVAL);
    close(e);
    close(p[1]);
    CHECK(splice(p[0], NULL, o, NULL, 10, 0) == 0);
}

static void spans(void)
{
    int a = open("a", O_RDONLY), b = open("b", O_RDWR), p[2];
    off_t off = INT64_MAX;
    CHECK_ERR(sendfile(b, a, &off, 10), EINVAL);
    CHECK_ERR(sendfile(b, a, NULL, (size_t)-1), EINVAL);
    CHECK(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    CHECK_ERR(splice(p[0], NULL, b, &off, 4096, 0), EINVAL);
    CHECK(read(p[0], back, 10) == 1);
}
/* What the target does not take stays in the source. */
static void partial_pipes(void)
{
    int p[2], q[2], b = open("limited", O_CREAT | O_RDWR, 0600);
    CHECK(pipe(p) == 0 && pipe(q) == 0 && fcntl(q[1], F_SETPIPE_SZ, 8192) == 8192);
    CHECK(write(p[1], data, 8192) == 8192 && write(q[1], data, 4096) == 4096);
    CHECK(splice(p[0], NULL, q[1], NULL, 8192, 0) == 4096);
    CHECK(read(p[0], back, 8192) == 4096 && !memcmp(back, data + 4096, 4096));
    struct rlimit old, r;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0 && ftruncate(b, 4096) == 0 && lseek(b, 0, SEEK_END) == 4096);
    r = old, r.rlim_cur = 4096;
    CHECK(write(p[1], data, 5000) == 5000 && setrlimit(RLIMIT_FSIZE, &r) == 0);
    CHECK_ERR(splice(p[0], NULL, b, NULL, 12288, 0), EFBIG);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(read(p[0], back, 8192) == 5000 && !memcmp(back, data, 5000));
}

TMPDIR_MAIN(CASE(files), CASE(pipes), CASE(spans), CASE(partial_pipes))
