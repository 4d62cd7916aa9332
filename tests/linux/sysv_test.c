/* System V IPC: shmget(2), shmop(2), shmctl(2), semget(2), semop(2), semctl(2), msgget(2), msgop(2), msgctl(2). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };

static int wait_child(pid_t p)
{
    int st;
    CHECK(waitpid(p, &st, 0) == p);
    return st;
}

static key_t some_key(int n) { return (key_t)(0x53000000 + (getpid() & 0xfffff) * 8 + n); }

static void shm_basic(void)
{
    int id = shmget(IPC_PRIVATE, 10000, 0600);
    struct shmid_ds ds;
    CHECK(id >= 0);
    char *p = shmat(id, NULL, 0);
    CHECK(p != (void *)-1);
    for (int i = 0; i < 12288; i++) CHECK(p[i] == 0);
    strcpy(p, "hello");
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_segsz == 10000 && ds.shm_nattch == 1 && ds.shm_cpid == getpid() && ds.shm_lpid == getpid());
    CHECK((ds.shm_perm.mode & 0777) == 0600 && ds.shm_atime && !ds.shm_dtime);
    pid_t c = fork();
    if (!c) {
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 2);
        CHECK(!strcmp(p, "hello"));
        strcpy(p, "world");
        _exit(0);
    }
    CHECK(wait_child(c) == 0);
    CHECK(!strcmp(p, "world"));
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1 && ds.shm_dtime);
    /* A second, read-only attachment. */
    char *q = shmat(id, NULL, SHM_RDONLY);
    CHECK(q != (void *)-1 && q != p && !strcmp(q, "world"));
    CHECK_ERR(mprotect(q, 4096, PROT_READ | PROT_WRITE), EACCES);
    CHECK(shmdt(q) == 0);
    CHECK_ERR(shmdt(q), EINVAL);
    CHECK_ERR(shmdt(p + 1), EINVAL);
    /* Removed, but there until the last detach; an id still attaches. */
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 01000));
    p[9] = 7;
    CHECK(shmdt(p) == 0);
    CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK((long)shmat(id, NULL, 0) == -1 && errno == EINVAL);
}

