/* Source: string(3C), memory(3C), strlcpy(3C). */
#include <stdio.h>
#include <string.h>
#include <strings.h>
int main(void)
{
    char b[8], s[] = "a,b;;c", *save; size_t n;
    n = strlcpy(b, "longer than that", sizeof b);
    printf("%zu %s\n", n, b);
    n = strlcat(b, "x", sizeof b);
    printf("%zu %s\n", n, b);
    for (char *t = strtok_r(s, ",;", &save); t; t = strtok_r(NULL, ",;", &save)) printf("<%s>", t);
    printf("\n%s %s %s\n", strstr("haystack", "st"), strrchr("a/b/c", '/'), strpbrk("hello", "xol"));
    printf("%d %d %d\n", strcmp("a", "b") < 0, strncasecmp("ABC", "abd", 2), memcmp("ab\0c", "ab\0d", 4) < 0);
    printf("%zu %zu %zu\n", strspn("aabbc", "ab"), strcspn("aabbc", "c"), strnlen("abcdef", 3));
    memmove(b + 1, b, 4);
    b[5] = 0;
    printf("%s %d\n", b, memchr("abc", 'z', 3) == NULL);
    char sep[] = "k=v=", *p = sep;
    printf("%s", strsep(&p, "="));
    printf(",%s", strsep(&p, "="));
    printf(",[%s]", strsep(&p, "="));
    printf(" %d\n", p == NULL);
    printf("%d %s\n", ffs(0x50), strdup("dup"));
    return 0;
}
