/* A gofer in a process of its own, jailed as in service, driven over the wire: what works, and what a hostile sentry tries. */
#include "gofer/gofer.h"
#include "sentry/base/log.h"
#include "sentry/hostjail/hostjail.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char top[64];
static int sock[2] = { -1, -1 };   /* our ends of two channels */
static pid_t gofer_pid;
static u8 rep[GOFER_PAYLOAD_MAX];
static u32 rep_len;
static int rep_fd;

static void put_file(const char *path, const char *text)
{
    char p[256];
    snprintf(p, sizeof p, "%s/%s", top, path);
    FILE *f = fopen(p, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static char *at(const char *path)
{
    static char p[256];
    snprintf(p, sizeof p, "%s/%s", top, path);
    return p;
}

static int start(void **state UNUSED)
{
    strcpy(top, "/tmp/gofer-test-XXXXXX");
    if (!mkdtemp(top)) return -1;
    chmod(top, 0755);
    mkdir(at("root"), 0755);
    mkdir(at("ro"), 0755);
    mkdir(at("root/dir"), 0755);
    put_file("secret", "outside");
    put_file("root/file", "hello");
    put_file("root/dir/inner", "inside");
    put_file("ro/file", "fixed");
    assert_int_equal(symlink("../secret", at("root/up")), 0);
    assert_int_equal(symlink("/etc/passwd", at("root/abs")), 0);
    assert_int_equal(symlink("dir", at("root/todir")), 0);
    assert_int_equal(mkfifo(at("root/fifo"), 0644), 0);
    int a[2], b[2];
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, a);
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b);
    gofer_pid = fork();
    if (gofer_pid == 0) {
        close(a[0]);
        close(b[0]);
        log_init("gofer", 2, LOG_DEBUG);
        struct gofer_root roots[2] = { { open(at("root"), O_PATH | O_CLOEXEC), 0, 0 }, { open(at("ro"), O_PATH | O_CLOEXEC), PLAN_ROOT_RO, 0 } };
        int proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        umask(0);
        struct hostjail_opts jail = { .name = "gofer", .keep_caps = 1ULL << 0 | 1ULL << 1 | 1ULL << 3 | 1ULL << 4, .empty_root = true, .trap = true };
        if (watch_init() || hostjail_enter(&jail) || gofer_init(roots, 2, proc_fd, 1000) || hostjail_load_filter(&jail) ) _exit(3);
        watch_start(0);
        int socks[2] = { a[1], b[1] };
        _exit(gofer_serve(socks, 2) ? 4 : 0);
    }
    close(a[1]);
    close(b[1]);
    sock[0] = a[0];
    sock[1] = b[0];
    return 0;
}

static int stop(void **state UNUSED)
{
    int status = 0;
    close(sock[0]);
    close(sock[1]);
    waitpid(gofer_pid, &status, 0);
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", top);
    if (system(cmd)) return -1;
    if (status) fprintf(stderr, "gofer ended with status %#x\n", status);
    return status ? -1 : 0;
}

static ssize_t raw(int s, const void *p, size_t n) { return send(s, p, n, MSG_NOSIGNAL); }

/* Sends a request made of parts and receives; err of the reply, or 1 when the channel was closed. */
static int call(int s, u32 op, const void *p, u32 n, const char *s1, const char *s2)
{
    u8 buf[sizeof(struct rpc_hdr) + GOFER_PAYLOAD_MAX];
    u32 len = n;
    memcpy(buf + 16, p, n);
    const char *strs[2] = { s1, s2 };
    for (int i = 0; i < 2; i++)
        if (strs[i]) {
            memcpy(buf + 16 + len, strs[i], strlen(strs[i]) + 1);
            len += (u32)strlen(strs[i]) + 1;
        }
    static u32 seq;
    struct rpc_hdr h = { GOFER_MAGIC | op, ++seq, len, 0 }, r;
    memcpy(buf, &h, 16);
    assert_int_equal(raw(s, buf, 16 + len), 16 + len);
    struct iovec iov[2] = { { &r, sizeof r }, { rep, sizeof rep } };
    char ctl[CMSG_SPACE(sizeof(int))];
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl, .msg_controllen = sizeof ctl };
    ssize_t got = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
    if (got <= 0) return 1;
    assert_true(got >= 16);
    assert_int_equal(r.seq, seq);
    assert_int_equal(r.len, got - 16);
    rep_len = r.len;
    rep_fd = -1;
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
    if (cm) memcpy(&rep_fd, CMSG_DATA(cm), sizeof(int));
    return r.err;
}

