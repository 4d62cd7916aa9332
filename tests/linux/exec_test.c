/* execve(2), execveat(2), the auxiliary vector. */
#include "check.h"
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];
extern char **environ;

static int run(char **argv, char **envp)
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        execve(self, argv, envp);
        _exit(100 + (errno & 63));
    }
    CHECK(waitpid(k, &st, 0) == k);
    return WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
}

static void arguments(void)
{
    CHECK(run((char *[]){ "a", "--args", "x y", "", NULL }, (char *[]){ "K=V", NULL }) == 0);
}

static void aux(void)
{
    CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid() && getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_PHDR) && getauxval(AT_PHENT) == 56 && getauxval(AT_ENTRY) && getauxval(AT_RANDOM));
    CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64") && getauxval(AT_SYSINFO_EHDR));
    CHECK(access((char *)getauxval(AT_EXECFN), X_OK) == 0);
}

static void errors(void)
{
    char *none[] = { NULL };
    char path[] = "/tmp/exec_testXXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "not a program", 13) == 13 && fchmod(fd, 0644) == 0);
    CHECK_ERR(execve("/nonexistent/x", none, none), ENOENT);
    CHECK_ERR(execve("", none, none), ENOENT);
    CHECK_ERR(execve("/", none, none), EACCES);
    CHECK_ERR(execve(path, none, none), EACCES);
    CHECK(fchmod(fd, 0755) == 0);
    CHECK_ERR(execve(path, none, none), ETXTBSY);
    close(fd);
    CHECK_ERR(execve(path, none, none), ENOEXEC);
    CHECK_ERR(syscall(SYS_execve, self, 8L, none), EFAULT);
    char *big = malloc(200000);
    memset(big, 'x', 199999);
    big[199999] = 0;
    CHECK_ERR(execve(self, (char *[]){ "a", big, NULL }, none), E2BIG);
    CHECK_ERR(syscall(SYS_execveat, -1, "rel", none, none, 0), EBADF);
    CHECK_ERR(syscall(SYS_execveat, AT_FDCWD, self, none, none, 0x10), EINVAL);
    unlink(path);
    free(big);
}

static void scripts(void)
{
    char path[] = "/tmp/exec_scriptXXXXXX";
    int fd = mkstemp(path), st;
    CHECK(fd >= 0 && write(fd, "#!/bin/sh\nexit 9\n", 17) == 17 && fchmod(fd, 0755) == 0);
    close(fd);
    pid_t k = fork();
    if (!k) {
        execl(path, path, NULL);
        _exit(1);
    }
    CHECK(waitpid(k, &st, 0) == k && WEXITSTATUS(st) == 9);
    unlink(path);
}

static void by_descriptor(void)
{
    int st, fd = open(self, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    pid_t k = fork();
    if (!k) {
        syscall(SYS_execveat, fd, "", (char *[]){ "a", "--args", "x y", "", NULL }, (char *[]){ "K=V", NULL }, AT_EMPTY_PATH);
        _exit(1);
    }
    CHECK(waitpid(k, &st, 0) == k && st == 0);
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(arguments), CASE(aux), CASE(errors), CASE(scripts), CASE(by_descriptor) };
    if (argc > 1 && !strcmp(argv[1], "--args"))
        return !(argc == 4 && !strcmp(argv[2], "x y") && !argv[3][0] && !argv[4] && !strcmp(environ[0], "K=V") && !environ[1]);
    CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
