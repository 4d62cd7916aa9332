/* Source: readdir(3C), mkdir(2), rmdir(2) (EEXIST for one that is not empty), getcwd(3C), realpath(3C), nftw(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
static int files, dirs;
static int visit(const char *p, const struct stat *st, int t, struct FTW *f) { if (t == FTW_F) files++; else if (t == FTW_D || t == FTW_DP) dirs++; return 0; }
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
int main(void)
{
    char *names[8], b[PATH_MAX], c[PATH_MAX]; int n = 0; struct dirent *e;
    mkdir("d", 0755);
    mkdir("d/sub", 0755);
    close(creat("d/x", 0600));
    close(creat("d/sub/y", 0600));
    DIR *d = opendir("d");
    while ((e = readdir(d))) names[n++] = strdup(e->d_name);
    rewinddir(d);
    printf("%d\n", readdir(d) != NULL);
    closedir(d);
    qsort(names, (size_t)n, sizeof(char *), by_name);
    for (int i = 0; i < n; i++) printf("%s ", names[i]);
    printf("\n%d %d\n", rmdir("d"), errno == EEXIST);
    printf("%d\n", nftw("d", visit, 10, FTW_PHYS));
    printf("%d files %d dirs\n", files, dirs);
    getcwd(b, sizeof b);
    chdir("d/sub");
    getcwd(c, sizeof c);
    printf("%s\n", c + strlen(b));
    printf("%s\n", realpath("../../d/./sub/../x", c) + strlen(b));
    printf("%d %d\n", getcwd(c, 3) == NULL, errno == ERANGE);
    printf("%d %d\n", unlink("../sub") != 0, errno == EPERM);
    struct dirent **list;
    printf("%d\n", scandir("..", &list, NULL, alphasort));
    return 0;
}
