#ifndef _SYS_IPC_H
#define _SYS_IPC_H
#include <sys/types.h>
struct ipc_perm { uid_t uid; gid_t gid; uid_t cuid; gid_t cgid; mode_t mode; unsigned int seq; key_t key; };
#define IPC_CREAT 0001000
#define IPC_EXCL 0002000
#define IPC_NOWAIT 0004000
#define IPC_PRIVATE ((key_t)0)
#define IPC_RMID 10
#define IPC_SET 11
#define IPC_STAT 12
key_t ftok(const char *, int);
#endif
