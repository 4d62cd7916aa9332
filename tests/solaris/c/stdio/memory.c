/* Source: fmemopen(3C), open_memstream(3C), getline(3C), getdelim(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    char *p, *line = NULL; size_t n, cap = 0; long r;
    FILE *f = open_memstream(&p, &n);
    fprintf(f, "%d items", 5);
    fflush(f);
    printf("%s %zu\n", p, n);
    fclose(f);
    free(p);
    char in[] = "first\nsecond;third";
    f = fmemopen(in, strlen(in), "r");
    r = getline(&line, &cap, f);
    printf("%ld %s", r, line);
    r = getdelim(&line, &cap, ';', f);
    printf("%ld %s\n", r, line);
    printf("%ld\n", (long)getline(&line, &cap, f));
    printf("%ld\n", (long)getline(&line, &cap, f));
    return 0;
}
