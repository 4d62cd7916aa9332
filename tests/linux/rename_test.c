/* rename(2), renameat2(2). */
#include "tmpdir.h"

static void plain(void)
{
    CHECK(mkdir("a", 0755) == 0 && mkdir("a/sub", 0755) == 0 && mkdir("b", 0755) == 0);
    put_file("f", "F"), put_file("g", "G");
    CHECK_ERR(rename("a", "a/sub/x"), EINVAL);
    CHECK_ERR(rename("b", "a"), ENOTEMPTY);
    CHECK_ERR(rename("a/sub", "a"), ENOTEMPTY);
    CHECK_ERR(rename("f", "a"), EISDIR);
    CHECK_ERR(rename("a", "f"), ENOTDIR);
    CHECK_ERR(rename("nope", "q"), ENOENT);
    CHECK_ERR(rename("f/", "q"), ENOTDIR);
    CHECK_ERR(rename("f", "q/"), ENOTDIR);
    CHECK_ERR(rename("a/.", "q"), EBUSY);
    CHECK_ERR(rename("a", "b/.."), EBUSY);
    CHECK(rename("f", "g") == 0 && !strcmp(get_file("g"), "F") && access("f", F_OK) < 0);
    CHECK(link("g", "g2") == 0 && rename("g", "g2") == 0 && access("g", F_OK) == 0);
    CHECK(rename("a", "b") == 0 && access("b/sub", F_OK) == 0);
    CHECK(rename("b/", "c/") == 0 && access("c/sub", F_OK) == 0);
}

static void flags(void)
{
    put_file("x", "X"), put_file("y", "Y");
    CHECK_ERR(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_NOREPLACE), EEXIST);
    CHECK_ERR(renameat2(AT_FDCWD, "x", AT_FDCWD, "nope", RENAME_EXCHANGE), ENOENT);
    CHECK_ERR(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    CHECK_ERR(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", 64), EINVAL);
    CHECK(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_EXCHANGE) == 0 && !strcmp(get_file("x"), "Y"));
    CHECK(mkdir("dir", 0755) == 0 && mkdir("dir/in", 0755) == 0);
    CHECK_ERR(renameat2(AT_FDCWD, "dir", AT_FDCWD, "dir/in", RENAME_EXCHANGE), EINVAL);
    CHECK(renameat2(AT_FDCWD, "x", AT_FDCWD, "dir/in", RENAME_EXCHANGE) == 0 && !strcmp(get_file("dir/in"), "Y"));
    struct stat st;
    CHECK(stat("x", &st) == 0 && S_ISDIR(st.st_mode) && stat("dir", &st) == 0 && st.st_nlink <= 2);
}

static void cwd_moves(void)
{
    char b[PATH_MAX];
    CHECK(mkdir("w", 0755) == 0 && chdir("w") == 0 && rename("../w", "../w2") == 0 && getcwd(b, sizeof b));
    CHECK(!strcmp(strrchr(b, '/'), "/w2"));
    CHECK(rmdir("../w2") == 0);
    CHECK(getcwd(b, sizeof b) == NULL && errno == ENOENT);
    CHECK_ERR(open("f", O_CREAT | O_RDWR, 0600), ENOENT);
    CHECK_ERR(mkdir("f", 0600), ENOENT);
    CHECK(chdir(tmpdir_path) == 0);
}

TMPDIR_MAIN(CASE(plain), CASE(flags), CASE(cwd_moves))
