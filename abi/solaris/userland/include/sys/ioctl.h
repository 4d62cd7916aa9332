#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H
int ioctl(int, int, ...);
#include <sys/termios.h>
#include <sys/filio.h>
#endif
