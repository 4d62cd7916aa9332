#ifndef _TIME_H
#define _TIME_H
#include <sys/types.h>
#define CLOCKS_PER_SEC 1000000L
#define CLK_TCK ((clock_t)100)
struct tm { int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst; };
#define CLOCK_VIRTUAL 1
#define CLOCK_THREAD_CPUTIME_ID 2
#define CLOCK_REALTIME 3
#define CLOCK_MONOTONIC 4
#define CLOCK_HIGHRES 4
#define CLOCK_PROCESS_CPUTIME_ID 5
#define CLOCK_PROF CLOCK_THREAD_CPUTIME_ID
#define TIMER_ABSTIME 1
#define TIMER_RELTIME 0
struct sigevent;
extern long timezone, altzone;
extern int daylight;
extern char *tzname[2];
extern int getdate_err;
time_t time(time_t *);
clock_t clock(void);
double difftime(time_t, time_t);
time_t mktime(struct tm *);
time_t timegm(struct tm *);
struct tm *gmtime(const time_t *);
struct tm *gmtime_r(const time_t *, struct tm *);
struct tm *localtime(const time_t *);
struct tm *localtime_r(const time_t *, struct tm *);
char *asctime(const struct tm *);
char *asctime_r(const struct tm *, char *);
char *ctime(const time_t *);
char *ctime_r(const time_t *, char *);
size_t strftime(char *, size_t, const char *, const struct tm *);
int cftime(char *, char *, const time_t *);
int ascftime(char *, const char *, const struct tm *);
char *strptime(const char *, const char *, struct tm *);
void tzset(void);
int nanosleep(const struct timespec *, struct timespec *);
int clock_gettime(clockid_t, struct timespec *);
int clock_settime(clockid_t, const struct timespec *);
int clock_getres(clockid_t, struct timespec *);
int clock_nanosleep(clockid_t, int, const struct timespec *, struct timespec *);
int clock_getcpuclockid(pid_t, clockid_t *);
int timer_create(clockid_t, struct sigevent *, timer_t *);
int timer_delete(timer_t);
int timer_settime(timer_t, int, const struct itimerspec *, struct itimerspec *);
int timer_gettime(timer_t, struct itimerspec *);
int timer_getoverrun(timer_t);
int timespec_get(struct timespec *, int);
#define TIME_UTC 1
#endif
