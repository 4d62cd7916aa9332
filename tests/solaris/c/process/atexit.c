/* Source: atexit(3C), exit(2), on the order: the last registered first; _Exit runs none. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
static void a(void) { printf("first registered\n"); }
static void b(void) { printf("last registered\n"); }
__attribute__((constructor)) static void c(void) { printf("constructor\n"); fflush(stdout); }
__attribute__((destructor)) static void d(void) { printf("destructor\n"); }
int main(void)
{
    int s;
    atexit(a);
    atexit(b);
    if (fork() == 0) { printf("lost"); _Exit(3); }
    wait(&s);
    printf("main %d\n", WEXITSTATUS(s));
    exit(6);
}
