/* Source: setjmp(3C), sigsetjmp(3C): the mask comes back with the second. */
#include <stdio.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
static jmp_buf j;
static sigjmp_buf sj;
static void on(int s) { siglongjmp(sj, 3); }
static void deep(int n) { if (n) deep(n - 1); longjmp(j, 7); }
int main(void)
{
    sigset_t m; volatile int tries = 0; int r;
    if ((r = setjmp(j)) == 0) deep(10);
    printf("%d\n", r);
    if ((r = setjmp(j)) == 0) longjmp(j, 0);
    printf("%d\n", r);
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on }, NULL);   /* signal() would reset it */
    r = sigsetjmp(sj, 1);
    if (tries++ < 2) raise(SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &m);
    printf("%d %d %d\n", r, (int)tries, sigismember(&m, SIGUSR1));
    return 0;
}
