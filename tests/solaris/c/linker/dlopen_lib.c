/* The library of dlopen.c. */
#include <stdio.h>
int lib_data = 33;
int lib_add(int x) { return x + 16; }
__attribute__((constructor)) static void in(void) { printf("library in\n"); }
__attribute__((destructor)) static void out(void) { printf("library out\n"); }
