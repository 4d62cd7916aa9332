/* Source: getopt(3C), getopt_long(3C), getsubopt(3C). */
#include <stdio.h>
#include <unistd.h>
#include <getopt.h>
#include <stdlib.h>
int main(void)
{
    char *av[] = { "p", "-ab", "val", "-c", "--", "-x", "rest", NULL }; int c;
    opterr = 0;
    while ((c = getopt(7, av, "ab:c")) != -1) printf("%c(%s) ", c, c == 'b' ? optarg : "");
    printf("at %d\n", optind);
    char *bad[] = { "p", "-z", "-b", NULL };
    optind = 1;
    while ((c = getopt(3, bad, ":b:")) != -1) printf("%c%c ", c, optopt);
    printf("\n");
    char *lv[] = { "p", "--name=x", "--flag", "arg", NULL };
    static const struct option lo[] = { { "name", required_argument, NULL, 'n' }, { "flag", no_argument, NULL, 'f' }, { 0 } };
    optind = 1;
    while ((c = getopt_long(4, lv, "", lo, NULL)) != -1) printf("%c(%s) ", c, c == 'n' ? optarg : "");
    printf("at %d\n", optind);
    char sub[] = "ro,size=10,what", *s = sub, *v; char *const keys[] = { "ro", "size", NULL };
    while (*s) {
        int k = getsubopt(&s, keys, &v);
        printf("%d:%s ", k, v ? v : "-");
    }
    printf("\n");
    return 0;
}
