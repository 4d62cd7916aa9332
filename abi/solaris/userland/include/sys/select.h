#ifndef _SYS_SELECT_H
#define _SYS_SELECT_H
#include <sys/timetypes.h>
#include <sys/sigtypes.h>
#define FD_SETSIZE 65536
typedef long fd_mask;
#define NFDBITS 64
typedef struct fd_set { long fds_bits[FD_SETSIZE / NFDBITS]; } fd_set;
#define FD_SET(n, p) ((p)->fds_bits[(n) / NFDBITS] |= 1L << ((n) % NFDBITS))
#define FD_CLR(n, p) ((p)->fds_bits[(n) / NFDBITS] &= ~(1L << ((n) % NFDBITS)))
#define FD_ISSET(n, p) (((p)->fds_bits[(n) / NFDBITS] >> ((n) % NFDBITS)) & 1)
#define FD_ZERO(p) __builtin_memset((p), 0, sizeof(*(p)))
int select(int, fd_set *, fd_set *, fd_set *, struct timeval *);
int pselect(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
#endif
