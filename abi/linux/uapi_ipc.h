/* Guest structures of IPC. Source: include/uapi/linux/{ipc,shm,sem,msg,mqueue}.h, arch/x86/include/uapi/asm/sembuf.h. */
#ifndef SUNDOG_LINUX_UAPI_IPC_H
#define SUNDOG_LINUX_UAPI_IPC_H

#include "sentry/base/types.h"

struct linux_ipc64_perm { s32 key; u32 uid, gid, cuid, cgid, mode; u16 seq, pad2; u32 pad3; u64 unused1, unused2; };
_Static_assert(sizeof(struct linux_ipc64_perm) == 48, "struct ipc64_perm");

struct linux_shmid64_ds {
    struct linux_ipc64_perm perm;
    u64 segsz;
    s64 atime, dtime, ctime;
    s32 cpid, lpid;
    u64 nattch, unused4, unused5;
};
_Static_assert(sizeof(struct linux_shmid64_ds) == 112, "struct shmid64_ds");
_Static_assert(offsetof(struct linux_shmid64_ds, nattch) == 88, "shm_nattch");
struct linux_shminfo64 { u64 max, min, mni, seg, all, unused[4]; };
struct linux_shm_info { s32 used_ids, pad; u64 tot, rss, swp, swap_attempts, swap_successes; };
_Static_assert(sizeof(struct linux_shm_info) == 48, "struct shm_info");

struct linux_semid64_ds { struct linux_ipc64_perm perm; s64 otime; u64 unused1; s64 ctime; u64 unused2, nsems, unused3, unused4; };
_Static_assert(sizeof(struct linux_semid64_ds) == 104, "struct semid64_ds");
struct linux_seminfo { s32 map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem; };
struct linux_sembuf { u16 num; s16 op, flg; };
_Static_assert(sizeof(struct linux_sembuf) == 6, "struct sembuf");

struct linux_msqid64_ds {
    struct linux_ipc64_perm perm;
    s64 stime, rtime, ctime;
    u64 cbytes, qnum, qbytes;
    s32 lspid, lrpid;
    u64 unused4, unused5;
};
_Static_assert(sizeof(struct linux_msqid64_ds) == 120, "struct msqid64_ds");
struct linux_msginfo { s32 pool, map, max, mnb, mni, ssz, tql; u16 seg, pad; };
_Static_assert(sizeof(struct linux_msginfo) == 32, "struct msginfo");

struct linux_mq_attr { s64 flags, maxmsg, msgsize, curmsgs, reserved[4]; };
_Static_assert(sizeof(struct linux_mq_attr) == 64, "struct mq_attr");

/* Commands of shmctl, semctl, msgctl. IPC_64 is taken for granted on x86-64: the bit is ignored as elsewhere it is a format. */
#define LINUX_IPC_RMID 0
#define LINUX_IPC_SET 1
#define LINUX_IPC_STAT 2
#define LINUX_IPC_INFO 3
#define LINUX_MSG_STAT 11
#define LINUX_MSG_INFO 12
#define LINUX_MSG_STAT_ANY 13
#define LINUX_SHM_LOCK 11
#define LINUX_SHM_UNLOCK 12
#define LINUX_SHM_STAT 13
#define LINUX_SHM_INFO 14
#define LINUX_SHM_STAT_ANY 15
#define LINUX_SEM_GETPID 11
#define LINUX_SEM_GETVAL 12
#define LINUX_SEM_GETALL 13
#define LINUX_SEM_GETNCNT 14
#define LINUX_SEM_GETZCNT 15
#define LINUX_SEM_SETVAL 16
#define LINUX_SEM_SETALL 17
#define LINUX_SEM_STAT 18
#define LINUX_SEM_INFO 19
#define LINUX_SEM_STAT_ANY 20

#endif
