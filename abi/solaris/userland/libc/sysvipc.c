/* libc.so.1: System V IPC. Source: msgget(2), shmget(2), semget(2) and their kin; ftok(3C). */
#include "impl.h"
#include <stdarg.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define R(expr) return (int)ret_errno(expr)
enum { MSG_GET, MSG_CTL, MSG_RCV, MSG_SND, MSG_IDS };
enum { SHM_AT, SHM_CTL, SHM_DT, SHM_GET, SHM_IDS };
enum { SEM_CTL, SEM_GET, SEM_OP, SEM_IDS, SEM_TIMEDOP };

int msgget(key_t key, int flags) { R(RAW(SYS_msgsys, MSG_GET, key, flags)); }
int msgctl(int id, int cmd, struct msqid_ds *ds) { R(RAW(SYS_msgsys, MSG_CTL, id, cmd, ds)); }
int msgids(int *buf, unsigned int n, unsigned int *pn) { R(RAW(SYS_msgsys, MSG_IDS, buf, n, pn)); }
int msgsnd(int id, const void *m, size_t n, int flags) { R(CANCELABLE(RAW(SYS_msgsys, MSG_SND, id, m, n, flags))); }
ssize_t msgrcv(int id, void *m, size_t n, long type, int flags) { return ret_errno(CANCELABLE(RAW(SYS_msgsys, MSG_RCV, id, m, n, type, flags))); }

int shmget(key_t key, size_t size, int flags) { R(RAW(SYS_shmsys, SHM_GET, key, size, flags)); }
int shmctl(int id, int cmd, struct shmid_ds *ds) { R(RAW(SYS_shmsys, SHM_CTL, id, cmd, ds)); }
int shmids(int *buf, unsigned int n, unsigned int *pn) { R(RAW(SYS_shmsys, SHM_IDS, buf, n, pn)); }
int shmdt(char *addr) { R(RAW(SYS_shmsys, SHM_DT, addr)); }
void *shmat(int id, const void *addr, int flags) { return (void *)ret_errno(RAW(SYS_shmsys, SHM_AT, id, addr, flags)); }

int semget(key_t key, int n, int flags) { R(RAW(SYS_semsys, SEM_GET, key, n, flags)); }
int semids(int *buf, unsigned int n, unsigned int *pn) { R(RAW(SYS_semsys, SEM_IDS, buf, n, pn)); }
int semop(int id, struct sembuf *ops, size_t n) { R(RAW(SYS_semsys, SEM_OP, id, ops, n)); }
int semtimedop(int id, struct sembuf *ops, size_t n, const struct timespec *ts) { R(RAW(SYS_semsys, SEM_TIMEDOP, id, ops, n, ts)); }

/* The fourth argument is a union semun, whose members all sit in the first eight bytes. */
int semctl(int id, int num, int cmd, ...)
{
    long arg = 0;
    va_list ap;

    if (cmd == IPC_STAT || cmd == IPC_SET || cmd == SETVAL || cmd == GETALL || cmd == SETALL) {
        va_start(ap, cmd);
        arg = va_arg(ap, long);
        va_end(ap);
    }
    R(RAW(SYS_semsys, SEM_CTL, id, num, cmd, arg));
}

key_t ftok(const char *path, int id)
{
    struct stat st;

    return stat(path, &st) ? (key_t)-1 : (key_t)((id & 0xff) << 24 | (int)(st.st_dev & 0xfff) << 12 | (int)(st.st_ino & 0xfff));
}
