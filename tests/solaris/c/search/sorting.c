/* Source: qsort(3C), bsearch(3C), tsearch(3C), hsearch(3C), lsearch(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <search.h>
#include <string.h>
static int cmp(const void *a, const void *b) { int x = *(const int *)a, y = *(const int *)b; return x < y ? -1 : x > y; }
static void walk(const void *n, VISIT v, int level) { if (v == postorder || v == leaf) printf("%d ", **(int *const *)n); }
int main(void)
{
    static int v[] = { 5, 3, 9, 1, 7 };
    int key = 7; void *root = NULL;
    for (int i = 0; i < 5; i++) tsearch(&v[i], &root, cmp);
    twalk(root, walk);
    qsort(v, 5, sizeof(int), cmp);
    for (int i = 0; i < 5; i++) printf("%d ", v[i]);
    printf("%ld\n", (long)((int *)bsearch(&key, v, 5, sizeof(int), cmp) - v));
    hcreate(16);
    ENTRY e = { "key", "value" };
    hsearch(e, ENTER);
    ENTRY f = { "key", NULL };
    printf("%s\n", (char *)hsearch(f, FIND)->data);
    f.key = "none";
    printf("%d\n", hsearch(f, FIND) == NULL);
    return 0;
}
