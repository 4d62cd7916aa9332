#ifndef _SYS_WAIT_H
#define _SYS_WAIT_H
#include <sys/types.h>
#include <sys/siginfo.h>
#include <sys/resource.h>
typedef enum {
    P_PID, P_PPID, P_PGID, P_SID, P_CID, P_UID, P_GID, P_ALL, P_LWPID, P_TASKID, P_PROJID, P_POOLID, P_ZONEID,
    P_CTID, P_CPUID, P_PSETID
} idtype_t;
#define WEXITED 1
#define WTRAPPED 2
#define WSTOPPED 4
#define WUNTRACED 4
#define WCONTINUED 8
#define WNOHANG 0x40
#define WNOWAIT 0x80
#define WIFEXITED(s) (((s) & 0xff) == 0)
#define WEXITSTATUS(s) (((s) >> 8) & 0xff)
#define WIFSIGNALED(s) (((s) & 0xff) > 0 && ((s) & 0xff00) == 0)
#define WTERMSIG(s) ((s) & 0x7f)
#define WCOREDUMP(s) ((s) & 0x80)
#define WIFSTOPPED(s) (((s) & 0xff) == 0x7f && ((s) & 0xff00) != 0)
#define WSTOPSIG(s) (((s) >> 8) & 0xff)
#define WIFCONTINUED(s) (((s) & 0xffff) == 0xffff)
pid_t wait(int *);
pid_t waitpid(pid_t, int *, int);
int waitid(idtype_t, id_t, siginfo_t *, int);
pid_t wait3(int *, int, struct rusage *);
pid_t wait4(pid_t, int *, int, struct rusage *);
#endif
