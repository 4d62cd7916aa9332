/* Names, files, permission and descriptors over a tmpfs root. */
#include "tests/unit/vfs_fixture.h"
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>

static int setup(void **s UNUSED)
{
    vfs_fixture_start(NULL);
    return 0;
}
static int teardown(void **s UNUSED)
{
    vfs_fixture_stop();
    return 0;
}

static void names(void **s UNUSED)
{
    struct kstat st;
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/d", 0777), 0);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/d", 0777), -EEXIST);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/d/e/", 0777), 0);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/x/e", 0777), -ENOENT);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/", 0777), -EEXIST);
    tput("/d/f", "hello");
    assert_string_equal(tget("/d/f"), "hello");
    assert_string_equal(tget("/d/../d/./f"), "hello");
    assert_int_equal(topen("/d/f/", O_RDONLY, 0), -ENOTDIR);
    assert_int_equal(topen("/d/f/g", O_RDONLY, 0), -ENOTDIR);
    assert_int_equal(topen("", O_RDONLY, 0), -ENOENT);
    assert_int_equal(topen("/d", O_WRONLY, 0), -EISDIR);
    assert_int_equal(topen("/d/f", O_CREAT | O_EXCL | O_RDWR, 0), -EEXIST);
    assert_int_equal(topen("/d/new/", O_CREAT | O_RDWR, 0), -EISDIR);
    assert_int_equal(vfs_stat(AT_FDCWD, "/d", 0, &st), 0);
    assert_int_equal(st.mode, S_IFDIR | 0755);
    assert_int_equal(st.nlink, 3);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d", 0), -EISDIR);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d", AT_REMOVEDIR), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/e/.", AT_REMOVEDIR), -EINVAL);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/e/..", AT_REMOVEDIR), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/f", AT_REMOVEDIR), -ENOTDIR);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/", AT_REMOVEDIR), -EBUSY);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/e", AT_REMOVEDIR), 0);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/e", AT_REMOVEDIR), -ENOENT);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/d/e", 0777), 0);
}

