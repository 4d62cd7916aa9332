#ifndef _SYS_SHM_H
#define _SYS_SHM_H
#include <sys/ipc.h>
#define SHM_R 0400
#define SHM_W 0200
#define SHM_RDONLY 010000
#define SHM_RND 020000
#define SHM_SHARE_MMU 040000
#define SHM_PAGEABLE 0100000
#define SHM_LOCK 3
#define SHM_UNLOCK 4
typedef unsigned long shmatt_t;
struct shmid_ds {
    struct ipc_perm shm_perm;
    size_t shm_segsz;
    void *shm_amp;
    unsigned short shm_lkcnt;
    pid_t shm_lpid, shm_cpid;
    shmatt_t shm_nattch;
    unsigned long shm_cnattch;
    time_t shm_atime, shm_dtime, shm_ctime;
    long shm_pad4[4];
};
int shmget(key_t, size_t, int);
int shmctl(int, int, struct shmid_ds *);
int shmids(int *, unsigned int, unsigned int *);
void *shmat(int, const void *, int);
int shmdt(char *);
#endif