static struct gofer_node *node(u32 i)
{
    u8 *p = rep;
    for (; i; i--) {
        struct gofer_node *n = (void *)p;
        p += sizeof *n + ((n->link_len + 7) & ~7u);
    }
    return (void *)p;
}

static struct gofer_node *walked(u32 i)
{
    u8 *p = rep + sizeof(struct gofer_walk_rep);
    for (; i; i--) {
        struct gofer_node *n = (void *)p;
        p += sizeof *n + ((n->link_len + 7) & ~7u);
    }
    return (void *)p;
}

static gofer_handle attach(u32 root, u32 flags)
{
    struct gofer_attach_req q = { root, flags };
    assert_int_equal(call(sock[0], GOFER_ATTACH, &q, sizeof q, NULL, NULL), 0);
    return node(0)->h;
}

static struct gofer_walk_rep walk(gofer_handle dir, const char *a, const char *b, u32 flags)
{
    struct gofer_walk_req q = { dir, b ? 2 : 1, flags };
    assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, a, b), 0);
    struct gofer_walk_rep r;
    memcpy(&r, rep, sizeof r);
    return r;
}

static void hello_gives_a_sealed_page(void **state UNUSED)
{
    u32 v = GOFER_VERSION;
    assert_int_equal(call(sock[0], GOFER_HELLO, &v, sizeof v, NULL, NULL), 0);
    assert_true(rep_fd >= 0);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rep_fd, 0), MAP_FAILED);
    assert_int_not_equal(ftruncate(rep_fd, 0), 0);
    assert_int_equal(write(rep_fd, "x", 1), -1);
    close(rep_fd);
}

static void walk_open_read(void **state UNUSED)
{
    gofer_handle root = attach(0, 0);
    struct gofer_walk_rep r = walk(root, "dir", "inner", GOFER_WALK_OPEN);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.err, 0);
    assert_true(S_ISREG(walked(1)->attr.mode));
    assert_int_equal(walked(1)->attr.size, 6);
    char buf[8] = "";
    assert_true(rep_fd >= 0);
    assert_int_equal(read(rep_fd, buf, 8), 6);
    assert_string_equal(buf, "inside");
    assert_int_equal(write(rep_fd, "x", 1), -1);
    close(rep_fd);
    r = walk(root, "nothing", "more", 0);
    assert_int_equal(r.count, 0);
    assert_int_equal(r.err, -ENOENT);
    r = walk(root, "file", "more", 0);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.err, -ENOTDIR);
}

static void symlinks_are_told_not_followed(void **state UNUSED)
{
    gofer_handle root = attach(0, 0);
    static const char *const links[][2] = { { "up", "../secret" }, { "abs", "/etc/passwd" }, { "todir", "dir" } };
    for (unsigned i = 0; i < ARRAY_LEN(links); i++) {
        struct gofer_walk_rep r = walk(root, links[i][0], "inner", GOFER_WALK_OPEN);
        assert_int_equal(r.count, 1);
        assert_int_equal(r.err, 0);
        assert_int_equal(rep_fd, -1);
        struct gofer_node *n = walked(0);
        assert_true(S_ISLNK(n->attr.mode));
        assert_int_equal(n->link_len, strlen(links[i][1]));
        assert_memory_equal(n + 1, links[i][1], n->link_len);
        struct gofer_open_req o = { .h = n->h, .flags = O_RDONLY };
        struct gofer_walk_req q = { n->h, 1, 0 };
        assert_int_equal(call(sock[0], GOFER_OPEN, &o, sizeof o, NULL, NULL), -ELOOP);
        assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, "passwd", NULL), 0);
        assert_int_equal(((struct gofer_walk_rep *)(void *)rep)->count, 0);
    }
}

