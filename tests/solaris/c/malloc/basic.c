/* Source: malloc(3C), memalign(3C), posix_memalign(3C), calloc(3C): ENOMEM when there is not enough. */
#include <stdio.h>
#include <stdlib.h>
#include <malloc.h>
#include <string.h>
#include <stdint.h>
#include <errno.h>
int main(void)
{
    void *p, *many[1000], *volatile v;
    char *s = malloc(10);
    strcpy(s, "keep");
    s = realloc(s, 1 << 20);
    printf("%s %d\n", s, (int)((uintptr_t)s % 16));
    free(s);
    int *z = calloc(1000, sizeof(int)), sum = 0;
    for (int i = 0; i < 1000; i++) sum += z[i];
    printf("%d\n", sum);
    printf("%d", posix_memalign(&p, 4096, 100));
    printf(" %d\n", (int)((uintptr_t)p % 4096));
    printf("%d\n", posix_memalign(&p, 3, 100) == EINVAL);
    printf("%d\n", (int)((uintptr_t)memalign(64, 10) % 64));
    errno = 0;
    v = malloc(SIZE_MAX / 2);
    printf("%d %d\n", v == NULL, errno == ENOMEM);
    v = calloc(SIZE_MAX / 2, 4);
    printf("%d\n", v == NULL);
    for (int r = 0; r < 20; r++) {
        for (int i = 0; i < 1000; i++) memset(many[i] = malloc((size_t)(i * 37 % 5000 + 1)), i, (size_t)(i * 37 % 5000 + 1));
        for (int i = 0; i < 1000; i++) free(many[(i * 7) % 1000]);
    }
    free(NULL);
    printf("done\n");
    return 0;
}
