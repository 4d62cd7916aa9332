#ifndef _SYS_TIMETYPES_H
#define _SYS_TIMETYPES_H
struct timespec { long tv_sec; long tv_nsec; };
typedef struct timespec timespec_t, timestruc_t;
struct timeval { long tv_sec; long tv_usec; };
struct itimerspec { struct timespec it_interval, it_value; };
struct itimerval { struct timeval it_interval, it_value; };
#endif
