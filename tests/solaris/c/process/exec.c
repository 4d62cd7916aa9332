/* Source: exec(2), environ(7); a script with #! runs its interpreter; errno of exec(2). */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <fcntl.h>
#include <errno.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
extern char **environ;
static void run(char *path, char **av, char **ev)
{
    int s;
    fflush(stdout);
    if (fork() == 0) { execve(path, av, ev); _exit(errno); }
    wait(&s);
    printf("-> %d\n", WEXITSTATUS(s));
}
int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("%d %s %s %d\n", argc, argv[1], getenv("K") ? getenv("K") : "none", fcntl(77, F_GETFD));
        return 5;
    }
    char *av[] = { "self", "again", NULL }, *ev[] = { "K=v", NULL }, self[1024];
    realpath(getexecname(), self);
    dup2(1, 77);
    fcntl(77, F_SETFD, FD_CLOEXEC);
    run(self, av, ev);
    FILE *f = fopen("script", "w");
    fprintf(f, "#!%s first\n", self);
    fclose(f);
    chmod("script", 0755);
    run("./script", av, ev);
    run("/nonexistent", av, ev);
    run("/", av, ev);
    close(creat("plain", 0644));
    run("./plain", av, ev);
    char *sh[] = { "sh", "-c", "echo linux shell; exit 3", NULL };
    run("/bin/sh", sh, ev);
    setenv("PATH", "/bin:/usr/bin", 1);
    fflush(stdout);
    if (fork() == 0) { execlp("sh", "sh", "-c", "exit 6", (char *)0); _exit(1); }
    int s;
    wait(&s);
    printf("%d\n", WEXITSTATUS(s));
    return 0;
}