static void bad_names_are_refused(void **state UNUSED)
{
    gofer_handle root = attach(0, 0);
    char longname[300];
    memset(longname, 'a', 299);
    longname[299] = 0;
    const char *bad[] = { "..", ".", "", "a/b", "/", "../secret", "dir/../../secret", longname };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct gofer_walk_req q = { root, 1, 0 };
        struct gofer_create_req c = { .dir = root, .mode = 0644 };
        struct gofer_unlink_req u = { .dir = root };
        struct gofer_rename_req m = { .odir = root, .ndir = root };
        struct gofer_link_req l = { root, root };
        assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, bad[i], NULL), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, bad[i], NULL), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_MKDIR, &c, sizeof c, bad[i], NULL), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_SYMLINK, &c, sizeof c, bad[i], "x"), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, bad[i], NULL), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "file", bad[i]), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, bad[i], "file"), -EBADMSG);
        assert_int_equal(call(sock[0], GOFER_LINK, &l, sizeof l, bad[i], NULL), -EBADMSG);
    }
    struct gofer_walk_req q = { root, 1, 0 };
    /* no NUL, more names than said, fewer than said */
    assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, NULL, NULL), -EBADMSG);
    assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, "a", "b"), -EBADMSG);
    q.nnames = GOFER_WALK_MAX + 1;
    assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, "a", "b"), -EBADMSG);
    assert_int_equal(call(sock[0], GOFER_WALK, &q, 5, NULL, NULL), -EBADMSG);
}

static void bad_handles(void **state UNUSED)
{
    gofer_handle root = attach(0, 0), bad[] = { 0, ~0ULL, root + (1ULL << 32), 999, 1u << 31 };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(call(sock[0], GOFER_GETATTR, &bad[i], 8, NULL, NULL), -EBADF);
        struct gofer_walk_req q = { bad[i], 1, 0 };
        assert_int_equal(call(sock[1], GOFER_WALK, &q, sizeof q, "file", NULL), -EBADF);
    }
    assert_int_equal(call(sock[1], GOFER_GETATTR, &root, 8, NULL, NULL), 0);
    struct rpc_hdr h = { GOFER_MAGIC | GOFER_RELEASE, 7, 24, 0 };
    u8 buf[40];
    gofer_handle three[3] = { root, root, 12345 };
    memcpy(buf, &h, 16);
    memcpy(buf + 16, three, 24);
    assert_int_equal(raw(sock[0], buf, 40), 40);
    assert_int_equal(call(sock[0], GOFER_GETATTR, &root, 8, NULL, NULL), -EBADF);
}

