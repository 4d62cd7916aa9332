/* inotify(7). */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static int fd;
static char buf[8192] __attribute__((aligned(8)));
static ssize_t have, at;

static struct inotify_event *next(void)
{
    if (at >= have) {
        struct pollfd p = { fd, POLLIN, 0 };
        CHECK(poll(&p, 1, 2000) == 1);
        have = read(fd, buf, sizeof buf);
        CHECK(have > 0);
        at = 0;
    }
    struct inotify_event *e = (void *)(buf + at);
    at += (ssize_t)(sizeof *e + e->len);
    return e;
}

static void expect(uint32_t mask, const char *name)
{
    struct inotify_event *e = next();
    if (e->mask != mask) fprintf(stderr, "got %x for %x\n", e->mask, mask);
    CHECK(e->mask == mask);
    CHECK(name ? e->len && !strcmp(e->name, name) : e->len == 0);
}

static const char *in(const char *n)
{
    static char p[2][PATH_MAX];
    static int k;
    snprintf(p[k ^= 1], PATH_MAX, "%s/%s", dir, n);
    return p[k];
}

static void directory_events(void)
{
    strcpy(dir, "/tmp/inXXXXXX");
    CHECK(mkdtemp(dir));
    fd = inotify_init1(IN_NONBLOCK);
    CHECK(fd >= 0);
    CHECK_ERR(read(fd, buf, sizeof buf), EAGAIN);
    int wd = inotify_add_watch(fd, dir, IN_ALL_EVENTS & ~(uint32_t)IN_ACCESS);
    CHECK(wd == 1);
    int f = open(in("a"), O_CREAT | O_WRONLY, 0600);
    CHECK(f >= 0 && write(f, "x", 1) == 1);
    close(f);
    expect(IN_CREATE, "a");
    expect(IN_OPEN, "a");
    expect(IN_MODIFY, "a");
    expect(IN_CLOSE_WRITE, "a");
    CHECK(rename(in("a"), in("b")) == 0);
    struct inotify_event *e = next();
    uint32_t cookie = e->cookie;
    CHECK(e->mask == IN_MOVED_FROM && !strcmp(e->name, "a") && cookie);
    e = next();
    CHECK(e->mask == IN_MOVED_TO && !strcmp(e->name, "b") && e->cookie == cookie);
    CHECK(chmod(in("b"), 0644) == 0);
    expect(IN_ATTRIB, "b");
    CHECK(mkdir(in("d"), 0700) == 0);
    expect(IN_CREATE | IN_ISDIR, "d");
    CHECK(rmdir(in("d")) == 0);
    expect(IN_DELETE | IN_ISDIR, "d");
    CHECK(unlink(in("b")) == 0);
    expect(IN_DELETE, "b");
    CHECK(inotify_rm_watch(fd, wd) == 0);
    expect(IN_IGNORED, NULL);
    CHECK_ERR(inotify_rm_watch(fd, wd), EINVAL);
}

static void file_watch(void)
{
    int f = open(in("f"), O_CREAT | O_WRONLY, 0600);
    int wd = inotify_add_watch(fd, in("f"), IN_MODIFY | IN_ONESHOT);
    CHECK(wd == 2);
    CHECK(write(f, "x", 1) == 1 && write(f, "y", 1) == 1);
    expect(IN_MODIFY, NULL);
    expect(IN_IGNORED, NULL);
    CHECK((wd = inotify_add_watch(fd, in("f"), IN_DELETE_SELF)) == 3);
    CHECK(inotify_add_watch(fd, in("f"), IN_MODIFY | IN_MASK_ADD) == 3);
    CHECK_ERR(inotify_add_watch(fd, in("f"), IN_MODIFY | IN_MASK_CREATE), EEXIST);
    CHECK(write(f, "z", 1) == 1);
    expect(IN_MODIFY, NULL);
    close(f);
    CHECK(unlink(in("f")) == 0);
    expect(IN_DELETE_SELF, NULL);
    expect(IN_IGNORED, NULL);
}

static void errors(void)
{
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK_ERR(inotify_add_watch(fd, dir, 0), EINVAL);
    CHECK_ERR(inotify_add_watch(p[0], dir, IN_MODIFY), EINVAL);
    CHECK_ERR(inotify_add_watch(999, dir, IN_MODIFY), EBADF);
    CHECK_ERR(inotify_add_watch(fd, in("none"), IN_MODIFY), ENOENT);
    CHECK_ERR(inotify_init1(1), EINVAL);
    inotify_add_watch(fd, dir, IN_CREATE);
    CHECK(mkdir(in("x"), 0700) == 0);
    CHECK_ERR(read(fd, buf, 10), EINVAL);
    rmdir(in("x"));
    rmdir(dir);
}

