#ifndef _SYS_SEM_H
#define _SYS_SEM_H
#include <sys/ipc.h>
#include <time.h>
#define SEM_UNDO 010000
#define GETNCNT 3
#define GETPID 4
#define GETVAL 5
#define GETALL 6
#define GETZCNT 7
#define SETVAL 8
#define SETALL 9
struct sem;
struct semid_ds {
    struct ipc_perm sem_perm;
    struct sem *sem_base;
    unsigned short sem_nsems;
    time_t sem_otime, sem_ctime;
    int sem_binary;
    long sem_pad3[3];
};
struct sembuf { unsigned short sem_num; short sem_op, sem_flg; };
int semget(key_t, int, int);
int semctl(int, int, int, ...);
int semids(int *, unsigned int, unsigned int *);
int semop(int, struct sembuf *, size_t);
int semtimedop(int, struct sembuf *, size_t, const struct timespec *);
#endif