static void create_write_link_rename_unlink(void **state UNUSED)
{
    gofer_handle root = attach(0, GOFER_ATTACH_EXCLUSIVE);
    struct gofer_create_req c = { .dir = root, .mode = 0640, .uid = geteuid(), .gid = getegid() };
    assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, "new", NULL), 0);
    gofer_handle h = node(0)->h;
    assert_int_equal(node(0)->attr.mode, S_IFREG | 0640);
    assert_int_equal(write(rep_fd, "data", 4), 4);
    close(rep_fd);
    assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, "new", NULL), -EEXIST);
    struct gofer_link_req l = { root, h };
    assert_int_equal(call(sock[0], GOFER_LINK, &l, sizeof l, "hard", NULL), 0);
    assert_int_equal(node(0)->attr.nlink, 2);
    assert_int_equal(node(0)->attr.size, 4);
    struct gofer_rename_req m = { root, root, RENAME_NOREPLACE, 0 };
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "new", "file"), -EEXIST);
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "new", "renamed"), 0);
    m.flags = 0;
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "renamed", "again"), 0);
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "again", "renamed"), 0);
    m.flags = RENAME_WHITEOUT;
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "renamed", "w"), -EINVAL);
    struct gofer_unlink_req u = { root, 0, 0 };
    assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, "renamed", NULL), 0);
    assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, "renamed", NULL), -ENOENT);
    assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, "dir", NULL), -EISDIR);
    struct gofer_setattr_req s = { .h = h, .valid = GOFER_SET_MODE | GOFER_SET_SIZE | GOFER_SET_MTIME, .mode = 0600, .size = 2, .mtime = { 1000, 5, 0 } };
    assert_int_equal(call(sock[0], GOFER_SETATTR, &s, sizeof s, NULL, NULL), 0);
    assert_int_equal(node(0)->attr.size, 2);
    assert_int_equal(node(0)->attr.mtime.sec, 1000);
    assert_int_equal(call(sock[0], GOFER_MKDIR, &c, sizeof c, "sub", NULL), 0);
    u.flags = AT_REMOVEDIR;
    assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, "sub", NULL), 0);
    assert_int_equal(call(sock[0], GOFER_SYMLINK, &c, sizeof c, "sl", "some/where"), 0);
    assert_int_equal(node(0)->link_len, 10);
    gofer_handle sl = node(0)->h;
    assert_int_equal(call(sock[0], GOFER_READLINK, &sl, 8, NULL, NULL), 0);
    assert_int_equal(rep_len, 10);
    /* a link to the symlink itself, not to what it names */
    l.target = sl;
    assert_int_equal(call(sock[0], GOFER_LINK, &l, sizeof l, "sl2", NULL), 0);
    assert_int_equal(node(0)->attr.nlink, 2);
    s = (struct gofer_setattr_req){ .h = sl, .valid = GOFER_SET_MTIME, .mtime = { 77, 0, 0 } };
    assert_int_equal(call(sock[0], GOFER_SETATTR, &s, sizeof s, NULL, NULL), 0);
    assert_int_equal(node(0)->attr.mtime.sec, 77);
    assert_int_equal(call(sock[0], GOFER_TMPFILE, &c, sizeof c, NULL, NULL), 0);
    assert_int_equal(node(0)->attr.nlink, 0);
    l.target = node(0)->h;
    close(rep_fd);
    assert_int_equal(call(sock[0], GOFER_LINK, &l, sizeof l, "fromtmp", NULL), 0);
    assert_int_equal(node(0)->attr.nlink, 1);
}

static void owners(void **state)
{
    if (geteuid()) skip();
    (void)state;
    gofer_handle root = attach(0, 0);
    struct gofer_create_req c = { .dir = root, .mode = 0600, .uid = 1234, .gid = 555 };
    assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, "theirs", NULL), 0);
    assert_int_equal(node(0)->attr.uid, 1234);
    assert_int_equal(node(0)->attr.gid, 555);
    close(rep_fd);
}