static void shm_keys(void)
{
    key_t k = some_key(0);
    CHECK_ERR(shmget(k, 4096, 0600), ENOENT);
    int id = shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(id >= 0);
    CHECK(shmget(k, 0, 0) == id && shmget(k, 100, IPC_CREAT) == id);
    CHECK_ERR(shmget(k, 8192, 0), EINVAL);
    CHECK_ERR(shmget(k, 4096, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_ERR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERR(shmget(k, 0, 0), ENOENT);
    CHECK_ERR(shmctl(id, IPC_RMID, NULL), EINVAL);
}

static void shm_address(void)
{
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    char *hole = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK((long)shmat(id, hole, 0) == -1 && errno == EINVAL);
    CHECK(shmat(id, hole, SHM_REMAP) == hole);
    CHECK(shmdt(hole) == 0);
    munmap(hole, 65536);
    CHECK((long)shmat(id, hole + 5, 0) == -1 && errno == EINVAL);
    CHECK(shmat(id, hole + 5, SHM_RND) == hole);
    /* Split by munmap: detaching takes what is left. */
    struct shmid_ds ds;
    munmap(hole, 4096);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1);
    CHECK((long)shmat(id, NULL, SHM_REMAP) == -1 && errno == EINVAL);
    CHECK(shmdt(hole) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void shm_info_(void)
{
    int id = shmget(IPC_PRIVATE, 4096, 0640);
    struct shminfo si;
    struct shm_info in;
    struct shmid_ds ds;
    int max = shmctl(0, IPC_INFO, (struct shmid_ds *)&si);
    CHECK(max >= 0 && si.shmmin == 1 && si.shmmni == 4096);
    CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&in) == max && in.used_ids >= 1 && in.shm_tot >= 1);
    int found = 0;
    for (int i = 0; i <= max; i++) found |= shmctl(i, SHM_STAT, &ds) == id;
    CHECK(found);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    ds.shm_perm.mode = 0604;
    CHECK(shmctl(id, IPC_SET, &ds) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 0777) == 0604);
    CHECK(shmctl(id, IPC_STAT, (void *)1) == -1 && errno == EFAULT);
    FILE *f = fopen("/proc/sysvipc/shm", "r");
    char line[512];
    int seen = 0;
    while (f && fgets(line, sizeof line, f)) {
        int k, i;
        if (sscanf(line, "%d %d", &k, &i) == 2) seen |= i == id;
    }
    CHECK(f && seen);
    fclose(f);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void sem_basic(void)
{
    int id = semget(IPC_PRIVATE, 3, 0600);
    unsigned short v[3] = { 1, 2, 3 };
    struct semid_ds ds;
    CHECK(id >= 0);
    CHECK(semctl(id, 0, SETALL, (union semun){ .array = v }) == 0);
    memset(v, 0, sizeof v);
    CHECK(semctl(id, 0, GETALL, (union semun){ .array = v }) == 0 && v[0] == 1 && v[1] == 2 && v[2] == 3);
    CHECK(semctl(id, 1, GETVAL) == 2 && semctl(id, 1, GETPID) == getpid());
    CHECK(semctl(id, 1, SETVAL, (union semun){ .val = 5 }) == 0 && semctl(id, 1, GETVAL) == 5);
    CHECK_ERR(semctl(id, 1, SETVAL, (union semun){ .val = 32768 }), ERANGE);
    CHECK_ERR(semctl(id, 3, GETVAL), EINVAL);
    /* All or nothing. */
    struct sembuf o[2] = { { 0, -1, 0 }, { 2, -4, IPC_NOWAIT } };
    CHECK_ERR(semop(id, o, 2), EAGAIN);
    CHECK(semctl(id, 0, GETVAL) == 1);
    o[1].sem_op = -3;
    CHECK(semop(id, o, 2) == 0);
    CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 2, GETVAL) == 0);
    struct sembuf z = { 0, 0, 0 };
    CHECK(semop(id, &z, 1) == 0);
    struct sembuf up = { 1, 32767, 0 };
    CHECK_ERR(semop(id, &up, 1), ERANGE);
    struct sembuf far = { 3, 1, 0 };
    CHECK_ERR(semop(id, &far, 1), EFBIG);
    CHECK_ERR(semop(id, &z, 0), EINVAL);
    struct sembuf many[501] = { { 0, 0, 0 } };
    CHECK_ERR(semop(id, many, 501), E2BIG);
    CHECK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) == 0 && ds.sem_nsems == 3 && ds.sem_otime);
    struct timespec ts = { 0, 20000000 };
    struct sembuf down = { 0, -1, 0 };
    CHECK_ERR(semtimedop(id, &down, 1, &ts), EAGAIN);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    CHECK_ERR(semctl(id, 0, GETVAL), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
}

static void on_alarm(int s) { (void)s; }

static void sem_wait_(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(semctl(id, 0, SETVAL, (union semun){ .val = 0 }) == 0);
    pid_t c = fork();
    struct sembuf down = { 0, -2, 0 }, up = { 0, 1, 0 };
    if (!c) _exit(semop(id, &down, 1) ? errno : 0);
    while (semctl(id, 0, GETNCNT) != 1) usleep(1000);
    CHECK(semop(id, &up, 1) == 0);
    usleep(20000);
    CHECK(waitpid(c, NULL, WNOHANG) == 0);
    CHECK(semop(id, &up, 1) == 0);
    CHECK(wait_child(c) == 0);
    CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETPID) == c);
    /* For zero. */
    CHECK(semop(id, &up, 1) == 0);
    c = fork();
    struct sembuf zero = { 0, 0, 0 };
    if (!c) _exit(semop(id, &zero, 1) ? errno : 0);
    while (semctl(id, 0, GETZCNT) != 1) usleep(1000);
    down.sem_op = -1;
    CHECK(semop(id, &down, 1) == 0);
    CHECK(wait_child(c) == 0);
    /* Interrupted, whatever SA_RESTART says; and removed. */
    int pfd[2];
    char byte;
    CHECK(pipe(pfd) == 0);
    c = fork();
    if (!c) {
        struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        sigaction(SIGUSR1, &sa, NULL);
        if (semop(id, &down, 1) != -1 || errno != EINTR) _exit(1);
        CHECK(write(pfd[1], "", 1) == 1);
        if (semop(id, &down, 1) != -1 || errno != EIDRM) _exit(2);
        _exit(0);
    }
    while (semctl(id, 0, GETNCNT) != 1) usleep(1000);
    kill(c, SIGUSR1);
    CHECK(read(pfd[0], &byte, 1) == 1);
    while (semctl(id, 0, GETNCNT) != 1) usleep(1000);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    CHECK(wait_child(c) == 0);
}

