/* Source: glob(3C), fnmatch(3C), wordexp is not offered. */
#include <stdio.h>
#include <glob.h>
#include <fnmatch.h>
#include <fcntl.h>
#include <unistd.h>
int main(void)
{
    glob_t g;
    const char *names[] = { "b.c", "a.c", "c.h", ".hid.c" };
    for (int i = 0; i < 4; i++) close(creat(names[i], 0600));
    printf("%d %d", glob("*.c", 0, NULL, &g), (int)g.gl_pathc);
    for (size_t i = 0; i < g.gl_pathc; i++) printf(" %s", g.gl_pathv[i]);
    globfree(&g);
    printf("\n%d\n", glob("*.none", 0, NULL, &g) == GLOB_NOMATCH);
    glob("*.none", GLOB_NOCHECK, NULL, &g);
    printf("%s\n", g.gl_pathv[0]);
    globfree(&g);
    glob("[ac].*", GLOB_MARK, NULL, &g);
    printf("%d %s\n", (int)g.gl_pathc, g.gl_pathv[1]);
    printf("%d %d %d %d\n", fnmatch("*.c", "a.c", 0), fnmatch("*.c", "d/a.c", FNM_PATHNAME) != 0, fnmatch("*", ".x", FNM_PERIOD) != 0, fnmatch("[!a]b", "cb", 0));
    return 0;
}
