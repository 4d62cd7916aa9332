/* A task without platform or guest, enough to drive the VFS: root's credentials, a tmpfs as root, a descriptor table. */
#ifndef TESTS_UNIT_VFS_FIXTURE_H
#define TESTS_UNIT_VFS_FIXTURE_H

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

static struct tgroup fake_tg;
static struct task fake_task;

static inline void vfs_fixture_start(struct super *root)
{
    static bool once;
    if (!once) {
        assert_int_equal(memfile_init(64 << 20), 0);
        once = true;
    }
    fake_tg.tgid = 1;
    lock_init(&fake_tg.rlim_lock, LC_LEAF);
    for (int i = 0; i < KRLIM_NLIMITS; i++) fake_tg.rlim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
    fake_tg.rlim[RLIMIT_NOFILE] = (struct rlimit){ 1024, 1024 };
    fake_task.tg = &fake_tg;
    fake_task.tid = 1;
    lock_init(&fake_task.lock, LC_FS);
    if (!fake_task.cred) fake_task.cred = cred_new(0, 0, ~0ULL);
    current = &fake_task;
    if (!root) assert_int_equal(tmpfs_new(0, 0755, 0, 0, &root), 0);
    struct mnt_ns *ns = mnt_ns_new(root, 0, "none");
    super_put(root);
    fake_task.fs = fs_context_new(ns);
    mnt_ns_put(ns);
    fake_task.fs->umask = 022;
    fake_task.files = fdtable_new();
}

static inline void vfs_fixture_stop(void)
{
    fdtable_put(fake_task.files);
    fs_context_put(fake_task.fs);
    cred_put(fake_task.cred);
    fake_task.cred = NULL;
    current = NULL;
}

static inline void as_user(u32 uid)
{
    cred_put(fake_task.cred);
    fake_task.cred = cred_new(uid, uid, uid ? 0 : ~0ULL);
}

static inline int topen(const char *path, u32 flags, u32 mode)
{
    struct file *f;
    int r = vfs_open(AT_FDCWD, path, &(struct open_how_k){ .flags = flags, .mode = mode }, &f);
    return r ? r : fd_install(f, false);
}
static inline ssize_t twrite(int fd, const void *buf, size_t n)
{
    struct file *f = fd_get(fd);
    struct uio u;
    uio_init_kernel(&u, (void *)(uintptr_t)buf, n);
    ssize_t r = vfs_write(f, &u, 0);
    uio_fini(&u);
    file_put(f);
    return r;
}
static inline ssize_t tread(int fd, void *buf, size_t n)
{
    struct file *f = fd_get(fd);
    struct uio u;
    uio_init_kernel(&u, buf, n);
    ssize_t r = vfs_read(f, &u, 0);
    uio_fini(&u);
    file_put(f);
    return r;
}
static inline s64 tseek(int fd, s64 off, int whence)
{
    struct file *f = fd_get(fd);
    s64 r = vfs_llseek(f, off, whence);
    file_put(f);
    return r;
}
static inline void tput(const char *path, const char *text)
{
    int fd = topen(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(twrite(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fd_close(fd), 0);
}
static inline char *tget(const char *path)
{
    static char buf[256];
    int fd = topen(path, O_RDONLY, 0);
    if (fd < 0) {
        snprintf(buf, sizeof(buf), "error %d", fd);
        return buf;
    }
    ssize_t n = tread(fd, buf, sizeof(buf) - 1);
    buf[n < 0 ? 0 : n] = 0;
    fd_close(fd);
    return buf;
}
static inline u64 tino(const char *path)
{
    struct kstat st;
    return vfs_stat(AT_FDCWD, path, 0, &st) ? 0 : st.ino;
}

/* Names of a directory, sorted by arrival, joined with spaces. */
struct tlist { struct dir_sink sink; char text[4096]; int room; u64 last; };
static inline bool tlist_emit(struct dir_sink *s, const char *name, size_t len, u64 ino UNUSED, u8 type UNUSED, u64 next)
{
    struct tlist *l = container_of(s, struct tlist, sink);
    if (l->room-- <= 0) return false;
    l->last = next;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))) return true;
    snprintf(l->text + strlen(l->text), sizeof(l->text) - strlen(l->text), "%s%.*s", *l->text ? " " : "", (int)len, name);
    return true;
}
static inline char *tls(const char *path)
{
    static struct tlist l;
    l = (struct tlist){ .sink.emit = tlist_emit, .room = 100000 };
    int fd = topen(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return strcpy(l.text, "error");
    struct file *f = fd_get(fd);
    vfs_readdir(f, &l.sink);
    file_put(f);
    fd_close(fd);
    return l.text;
}

#endif
