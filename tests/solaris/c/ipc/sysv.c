/* Source: msgop(2), shmop(2), semop(2), semctl(2), ftok(3C); sizes of the structures from sys/msg.h, sys/shm.h, sys/sem.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };

int main(void)
{
    struct { long type; char text[32]; } m = { 2, "a message" };
    struct sembuf down = { 0, -1, 0 }, up = { 0, 1, 0 };
    struct timespec brief = { 0, 1000000 };
    struct shmid_ds sd;
    struct msqid_ds md;

    printf("sizes %zu %zu %zu\n", sizeof md, sizeof sd, sizeof(struct semid_ds));
    printf("ftok %d %d\n", ftok("/", 1) != (key_t)-1 && ftok("/", 1) == ftok("/", 1) && ftok("/", 1) != ftok("/", 2), ftok("none", 1));
    int q = msgget(IPC_PRIVATE, 0600), id = shmget(IPC_PRIVATE, 100000, 0600), s = semget(IPC_PRIVATE, 1, 0600);
    printf("made %d\n", q >= 0 && id >= 0 && s >= 0);
    volatile int *p = shmat(id, NULL, 0);
    printf("attached %d\n", (void *)p != (void *)-1);
    /* A child adds under the semaphore and reports by a message. */
    union semun one = { .val = 1 };
    printf("setval %d\n", semctl(s, 0, SETVAL, one));
    fflush(stdout);
    for (int k = 0; k < 3; k++)
        if (!fork()) {
            for (int i = 0; i < 500; i++) {
                semop(s, &down, 1);
                int v = p[7];
                if (i % 50 == 0) sched_yield();
                p[7] = v + 1;
                semop(s, &up, 1);
            }
            m.type = k + 10;
            _exit(msgsnd(q, &m, sizeof "a message", 0) != 0);
        }
    for (int k = 2; k >= 0; k--) {
        memset(m.text, 0, sizeof m.text);
        printf("%d", (int)msgrcv(q, &m, sizeof m.text, k + 10, 0));
        printf(" %ld %s\n", m.type, m.text);
    }
    while (wait(NULL) > 0) {}
    printf("counted %d\n", p[7]);
    printf("stat %d %lu %d\n", shmctl(id, IPC_STAT, &sd), (unsigned long)sd.shm_segsz, (int)sd.shm_nattch);
    printf("queue %d %lu\n", msgctl(q, IPC_STAT, &md), (unsigned long)md.msg_qnum);
    semop(s, &down, 1);
    errno = 0;
    printf("timed %d", semtimedop(s, &down, 1, &brief));
    printf(" %d\n", errno == EAGAIN);
    printf("removed %d %d %d %d\n", shmdt((void *)p), shmctl(id, IPC_RMID, NULL), semctl(s, 0, IPC_RMID), msgctl(q, IPC_RMID, NULL));
    errno = 0;
    printf("%d %d\n", (int)msgrcv(q, &m, 1, 0, IPC_NOWAIT), errno == EINVAL);
    return 0;
}
