#ifndef _SYS_MKDEV_H
#define _SYS_MKDEV_H
#include <sys/types.h>
#define makedev(a, b) (((dev_t)(a) << 32) | (unsigned int)(b))
#define major(d) ((major_t)((d) >> 32))
#define minor(d) ((minor_t)((d) & 0xffffffffu))
#endif