static void symlinks(void **s UNUSED)
{
    vfs_mkdir(AT_FDCWD, "/d", 0777);
    tput("/d/f", "x");
    assert_int_equal(vfs_symlink("d/f", AT_FDCWD, "/l"), 0);
    assert_string_equal(tget("/l"), "x");
    assert_int_equal(vfs_symlink("/d", AT_FDCWD, "/ld"), 0);
    assert_string_equal(tget("/ld/f"), "x");
    assert_string_equal(tget("/ld//../l"), "x");
    assert_int_equal(vfs_symlink("b", AT_FDCWD, "/a"), 0);
    assert_int_equal(vfs_symlink("a", AT_FDCWD, "/b"), 0);
    assert_int_equal(topen("/a", O_RDONLY, 0), -ELOOP);
    assert_int_equal(topen("/l", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
    int fd = topen("/l", O_PATH | O_NOFOLLOW, 0);
    assert_true(fd >= 0);
    char *t = NULL;
    assert_int_equal(vfs_readlink(fd, "", &t), 0);
    assert_string_equal(t, "d/f");
    free(t);
    /* Dangling: O_CREAT makes the target. */
    assert_int_equal(vfs_symlink("/d/made", AT_FDCWD, "/dang"), 0);
    tput("/dang", "made");
    assert_string_equal(tget("/d/made"), "made");
    assert_int_equal(vfs_unlink(AT_FDCWD, "/ld", AT_REMOVEDIR), -ENOTDIR);
    /* openat2 */
    struct path p;
    assert_int_equal(vfs_walk(AT_FDCWD, "l", WALK_FOLLOW | WALK_NO_SYMLINKS, &p), -ELOOP);
    assert_int_equal(vfs_walk(AT_FDCWD, "ld", WALK_FOLLOW | WALK_BENEATH, &p), -EXDEV);
    assert_int_equal(vfs_walk(AT_FDCWD, "/ld/../../d", WALK_FOLLOW | WALK_IN_ROOT, &p), 0);
    path_put(&p);
    assert_int_equal(vfs_walk(AT_FDCWD, "../d", WALK_BENEATH, &p), -EXDEV);
}

static void renames(void **s UNUSED)
{
    vfs_mkdir(AT_FDCWD, "/a", 0777);
    vfs_mkdir(AT_FDCWD, "/a/sub", 0777);
    vfs_mkdir(AT_FDCWD, "/b", 0777);
    tput("/f", "F");
    tput("/g", "G");
    assert_int_equal(vfs_rename(AT_FDCWD, "/a", AT_FDCWD, "/a/sub/x", 0), -EINVAL);
    assert_int_equal(vfs_rename(AT_FDCWD, "/b", AT_FDCWD, "/a", 0), -ENOTEMPTY);
    assert_int_equal(vfs_rename(AT_FDCWD, "/a/sub", AT_FDCWD, "/a", 0), -ENOTEMPTY);
    assert_int_equal(vfs_rename(AT_FDCWD, "/f", AT_FDCWD, "/a", 0), -EISDIR);
    assert_int_equal(vfs_rename(AT_FDCWD, "/a", AT_FDCWD, "/f", 0), -ENOTDIR);
    assert_int_equal(vfs_rename(AT_FDCWD, "/f", AT_FDCWD, "/g", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(vfs_rename(AT_FDCWD, "/f", AT_FDCWD, "/g", RENAME_EXCHANGE), 0);
    assert_string_equal(tget("/f"), "G");
    assert_int_equal(vfs_rename(AT_FDCWD, "/f", AT_FDCWD, "/a/sub/h", 0), 0);
    assert_string_equal(tget("/a/sub/h"), "G");
    assert_int_equal(topen("/f", O_RDONLY, 0), -ENOENT);
    assert_int_equal(vfs_rename(AT_FDCWD, "/a/sub", AT_FDCWD, "/b", 0), 0);
    assert_string_equal(tget("/b/h"), "G");
    assert_int_equal(vfs_link(AT_FDCWD, "/g", AT_FDCWD, "/g2", 0), 0);
    assert_int_equal(vfs_rename(AT_FDCWD, "/g", AT_FDCWD, "/g2", 0), 0);
    assert_string_equal(tget("/g"), "F");
    assert_int_equal(vfs_link(AT_FDCWD, "/a", AT_FDCWD, "/a2", 0), -EPERM);
    assert_int_equal(vfs_rename(AT_FDCWD, "/nope", AT_FDCWD, "/q", 0), -ENOENT);
    assert_int_equal(vfs_rename(AT_FDCWD, "/g/", AT_FDCWD, "/q", 0), -ENOTDIR);
    assert_int_equal(vfs_rename(AT_FDCWD, "/a/.", AT_FDCWD, "/q", 0), -EBUSY);
    assert_int_equal(vfs_chdir("/b"), 0);
    struct path cwd, root;
    char buf[64];
    fs_get_cwd(current->fs, &cwd);
    fs_get_root(current->fs, &root);
    assert_int_equal(vfs_rename(AT_FDCWD, "/b", AT_FDCWD, "/bb", 0), 0);
    assert_int_equal(vfs_path_text(&cwd, &root, buf, sizeof(buf)), 3);
    assert_string_equal(buf, "/bb");
    vfs_unlink(AT_FDCWD, "/bb/h", 0);
    assert_int_equal(vfs_unlink(AT_FDCWD, "../bb", AT_REMOVEDIR), 0);
    vfs_path_text(&cwd, &root, buf, sizeof(buf));
    assert_string_equal(buf, "/bb (deleted)");
    assert_int_equal(topen("x", O_CREAT | O_RDWR, 0600), -ENOENT);
    path_put(&cwd);
    path_put(&root);
}

static void contents(void **s UNUSED)
{
    int fd = topen("/f", O_CREAT | O_RDWR, 0600);
    char big[20000], back[20000];
    for (size_t i = 0; i < sizeof(big); i++) big[i] = (char)(i * 7 + i / 256);
    assert_int_equal(tseek(fd, 100001, SEEK_SET), 100001);
    assert_int_equal(twrite(fd, big, sizeof(big)), sizeof(big));
    assert_int_equal(tseek(fd, 0, SEEK_DATA), 98304);
    assert_int_equal(tseek(fd, 0, SEEK_HOLE), 0);
    assert_int_equal(tseek(fd, 98304, SEEK_HOLE), 120001);
    assert_int_equal(tseek(fd, 100001, SEEK_SET), 100001);
    assert_int_equal(tread(fd, back, sizeof(back)), sizeof(back));
    assert_memory_equal(big, back, sizeof(big));
    assert_int_equal(tread(fd, back, 10), 0);
    struct file *f = fd_get(fd);
    assert_int_equal(vfs_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100001, 9000), 0);
    tseek(fd, 100001, SEEK_SET);
    tread(fd, back, sizeof(back));
    for (int i = 0; i < 9000; i++) assert_int_equal(back[i], 0);
    assert_memory_equal(big + 9000, back + 9000, sizeof(big) - 9000);
    assert_int_equal(vfs_ftruncate(f, 100002), 0);
    assert_int_equal(vfs_ftruncate(f, 200000), 0);
    tseek(fd, 100002, SEEK_SET);
    tread(fd, back, sizeof(back));
    for (size_t i = 0; i < sizeof(back); i++) assert_int_equal(back[i], 0);
    assert_int_equal(tseek(fd, 200000, SEEK_DATA), -ENXIO);
    assert_int_equal(tseek(fd, -1, SEEK_SET), -EINVAL);
    assert_int_equal(tseek(fd, INT64_MAX, SEEK_END), -EINVAL);   /* negative, to vfs_setpos() */
    fake_tg.rlim[RLIMIT_FSIZE].rlim_cur = 10;
    tseek(fd, 5, SEEK_SET);
    assert_int_equal(twrite(fd, big, 100), 5);
    fake_tg.rlim[RLIMIT_FSIZE].rlim_cur = RLIM_INFINITY;
    file_put(f);
    /* A removed file lives on while it is open. */
    assert_int_equal(vfs_unlink(AT_FDCWD, "/f", 0), 0);
    tseek(fd, 0, SEEK_SET);
    assert_int_equal(tread(fd, back, 10), 10);
    fd_close(fd);
    u64 before = memfile_allocated();
    tput("/big", "x");
    vfs_truncate_path("/big", 0);
    vfs_unlink(AT_FDCWD, "/big", 0);
    assert_int_equal(memfile_allocated(), before);
}

static void permission(void **s UNUSED)
{
    vfs_mkdir(AT_FDCWD, "/t", 0777);
    vfs_chmod(AT_FDCWD, "/t", 01777, 0);
    vfs_mkdir(AT_FDCWD, "/p", 0700);
    tput("/t/root", "r");
    tput("/p/f", "r");
    as_user(1000);
    assert_int_equal(topen("/p/f", O_RDONLY, 0), -EACCES);
    assert_int_equal(topen("/t/root", O_RDWR, 0), -EACCES);
    assert_string_equal(tget("/t/root"), "r");
    assert_int_equal(vfs_unlink(AT_FDCWD, "/t/root", 0), -EPERM);
    tput("/t/mine", "m");
    assert_int_equal(vfs_chown(AT_FDCWD, "/t/mine", 0, ~0u, 0), -EPERM);
    assert_int_equal(vfs_chmod(AT_FDCWD, "/t/root", 0777, 0), -EPERM);
    assert_int_equal(vfs_chmod(AT_FDCWD, "/t/mine", 06777, 0), 0);
    struct kstat st;
    vfs_stat(AT_FDCWD, "/t/mine", 0, &st);
    assert_int_equal(st.mode & 07777, 06777);
    int fd = topen("/t/mine", O_WRONLY, 0);
    twrite(fd, "z", 1);
    vfs_stat(AT_FDCWD, "/t/mine", 0, &st);
    assert_int_equal(st.mode & 07777, 0777);
    assert_int_equal(topen("/t/root", O_RDONLY | O_NOATIME, 0), -EPERM);
    assert_int_equal(vfs_access(AT_FDCWD, "/t/root", W_OK, 0), -EACCES);
    assert_int_equal(vfs_utimens(AT_FDCWD, "/t/root", NULL, 0), -EACCES);
    assert_int_equal(vfs_utimens(AT_FDCWD, "/t/root", (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0), -EPERM);
    as_user(0);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/t/mine", 0), 0);
}

static void listing(void **s UNUSED)
{
    vfs_mkdir(AT_FDCWD, "/d", 0777);
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "/d/%d", i);
        tput(name, "");
    }
    int fd = topen("/d", O_RDONLY, 0), seen = 0;
    struct file *f = fd_get(fd);
    struct tlist l;
    /* Remove what was seen, as rm -r does, and add others: every old entry comes exactly once. */
    for (;;) {
        l = (struct tlist){ .sink.emit = tlist_emit, .room = 7 };
        assert_int_equal(vfs_readdir(f, &l.sink), 0);
        if (!*l.text) {
            if (l.room == 7) break;
            continue;
        }
        for (char *t = strtok(l.text, " "); t; t = strtok(NULL, " ")) {
            snprintf(name, sizeof(name), "/d/%s", t);
            assert_int_equal(vfs_unlink(AT_FDCWD, name, 0), 0);
            seen++;
        }
    }
    assert_int_equal(seen, 100);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d", AT_REMOVEDIR), 0);
    l = (struct tlist){ .sink.emit = tlist_emit, .room = 7 };
    assert_int_equal(vfs_readdir(f, &l.sink), -ENOENT);
    file_put(f);
}

static void descriptors(void **s UNUSED)
{
    int a = topen("/f", O_CREAT | O_RDWR, 0600), b = topen("/f", O_RDONLY, 0);
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
    struct file *f = fd_get(a);
    file_get(f);
    assert_int_equal(fd_install_min(f, 100, true), 100);
    assert_int_equal(fd_get_cloexec(100), 1);
    assert_int_equal(fd_install_min(f, 1024, true), -EINVAL);
    assert_int_equal(fd_install_at(f, 1024, true), -EBADF);
    file_get(f);
    assert_int_equal(fd_install_at(f, 1, false), 1);
    assert_int_equal(fd_close(0), 0);
    assert_int_equal(fd_close(0), -EBADF);
    for (int i = 0; i < 1022; i++) {
        file_get(f);
        assert_true(fd_install(f, false) >= 0);
    }
    assert_int_equal(fd_install(f, false), -EMFILE);
    fdtable_close_on_exec(current->files);
    assert_int_equal(fd_close_range(10, 2000, 0), 0);
    file_get(f);
    assert_int_equal(fd_install(f, false), 10);
    file_put(f);
}

static void locks(void **s UNUSED)
{
    int a = topen("/f", O_CREAT | O_RDWR, 0600), b = topen("/f", O_RDWR, 0);
    struct file *fa = fd_get(a), *fb = fd_get(b);
    struct klock k = { F_WRLCK, 0, 99, 0 }, q;
    assert_int_equal(vfs_setlk(fa, &k, true, false), 0);
    q = (struct klock){ F_RDLCK, 50, 60, 0 };
    assert_int_equal(vfs_setlk(fb, &q, true, false), -EAGAIN);
    assert_int_equal(vfs_getlk(fb, &q, true), 0);
    assert_int_equal(q.type, F_WRLCK);
    assert_int_equal(q.pid, -1);
    k = (struct klock){ F_UNLCK, 40, 69, 0 };
    assert_int_equal(vfs_setlk(fa, &k, true, false), 0);
    q = (struct klock){ F_RDLCK, 40, 69, 0 };
    assert_int_equal(vfs_setlk(fb, &q, true, false), 0);
    q = (struct klock){ F_RDLCK, 39, 39, 0 };
    assert_int_equal(vfs_setlk(fb, &q, true, false), -EAGAIN);
    assert_int_equal(vfs_flock(fa, LOCK_EX), 0);
    assert_int_equal(vfs_flock(fb, LOCK_SH | LOCK_NB), -EAGAIN);
    assert_int_equal(vfs_flock(fa, LOCK_SH), 0);
    assert_int_equal(vfs_flock(fb, LOCK_SH | LOCK_NB), 0);
    file_put(fa);
    fd_close(a);
    assert_int_equal(vfs_flock(fb, LOCK_EX | LOCK_NB), 0);
    file_put(fb);
}

static void memfd(void **s UNUSED)
{
    struct file *f, *g;
    assert_int_equal(memfd_create_file("n", MFD_ALLOW_SEALING, &f), 0);
    assert_int_equal(memfd_get_seals(f), 0);
    assert_int_equal(vfs_ftruncate(f, 4096), 0);
    assert_int_equal(memfd_add_seals(f, F_SEAL_GROW | F_SEAL_SHRINK), 0);
    assert_int_equal(vfs_ftruncate(f, 8192), -EPERM);
    assert_int_equal(vfs_ftruncate(f, 1), -EPERM);
    assert_int_equal(memfd_add_seals(f, F_SEAL_WRITE | F_SEAL_SEAL), 0);
    assert_int_equal(memfd_add_seals(f, F_SEAL_WRITE), -EPERM);
    struct uio u;
    uio_init_kernel(&u, "x", 1);
    assert_int_equal(vfs_write(f, &u, 0), -EPERM);
    char buf[64];
    vfs_path_text(&f->path, NULL, buf, sizeof(buf));
    assert_string_equal(buf, "/memfd:n (deleted)");
    assert_int_equal(vfs_open_path(&f->path, O_RDONLY, &g), 0);
    file_put(g);
    file_put(f);
}

static void mounts(void **s UNUSED)
{
    struct super *sb;
    struct path p;
    vfs_mkdir(AT_FDCWD, "/m", 0755);
    tmpfs_new(8 * 4096, 0755, 0, 0, &sb);
    vfs_walk(AT_FDCWD, "/m", 0, &p);
    assert_int_equal(vfs_mount(current->fs->ns, &p, sb, NULL, 0, "t"), 0);
    super_put(sb);
    path_put(&p);
    tput("/m/f", "inside");
    assert_string_equal(tget("/m/../m/f"), "inside");
    assert_int_equal(vfs_unlink(AT_FDCWD, "/m", AT_REMOVEDIR), -EBUSY);
    assert_int_equal(vfs_rename(AT_FDCWD, "/m/f", AT_FDCWD, "/f", 0), -EXDEV);
    int fd = topen("/m/f", O_RDWR, 0);
    char big[16 * 4096] = { 1 };
    assert_int_equal(twrite(fd, big, sizeof(big)), 8 * 4096);
    assert_int_equal(twrite(fd, big, 1), -ENOSPC);
    vfs_walk(AT_FDCWD, "/m", 0, &p);
    assert_int_equal(vfs_umount(&p, 0), -EBUSY);
    fd_close(fd);
    vfs_remount(&p, MNT_RDONLY);
    assert_int_equal(topen("/m/f", O_RDWR, 0), -EROFS);
    assert_int_equal(topen("/m/g", O_RDWR | O_CREAT, 0), -EROFS);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/m/f", 0), -EROFS);
    u64 before = memfile_allocated();
    assert_int_equal(vfs_umount(&p, 0), 0);
    path_put(&p);
    assert_true(memfile_allocated() < before);
    assert_int_equal(topen("/m/f", O_RDWR, 0), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, setup, teardown), cmocka_unit_test_setup_teardown(symlinks, setup, teardown),
        cmocka_unit_test_setup_teardown(renames, setup, teardown), cmocka_unit_test_setup_teardown(contents, setup, teardown),
        cmocka_unit_test_setup_teardown(permission, setup, teardown), cmocka_unit_test_setup_teardown(listing, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors, setup, teardown), cmocka_unit_test_setup_teardown(locks, setup, teardown),
        cmocka_unit_test_setup_teardown(memfd, setup, teardown), cmocka_unit_test_setup_teardown(mounts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
