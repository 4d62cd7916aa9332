#ifndef _SYS_PARAM_H
#define _SYS_PARAM_H
#include <sys/types.h>
#include <limits.h>
#define MAXPATHLEN 1024
#define MAXHOSTNAMELEN 256
#define MAXNAMELEN 256
#define MAXSYMLINKS 20
#define NOFILE 20
#define HZ 100
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define howmany(x, y) (((x) + ((y) - 1)) / (y))
#define roundup(x, y) ((((x) + ((y) - 1)) / (y)) * (y))
#endif
