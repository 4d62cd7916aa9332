/* execve(2), execveat(2), the auxiliary vector. */
#include "check.h"
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
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

/* Program headers as they should not be: what Linux makes of them when it is too late to say no. */
static int run_elf(const Elf64_Phdr *ph, int n, const void *code, size_t len)
{
    unsigned char image[8192] = { 0 };
    Elf64_Ehdr e = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
                     .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x401000, .e_phoff = sizeof(e), .e_ehsize = sizeof(e),
                     .e_phentsize = sizeof(*ph), .e_phnum = (Elf64_Half)n };
    char name[] = "/tmp/exec-elf-XXXXXX";
    int st, fd = mkstemp(name);
    memcpy(image, &e, sizeof(e));
    memcpy(image + sizeof(e), ph, (size_t)n * sizeof(*ph));
    memcpy(image + 4096, code, len);
    CHECK(fd >= 0 && write(fd, image, sizeof(image)) == sizeof(image) && fchmod(fd, 0700) == 0 && close(fd) == 0);
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        signal(SIGSEGV, SIG_IGN);
        execve(name, (char *[]){ name, NULL }, (char *[]){ NULL });
        _exit(100 + (errno & 63));
    }
    CHECK(waitpid(k, &st, 0) == k && unlink(name) == 0);
    return st;
}

static void odd_segments(void)
{
    /* movl $7, 0x401800; movl 0x403000, %edi; add 0x401800, %edi; mov $60, %eax; syscall */
    static const unsigned char code[] = { 0xc7, 0x04, 0x25, 0x00, 0x18, 0x40, 0, 7, 0, 0, 0, 0x8b, 0x3c, 0x25, 0x00, 0x30, 0x40, 0,
                                          0x03, 0x3c, 0x25, 0x00, 0x18, 0x40, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05 };
    Elf64_Phdr p[3] = {
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 4096, .p_vaddr = 0x401000, .p_filesz = 4096, .p_memsz = 4096 },
        /* the same place again, and writable: the later one counts */
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_offset = 4096, .p_vaddr = 0x401000, .p_filesz = 4096, .p_memsz = 4096 },
        { .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 0x403000, .p_memsz = 4096 },
    };
    int st = run_elf(p, 3, code, sizeof(code));
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
    st = run_elf(p, 1, code, sizeof(code));
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);      /* it cannot write */
    p[1].p_offset++;
    st = run_elf(p, 2, code, sizeof(code));
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
    p[1].p_offset--;
    p[1].p_filesz = 5000;
    st = run_elf(p, 2, code, sizeof(code));
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);      /* more in the file than in memory */
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(arguments), CASE(aux), CASE(errors), CASE(scripts), CASE(by_descriptor), CASE(odd_segments) };
    if (argc > 1 && !strcmp(argv[1], "--args"))
        return !(argc == 4 && !strcmp(argv[2], "x y") && !argv[3][0] && !argv[4] && !strcmp(environ[0], "K=V") && !environ[1]);
    CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
