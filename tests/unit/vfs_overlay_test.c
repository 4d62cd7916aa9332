/* The overlay over two tmpfs: copy-up, whiteouts, opaque directories, hard links, stable numbers, merged listings. */
#include "tests/unit/vfs_fixture.h"
#include <sys/xattr.h>

static struct super *lower, *ovl;
static struct mount *keep;     /* the lower must not be emptied when the namespace that filled it goes */

static int setup(void **s UNUSED)
{
    struct super *upper;
    vfs_fixture_start(NULL);
    vfs_fixture_stop();
    fake_task.cred = cred_new(0, 0, ~0ULL);
    current = &fake_task;
    assert_int_equal(tmpfs_new(0, 0750, 5, 6, &lower), 0);
    super_get(lower);
    keep = mount_new_internal(lower);
    vfs_fixture_start(lower);
    vfs_mkdir(AT_FDCWD, "/d", 0755);
    vfs_mkdir(AT_FDCWD, "/d/sub", 0755);
    vfs_mkdir(AT_FDCWD, "/empty", 0755);
    tput("/d/f", "lower");
    tput("/d/g", "g");
    tput("/d/sub/x", "x");
    vfs_link(AT_FDCWD, "/d/g", AT_FDCWD, "/d/g2", 0);
    vfs_symlink("d/f", AT_FDCWD, "/l");
    vfs_chmod(AT_FDCWD, "/d/f", 0640, 0);
    vfs_fixture_stop();
    fake_task.cred = cred_new(0, 0, ~0ULL);
    current = &fake_task;
    assert_int_equal(tmpfs_new(0, 0755, 0, 0, &upper), 0);
    assert_int_equal(overlay_new(lower, lower->root, upper, &ovl), 0);
    super_put(upper);
    vfs_fixture_start(ovl);
    return 0;
}
static int teardown(void **s UNUSED)
{
    vfs_fixture_stop();
    mount_put(keep);
    super_put(lower);
    return 0;
}

static void copy_up(void **s UNUSED)
{
    struct kstat a, b;
    assert_string_equal(tget("/d/f"), "lower");
    assert_string_equal(tget("/l"), "lower");
    assert_int_equal(vfs_stat(AT_FDCWD, "/d/f", 0, &a), 0);
    int ro = topen("/d/f", O_RDONLY, 0);
    int fd = topen("/d/f", O_WRONLY | O_APPEND, 0);
    assert_int_equal(twrite(fd, "+up", 3), 3);
    assert_int_equal(vfs_stat(AT_FDCWD, "/d/f", 0, &b), 0);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(a.dev, b.dev);
    assert_int_equal(b.mode, S_IFREG | 0640);
    assert_int_equal(b.size, 8);
    char buf[16];
    assert_int_equal(tread(ro, buf, sizeof(buf)), 8);      /* the older reader sees the copy */
    assert_string_equal(tget("/d/f"), "lower+up");
    assert_int_equal(vfs_stat(AT_FDCWD, "/", 0, &b), 0);
    assert_int_equal(b.mode, S_IFDIR | 0750);
    assert_int_equal(b.uid, 5);
    assert_int_equal(vfs_chmod(AT_FDCWD, "/d/sub/x", 0600, 0), 0);
    assert_string_equal(tget("/d/sub/x"), "x");
    struct path p;
    vfs_walk(AT_FDCWD, "/d/f", 0, &p);
    assert_int_equal(vfs_setxattr(&p, "user.a", "1", 1, 0), 0);
    assert_int_equal(vfs_listxattr(&p, NULL, 0), 7);
    path_put(&p);
}

static void removal(void **s UNUSED)
{
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/f", 0), 0);
    assert_string_equal(tget("/d/f"), "error -2");
    assert_string_equal(tls("/d"), "sub g g2");
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/sub", AT_REMOVEDIR), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/sub/x", 0), 0);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/sub", AT_REMOVEDIR), 0);
    assert_string_equal(tls("/d"), "g g2");
    /* A new directory over a removed one shows nothing of it. */
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/d/sub", 0755), 0);
    assert_string_equal(tls("/d/sub"), "");
    tput("/d/f", "new");
    assert_string_equal(tget("/d/f"), "new");
    vfs_unlink(AT_FDCWD, "/d/f", 0);
    assert_string_equal(tget("/d/f"), "error -2");
    assert_int_equal(vfs_unlink(AT_FDCWD, "/empty", AT_REMOVEDIR), 0);
    assert_string_equal(tls("/"), "d l");
}

