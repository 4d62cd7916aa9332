/* Source: getenv(3C), putenv(3C), setenv(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
extern char **environ;
int main(void)
{
    static char pair[] = "A=put";
    printf("%d %s\n", setenv("B", "one", 1), getenv("B"));
    setenv("B", "two", 0);
    printf("%s\n", getenv("B"));
    putenv(pair);
    pair[2] = 'P';
    printf("%s\n", getenv("A"));
    printf("%d %d\n", unsetenv("A"), getenv("A") == NULL);
    printf("%d %d\n", setenv("", "x", 1), errno == EINVAL);
    printf("%d\n", setenv("C=D", "x", 1));
    int n = 0;
    for (char **e = environ; *e; e++) n += !strncmp(*e, "B=", 2);
    printf("%d\n", n);
    return 0;
}
