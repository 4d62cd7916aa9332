/* Source: ld.so.1(1): the message for a library that cannot be found, and the signal that ends the process (SIGKILL). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int argc, char **argv)
{
    char cmd[2048], b[1024]; int s, p[2];
    if (argc > 1) return 0;
    pipe(p);
    if (fork() == 0) {
        dup2(p[1], 2);
        setenv("LD_PRELOAD", "libnothing.so.9", 1);
        execl(getexecname(), "self", "x", (char *)0);
        _exit(1);
    }
    close(p[1]);
    b[read(p[0], b, sizeof b - 1)] = 0;
    wait(&s);
    printf("%s%d %d\n", strchr(b, ':') + 1, WIFSIGNALED(s), WTERMSIG(s));
    return 0;
}
