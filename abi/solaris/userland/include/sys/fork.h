#ifndef _SYS_FORK_H
#define _SYS_FORK_H
#include <sys/types.h>
#define FORK_NOSIGCHLD 1
#define FORK_WAITPID 2
pid_t forkx(int);
pid_t forkallx(int);
pid_t vforkx(int) __attribute__((returns_twice));
#endif