static void renames(void **s UNUSED)
{
    u64 ino = tino("/d/f");
    assert_int_equal(vfs_rename(AT_FDCWD, "/d/f", AT_FDCWD, "/moved", 0), 0);
    assert_string_equal(tget("/moved"), "lower");
    assert_string_equal(tget("/d/f"), "error -2");
    dentry_drop_children(ovl->root);
    assert_int_equal(tino("/moved"), ino);
    assert_int_equal(vfs_rename(AT_FDCWD, "/d", AT_FDCWD, "/e", 0), -EXDEV);
    assert_int_equal(vfs_mkdir(AT_FDCWD, "/n", 0755), 0);
    tput("/n/a", "a");
    assert_int_equal(vfs_rename(AT_FDCWD, "/n", AT_FDCWD, "/empty", 0), 0);
    assert_string_equal(tls("/empty"), "a");
    assert_int_equal(vfs_rename(AT_FDCWD, "/empty", AT_FDCWD, "/d/sub", 0), -ENOTEMPTY);
    vfs_unlink(AT_FDCWD, "/d/sub/x", 0);
    assert_int_equal(vfs_rename(AT_FDCWD, "/empty", AT_FDCWD, "/d/sub", 0), 0);
    assert_string_equal(tls("/d/sub"), "a");
    assert_string_equal(tls("/"), "d moved l");
    assert_int_equal(vfs_rename(AT_FDCWD, "/moved", AT_FDCWD, "/d/g", RENAME_EXCHANGE), 0);
    assert_string_equal(tget("/d/g"), "lower");
    assert_string_equal(tget("/moved"), "g");
}

static void hard_links(void **s UNUSED)
{
    assert_int_equal(tino("/d/g"), tino("/d/g2"));
    tput("/d/g", "both");
    dentry_drop_children(ovl->root);
    assert_string_equal(tget("/d/g2"), "both");
    assert_int_equal(vfs_link(AT_FDCWD, "/d/f", AT_FDCWD, "/hl", 0), 0);
    tput("/hl", "linked");
    assert_string_equal(tget("/d/f"), "linked");
    assert_int_equal(tino("/hl"), tino("/d/f"));
    struct kstat st;
    vfs_stat(AT_FDCWD, "/hl", 0, &st);
    assert_int_equal(st.nlink, 2);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/f", 0), 0);
    assert_string_equal(tget("/hl"), "linked");
    /* Renaming the lower-only name of a copied-up file takes the copy with it. */
    assert_int_equal(vfs_rename(AT_FDCWD, "/d/g2", AT_FDCWD, "/g3", 0), 0);
    assert_string_equal(tget("/g3"), "both");
}

static void unlinked_copy_up(void **s UNUSED)
{
    int fd = topen("/d/f", O_RDONLY, 0);
    assert_int_equal(vfs_unlink(AT_FDCWD, "/d/f", 0), 0);
    struct file *f = fd_get(fd);
    assert_int_equal(vfs_setattr(&f->path, &(struct kattr){ .valid = ATTR_MODE, .mode = 0600 }), 0);
    file_put(f);
    char buf[16];
    assert_int_equal(tread(fd, buf, sizeof(buf)), 5);
    assert_string_equal(tget("/d/f"), "error -2");
    /* O_TMPFILE, then a name */
    int t = topen("/d", O_TMPFILE | O_RDWR, 0600);
    assert_true(t >= 0);
    assert_int_equal(twrite(t, "tmp", 3), 3);
    assert_int_equal(vfs_link(t, "", AT_FDCWD, "/d/tmp", AT_EMPTY_PATH), 0);
    assert_string_equal(tget("/d/tmp"), "tmp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copy_up, setup, teardown), cmocka_unit_test_setup_teardown(removal, setup, teardown),
        cmocka_unit_test_setup_teardown(renames, setup, teardown), cmocka_unit_test_setup_teardown(hard_links, setup, teardown),
        cmocka_unit_test_setup_teardown(unlinked_copy_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
