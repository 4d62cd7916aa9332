/* The gofer's client file system against a real gofer process: lookups, caching, data, names, and the gofer's death. */
#include "gofer/gofer.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/task.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char top[64];
static pid_t gofer_pid;
static struct gofer_client *client;
static struct super *shared, *excl;
static struct task self;

static char *at(const char *path)
{
    static char p[256];
    snprintf(p, sizeof p, "%s/%s", top, path);
    return p;
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(at(path), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int start(void **state UNUSED)
{
    strcpy(top, "/tmp/gofer-fs-XXXXXX");
    if (!mkdtemp(top)) return -1;
    mkdir(at("s"), 0755);
    mkdir(at("x"), 0755);
    mkdir(at("s/a"), 0755);
    mkdir(at("s/a/b"), 0755);
    put_file("s/a/b/deep", "deep text");
    put_file("s/file", "hello");
    put_file("x/file", "mine");
    int sv[2][2];
    for (int i = 0; i < 2; i++) socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv[i]);
    gofer_pid = fork();
    if (gofer_pid == 0) {
        close(sv[0][0]);
        close(sv[1][0]);
        struct gofer_root roots[2] = { { open(at("s"), O_PATH | O_CLOEXEC), 0, 0 }, { open(at("x"), O_PATH | O_CLOEXEC), 0, 0 } };
        umask(0);
        if (watch_init() || gofer_init(roots, 2, open("/proc/self/fd", O_PATH | O_CLOEXEC), 500) ) _exit(3);
        watch_start(0);
        int socks[2] = { sv[0][1], sv[1][1] };
        _exit(gofer_serve(socks, 2) ? 4 : 0);
    }
    close(sv[0][1]);
    close(sv[1][1]);
    self.cred = cred_new(geteuid(), getegid(), ~0ULL);
    current = &self;
    if (gofer_client_new(sv[0][0], &client) || gofer_client_add_channel(client, sv[1][0])) return -1;
    return gofer_fs_new(client, 0, 0, &shared) || gofer_fs_new(client, 1, GOFER_FS_EXCLUSIVE, &excl);
}

static int stop(void **state UNUSED)
{
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", top);
    return system(cmd);
}

static u32 messages(void) { return atomic_load(&client->rpc.seq); }

/* Looks a child up the way the VFS's walk does. */
static struct dentry *look(struct dentry *parent, const char *name, const char *rest)
{
    struct dentry *d = dentry_lookup_cached(parent, name, strlen(name));
    if (d && !parent->sb->case_cache_forever && gofer_d_revalidate(d) != 1) {
        dentry_drop(d);
        dentry_put(d);
        d = NULL;
    }
    if (d) return d;
    vfs_lookup_ahead = rest;
    int err = dentry_lookup(parent, name, strlen(name), &d);
    vfs_lookup_ahead = NULL;
    assert_int_equal(err, 0);
    return d;
}

static struct file *open_file(struct dentry *d, u32 flags)
{
    struct path p = { NULL, d };
    struct file *f = NULL;
    assert_non_null(d->inode);
    f = file_new(d->inode->fops, NULL, d->inode, flags);
    (void)p;
    assert_int_equal(d->inode->ops->open ? d->inode->ops->open(d->inode, d, f) : 0, 0);
    return f;
}

static void a_path_costs_one_message(void **state UNUSED)
{
    u32 before = messages();
    struct dentry *a = look(shared->root, "a", "b/deep");
    struct dentry *b = look(a, "b", "deep");
    struct dentry *f = look(b, "deep", "");
    assert_int_equal(messages() - before, 1);
    assert_int_equal(f->inode->size, 9);
    /* and none the second time: the watch vouches */
    before = messages();
    struct dentry *a2 = look(shared->root, "a", NULL), *b2 = look(a2, "b", NULL), *f2 = look(b2, "deep", NULL);
    assert_ptr_equal(f, f2);
    struct kstat st;
    assert_int_equal(gofer_getattr(f->inode, &st), 0);
    assert_int_equal(messages() - before, 0);
    dentry_put(a), dentry_put(b), dentry_put(f), dentry_put(a2), dentry_put(b2), dentry_put(f2);
}

static void absence_is_cached_until_it_ends(void **state UNUSED)
{
    struct dentry *d = look(shared->root, "later", NULL);
    assert_null(d->inode);
    dentry_put(d);
    u32 before = messages();
    d = look(shared->root, "later", NULL);
    assert_int_equal(messages(), before);
    assert_null(d->inode);
    dentry_put(d);
    put_file("s/later", "came");
    for (int i = 0; i < 500; i++) {
        d = look(shared->root, "later", NULL);
        bool there = d->inode;
        dentry_put(d);
        if (there) return;
        usleep(1000);
    }
    fail();
}

static ssize_t put(struct file *f, const char *s, u64 *pos)
{
    struct uio u;
    uio_init_kernel(&u, (void *)(uintptr_t)s, strlen(s));
    ssize_t n = f->ops->write(f, &u, pos, 0);
    uio_fini(&u);
    return n;
}

static void data_go_through_the_descriptor(void **state UNUSED)
{
    struct dentry *d = look(excl->root, "file", NULL);
    struct file *f = open_file(d, O_RDWR), *g = open_file(d, O_WRONLY | O_APPEND);
    u32 before = messages();
    u64 pos = 4;
    assert_int_equal(put(f, " and yours", &pos), 10);
    pos = 0;
    assert_int_equal(put(g, "!", &pos), 1);
    char buf[32] = "";
    struct uio u;
    uio_init_kernel(&u, buf, sizeof buf - 1);
    pos = 0;
    assert_int_equal(f->ops->read(f, &u, &pos, 0), 15);
    uio_fini(&u);
    assert_string_equal(buf, "mine and yours!");
    struct kstat st;
    assert_int_equal(gofer_getattr(d->inode, &st), 0);
    assert_int_equal(st.size, 15);
    struct kattr a = { .valid = ATTR_SIZE, .size = 4 };
    assert_int_equal(gofer_setattr(d->inode, d, &a), 0);
    assert_int_equal(gofer_getattr(d->inode, &st), 0);
    assert_int_equal(st.size, 4);
    struct backing bk;
    assert_int_equal(d->inode->map.ops->page(&d->inode->map, 0, true, &bk), 0);
    assert_int_equal(bk.kind, BACKING_HOSTFD);
    assert_int_equal(d->inode->map.ops->page(&d->inode->map, 1, false, &bk), -ENXIO);
    assert_int_equal(messages(), before);
    file_put(f);
    file_put(g);
    dentry_put(d);
}

static void names_change(void **state UNUSED)
{
    struct inode *root = excl->root->inode;
    struct dentry *d = look(excl->root, "new", NULL);
    assert_null(d->inode);
    lock(&root->lock);
    assert_int_equal(root->ops->create(root, d, S_IFREG | 0640), 0);
    unlock(&root->lock);
    assert_int_equal(d->inode->mode, S_IFREG | 0640);
    struct dentry *l = look(excl->root, "hard", NULL), *s = look(excl->root, "sym", NULL), *m = look(excl->root, "sub", NULL);
    lock(&root->lock);
    assert_int_equal(root->ops->link(root, l, d->inode, d), 0);
    assert_int_equal(root->ops->symlink(root, s, "some/target"), 0);
    assert_int_equal(root->ops->mkdir(root, m, 0755), 0);
    unlock(&root->lock);
    assert_ptr_equal(l->inode, d->inode);
    struct kstat st;
    assert_int_equal(gofer_getattr(d->inode, &st), 0);
    assert_int_equal(st.nlink, 2);
    char *t;
    assert_int_equal(s->inode->ops->readlink(s->inode, &t), 0);
    assert_string_equal(t, "some/target");
    free(t);
    lock(&root->lock);
    assert_int_equal(root->ops->unlink(root, l), 0);
    assert_int_equal(root->ops->rmdir(root, m), 0);
    assert_int_equal(root->ops->mknod(root, m, S_IFCHR | 0600, 0x103), -EPERM);
    unlock(&root->lock);
    assert_int_equal(gofer_getattr(d->inode, &st), 0);
    assert_int_equal(st.nlink, 1);
    assert_int_equal(access(at("x/new"), F_OK), 0);
    assert_int_not_equal(access(at("x/hard"), F_OK), 0);
    dentry_put(d), dentry_put(l), dentry_put(s), dentry_put(m);
}

static void descriptors_are_shared_and_given_back(void **state UNUSED)
{
    struct dentry *d = look(excl->root, "file", NULL);
    struct file *many[300];
    u32 before = messages();
    for (unsigned i = 0; i < ARRAY_LEN(many); i++) many[i] = open_file(d, O_RDONLY);
    assert_true(messages() - before <= 1);
    for (unsigned i = 0; i < ARRAY_LEN(many); i++) file_put(many[i]);
    assert_int_equal(GI(d->inode)->pins, 0);
    assert_true(gofer_fds_shrink(client, 0));
    assert_int_equal(gi_read_fd(GI(d->inode)), -1);
    dentry_put(d);
}

struct counter { struct dir_sink sink; unsigned n, max; };
static bool count(struct dir_sink *s, const char *name UNUSED, size_t len UNUSED, u64 ino UNUSED, u8 dtype UNUSED, u64 next UNUSED)
{
    struct counter *c = container_of(s, struct counter, sink);
    return c->n < c->max ? ++c->n : false;
}

static void directories_are_read_whole(void **state UNUSED)
{
    mkdir(at("x/big"), 0755);
    char name[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "x/big/a-rather-long-entry-name-%d", i);
        put_file(name, "");
    }
    struct dentry *d = look(excl->root, "big", NULL);
    struct file *f = open_file(d, O_RDONLY | O_DIRECTORY);
    struct counter c = { .sink.emit = count, .max = 1000 };
    assert_int_equal(f->ops->readdir(f, &c.sink), 0);
    c.max = 100000;
    assert_int_equal(f->ops->readdir(f, &c.sink), 0);
    assert_int_equal(c.n, 3002);
    file_put(f);
    /* more names than the gofer has nodes: unused ones are given up */
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "a-rather-long-entry-name-%d", i);
        struct dentry *e = look(d, name, NULL);
        assert_non_null(e->inode);
        dentry_put(e);
    }
    dentry_put(d);
}

/* Last. */
static void a_dead_gofer_is_an_error_not_a_hang(void **state UNUSED)
{
    kill(gofer_pid, SIGKILL);
    waitpid(gofer_pid, NULL, 0);
    struct dentry *d;
    assert_int_equal(dentry_lookup(excl->root, "unseen", 6, &d), -EIO);
    assert_int_equal(dentry_lookup(excl->root, "unseen", 6, &d), -EIO);
    super_put(shared);
    super_put(excl);
    gofer_client_put(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_costs_one_message), cmocka_unit_test(absence_is_cached_until_it_ends),
        cmocka_unit_test(data_go_through_the_descriptor), cmocka_unit_test(names_change),
        cmocka_unit_test(descriptors_are_shared_and_given_back), cmocka_unit_test(directories_are_read_whole),
        cmocka_unit_test(a_dead_gofer_is_an_error_not_a_hang),
    };
    signal(SIGPIPE, SIG_IGN);
    log_init("gofer-fs-test", 2, LOG_WARN);
    return cmocka_run_group_tests(tests, start, stop);
}
