/* Source: posix_spawn(3C), posix_spawn_file_actions_addopen(3C), posix_spawnattr_setflags(3C), vfork(2). */
#include <stdio.h>
#include <spawn.h>
#include <fcntl.h>
#include <signal.h>
#include <errno.h>
#include <unistd.h>
#include <sys/wait.h>
extern char **environ;
int main(void)
{
    posix_spawn_file_actions_t fa; posix_spawnattr_t at; pid_t p; int s; char b[64]; sigset_t m;
    char *av[] = { "sh", "-c", "echo to the file; echo err >&2; exit 8", NULL };
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 1, "out", O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_adddup2(&fa, 1, 2);
    posix_spawnattr_init(&at);
    sigemptyset(&m);
    posix_spawnattr_setsigmask(&at, &m);
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    printf("%d\n", posix_spawn(&p, "/bin/sh", &fa, &at, av, environ));
    waitpid(p, &s, 0);
    printf("%d\n", WEXITSTATUS(s));
    int fd = open("out", O_RDONLY);
    b[read(fd, b, sizeof b - 1)] = 0;
    printf("%s", b);
    printf("%d\n", posix_spawn(&p, "/nonexistent", NULL, NULL, av, environ) == ENOENT);
    printf("%d\n", posix_spawnp(&p, "sh", NULL, NULL, (char *[]){ "sh", "-c", "exit 2", NULL }, environ));
    waitpid(p, &s, 0);
    printf("%d\n", WEXITSTATUS(s));
    volatile int shared = 0;
    if ((p = vfork()) == 0) { shared = 1; _exit(0); }
    waitpid(p, &s, 0);
    printf("%d\n", shared);
    return 0;
}
