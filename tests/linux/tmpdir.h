/* A fresh directory below the current one, entered by tmpdir_enter and removed at exit. */
#ifndef SUNDOG_TESTS_LINUX_TMPDIR_H
#define SUNDOG_TESTS_LINUX_TMPDIR_H

#include "check.h"
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char tmpdir_path[PATH_MAX];
static pid_t tmpdir_owner;
static inline int tmpdir_rm(const char *p, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(p);
}
static inline void tmpdir_leave(void)
{
    if (getpid() != tmpdir_owner) return;
    if (chdir("/") == 0) nftw(tmpdir_path, tmpdir_rm, 16, FTW_DEPTH | FTW_PHYS);
}
static inline void tmpdir_enter(void)
{
    char t[] = "vfs-test-XXXXXX";
    umask(022);
    CHECK(mkdtemp(t) && chmod(t, 0777) == 0 && chdir(t) == 0 && getcwd(tmpdir_path, sizeof(tmpdir_path)));
    tmpdir_owner = getpid();
    atexit(tmpdir_leave);
}
static inline void put_file(const char *p, const char *text)
{
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}
static inline const char *get_file(const char *p)
{
    static char b[4096];
    int fd = open(p, O_RDONLY);
    if (fd < 0) return "<none>";
    ssize_t n = read(fd, b, sizeof(b) - 1);
    b[n < 0 ? 0 : n] = 0;
    close(fd);
    return b;
}
/* Runs fn in a child, as another user if uid is not 0; its failure is ours. */
static inline void in_child(void (*fn)(void), uid_t uid)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (uid) CHECK(setgid(uid) == 0 && setuid(uid) == 0);
        fn();
        _exit(0);
    }
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
}
#define TMPDIR_MAIN(...)                                                                            \
    int main(int argc, char **argv)                                                                 \
    {                                                                                               \
        static const struct test_case cases[] = { __VA_ARGS__ };                                    \
        tmpdir_enter();                                                                             \
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);                      \
    }

#endif
