#ifndef _SYS_SIGINFO_H
#define _SYS_SIGINFO_H
#include <sys/types.h>
union sigval { int sival_int; void *sival_ptr; };
typedef struct siginfo {
    int si_signo, si_code, si_errno, si_pad;
    union {
        int __pad[60];
        struct {
            pid_t __pid;
            union {
                struct { uid_t __uid; int __u; union sigval __value; } __kill;
                struct { clock_t __utime; int __status; int __s; clock_t __stime; } __cld;
            } __pdata;
        } __proc;
        struct { void *__addr; int __trapno; void *__pc; } __fault;
        struct { int __fd; int __p; long __band; } __file;
    } __data;
} siginfo_t;
#define si_pid __data.__proc.__pid
#define si_uid __data.__proc.__pdata.__kill.__uid
#define si_value __data.__proc.__pdata.__kill.__value
#define si_status __data.__proc.__pdata.__cld.__status
#define si_utime __data.__proc.__pdata.__cld.__utime
#define si_stime __data.__proc.__pdata.__cld.__stime
#define si_addr __data.__fault.__addr
#define si_trapno __data.__fault.__trapno
#define si_fd __data.__file.__fd
#define si_band __data.__file.__band
#define SI_USER 0
#define SI_LWP -1
#define SI_QUEUE -2
#define SI_TIMER -3
#define SI_ASYNCIO -4
#define SI_MESGQ -5
#define SI_NOINFO 32767
#define ILL_ILLOPC 1
#define FPE_INTDIV 1
#define FPE_INTOVF 2
#define FPE_FLTDIV 3
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6
#define FPE_FLTINV 7
#define FPE_FLTSUB 8
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN 1
#define BUS_ADRERR 2
#define BUS_OBJERR 3
#define TRAP_BRKPT 1
#define TRAP_TRACE 2
#define CLD_EXITED 1
#define CLD_KILLED 2
#define CLD_DUMPED 3
#define CLD_TRAPPED 4
#define CLD_STOPPED 5
#define CLD_CONTINUED 6
#define POLL_IN 1
#define POLL_OUT 2
#define POLL_HUP 6
#define SIGEV_NONE 1
#define SIGEV_SIGNAL 2
#define SIGEV_THREAD 3
#define SIGEV_PORT 4
struct sigevent {
    int sigev_notify, sigev_signo;
    union sigval sigev_value;
    void (*sigev_notify_function)(union sigval);
    pthread_attr_t *sigev_notify_attributes;
    int __sigev_pad2;
};
#endif
