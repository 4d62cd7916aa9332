/* Source: malloc(3C), memalign(3C), posix_memalign(3C): alignments, contents kept by realloc, zeroes of calloc, ENOMEM and EINVAL. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *memalign(size_t, size_t);
void *valloc(size_t);

int main(void)
{
    int bad = 0;
    void *p;

    for (size_t a = 8; a <= 1 << 16; a *= 2)
        for (size_t n = 1; n < 5000; n = n * 3 + 1) {
            if (posix_memalign(&p, a, n) || (uintptr_t)p % a) bad++;
            memset(p, 1, n);
            void *q = memalign(a, n);
            if (!q || (uintptr_t)q % a) bad++;
            memset(q, 2, n);
            free(p);
            free(q);
        }
    printf("misplaced %d\n", bad);
    printf("%d %d\n", posix_memalign(&p, 3, 10) == EINVAL, posix_memalign(&p, 1 << 20, SIZE_MAX - 4096) == ENOMEM);
    p = valloc(10);
    printf("page %d\n", (int)((uintptr_t)p % 4096));
    free(p);
    unsigned char *b = NULL;
    for (size_t n = 1; n < 3000000; n = n * 2 + 1) {
        b = realloc(b, n);
        memset(b + n / 2, (int)(n & 0xff), n - n / 2);
        for (size_t k = n / 4; k < n / 2; k += 97) bad += b[k] != (n / 2 & 0xff);
    }
    b = realloc(b, 100);
    printf("lost %d\n", bad);
    free(b);
    for (int i = 0; i < 100; i++) {
        unsigned char *z = malloc(4000);
        memset(z, 0xee, 4000);
        free(z);
        z = calloc(1000, 4);
        for (int k = 0; k < 4000; k++) bad += z[k];
        free(z);
    }
    printf("dirty %d\n", bad);
    errno = 0;
    p = calloc(SIZE_MAX / 2, 3);
    printf("%d %d\n", p == NULL, errno == ENOMEM);
    errno = 0;
    p = malloc(SIZE_MAX - 100);
    printf("%d %d\n", p == NULL, errno == ENOMEM);
    free(NULL);
    printf("%d\n", (uintptr_t)malloc(1) % 16 == 0);
    return 0;
}