static unsigned next_event(int in)
{
    static char events[4096] __attribute__((aligned(8)));
    static ssize_t filled, taken;
    if (taken >= filled) {
        struct pollfd p = { in, POLLIN, 0 };
        taken = filled = 0;
        if (poll(&p, 1, 0) != 1) return 0;
        filled = read(in, events, sizeof events);
        CHECK(filled > 0);
    }
    struct inotify_event *e = (void *)(events + taken);
    taken += (ssize_t)(sizeof *e + e->len);
    return e->mask;
}

static void times_and_truncation(void)
{
    char name[] = "/tmp/inotify-times-XXXXXX";
    int f = mkstemp(name), in = inotify_init1(IN_NONBLOCK);
    struct timespec now = { 0, UTIME_NOW }, omit = { 0, UTIME_OMIT };
    CHECK(f >= 0 && write(f, "x", 1) == 1 && inotify_add_watch(in, name, IN_ALL_EVENTS) > 0);
    CHECK(futimens(f, (struct timespec[2]){ now, omit }) == 0 && next_event(in) == IN_ACCESS);
    CHECK(futimens(f, (struct timespec[2]){ omit, now }) == 0 && next_event(in) == IN_MODIFY);
    CHECK(futimens(f, (struct timespec[2]){ now, now }) == 0 && next_event(in) == IN_ATTRIB);
    int g = open(name, O_WRONLY | O_TRUNC);
    CHECK(next_event(in) == IN_OPEN && next_event(in) == IN_MODIFY && next_event(in) == 0);
    close(g);
    CHECK(next_event(in) == IN_CLOSE_WRITE);
    /* Open files put the end off. */
    CHECK(unlink(name) == 0 && next_event(in) == IN_ATTRIB && next_event(in) == 0);
    close(f);
    CHECK(next_event(in) == IN_CLOSE_WRITE && next_event(in) == IN_DELETE_SELF && next_event(in) == IN_IGNORED);
    close(in);
}

static void directory_goes(void)
{
    char top[] = "/tmp/inotify-dir-XXXXXX", sub[64];
    int in = inotify_init1(IN_NONBLOCK);
    CHECK(mkdtemp(top));
    snprintf(sub, sizeof sub, "%s/d", top);
    CHECK(mkdir(sub, 0700) == 0 && inotify_add_watch(in, top, IN_ALL_EVENTS) > 0 && inotify_add_watch(in, sub, IN_ALL_EVENTS) > 0);
    CHECK(rmdir(sub) == 0 && next_event(in) == IN_DELETE_SELF && next_event(in) == IN_IGNORED);
    CHECK(next_event(in) == (IN_DELETE | IN_ISDIR));
    close(in);
    rmdir(top);
}

/* IN_EXCL_UNLINK: what is done through a descriptor whose name is gone is no news; a change of the inode still is. */
static void nameless_file(void)
{
    char top[] = "/tmp/inotify-excl-XXXXXX", path[128];
    struct pollfd p;
    CHECK(mkdtemp(top));
    snprintf(path, sizeof path, "%s/f", top);
    int f = open(path, O_RDWR | O_CREAT, 0600);
    fd = inotify_init1(IN_NONBLOCK);
    have = at = 0;
    CHECK(f >= 0 && fd >= 0 && inotify_add_watch(fd, top, IN_ALL_EVENTS | IN_EXCL_UNLINK) > 0);
    CHECK(inotify_add_watch(fd, path, IN_ALL_EVENTS | IN_EXCL_UNLINK) > 0);
    CHECK(unlink(path) == 0);
    expect(IN_ATTRIB, NULL);
    expect(IN_DELETE, "f");
    CHECK(write(f, "x", 1) == 1);
    p = (struct pollfd){ fd, POLLIN, 0 };
    CHECK(poll(&p, 1, 50) == 0);
    CHECK(ftruncate(f, 0) == 0);
    expect(IN_MODIFY, "f");
    expect(IN_MODIFY, NULL);
    CHECK(fchmod(f, 0644) == 0);
    expect(IN_ATTRIB, "f");
    expect(IN_ATTRIB, NULL);
    CHECK(close(f) == 0);
    expect(IN_DELETE_SELF, NULL);
    expect(IN_IGNORED, NULL);
    close(fd);
    rmdir(top);
}

TEST_MAIN(CASE(directory_events), CASE(file_watch), CASE(errors), CASE(times_and_truncation), CASE(directory_goes), CASE(nameless_file))
