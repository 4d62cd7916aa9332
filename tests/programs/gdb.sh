#!/bin/bash
# gdb on a program inside: breakpoint, arguments, back trace, changed variable, single step, a thread, a signal.
set -eu
{ command -v gdb && command -v gcc; } >/dev/null || { echo "skipped: gdb and gcc are not installed"; exit 77; }
cat >p.c <<'C'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static int depth(int n)
{
    int local = n * 3;
    if (!n) return 0;
    return depth(n - 1) + local;
}
static void *run(void *a) { puts("thread"); return a; }
int main(void)
{
    pthread_t t;
    int r = depth(3);
    pthread_create(&t, NULL, run, NULL);
    pthread_join(t, NULL);
    printf("r=%d\n", r);
    fflush(stdout);
    raise(SIGUSR1);
    return r;
}
C
gcc -g -O0 -pthread p.c -o p
cat >cmds <<'G'
set confirm off
set debuginfod enabled off
break depth if n == 1
run
print n
backtrace
next
print local
finish
handle SIGUSR1 stop print nopass
break run
continue
info threads
delete
tbreak printf
continue
up
set variable r = 42
continue
print $_siginfo.si_signo
continue
G
timeout 120 gdb -nx -batch -x cmds ./p >out 2>&1 || { cat out; exit 1; }
for want in '\$1 = 1' '#2 .*depth (n=3)' '#3 .*main ()' '\$2 = 3' 'hit Breakpoint 2, run' 'SIGUSR1' '= 10' 'exited with code 052'; do
    grep -q -- "$want" out || { echo "missing: $want"; cat out; exit 1; }
done
