/* Source: fork(2): only the calling thread is in the child; pthread_atfork(3C) handlers run in order. */
#include <stdio.h>
#include <pthread.h>
#include <unistd.h>
#include <thread.h>
#include <sys/wait.h>
static int n, at_pre, at_par, at_chi;
static void pre(void) { at_pre = ++n; }
static void par(void) { at_par = ++n; }
static void chi(void) { at_chi = ++n; }
static void *spin(void *v) { for (;;) pause(); }
int main(void)
{
    pthread_t t; int s;
    pthread_create(&t, NULL, spin, NULL);
    pthread_atfork(pre, par, chi);
    if (fork() == 0) {
        printf("child %d %d %d\n", at_pre, at_par, at_chi);
        fflush(stdout);
        pthread_create(&t, NULL, (void *(*)(void *))(void *)getpid, NULL); pthread_join(t, NULL); _exit(4); }
    wait(&s);
    printf("%d parent %d %d %d\n", WEXITSTATUS(s), at_pre, at_par, at_chi);
    return 0;
}
