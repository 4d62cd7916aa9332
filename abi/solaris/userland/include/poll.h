#ifndef _POLL_H
#define _POLL_H
#include <sys/types.h>
#define POLLIN 1
#define POLLPRI 2
#define POLLOUT 4
#define POLLWRNORM 4
#define POLLERR 8
#define POLLHUP 0x10
#define POLLNVAL 0x20
#define POLLRDNORM 0x40
#define POLLRDBAND 0x80
#define POLLWRBAND 0x100
#define POLLREMOVE 0x800
#define POLLRDHUP 0x4000
typedef struct pollfd { int fd; short events, revents; } pollfd_t;
int poll(struct pollfd *, nfds_t, int);
int ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
#endif
