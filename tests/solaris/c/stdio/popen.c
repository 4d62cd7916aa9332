/* Source: popen(3C), system(3C): the status is waitpid's. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
int main(void)
{
    char b[64];
    FILE *p = popen("echo from the shell; exit 3", "r");
    printf("%s", fgets(b, sizeof b, p));
    int s = pclose(p);
    printf("exited %d with %d\n", WIFEXITED(s), WEXITSTATUS(s));
    fflush(stdout);
    p = popen("cat", "w");
    fputs("to the shell\n", p);
    printf("%d\n", pclose(p));
    s = system("exit 7");
    printf("%d\n", WEXITSTATUS(s));
    printf("%d\n", system(NULL) != 0);
    return 0;
}
