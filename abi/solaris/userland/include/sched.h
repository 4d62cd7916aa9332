#ifndef _SCHED_H
#define _SCHED_H
#include <sys/types.h>
#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_SYS 3
#define SCHED_IA 4
#define SCHED_FSS 5
#define SCHED_FX 6
struct sched_param { int sched_priority, sched_nicelim, sched_nice, sched_pad[6]; };
int sched_yield(void);
int sched_get_priority_max(int);
int sched_get_priority_min(int);
int sched_rr_get_interval(pid_t, struct timespec *);
int sched_getscheduler(pid_t);
int sched_getparam(pid_t, struct sched_param *);
int sched_setscheduler(pid_t, int, const struct sched_param *);
int sched_setparam(pid_t, const struct sched_param *);
#endif