static void sem_undo(void)
{
    int id = semget(IPC_PRIVATE, 2, 0600);
    CHECK(semctl(id, 0, SETVAL, (union semun){ .val = 3 }) == 0);
    pid_t c = fork();
    if (!c) {
        struct sembuf o[2] = { { 0, -2, SEM_UNDO }, { 1, 4, SEM_UNDO } };
        CHECK(semop(id, o, 2) == 0);
        CHECK(semctl(id, 0, GETVAL) == 1 && semctl(id, 1, GETVAL) == 4);
        _exit(0);
    }
    CHECK(wait_child(c) == 0);
    CHECK(semctl(id, 0, GETVAL) == 3 && semctl(id, 1, GETVAL) == 0);
    /* A killed holder releases those who wait. */
    CHECK(semctl(id, 0, SETVAL, (union semun){ .val = 1 }) == 0);
    struct sembuf take = { 0, -1, SEM_UNDO };
    c = fork();
    if (!c) {
        CHECK(semop(id, &take, 1) == 0);
        pause();
    }
    while (semctl(id, 0, GETVAL) != 0) usleep(1000);
    pid_t d = fork();
    if (!d) _exit(semop(id, &take, 1) ? 1 : 0);
    while (semctl(id, 0, GETNCNT) != 1) usleep(1000);
    kill(c, SIGKILL);
    wait_child(c);
    CHECK(wait_child(d) == 0);
    CHECK(semctl(id, 0, GETVAL) == 1);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

static void *undo_thread(void *arg)
{
    struct sembuf o = { 0, 1, SEM_UNDO };
    CHECK(semop(*(int *)arg, &o, 1) == 0);
    return NULL;
}

static void sem_undo_threads(void)
{
    /* Threads share one list: the end of one undoes nothing. */
    int id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(semctl(id, 0, SETVAL, (union semun){ .val = 0 }) == 0);
    pid_t c = fork();
    if (!c) {
        pthread_t t;
        pthread_create(&t, NULL, undo_thread, &id);
        pthread_join(t, NULL);
        usleep(20000);
        _exit(semctl(id, 0, GETVAL) == 1 ? 0 : 1);
    }
    CHECK(wait_child(c) == 0);
    CHECK(semctl(id, 0, GETVAL) == 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

struct msg { long type; char text[64]; };

static void msg_basic(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    struct msg m = { 3, "three" };
    struct msqid_ds ds;
    CHECK(id >= 0);
    CHECK(msgsnd(id, &m, 6, 0) == 0);
    m = (struct msg){ 1, "one" };
    CHECK(msgsnd(id, &m, 4, 0) == 0);
    m = (struct msg){ 2, "two" };
    CHECK(msgsnd(id, &m, 4, 0) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 3 && ds.msg_lspid == getpid() && ds.msg_qbytes >= 16384);
    CHECK_ERR(msgrcv(id, &m, 64, 9, IPC_NOWAIT), ENOMSG);
    CHECK_ERR(msgrcv(id, &m, 2, 3, 0), E2BIG);
    CHECK(msgrcv(id, &m, 64, -2, 0) == 4 && m.type == 1 && !strcmp(m.text, "one"));
    CHECK(msgrcv(id, &m, 64, 3, MSG_EXCEPT) == 4 && m.type == 2);
    CHECK(msgrcv(id, &m, 3, 0, MSG_NOERROR) == 3 && m.type == 3 && !memcmp(m.text, "thr", 3));
    /* A copy is whole or not at all. */
    CHECK(msgsnd(id, &m, 3, 0) == 0);
    CHECK_ERR(msgrcv(id, &m, 2, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR), EINVAL);
    CHECK(msgrcv(id, &m, 64, 0, IPC_NOWAIT) == 3);
    CHECK_ERR(msgrcv(id, &m, 64, 0, IPC_NOWAIT), ENOMSG);
    m.type = 0;
    CHECK_ERR(msgsnd(id, &m, 4, 0), EINVAL);
    m.type = 1;
    CHECK_ERR(msgsnd(id, &m, 8193, 0), EINVAL);
    /* Full. */
    int n = 0;
    while (msgsnd(id, &m, 64, IPC_NOWAIT) == 0) n++;
    CHECK(errno == EAGAIN && n == 256);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERR(msgsnd(id, &m, 4, 0), EINVAL);
}

static void msg_blocking(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    struct msg m = { 7, "x" };
    pid_t c = fork();
    if (!c) {
        CHECK(msgrcv(id, &m, 64, 7, 0) == 2);
        CHECK(msgrcv(id, &m, 64, 7, 0) == -1 && errno == EIDRM);
        _exit(0);
    }
    usleep(20000);
    CHECK(msgsnd(id, &m, 2, 0) == 0);
    struct msqid_ds ds;
    do CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    while (ds.msg_qnum);
    usleep(20000);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    CHECK(wait_child(c) == 0);
    /* A full queue makes the sender wait. */
    id = msgget(IPC_PRIVATE, 0600);
    m.type = 1;
    while (msgsnd(id, &m, 64, IPC_NOWAIT) == 0)
        ;
    c = fork();
    if (!c) _exit(msgsnd(id, &m, 64, 0) ? 1 : 0);
    usleep(20000);
    CHECK(waitpid(c, NULL, WNOHANG) == 0);
    CHECK(msgrcv(id, &m, 64, 0, 0) == 64);
    CHECK(wait_child(c) == 0);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void msg_info_(void)
{
    key_t k = some_key(1);
    int id = msgget(k, IPC_CREAT | IPC_EXCL | 0600);
    struct msginfo mi;
    struct msqid_ds ds;
    CHECK(id >= 0 && msgget(k, 0) == id);
    CHECK_ERR(msgget(k, IPC_CREAT | IPC_EXCL), EEXIST);
    int max = msgctl(0, IPC_INFO, (struct msqid_ds *)&mi);
    CHECK(max >= 0 && mi.msgmax == 8192 && mi.msgmnb == 16384);
    int found = 0;
    for (int i = 0; i <= max; i++) found |= msgctl(i, MSG_STAT, &ds) == id;
    CHECK(found);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    ds.msg_qbytes = 100;
    CHECK(msgctl(id, IPC_SET, &ds) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qbytes == 100);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void permissions(void)
{
    if (getuid()) return;
    int shm = shmget(IPC_PRIVATE, 4096, 0640), sem = semget(IPC_PRIVATE, 1, 0600), msg = msgget(IPC_PRIVATE, 0604);
    pid_t c = fork();
    if (!c) {
        struct sembuf up = { 0, 1, 0 };
        struct msg m = { 1, "" };
        CHECK(setgid(12345) == 0 && setuid(12345) == 0);
        CHECK((long)shmat(shm, NULL, 0) == -1 && errno == EACCES);
        CHECK_ERR(semop(sem, &up, 1), EACCES);
        CHECK_ERR(msgsnd(msg, &m, 1, 0), EACCES);
        CHECK_ERR(msgrcv(msg, &m, 1, 0, IPC_NOWAIT), ENOMSG);
        CHECK_ERR(shmctl(shm, IPC_RMID, NULL), EPERM);
        CHECK_ERR(semctl(sem, 0, IPC_RMID), EPERM);
        CHECK_ERR(msgctl(msg, IPC_RMID, NULL), EPERM);
        _exit(0);
    }
    CHECK(wait_child(c) == 0);
    shmctl(shm, IPC_RMID, NULL);
    semctl(sem, 0, IPC_RMID);
    msgctl(msg, IPC_RMID, NULL);
}

static int set_forced(const char *text)
{
    int fd = open("/proc/sys/kernel/shm_rmid_forced", O_WRONLY), r = 0;
    if (fd < 0 || write(fd, text, strlen(text)) < 0) r = errno;
    if (fd >= 0) close(fd);
    return r;
}

/* A segment whose maker ends at once. */
static int made_by_child(void)
{
    int p[2], id = -1;
    CHECK(pipe(p) == 0);
    pid_t c = fork();
    if (!c) {
        id = shmget(IPC_PRIVATE, 4096, 0600);
        _exit(write(p[1], &id, sizeof id) != sizeof id);
    }
    CHECK(wait_child(c) == 0 && read(p[0], &id, sizeof id) == sizeof id && id >= 0);
    close(p[0]);
    close(p[1]);
    return id;
}

/* proc_sys_kernel(5): shm_rmid_forced, a setting of the namespace. */
static void shm_forced(void)
{
    pid_t c = fork();
    if (!c) {
        struct shmid_ds ds;
        char one = 0;
        if (unshare(CLONE_NEWIPC) || access("/proc/sys/kernel/shm_rmid_forced", W_OK)) {
            printf("skipped: shm_rmid_forced: no IPC namespace of its own, or /proc/sys cannot be written\n");
            fflush(stdout);
            _exit(0);
        }
        int fd = open("/proc/sys/kernel/shm_rmid_forced", O_RDONLY);
        CHECK(fd >= 0 && read(fd, &one, 1) == 1 && one == '0' && close(fd) == 0);
        CHECK(set_forced("2") == EINVAL && set_forced("-1") == EINVAL);
        int orphan = made_by_child(), mine = shmget(IPC_PRIVATE, 4096, 0600);
        CHECK(mine >= 0 && shmctl(orphan, IPC_STAT, &ds) == 0);
        /* Set: those without a maker go at once, one with a maker that lives stays. */
        CHECK(set_forced("1") == 0);
        CHECK_ERR(shmctl(orphan, IPC_STAT, &ds), EINVAL);
        CHECK(shmctl(mine, IPC_STAT, &ds) == 0);
        CHECK_ERR(shmctl(made_by_child(), IPC_STAT, &ds), EINVAL);
        /* The last one who detaches takes it along. */
        char *a = shmat(mine, NULL, 0), *b = shmat(mine, NULL, 0);
        CHECK(a != (void *)-1 && b != (void *)-1 && shmdt(a) == 0 && shmctl(mine, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1);
        CHECK(shmdt(b) == 0);
        CHECK_ERR(shmctl(mine, IPC_STAT, &ds), EINVAL);
        /* Attached elsewhere when its maker ends. */
        int p[2], q[2], id;
        CHECK(pipe(p) == 0 && pipe(q) == 0);
        pid_t k = fork();
        if (!k) {
            id = shmget(IPC_PRIVATE, 4096, 0600);
            _exit(write(p[1], &id, sizeof id) != sizeof id || read(q[0], &one, 1) != 1);
        }
        CHECK(read(p[0], &id, sizeof id) == sizeof id && (a = shmat(id, NULL, 0)) != (void *)-1);
        CHECK(write(q[1], "", 1) == 1 && wait_child(k) == 0);
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1 && shmdt(a) == 0);
        CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
        _exit(0);
    }
    CHECK(wait_child(c) == 0);
}

TEST_MAIN(CASE(shm_basic), CASE(shm_keys), CASE(shm_address), CASE(shm_info_), CASE(sem_basic), CASE(sem_wait_), CASE(sem_undo),
          CASE(sem_undo_threads), CASE(msg_basic), CASE(msg_blocking), CASE(msg_info_), CASE(permissions), CASE(shm_forced))
