#ifndef _SYS_MSG_H
#define _SYS_MSG_H
#include <sys/ipc.h>
#define MSG_NOERROR 010000
typedef unsigned long msgqnum_t;
typedef unsigned long msglen_t;
struct msqid_ds {
    struct ipc_perm msg_perm;
    void *msg_first, *msg_last;
    msglen_t msg_cbytes;
    msgqnum_t msg_qnum;
    msglen_t msg_qbytes;
    pid_t msg_lspid, msg_lrpid;
    time_t msg_stime, msg_rtime, msg_ctime;
    short msg_cv, msg_qnum_cv;
    long msg_pad4[3];
};
int msgget(key_t, int);
int msgctl(int, int, struct msqid_ds *);
int msgids(int *, unsigned int, unsigned int *);
int msgsnd(int, const void *, size_t, int);
ssize_t msgrcv(int, void *, size_t, long, int);
#endif
