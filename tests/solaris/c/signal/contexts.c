/* Source: getcontext(2), setcontext(2), makecontext(3C), swapcontext(3C). */
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
static ucontext_t home, a, b;
static char sa[65536], sb[65536];
static int turn;
static void fa(int x, int y) { for (int i = 0; i < 3; i++) { printf("a%d(%d,%d) ", turn++, x, y); swapcontext(&a, &b); } }
static void fb(int p1, int p2, int p3, int p4, int p5, int p6, int p7, int p8)
{
    printf("[%d%d%d%d%d%d%d%d] ", p1, p2, p3, p4, p5, p6, p7, p8);
    for (int i = 0; i < 3; i++) { printf("b%d ", turn++); swapcontext(&b, &a); }
}
int main(void)
{
    volatile int again = 0; ucontext_t u;
    getcontext(&u);
    if (again++ < 2) setcontext(&u);
    printf("%d\n", (int)again);
    getcontext(&a);
    a.uc_stack.ss_sp = sa;
    a.uc_stack.ss_size = sizeof sa;
    a.uc_link = &home;
    b = a;
    b.uc_stack.ss_sp = sb;
    makecontext(&a, (void (*)(void))fa, 2, 1, 2);
    makecontext(&b, (void (*)(void))fb, 8, 1, 2, 3, 4, 5, 6, 7, 8);
    swapcontext(&home, &a);
    printf("\nhome %d\n", turn);
    return 0;
}
