#!/bin/bash
# gcc compiling and running a C program of several files through make -j2.
set -eu
for i in 1 2 3 4 5 6; do printf '#include "all.h"\nint part%d(int x) { return x * %d + 1; }\n' $i $i > part$i.c; done
for i in 1 2 3 4 5 6; do echo "int part$i(int x);"; done > all.h
cat > main.c <<'C'
#include "all.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 0;
    printf("%d %.3f\n", part1(n) + part2(n) + part3(n) + part4(n) + part5(n) + part6(n), sqrt(n));
    return 0;
}
C
cat > Makefile <<'M'
OBJS = main.o part1.o part2.o part3.o part4.o part5.o part6.o
prog: $(OBJS)
	$(CC) -o $@ $(OBJS) -lm
%.o: %.c all.h
	$(CC) -O2 -Wall -Werror -c -o $@ $<
clean:
	rm -f prog $(OBJS)
M
make -s -j2
[ "$(./prog 16)" = "342 4.000" ]
touch part3.c
make -j2 | grep -q part3
make -s clean
[ ! -e prog ]