static void policy(void **state UNUSED)
{
    gofer_handle root = attach(0, 0), ro = attach(1, 0);
    struct gofer_create_req c = { .dir = ro, .mode = 0644 };
    assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, "x", NULL), -EROFS);
    assert_int_equal(call(sock[0], GOFER_MKDIR, &c, sizeof c, "x", NULL), -EROFS);
    struct gofer_unlink_req u = { ro, 0, 0 };
    assert_int_equal(call(sock[0], GOFER_UNLINK, &u, sizeof u, "file", NULL), -EROFS);
    struct gofer_walk_rep r = walk(ro, "file", NULL, 0);
    assert_int_equal(r.count, 1);
    gofer_handle f = walked(0)->h;
    struct gofer_open_req o = { .h = f, .flags = O_RDWR };
    assert_int_equal(call(sock[0], GOFER_OPEN, &o, sizeof o, NULL, NULL), -EROFS);
    o.flags = O_RDONLY | O_TRUNC;
    assert_int_equal(call(sock[0], GOFER_OPEN, &o, sizeof o, NULL, NULL), -EROFS);
    o.flags = O_RDONLY | O_CREAT;
    assert_int_equal(call(sock[0], GOFER_OPEN, &o, sizeof o, NULL, NULL), -EBADMSG);
    struct gofer_setattr_req s = { .h = f, .valid = GOFER_SET_MODE, .mode = 0777 };
    assert_int_equal(call(sock[0], GOFER_SETATTR, &s, sizeof s, NULL, NULL), -EROFS);
    struct gofer_link_req l = { root, f };
    assert_int_equal(call(sock[0], GOFER_LINK, &l, sizeof l, "stolen", NULL), -EXDEV);
    struct gofer_rename_req m = { ro, root, 0, 0 };
    assert_int_equal(call(sock[0], GOFER_RENAME, &m, sizeof m, "file", "stolen"), -EXDEV);

    c = (struct gofer_create_req){ .dir = root, .mode = S_IFCHR | 0666 };
    assert_int_equal(call(sock[0], GOFER_MKNOD, &c, sizeof c, "dev", NULL), -EPERM);
    c.mode = S_IFBLK | 0666;
    assert_int_equal(call(sock[0], GOFER_MKNOD, &c, sizeof c, "dev", NULL), -EPERM);
    c.mode = S_IFIFO | 0666;
    assert_int_equal(call(sock[0], GOFER_MKNOD, &c, sizeof c, "fifo2", NULL), 0);
    c.mode = 04755;
    assert_int_equal(call(sock[0], GOFER_CREATE, &c, sizeof c, "suid", NULL), -EPERM);
    walk(root, "file", NULL, 0);
    s = (struct gofer_setattr_req){ .h = walked(0)->h, .valid = GOFER_SET_MODE, .mode = 04755 };
    assert_int_equal(call(sock[0], GOFER_SETATTR, &s, sizeof s, NULL, NULL), -EPERM);
    walk(root, "fifo", NULL, 0);
    o = (struct gofer_open_req){ .h = walked(0)->h, .flags = O_RDONLY };
    assert_int_equal(call(sock[0], GOFER_OPEN, &o, sizeof o, NULL, NULL), -ENXIO);
    walk(root, "file", NULL, 0);
    struct gofer_xattr_req x = { .h = walked(0)->h, .flags = 0, .size = 1 };
    assert_int_equal(call(sock[0], GOFER_SETXATTR, &x, sizeof x, "security.capability", ""), -EOPNOTSUPP);
    assert_int_equal(call(sock[0], GOFER_SETXATTR, &x, sizeof x, "trusted.x", ""), -EOPNOTSUPP);
    assert_int_equal(call(sock[0], GOFER_GETXATTR, &x, sizeof x, "user.none", NULL), -ENODATA);
}

static void readdir_is_whole(void **state UNUSED)
{
    gofer_handle root = attach(0, 0);
    struct gofer_create_req c = { .dir = root, .mode = 0755 };
    assert_int_equal(call(sock[0], GOFER_MKDIR, &c, sizeof c, "many", NULL), 0);
    gofer_handle dir = node(0)->h;
    char name[64];
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "root/many/entry-%d", i);
        put_file(name, "");
    }
    u64 cookie = 0;
    unsigned n = 0, rounds = 0;
    for (bool eof = false; !eof; rounds++) {
        struct gofer_readdir_req q = { dir, cookie, 8192, 0 };
        assert_int_equal(call(sock[0], GOFER_READDIR, &q, sizeof q, NULL, NULL), 0);
        struct gofer_readdir_rep r;
        memcpy(&r, rep, sizeof r);
        u32 pos = sizeof r;
        for (u32 i = 0; i < r.count; i++) {
            struct gofer_dirent e;
            memcpy(&e, rep + pos, sizeof e);
            assert_int_equal(strlen((char *)rep + pos + sizeof e), e.namelen);
            cookie = e.next;
            pos += e.len;
            n++;
        }
        assert_true(pos == rep_len);
        eof = r.eof;
    }
    assert_int_equal(n, 702);
    assert_true(rounds > 3);
}

