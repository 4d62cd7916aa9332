#ifndef _SYS_SIGTYPES_H
#define _SYS_SIGTYPES_H
typedef struct { unsigned int __sigbits[4]; } sigset_t;
#endif