static void changes_move_the_counters(void **state UNUSED)
{
    u32 v = GOFER_VERSION;
    assert_int_equal(call(sock[0], GOFER_HELLO, &v, sizeof v, NULL, NULL), 0);
    const struct gofer_gen *page = mmap(NULL, sizeof *page * GOFER_GEN_SLOTS, PROT_READ, MAP_SHARED, rep_fd, 0);
    close(rep_fd);
    assert_ptr_not_equal(page, MAP_FAILED);
    gofer_handle root = attach(0, 0);
    assert_int_equal(mkdir(at("root/watched"), 0755), 0);
    struct gofer_walk_rep r = walk(root, "watched", "absent", 0);
    assert_int_equal(r.count, 1);
    gofer_handle dir = walked(0)->h;
    assert_true(r.neg_dir == dir);
    const struct gofer_gen *s = &page[GOFER_HANDLE_INDEX(dir) % GOFER_GEN_SLOTS];
    assert_int_equal(atomic_load(&s->names), r.neg_gen.names);
    put_file("root/watched/absent", "x");
    for (int i = 0; i < 1000 && atomic_load(&s->names) == r.neg_gen.names; i++) usleep(1000);
    assert_int_not_equal(atomic_load(&s->names), r.neg_gen.names);
}

static void node_table_is_bounded(void **state UNUSED)
{
    gofer_handle root = attach(0, GOFER_ATTACH_EXCLUSIVE);
    struct gofer_walk_req q = { root, 1, 0 };
    int full = 0;
    static gofer_handle got[1200];
    u32 n = 0;
    for (int i = 0; i < 1200 && !full; i++) {
        assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, "file", NULL), 0);
        struct gofer_walk_rep *r = (void *)rep;
        if (r->count) got[n++] = walked(0)->h;
        else full = r->err;
    }
    assert_int_equal(full, -ENFILE);
    for (u32 i = 0; i < n; i += 100) {
        u8 buf[16 + 800];
        u32 k = MIN(n - i, 100u);
        struct rpc_hdr h = { GOFER_MAGIC | GOFER_RELEASE, 7, k * 8, 0 };
        memcpy(buf, &h, 16);
        memcpy(buf + 16, got + i, k * 8);
        raw(sock[0], buf, 16 + k * 8);
    }
    assert_int_equal(call(sock[0], GOFER_WALK, &q, sizeof q, "file", NULL), 0);
    assert_int_equal(((struct gofer_walk_rep *)(void *)rep)->count, 1);
}

/* Last: it costs a channel. The other one goes on. */
static void malformed_packets_close_the_channel(void **state UNUSED)
{
    u32 op = GOFER_OP_END + 7;
    assert_int_equal(call(sock[1], op, &op, 4, NULL, NULL), -EBADMSG);
    struct rpc_hdr h = { GOFER_MAGIC | GOFER_GETATTR, 1, 4000, 0 };
    raw(sock[1], &h, sizeof h);
    char c;
    assert_true(recv(sock[1], &c, 1, 0) <= 0);
    attach(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_gives_a_sealed_page), cmocka_unit_test(walk_open_read),
        cmocka_unit_test(symlinks_are_told_not_followed), cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(bad_handles), cmocka_unit_test(create_write_link_rename_unlink), cmocka_unit_test(owners),
        cmocka_unit_test(policy), cmocka_unit_test(readdir_is_whole), cmocka_unit_test(changes_move_the_counters),
        cmocka_unit_test(node_table_is_bounded), cmocka_unit_test(malformed_packets_close_the_channel),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
